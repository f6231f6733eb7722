// The TUN device: where the kernel hands us inner packets, and takes those that came out of a tunnel.
//
// Settings of this one device, never of others (tried on Linux 6.1 and 6.18):
//
//   disable_policy  The inbound policies that block plaintext (xfrm/netlink/guard.h) do not judge what comes
//                   from here; the SA's selectors have. IPv4: delivered and forwarded packets. IPv6:
//                   forwarded ones; for the rest see ipv6_admission.h.
//   rp_filter       Off, or loose where the whole host is strict: the SA's selectors are the stricter check.
//   addr_gen_mode   None, and accept_ra 0: no link-local address, no router solicitations into a tunnel.
//
// Others are left as the host has them; forwarding is the operator's.
#pragma once

#include <cstdint>
#include <string>

#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/soft/packet_batch.h"

namespace oakgate::soft {

class TunDevice {
 public:
  // Makes "<prefix>N" with the first free N and brings it up. It goes when the object goes.
  // ErrorCode::not_found: no /dev/net/tun; ErrorCode::not_permitted: no CAP_NET_ADMIN.
  [[nodiscard]] static Result<TunDevice> open(const std::string& prefix, std::uint16_t mtu);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] unsigned ifindex() const { return ifindex_; }
  // False: /proc/sys is read-only (systemd: ProtectKernelTunables), so IPv6's disable_policy is not set.
  [[nodiscard]] bool ipv6_forwards() const { return ipv6_forwards_; }

  // Fills the batch with what waits, without blocking. 0: all read (or nothing waits); else the errno that
  // ended it.
  [[nodiscard]] int read(PacketBatch& batch);
  // False: the kernel refused the packet.
  bool write(ByteView packet);

 private:
  TunDevice(UniqueFd fd, std::string name, unsigned ifindex)
      : fd_(std::move(fd)), name_(std::move(name)), ifindex_(ifindex) {}
  [[nodiscard]] Result<void> configure();

  UniqueFd fd_;
  std::string name_;
  unsigned ifindex_;
  bool ipv6_forwards_ = true;
};

}  // namespace oakgate::soft
