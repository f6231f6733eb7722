// The addresses of this network namespace, and word of changes to addresses, links, routes and
// rules.
//
// Follows rtnetlink through one pollable descriptor. When the kernel had to drop events, the whole list is
// read anew and compared: a caller sees what was added and removed, never a gap. Both families.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

struct LocalAddress {
  IpAddress address;
  int prefix = 0;  // of the network it stands in
  unsigned ifindex = 0;
  bool usable = true;       // false: IPv6 duplicate address detection goes on, or found a duplicate
  bool host_scope = false;  // 127.0.0.1 and ::1
  bool link_scope = false;  // 169.254.0.0/16 and fe80::/10 as the kernel sees it
  friend auto operator<=>(const LocalAddress&, const LocalAddress&) = default;
};

class AddressMonitor {
 public:
  struct Change {
    std::vector<IpAddress> added;    // became usable on some interface
    std::vector<IpAddress> removed;  // no interface has it any more
    bool network = false;            // a link, or a route or rule that is not ours, changed too
    [[nodiscard]] bool any() const { return network || !added.empty() || !removed.empty(); }
  };

  // Subscribes, then reads the list: nothing in between is lost. In the calling thread's network namespace.
  [[nodiscard]] static Result<std::unique_ptr<AddressMonitor>> open();

  [[nodiscard]] int fd() const { return events_.fd(); }
  // Everything that waits, summed up. Never blocks. After an error nothing is lost: the next call reads the
  // list anew.
  [[nodiscard]] Result<Change> dispatch();
  // Sorted. Usable or not; host scope included.
  [[nodiscard]] const std::vector<LocalAddress>& addresses() const { return addresses_; }
  // Whether some interface has the address, and it is usable.
  [[nodiscard]] bool has(const IpAddress& address) const;

 private:
  AddressMonitor(NetlinkSocket events, NetlinkSocket requests)
      : events_(std::move(events)), requests_(std::move(requests)) {}
  [[nodiscard]] Result<std::vector<LocalAddress>> read_all();
  void apply(const nlmsghdr& message, Change& change);

  NetlinkSocket events_;
  NetlinkSocket requests_;
  std::vector<LocalAddress> addresses_;
  bool behind_ = false;  // events were lost, and the list has not been read since
};

}  // namespace oakgate
