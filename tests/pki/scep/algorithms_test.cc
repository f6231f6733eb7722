#include "pki/scep/algorithms.h"

#include <openssl/objects.h>

#include "tests/pki/scep/support.h"

namespace oakgate::pki::scep {
namespace {

Capabilities parse(std::string_view text) {
  return parse_capabilities(as_bytes(text));
}
Allowance allow(std::vector<Weak> words) {
  return {"corp", test::waive(std::move(words)), test::kTestNow};
}

TEST(Capabilities, WordsInAnyCaseAndWithAnyLineEnd) {
  Capabilities wanted;
  wanted.aes = wanted.post = wanted.sha256 = true;
  EXPECT_EQ(parse("AES\nPOSTPKIOperation\nSHA-256"), wanted);
  EXPECT_EQ(parse("aes\r\npostpkioperation\r\nGetNextCACert\r\nSomethingNew\r\nsha-256\r\n"), wanted);
  EXPECT_EQ(parse(""), Capabilities{});
  EXPECT_EQ(parse("<html>AES256</html>"), Capabilities{});
}

TEST(Capabilities, TooLongAnAnswerSaysNothing) {
  std::string text = "AES\n";
  text.append(kMaxCapabilityBytes, '\n');
  EXPECT_EQ(parse(text), Capabilities{});
}

struct Choice {
  const char* name;
  const char* server;
  std::vector<Weak> words;
  std::optional<Algorithms> chosen;
  const char* missing;  // a word of the error
};
class Choosing : public testing::TestWithParam<Choice> {};

TEST_P(Choosing, IsTheBestThatBothMayUse) {
  const Choice& row = GetParam();
  const auto chosen = choose_algorithms(parse(row.server), allow(row.words));
  ASSERT_EQ(chosen.has_value(), row.chosen.has_value()) << (chosen ? "" : chosen.error().text);
  if (chosen) {
    EXPECT_EQ(*chosen, *row.chosen);
    return;
  }
  EXPECT_EQ(chosen.error().code, ErrorCode::configuration);
  EXPECT_NE(chosen.error().expected.find(row.missing), std::string::npos) << chosen.error().expected;
}

using C = ContentCipher;
using D = MessageDigest;
INSTANTIATE_TEST_SUITE_P(
    Rows, Choosing,
    testing::Values(
        Choice{"modern", "AES\nSHA-256", {}, Algorithms{C::aes_128, D::sha256}, ""},
        Choice{"standard_alone", "SCEPStandard", {}, Algorithms{C::aes_128, D::sha256}, ""},
        Choice{"sha512_only", "AES\nSHA-512", {}, Algorithms{C::aes_128, D::sha512}, ""},
        Choice{"waivers_do_not_weaken", "SCEPStandard", {Weak::des, Weak::md5}, Algorithms{}, ""},
        Choice{"des3", "DES3\nSHA-1", {Weak::des3}, Algorithms{C::des3, D::sha1}, ""},
        Choice{"des3_not_waived", "DES3\nSHA-256", {Weak::des}, std::nullopt, "`3des`"},
        Choice{"sha1", "AES\nSHA-1", {Weak::md5}, Algorithms{C::aes_128, D::sha1}, ""},
        Choice{"silent", "", {}, std::nullopt, "`3des` or `des`"},
        Choice{"silent_des3", "", {Weak::des3, Weak::des, Weak::md5}, Algorithms{C::des3, D::sha1}, ""},
        Choice{"silent_des", "", {Weak::des, Weak::md5}, Algorithms{C::des, D::md5}, ""},
        Choice{"silent_des_without_md5", "", {Weak::des}, Algorithms{C::des, D::sha1}, ""}),
    [](const testing::TestParamInfo<Choice>& row) { return row.param.name; });

TEST(ChooseAlgorithms, AWaiverThatHasEndedIsNamed) {
  Allowance allowance = allow({Weak::des3});
  allowance.waiver.until = std::chrono::floor<std::chrono::days>(test::kTestNow) - std::chrono::days(2);
  const auto chosen = choose_algorithms(parse("DES3\nSHA-1"), allowance);
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code, ErrorCode::weak_waiver_expired);
}

TEST(AcceptAlgorithms, WeakOnesByTheirWord) {
  EXPECT_EQ(accept_cipher(NID_aes_256_cbc, allow({})), C::aes_256);
  EXPECT_FALSE(accept_cipher(NID_des_ede3_cbc, allow({Weak::des})));
  EXPECT_EQ(accept_cipher(NID_des_ede3_cbc, allow({Weak::des3})), C::des3);
  EXPECT_FALSE(accept_cipher(NID_des_cbc, allow({Weak::des3})));
  EXPECT_EQ(accept_cipher(NID_des_cbc, allow({Weak::des})), C::des);
  EXPECT_EQ(accept_cipher(NID_rc2_cbc, allow({Weak::des})).error().code, ErrorCode::unsupported);
  EXPECT_EQ(accept_cipher(NID_undef, allow({Weak::des})).error().code, ErrorCode::unsupported);
  EXPECT_EQ(accept_digest(NID_sha512, allow({})), D::sha512);
  EXPECT_FALSE(accept_digest(NID_md5, allow({Weak::sha})));
  EXPECT_EQ(accept_digest(NID_md5, allow({Weak::md5})), D::md5);
  EXPECT_EQ(accept_digest(NID_sha1, allow({})), D::sha1);
  EXPECT_EQ(accept_digest(NID_md4, allow({})).error().code, ErrorCode::unsupported);
}

TEST(LibraryFor, SingleDesLivesInAContextOfItsOwn) {
  EXPECT_EQ(library_for(C::des3), nullptr);
  const auto library = library_for(C::des);
  ASSERT_TRUE(library);
  ASSERT_NE(*library, nullptr);
  const crypto::Cipher there(EVP_CIPHER_fetch(*library, "DES-CBC", nullptr));
  EXPECT_NE(there, nullptr);
  const crypto::Cipher here(EVP_CIPHER_fetch(nullptr, "DES-CBC", nullptr));
  EXPECT_EQ(here, nullptr);
  crypto::drop_openssl_errors();
}

}  // namespace
}  // namespace oakgate::pki::scep
