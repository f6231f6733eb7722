// A flood of ESP packets that must be refused, in turn: one that was sent before (replayed), one for an SPI
// nobody has, one whose tag is wrong. They are made of one genuine ESP-in-UDP packet that leaves by --device
// while this program waits for it, and go out by the same device.
//
//   esp_flood --namespace NETNS --device DEVICE --rate PACKETS_A_SECOND --seconds S [--port PORT] [--pin N]
//
// --port: to that UDP port instead of 4500, where only the kernel sees them: what a flood costs the machine
// and its sender, whatever listens. Prints `ready` when it has its packet and begins, and at the end one line
// of JSON: sent, seconds, packets_a_second.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/bench/bench_thread.h"

namespace oakgate::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Frame = std::vector<std::uint8_t>;

constexpr std::size_t kIpAt = ETH_HLEN;
constexpr std::size_t kUdpAt = kIpAt + sizeof(iphdr);
constexpr std::size_t kSpiAt = kUdpAt + sizeof(udphdr);
constexpr std::size_t kSequenceAt = kSpiAt + 4;
constexpr std::uint16_t kNatPort = 4500;
constexpr std::size_t kBurst = 32;
constexpr int kPatienceMs = 20'000;

struct Options {
  std::string network_namespace;
  std::string device;
  double rate = 100'000;
  double seconds = 3;
  int port = kNatPort;
  int pin = -1;
};

std::uint16_t load16(const Frame& frame, std::size_t at) {
  return static_cast<std::uint16_t>(frame[at] << 8 | frame[at + 1]);
}
void store16(Frame& frame, std::size_t at, std::uint16_t value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}

// ESP in UDP over IPv4 without options, of ordinary size: an SPI, not IKE's four zeros.
bool is_esp_in_udp(const Frame& frame) {
  if (frame.size() < kSpiAt + 40 || frame.size() > ETH_FRAME_LEN) return false;
  return load16(frame, 12) == ETHERTYPE_IP && frame[kIpAt] == 0x45 && frame[kIpAt + 9] == IPPROTO_UDP &&
         load16(frame, kUdpAt + 2) == kNatPort &&
         std::any_of(frame.begin() + kSpiAt, frame.begin() + kSequenceAt,
                     [](std::uint8_t byte) { return byte != 0; });
}

class Flood {
 public:
  explicit Flood(const Options& options) : options_(options) {
    enter_namespace(options.network_namespace);
    pin_to(options.pin);
    fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(ETH_P_ALL);
    at.sll_ifindex = static_cast<int>(if_nametoindex(options.device.c_str()));
    if (fd_ < 0 || at.sll_ifindex == 0 || bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) != 0)
      give_up(options.device);
  }

  // The first that leaves; what comes in is not ours to send.
  void await_genuine() {
    Frame frame(65536);
    const auto end = Clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (Clock::now() < end) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, 100) <= 0) continue;
      sockaddr_ll from{};
      socklen_t length = sizeof(from);
      frame.resize(65536);
      const ssize_t size =
          recvfrom(fd_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (size <= 0 || from.sll_pkttype != PACKET_OUTGOING) continue;
      frame.resize(static_cast<std::size_t>(size));
      if (is_esp_in_udp(frame)) return make_bad_ones(frame);
    }
    give_up("no ESP packet left by " + options_.device);
  }

  // At --rate: every millisecond what is due.
  std::uint64_t run() {
    std::array<iovec, kBurst> parts;
    std::array<mmsghdr, kBurst> messages{};
    std::uint64_t sent = 0;
    const auto start = Clock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
    for (double now = 0; now < options_.seconds; now = elapsed()) {
      const auto due = static_cast<std::uint64_t>(now * options_.rate);
      if (due <= sent) {
        poll(nullptr, 0, 1);
        continue;
      }
      const auto count = static_cast<unsigned>(std::min<std::uint64_t>(kBurst, due - sent));
      for (unsigned i = 0; i < count; ++i) {
        Frame& frame = bad_[(sent + i) % bad_.size()];
        parts[i] = {frame.data(), frame.size()};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
      }
      const int done = sendmmsg(fd_, messages.data(), count, 0);
      if (done > 0) sent += static_cast<std::uint64_t>(done);
    }
    return sent;
  }

 private:
  void make_bad_ones(Frame frame) {
    store16(frame, kUdpAt + 2, static_cast<std::uint16_t>(options_.port));
    store16(frame, kUdpAt + 6, 0);  // RFC 3948 section 2.1: no UDP checksum
    Frame unknown = frame;
    unknown[kSpiAt] = static_cast<std::uint8_t>(unknown[kSpiAt] ^ 0x5a);
    Frame forged = frame;  // ahead of the window, so that its tag is looked at
    forged[kSequenceAt + 1] = static_cast<std::uint8_t>(forged[kSequenceAt + 1] | 0x80);
    forged.back() = static_cast<std::uint8_t>(forged.back() ^ 1);
    bad_ = {std::move(frame), std::move(unknown), std::move(forged)};
  }

  const Options& options_;
  int fd_ = -1;
  std::vector<Frame> bad_;
};

int measure(const Options& options) {
  Flood flood(options);
  flood.await_genuine();
  std::printf("ready\n");
  std::fflush(stdout);
  const auto start = Clock::now();
  const std::uint64_t sent = flood.run();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("{\"sent\": %llu, \"seconds\": %.3f, \"packets_a_second\": %.0f}\n",
              static_cast<unsigned long long>(sent), seconds, static_cast<double>(sent) / seconds);
  return 0;
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  oakgate::bench::Options options;
  CLI::App app("a flood of ESP packets that must be refused");
  app.add_option("--namespace", options.network_namespace, "whose");
  app.add_option("--device", options.device, "where a genuine packet leaves, and these do")->required();
  app.add_option("--rate", options.rate, "packets a second")->check(CLI::PositiveNumber);
  app.add_option("--seconds", options.seconds, "how long")->check(CLI::PositiveNumber);
  app.add_option("--port", options.port, "their UDP port")->check(CLI::Range(1, 65535));
  app.add_option("--pin", options.pin, "its processor");
  CLI11_PARSE(app, argc, argv);
  return oakgate::bench::measure(options);
}
