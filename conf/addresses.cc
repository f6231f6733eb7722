// The part of values.h that is about addresses: peers, identities, selectors.
#include <algorithm>
#include <array>
#include <cctype>
#include <span>

#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr std::size_t kMaxHostName = 253;  // RFC 1035 section 2.3.4, as text
constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxUserFqdn = 255;

// Why no host has this address as its own; empty: it can.
std::string why_no_host(const IpAddress& address) {
  if (address.is_any()) return "means every address";
  const ByteView raw = address.bytes();
  if (address.is_v4()) return raw[0] >= 224 ? "is a multicast, broadcast or reserved address" : "";
  if (raw[0] == 0xff) return "is a multicast address";
  if (raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80)
    return "is link-local, which is ambiguous without an interface";
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), raw.begin())) return "is an IPv4 address in IPv6 form";
  return {};
}

// The subnet that `text` may have meant: its host bits cleared. Empty: none.
std::string with_host_bits_cleared(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {};
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return {};
  const auto prefix = parse_integer(text.substr(slash + 1), 0, static_cast<std::uint64_t>(address->bits()));
  if (!prefix) return {};
  return Subnet(*address, static_cast<int>(*prefix)).to_string();
}

constexpr std::string_view kSubnetShape = "ADDRESS/PREFIX, like 10.1.0.0/24 or 2001:db8::/32";

Parsed<Subnet> parse_subnet(std::string_view text) {
  if (const auto subnet = Subnet::parse(text)) return *subnet;
  if (const std::string meant = with_host_bits_cleared(text); !meant.empty()) {
    return fault(quote(text) + " has bits set behind its prefix", "the subnet's own address", meant);
  }
  return fault(quote(text) + " is not a subnet", std::string(kSubnetShape));
}

PeerAddress peers_within(const AddressRange& range) {
  const auto kind = range.first == range.last ? PeerAddress::Kind::address : PeerAddress::Kind::range;
  return {kind, {}, range.first, range.last};
}

constexpr std::string_view kPeerAddressShapes =
    "an IP address, a host name, a subnet (192.0.2.0/24), a range (192.0.2.10-192.0.2.20) or any";

Parsed<AddressRange> parse_range(std::string_view text, const IpAddress& first, std::string_view last_text) {
  const auto last = IpAddress::parse(last_text);
  if (!last) return fault(quote(last_text) + " is not an IP address", "the last address of the range");
  if (last->family() != first.family()) {
    return fault(quote(text) + " mixes IPv4 and IPv6", "two addresses of one family");
  }
  if (*last < first) return fault(quote(text) + " ends before it begins", "the lower address first");
  return AddressRange{first, *last};
}

// "10.1.0.0/24", "10.1.0.10-10.1.0.20"
Parsed<Selector> parse_addresses(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = IpAddress::parse(text.substr(0, dash));
  if (first && dash != std::string_view::npos) {
    const auto range = parse_range(text, *first, text.substr(dash + 1));
    if (!range) return tl::unexpected(range.error());
    return Selector::of_range(*range);
  }
  const auto subnet = parse_subnet(text);
  if (!subnet) return tl::unexpected(subnet.error());
  return Selector{*subnet, 0, 0};
}

struct Protocol {
  std::string_view name;
  std::uint8_t number;
};
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kIcmpV6 = 58;
constexpr auto kProtocols = std::to_array<Protocol>({
    {"tcp", 6},
    {"udp", 17},
    {"sctp", 132},
    {"icmp", kIcmp},
    {"icmpv6", kIcmpV6},
    {"gre", 47},
});

Parsed<std::uint8_t> parse_protocol(std::string_view text) {
  std::array<std::string_view, kProtocols.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (kProtocols[i].name == text) return kProtocols[i].number;
    names[i] = kProtocols[i].name;
  }
  if (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    auto number = parse_integer(text, 1, 255);
    if (!number) return tl::unexpected(std::move(number.error()));
    return static_cast<std::uint8_t>(*number);
  }
  return fault(quote(text) + " is not a known protocol", any_of(names) + ", or its number",
               nearest(text, names));
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t start = text.find_first_not_of(" \t");
    if (start == std::string_view::npos) return words;
    text.remove_prefix(start);
    const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

Parsed<std::string> parse_user_fqdn(std::string_view text) {
  const std::size_t at = text.find('@');
  const bool printable_ascii =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable_ascii || text.size() > kMaxUserFqdn || at == std::string_view::npos || at == 0 ||
      at + 1 == text.size() || text.find('@', at + 1) != std::string_view::npos) {
    return fault(quote(text) + " is not a user at a host", "user-fqdn:USER@HOST");
  }
  return std::string(text);
}

}  // namespace

Parsed<IpAddress> parse_host_address(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address)
    return fault(quote(text) + " is not an IP address", "an address like 192.0.2.1 or 2001:db8::1");
  if (const std::string why = why_no_host(*address); !why.empty()) {
    return fault(quote(text) + " " + why, "the address of one host");
  }
  return *address;
}

