#include "daemon/sockets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "daemon/sockaddr.h"

namespace oakgate {

namespace {

constexpr std::size_t kBatch = 32;
// The length field of ISAKMP would allow 4 GB, UDP allows 64 KB; a certificate chain takes ten or so. Longer
// datagrams are dropped.
constexpr std::size_t kMaxDatagram = 65535;
constexpr std::array<std::uint8_t, 4> kNonEspMarker{};  // RFC 3948 section 2.2
constexpr std::uint8_t kKeepalive = 0xff;               // RFC 3948 section 2.3
constexpr int kReceiveBuffer = 1 << 20;

void set_option(int fd, int level, int option, int value) {
  // Each one an improvement, none a condition.
  ::setsockopt(fd, level, option, &value, sizeof value);
}

void set_options(int fd, Family family) {
  if (family == Family::ipv4) {
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
    // Large IKE messages may be fragmented on the way: the sender's DF would make them vanish.
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  } else {
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
  }
  set_option(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
}

std::optional<IpAddress> local_address(const msghdr& header) {
  for (const cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(const_cast<msghdr*>(&header), const_cast<cmsghdr*>(control))) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      std::array<std::uint8_t, 4> raw{};
      // ipi_addr is the destination in the header; a broadcast or multicast one is nobody's gateway address.
      std::memcpy(raw.data(), &info.ipi_addr, raw.size());
      return IpAddress::from_bytes(raw);
    }
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      std::array<std::uint8_t, 16> raw{};
      std::memcpy(raw.data(), &info.ipi6_addr, raw.size());
      return IpAddress::from_bytes(raw);
    }
  }
  return std::nullopt;
}

// Room for either kind of packet information.
struct ControlBuffer {
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo))> bytes{};
};

template <typename PacketInfo>
void put_control(msghdr& header, ControlBuffer& buffer, int level, int type, const PacketInfo& info) {
  header.msg_control = buffer.bytes.data();
  header.msg_controllen = CMSG_SPACE(sizeof info);
  cmsghdr* control = CMSG_FIRSTHDR(&header);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(control), &info, sizeof info);
}

void put_source(msghdr& header, ControlBuffer& buffer, const IpAddress& source) {
  if (source.is_any()) return;
  if (source.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.bytes().data(), 4);
    put_control(header, buffer, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source.bytes().data(), 16);
    put_control(header, buffer, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

tl::unexpected<Error> bind_error(const Endpoint& endpoint, int code) {
  const std::string where = fmt::format("UDP {}", endpoint.to_string());
  if (code == EADDRINUSE) {
    const std::string holder = holder_of_udp_port(endpoint.port);
    return fail(ErrorCode::in_use,
                fmt::format("{} is already in use{}", where, holder.empty() ? "" : " by " + holder),
                fmt::format("port {} free for oakgated", endpoint.port),
                "stop that IKE daemon, or give each its own addresses (`gateway.listen`)");
  }
  if (code == EACCES || code == EPERM) {
    return fail(ErrorCode::not_permitted, fmt::format("{} may not be bound", where), "CAP_NET_BIND_SERVICE",
                "run oakgated as root or by its systemd unit");
  }
  return fail(ErrorCode::internal, fmt::format("{} cannot be bound: {}", where, std::strerror(code)),
              "an address of this host", "see `gateway.listen` in the configuration");
}

}  // namespace

struct UdpSockets::Batch {
  std::array<std::array<std::uint8_t, kMaxDatagram>, kBatch> data;
  std::array<sockaddr_storage, kBatch> from;
  std::array<ControlBuffer, kBatch> control;
  std::array<iovec, kBatch> vectors;
  std::array<mmsghdr, kBatch> messages;
};

void UdpSockets::BatchFree::operator()(Batch* batch) const {
  delete batch;
}

UdpSockets::UdpSockets(const UdpPorts& ports) : ports_(ports), batch_(new Batch) {}

Result<std::unique_ptr<UdpSockets>> UdpSockets::open(std::span<const IpAddress> listen,
                                                     const UdpPorts& ports) {
  std::unique_ptr<UdpSockets> sockets(new UdpSockets(ports));
  const std::array wildcards{IpAddress::any(Family::ipv4), IpAddress::any(Family::ipv6)};
  const bool listed = !listen.empty();
  for (const IpAddress& address : listed ? listen : std::span<const IpAddress>(wildcards)) {
    for (const std::uint16_t port : {ports.ike, ports.nat_traversal}) {
      const Result<void> added = sockets->add(address, port, listed);
      if (!added) return fail(added.error());
    }
  }
  if (sockets->sockets_.empty()) {
    return fail(ErrorCode::unsupported, "this kernel has neither IPv4 nor IPv6");
  }
  return sockets;
}

Result<void> UdpSockets::add(const IpAddress& address, std::uint16_t port, bool listed) {
  const int family = address.is_v4() ? AF_INET : AF_INET6;
  const Endpoint endpoint{address, port};
  UniqueFd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP));
  if (!fd.valid()) {
    if (errno == EAFNOSUPPORT && !listed) return {};
    return bind_error(endpoint, errno);
  }
  set_options(fd.get(), address.family());
  const SocketAddress bound = to_socket_address(endpoint);
  if (::bind(fd.get(), bound.get(), bound.length) != 0) {
    if (errno == EADDRNOTAVAIL && !listed) return {};  // IPv6 switched off
    return bind_error(endpoint, errno);
  }
  sockets_.push_back({std::move(fd), endpoint, port == ports_.nat_traversal});
  return {};
}

