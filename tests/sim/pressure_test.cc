// A responder under pressure: floods of message 1 under any source address. Memory stays bounded, nothing is
// computed for the flood, no answer is longer than its question, and the configured peer still comes up.
#include <gtest/gtest.h>

#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using ike::EventId;

// Message 1 of gw-a, caught on its way.
Bytes first_message(TwoGateways& two) {
  Bytes first;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    if (first.empty()) first = data;
    return false;
  };
  two.a.start();
  two.a.command(ike::Up{ike::CommandId{}, "gw-b", ""});
  two.net.run_for(Milliseconds(100), [&] { return !first.empty(); });
  two.a.kill();
  two.net.tap = {};
  return first;
}

// The same from somebody else: another initiator cookie.
Bytes another(const Bytes& first, SeededRng& dice) {
  Bytes data = first;
  dice.fill(std::span(data).first(8));
  return data;
}

std::size_t half_open(Gateway& gateway) {
  std::size_t count = 0;
  for (const auto& peer : gateway.engine().snapshot({})) {
    for (const auto& sa : peer.isakmp_sas) count += !sa.established && sa.role == Role::responder ? 1 : 0;
  }
  return count;
}

TEST(Pressure, TheConfiguredPeerComesUpInAFloodUnderItsOwnAddress) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    TwoGateways two(seed, {plan(StartMode::on_start, StartMode::responder)});
    const Bytes first = first_message(two);
    ASSERT_FALSE(first.empty());
    SeededRng dice(seed);
    two.b.start();
    std::size_t most = 0;
    bool done = false;
    for (int i = 0; i < 20000; ++i) {
      two.net.after(Milliseconds(i), [&] {
        if (done) return;
        two.b.receive({two.b.address, 500}, {two.a.address, 500}, another(first, dice));
        if (dice.chance(0.005)) most = std::max(most, half_open(two.b));
      });
    }
    two.net.run_for(Seconds(3));
    EXPECT_EQ(two.b.jobs, 0U) << "nothing is computed before the cookie is returned";
    two.a.start();
    EXPECT_TRUE(two.up_within(Seconds(17))) << "seed " << seed;
    done = true;
    EXPECT_LE(most, ike::Limits{}.half_open_total);
    EXPECT_LE(two.b.jobs, 40U);
  }
}

TEST(Pressure, TheConfiguredPeerComesUpInAFloodFromARange) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  const Bytes first = first_message(two);
  // gw-b also answers anybody.
  ike::PeerConfig anybody = peer_config(two.b, two.a, {plan(StartMode::responder, StartMode::responder)},
                                        Seconds(3600), kFirst + 100, true);
  anybody.name = "anybody";
  anybody.called_from = {Subnet::any(Family::ipv4)};
  two.b.config().peers.push_back(anybody);
  SeededRng dice(1);
  two.b.start();
  for (int i = 0; i < 5000; ++i) {
    two.net.after(Milliseconds(i), [&] {
      Bytes raw(4);
      dice.fill(raw);
      two.b.receive({two.b.address, 500}, {*IpAddress::from_bytes(raw), 500}, another(first, dice));
    });
  }
  two.net.run_for(Seconds(2));
  EXPECT_EQ(half_open(two.b), ike::Limits{}.half_open_total / 4 * 3);
  EXPECT_EQ(two.b.jobs, 0U);
  two.a.start();
  EXPECT_TRUE(two.net.run_for(Milliseconds(800), [&] { return two.a.tunnels_up(); }))
      << "at once: strangers do not take its place";
  two.net.run_for(Seconds(60));
  EXPECT_EQ(half_open(two.b), 0U) << "they end by themselves";
}

