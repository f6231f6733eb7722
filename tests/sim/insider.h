// Somebody who knows the pre-shared key and reads every datagram between two gateways: it has their phase 1
// keys, opens what they send, and makes messages that are authentic though no gateway of ours would send
// them. So a test says what an odd peer says while a real engine is at either end.
//
// Pre-shared keys only, and the simulator's stand-in for Diffie-Hellman.
#pragma once

#include <optional>
#include <vector>

#include "ike/crypto/keys.h"
#include "ike/wire/message.h"
#include "tests/sim/simulator.h"

namespace oakgate::sim {

class Insider {
 public:
  // Sees every datagram by the network's tap, in front of the one that is there.
  Insider(Simulator& network, Gateway& here, const Gateway& there);

  // What is known of the newest negotiation. `keys` are there once both public values were seen.
  struct Session {
    CookiePair cookies;
    IpAddress initiator;
    Bytes public_i;
    Bytes public_r;
    Bytes nonce_i;
    Bytes nonce_r;
    Bytes sa_body;  // SAi_b
    std::optional<crypto::Phase1Keys> keys;
    Bytes block;  // the last ciphertext block of phase 1 so far; before one, phase 1's IV
  };
  [[nodiscard]] const Session& session() const { return session_; }
  [[nodiscard]] const IsakmpPolicy& policy() const { return policy_; }

  // IV of the first message under a message id.
  [[nodiscard]] Bytes first_iv(MessageId id) const;
  // A message with the session's cookies and any plaintext, encrypted under its keys; padded with zeros.
  [[nodiscard]] Bytes seal(wire::ExchangeType type, MessageId id, wire::PayloadType first, Bytes plaintext,
                           ByteView iv, std::uint8_t flags = wire::kFlagEncryption) const;
  // HASH(1) and what it covers: Informational, Transaction, New Group Mode, Quick Mode's first message.
  [[nodiscard]] Bytes protect(wire::ExchangeType type, MessageId id,
                              std::vector<wire::Payload> payloads) const;
  [[nodiscard]] Bytes protect(wire::ExchangeType type, MessageId id, std::vector<wire::Payload> payloads,
                              ByteView iv) const;
  // A message of Quick Mode behind its first: HASH(2) or HASH(3) as `hash` says, in front of the payloads.
  [[nodiscard]] Bytes quick(MessageId id, int hash, ByteView nonce_i, ByteView nonce_r,
                            std::vector<wire::Payload> payloads, ByteView iv) const;
  // HASH_I over another ID than the initiator's own.
  [[nodiscard]] Bytes proof_of_initiator(const wire::IdPayload& id) const;
  // The payloads of an encrypted message; empty if it does not decrypt.
  [[nodiscard]] std::vector<wire::Payload> open(ByteView datagram, ByteView iv) const;
  // Its plaintext with the padding; empty if it is not whole blocks.
  [[nodiscard]] Bytes plaintext(ByteView datagram, ByteView iv) const;

 private:
  void see(const Endpoint& from, ByteView data);
  void see_clear(const Endpoint& from, const wire::Body& body);
  void derive();

  std::function<bool(const Endpoint&, const Endpoint&, Bytes&)> inner_;
  IsakmpPolicy policy_;
  std::string key_;
  Session session_;
};

}  // namespace oakgate::sim
