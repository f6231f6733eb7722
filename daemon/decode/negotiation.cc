#include "daemon/decode/negotiation.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/text.h"
#include "ike/base/vendor_ids.h"
#include "ike/crypto/cipher.h"
#include "ike/crypto/keys.h"
#include "ike/crypto/prf.h"
#include "ike/effects.h"
#include "ike/nat_traversal.h"

namespace oakgate::decode {

namespace {

using wire::ExchangeType;
using wire::PayloadType;

bool is_phase1(const wire::Header& header) {
  return header.message_id == MessageId{} &&
         (header.exchange == ExchangeType::identity_protection ||
          header.exchange == ExchangeType::aggressive || header.exchange == ExchangeType::base);
}

bool is_zero(const Cookie& cookie) {
  return cookie == Cookie{};
}

template <typename T>
const T* find(const wire::Body& body) {
  for (const wire::Payload& payload : body.payloads) {
    if (const T* found = std::get_if<T>(&payload)) return found;
  }
  return nullptr;
}

}  // namespace

Negotiation::Negotiation(const Cookie& initiator, const capture::KeyTables& tables) : tables_(tables) {
  facts_.initiator_cookie = initiator;
  facts_.key_known = key() != nullptr;
}

const SecretBytes* Negotiation::key() const {
  for (const auto& row : tables_.ike) {
    if (row.initiator == facts_.initiator_cookie) return &row.key;
  }
  return nullptr;
}

Seen Negotiation::take(std::uint64_t packet, const Endpoint& from, const Endpoint& to,
                       const wire::Header& header, ByteView datagram) {
  if (facts_.first_packet == 0) {
    facts_.first_packet = packet;
    facts_.begun_here = is_phase1(header) && is_zero(header.cookies.responder);
    // Who began is who sends a first message; of one that is not there the lower port says nothing.
    facts_.initiator = from;
    facts_.responder = to;
    facts_.exchange = is_phase1(header) ? header.exchange : ExchangeType{};
  }
  facts_.last_packet = packet;
  if (!is_zero(header.cookies.responder)) responder_cookie_ = header.cookies.responder;
  const bool from_initiator = from.address == facts_.initiator.address;
  if (from.port == ike::kNatTraversalPort && !facts_.floated_at && facts_.initiator.port == ike::kIkePort)
    facts_.floated_at = packet;
  return take_whole(packet, from, to, header, datagram, from_initiator);
}

Seen Negotiation::take_whole(std::uint64_t packet, const Endpoint& from, const Endpoint& to,
                             const wire::Header& header, ByteView datagram, bool from_initiator) {
  Seen seen;
  seen.header = header;
  seen.from_initiator = from_initiator;
  seen.encrypted = header.encrypted();
  const ByteView body = wire::body_of(header, datagram);
  const auto digest = crypto::hash(IkeHash::sha256, {datagram.first(header.length)});
  if (digest) {
    const auto [found, added] = seen_.emplace(*digest, packet);
    if (!added) {
      seen.repeats = found->second;
    } else {
      seen_order_.push_back(*digest);
      if (seen_order_.size() > kRemembered) {
        seen_.erase(seen_order_.front());
        seen_order_.pop_front();
      }
    }
  }
  if (header.next_payload == PayloadType::fragment) {
    seen.fragment = true;
    seen.encrypted = false;
    facts_.fragments = true;
    read_clear(seen, body);
    const auto* fragment = find<wire::FragmentPayload>(seen.body);
    if (fragment == nullptr || seen.repeats) return seen;
    auto whole = (from_initiator ? from_initiator_ : from_responder_).take(header, *fragment);
    if (!whole || !*whole) return seen;
    const auto inner = wire::parse_header(**whole);
    if (!inner || inner->next_payload == PayloadType::fragment) return seen;
    const std::size_t size = (*whole)->size();
    seen = take_whole(packet, from, to, *inner, **whole, from_initiator);
    seen.fragment = true;
    seen.reassembled = size;
    return seen;
  }
  if (seen.encrypted) {
    decrypt(seen, body, packet);
  } else {
    read_clear(seen, body);
  }
  if (is_phase1(header)) {
    note_phase1(seen, from, to);
  } else {
    note_phase2(seen, packet);
  }
  return seen;
}

void Negotiation::read_clear(Seen& seen, ByteView body) {
  // RFC 2409 sections 5.2 and 5.3: identities and nonces go encrypted to a key nobody has here.
  const bool opaque =
      choice_ && choice_->authentication && info(*choice_->authentication).encrypts && is_phase1(seen.header);
  auto parsed = wire::parse_body(seen.header.next_payload, body, wire::Padding::none,
                                 opaque ? wire::Identities::opaque : wire::Identities::parsed);
  if (parsed) {
    seen.body = std::move(*parsed);
  } else {
    seen.obstacle = "not understood: " + printable(error_text(parsed.error()), 512);
  }
}

Bytes* Negotiation::iv_for(const Seen& seen, std::uint64_t packet, std::string& obstacle) {
  if (iv_.empty() && choice_ && !ke_initiator_.empty() && !ke_responder_.empty()) {
    if (auto iv = crypto::phase1_iv(choice_->hash, choice_->cipher, ke_initiator_, ke_responder_))
      iv_ = std::move(*iv);
  }
  if (iv_.empty()) {
    for (const auto& ended : tables_.ended) {
      if (ended.cookies.initiator != seen.header.cookies.initiator ||
          ended.cookies.responder != seen.header.cookies.responder) {
        continue;
      }
      choice_ = Phase1Choice{ended.cipher, ended.hash, {}};
      iv_ = ended.last_block;
    }
  }
  if (!choice_) obstacle = "the capture begins after what its cipher was agreed on in";
  if (choice_ && iv_.empty()) obstacle = "the capture lacks the KE payloads that its IV grows from";
  if (!obstacle.empty()) return nullptr;
  if (is_phase1(seen.header)) return &iv_;
  Phase2* exchange = phase2_of(seen.header, packet, seen.from_initiator);
  if (exchange == nullptr) {
    obstacle = "there are more exchanges than oakgate looks at";
    return nullptr;
  }
  if (exchange->iv.empty()) {
    auto iv = crypto::phase2_iv(choice_->hash, choice_->cipher, iv_, seen.header.message_id);
    if (!iv) {
      obstacle = "its IV cannot be computed";
      return nullptr;
    }
    exchange->iv = std::move(*iv);
  }
  return &exchange->iv;
}

void Negotiation::decrypt(Seen& seen, ByteView body, std::uint64_t packet) {
  std::string obstacle;
  Bytes* iv = iv_for(seen, packet, obstacle);
  const SecretBytes* secret = key();
  if (iv == nullptr || secret == nullptr) {
    seen.obstacle = secret == nullptr ? "no key for it" : obstacle;
    // The IVs of what follows grow from this all the same.
    if (iv == nullptr) return;
  }
  const std::size_t block = info(choice_->cipher).block_bytes;
  if (body.empty() || body.size() % block != 0) {
    seen.obstacle = "encrypted, but not whole blocks: cut, or not of this SA";
    return;
  }
  const Bytes before = *iv;
  if (!seen.repeats) *iv = to_bytes(body.last(block));
  if (secret == nullptr) return;
  if (seen.repeats) {
    seen.obstacle = fmt::format("as packet {}", *seen.repeats);
    return;
  }
  if (secret->size() != info(choice_->cipher).key_bytes) {
    seen.obstacle = fmt::format("its key has {} bytes, {} takes {}", secret->size(),
                                info(choice_->cipher).name, info(choice_->cipher).key_bytes);
    return;
  }
  auto plain = crypto::decrypt(choice_->cipher, *secret, before, body);
  if (!plain) {
    seen.obstacle = printable(error_text(plain.error()), 512);
    return;
  }
  auto parsed = wire::parse_body(seen.header.next_payload, *plain, wire::Padding::allowed);
  wipe(plain->data(), plain->size());  // an XAUTH password, say
  if (!parsed) {
    seen.obstacle = "it decrypts to nonsense: another key, or a message before it is missing";
    facts_.key_wrong = true;
    return;
  }
  seen.decrypted = true;
  seen.body = std::move(*parsed);
}

void Negotiation::note_phase1(const Seen& seen, const Endpoint& from, const Endpoint& to) {
  if (facts_.exchange == ExchangeType{}) facts_.exchange = seen.header.exchange;
  if (seen.repeats) {
    ++(seen.from_initiator ? facts_.initiator_repeated : facts_.responder_repeated);
    return;
  }
  ++(seen.from_initiator ? facts_.initiator_messages : facts_.responder_messages);
  learn(seen, from, to);
}

void Negotiation::learn(const Seen& seen, const Endpoint& from, const Endpoint& to) {
  std::vector<Bytes> nat_hashes;
  for (const wire::Payload& payload : seen.body.payloads) {
    if (const auto* sa = std::get_if<wire::SaPayload>(&payload)) {
      if (seen.from_initiator) {
        for (const wire::Proposal& proposal : sa->proposals) {
          for (const wire::Transform& one : proposal.transforms)
            facts_.offered.push_back(transform_text(proposal.protocol, one));
        }
      } else if ((choice_ = phase1_choice(*sa))) {
        facts_.chosen = transform_text(wire::kProtocolIsakmp, sa->proposals[0].transforms[0]);
      }
    } else if (const auto* ke = std::get_if<wire::KeyExchangePayload>(&payload)) {
      (seen.from_initiator ? ke_initiator_ : ke_responder_) = ke->data;
    } else if (const auto* nat = std::get_if<wire::NatDetectionPayload>(&payload)) {
      nat_hashes.push_back(nat->hash);
    } else if (const auto* vendor = std::get_if<wire::VendorIdPayload>(&payload)) {
      if (const auto known = find_vendor_id(vendor->data))
        facts_.vendors.emplace_back(vendor_id_info(*known).name);
    } else if (const auto* notify = std::get_if<wire::NotifyPayload>(&payload)) {
      facts_.notifies.push_back(notify_text(notify->type));
    }
  }
  if (nat_hashes.size() < 2 || !choice_) return;
  // As whoever got the message sees it.
  const auto nat = ike::detect_nat(
      choice_->hash, {seen.header.cookies.initiator, seen.header.cookies.responder}, to, from, nat_hashes);
  if (nat) facts_.nat = facts_.nat.value_or(false) || nat->any();
}

Phase2* Negotiation::phase2_of(const wire::Header& header, std::uint64_t packet, bool from_initiator) {
  const auto found = facts_.phase2.find(header.message_id);
  if (found != facts_.phase2.end()) return &found->second;
  if (facts_.phase2.size() == kMostExchanges) return nullptr;
  Phase2& exchange = facts_.phase2[header.message_id];
  exchange.exchange = header.exchange;
  exchange.first_packet = packet;
  exchange.from_initiator = from_initiator;
  return &exchange;
}

void Negotiation::note_phase2(const Seen& seen, std::uint64_t packet) {
  if (!seen.encrypted) {
    // Informational in clear: anybody could have sent it.
    for (const wire::Payload& payload : seen.body.payloads) {
      if (const auto* notify = std::get_if<wire::NotifyPayload>(&payload)) {
        if (!seen.repeats) facts_.clear_errors.emplace_back(seen.from_initiator, notify_text(notify->type));
      }
    }
    return;
  }
  Phase2* exchange = phase2_of(seen.header, packet, seen.from_initiator);
  if (exchange == nullptr) return;
  if (seen.repeats) {
    ++exchange->repeated;
    return;
  }
  ++exchange->messages;
  if (seen.from_initiator != exchange->from_initiator) ++exchange->from_other;
  for (const wire::Payload& payload : seen.body.payloads) {
    if (const auto* notify = std::get_if<wire::NotifyPayload>(&payload)) {
      exchange->notifies.push_back(notify_text(notify->type));
    } else if (const auto* sa = std::get_if<wire::SaPayload>(&payload)) {
      if (seen.from_initiator == exchange->from_initiator) continue;
      for (const wire::Proposal& proposal : sa->proposals) {
        for (const wire::Transform& one : proposal.transforms)
          exchange->chosen.push_back(transform_text(proposal.protocol, one));
      }
    } else if (std::holds_alternative<wire::IdPayload>(payload) && exchange->ids.size() < 2) {
      exchange->ids.push_back(payload_json(payload).value("text", ""));
    }
  }
}

}  // namespace oakgate::decode
