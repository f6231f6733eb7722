#include "ike/timers.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace oakgate::ike {
namespace {

Instant at(int ms) {
  return Instant(Milliseconds(ms));
}

TEST(TimerQueue, GivesOutTheEarliestThatIsDue) {
  TimerQueue timers;
  TimerId late = timers.arm(at(20), {TimerKind::phase1_expired, 2, 0});
  TimerId early = timers.arm(at(10), {TimerKind::retransmit, 1, 7});
  EXPECT_EQ(timers.next(), at(10));
  EXPECT_EQ(timers.when(late), at(20));
  EXPECT_FALSE(timers.take_due(at(9)));
  const auto due = timers.take_due(at(10));
  ASSERT_TRUE(due);
  EXPECT_EQ(due->kind, TimerKind::retransmit);
  EXPECT_EQ(due->detail, 7U);
  EXPECT_FALSE(timers.when(early));
  EXPECT_FALSE(timers.take_due(at(19)));
  EXPECT_EQ(timers.size(), 1U);
}

TEST(TimerQueue, CancelForgetsAndIsHarmlessTwice) {
  TimerQueue timers;
  TimerId id = timers.arm(at(10), {TimerKind::keepalive_due, 1, 0});
  TimerId copy = id;
  timers.cancel(id);
  EXPECT_EQ(id, TimerId{});
  timers.cancel(copy);
  timers.cancel(id);
  EXPECT_FALSE(timers.next());
}

TEST(TimerQueue, TwoAtOneMomentBothFireInOrderOfArming) {
  TimerQueue timers;
  static_cast<void>(timers.arm(at(5), {TimerKind::retransmit, 1, 0}));
  static_cast<void>(timers.arm(at(5), {TimerKind::retransmit, 2, 0}));
  EXPECT_EQ(timers.take_due(at(5))->subject, 1U);
  EXPECT_EQ(timers.take_due(at(5))->subject, 2U);
}

// A timer's place serves another once it has fired or was cancelled: its id is none of that one's.
TEST(TimerQueue, AnIdIsNeverAnotherTimers) {
  TimerQueue timers;
  TimerId cancelled = timers.arm(at(10), {TimerKind::retransmit, 1, 0});
  const TimerId copy = cancelled;
  timers.cancel(cancelled);
  TimerId fired = timers.arm(at(1), {TimerKind::retransmit, 2, 0});
  EXPECT_EQ(timers.take_due(at(1))->subject, 2U);
  const TimerId here = timers.arm(at(30), {TimerKind::retransmit, 3, 0});
  for (TimerId stale : {copy, fired}) {
    EXPECT_NE(stale, here);
    EXPECT_FALSE(timers.when(stale));
    timers.cancel(stale);
  }
  EXPECT_EQ(timers.when(here), at(30));
  EXPECT_EQ(timers.size(), 1U);
}

// What a queue has to do, in the simplest words: those of one moment fire in the order of arming, as a
// multimap keeps them.
class Model {
 public:
  struct Held {
    TimerId id;
    std::uint64_t subject = 0;
  };
  void arm(Instant when, Held held) { armed_.emplace(when, held); }
  void cancel(TimerId id) {
    std::erase_if(armed_, [id](const auto& entry) { return entry.second.id == id; });
  }
  [[nodiscard]] std::optional<Instant> when(TimerId id) const {
    for (const auto& [when, held] : armed_) {
      if (held.id == id) return when;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<Instant> next() const {
    return armed_.empty() ? std::nullopt : std::optional(armed_.begin()->first);
  }
  std::optional<std::uint64_t> take_due(Instant now) {
    if (armed_.empty() || armed_.begin()->first > now) return std::nullopt;
    return armed_.extract(armed_.begin()).mapped().subject;
  }
  [[nodiscard]] std::size_t size() const { return armed_.size(); }

 private:
  std::multimap<Instant, Held> armed_;
};

// Owners as the core has them: each keeps one id, which goes stale when its timer fires, and cancels, arms
// anew or does nothing, by chance; also from within the firing of its own timer or of another one.
class Owners {
 public:
  explicit Owners(std::uint64_t seed) : rng_(seed) {}

  void act(Instant now) {
    const std::size_t owner = below(kOwners);
    TimerId& id = ids_[owner];
    if (below(3) == 0) {
      old_.push_back(id);
      model_.cancel(id);
      timers_.cancel(id);
      EXPECT_EQ(id, TimerId{});
    } else {
      arm(owner, now + Milliseconds(below(50)));
    }
  }
  void run(Instant now) {
    while (const auto due = timers_.take_due(now)) {
      ASSERT_EQ(due->subject, model_.take_due(now));
      EXPECT_EQ(due->detail, static_cast<std::uint32_t>(due->subject));
      // From within its callback: its own is gone already, another one may be anywhere.
      if (below(2) == 0) arm(due->subject % kOwners, now + Milliseconds(below(3)));
      if (below(4) == 0) act(now);
    }
    EXPECT_FALSE(model_.take_due(now));
  }
  void compare() {
    ASSERT_EQ(timers_.size(), model_.size());
    ASSERT_EQ(timers_.next(), model_.next());
    for (const TimerId id : ids_) ASSERT_EQ(timers_.when(id), model_.when(id));
    // Stale ones cancel nobody's.
    while (!old_.empty()) {
      TimerId stale = old_.back();
      old_.pop_back();
      ASSERT_FALSE(timers_.when(stale));
      timers_.cancel(stale);
    }
    ASSERT_EQ(timers_.size(), model_.size());
  }
  [[nodiscard]] std::uint64_t armed() const { return subjects_ / kOwners; }

 private:
  static constexpr std::size_t kOwners = 40;
  std::uint64_t below(std::uint64_t end) { return rng_() % end; }
  void arm(std::size_t owner, Instant when) {
    model_.cancel(ids_[owner]);
    old_.push_back(ids_[owner]);
    timers_.cancel(ids_[owner]);
    subjects_ += kOwners;
    const std::uint64_t subject = subjects_ + owner;
    ids_[owner] = timers_.arm(when, {TimerKind::retransmit, subject, static_cast<std::uint32_t>(subject)});
    model_.arm(when, {ids_[owner], subject});
  }

  std::mt19937_64 rng_;
  TimerQueue timers_;
  Model model_;
  std::vector<TimerId> ids_ = std::vector<TimerId>(kOwners);
  std::vector<TimerId> old_;
  std::uint64_t subjects_ = 0;
};

TEST(TimerQueue, DoesAsASimpleModelDoes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Owners owners(seed);
    for (int ms = 0; ms < 500; ++ms) {
      for (int i = 0; i < 3; ++i) owners.act(at(ms));
      ASSERT_NO_FATAL_FAILURE(owners.run(at(ms)));
      ASSERT_NO_FATAL_FAILURE(owners.compare());
    }
    EXPECT_GT(owners.armed(), 1000U);
  }
}

}  // namespace
}  // namespace oakgate::ike
