#include "pki/scep/client.h"

#include <gmock/gmock.h>

#include "tests/pki/scep/support.h"

namespace oakgate::pki::scep {
namespace {

using test::certificate;
using test::kDay;
using test::kTestNow;
using test::private_key;
using testing::HasSubstr;

TEST(OperationUrl, HasTheDefaultPathUnlessOneIsGiven) {
  EXPECT_EQ(operation_url("http://192.0.2.9:80", "GetCACert", "vpn"),
            "http://192.0.2.9:80/cgi-bin/pkiclient.exe?operation=GetCACert&message=vpn");
  EXPECT_EQ(operation_url("http://ca/", "GetCACaps", ""),
            "http://ca/cgi-bin/pkiclient.exe?operation=GetCACaps");
  EXPECT_EQ(operation_url("http://ca/scep", "PKIOperation", "a+/="),
            "http://ca/scep?operation=PKIOperation&message=a%2B%2F%3D");
  EXPECT_EQ(operation_url("http://ca/scep?ca=1", "GetCACaps", ""), "http://ca/scep?ca=1&operation=GetCACaps");
}

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    trustpoint_.name = "corp";
    trustpoint_.enrollment = EnrollmentSettings{};
    trustpoint_.enrollment->url = "http://ca.example/scep";
  }
  Client client() { return Client(server_, rng_, trustpoint_, trusted_); }
  Result<Answer> enroll(std::string_view challenge = "", std::optional<Certificate> renews = {}) {
    const auto content = request_content({"CN=gw-a,O=corp", "gw-a.example.net", {}, ""}, KeyUsage::general);
    const SecretBytes secret(as_bytes(challenge));
    return client().enroll({*content, private_key(1), false, secret, std::move(renews)}, kTestNow);
  }
  // Enrols with a server that spoils its answer, and gives the error.
  Error refusal(std::function<void(test::CertRep&)> spoil) {
    server_.spoil = std::move(spoil);
    const auto answer = enroll();
    EXPECT_FALSE(answer);
    return answer ? Error{} : answer.error();
  }

  test::TestCa ca_{"CN=Root,O=test", test::rsa_key(0)};
  test::ScepServer server_{ca_};
  test::CountingRng rng_;
  TrustpointConfig trustpoint_;
  std::vector<Certificate> trusted_{certificate(ca_.certificate())};
};

TEST_F(ClientTest, IsGrantedACertificate) {
  server_.wanted_challenge = "swordfish";
  const auto answer = enroll("swordfish");
  ASSERT_TRUE(answer) << answer.error().text;
  ASSERT_EQ(answer->granted.size(), 1U);
  EXPECT_EQ(answer->granted[0].public_key(), private_key(1).public_key());
  ASSERT_EQ(server_.requests.size(), 1U);
  EXPECT_TRUE(server_.requests[0].post);
  EXPECT_EQ(server_.requests[0].message_type, "19");
  EXPECT_EQ(server_.requests[0].cipher, "AES-128-CBC");
  EXPECT_EQ(server_.requests[0].digest, "SHA256");
  EXPECT_EQ(server_.requests[0].nonce.size(), 16U);
  EXPECT_TRUE(certificate(server_.requests[0].signer).self_signed());
}

TEST_F(ClientTest, AWrongChallengeIsTheAuthoritysRefusal) {
  server_.wanted_challenge = "swordfish";
  const auto answer = enroll("perch");
  ASSERT_TRUE(answer && answer->refused);
  EXPECT_FALSE(answer->pending());
  EXPECT_EQ(answer->refused->code, ErrorCode::enrollment_failed);
  EXPECT_THAT(answer->refused->text, HasSubstr("badRequest"));
}

TEST_F(ClientTest, AsksByGetWhereTheServerKnowsNoPost) {
  server_.capabilities = "AES\nSHA-256\n";
  const auto answer = enroll();
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_FALSE(server_.requests[0].post);
}

