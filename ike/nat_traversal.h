// NAT detection: RFC 3947 section 3.2, and the drafts before it (base/nat_forms.h). Each side sends hashes of
// the addresses and ports it believes in; the other compares them with what it sees.
#pragma once

#include <vector>

#include "ike/base/algorithms.h"
#include "ike/base/nat_forms.h"
#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/base/types.h"
#include "ike/wire/payloads.h"

namespace oakgate::ike {

struct NatSituation {
  bool local = false;   // we are behind a NAT
  bool remote = false;  // the peer is
  [[nodiscard]] bool any() const { return local || remote; }
  [[nodiscard]] std::string to_string() const;  // "none", "local", "remote", "both"
};

// HASH(CKY-I | CKY-R | IP | Port) with the negotiated hash.
[[nodiscard]] Result<Bytes> nat_hash(IkeHash hash, const CookiePair& cookies, const Endpoint& endpoint);

// The two NAT-D payloads of a message from `local` to `remote`: the destination first, then our own address.
[[nodiscard]] Result<std::vector<wire::Payload>> nat_detection_payloads(IkeHash hash,
                                                                        const CookiePair& cookies,
                                                                        const Endpoint& local,
                                                                        const Endpoint& remote,
                                                                        const NatForm& form);
[[nodiscard]] wire::PayloadType nat_d_type(const NatForm& form);
// What the NAT-D payloads of a message that came from `remote` to `local` say. Fewer than two: no NAT, as the
// peer did not take part.
[[nodiscard]] Result<NatSituation> detect_nat(IkeHash hash, const CookiePair& cookies, const Endpoint& local,
                                              const Endpoint& remote, const std::vector<Bytes>& received);

}  // namespace oakgate::ike
