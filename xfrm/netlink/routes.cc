#include "xfrm/netlink/routes.h"

#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace oakgate {

namespace {

struct RouteTypeRow {
  RouteType type;
  std::uint8_t kernel;
  std::string_view word;  // before the prefix, as `ip route` writes it
};
constexpr auto kRouteTypes = std::to_array<RouteTypeRow>({
    {RouteType::unicast, RTN_UNICAST, ""},
    {RouteType::unreachable, RTN_UNREACHABLE, "unreachable "},
    {RouteType::throw_out, RTN_THROW, "throw "},
});
const RouteTypeRow& row(RouteType type) {
  return kRouteTypes[static_cast<std::size_t>(type)];
}

struct RuleActionRow {
  RuleAction action;
  std::uint8_t kernel;
  std::string_view word;
};
constexpr auto kRuleActions = std::to_array<RuleActionRow>({
    {RuleAction::look_up, FR_ACT_TO_TBL, "lookup"},
    {RuleAction::go_to, FR_ACT_GOTO, "goto"},
    {RuleAction::nothing, FR_ACT_NOP, "nop"},
});
const RuleActionRow& row(RuleAction action) {
  return kRuleActions[static_cast<std::size_t>(action)];
}

std::uint8_t kernel_family(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

std::optional<Family> our_family(std::uint8_t family) {
  if (family == AF_INET) return Family::ipv4;
  if (family == AF_INET6) return Family::ipv6;
  return std::nullopt;
}

// A prefix and an attribute that is left out for 0.0.0.0/0.
std::optional<Subnet> subnet_of(Family family, std::uint8_t prefix, const std::optional<IpAddress>& address) {
  const IpAddress base = address.value_or(IpAddress::any(family));
  if (base.family() != family || prefix > base.bits()) return std::nullopt;
  return Subnet(base, prefix);
}

std::string device_name(unsigned ifindex) {
  char name[IF_NAMESIZE];
  return if_indextoname(ifindex, name) == nullptr ? "if" + std::to_string(ifindex) : name;
}

NetlinkMessage route_message(std::uint16_t type, std::uint16_t flags, const Route& route) {
  NetlinkMessage message(type, flags);
  auto& header = message.put_header<rtmsg>();
  header.rtm_family = kernel_family(route.destination.family());
  header.rtm_dst_len = static_cast<std::uint8_t>(route.destination.prefix());
  header.rtm_table = RT_TABLE_UNSPEC;  // RTA_TABLE holds all 32 bits
  header.rtm_protocol = route.protocol;
  header.rtm_type = row(route.type).kernel;
  const bool on_link = route.type == RouteType::unicast && !route.gateway;
  header.rtm_scope = on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  message.put_address(RTA_DST, route.destination.address());
  message.put_u32(RTA_TABLE, route.table);
  if (route.metric != 0) message.put_u32(RTA_PRIORITY, route.metric);
  if (route.type != RouteType::unicast) return message;
  message.put_u32(RTA_OIF, route.ifindex);
  if (route.gateway) message.put_address(RTA_GATEWAY, *route.gateway);
  if (route.preferred_source) message.put_address(RTA_PREFSRC, *route.preferred_source);
  return message;
}

NetlinkMessage rule_message(std::uint16_t type, std::uint16_t flags, const Rule& rule) {
  NetlinkMessage message(type, flags);
  auto& header = message.put_header<fib_rule_hdr>();
  header.family = kernel_family(rule.family);
  header.action = row(rule.action).kernel;
  header.table = RT_TABLE_UNSPEC;
  message.put_u32(FRA_PRIORITY, rule.priority);
  message.put_u8(FRA_PROTOCOL, kRouteProtocol);
  if (rule.action == RuleAction::look_up) message.put_u32(FRA_TABLE, rule.target);
  if (rule.action == RuleAction::go_to) message.put_u32(FRA_GOTO, rule.target);
  if (rule.from && rule.from->prefix() != 0) {
    header.src_len = static_cast<std::uint8_t>(rule.from->prefix());
    message.put_address(FRA_SRC, rule.from->address());
  }
  if (rule.mark_mask != 0) {
    message.put_u32(FRA_FWMARK, rule.mark);
    message.put_u32(FRA_FWMASK, rule.mark_mask);
  }
  if (rule.ip_protocol != 0) message.put_u8(FRA_IP_PROTO, rule.ip_protocol);
  if (rule.local_only) message.put_string(FRA_IIFNAME, "lo");
  return message;
}

void read_first_hop(const NetlinkAttributes& attributes, Route& route) {
  route.ifindex = attributes.u32(RTA_OIF);
  route.gateway = attributes.address(RTA_GATEWAY);
  const ByteView hops = attributes.get(RTA_MULTIPATH);
  if (hops.size() < sizeof(rtnexthop)) return;
  rtnexthop hop;
  std::memcpy(&hop, hops.data(), sizeof(hop));
  route.ifindex = static_cast<unsigned>(hop.rtnh_ifindex);
  if (hop.rtnh_len >= sizeof(hop) && hop.rtnh_len <= hops.size()) {
    route.gateway =
        NetlinkAttributes(hops.subspan(sizeof(hop), hop.rtnh_len - sizeof(hop))).address(RTA_GATEWAY);
  }
}

std::optional<Route> parse_route(const nlmsghdr& message) {
  const auto* header = netlink_header<rtmsg>(message);
  if (message.nlmsg_type != RTM_NEWROUTE || header == nullptr) return std::nullopt;
  const auto family = our_family(header->rtm_family);
  const auto type = std::find_if(kRouteTypes.begin(), kRouteTypes.end(),
                                 [header](const auto& r) { return r.kernel == header->rtm_type; });
  if (!family || type == kRouteTypes.end() || (header->rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof(rtmsg));
  const auto destination = subnet_of(*family, header->rtm_dst_len, attributes.address(RTA_DST));
  if (!destination) return std::nullopt;
  Route route;
  route.destination = *destination;
  route.type = type->type;
  route.table = attributes.u32(RTA_TABLE, header->rtm_table);
  route.metric = attributes.u32(RTA_PRIORITY);
  route.protocol = header->rtm_protocol;
  route.preferred_source = attributes.address(RTA_PREFSRC);
  // IPv6 reports unreachable and throw routes with device lo.
  if (route.type == RouteType::unicast) read_first_hop(attributes, route);
  return route;
}

std::optional<Rule> parse_rule(const nlmsghdr& message) {
  const auto* header = netlink_header<fib_rule_hdr>(message);
  if (message.nlmsg_type != RTM_NEWRULE || header == nullptr) return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof(fib_rule_hdr));
  const auto family = our_family(header->family);
  const auto action = std::find_if(kRuleActions.begin(), kRuleActions.end(),
                                   [header](const auto& r) { return r.kernel == header->action; });
  if (!family || action == kRuleActions.end() || attributes.u8(FRA_PROTOCOL) != kRouteProtocol)
    return std::nullopt;
  Rule rule;
  rule.family = *family;
  rule.priority = attributes.u32(FRA_PRIORITY);
  rule.action = action->action;
  if (rule.action == RuleAction::look_up) rule.target = attributes.u32(FRA_TABLE, header->table);
  if (rule.action == RuleAction::go_to) rule.target = attributes.u32(FRA_GOTO);
  if (header->src_len != 0) rule.from = subnet_of(*family, header->src_len, attributes.address(FRA_SRC));
  rule.mark = attributes.u32(FRA_FWMARK);
  rule.mark_mask = attributes.u32(FRA_FWMASK);
  rule.ip_protocol = attributes.u8(FRA_IP_PROTO);
  rule.local_only = attributes.text(FRA_IIFNAME) == "lo";
  return rule;
}

// `harmless` is the errno that says that the wish is fulfilled already.
Result<void> send(NetlinkSocket& socket, NetlinkMessage message, const std::string& operation,
                  std::initializer_list<int> harmless) {
  auto answers = socket.transact({&message, 1});
  if (!answers) return tl::unexpected(answers.error());
  const NetlinkAnswer& answer = answers->front();
  if (answer.ok() || std::find(harmless.begin(), harmless.end(), answer.error) != harmless.end()) return {};
  return fail(netlink_error(answer, operation));
}

constexpr std::size_t kAtOnce = 256;  // messages under way: each has its buffer

template <typename Thing, typename Message, typename Name>
Result<void> send_all(NetlinkSocket& socket, std::span<const Thing> things, Message message, Name name,
                      std::initializer_list<int> harmless) {
  Result<void> first;
  for (std::size_t at = 0; at < things.size(); at += kAtOnce) {
    const auto some = things.subspan(at, std::min(kAtOnce, things.size() - at));
    std::vector<NetlinkMessage> messages;
    messages.reserve(some.size());
    for (const Thing& one : some) messages.push_back(message(one));
    auto answers = socket.transact(messages);
    if (!answers) return tl::unexpected(answers.error());
    for (std::size_t i = 0; i < some.size(); ++i) {
      const NetlinkAnswer& answer = (*answers)[i];
      const bool fine =
          answer.ok() || std::find(harmless.begin(), harmless.end(), answer.error) != harmless.end();
      if (!fine && first) first = fail(netlink_error(answer, name(some[i])));
    }
  }
  return first;
}

// False: the kernel knows of none. (Of a route that is none it says EINVAL or EACCES, or EHOSTUNREACH.)
Result<bool> has_route(NetlinkSocket& socket, NetlinkMessage& message, const std::string& operation,
                       const NetlinkHandler& handler) {
  auto answers = socket.transact({&message, 1}, handler);
  if (!answers) return tl::unexpected(answers.error());
  const NetlinkAnswer& answer = answers->front();
  switch (answer.error) {
    case 0:
      return true;
    case EPERM:
    case EACCES:
    case ENOMEM:
    case ENOBUFS:
      return fail(netlink_error(answer, operation));
    default:
      return false;
  }
}

tl::unexpected<Error> no_route(const IpAddress& destination) {
  const std::string text = destination.to_string();
  return fail(ErrorCode::not_found, "there is no route to " + text, "a default route, or one to " + text,
              "look at `ip route get " + text + "`");
}

}  // namespace

std::string Route::to_string() const {
  std::string text = fmt::format("{}{}", row(type).word, destination.to_string());
  if (gateway) text += " via " + gateway->to_string();
  if (type == RouteType::unicast) text += " dev " + device_name(ifindex);
  if (preferred_source) text += " src " + preferred_source->to_string();
  return text + fmt::format(" table {} metric {}", table, metric);
}

std::string Rule::to_string() const {
  std::string text = fmt::format("{}: from {}", priority, from ? from->to_string() : "all");
  if (mark_mask != 0) text += fmt::format(" fwmark {:#x}/{:#x}", mark, mark_mask);
  if (local_only) text += " iif lo";
  if (ip_protocol != 0) text += fmt::format(" ipproto {}", ip_protocol);
  text += fmt::format(" {}", row(action).word);
  return action == RuleAction::nothing ? text : text + fmt::format(" {}", target);
}

NetlinkMessage add_route_message(const Route& route) {
  return route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
}
NetlinkMessage remove_route_message(const Route& route) {
  return route_message(RTM_DELROUTE, 0, route);
}
NetlinkMessage add_rule_message(const Rule& rule) {
  return rule_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}
NetlinkMessage remove_rule_message(const Rule& rule) {
  return rule_message(RTM_DELRULE, 0, rule);
}

Result<Routing> Routing::open() {
  auto socket = NetlinkSocket::open(NetlinkFamily::route);
  if (!socket) return tl::unexpected(socket.error());
  return Routing(std::move(*socket));
}

Result<void> Routing::add(const Route& route) {
  return send(socket_, add_route_message(route), "add the route " + route.to_string(), {});
}

Result<void> Routing::remove(const Route& route) {
  return remove(std::span(&route, 1));
}

Result<void> Routing::remove(std::span<const Route> routes) {
  // ENODEV: the device took its routes with it. ENETUNREACH, IPv6: its table has never been used.
  return send_all(socket_, routes, remove_route_message,
                  [](const Route& one) { return "remove the route " + one.to_string(); },
                  {ESRCH, ENOENT, ENODEV, ENETUNREACH});
}

Result<void> Routing::add(const Rule& rule) {
  return send(socket_, add_rule_message(rule), "add the rule \"" + rule.to_string() + "\"", {EEXIST});
}

Result<void> Routing::remove(const Rule& rule) {
  return remove(std::span(&rule, 1));
}

Result<void> Routing::remove(std::span<const Rule> rules) {
  return send_all(socket_, rules, remove_rule_message,
                  [](const Rule& one) { return "remove the rule \"" + one.to_string() + "\""; }, {ENOENT});
}

Result<std::vector<Route>> Routing::routes(std::optional<std::uint8_t> protocol) {
  NetlinkMessage message(RTM_GETROUTE, 0);
  message.put_header<rtmsg>().rtm_protocol = protocol.value_or(RTPROT_UNSPEC);
  std::vector<Route> found;
  auto dumped = socket_.dump(message, "list the routes", [&](const nlmsghdr& part) {
    const auto route = parse_route(part);
    if (route && (!protocol || route->protocol == *protocol)) found.push_back(*route);
  });
  if (!dumped) return tl::unexpected(dumped.error());
  return found;
}

Result<std::vector<Rule>> Routing::our_rules() {
  NetlinkMessage message(RTM_GETRULE, 0);
  message.put_header<fib_rule_hdr>().family = AF_UNSPEC;
  std::vector<Rule> found;
  auto dumped = socket_.dump(message, "list the policy rules", [&](const nlmsghdr& part) {
    if (const auto rule = parse_rule(part)) found.push_back(*rule);
  });
  if (!dumped) return tl::unexpected(dumped.error());
  return found;
}

Result<RouteAnswer> Routing::look_up(const IpAddress& destination, std::uint32_t mark,
                                     const std::optional<IpAddress>& source) {
  NetlinkMessage message(RTM_GETROUTE, 0);
  auto& header = message.put_header<rtmsg>();
  header.rtm_family = kernel_family(destination.family());
  header.rtm_dst_len = static_cast<std::uint8_t>(destination.bits());
  message.put_address(RTA_DST, destination);
  if (source) {
    header.rtm_src_len = static_cast<std::uint8_t>(source->bits());
    message.put_address(RTA_SRC, *source);
  }
  if (mark != 0) message.put_u32(RTA_MARK, mark);
  std::optional<RouteAnswer> answer;
  const std::string operation = "find a route to " + destination.to_string();
  auto asked = has_route(socket_, message, operation, [&](const nlmsghdr& part) {
    const auto* reply = netlink_header<rtmsg>(part);
    if (part.nlmsg_type != RTM_NEWROUTE || reply == nullptr) return;
    if (reply->rtm_type != RTN_UNICAST && reply->rtm_type != RTN_LOCAL) return;
    const NetlinkAttributes attributes(part, sizeof(rtmsg));
    const NetlinkAttributes metrics(attributes.get(RTA_METRICS));
    answer = RouteAnswer{
        attributes.address(RTA_PREFSRC).value_or(source.value_or(IpAddress::any(destination.family()))),
        attributes.u32(RTA_OIF), attributes.address(RTA_GATEWAY), metrics.u32(RTAX_MTU)};
  });
  if (!asked) return tl::unexpected(asked.error());
  if (!*asked || !answer) return no_route(destination);
  if (answer->mtu == 0) {
    if (auto link = read_link(answer->ifindex, {})) answer->mtu = link->mtu;
  }
  return *answer;
}

Result<Route> Routing::match(const IpAddress& destination, std::uint32_t mark) {
  NetlinkMessage message(RTM_GETROUTE, 0);
  auto& header = message.put_header<rtmsg>();
  header.rtm_family = kernel_family(destination.family());
  header.rtm_dst_len = static_cast<std::uint8_t>(destination.bits());
  header.rtm_flags = RTM_F_FIB_MATCH;
  message.put_address(RTA_DST, destination);
  if (mark != 0) message.put_u32(RTA_MARK, mark);
  std::optional<Route> found;
  const std::string operation = "find a route to " + destination.to_string();
  auto asked =
      has_route(socket_, message, operation, [&](const nlmsghdr& part) { found = parse_route(part); });
  if (!asked) return tl::unexpected(asked.error());
  if (!*asked || !found) return no_route(destination);
  return *found;
}

Result<Link> Routing::read_link(unsigned ifindex, const std::string& name) {
  NetlinkMessage message(RTM_GETLINK, 0);
  auto& header = message.put_header<ifinfomsg>();
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(ifindex);
  if (!name.empty()) message.put_string(IFLA_IFNAME, name);
  Link link;
  const std::string operation = "find the device " + (name.empty() ? std::to_string(ifindex) : name);
  auto asked = socket_.request(message, operation, [&](const nlmsghdr& part) {
    const auto* reply = netlink_header<ifinfomsg>(part);
    if (part.nlmsg_type != RTM_NEWLINK || reply == nullptr) return;
    const NetlinkAttributes attributes(part, sizeof(ifinfomsg));
    link = {static_cast<unsigned>(reply->ifi_index), std::string(attributes.text(IFLA_IFNAME)),
            attributes.u32(IFLA_MTU), (reply->ifi_flags & IFF_UP) != 0};
  });
  if (!asked) return tl::unexpected(asked.error());
  return link;
}

Result<Link> Routing::find_link(const std::string& name) {
  return read_link(0, name);
}

Result<void> Routing::set_link(unsigned ifindex, std::optional<std::uint32_t> mtu, bool up) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  auto& header = message.put_header<ifinfomsg>();
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(ifindex);
  header.ifi_change = IFF_UP;
  header.ifi_flags = up ? IFF_UP : 0;
  if (mtu) message.put_u32(IFLA_MTU, *mtu);
  return send(socket_, std::move(message), "configure the device " + device_name(ifindex), {});
}

Result<void> Routing::add_address(unsigned ifindex, const IpAddress& address, int prefix) {
  NetlinkMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  auto& header = message.put_header<ifaddrmsg>();
  header.ifa_family = kernel_family(address.family());
  header.ifa_prefixlen = static_cast<std::uint8_t>(prefix);
  header.ifa_flags = IFA_F_NODAD;
  header.ifa_index = ifindex;
  message.put_address(IFA_LOCAL, address);
  message.put_address(IFA_ADDRESS, address);
  return send(socket_, std::move(message),
              "add the address " + address.to_string() + " to " + device_name(ifindex), {});
}

}  // namespace oakgate
