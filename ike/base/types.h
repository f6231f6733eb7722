// Strong types for the numbers of the protocol: a cookie is not a message id, a SPI is not a reqid.
//
// All hold host byte order; the wire's byte order exists only inside ike/wire, xfrm/ and their readers.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>

namespace oakgate {

// A number that is only ever compared with its own kind.
template <typename Tag, typename Rep>
struct StrongNumber {
  Rep value{};
  friend constexpr auto operator<=>(const StrongNumber&, const StrongNumber&) = default;
};

using MessageId = StrongNumber<struct MessageIdTag, std::uint32_t>;  // RFC 2408 3.1; 0 in phase 1
using Spi = StrongNumber<struct SpiTag, std::uint32_t>;              // ESP or AH; below 256 is reserved
using Reqid = StrongNumber<struct ReqidTag, std::uint32_t>;          // one for each configured selector pair

// Where oakgate's reqids start. Kernel objects have no owner field: whatever carries a reqid in
// [kReqidBase, kReqidBase + kReqidCount) is ours, everything else is never touched (oakgate.yaml(5)).
inline constexpr std::uint32_t kReqidBase = 0x6f61'0000;
inline constexpr std::uint32_t kReqidCount = 0x0010'0000;
// The last of them are of pairs that a peer has narrowed, the others of those that are configured.
inline constexpr std::uint32_t kNarrowedReqids = 0x0001'0000;
inline constexpr std::uint32_t kConfiguredReqids = kReqidCount - kNarrowedReqids;

using Cookie = std::array<std::uint8_t, 8>;  // RFC 2408 2.5.3; all zero: not chosen yet
struct CookiePair {
  Cookie initiator{};
  Cookie responder{};
  friend auto operator<=>(const CookiePair&, const CookiePair&) = default;
};

// Time comes in from outside. Instant is monotonic and orders events; WallTime is the calendar, for waivers,
// certificates and logs. Neither can be read here: the types have no now().
struct MonotonicTime {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicTime>;
  static constexpr bool is_steady = true;
};
using Instant = MonotonicTime::time_point;
using WallTime = std::chrono::sys_seconds;
using Seconds = std::chrono::seconds;
using Milliseconds = std::chrono::milliseconds;
using Kilobytes = StrongNumber<struct KilobytesTag, std::uint64_t>;  // of 1024 bytes (RFC 2407 4.5)

struct Now {
  Instant instant{};
  WallTime wall{};
};

enum class Role : std::uint8_t { initiator, responder };

}  // namespace oakgate

template <typename Tag, typename Rep>
struct std::hash<oakgate::StrongNumber<Tag, Rep>> {
  std::size_t operator()(const oakgate::StrongNumber<Tag, Rep>& number) const noexcept {
    return std::hash<Rep>{}(number.value);
  }
};
template <>
struct std::hash<oakgate::CookiePair> {
  std::size_t operator()(const oakgate::CookiePair& pair) const noexcept {
    // Cookies are random on at least one side; FNV-1a over both.
    std::uint64_t digest = 0xcbf29ce484222325;
    for (const auto* cookie : {&pair.initiator, &pair.responder}) {
      for (const std::uint8_t byte : *cookie) digest = (digest ^ byte) * 0x100000001b3;
    }
    return digest;
  }
};
