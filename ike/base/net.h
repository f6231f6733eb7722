// Addresses, endpoints, subnets and traffic selectors as plain values. Ports are host order.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/bytes.h"

namespace oakgate {

enum class Family : std::uint8_t { ipv4, ipv6 };

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  // `raw` has 4 or 16 bytes in network order; anything else gives nothing.
  [[nodiscard]] static std::optional<IpAddress> from_bytes(ByteView raw);
  // In place: a packet's addresses are not copied once more while they are still being written.
  void assign(std::span<const std::uint8_t, 4> raw) {
    *this = IpAddress();
    std::memcpy(bytes_.data(), raw.data(), 4);
  }
  // Dotted quad (four decimal parts, no leading zeros) or RFC 4291 text; no zone, no brackets, no prefix.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  [[nodiscard]] static IpAddress any(Family family);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == Family::ipv4; }
  // Network order: 4 or 16 bytes, a view into this object.
  [[nodiscard]] ByteView bytes() const { return {bytes_.data(), is_v4() ? 4U : 16U}; }
  [[nodiscard]] int bits() const { return is_v4() ? 32 : 128; }
  [[nodiscard]] bool is_any() const;
  // As they lie in memory; of IPv4 all but the first four bytes are 0.
  [[nodiscard]] std::array<std::uint64_t, 2> words() const {
    std::array<std::uint64_t, 2> words;
    std::memcpy(words.data(), bytes_.data(), sizeof words);
    return words;
  }
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
  friend bool operator==(const IpAddress& one, const IpAddress& other) {
    return one.family_ == other.family_ && one.words() == other.words();
  }

 private:
  Family family_ = Family::ipv4;
  std::array<std::uint8_t, 16> bytes_{};  // IPv4 uses the first four
};

// On the way of each packet: inline, and of sizes that the compiler knows.
inline std::optional<IpAddress> IpAddress::from_bytes(ByteView raw) {
  IpAddress address;
  if (raw.size() == 4) {
    address.assign(raw.first<4>());
    return address;
  }
  if (raw.size() != 16) return std::nullopt;
  address.family_ = Family::ipv6;
  std::memcpy(address.bytes_.data(), raw.data(), 16);
  return address;
}

// The first `prefix` bits, 0 to 128, of an address as IpAddress::words() has it.
[[nodiscard]] constexpr std::array<std::uint64_t, 2> prefix_mask(int prefix) {
  const auto ones = [](int bits) {
    const std::uint64_t number = bits <= 0 ? 0 : ~std::uint64_t{0} << (bits >= 64 ? 0 : 64 - bits);
    return std::endian::native == std::endian::big ? number : __builtin_bswap64(number);
  };
  return {ones(prefix), ones(prefix - 64)};
}

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  [[nodiscard]] std::string to_string() const;  // "192.0.2.1:500", "[2001:db8::1]:500"
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

class Subnet {
 public:
  Subnet() = default;  // 0.0.0.0/0
  // Host bits are cleared. `prefix` must be within 0..address.bits().
  Subnet(IpAddress address, int prefix);
  [[nodiscard]] static Subnet host(const IpAddress& address) { return {address, address.bits()}; }
  [[nodiscard]] static Subnet any(Family family) { return {IpAddress::any(family), 0}; }
  // "10.1.0.0/24", or an address alone for a host. Host bits set are refused: nothing is guessed.
  [[nodiscard]] static std::optional<Subnet> parse(std::string_view text);

  [[nodiscard]] const IpAddress& address() const { return address_; }
  [[nodiscard]] int prefix() const { return prefix_; }
  [[nodiscard]] Family family() const { return address_.family(); }
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] bool contains(const Subnet& other) const;
  [[nodiscard]] bool is_host() const { return prefix_ == address_.bits(); }
  [[nodiscard]] IpAddress last() const;         // highest address: for ranges
  [[nodiscard]] IpAddress netmask() const;      // 255.255.255.0
  [[nodiscard]] std::string to_string() const;  // always with the prefix

  friend auto operator<=>(const Subnet&, const Subnet&) = default;

 private:
  IpAddress address_;
  int prefix_ = 0;
};

inline bool Subnet::contains(const IpAddress& address) const {
  const auto mask = prefix_mask(prefix_), ours = address_.words(), theirs = address.words();
  return address.family() == family() &&
         (((ours[0] ^ theirs[0]) & mask[0]) | ((ours[1] ^ theirs[1]) & mask[1])) == 0;
}

