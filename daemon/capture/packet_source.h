// Packets of a peer as they pass this machine's interfaces: an AF_PACKET socket over all of them, filtered in
// the kernel and once more here. Needs CAP_NET_RAW, which the caller's process has, not the daemon's.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "daemon/capture/pcapng_writer.h"
#include "ike/base/net.h"
#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::capture {

class PacketSource {
 public:
  // ErrorCode::not_permitted without the right to.
  [[nodiscard]] static Result<PacketSource> open();
  // IPsec's packets (is_ipsec) from or to these addresses alone from now on.
  void watch(std::vector<AddressRange> addresses);
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Without blocking: the packets of what came next; nothing more is there: false. One that the device or
  // the kernel has joined comes as the packets it consists of (cut_vector).
  [[nodiscard]] bool read(std::vector<CapturedPacket>& out);
  // That the kernel had no room for; counted once.
  [[nodiscard]] std::uint64_t lost();

 private:
  explicit PacketSource(UniqueFd fd) : fd_(std::move(fd)), buffer_(65'536 + 64) {}
  [[nodiscard]] bool wanted(ByteView packet) const;
  [[nodiscard]] const std::string& name_of(unsigned interface);

  UniqueFd fd_;
  Bytes buffer_;
  std::vector<AddressRange> addresses_;
  std::map<unsigned, std::string> names_;
};

}  // namespace oakgate::capture
