// xfrm devices: a tunnel as an interface (`interface:` of a tunnel, IOS's `interface Tunnel0` with `tunnel
// mode ipsec`). What is routed to the device meets the policies of its if_id, and no others.
//
// A device that we made carries kOurAlias as its alias: so it is known again after a kill -9, when it stands
// on and lets nothing out. One of the same name and if_id that somebody else made is used, and never removed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

inline constexpr std::string_view kOurAlias = "oakgated";

// As the kernel lists it.
struct XfrmDevice {
  unsigned ifindex = 0;
  std::string name;
  std::uint32_t if_id = 0;
  unsigned link = 0;  // index of the device below; 0: none
  bool ours = false;
};

// The messages alone. Exclusive: EEXIST if there is a device of that name.
[[nodiscard]] NetlinkMessage add_device_message(const TunnelInterface& interface);
// Alias and MTU; and up.
[[nodiscard]] NetlinkMessage set_device_message(const TunnelInterface& interface, unsigned ifindex);
[[nodiscard]] NetlinkMessage remove_device_message(unsigned ifindex);
// Nothing if it is no xfrm device.
[[nodiscard]] std::optional<XfrmDevice> parse_device(const nlmsghdr& message);

class TunnelInterfaces {
 public:
  // In the calling thread's network namespace. Takes stock of what a killed run has left.
  [[nodiscard]] static Result<TunnelInterfaces> open();

  // One more user: the device is there, up, with its addresses; its index. ErrorCode::unsupported of a kernel
  // without xfrm devices, in_use if another device has the name, or the if_id. Other words for a device that
  // is in use are a new configuration's: they hold from then on, for its other users, too.
  [[nodiscard]] Result<unsigned> use(const TunnelInterface& interface);
  // One less; ours goes with its last.
  [[nodiscard]] Result<void> leave(const std::string& name);
  // What somebody has removed under us is made again; index() says its new index then.
  [[nodiscard]] Result<void> mend();
  // Of one in use.
  [[nodiscard]] std::optional<unsigned> index(const std::string& name) const;
  // Of a killed run, and used by nobody since; and what could not be removed when its last user left. What
  // cannot be removed now is tried again by the next call.
  [[nodiscard]] Result<void> release_leftovers();

 private:
  struct Used {
    TunnelInterface wanted;
    XfrmDevice device;
    std::size_t users = 0;
    bool ready = true;  // up, with its addresses
  };
  explicit TunnelInterfaces(NetlinkSocket socket) : socket_(std::move(socket)) {}
  [[nodiscard]] Result<std::vector<XfrmDevice>> devices();
  // Removes what of ours is in the way: what a killed run or an earlier configuration has otherwise named,
  // tied or addressed. The kernel has one device for a name, and one for an if_id.
  [[nodiscard]] Result<void> clear_way(const TunnelInterface& interface);
  [[nodiscard]] Result<XfrmDevice> make(const TunnelInterface& interface);
  [[nodiscard]] Result<void> set_up(const TunnelInterface& interface, const XfrmDevice& device);
  [[nodiscard]] Result<void> remove(const XfrmDevice& device);
  // Nobody uses it: it goes now, or later.
  [[nodiscard]] Result<void> give_up(XfrmDevice device);

  NetlinkSocket socket_;
  std::map<std::string, Used> used_;
  std::map<std::string, XfrmDevice> leftovers_;
};

// The device that shall do a tunnel's ciphering: the one named, or the one with the address. 0: none.
[[nodiscard]] unsigned find_offload_device(const KernelTies& ties, const IpAddress& local_gateway);

}  // namespace oakgate
