#include "daemon/enrollment.h"

#include <algorithm>

#include "daemon/system_rng.h"
#include "daemon/text.h"

namespace oakgate {

namespace {

constexpr std::size_t kThreads = 2;
constexpr std::size_t kQueue = 1024;
// The calendar may be set while we wait: nobody waits longer without a look at it.
constexpr Milliseconds kLongestWait{60'000};
constexpr Seconds kWhenBusy{60};

}  // namespace

// Works on copies alone: the daemon may be gone before it ends.
class Enrollment::Look final : public Task {
 public:
  Look(Enrollment& owner, const Entry& entry, std::shared_ptr<const Fetcher> fetcher)
      : owner_(owner), place_(entry.place), attempts_(entry.attempts), fetcher_(std::move(fetcher)) {}

  void work() override {
    auto rng = SystemRng::create();
    if (!rng) {
      round_.lines.push_back({LogLevel::error, error_text(rng.error())});
      return;
    }
    round_ = enrollment_round(place_, *fetcher_, *rng, std::move(attempts_), read_clocks().wall);
  }
  void done() override { owner_.on_round(place_.trustpoint.name, std::move(round_)); }

 private:
  Enrollment& owner_;  // for done() alone: the loop's thread
  EnrollmentPlace place_;
  RenewalAttempts attempts_;
  std::shared_ptr<const Fetcher> fetcher_;
  EnrollmentRound round_;
};

Result<std::unique_ptr<Enrollment>> Enrollment::create(Parts parts) {
  auto pool = WorkerPool::create(kThreads, kQueue, WorkerPool::AtEnd::leave);
  if (!pool) return fail(pool.error());
  return std::unique_ptr<Enrollment>(new Enrollment(std::move(parts), std::move(*pool)));
}

Enrollment::Enrollment(Parts parts, std::unique_ptr<WorkerPool> pool)
    : parts_(std::move(parts)),
      timer_(parts_.loop, [this] { on_timer(); }),
      pool_(std::move(pool)),
      watch_(Watch::readable(parts_.loop, pool_->fd(), [this] { pool_->dispatch(); })) {}

void Enrollment::configure(const std::vector<TrustpointConfig>& trustpoints, const std::string& state_dir,
                           const conf::Environment& environment) {
  std::map<std::string, Entry> before = std::move(entries_);
  entries_.clear();
  for (const TrustpointConfig& trustpoint : trustpoints) {
    if (!trustpoint.enrollment) continue;
    Entry& entry = entries_[trustpoint.name];
    if (const auto known = before.find(trustpoint.name); known != before.end()) {
      entry.at_work = known->second.at_work;
      entry.again = known->second.at_work;
    }
    entry.place = {trustpoint, state_dir, environment};
    if (!entry.at_work) look(trustpoint.name);
  }
  arm();
}

void Enrollment::look(const std::string& trustpoint) {
  Entry& entry = entries_.at(trustpoint);
  entry.next.reset();
  const Result<void> submitted = pool_->submit(std::make_unique<Look>(*this, entry, parts_.fetcher));
  entry.at_work = submitted.has_value();
  if (!submitted) entry.next = read_clocks().wall + kWhenBusy;
}

void Enrollment::on_round(const std::string& trustpoint, EnrollmentRound round) {
  for (const EnrollmentRound::Line& line : round.lines)
    parts_.log.write(Facility::pki, line.level, line.text);
  if (const auto known = entries_.find(trustpoint); known != entries_.end()) {
    Entry& entry = known->second;
    entry.at_work = false;
    entry.next = round.next;
    entry.attempts = std::move(round.attempts);
    if (entry.again) {
      entry.again = false;
      look(trustpoint);
    }
  }
  arm();
  // Last: it may call configure().
  if (round.certificates_changed) parts_.certificates_changed(trustpoint);
}

void Enrollment::on_timer() {
  const WallTime now = read_clocks().wall;
  for (auto& [name, entry] : entries_) {
    if (!entry.at_work && entry.next && *entry.next <= now) look(name);
  }
  arm();
}

void Enrollment::arm() {
  std::optional<WallTime> next;
  for (const auto& [name, entry] : entries_) {
    if (entry.next) next = next ? std::min(*next, *entry.next) : *entry.next;
  }
  if (!next) {
    timer_.disarm();
    return;
  }
  const Milliseconds wait = std::chrono::ceil<Seconds>(*next - read_clocks().wall);
  timer_.arm(std::clamp<Milliseconds>(wait, Milliseconds(0), kLongestWait));
}

}  // namespace oakgate
