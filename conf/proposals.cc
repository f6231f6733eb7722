// `isakmp_policies:` and `transform_sets:`, what may be negotiated in phase 1 and phase 2.
#include <array>
#include <span>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

template <typename Row>
std::vector<std::string_view> names_of(std::span<const Row> table) {
  std::vector<std::string_view> names;
  for (const Row& row : table) names.push_back(row.name);
  return names;
}

// The value of a required key that one of the tables of ike/base/algorithms.h knows.
template <typename T, typename Row>
std::optional<T> read_algorithm(const MapReader& map, std::string_view key, std::span<const Row> table,
                                std::optional<T> (*find)(std::string_view)) {
  const std::vector<std::string_view> names = names_of(table);
  const std::string expected = any_of(names);
  const auto field = map.required(key, expected);
  if (!field) return std::nullopt;
  return read(*field, expected, [&](std::string_view text) -> Parsed<T> {
    if (const auto id = find(text)) return *id;
    return fault(quote(text) + " is not known here", expected, nearest(text, names));
  });
}

std::optional<IsakmpPolicy> read_policy(const Field& field, std::uint16_t number) {
  constexpr auto kKeys =
      std::to_array<std::string_view>({"encryption", "hash", "group", "authentication", "lifetime"});
  if (!require_map(field,
                   "a map like {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share}")) {
    return std::nullopt;
  }
  const MapReader map(field, kKeys);
  const auto encryption = read_algorithm<IkeCipher>(map, "encryption", ike_ciphers(), find_ike_cipher);
  const auto hash = read_algorithm<IkeHash>(map, "hash", ike_hashes(), find_ike_hash);
  const auto authentication =
      read_algorithm<AuthMethod>(map, "authentication", auth_methods(), find_auth_method);
  std::optional<DhGroup> group;
  if (const auto value = map.required("group", any_of(names_of(dh_groups())))) {
    group = read(*value, "a group", parse_group);
  }
  IsakmpPolicy policy;
  policy.number = number;
  if (const auto lifetime = map.optional("lifetime")) {
    policy.lifetime = read(*lifetime, "a duration like 24h", [](std::string_view text) {
                        return parse_duration(text, kMinLifetime, kMaxLifetime);
                      }).value_or(policy.lifetime);
  }
  if (!encryption || !hash || !authentication || !group) return std::nullopt;
  // RFC 4754 section 3: each of its three methods is one curve with one hash.
  if (wire_number(*authentication, *hash) == 0) {
    map.optional("authentication")
        ->fail({quote(info(*authentication).name) + " does not go with the hash " + quote(info(*hash).name),
                "the hash sha256 (P-256), sha384 (P-384) or sha512 (P-521)"});
    return std::nullopt;
  }
  policy.encryption = *encryption;
  policy.hash = *hash;
  policy.authentication = *authentication;
  policy.group = *group;
  return policy;
}

// ---- Transform sets ------------------------------------------------------------------------------------

const std::vector<std::string>& transform_words() {
  static const std::vector<std::string> words = [] {
    std::vector<std::string> all;
    for (const EspCipherInfo& cipher : esp_ciphers()) all.emplace_back(cipher.name);
    for (const std::string_view prefix : {"esp-", "ah-"}) {
      for (const IntegrityInfo& row : integrities()) {
        if (row.configurable) all.push_back(std::string(prefix) + std::string(row.name));
      }
    }
    for (const CompressionInfo& row : compressions()) {
      if (row.kernel != nullptr) all.emplace_back(row.name);
    }
    return all;
  }();
  return words;
}

std::string authenticator_words() {
  std::vector<std::string_view> words;
  for (const std::string& word : transform_words()) {
    constexpr std::string_view kEsp = "esp-";
    if (word.starts_with(kEsp) && find_integrity(word.substr(kEsp.size()))) words.push_back(word);
  }
  return any_of(words);
}

struct Transforms {
  std::optional<EspCipher> cipher;
  std::optional<Integrity> integrity;
  std::optional<Integrity> ah;
  std::optional<Compression> compression;
  bool good = true;
};

