// What the kernel says by itself about XFRM: acquires (a policy found no SA) expiries (a limit was
// reached) and mappings (the peer's NAT has changed its translation). Only what carries a reqid of ours is
// passed on.
#pragma once

#include <vector>

#include "ike/base/result.h"
#include "ike/ports/data_plane.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

struct MovedSa {
  SaId id;
  Endpoint remote;
  friend bool operator==(const MovedSa&, const MovedSa&) = default;
};

struct XfrmEventBatch {
  std::vector<Reqid> acquires;    // in order, with repetitions
  std::vector<SaId> soft_limits;  // the SA goes on
  std::vector<SaId> expired;      // hard limits: the SA is gone
  std::vector<SaCounters> last;   // what those had counted, as far as the kernel said it
  std::vector<MovedSa> moved;     // an authentic packet came from elsewhere: each SA once, the last word
  bool overrun = false;           // the kernel dropped events
};

// Adds what one message says to `batch`.
void parse_xfrm_event(const nlmsghdr& message, XfrmEventBatch& batch);

class XfrmEvents {
 public:
  // In the calling thread's network namespace.
  [[nodiscard]] static Result<XfrmEvents> open();
  [[nodiscard]] int fd() const { return socket_.fd(); }
  // All that waits; never blocks.
  [[nodiscard]] Result<XfrmEventBatch> read();

 private:
  explicit XfrmEvents(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace oakgate
