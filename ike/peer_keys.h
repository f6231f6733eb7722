// Which RSA keys an exchange of encrypted nonces is about: the one of ours that a peer encrypted with, where
// HASH(1) names it, and the one that our answer goes to: what is configured, and, where several may be meant,
// the one that the decrypted identity names. RFC 2409 section 5.2.
#pragma once

#include "ike/core.h"
#include "ike/wire/payloads.h"

namespace oakgate::ike {

// What this peer and we encrypt with. ErrorCode::no_public_key in the words of an operator if something is
// missing.
[[nodiscard]] Result<const RsaEncryption*> rsa_encryption_of(const Peer& peer);

// The waiver words that these keys need.
[[nodiscard]] std::vector<Weak> weak_things(const RsaEncryption& keys);

// Responder, before anything is decrypted: `named` is the hash of one of our public keys or its certificate,
// which the initiator encrypted with. The SA becomes that of a peer that may call from `source` with this
// policy and uses the key; else nothing changes, and the key of the SA's own peer decrypts, or does not: an
// unknown hash shows at HASH_I as a wrong key does. Takes no longer for a miss than for a hit.
[[nodiscard]] Result<void> choose_own_key(Core& core, IkeSa& sa, const IpAddress& source, ByteView named);

// Responder: the SubjectPublicKeyInfo to answer to. The keys of all peers that may call from `source` with
// this policy are one candidate set. If it holds one key, that is it. Else the key of the name that `id`
// holds, or of the peer that must prove to be that; the SA becomes that peer's. `id` may be anything: a miss
// gets a key of the usual size that nobody can decrypt with, and shows at HASH.
[[nodiscard]] Result<Bytes> choose_peer_key(Core& core, IkeSa& sa, const IpAddress& source,
                                            const wire::IdPayload& id);

}  // namespace oakgate::ike
