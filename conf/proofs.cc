// The part of `peers:` that is about proofs: the policies' methods, and what each of them needs.
#include <algorithm>
#include <array>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

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

// ---- trustpoint: corp ----------------------------------------------------------------------------------

constexpr std::string_view kRsaEncrShape = "a map like {peer_key: branch.example.net, own_key: gw-a-encr}";

std::string read_trustpoint_name(const Field& field, const Trustpoints& trustpoints) {
  const auto name = free_text(field, "a trustpoint's name");
  if (!name) return {};
  const Reference<TrustpointConfig> found = refer(field, *name, trustpoints, "trustpoint", "trustpoints");
  if (found.value != nullptr && !found.value->own) {
    field.fail({"trustpoint " + quote(*name) + " has no certificate of ours, which is to prove us",
                "`certificate` and `key` in trustpoints." + printable(*name) +
                    " (the files may come later, by `oakgate pki enroll`)"});
  }
  return found.known ? std::string(*name) : std::string();
}

// ---- rsa_encr: {peer_key: NAME or [NAME], own_key: NAME, skeyid: auto} ---------------------------------

std::vector<std::string> read_peer_keys(const Field& field, const PublicKeys& declared) {
  constexpr std::string_view kExpected = "a public key's name, or a list of names";
  std::vector<std::string> names;
  for (const Field& item : one_or_many(field, kExpected)) {
    const auto name = free_text(item, kExpected);
    if (!name || !refer(item, *name, declared, "public key", "public_keys").known) continue;
    if (std::find(names.begin(), names.end(), *name) != names.end()) {
      item.fail({"public key " + quote(*name) + " is listed twice", "each key once"});
    } else if (names.size() == kMaxPeerKeys) {
      item.fail({"the list is too long", "at most " + std::to_string(kMaxPeerKeys) + " keys"});
      break;
    } else {
      names.emplace_back(*name);
    }
  }
  return names;
}

std::string read_own_key_name(const Field& field, const Keys& keys) {
  const auto name = free_text(field, "the name of one of `keys`");
  if (!name) return {};
  const Reference<KeyConfig> key = refer(field, *name, keys, "key", "keys");
  if (key.value != nullptr && key.value->usage == KeyUsage::signature) {
    field.fail({quote(*name) + " is of usage signature, and the key here decrypts",
                "a key of usage encryption: one key never does both"});
  }
  return key.known ? std::string(*name) : std::string();
}

RsaEncryptionConfig read_rsa_encr(const Field& field, const PeerContext& context) {
  constexpr auto kKeys = std::to_array<std::string_view>({"peer_key", "own_key", "skeyid"});
  constexpr Word<SkeyidForm> kForms[] = {
      {"auto", SkeyidForm::automatic}, {"rfc", SkeyidForm::rfc}, {"ios", SkeyidForm::ios}};
  RsaEncryptionConfig rsa;
  rsa.position = field.node->position;
  if (!require_map(field, kRsaEncrShape)) return rsa;
  const MapReader map(field, kKeys);
  if (const auto keys = map.required("peer_key", "the name of one of `public_keys`, or a list of names")) {
    rsa.peer_keys = read_peer_keys(*keys, context.public_keys);
  }
  if (const auto key = map.required("own_key", "the name of one of `keys`")) {
    rsa.own_key = read_own_key_name(*key, context.keys);
  }
  if (const auto form = map.optional("skeyid")) {
    rsa.skeyid = choice(*form, kForms).value_or(SkeyidForm::automatic);
  }
  return rsa;
}

// ---- What each method needs ----------------------------------------------------------------------------

// Which of the keys stand there, right or wrong: a wrong one has been reported, and nothing more need be.
struct Means {
  bool pre_shared_key = false;
  bool trustpoint = false;
  bool rsa_encr = false;
};

struct Need {
  std::string_view key;
  std::string_view shape;
  bool met;
};
Need need_of(AuthMethod method, const Means& means) {
  if (info(method).signs) return {"trustpoint", "the name of one of `trustpoints`", means.trustpoint};
  if (info(method).encrypts) return {"rsa_encr", kRsaEncrShape, means.rsa_encr};
  return {"pre_shared_key", kPskShape, means.pre_shared_key};
}

std::vector<std::uint16_t> listed_policies(const Field& field, const Policies& declared, const Field& peer,
                                           const Means& means) {
  std::vector<std::uint16_t> chosen;
  for (const Field& item : one_or_many(field, "a list of ISAKMP policy numbers")) {
    add_policy(item, declared, chosen);
  }
  std::sort(chosen.begin(), chosen.end());
  std::vector<std::string_view> missing;
  for (const std::uint16_t number : chosen) {
    const auto& policy = declared.at(number);
    if (!policy) continue;
    const Need need = need_of(policy->authentication, means);
    if (need.met || std::find(missing.begin(), missing.end(), need.key) != missing.end()) continue;
    missing.push_back(need.key);
    peer.fail({quote(need.key) + " is missing: policy " + std::to_string(number) + " is " +
                   std::string(info(policy->authentication).name),
               std::string(need.shape)});
  }
  return chosen;
}

// Without `policies`: those whose method the peer has the means for.
std::vector<std::uint16_t> fitting_policies(const Policies& declared, const Field& peer, const Means& means) {
  std::vector<std::uint16_t> chosen;
  if (!means.pre_shared_key && !means.trustpoint && !means.rsa_encr) {
    peer.fail({"nothing says what proves the peer",
               "`pre_shared_key`, `trustpoint` or `rsa_encr`, as the authentication of its policies"});
    return chosen;
  }
  if (declared.empty()) {
    peer.fail({"there is no ISAKMP policy it could use", "at least one under isakmp_policies"});
    return chosen;
  }
  bool unknown = false;  // a policy that is wrong might be the one
  for (const auto& [number, policy] : declared) {
    unknown = unknown || !policy;
    if (policy && need_of(policy->authentication, means).met) chosen.push_back(number);
  }
  if (chosen.empty() && !unknown) {
    std::string words;
    for (const AuthMethodInfo& method : auth_methods()) {
      if (need_of(method.id, means).met) words += (words.empty() ? "" : " or ") + std::string(method.name);
    }
    peer.fail({"no ISAKMP policy is of a method it is configured for",
               "one with the authentication " + words + " under isakmp_policies"});
  }
  return chosen;
}

}  // namespace

void read_proofs(const MapReader& map, const Member& member, const PeerContext& context, PeerConfig& peer) {
  const auto psk = map.optional("pre_shared_key");
  const auto trustpoint = map.optional("trustpoint");
  const auto rsa_encr = map.optional("rsa_encr");
  const Means means{psk.has_value(), trustpoint.has_value(), rsa_encr.has_value()};
  const auto policies = map.optional("policies");
  const auto chosen = policies ? listed_policies(*policies, context.policies, member.key, means)
                               : fitting_policies(context.policies, member.key, means);
  for (const std::uint16_t number : chosen) {
    if (const auto& policy = context.policies.at(number)) peer.policies.push_back(*policy);
  }
  if (psk) peer.pre_shared_key = read_psk(*psk, context.folder);
  if (trustpoint) peer.trustpoint = read_trustpoint_name(*trustpoint, context.trustpoints);
  if (rsa_encr) peer.rsa_encr = read_rsa_encr(*rsa_encr, context);
}

}  // namespace oakgate::conf
