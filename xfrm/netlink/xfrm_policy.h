// XFRM policies (the kernel's SPD, RFC 4301 section 4.4.1) as plain values, and the messages that carry them.
//
// Ours are told from others' by what they carry, for kernel objects have no owner: a template with a reqid in
// [kReqidBase, kReqidBase + kReqidCount), also on policies that block, or an index from kPolicyIndex on for
// those that allow. Others' are neither listed nor touched. Adding never overwrites; replacing happens in one
// step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/base/types.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

// The values are the kernel's (XFRM_POLICY_IN, _OUT, _FWD).
enum class PolicyDirection : std::uint8_t { in = 0, out = 1, forward = 2 };

// Policy indices of ours without template; the kernel counts up from 0 and keeps the direction in the low 3
// bits.
inline constexpr std::uint32_t kPolicyIndex = 0x6f61'0000;
inline constexpr std::uint32_t kPolicyIndexEnd = 0x6f62'0000;

// What protects between two gateways; in tunnel mode an address that is any (0.0.0.0, ::) matches all
// inbound, and finds no SA outbound, so such a policy drops and raises acquires. AH and ESP together are two
// of the kernel's templates, ESP in `mode` first and AH in transport mode over it: that is also what inbound
// packets must have gone through. IPComp is one more template before them and takes the mode; inbound it is
// optional, for packets that it does not make smaller come without it.
struct PolicyTemplate {
  IpAddress source;
  IpAddress destination;
  Reqid reqid;
  Protection protection = Protection::esp;
  EncapsulationMode mode = EncapsulationMode::tunnel;
  bool compression = false;
  friend auto operator<=>(const PolicyTemplate&, const PolicyTemplate&) = default;
};

enum class PolicyAction : std::uint8_t { allow, block };

struct XfrmPolicy {
  PolicyDirection direction{};
  Selector source;  // of the inner packet as it travels. With protocol 58 the port is the ICMPv6 type
  Selector destination;
  PacketMark mark;               // of the packets
  std::uint32_t if_id = 0;       // of the xfrm device they go through; 0: through none
  unsigned offload_ifindex = 0;  // the device that does all of IPsec, for `sa`; 0: none
  bool fragments = false;        // only what shows no ports: the kernel sees none in fragments
  PolicyAction action = PolicyAction::allow;
  std::uint32_t priority = 0;  // the lowest number wins
  std::uint32_t index = 0;     // 0: the kernel chooses
  std::optional<PolicyTemplate>
      sa;  // allow: only by this SA. block: marks the policy as ours, else without effect
  friend auto operator<=>(const XfrmPolicy&, const XfrmPolicy&) = default;
  // What the kernel tells policies apart by: two with equal keys cannot exist side by side.
  [[nodiscard]] XfrmPolicy key() const;
  [[nodiscard]] bool ours() const;
  [[nodiscard]] std::string to_string() const;  // "out 10.1.0.0/24 === 10.2.0.0/24"
};

// More specific selectors get lower numbers: first prefix lengths, then protocol, then ports. An exemption
// loses against a protected pair of the same width.
[[nodiscard]] std::uint32_t policy_priority(const Selector& source, const Selector& destination,
                                            bool exemption);

enum class PolicyUpdate : std::uint8_t {
  exclusive,  // EEXIST if there is one with the same key
  replace,    // in place, whatever was there, no unguarded moment
};
[[nodiscard]] NetlinkMessage policy_message(const XfrmPolicy& policy, PolicyUpdate update);
[[nodiscard]] NetlinkMessage remove_policy_message(const XfrmPolicy& policy);
// Nothing if the message is no policy, or one of a kind we never make.
[[nodiscard]] std::optional<XfrmPolicy> parse_policy(const nlmsghdr& message);

// Those of ours that the kernel holds.
[[nodiscard]] Result<std::vector<XfrmPolicy>> our_policies(NetlinkSocket& xfrm);

// Lets a socket's own datagrams past every policy, both ways (ip(7): IP_XFRM_POLICY), and marks them
// kBypassMark so that the rules of routes.h let them past the protected routes. `family` is the socket's. A
// kernel without XFRM has no policies: no error then.
[[nodiscard]] Result<void> bypass_socket(int socket_fd, Family family);

// Whether this kernel has XFRM, with or without ESP.
[[nodiscard]] bool kernel_has_xfrm();

}  // namespace oakgate
