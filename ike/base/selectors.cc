// The part of net.h that is about traffic: ranges of addresses, selectors and pairs of them.
#include <algorithm>
#include <tuple>

#include "ike/base/net.h"

namespace oakgate {

namespace {

struct ProtocolName {
  std::uint8_t number;
  std::string_view name;
  bool ports;
};
constexpr auto kProtocolNames = std::to_array<ProtocolName>({
    {1, "icmp", false},
    {6, "tcp", true},
    {17, "udp", true},
    {47, "gre", false},
    {58, "icmpv6", false},
    {132, "sctp", true},
});

std::string protocol_name(std::uint8_t protocol) {
  for (const ProtocolName& row : kProtocolNames) {
    if (row.number == protocol) return std::string(row.name);
  }
  return std::to_string(protocol);
}

// Addresses as big-endian numbers of 17 bytes: one bit more than IPv6, so that "one past the last" exists.
using Number = std::array<std::uint8_t, 17>;

Number number_of(const IpAddress& address) {
  Number number{};
  std::copy(address.bytes().rbegin(), address.bytes().rend(), number.rbegin());
  return number;
}

IpAddress address_of(const Number& number, Family family) {
  const std::size_t size = family == Family::ipv4 ? 4 : 16;
  return *IpAddress::from_bytes(ByteView(number).last(size));
}

// number + 2^bit
Number plus_power(Number number, int bit) {
  auto index = static_cast<int>(number.size()) - 1 - bit / 8;
  unsigned carry = 1U << (bit % 8);
  for (; index >= 0 && carry != 0; --index) {
    carry += number[static_cast<std::size_t>(index)];
    number[static_cast<std::size_t>(index)] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  return number;
}

// Of protocols and ports 0 is any.
template <typename T>
bool includes(T wide, T narrow) {
  return wide == 0 || wide == narrow;
}

}  // namespace

bool AddressRange::contains(const IpAddress& address) const {
  return address.family() == first.family() && first <= address && address <= last;
}

bool AddressRange::contains(const AddressRange& other) const {
  return contains(other.first) && contains(other.last);
}

bool AddressRange::overlaps(const AddressRange& other) const {
  return first.family() == other.first.family() && first <= other.last && other.first <= last;
}

Subnet AddressRange::around() const {
  int prefix = first.bits();
  while (prefix > 0 && !Subnet(first, prefix).contains(last)) --prefix;
  return {first, prefix};
}

std::vector<Subnet> AddressRange::subnets() const {
  std::vector<Subnet> found;
  const Family family = first.family();
  const int bits = first.bits();
  const Number end = plus_power(number_of(last), 0);
  Number at = number_of(first);
  while (at < end) {
    const IpAddress address = address_of(at, family);
    // The widest subnet that begins here and does not reach past the end.
    int prefix = bits;
    while (prefix > 0) {
      const Subnet wider(address, prefix - 1);
      if (wider.address() != address || end < plus_power(at, bits - prefix + 1)) break;
      --prefix;
    }
    found.emplace_back(address, prefix);
    at = plus_power(at, bits - prefix);
  }
  return found;
}

std::array<std::uint8_t, 16> AddressRange::width() const {
  const Number from = number_of(first);
  const Number to = number_of(last);
  std::array<std::uint8_t, 16> width{};
  int borrow = 0;
  for (std::size_t i = width.size(); i-- > 0;) {
    const int digit = to[i + 1] - from[i + 1] - borrow;
    borrow = digit < 0 ? 1 : 0;
    width[i] = static_cast<std::uint8_t>(digit + borrow * 256);
  }
  return width;
}

std::string AddressRange::to_string() const {
  return first.to_string() + "-" + last.to_string();
}

bool has_ports(std::uint8_t protocol) {
  return std::any_of(kProtocolNames.begin(), kProtocolNames.end(),
                     [protocol](const ProtocolName& row) { return row.number == protocol && row.ports; });
}

Selector Selector::of_range(const AddressRange& range, std::uint8_t protocol, std::uint16_t port) {
  return {range.around(), protocol, port, range};
}

AddressRange Selector::addresses() const {
  return range.value_or(AddressRange{subnet.address(), subnet.last()});
}

std::vector<Subnet> Selector::subnets() const {
  return range ? range->subnets() : std::vector{subnet};
}

Selector Selector::canonical() const {
  Selector same = *this;
  if (addresses() == AddressRange{subnet.address(), subnet.last()}) same.range.reset();
  return same;
}

bool Selector::contains(const Selector& other) const {
  return addresses().contains(other.addresses()) && includes(protocol, other.protocol) &&
         includes(port, other.port);
}

bool Selector::overlaps(const Selector& other) const {
  const auto meet = [](auto one, auto two) { return includes(one, two) || includes(two, one); };
  return addresses().overlaps(other.addresses()) && meet(protocol, other.protocol) && meet(port, other.port);
}

std::string Selector::to_string() const {
  std::string text = range ? range->to_string() : subnet.to_string();
  if (protocol != 0) text += " " + protocol_name(protocol);
  if (port != 0) text += " " + std::to_string(port);
  return text;
}

bool SelectorPair::contains(const SelectorPair& other) const {
  return local.contains(other.local) && remote.contains(other.remote);
}

bool SelectorPair::overlaps(const SelectorPair& other) const {
  return local.overlaps(other.local) && remote.overlaps(other.remote);
}

std::vector<SelectorPair> SelectorPair::subnet_pairs() const {
  const std::vector<Subnet> remotes = remote.subnets();
  std::vector<SelectorPair> pairs;
  for (const Subnet& here : local.subnets()) {
    for (const Subnet& there : remotes) {
      pairs.push_back({{here, local.protocol, local.port}, {there, remote.protocol, remote.port}});
    }
  }
  return pairs;
}

bool SelectorPair::narrower_than(const SelectorPair& other) const {
  const auto measure = [](const SelectorPair& pair) {
    return std::tuple(pair.remote.addresses().width(), pair.local.addresses().width());
  };
  return measure(*this) < measure(other);
}

std::string SelectorPair::to_string() const {
  return local.to_string() + " === " + remote.to_string();
}

}  // namespace oakgate
