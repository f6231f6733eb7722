#include "pki/path.h"

#include <fmt/format.h>
#include <openssl/objects.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace oakgate::pki {
namespace {

using crypto::drop_openssl_errors;
using CertificateStack = crypto::Owned<STACK_OF(X509), [](STACK_OF(X509) * stack) { sk_X509_free(stack); }>;
using Parameters = crypto::Owned<X509_VERIFY_PARAM, X509_VERIFY_PARAM_free>;
using Object = crypto::Owned<ASN1_OBJECT, ASN1_OBJECT_free>;

// What OpenSSL finds wrong, in our words, about the certificate at which it stopped.
struct Verdict {
  int openssl;
  ErrorCode code;
  std::string_view text;
  std::string_view expected;
};
constexpr std::array kVerdicts = std::to_array<Verdict>({
    {X509_V_ERR_CERT_SIGNATURE_FAILURE,
     ErrorCode::certificate_invalid,
     "its signature is not its issuer's",
     {}},
    {X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY,
     ErrorCode::certificate_invalid,
     "its issuer's key is unreadable",
     {}},
    {X509_V_ERR_INVALID_CA, ErrorCode::certificate_invalid,
     "it is not a CA's, and yet it issued a certificate",
     "basicConstraints with CA:TRUE, and keyCertSign if there is a keyUsage"},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED,
     ErrorCode::certificate_invalid,
     "more CAs below it than its path length allows",
     {}},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, ErrorCode::certificate_invalid, "its key may not sign certificates",
     "keyUsage with keyCertSign"},
    {X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, ErrorCode::certificate_invalid,
     "a critical extension that nobody here knows", "RFC 5280 section 4.2"},
    {X509_V_ERR_PERMITTED_VIOLATION, ErrorCode::certificate_invalid, "a name outside what its CA may certify",
     "name constraints, RFC 5280 section 4.2.1.10"},
    {X509_V_ERR_EXCLUDED_VIOLATION, ErrorCode::certificate_invalid, "a name its CA may not certify",
     "name constraints, RFC 5280 section 4.2.1.10"},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, ErrorCode::certificate_invalid,
     "too many CAs between it and the trustpoint", "at most ten"},
    {X509_V_ERR_INVALID_EXTENSION, ErrorCode::certificate_invalid, "an extension that is broken", {}},
    {X509_V_ERR_NO_EXPLICIT_POLICY,
     ErrorCode::certificate_invalid,
     "no certificate policy that is allowed",
     {}},
});

constexpr std::array kNoIssuer = {
    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
    X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT};

std::string text_of(const X509* certificate) {
  if (certificate == nullptr) return "a certificate";
  const auto parsed = Certificate::from_native(const_cast<X509*>(certificate));
  return parsed ? '"' + parsed->subject_text() + '"' : std::string("a certificate");
}

std::string issuer_of(const X509* certificate) {
  if (certificate == nullptr) return "nobody";
  const auto parsed = Certificate::from_native(const_cast<X509*>(certificate));
  return parsed ? '"' + parsed->issuer_text() + '"' : std::string("nobody");
}

// Why a certificate whose subject is the issuer's name was passed over; X509_V_OK: there is none such.
int refused_issuer(const X509* certificate, const PathSettings& settings) {
  int reason = X509_V_OK;
  for (const auto* list : {&settings.anchors, &settings.intermediates}) {
    for (const Certificate& candidate : *list) {
      if (X509_NAME_cmp(X509_get_subject_name(candidate.native()), X509_get_issuer_name(certificate)) != 0)
        continue;
      const int issued = X509_check_issued(candidate.native(), const_cast<X509*>(certificate));
      if (issued != X509_V_OK) reason = issued;
    }
  }
  return reason;
}

