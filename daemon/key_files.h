// The configuration with everything it names: private keys and peers' public keys parsed, and judged where it
// takes a reader of keys: broken files, kinds that do not fit, sizes that need a waiver. What conf/ cannot
// know.
#pragma once

#include <map>
#include <string>

#include "conf/load.h"
#include "daemon/key_store.h"
#include "pki/trust_store.h"

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

// conf::load_config, and its keys; the trustpoints' certificates and lists are looked at, not kept.
[[nodiscard]] LoadedConfiguration load_configuration(const std::string& path,
                                                     const conf::Environment& environment);
// The second half of it.
[[nodiscard]] LoadedConfiguration take_keys(conf::LoadOutcome outcome);

// Answers for the keys in `keys`, which outlives it.
[[nodiscard]] pki::PublicKeyOf public_keys_of(const PrivateKeys& keys);

// The weak words that a peer's `rsa_encr` keys need, ours and the peer's; without doubles.
[[nodiscard]] std::vector<Weak> weak_rsa_keys(const conf::PeerConfig& peer, const LoadedKeys& keys);

}  // namespace oakgate
