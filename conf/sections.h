// The sections of the file, each read by one function into what the next ones refer to. Private to conf/.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "conf/config.h"
#include "conf/reader.h"

namespace oakgate::conf {

// What was declared, by name. Nothing in an entry: it is declared, but wrong; whoever refers to it has done
// nothing wrong and hears nothing.
using Policies = std::map<std::uint16_t, std::optional<IsakmpPolicy>>;
template <typename T>
struct Declared {
  std::map<std::string, std::optional<T>, std::less<>> by_name;
  std::vector<T> in_order;  // the good ones, as written
  std::map<std::string, Position, std::less<>> positions;
  void add(const Member& member, std::optional<T> thing) {
    if (thing) in_order.push_back(*thing);
    positions.emplace(member.name, member.key.node->position);
    by_name.emplace(member.name, std::move(thing));
  }
};
using TransformSets = Declared<TransformSet>;
using Trustpoints = Declared<TrustpointConfig>;
using Keys = Declared<KeyConfig>;
using PublicKeys = Declared<PublicKeyConfig>;

// What `name` refers to. Reports a dangling reference; `value` is null too if what is declared is itself
// wrong. `thing` and `section` are for the report: "transform set", "transform_sets".
template <typename T>
struct Reference {
  bool known = false;
  const T* value = nullptr;
};
template <typename T>
Reference<T> refer(const Field& field, std::string_view name, const Declared<T>& declared,
                   std::string_view thing, std::string_view section) {
  const auto found = declared.by_name.find(name);
  if (found != declared.by_name.end()) return {true, found->second ? &*found->second : nullptr};
  if (field.report->full()) return {};
  std::vector<std::string_view> names;
  for (const auto& [known, value] : declared.by_name) names.push_back(known);
  report_dangling(field, name, names, thing, section);
  return {};
}

// A peer as far as it could be read, and which parts of it later checks can rely on.
struct PeerDraft {
  PeerConfig config;
  bool address_known = false;  // address and identity
  bool waiver_known = true;    // false: there is an allow_weak that could not be read
};

struct Draft {
  GatewayConfig gateway;
  Policies policies;
  TransformSets transform_sets;
  Keys keys;
  PublicKeys public_keys;
  Trustpoints trustpoints;
  std::vector<PeerDraft> peers;
  std::optional<SshConfig> ssh;
};

struct PeerContext {
  const std::string& folder;
  const Policies& policies;
  const TransformSets& transform_sets;
  const Keys& keys;
  const PublicKeys& public_keys;
  const Trustpoints& trustpoints;
  const std::optional<HookConfig>& updown;  // the gateway's
};

[[nodiscard]] GatewayConfig read_gateway(const Field& field, const std::string& folder);
[[nodiscard]] Policies read_policies(const Field& field);
[[nodiscard]] TransformSets read_transform_sets(const Field& field);
[[nodiscard]] Keys read_keys(const Field& field, const std::string& folder);
[[nodiscard]] PublicKeys read_public_keys(const Field& field, const std::string& folder);
[[nodiscard]] Trustpoints read_trustpoints(const Field& field, const std::string& folder, const Keys& keys);
[[nodiscard]] std::optional<SshConfig> read_ssh(const Field& field, const std::string& folder,
                                                const Trustpoints& trustpoints);
[[nodiscard]] std::vector<PeerDraft> read_peers(const Field& field, const PeerContext& context);
// The keys that a peer may have.
[[nodiscard]] std::span<const std::string_view> peer_keys();
[[nodiscard]] std::vector<TunnelConfig> read_tunnels(const Field& field, const PeerAddress& peer,
                                                     const TransformSets& transform_sets,
                                                     const std::optional<HookConfig>& updown);
// `updown` of a gateway, peer or tunnel; `inherited` where it says nothing.
[[nodiscard]] std::optional<HookConfig> read_updown(const MapReader& map,
                                                    const std::optional<HookConfig>& inherited);
// `mark`, `interface`, `offload` and `offload_device` of a tunnel.
[[nodiscard]] KernelTies read_ties(const MapReader& map);
[[nodiscard]] WeakWaiver read_waiver(const Field& field);
[[nodiscard]] std::optional<bool> read_boolean(const Field& field);
// `policies`, `pre_shared_key`, `trustpoint` and `rsa_encr` of a peer: what it may prove itself by, and with
// what.
void read_proofs(const MapReader& map, const Member& member, const PeerContext& context, PeerConfig& peer);

// A path of the file as the daemon needs it: relative ones start at `folder`.
[[nodiscard]] std::optional<std::string> read_path(const Field& field, const std::string& folder);

// Words that are read and written.
inline constexpr Word<RevocationCheck> kRevocations[] = {{"crl", RevocationCheck::crl},
                                                         {"crl-optional", RevocationCheck::crl_optional},
                                                         {"none", RevocationCheck::none}};
inline constexpr Word<LoginName> kLoginNames[] = {{"subject-commonname", LoginName::subject_common_name},
                                                  {"subject-serialnumber", LoginName::subject_serial_number},
                                                  {"san-email", LoginName::san_email},
                                                  {"san-upn", LoginName::san_upn}};
inline constexpr Word<LoginUsage> kLoginUsages[] = {
    {"ssh", LoginUsage::ssh}, {"client", LoginUsage::client}, {"any", LoginUsage::any}};
template <typename T, std::size_t size>
[[nodiscard]] constexpr std::string_view word_of(T value, const Word<T> (&table)[size]) {
  for (const Word<T>& row : table) {
    if (row.value == value) return row.word;
  }
  return {};
}

inline constexpr Seconds kMinLifetime{60};
inline constexpr Seconds kMaxLifetime{30 * 86400};
inline constexpr std::uint64_t kMinKilobytes = 2560;  // as IOS; 0 is no limit
inline constexpr std::uint64_t kMinPackets = 1000;    // fewer are gone before a renewal is there
inline constexpr std::uint64_t kMaxPackets = 1'000'000'000'000'000;
inline constexpr std::uint64_t kMaxKilobytes = 0xffff'ffff;
inline constexpr std::uint16_t kMinMss = 500;  // IOS: `ip tcp adjust-mss 500-1460`
inline constexpr std::uint16_t kMaxMss = 9176;
inline constexpr std::uint32_t kMinReplayWindow = 32;
inline constexpr std::uint32_t kMaxReplayWindow = 4096;
inline constexpr std::size_t kMaxPairs = 4096;      // of one tunnel
inline constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un
inline constexpr std::size_t kMaxGroupName = 32;    // useradd(8)
inline constexpr std::size_t kMaxReason = 256;
inline constexpr Seconds kMinRetryPeriod{1};
inline constexpr Seconds kMaxRetryPeriod{86400};
inline constexpr std::uint64_t kMaxRetryCount = 100'000;
inline constexpr Seconds kMinDpdTime{1};
inline constexpr Seconds kMaxDpdTime{86400};
inline constexpr std::uint64_t kMinHalfOpenTotal = 16;
inline constexpr std::uint64_t kMaxHalfOpenTotal = 65536;
inline constexpr std::uint64_t kMaxAggressiveRate = 60'000;
inline constexpr std::uint64_t kMaxWorkers = 64;
inline constexpr std::size_t kMaxPeerKeys = 16;
inline constexpr std::size_t kMaxSources = 64;  // files, or URLs, of one trustpoint

}  // namespace oakgate::conf
