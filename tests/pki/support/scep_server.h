// A SCEP server for tests, in the same process: a Fetcher that answers GetCACaps, GetCACert and PKIOperation
// as RFC 8894 has it, and wrongly where a test says so. Throws std::runtime_error when OpenSSL refuses.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "ike/ports/fetcher.h"
#include "pki/certificate.h"
#include "tests/pki/support/ca.h"

namespace oakgate::test {

// A CertRep to be made. Empty texts leave their attribute out.
struct CertRep {
  std::string message_type = "3";
  std::string status = "0";
  std::string fail_info;
  std::string fail_text;
  std::string transaction;
  Bytes recipient_nonce;
  Bytes content;    // enveloped for `recipient`; empty: none
  Bytes envelope;   // instead, as it is
  Bytes recipient;  // DER of a certificate
  std::string cipher = "AES-128-CBC";
  Bytes signer;  // DER, with `signer_key`
  EVP_PKEY* signer_key = nullptr;
  std::string digest = "SHA256";
  bool transaction_twice = false;
};
[[nodiscard]] Bytes make_cert_rep(const CertRep& rep);

// What a client sent.
struct ScepRequest {
  std::string message_type;
  std::string transaction;
  Bytes nonce;
  Bytes signer;   // DER of the certificate that signed it
  Bytes content;  // decrypted
  std::string cipher;
  std::string digest;
  bool post = false;
};

class ScepServer final : public Fetcher {
 public:
  explicit ScepServer(TestCa& ca) : ca_(ca) {}

  std::string capabilities = "AES\nPOSTPKIOperation\nRenewal\nSHA-256\nSCEPStandard\n";
  bool knows_capabilities = true;  // false: an HTTP error
  bool reachable = true;
  std::vector<Bytes> more_certificates;  // with the CA's, in PKCS#7
  Bytes ra_certificate;                  // of `ra_key`: encrypts and signs instead of the CA
  EVP_PKEY* ra_key = nullptr;
  int pending = 0;                      // answers before the decision
  std::string refuse;                   // failInfo: the decision is no
  std::function<void(CertRep&)> spoil;  // the last word on an answer
  EVP_PKEY* certify = nullptr;          // another key than the one asked for
  std::string wanted_challenge;
  WallTime not_before = kTestNow - 30 * kDay;  // of the certificates it issues
  WallTime not_after = kTestNow + 365 * kDay;

  mutable std::vector<ScepRequest> requests;  // what came, in order
  mutable std::vector<std::string> urls;

  [[nodiscard]] Result<Fetched> fetch(const FetchRequest& request) const override;

 private:
  [[nodiscard]] Bytes operation(const FetchRequest& request) const;
  [[nodiscard]] Bytes decide(const ScepRequest& request) const;
  [[nodiscard]] Bytes certificate_for(const Bytes& pkcs10) const;

  TestCa& ca_;
  mutable Bytes waiting_;  // the PKCS#10 of a request that is pending
  mutable int answered_ = 0;
  mutable std::mutex mutex_;
};

}  // namespace oakgate::test
