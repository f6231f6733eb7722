// What of a packet decides whose it is, and the form in which many selectors are looked through for it.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>

#include "ike/base/net.h"
#include "xfrm/soft/flat_table.h"

namespace oakgate::soft {

struct Flow {
  IpAddress local;
  IpAddress remote;
  std::uint8_t protocol = 0;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  friend bool operator==(const Flow&, const Flow&) = default;
};

// The same where the addresses lie elsewhere: a packet's are not copied only to be looked for.
struct FlowView {
  const IpAddress& local;
  const IpAddress& remote;
  std::uint8_t protocol = 0;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
};
template <typename T>
concept AnyFlow = std::same_as<T, Flow> || std::same_as<T, FlowView>;

// Whether the flow lies within both sides of the pair.
[[nodiscard]] inline bool within(const SelectorPair& pair, const AnyFlow auto& flow) {
  return pair.local.matches(flow.local, flow.protocol, flow.local_port) &&
         pair.remote.matches(flow.remote, flow.protocol, flow.remote_port);
}

// The two addresses of a pair as words, remote before local, under a mask of the same kind: one word of IPv4,
// four of IPv6.
template <std::size_t kWords>
struct SelectorKey {
  std::array<std::uint64_t, kWords> words{};
  [[nodiscard]] static SelectorKey of(const std::array<std::uint64_t, 2>& remote,
                                      const std::array<std::uint64_t, 2>& local) {
    if constexpr (kWords == 4) return {{remote[0], remote[1], local[0], local[1]}};
    // IPv4 fills one half of its word, which one is the machine's affair.
    return {{std::rotl(remote[0], 32) | local[0]}};
  }
  [[nodiscard]] static SelectorKey of(const AnyFlow auto& flow) {
    return of(flow.remote.words(), flow.local.words());
  }
  [[nodiscard]] static SelectorKey of(const SelectorPair& pair) {
    return of(pair.remote.subnet.address().words(), pair.local.subnet.address().words());
  }
  [[nodiscard]] SelectorKey masked(const SelectorKey& mask) const {
    SelectorKey out;
    for (std::size_t i = 0; i < kWords; ++i) out.words[i] = words[i] & mask.words[i];
    return out;
  }
  friend bool operator==(const SelectorKey& one, const SelectorKey& other) {
    std::uint64_t different = 0;
    for (std::size_t i = 0; i < kWords; ++i) different |= one.words[i] ^ other.words[i];
    return different == 0;
  }
};
struct SelectorKeyHash {
  template <std::size_t kWords>
  std::size_t operator()(const SelectorKey<kWords>& key) const noexcept {
    std::uint64_t hash = 0;
    for (const std::uint64_t word : key.words) hash = mixed(hash + word);
    return hash;
  }
};

}  // namespace oakgate::soft
