// Reading capture files: classic pcap (either byte order, micro- or nanoseconds) and pcapng (sections,
// interfaces, enhanced, simple and obsolete packet blocks). Hostile files are what this is for: one pass over
// a bounded view, nothing allocated by an unchecked length. No protocol: packet.h looks into the frames.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/result.h"

namespace oakgate::capture {

inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;
inline constexpr std::size_t kMaxFrameBytes = 262'144;  // as tcpdump's longest
inline constexpr std::size_t kMaxInterfaces = 1024;     // of one pcapng section

// Link types that packet.h takes apart: https://www.tcpdump.org/linktypes.html.
enum class LinkType : std::uint16_t {
  null = 0,
  ethernet = 1,
  raw_bsd = 12,  // what some systems write for `raw`
  raw_openbsd = 14,
  raw = 101,
  loop = 108,
  linux_cooked = 113,
  raw_ipv4 = 228,
  raw_ipv6 = 229,
  linux_cooked_2 = 276,
};

struct Frame {
  std::uint64_t number = 0;       // from 1
  std::uint64_t nanoseconds = 0;  // since 1970; 0: the file does not say
  LinkType link{};
  std::uint32_t length = 0;  // on the wire; more than `bytes` if it was cut
  ByteView bytes;
};

struct FileEnd {
  std::uint64_t frames = 0;
  std::string flaw;  // why reading ended before the file did; empty: it did not
};

// Hands up every frame in the file's order. A file that breaks in the middle gives what comes before the
// break, and FileEnd::flaw says what is wrong where. ErrorCode::malformed: no capture file at all.
using OnFrame = std::function<void(const Frame&)>;
[[nodiscard]] Result<FileEnd> read_capture(ByteView file, const OnFrame& on_frame);

}  // namespace oakgate::capture
