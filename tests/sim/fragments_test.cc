// IKE fragmentation between simulated gateways: certificates that no packet of the path can hold, what loss
// and disorder do to their pieces, and what pieces from anybody can and cannot do.
#include <gtest/gtest.h>

#include "ike/fragments.h"
#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

constexpr std::size_t kPathBytes = 1280 - 20 - 8;  // of a datagram

// Chains of certificates, and a path that drops what would need fragments of IP.
struct LargeProofs : TwoGateways {
  explicit LargeProofs(std::uint64_t seed, AuthMethod method = AuthMethod::rsa_sig)
      : TwoGateways(seed, {plan(StartMode::on_start, StartMode::responder)}) {
    use_certificates(a, b, method);
    for (Gateway* gateway : {&a, &b}) gateway->trustpoint->own->chain = {Bytes(1400, 1), Bytes(1400, 2)};
    net.tap = [this](const Endpoint& from, const Endpoint& to, Bytes& data) {
      return passes(from, to, data);
    };
  }
  bool passes(const Endpoint& from, const Endpoint&, const Bytes& data) {
    if (wire::parse_header(data)->next_payload == wire::PayloadType::fragment)
      ++(from.address == a.address ? fragments_of_a : fragments_of_b);
    largest = std::max(largest, data.size());
    return data.size() <= kPathBytes;
  }
  ike::PeerConfig& here() { return a.config().peers.front(); }
  ike::PeerConfig& there() { return b.config().peers.front(); }
  int fragments_of_a = 0;
  int fragments_of_b = 0;
  std::size_t largest = 0;
};

TEST(Fragmentation, BringsLargeCertificatesOverASmallPath) {
  for (const AuthMethod method : {AuthMethod::rsa_sig, AuthMethod::ecdsa_sig}) {
    LargeProofs two(1, method);
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    EXPECT_EQ(two.fragments_of_a, 3);
    EXPECT_EQ(two.fragments_of_b, 3);
    EXPECT_EQ(find_event(two.a, ike::EventId::retransmitting), nullptr);
    EXPECT_EQ(find_event(two.b, ike::EventId::message_rejected), nullptr);
  }
}

TEST(Fragmentation, IsForThoseWhoBothWantIt) {
  for (const bool ours : {false, true}) {
    LargeProofs two(1);
    (ours ? two.here() : two.there()).fragmentation = false;
    two.start();
    EXPECT_FALSE(two.up_within(Seconds(60)));
    EXPECT_EQ(two.fragments_of_a + two.fragments_of_b, 0);
    EXPECT_GT(two.largest, kPathBytes);
  }
}

TEST(Fragmentation, InAggressiveModeFromMessage2On) {
  LargeProofs two(1);
  for (ike::PeerConfig* peer : {&two.here(), &two.there()}) peer->aggressive = true;
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_GE(two.fragments_of_a, 3);
  EXPECT_GE(two.fragments_of_b, 3);
}

TEST(Fragmentation, SurvivesLossRepetitionAndDisorder) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + runs(60); ++seed) {
    LargeProofs two(seed, seed % 2 == 0 ? AuthMethod::rsa_sig : AuthMethod::ecdsa_sig);
    const bool aggressive = seed % 3 == 0;
    for (ike::PeerConfig* peer : {&two.here(), &two.there()}) peer->aggressive = aggressive;
    two.net.faults.loss = 0.15;
    two.net.faults.duplicate = 0.3;
    two.net.faults.jitter = Milliseconds(400);
    two.start();
    ASSERT_TRUE(two.net.run_for(Seconds(900), [&] { return carries(two.a, two.b, 1); })) << "seed " << seed;
  }
}

// Each single fragment lost once: the repetition of all of them completes the message.
TEST(Fragmentation, OneLostFragmentCostsOneRepetition) {
  for (int lost = 1; lost <= 6; ++lost) {
    LargeProofs two(1);
    int seen = 0;
    two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
      const bool fragment = wire::parse_header(data)->next_payload == wire::PayloadType::fragment;
      if (fragment && ++seen == lost) return false;
      return two.passes(from, to, data);
    };
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(10))) << lost;
    EXPECT_EQ(count_events(two.a, ike::EventId::retransmitting), 1U) << lost;
    EXPECT_EQ(count_events(two.a, ike::EventId::phase1_established), 1U) << lost;
  }
}

// Message 3 of an SA under way, as `change` makes it, in place of the genuine one.
struct Meddling : TwoGateways {
  Meddling() : TwoGateways(1, {plan(StartMode::on_start, StartMode::responder)}) {}
  // Sends what `make` says to gw-b as soon as message 2 is out, before message 3.
  void send_before_message_3(const std::function<std::vector<Bytes>(const CookiePair&)>& make) {
    net.tap = [this, make, done = false](const Endpoint& from, const Endpoint&, Bytes& data) mutable {
      if (done || from.address != b.address) return true;
      done = true;
      for (const Bytes& one : make(wire::parse_header(data)->cookies))
        b.receive({b.address, 500}, {a.address, 500}, one);
      return true;
    };
  }
};

Bytes fragment(const CookiePair& cookies, const std::vector<wire::Payload>& payloads) {
  wire::Header header;
  header.cookies = cookies;
  header.exchange = wire::ExchangeType::identity_protection;
  return wire::encode(header, payloads);
}

TEST(Fragmentation, PiecesThatMakeNoMessageChangeNothing) {
  using wire::FragmentPayload;
  Meddling two;
  two.send_before_message_3([](const CookiePair& cookies) {
    const CookiePair other{cookies.initiator, {1, 1, 1, 1, 1, 1, 1, 1}};
    const Bytes nested = fragment(cookies, {FragmentPayload{3, 1, 1, Bytes(8, 1)}});
    const Bytes foreign = fragment(other, {wire::NoncePayload{Bytes(8, 1)}});
    return std::vector<Bytes>{
        fragment(cookies, {FragmentPayload{1, 0, 0, Bytes(8, 1)}}),
        fragment(cookies, {FragmentPayload{1, 17, 0, Bytes(8, 1)}}),
        fragment(cookies, {FragmentPayload{1, 1, 0, Bytes(8, 1)}, wire::NoncePayload{Bytes(8, 1)}}),
        fragment(cookies, {FragmentPayload{2, 1, 1, Bytes(8, 1)}}),
        fragment(cookies, {FragmentPayload{3, 1, 1, nested}}),
        fragment(cookies, {FragmentPayload{4, 1, 1, foreign}}),
        fragment({cookies.initiator, {}}, {FragmentPayload{5, 1, 0, Bytes(8, 1)}}),
        fragment(other, {FragmentPayload{6, 1, 0, Bytes(8, 1)}}),
        fragment(cookies, {FragmentPayload{7, 2, 1, Bytes(8, 1)}})};
  });
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(count_events(two.b, ike::EventId::message_rejected), 8U);
  EXPECT_EQ(find_event(two.a, ike::EventId::retransmitting), nullptr);
}

TEST(Fragmentation, NothingIsCollectedThatWasNotAskedFor) {
  Meddling two;
  two.b.config().peers.front().fragmentation = false;
  two.send_before_message_3([](const CookiePair& cookies) {
    return std::vector<Bytes>{fragment(cookies, {wire::FragmentPayload{1, 1, 0, Bytes(8, 1)}})};
  });
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const ike::Event* rejected = find_event(two.b, ike::EventId::message_rejected);
  ASSERT_NE(rejected, nullptr);
  EXPECT_EQ(rejected->error->code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace oakgate::sim
