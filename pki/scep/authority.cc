#include "pki/scep/authority.h"

#include <openssl/x509v3.h>

#include <algorithm>

#include "ike/crypto/openssl.h"
#include "pki/path.h"

namespace oakgate::pki::scep {

namespace {

tl::unexpected<Error> refuse(std::string text, std::string expected = {}, std::string remedy = {}) {
  crypto::drop_openssl_errors();
  return fail(ErrorCode::certificate_invalid, std::move(text), std::move(expected), std::move(remedy));
}

bool issued(const Certificate& issuer, const Certificate& subject) {
  const bool yes = X509_check_issued(issuer.native(), subject.native()) == X509_V_OK;
  crypto::drop_openssl_errors();
  return yes;
}

// RFC 8894 section 4.2.1.2: the leaf issues. That is the CA that issued none of the other CAs.
void put_issuer_first(std::vector<Certificate>& cas) {
  std::vector<Certificate> first;
  std::vector<Certificate> self_signed;
  std::vector<Certificate> rest;
  for (const Certificate& ca : cas) {
    const bool issues_another = std::any_of(cas.begin(), cas.end(), [&ca](const Certificate& other) {
      return !(other == ca) && issued(ca, other);
    });
    (issues_another ? rest : ca.self_signed() ? self_signed : first).push_back(ca);
  }
  first.insert(first.end(), self_signed.begin(), self_signed.end());
  first.insert(first.end(), rest.begin(), rest.end());
  cas = std::move(first);
}

bool may(const Certificate& certificate, KeyUsageBits bits) {
  const auto usage = certificate.key_usage();
  return !usage || (*usage & bits) != 0;
}

Result<void> check_trusted(const Certificate& certificate, const char* what, const Authority& authority,
                           WallTime now) {
  if (now < certificate.not_before()) {
    return fail(ErrorCode::certificate_not_yet_valid,
                std::string("the certificate of the ") + what + " is not valid before " +
                    time_text(certificate.not_before()) + ": " + certificate.subject_text(),
                "one that is valid now, " + time_text(now), "Set this machine's clock.");
  }
  const auto path = issued_by(certificate, authority.anchors, authority.pool, now);
  if (path) return {};
  if (path.error().code != ErrorCode::certificate_invalid) return fail(path.error());
  return refuse(std::string("the ") + what +
                    " that answers is not of this trustpoint: " + certificate.subject_text() +
                    ", issued by " + certificate.issuer_text() + ": " + path.error().text,
                "a certificate in the trustpoint's `ca` file, or one issued by it",
                "`oakgate pki authenticate` fetches the authority's certificates anew; or the URL is "
                "another authority's.");
}

}  // namespace

Result<AuthorityCertificates> parse_authority(ByteView answer) {
  if (answer.empty())
    return refuse("the answer to GetCACert is empty", "a certificate, or several in PKCS#7");
  auto bundle = parse_bundle(answer);
  if (!bundle) return fail(bundle.error());
  if (bundle->certificates.size() > kMaxAuthorityCertificates) {
    return refuse(
        "the answer to GetCACert holds " + std::to_string(bundle->certificates.size()) + " certificates",
        "at most " + std::to_string(kMaxAuthorityCertificates));
  }
  AuthorityCertificates out;
  for (Certificate& certificate : bundle->certificates) {
    auto& list = certificate.is_ca() ? out.cas : out.ras;
    list.push_back(std::move(certificate));
  }
  if (out.cas.empty()) {
    return refuse("there is no certification authority's certificate in the answer to GetCACert",
                  "a certificate with basicConstraints CA:TRUE, or a self-signed one",
                  "See that `enrollment.url` is the certification authority's.");
  }
  put_issuer_first(out.cas);
  return out;
}

Result<Authority> choose_authority(const AuthorityCertificates& received,
                                   const std::vector<Certificate>& trusted, EnrollmentMode mode,
                                   WallTime now) {
  if (received.cas.empty()) return refuse("there is no certification authority");
  const Certificate& ca = received.cas.front();
  Authority out{ca, ca, {ca}, trusted, received.cas};
  if (const auto good = check_trusted(ca, "certification authority", out, now); !good)
    return fail(good.error());
  if (received.ras.empty()) {
    if (mode == EnrollmentMode::ca) return out;
    return refuse("the server has no certificates of a registration authority",
                  "certificates of an RA in the answer to GetCACert, as `mode: ra` says",
                  "Set `enrollment.mode: ca`.");
  }
  for (const Certificate& ra : received.ras) {
    if (const auto good = check_trusted(ra, "registration authority", out, now); !good)
      return fail(good.error());
    out.signers.push_back(ra);  // keyUsage is no reason to refuse: see above
  }
  const auto encrypts = std::find_if(received.ras.begin(), received.ras.end(), [](const Certificate& ra) {
    return may(ra, KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT);
  });
  out.recipient = encrypts == received.ras.end() ? received.ras.front() : *encrypts;
  return out;
}

Result<std::vector<Certificate>> issued_by(const Certificate& certificate,
                                           const std::vector<Certificate>& anchors,
                                           const std::vector<Certificate>& pool, WallTime now) {
  PathSettings settings;
  settings.anchors = anchors;
  settings.intermediates = pool;
  // An authority's clock may be a little ahead of ours.
  return build_path(certificate, settings, std::max(now, certificate.not_before()));
}

}  // namespace oakgate::pki::scep
