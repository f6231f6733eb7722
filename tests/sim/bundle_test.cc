// AH, AH and ESP in one proposal, and transport mode, between simulated gateways: RFC 2408 section 4.2, RFC
// 2409 section 5.5. That both SAs of a bundle come, are renewed and go together, and what a NAT forbids.
#include <gtest/gtest.h>

#include <map>

#include "ike/transform_match.h"
#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

const TransformSet kPix{"pix", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel, Integrity::sha};
const TransformSet kAhAlone{"ah", {}, {}, EncapsulationMode::tunnel, Integrity::sha256};
const TransformSet kPlain{"esp", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel};

TransformSet compressing(TransformSet set) {
  set.compression = Compression::deflate;
  return set;
}

struct Gateways : TwoGateways {
  Gateways(std::uint64_t seed, const TransformSet& set, StartMode start = StartMode::on_start)
      : TwoGateways(seed, {plan(start, StartMode::responder)}) {
    use({set}, {set});
  }
  void use(const std::vector<TransformSet>& ours, const std::vector<TransformSet>& theirs) {
    a.config().peers.front().tunnels.front().transform_sets = ours;
    b.config().peers.front().tunnels.front().transform_sets = theirs;
  }
  // Between the gateways themselves.
  void host_to_host(std::uint8_t protocol) {
    Selector one{Subnet::host(a.address), protocol};
    Selector other{Subnet::host(b.address), protocol};
    a.config().peers.front().tunnels.front().pairs.front().selectors = {one, other};
    b.config().peers.front().tunnels.front().pairs.front().selectors = {other, one};
  }
  ike::SaPairSnapshot sas() { return a.engine().snapshot(net.now().wall).at(0).tunnels.at(0).sas.at(0); }
};

TEST(Bundle, IsTwoSasADirectionThatBelongTogether) {
  Gateways two(1, kPix);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  ASSERT_EQ(two.a.plane().size(), 4U);
  for (const auto& [id, held] : two.a.plane()) {
    ASSERT_TRUE(held.spec.bundle);
    EXPECT_NE(held.spec.bundle->protocol, id.protocol);
    EXPECT_EQ(held.spec.bundle->destination, id.destination);
    EXPECT_EQ(held.spec.mode,
              id.protocol == IpsecProtocol::ah ? EncapsulationMode::transport : EncapsulationMode::tunnel);
    EXPECT_EQ(held.spec.hard_kilobytes.value != 0, id.protocol == IpsecProtocol::esp);
  }
  const ike::SaPairSnapshot sas = two.sas();
  EXPECT_EQ(sas.algorithms, "ah-sha-hmac esp-aes-128 esp-sha-hmac");
  EXPECT_EQ(sas.in.protocol, IpsecProtocol::esp);
  ASSERT_TRUE(sas.ah_in);
  EXPECT_EQ(sas.ah_in->protocol, IpsecProtocol::ah);
}

TEST(Bundle, AhAloneNeedsNoCipher) {
  Gateways two(1, kAhAlone);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  ASSERT_EQ(two.a.plane().size(), 2U);
  EXPECT_EQ(two.sas().in.protocol, IpsecProtocol::ah);
  for (const auto& [id, held] : two.a.plane()) {
    EXPECT_TRUE(held.spec.encryption_key.empty());
    EXPECT_EQ(held.spec.integrity_key.size(), 32U);
    EXPECT_NE(held.spec.hard_kilobytes.value, 0U);
  }
}

TEST(Bundle, ComesUpThroughLossAndIsRenewedWhole) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Gateways two(seed, kPix);
    two.a.config().peers.front().tunnels.front().lifetime.time = Seconds(600);
    two.net.faults.loss = 0.2;
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(600))) << "seed " << seed;
    two.net.run_for(Seconds(1500));
    two.net.faults.loss = 0;
    ASSERT_TRUE(two.up_within(Seconds(600))) << "seed " << seed;
    two.net.run_for(Seconds(120));
    EXPECT_TRUE(carries(two.a, two.b, 1)) << "seed " << seed;
    for (const Gateway* gateway : {&two.a, &two.b}) {
      for (const auto& [id, held] : gateway->plane()) {
        EXPECT_TRUE(gateway->plane().contains(*held.spec.bundle)) << "seed " << seed << ": half a bundle";
      }
    }
  }
}

