#include "xfrm/soft/outer_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

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

// ---- Socket addresses

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress to_socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress out;
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes().data(), 4);
    std::memcpy(&out.storage, &v4, sizeof(v4));
    out.size = sizeof(v4);
    return out;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
  std::memcpy(&out.storage, &v6, sizeof(v6));
  out.size = sizeof(v6);
  return out;
}

IpAddress address_of(const void* raw, std::size_t size) {
  return *IpAddress::from_bytes({static_cast<const std::uint8_t*>(raw), size});
}

Endpoint to_endpoint(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof(v6));
    return {address_of(&v6.sin6_addr, 16), ntohs(v6.sin6_port)};
  }
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof(v4));
  return {address_of(&v4.sin_addr, 4), ntohs(v4.sin_port)};
}

// ---- Opening

bool set_option(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof(value)) == 0;
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
  // Without CAP_NET_ADMIN in the initial namespace the limits of net.core apply.
  const auto enlarge = [&fd](int forced, int plain) {
    if (set_option(fd.get(), SOL_SOCKET, forced, kBufferBytes)) return;
    (void)set_option(fd.get(), SOL_SOCKET, plain, kBufferBytes);
  };
  enlarge(SO_RCVBUFFORCE, SO_RCVBUF);
  enlarge(SO_SNDBUFFORCE, SO_SNDBUF);
  return fd;
}

// `protocol` is IPPROTO_ESP, IPPROTO_AH or IPPROTO_RAW (which implies that the header comes along: raw(7)).
Result<UniqueFd> open_ipsec(Family family, int protocol, bool receives, int discovery) {
  const bool v4 = family == Family::ipv4;
  const char* what = protocol == IPPROTO_ESP ? (v4 ? "IPv4 ESP" : "IPv6 ESP") : (v4 ? "IPv4 AH" : "IPv6 AH");
  auto fd = open_raw(v4 ? AF_INET : AF_INET6, protocol, what, receives);
  if (!fd) return fd;
  const bool set = v4 ? set_option(fd->get(), IPPROTO_IP, IP_MTU_DISCOVER, discovery)
                      : set_option(fd->get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, discovery) &&
                            set_option(fd->get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                            set_option(fd->get(), IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  if (!set) return cannot_open(what, errno);
  // AH covers the extension headers before it.
  for (const int option : {IPV6_RECVHOPOPTS, IPV6_RECVRTHDR, IPV6_RECVDSTOPTS}) {
    const bool wanted = !v4 && protocol == IPPROTO_AH && receives;
    if (wanted && !set_option(fd->get(), IPPROTO_IPV6, option, 1)) return cannot_open(what, errno);
  }
  if (auto passed = bypass_socket(fd->get(), family); !passed) return fail(std::move(passed.error()));
  return fd;
}

// ---- Control messages

struct Arrival {
  std::optional<IpAddress> destination;
  std::uint8_t traffic_class = 0;
  Ipv6Extensions extensions;  // of AH over IPv6
};

// An extension header as a control message; ipv6(7): they come in the packet's order.
std::optional<Ipv6Extension> extension_of(const cmsghdr* control) {
  if (control->cmsg_level != IPPROTO_IPV6) return std::nullopt;
  const ByteView bytes(CMSG_DATA(control), control->cmsg_len - CMSG_LEN(0));
  switch (control->cmsg_type) {
    case IPV6_HOPOPTS:
      return Ipv6Extension{IPPROTO_HOPOPTS, bytes};
    case IPV6_RTHDR:
      return Ipv6Extension{IPPROTO_ROUTING, bytes};
    case IPV6_DSTOPTS:
      return Ipv6Extension{IPPROTO_DSTOPTS, bytes};
    default:
      return std::nullopt;
  }
}

template <typename T>
T control_value(const cmsghdr* control) {
  T value{};
  std::memcpy(&value, CMSG_DATA(control), sizeof(value));
  return value;
}

Arrival read_control(msghdr& header) {
  Arrival out;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      const auto info = control_value<in_pktinfo>(control);
      out.destination = address_of(&info.ipi_addr, 4);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      const auto info = control_value<in6_pktinfo>(control);
      out.destination = address_of(&info.ipi6_addr, 16);
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) {
      out.traffic_class = control_value<std::uint8_t>(control);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) {
      out.traffic_class = static_cast<std::uint8_t>(control_value<int>(control));
    } else if (const auto extension = extension_of(control)) {
      out.extensions.add(*extension);
    }
  }
  if ((header.msg_flags & MSG_CTRUNC) != 0) out.extensions.lose();
  return out;
}

template <typename T>
cmsghdr* put_control(msghdr& header, cmsghdr* control, int level, int type, const T& value) {
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof(value));
  std::memcpy(CMSG_DATA(control), &value, sizeof(value));
  return CMSG_NXTHDR(&header, control);
}

