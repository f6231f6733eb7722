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
//
// Where the kernel can, packets come and go with a virtio header (IFF_VNET_HDR): TCP in vectors of up to 64
// KB, UDP too from Linux 6.2 on, checksums left to us. A read gives their segments (segmentation.h), a write
// joins segments (coalescing.h). A kernel that offers less is used as it is.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/soft/coalescing.h"
#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/segmentation.h"

namespace oakgate::soft {

class TunDevice {
 public:
  // Makes "<prefix>N" with the first free N and brings it up. It goes when the object goes.
  // ErrorCode::not_found: no /dev/net/tun; ErrorCode::not_permitted: no CAP_NET_ADMIN.
  // With `queues` it is one of several queues of the device, the others by add_queue(). The kernel leads a
  // flow to the queue that its other direction was written to last, at first to any.
  [[nodiscard]] static Result<TunDevice> open(const std::string& prefix, std::uint16_t mtu,
                                              bool queues = false);
  [[nodiscard]] Result<TunDevice> add_queue() const;
  // The device of that name and index, which somebody has deleted, once more.
  struct Lost {
    std::string name;
    unsigned ifindex = 0;
  };
  [[nodiscard]] static Result<TunDevice> open_again(const Lost& lost, std::uint16_t mtu, bool queues);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] unsigned ifindex() const { return ifindex_; }
  // False: /proc/sys is read-only (systemd: ProtectKernelTunables), so IPv6's disable_policy is not set.
  [[nodiscard]] bool ipv6_forwards() const { return ipv6_forwards_; }

  struct ReadResult {
    bool more = false;  // something may still wait
    int error = 0;      // the errno that ended it
  };
  // Takes a packet or vector as it was read away: true, and it does not come into the batch.
  using Elsewhere = std::function<bool(const VirtioHeader& header, std::span<std::uint8_t> packet)>;
  // Fills the batch with what waits, without blocking, as far as one more read like the last would fit.
  [[nodiscard]] ReadResult read(PacketBatch& batch, const Elsewhere* elsewhere = nullptr);
  // Appends the segments of what another queue has read; false: there is too little room. What finds too
  // little in an empty batch is in there in part, and the rest is unfinished. Not when unfinished().
  [[nodiscard]] bool put(const VirtioHeader& header, ByteView packet, PacketBatch& batch);
  // Segments of a vector wait for go_on(), or for the next read(), which begins with them.
  [[nodiscard]] bool unfinished() const { return rest_->cut.has_value(); }
  void go_on(PacketBatch& batch) { cut_rest(batch); }
  // Packets whose virtio header is none: they are lost.
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }
  // In the order of each flow. How many packets the kernel refused: they are lost.
  std::size_t write(std::span<const ByteView> packets);

 private:
  // A vector with more segments than a batch takes: they go into several.
  struct Vector {
    std::array<std::uint8_t, PacketBatch::kMaxPacket> bytes;
    std::size_t size = 0;
    std::optional<Segmentation> cut;
    std::size_t next = 0;  // the first segment that has not gone yet
  };

  TunDevice(UniqueFd fd, std::string name, bool vectors, bool udp_vectors)
      : fd_(std::move(fd)),
        name_(std::move(name)),
        vectors_(vectors),
        rest_(std::make_unique<Vector>()),
        coalescer_(udp_vectors) {}
  [[nodiscard]] static Result<TunDevice> open_queue(const std::string& pattern, unsigned flags,
                                                    unsigned ifindex = 0);
  [[nodiscard]] Result<void> set_up(std::uint16_t mtu);
  [[nodiscard]] Result<void> configure();
  [[nodiscard]] ssize_t read_packet(VirtioHeader& header, std::span<std::uint8_t> room);
  void cut(const VirtioHeader& header, std::span<std::uint8_t> packet, PacketBatch& batch);
  void keep(const Segmentation& segments, ByteView packet);
  void cut_rest(PacketBatch& batch);

  UniqueFd fd_;
  std::string name_;
  unsigned ifindex_ = 0;
  bool vectors_;  // packets have a virtio header
  bool ipv6_forwards_ = true;
  std::size_t last_read_ = 1;  // packets that the last read gave
  std::uint64_t malformed_ = 0;
  std::unique_ptr<Vector> rest_;
  Coalescer coalescer_;
  std::vector<iovec> pieces_;
};

}  // namespace oakgate::soft