// IPComp (RFC 3173) in the same proposal: one more SA a direction, which comes, is renewed and goes with the
// rest.
TEST(Bundle, IpcompIsTheInnermost) {
  for (const TransformSet& protection : {kPlain, kAhAlone, kPix}) {
    Gateways two(1, compressing(protection));
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    for (const auto& [id, held] : two.a.plane()) {
      const bool comp = id.protocol == IpsecProtocol::comp;
      EXPECT_EQ(held.spec.mode, comp ? EncapsulationMode::tunnel : EncapsulationMode::transport);
      EXPECT_EQ(held.spec.over_ipcomp, !comp);
      EXPECT_EQ(held.spec.compression, comp ? std::optional(Compression::deflate) : std::nullopt);
      EXPECT_EQ(held.spec.integrity.has_value(), !comp);
      EXPECT_EQ(held.spec.integrity_key.empty() && held.spec.encryption_key.empty(), comp);
      if (!comp) continue;
      EXPECT_GE(id.spi.value, ike::kFirstCpi);
      EXPECT_LE(id.spi.value, ike::kLastCpi);
      EXPECT_FALSE(held.spec.bundle);
      EXPECT_TRUE(two.b.plane().contains(id)) << "the other end has the same";
    }
    const ike::SaPairSnapshot sas = two.sas();
    ASSERT_TRUE(sas.comp_in && sas.comp_out);
    EXPECT_EQ(sas.algorithms, to_string(protection) + " comp-deflate");
    const std::size_t expected = protection.protection() == Protection::ah_esp ? 6 : 4;
    EXPECT_EQ(two.a.plane().size(), expected);
    two.a.command(ike::Down{ike::CommandId{2}, "gw-b", "lan"});
    two.net.run_for(Seconds(5));
    EXPECT_TRUE(two.a.plane().empty());
    EXPECT_TRUE(two.b.plane().empty());
  }
}

TEST(Bundle, IpcompIsRenewedThroughLossAndLeavesNothing) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Gateways two(seed, compressing(kPlain));
    two.a.config().peers.front().tunnels.front().lifetime.time = Seconds(600);
    two.net.faults.loss = 0.2;
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(600))) << "seed " << seed;
    two.net.run_for(Seconds(1500));
    two.net.faults.loss = 0;
    ASSERT_TRUE(two.up_within(Seconds(600))) << "seed " << seed;
    two.net.run_for(Seconds(120));
    EXPECT_TRUE(carries(two.a, two.b, 1)) << "seed " << seed;
    for (const Gateway* gateway : {&two.a, &two.b}) {
      std::map<Direction, int> balance;  // a renewal may be under way
      for (const auto& [id, held] : gateway->plane())
        balance[held.spec.direction] += held.spec.over_ipcomp ? 1 : -1;
      for (const auto& [direction, left] : balance) EXPECT_EQ(left, 0) << "seed " << seed << ": half of it";
      EXPECT_LE(gateway->plane().size(), 8U) << "seed " << seed;
    }
  }
}

// Offered with and without it, as peers do: who does not want it takes the other.
TEST(Bundle, IpcompIsLeftAloneByWhoDoesNotWantIt) {
  Gateways two(1, kPlain);
  two.use({compressing(kPlain), kPlain}, {kPlain});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(two.sas().algorithms, to_string(kPlain));
  EXPECT_EQ(two.a.plane().size(), 2U);
}

