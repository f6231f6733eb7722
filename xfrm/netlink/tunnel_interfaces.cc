#include "xfrm/netlink/tunnel_interfaces.h"

#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "xfrm/netlink/routes.h"

namespace oakgate {

namespace {

constexpr std::string_view kKind = "xfrm";

ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
ByteView bytes_of(const std::uint32_t& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(value)};
}

// Of another family than IP: nothing.
ByteView raw_address(const sockaddr& address) {
  if (address.sa_family == AF_INET)
    return {reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in&>(address).sin_addr),
            4};
  if (address.sa_family == AF_INET6)
    return {reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr),
            16};
  return {};
}

void set_up(ifinfomsg& header) {
  header.ifi_family = AF_UNSPEC;
  header.ifi_change = IFF_UP;
  header.ifi_flags = IFF_UP;
}

Error refused(const TunnelInterface& interface, const NetlinkAnswer& answer) {
  Error error = netlink_error(answer, "make the xfrm interface " + interface.name);
  // Without the module the kernel does not know the kind, and without a choice of kinds not the attribute.
  if (answer.error != EOPNOTSUPP && answer.error != EINVAL && answer.error != ENODEV) return error;
  error.code = ErrorCode::unsupported;
  error.expected = "a kernel with xfrm interfaces: CONFIG_XFRM_INTERFACE, Linux 4.19 or later";
  error.remedy =
      "load the module xfrm_interface, or take `interface` out of the tunnel and let its selectors "
      "decide what it carries";
  return error;
}

tl::unexpected<Error> if_id_taken(const TunnelInterface& interface, const std::string& holder) {
  const std::string number = std::to_string(interface.if_id);
  return fail(ErrorCode::in_use,
              "the device " + holder + " has the if_id " + number + " of " + interface.name,
              "no other xfrm interface with if_id " + number,
              "remove it (`ip link del " + holder + "`), or choose another `if_id` in `interface`");
}

// Whether the device has an address that its interface shall not have; its own of the link aside.
bool has_strange_address(const TunnelInterface& interface, const std::string& name) {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return false;
  bool strange = false;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_netmask == nullptr || one->ifa_name != name) continue;
    const ByteView raw = raw_address(*one->ifa_addr);
    const bool of_the_link = raw.size() == 16 && raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80;
    if (raw.empty() || of_the_link) continue;
    int prefix = 0;
    for (const std::uint8_t byte : raw_address(*one->ifa_netmask)) prefix += std::popcount(byte);
    strange = strange || std::none_of(interface.addresses.begin(), interface.addresses.end(),
                                      [&](const InterfaceAddress& wanted) {
                                        const ByteView own = wanted.address.bytes();
                                        return wanted.prefix == prefix &&
                                               std::equal(own.begin(), own.end(), raw.begin(), raw.end());
                                      });
  }
  freeifaddrs(all);
  return strange;
}

tl::unexpected<Error> name_taken(const TunnelInterface& interface) {
  return fail(ErrorCode::in_use, "there is another device " + interface.name,
              "no device of this name, or an xfrm interface with if_id " + std::to_string(interface.if_id),
              "remove it (`ip link del " + interface.name + "`), or choose another name in `interface`");
}

}  // namespace

NetlinkMessage add_device_message(const TunnelInterface& interface) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.put_header<ifinfomsg>().ifi_family = AF_UNSPEC;
  message.put_string(IFLA_IFNAME, interface.name);
  // The device below, if any, is where its packets must leave by: then routes of the peers count no more.
  Bytes data = netlink_attribute(IFLA_XFRM_IF_ID, bytes_of(interface.if_id));
  if (!interface.link.empty()) {
    const std::uint32_t link = if_nametoindex(interface.link.c_str());
    data = join({netlink_attribute(IFLA_XFRM_LINK, bytes_of(link)), data});
  }
  message.begin_nest(IFLA_LINKINFO);
  message.put(IFLA_INFO_KIND, bytes_of(kKind));
  message.put(IFLA_INFO_DATA, data);
  message.end_nest();
  return message;
}

NetlinkMessage set_device_message(const TunnelInterface& interface, unsigned ifindex) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  auto& header = message.put_header<ifinfomsg>();
  set_up(header);
  header.ifi_index = static_cast<int>(ifindex);
  if (interface.mtu != 0) message.put_u32(IFLA_MTU, interface.mtu);
  message.put(IFLA_IFALIAS, bytes_of(kOurAlias));
  return message;
}

