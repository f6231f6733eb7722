// The MSS option of TCP's SYN segments (RFC 9293 section 3.7.1): made smaller on the way, so that TCP through
// a tunnel never sends what does not fit, whatever becomes of ICMP. IOS: `ip tcp adjust-mss`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "xfrm/soft/inner_packet.h"

namespace oakgate::soft {

// Whether `packet`, which `inner` describes, begins a TCP connection in one direction or the other. Cheap.
[[nodiscard]] bool is_tcp_syn(std::span<const std::uint8_t> packet, const InnerPacket& inner);

// The MSS with which a packet of `mtu` bytes is full; 0 if that is none.
[[nodiscard]] std::size_t mss_of(std::size_t mtu, const InnerPacket& inner);

// Makes the MSS options of a SYN that are larger than `most` equal to it, and mends the checksum by RFC 1624.
// Options that are malformed are left alone, and everything behind them. True: something was changed.
bool clamp_mss(std::span<std::uint8_t> packet, const InnerPacket& inner, std::size_t most);

}  // namespace oakgate::soft
