// OCSP answers made by OpenSSL's API: right ones, and each way to be wrong.
#include "pki/ocsp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pki/objects.h"
#include "tests/pki/support/ca.h"

namespace oakgate::pki {
namespace {

using test::kDay;
using test::kTestNow;
using testing::ElementsAre;
using testing::HasSubstr;

Certificate parsed(const Bytes& der) {
  auto certificate = Certificate::parse(der);
  if (!certificate) throw std::runtime_error(certificate.error().text);
  return *certificate;
}

struct AnswerRequest {
  int verdict = V_OCSP_CERTSTATUS_GOOD;
  int reason = OCSP_REVOKED_STATUS_NOSTATUS;
  WallTime this_update = kTestNow - std::chrono::hours(1);
  std::optional<WallTime> next_update = kTestNow + kDay;
  EVP_PKEY* key = nullptr;
  const Bytes* signer = nullptr;
  bool with_certificate = false;
  const EVP_MD* digest = EVP_sha256();
  int response_status = OCSP_RESPONSE_STATUS_SUCCESSFUL;
};

using Time = crypto::Owned<ASN1_TIME, ASN1_TIME_free>;
Time asn1(WallTime time) {
  return Time(ASN1_GENERALIZEDTIME_set(nullptr, time.time_since_epoch().count()));
}

Bytes make_answer(const Certificate& subject, const Certificate& issuer, const AnswerRequest& request) {
  const crypto::Owned<OCSP_BASICRESP, OCSP_BASICRESP_free> basic(OCSP_BASICRESP_new());
  const crypto::Owned<OCSP_CERTID, OCSP_CERTID_free> id(
      OCSP_cert_to_id(EVP_sha1(), subject.native(), issuer.native()));
  const Time revoked = asn1(kTestNow - kDay);
  const Time from = asn1(request.this_update);
  const Time until = request.next_update ? asn1(*request.next_update) : Time();
  const bool is_revoked = request.verdict == V_OCSP_CERTSTATUS_REVOKED;
  OCSP_basic_add1_status(basic.get(), id.get(), request.verdict, request.reason,
                         is_revoked ? revoked.get() : nullptr, from.get(), until.get());
  const Certificate signer = parsed(*request.signer);
  const unsigned long flags = request.with_certificate ? 0 : OCSP_NOCERTS;
  if (OCSP_basic_sign(basic.get(), signer.native(), request.key, request.digest, nullptr, flags) != 1) {
    throw std::runtime_error("cannot sign an OCSP answer");
  }
  const crypto::Owned<OCSP_RESPONSE, OCSP_RESPONSE_free> response(
      OCSP_response_create(request.response_status, basic.get()));
  return encode(response.get(), i2d_OCSP_RESPONSE);
}

class Ocsp : public testing::Test {
 protected:
  // The CA answers itself unless the request says otherwise.
  [[nodiscard]] Bytes answer(AnswerRequest request = {}) {
    if (request.key == nullptr) request.key = ca_.key();
    if (request.signer == nullptr) request.signer = &ca_.certificate();
    return make_answer(subject_, issuer_, request);
  }
  [[nodiscard]] Result<OcspStatus> read(const Bytes& der, WallTime now = kTestNow) const {
    return read_ocsp_answer(der, subject_, issuer_, now);
  }
  // "code: text"
  [[nodiscard]] std::string error_of(const Bytes& der, WallTime now = kTestNow) const {
    const auto status = read(der, now);
    return status ? "no error" : std::string(to_string(status.error().code)) + ": " + status.error().text;
  }
  [[nodiscard]] Bytes responder(test::CertificateRequest request, EVP_PKEY* key) {
    request.subject = "CN=Responder,O=test";
    request.key = key;
    return ca_.issue(request);
  }

