#include "pki/scep/request.h"

#include <gmock/gmock.h>
#include <openssl/x509v3.h>

#include "ike/crypto/distinguished_name.h"
#include "tests/pki/scep/support.h"

namespace oakgate::pki::scep {
namespace {

using X509Request = crypto::Owned<X509_REQ, X509_REQ_free>;
using test::kTestNow;
using test::private_key;

RequestedSubject full_subject() {
  return {"CN=gw-a,O=corp", "gw-a.example.net", IpAddress::parse("192.0.2.1"), "56799190"};
}

X509Request parse(const SecretBytes& der) {
  const unsigned char* cursor = der.view().data();
  return X509Request(d2i_X509_REQ(nullptr, &cursor, static_cast<long>(der.size())));
}

TEST(SubjectName, HasWhatIosPutsIntoIt) {
  const auto name = subject_name(full_subject());
  ASSERT_TRUE(name) << name.error().text;
  const auto text = crypto::name_text(*name);
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("CN=gw-a"), std::string::npos) << *text;
  EXPECT_NE(text->find("56799190"), std::string::npos) << *text;
  EXPECT_NE(text->find("gw-a.example.net"), std::string::npos) << *text;
  EXPECT_NE(text->find("192.0.2.1"), std::string::npos) << *text;
}

TEST(SubjectName, IsTheHostNameIfNoneIsGiven) {
  const auto name = subject_name({"", "gw-a.example.net", {}, ""});
  ASSERT_TRUE(name);
  EXPECT_NE(crypto::name_text(*name)->find("CN=gw-a.example.net"), std::string::npos);
}

TEST(SubjectName, RefusesWhatCannotBeWritten) {
  EXPECT_EQ(subject_name({}).error().code, ErrorCode::configuration);
  EXPECT_EQ(subject_name({"CN", "", {}, ""}).error().code, ErrorCode::configuration);
  EXPECT_EQ(subject_name({"CN=a", "gw a", {}, ""}).error().code, ErrorCode::configuration);
  EXPECT_EQ(subject_name({"CN=a", std::string(256, 'a'), {}, ""}).error().code, ErrorCode::configuration);
  EXPECT_EQ(subject_name({"", std::string(65, 'a'), {}, ""}).error().code, ErrorCode::configuration);
  EXPECT_EQ(subject_name({"CN=a", "", {}, std::string(65, '1')}).error().code, ErrorCode::configuration);
  EXPECT_EQ(subject_name({"CN=a", "", {}, "\x01"}).error().code, ErrorCode::configuration);
}

TEST(MakeRequest, CarriesNamesUsageAndChallenge) {
  const auto content = request_content(full_subject(), KeyUsage::general);
  ASSERT_TRUE(content);
  const auto der =
      make_request(*content, private_key(1), MessageDigest::sha256, SecretBytes(as_bytes("swordfish")));
  ASSERT_TRUE(der) << der.error().text;
  const X509Request request = parse(*der);
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(X509_REQ_verify(request.get(), X509_REQ_get0_pubkey(request.get())), 1);
  EXPECT_EQ(encode(X509_REQ_get_subject_name(request.get()), i2d_X509_NAME), content->subject);
  const int at = X509_REQ_get_attr_by_NID(request.get(), NID_pkcs9_challengePassword, -1);
  ASSERT_GE(at, 0);
  const ASN1_TYPE* value = X509_ATTRIBUTE_get0_type(X509_REQ_get_attr(request.get(), at), 0);
  EXPECT_EQ(value->type, V_ASN1_PRINTABLESTRING);
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request.get());
  EXPECT_GE(X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1), 0);
  EXPECT_GE(X509v3_get_ext_by_NID(extensions, NID_key_usage, -1), 0);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

TEST(MakeRequest, WithoutAChallengeHasNoAttributeForIt) {
  const auto content = request_content({"CN=a", "", {}, ""}, KeyUsage::signature);
  const auto der = make_request(*content, private_key(1), MessageDigest::sha256, SecretBytes());
  ASSERT_TRUE(der);
  EXPECT_LT(X509_REQ_get_attr_by_NID(parse(*der).get(), NID_pkcs9_challengePassword, -1), 0);
}

TEST(MakeRequest, RefusesALongChallenge) {
  const auto content = request_content({"CN=a", "", {}, ""}, KeyUsage::general);
  const auto der =
      make_request(*content, private_key(1), MessageDigest::sha256, SecretBytes(kMaxChallengeBytes + 1));
  ASSERT_FALSE(der);
  EXPECT_EQ(der.error().code, ErrorCode::configuration);
}

TEST(RenewalContent, IsTheOldCertificatesNamesOnceEach) {
  test::TestCa ca;
  test::CertificateRequest request;
  request.subject = "CN=gw-a,O=corp,unstructuredName=gw-a.example.net";
  request.extensions = {{"subjectAltName", "DNS:gw-a.example.net,IP:192.0.2.1"}};
  const Certificate old = test::certificate(ca.issue(request));
  const RequestContent content = renewal_content(old, KeyUsage::general);
  EXPECT_EQ(content.subject, old.subject());
  EXPECT_THAT(content.host_names, testing::ElementsAre("gw-a.example.net"));
  EXPECT_THAT(content.addresses, testing::ElementsAre(*IpAddress::parse("192.0.2.1")));
}

TEST(MakeSigner, IsSelfSignedWithTheSubjectAskedFor) {
  const auto content = request_content(full_subject(), KeyUsage::general);
  const auto signer =
      make_signer(content->subject, "00112233", private_key(1), MessageDigest::sha256, kTestNow);
  ASSERT_TRUE(signer) << signer.error().text;
  EXPECT_TRUE(signer->self_signed());
  EXPECT_EQ(signer->subject(), content->subject);
  EXPECT_EQ(signer->public_key(), private_key(1).public_key());
  EXPECT_LT(signer->not_before(), kTestNow);
  EXPECT_GT(signer->not_after(), kTestNow);
  EXPECT_EQ(*signer->key_usage(), KeyUsageBits{KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT});
  // The serial number is the transaction's: the authority finds it again.
  const auto same =
      make_signer(content->subject, "00112233", private_key(1), MessageDigest::sha256, kTestNow);
  EXPECT_EQ(signer->serial(), same->serial());
}

TEST(IssuerAndSubject, IsASequenceOfBoth) {
  const Bytes name = *crypto::name_from_text("CN=a");
  const Bytes both = issuer_and_subject(name, name);
  ASSERT_EQ(both.size(), 2 + 2 * name.size());
  EXPECT_EQ(both[0], 0x30);
  EXPECT_EQ(both[1], 2 * name.size());
}

TEST(MakeMessage, RefusesAuthoritiesWithoutAnRsaKey) {
  test::TestCa ca("CN=Root", test::ec_key(0));
  const auto signer =
      make_signer(*crypto::name_from_text("CN=a"), "1", private_key(1), MessageDigest::sha256, kTestNow);
  const auto message = make_message({MessageType::pkcs_req, "1", {}}, as_bytes("x"),
                                    test::certificate(ca.certificate()), *signer, private_key(1), {});
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace oakgate::pki::scep
