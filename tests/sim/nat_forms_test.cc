// NAT traversal in each of its forms, RFC 3947 and the drafts before it, with one of two gateways behind a
// NAT that changes its address and port.
#include <gtest/gtest.h>

#include "ike/base/nat_forms.h"
#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

const IpAddress kOutside = *IpAddress::parse("198.51.100.1");

// gw-a behind a NAT, calling gw-b.
struct Natted : TwoGateways {
  Natted(std::uint64_t seed, NatTraversal here, NatTraversal there, bool aggressive = false)
      : TwoGateways(seed, {plan(StartMode::on_start, StartMode::responder)}) {
    net.nats = {{a.address, kOutside, 10000}};
    auto theirs =
        peer_config(b, a, {plan(StartMode::on_start, StartMode::responder)}, Seconds(3600), kFirst, true);
    theirs.called_from = {Subnet::host(kOutside)};
    theirs.nat_traversal = there;
    theirs.aggressive = aggressive;
    theirs.remote_identity = {IdentityKind::address, a.address, ""};
    b.configure({"gw-b", {theirs}, {}});
    a.config().peers.front().nat_traversal = here;
    a.config().peers.front().aggressive = aggressive;
  }
  ike::PeerSnapshot of(Gateway& gateway) { return gateway.engine().snapshot({}).at(0); }
};

struct FormName {
  std::string operator()(const testing::TestParamInfo<NatForm>& one) const {
    std::string name(one.param.word);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
  }
};
class EachForm : public testing::TestWithParam<NatForm> {};

TEST_P(EachForm, PassesANat) {
  for (const bool aggressive : {false, true}) {
    Natted two(1, GetParam().id, GetParam().id, aggressive);
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    const std::uint16_t port = GetParam().floats ? 4500 : 500;
    const auto outside = static_cast<std::uint16_t>(port + 10000);
    EXPECT_EQ(two.of(two.a).isakmp_sas.at(0).nat, "local");
    EXPECT_EQ(two.of(two.b).isakmp_sas.at(0).nat, "remote");
    EXPECT_EQ(two.of(two.b).isakmp_sas.at(0).remote, (Endpoint{kOutside, outside}));
    EXPECT_EQ(two.of(two.a).tunnels.at(0).sas.at(0).encapsulation,
              (UdpEncapsulation{port, port, !GetParam().floats}));
    EXPECT_EQ(two.of(two.b).tunnels.at(0).sas.at(0).encapsulation,
              (UdpEncapsulation{port, outside, !GetParam().floats}));
  }
}

TEST_P(EachForm, SurvivesLossAndDisorder) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + runs(10); ++seed) {
    Natted two(seed, GetParam().id, GetParam().id, seed % 2 == 0);
    two.net.faults.loss = 0.2;
    two.net.faults.duplicate = 0.2;
    two.net.faults.jitter = Milliseconds(200);
    two.start();
    ASSERT_TRUE(two.net.run_for(Seconds(900), [&] { return carries(two.a, two.b, 1); })) << "seed " << seed;
  }
}

TEST_P(EachForm, FollowsATranslationThatChanges) {
  Natted two(1, GetParam().id, GetParam().id);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.nats.front().port_offset = 11000;
  two.net.run_for(Seconds(20), [&] { return two.a.send_traffic(Reqid{kFirst}, two.b), false; });
  ASSERT_TRUE(two.net.run_for(Seconds(60), [&] { return carries(two.a, two.b, 1); }));
  EXPECT_EQ(two.of(two.b).isakmp_sas.at(0).remote.port, (GetParam().floats ? 4500 : 500) + 11000);
}

TEST_P(EachForm, IsQuietWithoutANat) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  for (Gateway* gateway : {&two.a, &two.b}) gateway->config().peers.front().nat_traversal = GetParam().id;
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_FALSE(two.a.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).encapsulation);
}

// One vendor ID, and NAT-D of one payload type.
TEST_P(EachForm, IsTheOnlyOneThatIsOffered) {
  Natted two(1, GetParam().id, GetParam().id);
  std::set<VendorId> offered;
  std::set<wire::PayloadType> detection;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    const auto header = wire::parse_header(data);
    if (header->encrypted()) return true;
    const auto body =
        wire::parse_body(header->next_payload, wire::body_of(*header, data), wire::Padding::none);
    for (const wire::Payload& payload : body->payloads) {
      if (const auto* id = std::get_if<wire::VendorIdPayload>(&payload)) {
        const auto known = *find_vendor_id(id->data);
        if (vendor_id_info(known).name.starts_with("NAT-T")) offered.insert(known);
      }
      if (std::holds_alternative<wire::NatDetectionPayload>(payload))
        detection.insert(wire::type_of(payload));
    }
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(offered, std::set{GetParam().announced});
  EXPECT_EQ(detection, std::set{static_cast<wire::PayloadType>(GetParam().nat_d)});
}

// NAT-D of the other type, and that of drafts 04 to 06 (15), were not agreed on: they mean nothing.
TEST_P(EachForm, IgnoresNatDetectionOfAnotherForm) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  for (Gateway* gateway : {&two.a, &two.b}) gateway->config().peers.front().nat_traversal = GetParam().id;
  int added = 0;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    auto header = wire::parse_header(data);
    if (header->encrypted() || header->next_payload != wire::PayloadType::key_exchange) return true;
    auto payloads =
        wire::parse_body(header->next_payload, wire::body_of(*header, data), wire::Padding::none)->payloads;
    const bool rfc = GetParam().id == NatTraversal::rfc;
    for (int i = 0; i < 2; ++i) {
      payloads.emplace_back(wire::NatDetectionPayload{
          rfc ? wire::PayloadType::nat_d_draft : wire::PayloadType::nat_d, Bytes(32, 1)});
      payloads.emplace_back(wire::UnknownPayload{wire::PayloadType{15}, Bytes(32, 1)});
    }
    data = wire::encode(*header, payloads);
    ++added;
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(added, 2);
  EXPECT_EQ(find_event(two.b, ike::EventId::nat_detected), nullptr);
  EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.at(0).nat, "none");
}

