// What oakgated does about enrolments, against a SCEP server in the same process and a calendar of the
// test's.
#include "daemon/enrollment_round.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/enrollment_files.h"
#include "daemon/enrollment_state.h"
#include "pki/files.h"
#include "tests/pki/scep/support.h"

namespace oakgate {
namespace {

using pki::scep::Client;
using test::kDay;
using test::kTestNow;
using testing::HasSubstr;

class EnrollmentRoundTest : public testing::Test {
 protected:
  EnrollmentRoundTest() {
    std::string name = "/tmp/oakgate-round-test.XXXXXX";
    folder_ = ::mkdtemp(name.data());
    TrustpointConfig& trustpoint = place_.trustpoint;
    trustpoint.name = "corp";
    trustpoint.ca = {folder_ + "/ca.pem"};
    trustpoint.own =
        OwnCertificateFiles{folder_ + "/own.pem", {"corp", folder_ + "/own.key", KeyUsage::general}};
    trustpoint.enrollment = EnrollmentSettings{};
    trustpoint.enrollment->url = "http://ca.example/scep";
    trustpoint.enrollment->retry_count = 3;
    place_.state_dir = folder_ + "/state";
    place_.environment.effective_uid = ::geteuid();
    write("ca.pem", test::certificate_pem(ca_.certificate()));
    write("own.key", test::private_key_pem(test::rsa_key(1)));
  }
  ~EnrollmentRoundTest() override { std::filesystem::remove_all(folder_); }

  template <typename Content>
  void write(const std::string& name, const Content& content) {
    const Bytes bytes(content.begin(), content.end());
    ASSERT_TRUE(pki::write_file(folder_ + "/" + name, bytes, pki::kSecretMode));
  }
  // As `oakgate pki enroll` does, with a server that does not decide at once.
  void request() {
    const std::vector<pki::Certificate> trusted{test::certificate(ca_.certificate())};
    const auto content = pki::scep::request_content({"CN=gw-a", "", {}, ""}, KeyUsage::general);
    const SecretBytes none;
    const auto answer = Client(server_, rng_, place_.trustpoint, trusted)
                            .enroll({*content, test::private_key(1), false, none}, kTestNow);
    ASSERT_TRUE(answer && answer->pending());
    ASSERT_TRUE(save_transaction(place_.state_dir, "corp", answer->transaction));
  }
  void have_certificate(WallTime not_before, WallTime not_after) {
    test::CertificateRequest wanted;
    wanted.subject = "CN=gw-a";
    wanted.not_before = not_before;
    wanted.not_after = not_after;
    write("own.pem", test::certificate_pem(ca_.issue(wanted)));
  }
  EnrollmentRound round(WallTime now, RenewalAttempts attempts = {}) {
    return enrollment_round(place_, server_, rng_, std::move(attempts), now);
  }
  [[nodiscard]] Transactions pending() const { return *read_transactions(place_.state_dir, "corp"); }
  [[nodiscard]] std::optional<pki::Certificate> own() const {
    return *read_own_certificate(*place_.trustpoint.own);
  }
  static std::string words(const EnrollmentRound& done) {
    std::string all;
    for (const auto& line : done.lines) all += line.text + "\n";
    return all;
  }

