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
  constexpr auto kKeys =
      std::to_array<std::string_view>({"gateway", "isakmp_policies", "transform_sets", "peers"});
  const std::optional<Node> root = build_tree(text, report);
  if (!root) return std::nullopt;
  const MapReader map(Field{&*root, {}, &report}, kKeys);
  Draft draft;
  if (const auto field = map.optional("gateway")) draft.gateway = read_gateway(*field, folder);
  if (const auto field = map.optional("isakmp_policies")) draft.policies = read_policies(*field);
  if (const auto field = map.optional("transform_sets")) draft.transform_sets = read_transform_sets(*field);
  if (const auto field = map.optional("peers")) {
    draft.peers = read_peers(*field, {folder, draft.policies, draft.transform_sets});
  }
  return draft;
}

void load_secrets(const Draft& draft, const Environment& environment, LoadOutcome& outcome,
                  ShortPsk& short_psk, Report& report) {
  for (const PeerDraft& peer : draft.peers) {
    if (!peer.psk_known) continue;
    const PskSource& source = peer.config.pre_shared_key;
    auto key = load_pre_shared_key(source, environment);
    if (!key) {
      const Error& error = key.error();
      const std::string& remedy = error.remedy.empty() ? "" : " (" + error.remedy + ")";
      report.add(source.position, "peers." + peer.config.name + ".pre_shared_key",
                 {error.text, error.expected + remedy});
      continue;
    }
    if (key->size() < kShortPskBytes) short_psk.insert(peer.config.name);
    outcome.pre_shared_keys.emplace(peer.config.name, std::move(*key));
  }
}

Config finished(Draft draft) {
  Config config;
  config.gateway = std::move(draft.gateway);
  config.transform_sets = std::move(draft.transform_sets.in_order);
  for (const auto& [number, policy] : draft.policies) config.policies.push_back(*policy);
  for (PeerDraft& peer : draft.peers) config.peers.push_back(std::move(peer.config));
  return config;
}

// A configuration with one thing wrong is none: no half of it is ever used.
void finish(std::optional<Draft> draft, Report report, LoadOutcome& outcome) {
  outcome.issues = std::move(report).take();
  if (outcome.issues.empty() && draft) {
    outcome.config = finished(std::move(*draft));
  } else {
    outcome.pre_shared_keys.clear();
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
  if (draft) check_whole(*draft, {}, report);
  finish(std::move(draft), std::move(report), outcome);
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
  }
  finish(std::move(draft), std::move(report), outcome);
  return outcome;
}

}  // namespace oakgate::conf
