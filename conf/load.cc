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

void load_secrets(const Draft& draft, const Environment& environment, LoadOutcome& outcome,
                  ShortPsk& short_psk, Report& report) {
  for (const PeerDraft& peer : draft.peers) {
    if (!peer.config.pre_shared_key) continue;
    const PskSource& source = *peer.config.pre_shared_key;
    auto key = load_pre_shared_key(source, environment);
    if (!key) {
      report.add(source.position, "peers." + peer.config.name + ".pre_shared_key", fault_of(key.error()));
      continue;
    }
    if (key->size() < kShortPskBytes) short_psk.insert(peer.config.name);
    outcome.pre_shared_keys.emplace(peer.config.name, std::move(*key));
  }
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
void finish(std::optional<Draft> draft, const Environment* environment, Report report, LoadOutcome& outcome) {
  std::optional<Config> config;
  if (draft) config = finished(std::move(*draft));
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

}  // namespace

LoadOutcome parse_config(std::string_view text, const std::string& filename) {
  LoadOutcome outcome;
  Report report(filename);
  auto draft = read_draft(text, std::filesystem::path(filename).parent_path().string(), report);
  if (draft) {
    check_whole(*draft, {}, report);
    outcome.warnings = warnings_of(*draft, filename);
  }
  finish(std::move(draft), nullptr, std::move(report), outcome);
  return outcome;
}

LoadOutcome load_config(const std::string& path, const Environment& environment) {
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
    ShortPsk short_psk;
    load_secrets(*draft, environment, outcome, short_psk, report);
    check_whole(*draft, short_psk, report);
    outcome.warnings = warnings_of(*draft, path);
  }
  finish(std::move(draft), &environment, std::move(report), outcome);
  return outcome;
}

}  // namespace oakgate::conf