NetlinkMessage remove_device_message(unsigned ifindex) {
  NetlinkMessage message(RTM_DELLINK, 0);
  auto& header = message.put_header<ifinfomsg>();
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(ifindex);
  return message;
}

std::optional<XfrmDevice> parse_device(const nlmsghdr& message) {
  const auto* header = netlink_header<ifinfomsg>(message);
  if (message.nlmsg_type != RTM_NEWLINK || header == nullptr) return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof(ifinfomsg));
  const NetlinkAttributes info(attributes.get(IFLA_LINKINFO));
  if (info.text(IFLA_INFO_KIND) != kKind) return std::nullopt;
  XfrmDevice device;
  device.ifindex = static_cast<unsigned>(header->ifi_index);
  device.name = std::string(attributes.text(IFLA_IFNAME));
  const NetlinkAttributes data(info.get(IFLA_INFO_DATA));
  device.if_id = data.u32(IFLA_XFRM_IF_ID);
  device.link = data.u32(IFLA_XFRM_LINK);
  device.ours = attributes.text(IFLA_IFALIAS) == kOurAlias;
  return device;
}

Result<TunnelInterfaces> TunnelInterfaces::open() {
  auto socket = NetlinkSocket::open(NetlinkFamily::route);
  if (!socket) return tl::unexpected(socket.error());
  TunnelInterfaces interfaces(std::move(*socket));
  auto devices = interfaces.devices();
  if (!devices) return tl::unexpected(devices.error());
  for (XfrmDevice& device : *devices) {
    if (device.ours) interfaces.leftovers_.emplace(device.name, std::move(device));
  }
  return interfaces;
}

Result<std::vector<XfrmDevice>> TunnelInterfaces::devices() {
  NetlinkMessage message(RTM_GETLINK, 0);
  message.put_header<ifinfomsg>().ifi_family = AF_UNSPEC;
  std::vector<XfrmDevice> found;
  auto dumped = socket_.dump(message, "list the network devices", [&](const nlmsghdr& part) {
    if (auto device = parse_device(part)) found.push_back(std::move(*device));
  });
  if (!dumped) return tl::unexpected(dumped.error());
  return found;
}

Result<XfrmDevice> TunnelInterfaces::make(const TunnelInterface& interface) {
  std::vector<NetlinkMessage> add;
  if (!interface.link.empty() && if_nametoindex(interface.link.c_str()) == 0) {
    return fail(ErrorCode::not_found,
                "the interface " + interface.name + " shall stand on " + interface.link +
                    ", and there is no such device",
                "the name of a network device in `link`", "see `ip link`");
  }
  add.push_back(add_device_message(interface));
  const bool free = if_nametoindex(interface.name.c_str()) == 0;
  auto answers = socket_.transact(add);
  const NetlinkAnswer answer = answers ? answers->front() : NetlinkAnswer{EBUSY, {}};
  // It may be there now, whatever was heard of it, and says by nothing yet that it is ours.
  if (free && (answer.ok() || !answers))
    leftovers_.insert_or_assign(interface.name, XfrmDevice{0, interface.name, interface.if_id, 0, true});
  if (!answers) return tl::unexpected(answers.error());
  if (!answer.ok() && answer.error != EEXIST) return fail(refused(interface, answer));
  auto all = devices();
  if (!all) return tl::unexpected(all.error());
  for (XfrmDevice& device : *all) {
    if (device.name != interface.name) {
      if (device.if_id == interface.if_id) return if_id_taken(interface, device.name);
      continue;
    }
    if (device.if_id != interface.if_id) break;
    device.ours = device.ours || answer.ok() || leftovers_.contains(interface.name);
    return std::move(device);
  }
  return name_taken(interface);
}

Result<void> TunnelInterfaces::clear_way(const TunnelInterface& interface) {
  const unsigned link = interface.link.empty() ? 0 : if_nametoindex(interface.link.c_str());
  for (auto at = leftovers_.begin(); at != leftovers_.end();) {
    const XfrmDevice& old = at->second;
    const bool same_name = old.name == interface.name;
    const bool same_id = old.if_id == interface.if_id;
    const bool fits = same_name && same_id && old.ifindex != 0 && old.link == link &&
                      !has_strange_address(interface, interface.name);
    if (fits || (!same_name && !same_id)) {
      ++at;
      continue;
    }
    if (auto removed = remove(old); !removed) return removed;
    at = leftovers_.erase(at);
  }
  for (auto& [name, used] : used_) {
    const bool in_the_way = name == interface.name || used.device.if_id == interface.if_id;
    if (!in_the_way || !used.device.ours) continue;
    if (auto removed = remove(used.device); !removed) return removed;
    used.device.ours = false;  // its users, who are about to leave it, have nothing to remove any more
  }
  return {};
}

