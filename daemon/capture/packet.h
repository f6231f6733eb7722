// From a captured frame to what IPsec is about: the IP packet in it, and the UDP, ESP or AH in that. Bounded;
// views into the frame. No state but Reassembler's.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <tuple>

#include "daemon/capture/capture_file.h"
#include "ike/base/net.h"

namespace oakgate::capture {

inline constexpr std::uint8_t kProtocolIcmp = 1, kProtocolTcp = 6, kProtocolUdp = 17, kProtocolFragment = 44,
                              kProtocolEspIp = 50, kProtocolAhIp = 51, kProtocolIcmp6 = 58;

struct IpPacket {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;  // behind extension headers
  ByteView payload;           // as far as it was captured
  std::size_t header_bytes = 0;
  bool cut = false;  // the capture has less than the packet's length says
  // A fragment: `offset` in bytes.
  bool fragment = false;
  bool more = false;
  std::uint32_t id = 0;
  std::uint32_t offset = 0;
};

// Nothing: no IP in it, or a broken header.
[[nodiscard]] std::optional<IpPacket> ip_in(LinkType link, ByteView frame);
[[nodiscard]] std::optional<IpPacket> parse_ip(ByteView packet);

struct UdpDatagram {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  ByteView payload;
};
[[nodiscard]] std::optional<UdpDatagram> parse_udp(ByteView segment);

// Whether a packet is one of IPsec's: ESP, AH, UDP from or to 500 or 4500, or a fragment of what may be.
[[nodiscard]] bool is_ipsec(const IpPacket& packet);

// An outgoing datagram that the kernel has not yet cut (UDP_SEGMENT), or incoming ones that it has joined
// (GRO), as AF_PACKET sees them: several ESP packets of one SA in one UDP datagram, equally long but the
// last, their sequence numbers following one another. The IP packets of which it consists; none: it is no
// such.
[[nodiscard]] std::vector<Bytes> cut_vector(ByteView ip_packet);

// Puts IP's fragments together. At most kMost packets are under way; the oldest goes for a new one.
class Reassembler {
 public:
  static constexpr std::size_t kMost = 64;
  // What is behind the IP header once it is whole; valid until the next call.
  [[nodiscard]] std::optional<ByteView> take(const IpPacket& fragment);

 private:
  using Key = std::tuple<IpAddress, IpAddress, std::uint8_t, std::uint32_t>;
  struct Parts {
    std::map<std::uint32_t, Bytes> by_offset;
    std::size_t bytes = 0;
    std::optional<std::size_t> total;
  };
  std::map<Key, Parts> under_way_;
  std::deque<Key> order_;
  Bytes whole_;
};

}  // namespace oakgate::capture
