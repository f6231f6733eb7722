#include "ike/base/policy.h"

#include <gtest/gtest.h>

namespace oakgate {
namespace {

TEST(WeakThings, NamesEachWeakChoiceOnce) {
  const IsakmpPolicy old{
      10, IkeCipher::des3, IkeHash::sha, DhGroup::modp1024, AuthMethod::pre_share, Seconds(86400)};
  EXPECT_EQ(weak_things(old), (std::vector<Weak>{Weak::des3, Weak::group2}));
  const IsakmpPolicy strong{
      10, IkeCipher::aes_256, IkeHash::sha, DhGroup::modp2048, AuthMethod::pre_share, Seconds(86400)};
  EXPECT_TRUE(weak_things(strong).empty()) << "HMAC-SHA-1 is never fenced";
  const TransformSet pix{"pix", EspCipher::des3, Integrity::sha, EncapsulationMode::tunnel};
  EXPECT_EQ(weak_things(pix, DhGroup::modp1536), (std::vector<Weak>{Weak::des3, Weak::group5}));
}

TEST(TransformSet, KnowsItsProtocols) {
  EXPECT_EQ((TransformSet{"e", EspCipher::aes_128, Integrity::sha}.protection()), Protection::esp);
  EXPECT_EQ((TransformSet{"a", {}, {}, EncapsulationMode::tunnel, Integrity::sha}.protection()),
            Protection::ah);
  EXPECT_EQ(
      (TransformSet{"b", EspCipher::aes_128, {}, EncapsulationMode::tunnel, Integrity::sha}.protection()),
      Protection::ah_esp);
}

TEST(WeakWaiver, HoldsThroughTheWholeOfItsLastDay) {
  using namespace std::chrono;
  const sys_days last = 2027y / June / 30;
  const WeakWaiver waiver{{Weak::des3}, last, "PIX 520"};
  EXPECT_FALSE(waiver.expired(WallTime(last + hours(24)) - Seconds(1)));
  EXPECT_TRUE(waiver.expired(WallTime(last + hours(24))));
  EXPECT_FALSE((WeakWaiver{{Weak::des3}, {}, ""}.expired(WallTime(last))));
  EXPECT_TRUE(waiver.covers(Weak::des3));
  EXPECT_FALSE(waiver.covers(Weak::group2));
}

TEST(Printing, UsesTheWordsOfTheConfiguration) {
  EXPECT_EQ(
      to_string(TransformSet{"strong", EspCipher::aes_256, Integrity::sha256, EncapsulationMode::tunnel}),
      "esp-aes-256 esp-sha256-hmac");
  EXPECT_EQ(to_string(TransformSet{"pix", EspCipher::des3, Integrity::sha, EncapsulationMode::transport,
                                   Integrity::sha256}),
            "ah-sha256-hmac esp-3des esp-sha-hmac transport");
  EXPECT_EQ(to_string(TransformSet{"ah", {}, {}, EncapsulationMode::tunnel, Integrity::sha}), "ah-sha-hmac");
  EXPECT_EQ(to_string(IsakmpPolicy{10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp2048,
                                   AuthMethod::pre_share, Seconds(1)}),
            "aes-256 sha256 group14 pre-share");
}

}  // namespace
}  // namespace oakgate
