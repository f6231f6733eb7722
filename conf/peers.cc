// `peers:`, whom we talk to and what proves them.
#include <algorithm>
#include <array>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr Word<NatTraversal> kNatTraversal[] = {{"rfc", NatTraversal::rfc}, {"off", NatTraversal::off}};

// ---- policies: [10, 20] --------------------------------------------------------------------------------

void add_policy(const Field& item, const Policies& declared, std::vector<std::uint16_t>& chosen) {
  const auto number = read(item, "the number of an ISAKMP policy",
                           [](std::string_view text) { return parse_integer(text, 1, 65534); });
  if (!number) return;
  const auto key = static_cast<std::uint16_t>(*number);
  if (!declared.contains(key)) {
    if (item.report->full()) return;
    std::vector<std::string> numbers;
    for (const auto& [known, policy] : declared) numbers.push_back(std::to_string(known));
    const std::vector<std::string_view> words(numbers.begin(), numbers.end());
    item.fail({"there is no ISAKMP policy " + quote(std::to_string(key)),
               words.empty() ? "it under isakmp_policies" : any_of(words),
               nearest(std::to_string(key), words)});
  } else if (std::find(chosen.begin(), chosen.end(), key) != chosen.end()) {
    item.fail({"policy " + std::to_string(key) + " is listed twice", "each policy once"});
  } else {
    chosen.push_back(key);
  }
}

std::vector<IsakmpPolicy> read_peer_policies(const std::optional<Field>& field, const Field& peer,
                                             const Policies& declared) {
  std::vector<std::uint16_t> chosen;
  if (field) {
    for (const Field& item : one_or_many(*field, "a list of ISAKMP policy numbers")) {
      add_policy(item, declared, chosen);
    }
  } else if (declared.empty()) {
    peer.fail({"there is no ISAKMP policy it could use", "at least one under isakmp_policies"});
  } else {
    for (const auto& [number, policy] : declared) chosen.push_back(number);
  }
  std::sort(chosen.begin(), chosen.end());
  std::vector<IsakmpPolicy> policies;
  for (const std::uint16_t number : chosen) {
    if (const auto& policy = declared.at(number)) policies.push_back(*policy);
  }
  return policies;
}

// ---- pre_shared_key: {file: PATH} or {credential: NAME} ------------------------------------------------

constexpr std::string_view kPskShape =
    "{file: PATH} or {credential: NAME}; keys themselves do not belong here";

Parsed<std::string> parse_credential(std::string_view text) {
  // systemd joins it to a folder's path.
  if (text == "." || text == ".." || text.find('/') != std::string_view::npos || text.size() > 255) {
    return fault(quote(text) + " cannot be a credential's name",
                 "a name as in LoadCredential= (systemd.exec(5))");
  }
  return std::string(text);
}

// Somebody may have put the key itself here, in whatever form: nothing that stands here is repeated, not even
// as an unknown key.
std::optional<PskSource> read_psk(const Field& field, const std::string& folder) {
  const Node& map = *field.node;
  const auto one_of_ours = [](const Node& key) { return key.text == "file" || key.text == "credential"; };
  if (map.kind != Node::Kind::map || !std::all_of(map.keys.begin(), map.keys.end(), one_of_ours)) {
    field.fail({"does not say where the key is", std::string(kPskShape)});
    return std::nullopt;
  }
  if (map.keys.size() != 1) {
    field.fail({map.keys.empty() ? "names no place" : "names two places", std::string(kPskShape)});
    return std::nullopt;
  }
  const bool is_file = map.keys[0].text == "file";
  const Field value{&map.items[0], field.path + "." + map.keys[0].text, field.report};
  const auto name = is_file ? read_path(value, folder) : read(value, "a credential's name", parse_credential);
  if (!name) return std::nullopt;
  return PskSource{is_file ? PskSource::Kind::file : PskSource::Kind::credential, *name,
                   value.node->position};
}

// ---- One peer ------------------------------------------------------------------------------------------

void read_who(const MapReader& map, PeerDraft& draft) {
  bool good = false;
  if (const auto field = map.required("address", "where the peer is: an address, host name, range or any")) {
    const auto address = read(*field, "an address, host name, range or any", parse_peer_address);
    if (address) draft.config.address = *address;
    good = address.has_value();
  }
  if (const auto field = map.optional("identity")) {
    const auto identity = read(*field, "an identity", parse_identity);
    if (identity) draft.config.identity = *identity;
    good = good && identity.has_value();
  }
  draft.address_known = good;
}

PeerDraft read_peer(const Member& member, const PeerContext& context) {
  constexpr auto kKeys = std::to_array<std::string_view>(
      {"address", "identity", "policies", "pre_shared_key", "allow_weak", "nat_traversal", "tunnels"});
  PeerDraft draft;
  PeerConfig& peer = draft.config;
  peer.name = member.name;
  peer.position = member.key.node->position;
  if (!require_map(member.value, "a map with the keys " + any_of(kKeys))) {
    draft.waiver_known = false;
    return draft;
  }
  const MapReader map(member.value, kKeys);
  read_who(map, draft);
  peer.policies = read_peer_policies(map.optional("policies"), member.key, context.policies);
  if (const auto field = map.required("pre_shared_key", std::string(kPskShape))) {
    if (auto source = read_psk(*field, context.folder)) {
      peer.pre_shared_key = std::move(*source);
      draft.psk_known = true;
    }
  }
  if (const auto field = map.optional("allow_weak")) {
    const Report& report = *field->report;
    const std::size_t before = report.count();
    peer.allow_weak = read_waiver(*field);
    draft.waiver_known = report.count() == before;
  }
  if (const auto field = map.optional("nat_traversal")) {
    peer.nat_traversal = choice(*field, kNatTraversal).value_or(NatTraversal::rfc);
  }
  if (const auto field = map.required("tunnels", "a map of tunnels by name, at least one")) {
    peer.tunnels = read_tunnels(*field, peer.address, context.transform_sets);
  }
  return draft;
}

}  // namespace

WeakWaiver read_waiver(const Field& field) {
  constexpr auto kKeys = std::to_array<std::string_view>({"algorithms", "until", "reason"});
  const std::string expected = any_of(weak_words());
  WeakWaiver waiver;
  const MapReader map(field, kKeys);
  if (const auto algorithms = map.required("algorithms", "a list of " + expected)) {
    for (const Field& item : one_or_many(*algorithms, "a list of " + expected)) {
      const auto word = choose(item, weak_words());
      if (word && !waiver.covers(static_cast<Weak>(*word)))
        waiver.algorithms.push_back(static_cast<Weak>(*word));
    }
  }
  if (const auto until = map.optional("until")) waiver.until = read(*until, "YYYY-MM-DD", parse_date);
  if (const auto reason = map.optional("reason")) {
    const auto text = free_text(*reason, "one line of text");
    if (text && text->size() > kMaxReason) {
      reason->fail({"the reason is too long", "at most " + std::to_string(kMaxReason) + " bytes"});
    } else if (text) {
      waiver.reason = *text;
    }
  }
  return waiver;
}

std::vector<PeerDraft> read_peers(const Field& field, const PeerContext& context) {
  std::vector<PeerDraft> peers;
  for (const Member& member : members(field, "a map of peers by name")) {
    if (const auto name = parse_name(member.name); !name) {
      member.key.fail(name.error());
      continue;
    }
    peers.push_back(read_peer(member, context));
  }
  return peers;
}

}  // namespace oakgate::conf
