#include "ike/crypto/modp.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <set>

namespace oakgate::crypto {
namespace {

struct Row {
  const char* name;
  BIGNUM* (*prime)(BIGNUM*);
  int bits;
};
constexpr Row kRows[] = {
    {"modp768", BN_get_rfc2409_prime_768, 200},   {"modp1024", BN_get_rfc2409_prime_1024, 200},
    {"modp1536", BN_get_rfc3526_prime_1536, 200}, {"modp2048", BN_get_rfc3526_prime_2048, 225},
    {"modp3072", BN_get_rfc3526_prime_3072, 275}, {"modp4096", BN_get_rfc3526_prime_4096, 325},
    {"modp6144", BN_get_rfc3526_prime_6144, 375}};

// What OpenSSL's plain BN_mod_exp says.
Bytes plain_power(const BIGNUM* p, ByteView base, ByteView x) {
  const NumberContext context(BN_CTX_new());
  const BigNumber b(BN_bin2bn(base.data(), static_cast<int>(base.size()), nullptr));
  const BigNumber e(BN_bin2bn(x.data(), static_cast<int>(x.size()), nullptr));
  const BigNumber result(BN_new());
  Bytes out(static_cast<std::size_t>(BN_num_bytes(p)));
  EXPECT_EQ(BN_mod_exp(result.get(), b.get(), e.get(), p, context.get()), 1);
  EXPECT_GT(BN_bn2binpad(result.get(), out.data(), static_cast<int>(out.size())), 0);
  return out;
}

class EachPrime : public testing::TestWithParam<Row> {
 protected:
  void SetUp() override {
    p.reset(GetParam().prime(nullptr));
    BN_set_word(g.get(), 2);
    group = ModpGroup::create(p.get(), g.get(), GetParam().bits);
    ASSERT_NE(group, nullptr);
  }
  Bytes two() const {
    Bytes base(static_cast<std::size_t>(BN_num_bytes(p.get())));
    base.back() = 2;
    return base;
  }
  BigNumber p;
  BigNumber g{BN_new()};
  std::unique_ptr<ModpGroup> group;
};

TEST_P(EachPrime, PowersAreOpensslsOwn) {
  for (int i = 0; i < 12; ++i) {
    const SecretBytes x = group->random_exponent();
    const Bytes public_value = group->generator_power(x);
    ASSERT_EQ(public_value, plain_power(p.get(), two(), x.view()));
    const SecretBytes y = group->random_exponent();
    const Bytes expected = plain_power(p.get(), public_value, y.view());
    ASSERT_EQ(to_bytes(group->power(public_value, y).view()), expected);
  }
  EXPECT_EQ(ERR_peek_error(), 0U);
}

// Every value of every digit, alone and with all others set; short ones; the longest.
TEST_P(EachPrime, EveryDigitCounts) {
  const std::size_t size = group->random_exponent().size();
  // of the large ones every fifth digit
  const std::size_t step = GetParam().bits > 225 ? 5 : 1;
  for (std::size_t position = 0; position < size * 2; position += step) {
    for (unsigned digit : {0U, 1U, 15U}) {
      for (const std::uint8_t others : {0x00, 0xff}) {
        Bytes x(size, others);
        std::uint8_t& byte = x[size - 1 - position / 2];
        const unsigned shift = position % 2 * 4;
        byte = static_cast<std::uint8_t>((byte & ~(0xfU << shift)) | digit << shift);
        ASSERT_EQ(group->generator_power(SecretBytes(ByteView(x))), plain_power(p.get(), two(), x))
            << position << ' ' << digit;
      }
    }
  }
  for (const Bytes& x : {Bytes{1}, Bytes{0}, Bytes{0x80, 0x01}})
    EXPECT_EQ(group->generator_power(SecretBytes(ByteView(x))), plain_power(p.get(), two(), x));
}

TEST_P(EachPrime, ExponentsLongerThanOurOwnWorkToo) {
  Bytes x(static_cast<std::size_t>(BN_num_bytes(p.get())), 0xa5);
  x.front() = 0x7f;
  EXPECT_EQ(group->generator_power(SecretBytes(ByteView(x))), plain_power(p.get(), two(), x));
}

TEST_P(EachPrime, ExponentsAreUniformOverTheirBits) {
  const auto bits = static_cast<std::size_t>(GetParam().bits);
  std::vector<int> ones(bits);
  std::set<Bytes> seen;
  constexpr int kDrawn = 400;
  for (int i = 0; i < kDrawn; ++i) {
    const SecretBytes x = group->random_exponent();
    ASSERT_EQ(x.size(), (bits + 7) / 8);
    ASSERT_TRUE(seen.insert(to_bytes(x.view())).second);
    for (std::size_t bit = 0; bit < x.size() * 8; ++bit) {
      const int value = x.view()[x.size() - 1 - bit / 8] >> bit % 8 & 1;
      if (bit >= bits) {
        ASSERT_EQ(value, 0) << bit;
      } else {
        ones[bit] += value;
      }
    }
  }
  // 10 standard deviations: not once in the life of the universe by chance
  for (const int count : ones) EXPECT_NEAR(count, kDrawn / 2, 100);
}

INSTANTIATE_TEST_SUITE_P(Primes, EachPrime, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace oakgate::crypto
