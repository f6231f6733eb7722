// What has to hold for every way of proving oneself, in Main and in Aggressive Mode: messages cut at each
// byte, repeated or replayed change nothing, whatever state they meet; a gateway that vanishes leaves nothing
// behind.
#include <gtest/gtest.h>

#include "ike/core.h"
#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {

// An engine's books, which it shows nobody: the explicit instantiation may name a private member.
const ike::EngineState& books_of(const ike::Engine& engine);
template <auto Member>
struct Books {
  friend const ike::EngineState& books_of(const ike::Engine& engine) { return *(engine.*Member); }
};
template struct Books<&ike::Engine::state_>;

namespace {

struct Way {
  const char* name;
  AuthMethod method;
  bool aggressive;
};
constexpr auto kWays = std::to_array<Way>({
    {"PreSharedKey", AuthMethod::pre_share, false},
    {"RsaSignature", AuthMethod::rsa_sig, false},
    {"EcdsaSignature", AuthMethod::ecdsa_sig, false},
    {"RsaEncryption", AuthMethod::rsa_encr, false},
    {"RevisedRsaEncryption", AuthMethod::rsa_encr_rev, false},
    {"AggressivePreSharedKey", AuthMethod::pre_share, true},
    {"AggressiveRsaSignature", AuthMethod::rsa_sig, true},
});

class EveryWay : public testing::TestWithParam<Way> {
 protected:
  void prepare(TwoGateways& two) const {
    const Way& way = GetParam();
    if (info(way.method).signs) use_certificates(two.a, two.b, way.method);
    if (info(way.method).encrypts) use_rsa_encryption(two.a, two.b, way.method);
    for (Gateway* gateway : {&two.a, &two.b}) gateway->config().peers.front().aggressive = way.aggressive;
  }
};

// The datagram's first bytes, as a message of that length.
Bytes cut(const Bytes& data, std::size_t size) {
  Bytes copy(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
  if (size >= wire::kHeaderBytes) {
    copy[26] = static_cast<std::uint8_t>(size >> 8);
    copy[27] = static_cast<std::uint8_t>(size);
    copy[24] = copy[25] = 0;
  }
  return copy;
}

TEST_P(EveryWay, AMessageCutAtAnyByteLeavesTheWholeOneItsPlace) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  prepare(two);
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    Gateway& target = to.address == two.a.address ? two.a : two.b;
    for (std::size_t size = 0; size < data.size(); ++size) target.receive(to, from, cut(data, size));
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(10)));
  two.net.run_for(Seconds(1));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  for (Gateway* gateway : {&two.a, &two.b}) {
    EXPECT_EQ(count_events(*gateway, ike::EventId::phase1_failed), 0U);
    EXPECT_EQ(count_events(*gateway, ike::EventId::phase1_established), 1U);
    EXPECT_NE(find_event(*gateway, ike::EventId::message_rejected), nullptr);
  }
}

TEST_P(EveryWay, RepeatedAndReplayedMessagesChangeNothing) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  prepare(two);
  two.net.faults.duplicate = 1;
  std::vector<std::tuple<Endpoint, Endpoint, Bytes>> recorded;
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    recorded.emplace_back(from, to, data);
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(10)));
  const auto replay = [&] {
    for (const auto& [from, to, data] : std::vector(recorded))
      (to.address == two.a.address ? two.a : two.b).receive(to, from, data);
  };
  two.net.run_for(Seconds(1));
  replay();  // while the exchanges still answer repetitions
  two.net.run_for(Seconds(100));
  recorded.resize(8);
  replay();  // when they are forgotten
  two.net.run_for(Seconds(100));
  for (Gateway* gateway : {&two.a, &two.b}) {
    EXPECT_EQ(gateway->plane().size(), 2U);
    EXPECT_EQ(count_events(*gateway, ike::EventId::phase1_established), 1U);
    EXPECT_EQ(count_events(*gateway, ike::EventId::phase2_established), 1U);
    EXPECT_EQ(gateway->engine().snapshot({}).at(0).isakmp_sas.size(), 1U);
  }
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

