#include "xfrm/soft/outer_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "xfrm/netlink/routes.h"
#include "xfrm/netlink/xfrm_policy.h"
#include "xfrm/soft/ah_packet.h"
#include "xfrm/soft/outer_ipv6_header.h"

namespace oakgate::soft {

namespace {

constexpr int kBufferBytes = 8 << 20;
constexpr std::size_t kNonEspMarker = 4;  // RFC 3948 section 2.2
constexpr std::size_t kNonIkeMarker = kNonIkeMarkerBytes;
constexpr std::uint8_t kKeepAlive = 0xff;  // section 2.3

IpAddress address_of(const void* raw, std::size_t size) {
  return *IpAddress::from_bytes({static_cast<const std::uint8_t*>(raw), size});
}

// ---- Opening

// Room for some hundred vectors. Without CAP_NET_ADMIN in the initial namespace the limits of net.core apply.
void enlarge_buffers(int fd) {
  for (const auto& [forced, plain] :
       {std::pair(SO_RCVBUFFORCE, SO_RCVBUF), std::pair(SO_SNDBUFFORCE, SO_SNDBUF)}) {
    if (set_socket_option(fd, SOL_SOCKET, forced, kBufferBytes)) continue;
    (void)set_socket_option(fd, SOL_SOCKET, plain, kBufferBytes);
  }
}

// A socket that only sends: nothing that arrives is queued on it.
bool refuse_everything(int fd) {
  sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{1, &nothing};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

tl::unexpected<Error> cannot_open(const char* what, int error) {
  const std::string text =
      std::string("the software data plane cannot open its ") + what + " socket: " + std::strerror(error);
  if (error == EPERM || error == EACCES) {
    return fail(ErrorCode::not_permitted, text, "the capability CAP_NET_RAW",
                "run oakgated as root, or give it CAP_NET_ADMIN and CAP_NET_RAW");
  }
  return fail(ErrorCode::data_plane, text, "a kernel with raw sockets", "see the kernel's log");
}

Result<UniqueFd> open_raw(int family, int protocol, const char* what, bool receives) {
  UniqueFd fd(::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!fd.valid()) return cannot_open(what, errno);
  if (!receives && !refuse_everything(fd.get())) return cannot_open(what, errno);
  enlarge_buffers(fd.get());
  return fd;
}

// `protocol` is IPPROTO_ESP, IPPROTO_AH or IPPROTO_RAW (which implies that the header comes along: raw(7)).
Result<UniqueFd> open_ipsec(Family family, int protocol, bool receives, int discovery) {
  const bool v4 = family == Family::ipv4;
  const char* what = protocol == IPPROTO_ESP ? (v4 ? "IPv4 ESP" : "IPv6 ESP") : (v4 ? "IPv4 AH" : "IPv6 AH");
  auto fd = open_raw(v4 ? AF_INET : AF_INET6, protocol, what, receives);
  if (!fd) return fd;
  const bool set = v4 ? set_socket_option(fd->get(), IPPROTO_IP, IP_MTU_DISCOVER, discovery)
                      : set_socket_option(fd->get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, discovery) &&
                            set_socket_option(fd->get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                            set_socket_option(fd->get(), IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  if (!set) return cannot_open(what, errno);
  // AH covers the extension headers before it.
  for (const int option : {IPV6_RECVHOPOPTS, IPV6_RECVRTHDR, IPV6_RECVDSTOPTS}) {
    const bool wanted = !v4 && protocol == IPPROTO_AH && receives;
    if (wanted && !set_socket_option(fd->get(), IPPROTO_IPV6, option, 1)) return cannot_open(what, errno);
  }
  if (auto passed = bypass_socket(fd->get(), family); !passed) return fail(std::move(passed.error()));
  return fd;
}

bool in_pieces(const SealedPacket& packet) {
  return packet.fragment_to != 0 && packet.protocol == IpsecProtocol::ah && packet.path.source.is_v4();
}

}  // namespace

OuterSockets::OuterSockets(bool receives)
    : receives_(receives),
      received_(std::make_unique<ReceiveQueue>()),
      sender_(std::make_unique<SendQueue>()) {}
OuterSockets::OuterSockets(OuterSockets&&) noexcept = default;
OuterSockets& OuterSockets::operator=(OuterSockets&&) noexcept = default;
OuterSockets::~OuterSockets() = default;

Result<OuterSockets> OuterSockets::open(bool receives) {
  OuterSockets out(receives);
  const auto keep = [](UniqueFd& place, Result<UniqueFd> opened) -> Result<void> {
    if (!opened) return fail(std::move(opened.error()));
    place = std::move(*opened);
    return {};
  };
  struct Wanted {
    UniqueFd& place;
    int protocol;
    bool receives;
    int discovery;
  };
  for (const Wanted& one : {Wanted{out.esp4_, IPPROTO_ESP, receives, IP_PMTUDISC_WANT},
                            Wanted{out.esp4_fragment_, IPPROTO_ESP, false, IP_PMTUDISC_DONT},
                            Wanted{out.ah4_, IPPROTO_AH, receives, IP_PMTUDISC_DONT},
                            Wanted{out.header4_, IPPROTO_RAW, false, IP_PMTUDISC_DONT}}) {
    auto opened = keep(one.place, open_ipsec(Family::ipv4, one.protocol, one.receives, one.discovery));
    if (!opened) return fail(std::move(opened.error()));
  }
  if (auto r = keep(out.icmp4_, open_raw(AF_INET, IPPROTO_ICMP, "ICMP", false)); !r)
    return fail(std::move(r.error()));
  // A host without IPv6 says EAFNOSUPPORT.
  const UniqueFd probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return out;
  for (const Wanted& one : {Wanted{out.esp6_, IPPROTO_ESP, receives, IPV6_PMTUDISC_WANT},
                            Wanted{out.ah6_, IPPROTO_AH, receives, IPV6_PMTUDISC_WANT}}) {
    auto opened = keep(one.place, open_ipsec(Family::ipv6, one.protocol, one.receives, one.discovery));
    if (!opened) return fail(std::move(opened.error()));
  }
  if (auto r = keep(out.icmp6_, open_raw(AF_INET6, IPPROTO_ICMPV6, "ICMPv6", false)); !r) {
    return fail(std::move(r.error()));
  }
  return out;
}

std::vector<int> OuterSockets::descriptors() const {
  std::vector<int> out;
  for (const int fd : {esp4_.get(), esp6_.get(), ah4_.get(), ah6_.get()}) {
    if (receives_ && fd >= 0) out.push_back(fd);
  }
  for (const Attached& socket : attached_) {
    if (socket.receives) out.push_back(socket.socket.get());
  }
  return out;
}

Result<void> OuterSockets::attach(int key, UniqueFd socket, const Endpoint& local, bool non_ike_marker,
                                  bool receives) {
  if (attached(key) >= 0) {
    return fail(ErrorCode::in_use, "the encapsulation socket " + local.to_string() + " is attached already");
  }
  if (!receives) {
    attached_.push_back({key, std::move(socket), local, non_ike_marker, false});
    return {};
  }
  const int fd = socket.get();
  const bool set = local.address.is_v4() ? set_socket_option(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
                                               set_socket_option(fd, IPPROTO_IP, IP_RECVTOS, 1)
                                         : set_socket_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                                               set_socket_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  if (!set) {
    return fail(ErrorCode::data_plane,
                "the encapsulation socket " + local.to_string() + " cannot be used: " + std::strerror(errno),
                "a bound UDP socket of the address's family");
  }
  enlarge_buffers(fd);
  (void)set_socket_option(fd, IPPROTO_UDP, UDP_GRO, 1);  // Linux 5.0; without it datagrams come one by one
  attached_.push_back({key, std::move(socket), local, non_ike_marker, true});
  return {};
}

void OuterSockets::detach(int key) {
  // Who reads it from now on has no room for more than a datagram and the packet information. (A vector that
  // waits in the socket's queue already reaches them in one piece; IKE repeats what is lost so.)
  for (const Attached& socket : attached_) {
    if (socket.key != key || !socket.receives) continue;
    const int fd = socket.socket.get();
    (void)set_socket_option(fd, IPPROTO_UDP, UDP_GRO, 0);
    (void)set_socket_option(fd, IPPROTO_IP, IP_RECVTOS, 0);
    (void)set_socket_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 0);
  }
  std::erase_if(attached_, [key](const Attached& socket) { return socket.key == key; });
}

int OuterSockets::attached(int key) const {
  for (const Attached& socket : attached_) {
    if (socket.key == key) return socket.socket.get();
  }
  return -1;
}

// ---- Receiving

bool OuterSockets::receive(int fd, PacketBatch& batch, const IkeSink& ike) {
  batch.clear();
  const auto socket = std::find_if(attached_.begin(), attached_.end(),
                                   [fd](const Attached& entry) { return entry.socket.get() == fd; });
  const bool native = fd == esp4_.get() || fd == esp6_.get() || fd == ah4_.get() || fd == ah6_.get();
  if (socket == attached_.end() && !native) return false;  // detached meanwhile
  while (!batch.full()) {
    if (received_->empty() && !received_->read(fd)) return false;
    while (!received_->empty() && !batch.full()) {
      if (native) {
        sort_native(received_->next(), fd, batch);
      } else {
        sort_encapsulated(received_->next(), *socket, batch, ike);
      }
    }
    // What was read lies there until the batch is done with.
    if (received_->empty()) return received_->filled();
  }
  return true;
}

void OuterSockets::sort_native(const ArrivedDatagram& arrived, int fd, PacketBatch& batch) {
  const std::span<std::uint8_t> datagram = arrived.bytes;
  const bool ah = fd == ah4_.get() || fd == ah6_.get();
  const IpsecProtocol protocol = ah ? IpsecProtocol::ah : IpsecProtocol::esp;
  if (fd == esp6_.get() || fd == ah6_.get()) {  // raw(7): IPv6 sockets give the payload alone
    if (!arrived.arrival->destination) return;
    BatchPacket& packet = batch.add(datagram);
    packet.destination = *arrived.arrival->destination;
    packet.source = {arrived.source.address, 0};
    packet.traffic_class = arrived.arrival->traffic_class;
    packet.protocol = protocol;
    static_assert(PacketBatch::kHeadroom >= kMaxIpHeader);
    // 0: AH does not verify.
    if (ah) {
      packet.ip_header =
          put_ipv6_header(datagram, packet.source.address, packet.destination, arrived.arrival->extensions);
    }
    return;
  }
  if (datagram.size() < 20) return;
  const std::size_t header = std::size_t{datagram[0] & 0x0fU} * 4;
  if (header < 20 || header > datagram.size()) return;
  BatchPacket& packet = batch.add(datagram.subspan(header));
  packet.source = {address_of(&datagram[12], 4), 0};
  packet.destination = address_of(&datagram[16], 4);
  packet.traffic_class = datagram[1];
  packet.protocol = protocol;
  if (ah) packet.ip_header = header;
}

void OuterSockets::sort_encapsulated(const ArrivedDatagram& arrived, const Attached& socket,
                                     PacketBatch& batch, const IkeSink& ike) {
  const std::span<std::uint8_t> datagram = arrived.bytes;
  if (datagram.size() == 1 && datagram[0] == kKeepAlive) return;
  const std::size_t marker_bytes = socket.non_ike_marker ? kNonIkeMarker : kNonEspMarker;
  if (datagram.size() <= marker_bytes) return;
  const IpAddress destination = arrived.arrival->destination.value_or(socket.local.address);
  const auto marker = datagram.first(marker_bytes);
  const bool marked = std::all_of(marker.begin(), marker.end(), [](std::uint8_t byte) { return byte == 0; });
  std::span<std::uint8_t> rest = marked ? datagram.subspan(marker_bytes) : datagram;
  // The marker is IKE's, but on the IKE port ESP's.
  if (marked != socket.non_ike_marker) {
    ike({destination, socket.local.port}, arrived.source, rest);
    return;
  }
  if (arrived.crowded) {
    // Apart from its neighbours: transport mode writes a header before it.
    const std::span<std::uint8_t> room = batch.next_room().first(rest.size());
    std::copy(rest.begin(), rest.end(), room.begin());
    rest = room;
  }
  BatchPacket& packet = batch.add(rest);
  packet.non_ike_marker = marked;
  packet.destination = destination;
  packet.traffic_class = arrived.arrival->traffic_class;
  packet.source = arrived.source;
  packet.encapsulated = true;
}

// ---- Sending

int OuterSockets::socket_for(const SealedPacket& packet) const {
  const OuterPath& path = packet.path;
  if (packet.protocol == IpsecProtocol::ah) return path.source.is_v4() ? header4_.get() : ah6_.get();
  if (!path.encapsulation) {
    if (!path.source.is_v4()) return esp6_.get();
    return packet.dont_fragment ? esp4_.get() : esp4_fragment_.get();
  }
  int wildcard = -1;
  for (const Attached& socket : attached_) {
    if (socket.local.port != path.encapsulation->local_port ||
        socket.non_ike_marker != path.encapsulation->non_ike_marker)
      continue;
    if (socket.local.address == path.source) return socket.socket.get();
    if (socket.local.address == IpAddress::any(path.source.family())) wildcard = socket.socket.get();
  }
  return wildcard;
}

SendReport OuterSockets::send(std::span<const SealedPacket> packets) {
  SendReport report;
  while (!packets.empty()) {
    const SealedPacket& first = packets[0];
    if (in_pieces(first)) {
      send_fragments(first, report);
      packets = packets.subspan(1);
      continue;
    }
    const int fd = socket_for(first);
    std::size_t run = 1;
    while (run < packets.size() && !in_pieces(packets[run]) && socket_for(packets[run]) == fd) ++run;
    if (fd >= 0) {
      sender_->send(fd, packets.first(run), report);
    } else {
      report.refused += run;
      report.path = first.path;
      report.no_socket = true;
    }
    packets = packets.subspan(run);
  }
  return report;
}

// RFC 791 section 3.2. The first 20 bytes are the header, without options.
void OuterSockets::send_fragments(const SealedPacket& packet, SendReport& report) {
  constexpr std::size_t kHeader = 20;
  constexpr std::size_t kSmallest = kHeader + 8;
  if (packet.fragment_to < kSmallest) {
    ++report.refused;
    return;
  }
  const std::size_t most = (packet.fragment_to - kHeader) / 8 * 8;
  SocketAddress address = to_socket_address(packet.path.destination, 0);
  for (std::size_t at = kHeader; at < packet.bytes.size(); at += most) {
    const std::size_t size = std::min(most, packet.bytes.size() - at);
    const bool last = at + size == packet.bytes.size();
    std::array<std::uint8_t, kHeader> header{};
    std::copy_n(packet.bytes.begin(), kHeader, header.begin());
    const std::size_t place = (at - kHeader) / 8 | (last ? 0U : 0x2000U);
    header[6] = static_cast<std::uint8_t>(place >> 8);
    header[7] = static_cast<std::uint8_t>(place);
    std::array<iovec, 2> pieces{
        {{header.data(), header.size()}, {const_cast<std::uint8_t*>(packet.bytes.data() + at), size}}};
    msghdr message{};
    message.msg_name = address.get();
    message.msg_namelen = address.size;
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    if (::sendmsg(header4_.get(), &message, MSG_DONTWAIT) >= 0) continue;
    // The rest would be of no use without it.
    const int error = errno;
    if (error != EAGAIN && error != ENOBUFS && error != EMSGSIZE) {
      report.error = error;
      report.path = packet.path;
    }
    ++report.refused;
    return;
  }
  ++report.sent;
}

void OuterSockets::send_icmp(const IcmpMessage& message) {
  const int fd = message.destination.is_v4() ? icmp4_.get() : icmp6_.get();
  SocketAddress address = to_socket_address(message.destination, 0);
  (void)::sendto(fd, message.bytes.data(), message.bytes.size(), MSG_DONTWAIT, address.get(), address.size);
}

std::size_t query_path_mtu(const OuterPath& path) {
  const bool v4 = path.destination.is_v4();
  const UniqueFd probe(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return 0;
  (void)set_socket_option(probe.get(), SOL_SOCKET, SO_MARK,
                          static_cast<int>(kBypassMark));  // the way ESP goes
  SocketAddress source = to_socket_address(path.source, 0);
  SocketAddress destination =
      to_socket_address(path.destination, 9);  // connect() sends nothing; any port will do
  if (::bind(probe.get(), source.get(), source.size) != 0) return 0;
  if (::connect(probe.get(), destination.get(), destination.size) != 0) return 0;
  int mtu = 0;
  socklen_t size = sizeof(mtu);
  const int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
  if (::getsockopt(probe.get(), level, v4 ? IP_MTU : IPV6_MTU, &mtu, &size) != 0 || mtu < 0) return 0;
  return static_cast<std::size_t>(mtu);
}

}  // namespace oakgate::soft
