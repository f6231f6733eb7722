#include "pki/trust_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "ike/crypto/distinguished_name.h"
#include "ike/crypto/private_key.h"
#include "pki/ocsp.h"
#include "tests/pki/support/ca.h"
#include "tests/pki/support/folder.h"

namespace oakgate::pki {
namespace {

using test::CertificateRequest;
using test::CrlRequest;
using test::kDay;
using test::kTestNow;
using test::TestCa;
using testing::HasSubstr;
using testing::IsEmpty;

const Bytes kHash(20, 0x5a);

Bytes sign(EVP_PKEY* key, const Bytes& hash = kHash) {
  const auto parsed = crypto::PrivateKey::parse(SecretBytes(test::private_key_pem(key)));
  return parsed.value().sign(hash).value();
}

Result<Bytes> no_key(const KeyConfig&) {
  return fail(ErrorCode::no_public_key, "no key");
}

// A trustpoint "corp" with one root, and a peer whose certificate holds its address.
class TrustStoreTest : public testing::Test {
 protected:
  TrustStoreTest() {
    config_.name = "corp";
    config_.ca = {folder_.write("ca.pem", test::certificate_pem(ca_.certificate()))};
    request_.serial = 500;
    request_.subject = "CN=gw-b,O=test";
    request_.extensions = {{"subjectAltName", "IP:192.0.2.2,DNS:gw-b.example.net"}};
    proof_.peer = "branch-7";
    proof_.trustpoint = "corp";
    proof_.source = *IpAddress::parse("192.0.2.2");
    proof_.claimed = {IdentityKind::address, proof_.source, {}};
    proof_.method = AuthMethod::rsa_sig;
    proof_.hash = kHash;
    proof_.signature = sign(test::rsa_key(1));
    proof_.certificates = {{4, ca_.issue(request_)}};
  }
  std::vector<Error> replace(const PublicKeyOf& key = no_key) { return store_.replace({config_}, key); }
  Verification verify(bool last = false) { return store_.verify(proof_, kTestNow, last); }
  Error refusal(bool last = true) {
    const Verification out = verify(last);
    EXPECT_FALSE(out.verdict.peer);
    return out.verdict.peer ? Error{} : out.verdict.peer.error();
  }
  [[nodiscard]] RevocationSource source(const std::string& url = "http://ca.example/corp.crl") const {
    return {RevocationSource::Kind::crl, url, true, {}, "corp"};
  }
  static CrlRequest revoking(long serial) {
    CrlRequest out;
    out.revoked = {{serial}};
    return out;
  }

