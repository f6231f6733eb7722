// `mark`, `interface` and `offload` of a tunnel: what ties it to the rest of the kernel's network.
#include <algorithm>
#include <array>
#include <limits>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr Word<Offload> kOffloads[] = {
    {"no", Offload::none},
    {"crypto", Offload::crypto},
    {"packet", Offload::packet},
};

constexpr std::string_view kMarkExpected = "a mark like 7, 0x7 or 0x7/0xff";
constexpr std::uint64_t kMaxMark = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMinMtu = 576;  // of IPv4, RFC 791 section 3.1; the kernel knows what IPv6 needs
constexpr std::uint64_t kMaxMtu = 65535;
constexpr std::size_t kMaxDeviceName = 15;  // IFNAMSIZ - 1
constexpr std::size_t kMaxAddresses = 16;
constexpr std::size_t kMaxRoutes = 256;

Parsed<std::uint32_t> parse_word(std::string_view text) {
  if (!text.starts_with("0x") && !text.starts_with("0X")) {
    const auto value = parse_integer(text, 0, kMaxMark);
    if (!value) return tl::unexpected(value.error());
    return static_cast<std::uint32_t>(*value);
  }
  constexpr std::size_t kMaxDigits = 8;
  std::uint32_t value = 0;
  const std::string_view digits = text.substr(2);
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  const bool good = !digits.empty() && digits.size() <= kMaxDigits &&
                    std::all_of(digits.begin(), digits.end(), [&](char c) { return digit(c) >= 0; });
  if (!good)
    return tl::unexpected(
        Fault{quote(text) + " is no number of 32 bits", "0x and one to eight hexadecimal digits"});
  for (const char c : digits) value = value << 4 | static_cast<std::uint32_t>(digit(c));
  return value;
}

// As `ip xfrm` and iptables write it; the mask is all bits unless it is given.
Parsed<PacketMark> parse_mark(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto value = parse_word(text.substr(0, slash));
  if (!value) return tl::unexpected(value.error());
  PacketMark mark{*value, std::numeric_limits<std::uint32_t>::max()};
  if (slash != std::string_view::npos) {
    const auto mask = parse_word(text.substr(slash + 1));
    if (!mask) return tl::unexpected(mask.error());
    mark.mask = *mask;
  }
  if (mark.mask == 0)
    return tl::unexpected(
        Fault{quote(text) + " has a mask of 0, which every packet meets", "no `mark`, or a mask with bits"});
  if ((mark.value & ~mark.mask) != 0)
    return tl::unexpected(Fault{quote(text) + " has bits that its mask has not, so no packet meets it",
                                "a mask that has the mark's bits"});
  return mark;
}

Parsed<std::string> parse_device(std::string_view text) {
  const bool good = !text.empty() && text.size() <= kMaxDeviceName && text != "." && text != ".." &&
                    std::all_of(text.begin(), text.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             c == '.' || c == '_' || c == '-';
                    });
  if (good) return std::string(text);
  return tl::unexpected(Fault{quote(text) + " cannot be a network device's name",
                              "at most 15 letters, digits, `.`, `_` and `-`, like ipsec7"});
}

Parsed<InterfaceAddress> parse_address(std::string_view text) {
  constexpr std::string_view kExpected = "an address with its prefix length, like 10.99.0.1/30";
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return tl::unexpected(Fault{quote(text) + " has no prefix length", std::string(kExpected)});
  const auto address = parse_host_address(text.substr(0, slash));
  if (!address) return tl::unexpected(address.error());
  const auto prefix = parse_integer(text.substr(slash + 1), 1, static_cast<std::uint64_t>(address->bits()));
  if (!prefix) return tl::unexpected(prefix.error());
  return InterfaceAddress{*address, static_cast<int>(*prefix)};
}

Parsed<Subnet> parse_route(std::string_view text) {
  if (const auto subnet = Subnet::parse(std::string(text))) return *subnet;
  return tl::unexpected(Fault{quote(text) + " is not a subnet", "a subnet like 10.2.0.0/16"});
}

