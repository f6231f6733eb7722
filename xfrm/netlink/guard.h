// The guard: what keeps plaintext of protected selectors in, on both data planes (RFC 4301 section 4.4.1:
// traffic is protected, bypassed or discarded, never guessed). It owns routes, rules and XFRM policies; SAs
// are the planes'.
//
// Routing: one table for each protected local subnet (and protocol), reached by a rule `from` that subnet, so
// that only what the selectors protect is diverted, in one look-up by longest prefix however many tunnels
// there are:
//
//   11100: from all fwmark 0x6f610000/0xffff0000 goto 11130     IKE and our ESP sockets pass: a tunnel to
//   0.0.0.0/0, 11110: from 10.1.0.0/24 lookup 11101                        or to the peer itself, cannot
//   swallow its own outside 11120: from 0.0.0.0 iif lo lookup 11100                     what this host sends
//   without a source address yet 11130: from all nop
//
//   table 11101: 10.2.0.0/24 dev oakgate0 metric 100            software: the TUN. kernel: the device towards
//   the peer,
//                                                               where the out policy takes the packet over
//                unreachable 10.2.0.0/24 metric 65535           behind it; outlives device, daemon and kill
//                -9 throw 10.1.0.0/24                              an exemption, see below
//   table 11100: 10.2.0.0/24 dev oakgate0 src 10.1.0.1 …        the same with the source address that fits
//   the selector,
//                unreachable 10.2.0.0/24 metric 65535           if this gateway has one; not for wide remote
//                subnets
//
// Wide remote subnets (0.0.0.0/0, 10.0.0.0/8 around one's own 10.1.0.0/24): networks of our own LAN side are
// exempt: directly connected ones, and those routed through another device than the peer's, that lie within a
// protected local subnet; link-local, multicast and broadcast of the link too. They get a `throw` route and
// an allowing policy, unless a selector pair just as narrow protects them. IPv6 Neighbor Discovery is never
// protected. The peer's own address inside a remote subnet: sockets carry the mark (above), and on the kernel
// plane, where the route need only exist, the peers' addresses are thrown back to the ordinary tables;
// policies still decide.
//
// Policies: kernel plane: out, in and forward with a template of the pair's reqid. Software plane, wherever
// XFRM exists: in and forward block, except what comes from the TUN, which the plane has checked. A kernel
// without XFRM has no inbound protection on the software plane: `has_inbound_protection()` is false and the
// daemon says so.
//
// After a kill -9 everything but the TUN's routes stays. The next start adopts it: what protect() asks for
// again is replaced in place, the rest goes when release_leftovers() says that the configuration has been
// applied.
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

class Guard {
 public:
  // `tunnel_ifindex`: the software plane's TUN; none: the kernel plane. Takes stock of leftovers, and removes
  // SAs of ours that a killed run left: their peers will be told by INITIAL-CONTACT. In the calling thread's
  // namespace.
  [[nodiscard]] static Result<std::unique_ptr<Guard>> open(std::optional<unsigned> tunnel_ifindex);
  ~Guard();

  // DataPlane's protect and unprotect, SAs apart. ErrorCode::in_use if another reqid has the same selectors,
  // or a policy of another program stands there.
  [[nodiscard]] Result<void> protect(const ProtectPolicy& policy);
  [[nodiscard]] Result<void> unprotect(Reqid reqid);  // not_found if it is not protected

  // Readable when addresses, links or routes changed; dispatch() then mends source addresses, devices and
  // exemptions.
  [[nodiscard]] int fd() const;
  [[nodiscard]] Result<void> dispatch();

  // Removes what a killed run left and nobody has claimed since. Once, after the configuration was applied.
  [[nodiscard]] Result<void> release_leftovers();
  // Removes everything of ours; keeps going at errors and returns the first.
  [[nodiscard]] Result<void> shut_down();

  [[nodiscard]] bool has_inbound_protection() const;

 private:
  struct State;
  explicit Guard(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace oakgate
