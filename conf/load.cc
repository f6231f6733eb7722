#include "conf/load.h"

#include <array>
#include <filesystem>
#include <set>
#include <unordered_map>

#include "conf/checks.h"
#include "conf/compose.h"
#include "conf/emit.h"
#include "conf/hooks.h"
#include "conf/sections.h"
#include "conf/yaml_tree.h"

namespace oakgate::conf {

namespace {

using ShortPsk = std::set<std::string, std::less<>>;

// `folder`: what relative paths start from.
// The sections in the order in which they refer to each other, whatever their order in the file.
Draft read_draft(const Node& root, const std::string& folder, Report& report) {
  constexpr auto kKeys =
      std::to_array<std::string_view>({"include", "gateway", "isakmp_policies", "transform_sets",
                                       "trustpoints", "keys", "public_keys", "ssh", "templates", "peers"});
  const MapReader map(Field{&root, {}, &report}, kKeys);
  Draft draft;
  if (const auto field = map.optional("gateway")) draft.gateway = read_gateway(*field, folder);
  if (const auto field = map.optional("isakmp_policies")) draft.policies = read_policies(*field);
  if (const auto field = map.optional("transform_sets")) draft.transform_sets = read_transform_sets(*field);
  if (const auto field = map.optional("keys")) draft.keys = read_keys(*field, folder);
  if (const auto field = map.optional("public_keys")) {
    draft.public_keys = read_public_keys(*field, folder);
  }
  if (const auto field = map.optional("trustpoints")) {
    draft.trustpoints = read_trustpoints(*field, folder, draft.keys);
  }
  if (const auto field = map.optional("ssh")) draft.ssh = read_ssh(*field, folder, draft.trustpoints);
  if (const auto field = map.optional("peers")) {
    draft.peers = read_peers(*field, {folder, draft.policies, draft.transform_sets, draft.keys,
                                      draft.public_keys, draft.trustpoints, draft.gateway.updown});
  }
  return draft;
}

Fault fault_of(const Error& error) {
  const std::string remedy = error.remedy.empty() ? "" : " (" + error.remedy + ")";
  return {error.text, error.expected + remedy};
}

// Reads the pre-shared keys of one configuration. Each source once: many peers may name the same.
class SecretLoader {
 public:
  SecretLoader(const Environment& environment, LoadOutcome& outcome, Report& report)
      : environment_(environment), outcome_(outcome), report_(report) {}
  // `peer` outlives the loader.
  void load(const PeerConfig& peer);

