// A peer that sets the commit bit in Quick Mode (RFC 2408 section 3.1): what we send with is used after its
// CONNECTED, in each form that peers send it, or after a bounded wait. The bit is put in on the wire, where
// nothing protects it; CONNECTED is said by somebody who has the peer's keys (insider.h).
#include <gtest/gtest.h>

#include "tests/sim/insider.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using ike::EventId;
using wire::ExchangeType;

enum class Form { informational, informational_going_on, own_id, fourth_message };

struct Committed {
  // `from_initiator`: gw-a, which begins, sets the bit; else gw-b, which answers.
  explicit Committed(bool from_initiator,
                     const TunnelPlan& tunnel = plan(StartMode::on_start, StartMode::responder))
      : two(1, {tunnel}), insider(two.net, two.a, two.b), inner(two.net.tap) {
    two.net.tap = [this, from_initiator](const Endpoint& from, const Endpoint& to, Bytes& data) {
      const auto header = wire::parse_header(data);
      if (header->exchange == ExchangeType::quick) {
        id = header->message_id;
        last_block = {data.end() - 16, data.end()};
        ++messages;
        if ((from.address == two.a.address) == from_initiator) data[19] |= wire::kFlagCommit;
      }
      return inner(from, to, data);
    };
    two.start();
  }
  // The one that did not set it, and waits.
  Gateway& waiting(bool from_initiator) { return from_initiator ? two.b : two.a; }

  Bytes connected(Form form, bool by_initiator) {
    wire::NotifyPayload notify{wire::kDoiIpsec, wire::kProtocolEsp, NotifyType::connected, {}, {}};
    if (form == Form::fourth_message) return insider.protect(ExchangeType::quick, id, {notify}, last_block);
    if (form == Form::informational_going_on)
      return insider.protect(ExchangeType::informational, id, {notify}, last_block);
    if (form == Form::informational) return insider.protect(ExchangeType::informational, id, {notify});
    // Under an id of its own it names the SA: what the sender receives with.
    const Gateway& sender = by_initiator ? two.a : two.b;
    ByteWriter spi;
    for (const auto& [sa, held] : sender.plane()) {
      if (held.spec.direction == Direction::in) spi.u32(sa.spi.value);
    }
    notify.spi = std::move(spi).take();
    return insider.protect(ExchangeType::informational, MessageId{id.value + 1}, {notify});
  }
  std::size_t sending(const Gateway& gateway) const {
    return static_cast<std::size_t>(
        std::count_if(gateway.plane().begin(), gateway.plane().end(),
                      [](const auto& entry) { return entry.second.spec.direction == Direction::out; }));
  }

  TwoGateways two;
  Insider insider;
  std::function<bool(const Endpoint&, const Endpoint&, Bytes&)> inner;
  MessageId id;
  Bytes last_block;
  int messages = 0;
};

class CommitBit : public testing::TestWithParam<std::tuple<bool, Form>> {};

TEST_P(CommitBit, WeSendOnceThePeerSaysConnected) {
  const auto [from_initiator, form] = GetParam();
  Committed peers(from_initiator);
  Gateway& us = peers.waiting(from_initiator);
  Gateway& committer = from_initiator ? peers.two.a : peers.two.b;
  peers.two.net.run_for(Milliseconds(900));
  ASSERT_EQ(peers.messages, 3);
  ASSERT_NE(find_event(us, EventId::commit_awaited), nullptr);
  EXPECT_TRUE(committer.tunnels_up());
  EXPECT_FALSE(us.tunnels_up());
  EXPECT_EQ(peers.sending(us), 0U);
  EXPECT_TRUE(committer.send_traffic(Reqid{kFirst}, us)) << "it receives at once";
  const Bytes connected = peers.connected(form, from_initiator);
  us.receive({us.address, 500}, {committer.address, 500}, connected);
  peers.two.net.run_for(Milliseconds(50));
  EXPECT_TRUE(us.tunnels_up());
  EXPECT_EQ(peers.sending(us), 1U);
  EXPECT_TRUE(carries(peers.two.a, peers.two.b, 1));
  // Nothing more comes of it, neither of the wait nor of a repetition.
  us.receive({us.address, 500}, {committer.address, 500}, connected);
  peers.two.net.run_for(Seconds(60));
  EXPECT_EQ(find_event(us, EventId::commit_unanswered), nullptr);
  EXPECT_EQ(count_events(us, EventId::phase2_established), 1U);
  EXPECT_TRUE(carries(peers.two.a, peers.two.b, 1));
}