  test::Folder folder_;
  TestCa ca_;
  CertificateRequest request_;
  TrustpointConfig config_;
  PeerProof proof_;
  TrustStore store_{folder_.path() / "state"};
};

TEST_F(TrustStoreTest, AGoodPeerWithoutRevocation) {
  config_.revocation = RevocationCheck::none;
  ASSERT_THAT(replace(), IsEmpty());
  const Verification out = verify();
  EXPECT_TRUE(out.verdict.signature_good);
  ASSERT_TRUE(out.verdict.peer) << out.verdict.peer.error().text;
  EXPECT_THAT(out.missing, IsEmpty());
  EXPECT_EQ(out.verdict.peer->identity, proof_.claimed);
  EXPECT_EQ(out.verdict.peer->subject, "CN=gw-b,O=test");
  EXPECT_EQ(out.verdict.peer->issuer, "CN=Root,O=test");
  EXPECT_EQ(out.verdict.peer->serial, "01F4");
  EXPECT_EQ(out.verdict.peer->not_after, kTestNow + 365 * kDay);
  ASSERT_EQ(out.verdict.peer->chain.size(), 2U);
  EXPECT_EQ(out.verdict.peer->chain[0], proof_.certificates[0].data);
  EXPECT_EQ(out.verdict.peer->chain[1], ca_.certificate());
}

TEST_F(TrustStoreTest, EcdsaAndPkcs7Chains) {
  config_.revocation = RevocationCheck::none;
  ASSERT_THAT(replace(), IsEmpty());
  TestCa sub = ca_.subordinate("CN=Sub", test::rsa_key(2));
  request_.key = test::ec_key(7);
  proof_.certificates = {{1, test::pkcs7({sub.certificate(), sub.issue(request_)})}};
  proof_.method = AuthMethod::ecdsa_sig;
  proof_.hash = Bytes(32, 1);
  proof_.signature = sign(test::ec_key(7), proof_.hash);
  const Verification out = verify();
  ASSERT_TRUE(out.verdict.peer) << out.verdict.peer.error().text;
  EXPECT_EQ(out.verdict.peer->chain.size(), 3U);
}

TEST_F(TrustStoreTest, SignaturesAreJudgedFirst) {
  ASSERT_THAT(replace(), IsEmpty());
  proof_.signature[5] ^= 1;
  EXPECT_FALSE(verify().verdict.signature_good);
  EXPECT_EQ(refusal().code, ErrorCode::signature_invalid);
  EXPECT_THAT(refusal().text,
              HasSubstr("peer branch-7: the signature is not by the key of \"CN=gw-b,O=test\""));
  EXPECT_THAT(verify().missing, IsEmpty());
  // Whose key it was decides, not which came first.
  proof_.signature = sign(test::rsa_key(1));
  request_.key = test::rsa_key(3);
  proof_.certificates.insert(proof_.certificates.begin(), {4, ca_.issue(request_)});
  EXPECT_TRUE(verify().verdict.signature_good);
}

TEST_F(TrustStoreTest, NoCertificateCame) {
  config_.revocation = RevocationCheck::none;
  ASSERT_THAT(replace(), IsEmpty());
  const auto certificates = std::exchange(proof_.certificates, {});
  EXPECT_EQ(refusal().code, ErrorCode::no_certificate);
  EXPECT_THAT(refusal().text, HasSubstr("no certificate came"));
  // Once seen it is known, and may stay away.
  proof_.certificates = certificates;
  EXPECT_TRUE(verify().verdict.peer);
  proof_.certificates.clear();
  EXPECT_TRUE(verify().verdict.peer);
  proof_.claimed = {IdentityKind::fqdn, {}, "gw-b.example.net"};
  EXPECT_EQ(refusal().code, ErrorCode::no_certificate);
  ASSERT_THAT(replace(), IsEmpty());
  proof_.claimed = {IdentityKind::address, proof_.source, {}};
  EXPECT_EQ(refusal().code, ErrorCode::no_certificate);
}

TEST_F(TrustStoreTest, BadPayloadsEachSayWhatIsWrong) {
  ASSERT_THAT(replace(), IsEmpty());
  const auto text_of = [this](std::uint8_t encoding, Bytes data) {
    proof_.certificates = {{encoding, std::move(data)}};
    EXPECT_FALSE(verify().verdict.signature_good);
    EXPECT_EQ(refusal().code, ErrorCode::certificate_invalid);
    return refusal().text;
  };
  EXPECT_THAT(text_of(4, Bytes(100, 0xff)), HasSubstr("none"));
  EXPECT_THAT(text_of(4, Bytes(kMaxCertificateBytes + 1, 0x30)), HasSubstr("65537 bytes"));
  EXPECT_THAT(text_of(1, Bytes(100, 0x30)), HasSubstr("PKCS#7"));
  EXPECT_THAT(text_of(1, test::nested_pkcs7(ca_.certificate())), HasSubstr("PKCS#7 within PKCS#7"));
  std::vector<Bytes> many;
  CertificateRequest request;
  request.key = test::ec_key(1);
  TestCa quick("CN=Q", test::ec_key(0));
  for (std::size_t count = 0; count < kMaxBundleCertificates; ++count) many.push_back(quick.issue(request));
  proof_.certificates.assign(kMaxBundleCertificates + 1, {4, many[0]});
  EXPECT_THAT(refusal().text, HasSubstr("more than 200 certificates"));
  // Garbage beside a good certificate does no harm; nor do kinds nobody reads.
  config_.revocation = RevocationCheck::none;
  ASSERT_THAT(replace(), IsEmpty());
  proof_.certificates = {{4, Bytes(10, 1)}, {9, Bytes(10, 1)}, {7, Bytes(10, 1)}, {4, ca_.issue(request_)}};
  EXPECT_TRUE(verify().verdict.peer);
}

TEST_F(TrustStoreTest, ChainUsageStrengthAndIdentityGoBeforeRevocation) {
  config_.crl.urls = {"http://ca.example/corp.crl"};
  ASSERT_THAT(replace(), IsEmpty());
  const auto code_of = [this](const Bytes& certificate) {
    proof_.certificates = {{4, certificate}};
    const Verification out = verify();
    EXPECT_TRUE(out.verdict.signature_good);
    EXPECT_THAT(out.missing, IsEmpty());  // nothing is fetched for such a certificate
    return out.verdict.peer ? ErrorCode::internal : out.verdict.peer.error().code;
  };
  TestCa other("CN=Other", test::rsa_key(2));
  EXPECT_EQ(code_of(other.issue(request_)), ErrorCode::certificate_invalid);
  CertificateRequest changed = request_;
  changed.not_after = kTestNow - kDay;
  EXPECT_EQ(code_of(ca_.issue(changed)), ErrorCode::certificate_expired);
  changed = request_;
  changed.not_before = kTestNow + kDay;
  EXPECT_EQ(code_of(ca_.issue(changed)), ErrorCode::certificate_not_yet_valid);
  changed = request_;
  changed.digest = "sha1";
  EXPECT_EQ(code_of(ca_.issue(changed)), ErrorCode::certificate_invalid);
  changed = request_;
  changed.extensions.emplace_back("keyUsage", "keyEncipherment");
  EXPECT_EQ(code_of(ca_.issue(changed)), ErrorCode::certificate_invalid);
  changed = request_;
  changed.extensions = {{"subjectAltName", "IP:192.0.2.99"}};
  EXPECT_EQ(code_of(ca_.issue(changed)), ErrorCode::identity_mismatch);
  changed = request_;
  changed.key = test::rsa_key(1, 1024);
  proof_.signature = sign(changed.key);
  EXPECT_EQ(code_of(ca_.issue(changed)), ErrorCode::key_too_small);
  config_.allow_weak.algorithms = {Weak::rsa_1024};
  config_.revocation = RevocationCheck::none;
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_TRUE(verify().verdict.peer);
}

TEST_F(TrustStoreTest, WhatIsMissingIsSaidOnceAndThenTheVerdictIsFinal) {
  config_.crl.urls = {"http://ca.example/corp.crl"};
  config_.ocsp_urls = {"http://ocsp.example/"};
  request_.extensions.emplace_back("crlDistributionPoints", "URI:http://leaf.example/1.crl");
  proof_.certificates = {{4, ca_.issue(request_)}};
  ASSERT_THAT(replace(), IsEmpty());
  const Verification first = verify();
  EXPECT_TRUE(first.verdict.signature_good);
  EXPECT_FALSE(first.verdict.peer);
  ASSERT_EQ(first.missing.size(), 3U);
  EXPECT_EQ(first.missing[0].url, "http://ca.example/corp.crl");
  EXPECT_EQ(first.missing[1].url, "http://leaf.example/1.crl");
  EXPECT_FALSE(first.missing[1].configured);
  EXPECT_EQ(first.missing[2].kind, RevocationSource::Kind::ocsp);
  // Unreachable is never good.
  store_.add_failure(first.missing[0], {ErrorCode::fetch_failed, "connection refused", {}, {}, {}});
  const Verification final = verify(true);
  EXPECT_THAT(final.missing, IsEmpty());
  ASSERT_FALSE(final.verdict.peer);
  EXPECT_EQ(final.verdict.peer.error().code, ErrorCode::crl_unavailable);
  EXPECT_THAT(final.verdict.peer.error().text, HasSubstr("http://ca.example/corp.crl: connection refused"));
  // A CRL that came in between makes it good.
  EXPECT_TRUE(store_.add_answer(first.missing[0], ca_.crl(), kTestNow).value());
  EXPECT_TRUE(verify().verdict.peer);
  EXPECT_THAT(verify().missing, IsEmpty());
}

TEST_F(TrustStoreTest, CrlOptionalAsksAndGoesOnWithout) {
  config_.revocation = RevocationCheck::crl_optional;
  config_.crl.urls = {"http://ca.example/corp.crl"};
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_EQ(verify().missing.size(), 1U);
  EXPECT_TRUE(verify(true).verdict.peer);
  // But what is known to be revoked is refused.
  EXPECT_TRUE(store_.add_answer(source(), ca_.crl(revoking(500)), kTestNow));
  EXPECT_EQ(refusal().code, ErrorCode::certificate_revoked);
}

TEST_F(TrustStoreTest, NowhereToAskIsFinalAtOnce) {
  ASSERT_THAT(replace(), IsEmpty());
  const Verification out = verify(false);
  EXPECT_THAT(out.missing, IsEmpty());
  ASSERT_FALSE(out.verdict.peer);
  EXPECT_EQ(out.verdict.peer.error().code, ErrorCode::crl_unavailable);
}

TEST_F(TrustStoreTest, CrlsFromFilesAndFromThePeer) {
  config_.crl.files = {folder_.write("corp.crl", test::crl_pem(ca_.crl()))};
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_TRUE(verify().verdict.peer);
  config_.crl.files.clear();
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_FALSE(verify().verdict.peer);
  const auto certificates = proof_.certificates;
  proof_.certificates.push_back({7, ca_.crl()});
  EXPECT_TRUE(verify().verdict.peer);
  proof_.certificates = certificates;  // it was kept
  EXPECT_TRUE(verify().verdict.peer);
  ASSERT_EQ(store_.crls(kTestNow).size(), 1U);
  EXPECT_EQ(store_.crls(kTestNow)[0].source, "peer");
  EXPECT_THAT(store_.fetched_crls(), IsEmpty());
}

TEST_F(TrustStoreTest, CrlFilesAreReadAgainWhenTheyChange) {
  const std::string path = folder_.write("corp.crl", test::crl_pem(ca_.crl()));
  config_.crl.files = {path, (folder_.path() / "later.crl").string()};
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_TRUE(verify().verdict.peer);
  bool changed = true;
  EXPECT_THAT(store_.reread_crl_files(changed), IsEmpty());
  EXPECT_FALSE(changed);
  folder_.write("corp.crl", test::crl_pem(ca_.crl(revoking(500))));
  EXPECT_THAT(store_.reread_crl_files(changed), IsEmpty());
  EXPECT_TRUE(changed);
  EXPECT_EQ(refusal().code, ErrorCode::certificate_revoked);
  // A broken one is told of once, and what was known stays.
  folder_.write("corp.crl", "broken");
  EXPECT_THAT(store_.reread_crl_files(changed),
              testing::ElementsAre(testing::Field(&Error::text, HasSubstr(path))));
  EXPECT_THAT(store_.reread_crl_files(changed), IsEmpty());
  EXPECT_FALSE(changed);
  EXPECT_EQ(refusal().code, ErrorCode::certificate_revoked);
}

TEST_F(TrustStoreTest, WhatIsFetchedIsCheckedBeforeItIsKept) {
  config_.crl.urls = {"http://ca.example/corp.crl"};
  ASSERT_THAT(replace(), IsEmpty());
  const auto add = [this](const Bytes& body) { return store_.add_answer(source(), body, kTestNow); };
  TestCa impostor("CN=Root,O=test", test::rsa_key(2));
  TestCa other("CN=Other", test::rsa_key(2));
  EXPECT_EQ(add(Bytes(5, 1)).error().code, ErrorCode::crl_invalid);
  EXPECT_THAT(add(impostor.crl()).error().text, HasSubstr("signature"));
  EXPECT_THAT(add(other.crl()).error().text, HasSubstr("is of no CA of trustpoint corp"));
  CrlRequest early;
  early.this_update = kTestNow + kDay;
  EXPECT_THAT(add(ca_.crl(early)).error().text, HasSubstr("New CRL Not Yet Valid"));
  // The verdict says why there is none.
  EXPECT_EQ(refusal().code, ErrorCode::crl_invalid);
  EXPECT_THAT(refusal().text, HasSubstr("New CRL Not Yet Valid (router time not synched to CA?)"));
  CrlRequest older;
  older.this_update = kTestNow - 2 * kDay;
  EXPECT_TRUE(add(ca_.crl(revoking(500))).value());
  EXPECT_FALSE(add(ca_.crl(older)).value());
  EXPECT_FALSE(add(impostor.crl()));
  EXPECT_EQ(refusal().code, ErrorCode::certificate_revoked);
  ASSERT_EQ(store_.fetched_crls().size(), 1U);
  EXPECT_EQ(store_.fetched_crls()[0].source.url, "http://ca.example/corp.crl");
  EXPECT_EQ(store_.fetched_crls()[0].next_update, kTestNow + 7 * kDay);
  EXPECT_EQ(
      store_.add_answer({RevocationSource::Kind::crl, "http://a", true, {}, "none"}, ca_.crl(), kTestNow)
          .error()
          .code,
      ErrorCode::not_found);
}

TEST_F(TrustStoreTest, TheCacheOutlivesARestart) {
  config_.crl.urls = {"http://ca.example/corp.crl"};
  ASSERT_THAT(replace(), IsEmpty());
  ASSERT_TRUE(store_.add_answer(source(), ca_.crl(), kTestNow));
  TrustStore again(folder_.path() / "state");
  EXPECT_THAT(again.cache_errors(), IsEmpty());
  ASSERT_THAT(again.replace({config_}, no_key), IsEmpty());
  EXPECT_TRUE(again.verify(proof_, kTestNow, true).verdict.peer);
  EXPECT_EQ(again.fetched_crls().size(), 1U);
}

TEST_F(TrustStoreTest, CrlsOfIntermediatesThatPeersSent) {
  TestCa sub = ca_.subordinate("CN=Sub", test::rsa_key(2));
  config_.crl.urls = {"http://ca.example/corp.crl"};
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_FALSE(store_.add_answer(source("http://sub"), sub.crl(), kTestNow));  // nobody knows it yet
  proof_.certificates = {{4, sub.issue(request_)}, {4, sub.certificate()}};
  EXPECT_FALSE(verify().missing.empty());
  EXPECT_TRUE(store_.add_answer(source("http://sub"), sub.crl(), kTestNow));
  EXPECT_TRUE(store_.add_answer(source(), ca_.crl(), kTestNow));
  const Verification out = verify(true);
  EXPECT_TRUE(out.verdict.peer) << out.verdict.peer.error().text;
}

TEST_F(TrustStoreTest, RecheckFindsWhatWasRevokedSince) {
  config_.crl.urls = {"http://ca.example/corp.crl"};
  ASSERT_THAT(replace(), IsEmpty());
  ASSERT_TRUE(store_.add_answer(source(), ca_.crl(), kTestNow));
  const Verification out = verify(true);
  ASSERT_TRUE(out.verdict.peer);
  const auto chain = out.verdict.peer->chain;
  EXPECT_TRUE(store_.recheck(chain, "corp", kTestNow));
  EXPECT_TRUE(store_.recheck(chain, "corp", kTestNow + 30 * kDay));  // stale: no error here
  EXPECT_EQ(store_.recheck(chain, "none", kTestNow).error().code, ErrorCode::not_found);
  EXPECT_EQ(store_.recheck(chain, "corp", kTestNow + 400 * kDay).error().code,
            ErrorCode::certificate_expired);
  CrlRequest newer = revoking(500);
  newer.this_update = kTestNow;
  ASSERT_TRUE(store_.add_answer(source(), ca_.crl(newer), kTestNow).value());
  EXPECT_EQ(store_.recheck(chain, "corp", kTestNow).error().code, ErrorCode::certificate_revoked);
}

TEST_F(TrustStoreTest, MissingFilesAreStates) {
  config_.ca = {(folder_.path() / "none.pem").string()};
  config_.own =
      OwnCertificateFiles{(folder_.path() / "own.pem").string(), {"corp", "own.key", KeyUsage::general}};
  config_.crl.files = {(folder_.path() / "none.crl").string()};
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_EQ(refusal().code, ErrorCode::no_certificate);
  EXPECT_THAT(refusal().text, HasSubstr("oakgate pki authenticate corp"));
  const auto facts = store_.make_state("corp", kTestNow);
  ASSERT_TRUE(facts);
  EXPECT_FALSE(facts->own);
  EXPECT_THAT(facts->why_none, HasSubstr("oakgate pki generate-key"));
  const auto key = [](const KeyConfig&) -> Result<Bytes> { return test::public_key_der(test::rsa_key(4)); };
  ASSERT_THAT(replace(key), IsEmpty());
  EXPECT_THAT(store_.make_state("corp", kTestNow)->why_none, HasSubstr("oakgate pki enroll corp"));
  EXPECT_THAT(store_.trustpoints(kTestNow)[0].own_status, HasSubstr("no certificate yet"));
  EXPECT_THAT(store_.trustpoints(kTestNow)[0].ca_status, HasSubstr("none.pem"));
  EXPECT_FALSE(store_.make_state("none", kTestNow));
}

TEST_F(TrustStoreTest, BrokenFilesAreErrorsAndChangeNothing) {
  config_.revocation = RevocationCheck::none;
  ASSERT_THAT(replace(), IsEmpty());
  const TrustpointConfig good = config_;
  config_.ca = {folder_.write("broken.pem", "broken"),
                folder_.write("leaf.pem", test::certificate_pem(ca_.issue())), folder_.path().string()};
  config_.crl.files = {folder_.write("broken.crl", "broken")};
  config_.own = OwnCertificateFiles{folder_.write("own.pem", test::certificate_pem(ca_.issue())),
                                    {"corp", "own.key", KeyUsage::general}};
  const auto key = [](const KeyConfig&) -> Result<Bytes> { return test::public_key_der(test::rsa_key(4)); };
  const auto errors = replace(key);
  ASSERT_EQ(errors.size(), 5U);
  EXPECT_THAT(errors[0].text, HasSubstr("trustpoint corp: " + config_.ca[0]));
  EXPECT_THAT(errors[1].text, HasSubstr("is not a CA's"));
  EXPECT_THAT(errors[2].text, HasSubstr("not a regular file"));
  EXPECT_THAT(errors[3].text, HasSubstr("is not of the key in own.key"));
  EXPECT_THAT(errors[4].text, HasSubstr("broken.crl"));
  EXPECT_TRUE(verify().verdict.peer);  // as before
}

TEST_F(TrustStoreTest, OurOwnCertificateWithItsChain) {
  TestCa sub = ca_.subordinate("CN=Sub", test::rsa_key(2));
  CertificateRequest request;
  request.subject = "CN=gw-a+hostname=gw-a.example.net,O=test";
  request.key = test::rsa_key(4);
  request.extensions = {{"subjectAltName", "IP:192.0.2.1,email:ops@example.net"}};
  const Bytes own = sub.issue(request);
  // In whatever order the file has them.
  config_.own = OwnCertificateFiles{
      folder_.write("own.pem", test::certificate_pem(ca_.certificate()) +
                                   test::certificate_pem(sub.certificate()) + test::certificate_pem(own)),
      {"corp", "own.key", KeyUsage::general}};
  const auto key = [](const KeyConfig&) -> Result<Bytes> { return test::public_key_der(test::rsa_key(4)); };
  ASSERT_THAT(replace(key), IsEmpty());
  const auto facts = store_.make_state("corp", kTestNow).value();
  EXPECT_EQ(facts.ca_names, std::vector<Bytes>{Certificate::parse(ca_.certificate())->subject()});
  ASSERT_TRUE(facts.own) << facts.why_none;
  EXPECT_EQ(facts.own->certificate, own);
  EXPECT_EQ(facts.own->chain, std::vector<Bytes>{sub.certificate()});
  EXPECT_EQ(facts.own->key, "corp");
  EXPECT_EQ(facts.own->algorithm, crypto::KeyKind::rsa);
  EXPECT_EQ(crypto::name_text(facts.own->subject).value(), Certificate::parse(own)->subject_text());
  EXPECT_THAT(facts.own->names.addresses, testing::ElementsAre(*IpAddress::parse("192.0.2.1")));
  EXPECT_THAT(facts.own->names.host_names, testing::ElementsAre("gw-a.example.net"));
  EXPECT_THAT(facts.own->names.user_names, testing::ElementsAre("ops@example.net"));
  // In time only.
  EXPECT_THAT(store_.make_state("corp", kTestNow + 400 * kDay)->why_none, HasSubstr("has expired"));
  EXPECT_THAT(store_.make_state("corp", kTestNow - 400 * kDay)->why_none, HasSubstr("not yet valid"));
  const auto views = store_.certificates(kTestNow);
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].kind, CertificateView::Kind::own);
  EXPECT_EQ(views[0].status, "Available");
  EXPECT_EQ(views[1].kind, CertificateView::Kind::ca);
  EXPECT_EQ(store_.certificates(kTestNow + 400 * kDay)[0].status, "Expired");
}

