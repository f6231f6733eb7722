// The outer IPv6 header of a received AH packet, made anew: a raw socket hands up the payload alone (raw(7),
// ipv6(7)), and the extension headers before it beside it, but AH covers them (RFC 4302 section 3.3.3.1.2).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "ike/base/bytes.h"
#include "ike/base/net.h"

namespace oakgate::soft {

// One as it came: hop-by-hop options, routing, or destination options, its own next header first.
struct Ipv6Extension {
  std::uint8_t protocol = 0;
  ByteView bytes;
};

// Those of one packet, in its order.
class Ipv6Extensions {
 public:
  // RFC 8200 section 4.1 recommends hop-by-hop, destination options, routing, and destination options again.
  static constexpr std::size_t kMost = 4;
  void add(const Ipv6Extension& extension);
  void lose() { lost_ = true; }  // there were others, which are not known
  [[nodiscard]] bool complete() const { return !lost_; }
  [[nodiscard]] std::span<const Ipv6Extension> all() const { return {kept_.data(), count_}; }

 private:
  std::array<Ipv6Extension, kMost> kept_{};
  std::size_t count_ = 0;
  bool lost_ = false;
};

// Writes the header and `extensions` right before `payload`, which begins with AH; what may change on the way
// (traffic class, flow label, hop limit) is 0. There must be room for kMaxIpHeader bytes (ah_packet.h).
// Returns how many bytes they are; 0: not known as a whole, or too many, and nothing is written.
[[nodiscard]] std::size_t put_ipv6_header(std::span<std::uint8_t> payload, const IpAddress& source,
                                          const IpAddress& destination, const Ipv6Extensions& extensions);

}  // namespace oakgate::soft
