#include "ike/peer_keys.h"

#include <algorithm>
#include <set>

#include "ike/crypto/prf.h"
#include "ike/crypto/public_key.h"
#include "ike/identities.h"
#include "ike/sa_book.h"

namespace oakgate::ike {

namespace {

struct Candidate {
  Peer* peer = nullptr;
  const PublicKey* key = nullptr;
};

bool same_choice(const IsakmpPolicy& a, const IsakmpPolicy& b) {
  return a.encryption == b.encryption && a.hash == b.hash && a.group == b.group &&
         a.authentication == b.authentication;
}

bool may_call(const Peer& peer, const IpAddress& source, const IsakmpPolicy& policy) {
  return std::any_of(peer.called_from.begin(), peer.called_from.end(),
                     [&](const Subnet& subnet) { return subnet.contains(source); }) &&
         std::any_of(peer.config.policies.begin(), peer.config.policies.end(),
                     [&](const IsakmpPolicy& own) { return same_choice(own, policy); });
}

// The peers whose SA it may be before it is proved, all with keys: the SA's own first.
std::vector<Peer*> callers(Core& core, const IkeSa& sa, const IpAddress& source) {
  Peer* first = core.find_peer(sa.peer);
  std::vector<Peer*> found{first};
  for (const std::string& name : core.state().peer_order) {
    Peer* peer = core.find_peer(name);
    if (peer == first || !rsa_encryption_of(*peer) || !may_call(*peer, source, *sa.policy)) continue;
    if (!peer->config.needs_waiver.empty() && peer->config.waiver.expired(core.now().wall)) continue;
    found.push_back(peer);
  }
  return found;
}

// They have to be reached with the same key of ours, which has decrypted.
std::vector<Candidate> candidates_for(Core& core, const IkeSa& sa, const IpAddress& source) {
  std::vector<Candidate> found;
  const std::string& own_key = core.find_peer(sa.peer)->config.rsa_encryption->own_key;
  for (Peer* peer : callers(core, sa, source)) {
    const RsaEncryption& keys = *peer->config.rsa_encryption;
    if (keys.own_key != own_key) continue;
    for (const PublicKey& key : keys.peer_keys) found.push_back({peer, &key});
  }
  return found;
}

// What HASH(1) may be the hash of: RFC 2409 section 5.2 has a certificate; a peer that knows none has the
// public key.
std::vector<ByteView> forms_of_own_key(const EngineState& state, const RsaEncryption& keys) {
  std::vector<ByteView> forms{keys.own_spki};
  for (const auto& [name, trustpoint] : state.trustpoints) {
    const auto& certified = trustpoint.own_encryption;
    if (certified && certified->key == keys.own_key) forms.emplace_back(certified->certificate);
  }
  return forms;
}

// IOS names a peer's key by its host name or its address.
bool names(const PublicKey& key, const Identity& identity) {
  return key.name == (identity.kind == IdentityKind::address ? identity.address.to_string() : identity.text);
}

}  // namespace

Result<const RsaEncryption*> rsa_encryption_of(const Peer& peer) {
  const auto& keys = peer.config.rsa_encryption;
  if (!keys || keys->peer_keys.empty()) {
    return fail(ErrorCode::no_public_key, "no RSA keys with " + peer.config.name,
                "the peer's public key in rsa_encr",
                "add the peer's key to public_keys and name it in the peer's rsa_encr");
  }
  if (keys->own_spki.empty()) {
    return fail(ErrorCode::no_public_key,
                "no RSA key of ours with " + peer.config.name + ": " + keys->own_key + " is not there yet",
                "the private key that own_key names", "`oakgate pki generate-key` or `oakgate pki import`");
  }
  return &*keys;
}

std::vector<Weak> weak_things(const RsaEncryption& keys) {
  std::vector<Weak> found;
  const auto look_at = [&found](const Bytes& spki) {
    const auto key = crypto::public_key_info(spki);
    const auto weak = key ? weak_rsa(key->bits) : std::nullopt;
    if (weak && std::find(found.begin(), found.end(), *weak) == found.end()) found.push_back(*weak);
  };
  look_at(keys.own_spki);
  for (const PublicKey& key : keys.peer_keys) look_at(key.spki);
  return found;
}

Result<void> choose_own_key(Core& core, IkeSa& sa, const IpAddress& source, ByteView named) {
  std::set<std::string_view> seen;
  const Peer* chosen = nullptr;
  for (const Peer* peer : callers(core, sa, source)) {
    const RsaEncryption& keys = *peer->config.rsa_encryption;
    if (!seen.insert(keys.own_key).second) continue;
    for (const ByteView form : forms_of_own_key(core.state(), keys)) {
      const auto hash = crypto::hash(sa.policy->hash, {form});
      if (!hash) return fail(hash.error());
      if (chosen == nullptr && equal_constant_time(*hash, named)) chosen = peer;
    }
  }
  if (chosen != nullptr && chosen->config.name != sa.peer) move_to_peer(core, sa, chosen->config.name);
  return {};
}

Result<Bytes> choose_peer_key(Core& core, IkeSa& sa, const IpAddress& source, const wire::IdPayload& id) {
  const std::vector<Candidate> candidates = candidates_for(core, sa, source);
  if (candidates.size() == 1) return candidates.front().key->spki;
  const auto usual = crypto::public_key_info(candidates.front().key->spki);
  if (!usual) return fail(usual.error());
  // Made whether it is needed or not: a miss takes no longer than a hit.
  auto decoy = crypto::decoy_public_key(usual->bits, core.random(usual->block_bytes));
  const auto identity = parse_phase1_id(id);
  if (!decoy || !identity) return decoy;
  const auto find = [&](auto&& matches) {
    const auto found = std::find_if(candidates.begin(), candidates.end(), matches);
    return found == candidates.end() ? nullptr : &*found;
  };
  const Candidate* chosen = find([&](const Candidate& one) { return names(*one.key, *identity); });
  if (chosen == nullptr) {
    chosen = find([&](const Candidate& one) {
      return identity_fits(one.peer->config.remote_identity, *identity, source, false);
    });
  }
  if (chosen == nullptr) return decoy;
  Bytes spki = chosen->key->spki;
  if (chosen->peer->config.name != sa.peer) move_to_peer(core, sa, chosen->peer->config.name);
  return spki;
}

}  // namespace oakgate::ike
