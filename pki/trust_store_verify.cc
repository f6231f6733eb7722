// The verdict on a peer, in this order: whose signature it is, its path, usages and strength, its identity,
// and only then revocation: nothing is asked for on behalf of a certificate that does not chain to a CA of
// the trustpoint.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ike/crypto/public_key.h"
#include "pki/identity.h"
#include "pki/login.h"
#include "pki/revocation.h"
#include "pki/revocation_sources.h"
#include "pki/trust_store_parts.h"

namespace oakgate::pki {
namespace {

// CERT encodings, RFC 2408 section 3.9.
constexpr std::uint8_t kEncodingPkcs7 = 1;
constexpr std::uint8_t kEncodingX509Signature = 4;
constexpr std::uint8_t kEncodingX509KeyExchange = 5;
constexpr std::uint8_t kEncodingCrl = 7;

// What came in CERT payloads. `error`: the first that was not usable.
struct Received {
  std::vector<Certificate> certificates;
  std::vector<Bytes> crls;
  std::optional<Error> error;
};

Result<void> add_bundle(Received& out, Result<Bundle> bundle) {
  if (!bundle) return tl::unexpected(bundle.error());
  for (Certificate& certificate : bundle->certificates) out.certificates.push_back(std::move(certificate));
  for (Bytes& crl : bundle->crls) out.crls.push_back(std::move(crl));
  return {};
}

Result<void> add_blob(Received& out, const CertificateBlob& blob) {
  switch (blob.encoding) {
    case kEncodingPkcs7:
      return add_bundle(out, parse_pkcs7(blob.data));
    case kEncodingX509Signature:
    case kEncodingX509KeyExchange: {
      auto certificate = Certificate::parse(blob.data);
      if (!certificate) return tl::unexpected(certificate.error());
      out.certificates.push_back(std::move(*certificate));
      return {};
    }
    case kEncodingCrl:
      out.crls.push_back(blob.data);
      return {};
    default:
      return {};  // of a kind nobody here reads: as if it had not come
  }
}

Received read_payloads(const std::vector<CertificateBlob>& blobs) {
  Received out;
  for (const CertificateBlob& blob : blobs) {
    if (auto added = add_blob(out, blob); !added && !out.error) out.error = added.error();
    if (out.certificates.size() > kMaxBundleCertificates || out.crls.size() > kMaxBundleCertificates) {
      out.certificates.clear();
      out.crls.clear();
      out.error = Error{ErrorCode::certificate_invalid,
                        fmt::format("more than {} certificates at once", kMaxBundleCertificates),
                        "the certificates of one chain",
                        {},
                        {}};
      return out;
    }
  }
  return out;
}

Error of_peer(const PeerProof& proof, Error error) {
  error.text = fmt::format("peer {}: {}", printable(proof.peer), error.text);
  return error;
}

struct Leaf {
  std::optional<Certificate> certificate;
  Error error;
};

// The certificate whose key made the signature.
Leaf find_leaf(const PeerProof& proof, const Received& received, const std::optional<Certificate>& known) {
  std::vector<Certificate> candidates = received.certificates;
  if (candidates.empty() && known) candidates.push_back(*known);
  std::optional<Error> unusable;
  for (const Certificate& candidate : candidates) {
    const Bytes key = candidate.public_key();
    if (crypto::verify_signature(key, proof.method, proof.hash, proof.signature)) return {candidate, {}};
    if (auto info = crypto::public_key_info(key); !info && !unusable) unusable = info.error();
  }
  if (received.error) return {{}, *received.error};
  if (candidates.empty()) {
    return {{},
            {ErrorCode::no_certificate,
             "no certificate came, and none is known of " + printable(proof.claimed.to_string()),
             "a CERT payload with the peer's certificate",
             "See whether the peer has a certificate of this trustpoint's CA, and whether it sends it.",
             {}}};
  }
  if (unusable && candidates.size() == 1) {
    unusable->text = fmt::format("the key of \"{}\": {}", candidates.front().subject_text(), unusable->text);
    return {{}, *unusable};
  }
  return {{},
          {ErrorCode::signature_invalid,
           fmt::format("the signature is not by the key of {}",
                       candidates.size() == 1
                           ? '"' + candidates.front().subject_text() + '"'
                           : fmt::format("any of the {} certificates that came", candidates.size())),
           "a signature over HASH_I or HASH_R by the key of the peer's certificate",
           "See whether the peer's key is the one its certificate was issued for.",
           {}}};
}

// Steps that need no revocation information. `check_use`: whether the leaf may be used for what it is shown
// for. The path, or why there is none.
template <typename CheckUse>
Result<std::vector<Certificate>> check_chain_for(const Trustpoint& trustpoint, const Certificate& leaf,
                                                 const PathSettings& settings, WallTime now,
                                                 CheckUse check_use) {
  if (!trustpoint.ca_missing.empty()) {
    return fail(ErrorCode::no_certificate,
                fmt::format("trustpoint {}: {}", trustpoint.config.name, trustpoint.ca_missing));
  }
  auto path = build_path(leaf, settings, now);
  if (!path) return path;
  if (Result<void> good = check_use(); !good) return tl::unexpected(good.error());
  if (auto good = check_strength(*path, settings.allow_weak, now); !good) return tl::unexpected(good.error());
  return path;
}

Result<std::vector<Certificate>> check_chain(const Trustpoint& trustpoint, const Certificate& leaf,
                                             const PathSettings& settings, WallTime now) {
  return check_chain_for(trustpoint, leaf, settings, now,
                         [&] { return check_usage(leaf, trustpoint.config.extended_key_usage); });
}

VerifiedPeer describe(const Identity& claimed, const std::vector<Certificate>& path) {
  const Certificate& leaf = path.front();
  VerifiedPeer out{claimed, leaf.subject_text(), leaf.issuer_text(), leaf.serial(), leaf.not_after(), {}};
  for (const Certificate& certificate : path) out.chain.push_back(certificate.der());
  return out;
}

// One verdict under way.
struct Inquiry {
  const Trustpoint& trustpoint;
  const std::vector<Certificate>& path;
  const PathSettings& settings;
  WallTime now;
};

// `doubted`: responders of OCSP answers, whose own revocation has to be known.
std::vector<RevocationSource> sources_of(const Inquiry& inquiry, const std::vector<Certificate>& doubted) {
  std::vector<Certificate> certificates = inquiry.path;
  certificates.insert(certificates.end(), doubted.begin(), doubted.end());
  auto out = crl_sources(inquiry.trustpoint.config, certificates);
  auto responders = ocsp_sources(inquiry.trustpoint.config, inquiry.path);
  out.insert(out.end(), std::make_move_iterator(responders.begin()),
             std::make_move_iterator(responders.end()));
  const auto scep = inquiry.trustpoint.scep_source();
  const auto helps = [&inquiry](const Certificate& one) {
    return inquiry.trustpoint.scep_knows_issuer_of(one);
  };
  if (scep && std::any_of(inquiry.path.begin(), inquiry.path.end() - 1, helps)) out.push_back(*scep);
  return out;
}

// CRLs that came in CERT payloads; what is wrong with them is no reason to refuse the peer.
std::vector<Crl> keep_sent_crls(CrlCache& cache, const Received& received, const Inquiry& inquiry) {
  std::vector<Crl> out;
  for (const Bytes& der : received.crls) {
    const auto crl = Crl::parse(der);
    if (!crl) continue;
    out.push_back(*crl);
    for (const Certificate& signer : inquiry.path) {
      if (!crl->current(inquiry.now) || !crl->signed_by(signer)) continue;
      const RevocationSource by_peer{
          RevocationSource::Kind::crl, {}, false, {}, inquiry.trustpoint.config.name};
      cache.put({*crl, signer.public_key(), by_peer, false});
      break;
    }
  }
  return out;
}

// What the sources answered when they were asked: better than "there is no CRL".
Error explain(const TrustStoreParts& parts, Error error, const std::vector<RevocationSource>& sources) {
  std::string failures;
  for (const RevocationSource& source : sources) {
    const auto failure = parts.failure_of(source);
    if (!failure) continue;
    if (failure->code == ErrorCode::crl_invalid && error.code == ErrorCode::crl_unavailable) {
      error.code = failure->code;
      error.expected = failure->expected;
      error.remedy = failure->remedy;
    }
    failures += fmt::format("; {}: {}", printable(source.url), failure->text);
  }
  error.text += failures;
  return error;
}

RevocationFinding look_for_revocation(TrustStoreParts& parts, const Inquiry& inquiry,
                                      const std::vector<Crl>& sent) {
  RevocationInput input{inquiry.path, inquiry.settings, parts.crls_for(inquiry.trustpoint, inquiry.path), {}};
  input.crls.insert(input.crls.end(), sent.begin(), sent.end());
  input.ocsp = [&parts, &inquiry](const Certificate& subject,
                                  const Certificate& issuer) -> std::optional<OcspStatus> {
    auto status = parts.ocsp_answer(subject, issuer, inquiry.now);
    if (!status) return std::nullopt;
    for (const std::string& digest : status->signature_digests) {
      // As if it had not come: weak signatures need the trustpoint's waiver here too.
      if (!check_digest(digest, "an OCSP answer", inquiry.settings.allow_weak, inquiry.now))
        return std::nullopt;
    }
    return status;
  };
  return check_revocation(input, inquiry.now);
}

void remember_questions(TrustStoreParts& parts, const Inquiry& inquiry) {
  for (std::size_t index = 0; index + 1 < inquiry.path.size(); ++index) {
    const auto request = ocsp_request(inquiry.path[index], inquiry.path[index + 1]);
    if (request) parts.ask_ocsp(*request, inquiry.path[index], inquiry.path[index + 1]);
  }
}

// The error that stands, if any; `missing` is filled if asking somebody may change it.
std::optional<Error> check_revocation_of(TrustStoreParts& parts, const Inquiry& inquiry,
                                         const Received& received, bool last,
                                         std::vector<RevocationSource>& missing) {
  const RevocationCheck mode = inquiry.trustpoint.config.revocation;
  if (mode == RevocationCheck::none) return std::nullopt;
  const auto sent = keep_sent_crls(parts.cache, received, inquiry);
  const RevocationFinding finding = look_for_revocation(parts, inquiry, sent);
  if (finding.revoked) return finding.revoked;
  if (!finding.unknown) return std::nullopt;
  const auto sources = sources_of(inquiry, finding.responders);
  if (!last && !sources.empty()) {
    remember_questions(parts, inquiry);
    missing = sources;
    return finding.unknown;
  }
  if (finding.was_revoked) return finding.was_revoked;
  if (mode == RevocationCheck::crl_optional) return std::nullopt;
  return explain(parts, *finding.unknown, sources);
}

}  // namespace

Verification TrustStore::verify(const PeerProof& proof, WallTime now, bool last) const {
  Verification out;
  const auto refuse = [&out, &proof](Error error) {
    out.verdict.peer = fail(of_peer(proof, std::move(error)));
    return out;
  };
  const auto trustpoints = parts_->trustpoints();
  const auto found = trustpoints->find(proof.trustpoint);
  if (found == trustpoints->end()) {
    return refuse(
        {ErrorCode::not_found, "there is no trustpoint " + printable(proof.trustpoint), {}, {}, {}});
  }
  const Trustpoint& trustpoint = found->second;
  const Received received = read_payloads(proof.certificates);
  const Leaf leaf = find_leaf(proof, received, parts_->learned_leaf(proof.trustpoint, proof.claimed));
  if (!leaf.certificate) return refuse(leaf.error);
  out.verdict.signature_good = true;

  std::vector<Certificate> helpful = received.certificates;
  for (Certificate& learned : parts_->learned_intermediates(proof.trustpoint))
    helpful.push_back(std::move(learned));
  const PathSettings settings = trustpoint.path_settings(helpful);
  const auto path = check_chain(trustpoint, *leaf.certificate, settings, now);
  if (!path) return refuse(path.error());
  if (auto same = check_identity(proof, *leaf.certificate); !same) return refuse(same.error());
  parts_->learn(proof.trustpoint, proof.claimed, *path);
  const Inquiry inquiry{trustpoint, *path, settings, now};
  if (auto error = check_revocation_of(*parts_, inquiry, received, last, out.missing)) return refuse(*error);
  out.verdict.peer = describe(proof.claimed, *path);
  return out;
}

LoginVerification TrustStore::verify_login(const LoginProof& proof, WallTime now, bool last) const {
  LoginVerification out;
  const auto trustpoints = parts_->trustpoints();
  const auto found = trustpoints->find(proof.trustpoint);
  if (found == trustpoints->end()) {
    out.certificate = fail(ErrorCode::not_found, "there is no trustpoint " + printable(proof.trustpoint));
    return out;
  }
  Received received;
  for (const Bytes& der : proof.certificates) {
    auto certificate = Certificate::parse(der);
    if (certificate) {
      received.certificates.push_back(std::move(*certificate));
    } else if (received.certificates.empty()) {
      out.certificate = fail(std::move(certificate.error()));
      return out;
    }
  }
  if (received.certificates.empty()) {
    out.certificate = fail(ErrorCode::no_certificate, "there is no certificate");
    return out;
  }
  const Trustpoint& trustpoint = found->second;
  const Certificate& leaf = received.certificates.front();
  const PathSettings settings = trustpoint.path_settings(received.certificates);
  const auto path =
      check_chain_for(trustpoint, leaf, settings, now, [&] { return check_login_usage(leaf, proof.usage); });
  if (!path) {
    out.certificate = fail(path.error());
    return out;
  }
  const Identity subject{IdentityKind::dn, {}, leaf.subject_text(), leaf.subject()};
  parts_->learn(proof.trustpoint, subject, *path);
  const Inquiry inquiry{trustpoint, *path, settings, now};
  if (auto error = check_revocation_of(*parts_, inquiry, received, last, out.missing)) {
    out.certificate = fail(std::move(*error));
    return out;
  }
  out.certificate = describe(Identity{}, *path);
  return out;
}

Result<void> TrustStore::recheck(const std::vector<Bytes>& chain, const std::string& trustpoint,
                                 WallTime now) const {
  const auto trustpoints = parts_->trustpoints();
  const auto found = trustpoints->find(trustpoint);
  if (found == trustpoints->end())
    return fail(ErrorCode::not_found, "there is no trustpoint " + printable(trustpoint));
  std::vector<Certificate> certificates;
  for (const Bytes& der : chain) {
    auto certificate = Certificate::parse(der);
    if (!certificate) return tl::unexpected(certificate.error());
    certificates.push_back(std::move(*certificate));
  }
  if (certificates.empty()) return fail(ErrorCode::no_certificate, "no certificate is known of the peer");
  const PathSettings settings = found->second.path_settings(certificates);
  const auto path = check_chain(found->second, certificates.front(), settings, now);
  if (!path) return tl::unexpected(path.error());
  if (found->second.config.revocation == RevocationCheck::none) return {};
  const RevocationFinding finding = look_for_revocation(*parts_, {found->second, *path, settings, now}, {});
  if (finding.revoked) return fail(*finding.revoked);
  if (finding.was_revoked) return fail(*finding.was_revoked);
  return {};
}

}  // namespace oakgate::pki
