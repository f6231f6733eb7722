#include "daemon/hooks/queue.h"

#include <algorithm>

namespace oakgate::hooks {

bool HookQueue::add(HookRun run) {
  const Name name(run.facts.peer, run.facts.tunnel);
  Lane& lane = lanes_[name];
  if (run.event == HookEvent::down) {
    const auto last = std::find_if(lane.waiting.rbegin(), lane.waiting.rend(),
                                   [&](const HookRun& one) { return one.facts.reqid == run.facts.reqid; });
    if (last != lane.waiting.rend() && last->event != HookEvent::down) {
      // One that was adopted was up before: its end is told all the same.
      const bool was_up = last->event == HookEvent::adopted;
      if (was_up) {
        *last = std::move(run);
      } else {
        lane.waiting.erase(std::next(last).base());
        --waiting_;
      }
      forget_if_empty(name);
      return true;
    }
  }
  if (waiting_ >= bounds_.waiting) {
    forget_if_empty(name);
    return false;
  }
  lane.waiting.push_back(std::move(run));
  ++waiting_;
  if (!lane.running && lane.waiting.size() == 1) ready_.push_back(name);
  return true;
}

void HookQueue::start_ready() {
  while (!ready_.empty() && running_.size() < bounds_.at_once) {
    const Name name = std::move(ready_.front());
    ready_.pop_front();
    const auto found = lanes_.find(name);
    if (found == lanes_.end() || found->second.running || found->second.waiting.empty()) continue;
    Lane& lane = found->second;
    HookRun run = std::move(lane.waiting.front());
    lane.waiting.pop_front();
    lane.running = true;
    --waiting_;
    const std::uint64_t id = next_++;
    running_.emplace(id, name);
    start_(id, std::move(run));
  }
}

void HookQueue::done(std::uint64_t id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const Name name = std::move(found->second);
  running_.erase(found);
  Lane& lane = lanes_[name];
  lane.running = false;
  if (!lane.waiting.empty()) ready_.push_back(name);
  forget_if_empty(name);
}

void HookQueue::forget_if_empty(const Name& name) {
  const auto found = lanes_.find(name);
  if (found != lanes_.end() && !found->second.running && found->second.waiting.empty()) lanes_.erase(found);
}

}  // namespace oakgate::hooks
