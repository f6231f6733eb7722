#include "xfrm/soft/worker.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace oakgate::soft {

namespace {

constexpr int kRoundsInARow = 8;  // batches of one source before the others get their turn
constexpr Milliseconds kWarnEvery{10'000};

Instant now() {
  return Instant(
      std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now().time_since_epoch()));
}

std::string path_text(const OuterPath& path) {
  return path.source.to_string() + " to " + path.destination.to_string();
}

}  // namespace

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

Worker::Worker(TunDevice tun, OuterSockets sockets, EventQueue& events)
    : tun_(std::move(tun)),
      sockets_(std::move(sockets)),
      events_(events),
      engine_({query_path_mtu, [this](std::span<std::uint8_t> out) { return random_.fill(out); }}) {}

Result<std::unique_ptr<Worker>> Worker::start(TunDevice tun, OuterSockets sockets, EventQueue& events) {
  std::unique_ptr<Worker> worker(new Worker(std::move(tun), std::move(sockets), events));
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
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::vector<int> descriptors = sockets_.descriptors();
  descriptors.push_back(tun_.fd());
  descriptors.push_back(wake_.get());
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
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
  thread_.join();
}

// ---- Commands

void Worker::run(const Command& command) {
  Pending pending{&command};
  std::unique_lock lock(mutex_);
  commands_.push_back(&pending);
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
  answered_.wait(lock, [&pending] { return pending.done; });
}

void Worker::run_commands() {
  std::uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof(count));
  const Instant time = now();
  std::unique_lock lock(mutex_);
  while (!commands_.empty()) {
    Pending* const pending = commands_.front();
    commands_.pop_front();
    lock.unlock();
    (*pending->command)(engine_, time);
    lock.lock();
    pending->done = true;
    answered_.notify_all();
  }
  lock.unlock();
  while (engine_.take_waiting(batch_, time)) {
    engine_.outbound(batch_, time, output_);
    flush(time);
  }
}

Result<void> Worker::attach(int key, UniqueFd socket, const Endpoint& local, bool non_ike_marker) {
  Result<void> result;
  run([&](EspEngine&, Instant) {
    result = sockets_.attach(key, std::move(socket), local, non_ike_marker);
    if (!result) return;
    result = watch(sockets_.attached(key));
    if (!result) sockets_.detach(key);
  });
  return result;
}

void Worker::detach(int key) {
  run([&](EspEngine&, Instant) {
    const int fd = sockets_.attached(key);
    if (fd < 0) return;
    // The daemon's descriptor of the same socket lives on, and with it epoll's interest, unless it is taken
    // back.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    sockets_.detach(key);
  });
}

// ---- The loop

int Worker::timeout(Instant time) const {
  const auto next = engine_.next_expiry();
  if (!next) return -1;
  if (*next <= time) return 0;
  return static_cast<int>(std::min<std::int64_t>((*next - time).count(), 3'600'000));
}

void Worker::loop() {
  std::array<epoll_event, 16> ready{};
  for (;;) {
    const int count =
        ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), timeout(now()));
    engine_.expire(now(), output_);
    flush(now());
    for (int i = 0; i < count; ++i) {
      const int fd = ready[static_cast<std::size_t>(i)].data.fd;
      if (fd == wake_.get()) {
        run_commands();
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
      } else if (fd == tun_.fd()) {
        from_tun();
      } else {
        from_socket(fd);
      }
    }
  }
}

void Worker::from_tun() {
  for (int round = 0; round < kRoundsInARow; ++round) {
    batch_.clear();
    const auto [more, error] = tun_.read(batch_);
    const Instant time = now();
    engine_.outbound(batch_, time, output_);
    flush(time);
    if (error != 0) {
      // Somebody removed the device: it never comes back readable, only failing.
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, tun_.fd(), nullptr);
      warn(time, "tun",
           {ErrorCode::data_plane,
            "the TUN device " + tun_.name() + " failed: " + std::strerror(error),
            "a device that nobody removes while oakgated runs",
            "restart oakgated",
            {}});
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
    engine_.inbound(batch_, output_);
    flush(now());
  }
  if (lost == 0) return;
  warn(now(), "ike",
       {ErrorCode::data_plane,
        "IKE datagrams were dropped: more came to the sockets that carry ESP too than the daemon could take",
        "at most " + std::to_string(EventQueue::kMaxIke) + " at once",
        "see who floods the port",
        {}});
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