  test::TestCa ca_;
  Certificate issuer_ = parsed(ca_.certificate());
  Certificate subject_ = parsed(ca_.issue());
  const test::Extensions delegated_{{"extendedKeyUsage", "OCSPSigning"}};
};

TEST_F(Ocsp, TheRequestNamesTheCertificate) {
  const auto request = ocsp_request(subject_, issuer_);
  ASSERT_TRUE(request);
  EXPECT_EQ(*request, *ocsp_request(subject_, issuer_));
  const unsigned char* next = request->data();
  const crypto::Owned<OCSP_REQUEST, OCSP_REQUEST_free> parsed_back(
      d2i_OCSP_REQUEST(nullptr, &next, static_cast<long>(request->size())));
  ASSERT_TRUE(parsed_back);
  ASSERT_EQ(OCSP_request_onereq_count(parsed_back.get()), 1);
  const crypto::Owned<OCSP_CERTID, OCSP_CERTID_free> id(
      OCSP_cert_to_id(EVP_sha1(), subject_.native(), issuer_.native()));
  EXPECT_EQ(OCSP_id_cmp(OCSP_onereq_get0_id(OCSP_request_onereq_get0(parsed_back.get(), 0)), id.get()), 0);
}

TEST_F(Ocsp, GoodByTheCaItself) {
  const auto status = read(answer());
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_FALSE(status->revoked);
  EXPECT_EQ(status->this_update, kTestNow - std::chrono::hours(1));
  EXPECT_EQ(status->next_update, kTestNow + kDay);
  EXPECT_THAT(status->signature_digests, ElementsAre("sha256"));
}

TEST_F(Ocsp, RevokedWithTimeAndReason) {
  AnswerRequest request;
  request.verdict = V_OCSP_CERTSTATUS_REVOKED;
  request.reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE;
  const auto status = read(answer(request));
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_TRUE(status->revoked);
  EXPECT_EQ(status->revoked_at, kTestNow - kDay);
  EXPECT_EQ(status->reason, "keyCompromise");
}

TEST_F(Ocsp, UnknownIsNeverGood) {
  AnswerRequest request;
  request.verdict = V_OCSP_CERTSTATUS_UNKNOWN;
  EXPECT_THAT(error_of(answer(request)), HasSubstr("crl-unavailable: the OCSP responder does not know"));
}

TEST_F(Ocsp, AnAppointedResponderMayAnswer) {
  const Bytes certificate = responder({.extensions = delegated_}, test::rsa_key(3));
  AnswerRequest request;
  request.key = test::rsa_key(3);
  request.signer = &certificate;
  EXPECT_THAT(error_of(answer(request)), HasSubstr("its signature is neither")) << "without its certificate";
  request.with_certificate = true;
  const auto status = read(answer(request));
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_THAT(status->signature_digests, ElementsAre("sha256", "sha256"));
  // It may have been revoked, unless its CA says not to ask.
  ASSERT_TRUE(status->responder);
  EXPECT_EQ(status->responder->der(), certificate);
  const Bytes for_life = responder(
      {.extensions = {{"extendedKeyUsage", "OCSPSigning"}, {"noCheck", "ignored"}}}, test::rsa_key(3));
  request.signer = &for_life;
  const auto unchecked = read(answer(request));
  ASSERT_TRUE(unchecked) << unchecked.error().text;
  EXPECT_FALSE(unchecked->responder);
  EXPECT_FALSE(read(answer())->responder) << "the CA itself";
}

TEST_F(Ocsp, NobodyElseMayAnswer) {
  AnswerRequest request;
  request.key = test::rsa_key(3);
  request.with_certificate = true;
  const Bytes ordinary = responder({}, test::rsa_key(3));
  request.signer = &ordinary;
  EXPECT_THAT(error_of(answer(request)), HasSubstr("who is no OCSP responder"));

  const Bytes expired = responder({.not_after = kTestNow - kDay, .extensions = delegated_}, test::rsa_key(3));
  request.signer = &expired;
  EXPECT_THAT(error_of(answer(request)), HasSubstr("valid from"));

  // The same names, another CA's key.
  test::TestCa impostor("CN=Root,O=test", test::rsa_key(4));
  test::CertificateRequest wanted{.extensions = delegated_};
  wanted.key = test::rsa_key(3);
  const Bytes foreign = impostor.issue(wanted);
  request.signer = &foreign;
  EXPECT_THAT(error_of(answer(request)), HasSubstr("its responder's certificate is not"));
  request.key = impostor.key();
  request.signer = &impostor.certificate();
  EXPECT_THAT(error_of(answer(request)), HasSubstr("crl-invalid"));
}

TEST_F(Ocsp, ItHasToBeAboutTheCertificate) {
  const Certificate other = parsed(ca_.issue());
  AnswerRequest request;
  request.key = ca_.key();
  request.signer = &ca_.certificate();
  EXPECT_THAT(error_of(make_answer(other, issuer_, request)), HasSubstr("does not speak of the certificate"));
}

TEST_F(Ocsp, ItHasToBeCurrent) {
  AnswerRequest request;
  request.this_update = kTestNow + std::chrono::minutes(4);
  EXPECT_EQ(error_of(answer(request)), "no error") << "clocks differ a little";
  request.this_update = kTestNow + std::chrono::minutes(6);
  EXPECT_THAT(error_of(answer(request)), HasSubstr("not yet valid (router time not synched to CA?)"));
  request.this_update = kTestNow - 2 * kDay;
  request.next_update = kTestNow - std::chrono::minutes(6);
  EXPECT_THAT(error_of(answer(request)), HasSubstr("stale"));
  request.next_update = std::nullopt;
  EXPECT_THAT(error_of(answer(request)), HasSubstr("stale"));
  request.this_update = kTestNow - std::chrono::hours(23);
  EXPECT_EQ(error_of(answer(request)), "no error");
}

TEST_F(Ocsp, WeakSignaturesAreTold) {
  AnswerRequest request;
  request.digest = EVP_sha1();
  const auto status = read(answer(request));
  ASSERT_TRUE(status);
  EXPECT_THAT(status->signature_digests, ElementsAre("sha1"));
}

TEST_F(Ocsp, RefusalsOfTheResponderAreTold) {
  AnswerRequest request;
  request.response_status = OCSP_RESPONSE_STATUS_TRYLATER;
  EXPECT_THAT(error_of(answer(request)), HasSubstr("the responder says trylater"));
}

TEST_F(Ocsp, NoBitMayChange) {
  const Bytes good = answer();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] = static_cast<std::uint8_t>(bad[i] ^ 0x04U);
    // The signature's algorithm may be written in ways that mean the same.
    const auto status = read(bad);
    EXPECT_TRUE(!status || !status->revoked);
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(read(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(error_of(longer), HasSubstr("not an OCSPResponse"));
  EXPECT_THAT(error_of(Bytes(kMaxOcspBytes + 1, 0x30)), HasSubstr("65537 bytes"));
}

}  // namespace
}  // namespace oakgate::pki
