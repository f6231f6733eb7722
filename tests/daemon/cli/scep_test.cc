// `oakgate pki authenticate` and `enroll` against a SCEP server in the same process.
#include "daemon/cli/scep.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/enrollment_files.h"
#include "daemon/enrollment_state.h"
#include "daemon/loop.h"
#include "pki/files.h"
#include "tests/pki/scep/support.h"

namespace oakgate::cli {
namespace {

using testing::HasSubstr;

// There is no terminal.
std::optional<SecretBytes> nobody(const std::string& /*prompt*/) {
  return std::nullopt;
}

class ScepTest : public testing::Test {
 protected:
  ScepTest() {
    std::string name = "/tmp/oakgate-pki-test.XXXXXX";
    folder_ = ::mkdtemp(name.data());
    trustpoint_.name = "corp";
    trustpoint_.ca = {folder_ + "/ca.pem"};
    trustpoint_.own =
        OwnCertificateFiles{folder_ + "/own.pem", {"corp", folder_ + "/own.key", KeyUsage::general}};
    trustpoint_.enrollment = EnrollmentSettings{};
    trustpoint_.enrollment->url = "http://ca.example/scep";
    trustpoint_.enrollment->retry_period = Seconds(1);
    config_.gateway.state_dir = folder_ + "/state";
    config_.gateway.control_socket = folder_ + "/none.sock";
    arguments_.socket = folder_ + "/none.sock";
    arguments_.json = true;
    arguments_.scep.trustpoint = "corp";
    arguments_.scep.host_name = "gw-a.example";
    server_.not_before = around_now().not_before;
    server_.not_after = around_now().not_after - test::kDay;
  }
  ~ScepTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] ScepContext context() const { return {arguments_, config_, trustpoint_, server_}; }
  void write_key() {
    ASSERT_TRUE(
        pki::write_file(folder_ + "/own.key", test::private_key_pem(test::rsa_key(1)), pki::kSecretMode));
  }
  void write_authority() { ASSERT_TRUE(write_certificates(folder_ + "/ca.pem", {ca()})); }
  [[nodiscard]] pki::Certificate ca() const { return test::certificate(ca_.certificate()); }

  // Valid now by the machine's own clock, which the command reads.
  static test::CertificateRequest around_now() {
    test::CertificateRequest request;
    request.not_before = read_clocks().wall - test::kDay;
    request.not_after = read_clocks().wall + 3650 * test::kDay;
    return request;
  }

  test::TestCa ca_{"CN=Root,O=test", test::rsa_key(0), around_now()};
  test::ScepServer server_{ca_};
  std::string folder_;
  TrustpointConfig trustpoint_;
  conf::Config config_;
  Arguments arguments_;
};

TEST_F(ScepTest, AuthenticateWithEachFingerprint) {
  for (const char* digest : {"md5", "sha1", "sha256"}) {
    arguments_.scep.fingerprint = grouped_fingerprint(ca().fingerprint(digest));
    const auto result = authenticate(context(), nullptr);
    ASSERT_TRUE(result) << result.error().text;
    EXPECT_EQ((*result)["certificates"].size(), 1U);
    EXPECT_THAT(*read_authority(trustpoint_), testing::ElementsAre(ca()));
  }
}

TEST_F(ScepTest, AuthenticateRefusesAnotherFingerprint) {
  arguments_.scep.fingerprint = std::string(64, '0');
  const auto result = authenticate(context(), nullptr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().exit, Exit::failed);
  EXPECT_EQ(result.error().more["certificates"][0]["fingerprints"]["sha256"], ca().fingerprint("sha256"));
  EXPECT_FALSE(std::filesystem::exists(trustpoint_.ca.front()));
  arguments_.scep.fingerprint = "12";
  EXPECT_EQ(authenticate(context(), nullptr).error().exit, Exit::usage);
}

TEST_F(ScepTest, AuthenticateAsksAPersonOrNobody) {
  EXPECT_EQ(authenticate(context(), nullptr).error().exit, Exit::usage);
  EXPECT_EQ(authenticate(context(), [](const std::string&) { return false; }).error().code, "cancelled");
  EXPECT_FALSE(std::filesystem::exists(trustpoint_.ca.front()));
  EXPECT_TRUE(authenticate(context(), [](const std::string&) { return true; }));
  EXPECT_TRUE(std::filesystem::exists(trustpoint_.ca.front()));
}

TEST_F(ScepTest, AuthenticateTakesTheChainUpToWhatWasCompared) {
  test::TestCa middle = ca_.subordinate("CN=Middle,O=test", test::rsa_key(2), around_now());
  test::ScepServer server(middle);
  server.more_certificates = {ca_.certificate()};
  const ScepContext there{arguments_, config_, trustpoint_, server};
  arguments_.scep.fingerprint = ca().fingerprint("sha256");
  ASSERT_TRUE(authenticate(there, nullptr));
  EXPECT_THAT(*read_authority(trustpoint_),
              testing::ElementsAre(test::certificate(middle.certificate()), ca()));
  arguments_.scep.fingerprint = test::certificate(middle.certificate()).fingerprint("sha256");
  ASSERT_TRUE(authenticate(there, nullptr));
  EXPECT_THAT(*read_authority(trustpoint_), testing::ElementsAre(test::certificate(middle.certificate())));
}

TEST_F(ScepTest, AuthenticateNeedsOneFile) {
  trustpoint_.ca.push_back(folder_ + "/more.pem");
  arguments_.scep.fingerprint = ca().fingerprint("sha256");
  EXPECT_EQ(authenticate(context(), nullptr).error().exit, Exit::configuration);
}

TEST_F(ScepTest, EnrollSaysWhatIsMissing) {
  auto result = enroll(context(), nobody);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().remedy, HasSubstr("pki authenticate"));
  write_authority();
  result = enroll(context(), nobody);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().remedy, HasSubstr("pki generate-key"));
  write_key();
  arguments_.scep.ip_address = "here";
  EXPECT_FALSE(enroll(context(), nobody));
  arguments_.scep.ip_address.clear();
  arguments_.scep.password_file = folder_ + "/none";
  EXPECT_EQ(enroll(context(), nobody).error().exit, Exit::not_found);
  trustpoint_.own.reset();
  EXPECT_EQ(enroll(context(), nobody).error().exit, Exit::configuration);
}