TEST_F(TrustStoreTest, ACertificateForEncryptionIsTold) {
  CertificateRequest request;
  request.key = test::rsa_key(4);
  const Bytes certificate = ca_.issue(request);
  config_.own_encryption = OwnCertificateFiles{folder_.write("own.pem", test::certificate_pem(certificate)),
                                               {"gw-a-encr", "own.key", KeyUsage::encryption}};
  const auto key = [](const KeyConfig&) -> Result<Bytes> { return test::public_key_der(test::rsa_key(4)); };
  ASSERT_THAT(replace(key), IsEmpty());
  const auto told = store_.make_state("corp", kTestNow)->own_encryption;
  ASSERT_TRUE(told);
  EXPECT_EQ(told->key, "gw-a-encr");
  EXPECT_EQ(told->certificate, certificate);
  EXPECT_FALSE(store_.make_state("corp", kTestNow + 400 * kDay)->own_encryption);
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_FALSE(store_.make_state("corp", kTestNow)->own_encryption);
}

TEST_F(TrustStoreTest, AnAuthorityThatKnowsUsIsTheLastToBeAsked) {
  CertificateRequest request;
  request.key = test::rsa_key(4);
  config_.own = OwnCertificateFiles{folder_.write("own.pem", test::certificate_pem(ca_.issue(request))),
                                    {"corp", "own.key", KeyUsage::general}};
  config_.enrollment = EnrollmentSettings{};
  config_.enrollment->url = "http://ca.example/scep";
  const auto key = [](const KeyConfig&) -> Result<Bytes> { return test::public_key_der(test::rsa_key(4)); };
  const RevocationSource scep{RevocationSource::Kind::scep, "http://ca.example/scep", true, {}, "corp"};
  ASSERT_THAT(replace(key), IsEmpty());
  EXPECT_THAT(verify().missing, testing::ElementsAre(scep));
  EXPECT_THAT(store_.crl_sources("corp"), testing::ElementsAre(scep));
  config_.crl.urls = {"http://ca.example/corp.crl"};
  ASSERT_THAT(replace(key), IsEmpty());
  EXPECT_THAT(verify().missing, testing::ElementsAre(source(), scep));
  EXPECT_THAT(store_.crl_sources("corp"), testing::ElementsAre(source()));
  // Without our key, or with another issuer's certificate, it cannot help.
  ASSERT_THAT(replace(no_key), IsEmpty());
  EXPECT_THAT(verify().missing, testing::ElementsAre(source()));
  TestCa sub = ca_.subordinate("CN=Sub", test::rsa_key(2));
  config_.own->certificate = folder_.write(
      "sub.pem", test::certificate_pem(sub.issue(request)) + test::certificate_pem(sub.certificate()));
  ASSERT_THAT(replace(key), IsEmpty());
  EXPECT_THAT(verify().missing, testing::ElementsAre(source()));
}