void add_transform(const Field& item, Transforms& transforms) {
  constexpr std::string_view kEsp = "esp-";
  constexpr std::string_view kAh = "ah-";
  const std::vector<std::string_view> words(transform_words().begin(), transform_words().end());
  const auto text = free_text(item, any_of(words));
  if (!text) {
    transforms.good = false;
    return;
  }
  const auto cipher = find_esp_cipher(*text);
  const auto integrity = text->starts_with(kEsp) ? find_integrity(text->substr(kEsp.size())) : std::nullopt;
  const auto ah = text->starts_with(kAh) ? find_integrity(text->substr(kAh.size())) : std::nullopt;
  const auto compression = find_compression(*text);
  const bool taken = cipher        ? transforms.cipher.has_value()
                     : ah          ? transforms.ah.has_value()
                     : compression ? transforms.compression.has_value()
                                   : transforms.integrity.has_value();
  if (!cipher && !integrity && !ah && !compression) {
    item.fail({quote(*text) + " is not a known transform", any_of(words), nearest(*text, words)});
    transforms.good = false;
  } else if (taken) {
    item.fail({quote(*text) + " is the second " +
                   (cipher        ? "cipher"
                    : ah          ? "AH transform"
                    : compression ? "compression"
                                  : "authenticator") +
                   " of this set",
               "one, and another transform set for the other"});
    transforms.good = false;
  } else if (cipher) {
    transforms.cipher = cipher;
  } else if (ah) {
    transforms.ah = ah;
  } else if (compression) {
    transforms.compression = compression;
  } else {
    transforms.integrity = integrity;
  }
}

// RFC 4303 section 3.2.2: an encryption without integrity can be steered by whoever alters the packets,
// unless AH covers it; RFC 4106: GCM brings its own.
bool check_combination(const Field& field, const Transforms& transforms) {
  if (!transforms.cipher && transforms.ah && !transforms.integrity) return true;  // AH alone
  if (!transforms.cipher) {
    field.fail({transforms.compression && !transforms.integrity
                    ? "the set compresses and does not protect: it has neither a cipher nor AH"
                    : "the set has no cipher",
                any_of(names_of(esp_ciphers()))});
    return false;
  }
  const EspCipherInfo& cipher = info(*transforms.cipher);
  const std::string name(cipher.name);
  if (cipher.aead() && transforms.integrity) {
    field.fail({quote(name) + " authenticates by itself and takes no authenticator",
                quote(name) + " alone, without `esp-" + std::string(info(*transforms.integrity).name) + "`"});
    return false;
  }
  if (!cipher.aead() && !transforms.integrity && !transforms.ah) {
    field.fail({quote(name) + " does not authenticate: packets could be altered unnoticed",
                "an authenticator beside it: " + authenticator_words()});
    return false;
  }
  return true;
}

constexpr Word<EncapsulationMode> kModes[] = {{"tunnel", EncapsulationMode::tunnel},
                                              {"transport", EncapsulationMode::transport}};

// Both forms: a list of transforms, or a map with the mode beside it.
std::optional<TransformSet> read_transform_set(const Field& field, const std::string& name) {
  constexpr auto kKeys = std::to_array<std::string_view>({"transforms", "mode"});
  constexpr std::string_view kExpected = "a list of transforms, like [esp-aes-256, esp-sha256-hmac]";
  TransformSet set;
  set.name = name;
  Field transforms_field = field;
  if (field.node->kind == Node::Kind::map) {
    const MapReader map(field, kKeys);
    if (const auto mode = map.optional("mode")) set.mode = choice(*mode, kModes).value_or(set.mode);
    const auto inner = map.required("transforms", kExpected);
    if (!inner) return std::nullopt;
    transforms_field = *inner;
  }
  Transforms transforms;
  const std::vector<Field> items = list(transforms_field, kExpected);
  for (const Field& item : items) add_transform(item, transforms);
  if (items.empty() || !transforms.good || !check_combination(transforms_field, transforms))
    return std::nullopt;
  set.cipher = transforms.cipher;
  set.ah = transforms.ah;
  set.integrity = transforms.integrity;
  set.compression = transforms.compression;
  return set;
}

}  // namespace

Policies read_policies(const Field& field) {
  Policies policies;
  for (const Member& member : members(field, "a map of ISAKMP policies by number")) {
    const auto number = parse_integer(member.name, 1, 65534);
    if (!number) {
      member.key.fail(number.error());
      continue;
    }
    const auto key = static_cast<std::uint16_t>(*number);
    policies.emplace(key, read_policy(member.value, key));
  }
  return policies;
}

TransformSets read_transform_sets(const Field& field) {
  TransformSets sets;
  for (const Member& member : members(field, "a map of transform sets by name")) {
    const auto name = parse_name(member.name);
    if (!name) {
      member.key.fail(name.error());
      continue;
    }
    sets.add(member, read_transform_set(member.value, *name));
  }
  return sets;
}

}  // namespace oakgate::conf