TEST_F(ClientTest, PollsUntilItIsGranted) {
  server_.pending = 2;
  const auto first = enroll();
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_TRUE(first->pending());
  EXPECT_EQ(first->transaction.next_poll, kTestNow + Seconds(60));
  const auto second = client().poll(first->transaction, private_key(1), kTestNow + Seconds(60));
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_TRUE(second->pending());
  const auto third = client().poll(second->transaction, private_key(1), kTestNow + Seconds(120));
  ASSERT_TRUE(third) << third.error().text;
  EXPECT_EQ(third->granted.size(), 1U);
  ASSERT_EQ(server_.requests.size(), 3U);
  EXPECT_EQ(server_.requests[1].message_type, "20");
  EXPECT_EQ(server_.requests[1].transaction, server_.requests[0].transaction);
  EXPECT_EQ(server_.requests[1].signer, server_.requests[0].signer);
  EXPECT_NE(server_.requests[1].nonce, server_.requests[0].nonce);
}

TEST_F(ClientTest, APollWithAnotherKeySaysSo) {
  server_.pending = 1;
  const auto first = enroll();
  ASSERT_TRUE(first);
  const auto poll = client().poll(first->transaction, private_key(2), kTestNow);
  ASSERT_FALSE(poll);
  EXPECT_THAT(poll.error().text, HasSubstr("the key has changed"));
}

TEST_F(ClientTest, ARefusalAfterAPendingPeriodIsToldInItsWords) {
  server_.pending = 1;
  server_.refuse = "4";
  const auto first = enroll();
  ASSERT_TRUE(first);
  server_.spoil = [](test::CertRep& rep) { rep.fail_text = "who are you?\n"; };
  const auto poll = client().poll(first->transaction, private_key(1), kTestNow);
  ASSERT_TRUE(poll && poll->refused);
  EXPECT_THAT(poll->refused->text, HasSubstr("badCertId"));
  EXPECT_THAT(poll->refused->text, HasSubstr("who are you?\\x0a"));
}

TEST_F(ClientTest, RenewsWithTheOldCertificate) {
  const auto first = enroll();
  ASSERT_TRUE(first);
  const auto second = enroll("", first->granted[0]);
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_TRUE(second->transaction.renewal);
  EXPECT_EQ(server_.requests[1].message_type, "17");
  EXPECT_EQ(server_.requests[1].signer, first->granted[0].der());
}

TEST_F(ClientTest, AServerOfTheDraftsRenewsByPkcsReq) {
  server_.capabilities = "AES\nSHA-256\nRenewal\n";
  const auto first = enroll();
  ASSERT_TRUE(first);
  ASSERT_TRUE(enroll("", first->granted[0]));
  EXPECT_EQ(server_.requests[1].message_type, "19");
  EXPECT_EQ(server_.requests[1].signer, first->granted[0].der());
}

TEST_F(ClientTest, AServerWithoutRenewalIsAskedAsTheFirstTime) {
  server_.capabilities = "AES\nSHA-256\n";
  const auto first = enroll();
  ASSERT_TRUE(first);
  const auto second = enroll("", first->granted[0]);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->transaction.renewal);
  EXPECT_TRUE(certificate(server_.requests[1].signer).self_signed());
}

TEST_F(ClientTest, TheRaAnswersForTheCa) {
  test::CertificateRequest request;
  request.subject = "CN=First Officer";
  request.key = test::rsa_key(3);
  server_.ra_certificate = ca_.issue(request);
  server_.ra_key = test::rsa_key(3);
  trustpoint_.enrollment->mode = EnrollmentMode::ra;
  const auto answer = enroll();
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer->granted.size(), 1U);
}

TEST_F(ClientTest, GetsTheCrl) {
  const auto first = enroll();
  ASSERT_TRUE(first);
  const auto crl = client().get_crl(first->granted[0], private_key(1), kTestNow);
  ASSERT_TRUE(crl) << crl.error().text;
  EXPECT_EQ(*crl, ca_.crl());
  EXPECT_EQ(server_.requests[1].message_type, "22");
}

