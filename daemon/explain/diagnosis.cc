#include "daemon/explain/diagnosis.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

#include "conf/cisco/export.h"
#include "conf/text.h"
#include "conf/values.h"
#include "daemon/text.h"

namespace oakgate::explain {

namespace {

using conf::cisco::Dialect;
using ike::EventId;
using ike::Failure;
using ike::ProposalComparison;

constexpr std::size_t kDetail = 1024;

std::string_view field(const Failure& failure, std::string_view name) {
  for (const ike::Field& one : failure.fields) {
    if (one.first == name) return one.second;
  }
  return {};
}

// ---- the reason

bool by_certificate(const conf::PeerConfig* peer) {
  return peer != nullptr && !peer->trustpoint.empty() && !peer->pre_shared_key;
}

Reason silence(const Failure& failure, const conf::PeerConfig* peer) {
  if (failure.event == EventId::phase2_failed) return Reason::silent_in_quick_mode;
  if (failure.event == EventId::peer_dead) return Reason::dead;
  const std::string_view awaited = field(failure, "awaited");
  if (awaited.starts_with("message 4")) return Reason::silent_in_key_exchange;
  if (!awaited.starts_with("message 6")) return Reason::silent_at_once;
  if (by_certificate(peer)) return Reason::silent_after_certificate;
  const bool floated = failure.remote && failure.remote->port != 500;
  return floated ? Reason::silent_on_4500 : Reason::silent_after_proof;
}

// The comparison that is nearest to fitting.
const ProposalComparison* nearest(const Failure& failure) {
  const auto found = std::min_element(failure.proposals.begin(), failure.proposals.end(),
                                      [](const ProposalComparison& a, const ProposalComparison& b) {
                                        return a.differences.size() < b.differences.size();
                                      });
  return found == failure.proposals.end() ? nullptr : &*found;
}

bool is_phase2(const Failure& failure) {
  return failure.event == EventId::phase2_failed || failure.event == EventId::phase2_no_proposal ||
         failure.event == EventId::phase2_proxy_ids;
}

Reason no_proposal(const Failure& failure) {
  const ProposalComparison* near = nearest(failure);
  if (near == nullptr) return is_phase2(failure) ? Reason::transforms_refused : Reason::policy_refused;
  if (!is_phase2(failure)) return Reason::policy_differs;
  const bool pfs_alone = near->differences.size() == 1 && near->differences[0].attribute == "pfs";
  return pfs_alone ? Reason::pfs_differs : Reason::transforms_differ;
}

// Where the code alone tells.
std::optional<Reason> by_code(ErrorCode code) {
  static const std::map<ErrorCode, Reason> table{
      {ErrorCode::certificate_expired, Reason::certificate_expired},
      {ErrorCode::certificate_not_yet_valid, Reason::certificate_not_yet_valid},
      {ErrorCode::certificate_revoked, Reason::certificate_revoked},
      {ErrorCode::certificate_invalid, Reason::certificate_untrusted},
      {ErrorCode::signature_invalid, Reason::signature_invalid},
      {ErrorCode::crl_unavailable, Reason::crl_unavailable},
      {ErrorCode::fetch_failed, Reason::crl_unavailable},
      {ErrorCode::crl_invalid, Reason::crl_invalid},
      {ErrorCode::no_certificate, Reason::no_certificate},
      {ErrorCode::no_public_key, Reason::no_rsa_key},
      {ErrorCode::key_too_small, Reason::key_too_small},
      {ErrorCode::weak_waiver_expired, Reason::waiver_ended},
      {ErrorCode::address_unknown, Reason::address_unknown},
      {ErrorCode::data_plane, Reason::plane_refused},
      {ErrorCode::cancelled, Reason::cancelled},
      {ErrorCode::malformed, Reason::malformed},
  };
  const auto found = table.find(code);
  return found == table.end() ? std::nullopt : std::optional(found->second);
}

Reason reason_of(const Failure& failure, const conf::PeerConfig* peer) {
  const ErrorCode code = failure.error.code;
  if (failure.event == EventId::limit_reached) return Reason::limit_reached;
  if (failure.event == EventId::xauth_refused) return Reason::xauth_asked;
  if (failure.event == EventId::data_plane_failed) return Reason::plane_refused;
  switch (code) {
    case ErrorCode::no_answer:
      return silence(failure, peer);
    case ErrorCode::no_proposal_chosen:
      return no_proposal(failure);
    case ErrorCode::wrong_key:
      // A timeout: silence is how it shows.
      if (failure.error.text.find("did not answer") != std::string::npos) return silence(failure, peer);
      return Reason::wrong_key;
    case ErrorCode::unknown_peer:
      return peer == nullptr ? Reason::unknown_caller : Reason::aggressive_refused;
    case ErrorCode::proxy_id_mismatch:
      return field(failure, "offered").empty() ? Reason::selectors_refused : Reason::selectors_differ;
    case ErrorCode::identity_mismatch:
      return failure.error.text.starts_with("the peer refused") ? Reason::identity_refused
                                                                : Reason::identity_differs;
    case ErrorCode::peer_refused:
      return by_certificate(peer) && !is_phase2(failure) ? Reason::certificate_refused : Reason::other;
    default:
      return by_code(code).value_or(Reason::other);
  }
}

// Of a peer that is somebody else than configured, who: as it said it, not escaped. Nothing if its
// certificate does not hold what it said. Who verifies certificates puts the peer's name in front.
std::optional<std::string> proved_identity(const Failure& failure) {
  constexpr std::string_view kProved = "the peer proved to be ";
  constexpr std::string_view kPeer = "peer ";
  std::string_view text = failure.error.text;
  if (text.starts_with(kPeer)) text.remove_prefix(std::min(text.size(), text.find(": ") + 2));
  if (!text.starts_with(kProved)) return std::nullopt;
  return std::string(text.substr(kProved.size()));
}

// ---- placeholders

using Values = std::map<std::string_view, std::string>;

std::string expand(std::string_view text, const Values& values) {
  std::string out;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    out += text.substr(0, open);
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find('}', open);
    const auto value =
        close == std::string_view::npos ? values.end() : values.find(text.substr(open + 1, close - open - 1));
    if (value == values.end()) {  // a map of YAML
      out += '{';
      text.remove_prefix(open + 1);
      continue;
    }
    out += value->second;
    text.remove_prefix(close + 1);
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

std::string in_words(const ProposalComparison& comparison) {
  std::string words;
  for (const ike::AttributeDifference& one : comparison.differences) {
    words += fmt::format("{}{} is {} there and {} here", words.empty() ? "" : ", ", one.attribute,
                         printable(one.theirs), printable(one.ours));
  }
  return words;
}

std::string selectors_of(const conf::PeerConfig& peer, const std::string& tunnel) {
  std::string all;
  for (const conf::TunnelConfig& one : peer.tunnels) {
    if (!tunnel.empty() && one.name != tunnel) continue;
    for (const SelectorPair& pair : one.pairs) all += (all.empty() ? "" : ", ") + pair.to_string();
  }
  return all;
}

std::string key_source(const conf::PeerConfig* peer) {
  if (peer == nullptr || !peer->pre_shared_key) return "{file: FILE}";
  const bool file = peer->pre_shared_key->kind == conf::PskSource::Kind::file;
  return fmt::format("{{{}: {}}}", file ? "file" : "credential", printable(peer->pre_shared_key->name));
}

std::string without_stop(std::string text) {
  while (!text.empty() && text.back() == '.') text.pop_back();
  return text;
}

// What the failure is about: the tunnel it names, or the only one there is.
std::string tunnel_of(const Failure& failure, const conf::PeerConfig* peer) {
  if (!failure.tunnel.empty()) return failure.tunnel;
  if (peer != nullptr && peer->tunnels.size() == 1) return peer->tunnels.front().name;
  return {};
}

Values values_of(const Failure& failure, const conf::PeerConfig* peer) {
  Values values;
  const std::string tunnel = tunnel_of(failure, peer);
  const std::string address = failure.remote    ? failure.remote->address.to_string()
                              : peer != nullptr ? peer->address.to_string()
                                                : std::string("an unknown address");
  values["peer"] = peer != nullptr ? printable(peer->name) : address;
  values["address"] = address;
  values["us"] = failure.local ? failure.local->address.to_string() : "OUR-ADDRESS";
  values["port"] = std::to_string(failure.remote ? failure.remote->port : 500);
  values["tunnel"] = tunnel.empty() ? "TUNNEL" : printable(tunnel);
  const std::string_view awaited = field(failure, "awaited");
  values["awaited"] = awaited.empty() ? "an answer" : printable(awaited);
  values["detail"] = without_stop(printable(failure.error.text, kDetail));
  values["expected"] = without_stop(printable(failure.error.expected, kDetail));
  values["key"] = key_source(peer);
  values["trustpoint"] =
      peer == nullptr || peer->trustpoint.empty() ? "TRUSTPOINT" : printable(peer->trustpoint);
  values["theirs"] = printable(field(failure, "offered"));
  values["ours"] = peer != nullptr ? selectors_of(*peer, tunnel) : std::string();
  if (const ProposalComparison* near = nearest(failure)) {
    values["differences"] = in_words(*near);
    if (near->differences.size() == 1) {
      values["theirs"] = printable(near->differences[0].theirs);
      values["ours"] = printable(near->differences[0].ours);
    }
  }
  return values;
}

// ---- attribute by attribute

// Of the policies of ours, the one that a comparison names: "policy 10 (...)".
const IsakmpPolicy* policy_of(const conf::PeerConfig& peer, const ProposalComparison& comparison) {
  for (const IsakmpPolicy& policy : peer.policies) {
    if (comparison.wanted.starts_with(fmt::format("policy {} ", policy.number))) return &policy;
  }
  return nullptr;
}

std::vector<std::pair<std::string_view, std::string>> words_of(const IsakmpPolicy& policy) {
  return {{"encryption", std::string(info(policy.encryption).name)},
          {"hash", std::string(info(policy.hash).name)},
          {"group", std::string(info(policy.group).name)},
          {"authentication", std::string(info(policy.authentication).name)}};
}

const ike::AttributeDifference* difference_in(const ProposalComparison& comparison,
                                              std::string_view attribute) {
  for (const ike::AttributeDifference& one : comparison.differences) {
    if (one.attribute == attribute) return &one;
  }
  return nullptr;
}

void compare_attributes(const ProposalComparison& near, const conf::PeerConfig* peer, Diagnosis& out) {
  const IsakmpPolicy* policy = peer == nullptr ? nullptr : policy_of(*peer, near);
  if (policy != nullptr) {
    for (const auto& [attribute, ours] : words_of(*policy)) {
      const ike::AttributeDifference* differs = difference_in(near, attribute);
      out.attributes.push_back({std::string(attribute),
                                differs != nullptr ? printable(differs->theirs) : ours, ours,
                                differs != nullptr ? "differs" : "equal"});
    }
    return;
  }
  for (const ike::AttributeDifference& one : near.differences)
    out.attributes.push_back(
        {std::string(one.attribute), printable(one.theirs), printable(one.ours), "differs"});
}

void add_unknown_attributes(const conf::PeerConfig& peer, Reason reason, const std::string& tunnel,
                            Diagnosis& out) {
  if (reason == Reason::policy_refused) {
    for (const IsakmpPolicy& policy : peer.policies) {
      for (const auto& [attribute, ours] : words_of(policy))
        out.attributes.push_back(
            {fmt::format("policy {} {}", policy.number, attribute), "", ours, "unknown"});
      out.attributes.push_back({fmt::format("policy {} lifetime", policy.number), "",
                                fmt::format("{} s", policy.lifetime.count()), "unknown"});
    }
    return;
  }
  for (const conf::TunnelConfig& one : peer.tunnels) {
    if (!tunnel.empty() && one.name != tunnel) continue;
    for (const TransformSet& set : one.transform_sets)
      out.attributes.push_back({"transform-set", "", to_string(set), "unknown"});
    out.attributes.push_back({"pfs", "", one.pfs ? std::string(info(*one.pfs).name) : "none", "unknown"});
  }
}

void add_attributes(const Failure& failure, const conf::PeerConfig* peer, const Values& values,
                    Diagnosis& out) {
  switch (out.reason) {
    case Reason::policy_differs:
    case Reason::transforms_differ:
    case Reason::pfs_differs:
      compare_attributes(*nearest(failure), peer, out);
      return;
    case Reason::policy_refused:
    case Reason::transforms_refused:
      if (peer != nullptr) add_unknown_attributes(*peer, out.reason, tunnel_of(failure, peer), out);
      return;
    case Reason::selectors_differ:
      out.attributes.push_back({"proxy identities", values.at("theirs"), values.at("ours"), "differs"});
      return;
    case Reason::selectors_refused:
      out.attributes.push_back({"proxy identities", "", values.at("ours"), "unknown"});
      return;
    case Reason::identity_differs:
      out.attributes.push_back({"identity",
                                printable(proved_identity(failure).value_or(failure.error.text), kDetail),
                                values.at("expected"), "differs"});
      return;
    case Reason::wrong_key:
    case Reason::silent_after_proof:
      out.attributes.push_back({"pre-shared key", "", values.at("key"), "differs"});
      return;
    default:
      return;
  }
}

// ---- what mends it here

// Nothing if the peer may use all of `words`; otherwise with what it may use already, for the line takes the
// place of the one that is there.
std::string weak_line(const conf::PeerConfig& config, const std::vector<std::string>& words) {
  std::vector<std::string_view> weak;
  const auto add = [&weak](std::string_view word) {
    if (std::find(weak.begin(), weak.end(), word) == weak.end()) weak.push_back(word);
  };
  if (config.allow_weak) {
    for (const Weak allowed : config.allow_weak->algorithms) add(weak_word(allowed));
  }
  const std::size_t before = weak.size();
  for (const std::string& word : words) {
    for (const std::string_view known : weak_words()) {
      const bool is = word == known || word == fmt::format("esp-{}", known) ||
                      word == fmt::format("esp-{}-hmac", known) || word == fmt::format("ah-{}-hmac", known);
      if (is && known != "sha") add(known);
    }
  }
  if (weak.size() == before) return {};
  return fmt::format(
      "peers: {}: allow_weak: {{algorithms: [{}], until: DATE, reason: WHY}}        # these are weak",
      printable(config.name), fmt::join(weak, ", "));
}

bool is_word(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789/") != std::string::npos;
}

// A policy like the nearest one of ours with what is different there.
void mend_policy(const ProposalComparison& near, const conf::Config& config, const conf::PeerConfig& peer,
                 Diagnosis& out) {
  const IsakmpPolicy* policy = policy_of(peer, near);
  if (policy == nullptr) return;
  std::map<std::string_view, std::string> words;
  std::vector<std::string> theirs;
  for (auto& [attribute, ours] : words_of(*policy)) {
    const ike::AttributeDifference* differs = difference_in(near, attribute);
    words[attribute] = differs != nullptr ? printable(differs->theirs) : ours;
    if (differs != nullptr && !is_word(differs->theirs)) {
      out.here.push_back(fmt::format("oakgate does not speak {} {}: change it at the device", attribute,
                                     printable(differs->theirs)));
      return;
    }
    theirs.push_back(words[attribute]);
  }
  int number = 10;
  for (const IsakmpPolicy& one : config.policies)
    number = std::max(number, static_cast<int>(one.number) + 10);
  std::string group = words["group"];
  if (group.starts_with("group")) group.erase(0, 5);
  out.here.push_back(
      fmt::format("isakmp_policies: {}: {{encryption: {}, hash: {}, group: {}, authentication: {}}}", number,
                  words["encryption"], words["hash"], group, words["authentication"]));
  if (std::string line = weak_line(peer, theirs); !line.empty()) out.here.push_back(std::move(line));
}

void mend_transforms(const ProposalComparison& near, const conf::PeerConfig& peer, const std::string& tunnel,
                     Diagnosis& out) {
  std::vector<std::string> theirs;
  std::string set;
  const std::string offered = printable(near.offered);
  for (std::string& word : split(offered, ' ')) {
    theirs.push_back(word);
    const bool transform = word.starts_with("esp-") || word.starts_with("ah-") || word.starts_with("comp-");
    if (transform) set += (set.empty() ? "" : ", ") + word;
  }
  const ike::AttributeDifference* pfs = difference_in(near, "pfs");
  const ike::AttributeDifference* mode = difference_in(near, "mode");
  if (near.differences.size() > (pfs != nullptr ? 1U : 0U) && !set.empty()) {
    const bool transport = mode != nullptr && mode->theirs == "transport";
    out.here.push_back(transport
                           ? fmt::format("transform_sets: NAME: {{transforms: [{}], mode: transport}}", set)
                           : fmt::format("transform_sets: NAME: [{}]", set));
    out.here.push_back(
        fmt::format("peers: {}: tunnels: {}: transform_sets: [NAME]", printable(peer.name), tunnel));
  }
  if (pfs != nullptr) {
    out.here.push_back(
        pfs->theirs == "none"
            ? fmt::format("peers: {}: tunnels: {}: leave out `pfs`", printable(peer.name), tunnel)
            : fmt::format("peers: {}: tunnels: {}: pfs: {}", printable(peer.name), tunnel,
                          printable(pfs->theirs)));
    theirs.push_back(pfs->theirs);
  }
  if (std::string line = weak_line(peer, theirs); !line.empty()) out.here.push_back(std::move(line));
}

// A value of YAML: between quotes, unless it needs none wherever it is put.
std::string yaml_value(const std::string& text) {
  static constexpr std::string_view kPlain = ".:@-_=";
  const bool plain =
      !text.empty() && text.back() != ':' && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || kPlain.find(static_cast<char>(c)) != std::string_view::npos;
      });
  return plain ? text : conf::double_quoted(text);
}

// The line that takes the peer for who it proved to be; a remark if that cannot be written there.
std::string mend_identity(const Failure& failure, const std::string& peer) {
  const std::string subject =
      "peers: " + peer + ": identity: dn        # and at the device: crypto isakmp identity dn";
  const std::optional<std::string> proved = proved_identity(failure);
  if (!proved) return subject;  // its certificate does not hold what it claims
  // The book cuts long texts.
  if (failure.error.text.size() >= ike::FailureBook::kText)
    return proved->starts_with("dn:") ? subject
                                      : "its identity is too long: have the device send another one";
  const bool ascii = std::all_of(proved->begin(), proved->end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!ascii || !conf::parse_identity(*proved))
    return "no `identity:` can be " + printable(*proved) + ": have the device send another one";
  return fmt::format("peers: {}: identity: {}", peer, yaml_value(*proved));
}

void mend_here(const Failure& failure, const conf::Config& config, const conf::PeerConfig* peer,
               const Values& values, Diagnosis& out) {
  for (const std::string& line : split(reason_row(out.reason).here, '\n'))
    out.here.push_back(expand(line, values));
  if (peer == nullptr) return;
  const std::string name = printable(peer->name);
  if (out.reason == Reason::policy_differs) {
    mend_policy(*nearest(failure), config, *peer, out);
  } else if (out.reason == Reason::transforms_differ || out.reason == Reason::pfs_differs) {
    mend_transforms(*nearest(failure), *peer, values.at("tunnel"), out);
  } else if (out.reason == Reason::selectors_differ) {
    const std::string& theirs = values.at("theirs");
    const std::size_t middle = theirs.find(" === ");
    if (middle == std::string::npos) return;
    out.here.push_back(fmt::format("peers: {}: tunnels: {}: {{local: {}, remote: {}}}", name,
                                   values.at("tunnel"), theirs.substr(0, middle), theirs.substr(middle + 5)));
  } else if (out.reason == Reason::identity_differs) {
    out.here.push_back(mend_identity(failure, name));
  }
}

// ---- what mends it there

bool holds(const std::string& line, const std::vector<std::string>& phrases) {
  return std::any_of(phrases.begin(), phrases.end(),
                     [&](const std::string& one) { return line.find(one) != std::string::npos; });
}

// Of the export's lines those that hold a phrase; with a line of a submode, the command before it.
std::vector<std::string> pick(const std::string& exported, const std::vector<std::string>& phrases) {
  std::vector<std::string> lines;
  std::string head;
  bool head_told = false;
  for (std::string& line : split(exported, '\n')) {
    if (line.starts_with('!')) continue;
    const bool body = line.starts_with(' ');
    if (!body) {
      head = line;
      head_told = false;
    }
    if (!holds(line, phrases)) continue;
    if (body && !head_told) lines.push_back(head);
    head_told = true;
    lines.push_back(std::move(line));
  }
  return lines;
}

// The peer, with what the failure is about alone.
conf::PeerConfig narrowed(const Failure& failure, const conf::PeerConfig& peer) {
  conf::PeerConfig one = peer;
  const std::string tunnel = tunnel_of(failure, &peer);
  std::erase_if(one.tunnels,
                [&](const conf::TunnelConfig& other) { return !tunnel.empty() && other.name != tunnel; });
  const ProposalComparison* near = nearest(failure);
  const IsakmpPolicy* policy = near == nullptr ? nullptr : policy_of(peer, *near);
  if (policy != nullptr) one.policies = {IsakmpPolicy(*policy)};
  return one;
}

std::vector<std::string> phrases_of(const Diagnosis& diagnosis) {
  std::vector<std::string> phrases = split(reason_row(diagnosis.reason).exported, '|');
  if (diagnosis.reason != Reason::policy_differs && diagnosis.reason != Reason::transforms_differ &&
      diagnosis.reason != Reason::pfs_differs)
    return phrases;
  for (const AttributeVerdict& one : diagnosis.attributes) {
    if (one.verdict != "differs") continue;
    for (const AttributeRow& row : attribute_table()) {
      if (row.attribute != one.attribute) continue;
      for (std::string& phrase : split(row.exported, '|')) phrases.push_back(std::move(phrase));
    }
  }
  return phrases;
}

void mend_there(const Failure& failure, const conf::Config& config, const conf::PeerConfig* peer,
                const Values& values, Diagnosis& out) {
  const ReasonRow& row = reason_row(out.reason);
  const std::vector<std::string> phrases = phrases_of(out);
  const auto lines = [&](Dialect dialect, std::string_view more) {
    std::vector<std::string> all;
    if (peer != nullptr && !phrases.empty()) {
      const conf::cisco::ExportOptions options{dialect, failure.local ? failure.local->address : IpAddress()};
      all = pick(export_cisco(config, narrowed(failure, *peer), options).text, phrases);
    }
    for (const std::string& line : split(more, '\n')) {
      std::string text = expand(line, values);
      if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(std::move(text));
    }
    return all;
  };
  out.ios = lines(Dialect::ios, row.ios);
  out.pix = lines(Dialect::pix, row.pix);
  out.asa = lines(Dialect::asa, row.ios);
}

}  // namespace

Diagnosis diagnose(const Failure& failure, const conf::Config& config, const conf::PeerConfig* peer) {
  Diagnosis out;
  out.reason = reason_of(failure, peer);
  const Values values = values_of(failure, peer);
  out.sentence = expand(reason_row(out.reason).sentence, values);
  add_attributes(failure, peer, values, out);
  mend_here(failure, config, peer, values, out);
  mend_there(failure, config, peer, values, out);
  return out;
}

}  // namespace oakgate::explain
