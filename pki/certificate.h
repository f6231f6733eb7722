// X.509 certificates, parsed and bounded: RFC 5280, RFC 4945 section 5, and what IOS puts into a subject.
// A Certificate only says what is written in it; whether to believe it is pki/path.h's business. Not secret.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/base/types.h"
#include "ike/crypto/public_key.h"
#include "pki/objects.h"

namespace oakgate::pki {

inline constexpr std::size_t kMaxCertificateBytes = 65536;
inline constexpr std::size_t kMaxBundleCertificates = 200;
inline constexpr std::size_t kMaxBundleBytes = kMaxBundleCertificates * kMaxCertificateBytes;

// Bits of RFC 5280 section 4.2.1.3, as OpenSSL's X509_get_key_usage has them (KU_DIGITAL_SIGNATURE ...).
using KeyUsageBits = std::uint32_t;

// What a certificate says its subject is. Texts that are not printable ASCII (an embedded NUL, say) are left
// out: nothing can be compared with them.
struct AlternativeNames {
  std::vector<IpAddress> addresses;      // subjectAltName iPAddress, unstructuredAddress
  std::vector<std::string> host_names;   // subjectAltName dNSName, unstructuredName
  std::vector<std::string> user_names;   // subjectAltName rfc822Name
  std::vector<Bytes> directory_names{};  // subjectAltName directoryName, DER
  friend bool operator==(const AlternativeNames&, const AlternativeNames&) = default;
};

// Where a certificate says its CRLs are: RFC 5280 section 4.2.1.13.
struct DistributionPoints {
  std::vector<std::string> urls;
  std::vector<Bytes> directory_names;  // DER Names
};

class Certificate {
 public:
  // DER and nothing behind it. ErrorCode::certificate_invalid names what is wrong: too long (64 KB), no
  // certificate, dates that are none. Its key may be of any kind.
  [[nodiscard]] static Result<Certificate> parse(ByteView der);
  // Takes a reference of its own.
  [[nodiscard]] static Result<Certificate> from_native(X509* certificate);

  // Copies share OpenSSL's object, which is not changed any more.
  Certificate(const Certificate& other);
  Certificate& operator=(const Certificate& other);
  Certificate(Certificate&&) noexcept = default;
  Certificate& operator=(Certificate&&) noexcept = default;
  ~Certificate() = default;

  [[nodiscard]] const Bytes& der() const { return der_; }
  [[nodiscard]] Bytes subject() const;  // DER Name
  [[nodiscard]] Bytes issuer() const;
  [[nodiscard]] std::string subject_text() const;  // RFC 4514, escaped
  [[nodiscard]] std::string issuer_text() const;
  [[nodiscard]] std::string serial() const;  // hexadecimal, upper case
  [[nodiscard]] WallTime not_before() const { return not_before_; }
  [[nodiscard]] WallTime not_after() const { return not_after_; }
  [[nodiscard]] bool self_issued() const;  // subject and issuer are the same name
  [[nodiscard]] bool self_signed() const;  // and its own key verifies it
  [[nodiscard]] bool is_ca() const;  // basic constraints say so, or it is a self-signed one of version 1

  [[nodiscard]] Bytes public_key() const;  // SubjectPublicKeyInfo
  // Of the kinds we can use: see crypto::public_key_info.
  [[nodiscard]] Result<crypto::PublicKeyInfo> key_info() const;
  // "md5", "sha1", "sha256" ...: see digest_of_signature.
  [[nodiscard]] std::string signature_digest() const;

  [[nodiscard]] std::optional<KeyUsageBits> key_usage() const;  // none: the extension is absent
  [[nodiscard]] std::optional<std::vector<std::string>> extended_key_usage() const;  // dotted numbers
  [[nodiscard]] AlternativeNames names() const;
  [[nodiscard]] DistributionPoints crl_distribution_points() const;
  [[nodiscard]] std::vector<std::string> ocsp_urls() const;

  // Upper-case hexadecimal without separators, of the DER; `digest` is "md5", "sha1" or "sha256".
  [[nodiscard]] std::string fingerprint(const char* digest) const;
  [[nodiscard]] std::string to_pem() const;

  // Stays this object's; not to be changed.
  [[nodiscard]] X509* native() const { return x509_.get(); }
  friend bool operator==(const Certificate& a, const Certificate& b) { return a.der_ == b.der_; }

 private:
  Certificate() = default;
  X509Object x509_;
  Bytes der_;
  WallTime not_before_{};
  WallTime not_after_{};
};

// What a file, a CERT payload or a SCEP answer holds.
struct Bundle {
  std::vector<Certificate> certificates;  // in their order, without doubles
  std::vector<Bytes> crls;                // DER
};
// PEM with any number of certificates, CRLs and PKCS#7; one DER certificate; or PKCS#7 in DER (signedData,
// "degenerate", RFC 2315 section 9.1). Bounds: kMaxBundleCertificates, kMaxCertificateBytes each,
// kMaxBundleBytes in all. PKCS#7 within PKCS#7 is refused. ErrorCode::certificate_invalid names the reason.
[[nodiscard]] Result<Bundle> parse_bundle(ByteView file);
// PKCS#7 in DER alone: CERT encoding 1, and SCEP's GetCACert.
[[nodiscard]] Result<Bundle> parse_pkcs7(ByteView der);

// "leaf, its issuer, ...", as far as `pool` has them: the order a certificate file and CERT payloads have.
// Without self-signed ones.
[[nodiscard]] std::vector<Certificate> order_chain(const Certificate& leaf,
                                                   const std::vector<Certificate>& pool);

}  // namespace oakgate::pki
