#include "tests/sim/insider.h"

#include "ike/crypto/cipher.h"
#include "ike/crypto/prf.h"

namespace oakgate::sim {

namespace {

bool is_phase1(wire::ExchangeType type) {
  return type == wire::ExchangeType::identity_protection || type == wire::ExchangeType::aggressive;
}

}  // namespace

Insider::Insider(Simulator& network, Gateway& here, const Gateway& there)
    : inner_(network.tap),
      policy_(here.config().peers.front().policies.front()),
      key_(here.pre_shared_keys.at(there.name)) {
  network.tap = [this](const Endpoint& from, const Endpoint& to, Bytes& data) {
    const bool passes = !inner_ || inner_(from, to, data);
    if (passes) see(from, data);
    return passes;
  };
}

void Insider::see(const Endpoint& from, ByteView data) {
  const auto header = wire::parse_header(data);
  if (!header || !is_phase1(header->exchange)) return;
  if (header->cookies.responder == Cookie{} && header->cookies.initiator != session_.cookies.initiator) {
    session_ = {};
    session_.initiator = from.address;
    session_.cookies = header->cookies;
  }
  if (header->cookies.initiator != session_.cookies.initiator) return;
  if (header->cookies.responder != Cookie{}) session_.cookies.responder = header->cookies.responder;
  const ByteView body = wire::body_of(*header, data);
  if (header->encrypted()) {
    const ByteView last = body.last(info(policy_.encryption).block_bytes);
    session_.block = to_bytes(last);
  } else if (const auto parsed = wire::parse_body(header->next_payload, body, wire::Padding::none)) {
    see_clear(from, *parsed);
  }
}

void Insider::see_clear(const Endpoint& from, const wire::Body& body) {
  const bool initiator = from.address == session_.initiator;
  for (const wire::Payload& payload : body.payloads) {
    if (const auto* sa = std::get_if<wire::SaPayload>(&payload); sa != nullptr && initiator)
      session_.sa_body = sa->raw_body;
    if (const auto* ke = std::get_if<wire::KeyExchangePayload>(&payload))
      (initiator ? session_.public_i : session_.public_r) = ke->data;
    if (const auto* nonce = std::get_if<wire::NoncePayload>(&payload))
      (initiator ? session_.nonce_i : session_.nonce_r) = nonce->data;
  }
  if (!session_.keys && !session_.public_i.empty() && !session_.public_r.empty()) derive();
}

void Insider::derive() {
  auto skeyid = crypto::prf(policy_.hash, as_bytes(key_), {session_.nonce_i, session_.nonce_r});
  const SecretBytes shared = stand_in_secret(policy_.group, session_.public_i, session_.public_r);
  session_.keys = std::move(*crypto::derive_phase1_keys(policy_.hash, policy_.encryption, std::move(*skeyid),
                                                        shared, session_.cookies));
  session_.block = *crypto::phase1_iv(policy_.hash, policy_.encryption, session_.public_i, session_.public_r);
}

Bytes Insider::first_iv(MessageId id) const {
  return *crypto::phase2_iv(policy_.hash, policy_.encryption, session_.block, id);
}

Bytes Insider::seal(wire::ExchangeType type, MessageId id, wire::PayloadType first, Bytes plaintext,
                    ByteView iv, std::uint8_t flags) const {
  const std::size_t block = info(policy_.encryption).block_bytes;
  plaintext.resize((plaintext.size() + block - 1) / block * block);
  wire::Header header;
  header.cookies = session_.cookies;
  header.exchange = type;
  header.flags = flags;
  header.message_id = id;
  const auto ciphertext = crypto::encrypt(policy_.encryption, session_.keys->cipher_key, iv, plaintext);
  return wire::encode_encrypted(header, first, *ciphertext);
}

Bytes Insider::protect(wire::ExchangeType type, MessageId id, std::vector<wire::Payload> payloads) const {
  return protect(type, id, std::move(payloads), first_iv(id));
}

Bytes Insider::protect(wire::ExchangeType type, MessageId id, std::vector<wire::Payload> payloads,
                       ByteView iv) const {
  auto hash = crypto::hash_1(policy_.hash, *session_.keys, id, wire::encode_body(payloads));
  payloads.insert(payloads.begin(), wire::HashPayload{std::move(*hash)});
  return seal(type, id, wire::PayloadType::hash, wire::encode_body(payloads), iv);
}

Bytes Insider::quick(MessageId id, int hash, ByteView nonce_i, ByteView nonce_r,
                     std::vector<wire::Payload> payloads, ByteView iv) const {
  const auto& keys = *session_.keys;
  auto made = hash == 2 ? crypto::hash_2(policy_.hash, keys, id, nonce_i, wire::encode_body(payloads))
                        : crypto::hash_3(policy_.hash, keys, id, nonce_i, nonce_r);
  payloads.insert(payloads.begin(), wire::HashPayload{std::move(*made)});
  return seal(wire::ExchangeType::quick, id, wire::PayloadType::hash, wire::encode_body(payloads), iv);
}

Bytes Insider::proof_of_initiator(const wire::IdPayload& id) const {
  const Bytes id_body = id.body();
  return *crypto::authentication_hash(
      policy_.hash, *session_.keys, Role::initiator,
      {session_.public_i, session_.public_r, session_.cookies, session_.sa_body, id_body});
}

Bytes Insider::plaintext(ByteView datagram, ByteView iv) const {
  const auto header = wire::parse_header(datagram);
  if (!header || !session_.keys) return {};
  const auto opened =
      crypto::decrypt(policy_.encryption, session_.keys->cipher_key, iv, wire::body_of(*header, datagram));
  return opened ? *opened : Bytes{};
}

std::vector<wire::Payload> Insider::open(ByteView datagram, ByteView iv) const {
  const Bytes clear = plaintext(datagram, iv);
  if (clear.empty()) return {};
  auto body = wire::parse_body(wire::parse_header(datagram)->next_payload, clear, wire::Padding::allowed);
  return body ? std::move(body->payloads) : std::vector<wire::Payload>{};
}

}  // namespace oakgate::sim
