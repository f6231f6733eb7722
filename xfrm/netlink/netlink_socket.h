// A netlink socket (rtnetlink or XFRM): requests with one answer each, batches, dumps, multicast groups.
//
// Requests and events never share a socket: an events socket joins groups, is non-blocking and is read by
// receive(); a request socket blocks for the kernel's answer, which is there when the request has been sent,
// at most 5 s. The kernel is asked not to echo requests in its errors (they may hold keys), and what was
// received is wiped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "xfrm/netlink/netlink_message.h"

struct mnl_socket;

namespace oakgate {

enum class NetlinkFamily : std::uint8_t { route, xfrm };

// What the kernel said to one request: 0 or an errno, and its own words ("extended ack") where it has some.
struct NetlinkAnswer {
  int error = 0;
  std::string text;
  [[nodiscard]] bool ok() const { return error == 0; }
};

// The error an operator reads: `operation` is a clause ("add the route 10.2.0.0/24"). EPERM gives
// not_permitted, EEXIST in_use, ESRCH, ENOENT, ENODEV, ENETDOWN and ENXIO not_found, all others data_plane.
[[nodiscard]] Error netlink_error(const NetlinkAnswer& answer, std::string_view operation);

class NetlinkSocket {
 public:
  // For requests. Close-on-exec. The socket belongs to the network namespace of the calling thread.
  [[nodiscard]] static Result<NetlinkSocket> open(NetlinkFamily family);
  // For events of the groups given (RTNLGRP_*, XFRMNLGRP_*).
  [[nodiscard]] static Result<NetlinkSocket> open_events(NetlinkFamily family,
                                                         std::span<const unsigned> groups);

  // Sends all, in order, in as few system calls as buffers allow; one answer for each. A request that fails
  // does not stop those behind it. `handler` sees what requests for objects return. An Error only if the
  // socket itself fails.
  [[nodiscard]] Result<std::vector<NetlinkAnswer>> transact(std::span<NetlinkMessage> messages,
                                                            const NetlinkHandler& handler = {});
  // One request; the answer's error as an Error about `operation`.
  [[nodiscard]] Result<void> request(NetlinkMessage& message, std::string_view operation,
                                     const NetlinkHandler& handler = {});
  // A request with NLM_F_DUMP. Repeated (up to three times) when the kernel says that a change interrupted
  // it, or that it had no memory for a part; `handler` sees the objects of one whole dump. An error if the
  // kernel could not bring it to its end.
  [[nodiscard]] Result<void> dump(NetlinkMessage& message, std::string_view operation,
                                  const NetlinkHandler& handler);

  // Events socket: hands over what is waiting, without blocking. True: the kernel dropped events (ENOBUFS),
  // so whatever was followed must be read anew.
  [[nodiscard]] Result<bool> receive(const NetlinkHandler& handler);

  [[nodiscard]] int fd() const;

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  explicit NetlinkSocket(mnl_socket* socket);
  [[nodiscard]] Result<void> send(std::span<NetlinkMessage> messages);
  [[nodiscard]] Result<void> collect(std::uint32_t first_sequence, std::span<NetlinkAnswer> answers,
                                     const NetlinkHandler& handler);
  enum class Dumped : std::uint8_t { whole, changed, lost };
  [[nodiscard]] Result<Dumped> dump_once(NetlinkMessage& message, std::string_view operation,
                                         std::vector<SecretBytes>& objects);
  enum class Next : std::uint8_t { more, stop };
  // Reads one datagram, calls `each` for its messages, wipes it. `error` is recv's errno, 0 if there was one.
  [[nodiscard]] int read_datagram(const std::function<Next(const nlmsghdr&)>& each);

  static constexpr std::size_t kReceiveBytes = 65536;  // the kernel's largest dump datagram is 32 KB
  std::unique_ptr<mnl_socket, Close> socket_;
  std::uint32_t sequence_ = 0;
  std::unique_ptr<std::uint64_t[]> buffer_;  // kReceiveBytes, aligned for netlink headers
};

}  // namespace oakgate