TEST_F(TrustStoreTest, AListByScepIsCheckedAsAnyOther) {
  config_.enrollment = EnrollmentSettings{};
  ASSERT_THAT(replace(), IsEmpty());
  const RevocationSource scep{RevocationSource::Kind::scep, "http://ca.example/scep", true, {}, "corp"};
  const TestCa other("CN=Root,O=test", test::rsa_key(5));
  EXPECT_EQ(store_.add_answer(scep, other.crl(), kTestNow).error().code, ErrorCode::crl_invalid);
  EXPECT_EQ(store_.add_answer(scep, ca_.crl(), kTestNow + 30 * kDay).error().code, ErrorCode::crl_invalid);
  ASSERT_TRUE(store_.add_answer(scep, ca_.crl(revoking(500)), kTestNow).value());
  EXPECT_EQ(refusal().code, ErrorCode::certificate_revoked);
  ASSERT_EQ(store_.fetched_crls().size(), 1U);
  EXPECT_EQ(store_.fetched_crls()[0].source, scep);
}

TEST_F(TrustStoreTest, OcspAnswersOnlyWhatWasAsked) {
  config_.ocsp_urls = {"http://ocsp.example/"};
  ASSERT_THAT(replace(), IsEmpty());
  RevocationSource responder{RevocationSource::Kind::ocsp, "http://ocsp.example/", true, Bytes(5, 1), "corp"};
  EXPECT_THAT(store_.add_answer(responder, Bytes(5, 1), kTestNow).error().text,
              HasSubstr("nobody asked for"));
  const auto missing = verify().missing;
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_FALSE(store_.add_answer(missing[0], Bytes(5, 1), kTestNow));
  EXPECT_EQ(refusal().code, ErrorCode::crl_invalid);  // why there is nothing better
  ASSERT_TRUE(
      store_.add_answer(missing[0], test::ocsp_answer(missing[0].request, ca_, kTestNow, false), kTestNow));
  EXPECT_TRUE(verify().verdict.peer);
  // An answer is good for its time, and an older one does not replace it.
  EXPECT_FALSE(store_.verify(proof_, kTestNow + 2 * kDay, true).verdict.peer);
  const auto later = test::ocsp_answer(missing[0].request, ca_, kTestNow + std::chrono::hours(1), true);
  ASSERT_TRUE(store_.add_answer(missing[0], later, kTestNow + std::chrono::hours(1)).value());
  EXPECT_EQ(refusal().code, ErrorCode::certificate_revoked);
  EXPECT_FALSE(
      store_.add_answer(missing[0], test::ocsp_answer(missing[0].request, ca_, kTestNow, false), kTestNow)
          .value_or(true));
}

