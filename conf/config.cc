#include "conf/config.h"

#include <algorithm>

namespace oakgate::conf {

bool PeerAddress::contains(const IpAddress& address) const {
  switch (kind) {
    case Kind::any:
      return true;
    case Kind::host_name:
      return false;
    case Kind::address:
    case Kind::range:
      break;
  }
  // Comparison is by family first, then by the bytes in network order, so it orders addresses by number.
  return address.family() == first.family() && first <= address && address <= last;
}

std::string PeerAddress::to_string() const {
  switch (kind) {
    case Kind::any:
      return "any";
    case Kind::host_name:
      return host_name;
    case Kind::address:
      return first.to_string();
    case Kind::range:
      break;
  }
  for (int prefix = 0; prefix < first.bits(); ++prefix) {
    const Subnet subnet(first, prefix);
    if (subnet.address() == first && subnet.last() == last) return subnet.to_string();
  }
  return first.to_string() + "-" + last.to_string();
}

namespace {

template <typename T>
const T* find_named(const std::vector<T>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const T& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

constexpr std::string_view kEncryptionSuffix = " encryption";  // no name of `keys:` has a blank

}  // namespace

const TrustpointConfig* find_trustpoint(const Config& config, std::string_view name) {
  return find_named(config.trustpoints, name);
}

const KeyConfig* find_key(const Config& config, std::string_view name) {
  return find_named(config.keys, name);
}

std::vector<KeyConfig> all_keys(const Config& config) {
  std::vector<KeyConfig> all = config.keys;
  for (const TrustpointConfig& trustpoint : config.trustpoints) {
    for (const auto* own : {&trustpoint.own, &trustpoint.own_encryption}) {
      if (*own && find_named(all, (*own)->key.name) == nullptr) all.push_back((*own)->key);
    }
  }
  return all;
}

Position position_of(const Config& config, std::string_view key_path) {
  while (true) {
    const auto found = config.positions.find(key_path);
    if (found != config.positions.end()) return found->second;
    const std::size_t dot = key_path.rfind('.');
    if (dot == std::string_view::npos) return {};
    key_path = key_path.substr(0, dot);
  }
}

std::string key_path(const KeyConfig& key, const Config& config) {
  if (find_key(config, key.name) != nullptr) return "keys." + key.name;
  std::string_view trustpoint = key.name;
  if (!trustpoint.ends_with(kEncryptionSuffix)) return "trustpoints." + key.name + ".key";
  trustpoint.remove_suffix(kEncryptionSuffix.size());
  return "trustpoints." + std::string(trustpoint) + ".encryption_key";
}

}  // namespace oakgate::conf
