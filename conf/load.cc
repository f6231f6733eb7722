#include "conf/load.h"

#include <array>
#include <filesystem>
#include <set>

#include "conf/checks.h"
#include "conf/files.h"
#include "conf/sections.h"
#include "conf/yaml_tree.h"

namespace oakgate::conf {

namespace {

using ShortPsk = std::set<std::string, std::less<>>;

// The sections in the order in which they refer to each other, whatever their order in the file.
std::optional<Draft> read_draft(std::string_view text, const std::string& folder, Report& report) {
  constexpr auto kKeys = std::to_array<std::string_view>(
      {"gateway", "isakmp_policies", "transform_sets", "trustpoints", "keys", "public_keys", "peers"});
  const std::optional<Node> root = build_tree(text, report);
  if (!root) return std::nullopt;
  const MapReader map(Field{&*root, {}, &report}, kKeys);
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
  if (const auto field = map.optional("peers")) {
    draft.peers = read_peers(*field, {folder, draft.policies, draft.transform_sets, draft.keys,
                                      draft.public_keys, draft.trustpoints});
  }
  return draft;
}

Fault fault_of(const Error& error) {
  const std::string remedy = error.remedy.empty() ? "" : " (" + error.remedy + ")";
  return {error.text, error.expected + remedy};
}

void load_secret(const PeerConfig& peer, const Environment& environment, LoadOutcome& outcome,
                 Report& report) {
  if (!peer.pre_shared_key) return;
  auto key = load_pre_shared_key(*peer.pre_shared_key, environment);
  if (key) {
    outcome.pre_shared_keys.emplace(peer.name, std::move(*key));
  } else {
    report.add(peer.pre_shared_key->position, "peers." + peer.name + ".pre_shared_key",
               fault_of(key.error()));
  }
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

Config finished(Draft draft) {
  Config config;
  config.gateway = std::move(draft.gateway);
  take(draft.transform_sets, "transform_sets", config.transform_sets, config);
  take(draft.keys, "keys", config.keys, config);
  take(draft.public_keys, "public_keys", config.public_keys, config);
  take(draft.trustpoints, "trustpoints", config.trustpoints, config);
  for (const auto& [number, policy] : draft.policies) config.policies.push_back(*policy);
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

// A configuration with one thing wrong is none: no half of it is ever used.
void finish(std::optional<Config> config, const Environment* environment, Report report,
            LoadOutcome& outcome) {
  if (config && environment != nullptr) load_key_files(*config, *environment, outcome, report);
  outcome.issues = std::move(report).take();
  if (outcome.issues.empty() && config) {
    outcome.config = std::move(config);
  } else {
    outcome.pre_shared_keys.clear();
    outcome.private_keys.clear();
    outcome.public_keys.clear();
  }
}

std::optional<Config> finished(std::optional<Draft> draft) {
  if (!draft) return std::nullopt;
  return finished(std::move(*draft));
}

std::optional<std::string> read_file(const std::string& path, Report& report) {
  const auto file = open_regular(path);
  if (!file) {
    report.add({}, {}, {file.error().text, file.error().expected});
    return std::nullopt;
  }
  // A longer file is refused by its length later on: one byte too many is enough to see it.
  std::string text(kMaxFileBytes + 1, '\0');
  const auto size = read_up_to(file->handle, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  if (!size) {
    report.add({}, {}, {"cannot be read: " + size.error().text});
    return std::nullopt;
  }
  text.resize(*size);
  return text;
}

// `environment` null: no file but the configuration is looked at.
LoadOutcome load(const std::string& path, const Environment* environment) {
  LoadOutcome outcome;
  Report report(path);
  std::optional<Draft> draft;
  // The daemon may leave the folder that it was started in.
  std::error_code ignored;
  const std::filesystem::path absolute = std::filesystem::absolute(path, ignored);
  if (const auto text = read_file(path, report)) {
    draft = read_draft(*text, absolute.parent_path().string(), report);
  }
  if (draft) {
    if (environment != nullptr) {
      for (const PeerDraft& peer : draft->peers) load_secret(peer.config, *environment, outcome, report);
    }
    check_whole(*draft, short_secrets(outcome), report);
    outcome.warnings = warnings_of(*draft, path);
  }
  finish(finished(std::move(draft)), environment, std::move(report), outcome);
  return outcome;
}

}  // namespace

LoadOutcome parse_config(std::string_view text, const std::string& filename) {
  LoadOutcome outcome;
  Report report(filename);
  auto draft = read_draft(text, std::filesystem::path(filename).parent_path().string(), report);
  if (draft) {
    check_whole(*draft, {}, report);
    outcome.warnings = warnings_of(*draft, filename);
  }
  finish(finished(std::move(draft)), nullptr, std::move(report), outcome);
  return outcome;
}

LoadOutcome load_without_keys(const std::string& path) {
  return load(path, nullptr);
}

LoadOutcome load_config(const std::string& path, const Environment& environment) {
  return load(path, &environment);
}

LoadOutcome load_keys(Config config, const std::string& path, const Environment& environment) {
  LoadOutcome outcome;
  Report report(path);
  for (const PeerConfig& peer : config.peers) {
    load_secret(peer, environment, outcome, report);
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