// `ipsec7` says it: 7.
std::optional<std::uint32_t> number_of(std::string_view name) {
  const std::size_t last = name.find_last_not_of("0123456789");
  const std::string_view digits = name.substr(last == std::string_view::npos ? 0 : last + 1);
  if (digits.empty() || digits.front() == '0') return std::nullopt;
  const auto value = parse_integer(digits, 1, kMaxMark);
  return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

template <typename T, typename Parser>
std::vector<T> read_list(const Field& field, std::string_view expected, std::size_t most, Parser parse) {
  std::vector<T> values;
  for (const Field& item : one_or_many(field, expected)) {
    if (values.size() == most) {
      item.fail({"there are too many", "at most " + std::to_string(most)});
      break;
    }
    if (auto value = read(item, expected, parse)) values.push_back(std::move(*value));
  }
  return values;
}

std::optional<TunnelInterface> read_interface(const Field& field) {
  constexpr auto kKeys =
      std::to_array<std::string_view>({"name", "if_id", "mtu", "link", "address", "routes"});
  TunnelInterface interface;
  if (field.node->kind == Node::Kind::scalar) {
    const auto name = read(field, "a network device's name", parse_device);
    if (!name) return std::nullopt;
    interface.name = *name;
  } else {
    if (!require_map(field, "a name like ipsec7, or a map with the keys " + any_of(kKeys)))
      return std::nullopt;
    const MapReader map(field, kKeys);
    const auto name = map.required("name", "the network device's name, like ipsec7");
    const auto named = name ? read(*name, "a network device's name", parse_device) : std::nullopt;
    if (!named) return std::nullopt;
    interface.name = *named;
    if (const auto id = map.optional("if_id")) {
      const auto value = read(*id, "a number", [](std::string_view text) {
        const auto word = parse_word(text);
        if (word && *word == 0)
          return Parsed<std::uint32_t>(tl::unexpected(Fault{"0 means no interface", "a number from 1 on"}));
        return word;
      });
      if (!value) return std::nullopt;
      interface.if_id = *value;
    }
    if (const auto mtu = map.optional("mtu")) {
      const auto bytes = read(*mtu, "a number of bytes",
                              [](std::string_view text) { return parse_integer(text, kMinMtu, kMaxMtu); });
      if (bytes) interface.mtu = static_cast<std::uint16_t>(*bytes);
    }
    if (const auto link = map.optional("link"))
      interface.link = read(*link, "a network device's name", parse_device).value_or("");
    if (const auto address = map.optional("address"))
      interface.addresses =
          read_list<InterfaceAddress>(*address, "an address like 10.99.0.1/30", kMaxAddresses, parse_address);
    if (const auto routes = map.optional("routes"))
      interface.routes = read_list<Subnet>(*routes, "a subnet like 10.2.0.0/16", kMaxRoutes, parse_route);
  }
  if (interface.if_id != 0) return interface;
  const auto number = number_of(interface.name);
  if (!number) {
    field.fail({quote(interface.name) + " ends with no number that its if_id could be",
                "a name like ipsec7, or an `if_id`"});
    return std::nullopt;
  }
  interface.if_id = *number;
  return interface;
}

}  // namespace

KernelTies read_ties(const MapReader& map) {
  KernelTies ties;
  if (const auto mark = map.optional("mark"))
    ties.mark = read(*mark, kMarkExpected, parse_mark).value_or(PacketMark{});
  if (const auto interface = map.optional("interface")) ties.interface = read_interface(*interface);
  if (const auto offload = map.optional("offload"))
    ties.offload = choice(*offload, kOffloads).value_or(Offload::none);
  if (const auto device = map.optional("offload_device")) {
    ties.offload_device = read(*device, "a network device's name", parse_device).value_or("");
    if (ties.offload == Offload::none)
      device->fail({"there is nothing to offload to it", "`offload: crypto` or `offload: packet` beside it"});
  }
  return ties;
}

}  // namespace oakgate::conf