Result<unsigned> TunnelInterfaces::use(const TunnelInterface& interface) {
  const auto known = used_.find(interface.name);
  if (known != used_.end() && known->second.wanted == interface) {
    ++known->second.users;
    return known->second.device.ifindex;
  }
  if (auto cleared = clear_way(interface); !cleared) return tl::unexpected(cleared.error());
  auto device = make(interface);
  if (!device) return tl::unexpected(device.error());
  const unsigned ifindex = device->ifindex;
  leftovers_.erase(interface.name);
  if (auto set = set_up(interface, *device); !set) {
    if (device->ours) static_cast<void>(give_up(std::move(*device)));  // the error reported is the first
    return tl::unexpected(set.error());
  }
  Used& used = used_[interface.name];
  used = Used{interface, std::move(*device), used.users + 1};
  return ifindex;
}

Result<void> TunnelInterfaces::mend() {
  Result<void> first;
  for (auto& [name, used] : used_) {
    if (used.ready && if_nametoindex(name.c_str()) == used.device.ifindex) continue;
    used.ready = false;
    auto device = make(used.wanted);
    Result<void> done = device ? set_up(used.wanted, *device) : tl::unexpected(device.error());
    if (device) leftovers_.erase(name);
    if (device) used.device = std::move(*device);
    used.ready = done.has_value();
    if (!done && first) first = std::move(done);
  }
  return first;
}

std::optional<unsigned> TunnelInterfaces::index(const std::string& name) const {
  const auto found = used_.find(name);
  return found == used_.end() ? std::nullopt : std::optional(found->second.device.ifindex);
}

Result<void> TunnelInterfaces::set_up(const TunnelInterface& interface, const XfrmDevice& device) {
  if (!device.ours) return {};
  const unsigned ifindex = device.ifindex;
  NetlinkMessage set = set_device_message(interface, ifindex);
  if (auto done = socket_.request(set, "set up the xfrm interface " + interface.name); !done)
    return tl::unexpected(done.error());
  auto routing = Routing::open();
  if (!routing) return tl::unexpected(routing.error());
  for (const InterfaceAddress& own : interface.addresses) {
    if (auto added = routing->add_address(ifindex, own.address, own.prefix); !added)
      return tl::unexpected(added.error());
  }
  return {};
}

Result<void> TunnelInterfaces::remove(const XfrmDevice& device) {
  const unsigned ifindex = device.ifindex != 0 ? device.ifindex : if_nametoindex(device.name.c_str());
  if (ifindex == 0) return {};
  NetlinkMessage message = remove_device_message(ifindex);
  auto removed = socket_.request(message, "remove the xfrm interface " + device.name);
  if (!removed && removed.error().code == ErrorCode::not_found) return {};
  return removed;
}

Result<void> TunnelInterfaces::leave(const std::string& name) {
  const auto found = used_.find(name);
  if (found == used_.end() || --found->second.users != 0) return {};
  XfrmDevice device = std::move(found->second.device);
  used_.erase(found);
  return device.ours ? give_up(std::move(device)) : Result<void>{};
}

Result<void> TunnelInterfaces::give_up(XfrmDevice device) {
  auto removed = remove(device);
  if (!removed) leftovers_.insert_or_assign(device.name, std::move(device));
  return removed;
}

Result<void> TunnelInterfaces::release_leftovers() {
  Result<void> first;
  for (auto& [name, device] : std::exchange(leftovers_, {})) {
    if (auto removed = give_up(std::move(device)); !removed && first) first = std::move(removed);
  }
  return first;
}

unsigned find_offload_device(const KernelTies& ties, const IpAddress& local_gateway) {
  if (!ties.offload_device.empty()) return if_nametoindex(ties.offload_device.c_str());
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return 0;
  unsigned found = 0;
  for (const ifaddrs* one = all; one != nullptr && found == 0; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    const ByteView raw = raw_address(*one->ifa_addr);
    const ByteView wanted = local_gateway.bytes();
    if (raw.size() == wanted.size() && std::equal(raw.begin(), raw.end(), wanted.begin()))
      found = if_nametoindex(one->ifa_name);
  }
  freeifaddrs(all);
  return found;
}

}  // namespace oakgate