TEST_F(ClientTest, AnAnswerWithoutACrlSaysSo) {
  const auto first = enroll();
  ASSERT_TRUE(first);
  server_.spoil = [&](test::CertRep& rep) { rep.content = test::pkcs7({ca_.certificate()}); };
  EXPECT_EQ(client().get_crl(first->granted[0], private_key(1), kTestNow).error().code,
            ErrorCode::crl_unavailable);
}

TEST_F(ClientTest, AnAuthorityThatKnowsNoGetCrlSaysSo) {
  const auto first = enroll();
  ASSERT_TRUE(first);
  server_.spoil = [](test::CertRep& rep) {
    rep.status = "2";
    rep.fail_info = "2";
    rep.content.clear();
  };
  const auto crl = client().get_crl(first->granted[0], private_key(1), kTestNow);
  ASSERT_FALSE(crl);
  EXPECT_EQ(crl.error().code, ErrorCode::crl_unavailable);
  EXPECT_THAT(crl.error().text, HasSubstr("refuses GetCRL: badRequest"));
}

TEST_F(ClientTest, AServerThatIsDownIsAFetchThatFailed) {
  server_.reachable = false;
  EXPECT_EQ(enroll().error().code, ErrorCode::fetch_failed);
}

// ---- Old servers ---------------------------------------------------------------------------------------

TEST_F(ClientTest, AnOldServerIsRefusedWithoutAWaiver) {
  server_.knows_capabilities = false;
  const auto answer = enroll();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::configuration);
  EXPECT_THAT(answer.error().expected, HasSubstr("3des"));
  EXPECT_TRUE(server_.requests.empty());
}

TEST_F(ClientTest, AnOldServerSpeaks3DesAndSha1) {
  server_.knows_capabilities = false;
  trustpoint_.allow_weak = test::waive({Weak::des3});
  const auto answer = enroll();
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(server_.requests[0].cipher, "DES-EDE3-CBC");
  EXPECT_EQ(server_.requests[0].digest, "SHA1");
}

TEST_F(ClientTest, AVeryOldServerSpeaksDesAndMd5) {
  server_.knows_capabilities = false;
  trustpoint_.allow_weak = test::waive({Weak::des, Weak::md5});
  const auto answer = enroll();
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer->granted.size(), 1U);
  EXPECT_EQ(server_.requests[0].cipher, "DES-CBC");
  EXPECT_EQ(server_.requests[0].digest, "MD5");
}

TEST_F(ClientTest, AWeakAnswerToAStrongRequestIsRefused) {
  Error error = refusal([](test::CertRep& rep) { rep.cipher = "DES-CBC"; });
  EXPECT_EQ(error.code, ErrorCode::configuration);
  EXPECT_THAT(error.text, HasSubstr("DES-CBC"));
  error = refusal([](test::CertRep& rep) { rep.digest = "MD5"; });
  EXPECT_THAT(error.text, HasSubstr("MD5"));
  EXPECT_THAT(error.expected, HasSubstr("`md5`"));
}

// ---- Wrong answers, each its own error -----------------------------------------------------------------

TEST_F(ClientTest, AnotherTransaction) {
  const Error error = refusal([](test::CertRep& rep) { rep.transaction[0] ^= 1; });
  EXPECT_EQ(error.code, ErrorCode::enrollment_failed);
  EXPECT_THAT(error.text, HasSubstr("another transaction"));
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.transaction.clear(); }).text,
              HasSubstr("another transaction"));
}

TEST_F(ClientTest, AnotherNonce) {
  const Error error = refusal([](test::CertRep& rep) { rep.recipient_nonce[15] ^= 1; });
  EXPECT_EQ(error.code, ErrorCode::enrollment_failed);
  EXPECT_THAT(error.text, HasSubstr("recipientNonce"));
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.recipient_nonce.clear(); }).text,
              HasSubstr("recipientNonce"));
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.recipient_nonce.pop_back(); }).text,
              HasSubstr("recipientNonce"));
}

TEST_F(ClientTest, AnotherRecipient) {
  test::CertificateRequest request;
  request.key = test::rsa_key(5);
  const Bytes other = ca_.issue(request);
  const Error error = refusal([&](test::CertRep& rep) { rep.recipient = other; });
  EXPECT_EQ(error.code, ErrorCode::enrollment_failed);
  EXPECT_THAT(error.text, HasSubstr("encrypted for somebody else"));
}

