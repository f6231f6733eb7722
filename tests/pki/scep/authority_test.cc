#include "pki/scep/authority.h"

#include <gmock/gmock.h>

#include "tests/pki/scep/support.h"

namespace oakgate::pki::scep {
namespace {

using test::certificate;
using test::kDay;
using test::kTestNow;
using test::TestCa;

test::CertificateRequest ra_request(const std::string& usage, int key) {
  test::CertificateRequest request;
  request.subject = "CN=First Officer,O=test";
  request.key = test::rsa_key(key);
  if (!usage.empty()) request.extensions = {{"keyUsage", "critical," + usage}};
  return request;
}

class AuthorityTest : public testing::Test {
 protected:
  TestCa root_{"CN=Root,O=test", test::rsa_key(0)};
};

TEST_F(AuthorityTest, OneCertificateIsTheAuthority) {
  const auto parsed = parse_authority(root_.certificate());
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_THAT(parsed->cas, testing::ElementsAre(certificate(root_.certificate())));
  EXPECT_TRUE(parsed->ras.empty());
}

TEST_F(AuthorityTest, TheOneThatIssuesComesFirst) {
  TestCa middle = root_.subordinate("CN=Middle,O=test", test::rsa_key(2));
  const Bytes answer = test::pkcs7({root_.certificate(), middle.certificate()});
  const auto parsed = parse_authority(answer);
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->cas,
              testing::ElementsAre(certificate(middle.certificate()), certificate(root_.certificate())));
}

TEST_F(AuthorityTest, RefusesWhatIsNoAuthority) {
  EXPECT_FALSE(parse_authority({}));
  EXPECT_FALSE(parse_authority(as_bytes("<html>")));
  EXPECT_FALSE(parse_authority(root_.issue(ra_request("digitalSignature", 3))));
  std::vector<Bytes> many;
  for (std::size_t i = 0; i <= kMaxAuthorityCertificates; ++i) many.push_back(root_.issue());
  many.push_back(root_.certificate());
  EXPECT_FALSE(parse_authority(test::pkcs7(many)));
  for (std::size_t cut = 0; cut < root_.certificate().size(); cut += 7) {
    EXPECT_FALSE(parse_authority(ByteView(root_.certificate()).first(cut)));
  }
}

TEST_F(AuthorityTest, TheRasEncryptionCertificateIsTheRecipient) {
  const Bytes signs = root_.issue(ra_request("digitalSignature", 3));
  const Bytes encrypts = root_.issue(ra_request("keyEncipherment", 4));
  const auto parsed = parse_authority(test::pkcs7({signs, encrypts, root_.certificate()}));
  ASSERT_TRUE(parsed);
  const auto chosen =
      choose_authority(*parsed, {certificate(root_.certificate())}, EnrollmentMode::ra, kTestNow);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_EQ(chosen->recipient, certificate(encrypts));
  EXPECT_EQ(chosen->ca, certificate(root_.certificate()));
  EXPECT_THAT(chosen->signers, testing::Contains(certificate(signs)));
}

TEST_F(AuthorityTest, ASingleRaCertificateServesWhateverItsUsage) {
  const Bytes ra = root_.issue(ra_request("digitalSignature", 3));
  const auto parsed = parse_authority(test::pkcs7({ra, root_.certificate()}));
  const auto chosen =
      choose_authority(*parsed, {certificate(root_.certificate())}, EnrollmentMode::ca, kTestNow);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->recipient, certificate(ra));
}

TEST_F(AuthorityTest, ModeRaDemandsAnRa) {
  const auto parsed = parse_authority(root_.certificate());
  const auto chosen =
      choose_authority(*parsed, {certificate(root_.certificate())}, EnrollmentMode::ra, kTestNow);
  ASSERT_FALSE(chosen);
  EXPECT_NE(chosen.error().remedy.find("mode: ca"), std::string::npos);
}

TEST_F(AuthorityTest, RefusesAnotherAuthorityOfTheSameName) {
  TestCa other("CN=Root,O=test", test::rsa_key(5));
  const auto parsed = parse_authority(other.certificate());
  const auto chosen =
      choose_authority(*parsed, {certificate(root_.certificate())}, EnrollmentMode::ca, kTestNow);
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code, ErrorCode::certificate_invalid);
}

TEST_F(AuthorityTest, RefusesAnRaOfAnotherAuthority) {
  TestCa other("CN=Other,O=test", test::rsa_key(5));
  const Bytes ra = other.issue(ra_request("keyEncipherment", 3));
  const auto parsed = parse_authority(test::pkcs7({ra, root_.certificate()}));
  const auto chosen =
      choose_authority(*parsed, {certificate(root_.certificate())}, EnrollmentMode::ra, kTestNow);
  ASSERT_FALSE(chosen);
  EXPECT_NE(chosen.error().text.find("registration authority"), std::string::npos);
}

TEST_F(AuthorityTest, NothingIsTrustedBeforeAuthenticate) {
  const auto chosen =
      choose_authority(*parse_authority(root_.certificate()), {}, EnrollmentMode::ca, kTestNow);
  ASSERT_FALSE(chosen);
  EXPECT_NE(chosen.error().remedy.find("pki authenticate"), std::string::npos);
}

TEST_F(AuthorityTest, AnIntermediateInTheFileIsEnough) {
  TestCa middle = root_.subordinate("CN=Middle,O=test", test::rsa_key(2));
  const auto chosen = choose_authority(*parse_authority(middle.certificate()),
                                       {certificate(middle.certificate())}, EnrollmentMode::ca, kTestNow);
  EXPECT_TRUE(chosen);
}

TEST_F(AuthorityTest, ItsDatesHaveToBeNow) {
  const auto parsed = parse_authority(root_.certificate());
  const std::vector<Certificate> trusted{certificate(root_.certificate())};
  EXPECT_EQ(choose_authority(*parsed, trusted, EnrollmentMode::ca, kTestNow + 100000 * kDay).error().code,
            ErrorCode::certificate_expired);
  EXPECT_EQ(choose_authority(*parsed, trusted, EnrollmentMode::ca, kTestNow - 10000 * kDay).error().code,
            ErrorCode::certificate_not_yet_valid);
}

}  // namespace
}  // namespace oakgate::pki::scep