const UdpSocket* UdpSockets::socket_for(const Endpoint& local) const {
  const UdpSocket* wildcard = nullptr;
  for (const UdpSocket& socket : sockets_) {
    if (socket.bound == local) return &socket;
    if (socket.bound.port == local.port && socket.bound.address.family() == local.address.family() &&
        socket.bound.address.is_any()) {
      wildcard = &socket;
    }
  }
  return wildcard;
}

void UdpSockets::receive(const UdpSocket& socket, const Receiver& receiver) {
  Batch& batch = *batch_;
  for (std::size_t i = 0; i < kBatch; ++i) {
    batch.vectors[i] = {batch.data[i].data(), batch.data[i].size()};
    msghdr& header = batch.messages[i].msg_hdr;
    header = {};
    header.msg_name = &batch.from[i];
    header.msg_namelen = sizeof batch.from[i];
    header.msg_iov = &batch.vectors[i];
    header.msg_iovlen = 1;
    header.msg_control = batch.control[i].bytes.data();
    header.msg_controllen = batch.control[i].bytes.size();
  }
  const int count = ::recvmmsg(socket.fd.get(), batch.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  for (int n = 0; n < count; ++n) {
    const auto i = static_cast<std::size_t>(n);
    const msghdr& header = batch.messages[i].msg_hdr;
    const std::optional<Endpoint> remote = from_socket_address(batch.from[i]);
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !remote) continue;
    ByteView data(batch.data[i].data(), batch.messages[i].msg_len);
    if (data.size() == 1 && data[0] == kKeepalive) continue;
    if (socket.encapsulation) {
      // Without the marker it is ESP for an SA nobody has any more.
      if (data.size() < kNonEspMarker.size() ||
          !std::equal(kNonEspMarker.begin(), kNonEspMarker.end(), data.begin())) {
        continue;
      }
      data = data.subspan(kNonEspMarker.size());
    }
    const IpAddress local = local_address(header).value_or(socket.bound.address);
    receiver({{local, socket.bound.port}, *remote, data});
  }
}

Result<void> UdpSockets::send(const ike::SendDatagram& datagram) const {
  const UdpSocket* socket = socket_for(datagram.local);
  if (socket == nullptr) {
    return fail(ErrorCode::address_unknown,
                fmt::format("no socket is bound to {}", datagram.local.to_string()),
                "an address that oakgated listens on", "see `gateway.listen` in the configuration");
  }
  std::array<std::uint8_t, 4> marker = kNonEspMarker;
  std::uint8_t keepalive = kKeepalive;
  std::array<iovec, 2> parts{};
  std::size_t count = 0;
  if (datagram.keepalive) {
    parts[count++] = {&keepalive, 1};
  } else {
    if (socket->encapsulation) parts[count++] = {marker.data(), marker.size()};
    parts[count++] = {const_cast<std::uint8_t*>(datagram.data.data()), datagram.data.size()};
  }
  SocketAddress to = to_socket_address(datagram.remote);
  ControlBuffer control;
  msghdr header{};
  header.msg_name = to.get();
  header.msg_namelen = to.length;
  header.msg_iov = parts.data();
  header.msg_iovlen = count;
  put_source(header, control, datagram.local.address);
  if (::sendmsg(socket->fd.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return {};
  return fail(ErrorCode::no_answer,
              fmt::format("cannot send from {} to {}: {}", datagram.local.to_string(),
                          datagram.remote.to_string(), std::strerror(errno)),
              "a route to the peer", "look at `ip route get` and the firewall's output rules");
}

}  // namespace oakgate
