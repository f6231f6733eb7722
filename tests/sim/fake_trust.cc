#include "tests/sim/fake_trust.h"

#include <algorithm>
#include <vector>

#include "ike/crypto/distinguished_name.h"
#include "ike/crypto/prf.h"
#include "ike/crypto/public_key.h"
#include "ike/identities.h"

namespace oakgate::sim {

namespace {

constexpr std::string_view kAuthorityKey = "authority";
constexpr std::size_t kFakeKeyBits = 512;
constexpr std::size_t kOwnerBytes = 8;

struct Content {
  std::string subject, host, address, key;
};

std::string seal(std::string_view text) {
  return to_hex(crypto::prf(IkeHash::sha256, as_bytes(kAuthorityKey), {as_bytes(text)})->view());
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == '|') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Error error(ErrorCode code, std::string text) {
  return {code, std::move(text), "a certificate of the trustpoint", {}, {}};
}

}  // namespace

ike::OwnCertificate fake_certificate(const std::string& name, const std::string& address,
                                     crypto::KeyKind kind) {
  const std::string host = name + ".example.net";
  const std::string body = "CN=" + name + ",O=corp|" + host + "|" + address + "|" + name + "-key";
  ike::OwnCertificate own;
  own.certificate = to_bytes(as_bytes(body + "|" + seal(body)));
  own.key = name + "-key";
  own.algorithm = kind;
  own.subject = *crypto::name_from_text("CN=" + name + ",O=corp");
  own.addresses = {*IpAddress::parse(address)};
  own.host_names = {host};
  return own;
}

ike::TrustpointState fake_trustpoint(std::optional<ike::OwnCertificate> own) {
  return {"corp", {*crypto::name_from_text(kAuthority)}, std::move(own), "nothing was enrolled"};
}

Bytes fake_signature(const std::string& key, ByteView hash) {
  return to_bytes(crypto::prf(IkeHash::sha256, as_bytes(key), {hash})->view());
}

PeerVerdict fake_verdict(const PeerProof& proof, const std::set<std::string>& revoked) {
  PeerVerdict verdict;
  const auto leaf = std::find_if(proof.certificates.begin(), proof.certificates.end(),
                                 [](const CertificateBlob& blob) { return blob.encoding == 4; });
  if (leaf == proof.certificates.end()) {
    verdict.peer = fail(error(ErrorCode::no_certificate, "the peer sent no certificate"));
    return verdict;
  }
  const std::string text(leaf->data.begin(), leaf->data.end());
  const std::size_t sealed = text.rfind('|');
  const auto parts = split(text);
  if (parts.size() != 5 || fake_signature(parts[3], proof.hash) != proof.signature) {
    verdict.peer = fail(error(ErrorCode::signature_invalid, "the peer's signature does not verify"));
    return verdict;
  }
  verdict.signature_good = true;
  const Content content{parts[0], parts[1], parts[2], parts[3]};
  const bool proves = proof.claimed.kind == IdentityKind::address
                          ? proof.claimed.address.to_string() == content.address
                      : proof.claimed.kind == IdentityKind::dn ? proof.claimed.text == content.subject
                                                               : proof.claimed.text == content.host;
  if (seal(text.substr(0, sealed)) != parts[4]) {
    verdict.peer = fail(error(ErrorCode::certificate_invalid, "the certificate does not chain"));
  } else if (revoked.contains(content.key)) {
    verdict.peer = fail(error(ErrorCode::certificate_revoked, "the certificate is revoked"));
  } else if (!proves || !ike::identity_fits(proof.wanted, proof.claimed, proof.source, proof.behind_nat)) {
    verdict.peer = fail(error(ErrorCode::identity_mismatch, "the certificate is another's"));
  } else {
    verdict.peer = VerifiedPeer{proof.claimed, content.subject, std::string(kAuthority),
                                content.key,   WallTime{},      {leaf->data}};
  }
  return verdict;
}

Bytes fake_public_key(const std::string& key) {
  return *crypto::decoy_public_key(kFakeKeyBits, *crypto::hash(IkeHash::sha512, {as_bytes(key)}));
}

// Whose it is, how long the content is, the content, and something to make each block another.
Bytes fake_block(ByteView spki, ByteView content, Rng& rng) {
  Bytes block(kFakeKeyBits / 8);
  rng.fill(block);
  const Bytes whose = *crypto::hash(IkeHash::sha256, {spki});
  std::copy_n(whose.begin(), kOwnerBytes, block.begin());
  block[kOwnerBytes] = static_cast<std::uint8_t>(content.size());
  std::copy(content.begin(), content.end(), block.begin() + kOwnerBytes + 1);
  return block;
}

SecretBytes fake_opened(const std::string& key, ByteView block, std::size_t at_least, std::size_t at_most) {
  const Bytes whose = *crypto::hash(IkeHash::sha256, {fake_public_key(key)});
  if (block.size() == kFakeKeyBits / 8 &&
      std::equal(block.begin(), block.begin() + kOwnerBytes, whose.begin())) {
    const std::size_t size = block[kOwnerBytes];
    if (size >= at_least && size <= std::min(at_most, block.size() - kOwnerBytes - 1)) {
      return SecretBytes(block.subspan(kOwnerBytes + 1, size));
    }
  }
  return crypto::prf(IkeHash::sha256, as_bytes(key), {block})->slice(0, std::max<std::size_t>(at_least, 20));
}

}  // namespace oakgate::sim
