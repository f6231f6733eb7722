// The SCEP client: each operation asks the server over a Fetcher and waits for its answer (RFC 8894 section
// 4). Blocking: for threads of their own. No state but what the caller passes in and keeps (Transaction).
//
// Every operation but get_ca begins with GetCACaps and GetCACert: what the server can do, and its RA's
// certificates, are never older than the request, and are checked against the trustpoint's certificates.
#pragma once

#include <string>
#include <vector>

#include "ike/base/rng.h"
#include "ike/base/trust.h"
#include "ike/ports/fetcher.h"
#include "pki/scep/reply.h"
#include "pki/scep/transaction.h"

namespace oakgate::pki::scep {

inline constexpr std::size_t kMaxAuthorityBytes = 1U << 20;

// The URL of an operation. RFC 8894 section 4.1: the path is /cgi-bin/pkiclient.exe unless the operator says
// otherwise. `message` is escaped (RFC 3986); empty: none.
[[nodiscard]] std::string operation_url(std::string_view base, std::string_view operation,
                                        std::string_view message);

struct EnrollmentRequest {
  RequestContent content;
  const crypto::PrivateKey& key;
  bool encryption_key = false;
  const SecretBytes& challenge;  // empty: none; never kept
  // To renew: signs the request instead of a certificate made for it, if the server can renew.
  std::optional<Certificate> renews{};
};

struct Answer {
  Transaction transaction;
  std::vector<Certificate> granted;  // ours, then intermediates
  std::optional<Error> refused;      // ErrorCode::enrollment_failed, in the authority's words
  [[nodiscard]] bool pending() const { return granted.empty() && !refused; }
};

class Client {
 public:
  // All of them stay the caller's and outlive the client. `trustpoint.enrollment` is set; `trusted` are the
  // certificates of its `ca` files.
  Client(const Fetcher& fetcher, Rng& rng, const TrustpointConfig& trustpoint,
         const std::vector<Certificate>& trusted)
      : fetcher_(fetcher), rng_(rng), trustpoint_(trustpoint), trusted_(trusted) {}

  // GetCACert: nothing of it is trusted yet.
  [[nodiscard]] Result<AuthorityCertificates> get_ca() const;

  // PKCSReq or RenewalReq. Errors tell of answers that are none (pki/scep/reply.h): they decide nothing, for
  // anybody may have sent them. ErrorCode::fetch_failed: it did not answer.
  [[nodiscard]] Result<Answer> enroll(const EnrollmentRequest& request, WallTime now);
  // CertPoll. Does not count the poll.
  [[nodiscard]] Result<Answer> poll(const Transaction& transaction, const crypto::PrivateKey& key,
                                    WallTime now);
  // GetCRL for the CRL that `certificate` (ours, with `key`) is subject to; DER, not looked into.
  // ErrorCode::crl_unavailable: the authority has none for us, in its words.
  [[nodiscard]] Result<Bytes> get_crl(const Certificate& certificate, const crypto::PrivateKey& key,
                                      WallTime now);

 private:
  struct Session {
    Capabilities server;
    Algorithms algorithms;
    Authority authority;
    Allowance allowance;
  };
  struct Message {
    MessageHead head;
    ByteView content;
    const Certificate& signer;
    const crypto::PrivateKey& key;
    std::size_t max_reply = kMaxReplyBytes;
  };
  [[nodiscard]] Result<Session> open(WallTime now) const;
  [[nodiscard]] Result<Reply> exchange(const Session& session, const Message& message) const;
  [[nodiscard]] Result<Answer> conclude(const Session& session, Transaction transaction, const Reply& reply,
                                        const crypto::PrivateKey& key, WallTime now) const;
  [[nodiscard]] Nonce nonce();

  const Fetcher& fetcher_;
  Rng& rng_;
  const TrustpointConfig& trustpoint_;
  const std::vector<Certificate>& trusted_;
};

}  // namespace oakgate::pki::scep
