// Traffic that begins at both ends, or comes back before a negotiation is over.
#include <gtest/gtest.h>

#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using ike::EventId;

constexpr Reqid kLan{kFirst};
constexpr int kMessage3 = 5;  // of what gateway a sends: three of Main Mode, two of Quick Mode

struct BothOnTraffic : TwoGateways {
  explicit BothOnTraffic(std::uint64_t seed)
      : TwoGateways(seed, {plan(StartMode::on_traffic, StartMode::on_traffic)}) {
    net.tap = [this](const Endpoint& from, const Endpoint&, Bytes&) {
      if (from.address != a.address || ++from_a != kMessage3) return true;
      if (at_message_3) at_message_3();
      return false;
    };
    start();
    static_cast<void>(a.send_traffic(kLan, b));
  }
  int from_a = 0;
  std::function<void()> at_message_3;  // which is lost
};

// Gateway a sends under the new SAs from message 3 on, and the answer is back before that has been read.
TEST(OnTraffic, AnAnswerAheadOfMessage3StartsNothing) {
  BothOnTraffic two(1);
  bool answered = true;
  two.at_message_3 = [&] { answered = two.b.send_traffic(kLan, two.a); };
  two.net.run_for(Seconds(1));
  EXPECT_FALSE(answered) << "nothing to send it with yet";
  two.net.run_for(Seconds(30));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  for (Gateway* gateway : {&two.a, &two.b}) {
    EXPECT_EQ(count_events(*gateway, EventId::phase2_established), 1U) << gateway->name;
    EXPECT_EQ(gateway->plane().size(), 2U);
  }
}

TEST(OnTraffic, WhereMessage3NeverComesOurOwnStartsAfterAll) {
  BothOnTraffic two(2);
  two.at_message_3 = [&] { two.net.after(Milliseconds(0), [&] { two.a.kill(); }); };
  two.net.run_for(Seconds(2));
  static_cast<void>(two.b.send_traffic(kLan, two.a));
  two.a.start();
  bool carried = false;
  for (int second = 0; second < 150 && !carried; ++second) {
    two.net.run_for(Seconds(1));
    carried = two.b.send_traffic(kLan, two.a);
  }
  EXPECT_TRUE(carried) << "the exchange that waited has timed out";
}

}  // namespace
}  // namespace oakgate::sim
