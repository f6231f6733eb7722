#include "xfrm/soft/tun_device.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "xfrm/netlink/netlink_socket.h"
#include "xfrm/netlink/routes.h"

namespace oakgate::soft {

namespace {

constexpr const char* kDevicePath = "/dev/net/tun";

std::string reason(int error) {
  return std::strerror(error);
}

tl::unexpected<Error> cannot_open(int error) {
  const std::string text =
      std::string("the software data plane cannot open ") + kDevicePath + ": " + reason(error);
  if (error == EACCES || error == EPERM) {
    return fail(ErrorCode::not_permitted, text, "read and write permission on the TUN device",
                "run oakgated as root, or give it the device (systemd: DeviceAllow=/dev/net/tun rw)");
  }
  return fail(ErrorCode::not_found, text, "a kernel with TUN and its device node",
              "`modprobe tun`; in a container hand the device in (--device /dev/net/tun)");
}

tl::unexpected<Error> cannot_create(const std::string& name, int error) {
  const std::string text =
      "the software data plane cannot create the TUN device " + name + ": " + reason(error);
  if (error == EPERM || error == EACCES) {
    return fail(ErrorCode::not_permitted, text, "the capability CAP_NET_ADMIN",
                "run oakgated as root, or give it CAP_NET_ADMIN and CAP_NET_RAW");
  }
  return fail(ErrorCode::data_plane, text, "a kernel that creates TUN devices", "see the kernel's log");
}

Bytes attribute_u32(std::uint16_t type, std::uint32_t value) {
  return netlink_attribute(type, {reinterpret_cast<const std::uint8_t*>(&value), sizeof(value)});
}

int read_setting(const std::string& path, int absent) {
  std::ifstream file(path);
  int value = absent;
  return file >> value ? value : absent;
}

bool write_setting(const std::string& path, const char* value) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.valid() && ::write(file.get(), value, std::strlen(value)) > 0;
}

bool has_ipv6() {
  return ::access("/proc/sys/net/ipv6", F_OK) == 0;
}

// The most that this kernel offers of: checksums left to us, vectors of TCP, of UDP (Linux 6.2). Whether it
// has UDP's.
bool ask_for_vectors(int fd) {
  constexpr unsigned long kUdpVectors =
      0x20 | 0x40;  // TUN_F_USO4 and TUN_F_USO6, newer than Debian 12's headers
  constexpr unsigned long kTcpVectors = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  for (const unsigned long wanted : {kTcpVectors | TUN_F_TSO_ECN | kUdpVectors, kTcpVectors | TUN_F_TSO_ECN,
                                     kTcpVectors, static_cast<unsigned long>(TUN_F_CSUM)}) {
    if (::ioctl(fd, TUNSETOFFLOAD, wanted) == 0) return (wanted & kUdpVectors) != 0;
  }
  return false;
}

// Settings by netlink: /proc/sys is often read-only for services.
Result<void> set_by_netlink(unsigned ifindex, const std::string& name, const Bytes& families) {
  auto socket = NetlinkSocket::open(NetlinkFamily::route);
  if (!socket) return fail(std::move(socket.error()));
  NetlinkMessage message(RTM_SETLINK, 0);
  auto& header = message.put_header<ifinfomsg>();
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(ifindex);
  message.put(IFLA_AF_SPEC | NLA_F_NESTED, families);
  return socket->request(message, "configure the device " + name);
}

}  // namespace

