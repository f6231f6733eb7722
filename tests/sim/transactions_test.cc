// Peers that ask for what a gateway does not give: XAUTH, configuration, groups of their own. They are
// answered as the drafts and RFC 2409 section 5.6 say, and both phases go on. The peer is an engine whose
// keys somebody else has, too (insider.h): it says these things in its name.
#include <gtest/gtest.h>

#include "ike/base/vendor_ids.h"
#include "tests/sim/insider.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using ike::EventId;
using wire::Attribute;
using wire::AttributesPayload;
using wire::ConfigurationType;
using wire::ExchangeType;
namespace xauth = wire::xauth_attribute;

AttributesPayload attributes(ConfigurationType type, std::vector<Attribute> list = {}) {
  return {static_cast<std::uint8_t>(type), 0x1234, std::move(list)};
}

// IOS's request of an edge device: name and password.
AttributesPayload xauth_request() {
  return attributes(ConfigurationType::request,
                    {Attribute::short_form(xauth::type, 0), Attribute{xauth::user_name, false, {}},
                     Attribute{xauth::user_password, false, {}}});
}

class Transactions : public testing::TestWithParam<Role> {
 protected:
  // gw-a is the one that is asked: as the one that began phase 1, or not.
  void SetUp() override {
    TunnelPlan first = plan(StartMode::responder, StartMode::responder);
    TunnelPlan second = first;
    second.name = "second";
    second.local = {"10.3.0.0/24"};
    two_ = std::make_unique<TwoGateways>(1, std::vector{first, second});
    insider_ = std::make_unique<Insider>(two_->net, two_->a, two_->b);
    net_tap_ = two_->net.tap;
    two_->net.tap = [this](const Endpoint& from, const Endpoint& to, Bytes& data) {
      if (from.address == two_->a.address) sent_.push_back(data);
      return net_tap_(from, to, data);
    };
    two_->start();
    Gateway& caller = GetParam() == Role::initiator ? two_->a : two_->b;
    const std::string other = GetParam() == Role::initiator ? "gw-b" : "gw-a";
    caller.command(ike::Up{ike::CommandId{1}, other, "lan"});
    two_->net.run_for(Seconds(2));
    ASSERT_TRUE(caller.command_results.contains(1) && caller.command_results.at(1));
    sent_.clear();
    two_->a.events.clear();
  }

  // What gw-a answers to a datagram in gw-b's name.
  std::vector<Bytes> say(const Bytes& datagram) {
    sent_.clear();
    two_->a.receive({two_->a.address, 500}, {two_->b.address, 500}, datagram);
    return sent_;
  }
  // The answer to a message of a Transaction that begins with it.
  AttributesPayload ask(MessageId id, const AttributesPayload& asked) {
    const Bytes request = insider_->protect(ExchangeType::transaction, id, {asked});
    const auto answers = say(request);
    EXPECT_EQ(answers.size(), 1U);
    if (answers.size() != 1) return {};
    EXPECT_LE(answers[0].size(), request.size());
    return read(id, answers[0], last_block(request));
  }
  AttributesPayload read(MessageId id, const Bytes& answer, const Bytes& iv) {
    const auto header = wire::parse_header(answer);
    EXPECT_EQ(header->exchange, ExchangeType::transaction);
    EXPECT_EQ(header->message_id, id);
    const auto payloads = insider_->open(answer, iv);
    EXPECT_EQ(payloads.size(), 2U);
    if (payloads.size() != 2) return {};
    const auto expected = crypto::hash_1(insider_->policy().hash, *insider_->session().keys, id,
                                         wire::encode_body(std::span(payloads).subspan(1)));
    EXPECT_EQ(std::get<wire::HashPayload>(payloads[0]).data, *expected);
    return std::get<AttributesPayload>(payloads[1]);
  }
  static Bytes last_block(const Bytes& datagram) { return {datagram.end() - 16, datagram.end()}; }

  void expect_quick_mode_works() {
    two_->a.command(ike::Up{ike::CommandId{2}, "gw-b", "second"});
    two_->net.run_for(Seconds(2));
    ASSERT_TRUE(two_->a.command_results.contains(2));
    EXPECT_TRUE(two_->a.command_results.at(2));
    EXPECT_TRUE(carries(two_->a, two_->b, 2));
    EXPECT_EQ(find_event(two_->a, EventId::phase1_started), nullptr) << "under the same IKE SA";
  }

