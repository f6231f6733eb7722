// Two gateways, one of which does what an old Cisco peer does: payloads changed on the wire where nothing
// protects them yet, and said in the peer's name where something does (insider.h).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/insider.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {

using ike::EventId;
using wire::Attribute;
using wire::ExchangeType;
using wire::Payload;

using Edit = std::function<void(std::vector<Payload>&)>;

// What stands in clear changes on its way; `number`: of the negotiation's messages, from 1. Answers whether
// the tunnel comes up all the same.
inline bool up_with(int number, const Edit& edit, TwoGateways& two) {
  int seen = 0;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    const auto header = wire::parse_header(data);
    if (header->encrypted() || ++seen != number) return true;
    auto body = wire::parse_body(header->next_payload, wire::body_of(*header, data), wire::Padding::none);
    edit(body->payloads);
    data = wire::encode(*header, body->payloads);
    return true;
  };
  two.start();
  return two.up_within(Seconds(8)) && carries(two.a, two.b, 1);
}
inline bool up_with(int number, const Edit& edit) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  return up_with(number, edit, two);
}

inline Edit append(const Payload& payload) {
  return [payload](std::vector<Payload>& payloads) { payloads.push_back(payload); };
}

inline Bytes last_block(const Bytes& datagram) {
  return {datagram.end() - 16, datagram.end()};
}

// gw-a has phase 1 with gw-b; what is said to either in the other's name is up to the test.
struct Peers {
  Peers() : two(1, {plan(StartMode::responder, StartMode::responder)}), insider(two.net, two.a, two.b) {
    const auto seen = two.net.tap;
    two.net.tap = [this, seen](const Endpoint& from, const Endpoint& to, Bytes& data) {
      sent.push_back(data);
      const auto type = wire::parse_header(data)->exchange;
      if (drop_quick && type == ExchangeType::quick) return false;
      return seen(from, to, data);
    };
  }
  // Phase 1; its Quick Mode gets lost, and is left for the test.
  void phase1() {
    drop_quick = true;
    two.start();
    two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
    two.net.run_for(Milliseconds(500));
    ASSERT_NE(find_event(two.b, EventId::phase1_established), nullptr);
  }
  std::vector<Bytes> tell(Gateway& gateway, const Bytes& datagram) {
    sent.clear();
    const Gateway& other = &gateway == &two.a ? two.b : two.a;
    gateway.receive({gateway.address, 500}, {other.address, 500}, datagram);
    two.net.run_for(Milliseconds(100));
    return sent;
  }
  std::vector<Bytes> notify(Gateway& gateway, const Payload& payload, std::uint32_t id = 99) {
    return tell(gateway, insider.protect(ExchangeType::informational, MessageId{id}, {payload}));
  }
  // Quick Mode's first message of gw-a, taken apart.
  std::vector<Payload> first_offer() {
    for (const Bytes& one : sent) {
      const auto header = wire::parse_header(one);
      if (header->exchange != ExchangeType::quick) continue;
      offer_id = header->message_id;
      offer_block = last_block(one);
      return insider.open(one, insider.first_iv(offer_id));
    }
    return {};
  }
  ike::IkeSaSnapshot ike_sa(Gateway& gateway) {
    return gateway.engine().snapshot(two.net.now().wall).at(0).isakmp_sas.at(0);
  }
  std::vector<ike::SaPairSnapshot> pairs(Gateway& gateway) {
    return gateway.engine().snapshot(two.net.now().wall).at(0).tunnels.at(0).sas;
  }

  TwoGateways two;
  Insider insider;
  std::vector<Bytes> sent;
  bool drop_quick = false;
  MessageId offer_id;
  Bytes offer_block;
};

// From when its inbound SA was there, a moment before message 3.
inline Seconds life_of(const ike::SaPairSnapshot& sas) {
  return std::chrono::round<Seconds>(sas.expires_at - sas.established_at);
}

inline wire::IdPayload network(const std::string& address) {
  const Subnet subnet = *Subnet::parse(address);
  wire::IdPayload id{wire::IdType::ipv4_addr_subnet, 0, 0, to_bytes(subnet.address().bytes())};
  const IpAddress mask = subnet.netmask();
  id.data.insert(id.data.end(), mask.bytes().begin(), mask.bytes().end());
  return id;
}

// esp-aes esp-sha-hmac, as IOS offers it.
inline wire::SaPayload ios_offer(std::uint8_t number, std::vector<Attribute> life) {
  std::vector<Attribute> attributes = std::move(life);
  attributes.push_back(Attribute::short_form(4, 1));
  attributes.push_back(Attribute::short_form(5, 2));
  attributes.push_back(Attribute::short_form(6, 128));
  wire::SaPayload sa;
  sa.proposals = {{number, wire::kProtocolEsp, Bytes{0x11, 0x22, 0x33, 0x44}, {{number, 12, attributes}}}};
  return sa;
}

inline const std::vector<Attribute> kIosLife{Attribute::short_form(1, 1), Attribute::short_form(2, 3600),
                                             Attribute::short_form(1, 2), Attribute::long_form(2, 4608000)};

// An IOS initiator negotiates phase 2 with gw-b. Message 2's payloads; empty if there was none.
inline std::vector<Payload> offer_to(Peers& peers, const wire::SaPayload& sa,
                                     const std::string& ours = "10.1.0.0/24") {
  const MessageId id{0x77};
  const Bytes nonce(20, 0x31);
  const Bytes first = peers.insider.protect(
      ExchangeType::quick, id, {sa, wire::NoncePayload{nonce}, network(ours), network("10.2.0.0/24")});
  const auto answers = peers.tell(peers.two.b, first);
  if (answers.empty() || wire::parse_header(answers[0])->exchange != ExchangeType::quick) return {};
  auto payloads = peers.insider.open(answers[0], last_block(first));
  Bytes nonce_r;
  for (const Payload& payload : payloads) {
    if (const auto* one = std::get_if<wire::NoncePayload>(&payload)) nonce_r = one->data;
  }
  peers.tell(peers.two.b, peers.insider.quick(id, 3, nonce, nonce_r, {}, last_block(answers[0])));
  return payloads;
}

}  // namespace oakgate::sim
