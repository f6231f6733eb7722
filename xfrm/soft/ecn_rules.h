// What happens to DSCP and ECN at the tunnel's ends: RFC 4301 section 5.1.2, RFC 2983 (DSCP), RFC 6040 (ECN).
//
// In: the outer header carries the inner traffic class, DSCP and ECN alike (RFC 6040 section 4.1 "normal
// mode"; DSCP copied: the "uniform" sender of RFC 2983 section 4.1). Out: the inner DSCP stays, the ECN
// fields combine by the table of RFC 6040 section 4.2.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace oakgate::soft {

enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

[[nodiscard]] constexpr Ecn ecn_of(std::uint8_t traffic_class) {
  return static_cast<Ecn>(traffic_class & 3);
}

// The outer header's traffic class for an inner packet's. ECN is always copied: a tunnel without DSCP
// ("pipe", RFC 2983 section 3) takes part in congestion control all the same.
[[nodiscard]] constexpr std::uint8_t outer_traffic_class(std::uint8_t inner, bool copy_dscp) {
  return copy_dscp ? inner : static_cast<std::uint8_t>(inner & 3U);
}

// The inner packet's traffic class after decapsulation; nothing: the packet must be dropped (congestion was
// marked, and the inner transport could not be told).
[[nodiscard]] constexpr std::optional<std::uint8_t> decapsulated_traffic_class(std::uint8_t inner,
                                                                               std::uint8_t outer) {
  // RFC 6040 Figure 4, columns in the order of Ecn's values: Not-ECT, ECT(1), ECT(0), CE of the outer header.
  constexpr std::uint8_t kDrop = 4;
  constexpr std::array<std::array<std::uint8_t, 4>, 4> kCombined = {{
      {0, 0, 0, kDrop},  // inner Not-ECT
      {1, 1, 1, 3},      // inner ECT(1)
      {2, 1, 2, 3},      // inner ECT(0)
      {3, 3, 3, 3},      // inner CE
  }};
  const std::uint8_t ecn = kCombined[inner & 3U][outer & 3U];
  if (ecn == kDrop) return std::nullopt;
  return static_cast<std::uint8_t>((inner & 0xfcU) | ecn);
}

}  // namespace oakgate::soft
