// LDAP against OpenLDAP's server on loopback, and against servers of the test's own that answer badly.
#include "pki/ldap_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "pki/fetcher.h"
#include "tests/pki/support/ca.h"
#include "tests/pki/support/slapd.h"
#include "tests/pki/support/test_server.h"

namespace oakgate::pki {
namespace {

using test::TestReply;
using test::TestServer;
using testing::HasSubstr;
using testing::Not;

std::string base64(const Bytes& bytes) {
  std::string out(4 * (bytes.size() / 3 + 1) + 1, '\0');
  const int size = EVP_EncodeBlock(static_cast<unsigned char*>(static_cast<void*>(out.data())), bytes.data(),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

FetchRequest request_of(const std::string& url, bool configured = true) {
  FetchRequest request;
  request.url = url;
  request.configured = configured;
  request.timeout = Milliseconds{10000};
  return request;
}
std::string error_of(const FetchRequest& request) {
  const Result<Fetched> fetched = NetworkFetcher().fetch(request);
  if (fetched) return "fetched " + std::to_string(fetched->body.size()) + " bytes";
  EXPECT_EQ(fetched.error().code, ErrorCode::fetch_failed);
  EXPECT_FALSE(fetched.error().remedy.empty());
  return fetched.error().text;
}

// The directory of the routers' own documents: a CRL at cn=CRL1,ou=sjvpn,o=cisco,c=us.
class LdapFetch : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const test::TestCa ca;
    crl_ = new Bytes(ca.crl());
    certificate_ = new Bytes(ca.certificate());
    slapd_ = new test::Slapd(
        "dn: o=cisco,c=us\nobjectClass: organization\no: cisco\n\n"
        "dn: ou=sjvpn,o=cisco,c=us\nobjectClass: organizationalUnit\n"
        "objectClass: certificationAuthority\nou: sjvpn\ncACertificate;binary:: " +
        base64(*certificate_) + "\ncertificateRevocationList;binary:: " + base64(*crl_) +
        "\nauthorityRevocationList;binary:: " + base64(*crl_) +
        "\n\ndn: cn=CRL1,ou=sjvpn,o=cisco,c=us\nobjectClass: cRLDistributionPoint\ncn: CRL1\n"
        "certificateRevocationList;binary:: " +
        base64(*crl_) + "\n\ndn: cn=empty,o=cisco,c=us\nobjectClass: cRLDistributionPoint\ncn: empty\n");
  }
  static void TearDownTestSuite() {
    delete slapd_;
    delete crl_;
    delete certificate_;
  }
  static Result<Fetched> fetch(const std::string& rest) {
    return NetworkFetcher().fetch(request_of(slapd_->url(rest)));
  }
  static test::Slapd* slapd_;
  static Bytes* crl_;
  static Bytes* certificate_;
};
test::Slapd* LdapFetch::slapd_ = nullptr;
Bytes* LdapFetch::crl_ = nullptr;
Bytes* LdapFetch::certificate_ = nullptr;

TEST_F(LdapFetch, BringsACrlHoweverItsAttributeIsWritten) {
  for (const char* rest :
       {"cn=CRL1,ou=sjvpn,o=cisco,c=us?certificateRevocationList;binary?base?objectClass="
        "cRLDistributionPoint",
        "cn=CRL1,ou=sjvpn,o=cisco,c=us?certificateRevocationList;binary",
        "cn=CRL1,ou=sjvpn,o=cisco,c=us?certificateRevocationList", "CN=CRL1,OU=sjvpn,O=cisco,C=us",
        "cn=CRL1,%20ou=sjvpn,o=cisco,c=us?certificaterevocationlist?base",
        "ou=sjvpn,o=cisco,c=us?certificateRevocationList?sub?(cn=CRL1)"}) {
    const Result<Fetched> fetched = fetch(rest);
    ASSERT_TRUE(fetched) << rest << ": " << fetched.error().text;
    EXPECT_EQ(fetched->body, *crl_) << rest;
    EXPECT_EQ(fetched->content_type, "");
  }
}

TEST_F(LdapFetch, BringsCertificatesAndAuthorityLists) {
  const Result<Fetched> certificate = fetch("ou=sjvpn,o=cisco,c=us?cACertificate;binary");
  ASSERT_TRUE(certificate) << certificate.error().text;
  EXPECT_EQ(certificate->body, *certificate_);
  const Result<Fetched> list = fetch("ou=sjvpn,o=cisco,c=us?authorityRevocationList");
  ASSERT_TRUE(list) << list.error().text;
  EXPECT_EQ(list->body, *crl_);
}

TEST_F(LdapFetch, SaysWhatIsMissing) {
  EXPECT_THAT(error_of(request_of(slapd_->url("cn=CRL2,ou=sjvpn,o=cisco,c=us"))),
              HasSubstr("No such object"));
  EXPECT_THAT(error_of(request_of(slapd_->url("cn=empty,o=cisco,c=us"))),
              HasSubstr("the entry has no certificateRevocationList"));
  EXPECT_THAT(error_of(request_of(slapd_->url("c=us?certificateRevocationList?sub?(cn=nobody)"))),
              HasSubstr("no such entry"));
}

TEST_F(LdapFetch, TheSizeIsBounded) {
  FetchRequest request = request_of(slapd_->url("cn=CRL1,ou=sjvpn,o=cisco,c=us"));
  request.max_bytes = crl_->size();
  EXPECT_TRUE(NetworkFetcher().fetch(request));
  request.max_bytes = crl_->size() - 1;
  EXPECT_THAT(error_of(request), HasSubstr("more than"));
}

TEST_F(LdapFetch, WhatACertificateNamesMustBePublic) {
  EXPECT_THAT(error_of(request_of(slapd_->url("cn=CRL1,ou=sjvpn,o=cisco,c=us"), false)),
              HasSubstr("127.0.0.1 is a loopback address: not asked"));
}

TEST(LdapFetchBadServer, TarpitsEndWithTheTotalTime) {
  // The beginning of an answer that announces more than will ever come.
  for (const auto& [bytes, then] : {std::pair{std::string(), TestReply::Then::hold},
                                    {std::string("\x30\x84\x00\x01\x00\x00", 6), TestReply::Then::drip},
                                    {std::string("\x30"), TestReply::Then::hold}}) {
    const TestServer server(
        [&bytes = bytes, then = then](const std::string&) {
          return TestReply{bytes, then};
        },
        "127.0.0.1", false);
    FetchRequest request = request_of("ldap://127.0.0.1:" + std::to_string(server.port()) + "/c=us");
    request.timeout = Milliseconds{300};
    const auto started = std::chrono::steady_clock::now();
    EXPECT_THAT(error_of(request), HasSubstr("no complete answer within 300 ms"));
    EXPECT_LT(std::chrono::steady_clock::now() - started, Milliseconds{4000});
  }
}

TEST(LdapFetchBadServer, GarbageIsNoAnswer) {
  // The third announces two gigabytes.
  for (const std::string& bytes :
       {std::string(), std::string("HTTP/1.1 400 Bad Request\r\n\r\n"),
        std::string("\x30\x84\x7f\xff\xff\xff\x02\x01\x01", 9), std::string(300, '\0')}) {
    const TestServer server([&](const std::string&) { return TestReply{bytes}; }, "127.0.0.1", false);
    EXPECT_THAT(error_of(request_of("ldap://127.0.0.1:" + std::to_string(server.port()) + "/c=us")),
                Not(HasSubstr("fetched")));
  }
}

TEST(LdapFetchBadServer, BadUrlsAreNamed) {
  EXPECT_THAT(error_of(request_of("ldap:///cn=CRL1,c=us")), HasSubstr("names no server"));
  EXPECT_THAT(error_of(request_of("ldap://127.0.0.1/c=us?x?base?(a=b)?!critical=1")),
              HasSubstr("critical extension"));
  EXPECT_THAT(error_of(request_of("ldap://127.0.0.1:99999999/c=us")), Not(HasSubstr("fetched")));
  EXPECT_THAT(error_of(request_of("ldap://127.0.0.1/c=us?x?nonsense")), HasSubstr("no ldap: URL"));
  EXPECT_THAT(error_of(request_of("ldaps://127.0.0.1/c=us")), HasSubstr("no URL to fetch from"));
  FetchRequest post = request_of("ldap://127.0.0.1/c=us");
  post.body = {1};
  EXPECT_THAT(error_of(post), HasSubstr("no URL to fetch from"));
}

TEST(LdapFetchBadServer, NobodyListens) {
  std::uint16_t port = 0;
  {
    const TestServer gone([](const std::string&) { return TestReply{}; });
    port = gone.port();
  }
  EXPECT_THAT(error_of(request_of("ldap://127.0.0.1:" + std::to_string(port) + "/c=us")),
              HasSubstr("no connection: Connection refused"));
}

}  // namespace
}  // namespace oakgate::pki
