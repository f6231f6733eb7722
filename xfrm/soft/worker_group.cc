#include "xfrm/soft/worker_group.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>

namespace oakgate::soft {

Result<std::unique_ptr<WorkerGroup>> WorkerGroup::start(std::vector<TunDevice> queues, EventQueue& events) {
  std::unique_ptr<WorkerGroup> group(new WorkerGroup());
  const auto count = static_cast<unsigned>(queues.size());
  for (unsigned i = 0; i < count; ++i) {
    group->inboxes_.push_back(std::make_unique<WorkerInbox>(i, count));
    if (auto opened = group->inboxes_.back()->open(); !opened) return fail(std::move(opened.error()));
  }
  for (unsigned i = 0; i < count; ++i) {
    auto sockets = OuterSockets::open(i == 0);
    if (!sockets) return fail(std::move(sockets.error()));
    auto worker = Worker::start(std::move(queues[i]), std::move(*sockets), events, {i, group->inboxes_});
    if (!worker) return fail(std::move(worker.error()));
    group->workers_.push_back(std::move(*worker));
  }
  return group;
}

void WorkerGroup::run_all(const Worker::Command& command) {
  std::array<Worker::Pending, kMost> pending;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    pending[i].command = &command;
    workers_[i]->post(pending[i]);
  }
  bool no_memory = false;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->await(pending[i]);
    no_memory = no_memory || pending[i].no_memory;
  }
  if (no_memory) throw std::bad_alloc();
}

// ---- Policies

// Its owner first: from the moment others hand packets over, somebody knows what to do.
Result<void> WorkerGroup::protect(const ProtectPolicy& policy) {
  Result<void> result;
  workers_[Steering::owner_of(policy.reqid, size())]->run(
      [&](const Worker::Parts& parts) { result = parts.engine.protect(policy); });
  if (result && !alone()) {
    run_all([&](const Worker::Parts& parts) { parts.steering.protect(policy); });
  }
  return result;
}

void WorkerGroup::unprotect(Reqid reqid) {
  if (!alone()) {
    run_all([&](const Worker::Parts& parts) { parts.steering.unprotect(reqid); });
  }
  workers_[Steering::owner_of(reqid, size())]->run(
      [&](const Worker::Parts& parts) { parts.engine.unprotect(reqid); });
}

std::optional<ProtectPolicy> WorkerGroup::policy(Reqid reqid) {
  std::optional<ProtectPolicy> found;
  workers_[Steering::owner_of(reqid, size())]->run(
      [&](const Worker::Parts& parts) { found = parts.engine.policy(reqid); });
  return found;
}

// ---- SAs

// Whoever has an SA of this name already says that it is in use.
unsigned WorkerGroup::owner_of(const SaSpec& sa) const {
  const auto found = owners_.find(sa.id);
  return found != owners_.end() ? found->second : Steering::owner_of(sa.reqid, size());
}

namespace {

// Takes no memory.
void take_back(const Worker::Parts& parts, std::span<const SaSpec> sas) {
  for (const SaSpec& sa : sas) {
    parts.steering.remove(sa.id);
    parts.engine.remove({&sa.id, 1});
  }
}

}  // namespace

Result<void> WorkerGroup::install_at(unsigned owner, std::span<const SaSpec> sas) {
  Result<void> result;
  workers_[owner]->run([&](const Worker::Parts& parts) { result = parts.engine.install(sas, parts.now); });
  if (!result || alone()) return result;
  try {
    for (const SaSpec& sa : sas) owners_.emplace(sa.id, owner);
    run_all([&](const Worker::Parts& parts) {
      for (const SaSpec& sa : sas) {
        if (sa.direction == Direction::in) parts.steering.add(sa.id, sa.reqid);
      }
    });
  } catch (const std::bad_alloc&) {
    run_all([&](const Worker::Parts& parts) { take_back(parts, sas); });
    for (const SaSpec& sa : sas) owners_.erase(sa.id);
    throw;
  }
  return result;
}

Result<void> WorkerGroup::install(std::span<const SaSpec> sas) {
  if (alone()) return install_at(0, sas);
  // Those of one tunnel, which are in one call, have one owner.
  std::size_t done = 0;
  while (done < sas.size()) {
    const unsigned owner = owner_of(sas[done]);
    std::size_t end = done + 1;
    while (end < sas.size() && owner_of(sas[end]) == owner) ++end;
    auto result = install_at(owner, sas.subspan(done, end - done));
    if (!result) {
      std::vector<SaId> ids;
      for (const SaSpec& sa : sas.first(done)) ids.push_back(sa.id);
      remove(ids);
      return result;
    }
    done = end;
  }
  return {};
}