Error no_issuer(const X509* certificate, const PathSettings& settings) {
  Error error;
  error.code = ErrorCode::certificate_invalid;
  error.text = "a certificate chain could not be constructed: " + text_of(certificate) + " is issued by " +
               issuer_of(certificate);
  switch (certificate == nullptr ? X509_V_OK : refused_issuer(certificate, settings)) {
    case X509_V_ERR_AKID_SKID_MISMATCH:
    case X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH:
      error.text += ", but by another key of it than the one we know";
      error.expected = "the CA certificate with that key";
      error.remedy = "Was the CA renewed? Fetch its certificate again (oakgate pki authenticate).";
      return error;
    default:
      error.text += ", which does not lead to a CA of the trustpoint";
      error.expected = "a certificate of the trustpoint's CA, with the intermediates in between";
      error.remedy = "Add the issuer to `ca:` of the trustpoint, or have the peer send its intermediates.";
      return error;
  }
}

Error path_error(int reason, const X509* certificate, const PathSettings& settings, WallTime now) {
  if (std::find(kNoIssuer.begin(), kNoIssuer.end(), reason) != kNoIssuer.end()) {
    return no_issuer(certificate, settings);
  }
  const std::string subject = text_of(certificate);
  if (reason == X509_V_ERR_CERT_HAS_EXPIRED) {
    const auto end = wall_time(certificate == nullptr ? nullptr : X509_get0_notAfter(certificate));
    return {ErrorCode::certificate_expired,
            fmt::format("the certificate of {} has expired: end date {}, our time {}", subject,
                        end ? time_text(*end) : "unreadable", time_text(now)),
            "a certificate that is valid now",
            "Renew it; or set our clock, if that is what is wrong.",
            {}};
  }
  if (reason == X509_V_ERR_CERT_NOT_YET_VALID) {
    const auto begin = wall_time(certificate == nullptr ? nullptr : X509_get0_notBefore(certificate));
    return {
        ErrorCode::certificate_not_yet_valid,
        fmt::format("the certificate of {} is not yet valid (router time not synched to CA?): start date {}, "
                    "our time {}",
                    subject, begin ? time_text(*begin) : "unreadable", time_text(now)),
        "a certificate that is valid now",
        "Set our clock; or the CA's is ahead.",
        {}};
  }
  const auto* known = std::find_if(kVerdicts.begin(), kVerdicts.end(),
                                   [reason](const Verdict& verdict) { return verdict.openssl == reason; });
  if (known != kVerdicts.end()) {
    return {known->code,
            fmt::format("the certificate of {}: {}", subject, known->text),
            std::string(known->expected),
            "Have the CA issue it anew.",
            {}};
  }
  return {ErrorCode::certificate_invalid,
          fmt::format("the certificate of {}: {}", subject, X509_verify_cert_error_string(reason)),
          {},
          {},
          {}};
}

// A view: the stack owns no reference.
CertificateStack stack_of(const std::vector<Certificate>& certificates) {
  CertificateStack stack(sk_X509_new_null());
  for (const Certificate& certificate : certificates) {
    if (stack == nullptr || sk_X509_push(stack.get(), certificate.native()) <= 0) return {};
  }
  return stack;
}

bool set_policies(X509_VERIFY_PARAM* parameters, const PathSettings& settings) {
  if (!settings.check_policies) return true;
  unsigned long flags = X509_V_FLAG_POLICY_CHECK;
  if (settings.explicit_policy) flags |= X509_V_FLAG_EXPLICIT_POLICY;
  if (settings.inhibit_any_policy) flags |= X509_V_FLAG_INHIBIT_ANY;
  if (settings.inhibit_mapping) flags |= X509_V_FLAG_INHIBIT_MAP;
  if (X509_VERIFY_PARAM_set_flags(parameters, flags) != 1) return false;
  // OpenSSL takes an empty set for none at all; RFC 5280 section 6.1.1 (c) has any-policy then.
  const std::vector<std::string> any = {"2.5.29.32.0"};
  for (const std::string& policy : settings.policies.empty() ? any : settings.policies) {
    Object object(OBJ_txt2obj(policy.c_str(), 1));
    if (object == nullptr || X509_VERIFY_PARAM_add0_policy(parameters, object.get()) != 1) return false;
    static_cast<void>(object.release());  // it is the parameters' now
  }
  return true;
}

