// Dead peers (RFC 3706), INVALID-SPI, restarts at any moment.
#include <gtest/gtest.h>

#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using ike::EventId;

constexpr Reqid kLan{kFirst};

void set_dpd(TwoGateways& two, DeadPeerDetection dpd) {
  for (Gateway* gateway : {&two.a, &two.b}) gateway->config().peers.front().dpd = dpd;
}

// Whether both ends hold the same SAs: each inbound one is the other's outbound one.
bool ends_agree(const Gateway& a, const Gateway& b) {
  for (const auto* side : {&a, &b}) {
    const Gateway& other = side == &a ? b : a;
    for (const auto& [id, held] : side->plane()) {
      if (!other.plane().contains(id)) return false;
    }
  }
  return true;
}

void traffic_every_second(TwoGateways& two, int seconds, bool both_ways = false) {
  for (int second = 0; second < seconds; ++second) {
    two.net.after(Seconds(second), [&two, both_ways] {
      static_cast<void>(two.a.send_traffic(kLan, two.b));
      if (both_ways) static_cast<void>(two.b.send_traffic(kLan, two.a));
    });
  }
}

// ---- who is asked, and when

TEST(DeadPeer, OnDemandNobodyIsAskedWithoutTraffic) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(600));
  EXPECT_EQ(two.net.datagrams, 9U) << "idle tunnels cost nothing";
}

