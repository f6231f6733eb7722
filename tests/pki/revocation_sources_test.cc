#include "pki/revocation_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/crypto/distinguished_name.h"
#include "tests/pki/support/ca.h"

namespace oakgate::pki {
namespace {

using testing::ElementsAre;

Certificate certificate(test::TestCa& ca, const test::Extensions& extensions,
                        const std::string& config = {}) {
  test::CertificateRequest request;
  request.extensions = extensions;
  request.config = config;
  return Certificate::parse(ca.issue(request)).value();
}

std::vector<std::string> urls(const std::vector<RevocationSource>& sources) {
  std::vector<std::string> out;
  for (const RevocationSource& source : sources) out.push_back((source.configured ? "+" : "-") + source.url);
  return out;
}

TEST(RevocationSources, ConfiguredOnesFirstThenThoseOfTheCertificates) {
  test::TestCa ca;
  TrustpointConfig config;
  config.name = "corp";
  config.crl.urls = {"http://ca.example/corp.crl", "http://leaf.example/"};
  const Certificate leaf = certificate(
      ca,
      {{"crlDistributionPoints", "URI:http://leaf.example/,URI:HTTP://leaf.example/2,URI:ldap://l/cn=x"}});
  const Certificate sub = certificate(ca, {{"crlDistributionPoints", "URI:http://sub.example/"}});
  const auto sources = crl_sources(config, {leaf, sub, Certificate::parse(ca.certificate()).value()});
  EXPECT_THAT(urls(sources), ElementsAre("+http://ca.example/corp.crl", "+http://leaf.example/",
                                         "-HTTP://leaf.example/2", "-ldap://l/cn=x", "-http://sub.example/"));
  for (const RevocationSource& source : sources) {
    EXPECT_EQ(source.kind, RevocationSource::Kind::crl);
    EXPECT_EQ(source.trustpoint, "corp");
    EXPECT_TRUE(source.request.empty());
  }
}

TEST(RevocationSources, OtherSchemesAreLeftOut) {
  test::TestCa ca;
  const Certificate leaf =
      certificate(ca, {{"crlDistributionPoints",
                        "URI:file:///etc/passwd,URI:ftp://a/b,URI:http://,URI:ldaps://a/b,URI:gopher://x"}});
  EXPECT_TRUE(crl_sources({}, {leaf}).empty());
}

TEST(RevocationSources, DirectoryNamesNeedAServer) {
  test::TestCa ca;
  const Certificate leaf = certificate(ca, {{"crlDistributionPoints", "p"}},
                                       "[p]\nfullname=dirName:d\n[d]\nC=us\nO=cisco\nOU=sjvpn\nCN=CRL1\n");
  TrustpointConfig config;
  EXPECT_TRUE(crl_sources(config, {leaf}).empty());
  config.crl.ldap = "ldap://ca.example/";
  EXPECT_THAT(
      urls(crl_sources(config, {leaf})),
      ElementsAre("+ldap://ca.example/CN=CRL1,OU=sjvpn,O=cisco,C=us?certificateRevocationList;binary?base"));
  const Bytes odd = crypto::name_from_text("CN=a\\, b?/%").value();
  EXPECT_EQ(directory_url("ldap://h", odd),
            "ldap://h/CN=a%5C,%20b%3F%2F%25?certificateRevocationList;binary?base");
  EXPECT_EQ(directory_url("ldap://h", {}), "");
}

TEST(RevocationSources, RespondersForEachCertificateButTheAnchor) {
  test::TestCa root;
  test::TestCa sub = root.subordinate("CN=Sub", test::rsa_key(2));
  const Certificate leaf = certificate(sub, {{"authorityInfoAccess", "OCSP;URI:http://ocsp.example/"}});
  const std::vector<Certificate> path = {leaf, Certificate::parse(sub.certificate()).value(),
                                         Certificate::parse(root.certificate()).value()};
  TrustpointConfig config;
  EXPECT_THAT(urls(ocsp_sources(config, path)), ElementsAre("-http://ocsp.example/"));
  config.ocsp_urls = {"http://ours.example/"};
  const auto sources = ocsp_sources(config, path);
  EXPECT_THAT(urls(sources),
              ElementsAre("+http://ours.example/", "-http://ocsp.example/", "+http://ours.example/"));
  EXPECT_EQ(sources[0].kind, RevocationSource::Kind::ocsp);
  EXPECT_FALSE(sources[0].request.empty());
  EXPECT_EQ(sources[0].request, sources[1].request);
  EXPECT_NE(sources[0].request, sources[2].request);
}

}  // namespace
}  // namespace oakgate::pki
