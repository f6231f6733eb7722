#include "conf/swan/algorithms.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace oakgate::conf::swan {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Lower case, without the underscores that libreswan writes: "sha2_256" and "aes_gcm_c_256".
std::string plain(std::string_view word) {
  std::string out;
  for (const char c : word) {
    if (c == '_') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end != 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n!";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// ---- Groups and hashes ---------------------------------------------------------------------------------

struct GroupWord {
  std::string_view word;
  DhGroup group;
};
constexpr std::array kGroups{
    GroupWord{"modp768", DhGroup::modp768},
    GroupWord{"modp1024", DhGroup::modp1024},
    GroupWord{"modp1536", DhGroup::modp1536},
    GroupWord{"modp2048", DhGroup::modp2048},
    GroupWord{"modp3072", DhGroup::modp3072},
    GroupWord{"modp4096", DhGroup::modp4096},
    GroupWord{"modp6144", DhGroup::modp6144},
    GroupWord{"modp8192", DhGroup::modp8192},
    GroupWord{"modp1024s160", DhGroup::modp1024_160},
    GroupWord{"modp2048s224", DhGroup::modp2048_224},
    GroupWord{"modp2048s256", DhGroup::modp2048_256},
    GroupWord{"ecp256", DhGroup::ecp256},
    GroupWord{"ecp384", DhGroup::ecp384},
    GroupWord{"ecp521", DhGroup::ecp521},
    GroupWord{"curve25519", DhGroup::curve25519},
    GroupWord{"x25519", DhGroup::curve25519},
};

// One row for what is HMAC in ESP and hash in IKE.
struct HashWord {
  std::string_view word;
  Integrity integrity;
  std::optional<IkeHash> hash;
};
constexpr std::array kHashes{
    HashWord{"md5", Integrity::md5, IkeHash::md5},
    HashWord{"sha", Integrity::sha, IkeHash::sha},
    HashWord{"sha1", Integrity::sha, IkeHash::sha},
    HashWord{"sha2", Integrity::sha256, IkeHash::sha256},
    HashWord{"sha256", Integrity::sha256, IkeHash::sha256},
    HashWord{"sha2256", Integrity::sha256, IkeHash::sha256},
    HashWord{"sha25696", Integrity::sha256_96, {}},
    HashWord{"sha384", Integrity::sha384, IkeHash::sha384},
    HashWord{"sha2384", Integrity::sha384, IkeHash::sha384},
    HashWord{"sha512", Integrity::sha512, IkeHash::sha512},
    HashWord{"sha2512", Integrity::sha512, IkeHash::sha512},
    HashWord{"aesxcbc", Integrity::aes_xcbc, {}},
    HashWord{"aesxcbc96", Integrity::aes_xcbc, {}},
};

const HashWord* find_hash(std::string_view word) {
  const auto found =
      std::find_if(kHashes.begin(), kHashes.end(), [&](const HashWord& row) { return row.word == word; });
  return found == kHashes.end() ? nullptr : &*found;
}

// ---- Ciphers -------------------------------------------------------------------------------------------

// "aes256gcm16" of the one, "aesgcmc256" of the other: name, number, mode, number.
struct CipherWord {
  std::string_view name;
  int first = 0;
  std::string_view mode;
  int second = 0;
};

int take_number(std::string_view& text) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  int value = 0;
  std::from_chars(text.data(), text.data() + std::min<std::size_t>(digits, 6), value);
  text.remove_prefix(digits);
  return value;
}

std::optional<CipherWord> cipher_word(std::string_view text) {
  CipherWord word;
  for (const std::string_view name : {"aes", "camellia"}) {
    if (text.starts_with(name)) word.name = name;
  }
  if (word.name.empty()) return std::nullopt;
  text.remove_prefix(word.name.size());
  word.first = take_number(text);
  std::size_t letters = 0;
  while (letters < text.size() && !is_digit(text[letters])) ++letters;
  word.mode = text.substr(0, letters);
  text.remove_prefix(letters);
  word.second = take_number(text);
  if (!text.empty()) return std::nullopt;
  return word;
}

// "gcm" with its ICV in bytes or bits, or libreswan's letter.
std::string aead_mode(const CipherWord& word) {
  const bool strongswan = word.first != 0;
  if (word.mode == "gcma") return "gcm8-";
  if (word.mode == "gcmb") return "gcm12-";
  if (word.mode == "gcmc" || word.mode == "gmac") return word.mode == "gmac" ? "gmac-" : "gcm-";
  if (word.mode != "gcm") return {};
  const int icv = strongswan ? word.second : 0;
  if (icv == 8 || icv == 64) return "gcm8-";
  if (icv == 12 || icv == 96) return "gcm12-";
  return icv == 0 || icv == 16 || icv == 128 ? "gcm-" : "";
}

std::optional<EspCipher> find_esp(std::string_view text) {
  if (text == "null") return EspCipher::null;
  if (text == "des" || text == "3des") return find_esp_cipher("esp-" + std::string(text));
  const auto word = cipher_word(text);
  if (!word) return std::nullopt;
  const int bits = word->first != 0 ? word->first : word->second != 0 ? word->second : 128;
  std::string name = "esp-";
  if (word->mode.empty() || word->mode == "cbc") {
    name += std::string(word->name) + "-";
  } else if (word->mode == "ctr" && word->name == "aes") {
    name += "ctr-";
  } else if (const std::string mode = aead_mode(*word); !mode.empty() && word->name == "aes") {
    name += mode;
  } else {
    return std::nullopt;
  }
  return find_esp_cipher(name + std::to_string(bits));
}

std::optional<IkeCipher> find_ike(std::string_view text) {
  if (text == "des" || text == "3des") return find_ike_cipher(text);
  const auto word = cipher_word(text);
  if (!word || !(word->mode.empty() || word->mode == "cbc")) return std::nullopt;
  const int bits = word->first != 0 ? word->first : word->second != 0 ? word->second : 128;
  return find_ike_cipher(std::string(word->name) + "-" + std::to_string(bits));
}

// ---- Proposals -----------------------------------------------------------------------------------------

template <typename T>
void add_once(std::vector<T>& all, T value) {
  if (std::find(all.begin(), all.end(), value) == all.end()) all.push_back(value);
}

// What one proposal names of each kind.
struct Named {
  std::vector<IkeCipher> ike;
  std::vector<EspCipher> esp;
  std::vector<IkeHash> hashes;
  std::vector<Integrity> integrities;
  std::vector<DhGroup> groups;
};

enum class Use : std::uint8_t { ike, esp, ah };

template <typename Proposal>
void take_word(std::string_view written, Use use, Named& named, Proposals<Proposal>& out) {
  const std::string text = plain(written);
  std::string_view word = text;
  const bool prf = use == Use::ike && word.starts_with("prf");
  if (prf) word.remove_prefix(3);
  if (word == "noesn" || word == "modpnone" || word == "none") return;
  if (word == "esn") {
    out.esn = true;
  } else if (const auto group = find_group_word(word)) {
    add_once(named.groups, *group);
  } else if (const HashWord* hash = find_hash(word)) {
    // The integrity algorithm and the PRF are one in IKEv1.
    if (use == Use::ike && hash->hash) {
      add_once(named.hashes, *hash->hash);
    } else if (use != Use::ike) {
      out.sha256_96 = out.sha256_96 || hash->integrity == Integrity::sha256_96;
      add_once(named.integrities,
               hash->integrity == Integrity::sha256_96 ? Integrity::sha256 : hash->integrity);
    } else {
      out.unknown.emplace_back(written);
    }
  } else if (const auto ike = find_ike(word); ike && use == Use::ike) {
    add_once(named.ike, *ike);
  } else if (const auto esp = find_esp(word); esp && use == Use::esp) {
    // libreswan's "aes_gcm-null": no integrity beside an AEAD.
    if (*esp != EspCipher::null || named.esp.empty()) add_once(named.esp, *esp);
  } else {
    out.unknown.emplace_back(written);
  }
}

template <typename Proposal>
bool room(Proposals<Proposal>& out) {
  if (out.all.size() < kMaxProposals) return true;
  add_once(out.unknown, std::string("more than 64 combinations"));
  return false;
}

std::vector<std::optional<DhGroup>> or_none(const std::vector<DhGroup>& groups) {
  std::vector<std::optional<DhGroup>> all(groups.begin(), groups.end());
  if (all.empty()) all.emplace_back();
  return all;
}

void combine(const Named& named, Proposals<IkeProposal>& out) {
  for (const IkeCipher cipher : named.ike) {
    for (const IkeHash hash : named.hashes) {
      for (const auto& group : or_none(named.groups)) {
        if (!room(out)) return;
        out.all.push_back({cipher, hash, group});
      }
    }
  }
}

TransformSet set_of(std::optional<EspCipher> cipher, std::optional<Integrity> integrity) {
  TransformSet set;
  set.cipher = cipher;
  if (!cipher) {
    set.ah = integrity;
  } else if (!info(*cipher).aead()) {
    set.integrity = integrity;
  }
  return set;
}

void combine(const Named& named, Use use, Proposals<EspProposal>& out) {
  std::vector<std::optional<EspCipher>> ciphers(named.esp.begin(), named.esp.end());
  if (use == Use::ah) ciphers.emplace_back();
  for (const auto& cipher : ciphers) {
    std::vector<Integrity> integrities = named.integrities;
    const bool aead = cipher && info(*cipher).aead();
    // What both programs add where none is named.
    if (integrities.empty() || aead) integrities = {Integrity::sha};
    for (const Integrity integrity : integrities) {
      for (const auto& group : or_none(named.groups)) {
        if (!room(out)) return;
        out.all.push_back({set_of(cipher, integrity), group});
      }
    }
  }
}

template <typename Proposal, typename Combine>
Proposals<Proposal> read_all(std::string_view text, Use use, Combine combine_named) {
  Proposals<Proposal> out;
  for (const std::string_view part : split(text, ",")) {
    const std::string_view proposal = trimmed(part);
    if (proposal.empty()) continue;
    Named named;
    const std::size_t unknown = out.unknown.size();
    const std::size_t before = out.all.size();
    for (const std::string_view word : split(proposal, "-;+ ")) take_word(word, use, named, out);
    // With a word that is not ours it may be another proposal than it seems.
    if (out.unknown.size() == unknown) combine_named(named, out);
    if (out.unknown.size() == unknown && out.all.size() == before) out.unknown.emplace_back(proposal);
  }
  return out;
}

}  // namespace