// Source address and traffic class of one packet.
void write_control(msghdr& header, const SealedPacket& packet) {
  cmsghdr* control = CMSG_FIRSTHDR(&header);
  const int traffic_class = packet.traffic_class;
  if (packet.path.source.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, packet.path.source.bytes().data(), 4);
    control = put_control(header, control, IPPROTO_IP, IP_PKTINFO, info);
    put_control(header, control, IPPROTO_IP, IP_TOS, traffic_class);
    header.msg_controllen = CMSG_SPACE(sizeof(info)) + CMSG_SPACE(sizeof(traffic_class));
    return;
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, packet.path.source.bytes().data(), 16);
  control = put_control(header, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
  put_control(header, control, IPPROTO_IPV6, IPV6_TCLASS, traffic_class);
  header.msg_controllen = CMSG_SPACE(sizeof(info)) + CMSG_SPACE(sizeof(traffic_class));
}

bool in_pieces(const SealedPacket& packet) {
  return packet.fragment_to != 0 && packet.protocol == IpsecProtocol::ah && packet.path.source.is_v4();
}

}  // namespace

// What the batch system calls need, kept so that nothing is allocated on the way.
struct OuterSockets::Buffers {
  // Addresses and traffic class, and of AH over IPv6 the extension headers.
  static constexpr std::size_t kControl = 128 + kMaxIpHeader;
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, kControl> bytes;
  };
  std::array<mmsghdr, PacketBatch::kCapacity> headers{};
  std::array<iovec, PacketBatch::kCapacity> pieces{};
  std::array<SocketAddress, PacketBatch::kCapacity> addresses{};
  std::array<Control, PacketBatch::kCapacity> controls{};

  // Ready for message `index` of these bytes, with room for an address and control messages.
  msghdr& prepare(std::size_t index, void* data, std::size_t size) {
    pieces[index] = {data, size};
    controls[index].bytes.fill(0);
    msghdr& header = headers[index].msg_hdr;
    header = {};
    header.msg_name = &addresses[index].storage;
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_iov = &pieces[index];
    header.msg_iovlen = 1;
    header.msg_control = controls[index].bytes.data();
    header.msg_controllen = kControl;
    return header;
  }
};

OuterSockets::OuterSockets() : buffers_(std::make_unique<Buffers>()) {}
OuterSockets::OuterSockets(OuterSockets&&) noexcept = default;
OuterSockets& OuterSockets::operator=(OuterSockets&&) noexcept = default;
OuterSockets::~OuterSockets() = default;

Result<OuterSockets> OuterSockets::open() {
  OuterSockets out;
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
  for (const Wanted& one : {Wanted{out.esp4_, IPPROTO_ESP, true, IP_PMTUDISC_WANT},
                            Wanted{out.esp4_fragment_, IPPROTO_ESP, false, IP_PMTUDISC_DONT},
                            Wanted{out.ah4_, IPPROTO_AH, true, IP_PMTUDISC_DONT},
                            Wanted{out.header4_, IPPROTO_RAW, false, IP_PMTUDISC_DONT}}) {
    auto opened = keep(one.place, open_ipsec(Family::ipv4, one.protocol, one.receives, one.discovery));
    if (!opened) return fail(std::move(opened.error()));
  }
  if (auto r = keep(out.icmp4_, open_raw(AF_INET, IPPROTO_ICMP, "ICMP", false)); !r)
    return fail(std::move(r.error()));
  // A host without IPv6 says EAFNOSUPPORT.
  const UniqueFd probe(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return out;
  for (const Wanted& one : {Wanted{out.esp6_, IPPROTO_ESP, true, IPV6_PMTUDISC_WANT},
                            Wanted{out.ah6_, IPPROTO_AH, true, IPV6_PMTUDISC_WANT}}) {
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
    if (fd >= 0) out.push_back(fd);
  }
  for (const Attached& socket : attached_) out.push_back(socket.socket.get());
  return out;
}

Result<void> OuterSockets::attach(int key, UniqueFd socket, const Endpoint& local, bool non_ike_marker) {
  if (attached(key) >= 0) {
    return fail(ErrorCode::in_use, "the encapsulation socket " + local.to_string() + " is attached already");
  }
  const int fd = socket.get();
  const bool set = local.address.is_v4() ? set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
                                               set_option(fd, IPPROTO_IP, IP_RECVTOS, 1)
                                         : set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                                               set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  if (!set) {
    return fail(ErrorCode::data_plane,
                "the encapsulation socket " + local.to_string() + " cannot be used: " + std::strerror(errno),
                "a bound UDP socket of the address's family");
  }
  attached_.push_back({key, std::move(socket), local, non_ike_marker});
  return {};
}

void OuterSockets::detach(int key) {
  // Who reads it from now on has no room for more than the packet information.
  if (const int fd = attached(key); fd >= 0) {
    (void)set_option(fd, IPPROTO_IP, IP_RECVTOS, 0);
    (void)set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 0);
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
  for (std::size_t i = 0; i < PacketBatch::kCapacity; ++i) {
    buffers_->prepare(i, batch.room(i).data(), batch.room(i).size());
  }
  const int got = ::recvmmsg(fd, buffers_->headers.data(), PacketBatch::kCapacity, MSG_DONTWAIT, nullptr);
  if (got <= 0) return false;
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    const std::span<std::uint8_t> datagram = batch.room(i).first(buffers_->headers[i].msg_len);
    if (socket != attached_.end()) {
      sort_encapsulated(datagram, i, *socket, batch, ike);
    } else {
      sort_native(datagram, i, fd, batch);
    }
  }
  return got == static_cast<int>(PacketBatch::kCapacity);
}

