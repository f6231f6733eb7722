// What the probe asks: the kernel and the network, behind an interface, so that tests can be any machine.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/base/types.h"
#include "xfrm/netlink/state_probe.h"

namespace oakgate::probe {

struct OwnAddress {
  IpAddress address;
  std::string device;
};

struct RouteTo {
  std::string device;
  IpAddress source;
};

struct ClockState {
  WallTime now{};
  bool synchronized = false;
};

struct CertificateDates {
  std::string subject;
  WallTime not_before{};
  WallTime not_after{};
};

// The packet filter's rules as its own tools list them.
struct Rulesets {
  std::string nftables;  // `nft -j list ruleset`; empty: none, or the tool is not there
  std::string iptables;  // `iptables-save`, of the old kind that nft does not list; likewise
  std::string ip6tables;
  std::string unreadable;  // why it is not known whether there are rules; empty: it is
};

class Environment {
 public:
  virtual ~Environment() = default;

  // The kernel's data plane. SAs and devices are tried in a network namespace of their own where that can be
  // had, with reserved names else, and are gone again.
  [[nodiscard]] virtual Result<std::vector<StateTrial>> try_states(std::span<const TransformSet> sets) = 0;
  [[nodiscard]] virtual Result<void> try_encapsulation(Family family, bool non_ike_marker) = 0;
  [[nodiscard]] virtual Result<void> try_interface() = 0;
  // Whether the device of `ties` does it; an error says why not even the kernel by itself would.
  [[nodiscard]] virtual Result<bool> try_offload(const KernelTies& ties, const IpAddress& local_gateway) = 0;
  // The software data plane.
  [[nodiscard]] virtual Result<void> try_tun() = 0;
  [[nodiscard]] virtual Result<void> try_raw(Family family, IpsecProtocol protocol) = 0;

  // Of /proc/sys, "net/ipv4/ip_forward"; nothing if there is none.
  [[nodiscard]] virtual std::optional<std::string> setting(const std::string& name) = 0;
  [[nodiscard]] virtual std::vector<OwnAddress> addresses() = 0;
  // ErrorCode::in_use: somebody has it, holder() says who, as far as can be seen.
  [[nodiscard]] virtual Result<void> try_port(const IpAddress& local, std::uint16_t port) = 0;
  [[nodiscard]] virtual std::string holder(std::uint16_t port) = 0;
  [[nodiscard]] virtual Result<RouteTo> route_to(const IpAddress& address) = 0;
  [[nodiscard]] virtual Result<std::vector<IpAddress>> resolve(const std::string& host_name) = 0;
  [[nodiscard]] virtual Rulesets rulesets() = 0;
  [[nodiscard]] virtual ClockState clock() = 0;
  // Of a file; none if there is no file yet.
  [[nodiscard]] virtual Result<std::vector<CertificateDates>> certificates(const std::string& file) = 0;
};

}  // namespace oakgate::probe