Parsed<std::string> parse_host_name(std::string_view text) {
  const auto bad =
      fault(quote(text) + " is not a host name", "letters, digits and `-`, in labels with `.` between");
  if (text.empty() || text.size() > kMaxHostName) return bad;
  std::string lower;
  std::size_t label = 0;
  bool letters = false;  // in the last label: one of digits alone would be an address gone wrong
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool edge = label == 0 || i + 1 == text.size() || text[i + 1] == '.';
    if (c == '.' && label > 0 && i + 1 < text.size()) {
      label = 0;
      letters = false;
    } else if (c < 0x80 && (std::isalnum(c) != 0 || c == '_' || (c == '-' && !edge)) && label < kMaxLabel) {
      ++label;
      letters = letters || std::isdigit(c) == 0;
    } else {
      return bad;
    }
    lower += static_cast<char>(std::tolower(c));
  }
  if (!letters) return bad;
  return lower;
}

Parsed<PeerAddress> parse_peer_address(std::string_view text) {
  if (text == "any") return PeerAddress{PeerAddress::Kind::any, {}, {}, {}};
  if (text.find('/') != std::string_view::npos) {
    auto subnet = parse_subnet(text);
    if (!subnet) return tl::unexpected(std::move(subnet.error()));
    return peers_within({subnet->address(), subnet->last()});
  }
  const std::size_t dash = text.find('-');
  const auto first = IpAddress::parse(text.substr(0, dash));
  if (first && dash != std::string_view::npos) {
    const auto range = parse_range(text, *first, text.substr(dash + 1));
    if (!range) return tl::unexpected(range.error());
    return peers_within(*range);
  }
  if (first) {
    auto address = parse_host_address(text);
    if (!address) return tl::unexpected(std::move(address.error()));
    return peers_within({*address, *address});
  }
  auto name = parse_host_name(text);
  if (!name) return fault(quote(text) + " is no address of a peer", std::string(kPeerAddressShapes));
  return PeerAddress{PeerAddress::Kind::host_name, std::move(*name), {}, {}};
}

Parsed<std::optional<Identity>> parse_identity(std::string_view text) {
  constexpr std::string_view kFqdn = "hostname:";
  constexpr std::string_view kUserFqdn = "user-fqdn:";
  constexpr std::string_view kDn = "dn:";
  if (text == "address") return std::optional<Identity>{};
  if (text.starts_with(kFqdn)) {
    const std::string_view name = text.substr(kFqdn.size());
    if (auto checked = parse_host_name(name); !checked) return tl::unexpected(std::move(checked.error()));
    // As written: it goes to the peer byte for byte.
    return Identity{IdentityKind::fqdn, {}, std::string(name)};
  }
  if (text.starts_with(kUserFqdn)) {
    auto user = parse_user_fqdn(text.substr(kUserFqdn.size()));
    if (!user) return tl::unexpected(std::move(user.error()));
    return Identity{IdentityKind::user_fqdn, {}, std::move(*user)};
  }
  if (text == "dn") return Identity{IdentityKind::dn, {}, {}};
  if (text.starts_with(kDn)) {
    auto name = parse_distinguished_name(text.substr(kDn.size()));
    if (!name) return tl::unexpected(std::move(name.error()));
    return Identity{IdentityKind::dn, {}, std::move(*name)};
  }
  if (IpAddress::parse(text)) {
    auto address = parse_host_address(text);
    if (!address) return tl::unexpected(std::move(address.error()));
    return Identity{IdentityKind::address, *address, {}};
  }
  constexpr auto kKinds = std::to_array<std::string_view>({"address", "hostname:", "user-fqdn:", "dn:"});
  const std::size_t colon = text.find(':');
  return fault(quote(text) + " is not an identity",
               "address, an IP address, hostname:NAME, user-fqdn:USER@HOST, dn or dn:NAME",
               nearest(text.substr(0, colon == std::string_view::npos ? colon : colon + 1), kKinds));
}

Parsed<Selector> parse_selector(std::string_view text) {
  const auto words = words_of(text);
  if (words.empty() || words.size() > 3) {
    return fault(quote(text) + " is not a selector",
                 "SUBNET or FIRST-LAST; PROTOCOL, or PROTOCOL and PORT, may follow");
  }
  const auto addresses = parse_addresses(words[0]);
  if (!addresses) return tl::unexpected(addresses.error());
  Selector selector = *addresses;
  if (words.size() == 1) return selector;
  const auto protocol = parse_protocol(words[1]);
  if (!protocol) return tl::unexpected(protocol.error());
  selector.protocol = *protocol;
  if (*protocol == (selector.family() == Family::ipv4 ? kIcmpV6 : kIcmp)) {
    return fault(quote(words[1]) + " is not for " + quote(words[0]), "icmp with IPv4, icmpv6 with IPv6");
  }
  if (words.size() == 2) return selector;
  if (!has_ports(*protocol)) {
    return fault(quote(words[1]) + " has no ports, but " + quote(words[2]) + " follows",
                 "tcp, udp or sctp, or no port");
  }
  const auto port = parse_integer(words[2], 1, 65535);
  if (!port) return tl::unexpected(port.error());
  selector.port = static_cast<std::uint16_t>(*port);
  return selector;
}

}  // namespace oakgate::conf