TEST(Bundle, ADeleteNamesBothSas) {
  Gateways two(1, kPix);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.b.events.clear();
  two.a.command(ike::Down{ike::CommandId{2}, "gw-b", "lan"});
  two.net.run_for(Seconds(5));
  EXPECT_TRUE(two.a.plane().empty());
  EXPECT_TRUE(two.b.plane().empty());
  std::vector<std::string> protocols;
  for (const ike::Event& event : two.b.events) {
    if (event.id == ike::EventId::delete_received) protocols.push_back(event.fields.at(0).second);
  }
  EXPECT_EQ(protocols, (std::vector<std::string>{"ESP", "AH"}));
}

TEST(Bundle, WhoseInstallationFailsLeavesNothing) {
  Gateways two(1, kPix, StartMode::responder);
  two.start();
  two.a.refuse_installs = true;
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(300));
  EXPECT_FALSE(two.a.command_results.at(1));
  EXPECT_TRUE(two.a.plane().empty());
  EXPECT_TRUE(two.b.plane().empty());
}

TEST(Bundle, TheCommonSetIsFoundAmongOthers) {
  Gateways two(1, kPix);
  two.use({kAhAlone, kPix, kPlain}, {kPlain, kPix});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(two.sas().algorithms, "esp-aes-128 esp-sha-hmac") << "the responder's first";
  EXPECT_EQ(two.a.plane().size(), 2U);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Nat, AhIsRefusedInWordsAndASetWithoutItServes) {
  Gateways two(1, kPix, StartMode::responder);
  const IpAddress outside = *IpAddress::parse("198.51.100.9");
  two.net.nats.push_back({two.a.address, outside});
  two.b.config().peers.front().called_from = {Subnet::host(outside)};
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(60), [&] { return two.a.command_results.contains(1); });
  ASSERT_TRUE(two.a.command_results.contains(1));
  ASSERT_FALSE(two.a.command_results.at(1));
  EXPECT_NE(two.a.command_results.at(1).error().text.find("AH cannot pass"), std::string::npos)
      << two.a.command_results.at(1).error().text;

  Gateways both(2, kPix);
  both.use({kPix, kPlain}, {kPix, kPlain});
  both.net.nats.push_back({both.a.address, outside});
  both.b.config().peers.front().called_from = {Subnet::host(outside)};
  both.start();
  ASSERT_TRUE(both.up_within(Seconds(10)));
  EXPECT_EQ(both.sas().algorithms, "esp-aes-128 esp-sha-hmac");
}

TEST(TransportMode, IsForTheGatewaysThemselves) {
  TransformSet gre = kPlain;
  gre.mode = EncapsulationMode::transport;
  Gateways own(1, gre);
  own.host_to_host(47);
  own.start();
  ASSERT_TRUE(own.up_within(Seconds(5)));
  EXPECT_TRUE(carries(own.a, own.b, 1));
  EXPECT_EQ(own.sas().algorithms, "esp-aes-128 esp-sha-hmac transport");
  for (const auto& [id, held] : own.a.plane()) EXPECT_EQ(held.spec.mode, EncapsulationMode::transport);
  ASSERT_TRUE(own.a.guarded().contains(Reqid{kFirst}));
  EXPECT_EQ(own.a.guarded().at(Reqid{kFirst}).mode, EncapsulationMode::transport);

  Gateways lan(2, gre);
  lan.start();
  ASSERT_TRUE(lan.up_within(Seconds(5)));
  EXPECT_EQ(lan.sas().algorithms, "esp-aes-128 esp-sha-hmac") << "others' traffic goes in tunnel mode";
}

TEST(TransportMode, OfABundleIsBothProtocols) {
  TransformSet bundle = kPix;
  bundle.mode = EncapsulationMode::transport;
  Gateways two(1, bundle);
  two.host_to_host(0);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  for (const auto& [id, held] : two.a.plane()) EXPECT_EQ(held.spec.mode, EncapsulationMode::transport);
  EXPECT_EQ(two.a.guarded().at(Reqid{kFirst}).protection, Protection::ah_esp);
}

}  // namespace
}  // namespace oakgate::sim
