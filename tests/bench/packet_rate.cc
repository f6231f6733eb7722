// How many UDP datagrams a second a path between two network namespaces carries, and whether each arrives as
// it was sent. At most --window of them are under way: what is measured is what the path carries, not how
// fast a sender makes a queue overflow, which would only take processor time from what is measured.
//
//   packet_rate --from NETNS --to NETNS --source ADDRESS --destination ADDRESS [--size BYTES] [--seconds S]
//               [--window N] [--pin-sender N] [--pin-receiver N] [--vectors]
//
// With --vectors a burst of datagrams is given to the kernel in one piece (UDP_SEGMENT), and taken from it
// likewise (UDP_GRO), as programs do that send much by UDP; without, each by itself (sendmmsg, recvmmsg).
// Prints one line of JSON: sent, received, lost, damaged, seconds, packets_a_second. `lost`: what the sender
// had written off, because nothing came for 20 ms. Exit status 1: none received, or one damaged.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/bench/bench_thread.h"

namespace oakgate::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBurst = 32;
constexpr std::size_t kMaxSize = 9000;
constexpr std::size_t kMaxVector = 65535;
constexpr auto kWrittenOffAfter = std::chrono::milliseconds(20);

struct Options {
  std::string from;
  std::string to;
  std::string source;
  std::string destination;
  std::size_t size = 64;
  double seconds = 3;
  std::uint64_t window = 512;
  int pin_sender = -1;
  int pin_receiver = -1;
  bool vectors = false;
};

// Sender and receiver are one process: what has arrived is known at once.
struct Shared {
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> damaged{0};
  std::atomic<bool> sender_waits{false};
  std::atomic<bool> done{false};
  std::mutex mutex;
  std::condition_variable arrived;
};

// Every byte follows from the sequence number and the place.
void fill(std::uint8_t* out, std::size_t size, std::uint64_t sequence) {
  std::memcpy(out, &sequence, sizeof(sequence));
  std::uint64_t state = sequence * 0x9e3779b97f4a7c15U + 1;
  for (std::size_t at = sizeof(sequence); at < size; at += sizeof(state)) {
    state ^= state >> 29;
    state *= 0xbf58476d1ce4e5b9U;
    std::memcpy(out + at, &state, std::min(sizeof(state), size - at));
  }
}

bool as_sent(const std::uint8_t* bytes, std::size_t size, std::size_t expected_size) {
  if (size != expected_size) return false;
  std::array<std::uint8_t, kMaxSize> expected;
  std::uint64_t sequence = 0;
  std::memcpy(&sequence, bytes, sizeof(sequence));
  fill(expected.data(), size, sequence);
  return std::memcmp(bytes, expected.data(), size) == 0;
}

sockaddr_in address(const std::string& text, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  if (inet_pton(AF_INET, text.c_str(), &out.sin_addr) != 1) give_up("not an IPv4 address: " + text);
  return out;
}

int udp_socket(const std::string& bound_to, sockaddr_in* bound) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int buffer = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
  sockaddr_in local = address(bound_to, 0);
  socklen_t length = sizeof(local);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0) give_up(bound_to);
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length);
  if (bound != nullptr) *bound = local;
  return fd;
}

// Room for a burst, for sendmmsg and recvmmsg alike.
struct Burst {
  explicit Burst(std::size_t size) : bytes(kBurst * size) {
    for (std::size_t i = 0; i < kBurst; ++i) {
      parts[i] = {bytes.data() + i * size, size};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_control = controls[i].bytes.data();
    }
  }
  // Before each recvmmsg: the kernel writes what came.
  void expect_controls() {
    for (mmsghdr& message : messages) message.msg_hdr.msg_controllen = sizeof(Control);
  }
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> bytes;
  };
  std::vector<std::uint8_t> bytes;
  std::array<Control, kBurst> controls;
  std::array<iovec, kBurst> parts;
  std::array<mmsghdr, kBurst> messages;
};

// The datagrams of a message: so long each but the last.
std::size_t segment_of(msghdr& header, std::size_t whole) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(control), sizeof(size));
    if (size > 0) return static_cast<std::size_t>(size);
  }
  return whole;
}

struct Counts {
  std::uint64_t received = 0;
  std::uint64_t damaged = 0;
};

void check(const std::uint8_t* bytes, std::size_t whole, std::size_t segment, std::size_t size,
           Counts& counts) {
  for (std::size_t at = 0; at < whole; at += segment) {
    ++counts.received;
    counts.damaged += as_sent(bytes + at, std::min(segment, whole - at), size) ? 0 : 1;
  }
}

