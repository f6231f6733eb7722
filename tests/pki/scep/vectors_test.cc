// The published samples (tests/vectors/scep): what they have is what we make and read. They are rebuilt of
// dumps, so nothing in them verifies or decrypts; everything before that is as it was published.
#include <openssl/cms.h>

#include <set>

#include "pki/scep/cms.h"
#include "tests/pki/scep/support.h"
#include "tests/support/files.h"

namespace oakgate::pki::scep {
namespace {

using test::certificate;
using test::private_key;
using X509Request = crypto::Owned<X509_REQ, X509_REQ_free>;

Bytes vector(const std::string& name) {
  return test::read_file("tests/vectors/scep/" + name + ".der");
}

CmsMessage parse_cms(const Bytes& der) {
  const unsigned char* cursor = der.data();
  return CmsMessage(d2i_CMS_ContentInfo(nullptr, &cursor, static_cast<long>(der.size())));
}

// Which signed attributes there are, and their ASN.1 types.
std::set<std::pair<std::string, int>> attributes(const Bytes& der) {
  std::set<std::pair<std::string, int>> out;
  const CmsMessage message = parse_cms(der);
  CMS_SignerInfo* signer = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(message.get()), 0);
  for (int i = 0; i < CMS_signed_get_attr_count(signer); ++i) {
    X509_ATTRIBUTE* attribute = CMS_signed_get_attr(signer, i);
    char oid[80] = {};
    OBJ_obj2txt(oid, sizeof oid, X509_ATTRIBUTE_get0_object(attribute), 1);
    // The sample has PKCS #9's randomNonce for senderNonce, which RFC 8894 section 3.2.1.5 names.
    const std::string name = std::string(oid) == "1.2.840.113549.1.9.25.3" ? kSenderNonceOid : oid;
    out.emplace(name, X509_ATTRIBUTE_get0_type(attribute, 0)->type);
  }
  return out;
}

TEST(ScepVectors, OurRequestHasTheSamplesAttributes) {
  test::TestCa ca("CN=Root,O=test", test::rsa_key(0));
  const auto content = request_content({"CN=gw-a", "", {}, ""}, KeyUsage::general);
  const auto signer =
      make_signer(content->subject, "01", private_key(1), MessageDigest::sha256, test::kTestNow);
  const auto ours = make_message({MessageType::pkcs_req, "01", {}}, as_bytes("x"),
                                 certificate(ca.certificate()), *signer, private_key(1), {});
  ASSERT_TRUE(ours);
  EXPECT_EQ(attributes(*ours), attributes(vector("scep_req2")));
}

TEST(ScepVectors, TheSamplesRequestIsAPkcs10LikeOurs) {
  const auto parse = [](ByteView der) {
    const unsigned char* cursor = der.data();
    return X509Request(d2i_X509_REQ(nullptr, &cursor, static_cast<long>(der.size())));
  };
  const Bytes der = vector("scep_req0");
  const X509Request sample = parse(der);
  ASSERT_NE(sample, nullptr);
  const auto content = request_content({"CN=gw-a", "gw-a.example.net", {}, ""}, KeyUsage::general);
  const auto made =
      make_request(*content, private_key(1), MessageDigest::sha256, SecretBytes(as_bytes("NQ3C6")));
  const X509Request ours = parse(made->view());
  for (const int nid : {NID_pkcs9_challengePassword, NID_ext_req}) {
    const int there = X509_REQ_get_attr_by_NID(sample.get(), nid, -1);
    const int here = X509_REQ_get_attr_by_NID(ours.get(), nid, -1);
    ASSERT_GE(there, 0) << OBJ_nid2sn(nid);
    ASSERT_GE(here, 0) << OBJ_nid2sn(nid);
    EXPECT_EQ(X509_ATTRIBUTE_get0_type(X509_REQ_get_attr(sample.get(), there), 0)->type,
              X509_ATTRIBUTE_get0_type(X509_REQ_get_attr(ours.get(), here), 0)->type);
  }
}

TEST(ScepVectors, TheSamplesCertificatesAreRead) {
  const Bytes der = vector("scep_resp0");
  const auto bundle = parse_pkcs7(der);
  ASSERT_TRUE(bundle) << bundle.error().text;
  ASSERT_EQ(bundle->certificates.size(), 1U);
  EXPECT_NE(bundle->certificates[0].subject_text().find("CN=Test SCEP PKI user"), std::string::npos);
  const Bytes key = bundle->certificates[0].public_key();
  test::TestCa ca("CN=Root,O=test", test::rsa_key(0));
  const Certificate root = certificate(ca.certificate());
  const auto granted = read_granted(der, key, {root, root, {root}, {root}, {}}, test::kTestNow);
  ASSERT_FALSE(granted);
  EXPECT_NE(granted.error().text.find("does not chain"), std::string::npos) << granted.error().text;
  EXPECT_NE(read_granted(der, private_key(1).public_key(), {root, root, {root}, {root}, {}}, test::kTestNow)
                .error()
                .text.find("another key"),
            std::string::npos);
}

TEST(ScepVectors, TheSamplesAnswerIsUnderstoodUpToItsSignature) {
  const Bytes der = vector("scep_resp2");
  const CmsMessage message = parse_cms(der);
  STACK_OF(X509)* stack = CMS_get1_certs(message.get());
  ASSERT_EQ(sk_X509_num(stack), 2);
  std::vector<Certificate> known;
  for (int i = 0; i < sk_X509_num(stack); ++i)
    known.push_back(*Certificate::from_native(sk_X509_value(stack, i)));
  sk_X509_pop_free(stack, X509_free);
  const Allowance allowance{"corp", {}, test::kTestNow};
  const auto reply = read_reply(der, {"7XXEY-ERLPU-2JDR9", {}, known, known[0], private_key(1), allowance});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::signature_invalid);
  EXPECT_NE(reply.error().text.find("signature"), std::string::npos) << reply.error().text;
  const std::vector<Certificate> nobody;
  EXPECT_NE(read_reply(der, {"7XXEY-ERLPU-2JDR9", {}, nobody, known[0], private_key(1), allowance})
                .error()
                .text.find("somebody else"),
            std::string::npos);
}

}  // namespace
}  // namespace oakgate::pki::scep
