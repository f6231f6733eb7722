#include "xfrm/netlink/tunnel_interfaces.h"

#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

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
  device.if_id = NetlinkAttributes(info.get(IFLA_INFO_DATA)).u32(IFLA_XFRM_IF_ID);
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
  auto answers = socket_.transact(add);
  if (!answers) return tl::unexpected(answers.error());
  const NetlinkAnswer& answer = answers->front();
  if (!answer.ok() && answer.error != EEXIST) return fail(refused(interface, answer));
  auto all = devices();
  if (!all) return tl::unexpected(all.error());
  for (XfrmDevice& device : *all) {
    if (device.name != interface.name) continue;
    if (device.if_id != interface.if_id) break;
    device.ours = device.ours || answer.ok();
    return std::move(device);
  }
  return name_taken(interface);
}

Result<unsigned> TunnelInterfaces::use(const TunnelInterface& interface) {
  if (const auto known = used_.find(interface.name); known != used_.end()) {
    if (known->second.device.if_id != interface.if_id) return name_taken(interface);
    ++known->second.users;
    return known->second.device.ifindex;
  }
  // One of ours with another if_id is of an earlier configuration.
  const auto old = leftovers_.find(interface.name);
  if (old != leftovers_.end() && old->second.if_id != interface.if_id) {
    if (auto removed = remove(old->second); !removed) return tl::unexpected(removed.error());
    leftovers_.erase(old);
  }
  auto device = make(interface);
  if (!device) return tl::unexpected(device.error());
  const unsigned ifindex = device->ifindex;
  leftovers_.erase(interface.name);
  if (auto set = set_up(interface, *device); !set) {
    if (device->ours) static_cast<void>(remove(*device));  // the error that is reported is the first
    return tl::unexpected(set.error());
  }
  used_.emplace(interface.name, Used{interface, std::move(*device), 1});
  return ifindex;
}

Result<void> TunnelInterfaces::mend() {
  Result<void> first;
  for (auto& [name, used] : used_) {
    if (if_nametoindex(name.c_str()) == used.device.ifindex) continue;
    auto device = make(used.wanted);
    Result<void> done = device ? set_up(used.wanted, *device) : tl::unexpected(device.error());
    if (device) used.device = std::move(*device);
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
  NetlinkMessage message = remove_device_message(device.ifindex);
  auto removed = socket_.request(message, "remove the xfrm interface " + device.name);
  if (!removed && removed.error().code == ErrorCode::not_found) return {};
  return removed;
}

Result<void> TunnelInterfaces::leave(const std::string& name) {
  const auto found = used_.find(name);
  if (found == used_.end() || --found->second.users != 0) return {};
  const XfrmDevice device = std::move(found->second.device);
  used_.erase(found);
  return device.ours ? remove(device) : Result<void>{};
}

Result<void> TunnelInterfaces::release_leftovers() {
  Result<void> first;
  for (const auto& [name, device] : std::exchange(leftovers_, {})) {
    if (auto removed = remove(device); !removed && first) first = std::move(removed);
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
    const auto* own = one->ifa_addr;
    ByteView raw;
    if (own->sa_family == AF_INET) {
      raw = {reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in*>(own)->sin_addr), 4};
    } else if (own->sa_family == AF_INET6) {
      raw = {reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in6*>(own)->sin6_addr),
             16};
    }
    const ByteView wanted = local_gateway.bytes();
    if (raw.size() == wanted.size() && std::equal(raw.begin(), raw.end(), wanted.begin()))
      found = if_nametoindex(one->ifa_name);
  }
  freeifaddrs(all);
  return found;
}

}  // namespace oakgate
