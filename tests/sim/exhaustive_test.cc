// Every single message of a negotiation, and every pair of them, is dropped, doubled or delayed past its
// repetition, for each way to authenticate: the tunnel comes up all the same, and both ends agree.
#include <gtest/gtest.h>

#include "tests/sim/two_gateways.h"
#include "tests/sim/watch.h"

namespace oakgate::sim {
namespace {

enum class Fault { drop, twice, late };

struct Way {
  std::string_view name;
  AuthMethod method;
  bool aggressive;
};
void PrintTo(const Way& way, std::ostream* out) {
  *out << way.name;
}

struct Strike {
  std::size_t message;  // counted from 0, in the order they are sent
  Fault fault;
};

std::string describe(const std::vector<Strike>& strikes) {
  std::string text;
  for (const Strike& strike : strikes) {
    const char* what = strike.fault == Fault::drop    ? "dropped"
                       : strike.fault == Fault::twice ? "doubled"
                                                      : "late";
    text += "message " + std::to_string(strike.message + 1) + " " + what + "; ";
  }
  return text;
}

class Exhaustive : public testing::TestWithParam<Way> {
 protected:
  static void prepare(TwoGateways& two) {
    const Way& way = GetParam();
    if (way.method == AuthMethod::rsa_encr || way.method == AuthMethod::rsa_encr_rev) {
      use_rsa_encryption(two.a, two.b, way.method);
    } else if (way.method != AuthMethod::pre_share) {
      use_certificates(two.a, two.b, way.method);
    }
    for (Gateway* gateway : {&two.a, &two.b}) gateway->config().peers.front().aggressive = way.aggressive;
  }

  static std::size_t messages_of_a_good_one() {
    TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
    prepare(two);
    two.start();
    EXPECT_TRUE(two.up_within(Seconds(10)));
    two.net.run_for(Seconds(5));
    return two.net.datagrams;
  }

  static void survives(const std::vector<Strike>& strikes) {
    TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
    prepare(two);
    std::size_t sent = 0;
    bool again = false;  // what we send ourselves
    two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
      if (again) return true;
      const std::size_t number = sent++;
      for (const Strike& strike : strikes) {
        if (strike.message != number) continue;
        if (strike.fault == Fault::drop) return false;
        const Milliseconds late(strike.fault == Fault::late ? 1500 : 40);
        two.net.after(late, [&, from, to, copy = data] {
          again = true;
          two.net.send(from, to, copy);
          again = false;
        });
        return strike.fault == Fault::twice;
      }
      return true;
    };
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(60))) << describe(strikes);
    two.net.run_for(Seconds(60));
    EXPECT_TRUE(carries(two.a, two.b, 1)) << describe(strikes);
    EXPECT_EQ(two.a.plane().size(), 2U) << describe(strikes);
    EXPECT_EQ(two.b.plane().size(), 2U) << describe(strikes);
    EXPECT_EQ(Watch(two.net).disagreement(two.a, two.b), "") << describe(strikes);
  }
};

constexpr std::array kFaults{Fault::drop, Fault::twice, Fault::late};

TEST_P(Exhaustive, EverySingleMessageAndEveryPairOfThem) {
  const std::size_t messages = messages_of_a_good_one();
  ASSERT_GE(messages, 6U);
  for (std::size_t first = 0; first < messages; ++first) {
    for (const Fault fault : kFaults) {
      survives({{first, fault}});
      for (std::size_t second = first + 1; second < messages + 2; ++second) {
        for (const Fault other : kFaults) survives({{first, fault}, {second, other}});
      }
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, Exhaustive,
                         testing::Values(Way{"PreSharedKey", AuthMethod::pre_share, false},
                                         Way{"RsaSignature", AuthMethod::rsa_sig, false},
                                         Way{"EcdsaSignature", AuthMethod::ecdsa_sig, false},
                                         Way{"RsaEncryption", AuthMethod::rsa_encr, false},
                                         Way{"RevisedRsaEncryption", AuthMethod::rsa_encr_rev, false},
                                         Way{"AggressivePreSharedKey", AuthMethod::pre_share, true},
                                         Way{"AggressiveRsaSignature", AuthMethod::rsa_sig, true}),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace oakgate::sim
