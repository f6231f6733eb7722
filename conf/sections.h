// The sections of the file, each read by one function into what the next ones refer to. Private to conf/.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conf/config.h"
#include "conf/reader.h"

namespace oakgate::conf {

// What was declared, by name. Nothing in an entry: it is declared, but wrong; whoever refers to it has done
// nothing wrong and hears nothing.
using Policies = std::map<std::uint16_t, std::optional<IsakmpPolicy>>;
struct TransformSets {
  std::map<std::string, std::optional<TransformSet>, std::less<>> by_name;
  std::vector<TransformSet> in_order;  // the good ones, as written
};

// A peer as far as it could be read, and which parts of it later checks can rely on.
struct PeerDraft {
  PeerConfig config;
  bool address_known = false;  // address and identity
  bool psk_known = false;      // where the pre-shared key is
  bool waiver_known = true;    // false: there is an allow_weak that could not be read
};

struct Draft {
  GatewayConfig gateway;
  Policies policies;
  TransformSets transform_sets;
  std::vector<PeerDraft> peers;
};

struct PeerContext {
  const std::string& folder;
  const Policies& policies;
  const TransformSets& transform_sets;
};

[[nodiscard]] GatewayConfig read_gateway(const Field& field, const std::string& folder);
[[nodiscard]] Policies read_policies(const Field& field);
[[nodiscard]] TransformSets read_transform_sets(const Field& field);
[[nodiscard]] std::vector<PeerDraft> read_peers(const Field& field, const PeerContext& context);
[[nodiscard]] std::vector<TunnelConfig> read_tunnels(const Field& field, const PeerAddress& peer,
                                                     const TransformSets& transform_sets);
[[nodiscard]] WeakWaiver read_waiver(const Field& field);

// A path of the file as the daemon needs it: relative ones start at `folder`.
[[nodiscard]] std::optional<std::string> read_path(const Field& field, const std::string& folder);

inline constexpr Seconds kMinLifetime{60};
inline constexpr Seconds kMaxLifetime{30 * 86400};
inline constexpr std::uint64_t kMinKilobytes = 2560;  // as IOS; 0 is no limit
inline constexpr std::uint64_t kMaxKilobytes = 0xffff'ffff;
inline constexpr std::uint32_t kMinReplayWindow = 32;
inline constexpr std::uint32_t kMaxReplayWindow = 4096;
inline constexpr std::size_t kMaxPairs = 4096;      // of one tunnel
inline constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un
inline constexpr std::size_t kMaxReason = 256;

}  // namespace oakgate::conf
