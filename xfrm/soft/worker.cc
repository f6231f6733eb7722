#include "xfrm/soft/worker.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "xfrm/soft/drop_counts.h"

namespace oakgate::soft {

namespace {

constexpr int kRoundsInARow = 8;  // batches of one source before the others get their turn
constexpr Milliseconds kWarnEvery{10'000};

std::string path_text(const OuterPath& path) {
  return path.source.to_string() + " to " + path.destination.to_string();
}

}  // namespace

Instant worker_now() {
  return Instant(
      std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now().time_since_epoch()));
}

bool Worker::RandomPool::fill(std::span<std::uint8_t> out) {
  if (out.size() > pool_.size() - used_) {
    if (RAND_bytes(pool_.data(), static_cast<int>(pool_.size())) != 1) {
      ERR_clear_error();
      return false;
    }
    used_ = 0;
  }
  std::copy_n(pool_.begin() + static_cast<std::ptrdiff_t>(used_), out.size(), out.begin());
  used_ += out.size();
  return true;
}

Worker::Worker(TunDevice tun, OuterSockets sockets, EventQueue& events, WorkerPlace place)
    : tun_(std::move(tun)),
      sockets_(std::move(sockets)),
      events_(events),
      engine_({query_path_mtu, [this](std::span<std::uint8_t> out) { return random_.fill(out); }}),
      place_(place),
      inbox_(*place.inboxes[place.self]),
      steering_(place.self, static_cast<unsigned>(place.inboxes.size())),
      elsewhere_([this](const VirtioHeader& header, std::span<std::uint8_t> packet) {
        return hand_over_leaving(header, packet);
      }) {}

Result<std::unique_ptr<Worker>> Worker::start(TunDevice tun, OuterSockets sockets, EventQueue& events,
                                              WorkerPlace place) {
  std::unique_ptr<Worker> worker(new Worker(std::move(tun), std::move(sockets), events, place));
  if (auto opened = worker->open(); !opened) return fail(std::move(opened.error()));
  // Signals are the daemon's: its loop thread handles them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<void> started;
  try {
    worker->thread_ = std::thread([raw = worker.get()] { raw->loop(); });
  } catch (const std::system_error& error) {
    started = fail(ErrorCode::internal,
                   std::string("the data plane's worker thread cannot start: ") + error.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!started) return fail(std::move(started.error()));
  return worker;
}

Result<void> Worker::open() {
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  std::vector<int> descriptors = sockets_.descriptors();
  descriptors.push_back(tun_.fd());
  descriptors.push_back(inbox_.fd());
  for (const int fd : descriptors) {
    if (auto watched = watch(fd); !watched) return watched;
  }
  return {};
}

Result<void> Worker::watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return fail(ErrorCode::internal,
              std::string("the data plane cannot watch a descriptor: ") + std::strerror(errno));
}

Worker::~Worker() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  inbox_.wake();
  thread_.join();
}

// ---- Commands

void Worker::run(const Command& command) {
  Pending pending{.command = &command};
  post(pending);
  await(pending);
  if (pending.no_memory) throw std::bad_alloc();
}

void Worker::post(Pending& pending) {
  const std::lock_guard lock(mutex_);
  *commands_end_ = &pending;
  commands_end_ = &pending.next;
  inbox_.wake();
}

void Worker::await(const Pending& pending) {
  std::unique_lock lock(mutex_);
  answered_.wait(lock, [&pending] { return pending.done; });
}

void Worker::run_commands() {
  inbox_.answer();
  const Instant time = worker_now();
  std::unique_lock lock(mutex_);
  while (commands_ != nullptr) {
    Pending* const pending = commands_;
    commands_ = pending->next;
    if (commands_ == nullptr) commands_end_ = &commands_;
    lock.unlock();
    try {
      (*pending->command)({engine_, steering_, time});
    } catch (const std::bad_alloc&) {
      pending->no_memory = true;
    }
    lock.lock();
    pending->done = true;
    answered_.notify_all();
  }
  lock.unlock();
  while (engine_.take_waiting(batch_, time)) carry(true, time);
}

Result<void> Worker::attach(int key, UniqueFd socket, const Endpoint& local, bool non_ike_marker,
                            bool receives) {
  Result<void> result;
  run([&](const Parts&) {
    result = sockets_.attach(key, std::move(socket), local, non_ike_marker, receives);
    if (!result || !receives) return;
    result = watch(sockets_.attached(key));
    if (!result) sockets_.detach(key);
  });
  return result;
}

void Worker::detach(int key) {
  run([&](const Parts&) {
    const int fd = sockets_.attached(key);
    if (fd < 0) return;
    // The daemon's descriptor of the same socket lives on, and with it epoll's interest, unless it is taken
    // back.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    sockets_.detach(key);
  });
}

Result<void> Worker::use_device(TunDevice tun, unsigned number) {
  Result<void> watched;
  run([&](const Parts&) {
    malformed_before_ += tun_.malformed();
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, tun_.fd(), nullptr);
    tun_ = std::move(tun);
    device_number_ = number;
    watched = watch(tun_.fd());
  });
  return watched;
}