  std::unique_ptr<TwoGateways> two_;
  std::unique_ptr<Insider> insider_;
  std::function<bool(const Endpoint&, const Endpoint&, Bytes&)> net_tap_;
  std::vector<Bytes> sent_;
};

TEST_P(Transactions, XauthIsRefusedAndItsVerdictAcknowledged) {
  const auto refusal = ask(MessageId{77}, xauth_request());
  EXPECT_EQ(refusal, attributes(ConfigurationType::reply, {Attribute::short_form(xauth::type, 0),
                                                           Attribute::short_form(xauth::status, 0)}));
  const auto* event = find_event(two_->a, EventId::xauth_refused);
  ASSERT_NE(event, nullptr);
  EXPECT_NE(event->error->remedy.find("no-xauth"), std::string::npos);
  EXPECT_TRUE(two_->a.engine().snapshot({})[0].last_error.has_value());
  const auto verdict = attributes(ConfigurationType::set, {Attribute::short_form(xauth::status, 1)});
  EXPECT_EQ(ask(MessageId{78}, verdict), attributes(ConfigurationType::ack));
  EXPECT_EQ(find_event(two_->a, EventId::xauth_decided)->fields.front().second, "OK");
  expect_quick_mode_works();
}

TEST_P(Transactions, XauthWithoutTypeIsRefusedWithoutOne) {
  auto request = xauth_request();
  request.attributes.erase(request.attributes.begin());
  EXPECT_EQ(ask(MessageId{77}, request),
            attributes(ConfigurationType::reply, {Attribute::short_form(xauth::status, 0)}));
}

TEST_P(Transactions, AVerdictMayComeUnderTheRequestsMessageId) {
  const Bytes request = insider_->protect(ExchangeType::transaction, MessageId{77}, {xauth_request()});
  const auto refusal = say(request);
  ASSERT_EQ(refusal.size(), 1U);
  const auto set = attributes(ConfigurationType::set, {Attribute::short_form(xauth::status, 0)});
  const Bytes verdict =
      insider_->protect(ExchangeType::transaction, MessageId{77}, {set}, last_block(refusal[0]));
  const auto answers = say(verdict);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(read(MessageId{77}, answers[0], last_block(verdict)), attributes(ConfigurationType::ack));
  EXPECT_EQ(find_event(two_->a, EventId::xauth_decided)->fields.front().second, "FAIL");
  expect_quick_mode_works();
}

TEST_P(Transactions, ConfigurationIsAnsweredWithNothing) {
  const auto request =
      attributes(ConfigurationType::request, {Attribute{1, false, {}}, Attribute{3, false, {}}});
  EXPECT_EQ(ask(MessageId{77}, request), attributes(ConfigurationType::reply));
  const auto set = attributes(ConfigurationType::set, {Attribute{1, false, Bytes{10, 0, 0, 1}}});
  EXPECT_EQ(ask(MessageId{78}, set), attributes(ConfigurationType::ack));
  ASSERT_EQ(count_events(two_->a, EventId::configuration_asked), 2U);
  EXPECT_EQ(find_event(two_->a, EventId::configuration_asked)->fields.back().second,
            "INTERNAL_IP4_ADDRESS (1), INTERNAL_IP4_DNS (3)");
  expect_quick_mode_works();
}

TEST_P(Transactions, RepetitionsGetTheSameAnswerAndNothingMoves) {
  const Bytes request = insider_->protect(ExchangeType::transaction, MessageId{77}, {xauth_request()});
  const auto first = say(request);
  ASSERT_EQ(first.size(), 1U);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(say(request), first);
  EXPECT_EQ(count_events(two_->a, EventId::xauth_refused), 1U);
  // Long afterwards it is a replay.
  two_->net.run_for(Seconds(120));
  EXPECT_TRUE(say(request).empty());
}

