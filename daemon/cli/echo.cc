#include "daemon/cli/echo.h"

#include <fmt/format.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "daemon/sockaddr.h"

namespace oakgate::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kIcmpHeader = 8;
constexpr int kMostProbes = 32;

std::size_t ip_header(Family family) {
  return family == Family::ipv4 ? 20 : 40;
}

std::uint16_t checksum(ByteView data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); i += 2)
    sum += static_cast<std::uint32_t>(data[i] << 8 | (i + 1 < data.size() ? data[i + 1] : 0));
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes echo_request(Family family, std::uint16_t id, std::uint16_t sequence, std::size_t size) {
  ByteWriter out;
  out.u8(family == Family::ipv4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
  out.u8(0);
  out.u16(0);
  out.u16(id);
  out.u16(sequence);
  while (out.size() < size) out.u8(static_cast<std::uint8_t>(out.size()));
  // Of ICMPv6 the kernel makes it.
  if (family == Family::ipv4) out.patch_u16(2, checksum(out.view()));
  return std::move(out).take();
}

void set_options(int fd, Family family) {
  const int on = 1;
  if (family == Family::ipv4) {
    const int never = IP_PMTUDISC_DO;
    ::setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &never, sizeof never);
    ::setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
  } else {
    const int never = IPV6_PMTUDISC_DO;
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &never, sizeof never);
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    icmp6_filter only{};
    ICMP6_FILTER_SETBLOCKALL(&only);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only);
    ::setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof only);
  }
}

}  // namespace

Result<EchoSocket> EchoSocket::open(const IpAddress& source, const IpAddress& destination) {
  const bool v4 = source.is_v4();
  UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6)));
  if (!fd.valid()) {
    return fail(ErrorCode::not_permitted, fmt::format("echoes cannot be sent: {}", std::strerror(errno)),
                "root, or CAP_NET_RAW", "run oakgate as root");
  }
  set_options(fd.get(), source.family());
  for (const bool ours : {true, false}) {
    const SocketAddress address = to_socket_address({ours ? source : destination, 0});
    const int done = ours ? ::bind(fd.get(), address.get(), address.length)
                          : ::connect(fd.get(), address.get(), address.length);
    if (done == 0) continue;
    return fail(ErrorCode::address_unknown,
                fmt::format("{} {}: {}", ours ? "from" : "to", (ours ? source : destination).to_string(),
                            std::strerror(errno)),
                "addresses that this machine has, and a route");
  }
  std::uint16_t id = 0;
  if (::getrandom(&id, sizeof id, 0) != static_cast<ssize_t>(sizeof id)) id = 1;
  return EchoSocket(std::move(fd), source.family(), id);
}

std::size_t EchoSocket::known_mtu() const {
  int mtu = 0;
  socklen_t size = sizeof mtu;
  const bool v4 = family_ == Family::ipv4;
  if (::getsockopt(fd_.get(), v4 ? static_cast<int>(IPPROTO_IP) : static_cast<int>(IPPROTO_IPV6),
                   v4 ? IP_MTU : IPV6_MTU, &mtu, &size) != 0 ||
      mtu <= 0) {
    return 1500;
  }
  return static_cast<std::size_t>(mtu);
}

// IPv4's comes with its IP header, IPv6's without.
bool EchoSocket::is_answer(ByteView packet) const {
  if (family_ == Family::ipv4) {
    if (packet.size() < 20) return false;
    packet = packet.subspan(std::min<std::size_t>((packet[0] & 15U) * 4U, packet.size()));
  }
  ByteReader reader(packet);
  std::uint8_t type = 0;
  std::uint16_t id = 0, sequence = 0;
  return reader.u8(type) && reader.skip(3) && reader.u16(id) && reader.u16(sequence) && id == id_ &&
         sequence == sequence_ && type == (family_ == Family::ipv4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
}

void EchoSocket::read_errors(EchoOutcome& outcome) const {
  while (true) {
    std::array<std::uint8_t, 512> data{};
    alignas(cmsghdr) std::array<std::uint8_t, 512> control{};
    iovec part{data.data(), data.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(fd_.get(), &message, MSG_ERRQUEUE) < 0) return;
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
      const bool error = (one->cmsg_level == SOL_IP && one->cmsg_type == IP_RECVERR) ||
                         (one->cmsg_level == SOL_IPV6 && one->cmsg_type == IPV6_RECVERR);
      if (!error) continue;
      sock_extended_err what{};
      std::memcpy(&what, CMSG_DATA(one), sizeof what);
      if (what.ee_errno == EMSGSIZE) outcome.too_big = true;
      outcome.complaint = std::strerror(static_cast<int>(what.ee_errno));
    }
  }
}

EchoOutcome EchoSocket::ask(std::size_t size, Milliseconds patience) {
  EchoOutcome outcome;
  read_errors(outcome);  // those of before
  outcome = {};
  ++sequence_;
  const Bytes request = echo_request(family_, id_, sequence_,
                                     std::max(size, ip_header(family_) + kIcmpHeader) - ip_header(family_));
  const auto begun = Clock::now();
  ssize_t sent = ::send(fd_.get(), request.data(), request.size(), 0);
  // An error that an earlier packet has met is told first, and only once.
  if (sent < 0 && errno != EMSGSIZE) sent = ::send(fd_.get(), request.data(), request.size(), 0);
  if (sent < 0) {
    outcome.too_big = errno == EMSGSIZE;
    if (!outcome.too_big) outcome.complaint = std::strerror(errno);
    return outcome;
  }
  while (true) {
    const auto left = patience - std::chrono::duration_cast<Milliseconds>(Clock::now() - begun);
    if (left.count() <= 0) return outcome;
    pollfd wait{fd_.get(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) return outcome;
    if ((wait.revents & POLLERR) != 0) {
      read_errors(outcome);
      if (outcome.too_big) return outcome;
    }
    Bytes packet(65'536);
    while (true) {
      const ssize_t got = ::recv(fd_.get(), packet.data(), packet.size(), 0);
      if (got < 0) break;
      if (!is_answer(ByteView(packet).first(static_cast<std::size_t>(got)))) continue;
      outcome.answered = true;
      outcome.complaint.clear();
      outcome.round_trip = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun);
      return outcome;
    }
  }
}

PathMtu find_path_mtu(std::size_t good, std::size_t at_most,
                      const std::function<EchoOutcome(std::size_t)>& ask,
                      const std::function<std::size_t()>& known_mtu) {
  PathMtu found{good, 0};
  std::size_t bad = at_most + 1;
  std::size_t next = at_most;
  while (bad - found.bytes > 1 && found.echoes < kMostProbes) {
    ++found.echoes;
    EchoOutcome outcome = ask(next);
    // Silence may be loss, which is not the same as too big.
    if (!outcome.answered && !outcome.too_big && found.echoes < kMostProbes) {
      ++found.echoes;
      outcome = ask(next);
    }
    const std::size_t told = known_mtu();
    if (outcome.answered) {
      found.bytes = next;
      if (told == next) break;  // the kernel lets nothing larger go
    } else {
      bad = next;
    }
    next = outcome.too_big && told > found.bytes && told < bad ? told : found.bytes + (bad - found.bytes) / 2;
  }
  return found;
}

}  // namespace oakgate::cli