TEST_F(TrustStoreTest, OcspAnswersAreToldForTheirRefresh) {
  config_.ocsp_urls = {"http://ocsp.example/"};
  ASSERT_THAT(replace(), IsEmpty());
  const RevocationSource from = verify().missing.at(0);
  EXPECT_THAT(store_.fetched_answers(), IsEmpty());
  const auto answer = [&](WallTime when, bool revoked) {
    return store_.add_answer(from, test::ocsp_answer(from.request, ca_, when, revoked), when).value();
  };
  EXPECT_TRUE(answer(kTestNow, false));
  ASSERT_EQ(store_.fetched_answers().size(), 1U);
  const OcspToRefresh kept = store_.fetched_answers()[0];
  EXPECT_EQ(kept.source, from);
  EXPECT_EQ(kept.certificate, proof_.certificates[0].data);
  EXPECT_EQ(kept.this_update, kTestNow);
  EXPECT_EQ(kept.next_update, kTestNow + kDay);
  // The same again is nothing new, but kept for its time; after a gap it is.
  const WallTime later = kTestNow + std::chrono::hours(1);
  EXPECT_FALSE(answer(later, false));
  EXPECT_EQ(store_.fetched_answers()[0].next_update, later + kDay);
  EXPECT_TRUE(answer(later + 3 * kDay, false));
  EXPECT_TRUE(answer(later + 3 * kDay + std::chrono::hours(1), true));
}