  test::TestCa ca_{"CN=Root,O=test", test::rsa_key(0)};
  test::ScepServer server_{ca_};
  test::CountingRng rng_;
  std::string folder_;
  EnrollmentPlace place_;
};

TEST_F(EnrollmentRoundTest, NothingToDo) {
  const EnrollmentRound done = round(kTestNow);
  EXPECT_TRUE(done.lines.empty());
  EXPECT_FALSE(done.next);
  EXPECT_TRUE(server_.urls.empty());
}

TEST_F(EnrollmentRoundTest, PollsAPendingRequestUntilItIsGranted) {
  server_.pending = 2;
  request();
  const std::size_t asked = server_.urls.size();
  EnrollmentRound done = round(kTestNow);
  EXPECT_EQ(done.next, kTestNow + Seconds(60));
  EXPECT_EQ(server_.urls.size(), asked);

  done = round(kTestNow + Seconds(60));
  EXPECT_EQ(done.next, kTestNow + Seconds(120));
  EXPECT_THAT(words(done), HasSubstr("status = 102: certificate request pending"));
  EXPECT_EQ(pending().at(0).polls, 1);

  done = round(kTestNow + Seconds(120));
  EXPECT_TRUE(done.certificates_changed);
  EXPECT_THAT(words(done), HasSubstr("%CRYPTO-6-CERTRET"));
  EXPECT_TRUE(pending().empty());
  ASSERT_TRUE(own());
  EXPECT_EQ(own()->public_key(), test::private_key(1).public_key());
  EXPECT_EQ(done.next, pki::scep::renewal_time(*own()));
}

TEST_F(EnrollmentRoundTest, GivesUpAfterTheCount) {
  server_.pending = 100;
  request();
  for (int i = 1; i <= 3; ++i) {
    const EnrollmentRound polled = round(kTestNow + Seconds(60 * i));
    EXPECT_FALSE(polled.certificates_changed);
  }
  const std::size_t asked = server_.urls.size();
  const EnrollmentRound done = round(kTestNow + Seconds(240));
  EXPECT_THAT(words(done), HasSubstr("%CRYPTO-6-CERTFAIL"));
  EXPECT_TRUE(pending().empty());
  EXPECT_EQ(server_.urls.size(), asked);
}

TEST_F(EnrollmentRoundTest, ARefusalEndsIt) {
  server_.pending = 1;
  request();
  server_.refuse = "2";
  const EnrollmentRound done = round(kTestNow + Seconds(60));
  EXPECT_THAT(words(done), HasSubstr("%CRYPTO-6-CERTREJ"));
  EXPECT_TRUE(pending().empty());
  EXPECT_FALSE(own());
}

TEST_F(EnrollmentRoundTest, AnAnswerThatIsNoneDecidesNothing) {
  server_.pending = 1;
  request();
  server_.spoil = [](test::CertRep& rep) { rep.recipient_nonce[0] ^= 1; };
  EnrollmentRound done = round(kTestNow + Seconds(60));
  EXPECT_THAT(words(done), HasSubstr("recipientNonce"));
  EXPECT_EQ(pending().size(), 1U);
  server_.spoil = nullptr;
  server_.reachable = false;
  done = round(kTestNow + Seconds(120));
  EXPECT_THAT(words(done), HasSubstr("does not answer"));
  EXPECT_EQ(pending().at(0).polls, 2);
  server_.reachable = true;
  EXPECT_TRUE(round(kTestNow + Seconds(180)).certificates_changed);
}

TEST_F(EnrollmentRoundTest, RenewsBeforeTheEndWithTheOldCertificate) {
  have_certificate(kTestNow - 335 * kDay, kTestNow + 30 * kDay);
  const Bytes old = own()->der();
  EnrollmentRound done = round(kTestNow - kDay);
  EXPECT_TRUE(server_.urls.empty());
  EXPECT_EQ(done.next, kTestNow);
  done = round(kTestNow);
  EXPECT_TRUE(done.certificates_changed);
  EXPECT_THAT(words(done), HasSubstr("%PKI-6-CERTRENEWAUTO"));
  ASSERT_EQ(server_.requests.size(), 1U);
  EXPECT_EQ(server_.requests[0].message_type, "17");
  EXPECT_EQ(server_.requests[0].signer, old);
  EXPECT_NE(own()->der(), old);
  EXPECT_EQ(own()->subject(), test::certificate(old).subject());
}

TEST_F(EnrollmentRoundTest, ARenewalMayBePendingToo) {
  have_certificate(kTestNow - 335 * kDay, kTestNow + 30 * kDay);
  const Bytes old = own()->der();
  server_.pending = 1;
  EnrollmentRound done = round(kTestNow);
  EXPECT_EQ(pending().size(), 1U);
  EXPECT_EQ(own()->der(), old);
  done = round(kTestNow + Seconds(60));
  EXPECT_TRUE(done.certificates_changed);
  EXPECT_NE(own()->der(), old);
}

TEST_F(EnrollmentRoundTest, ARenewalThatFailedIsTriedAgainLater) {
  have_certificate(kTestNow - 335 * kDay, kTestNow + 30 * kDay);
  server_.refuse = "2";
  EnrollmentRound done = round(kTestNow);
  EXPECT_THAT(words(done), HasSubstr("not renewed"));
  EXPECT_EQ(done.next, kTestNow + kDay);
  const std::size_t asked = server_.urls.size();
  done = round(kTestNow + Seconds(60), done.attempts);
  EXPECT_EQ(server_.urls.size(), asked);
  EXPECT_EQ(done.next, kTestNow + kDay);
  server_.refuse.clear();
  EXPECT_TRUE(round(kTestNow + kDay, done.attempts).certificates_changed);
}

TEST_F(EnrollmentRoundTest, WhatHasExpiredIsAnOperatorsBusiness) {
  have_certificate(kTestNow - 335 * kDay, kTestNow - kDay);
  const EnrollmentRound done = round(kTestNow);
  EXPECT_THAT(words(done), HasSubstr("has expired"));
  EXPECT_TRUE(server_.urls.empty());
}

TEST_F(EnrollmentRoundTest, TheOldCertificateStaysWhenTheNewOneIsNotOurs) {
  have_certificate(kTestNow - 335 * kDay, kTestNow + 30 * kDay);
  const Bytes old = own()->der();
  server_.certify = test::rsa_key(5);
  const EnrollmentRound done = round(kTestNow);
  EXPECT_FALSE(done.certificates_changed);
  EXPECT_THAT(words(done), HasSubstr("another key"));
  EXPECT_EQ(own()->der(), old);
}

}  // namespace
}  // namespace oakgate
