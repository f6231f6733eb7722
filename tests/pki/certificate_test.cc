#include "pki/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include "ike/crypto/distinguished_name.h"
#include "tests/pki/support/ca.h"

namespace oakgate::pki {
namespace {

using test::CertificateRequest;
using test::kDay;
using test::kTestNow;
using test::TestCa;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Certificate parse(const Bytes& der) {
  return Certificate::parse(der).value();
}

TEST(Certificate, SaysWhatIsInIt) {
  TestCa ca("CN=Root,O=corp");
  CertificateRequest request;
  request.subject = "CN=gw-a,O=corp";
  request.serial = 0xbeef;
  request.extensions = {{"keyUsage", "digitalSignature"},
                        {"extendedKeyUsage", "1.3.6.1.5.5.7.3.17,serverAuth"}};
  const Certificate certificate = parse(ca.issue(request));
  EXPECT_EQ(certificate.subject_text(), "CN=gw-a,O=corp");
  EXPECT_EQ(certificate.issuer_text(), "CN=Root,O=corp");
  EXPECT_EQ(certificate.serial(), "BEEF");
  EXPECT_EQ(certificate.not_before(), kTestNow - 30 * kDay);
  EXPECT_EQ(certificate.not_after(), kTestNow + 365 * kDay);
  EXPECT_EQ(certificate.key_usage(), std::optional<KeyUsageBits>(KU_DIGITAL_SIGNATURE));
  EXPECT_THAT(certificate.extended_key_usage().value(),
              ElementsAre("1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.7.3.1"));
  EXPECT_EQ(certificate.signature_digest(), "sha256");
  EXPECT_EQ(certificate.public_key(), test::public_key_der(test::rsa_key(1)));
  EXPECT_EQ(certificate.fingerprint("md5").size(), 32U);
  EXPECT_EQ(certificate.fingerprint("sha256").size(), 64U);
  EXPECT_FALSE(certificate.is_ca());
  EXPECT_FALSE(certificate.self_issued());
  EXPECT_EQ(certificate.to_pem(), test::certificate_pem(certificate.der()));
}

TEST(Certificate, AbsentExtensionsAreToldFromEmptyOnes) {
  TestCa ca;
  const Certificate certificate = parse(ca.issue());
  EXPECT_EQ(certificate.key_usage(), std::nullopt);
  EXPECT_EQ(certificate.extended_key_usage(), std::nullopt);
  EXPECT_EQ(certificate.names(), AlternativeNames{});
  EXPECT_THAT(certificate.ocsp_urls(), IsEmpty());
  EXPECT_THAT(certificate.crl_distribution_points().urls, IsEmpty());
}

TEST(Certificate, NamesComeFromSubjectAltNameAndFromIosSubjects) {
  TestCa ca;
  CertificateRequest request;
  request.subject = "CN=x+hostname=r1.example.net,ipaddress=192.0.2.7,O=corp";
  request.extensions = {
      {"subjectAltName",
       "IP:192.0.2.1,IP:2001:db8::1,DNS:gw-a.example.net,email:x@example.net,URI:http://a,dirName:d"}};
  request.config = "[d]\nCN=other\n";
  const AlternativeNames names = parse(ca.issue(request)).names();
  EXPECT_THAT(names.addresses, ElementsAre(*IpAddress::parse("192.0.2.1"), *IpAddress::parse("2001:db8::1"),
                                           *IpAddress::parse("192.0.2.7")));
  EXPECT_THAT(names.host_names, ElementsAre("gw-a.example.net", "r1.example.net"));
  EXPECT_THAT(names.user_names, ElementsAre("x@example.net"));
  EXPECT_EQ(names.directory_names.size(), 1U);
}

TEST(Certificate, NamesWithControlCharactersAreLeftOut) {
  TestCa ca;
  CertificateRequest request;
  request.subject = "hostname=a.example\\00.evil.net,O=corp";
  // GeneralName [2] "a\0b.example"
  request.extensions = {{"subjectAltName", "DER:30:0D:82:0B:61:00:62:2E:65:78:61:6D:70:6C:65"}};
  EXPECT_EQ(parse(ca.issue(request)).names(), AlternativeNames{});
}

TEST(Certificate, DistributionPointsAndResponders) {
  TestCa ca("CN=Root,O=corp");
  CertificateRequest request;
  request.extensions = {
      {"crlDistributionPoints", "uri,named,relative"},
      {"authorityInfoAccess", "OCSP;URI:http://ocsp.example/,caIssuers;URI:http://ca.example/"}};
  request.config =
      "[uri]\nfullname=URI:http://a.example/a.crl\n[named]\nfullname=dirName:d\n[d]\nO=cisco\nCN=CRL1\n"
      "[relative]\nrelativename=r\n[r]\nCN=CRL2\n";
  const Certificate certificate = parse(ca.issue(request));
  const DistributionPoints points = certificate.crl_distribution_points();
  EXPECT_THAT(points.urls, ElementsAre("http://a.example/a.crl"));
  ASSERT_EQ(points.directory_names.size(), 2U);
  EXPECT_EQ(crypto::name_text(points.directory_names[0]).value(), "CN=CRL1,O=cisco");
  EXPECT_EQ(crypto::name_text(points.directory_names[1]).value(), "CN=CRL2,CN=Root,O=corp");
  EXPECT_THAT(certificate.ocsp_urls(), ElementsAre("http://ocsp.example/"));
}

TEST(Certificate, CasAreRecognised) {
  TestCa ca;
  const Certificate root = parse(ca.certificate());
  EXPECT_TRUE(root.is_ca());
  EXPECT_TRUE(root.self_issued());
  EXPECT_TRUE(root.self_signed());
  const Certificate below = parse(ca.subordinate("CN=Root,O=test", test::rsa_key(2)).certificate());
  EXPECT_TRUE(below.self_issued());
  EXPECT_FALSE(below.self_signed());
  // Old CAs are of version 1.
  CertificateRequest old;
  old.version = 1;
  EXPECT_TRUE(parse(TestCa("CN=Old", nullptr, old).certificate()).is_ca());
}

TEST(Certificate, DigestsOfSignatures) {
  TestCa ca;
  CertificateRequest request;
  for (const std::string digest : {"md5", "sha1", "sha512"}) {
    request.digest = digest;
    EXPECT_EQ(parse(ca.issue(request)).signature_digest(), digest);
  }
  TestCa ec("CN=EC", test::ec_key(0));
  EXPECT_EQ(parse(ec.issue()).signature_digest(), "sha256");
}

TEST(Certificate, GarbageIsRefusedWithItsReason) {
  TestCa ca;
  const Bytes good = ca.issue();
  for (std::size_t size = 0; size < good.size(); size += 7) {
    EXPECT_FALSE(Certificate::parse(ByteView(good).first(size))) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  ASSERT_FALSE(Certificate::parse(longer));
  EXPECT_THAT(Certificate::parse(longer).error().text, HasSubstr("behind"));
  const auto huge = Certificate::parse(Bytes(kMaxCertificateBytes + 1, 0x30));
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().code, ErrorCode::certificate_invalid);
  EXPECT_THAT(huge.error().text, HasSubstr("65537 bytes"));
  EXPECT_EQ(ERR_peek_error(), 0UL);
}

TEST(Certificate, BitFlipsNeverBreakTheParser) {
  TestCa ca;
  CertificateRequest request;
  request.extensions = {{"subjectAltName", "IP:192.0.2.1,DNS:a.example"}, {"keyUsage", "digitalSignature"}};
  const Bytes good = ca.issue(request);
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x81;
    if (const auto certificate = Certificate::parse(bad)) {
      static_cast<void>(certificate->names());
      static_cast<void>(certificate->subject_text());
      static_cast<void>(certificate->extended_key_usage());
    }
  }
  EXPECT_EQ(ERR_peek_error(), 0UL);
}

TEST(Certificate, ChainsAreOrderedLeafFirstWithoutTheRoot) {
  TestCa root;
  TestCa one = root.subordinate("CN=One", test::rsa_key(2));
  TestCa two = one.subordinate("CN=Two", test::rsa_key(3));
  const Certificate leaf = parse(two.issue());
  const Certificate first = parse(one.certificate());
  const Certificate second = parse(two.certificate());
  const Certificate stranger = parse(root.issue());
  EXPECT_THAT(order_chain(leaf, {parse(root.certificate()), stranger, first, second}),
              ElementsAre(leaf, second, first));
  EXPECT_THAT(order_chain(leaf, {first}), ElementsAre(leaf));
}

}  // namespace
}  // namespace oakgate::pki
