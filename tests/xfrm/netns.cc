#include "tests/xfrm/netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace oakgate::test {

namespace {

[[noreturn]] void give_up(const std::string& what) {
  fmt::print(stderr, "{}: {} (these tests need root)\n", what, strerror(errno));
  std::exit(99);  // meson: a hard error
}

FileDescriptor this_namespace() {
  const int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fd < 0) give_up("open /proc/thread-self/ns/net");
  return FileDescriptor(fd);
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

SocketAddress to_socket_address(const Endpoint& endpoint) {
  SocketAddress out;
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.bytes().data(), 4);
    std::memcpy(&out.storage, &v4, out.length = sizeof(v4));
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.bytes().data(), 16);
    std::memcpy(&out.storage, &v6, out.length = sizeof(v6));
  }
  return out;
}

Endpoint from_socket_address(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &storage, sizeof(v4));
    return {*IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v4.sin_addr), 4}),
            ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6;
  std::memcpy(&v6, &storage, sizeof(v6));
  return {*IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v6.sin6_addr), 16}),
          ntohs(v6.sin6_port)};
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.fd_;
    other.fd_ = -1;
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

Namespace::Namespace() {
  const FileDescriptor outside = this_namespace();
  if (unshare(CLONE_NEWNET) != 0) give_up("make a network namespace");
  fd_ = this_namespace();
  if (setns(outside.get(), CLONE_NEWNET) != 0) give_up("leave a network namespace");
  must(
      "ip link set lo up; cd /proc/sys/net; echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding;"
      "echo 0 >ipv6/conf/default/accept_dad; echo 0 >ipv4/conf/all/rp_filter; echo 0 "
      ">ipv4/conf/default/rp_filter");
}

Namespace::Inside::Inside(int fd) : outside_(this_namespace()) {
  if (setns(fd, CLONE_NEWNET) != 0) give_up("enter a network namespace");
}

Namespace::Inside::~Inside() {
  if (setns(outside_.get(), CLONE_NEWNET) != 0) give_up("leave a network namespace");
}

int Namespace::sh(const std::string& command) const {
  const int status = enter([&] { return std::system(command.c_str()); });
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void Namespace::must(const std::string& command) const {
  if (sh(command) == 0) return;
  errno = 0;
  give_up("run `" + command + "`");
}

std::string Namespace::output(const std::string& command) const {
  return enter([&] {
    std::string text;
    FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
    if (pipe == nullptr) give_up("run `" + command + "`");
    std::array<char, 4096> part{};
    while (const std::size_t got = fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), got);
    pclose(pipe);
    return text;
  });
}

std::string Namespace::path() const {
  return fmt::format("/proc/{}/fd/{}", getpid(), fd_.get());
}

void connect(const Namespace& a, std::string_view device_a, const Namespace& b, std::string_view device_b) {
  a.must(fmt::format("ip link add {} type veth peer name {} netns {} && ip link set {} up", device_a,
                     device_b, b.path(), device_a));
  b.must(fmt::format("ip link set {} up", device_b));
}

UdpSocket::UdpSocket(const Namespace& where, const IpAddress& address, std::uint16_t port) {
  where.enter([&] {
    fd_ = FileDescriptor(
        socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const SocketAddress to = to_socket_address({address, port});
    if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.length) != 0) {
      give_up("bind " + Endpoint{address, port}.to_string());
    }
  });
}

Endpoint UdpSocket::local() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) give_up("getsockname");
  return from_socket_address(storage);
}

int UdpSocket::send(const Endpoint& to, std::string_view text) const {
  const SocketAddress address = to_socket_address(to);
  const ssize_t sent = sendto(fd_.get(), text.data(), text.size(), 0,
                              reinterpret_cast<const sockaddr*>(&address.storage), address.length);
  return sent < 0 ? errno : 0;
}

std::string UdpSocket::receive(int patience_ms, Endpoint* from) const {
  std::string text(65536, '\0');
  pollfd waiting{fd_.get(), POLLIN, 0};
  if (poll(&waiting, 1, patience_ms) <= 0) return {};
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  const ssize_t got =
      recvfrom(fd_.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&storage), &length);
  if (got < 0) return {};
  if (from != nullptr) *from = from_socket_address(storage);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

Sniffer::Sniffer(const Namespace& where, std::string_view device) {
  where.enter([&] {
    fd_ = FileDescriptor(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
    ifindex_ = static_cast<int>(if_nametoindex(std::string(device).c_str()));
    sockaddr_ll link{};
    link.sll_family = AF_PACKET;
    link.sll_protocol = htons(ETH_P_ALL);
    link.sll_ifindex = ifindex_;
    if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&link), sizeof(link)) != 0)
      give_up("listen on a device");
    const int bytes = 8 << 20;
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
  });
}

std::vector<Bytes> Sniffer::take() const {
  std::vector<Bytes> frames;
  Bytes frame(65536);
  while (true) {
    sockaddr_ll from{};
    socklen_t length = sizeof(from);
    const ssize_t got =
        recvfrom(fd_.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0) return frames;
    if (from.sll_pkttype == PACKET_OUTGOING) frames.emplace_back(frame.begin(), frame.begin() + got);
  }
}

void Sniffer::inject(ByteView frame) const {
  if (send(fd_.get(), frame.data(), frame.size(), 0) < 0) give_up("put a frame on the wire");
}

}  // namespace oakgate::test