INSTANTIATE_TEST_SUITE_P(NatForms, EachForm,
                         testing::ValuesIn(nat_form_table().begin(), nat_form_table().end()), FormName());

// The tunnel comes up, though nothing that crosses a NAT would: neither side encapsulates alone.
TEST(NatForms, DifferentOnesAreNone) {
  std::vector<NatTraversal> all{NatTraversal::off};
  for (const NatForm& form : nat_form_table()) all.push_back(form.id);
  for (const NatTraversal here : all) {
    for (const NatTraversal there : all) {
      if (here == there && here != NatTraversal::off) continue;
      Natted two(1, here, there);
      two.start();
      ASSERT_TRUE(two.up_within(Seconds(5)));
      EXPECT_EQ(two.of(two.a).isakmp_sas.at(0).nat, "none");
      EXPECT_FALSE(two.of(two.a).tunnels.at(0).sas.at(0).encapsulation);
      EXPECT_FALSE(two.of(two.b).tunnels.at(0).sas.at(0).encapsulation);
    }
  }
}

// Draft 02 gives the MD5 of its name with a newline; many send it without. Either is answered by itself.
TEST(NatForms, Draft02HasTwoVendorIds) {
  const Bytes newline = *from_hex(vendor_id_info(VendorId::nat_t_draft_02_newline).hex);
  const Bytes plain = *from_hex(vendor_id_info(VendorId::nat_t_draft_02).hex);
  Natted two(1, NatTraversal::draft_02, NatTraversal::draft_02);
  std::vector<Bytes> answered;
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes& data) {
    auto header = wire::parse_header(data);
    if (header->next_payload != wire::PayloadType::sa) return true;
    auto payloads =
        wire::parse_body(header->next_payload, wire::body_of(*header, data), wire::Padding::none)->payloads;
    for (wire::Payload& payload : payloads) {
      auto* id = std::get_if<wire::VendorIdPayload>(&payload);
      if (id == nullptr || (id->data != newline && id->data != plain)) continue;
      if (from.address == two.b.address) answered.push_back(id->data);
      id->data = plain;
    }
    data = wire::encode(*header, payloads);
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(answered, std::vector<Bytes>{plain});
  EXPECT_TRUE(two.of(two.b).tunnels.at(0).sas.at(0).encapsulation);
}

// Some clients append zeros: the ISAKMP length rules, in fragments of the length too.
TEST(NatForms, ZerosBehindTheMessageDoNotCount) {
  Natted two(1, NatTraversal::draft_03, NatTraversal::draft_03);
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    data.resize(data.size() + 16);
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(find_event(two.b, ike::EventId::message_rejected), nullptr);
}

// gw-a behind a NAT that changes its ports, too.
void put_behind_nat(TwoGateways& two, const IpAddress& outside) {
  two.net.nats = {{two.a.address, outside, 10000}};
  auto theirs = peer_config(two.b, two.a, {plan(StartMode::on_start, StartMode::responder)}, Seconds(3600),
                            kFirst, true);
  theirs.called_from = {Subnet::host(outside)};
  two.b.configure({"gw-b", {theirs}, {}});
}

TEST(Nat, IsFoundAndBothSidesFloatToPort4500) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  const IpAddress outside = *IpAddress::parse("198.51.100.1");
  put_behind_nat(two, outside);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  const auto here = two.a.engine().snapshot({}).at(0);
  const auto there = two.b.engine().snapshot({}).at(0);
  EXPECT_EQ(here.isakmp_sas.at(0).nat, "local");
  EXPECT_EQ(there.isakmp_sas.at(0).nat, "remote");
  EXPECT_EQ(here.isakmp_sas.at(0).local.port, 4500);
  EXPECT_EQ(there.isakmp_sas.at(0).remote, (Endpoint{outside, 14500}));
  EXPECT_EQ(there.tunnels.at(0).sas.at(0).encapsulation, (UdpEncapsulation{4500, 14500}));
}

// Message 5 is the first from port 4500. Where it overtakes the responder's Diffie-Hellman, it waits, and
// what it says about the peer's place must not get lost.
TEST(Nat, AMessageThatWaitedFloatsTheEndsToo) {
  const IpAddress outside = *IpAddress::parse("198.51.100.1");
  bool waited = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TwoGateways two(seed, {plan(StartMode::on_start, StartMode::responder)});
    two.net.faults.latency = Milliseconds(0);
    put_behind_nat(two, outside);
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    waited = waited || find_event(two.b, ike::EventId::message_held) != nullptr;
    const auto there = two.b.engine().snapshot({}).at(0);
    EXPECT_EQ(there.isakmp_sas.at(0).local.port, 4500);
    EXPECT_EQ(there.isakmp_sas.at(0).remote, (Endpoint{outside, 14500}));
    EXPECT_EQ(there.tunnels.at(0).sas.at(0).encapsulation, (UdpEncapsulation{4500, 14500}));
  }
  EXPECT_TRUE(waited);
}

}  // namespace
}  // namespace oakgate::sim
