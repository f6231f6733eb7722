#include "daemon/explain/facts.h"

#include <fmt/format.h>

#include <algorithm>

#include "conf/values.h"
#include "daemon/text.h"
#include "ike/identities.h"

namespace oakgate::explain {

using ike::Failure;
using ike::ProposalComparison;

namespace {

constexpr std::size_t kDetail = 1024;

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

// Why a caller in Aggressive Mode is not answered.
std::string_view why_refused(const Failure& failure, const conf::PeerConfig* peer) {
  if (peer == nullptr || claims_what_is_expected(failure, *peer)) return "which is not allowed here";
  return peer->aggressive ? "as somebody else than is configured"
                          : "which is not allowed here, and as somebody else than is configured";
}

}  // namespace

std::string_view field(const Failure& failure, std::string_view name) {
  for (const ike::Field& one : failure.fields) {
    if (one.first == name) return one.second;
  }
  return {};
}

const ProposalComparison* nearest(const Failure& failure) {
  const auto found = std::min_element(failure.proposals.begin(), failure.proposals.end(),
                                      [](const ProposalComparison& a, const ProposalComparison& b) {
                                        return a.differences.size() < b.differences.size();
                                      });
  return found == failure.proposals.end() ? nullptr : &*found;
}

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

std::string tunnel_of(const Failure& failure, const conf::PeerConfig* peer) {
  if (!failure.tunnel.empty()) return failure.tunnel;
  if (peer != nullptr && peer->tunnels.size() == 1) return peer->tunnels.front().name;
  return {};
}

// Who verifies certificates puts the peer's name in front.
std::optional<ToldIdentity> proved_identity(const Failure& failure) {
  constexpr std::string_view kProved = "the peer proved to be ";
  constexpr std::string_view kPeer = "peer ";
  std::string_view text = failure.error.text;
  const bool cut = text.size() >= ike::FailureBook::kText;
  if (text.starts_with(kPeer)) text.remove_prefix(std::min(text.size(), text.find(": ") + 2));
  if (!text.starts_with(kProved)) return std::nullopt;
  return ToldIdentity{std::string(text.substr(kProved.size())), cut};
}

std::optional<ToldIdentity> claimed_identity(const Failure& failure) {
  const std::string_view text = field(failure, "identity");
  if (text.empty()) return std::nullopt;
  return ToldIdentity{std::string(text), text.size() >= ike::FailureBook::kText};
}

bool claims_what_is_expected(const Failure& failure, const conf::PeerConfig& peer) {
  const auto claimed = claimed_identity(failure);
  if (!claimed || claimed->cut || !failure.remote) return false;
  const auto identity = conf::parse_identity(claimed->text);
  if (!identity || !*identity) return false;
  const IpAddress& source = failure.remote->address;
  const Identity wanted =
      peer.identity.value_or(Identity{IdentityKind::address, IpAddress::any(source.family()), {}});
  return ike::identity_fits(wanted, **identity, source, false);
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
  values["why"] = why_refused(failure, peer);
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

}  // namespace oakgate::explain
