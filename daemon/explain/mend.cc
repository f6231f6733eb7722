#include "daemon/explain/mend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "conf/cisco/export.h"
#include "conf/text.h"
#include "conf/values.h"
#include "daemon/text.h"

namespace oakgate::explain {

namespace {

using conf::cisco::Dialect;
using ike::Failure;
using ike::ProposalComparison;

// ---- here

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
  // Whether the peer lists its policies or has all by default cannot be seen any more: the list is right in
  // either case.
  std::string numbers;
  for (const IsakmpPolicy& one : peer.policies) numbers += fmt::format("{}, ", one.number);
  out.here.push_back(fmt::format("peers: {}: policies: [{}{}]", printable(peer.name), numbers, number));
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

struct IdentityValue {
  std::string value;    // of `identity:`, as YAML takes it
  std::string refused;  // not empty: what to say instead, for there can be no such value
};

IdentityValue identity_value(const ToldIdentity& who) {
  if (who.cut) return {{}, "its identity is too long: have the device send another one"};
  const bool ascii =
      std::all_of(who.text.begin(), who.text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!ascii || !conf::parse_identity(who.text))
    return {{}, "no `identity:` can be " + printable(who.text) + ": have the device send another one"};
  return {yaml_value(who.text), {}};
}

// The line that takes the peer for who it proved to be; a remark if that cannot be written there.
std::string mend_identity(const Failure& failure, const std::string& peer) {
  std::string subject =
      "peers: " + peer + ": identity: dn        # and at the device: crypto isakmp identity dn";
  const std::optional<ToldIdentity> proved = proved_identity(failure);
  if (!proved) return subject;  // its certificate does not hold what it claims
  if (proved->cut && proved->text.starts_with("dn:")) return subject;
  const IdentityValue identity = identity_value(*proved);
  return identity.refused.empty() ? fmt::format("peers: {}: identity: {}", peer, identity.value)
                                  : identity.refused;
}

// What lets the caller in by Aggressive Mode. `peer`: what is configured for its address.
std::string mend_aggressive(const Failure& failure, const conf::PeerConfig& peer, const std::string& name) {
  constexpr std::string_view kWeak = "        # weak: better have it use Main Mode";
  const std::optional<ToldIdentity> claimed = claimed_identity(failure);
  if (!claimed || claims_what_is_expected(failure, peer))
    return fmt::format("peers: {}: aggressive: true{}", name, kWeak);
  const IdentityValue identity = identity_value(*claimed);
  if (!identity.refused.empty()) return identity.refused;
  return peer.aggressive
             ? fmt::format("peers: {}: identity: {}", name, identity.value)
             : fmt::format("peers: {}: {{aggressive: true, identity: {}}}{}", name, identity.value, kWeak);
}

// ---- there

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

}  // namespace

void mend_here(const Failure& failure, const conf::Config& config, const conf::PeerConfig* peer,
               const Values& values, Diagnosis& out) {
  for (const std::string& line : split(reason_row(out.reason).here, '\n'))
    out.here.push_back(expand(line, values));
  if (out.reason == Reason::unknown_caller && claimed_identity(failure))
    out.here.push_back(mend_aggressive(failure, conf::PeerConfig{}, "NAME"));
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
  } else if (out.reason == Reason::aggressive_refused) {
    out.here.push_back(mend_aggressive(failure, *peer, name));
  }
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

}  // namespace oakgate::explain
