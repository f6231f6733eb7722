// Routes, policy rules, links and route look-ups by rtnetlink, and the numbers that mark what is ours.
//
// Every route and rule oakgate makes carries kRouteProtocol: it is how they are found after a kill -9, and
// what an operator filters by (`ip route show table all proto 111`). Nothing without it is ever changed or
// removed. The plan of tables and rules is the guard's (guard.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

// Free in /etc/iproute2/rt_protos of Debian 12; `echo 111 oakgate >>/etc/iproute2/rt_protos` gives it a name.
inline constexpr std::uint8_t kRouteProtocol = 111;
// Tables from here on are ours, one for each local subnet that is protected; the first holds source
// addresses.
inline constexpr std::uint32_t kRouteTable = 11100;
// Priorities of our rules: before `main` (32766), after `local` (0).
inline constexpr std::uint32_t kRuleSkipMarked = 11100;  // sockets of ours go past the rules below
inline constexpr std::uint32_t kRuleProtected = 11110;   // from a protected local subnet: its table
inline constexpr std::uint32_t kRuleSource = 11120;  // this host, no source address chosen: the first table
inline constexpr std::uint32_t kRuleEnd = 11130;     // where kRuleSkipMarked leads
// SO_MARK of every socket whose datagrams must not enter a tunnel: IKE, and the software plane's ESP.
inline constexpr std::uint32_t kBypassMark = 0x6f61'0000;
inline constexpr std::uint32_t kBypassMarkMask = 0xffff'0000;

enum class RouteType : std::uint8_t { unicast, unreachable, throw_out };  // throw_out: look in the next table

struct Route {
  Subnet destination;
  RouteType type = RouteType::unicast;
  std::uint32_t table = 254;  // main
  std::uint32_t metric = 0;
  unsigned ifindex = 0;              // unicast: the device
  std::optional<IpAddress> gateway;  // unicast: absent if on the link
  std::optional<IpAddress> preferred_source;
  std::uint8_t protocol = kRouteProtocol;
  friend auto operator<=>(const Route&, const Route&) = default;
  [[nodiscard]] std::string to_string() const;  // as `ip route` writes it
};

enum class RuleAction : std::uint8_t { look_up, go_to, nothing };

struct Rule {
  Family family = Family::ipv4;
  std::uint32_t priority = 0;
  RuleAction action = RuleAction::look_up;
  std::uint32_t target = 0;      // look_up: a table; go_to: a priority
  std::optional<Subnet> from;    // 0.0.0.0/32 (IPv4 only): no source address chosen yet
  std::uint8_t ip_protocol = 0;  // 0: any
  std::uint32_t mark = 0;        // with a mask of 0: any
  std::uint32_t mark_mask = 0;
  bool local_only = false;  // only what this host sends itself
  friend auto operator<=>(const Rule&, const Rule&) = default;
  [[nodiscard]] std::string to_string() const;  // as `ip rule` writes it
};

// How the kernel would send a packet.
struct RouteAnswer {
  IpAddress source;
  unsigned ifindex = 0;
  std::optional<IpAddress> gateway;
  std::uint32_t mtu = 0;
};

struct Link {
  unsigned ifindex = 0;
  std::string name;
  std::uint32_t mtu = 0;
  bool up = false;
};

// The messages alone: for batches and for tests.
[[nodiscard]] NetlinkMessage add_route_message(
    const Route& route);  // replaces one of the same table, prefix and metric
[[nodiscard]] NetlinkMessage remove_route_message(const Route& route);
[[nodiscard]] NetlinkMessage add_rule_message(const Rule& rule);
[[nodiscard]] NetlinkMessage remove_rule_message(const Rule& rule);

class Routing {
 public:
  // In the calling thread's network namespace.
  [[nodiscard]] static Result<Routing> open();

  // Adds or replaces; adding what is there already is no error. Removing what is not there is none either.
  [[nodiscard]] Result<void> add(const Route& route);
  [[nodiscard]] Result<void> remove(const Route& route);
  [[nodiscard]] Result<void> add(const Rule& rule);
  [[nodiscard]] Result<void> remove(const Rule& rule);

  // All of them, as the single one; a few hundred messages at a time. Goes on at errors and returns the
  // first.
  [[nodiscard]] Result<void> remove(std::span<const Route> routes);
  [[nodiscard]] Result<void> remove(std::span<const Rule> rules);

  // Every unicast, unreachable and throw route; of one protocol if given. Multipath routes show their first
  // hop.
  [[nodiscard]] Result<std::vector<Route>> routes(std::optional<std::uint8_t> protocol = {});
  // The rules that carry kRouteProtocol.
  [[nodiscard]] Result<std::vector<Rule>> our_rules();

  // ErrorCode::not_found if there is no route (or an unreachable one). `source` empty: the kernel chooses.
  [[nodiscard]] Result<RouteAnswer> look_up(const IpAddress& destination, std::uint32_t mark = 0,
                                            const std::optional<IpAddress>& source = {});

  // The entry of the routing tables that a destination meets; not_found as above.
  [[nodiscard]] Result<Route> match(const IpAddress& destination, std::uint32_t mark = 0);

  [[nodiscard]] Result<Link> find_link(const std::string& name);  // ErrorCode::not_found
  [[nodiscard]] Result<void> set_link(unsigned ifindex, std::optional<std::uint32_t> mtu, bool up);
  [[nodiscard]] Result<void> add_address(unsigned ifindex, const IpAddress& address, int prefix);

 private:
  explicit Routing(NetlinkSocket socket) : socket_(std::move(socket)) {}
  [[nodiscard]] Result<Link> read_link(unsigned ifindex, const std::string& name);
  NetlinkSocket socket_;
};

}  // namespace oakgate
