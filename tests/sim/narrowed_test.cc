// `accept: subset` and ranges between simulated gateways: what a peer may narrow, what becomes of such a
// pair, and that nobody loses traffic by it. RFC 2407 section 4.6.2, RFC 2409 section 5.5.
#include <gtest/gtest.h>

#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"
#include "tests/sim/watch.h"

namespace oakgate::sim {
namespace {

IpAddress ip(const std::string& text) {
  return *IpAddress::parse(text);
}

Selector selector(const std::string& text, std::uint8_t protocol = 0, std::uint16_t port = 0) {
  const std::size_t dash = text.find('-');
  if (dash == std::string::npos) return {*Subnet::parse(text), protocol, port};
  return Selector::of_range({ip(text.substr(0, dash)), ip(text.substr(dash + 1))}, protocol, port);
}

// `a` begins with pairs of its own; `b` answers with 10.1.0.0/24 === 10.2.0.0/24, its `local` the second.
struct Subset : TwoGateways {
  explicit Subset(std::uint64_t seed, const std::vector<SelectorPair>& asked,
                  AcceptMode accept = AcceptMode::subset, StartMode start = StartMode::on_start)
      : TwoGateways(seed, {plan(start, StartMode::responder)}) {
    ask(asked);
    theirs().accept = accept;
  }
  void ask(const std::vector<SelectorPair>& pairs) {
    auto& tunnel = a.config().peers.front().tunnels.front();
    tunnel.pairs.clear();
    for (const SelectorPair& pair : pairs)
      tunnel.pairs.push_back({Reqid{kFirst + static_cast<std::uint32_t>(tunnel.pairs.size())}, pair});
  }
  ike::TunnelConfig& theirs() { return b.config().peers.front().tunnels.front(); }
  ike::TunnelSnapshot at_b() { return b.engine().snapshot(net.now().wall).at(0).tunnels.at(0); }
  // What b guards beside the configured pair.
  std::vector<ProtectPolicy> narrowed() {
    std::vector<ProtectPolicy> found;
    for (const auto& [reqid, policy] : b.guarded()) {
      if (reqid.value >= kReqidBase + kConfiguredReqids) found.push_back(policy);
    }
    return found;
  }
  // b has a pair for exactly this, and it carries both ways.
  bool serves(const SelectorPair& asked, Reqid by) {
    const SelectorPair mirrored{asked.remote, asked.local};
    for (const ProtectPolicy& policy : narrowed()) {
      if (policy.selectors == mirrored) return a.send_traffic(by, b) && b.send_traffic(policy.reqid, a);
    }
    return false;
  }
};

const SelectorPair kHosts{selector("10.1.0.7"), selector("10.2.0.9")};
const SelectorPair kRange{selector("10.1.0.10-10.1.0.20"), selector("10.2.0.0/24")};
const SelectorPair kWeb{selector("10.1.0.0/24", 6), selector("10.2.0.80", 6, 443)};
const SelectorPair kWhole{selector("10.1.0.0/24"), selector("10.2.0.0/24")};

TEST(Narrowed, APartOfATunnelIsAPairOfItsOwn) {
  Subset two(1, {kHosts, kRange, kWeb});
  two.start();
  ASSERT_TRUE(two.net.run_for(Seconds(10), [&] { return two.a.tunnels_up(); }));
  two.net.run_for(Seconds(1));
  EXPECT_EQ(two.narrowed().size(), 3U);
  EXPECT_TRUE(two.serves(kHosts, Reqid{kFirst}));
  EXPECT_TRUE(two.serves(kRange, Reqid{kFirst + 1}));
  EXPECT_TRUE(two.serves(kWeb, Reqid{kFirst + 2}));
  const ike::TunnelSnapshot shot = two.at_b();
  EXPECT_EQ(shot.state, ike::TunnelState::up);
  EXPECT_TRUE(shot.up_since);
  EXPECT_EQ(shot.pairs.size(), 1U);
  ASSERT_EQ(shot.narrowed.size(), 3U);
  for (const ike::SaPairSnapshot& sas : shot.sas) EXPECT_TRUE(sas.narrowed);
  EXPECT_EQ(count_events(two.b, ike::EventId::phase2_narrowed), 3U);
  for (const auto& [id, held] : two.b.plane())
    EXPECT_NE(held.spec.selectors, (SelectorPair{kWhole.remote, kWhole.local}));
}

TEST(Narrowed, ExactIsExactWhateverLiesWithin) {
  for (const SelectorPair& asked : {kHosts, kRange, kWeb}) {
    Subset two(1, {asked}, AcceptMode::exact);
    two.start();
    two.net.run_for(Seconds(5));
    EXPECT_TRUE(two.b.plane().empty());
    EXPECT_TRUE(two.narrowed().empty());
    const ike::Event* refused = find_event(two.b, ike::EventId::phase2_proxy_ids);
    ASSERT_NE(refused, nullptr);
    EXPECT_EQ(refused->error->notify, NotifyType::invalid_id_information);
  }
}

TEST(Narrowed, TheWholeIsNoPart) {
  Subset two(1, {kWhole});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(two.narrowed().empty());
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Narrowed, WhatReachesBeyondIsRefused) {
  const std::vector<SelectorPair> beyond{
      {selector("10.1.0.0/23"), selector("10.2.0.0/24")},
      {selector("10.1.0.200-10.1.1.3"), selector("10.2.0.0/24")},
      {selector("10.1.0.7"), selector("10.3.0.9")},
      {selector("0.0.0.0/0"), selector("0.0.0.0/0")},
      {selector("2001:db8::/64"), selector("2001:db8:1::/64")},
      {selector("10.1.0.7", 6), selector("10.2.0.9", 17)},      // no SA pair has two protocols
      {selector("10.1.0.7", 47, 5), selector("10.2.0.9", 47)},  // GRE has no ports
  };
  for (std::size_t i = 0; i < beyond.size(); ++i) {
    Subset two(1, {beyond[i]});
    two.start();
    two.net.run_for(Seconds(5));
    EXPECT_TRUE(two.b.plane().empty()) << i;
    EXPECT_TRUE(two.narrowed().empty()) << i;
    EXPECT_NE(find_event(two.b, ike::EventId::phase2_proxy_ids), nullptr) << i;
  }
}

// 62 subnets or so on each side: more policies than one pair may have.
TEST(Narrowed, RangesOfTooManySubnetsAreRefused) {
  Subset two(1, {{selector("10.0.0.1-10.255.255.254"), selector("11.0.0.1-11.255.255.254")}});
  two.theirs().pairs.front().selectors = {selector("11.0.0.0/8"), selector("10.0.0.0/8")};
  two.start();
  two.net.run_for(Seconds(5));
  EXPECT_TRUE(two.narrowed().empty());
  EXPECT_NE(find_event(two.b, ike::EventId::phase2_proxy_ids), nullptr);
}

// Another tunnel, of whatever peer, that is the more specific one keeps its traffic.
TEST(Narrowed, NobodyTakesWhatIsAnothersByConfiguration) {
  for (const SelectorPair& asked : {kHosts, kRange, kWhole}) {
    Subset two(1, {asked});
    two.theirs().pairs.front().selectors = {selector("0.0.0.0/0"), selector("10.0.0.0/8")};
    ike::PeerConfig other = two.b.config().peers.front();
    other.name = "gw-c";
    other.called_from = {Subnet::host(ip("192.0.2.3"))};
    other.tunnels.front().pairs = {{Reqid{kFirst + 9}, {selector("10.2.0.0/24"), selector("10.1.0.0/24")}}};
    two.b.config().peers.push_back(other);
    two.start();
    two.net.run_for(Seconds(5));
    EXPECT_TRUE(two.narrowed().empty());
    const ike::Event* refused = find_event(two.b, ike::EventId::phase2_proxy_ids);
    ASSERT_NE(refused, nullptr);
    EXPECT_NE(refused->error->text.find("gw-c/lan"), std::string::npos) << refused->error->text;
  }
  // One around it does not mind.
  Subset two(1, {kHosts});
  ike::PeerConfig other = two.b.config().peers.front();
  other.name = "gw-c";
  other.called_from = {Subnet::host(ip("192.0.2.3"))};
  other.tunnels.front().pairs = {{Reqid{kFirst + 9}, {selector("0.0.0.0/0"), selector("10.0.0.0/8")}}};
  two.b.config().peers.push_back(other);
  two.start();
  ASSERT_TRUE(two.net.run_for(Seconds(10), [&] { return two.a.tunnels_up(); }));
}

TEST(Narrowed, AreBoundedInNumber) {
  std::vector<SelectorPair> many;
  for (int i = 1; i <= 10; ++i)
    many.push_back({selector("10.1.0." + std::to_string(i)), selector("10.2.0.0/24")});
  Subset two(1, many, AcceptMode::subset, StartMode::responder);
  two.b.config().limits.narrowed_per_tunnel = 4;
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(10));
  EXPECT_EQ(two.narrowed().size(), 4U);
  EXPECT_EQ(two.b.plane().size(), 8U);
  // One goes, and there is room for another.
  two.a.command(ike::Down{ike::CommandId{2}, "gw-b", "lan"});
  two.net.run_for(Seconds(5));
  EXPECT_TRUE(two.narrowed().empty());
  EXPECT_TRUE(two.b.plane().empty());
  two.a.command(ike::Up{ike::CommandId{3}, "gw-b", ""});
  two.net.run_for(Seconds(10));
  EXPECT_EQ(two.narrowed().size(), 4U);
}

TEST(Narrowed, IsRenewedByEitherSideAndStaysOne) {
  for (std::uint64_t seed = 1; seed <= runs(60); ++seed) {
    Subset two(seed, {kRange});
    two.a.config().peers.front().tunnels.front().lifetime.time = Seconds(600);
    two.theirs().lifetime.time = seed % 2 == 0 ? Seconds(600) : Seconds(300);  // who renews first
    two.theirs().rekey = RekeyMode::always;
    two.a.config().peers.front().tunnels.front().rekey = RekeyMode::always;
    two.net.faults.loss = seed % 3 == 0 ? 0.2 : 0;
    Watch watch(two.net);
    two.start();
    ASSERT_TRUE(two.net.run_for(Seconds(600), [&] { return two.a.tunnels_up(); })) << "seed " << seed;
    two.net.run_for(Seconds(1700), [&] { return !watch.holds(); });
    ASSERT_EQ(watch.broken(), "") << "seed " << seed << "\n" << watch.ladder();
    two.net.faults.loss = 0;
    two.net.run_for(Seconds(700), [&] { return !watch.holds(); });
    EXPECT_EQ(two.narrowed().size(), 1U) << "seed " << seed;
    EXPECT_TRUE(two.serves(kRange, Reqid{kFirst})) << "seed " << seed;
    EXPECT_EQ(two.at_b().narrowed.size(), 1U) << "seed " << seed;
  }
}

TEST(Narrowed, GoesWithItsLastSaAndIsNeverBegunHere) {
  Subset two(1, {kHosts});
  two.theirs().start = StartMode::on_traffic;
  two.start();
  ASSERT_TRUE(two.net.run_for(Seconds(10), [&] { return two.a.tunnels_up(); }));
  two.net.run_for(Seconds(1));
  ASSERT_EQ(two.narrowed().size(), 1U);
  EXPECT_FALSE(two.narrowed().front().acquire);
  const Reqid reqid = two.narrowed().front().reqid;
  two.a.command(ike::Down{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(5));
  EXPECT_TRUE(two.narrowed().empty());
  EXPECT_TRUE(two.at_b().narrowed.empty());
  EXPECT_EQ(two.at_b().state, ike::TunnelState::down);
  EXPECT_FALSE(two.at_b().up_since);
  two.b.command(ike::Acquire{reqid});  // late
  two.net.run_for(Seconds(30));
  EXPECT_TRUE(two.b.plane().empty());
  EXPECT_EQ(two.b.guarded().size(), 1U) << "the configured pair guards as before";
}

TEST(Narrowed, TheWiderPairIsStillTheTunnelsOwn) {
  Subset two(1, {kHosts, kWhole});
  two.start();
  ASSERT_TRUE(two.net.run_for(Seconds(10), [&] { return two.a.tunnels_up(); }));
  two.net.run_for(Seconds(1));
  EXPECT_TRUE(two.serves(kHosts, Reqid{kFirst}));
  EXPECT_TRUE(two.a.send_traffic(Reqid{kFirst + 1}, two.b));
  EXPECT_TRUE(two.b.send_traffic(Reqid{kFirst}, two.a));
  EXPECT_EQ(two.b.plane().size(), 4U);
}

// `down`, a peer that starts anew, one that is dead, another configuration.
TEST(Narrowed, GoesWithThePeersOtherSas) {
  const auto up = [](Subset& two) {
    two.start();
    ASSERT_TRUE(two.net.run_for(Seconds(10), [&] { return two.a.tunnels_up(); }));
    two.net.run_for(Seconds(1));
    ASSERT_EQ(two.narrowed().size(), 1U);
  };
  {
    Subset two(1, {kHosts}, AcceptMode::subset, StartMode::on_traffic);
    two.start();
    two.a.send_traffic(Reqid{kFirst}, two.b);
    ASSERT_TRUE(two.net.run_for(Seconds(10), [&] { return two.a.tunnels_up(); }));
    two.net.run_for(Seconds(1));
    two.b.command(ike::Down{ike::CommandId{1}, "gw-a", "lan"});
    two.net.run_for(Seconds(10));
    EXPECT_TRUE(two.narrowed().empty());
    EXPECT_TRUE(two.b.plane().empty());
    EXPECT_TRUE(two.a.plane().empty());
  }
  {
    Subset two(1, {kHosts});
    up(two);
    two.a.kill();
    two.net.run_for(Seconds(1));
    two.a.start();
    ASSERT_TRUE(two.net.run_for(Seconds(10), [&] { return two.a.tunnels_up(); }));
    two.net.run_for(Seconds(1));
    EXPECT_EQ(two.narrowed().size(), 1U);
    EXPECT_EQ(two.b.plane().size(), 2U) << "INITIAL-CONTACT took the old ones";
    EXPECT_TRUE(two.serves(kHosts, Reqid{kFirst}));
  }
  {
    Subset two(1, {kHosts});
    up(two);
    two.a.kill();
    two.b.send_traffic(two.narrowed().front().reqid, two.a);
    for (int i = 0; i < 60; ++i) {
      two.net.run_for(Seconds(10));
      if (!two.narrowed().empty()) two.b.send_traffic(two.narrowed().front().reqid, two.a);
    }
    EXPECT_TRUE(two.narrowed().empty());
    EXPECT_TRUE(two.b.plane().empty());
  }
  {
    Subset two(1, {kHosts});
    up(two);
    ike::EngineConfig changed = two.b.config();
    changed.peers.front().tunnels.front().accept = AcceptMode::exact;
    two.b.command(ike::Reconfigure{changed});
    two.net.run_for(Seconds(20));
    EXPECT_TRUE(two.narrowed().empty());
    EXPECT_TRUE(two.b.plane().empty());
  }
}

// A reload leaves a narrowed pair alone, unless its traffic is another tunnel's now.
TEST(Narrowed, AReloadGivesItsTrafficToWhomItBelongs) {
  Subset two(1, {kHosts, kWeb});
  two.start();
  ASSERT_TRUE(two.net.run_for(Seconds(10), [&] { return two.a.tunnels_up(); }));
  two.net.run_for(Seconds(1));
  ASSERT_EQ(two.narrowed().size(), 2U);
  ike::EngineConfig more = two.b.config();
  ike::PeerConfig other = more.peers.front();
  other.name = "gw-c";
  other.called_from = {Subnet::host(ip("192.0.2.3"))};
  other.tunnels.front().pairs = {{Reqid{kFirst + 9}, {selector("10.2.0.9"), selector("10.1.0.0/28")}}};
  more.peers.push_back(other);
  two.b.command(ike::Reconfigure{more});
  two.net.run_for(Seconds(5));
  ASSERT_EQ(two.narrowed().size(), 1U);
  EXPECT_TRUE(two.serves(kWeb, Reqid{kFirst + 1}));
}

// Whatever is lost, doubled or late: what is left at b is what a has, and the books are clean when a goes.
TEST(Narrowed, LeavesNothingBehindThroughFaults) {
  for (std::uint64_t seed = 1; seed <= runs(100); ++seed) {
    Subset two(seed, {kHosts, kRange, kWeb});
    two.net.faults.loss = 0.25;
    two.net.faults.duplicate = 0.2;
    two.net.faults.jitter = Milliseconds(60);
    Watch watch(two.net);
    two.start();
    two.net.run_for(Seconds(300), [&] { return !watch.holds(); });
    ASSERT_EQ(watch.broken(), "") << "seed " << seed << "\n" << watch.ladder();
    two.net.faults = {};
    ASSERT_TRUE(two.net.run_for(Seconds(300), [&] { return two.a.tunnels_up(); })) << "seed " << seed;
    two.net.run_for(Seconds(120));
    EXPECT_EQ(two.narrowed().size(), 3U) << "seed " << seed;
    EXPECT_EQ(watch.disagreement(two.a, two.b), "") << "seed " << seed << "\n" << watch.ladder();
    two.a.command(ike::Down{ike::CommandId{1}, "gw-b", ""});
    two.net.run_for(Seconds(120));
    EXPECT_TRUE(two.narrowed().empty()) << "seed " << seed;
    EXPECT_TRUE(two.b.plane().empty()) << "seed " << seed;
  }
}

// The data plane refuses: no pair stays for nothing.
TEST(Narrowed, WhoseInstallationFailsIsForgotten) {
  Subset two(1, {kHosts});
  two.start();
  two.b.refuse_installs = true;
  two.net.run_for(Seconds(60));
  EXPECT_TRUE(two.narrowed().empty());
  EXPECT_TRUE(two.at_b().narrowed.empty());
  two.b.refuse_installs = false;
  ASSERT_TRUE(two.net.run_for(Seconds(120), [&] { return two.a.tunnels_up(); }));
}

// ---- ranges

// An initiator takes no other than it asked for.
TEST(Ranges, AreNegotiatedExactly) {
  Subset two(1, {kRange}, AcceptMode::exact);
  two.theirs().pairs.front().selectors = {kRange.remote, kRange.local};
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  for (const auto& [id, held] : two.a.plane()) EXPECT_EQ(held.spec.selectors, kRange);
}

TEST(Ranges, ThatAreASubnetMeetTheSubnet) {
  const SelectorPair as_range{selector("10.1.0.0-10.1.0.255"), selector("10.2.0.0-10.2.0.255")};
  for (const bool here : {true, false}) {
    Subset two(1, {here ? as_range : kWhole}, AcceptMode::exact);
    if (!here) two.theirs().pairs.front().selectors = {as_range.remote, as_range.local};
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5))) << here;
    EXPECT_TRUE(carries(two.a, two.b, 1));
  }
}

TEST(Ranges, ThatDifferByOneAddressAreRefused) {
  Subset two(1, {kRange}, AcceptMode::exact);
  two.theirs().pairs.front().selectors = {kRange.remote, selector("10.1.0.10-10.1.0.21")};
  two.start();
  two.net.run_for(Seconds(5));
  EXPECT_TRUE(two.a.plane().empty());
  EXPECT_TRUE(two.b.plane().empty());
}

}  // namespace
}  // namespace oakgate::sim
