// `peers:`, whom we talk to. What proves them and us to them: proofs.cc.
#include <array>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr Word<SendCertificate> kSendCertificate[] = {{"always", SendCertificate::always},
                                                      {"on-request", SendCertificate::on_request},
                                                      {"never", SendCertificate::never}};

constexpr Word<int> kSha256Bits[] = {{"128", 128}, {"96", 96}};

void cut_sha256(std::vector<TunnelConfig>& tunnels) {
  for (TunnelConfig& tunnel : tunnels) {
    for (TransformSet& set : tunnel.transform_sets) set = with_sha256_96(std::move(set));
  }
}

constexpr Word<DpdMode> kDpdModes[] = {{"on-demand", DpdMode::on_demand}, {"periodic", DpdMode::periodic}};

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

// `off`, or {interval, timeout, mode}.
DeadPeerDetection read_dpd(const Field& field) {
  constexpr auto kKeys = std::to_array<std::string_view>({"interval", "timeout", "mode"});
  constexpr std::string_view kExpected = "off, or a map like {interval: 30s, timeout: 120s, mode: on-demand}";
  DeadPeerDetection dpd;
  if (field.node->kind == Node::Kind::scalar && field.node->text == "off") {
    dpd.mode = DpdMode::off;
    return dpd;
  }
  if (!require_map(field, kExpected)) return dpd;
  const MapReader map(field, kKeys);
  const auto time = [&](std::string_view key, Seconds& value) {
    const auto given = map.optional(key);
    if (!given) return;
    const auto duration = read(*given, "a duration like 30s", [](std::string_view text) {
      return parse_duration(text, kMinDpdTime, kMaxDpdTime);
    });
    value = duration.value_or(value);
  };
  time("interval", dpd.interval);
  time("timeout", dpd.timeout);
  if (const auto mode = map.optional("mode")) dpd.mode = choice(*mode, kDpdModes).value_or(dpd.mode);
  if (dpd.timeout <= dpd.interval) {
    field.fail({"the peer would be given up before it is asked",
                "a `timeout` (120s) longer than the `interval` (30s)"});
  }
  return dpd;
}

// A form of NAT traversal, or `off`.
NatTraversal read_nat_traversal(const Field& field) {
  std::vector<std::string_view> words;
  std::vector<NatTraversal> forms;
  for (const NatForm& form : nat_form_table()) {
    words.push_back(form.word);
    forms.push_back(form.id);
  }
  words.emplace_back("off");
  forms.push_back(NatTraversal::off);
  const auto index = choose(field, words);
  return index ? forms[*index] : NatTraversal::rfc;
}

// `extends` is gone by the time a peer is read: compose.h.
constexpr auto kPeerKeys = std::to_array<std::string_view>(
    {"extends", "address", "identity", "policies", "pre_shared_key", "trustpoint", "rsa_encr", "aggressive",
     "send_certificate", "allow_weak", "nat_traversal", "fragmentation", "sha256_truncation", "dpd", "updown",
     "tunnels"});

PeerDraft read_peer(const Member& member, const PeerContext& context) {
  PeerDraft draft;
  PeerConfig& peer = draft.config;
  peer.name = member.name;
  peer.position = member.key.node->position;
  if (!require_map(member.value, kPeerKeys)) {
    draft.waiver_known = false;
    return draft;
  }
  const MapReader map(member.value, kPeerKeys);
  read_who(map, draft);
  read_proofs(map, member, context, peer);
  if (const auto field = map.optional("aggressive")) {
    peer.aggressive = read_boolean(*field).value_or(false);
  }
  if (const auto field = map.optional("send_certificate")) {
    peer.send_certificate = choice(*field, kSendCertificate).value_or(SendCertificate::on_request);
  }
  if (const auto field = map.optional("allow_weak")) {
    const Report& report = *field->report;
    const std::size_t before = report.count();
    peer.allow_weak = read_waiver(*field);
    draft.waiver_known = report.count() == before;
  }
  if (const auto field = map.optional("nat_traversal")) {
    peer.nat_traversal = read_nat_traversal(*field);
  }
  if (const auto field = map.optional("fragmentation")) {
    peer.fragmentation = read_boolean(*field).value_or(true);
  }
  if (const auto field = map.optional("dpd")) peer.dpd = read_dpd(*field);
  if (const auto field = map.required("tunnels", "a map of tunnels by name, at least one")) {
    peer.tunnels =
        read_tunnels(*field, peer.address, context.transform_sets, read_updown(map, context.updown));
  }
  if (const auto field = map.optional("sha256_truncation")) {
    if (choice(*field, kSha256Bits).value_or(128) == 96) cut_sha256(peer.tunnels);
  }
  return draft;
}

}  // namespace

std::span<const std::string_view> peer_keys() {
  return kPeerKeys;
}

std::optional<bool> read_boolean(const Field& field) {
  constexpr Word<bool> kBooleans[] = {{"true", true}, {"false", false}};
  return choice(field, kBooleans);
}

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
  const std::vector<Member> all = members(field, "a map of peers by name");
  peers.reserve(all.size());
  for (const Member& member : all) {
    if (const auto name = parse_name(member.name); !name) {
      member.key.fail(name.error());
      continue;
    }
    peers.push_back(read_peer(member, context));
  }
  return peers;
}

}  // namespace oakgate::conf