void expect_no_negotiation(const ike::Exchange& exchange) {
  EXPECT_EQ(exchange.checkpoint, nullptr);
  EXPECT_EQ(exchange.held, nullptr);
  EXPECT_EQ(exchange.hint, nullptr);
  EXPECT_FALSE(exchange.job);
  EXPECT_FALSE(exchange.key_exchange.ours);
  EXPECT_FALSE(exchange.key_exchange.shared);
  for (const Bytes* bytes : {&exchange.key_exchange.theirs, &exchange.nonce_i, &exchange.nonce_r})
    EXPECT_EQ(bytes->capacity(), 0U);
  EXPECT_EQ(exchange.answered.capacity(), exchange.answered.size());
}
void expect_no_phase1(const ike::Phase1Exchange& exchange) {
  expect_no_negotiation(exchange);
  EXPECT_EQ(exchange.sa_body.capacity(), 0U);
  EXPECT_FALSE(exchange.own_id);
  EXPECT_EQ(exchange.left_out.capacity(), 0U);
  EXPECT_EQ(exchange.own_proof.capacity(), 0U);
  EXPECT_EQ(exchange.reply.proposals.capacity() + exchange.reply.raw_body.capacity(), 0U);
  EXPECT_EQ(exchange.peer_id.data.capacity(), 0U);
  EXPECT_EQ(exchange.peer_proof.capacity(), 0U);
  EXPECT_EQ(exchange.peer_certificates.capacity(), 0U);
  EXPECT_EQ(exchange.encrypted, nullptr);
}
void expect_no_quick_mode(const ike::QuickMode& exchange) {
  expect_no_negotiation(exchange);
  EXPECT_EQ(exchange.peer_ids.capacity(), 0U);
  ASSERT_TRUE(exchange.chosen);
  EXPECT_EQ(exchange.chosen->reply.proposals.capacity() + exchange.chosen->reply.raw_body.capacity(), 0U);
}

TEST_P(EveryWay, AFinishedExchangeAnswersRepetitionsAndKeepsNothingElse) {
  TunnelPlan tunnel = plan(StartMode::on_start, StartMode::responder);
  tunnel.pfs = DhGroup::modp2048;
  TwoGateways two(1, {tunnel});
  prepare(two);
  struct Message {
    Endpoint from;
    Endpoint to;
    Bytes data;
  };
  std::map<std::pair<wire::ExchangeType, MessageId>, std::vector<Message>> exchanges;
  std::vector<Bytes> answers;
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    const auto header = wire::parse_header(data);
    exchanges[{header->exchange, header->message_id}].push_back({from, to, data});
    answers.push_back(data);
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(10)));
  two.net.run_for(Seconds(1));
  for (Gateway* gateway : {&two.a, &two.b}) {
    SCOPED_TRACE(gateway->name);
    const ike::EngineState& books = books_of(gateway->engine());
    ASSERT_EQ(books.ike_sas.size(), 1U);
    const ike::IkeSa& sa = *books.ike_sas.begin()->second;
    ASSERT_NE(sa.phase1, nullptr);
    expect_no_phase1(*sa.phase1);
    ASSERT_EQ(sa.quick_modes.size(), 1U);
    expect_no_quick_mode(*sa.quick_modes.begin()->second);
  }
  std::size_t modes = 0;
  for (const auto& [key, messages] : std::map(exchanges)) {
    if (key.first == wire::ExchangeType::informational) continue;
    ++modes;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const auto& [from, to, data] = messages[i];
      answers.clear();
      (to.address == two.a.address ? two.a : two.b).receive(to, from, data);
      // By each side's last message is answered; what came before is behind the peer.
      const bool answered = i + 1 < messages.size() && i + 3 >= messages.size();
      EXPECT_EQ(answers, answered ? std::vector<Bytes>{messages[i + 1].data} : std::vector<Bytes>{})
          << "message " << i + 1 << " of " << messages.size();
    }
  }
  EXPECT_EQ(modes, 2U);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST_P(EveryWay, APeerThatVanishesAfterAnyMessageLeavesNothingBehind) {
  const int messages = GetParam().aggressive ? 6 : 9;
  for (int survive = 1; survive < messages; ++survive) {
    TwoGateways two(static_cast<std::uint64_t>(survive), {plan(StartMode::responder, StartMode::responder)});
    prepare(two);
    int seen = 0;
    two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes&) { return ++seen <= survive; };
    two.start();
    two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
    two.net.run_for(Seconds(150));
    ASSERT_TRUE(two.a.command_results.contains(1)) << survive;
    EXPECT_EQ(two.a.command_results.at(1).has_value(), survive == messages - 1) << survive;
    EXPECT_TRUE(two.b.plane().empty()) << survive;
    for (Gateway* gateway : {&two.a, &two.b}) {
      const auto peers = gateway->engine().snapshot({});
      for (const auto& sa : peers.at(0).isakmp_sas)
        EXPECT_TRUE(sa.established) << gateway->name << " after " << survive << " in " << sa.state;
    }
  }
}