 private:
  const Environment& environment_;
  LoadOutcome& outcome_;
  Report& report_;
  // By the sources' names: the keys in `outcome_`.
  std::unordered_map<std::string_view, const SecretBytes*> files_;
  std::unordered_map<std::string_view, const SecretBytes*> credentials_;
};

void SecretLoader::load(const PeerConfig& peer) {
  if (!peer.pre_shared_key) return;
  const PskSource& source = *peer.pre_shared_key;
  auto& known = source.kind == PskSource::Kind::file ? files_ : credentials_;
  const auto same = known.find(source.name);
  auto key = same != known.end() ? Result<SecretBytes>(same->second->clone())
                                 : load_pre_shared_key(source, environment_);
  if (!key) {
    report_.add(source.position, "peers." + peer.name + ".pre_shared_key", fault_of(key.error()));
    return;
  }
  const auto kept = outcome_.pre_shared_keys.emplace(peer.name, std::move(*key)).first;
  known.emplace(source.name, &kept->second);
}

ShortPsk short_secrets(const LoadOutcome& outcome) {
  ShortPsk names;
  for (const auto& [name, key] : outcome.pre_shared_keys) {
    if (key.size() < kShortPskBytes) names.insert(name);
  }
  return names;
}

template <typename T>
void take(Declared<T>& from, std::string_view section, std::vector<T>& to, Config& config) {
  to = std::move(from.in_order);
  for (const auto& [name, position] : from.positions) {
    config.positions.emplace(std::string(section) + "." + name, position);
  }
}

Config finished(Draft draft, std::vector<std::string> files) {
  Config config;
  config.files = std::move(files);
  config.gateway = std::move(draft.gateway);
  take(draft.transform_sets, "transform_sets", config.transform_sets, config);
  take(draft.keys, "keys", config.keys, config);
  take(draft.public_keys, "public_keys", config.public_keys, config);
  take(draft.trustpoints, "trustpoints", config.trustpoints, config);
  for (const auto& [number, policy] : draft.policies) config.policies.push_back(*policy);
  config.ssh = std::move(draft.ssh);
  config.peers.reserve(draft.peers.size());
  for (PeerDraft& peer : draft.peers) config.peers.push_back(std::move(peer.config));
  return config;
}

// Files that are not there yet are no fault: keys are generated and imported later.
void load_key_files(const Config& config, const Environment& environment, LoadOutcome& outcome,
                    Report& report) {
  for (const KeyConfig& key : all_keys(config)) {
    const std::string path = key_path(key, config);
    auto content = load_private_key(key.file, environment);
    if (!content) {
      report.add(position_of(config, path), path, fault_of(content.error()));
    } else if (*content) {
      outcome.private_keys.emplace(key.name, std::move(**content));
    }
  }
  for (const PublicKeyConfig& key : config.public_keys) {
    if (key.file.empty()) {
      outcome.public_keys.emplace(key.name, key.key_string);
      continue;
    }
    const std::string path = "public_keys." + key.name + ".file";
    auto content = load_public_key(key.file);
    if (!content) {
      report.add(position_of(config, path), path, fault_of(content.error()));
    } else if (*content) {
      outcome.public_keys.emplace(key.name, std::move(**content));
    }
  }
}

// Each file once: hundreds of tunnels inherit one.
void check_hooks(const Config& config, const Environment& environment, Report& report) {
  std::set<std::string_view> seen;
  for (const PeerConfig& peer : config.peers) {
    for (const TunnelConfig& tunnel : peer.tunnels) {
      if (!tunnel.updown || !seen.insert(tunnel.updown->file).second) continue;
      const auto usable = check_hook_file(tunnel.updown->file, environment.effective_uid);
      if (!usable) report.add(tunnel.updown->position, "updown", fault_of(usable.error()));
    }
  }
}

// A configuration with one thing wrong is none: no half of it is ever used.
void finish(std::optional<Config> config, const Environment* environment, Report report,
            LoadOutcome& outcome) {
  if (config && environment != nullptr) {
    load_key_files(*config, *environment, outcome, report);
    check_hooks(*config, *environment, report);
  }
  outcome.issues = std::move(report).take();
  if (outcome.issues.empty() && config) {
    outcome.config = std::move(config);
  } else {
    outcome.pre_shared_keys.clear();
    outcome.private_keys.clear();
    outcome.public_keys.clear();
    outcome.composed.clear();
  }
}

// `folder`: see compose(). `environment` null: no file but the configuration is looked at.
LoadOutcome load(std::string_view text, const std::string& folder, bool follow_includes,
                 const Environment* environment, Report report) {
  LoadOutcome outcome;
  std::optional<Config> config;
  const auto root = compose(text, follow_includes ? std::optional(folder) : std::nullopt, report);
  if (root) {
    Draft draft = read_draft(*root, folder, report);
    if (environment != nullptr) {
      SecretLoader secrets(*environment, outcome, report);
      for (const PeerDraft& peer : draft.peers) secrets.load(peer.config);
    }
    check_whole(draft, short_secrets(outcome), report);
    outcome.warnings = warnings_of(draft, report.files());
    outcome.composed = to_yaml(*root);
    config = finished(std::move(draft), report.files());
  }
  finish(std::move(config), environment, std::move(report), outcome);
  return outcome;
}

// The daemon may leave the folder that it was started in.
std::string folder_of(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).parent_path().string();
}

LoadOutcome load_file(const std::string& path, const Environment* environment) {
  Report report(path);
  const auto text = read_text(path, 0, report);
  if (!text) {
    LoadOutcome outcome;
    outcome.issues = std::move(report).take();
    return outcome;
  }
  return load(*text, folder_of(path), true, environment, std::move(report));
}

}  // namespace

LoadOutcome parse_config(std::string_view text, const std::string& filename) {
  return load(text, std::filesystem::path(filename).parent_path().string(), false, nullptr, Report(filename));
}

LoadOutcome load_without_keys(const std::string& path) {
  return load_file(path, nullptr);
}

LoadOutcome load_config(const std::string& path, const Environment& environment) {
  return load_file(path, &environment);
}

LoadOutcome load_config_text(std::string_view text, const std::string& name, const std::string& path,
                             const Environment& environment) {
  return load(text, folder_of(path), true, &environment, Report(name));
}

LoadOutcome load_keys(Config config, const Environment& environment) {
  LoadOutcome outcome;
  Report report(config.files);
  SecretLoader secrets(environment, outcome, report);
  for (const PeerConfig& peer : config.peers) {
    secrets.load(peer);
    const auto key = outcome.pre_shared_keys.find(peer.name);
    const bool waived = peer.allow_weak && peer.allow_weak->covers(Weak::short_psk);
    if (key != outcome.pre_shared_keys.end() && key->second.size() < kShortPskBytes && !waived) {
      report.add(peer.pre_shared_key->position, "peers." + peer.name + ".pre_shared_key",
                 {"the key has become shorter than " + std::to_string(kShortPskBytes) + " bytes",
                  "a longer one, or `short-psk` in the peer's allow_weak"});
    }
  }
  finish(std::move(config), &environment, std::move(report), outcome);
  return outcome;
}

}  // namespace oakgate::conf