TEST(Pressure, LimitsAreConfigurable) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  const Bytes first = first_message(two);
  two.b.config().limits.half_open_total = 8;
  SeededRng dice(1);
  two.b.start();
  for (int i = 0; i < 100; ++i)
    two.b.receive({two.b.address, 500}, {two.a.address, 500}, another(first, dice));
  EXPECT_EQ(half_open(two.b), 8U);
  EXPECT_NE(find_event(two.b, EventId::limit_reached), nullptr);
}

TEST(Pressure, AggressiveModeIsComputedForSoOftenOnly) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  for (Gateway* gateway : {&two.a, &two.b}) gateway->config().peers.front().aggressive = true;
  const Bytes first = first_message(two);
  ASSERT_FALSE(first.empty());
  SeededRng dice(1);
  two.b.start();
  for (int i = 0; i < 6000; ++i) {
    two.net.after(Milliseconds(10 * i), [&] {
      two.b.receive({two.b.address, 500}, {two.a.address, 500}, another(first, dice));
    });
  }
  two.net.run_for(Seconds(60));
  const ike::Limits limits;
  const auto calls = static_cast<std::size_t>(limits.aggressive_burst + limits.aggressive_per_minute);
  EXPECT_GE(two.b.jobs, calls);
  EXPECT_LE(two.b.jobs, calls * 3 + 3) << "a key pair, a secret and SKEYID each";
  two.net.run_for(Seconds(5));
  two.a.start();
  EXPECT_TRUE(two.up_within(Seconds(10))) << "afterwards it works again";
}

// Whatever comes before the cookie has come back: at most one answer, and none that is longer.
TEST(Pressure, NoAnswerIsLongerThanItsQuestion) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  const Bytes first = first_message(two);
  two.b.start();
  std::vector<std::size_t> answers;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    answers.push_back(data.size());
    return false;
  };
  SeededRng dice(1);
  std::size_t answered = 0;
  const auto ask = [&](const Bytes& data) {
    answers.clear();
    two.b.receive({two.b.address, 500}, {two.a.address, 500}, data);
    ASSERT_LE(answers.size(), 1U);
    if (answers.empty()) return;
    ASSERT_LE(answers.front(), data.size());
    ++answered;
  };
  for (int i = 0; i < 1500; ++i) {
    Bytes data = another(first, dice);
    const auto at = static_cast<std::size_t>(dice.between(16, static_cast<std::int64_t>(data.size()) - 1));
    if (i % 3 == 0) {
      data.resize(at);
      if (at >= wire::kHeaderBytes)
        data[26] = static_cast<std::uint8_t>(at >> 8), data[27] = static_cast<std::uint8_t>(at);
    } else if (i % 3 == 1) {
      data[at] ^= static_cast<std::uint8_t>(dice.between(1, 255));
    }
    ask(data);
    ask(data);
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(answered, 1000U);
}

// A message 1 without vendor IDs leaves no room for ours. They come with message 4, and DPD works.
TEST(Pressure, VendorIdsThatDoNotFitComeWithMessage4) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  for (Gateway* gateway : {&two.a, &two.b}) {
    gateway->config().peers.front().policies.resize(1);
    gateway->config().peers.front().dpd = {DpdMode::periodic, Seconds(10), Seconds(60)};
  }
  std::vector<std::size_t> sizes;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    if (sizes.empty()) {
      const auto header = wire::parse_header(data);
      auto body = wire::parse_body(header->next_payload, wire::body_of(*header, data), wire::Padding::none);
      std::erase_if(body->payloads, [](const wire::Payload& payload) {
        return std::holds_alternative<wire::VendorIdPayload>(payload);
      });
      data = wire::encode(*header, body->payloads);
    }
    sizes.push_back(data.size());
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_LE(sizes.at(1), sizes.at(0));
  two.net.run_for(Seconds(30));
  EXPECT_GE(count_events(two.a, EventId::peer_silent), 1U) << "gw-a knows that gw-b speaks DPD";
  EXPECT_EQ(find_event(two.a, EventId::peer_dead), nullptr);
}

}  // namespace
}  // namespace oakgate::sim