// The addresses from `first` to `last`, both of them too: of one family, and first <= last.
struct AddressRange {
  IpAddress first;
  IpAddress last;
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] bool contains(const AddressRange& other) const;
  [[nodiscard]] bool overlaps(const AddressRange& other) const;
  [[nodiscard]] Subnet around() const;  // the narrowest that holds it
  // Those that together are exactly the range, the widest possible, lowest first: at most 62 of IPv4, 254 of
  // IPv6. Any such subnet of a range within this one lies within one of these.
  [[nodiscard]] std::vector<Subnet> subnets() const;
  // How many addresses it has, less one, as a number in network order: to compare.
  [[nodiscard]] std::array<std::uint8_t, 16> width() const;
  [[nodiscard]] std::string to_string() const;  // "10.1.0.10-10.1.0.20"
  friend auto operator<=>(const AddressRange&, const AddressRange&) = default;
};

// TCP, UDP, SCTP. Of ICMP nothing is taken for a port.
[[nodiscard]] bool has_ports(std::uint8_t protocol);

// One side of a tunnel's traffic: what RFC 2407 4.6.2 calls a client identity, IOS a proxy identity.
// protocol 0: any; port 0: any (and always 0 unless the protocol has ports).
//
// A range may be just a subnet: IKE has two forms for that (ID_IPV4_ADDR_RANGE, ID_IPV4_ADDR_SUBNET), and a
// selector goes out in the one it was written in. To compare what is protected, compare the canonical ones.
struct Selector {
  Subnet subnet;  // of a range: the narrowest that holds it
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  std::optional<AddressRange> range{};  // if it is written as one
  [[nodiscard]] static Selector of_range(const AddressRange& range, std::uint8_t protocol = 0,
                                         std::uint16_t port = 0);
  [[nodiscard]] Family family() const { return subnet.family(); }
  [[nodiscard]] AddressRange addresses() const;
  [[nodiscard]] std::vector<Subnet> subnets() const;  // exactly its addresses
  [[nodiscard]] Selector canonical() const;           // a range that is a subnet becomes that
  [[nodiscard]] bool matches(const IpAddress& address, std::uint8_t ip_protocol, std::uint16_t l4_port) const;
  [[nodiscard]] bool contains(const Selector& other) const;
  [[nodiscard]] bool overlaps(const Selector& other) const;
  [[nodiscard]] std::string to_string() const;  // "10.1.0.0/24", "10.1.0.10-10.1.0.20 tcp 179"
  friend auto operator<=>(const Selector&, const Selector&) = default;
};

inline bool Selector::matches(const IpAddress& address, std::uint8_t ip_protocol,
                              std::uint16_t l4_port) const {
  return (range ? range->contains(address) : subnet.contains(address)) &&
         (protocol == 0 || protocol == ip_protocol) && (port == 0 || port == l4_port);
}

// So many pairs of subnets may the ranges of one selector pair come to: each has its own entry in the data
// planes' tables.
inline constexpr std::size_t kMaxSubnetPairs = 256;

struct SelectorPair {
  Selector local;
  Selector remote;
  [[nodiscard]] SelectorPair canonical() const { return {local.canonical(), remote.canonical()}; }
  [[nodiscard]] bool same_traffic(const SelectorPair& other) const {
    return canonical() == other.canonical();
  }
  [[nodiscard]] bool contains(const SelectorPair& other) const;
  [[nodiscard]] bool overlaps(const SelectorPair& other) const;
  // Without ranges: each subnet of `local` with each of `remote`.
  [[nodiscard]] std::vector<SelectorPair> subnet_pairs() const;
  // Which of two pairs that both hold a packet decides about it, if their subnets are equally narrow.
  [[nodiscard]] bool narrower_than(const SelectorPair& other) const;
  [[nodiscard]] std::string to_string() const;  // "10.1.0.0/24 === 10.2.0.0/24"
  friend auto operator<=>(const SelectorPair&, const SelectorPair&) = default;
};

}  // namespace oakgate

template <>
struct std::hash<oakgate::IpAddress> {
  std::size_t operator()(const oakgate::IpAddress& address) const noexcept;
};
template <>
struct std::hash<oakgate::Endpoint> {
  std::size_t operator()(const oakgate::Endpoint& endpoint) const noexcept {
    return std::hash<oakgate::IpAddress>{}(endpoint.address) * 31 + endpoint.port;
  }
};
