// Stand-ins for certificates, signatures and RSA blocks, in microseconds: a certificate is a line of text
// that holds its own secret key, sealed by the authority's. Worthless as cryptography; but key, hash, method
// and peer are really bound, so what the core does with a wrong one is what it does with a real one.
#pragma once

#include <set>
#include <string>

#include "ike/base/rng.h"
#include "ike/base/secret.h"
#include "ike/config.h"
#include "ike/ports/peer_verifier.h"

namespace oakgate::sim {

inline constexpr std::string_view kAuthority = "CN=sim-ca,O=corp";

// Of the gateway `name` at `address`, whose host name is NAME.example.net; its key in the KeyStore is
// NAME-key.
[[nodiscard]] ike::OwnCertificate fake_certificate(const std::string& name, const std::string& address,
                                                   crypto::KeyKind kind = crypto::KeyKind::rsa);
// With or without a certificate of our own.
[[nodiscard]] ike::TrustpointState fake_trustpoint(std::optional<ike::OwnCertificate> own);

// KeyStore::sign with the key of that name.
[[nodiscard]] Bytes fake_signature(const std::string& key, ByteView hash);
// PeerVerifier::verify against kAuthority; `revoked`: serials.
[[nodiscard]] PeerVerdict fake_verdict(const PeerProof& proof, const std::set<std::string>& revoked);

// The SubjectPublicKeyInfo of the RSA key of that name: well-formed, 512 bits.
[[nodiscard]] Bytes fake_public_key(const std::string& key);
// A block to that key, readable for everybody, and its opening by KeyStore::decrypt's rules.
[[nodiscard]] Bytes fake_block(ByteView spki, ByteView content, Rng& rng);
[[nodiscard]] SecretBytes fake_opened(const std::string& key, ByteView block, std::size_t at_least,
                                      std::size_t at_most);

}  // namespace oakgate::sim