// Never X509_V_FLAG_X509_STRICT: it refuses the old CAs this gateway exists for (no keyUsage). Level 0: key
// sizes and digests are check_strength's, with an error that names the waiver.
bool set_parameters(X509_VERIFY_PARAM* parameters, const PathSettings& settings, WallTime now) {
  X509_VERIFY_PARAM_set_auth_level(parameters, 0);
  X509_VERIFY_PARAM_set_depth(parameters, kMaxPathDepth);
  X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(now.time_since_epoch().count()));
  const bool partial = std::any_of(settings.anchors.begin(), settings.anchors.end(),
                                   [](const Certificate& anchor) { return !anchor.self_signed(); });
  if (partial && X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN) != 1) return false;
  return set_policies(parameters, settings);
}

constexpr std::array<std::string_view, 6> kIkePurposes = {
    "1.3.6.1.5.5.7.3.17",  // ipsecIKE
    "2.5.29.37.0",         // anyExtendedKeyUsage
    "1.3.6.1.5.5.7.3.5",   // ipsecEndSystem
    "1.3.6.1.5.5.7.3.6",   // ipsecTunnel
    "1.3.6.1.5.5.7.3.7",   // ipsecUser
    "1.3.6.1.5.5.8.2.2",   // iKEIntermediate
};

struct WeakDigest {
  std::string_view digest;
  Weak word;
};
constexpr std::array kWeakDigests = std::to_array<WeakDigest>({{"md5", Weak::md5}, {"sha1", Weak::sha}});
constexpr std::array<std::string_view, 10> kGoodDigests = {"none",       "sha224",   "sha256",   "sha384",
                                                           "sha512",     "sha3-224", "sha3-256", "sha3-384",
                                                           "sha512-256", "sha3-512"};

Result<void> check_waiver(Weak word, ErrorCode code, const std::string& text, const WeakWaiver& waiver,
                          WallTime now) {
  const std::string name(weak_word(word));
  if (!waiver.covers(word)) {
    return fail(
        code, text, "`" + name + "` in allow_weak of the trustpoint, or something stronger",
        "Issue the certificate anew; until then: allow_weak: {algorithms: [" + name + "], until: DATE}.");
  }
  if (waiver.expired(now)) {
    return fail(
        ErrorCode::weak_waiver_expired, text + ", and the trustpoint's allow_weak has expired",
        "something stronger, or a later `until`",
        "Issue the certificate anew, or extend the waiver in the trustpoint while that is under way.");
  }
  return {};
}

Result<void> check_key(const Certificate& certificate, const WeakWaiver& waiver, WallTime now) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate.native());
  const std::string subject = '"' + certificate.subject_text() + '"';
  if (key == nullptr) {
    drop_openssl_errors();
    return fail(ErrorCode::certificate_invalid, "the key of " + subject + " is unreadable");
  }
  const int type = EVP_PKEY_get_base_id(key);
  const bool modular = type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS || type == EVP_PKEY_DSA;
  if (!modular) return {};
  const int bits = EVP_PKEY_get_bits(key);
  const std::string text = fmt::format("the key of {} has {} bits", subject, bits);
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return fail(ErrorCode::key_too_small, text, fmt::format("{} to {} bits", kMinRsaBits, kMaxRsaBits));
  }
  const auto word = weak_rsa(bits);
  return word ? check_waiver(*word, ErrorCode::key_too_small, text, waiver, now) : Result<void>{};
}

}  // namespace

std::vector<Certificate> trust_anchors(const std::vector<Certificate>& cas) {
  std::vector<Certificate> out;
  for (const Certificate& ca : cas) {
    const bool known_issuer = std::any_of(cas.begin(), cas.end(), [&ca](const Certificate& other) {
      return other != ca && X509_check_issued(other.native(), ca.native()) == X509_V_OK;
    });
    if (ca.self_signed() || !known_issuer) out.push_back(ca);
  }
  drop_openssl_errors();
  return out;
}

