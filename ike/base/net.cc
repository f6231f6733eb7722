#include "ike/base/net.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace oakgate {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() > 63) return std::nullopt;
  const std::string terminated(text);
  std::uint8_t raw[16];
  if (inet_pton(AF_INET, terminated.c_str(), raw) == 1) return from_bytes(ByteView(raw, 4));
  if (inet_pton(AF_INET6, terminated.c_str(), raw) == 1) return from_bytes(ByteView(raw, 16));
  return std::nullopt;
}

IpAddress IpAddress::any(Family family) {
  IpAddress address;
  address.family_ = family;
  return address;
}

bool IpAddress::is_any() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return text;
}

std::string Endpoint::to_string() const {
  const std::string host = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
  return host + ":" + std::to_string(port);
}

Subnet::Subnet(IpAddress address, int prefix) : prefix_(prefix) {
  const ByteView given = address.bytes();
  std::array<std::uint8_t, 16> raw{};
  const auto whole = static_cast<std::size_t>(prefix / 8);
  std::copy_n(given.begin(), whole, raw.begin());
  if (const int rest = prefix % 8; rest != 0) {
    raw[whole] = static_cast<std::uint8_t>(given[whole] & (0xff00U >> rest));
  }
  address_ = *IpAddress::from_bytes(ByteView(raw).first(given.size()));
}

std::optional<Subnet> Subnet::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return host(*address);
  const std::string_view digits = text.substr(slash + 1);
  int prefix = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.front() == '-')
    return std::nullopt;
  if (prefix < 0 || prefix > address->bits()) return std::nullopt;
  const Subnet subnet(*address, prefix);
  if (subnet.address() != *address) return std::nullopt;
  return subnet;
}

bool Subnet::contains(const Subnet& other) const {
  return other.prefix_ >= prefix_ && contains(other.address_);
}

IpAddress Subnet::last() const {
  Bytes raw = to_bytes(address_.bytes());
  for (int bit = prefix_; bit < address_.bits(); ++bit) {
    std::uint8_t& byte = raw[static_cast<std::size_t>(bit / 8)];
    byte = static_cast<std::uint8_t>(byte | (0x80U >> (bit % 8)));
  }
  return *IpAddress::from_bytes(raw);
}

IpAddress Subnet::netmask() const {
  Bytes ones(address_.bytes().size(), 0xff);
  return Subnet(*IpAddress::from_bytes(ones), prefix_).address_;
}

std::string Subnet::to_string() const {
  return address_.to_string() + "/" + std::to_string(prefix_);
}

}  // namespace oakgate

std::size_t std::hash<oakgate::IpAddress>::operator()(const oakgate::IpAddress& address) const noexcept {
  // The finalizer of splitmix64 over the one word of IPv4, or both of IPv6 one after the other.
  const auto mix = [](std::uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
  };
  const oakgate::ByteView raw = address.bytes();
  if (raw.size() == 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, raw.data(), sizeof(word));
    return mix(word);
  }
  std::uint64_t words[2];
  std::memcpy(words, raw.data(), sizeof(words));
  const std::uint64_t digest = mix(words[0] + mix(words[1] + 0x9e3779b97f4a7c15));
  return digest;
}
