#include "tests/pki/support/ca.h"

#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <map>
#include <stdexcept>
#include <tuple>

#include "ike/crypto/distinguished_name.h"

namespace oakgate::test {
namespace {

using crypto::Owned;
using Certificate = Owned<X509, X509_free>;
using CrlObject = Owned<X509_CRL, X509_CRL_free>;
using Time = Owned<ASN1_TIME, ASN1_TIME_free>;
using Config = Owned<CONF, NCONF_free>;
using Bio = Owned<BIO, BIO_free_all>;
using Extension = Owned<X509_EXTENSION, X509_EXTENSION_free>;
using Name = Owned<X509_NAME, X509_NAME_free>;

void require(bool good, const std::string& what) {
  if (good) return;
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  throw std::runtime_error(what + ": " + (reason == nullptr ? "refused" : reason));
}

template <typename T, typename Encode>
Bytes encode(const T* object, Encode i2d) {
  unsigned char* der = nullptr;
  const int size = i2d(object, &der);
  require(size > 0, "encode");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

Certificate parse(const Bytes& der) {
  const unsigned char* cursor = der.data();
  Certificate out(d2i_X509(nullptr, &cursor, static_cast<long>(der.size())));
  require(out != nullptr, "parse a certificate");
  return out;
}

CrlObject parse_crl(const Bytes& der) {
  const unsigned char* cursor = der.data();
  CrlObject out(d2i_X509_CRL(nullptr, &cursor, static_cast<long>(der.size())));
  require(out != nullptr, "parse a CRL");
  return out;
}

Time time_of(WallTime time) {
  return Time(ASN1_TIME_set(nullptr, static_cast<time_t>(time.time_since_epoch().count())));
}

Name name_of(const std::string& text) {
  const auto der = crypto::name_from_text(text);
  if (!der) throw std::runtime_error(der.error().text);
  const unsigned char* cursor = der->data();
  return Name(d2i_X509_NAME(nullptr, &cursor, static_cast<long>(der->size())));
}

Config config_of(const std::string& text) {
  Config out(NCONF_new(nullptr));
  const Bio in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  long line = 0;
  require(NCONF_load_bio(out.get(), in.get(), &line) == 1, "read the extensions' sections");
  return out;
}

template <typename Add>
void add_extensions(X509V3_CTX& context, const Extensions& extensions, const std::string& config_text,
                    Add add) {
  const Config config = config_of(config_text);
  X509V3_set_nconf(&context, config.get());
  for (const auto& [name, value] : extensions) {
    const Extension extension(X509V3_EXT_nconf(config.get(), &context, name.c_str(), value.c_str()));
    require(extension != nullptr, "make the extension " + name);
    require(add(extension.get()) == 1, "add the extension " + name);
  }
}

const EVP_MD* digest_of(const std::string& name) {
  const EVP_MD* out = EVP_get_digestbyname(name.c_str());
  require(out != nullptr, "find the digest " + name);
  return out;
}

Bytes make_certificate(const CertificateRequest& request, const X509* issuer, EVP_PKEY* issuer_key,
                       long serial) {
  const Certificate out(X509_new());
  const Name subject = name_of(request.subject);
  X509_set_version(out.get(), request.version - 1);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial);
  X509_set1_notBefore(out.get(), time_of(request.not_before).get());
  X509_set1_notAfter(out.get(), time_of(request.not_after).get());
  X509_set_subject_name(out.get(), subject.get());
  X509_set_issuer_name(out.get(), issuer == nullptr ? subject.get() : X509_get_subject_name(issuer));
  require(X509_set_pubkey(out.get(), request.key) == 1, "set the public key");
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer == nullptr ? out.get() : const_cast<X509*>(issuer), out.get(), nullptr,
                 nullptr, 0);
  add_extensions(context, request.extensions, request.config,
                 [&out](X509_EXTENSION* extension) { return X509_add_ext(out.get(), extension, -1); });
  require(X509_sign(out.get(), issuer_key, digest_of(request.digest)) > 0, "sign a certificate");
  return encode(out.get(), i2d_X509);
}

CertificateRequest as_ca(CertificateRequest request, const std::string& subject, EVP_PKEY* key) {
  request.subject = subject;
  request.key = key;
  if (request.not_after == CertificateRequest{}.not_after) request.not_after = kTestNow + 3650 * kDay;
  if (request.not_before == CertificateRequest{}.not_before) request.not_before = kTestNow - 3650 * kDay;
  if (request.extensions.empty() && request.version == 3) {
    request.extensions = {{"basicConstraints", "critical,CA:TRUE"},
                          {"keyUsage", "critical,keyCertSign,cRLSign"}};
  }
  return request;
}

std::string pem_text(const Bio& bio) {
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(length));
}

}  // namespace

