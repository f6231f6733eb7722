// Whom a certificate lets in, and in which words everybody else is refused.
#include "daemon/ssh/login.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/pki/support/ca.h"
#include "tests/pki/support/folder.h"

namespace oakgate::ssh {
namespace {

using test::CertificateRequest;
using test::CrlRequest;
using test::kDay;
using test::kTestNow;
using test::TestCa;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Servers final : public Fetcher {
 public:
  std::map<std::string, Fetched> answers;
  mutable std::vector<std::string> asked;
  [[nodiscard]] Result<Fetched> fetch(const FetchRequest& request) const override {
    asked.push_back(request.url);
    const auto found = answers.find(request.url);
    if (found == answers.end()) return fail(ErrorCode::fetch_failed, request.url + ": no answer");
    return found->second;
  }
};

class Login : public testing::Test {
 protected:
  Login() {
    trustpoint_.name = "corp";
    trustpoint_.ca = {folder_.write("ca.pem", test::certificate_pem(ca_.certificate()))};
    trustpoint_.crl.files = {(folder_.path() / "crls.pem").string()};
    config_.trustpoint = "corp";
    config_.certificates.folder = folder_.path().string();
    config_.change = {"bob"};
    request_.subject = "CN=alice,serialNumber=4711,O=test";
    request_.serial = 500;
    publish({});
  }
  void publish(std::vector<test::Revoked> revoked) {
    CrlRequest crl;
    crl.revoked = std::move(revoked);
    folder_.write("crls.pem", test::crl_pem(ca_.crl(crl)));
  }
  void give(const Bytes& der, const std::string& user = "alice") {
    folder_.write(user + ".pem", test::certificate_pem(der));
  }
  Answer ask(const std::string& user = "alice", const std::string& type = "", const std::string& key = "") {
    pki::TrustStore trust{{}};
    EXPECT_THAT(trust.replace(
                    {trustpoint_},
                    [](const KeyConfig&) -> Result<Bytes> { return fail(ErrorCode::no_public_key, "none"); }),
                IsEmpty());
    return answer({user, type, key},
                  {config_, trust, servers_, now_, pki::deadline_after(Milliseconds{2000})});
  }
  // Nobody is let in, and one line says why.
  void refuses(const std::string& why, const std::string& user = "alice") {
    const Answer given = ask(user);
    EXPECT_THAT(given.keys, IsEmpty());
    EXPECT_THAT(given.log, ElementsAre(AllOf(HasSubstr("Certificate authentication failed for user '"),
                                             HasSubstr(why))));
  }

