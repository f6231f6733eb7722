// Writing pcapng: one section, an interface block for each interface when its first packet comes, enhanced
// packet blocks with nanoseconds and direction. Packets begin with their IP header (LINKTYPE_RAW).
#pragma once

#include <map>
#include <string>

#include "ike/base/bytes.h"

namespace oakgate::capture {

struct CapturedPacket {
  std::uint64_t nanoseconds = 0;  // since 1970
  unsigned interface = 0;         // its index, to tell them apart
  std::string interface_name;
  bool outgoing = false;
  std::uint32_t length = 0;  // on the wire
  Bytes bytes;
};

// Makes the bytes; the caller writes them in order.
class PcapngWriter {
 public:
  [[nodiscard]] static Bytes begin(const std::string& application);
  [[nodiscard]] Bytes packet(const CapturedPacket& packet);

 private:
  std::map<unsigned, std::uint32_t> interfaces_;  // by index: their number in the file
};

}  // namespace oakgate::capture
