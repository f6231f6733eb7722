// Inner packets for the tests: real headers with correct checksums, made by hand.
#pragma once

#include <cstdint>
#include <string_view>

#include "ike/base/bytes.h"
#include "ike/base/net.h"

namespace oakgate::soft::test {

struct PacketSpec {
  std::string_view source = "10.1.0.5";
  std::string_view destination = "10.2.0.9";
  std::uint8_t protocol = 17;
  std::uint16_t source_port = 1000;
  std::uint16_t destination_port = 2000;
  std::size_t payload = 32;  // bytes behind the IP header, ports included
  std::uint8_t traffic_class = 0;
  std::uint16_t flags = 0;  // IPv4 only: the flags and fragment offset word
};

inline IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}

Bytes make_packet(const PacketSpec& spec);

}  // namespace oakgate::soft::test