// It is as good as its CA's CRL, which may have to be fetched for it alone.
TEST_F(TrustStoreTest, AResponderMayHaveBeenRevokedItself) {
  config_.ocsp_urls = {"http://ocsp.example/"};
  ASSERT_THAT(replace(), IsEmpty());
  const RevocationSource from = verify().missing.at(0);
  CertificateRequest responder;
  responder.key = test::rsa_key(3);
  responder.subject = "CN=Responder";
  responder.serial = 600;
  responder.extensions = {{"extendedKeyUsage", "OCSPSigning"},
                          {"crlDistributionPoints", "URI:http://ca.example/responders.crl"}};
  const auto answer =
      test::ocsp_answer_by(ca_.issue(responder), test::rsa_key(3), from.request, kTestNow, false);
  ASSERT_TRUE(store_.add_answer(from, answer, kTestNow));
  const auto missing = verify().missing;
  ASSERT_EQ(missing.size(), 2U);
  EXPECT_EQ(missing[0].url, "http://ca.example/responders.crl");
  EXPECT_FALSE(missing[0].configured);
  EXPECT_THAT(refusal().text, HasSubstr("whether the certificate of the OCSP responder \"CN=Responder\""));
  config_.revocation = RevocationCheck::crl_optional;
  ASSERT_THAT(replace(), IsEmpty());
  EXPECT_TRUE(verify(true).verdict.peer);
  config_.revocation = RevocationCheck::crl;
  ASSERT_THAT(replace(), IsEmpty());
  CrlRequest scoped = revoking(600);
  scoped.extensions = {{"issuingDistributionPoint", "critical,@point"}};
  scoped.config = "[point]\nfullname=URI:http://ca.example/responders.crl\n";
  const CrlRequest clean{.extensions = scoped.extensions, .config = scoped.config};
  ASSERT_TRUE(store_.add_answer(missing[0], ca_.crl(clean), kTestNow).value());
  EXPECT_TRUE(verify().verdict.peer);
  scoped.this_update = kTestNow - std::chrono::hours(1);
  ASSERT_TRUE(store_.add_answer(missing[0], ca_.crl(scoped), kTestNow).value());
  EXPECT_THAT(refusal().text, HasSubstr("has itself been revoked"));
}

TEST_F(TrustStoreTest, WorkersVerifyWhileTheLoopReplaces) {
  config_.crl.files = {folder_.write("corp.crl", test::crl_pem(ca_.crl()))};
  ASSERT_THAT(replace(), IsEmpty());
  std::vector<std::future<int>> workers;
  for (int worker = 0; worker < 3; ++worker) {
    workers.push_back(std::async(std::launch::async, [this] {
      int good = 0;
      for (int round = 0; round < 20; ++round)
        good += store_.verify(proof_, kTestNow, true).verdict.peer ? 1 : 0;
      return good;
    }));
  }
  for (int round = 0; round < 20; ++round) {
    CrlRequest request;
    request.this_update = kTestNow - kDay + std::chrono::seconds(round);
    EXPECT_TRUE(store_.add_answer(source(), ca_.crl(request), kTestNow));
    EXPECT_THAT(replace(), IsEmpty());
  }
  for (auto& worker : workers) EXPECT_EQ(worker.get(), 20);
}

}  // namespace
}  // namespace oakgate::pki
