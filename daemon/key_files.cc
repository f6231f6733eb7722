#include "daemon/key_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "daemon/text.h"
#include "ike/crypto/public_key.h"

namespace oakgate {

namespace {

// What is done with a private key, as far as the configuration says.
struct Purposes {
  std::set<std::string, std::less<>> signing;
  std::set<std::string, std::less<>> decrypting;
};

Purposes purposes_of(const conf::Config& config) {
  Purposes purposes;
  for (const TrustpointConfig& trustpoint : config.trustpoints) {
    if (trustpoint.own) purposes.signing.insert(trustpoint.own->key.name);
    if (trustpoint.own_encryption) purposes.decrypting.insert(trustpoint.own_encryption->key.name);
  }
  for (const conf::PeerConfig& peer : config.peers) {
    if (peer.rsa_encr) purposes.decrypting.insert(peer.rsa_encr->own_key);
  }
  return purposes;
}

class Judge {
 public:
  explicit Judge(const conf::Config& config) : config_(config) {}

  void report(const std::string& path, const conf::Position& at, std::string message, std::string expected) {
    issues_.push_back(
        {config_.files.at(at.file), at.line, at.column, path, std::move(message), std::move(expected), {}});
  }
  void report(const std::string& path, const Error& error) {
    report(path, conf::position_of(config_, path), error.text, error.expected);
  }
  void parse_private(const std::map<std::string, SecretBytes, std::less<>>& files, PrivateKeys& keys);
  void parse_public(const std::map<std::string, Bytes, std::less<>>& files, PublicKeys& keys);
  void check_purposes(const PrivateKeys& keys);
  void check_trustpoint(const TrustpointConfig& trustpoint, const PrivateKeys& keys);
  void check_certificates(const TrustpointConfig& trustpoint, const PrivateKeys& keys);
  void check_peer(const conf::PeerConfig& peer, const LoadedKeys& keys);
  [[nodiscard]] std::vector<conf::Issue> take() && {
    std::stable_sort(issues_.begin(), issues_.end(), [](const conf::Issue& a, const conf::Issue& b) {
      return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return std::move(issues_);
  }

 private:
  const conf::Config& config_;
  std::vector<conf::Issue> issues_;
};

void Judge::parse_private(const std::map<std::string, SecretBytes, std::less<>>& files, PrivateKeys& keys) {
  const Purposes purposes = purposes_of(config_);
  for (const KeyConfig& config : conf::all_keys(config_)) {
    const auto file = files.find(config.name);
    if (file == files.end()) continue;
    Result<crypto::PrivateKey> key = crypto::PrivateKey::parse(file->second);
    if (!key) {
      Error error = std::move(key.error());
      error.text = fmt::format("{}: {}", printable(config.file, 256), error.text);
      report(conf::key_path(config, config_), error);
      continue;
    }
    const KeyUsage usage = purposes.signing.contains(config.name)      ? KeyUsage::signature
                           : purposes.decrypting.contains(config.name) ? KeyUsage::encryption
                                                                       : config.usage;
    keys.emplace(config.name, StoredKey{std::move(*key), usage});
  }
}

void Judge::parse_public(const std::map<std::string, Bytes, std::less<>>& files, PublicKeys& keys) {
  for (const auto& [name, content] : files) {
    const std::string path = "public_keys." + name;
    Result<Bytes> spki = crypto::parse_public_key(content);
    if (!spki) {
      report(path, spki.error());
      continue;
    }
    const Result<crypto::PublicKeyInfo> info = crypto::public_key_info(*spki);
    if (!info) {
      report(path, info.error());
    } else if (info->kind != crypto::KeyKind::rsa) {
      report(path, conf::position_of(config_, path), "is not an RSA key",
             "the peer's RSA key: nothing else can be encrypted to");
    } else {
      keys.emplace(name, std::move(*spki));
    }
  }
}

// The same key in two files is one key.
void Judge::check_purposes(const PrivateKeys& keys) {
  std::map<Bytes, std::string> signing;
  const auto path_of = [&](const std::string& name) {
    for (const KeyConfig& config : conf::all_keys(config_)) {
      if (config.name == name) return conf::key_path(config, config_);
    }
    return std::string();
  };
  for (const auto& [name, stored] : keys) {
    if (stored.usage == KeyUsage::signature) signing.emplace(stored.key.public_key(), name);
  }
  for (const auto& [name, stored] : keys) {
    if (stored.usage != KeyUsage::encryption) continue;
    const auto other = signing.find(stored.key.public_key());
    if (other == signing.end()) continue;
    const std::string path = path_of(name);
    report(
        path, conf::position_of(config_, path),
        fmt::format("holds the same key as {}, which signs, and this one decrypts", path_of(other->second)),
        "a key for each: one key never does both");
  }
}

std::optional<Weak> weak_key(const crypto::PublicKeyInfo& info) {
  return info.kind == crypto::KeyKind::rsa ? weak_rsa(info.bits) : std::nullopt;
}

void Judge::check_trustpoint(const TrustpointConfig& trustpoint, const PrivateKeys& keys) {
  for (const auto* own : {&trustpoint.own, &trustpoint.own_encryption}) {
    const auto key = *own ? keys.find((*own)->key.name) : keys.end();
    if (key == keys.end()) continue;
    const std::optional<Weak> weak = weak_key(key->second.key.info());
    if (!weak || trustpoint.allow_weak.covers(*weak)) continue;
    const std::string path = "trustpoints." + trustpoint.name;
    report(path, conf::position_of(config_, path),
           fmt::format("its key {} has {} bits, which needs `{}`, and there is no waiver for it", key->first,
                       key->second.key.info().bits, weak_word(*weak)),
           fmt::format("`allow_weak: {{algorithms: [{}]}}` in this trustpoint, or a longer key",
                       weak_word(*weak)));
  }
}

// In a store that is thrown away: it alone knows what a broken file is.
void Judge::check_certificates(const TrustpointConfig& trustpoint, const PrivateKeys& keys) {
  pki::TrustStore store{std::filesystem::path()};
  for (const Error& error : store.replace({trustpoint}, public_keys_of(keys))) {
    report("trustpoints." + trustpoint.name, error);
  }
}

void Judge::check_peer(const conf::PeerConfig& peer, const LoadedKeys& keys) {
  if (!peer.rsa_encr) return;
  const std::string path = "peers." + peer.name + ".rsa_encr";
  const auto own = keys.private_keys.find(peer.rsa_encr->own_key);
  if (own != keys.private_keys.end() && own->second.key.info().kind != crypto::KeyKind::rsa) {
    report(path + ".own_key", peer.rsa_encr->position, fmt::format("{} is not an RSA key", own->first),
           "an RSA key: nothing else decrypts");
  }
  for (const Weak weak : weak_rsa_keys(peer, keys)) {
    if (peer.allow_weak && peer.allow_weak->covers(weak)) continue;
    report(path, peer.rsa_encr->position,
           fmt::format("a key of it, ours or the peer's, needs `{}`, and the peer has no waiver for it",
                       weak_word(weak)),
           fmt::format("`{}` in the peer's allow_weak, or longer keys", weak_word(weak)));
  }
}

}  // namespace

pki::PublicKeyOf public_keys_of(const PrivateKeys& keys) {
  return [&keys](const KeyConfig& config) -> Result<Bytes> {
    const auto found = keys.find(config.name);
    if (found != keys.end()) return found->second.key.public_key();
    return fail(ErrorCode::no_public_key, fmt::format("there is no key in {} yet", config.file),
                "a private key", "`oakgate pki generate-key` makes it");
  };
}

std::vector<Weak> weak_rsa_keys(const conf::PeerConfig& peer, const LoadedKeys& keys) {
  std::set<Weak> words;
  if (!peer.rsa_encr) return {};
  const auto own = keys.private_keys.find(peer.rsa_encr->own_key);
  if (own != keys.private_keys.end()) {
    if (const auto weak = weak_key(own->second.key.info())) words.insert(*weak);
  }
  for (const std::string& name : peer.rsa_encr->peer_keys) {
    const auto key = keys.public_keys.find(name);
    if (key == keys.public_keys.end()) continue;
    const Result<crypto::PublicKeyInfo> info = crypto::public_key_info(key->second);
    if (!info) continue;
    if (const auto weak = weak_key(*info)) words.insert(*weak);
  }
  return {words.begin(), words.end()};
}

LoadedConfiguration take_keys(conf::LoadOutcome outcome) {
  LoadedConfiguration loaded;
  LoadedKeys keys;
  if (outcome.config) {
    const conf::Config& config = *outcome.config;
    Judge judge(config);
    keys.pre_shared = std::move(outcome.pre_shared_keys);
    judge.parse_private(outcome.private_keys, keys.private_keys);
    judge.parse_public(outcome.public_keys, keys.public_keys);
    judge.check_purposes(keys.private_keys);
    for (const TrustpointConfig& trustpoint : config.trustpoints) {
      judge.check_trustpoint(trustpoint, keys.private_keys);
      judge.check_certificates(trustpoint, keys.private_keys);
    }
    for (const conf::PeerConfig& peer : config.peers) judge.check_peer(peer, keys);
    outcome.issues = std::move(judge).take();
    if (outcome.issues.empty()) {
      loaded.keys = std::move(keys);
    } else {
      outcome.config.reset();
    }
  }
  outcome.pre_shared_keys.clear();
  outcome.private_keys.clear();
  outcome.public_keys.clear();
  loaded.outcome = std::move(outcome);
  return loaded;
}

LoadedConfiguration load_configuration(const std::string& path, const conf::Environment& environment) {
  return take_keys(conf::load_config(path, environment));
}

}  // namespace oakgate
