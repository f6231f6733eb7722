#include "daemon/kept_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace oakgate {
namespace {

using ike::KeptPair;

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

KeptPair example(std::uint32_t spi) {
  KeptPair pair;
  pair.peer = "branch-7";
  pair.tunnel = "lan";
  pair.reqid = Reqid{kReqidBase + 5};
  pair.selectors = {{*Subnet::parse("10.1.0.0/24")}, {*Subnet::parse("10.2.0.0/24")}};
  pair.local_gateway = address("192.0.2.1");
  pair.remote_gateway = address("192.0.2.2");
  pair.in = {pair.local_gateway, IpsecProtocol::esp, Spi{spi}};
  pair.out = {pair.remote_gateway, IpsecProtocol::esp, Spi{spi + 1}};
  pair.set = {"strong", EspCipher::aes_256, Integrity::sha256_96, EncapsulationMode::tunnel};
  pair.lifetime = {Seconds(3600), Kilobytes{4608000}};
  pair.established_at = Instant(Milliseconds(123456));
  pair.keyed_at = Instant(Milliseconds(123400));
  return pair;
}

// Everything that there can be.
KeptPair bundle() {
  KeptPair pair = example(0x2000);
  pair.selectors.local = Selector::of_range({address("10.1.0.10"), address("10.1.0.20")}, 6, 443);
  pair.selectors.remote.protocol = 6;
  pair.narrows = Reqid{kReqidBase + 4};
  pair.negotiated_as = Role::responder;
  pair.old = true;
  pair.set.ah = Integrity::sha;
  pair.set.compression = Compression::deflate;
  pair.set.mode = EncapsulationMode::transport;
  pair.ah_in = SaId{pair.local_gateway, IpsecProtocol::ah, Spi{0x3000}};
  pair.ah_out = SaId{pair.remote_gateway, IpsecProtocol::ah, Spi{0x3001}};
  pair.comp_in = SaId{pair.local_gateway, IpsecProtocol::comp, Spi{0x1000}};
  pair.comp_out = SaId{pair.remote_gateway, IpsecProtocol::comp, Spi{0x1001}};
  pair.pfs = DhGroup::modp2048;
  pair.esn = true;
  pair.mark = {0x7, 0xff};
  pair.if_id = 9;
  pair.encapsulation = UdpEncapsulation{4500, 20001, false};
  return pair;
}

class KeptStoreTest : public ::testing::Test {
 protected:
  KeptStoreTest() {
    std::string name = "/tmp/oakgate-kept-test.XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~KeptStoreTest() override { std::filesystem::remove_all(folder_); }
  std::vector<KeptPair> left(const std::string& boot = "boot-1") const {
    return KeptStore(folder_, boot).load().value();
  }
  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(folder_ + "/kept-sas").rdbuf();
    return text.str();
  }
  std::string folder_;
};

TEST_F(KeptStoreTest, NothingIsThereAtFirst) {
  EXPECT_TRUE(left().empty());
}

TEST_F(KeptStoreTest, HoldsEveryKindOfPair) {
  KeptStore store(folder_, "boot-1");
  ASSERT_TRUE(store.open().has_value());
  ASSERT_TRUE(store.keep(example(0x1000)).has_value());
  ASSERT_TRUE(store.keep(bundle()).has_value());
  EXPECT_EQ((std::vector<KeptPair>{example(0x1000), bundle()}), left()) << content();
}

TEST_F(KeptStoreTest, ForgetsAndReplaces) {
  KeptStore store(folder_, "boot-1");
  ASSERT_TRUE(store.open().has_value());
  KeptPair pair = example(0x1000);
  ASSERT_TRUE(store.keep(pair).has_value());
  pair.lifetime.time = Seconds(600);
  ASSERT_TRUE(store.keep(pair).has_value());
  EXPECT_EQ((std::vector<KeptPair>{pair}), left());
  ASSERT_TRUE(store.forget(pair.in).has_value());
  EXPECT_TRUE(left().empty());
  ASSERT_TRUE(store.forget(pair.in).has_value()) << "no error, and no line";
}

TEST_F(KeptStoreTest, IsItsOwnersAloneAndHasNoKeys) {
  KeptStore store(folder_, "boot-1");
  ASSERT_TRUE(store.open().has_value());
  ASSERT_TRUE(store.keep(bundle()).has_value());
  struct stat file {};
  ASSERT_EQ(0, ::stat(store.path().c_str(), &file));
  EXPECT_EQ(0600U, file.st_mode & 07777U);
  EXPECT_EQ(std::string::npos, content().find("key\""));
}

TEST_F(KeptStoreTest, OfAnotherBootNothingIsLeft) {
  KeptStore store(folder_, "boot-1");
  ASSERT_TRUE(store.open().has_value());
  ASSERT_TRUE(store.keep(example(0x1000)).has_value());
  EXPECT_TRUE(left("boot-2").empty());
  EXPECT_TRUE(left("").empty()) << "nobody knows";
}

TEST_F(KeptStoreTest, ALineThatWasBeingWrittenIsLeftOut) {
  KeptStore store(folder_, "boot-1");
  ASSERT_TRUE(store.open().has_value());
  ASSERT_TRUE(store.keep(example(0x1000)).has_value());
  const std::size_t whole = content().size();
  ASSERT_TRUE(store.keep(example(0x2000)).has_value());
  for (std::size_t size = whole; size < content().size(); size += 7) {
    const auto parsed = parse_kept(std::string_view(content()).substr(0, size), "boot-1");
    ASSERT_TRUE(parsed.has_value()) << parsed.error().text;
    EXPECT_EQ((std::vector<KeptPair>{example(0x1000)}), *parsed);
  }
}

TEST_F(KeptStoreTest, SaysWhichLineIsWrong) {
  for (const char* bad : {"{}", "[]", "rubbish", R"({"keep":{"peer":"x"}})", R"({"forget":{}})"}) {
    const auto parsed = parse_kept(kept_header("b") + kept_line(example(0x1000)) + bad + "\n", "b");
    ASSERT_FALSE(parsed.has_value()) << bad;
    EXPECT_EQ(ErrorCode::malformed, parsed.error().code);
    EXPECT_EQ(0U, parsed.error().text.find("line 3: ")) << parsed.error().text;
  }
  EXPECT_FALSE(parse_kept(R"({"version":2,"boot":"b"})"
                          "\n",
                          "b")
                   .has_value())
      << "a later version's";
}

// Each change is a line; the past does not pile up.
TEST_F(KeptStoreTest, IsWrittenAnewWhenMostOfItIsPast) {
  KeptStore store(folder_, "boot-1");
  ASSERT_TRUE(store.open().has_value());
  ASSERT_TRUE(store.keep(example(0x9000)).has_value());
  for (std::uint32_t i = 0; i < 10000; ++i) {
    ASSERT_TRUE(store.keep(example(0x10000 + 2 * i)).has_value());
    ASSERT_TRUE(store.forget(example(0x10000 + 2 * i).in).has_value());
  }
  EXPECT_EQ((std::vector<KeptPair>{example(0x9000)}), left());
  EXPECT_LT(content().size(), 2000 * kept_line(example(0x9000)).size());
}

TEST_F(KeptStoreTest, OpeningAndClosingEmptyIt) {
  KeptStore store(folder_, "boot-1");
  ASSERT_TRUE(store.open().has_value());
  ASSERT_TRUE(store.keep(example(0x1000)).has_value());
  ASSERT_TRUE(KeptStore(folder_, "boot-1").open().has_value());
  EXPECT_TRUE(left().empty());
  store.close();
  EXPECT_FALSE(std::filesystem::exists(store.path()));
}

TEST_F(KeptStoreTest, AFullDiskIsToldOnceAndMadeUpFor) {
  KeptStore store(folder_ + "/gone", "boot-1");
  ASSERT_TRUE(store.open().has_value()) << "the folder is made";
  std::filesystem::remove_all(folder_ + "/gone");
  std::ofstream(folder_ + "/gone") << "in its place";
  for (std::uint32_t i = 0; i < 2000; ++i) static_cast<void>(store.forget(example(2 * i).in));
  int errors = 0;
  for (std::uint32_t i = 0; i < 3000; ++i) {
    errors += store.keep(example(0x1000)).has_value() ? 0 : 1;
  }
  EXPECT_EQ(1, errors);
  std::filesystem::remove_all(folder_ + "/gone");
  ASSERT_TRUE(store.keep(example(0x2000)).has_value());
  EXPECT_EQ(2U, KeptStore(folder_ + "/gone", "boot-1").load()->size());
}

}  // namespace
}  // namespace oakgate