std::optional<DhGroup> find_group_word(std::string_view written) {
  const std::string text = plain(written);
  std::string_view word = text;
  const auto found =
      std::find_if(kGroups.begin(), kGroups.end(), [&](const GroupWord& row) { return row.word == word; });
  if (found != kGroups.end()) return found->group;
  for (const std::string_view prefix : {"dh", "group"}) {
    if (!word.starts_with(prefix)) continue;
    std::string_view digits = word.substr(prefix.size());
    if (digits.empty() || !is_digit(digits.front())) return std::nullopt;
    const int number = take_number(digits);
    return digits.empty() ? find_dh_group(static_cast<std::uint32_t>(number)) : std::nullopt;
  }
  return std::nullopt;
}

Proposals<IkeProposal> read_ike_proposals(std::string_view text) {
  return read_all<IkeProposal>(text, Use::ike, [](const Named& named, auto& out) { combine(named, out); });
}

Proposals<EspProposal> read_esp_proposals(std::string_view text) {
  return read_all<EspProposal>(text, Use::esp,
                               [](const Named& named, auto& out) { combine(named, Use::esp, out); });
}

Proposals<EspProposal> read_ah_proposals(std::string_view text) {
  return read_all<EspProposal>(text, Use::ah,
                               [](const Named& named, auto& out) { combine(named, Use::ah, out); });
}

}  // namespace oakgate::conf::swan