// `pattern` with "%d": the kernel puts the first free number in; without: another queue of the device of that
// name.
Result<TunDevice> TunDevice::open_queue(const std::string& pattern, unsigned flags, unsigned ifindex) {
  UniqueFd fd(::open(kDevicePath, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return cannot_open(errno);
  ifreq request{};
  std::copy(pattern.begin(), pattern.end(), request.ifr_name);
  if (ifindex != 0 && ::ioctl(fd.get(), TUNSETIFINDEX, &ifindex) != 0) return cannot_create(pattern, errno);
  unsigned features = 0;
  const bool vectors = ::ioctl(fd.get(), TUNGETFEATURES, &features) == 0 && (features & IFF_VNET_HDR) != 0;
  request.ifr_flags =
      static_cast<short>(IFF_TUN | IFF_NO_PI | flags | static_cast<unsigned>(vectors ? IFF_VNET_HDR : 0));
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return cannot_create(pattern, errno);
  const bool udp_vectors = vectors && ask_for_vectors(fd.get());
  return TunDevice(std::move(fd), request.ifr_name, vectors, udp_vectors);
}

Result<TunDevice> TunDevice::open(const std::string& prefix, std::uint16_t mtu, bool queues) {
  const std::string pattern = prefix + "%d";
  if (prefix.empty() || pattern.size() + 2 >= sizeof(ifreq::ifr_name)) {
    return fail(ErrorCode::data_plane, "'" + prefix + "' cannot begin a device name", "1 to 11 characters");
  }
  auto device = open_queue(pattern, queues ? IFF_MULTI_QUEUE : 0);
  if (!device) return device;
  if (auto done = device->set_up(mtu); !done) return fail(std::move(done.error()));
  return device;
}

// What refers to the index, rules and routes of the guard, is as good as before.
Result<TunDevice> TunDevice::open_again(const Lost& lost, std::uint16_t mtu, bool queues) {
  auto device = open_queue(lost.name, queues ? IFF_MULTI_QUEUE : 0, lost.ifindex);
  if (!device) return device;
  if (auto done = device->set_up(mtu); !done) return fail(std::move(done.error()));
  if (device->ifindex_ == lost.ifindex) return device;
  return fail(ErrorCode::in_use, "there is another device " + lost.name + " now", "a name of oakgated's own",
              "remove it");
}

Result<void> TunDevice::set_up(std::uint16_t mtu) {
  auto routing = Routing::open();
  if (!routing) return fail(std::move(routing.error()));
  const auto link = routing->find_link(name_);
  if (!link) return fail(link.error());
  ifindex_ = link->ifindex;
  if (auto configured = configure(); !configured) return configured;
  return routing->set_link(ifindex_, mtu, true);
}

Result<TunDevice> TunDevice::add_queue() const {
  auto queue = open_queue(name_, IFF_MULTI_QUEUE);
  if (queue) queue->ifindex_ = ifindex_;
  return queue;
}

Result<void> TunDevice::configure() {
  // The stricter of `all` and the device's own value counts, "loose" (2) being the highest.
  const bool strict = read_setting("/proc/sys/net/ipv4/conf/all/rp_filter", 0) == 1;
  const Bytes settings_v4 = netlink_attribute(
      IFLA_INET_CONF | NLA_F_NESTED,
      join({attribute_u32(IPV4_DEVCONF_NOPOLICY, 1), attribute_u32(IPV4_DEVCONF_RP_FILTER, strict ? 2 : 0)}));
  const Bytes ipv4 = netlink_attribute(AF_INET | NLA_F_NESTED, settings_v4);
  if (auto set = set_by_netlink(ifindex_, name_, ipv4); !set) return set;
  if (!has_ipv6()) return {};
  const std::uint8_t none = IN6_ADDR_GEN_MODE_NONE;
  const Bytes ipv6 =
      netlink_attribute(AF_INET6 | NLA_F_NESTED, netlink_attribute(IFLA_INET6_ADDR_GEN_MODE, {&none, 1}));
  if (auto set = set_by_netlink(ifindex_, name_, ipv6); !set) return set;
  const std::string settings = "/proc/sys/net/ipv6/conf/" + name_;
  ipv6_forwards_ = write_setting(settings + "/disable_policy", "1");
  (void)write_setting(settings + "/accept_ra",
                      "0");  // inner packets are within selectors: a second line only
  return {};
}

// ---- Packets

ssize_t TunDevice::read_packet(VirtioHeader& header, std::span<std::uint8_t> room) {
  if (!vectors_) return ::read(fd_.get(), room.data(), room.size());
  std::array<iovec, 2> pieces{{{&header, sizeof(header)}, {room.data(), room.size()}}};
  const ssize_t got = ::readv(fd_.get(), pieces.data(), pieces.size());
  if (got < 0) return got;
  return std::max<ssize_t>(0, got - static_cast<ssize_t>(sizeof(header)));
}

TunDevice::ReadResult TunDevice::read(PacketBatch& batch, const Elsewhere* elsewhere) {
  if (rest_->cut) cut_rest(batch);
  std::size_t reads = 0;  // those that went elsewhere leave the batch as it is
  while (!batch.full() && (batch.size() == 0 || last_read_ <= batch.free()) &&
         reads < PacketBatch::kCapacity) {
    const std::span<std::uint8_t> room = batch.next_room();
    VirtioHeader header{};
    const ssize_t got = read_packet(header, room);
    if (got < 0) return {false, errno == EAGAIN || errno == EINTR ? 0 : errno};
    ++reads;
    const std::span<std::uint8_t> packet = room.first(static_cast<std::size_t>(got));
    if (elsewhere == nullptr || !(*elsewhere)(header, packet)) cut(header, packet, batch);
  }
  return {true, 0};
}

// `packet` lies in the batch's next room.
void TunDevice::cut(const VirtioHeader& header, std::span<std::uint8_t> packet, PacketBatch& batch) {
  const auto segments = Segmentation::read(header, packet);
  if (!segments) {  // not by this kernel: its headers fit their packets
    ++malformed_;
    return;
  }
  last_read_ = segments->count();
  if (segments->count() > batch.free()) {
    keep(*segments, packet);
    cut_rest(batch);
    return;
  }
  // The rooms first: the segments move apart from the last one on, each only away from the beginning.
  const std::size_t first = batch.size();
  for (std::size_t i = 0; i < segments->count(); ++i) batch.add(batch.next_room().first(segments->size(i)));
  for (std::size_t i = segments->count(); i-- > 0;) {
    segments->write(i, packet, batch.packets()[first + i].bytes);
  }
}

void TunDevice::keep(const Segmentation& segments, ByteView packet) {
  std::copy(packet.begin(), packet.end(), rest_->bytes.begin());
  rest_->size = packet.size();
  rest_->cut = segments;
  rest_->next = 0;
}

bool TunDevice::put(const VirtioHeader& header, ByteView packet, PacketBatch& batch) {
  const auto segments = Segmentation::read(header, packet);
  if (!segments) {
    ++malformed_;
    return true;
  }
  if (segments->count() > batch.free()) {
    if (batch.size() != 0) return false;
    keep(*segments, packet);
    cut_rest(batch);
    return true;
  }
  for (std::size_t i = 0; i < segments->count(); ++i) {
    const std::span<std::uint8_t> room = batch.next_room().first(segments->size(i));
    segments->write(i, packet, room);
    batch.add(room);
  }
  return true;
}

void TunDevice::cut_rest(PacketBatch& batch) {
  const Segmentation& segments = *rest_->cut;
  const ByteView packet(rest_->bytes.data(), rest_->size);
  for (; rest_->next < segments.count(); ++rest_->next) {
    if (batch.full()) return;
    const std::span<std::uint8_t> room = batch.next_room().first(segments.size(rest_->next));
    segments.write(rest_->next, packet, room);
    batch.add(room);
  }
  rest_->cut.reset();
}

std::size_t TunDevice::write(std::span<const ByteView> packets) {
  std::size_t refused = 0;
  if (!vectors_) {
    for (const ByteView packet : packets) {
      if (::write(fd_.get(), packet.data(), packet.size()) < 0) ++refused;
    }
    return refused;
  }
  coalescer_.plan(packets);
  for (std::size_t i = 0; i < coalescer_.size(); ++i) {
    TunVector vector = coalescer_.write(i);
    pieces_.clear();
    pieces_.push_back({&vector.virtio, sizeof(vector.virtio)});
    // The kernel does not write through the iovecs of what is written.
    for (const ByteView piece : vector.pieces) {
      pieces_.push_back({const_cast<std::uint8_t*>(piece.data()), piece.size()});
    }
    if (::writev(fd_.get(), pieces_.data(), static_cast<int>(pieces_.size())) >= 0) continue;
    refused +=
        std::max<std::size_t>(vector.pieces.size(), 2) - 1;  // of several packets: the headers come first
  }
  return refused;
}

}  // namespace oakgate::soft
