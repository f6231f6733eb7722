// The UDP datagrams of a capture file: classic pcap and pcapng, little-endian, Ethernet, IPv4 without
// fragments. Enough for the captures in tests/vectors; anything else throws.
#pragma once

#include <cstdint>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/net.h"

namespace oakgate::test {

struct Datagram {
  Endpoint source;
  Endpoint destination;
  Bytes payload;
};
[[nodiscard]] std::vector<Datagram> udp_datagrams(ByteView capture);

}  // namespace oakgate::test