DropCounts Worker::drops() {
  DropCounts counts;
  run([&](const Parts& parts) {
    counts = drop_counts(parts.engine.drops());
    counts.add(DropReason::malformed, malformed_before_ + tun_.malformed());
    counts.add(DropReason::queue_full, queue_full_ + no_memory_);
  });
  return counts;
}

// ---- The loop

int Worker::timeout(Instant time) const {
  const auto next = engine_.next_expiry();
  if (!next) return -1;
  if (*next <= time) return 0;
  return static_cast<int>(std::min<std::int64_t>((*next - time).count(), 3'600'000));
}

void Worker::loop() {
  bool more = true;
  while (more) {
    try {
      more = turn();
    } catch (const std::bad_alloc&) {
      give_up_batch();
    }
  }
}

// What the engine has taken in is as it was; packets are lost, as on a full queue. What has ended is told
// yet.
void Worker::give_up_batch() {
  no_memory_ += batch_.size();
  batch_.clear();
  std::vector<Expired> expired = std::exchange(output_.expired, {});
  output_.clear();
  output_.expired = std::move(expired);
}

bool Worker::turn() {
  std::array<epoll_event, 16> ready{};
  const int patience = alone() || inbox_.may_sleep() ? timeout(worker_now()) : 0;
  const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), patience);
  engine_.expire(worker_now(), output_);
  flush(worker_now());
  if (!alone()) from_others();
  for (int i = 0; i < count; ++i) {
    const int fd = ready[static_cast<std::size_t>(i)].data.fd;
    if (fd == inbox_.fd()) {
      run_commands();
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
    } else if (fd == tun_.fd()) {
      from_tun();
    } else {
      from_socket(fd);
    }
  }
  return true;
}

void Worker::from_tun() {
  // What is left of a vector does not make the device readable again.
  for (int round = 0; round < kRoundsInARow || tun_.unfinished(); ++round) {
    batch_.clear();
    const auto [more, error] = tun_.read(batch_, alone() ? nullptr : &elsewhere_);
    if (handed_to_ != 0) deliver_handed();
    const Instant time = worker_now();
    carry(true, time);
    if (error != 0) {
      // Somebody removed the device: it never comes back readable, only failing.
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, tun_.fd(), nullptr);
      events_.push(DeviceGone{device_number_, error});
      return;
    }
    if (!more) return;
  }
}

void Worker::from_socket(int fd) {
  std::size_t lost = 0;
  const IkeSink ike = [&](const Endpoint& local, const Endpoint& remote, ByteView datagram) {
    if (!events_.push(IkeDatagram{local, remote, to_bytes(datagram)})) ++lost;
  };
  bool more = true;
  for (int round = 0; more && (round < kRoundsInARow || sockets_.unfinished()); ++round) {
    more = sockets_.receive(fd, batch_, ike);
    if (!alone()) hand_over_arrived();
    carry(false, worker_now());
  }
  if (lost == 0) return;
  warn(worker_now(), "ike",
       {ErrorCode::data_plane,
        "IKE datagrams were dropped: more came to the sockets that carry ESP too than the daemon could take",
        "at most " + std::to_string(EventQueue::kMaxIke) + " at once",
        "see who floods the port",
        {}});
}

void Worker::carry(bool from_lan, Instant time) {
  if (from_lan) {
    engine_.outbound(batch_, time, output_);
  } else {
    engine_.inbound(batch_, output_);
  }
  flush(time);
}

void Worker::flush(Instant time) {
  send_sealed(time);
  engine_.count_refused_by_lan(tun_.write(output_.opened));
  for (const IcmpMessage& message : output_.icmp) sockets_.send_icmp(message);
  for (const SoftLimit& event : output_.soft_limits) events_.push(event);
  for (const Expired& event : output_.expired) events_.push(event);
  for (const Acquire& event : output_.acquires) events_.push(event);
  for (const Moved& event : output_.moved) {
    if (moved_rate_.take(time)) events_.push(event);
  }
  for (const UnknownSpi& event : output_.unknown_spis) {
    if (unknown_rate_.take(time)) events_.push(event);
  }
  output_.clear();
}

void Worker::send_sealed(Instant time) {
  if (output_.sealed.empty()) return;
  const SendReport report = sockets_.send(output_.sealed);
  engine_.count_refused_sends(report.refused);
  if (report.no_socket) {
    warn(time, "no socket",
         {ErrorCode::data_plane,
          "UDP-encapsulated ESP from " + path_text(report.path) +
              " is dropped: no socket on its address and port",
          "the encapsulation socket (UDP 4500, or 500 for drafts 00 and 01) attached",
          "",
          {}});
  }
  if (report.error != 0) {
    warn(time, "send",
         {ErrorCode::data_plane,
          "ESP from " + path_text(report.path) + " cannot be sent: " + std::strerror(report.error),
          "a local address to send from, a route to the peer, and no firewall between",
          "see `ip route get " + report.path.destination.to_string() + "`",
          {}});
  }
}

void Worker::warn(Instant time, const std::string& kind, Error error) {
  const auto last = warned_.find(kind);
  if (last != warned_.end() && time - last->second < kWarnEvery) return;
  warned_[kind] = time;
  events_.push(Warning{std::move(error)});
}

}  // namespace oakgate::soft