TEST_F(ClientTest, OurNameButAnotherKey) {
  // The recipient's name and serial number are ours, its key is not.
  const Error error = refusal([&](test::CertRep& rep) {
    const Certificate own = certificate(rep.recipient);
    X509* forged = X509_dup(own.native());
    X509_set_pubkey(forged, test::rsa_key(5));
    X509_sign(forged, test::rsa_key(5), EVP_sha256());
    rep.recipient = encode(forged, i2d_X509);
    X509_free(forged);
  });
  EXPECT_EQ(error.code == ErrorCode::enrollment_failed || error.code == ErrorCode::certificate_invalid, true)
      << error.text;
}

TEST_F(ClientTest, ACertificateOfAnotherKey) {
  server_.certify = test::rsa_key(5);
  const auto answer = enroll();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::enrollment_failed);
  EXPECT_THAT(answer.error().text, HasSubstr("another key"));
}

TEST_F(ClientTest, ACertificateOfAnotherAuthority) {
  test::TestCa other("CN=Root,O=test", test::rsa_key(5));
  const Error error = refusal([&](test::CertRep& rep) {
    test::CertificateRequest request;
    request.key = private_key(1).native();
    rep.content = test::pkcs7({other.issue(request), other.certificate()});
  });
  EXPECT_EQ(error.code, ErrorCode::certificate_invalid);
  EXPECT_THAT(error.text, HasSubstr("does not chain"));
}

TEST_F(ClientTest, ACertificateThatHasExpired) {
  const Error error = refusal([&](test::CertRep& rep) {
    test::CertificateRequest request;
    request.key = private_key(1).native();
    request.not_after = kTestNow - kDay;
    rep.content = test::pkcs7({ca_.issue(request)});
  });
  EXPECT_EQ(error.code, ErrorCode::certificate_expired);
}

TEST_F(ClientTest, AnotherSigner) {
  test::TestCa other("CN=Other,O=test", test::rsa_key(5));
  const Error error = refusal([&](test::CertRep& rep) {
    rep.signer = other.certificate();
    rep.signer_key = other.key();
  });
  EXPECT_EQ(error.code, ErrorCode::signature_invalid);
  EXPECT_THAT(error.text, HasSubstr("somebody else"));
}

TEST_F(ClientTest, TheAuthoritysNameButAnotherKeySigned) {
  const Error error = refusal([&](test::CertRep& rep) {
    // A certificate with the CA's name and serial number, of another key.
    X509* forged = X509_dup(certificate(rep.signer).native());
    X509_set_pubkey(forged, test::rsa_key(5));
    X509_sign(forged, test::rsa_key(5), EVP_sha256());
    rep.signer = encode(forged, i2d_X509);
    X509_free(forged);
    rep.signer_key = test::rsa_key(5);
  });
  EXPECT_EQ(error.code, ErrorCode::signature_invalid);
  EXPECT_THAT(error.text, HasSubstr("signature"));
}

TEST_F(ClientTest, AnswersThatAreNone) {
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.message_type = "19"; }).text, HasSubstr("messageType"));
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.status = "7"; }).text, HasSubstr("pkiStatus"));
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.content.clear(); }).text, HasSubstr("carries nothing"));
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.transaction_twice = true; }).text,
              HasSubstr("signed attribute"));
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.content = to_bytes(as_bytes("junk")); }).text,
              HasSubstr("PKCS#7"));
  EXPECT_THAT(refusal([](test::CertRep& rep) { rep.content = test::pkcs7({}); }).text,
              HasSubstr("holds none"));
}

TEST_F(ClientTest, TheAuthorityIsAnotherSinceAuthenticate) {
  test::TestCa other("CN=Root,O=test", test::rsa_key(5));
  trusted_ = {certificate(other.certificate())};
  const auto answer = enroll();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::certificate_invalid);
  EXPECT_THAT(answer.error().text, HasSubstr("not of this trustpoint"));
}

}  // namespace
}  // namespace oakgate::pki::scep