TEST_P(Transactions, WhatIsNotAuthenticGetsNoAnswer) {
  const Bytes request = insider_->protect(ExchangeType::transaction, MessageId{77}, {xauth_request()});
  Bytes forged = request;
  forged[forged.size() - 20] ^= 1;
  EXPECT_TRUE(say(forged).empty());
  // Under the right keys, but for the hash.
  const std::vector<wire::Payload> unproved{wire::HashPayload{Bytes(32, 7)}, xauth_request()};
  EXPECT_TRUE(say(insider_->seal(ExchangeType::transaction, MessageId{77}, wire::PayloadType::hash,
                                 wire::encode_body(unproved), insider_->first_iv(MessageId{77})))
                  .empty());
  wire::Header header;
  header.cookies = insider_->session().cookies;
  header.exchange = ExchangeType::transaction;
  header.message_id = MessageId{79};
  const std::vector<wire::Payload> clear{xauth_request()};
  EXPECT_TRUE(say(wire::encode(header, clear)).empty());
  EXPECT_EQ(find_event(two_->a, EventId::xauth_refused), nullptr);
  // The true one is not kept from its answer by the forged.
  EXPECT_EQ(say(request).size(), 1U);
  expect_quick_mode_works();
}

TEST_P(Transactions, AnswersThatNobodyAskedForAreIgnored) {
  for (const std::uint8_t type : {0, 2, 4, 5, 128, 255}) {
    const AttributesPayload odd{type, 1, {}};
    EXPECT_TRUE(say(insider_->protect(ExchangeType::transaction, MessageId{100U + type}, {odd})).empty());
  }
  expect_quick_mode_works();
}

TEST_P(Transactions, SoManyAtOnceAndNoMore) {
  std::size_t answered = 0;
  for (std::uint32_t i = 0; i < 100; ++i)
    answered +=
        say(insider_->protect(ExchangeType::transaction, MessageId{1000 + i}, {xauth_request()})).size();
  EXPECT_EQ(answered, ike::Limits{}.transactions_per_sa);
  EXPECT_NE(find_event(two_->a, EventId::limit_reached), nullptr);
  two_->net.run_for(Seconds(60));
  EXPECT_EQ(say(insider_->protect(ExchangeType::transaction, MessageId{5000}, {xauth_request()})).size(), 1U);
  expect_quick_mode_works();
}

TEST_P(Transactions, NewGroupModeIsRefusedByAttributesNotSupported) {
  wire::SaPayload group;
  group.proposals = {{1, wire::kProtocolIsakmp, {}, {{1, wire::kTransformKeyIke, {}}}}};
  // RFC 2409 Appendix A: description, type MODP, prime, generator.
  group.proposals[0].transforms[0].attributes = {
      Attribute::short_form(4, 0x8001), Attribute::short_form(5, 1), Attribute{6, false, Bytes(128, 0xfb)},
      Attribute::short_form(7, 2)};
  const Bytes request = insider_->protect(ExchangeType::new_group, MessageId{90}, {group});
  const auto answers = say(request);
  ASSERT_EQ(answers.size(), 1U);
  const auto header = wire::parse_header(answers[0]);
  EXPECT_EQ(header->exchange, ExchangeType::informational);
  const auto payloads = insider_->open(answers[0], insider_->first_iv(header->message_id));
  ASSERT_EQ(payloads.size(), 2U);
  EXPECT_EQ(std::get<wire::NotifyPayload>(payloads[1]).type, NotifyType::attributes_not_supported);
  EXPECT_NE(find_event(two_->a, EventId::group_refused), nullptr);
  // Repeated, it gets the same datagram; forged or in clear, nothing.
  EXPECT_EQ(say(request), answers);
  Bytes forged = insider_->protect(ExchangeType::new_group, MessageId{91}, {group});
  forged.back() ^= 1;
  EXPECT_TRUE(say(forged).empty());
  wire::Header clear;
  clear.cookies = insider_->session().cookies;
  clear.exchange = ExchangeType::new_group;
  clear.message_id = MessageId{92};
  EXPECT_TRUE(say(wire::encode(clear, std::vector<wire::Payload>{group})).empty());
  EXPECT_EQ(count_events(two_->a, EventId::group_refused), 1U);
  expect_quick_mode_works();
}

