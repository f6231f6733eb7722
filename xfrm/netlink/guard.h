// The guard: what keeps plaintext of protected selectors in, on both data planes (RFC 4301 section 4.4.1:
// traffic is protected, bypassed or discarded). It owns routes, rules and XFRM policies; SAs are the planes'.
//
// Routing. One table for each protected local subnet (and protocol), reached by a rule from that subnet: only
// what the selectors protect is diverted, by one look-up of the longest prefix however many tunnels there
// are.
//
//   11100: from all fwmark 0x6f610000/0xffff0000 goto 11130   IKE's sockets; the software plane's ESP
//   11110: from 10.1.0.0/24 lookup 11101
//   11120: from 0.0.0.0 iif lo lookup 11100                   our own, before it has a source address
//   11130: from all nop
//
//   table 11101: 10.2.0.0/24 dev oakgate0 metric 100          software: the TUN. kernel: the peer's device,
//                                                             where the out policy takes the packet over
//                unreachable 10.2.0.0/24 metric 65535         behind it; outlives the daemon and kill -9
//                throw 10.1.0.0/24 metric 50                  an exemption, see below
//   table 11100: 10.2.0.0/24 dev oakgate0 src 10.1.0.1 ...    the same with our address inside the local
//                unreachable 10.2.0.0/24 metric 65535         subnet; not for wide remote subnets
//
// Ranges are the subnets that they consist of, each with its rule, routes and policies, all of one reqid. Two
// pairs may have such a subnet in common; the policy is then that of the pair with fewer addresses, and the
// other's again when that pair goes.
//
// Wide remote subnets (0.0.0.0/0; 10.0.0.0/8 around our own 10.1.0.0/24). Networks of our LAN side are
// exempt: those we stand in, and those routed through another device than the peer's, that lie within a
// protected local subnet; multicast, broadcast and link-local addresses too. An exemption is a `throw` route
// and, between it and the local subnet, an allowing policy, which loses against a selector pair just as
// narrow. Neighbor Discovery is never protected.
//
// The peer's own address in a remote subnet. IKE's sockets, and the software plane's for ESP, carry a mark
// and go past our rules. On the kernel plane a route need only exist, so the peers' addresses are thrown back
// to the ordinary tables; the policies still decide.
//
// Policies. Kernel plane: out, in and forward, with a template of the pair's reqid. Software plane, wherever
// XFRM exists: in and forward block; what comes from the TUN does not meet them, the plane has checked it and
// sees to that (xfrm/soft/tun_device.h, ipv6_admission.h). On a kernel without XFRM they become rules of an
// nftables table of ours (nft_guard.h); without nftables, too, inbound_drop() says that nothing drops.
//
// After a kill -9 all but the TUN's routes stays. The next start adopts it: what protect() asks for again is
// replaced in place, the rest goes at release_leftovers().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "ike/base/result.h"
#include "ike/ports/data_plane.h"
#include "xfrm/netlink/address_monitor.h"
#include "xfrm/netlink/routes.h"
#include "xfrm/netlink/xfrm_policy.h"

namespace oakgate {

// What drops inbound plaintext of protected selectors.
enum class InboundDrop : std::uint8_t { xfrm, nftables, nothing };

// What becomes of SAs of ours that an earlier run left. Of removed ones the peers will be told by
// INITIAL-CONTACT.
enum class LeftStates : std::uint8_t { removed, kept };

class Guard {
 public:
  // `tunnel_ifindex`: the software plane's TUN; none: the kernel plane. `best`: xfrm, or nftables as if the
  // kernel had no XFRM. Takes stock of leftovers. In the calling thread's namespace.
  [[nodiscard]] static Result<std::unique_ptr<Guard>> open(std::optional<unsigned> tunnel_ifindex,
                                                           InboundDrop best = InboundDrop::xfrm,
                                                           LeftStates left = LeftStates::removed);
  ~Guard();

  // DataPlane's protect and unprotect, SAs apart. ErrorCode::in_use if another reqid has the same selectors,
  // or a policy of another program stands there. After any error but the former the guard goes on trying:
  // promised() then. What cannot be removed goes later, too.
  [[nodiscard]] Result<void> protect(const ProtectPolicy& policy);
  [[nodiscard]] Result<void> unprotect(Reqid reqid);  // not_found if it is not protected

  // Whether just this is guarded, or will be as soon as the kernel allows it.
  [[nodiscard]] bool promised(const ProtectPolicy& policy) const;

  // Readable when addresses, links or routes changed, and when something that failed is due again (at once,
  // then after 1, 2, 4 ... 64 s); dispatch() then mends source addresses, devices and exemptions, and what
  // the kernel holds of ours is as it shall be. An error is told once, until it is mended.
  [[nodiscard]] int fd() const;
  [[nodiscard]] Result<void> dispatch();

  // Removes what a killed run left and nobody has claimed since. Once, after the configuration was applied.
  [[nodiscard]] Result<void> release_leftovers();
  // Removes everything of ours; keeps going at errors and returns the first.
  [[nodiscard]] Result<void> shut_down();

  [[nodiscard]] InboundDrop inbound_drop() const;

 private:
  struct State;
  explicit Guard(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace oakgate