TEST_P(EveryWay, ANatIsFoundAndThePortsFloat) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  prepare(two);
  const IpAddress outside = *IpAddress::parse("198.51.100.1");
  two.net.nats = {{two.a.address, outside, 10000}};
  ike::PeerConfig& there = two.b.config().peers.front();
  there.called_from = {Subnet::host(outside)};
  there.remote_identity = {IdentityKind::address, two.a.address, ""};
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(10)));
  two.net.run_for(Seconds(1));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.at(0).remote, (Endpoint{outside, 14500}));
}

// NAT-D in clear, spoilt on the way to one side or the other: both still agree whether there is a NAT.
TEST(SpoiltNatDetection, LeavesBothSidesOfOneMind) {
  for (const bool at_responder : {true, false}) {
    TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
    two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes& data) {
      const bool key_exchange = data[16] == static_cast<std::uint8_t>(wire::PayloadType::key_exchange);
      const std::size_t detection = 28 + 4 + info(DhGroup::modp2048).public_bytes + 4 + 20 + 4;
      if (key_exchange && (from.address == two.a.address) == at_responder) data[detection] ^= 1;
      return true;
    };
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(10))) << at_responder;
    two.net.run_for(Seconds(1));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    const auto here = two.a.engine().snapshot({}).at(0).isakmp_sas.at(0);
    const auto there = two.b.engine().snapshot({}).at(0).isakmp_sas.at(0);
    EXPECT_EQ(here.nat == "none", at_responder);
    EXPECT_EQ(there.nat == "none", at_responder);
    EXPECT_EQ(here.local, there.remote);
  }
}

TEST_P(EveryWay, HalfOpenNegotiationsAreBounded) {
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  prepare(two);
  two.start();
  Bytes first;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    if (first.empty()) first = data;
    return false;
  };
  two.a.command(ike::Up{ike::CommandId{}, "gw-b", ""});
  two.net.run_for(Milliseconds(100));
  ASSERT_FALSE(first.empty());
  for (int i = 0; i < 3000; ++i) {
    first[0] = static_cast<std::uint8_t>(i);
    first[1] = static_cast<std::uint8_t>(i >> 8);
    two.b.receive({two.b.address, 500}, {two.a.address, 500}, first);
  }
  EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.size(),
            GetParam().aggressive ? static_cast<std::size_t>(ike::Limits{}.aggressive_burst)
                                  : ike::Limits{}.half_open_total);
  two.net.run_for(Seconds(120));
  EXPECT_TRUE(two.b.engine().snapshot({}).at(0).isakmp_sas.empty()) << "they end by themselves";
}

INSTANTIATE_TEST_SUITE_P(Methods, EveryWay, testing::ValuesIn(kWays),
                         [](const auto& way) { return std::string(way.param.name); });

}  // namespace
}  // namespace oakgate::sim