EVP_PKEY* rsa_key(int number, int bits) {
  static std::map<std::pair<int, int>, crypto::Key> keys;
  crypto::Key& key = keys[{number, bits}];
  if (key == nullptr) key.reset(EVP_RSA_gen(static_cast<unsigned>(bits)));
  require(key != nullptr, "generate an RSA key");
  return key.get();
}

EVP_PKEY* ec_key(int number, const char* curve) {
  static std::map<std::pair<int, std::string>, crypto::Key> keys;
  crypto::Key& key = keys[{number, curve}];
  if (key == nullptr) key.reset(EVP_EC_gen(curve));
  require(key != nullptr, "generate an EC key");
  return key.get();
}

Bytes private_key_pem(EVP_PKEY* key) {
  const Bio out(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "write a key");
  const std::string text = pem_text(out);
  return Bytes(text.begin(), text.end());
}

Bytes public_key_der(EVP_PKEY* key) {
  return encode(key, i2d_PUBKEY);
}

TestCa::TestCa(const std::string& subject, EVP_PKEY* key, CertificateRequest more)
    : key_(key == nullptr ? rsa_key(0) : key) {
  certificate_ = make_certificate(as_ca(std::move(more), subject, key_), nullptr, key_, 1);
}

TestCa TestCa::subordinate(const std::string& subject, EVP_PKEY* key, CertificateRequest more) {
  return {issue(as_ca(std::move(more), subject, key)), key};
}

Bytes TestCa::issue(CertificateRequest request) {
  if (request.key == nullptr) request.key = rsa_key(1);
  const long serial = request.serial != 0 ? request.serial : next_serial_++;
  return make_certificate(request, parse(certificate_).get(), key_, serial);
}

Bytes TestCa::crl(const CrlRequest& request) const {
  const Certificate issuer = parse(certificate_);
  const CrlObject out(X509_CRL_new());
  X509_CRL_set_version(out.get(), 1);
  X509_CRL_set_issuer_name(out.get(), X509_get_subject_name(issuer.get()));
  X509_CRL_set1_lastUpdate(out.get(), time_of(request.this_update).get());
  if (request.next_update) X509_CRL_set1_nextUpdate(out.get(), time_of(*request.next_update).get());
  for (const Revoked& revoked : request.revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    const Owned<ASN1_INTEGER, ASN1_INTEGER_free> serial(ASN1_INTEGER_new());
    ASN1_INTEGER_set(serial.get(), revoked.serial);
    X509_REVOKED_set_serialNumber(entry, serial.get());
    X509_REVOKED_set_revocationDate(entry, time_of(revoked.at).get());
    if (revoked.reason >= 0) {
      const Owned<ASN1_ENUMERATED, ASN1_ENUMERATED_free> reason(ASN1_ENUMERATED_new());
      ASN1_ENUMERATED_set(reason.get(), revoked.reason);
      X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason.get(), 0, 0);
    }
    require(X509_CRL_add0_revoked(out.get(), entry) == 1, "add an entry");
  }
  const Owned<ASN1_INTEGER, ASN1_INTEGER_free> number(ASN1_INTEGER_new());
  ASN1_INTEGER_set(number.get(), request.number);
  X509_CRL_add1_ext_i2d(out.get(), NID_crl_number, number.get(), 0, 0);
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer.get(), nullptr, nullptr, out.get(), 0);
  add_extensions(context, request.extensions, request.config,
                 [&out](X509_EXTENSION* extension) { return X509_CRL_add_ext(out.get(), extension, -1); });
  X509_CRL_sort(out.get());
  require(X509_CRL_sign(out.get(), key_, digest_of(request.digest)) > 0, "sign a CRL");
  return encode(out.get(), i2d_X509_CRL);
}

