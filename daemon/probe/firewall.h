// Whether the packet filter lets IKE and IPsec in and out, as far as its rules say without packets.
//
// A rule asks many things; of a datagram that is only thought of, family, direction, protocol, port and being
// the first of its flow are known, and all else is not. So a verdict is certain, or possible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/net.h"

namespace oakgate::probe {

struct Traffic {
  Family family = Family::ipv4;
  bool inbound = true;
  std::uint8_t protocol = 0;                    // IPPROTO_UDP, ESP or AH
  std::uint16_t port = 0;                       // of UDP, ours and the peer's
  [[nodiscard]] std::string to_string() const;  // "inbound UDP port 500 over IPv4"
};

enum class Verdict : std::uint8_t { passes, may_be_blocked, blocked };
struct FilterVerdict {
  Verdict verdict = Verdict::passes;
  std::string where;  // "table inet filter chain input"
  friend bool operator==(const FilterVerdict&, const FilterVerdict&) = default;
};

// `nft -j list ruleset`. Of several base chains the worst. Nothing if the text is none.
[[nodiscard]] std::optional<FilterVerdict> judge_nftables(std::string_view ruleset, const Traffic& traffic);
// `iptables-save` or `ip6tables-save`, for a family of its own.
[[nodiscard]] FilterVerdict judge_iptables(std::string_view ruleset, const Traffic& traffic);

}  // namespace oakgate::probe