void OuterSockets::sort_native(std::span<std::uint8_t> datagram, std::size_t index, int fd,
                               PacketBatch& batch) {
  const bool ah = fd == ah4_.get() || fd == ah6_.get();
  const IpsecProtocol protocol = ah ? IpsecProtocol::ah : IpsecProtocol::esp;
  if (fd == esp6_.get() || fd == ah6_.get()) {  // raw(7): IPv6 sockets give the payload alone
    const Arrival arrival = read_control(buffers_->headers[index].msg_hdr);
    if (!arrival.destination) return;
    BatchPacket& packet = batch.add(datagram);
    packet.destination = *arrival.destination;
    packet.source = {to_endpoint(buffers_->addresses[index].storage).address, 0};
    packet.traffic_class = arrival.traffic_class;
    packet.protocol = protocol;
    static_assert(PacketBatch::kHeadroom >= kMaxIpHeader);
    // 0: AH does not verify.
    if (ah) {
      packet.ip_header =
          put_ipv6_header(datagram, packet.source.address, packet.destination, arrival.extensions);
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

void OuterSockets::sort_encapsulated(std::span<std::uint8_t> datagram, std::size_t index,
                                     const Attached& socket, PacketBatch& batch, const IkeSink& ike) {
  if (datagram.size() == 1 && datagram[0] == kKeepAlive) return;
  const std::size_t marker_bytes = socket.non_ike_marker ? kNonIkeMarker : kNonEspMarker;
  if (datagram.size() <= marker_bytes) return;
  const Arrival arrival = read_control(buffers_->headers[index].msg_hdr);
  const IpAddress destination = arrival.destination.value_or(socket.local.address);
  const auto marker = datagram.first(marker_bytes);
  const bool marked = std::all_of(marker.begin(), marker.end(), [](std::uint8_t byte) { return byte == 0; });
  // The marker is IKE's, but on the IKE port ESP's.
  if (marked != socket.non_ike_marker) {
    ike({destination, socket.local.port}, to_endpoint(buffers_->addresses[index].storage),
        marked ? datagram.subspan(marker_bytes) : datagram);
    return;
  }
  BatchPacket& packet = batch.add(marked ? datagram.subspan(marker_bytes) : datagram);
  packet.non_ike_marker = marked;
  packet.destination = destination;
  packet.traffic_class = arrival.traffic_class;
  packet.source = to_endpoint(buffers_->addresses[index].storage);
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
    while (run < packets.size() && run < PacketBatch::kCapacity && !in_pieces(packets[run]) &&
           socket_for(packets[run]) == fd) {
      ++run;
    }
    if (fd >= 0) {
      send_run(fd, packets.first(run), report);
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

void OuterSockets::send_run(int fd, std::span<const SealedPacket> run, SendReport& report) {
  for (std::size_t i = 0; i < run.size(); ++i) {
    const OuterPath& path = run[i].path;
    // The kernel does not write through iovecs of messages to send.
    msghdr& header =
        buffers_->prepare(i, const_cast<std::uint8_t*>(run[i].bytes.data()), run[i].bytes.size());
    buffers_->addresses[i] =
        to_socket_address(path.destination, path.encapsulation ? path.encapsulation->remote_port : 0);
    header.msg_namelen = buffers_->addresses[i].size;
    write_control(header, run[i]);
  }
  std::size_t done = 0;
  while (done < run.size()) {
    const int sent = ::sendmmsg(fd, buffers_->headers.data() + done, static_cast<unsigned>(run.size() - done),
                                MSG_DONTWAIT);
    if (sent > 0) {
      report.sent += static_cast<std::size_t>(sent);
      done += static_cast<std::size_t>(sent);
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    // The first one failed; those behind it may have another path. A full queue drops, as any router does; a
    // path MTU that has just become smaller is asked for within a second.
    const int error = errno;
    if (error != EAGAIN && error != ENOBUFS && error != EMSGSIZE) {
      report.error = error;
      report.path = run[done].path;
    }
    ++report.refused;
    ++done;
  }
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
  (void)set_option(probe.get(), SOL_SOCKET, SO_MARK, static_cast<int>(kBypassMark));  // the way ESP goes
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
