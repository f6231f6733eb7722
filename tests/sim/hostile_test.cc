// The wire's malice: datagrams that are cut, flipped, repeated, forged or too many change nothing.
#include <gtest/gtest.h>

#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

// Where a datagram may be flipped so that its receiver has to notice; nothing if nowhere. Main Mode's first
// four messages are not authenticated at all, and HASH_I, HASH_R cover the ID but not the payloads behind
// (RFC 2409 section 5).
std::optional<std::pair<std::size_t, std::size_t>> authenticated_bytes(const Bytes& data) {
  constexpr std::size_t kIdAndHash = 48;
  const bool encrypted = data.size() > 19 && (data[19] & wire::kFlagEncryption) != 0;
  if (!encrypted) return std::nullopt;
  const bool main_mode = data[18] == static_cast<std::uint8_t>(wire::ExchangeType::identity_protection);
  return std::pair(wire::kHeaderBytes, main_mode ? wire::kHeaderBytes + kIdAndHash - 1 : data.size() - 1);
}

TEST(Hostile, EveryDatagramCutOrFlippedChangesNothing) {
  // Each datagram is preceded by damaged copies; the negotiation must end as if they had never been sent.
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TwoGateways two(seed, {plan(StartMode::on_start, StartMode::responder)});
    SeededRng dice(seed);
    const auto pick = [&](std::size_t low, std::size_t high) {
      return static_cast<std::size_t>(
          dice.between(static_cast<std::int64_t>(low), static_cast<std::int64_t>(high)));
    };
    two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
      Gateway& target = to.address == two.a.address ? two.a : two.b;
      for (int copy = 0; copy < 4; ++copy) {
        target.receive(
            to, from,
            Bytes(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(pick(0, data.size() - 1))));
        const auto range = authenticated_bytes(data);
        if (!range) continue;
        Bytes flipped = data;
        flipped[pick(range->first, range->second)] ^= static_cast<std::uint8_t>(dice.between(1, 255));
        target.receive(to, from, flipped);
      }
      return true;
    };
    two.start();
    // A damaged message may take the one place there is for a message that comes while a job is under way;
    // then the peer's repetition brings it again.
    ASSERT_TRUE(two.up_within(Seconds(10))) << "seed " << seed;
    EXPECT_TRUE(carries(two.a, two.b, 1)) << "seed " << seed;
  }
}

TEST(Hostile, ReplayedDatagramsChangeNothing) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  std::vector<std::tuple<Endpoint, Endpoint, Bytes>> recorded;
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    recorded.emplace_back(from, to, data);
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(100));
  const auto before = two.b.plane().size();
  for (const auto& [from, to, data] : std::vector(recorded)) {
    (to.address == two.a.address ? two.a : two.b).receive(to, from, data);
  }
  two.net.run_for(Seconds(60));
  EXPECT_EQ(two.b.plane().size(), before);
  EXPECT_EQ(count_events(two.b, ike::EventId::phase2_established), 1U);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Hostile, UnauthenticatedNotifiesAndDeletesChangeNothing) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const auto cookies = two.a.engine().snapshot({}).at(0).isakmp_sas.at(0).cookies;
  const SaId out = two.a.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).out;
  Bytes spi(cookies.initiator.begin(), cookies.initiator.end());
  spi.insert(spi.end(), cookies.responder.begin(), cookies.responder.end());
  ByteWriter esp_spi;
  esp_spi.u32(out.spi.value);
  const std::vector<std::vector<wire::Payload>> forgeries{
      {wire::DeletePayload{wire::kDoiIpsec, wire::kProtocolIsakmp, 16, {spi}, {}}},
      {wire::DeletePayload{wire::kDoiIpsec, wire::kProtocolEsp, 4, {to_bytes(esp_spi.view())}, {}}},
      {wire::NotifyPayload{wire::kDoiIpsec, wire::kProtocolIsakmp, NotifyType::initial_contact, spi, {}}},
      {wire::NotifyPayload{wire::kDoiIpsec, wire::kProtocolIsakmp, NotifyType::invalid_spi, {}, {}}}};
  std::uint32_t id = 77;
  for (const auto& payloads : forgeries) {
    wire::Header header;
    header.cookies = cookies;
    header.exchange = wire::ExchangeType::informational;
    header.message_id = MessageId{++id};
    two.a.receive({two.a.address, 500}, {two.b.address, 500}, wire::encode(header, payloads));
  }
  two.net.run_for(Seconds(10));
  EXPECT_TRUE(two.a.tunnels_up());
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Hostile, HalfOpenNegotiationsAreBounded) {
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  two.start();
  Bytes first;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    if (first.empty()) first = data;
    return false;
  };
  two.a.command(ike::Up{ike::CommandId{}, "gw-b", ""});
  ASSERT_FALSE(first.empty());
  for (int i = 0; i < 3000; ++i) {
    first[0] = static_cast<std::uint8_t>(i);
    first[1] = static_cast<std::uint8_t>(i >> 8);
    two.b.receive({two.b.address, 500}, {two.a.address, 500}, first);
  }
  EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.size(), ike::Limits{}.half_open_total);
  EXPECT_NE(find_event(two.b, ike::EventId::limit_reached), nullptr);
  two.net.run_for(Seconds(60));
  EXPECT_TRUE(two.b.engine().snapshot({}).at(0).isakmp_sas.empty()) << "they end by themselves";
}

}  // namespace
}  // namespace oakgate::sim