void WorkerGroup::remove(std::span<const SaId> sas) {
  run_all([&](const Worker::Parts& parts) {
    for (const SaId& id : sas) parts.steering.remove(id);
    parts.engine.remove(sas);  // of what others own nothing is there
  });
  for (const SaId& id : sas) owners_.erase(id);
}

// Inbound SAs keep their names, so whose packets are handed over to whom stays as it is.
Result<void> WorkerGroup::move(std::span<const SaMove> sas) {
  std::vector<std::vector<SaMove>> wanted(workers_.size());
  for (const SaMove& sa : sas) {
    const auto found = owners_.find(sa.id);
    if (!alone() && found == owners_.end()) {
      return fail(ErrorCode::not_found, "the SA to " + sa.id.destination.to_string() + " is gone");
    }
    wanted[alone() ? 0 : found->second].push_back(sa);
  }
  for (std::size_t owner = 0; owner < workers_.size(); ++owner) {
    if (wanted[owner].empty()) continue;
    Result<std::vector<SaId>> moved;
    workers_[owner]->run([&](const Worker::Parts& parts) { moved = parts.engine.move(wanted[owner]); });
    if (!moved) return fail(std::move(moved.error()));
    if (alone()) continue;
    for (const SaMove& sa : wanted[owner]) owners_.erase(sa.id);
    for (const SaId& id : *moved) owners_.emplace(id, static_cast<unsigned>(owner));
  }
  return {};
}

void WorkerGroup::forget(std::span<const SaId> sas) {
  if (alone() || sas.empty()) return;
  run_all([&](const Worker::Parts& parts) {
    for (const SaId& id : sas) parts.steering.remove(id);
  });
  for (const SaId& id : sas) owners_.erase(id);
}

std::vector<SaCounters> WorkerGroup::counters(std::span<const SaId> sas) {
  std::vector<SaCounters> result;
  if (alone()) {
    workers_[0]->run([&](const Worker::Parts& parts) { result = parts.engine.counters(sas); });
    return result;
  }
  std::vector<std::vector<SaId>> wanted(workers_.size());
  std::vector<std::vector<std::size_t>> places(workers_.size());
  for (std::size_t i = 0; i < sas.size(); ++i) {
    result.push_back({.id = sas[i]});
    const auto found = owners_.find(sas[i]);
    if (found == owners_.end()) continue;
    wanted[found->second].push_back(sas[i]);
    places[found->second].push_back(i);
  }
  for (std::size_t owner = 0; owner < workers_.size(); ++owner) {
    if (wanted[owner].empty()) continue;
    std::vector<SaCounters> some;
    workers_[owner]->run([&](const Worker::Parts& parts) { some = parts.engine.counters(wanted[owner]); });
    for (std::size_t i = 0; i < some.size(); ++i) result[places[owner][i]] = some[i];
  }
  return result;
}

DropCounts WorkerGroup::drops() {
  DropCounts counts;
  for (const auto& worker : workers_) {
    const DropCounts some = worker->drops();
    for (const DropReasonRow& row : kDropReasons) counts.add(row.reason, some.of(row.reason));
  }
  return counts;
}

// ---- Device and sockets

Result<void> WorkerGroup::use_device(std::vector<TunDevice> queues) {
  ++device_number_;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (auto used = workers_[i]->use_device(std::move(queues[i]), device_number_); !used) return used;
  }
  return {};
}

Result<void> WorkerGroup::attach(int key, int socket, const Endpoint& local, bool non_ike_marker) {
  const unsigned reader = next_reader_;
  next_reader_ = (next_reader_ + 1) % size();
  for (unsigned i = 0; i < size(); ++i) {
    UniqueFd copy(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
    Result<void> attached;
    if (copy.valid()) {
      attached = workers_[i]->attach(key, std::move(copy), local, non_ike_marker, i == reader);
    } else {
      attached = fail(ErrorCode::data_plane, "the encapsulation socket " + local.to_string() +
                                                 " cannot be used: " + std::strerror(errno));
    }
    if (attached) continue;
    if (attached.error().code != ErrorCode::in_use) detach(key);
    return attached;
  }
  return {};
}

void WorkerGroup::detach(int key) {
  for (const auto& worker : workers_) worker->detach(key);
}

}  // namespace oakgate::soft
