#include "ike/transport.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ike/core.h"

namespace oakgate::ike {
namespace {

class NoRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), std::uint8_t{0}); }
};

// Any number of messages may come between one and its replay, up to the limit: then the oldest are forgotten,
// one for each that comes new.
TEST(RememberedMessages, TheLastOnesAreKnown) {
  EngineState state;
  const std::uint32_t limit = 100;
  state.limits.remembered_messages = limit;
  NoRng rng;
  Effects out;
  const Context context{{}, rng, out};
  Core core(state, context);
  IkeSa sa;
  for (std::uint32_t number = 1; number <= 3 * limit; ++number) {
    const MessageId id{number * 7919};
    EXPECT_FALSE(remembered(sa, id));
    remember(core, sa, id);
    remember(core, sa, id);  // takes no second place
    const std::uint32_t oldest = number > limit ? number - limit + 1 : 1;
    for (std::uint32_t known = oldest; known <= number; ++known)
      ASSERT_TRUE(remembered(sa, MessageId{known * 7919})) << known << " after " << number;
    if (oldest > 1) {
      EXPECT_FALSE(remembered(sa, MessageId{(oldest - 1) * 7919}));
    }
  }
}

}  // namespace
}  // namespace oakgate::ike