std::string certificate_pem(const Bytes& der) {
  const Bio out(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_X509(out.get(), parse(der).get()) == 1, "write PEM");
  return pem_text(out);
}

std::string crl_pem(const Bytes& der) {
  const Bio out(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_X509_CRL(out.get(), parse_crl(der).get()) == 1, "write PEM");
  return pem_text(out);
}

Bytes pkcs7(const std::vector<Bytes>& certificates, const std::vector<Bytes>& crls) {
  const Owned<PKCS7, PKCS7_free> out(PKCS7_new());
  PKCS7_set_type(out.get(), NID_pkcs7_signed);
  PKCS7_content_new(out.get(), NID_pkcs7_data);
  PKCS7_set_detached(out.get(), 1);
  for (const Bytes& der : certificates)
    require(PKCS7_add_certificate(out.get(), parse(der).get()) == 1, "PKCS#7");
  for (const Bytes& der : crls) require(PKCS7_add_crl(out.get(), parse_crl(der).get()) == 1, "PKCS#7");
  return encode(out.get(), i2d_PKCS7);
}

Bytes nested_pkcs7(const Bytes& certificate) {
  const Bytes inner = pkcs7({certificate});
  const unsigned char* cursor = inner.data();
  Owned<PKCS7, PKCS7_free> content(d2i_PKCS7(nullptr, &cursor, static_cast<long>(inner.size())));
  const Owned<PKCS7, PKCS7_free> outer(PKCS7_new());
  require(PKCS7_set_type(outer.get(), NID_pkcs7_signed) == 1 &&
              PKCS7_set_content(outer.get(), content.get()) == 1,
          "PKCS#7 within PKCS#7");
  static_cast<void>(content.release());  // the outer one's now
  return encode(outer.get(), i2d_PKCS7);
}

Bytes ocsp_answer(const Bytes& request, const TestCa& ca, WallTime now, bool revoked) {
  return ocsp_answer_by(ca.certificate(), ca.key(), request, now, revoked);
}

Bytes ocsp_answer_by(const Bytes& responder, EVP_PKEY* key, const Bytes& request, WallTime now,
                     bool revoked) {
  const unsigned char* cursor = request.data();
  const Owned<OCSP_REQUEST, OCSP_REQUEST_free> asked(
      d2i_OCSP_REQUEST(nullptr, &cursor, static_cast<long>(request.size())));
  require(asked != nullptr, "parse an OCSP request");
  OCSP_CERTID* id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(asked.get(), 0));
  const Owned<OCSP_BASICRESP, OCSP_BASICRESP_free> basic(OCSP_BASICRESP_new());
  const Time begin = time_of(now);
  const Time end = time_of(now + kDay);
  OCSP_basic_add1_status(basic.get(), id, revoked ? V_OCSP_CERTSTATUS_REVOKED : V_OCSP_CERTSTATUS_GOOD,
                         OCSP_REVOKED_STATUS_KEYCOMPROMISE, begin.get(), begin.get(), end.get());
  const Certificate signer = parse(responder);
  require(OCSP_basic_sign(basic.get(), signer.get(), key, EVP_sha256(), nullptr, 0) == 1, "sign an answer");
  const Owned<OCSP_RESPONSE, OCSP_RESPONSE_free> out(
      OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
  return encode(out.get(), i2d_OCSP_RESPONSE);
}

long serial_number(const Bytes& certificate) {
  return ASN1_INTEGER_get(X509_get0_serialNumber(parse(certificate).get()));
}

}  // namespace oakgate::test
