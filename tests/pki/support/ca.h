// A certification authority for tests: issues certificates and revocation lists with any extension, date and
// digest, by OpenSSL's API. Throws std::runtime_error when OpenSSL refuses: a test without its data fails.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/types.h"
#include "ike/crypto/openssl.h"

namespace oakgate::test {

// 2026-06-15 12:00:00 UTC: the tests' present.
inline constexpr WallTime kTestNow{std::chrono::seconds(1781524800)};
inline constexpr auto kDay = std::chrono::hours(24);

// Keys are made once a program and number: key(0) is the same in all its tests.
[[nodiscard]] EVP_PKEY* rsa_key(int number, int bits = 2048);
[[nodiscard]] EVP_PKEY* ec_key(int number, const char* curve = "P-256");
[[nodiscard]] Bytes private_key_pem(EVP_PKEY* key);  // PKCS#8
[[nodiscard]] Bytes public_key_der(EVP_PKEY* key);   // SubjectPublicKeyInfo

// `name` and `value` as in openssl's x509v3_config(5): {"keyUsage", "critical,digitalSignature"}.
using Extensions = std::vector<std::pair<std::string, std::string>>;

struct CertificateRequest {
  std::string subject = "CN=peer,O=test";  // RFC 4514
  EVP_PKEY* key = nullptr;                 // null: rsa_key(1)
  WallTime not_before = kTestNow - 30 * kDay;
  WallTime not_after = kTestNow + 365 * kDay;
  long serial = 0;  // 0: the next one
  std::string digest = "sha256";
  Extensions extensions;
  std::string config{};  // sections that extensions refer to by "@name"
  int version = 3;
};

struct Revoked {
  long serial = 0;
  WallTime at = kTestNow - kDay;
  int reason = -1;  // CRL_REASON_...
};
struct CrlRequest {
  std::vector<Revoked> revoked;
  WallTime this_update = kTestNow - kDay;
  std::optional<WallTime> next_update = kTestNow + 7 * kDay;
  long number = 1;
  std::string digest = "sha256";
  Extensions extensions;
  std::string config{};
};

class TestCa {
 public:
  // A root that signed itself.
  explicit TestCa(const std::string& subject = "CN=Root,O=test", EVP_PKEY* key = nullptr,
                  CertificateRequest more = {});
  // Below this one; `more.extensions` replace the usual ones of a CA if there are any.
  [[nodiscard]] TestCa subordinate(const std::string& subject, EVP_PKEY* key, CertificateRequest more = {});

  [[nodiscard]] const Bytes& certificate() const { return certificate_; }  // DER
  [[nodiscard]] Bytes issue(CertificateRequest request = {});              // DER
  [[nodiscard]] Bytes crl(const CrlRequest& request = {}) const;           // DER
  [[nodiscard]] EVP_PKEY* key() const { return key_; }

 private:
  TestCa(Bytes certificate, EVP_PKEY* key) : certificate_(std::move(certificate)), key_(key) {}
  Bytes certificate_;
  EVP_PKEY* key_ = nullptr;
  long next_serial_ = 100;
};

[[nodiscard]] std::string certificate_pem(const Bytes& der);
[[nodiscard]] std::string crl_pem(const Bytes& der);
// PKCS#7 signedData with these and no signer, DER.
[[nodiscard]] Bytes pkcs7(const std::vector<Bytes>& certificates, const std::vector<Bytes>& crls = {});
// Within another one, as its content.
[[nodiscard]] Bytes nested_pkcs7(const Bytes& certificate);
// The answer to an OCSPRequest for one certificate, signed by the CA itself or by a responder, good for a
// day.
[[nodiscard]] Bytes ocsp_answer(const Bytes& request, const TestCa& ca, WallTime now, bool revoked);
[[nodiscard]] Bytes ocsp_answer_by(const Bytes& responder, EVP_PKEY* key, const Bytes& request, WallTime now,
                                   bool revoked);
[[nodiscard]] long serial_number(const Bytes& certificate);

}  // namespace oakgate::test
