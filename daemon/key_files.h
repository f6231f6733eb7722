// The configuration with everything it names: private keys and peers' public keys parsed, and judged where it
// takes a reader of keys: broken files, kinds that do not fit, sizes that need a waiver. What conf/ cannot
// know.
#pragma once

#include <map>
#include <string>

#include "conf/load.h"
#include "daemon/key_store.h"

namespace oakgate {

using PublicKeys = std::map<std::string, Bytes, std::less<>>;  // SubjectPublicKeyInfo by name

struct LoadedKeys {
  PreSharedKeys pre_shared;  // by peer
  // By KeyConfig's name, each for the purpose that the configuration has for it. A key that is not there yet
  // is in neither map.
  PrivateKeys private_keys;
  PublicKeys public_keys;  // by the name in `public_keys:`
};

struct LoadedConfiguration {
  // Its key maps are empty: they have become `keys`. With an issue there is no configuration and no key.
  conf::LoadOutcome outcome;
  LoadedKeys keys;
};

// conf::load_config, and its keys.
[[nodiscard]] LoadedConfiguration load_configuration(const std::string& path,
                                                     const conf::Environment& environment);
// The second half of it: `file` names the configuration file in issues.
[[nodiscard]] LoadedConfiguration take_keys(conf::LoadOutcome outcome, const std::string& file);

// The weak words that a peer's `rsa_encr` keys need, ours and the peer's; without doubles.
[[nodiscard]] std::vector<Weak> weak_rsa_keys(const conf::PeerConfig& peer, const LoadedKeys& keys);

}  // namespace oakgate