void receive(const Options& options, int fd, Shared& shared) {
  pin_to(options.pin_receiver);
  const timeval patience{0, 50'000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  Burst burst(options.vectors ? kMaxVector : kMaxSize);
  while (!shared.done.load(std::memory_order_relaxed)) {
    burst.expect_controls();
    const int count = recvmmsg(fd, burst.messages.data(), kBurst, MSG_WAITFORONE, nullptr);
    if (count <= 0) continue;
    Counts counts;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const auto* bytes = static_cast<const std::uint8_t*>(burst.parts[i].iov_base);
      const std::size_t whole = burst.messages[i].msg_len;
      check(bytes, whole, segment_of(burst.messages[i].msg_hdr, whole), options.size, counts);
    }
    shared.damaged += counts.damaged;
    shared.received += counts.received;
    if (shared.sender_waits.load()) {
      const std::lock_guard lock(shared.mutex);
      shared.arrived.notify_one();
    }
  }
}

class Sender {
 public:
  Sender(const Options& options, const sockaddr_in& to, Shared& shared)
      : options_(options), shared_(shared), burst_(options.size) {
    enter_namespace(options.from);
    fd_ = udp_socket(options.source, nullptr);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) give_up("connect");
    const int segment = static_cast<int>(options.size);
    if (options.vectors && setsockopt(fd_, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) != 0)
      give_up("UDP_SEGMENT");
    pin_to(options.pin_sender);
  }

  void run_until(Clock::time_point end) {
    while (Clock::now() < end) {
      if (under_way() + kBurst > options_.window) {
        await_room();
        continue;
      }
      for (std::size_t i = 0; i < kBurst; ++i)
        fill(static_cast<std::uint8_t*>(burst_.parts[i].iov_base), options_.size, sent_ + i);
      sent_ += options_.vectors ? send_vector() : send_singly();
    }
  }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t lost() const { return written_off_; }

 private:
  [[nodiscard]] std::uint64_t send_singly() {
    const int count = sendmmsg(fd_, burst_.messages.data(), kBurst, 0);
    return count > 0 ? static_cast<std::uint64_t>(count) : 0;
  }
  // The burst lies in one piece.
  [[nodiscard]] std::uint64_t send_vector() {
    return send(fd_, burst_.bytes.data(), burst_.bytes.size(), 0) < 0 ? 0 : kBurst;
  }
  [[nodiscard]] std::uint64_t under_way() const {
    const std::uint64_t settled = shared_.received.load() + written_off_;
    return sent_ > settled ? sent_ - settled : 0;
  }
  // Until half the window is free; what is under way when nothing comes any more is lost.
  void await_room() {
    std::unique_lock lock(shared_.mutex);
    shared_.sender_waits = true;
    while (under_way() > options_.window / 2) {
      const std::uint64_t before = shared_.received.load();
      shared_.arrived.wait_for(lock, kWrittenOffAfter);
      if (shared_.received.load() == before) written_off_ += under_way();
    }
    shared_.sender_waits = false;
  }

  const Options& options_;
  Shared& shared_;
  Burst burst_;
  int fd_ = -1;
  std::uint64_t sent_ = 0;
  std::uint64_t written_off_ = 0;
};

int measure(const Options& options) {
  Shared shared;
  enter_namespace(options.to);
  sockaddr_in at{};
  const int fd = udp_socket(options.destination, &at);
  const int on = 1;
  if (options.vectors && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) != 0) give_up("UDP_GRO");
  std::thread receiver(receive, std::cref(options), fd, std::ref(shared));
  Sender sender(options, at, shared);
  const auto start = Clock::now();
  sender.run_until(
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.seconds)));
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const std::uint64_t received = shared.received;
  shared.done = true;
  receiver.join();
  std::printf(
      "{\"sent\": %llu, \"received\": %llu, \"lost\": %llu, \"damaged\": %llu, \"seconds\": %.3f, "
      "\"packets_a_second\": %.0f}\n",
      static_cast<unsigned long long>(sender.sent()), static_cast<unsigned long long>(received),
      static_cast<unsigned long long>(sender.lost()), static_cast<unsigned long long>(shared.damaged.load()),
      seconds, static_cast<double>(received) / seconds);
  return received > 0 && shared.damaged == 0 ? 0 : 1;
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  oakgate::bench::Options options;
  CLI::App app("UDP datagrams a second between two network namespaces");
  app.add_option("--from", options.from, "the sender's namespace");
  app.add_option("--to", options.to, "the receiver's namespace");
  app.add_option("--source", options.source, "the sender's address")->required();
  app.add_option("--destination", options.destination, "the receiver's address")->required();
  app.add_option("--size", options.size, "of the payload")->check(CLI::Range(16, 9000));
  app.add_option("--seconds", options.seconds, "how long")->check(CLI::PositiveNumber);
  app.add_option("--window", options.window, "datagrams under way at most")->check(CLI::Range(64, 1 << 20));
  app.add_option("--pin-sender", options.pin_sender, "its processor");
  app.add_option("--pin-receiver", options.pin_receiver, "its processor");
  app.add_flag("--vectors", options.vectors, "bursts in one piece: UDP_SEGMENT, UDP_GRO");
  CLI11_PARSE(app, argc, argv);
  return oakgate::bench::measure(options);
}
