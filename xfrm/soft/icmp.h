// ICMP and ICMPv6 errors about packets that cannot go through a tunnel: too big for the path, or prohibited
// because no SA may carry them (RFC 792, RFC 1191, RFC 4443, RFC 4301 section 8.2). Builds the message;
// sending is outer_socket.h's.
#pragma once

#include <cstdint>
#include <optional>

#include "ike/base/types.h"
#include "xfrm/soft/inner_packet.h"

namespace oakgate::soft {

enum class IcmpError : std::uint8_t { too_big, prohibited };

struct IcmpMessage {
  IpAddress destination;  // the sender of the packet it is about
  Bytes bytes;            // ICMP header and quotation; the ICMPv6 checksum is 0: the kernel fills it in
};

// Nothing where the RFCs forbid an error: about an ICMP error, a later fragment, or a packet from or to an
// address that is no unicast host (RFC 1122 section 3.2.2, RFC 4443 section 2.4). `parsed` is
// parse_inner_packet(packet)'s. `mtu` is what the sender may send, for too_big; at least 1280 goes into
// ICMPv6 (RFC 8200 section 5).
[[nodiscard]] std::optional<IcmpMessage> make_icmp_error(ByteView packet, const InnerPacket& parsed,
                                                         IcmpError kind, std::uint16_t mtu = 0);

// So many at once, so many a second after that.
class TokenBucket {
 public:
  TokenBucket(std::uint32_t burst, std::uint32_t per_second)
      : burst_(burst), per_second_(per_second), tokens_(std::uint64_t{burst} * kUnit) {}
  [[nodiscard]] bool take(Instant now);

 private:
  static constexpr std::uint64_t kUnit = 1000;  // a token, in thousandths: the clock counts milliseconds
  std::uint64_t burst_;
  std::uint64_t per_second_;
  std::uint64_t tokens_;
  Instant filled_{};
};

}  // namespace oakgate::soft