Result<std::vector<Certificate>> build_path(const Certificate& leaf, const PathSettings& settings,
                                            WallTime now) {
  const X509Store store(X509_STORE_new());
  const X509StoreContext context(X509_STORE_CTX_new());
  const CertificateStack untrusted = stack_of(settings.intermediates);
  bool ready = store != nullptr && context != nullptr && untrusted != nullptr;
  for (const Certificate& anchor : settings.anchors) {
    ready = ready && X509_STORE_add_cert(store.get(), anchor.native()) == 1;
  }
  ready = ready && X509_STORE_CTX_init(context.get(), store.get(), leaf.native(), untrusted.get()) == 1 &&
          set_parameters(X509_STORE_CTX_get0_param(context.get()), settings, now);
  if (!ready) return crypto::openssl_failure("prepare a certificate's verification");
  const int good = X509_verify_cert(context.get());
  drop_openssl_errors();
  if (good != 1) {
    const X509* at = X509_STORE_CTX_get_current_cert(context.get());
    Error error = path_error(X509_STORE_CTX_get_error(context.get()), at == nullptr ? leaf.native() : at,
                             settings, now);
    drop_openssl_errors();
    return fail(std::move(error));
  }
  std::vector<Certificate> path;
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
  for (int index = 0; index < sk_X509_num(chain); ++index) {
    auto certificate = Certificate::from_native(sk_X509_value(chain, index));
    if (!certificate) return tl::unexpected(certificate.error());
    path.push_back(std::move(*certificate));
  }
  return path;
}

Result<void> check_usage(const Certificate& leaf, ExtendedKeyUsage wanted) {
  const std::string subject = '"' + leaf.subject_text() + '"';
  // RFC 4945 section 5.1.3.2: digitalSignature or nonRepudiation, if the extension is there.
  if (const auto usage = leaf.key_usage();
      usage && (*usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0) {
    return fail(ErrorCode::certificate_invalid, "the certificate of " + subject + " is not for signatures",
                "keyUsage with digitalSignature or nonRepudiation, or none",
                "Of two certificates of the peer this may be the one for encryption.");
  }
  // RFC 4945 section 5.1.3.12: "If EKU present AND contains either id-kp-ipsecIKE or anyExtendedKeyUsage,
  // continue. Otherwise, reject cert." The three purposes of 1999 and iKEIntermediate, which it deprecates,
  // are accepted all the same: they say IPsec and nothing else, and old CAs issue them. A certificate that is
  // for TLS servers or clients alone is rejected, as that section demands: whoever holds it was never meant
  // to be a gateway, and one CA often serves both. Some CAs write that into everything:
  // the trustpoint says so.
  const auto purposes = leaf.extended_key_usage();
  if (!purposes || wanted == ExtendedKeyUsage::any) return {};
  const bool for_ike = std::any_of(purposes->begin(), purposes->end(), [](const std::string& purpose) {
    return std::find(kIkePurposes.begin(), kIkePurposes.end(), purpose) != kIkePurposes.end();
  });
  if (for_ike) return {};
  return fail(
      ErrorCode::certificate_invalid,
      fmt::format("the certificate of {} is for other purposes than IKE: {}", subject,
                  fmt::join(*purposes, " ")),
      "extendedKeyUsage with ipsecIKE (1.3.6.1.5.5.7.3.17) or anyExtendedKeyUsage, or none",
      "Have the CA issue it without extendedKeyUsage, or with ipsecIKE; if the CA serves gateways alone: "
      "extended_key_usage: any in the trustpoint.");
}

Result<void> check_digest(const std::string& digest, const std::string& what, const WeakWaiver& waiver,
                          WallTime now) {
  for (const WeakDigest& weak : kWeakDigests) {
    if (digest != weak.digest) continue;
    return check_waiver(weak.word, ErrorCode::certificate_invalid,
                        fmt::format("{} is signed with {}", what, digest), waiver, now);
  }
  if (std::find(kGoodDigests.begin(), kGoodDigests.end(), digest) != kGoodDigests.end()) return {};
  return fail(ErrorCode::certificate_invalid,
              fmt::format("{} is signed with {}", what, digest.empty() ? "an unknown digest" : digest),
              "SHA-2 or SHA-3");
}

Result<void> check_strength(const std::vector<Certificate>& path, const WeakWaiver& waiver, WallTime now) {
  for (const Certificate& certificate : path) {
    if (auto key = check_key(certificate, waiver, now); !key) return key;
    if (&certificate == &path.back()) break;  // nobody relies on an anchor's signature
    const std::string what = "the certificate of \"" + certificate.subject_text() + '"';
    if (auto digest = check_digest(certificate.signature_digest(), what, waiver, now); !digest) return digest;
  }
  return {};
}

}  // namespace oakgate::pki