INSTANTIATE_TEST_SUITE_P(Roles, Transactions, testing::Values(Role::initiator, Role::responder),
                         [](const auto& role) {
                           return role.param == Role::initiator ? "AskedOfTheInitiator"
                                                                : "AskedOfTheResponder";
                         });

// The peer asks for XAUTH after each phase 1, ignores Quick Mode meanwhile, and takes its IKE SA away: we try
// again as after any failure, later each time, and say why.
TEST(TransactionsForEver, APeerThatInsistsIsTriedAgainWithPauses) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  Insider insider(two.net, two.a, two.b);
  const auto seen = two.net.tap;
  std::uint32_t asked = 0;
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    const auto header = *wire::parse_header(data);
    if (header.exchange == ExchangeType::informational) return false;  // not of this peer
    if (header.exchange != ExchangeType::quick) return seen(from, to, data);
    const MessageId id{0x5000 + 2 * asked++};
    Bytes spi = to_bytes(header.cookies.initiator);
    spi.insert(spi.end(), header.cookies.responder.begin(), header.cookies.responder.end());
    const Bytes request = insider.protect(ExchangeType::transaction, id, {xauth_request()});
    const Bytes deletion = insider.protect(ExchangeType::informational, MessageId{id.value + 1},
                                           {wire::DeletePayload{1, wire::kProtocolIsakmp, 16, {spi}, {}}});
    for (const Bytes& said : {request, deletion}) {
      two.net.after(Milliseconds(20), [&two, said] {
        two.a.receive({two.a.address, 500}, {two.b.address, 500}, said);
      });
    }
    return false;
  };
  two.start();
  two.net.run_for(Seconds(300));
  EXPECT_GE(count_events(two.a, EventId::xauth_refused), 3U);
  EXPECT_LE(count_events(two.a, EventId::phase1_established), 10U);
  const auto tunnel = two.a.engine().snapshot({})[0].tunnels[0];
  ASSERT_TRUE(tunnel.last_error);
  EXPECT_NE(tunnel.last_error->error.text.find("XAUTH"), std::string::npos);
}

// Between phase 1 and its end there is nothing to answer with, and phase 1 is as it was.
TEST(TransactionsInPhase1, AreIgnored) {
  for (int exchanged = 1; exchanged <= 5; ++exchanged) {
    for (const ExchangeType type : {ExchangeType::transaction, ExchangeType::new_group}) {
      TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
      int seen = 0;
      two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes&) { return seen++ < exchanged; };
      two.start();
      two.net.run_for(Milliseconds(300));
      for (Gateway* gateway : {&two.a, &two.b}) {
        const auto sas = gateway->engine().snapshot({})[0].isakmp_sas;
        if (sas.empty()) continue;
        wire::Header header;
        header.cookies = sas[0].cookies;
        header.exchange = type;
        header.message_id = MessageId{7};
        const int before = seen;
        const Gateway& other = gateway == &two.a ? two.b : two.a;
        const auto data = wire::encode(header, std::vector<wire::Payload>{xauth_request()});
        gateway->receive({gateway->address, 500}, {other.address, 500}, data);
        EXPECT_EQ(seen, before) << "no answer after " << exchanged << " messages";
      }
      two.net.tap = {};
      EXPECT_TRUE(two.up_within(Seconds(60))) << exchanged;
    }
  }
}

// XAUTH's vendor ID alone begins nothing.
TEST(TransactionsInPhase1, TheVendorIdOfXauthBeginsNone) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  int transactions = 0;
  bool put_in = false;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    const auto header = wire::parse_header(data);
    if (header->exchange == ExchangeType::transaction) ++transactions;
    if (!put_in && header->cookies.responder != Cookie{} && !header->encrypted()) {
      auto body = wire::parse_body(header->next_payload, wire::body_of(*header, data), wire::Padding::none);
      body->payloads.emplace_back(wire::VendorIdPayload{*from_hex(vendor_id_info(VendorId::xauth).hex)});
      data = wire::encode(*header, body->payloads);
      put_in = true;
    }
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(60));
  EXPECT_TRUE(put_in);
  EXPECT_EQ(transactions, 0);
}

}  // namespace
}  // namespace oakgate::sim