TEST_F(ScepTest, EnrollWithAChallengePassword) {
  write_authority();
  write_key();
  server_.wanted_challenge = "swordfish";
  EXPECT_EQ(enroll(context(), nobody).error().code, "enrollment-failed");
  arguments_.scep.password_file = folder_ + "/password";
  ASSERT_TRUE(pki::write_file(folder_ + "/password", as_bytes("swordfish\n"), pki::kSecretMode));
  const auto result = enroll(context(), nobody);
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ((*result)["requests"][0]["state"], "granted");
  EXPECT_EQ((*result)["daemon_told"], false);
  ASSERT_TRUE(*read_own_certificate(*trustpoint_.own));
}

TEST_F(ScepTest, EnrollAsksForTheChallengePasswordWhenToldTo) {
  write_authority();
  write_key();
  server_.wanted_challenge = "swordfish";
  arguments_.scep.ask_password = true;
  const auto nowhere = enroll(context(), nobody);
  EXPECT_THAT(nowhere.error().text, HasSubstr("nobody can be asked"));
  EXPECT_TRUE(server_.requests.empty());
  const auto result = enroll(context(), [](const std::string& prompt) {
    EXPECT_EQ(prompt, "Challenge password: ");
    return std::optional(SecretBytes(as_bytes("swordfish")));
  });
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ((*result)["requests"][0]["state"], "granted");
}

TEST_F(ScepTest, EnrollLeavesWhatIsPendingToTheDaemon) {
  write_authority();
  write_key();
  server_.pending = 1;
  const auto result = enroll(context(), nobody);
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ((*result)["requests"][0]["state"], "pending");
  EXPECT_EQ(read_transactions(config_.gateway.state_dir, "corp")->size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(trustpoint_.own->certificate));
}

TEST_F(ScepTest, EnrollWaitsWhenToldTo) {
  write_authority();
  write_key();
  server_.pending = 2;
  arguments_.scep.wait = true;
  const auto result = enroll(context(), nobody);
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ((*result)["requests"][0]["state"], "granted");
  EXPECT_TRUE(read_transactions(config_.gateway.state_dir, "corp")->empty());
}

TEST_F(ScepTest, EnrollAsksForEachKey) {
  write_authority();
  write_key();
  trustpoint_.own_encryption = OwnCertificateFiles{
      folder_ + "/encryption.pem", {"corp encryption", folder_ + "/encryption.key", KeyUsage::encryption}};
  ASSERT_TRUE(pki::write_file(folder_ + "/encryption.key", test::private_key_pem(test::rsa_key(2)),
                              pki::kSecretMode));
  const auto result = enroll(context(), nobody);
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ((*result)["requests"].size(), 2U);
  EXPECT_EQ((*read_own_certificate(*trustpoint_.own_encryption))->public_key(),
            test::private_key(2).public_key());
}

TEST_F(ScepTest, RenewNeedsACertificateAndSignsWithIt) {
  write_authority();
  write_key();
  arguments_.scep.renew = true;
  EXPECT_EQ(enroll(context(), nobody).error().code, "no-certificate");
  arguments_.scep.renew = false;
  ASSERT_TRUE(enroll(context(), nobody));
  arguments_.scep.renew = true;
  ASSERT_TRUE(enroll(context(), nobody));
  EXPECT_EQ(server_.requests.back().message_type, "17");
}

TEST(FindScepTrustpoint, NamesThoseThatAre) {
  conf::Config config;
  config.trustpoints.emplace_back().name = "corp";
  EXPECT_EQ(find_scep_trustpoint(config, "crop").error().exit, Exit::not_found);
  EXPECT_THAT(find_scep_trustpoint(config, "crop").error().expected, HasSubstr("corp"));
  EXPECT_EQ(find_scep_trustpoint(config, "corp").error().exit, Exit::configuration);
}

TEST(GroupedFingerprint, AsIosPrintsIt) {
  EXPECT_EQ(grouped_fingerprint("1FCDF2C82DEDA6AC4819D4C4B4CFF2F5"), "1FCDF2C8 2DEDA6AC 4819D4C4 B4CFF2F5");
  EXPECT_EQ(grouped_fingerprint(""), "");
}

}  // namespace
}  // namespace oakgate::cli
