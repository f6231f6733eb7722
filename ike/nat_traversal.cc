#include "ike/nat_traversal.h"

#include <algorithm>

#include "ike/crypto/prf.h"

namespace oakgate::ike {

std::string NatSituation::to_string() const {
  if (local && remote) return "both";
  if (local) return "local";
  return remote ? "remote" : "none";
}

Result<Bytes> nat_hash(IkeHash hash, const CookiePair& cookies, const Endpoint& endpoint) {
  const std::uint8_t port[2] = {static_cast<std::uint8_t>(endpoint.port >> 8),
                                static_cast<std::uint8_t>(endpoint.port)};
  return crypto::hash(hash, {cookies.initiator, cookies.responder, endpoint.address.bytes(), port});
}

Result<std::vector<wire::Payload>> nat_detection_payloads(IkeHash hash, const CookiePair& cookies,
                                                          const Endpoint& local, const Endpoint& remote,
                                                          const NatForm& form) {
  std::vector<wire::Payload> payloads;
  for (const Endpoint* endpoint : {&remote, &local}) {
    auto digest = nat_hash(hash, cookies, *endpoint);
    if (!digest) return fail(std::move(digest.error()));
    payloads.emplace_back(wire::NatDetectionPayload{nat_d_type(form), std::move(*digest)});
  }
  return payloads;
}

wire::PayloadType nat_d_type(const NatForm& form) {
  return static_cast<wire::PayloadType>(form.nat_d);
}

Result<NatSituation> detect_nat(IkeHash hash, const CookiePair& cookies, const Endpoint& local,
                                const Endpoint& remote, const std::vector<Bytes>& received) {
  if (received.size() < 2) return NatSituation{};
  auto ours = nat_hash(hash, cookies, local);
  if (!ours) return fail(std::move(ours.error()));
  auto theirs = nat_hash(hash, cookies, remote);
  if (!theirs) return fail(std::move(theirs.error()));
  // RFC 3947 section 3.2: the first is of the destination, that is of us; the others are of the sender's
  // addresses.
  const bool sender_seen = std::find(received.begin() + 1, received.end(), *theirs) != received.end();
  return NatSituation{received.front() != *ours, !sender_seen};
}

}  // namespace oakgate::ike
