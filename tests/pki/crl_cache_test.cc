#include "pki/crl_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pki/support/ca.h"
#include "tests/pki/support/folder.h"

namespace oakgate::pki {
namespace {

using test::CrlRequest;
using test::kDay;
using test::kTestNow;
using test::TestCa;

CrlCache::Item item(const TestCa& ca, const CrlRequest& request = {},
                    const std::string& url = "http://a.example/1") {
  CrlCache::Item out{Crl::parse(ca.crl(request)).value(), test::public_key_der(ca.key()), {}, false};
  out.source.url = url;
  out.source.configured = true;
  out.source.trustpoint = "corp";
  return out;
}

CrlRequest published(WallTime when) {
  CrlRequest out;
  out.this_update = when;
  out.next_update = when + 7 * kDay;
  return out;
}

std::size_t files_in(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    count += entry.is_regular_file() ? 1 : 0;
  return count;
}

TEST(CrlCache, TheNewestWins) {
  const TestCa ca;
  CrlCache cache({});
  EXPECT_TRUE(cache.put(item(ca, published(kTestNow - 2 * kDay))));
  EXPECT_FALSE(cache.put(item(ca, published(kTestNow - 2 * kDay))));
  EXPECT_TRUE(cache.put(item(ca, published(kTestNow - kDay))));
  EXPECT_FALSE(cache.put(item(ca, published(kTestNow - 2 * kDay))));
  ASSERT_EQ(cache.all().size(), 1U);
  EXPECT_EQ(cache.all()[0].crl.this_update(), kTestNow - kDay);
  EXPECT_FALSE(cache.all()[0].on_disk);
}

TEST(CrlCache, OfTwoListsOfOneSecondTheHigherNumberWins) {
  const TestCa ca;
  const auto numbered = [&](long number) {
    CrlRequest request = published(kTestNow - kDay);
    request.number = number;
    return item(ca, request);
  };
  CrlCache cache({});
  EXPECT_TRUE(cache.put(numbered(255)));
  EXPECT_FALSE(cache.put(numbered(255)));
  EXPECT_FALSE(cache.put(numbered(16)));
  EXPECT_TRUE(cache.put(numbered(256)));
  ASSERT_EQ(cache.all().size(), 1U);
  EXPECT_EQ(cache.all()[0].crl.number(), "0100");
}

TEST(CrlCache, IssuersKeysAndScopesAreKeptApart) {
  const TestCa ca("CN=Root,O=corp");
  const TestCa other("CN=Other,O=corp", test::rsa_key(2));
  const TestCa rolled("CN=root,O=CORP", test::rsa_key(3));  // the same name, another key
  CrlRequest scoped;
  scoped.extensions = {{"issuingDistributionPoint", "critical,onlyuser:TRUE"}};
  CrlCache cache({});
  EXPECT_TRUE(cache.put(item(ca)));
  EXPECT_TRUE(cache.put(item(other)));
  EXPECT_TRUE(cache.put(item(rolled)));
  EXPECT_TRUE(cache.put(item(ca, scoped)));
  EXPECT_EQ(cache.of_issuer(Certificate::parse(ca.certificate()).value().subject()).size(), 3U);
  EXPECT_EQ(cache.of_issuer(Certificate::parse(other.certificate()).value().subject()).size(), 1U);
}

TEST(CrlCache, OutlivesARestart) {
  const test::Folder folder;
  const TestCa ca;
  const auto where = folder.path() / "crls";
  {
    CrlCache cache(where);
    EXPECT_TRUE(cache.load().empty());  // no folder yet
    EXPECT_TRUE(cache.put(item(ca, published(kTestNow - 2 * kDay))));
    EXPECT_TRUE(cache.put(item(ca, published(kTestNow - kDay))));
    EXPECT_TRUE(cache.all()[0].on_disk);
  }
  EXPECT_EQ(files_in(where), 1U);
  CrlCache cache(where);
  EXPECT_TRUE(cache.load().empty());
  ASSERT_EQ(cache.all().size(), 1U);
  const CrlCache::Item kept = cache.all()[0];
  EXPECT_EQ(kept.crl.der(), ca.crl(published(kTestNow - kDay)));
  EXPECT_EQ(kept.signer, test::public_key_der(ca.key()));
  EXPECT_EQ(kept.source.url, "http://a.example/1");
  EXPECT_TRUE(kept.source.configured);
  EXPECT_EQ(kept.source.trustpoint, "corp");
  EXPECT_FALSE(cache.put(item(ca, published(kTestNow - 2 * kDay))));
}

TEST(CrlCache, AListOfAnAuthorityIsAskedForThereAgain) {
  const test::Folder folder;
  const TestCa ca;
  CrlCache::Item by_scep = item(ca);
  by_scep.source.kind = RevocationSource::Kind::scep;
  CrlCache(folder.path()).put(by_scep);
  CrlCache cache(folder.path());
  EXPECT_TRUE(cache.load().empty());
  ASSERT_EQ(cache.all().size(), 1U);
  EXPECT_EQ(cache.all()[0].source, by_scep.source);
}

TEST(CrlCache, WhereAListCameFromIsNotForgottenWhenAPeerSendsANewerOne) {
  const TestCa ca;
  CrlCache cache({});
  cache.put(item(ca, published(kTestNow - 2 * kDay)));
  EXPECT_TRUE(cache.put(item(ca, published(kTestNow - kDay), "")));
  EXPECT_EQ(cache.all()[0].source.url, "http://a.example/1");
}

TEST(CrlCache, BrokenFilesAreNamedAndLeftAlone) {
  const test::Folder folder;
  folder.write("broken.crl", "no CRL");
  folder.write("unsigned.crl", test::crl_pem(TestCa().crl()));
  folder.write("other.txt", "not ours");
  CrlCache cache(folder.path());
  const auto errors = cache.load();
  ASSERT_EQ(errors.size(), 2U);
  for (const Error& error : errors) EXPECT_THAT(error.text, testing::HasSubstr(folder.path().string()));
  EXPECT_EQ(files_in(folder.path()), 3U);
  EXPECT_TRUE(cache.all().empty());
}

TEST(CrlCache, AFullDiskDoesNotLoseTheList) {
  const test::Folder folder;
  folder.write("file", "a file where the cache's folder should be");
  const TestCa ca;
  CrlCache cache(folder.path() / "file" / "crls");
  EXPECT_TRUE(cache.put(item(ca)));
  ASSERT_EQ(cache.all().size(), 1U);
  EXPECT_FALSE(cache.all()[0].on_disk);
}

TEST(CrlCache, IsBounded) {
  const test::Folder folder;
  CrlCache cache(folder.path());
  EVP_PKEY* key = test::ec_key(0);
  for (std::size_t count = 0; count <= kMaxCachedCrls; ++count) {
    const TestCa ca("CN=CA" + std::to_string(count), key);
    // What ends first goes: the first one put in.
    EXPECT_TRUE(cache.put(item(ca, published(kTestNow + std::chrono::hours(count)))));
  }
  EXPECT_EQ(cache.all().size(), kMaxCachedCrls);
  EXPECT_EQ(files_in(folder.path()), kMaxCachedCrls);
  EXPECT_EQ(cache.all().front().crl.issuer_text(), "CN=CA1");
}

}  // namespace
}  // namespace oakgate::pki
