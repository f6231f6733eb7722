#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include "pki/certificate.h"
#include "tests/pki/support/ca.h"

namespace oakgate::pki {
namespace {

using test::TestCa;
using testing::HasSubstr;

Bytes bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

struct Issued {
  TestCa ca;
  Bytes leaf = ca.issue();
  Bytes crl = ca.crl();
};

void expect_both(const Result<Bundle>& bundle, const Issued& issued) {
  ASSERT_TRUE(bundle) << bundle.error().text;
  ASSERT_EQ(bundle->certificates.size(), 2U);
  EXPECT_EQ(bundle->certificates[0].der(), issued.leaf);
  EXPECT_EQ(bundle->certificates[1].der(), issued.ca.certificate());
  EXPECT_EQ(bundle->crls, std::vector<Bytes>{issued.crl});
}

TEST(Bundle, PemWithManyThings) {
  const Issued issued;
  const std::string text = "Bag Attributes\n" + test::certificate_pem(issued.leaf) + "between\n" +
                           test::certificate_pem(issued.ca.certificate()) + test::crl_pem(issued.crl) +
                           test::certificate_pem(issued.leaf);
  expect_both(parse_bundle(bytes(text)), issued);
}

TEST(Bundle, KeysBesideACertificateArePassedOver) {
  const Issued issued;
  Bytes file = test::private_key_pem(test::rsa_key(1));
  const std::string pem = test::certificate_pem(issued.leaf);
  file.insert(file.end(), pem.begin(), pem.end());
  const auto bundle = parse_bundle(file);
  ASSERT_TRUE(bundle);
  EXPECT_EQ(bundle->certificates.size(), 1U);
}

TEST(Bundle, DerAndPkcs7) {
  const Issued issued;
  const auto one = parse_bundle(issued.leaf);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->certificates.at(0).der(), issued.leaf);
  const Bytes all = test::pkcs7({issued.leaf, issued.ca.certificate()}, {issued.crl});
  expect_both(parse_bundle(all), issued);
  expect_both(parse_pkcs7(all), issued);
}

std::string refusal(const Result<Bundle>& bundle) {
  EXPECT_FALSE(bundle);
  if (bundle) return {};
  EXPECT_EQ(bundle.error().code, ErrorCode::certificate_invalid);
  EXPECT_EQ(ERR_peek_error(), 0UL);
  return bundle.error().text;
}

TEST(Bundle, Pkcs7WithinPkcs7IsRefused) {
  const Issued issued;
  const Bytes nested = test::nested_pkcs7(issued.leaf);
  EXPECT_THAT(refusal(parse_bundle(nested)), HasSubstr("within"));
  EXPECT_THAT(refusal(parse_pkcs7(nested)), HasSubstr("within"));
}

TEST(Bundle, OtherPkcs7IsRefused) {
  const Pkcs7Object data(PKCS7_new());
  PKCS7_set_type(data.get(), NID_pkcs7_data);
  EXPECT_THAT(refusal(parse_pkcs7(encode(data.get(), i2d_PKCS7))), HasSubstr("not signedData"));
}

TEST(Bundle, TwoHundredCertificatesAreTheBound) {
  TestCa ca("CN=Many", test::ec_key(0));
  std::vector<Bytes> many;
  test::CertificateRequest request;
  request.key = test::ec_key(1);
  for (std::size_t count = 0; count <= kMaxBundleCertificates; ++count) many.push_back(ca.issue(request));
  EXPECT_THAT(refusal(parse_pkcs7(test::pkcs7(many))), HasSubstr("more than 200"));
  std::string pem;
  for (const Bytes& der : many) pem += test::certificate_pem(der);
  EXPECT_THAT(refusal(parse_bundle(bytes(pem))), HasSubstr("more than 200"));
  many.pop_back();
  EXPECT_EQ(parse_pkcs7(test::pkcs7(many))->certificates.size(), kMaxBundleCertificates);
}

TEST(Bundle, OneCertificateOf64KilobytesIsTheBound) {
  TestCa ca;
  test::CertificateRequest request;
  std::string value = "ASN1:UTF8:";
  value.append(kMaxCertificateBytes, 'a');
  request.extensions = {{"1.2.3.4", value}};
  const Bytes huge = ca.issue(request);
  ASSERT_GT(huge.size(), kMaxCertificateBytes);
  EXPECT_THAT(refusal(parse_bundle(huge)), HasSubstr("bytes"));
  EXPECT_THAT(refusal(parse_bundle(bytes(test::certificate_pem(huge)))), HasSubstr("bytes"));
  EXPECT_THAT(refusal(parse_pkcs7(test::pkcs7({huge}))), HasSubstr("bytes"));
}

TEST(Bundle, GarbageIsRefused) {
  const Issued issued;
  EXPECT_THAT(refusal(parse_bundle({})), HasSubstr("none"));
  EXPECT_THAT(refusal(parse_bundle(bytes("no certificate at all"))), HasSubstr("none"));
  std::string pem = test::certificate_pem(issued.leaf);
  pem.resize(pem.size() / 2);
  EXPECT_THAT(refusal(parse_bundle(bytes(pem))), HasSubstr("broken"));
  const Bytes all = test::pkcs7({issued.leaf});
  for (std::size_t size = 0; size < all.size(); size += 5) {
    static_cast<void>(refusal(parse_pkcs7(ByteView(all).first(size))));
  }
  Bytes longer = all;
  longer.push_back(0);
  EXPECT_THAT(refusal(parse_pkcs7(longer)), HasSubstr("behind"));
  const auto nothing = parse_bundle(bytes("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->certificates.empty());
}

}  // namespace
}  // namespace oakgate::pki
