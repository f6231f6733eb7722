// What single values mean: text -> numbers, durations, dates, addresses, identities, selectors. Pure
// functions; a Fault quotes the text and says what would have been right. Private to conf/.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "conf/report.h"

namespace oakgate::conf {

// Decimal, within [min, max]. A leading zero is refused: YAML 1.1 reads `0123` as 83.
[[nodiscard]] Parsed<std::uint64_t> parse_integer(std::string_view text, std::uint64_t min,
                                                  std::uint64_t max);
// "30s", "5m", "24h", "1d", or seconds; within [min, max].
[[nodiscard]] Parsed<Seconds> parse_duration(std::string_view text, Seconds min, Seconds max);
// "2027-06-30"
[[nodiscard]] Parsed<std::chrono::sys_days> parse_date(std::string_view text);
// Names of peers, tunnels, sets and gateways: letters, digits and `.`, `_`, `-` inside; at most 64.
[[nodiscard]] Parsed<std::string> parse_name(std::string_view text);
// One IP address that a host can have: no `any`, multicast, link-local or IPv4-mapped one.
[[nodiscard]] Parsed<IpAddress> parse_host_address(std::string_view text);
// A DNS name in lower case (RFC 1123 section 2.1).
[[nodiscard]] Parsed<std::string> parse_host_name(std::string_view text);
[[nodiscard]] Parsed<PeerAddress> parse_peer_address(std::string_view text);
// "CN=gw-a,O=corp" as RFC 4514 has it, or with blanks as IOS prints it; its form alone, the names of its
// attributes are pki/'s to know. As written.
[[nodiscard]] Parsed<std::string> parse_distinguished_name(std::string_view text);
// SCHEME://HOST[:PORT][/...], of one of `schemes`, without a password: URLs are logged.
[[nodiscard]] Parsed<std::string> parse_url(std::string_view text, std::span<const std::string_view> schemes);
// `address` gives none: the address that the exchange uses.
[[nodiscard]] Parsed<std::optional<Identity>> parse_identity(std::string_view text);
// "10.1.0.0/24", "10.1.0.0/24 tcp 179", "10.1.0.10-10.1.0.20"
[[nodiscard]] Parsed<Selector> parse_selector(std::string_view text);
// "14" or "group14"
[[nodiscard]] Parsed<DhGroup> parse_group(std::string_view text);

}  // namespace oakgate::conf
