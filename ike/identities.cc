#include "ike/identities.h"

#include <algorithm>

#include "ike/crypto/distinguished_name.h"

namespace oakgate::ike {

namespace {

using wire::IdPayload;
using wire::IdType;

constexpr std::uint8_t kUdp = 17;
constexpr std::uint16_t kIkePort = 500;
constexpr std::size_t kMaxNameBytes = 255;

auto invalid_id(const IdPayload& id, std::string expected) {
  return reject(NotifyType::invalid_id_information, ErrorCode::unsupported,
                "identity " + describe(id) + " cannot be used here", std::move(expected));
}

Result<Identity> parse_name(const IdPayload& id, IdentityKind kind) {
  const bool printable =
      std::all_of(id.data.begin(), id.data.end(), [](std::uint8_t c) { return c > 0x20 && c < 0x7f; });
  if (id.data.empty() || id.data.size() > kMaxNameBytes || !printable) {
    return invalid_id(id, "a name of 1 to 255 printable characters");
  }
  return Identity{kind, {}, std::string(id.data.begin(), id.data.end())};
}

// A netmask must be ones, then zeros.
std::optional<int> prefix_of_mask(ByteView mask) {
  int prefix = 0;
  bool ended = false;
  for (const std::uint8_t byte : mask) {
    for (int bit = 7; bit >= 0; --bit) {
      const bool one = (byte >> bit & 1) != 0;
      if (one && ended) return std::nullopt;
      if (one) ++prefix;
      ended = ended || !one;
    }
  }
  return prefix;
}

std::optional<Subnet> subnet_of(const IdPayload& id, std::size_t bytes) {
  if (id.data.size() != 2 * bytes) return std::nullopt;
  const ByteView data(id.data);
  const auto address = IpAddress::from_bytes(data.first(bytes));
  const auto prefix = prefix_of_mask(data.subspan(bytes));
  if (!prefix) return std::nullopt;
  const Subnet subnet(*address, *prefix);
  if (subnet.address() != *address) return std::nullopt;  // host bits set: not what anybody configured
  return subnet;
}

std::optional<Subnet> host_of(const IdPayload& id, std::size_t bytes) {
  if (id.data.size() != bytes) return std::nullopt;
  return Subnet::host(*IpAddress::from_bytes(id.data));
}

std::optional<Subnet> network_of(const IdPayload& id) {
  switch (id.type) {
    case IdType::ipv4_addr:
      return host_of(id, 4);
    case IdType::ipv6_addr:
      return host_of(id, 16);
    case IdType::ipv4_addr_subnet:
      return subnet_of(id, 4);
    case IdType::ipv6_addr_subnet:
      return subnet_of(id, 16);
    default:
      return std::nullopt;
  }
}

// RFC 2407 sections 4.6.2.7 and 4.6.2.8: "the beginning [...] address (inclusive)" and "the ending".
std::optional<AddressRange> range_of(const IdPayload& id) {
  const bool v4 = id.type == IdType::ipv4_addr_range;
  const std::size_t bytes = v4 ? 4 : 16;
  if ((!v4 && id.type != IdType::ipv6_addr_range) || id.data.size() != 2 * bytes) return std::nullopt;
  const ByteView data(id.data);
  const AddressRange range{*IpAddress::from_bytes(data.first(bytes)),
                           *IpAddress::from_bytes(data.subspan(bytes))};
  if (range.last < range.first) return std::nullopt;
  return range;
}

std::optional<Selector> selector_of(const IdPayload& id) {
  if (const auto range = range_of(id)) return Selector::of_range(*range, id.protocol, id.port);
  if (const auto subnet = network_of(id)) return Selector{*subnet, id.protocol, id.port};
  return std::nullopt;
}

}  // namespace

IdPayload phase1_id(const Identity& identity, const IpAddress& own) {
  // RFC 2407 section 4.6.2: "the ID port and protocol fields MUST be set to zero or to UDP port 500".
  IdPayload id{IdType::ipv4_addr, kUdp, kIkePort, {}};
  if (identity.kind == IdentityKind::address) {
    const IpAddress& address = identity.address.is_any() ? own : identity.address;
    id.type = address.is_v4() ? IdType::ipv4_addr : IdType::ipv6_addr;
    id.data = to_bytes(address.bytes());
  } else if (identity.kind == IdentityKind::dn) {
    id.type = IdType::der_asn1_dn;
    id.data = identity.der;
  } else {
    id.type = identity.kind == IdentityKind::fqdn ? IdType::fqdn : IdType::user_fqdn;
    id.data = to_bytes(as_bytes(identity.text));
  }
  return id;
}

bool names_ike(const IdPayload& id) {
  return (id.protocol == 0 && id.port == 0) || (id.protocol == kUdp && id.port == kIkePort);
}

Result<Identity> parse_phase1_id(const IdPayload& id) {
  switch (id.type) {
    case IdType::ipv4_addr:
    case IdType::ipv6_addr:
      if (const auto host = network_of(id)) return Identity{IdentityKind::address, host->address(), {}};
      return invalid_id(id, "an address of 4 or 16 bytes");
    case IdType::fqdn:
      return parse_name(id, IdentityKind::fqdn);
    case IdType::user_fqdn:
      return parse_name(id, IdentityKind::user_fqdn);
    case IdType::der_asn1_dn:
      if (auto text = crypto::name_text(id.data))
        return Identity{IdentityKind::dn, {}, std::move(*text), id.data};
      return invalid_id(id, "a distinguished name in DER");
    default:
      return invalid_id(id, "an address, a host name, a user name or a distinguished name");
  }
}

bool identity_fits(const Identity& wanted, const Identity& claimed, const IpAddress& source,
                   bool behind_nat) {
  if (wanted.kind != claimed.kind) return false;
  switch (wanted.kind) {
    case IdentityKind::address:
      if (!wanted.address.is_any()) return wanted.address == claimed.address;
      return claimed.address == source || behind_nat;
    case IdentityKind::dn: {
      if (wanted.text.empty()) return true;  // whatever its certificate says
      const auto der = crypto::name_from_text(wanted.text);
      return der && crypto::same_name(*der, claimed.der);
    }
    case IdentityKind::fqdn:
    case IdentityKind::user_fqdn:
      break;
  }
  return wanted.text == claimed.text;
}

IdPayload client_id(const Selector& selector) {
  const Subnet& subnet = selector.subnet;
  IdPayload id{IdType::ipv4_addr, selector.protocol, selector.port, to_bytes(subnet.address().bytes())};
  const bool v4 = subnet.family() == Family::ipv4;
  if (const auto& range = selector.range) {
    id.type = v4 ? IdType::ipv4_addr_range : IdType::ipv6_addr_range;
    id.data = to_bytes(range->first.bytes());
    id.data.insert(id.data.end(), range->last.bytes().begin(), range->last.bytes().end());
  } else if (subnet.is_host()) {
    id.type = v4 ? IdType::ipv4_addr : IdType::ipv6_addr;
  } else {
    id.type = v4 ? IdType::ipv4_addr_subnet : IdType::ipv6_addr_subnet;
    const IpAddress mask = subnet.netmask();
    id.data.insert(id.data.end(), mask.bytes().begin(), mask.bytes().end());
  }
  return id;
}

Result<Selector> parse_client_id(const IdPayload& id) {
  if (auto selector = selector_of(id)) return *selector;
  return invalid_id(id, "an address, a subnet or a range of addresses");
}

std::string describe(const IdPayload& id) {
  if (const auto selector = selector_of(id)) return selector->to_string();
  if (id.type == IdType::fqdn || id.type == IdType::user_fqdn) {
    const std::size_t shown = std::min(id.data.size(), kMaxNameBytes);
    return std::string(id.data.begin(), id.data.begin() + static_cast<std::ptrdiff_t>(shown));
  }
  const ByteView data(id.data);
  return std::string(wire::id_type_name(id.type)) + " " +
         to_hex(data.first(std::min<std::size_t>(data.size(), 64)));
}

}  // namespace oakgate::ike
