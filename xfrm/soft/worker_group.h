// The workers as one, for the loop thread: each command goes to the worker that it concerns, or to all.
//
// Owned by one worker, by the reqid: a tunnel's policy, its SAs of both directions, their numbers and windows
// (steering.h). Dealt out: the TUN's queues, one to each; raw sockets, all to the first worker; encapsulation
// sockets, one after the other. A socket has one reader, so that what came in order stays in order; all send
// from it.
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "xfrm/soft/worker.h"

namespace oakgate::soft {

class WorkerGroup {
 public:
  static constexpr unsigned kMost = 64;

  // As many workers as `queues` of one TUN. `events` outlives them.
  [[nodiscard]] static Result<std::unique_ptr<WorkerGroup>> start(std::vector<TunDevice> queues,
                                                                  EventQueue& events);

  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(workers_.size()); }

  // The port's functions of the same names (ike/ports/data_plane.h), the guard apart.
  [[nodiscard]] Result<void> protect(const ProtectPolicy& policy);
  void unprotect(Reqid reqid);
  [[nodiscard]] std::optional<ProtectPolicy> policy(Reqid reqid);
  [[nodiscard]] Result<void> install(std::span<const SaSpec> sas);
  void remove(std::span<const SaId> sas);
  [[nodiscard]] Result<void> move(std::span<const SaMove> sas);
  [[nodiscard]] std::vector<SaCounters> counters(std::span<const SaId> sas);
  [[nodiscard]] DropCounts drops();
  [[nodiscard]] Result<void> attach(int key, int socket, const Endpoint& local, bool non_ike_marker);
  void detach(int key);
  // Queues of a device that takes a lost one's place, as many as before.
  [[nodiscard]] Result<void> use_device(std::vector<TunDevice> queues);
  // Of the device at hand, from 0: an event of another one is an old one.
  [[nodiscard]] unsigned device_number() const { return device_number_; }
  // SAs that their workers have taken away.
  void forget(std::span<const SaId> sas);

 private:
  struct SaIdHash {
    std::size_t operator()(const SaId& id) const noexcept { return std::hash<Spi>{}(id.spi); }
  };
  WorkerGroup() = default;
  [[nodiscard]] bool alone() const { return workers_.size() == 1; }
  // All at once; `command` runs on several threads.
  void run_all(const Worker::Command& command);
  [[nodiscard]] unsigned owner_of(const SaSpec& sa) const;
  [[nodiscard]] Result<void> install_at(unsigned owner, std::span<const SaSpec> sas);

  std::vector<std::unique_ptr<WorkerInbox>> inboxes_;
  std::vector<std::unique_ptr<Worker>> workers_;         // end before their inboxes
  std::unordered_map<SaId, unsigned, SaIdHash> owners_;  // of all SAs; empty where one worker has all
  unsigned device_number_ = 0;
  unsigned next_reader_ = 0;  // of the next encapsulation socket
};

}  // namespace oakgate::soft