TEST(DeadPeer, OnDemandAPeerThatSendsIsNotAsked) {
  TwoGateways two(2, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  traffic_every_second(two, 600, true);
  two.net.run_for(Seconds(600));
  EXPECT_EQ(two.net.datagrams, 9U);
}

TEST(DeadPeer, OnDemandTrafficWithoutAnyBackIsAQuestion) {
  TwoGateways two(3, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  traffic_every_second(two, 200);
  two.net.run_for(Seconds(200));
  EXPECT_GE(count_events(two.a, EventId::peer_silent), 3U);
  EXPECT_EQ(count_events(two.b, EventId::peer_silent), 0U) << "it hears traffic";
  EXPECT_EQ(find_event(two.a, EventId::peer_dead), nullptr) << "the peer has answered";
  EXPECT_TRUE(two.a.tunnels_up());
}

TEST(DeadPeer, PeriodicSilenceIsAQuestion) {
  TwoGateways two(4, {plan(StartMode::on_start, StartMode::responder)});
  set_dpd(two, {DpdMode::periodic, Seconds(10), Seconds(30)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(105));
  EXPECT_GE(count_events(two.a, EventId::peer_silent), 8U);
  EXPECT_LE(count_events(two.a, EventId::peer_silent), 11U);
  EXPECT_GE(count_events(two.b, EventId::peer_silent), 8U);
  EXPECT_EQ(find_event(two.a, EventId::peer_dead), nullptr);
}

TEST(DeadPeer, OffNeverAsksButAnswers) {
  TwoGateways two(5, {plan(StartMode::on_start, StartMode::responder)});
  two.a.config().peers.front().dpd.mode = DpdMode::off;
  two.b.config().peers.front().dpd = {DpdMode::periodic, Seconds(10), Seconds(30)};
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  traffic_every_second(two, 100);
  two.net.run_for(Seconds(100));
  two.net.run_for(Seconds(50));
  EXPECT_EQ(count_events(two.a, EventId::peer_silent), 0U);
  EXPECT_GE(count_events(two.b, EventId::peer_silent), 3U);
  EXPECT_EQ(find_event(two.b, EventId::peer_dead), nullptr);
}

// ---- the dead

TEST(DeadPeer, IsRemovedAndAnOnStartTunnelStartsAnew) {
  TwoGateways two(6, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.b.kill();
  traffic_every_second(two, 2000);
  ASSERT_TRUE(
      two.net.run_for(Seconds(160), [&] { return find_event(two.a, EventId::peer_dead) != nullptr; }));
  EXPECT_TRUE(two.a.plane().empty());
  const auto peer = two.a.engine().snapshot({}).at(0);
  ASSERT_TRUE(peer.last_error);
  EXPECT_EQ(peer.last_error->error.code, ErrorCode::no_answer);
  // It is tried for ever, with a ceiling.
  two.net.run_for(Seconds(900));
  const std::size_t tries = count_events(two.a, EventId::phase1_started);
  EXPECT_GE(tries, 8U);
  EXPECT_LE(tries, 40U);
  two.net.run_for(Seconds(86400));
  EXPECT_GT(count_events(two.a, EventId::phase1_started), tries + 700) << "for ever";
  two.b.start();
  ASSERT_TRUE(two.up_within(Seconds(120))) << "no later than the ceiling allows";
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(DeadPeer, AnOnTrafficTunnelComesBackByTraffic) {
  TwoGateways two(7, {plan(StartMode::on_traffic, StartMode::responder)});
  two.start();
  static_cast<void>(two.a.send_traffic(kLan, two.b));
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.b.kill();
  for (int second = 0; second < 150; ++second) {
    two.net.after(Seconds(second), [&two] {
      if (!two.a.plane().empty()) static_cast<void>(two.a.send_traffic(kLan, two.b));
    });
  }
  two.net.run_for(Seconds(160));
  ASSERT_NE(find_event(two.a, EventId::peer_dead), nullptr);
  two.b.start();
  const std::size_t quiet = two.net.datagrams;
  two.net.run_for(Seconds(300));
  EXPECT_EQ(two.net.datagrams, quiet) << "nobody asked for it";
  static_cast<void>(two.a.send_traffic(kLan, two.b));
  ASSERT_TRUE(two.up_within(Seconds(10)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(DeadPeer, IsFoundAfterTheTimeoutAndNoSooner) {
  TwoGateways two(8, {plan(StartMode::on_start, StartMode::responder)});
  set_dpd(two, {DpdMode::periodic, Seconds(10), Seconds(60)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.cut = true;
  two.net.run_for(Seconds(58));
  EXPECT_EQ(find_event(two.a, EventId::peer_dead), nullptr);
  two.net.run_for(Seconds(25));
  EXPECT_NE(find_event(two.a, EventId::peer_dead), nullptr);
  EXPECT_NE(find_event(two.b, EventId::peer_dead), nullptr);
  EXPECT_TRUE(two.a.plane().empty() && two.b.plane().empty());
}

TEST(DeadPeer, LossAloneKillsNobody) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TwoGateways two(seed, {plan(StartMode::on_start, StartMode::responder)});
    set_dpd(two, {DpdMode::periodic, Seconds(10), Seconds(60)});
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    two.net.faults.loss = 0.1;
    two.net.faults.duplicate = 0.1;
    two.net.faults.jitter = Milliseconds(500);
    two.net.run_for(Seconds(900));
    EXPECT_EQ(find_event(two.a, EventId::peer_dead), nullptr) << "seed " << seed;
    EXPECT_TRUE(two.a.tunnels_up());
  }
}

// ---- what counts as a sign of life

TEST(DeadPeer, ReplayedAnswersAreNoSignOfLife) {
  TwoGateways two(9, {plan(StartMode::on_start, StartMode::responder)});
  set_dpd(two, {DpdMode::periodic, Seconds(10), Seconds(60)});
  two.b.config().peers.front().dpd.mode = DpdMode::off;
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  std::vector<Bytes> recorded;
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes& data) {
    if (from.address == two.b.address) recorded.push_back(data);
    return true;
  };
  two.net.run_for(Seconds(45));
  ASSERT_GE(recorded.size(), 2U);
  two.b.kill();
  for (int second = 0; second < 120; ++second) {
    two.net.after(Seconds(second), [&] {
      if (!two.a.engine().snapshot({}).at(0).isakmp_sas.empty()) {
        for (const Bytes& data : std::vector(recorded))
          two.a.receive({two.a.address, 500}, {two.b.address, 500}, data);
      }
    });
  }
  two.net.run_for(Seconds(90));
  EXPECT_NE(find_event(two.a, EventId::peer_dead), nullptr);
}

// An answer that is authentic, but not to a question of this round: gw-b answers what gw-a asked before, for
// gw-a's question is replaced on its way by an older one that gw-b has not seen.
TEST(DeadPeer, AnswersToOlderQuestionsAreNoSignOfLife) {
  TwoGateways two(10, {plan(StartMode::on_start, StartMode::responder)});
  set_dpd(two, {DpdMode::periodic, Seconds(10), Seconds(60)});
  two.b.config().peers.front().dpd.mode = DpdMode::off;
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  // The first answers of several rounds are kept from gw-a; a later copy of the question brings a new answer.
  std::vector<Bytes> kept;
  bool keep = true;
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes& data) {
    if (!keep || from.address != two.b.address) return true;
    if (kept.size() < 1) {
      kept.push_back(data);
      return false;
    }
    keep = false;
    return true;
  };
  two.net.run_for(Seconds(30));
  ASSERT_EQ(kept.size(), 1U) << "the answer to the first question never came, that to the second did";
  ASSERT_EQ(find_event(two.a, EventId::peer_dead), nullptr);
  two.net.cut = true;
  for (int second = 0; second < 70; ++second) {
    two.net.after(Seconds(second), [&] {
      two.a.receive({two.a.address, 500}, {two.b.address, 500}, kept.front());
    });
  }
  two.net.run_for(Seconds(85));
  EXPECT_NE(find_event(two.a, EventId::peer_dead), nullptr);
}

// ---- INVALID-SPI

void send_clear_invalid_spi(TwoGateways& two, const CookiePair& cookies, Spi spi, std::uint32_t id) {
  ByteWriter raw;
  raw.u32(spi.value);
  wire::Header header;
  header.cookies = cookies;
  header.exchange = wire::ExchangeType::informational;
  header.message_id = MessageId{id};
  const std::vector<wire::Payload> payloads{wire::NotifyPayload{
      wire::kDoiIpsec, wire::kProtocolEsp, NotifyType::invalid_spi, to_bytes(raw.view()), {}}};
  two.a.receive({two.a.address, 500}, {two.b.address, 500}, wire::encode(header, payloads));
}

TEST(InvalidSpi, InClearCausesOneQuestionAtMost) {
  TwoGateways two(11, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const auto sa = two.a.engine().snapshot({}).at(0).isakmp_sas.at(0);
  const Spi out = two.a.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).out.spi;
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    send_clear_invalid_spi(two, i % 2 == 0 ? sa.cookies : CookiePair{{1, 2, 3}, {4, 5, 6}}, out, i);
  }
  two.net.run_for(Seconds(30));
  EXPECT_EQ(count_events(two.a, EventId::peer_silent), 1U);
  EXPECT_EQ(find_event(two.a, EventId::peer_dead), nullptr);
  EXPECT_TRUE(carries(two.a, two.b, 1)) << "and nothing has changed";
  EXPECT_EQ(two.a.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).out.spi, out);
}

TEST(InvalidSpi, InClearFindsARestartedPeerSoonerThanSilenceDoes) {
  TwoGateways two(12, {plan(StartMode::on_start, StartMode::responder)});
  set_dpd(two, {DpdMode::on_demand, Seconds(300), Seconds(360)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const Spi out = two.a.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).out.spi;
  two.b.kill();
  two.b.start();
  send_clear_invalid_spi(two, CookiePair{{1, 2, 3}, {4, 5, 6}}, out, 1);
  EXPECT_TRUE(two.net.run_for(Seconds(90), [&] { return find_event(two.a, EventId::peer_dead) != nullptr; }));
  EXPECT_TRUE(two.up_within(Seconds(20)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

// gw-b has lost an SA pair of a living IKE SA (its data plane was flushed, say): it tells under the IKE SA's
// protection.
TEST(InvalidSpi, UnderTheIkeSaReplacesThePair) {
  TwoGateways two(13, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const Spi out = two.a.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).out.spi;
  for (int i = 0; i < 1000; ++i) {
    two.b.command(ike::UnknownSpi{two.b.address, two.a.address, IpsecProtocol::esp, out});
  }
  two.net.run_for(Seconds(8));
  EXPECT_EQ(count_events(two.b, EventId::notify_sent), 1U) << "rate-limited";
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_NE(two.a.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).out.spi, out);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(InvalidSpi, NobodyElseIsTold) {
  TwoGateways two(14, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const auto before = two.net.datagrams;
  two.b.command(
      ike::UnknownSpi{two.b.address, *IpAddress::parse("203.0.113.7"), IpsecProtocol::esp, Spi{4711}});
  EXPECT_EQ(two.net.datagrams, before);
}

// ---- restarts

// Either side is killed after each datagram of the negotiations, and starts again at once or later. Both ends
// agree afterwards, and the tunnel carries.
TEST(Restart, OfEitherSideAtEveryStep) {
  for (const bool killed_a : {true, false}) {
    for (const bool both_start : {true, false}) {
      for (int step = 1; step <= 14; ++step) {
        for (const int pause : {0, 3, 200}) {
          SCOPED_TRACE(std::string(killed_a ? "gw-a" : "gw-b") + " killed after datagram " +
                       std::to_string(step) + ", back after " + std::to_string(pause) +
                       " s, both start: " + std::to_string(both_start));
          TwoGateways two(
              static_cast<std::uint64_t>(step),
              {plan(StartMode::on_start, both_start ? StartMode::on_start : StartMode::responder)});
          Gateway& victim = killed_a ? two.a : two.b;
          int seen = 0;
          two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes&) {
            if (++seen == step) {
              two.net.after(Milliseconds(0), [&] { victim.kill(); });
              two.net.after(Seconds(pause), [&] { victim.start(); });
            }
            return true;
          };
          two.start();
          two.net.run_for(Seconds(1));
          // Traffic both ways, as a tunnel has it; after the ninth datagram it also brings the steps about.
          traffic_every_second(two, 700, true);
          two.net.run_for(Seconds(600));
          if (seen < step) break;
          ASSERT_TRUE(two.a.tunnels_up() && two.b.tunnels_up());
          ASSERT_TRUE(carries(two.a, two.b, 1));
          two.net.run_for(Seconds(60));
          ASSERT_TRUE(ends_agree(two.a, two.b));
        }
      }
    }
  }
}

}  // namespace
}  // namespace oakgate::sim