  test::Folder folder_;
  TestCa ca_;
  TrustpointConfig trustpoint_;
  conf::SshConfig config_;
  CertificateRequest request_;
  Servers servers_;
  WallTime now_ = kTestNow;
};

TEST_F(Login, AGoodCertificateOpensItsUsersAccount) {
  give(ca_.issue(request_));
  const Answer given = ask();
  ASSERT_THAT(given.keys, SizeIs(1));
  EXPECT_EQ(given.keys[0].key.type, "ssh-rsa");
  EXPECT_EQ(given.keys[0].expiry, kTestNow + 365 * kDay);
  EXPECT_THAT(given.keys[0].subject, HasSubstr("CN=alice"));
  EXPECT_FALSE(given.keys[0].change);
  EXPECT_THAT(given.log, ElementsAre(HasSubstr("Certificate is verified for user 'alice'")));
  EXPECT_THAT(servers_.asked, IsEmpty());
  // sshd was offered that very key, or another one
  EXPECT_THAT(ask("alice", given.keys[0].key.type, given.keys[0].key.blob).keys, SizeIs(1));
  EXPECT_THAT(ask("alice", "ssh-rsa", "AAAA").log, ElementsAre(HasSubstr("has the key that is offered")));
}

TEST_F(Login, EcdsaAndWhoMayChange) {
  request_.subject = "CN=bob";
  request_.key = test::ec_key(1);
  give(ca_.issue(request_), "bob");
  const Answer given = ask("bob");
  ASSERT_THAT(given.keys, SizeIs(1));
  EXPECT_EQ(given.keys[0].key.type, "ecdsa-sha2-nistp256");
  EXPECT_TRUE(given.keys[0].change);
}

TEST_F(Login, NoCertificateNoLogin) {
  refuses("there is no certificate of alice in");
  folder_.write("alice.pem", std::string("no certificate"));
  refuses("alice.pem");
  refuses("no user's name", "../alice");
  refuses("no user's name", "");
}

TEST_F(Login, Expired) {
  request_.not_after = kTestNow - kDay;
  give(ca_.issue(request_));
  refuses("expired");
}
TEST_F(Login, NotYetValid) {
  request_.not_before = kTestNow + kDay;
  give(ca_.issue(request_));
  refuses("not yet valid");
}

TEST_F(Login, Revoked) {
  give(ca_.issue(request_));
  publish({{500}});
  refuses("revoked");
}

TEST_F(Login, AnotherUsersCertificate) {
  request_.subject = "CN=mallory";
  give(ca_.issue(request_));
  refuses("the certificate is of another user: its subject-commonname is mallory");
}

TEST_F(Login, AnotherAuthority) {
  TestCa other("CN=Other,O=test", test::rsa_key(7));
  give(other.issue(request_));
  refuses("issuer");
}
TEST_F(Login, AnotherAuthorityOfTheSameName) {
  TestCa other("CN=Root,O=test", test::rsa_key(7));
  give(other.issue(request_));
  EXPECT_THAT(ask().keys, IsEmpty());
}

TEST_F(Login, NoListWhereOneIsRequired) {
  std::filesystem::remove(folder_.path() / "crls.pem");
  give(ca_.issue(request_));
  refuses("CRL");
  trustpoint_.revocation = RevocationCheck::crl_optional;
  EXPECT_THAT(ask().keys, SizeIs(1));
}

TEST_F(Login, AStaleListIsNone) {
  give(ca_.issue(request_));
  now_ = kTestNow + 30 * kDay;
  refuses("CRL");
}

// While oakgated is down nobody refreshes what it keeps: the program asks for itself.
TEST_F(Login, AStaleListIsFetchedAnew) {
  trustpoint_.crl.urls = {"http://ca.example/corp.crl"};
  give(ca_.issue(request_));
  now_ = kTestNow + 30 * kDay;
  CrlRequest fresh;
  fresh.this_update = now_ - kDay;
  fresh.next_update = now_ + kDay;
  servers_.answers["http://ca.example/corp.crl"] = {ca_.crl(fresh), ""};
  EXPECT_THAT(ask().keys, SizeIs(1));
  EXPECT_THAT(servers_.asked, ElementsAre("http://ca.example/corp.crl"));
  fresh.revoked = {{500}};
  servers_.answers["http://ca.example/corp.crl"] = {ca_.crl(fresh), ""};
  refuses("revoked");
}

TEST_F(Login, ShortKeys) {
  config_.min_rsa_bits = 3072;
  give(ca_.issue(request_));
  refuses("the certificate's key has 2048 bits");
}

TEST_F(Login, Usages) {
  request_.extensions = {{"keyUsage", "critical,keyEncipherment"}};
  give(ca_.issue(request_));
  refuses("not for signatures");
  request_.extensions = {{"extendedKeyUsage", "clientAuth"}};
  give(ca_.issue(request_));
  refuses("for other purposes than SSH logins");
  config_.extended_key_usage = LoginUsage::client;
  EXPECT_THAT(ask().keys, SizeIs(1));
  request_.extensions = {{"extendedKeyUsage", "serverAuth"}};
  give(ca_.issue(request_));
  refuses("for other purposes than SSH logins");
  config_.extended_key_usage = LoginUsage::ssh;
  request_.extensions = {{"extendedKeyUsage", "1.3.6.1.5.5.7.3.21"}};
  give(ca_.issue(request_));
  EXPECT_THAT(ask().keys, SizeIs(1));
}

TEST_F(Login, TheFieldThatIsTheUsersName) {
  request_.extensions = {
      {"subjectAltName", "email:alice@Corp.example,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:alice"}};
  give(ca_.issue(request_));
  config_.username = LoginName::san_upn;
  EXPECT_THAT(ask().keys, SizeIs(1));
  config_.username = LoginName::san_email;
  refuses("its san-email is alice@Corp.example");
  config_.domain = "corp.example";
  EXPECT_THAT(ask().keys, SizeIs(1));
  config_.domain = "example";
  refuses("another user");
  config_.domain.clear();
  config_.username = LoginName::subject_serial_number;
  give(ca_.issue(request_), "4711");
  EXPECT_THAT(ask("4711").keys, SizeIs(1));
}

// In the words of IOS.
TEST_F(Login, WithoutThatField) {
  config_.username = LoginName::san_email;
  give(ca_.issue(request_));
  refuses("Could not find username field configured for certificate in trustpoint corp (san-email)");
  config_.username = LoginName::subject_common_name;
  request_.subject = "CN=alice,CN=root";
  give(ca_.issue(request_));
  refuses("its subject has several");
}

TEST_F(Login, ByTheDirectory) {
  config_.certificates = {"", "ldap://dir.example/o=corp?userCertificate;binary?sub?(uid=%u)"};
  refuses("no answer");
  CertificateRequest old = request_;
  old.not_after = kTestNow - kDay;
  Fetched entry{ca_.issue(old), ""};
  entry.more = {ca_.issue(request_)};
  servers_.answers["ldap://dir.example/o=corp?userCertificate;binary?sub?(uid=alice)"] = entry;
  const Answer given = ask();
  EXPECT_THAT(given.keys, SizeIs(1));
  EXPECT_THAT(given.log, ElementsAre(HasSubstr("expired"), HasSubstr("is verified")));
}

TEST_F(Login, SeveralCertificatesInAFolderOfTheUsers) {
  std::filesystem::create_directory(folder_.path() / "alice");
  give(ca_.issue(request_), "alice/laptop");
  request_.key = test::ec_key(1);
  request_.serial = 501;
  give(ca_.issue(request_), "alice/token");
  EXPECT_THAT(ask().keys, SizeIs(2));
}

}  // namespace
}  // namespace oakgate::ssh