TEST_P(CommitBit, AForgedConnectedChangesNothing) {
  const auto [from_initiator, form] = GetParam();
  Committed peers(from_initiator);
  Gateway& us = peers.waiting(from_initiator);
  Gateway& committer = from_initiator ? peers.two.a : peers.two.b;
  peers.two.net.run_for(Milliseconds(900));
  Bytes forged = peers.connected(form, from_initiator);
  const Bytes good = forged;
  forged[forged.size() - 20] ^= 1;
  us.receive({us.address, 500}, {committer.address, 500}, forged);
  peers.two.net.run_for(Milliseconds(50));
  EXPECT_FALSE(us.tunnels_up());
  us.receive({us.address, 500}, {committer.address, 500}, good);
  peers.two.net.run_for(Milliseconds(50));
  EXPECT_TRUE(us.tunnels_up());
}

INSTANTIATE_TEST_SUITE_P(Forms, CommitBit,
                         testing::Combine(testing::Bool(),
                                          testing::Values(Form::informational, Form::informational_going_on,
                                                          Form::own_id, Form::fourth_message)));

// Nobody says CONNECTED: a peer that sets the bit for no reason, or somebody on the way who did.
TEST(CommitBitAlone, TheWaitIsBounded) {
  for (const bool from_initiator : {true, false}) {
    Committed peers(from_initiator);
    Gateway& us = peers.waiting(from_initiator);
    peers.two.net.run_for(Milliseconds(2500));
    EXPECT_FALSE(us.tunnels_up());
    EXPECT_TRUE(peers.two.up_within(Seconds(2)));
    EXPECT_NE(find_event(us, EventId::commit_unanswered), nullptr);
    EXPECT_TRUE(carries(peers.two.a, peers.two.b, 1));
    peers.two.net.run_for(Seconds(60));
    EXPECT_TRUE(carries(peers.two.a, peers.two.b, 1));
    EXPECT_EQ(count_events(us, EventId::phase2_established), 1U);
  }
}

// A renewal goes on sending with the older SA meanwhile: no packet is lost.
TEST(CommitBitAlone, ARenewalLosesNoPacket) {
  for (const bool from_initiator : {true, false}) {
    TunnelPlan tunnel = plan(StartMode::on_start, StartMode::responder);
    tunnel.lifetime = Seconds(120);
    Committed peers(from_initiator, tunnel);
    peers.two.b.receives_late = true;
    ASSERT_TRUE(peers.two.up_within(Seconds(5)));
    std::size_t lost = 0;
    for (int i = 0; i < 4000; ++i) {
      peers.two.net.run_for(Milliseconds(100));
      lost += carries(peers.two.a, peers.two.b, 1) ? 0 : 1;
    }
    EXPECT_EQ(lost, 0U);
    EXPECT_GE(count_events(peers.two.a, EventId::phase2_established), 3U);
    EXPECT_GE(count_events(peers.waiting(from_initiator), EventId::commit_awaited), 3U);
  }
}

// Message 3 may be lost, and CONNECTED with it: it is repeated while that is awaited.
TEST(CommitBitAlone, ALostMessage3IsRepeated) {
  Committed peers(false);
  const auto tap = peers.two.net.tap;
  bool dropped = false;
  peers.two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    if (!tap(from, to, data)) return false;
    if (peers.messages != 3 || dropped) return true;
    dropped = true;
    return false;
  };
  peers.two.net.run_for(Milliseconds(1500));
  EXPECT_TRUE(dropped);
  EXPECT_TRUE(peers.two.b.tunnels_up());
}

// The peer refuses, or deletes what it receives with, while we wait: nothing is left of it.
TEST(CommitBitAlone, ARefusalOrDeletionEndsTheWait) {
  for (const bool refuses : {true, false}) {
    Committed peers(false);
    Gateway& us = peers.two.a;
    peers.two.net.run_for(Milliseconds(900));
    ASSERT_FALSE(us.plane().empty());
    ByteWriter spi;
    for (const auto& [sa, held] : peers.two.b.plane()) {
      if (held.spec.direction == Direction::in) spi.u32(sa.spi.value);
    }
    wire::Payload payload =
        wire::DeletePayload{wire::kDoiIpsec, wire::kProtocolEsp, 4, {std::move(spi).take()}, {}};
    if (refuses) {
      payload =
          wire::NotifyPayload{wire::kDoiIpsec, wire::kProtocolEsp, NotifyType::no_proposal_chosen, {}, {}};
    }
    us.receive({us.address, 500}, {peers.two.b.address, 500},
               peers.insider.protect(ExchangeType::informational, MessageId{5}, {payload}));
    EXPECT_TRUE(us.plane().empty());
    EXPECT_NE(find_event(us, EventId::phase2_failed), nullptr);
  }
}

}  // namespace
}  // namespace oakgate::sim
