// `ssh:`, and what of it and its trustpoint is published.
#include "conf/ssh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conf/published.h"
#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const char* const kTrust =
    "trustpoints: {corp: {ca: ca.pem, revocation: crl-optional, crl: {urls: [\"http://ca.example/a.crl\"]}, "
    "allow_weak: {algorithms: [sha], until: 2099-12-31, reason: \"old \\\"CA\\\"\"}}}\n";

Config parsed(const std::string& ssh) {
  auto outcome = parse_config(kTrust + ("ssh: " + ssh), "/etc/oakgate/f.yaml");
  EXPECT_THAT(lines(outcome), IsEmpty());
  return outcome.config ? *outcome.config : Config{};
}
std::vector<std::string> refused(const std::string& ssh) {
  return lines(parse_config(kTrust + ("ssh: " + ssh), "f.yaml"));
}

TEST(Ssh, DefaultsAreStrict) {
  const Config config =
      parsed("{trustpoint: corp, certificates: {folder: users}, username: subject-commonname}");
  ASSERT_TRUE(config.ssh);
  EXPECT_EQ(config.ssh->certificates.folder, "/etc/oakgate/users");
  EXPECT_EQ(config.ssh->username, LoginName::subject_common_name);
  EXPECT_EQ(config.ssh->extended_key_usage, LoginUsage::ssh);
  EXPECT_EQ(config.ssh->revocation, std::nullopt);
  EXPECT_EQ(config.ssh->min_rsa_bits, 2048);
  EXPECT_FALSE(may_change(*config.ssh, "alice"));
  EXPECT_EQ(config.ssh->files, "");
}

TEST(Ssh, WhatIsMissingOrWrongIsSaid) {
  EXPECT_THAT(refused("{}"),
              ElementsAre(HasSubstr("`trustpoint` is missing"), HasSubstr("`certificates` is missing"),
                          HasSubstr("`username` is missing")));
  const std::string good = "trustpoint: corp, certificates: {folder: users}, username: ";
  EXPECT_THAT(refused("{trustpoint: crop, certificates: {folder: u}, username: san-upn}"),
              ElementsAre(HasSubstr("there is no trustpoint `crop`")));
  EXPECT_THAT(
      refused("{trustpoint: corp, certificates: {folder: u, ldap: \"ldap://d/%u\"}, username: san-upn}"),
      ElementsAre(HasSubstr("names two places")));
  EXPECT_THAT(refused("{trustpoint: corp, certificates: {ldap: \"ldap://d/uid=alice\"}, username: san-upn}"),
              ElementsAre(HasSubstr("the same certificates for every user")));
  EXPECT_THAT(refused("{" + good + "commonname}"), ElementsAre(HasSubstr("`commonname` is not known here")));
  EXPECT_THAT(refused("{" + good + "san-upn, change: [alice, \"../x\", \"-l\", alice]}"),
              ElementsAre(HasSubstr("`../x` is not a user's name"), HasSubstr("`-l` is not a user's name"),
                          HasSubstr("listed twice")));
  EXPECT_THAT(refused("{" + good + "subject-commonname, domain: corp.example}"),
              ElementsAre(HasSubstr("no domain stands behind a subject's name")));
  EXPECT_THAT(refused("{" + good + "san-upn, min_rsa_bits: 512}"), testing::SizeIs(1));
}

// What logins read is what the configuration says, and nothing else of it.
TEST(Ssh, PublishedConfigurationReadsBack) {
  const Config config = parsed(
      "{trustpoint: corp, certificates: {ldap: \"ldap://d/o=x?userCertificate?sub?(uid=%u)\"}, username: "
      "san-email, "
      "domain: corp.example, extended_key_usage: client, revocation: crl, min_rsa_bits: 3072, "
      "change: [alice, bob.b], idle_timeout: 90s, banner: \"say \\\"friend\\\" and enter\", folder: /x, "
      "files: /y}");
  ASSERT_TRUE(config.ssh);
  const auto outcome = parse_config(published_yaml(config, {"ca.pem", "crls.pem"}), "/pub/ssh.yaml");
  EXPECT_THAT(lines(outcome), IsEmpty());
  ASSERT_TRUE(outcome.config && outcome.config->ssh);
  SshConfig expected = *config.ssh;
  expected.revocation.reset();
  EXPECT_EQ(*outcome.config->ssh, expected);
  EXPECT_EQ(outcome.config->gateway.control_socket, config.gateway.control_socket);
  TrustpointConfig trustpoint = config.trustpoints.at(0);
  trustpoint.ca = {"/pub/ca.pem"};
  trustpoint.crl.files = {"/pub/crls.pem"};
  trustpoint.revocation = RevocationCheck::crl;
  EXPECT_EQ(outcome.config->trustpoints.at(0), trustpoint);
}

}  // namespace
}  // namespace oakgate::conf
