#include "xfrm/netlink/address_monitor.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "xfrm/netlink/routes.h"

namespace oakgate {

namespace {

constexpr unsigned kGroups[] = {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK,
                                RTNLGRP_IPV4_ROUTE,  RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_RULE,
                                RTNLGRP_IPV6_RULE};

std::optional<LocalAddress> parse_address(const nlmsghdr& message) {
  const auto* header = netlink_header<ifaddrmsg>(message);
  if (header == nullptr) return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof(ifaddrmsg));
  // IFA_LOCAL is ours; IFA_ADDRESS is the same, or the other end of a point-to-point link.
  const auto address =
      attributes.has(IFA_LOCAL) ? attributes.address(IFA_LOCAL) : attributes.address(IFA_ADDRESS);
  if (!address) return std::nullopt;
  const std::uint32_t flags = attributes.u32(IFA_FLAGS, header->ifa_flags);
  LocalAddress found;
  found.address = *address;
  found.prefix = header->ifa_prefixlen;
  found.ifindex = header->ifa_index;
  found.usable = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0 || (flags & IFA_F_OPTIMISTIC) != 0;
  found.host_scope = header->ifa_scope >= RT_SCOPE_HOST;
  found.link_scope = header->ifa_scope == RT_SCOPE_LINK;
  return found;
}

bool same_place(const LocalAddress& a, const LocalAddress& b) {
  return a.address == b.address && a.ifindex == b.ifindex && a.prefix == b.prefix;
}

// Usable addresses, each once, sorted.
std::vector<IpAddress> usable(const std::vector<LocalAddress>& addresses) {
  std::vector<IpAddress> found;
  for (const LocalAddress& local : addresses) {
    if (local.usable) found.push_back(local.address);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

bool is_our_route(const nlmsghdr& message) {
  const auto* header = netlink_header<rtmsg>(message);
  return header != nullptr && header->rtm_protocol == kRouteProtocol;
}

bool is_our_rule(const nlmsghdr& message) {
  return netlink_header<fib_rule_hdr>(message) != nullptr &&
         NetlinkAttributes(message, sizeof(fib_rule_hdr)).u8(FRA_PROTOCOL) == kRouteProtocol;
}

}  // namespace

Result<std::unique_ptr<AddressMonitor>> AddressMonitor::open() {
  auto events = NetlinkSocket::open_events(NetlinkFamily::route, kGroups);
  if (!events) return tl::unexpected(events.error());
  auto requests = NetlinkSocket::open(NetlinkFamily::route);
  if (!requests) return tl::unexpected(requests.error());
  std::unique_ptr<AddressMonitor> monitor(new AddressMonitor(std::move(*events), std::move(*requests)));
  auto all = monitor->read_all();
  if (!all) return tl::unexpected(all.error());
  monitor->addresses_ = std::move(*all);
  return monitor;
}

Result<std::vector<LocalAddress>> AddressMonitor::read_all() {
  NetlinkMessage message(RTM_GETADDR, 0);
  message.put_header<ifaddrmsg>().ifa_family = AF_UNSPEC;
  std::vector<LocalAddress> found;
  auto dumped = requests_.dump(message, "list the local addresses", [&](const nlmsghdr& part) {
    if (part.nlmsg_type != RTM_NEWADDR) return;
    if (const auto address = parse_address(part)) found.push_back(*address);
  });
  if (!dumped) return tl::unexpected(dumped.error());
  std::sort(found.begin(), found.end());
  return found;
}

void AddressMonitor::apply(const nlmsghdr& message, Change& change) {
  switch (message.nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const auto address = parse_address(message);
      if (!address) return;
      std::erase_if(addresses_, [&](const LocalAddress& known) { return same_place(known, *address); });
      if (message.nlmsg_type == RTM_NEWADDR) {
        addresses_.insert(std::upper_bound(addresses_.begin(), addresses_.end(), *address), *address);
      }
      return;
    }
    case RTM_NEWLINK:
    case RTM_DELLINK:
      change.network = true;
      return;
    // A route or rule of ours that is removed, with its device for instance, is a change as well; one that we
    // add is not.
    case RTM_NEWROUTE:
      change.network = change.network || !is_our_route(message);
      return;
    case RTM_NEWRULE:
      change.network = change.network || !is_our_rule(message);
      return;
    case RTM_DELROUTE:
    case RTM_DELRULE:
      change.network = true;
      return;
    default:
      return;
  }
}

Result<AddressMonitor::Change> AddressMonitor::dispatch() {
  const std::vector<IpAddress> before = usable(addresses_);
  Change change;
  auto overrun = events_.receive([&](const nlmsghdr& message) { apply(message, change); });
  behind_ = behind_ || !overrun || *overrun;
  if (!overrun) return tl::unexpected(overrun.error());
  if (behind_) {
    auto all = read_all();
    if (!all) return tl::unexpected(all.error());
    addresses_ = std::move(*all);
    behind_ = false;
    change.network = true;
  }
  const std::vector<IpAddress> after = usable(addresses_);
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                      std::back_inserter(change.added));
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::back_inserter(change.removed));
  return change;
}

bool AddressMonitor::has(const IpAddress& address) const {
  return std::any_of(addresses_.begin(), addresses_.end(),
                     [&](const LocalAddress& local) { return local.usable && local.address == address; });
}

}  // namespace oakgate
