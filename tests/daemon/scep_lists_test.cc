// GetCRL with the files of a trustpoint, against a SCEP server in the same process.
#include "daemon/scep_lists.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "pki/files.h"
#include "tests/pki/scep/support.h"
#include "tests/pki/support/folder.h"

namespace oakgate {
namespace {

using test::kTestNow;
using testing::HasSubstr;

constexpr Milliseconds kTimeout{10000};

// Notes how long each request may take.
class NotesTimeouts final : public Fetcher {
 public:
  explicit NotesTimeouts(const test::ScepServer& server) : server_(server) {}
  Result<Fetched> fetch(const FetchRequest& request) const override {
    timeouts.push_back(request.timeout);
    return server_.fetch(request);
  }
  mutable std::vector<Milliseconds> timeouts;

 private:
  const test::ScepServer& server_;
};

class ScepListsTest : public testing::Test {
 protected:
  ScepListsTest() {
    trustpoint_.name = "corp";
    trustpoint_.ca = {folder_.write("ca.pem", test::certificate_pem(ca_.certificate()))};
    trustpoint_.own = OwnCertificateFiles{folder_.write("own.pem", test::certificate_pem(ca_.issue())),
                                          {"corp", (folder_.path() / "own.key").string(), KeyUsage::general}};
    trustpoint_.enrollment = EnrollmentSettings{};
    trustpoint_.enrollment->url = "http://ca.example/scep";
    const Bytes key = test::private_key_pem(test::rsa_key(1));
    EXPECT_TRUE(pki::write_file(trustpoint_.own->key.file, key, pki::kSecretMode));
  }
  Result<Bytes> get(Milliseconds timeout = kTimeout) {
    conf::Environment environment;
    environment.effective_uid = ::geteuid();
    lists_.configure({trustpoint_}, environment);
    return lists_.get({RevocationSource::Kind::scep, "http://ca.example/scep", true, {}, "corp"}, timeout,
                      kTestNow);
  }
  Error error_of(const Result<Bytes>& result) {
    EXPECT_FALSE(result);
    return result ? Error{} : result.error();
  }

  test::Folder folder_;
  test::TestCa ca_;
  test::ScepServer server_{ca_};
  std::shared_ptr<NotesTimeouts> fetcher_ = std::make_shared<NotesTimeouts>(server_);
  TrustpointConfig trustpoint_;
  ScepLists lists_{fetcher_};
};

TEST_F(ScepListsTest, AsksWithWhatTheTrustpointHas) {
  const auto crl = get();
  ASSERT_TRUE(crl) << crl.error().text;
  EXPECT_EQ(*crl, ca_.crl());
  ASSERT_EQ(server_.requests.size(), 1U);
  EXPECT_EQ(server_.requests[0].message_type, "22");
  // Not the usual time for each of the three requests: what is left of the whole.
  ASSERT_EQ(fetcher_->timeouts.size(), 3U);
  for (const Milliseconds timeout : fetcher_->timeouts) EXPECT_LE(timeout, kTimeout);
}

TEST_F(ScepListsTest, WithATimeThatIsOverNothingIsAsked) {
  const Error error = error_of(get(Milliseconds(0)));
  EXPECT_EQ(error.code, ErrorCode::fetch_failed);
  EXPECT_THAT(error.text, HasSubstr("the time for GetCRL is over"));
  EXPECT_TRUE(fetcher_->timeouts.empty());
}

TEST_F(ScepListsTest, WhatIsMissingIsSaid) {
  std::filesystem::remove(trustpoint_.own->key.file);
  EXPECT_THAT(error_of(get()).text, HasSubstr("no key corp yet"));
  std::filesystem::remove(trustpoint_.own->certificate);
  EXPECT_THAT(error_of(get()).text, HasSubstr("trustpoint corp has none yet"));
  std::filesystem::remove(trustpoint_.ca[0]);
  EXPECT_THAT(error_of(get()).text, HasSubstr("has no certificate of its authority yet"));
  trustpoint_.own.reset();
  EXPECT_THAT(error_of(get()).text, HasSubstr("no certificate of ours"));
  trustpoint_.enrollment.reset();
  EXPECT_THAT(error_of(get()).text, HasSubstr("has no enrollment"));
  EXPECT_TRUE(server_.requests.empty());
}

}  // namespace
}  // namespace oakgate
