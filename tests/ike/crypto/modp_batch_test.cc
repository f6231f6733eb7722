// Everything is compared with OpenSSL's plain BN_mod_exp. Where the processor has no AVX-512 IFMA there is
// nothing to compare, and that is what is tested.
#include "ike/crypto/modp_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

namespace oakgate::crypto {
namespace {

using Random = std::mt19937_64;  // of test data only

struct Row {
  const char* name;
  BIGNUM* (*prime)(BIGNUM*);
  int bits;  // of an exponent
};
constexpr Row kRows[] = {
    {"modp768", BN_get_rfc2409_prime_768, 200},   {"modp1024", BN_get_rfc2409_prime_1024, 200},
    {"modp1536", BN_get_rfc3526_prime_1536, 200}, {"modp2048", BN_get_rfc3526_prime_2048, 225},
    {"modp3072", BN_get_rfc3526_prime_3072, 275}, {"modp4096", BN_get_rfc3526_prime_4096, 325},
    {"modp6144", BN_get_rfc3526_prime_6144, 375}, {"modp8192", BN_get_rfc3526_prime_8192, 400}};

BigNumber two() {
  BigNumber number(BN_new());
  BN_set_word(number.get(), 2);
  return number;
}

Bytes bytes_of(const BIGNUM* number, std::size_t size) {
  Bytes out(size);
  EXPECT_GE(BN_bn2binpad(number, out.data(), static_cast<int>(size)), 0);
  return out;
}

Bytes plain_power(const BIGNUM* p, ByteView base, ByteView exponent) {
  const NumberContext context(BN_CTX_new());
  const BigNumber b(BN_bin2bn(base.data(), static_cast<int>(base.size()), nullptr));
  const BigNumber e(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr));
  const BigNumber result(BN_new());
  EXPECT_EQ(BN_mod_exp(result.get(), b.get(), e.get(), p, context.get()), 1);
  return bytes_of(result.get(), static_cast<std::size_t>(BN_num_bytes(p)));
}

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

Bytes below(Random& random, const BIGNUM* p) {
  const NumberContext context(BN_CTX_new());
  const auto size = static_cast<std::size_t>(BN_num_bytes(p));
  const Bytes any = random_bytes(random, size);
  const BigNumber number(BN_bin2bn(any.data(), static_cast<int>(size), nullptr));
  EXPECT_EQ(BN_mod(number.get(), number.get(), p, context.get()), 1);
  return bytes_of(number.get(), size);
}

// Lanes with inputs and room for what comes out.
struct Several {
  std::vector<Bytes> bases;
  std::vector<Bytes> exponents;
  std::vector<Bytes> results;
  void add(Bytes base, Bytes exponent) {
    results.emplace_back(base.size(), std::uint8_t{0xee});
    bases.push_back(std::move(base));
    exponents.push_back(std::move(exponent));
  }
  [[nodiscard]] std::vector<ModpBatch::Power> powers() {
    std::vector<ModpBatch::Power> all;
    for (std::size_t i = 0; i < bases.size(); ++i) all.push_back({bases[i], exponents[i], results[i]});
    return all;
  }
};

// How many lanes were compared.
std::size_t expect_openssls(const ModpBatch& batch, const BIGNUM* p, Several several) {
  batch.power(several.powers());
  for (std::size_t lane = 0; lane < several.bases.size(); ++lane)
    EXPECT_EQ(several.results[lane], plain_power(p, several.bases[lane], several.exponents[lane]))
        << BN_num_bits(p) << " bits, lane " << lane;
  return several.bases.size();
}

// Whether there is something to test here; that there is a batch just where the processor has it is tested
// everywhere.
bool has(const std::unique_ptr<ModpBatch>& batch) {
  EXPECT_EQ(batch != nullptr, ModpBatch::supported());
  return batch != nullptr;
}

// One for all tests of a group: a new one is proved each time, which takes long under the sanitizers.
const std::unique_ptr<ModpBatch>& batch_of(const Row& row) {
  static std::map<std::string, std::unique_ptr<ModpBatch>> made;
  const auto [found, fresh] = made.try_emplace(row.name);
  if (fresh) {
    const BigNumber p(row.prime(nullptr));
    found->second = ModpBatch::create(p.get(), two().get(), row.bits);
  }
  return found->second;
}

class EachBatch : public testing::TestWithParam<Row> {
 protected:
  BigNumber p{GetParam().prime(nullptr)};
  const std::unique_ptr<ModpBatch>& batch = batch_of(GetParam());
  Random random{20};
};

TEST_P(EachBatch, EachLaneHasItsOwnPower) {
  if (!has(batch)) return;
  EXPECT_EQ(batch->exponent_bytes(), (static_cast<std::size_t>(GetParam().bits) + 7) / 8);
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}, ModpBatch::kLanes}) {
    Several several;
    for (std::size_t lane = 0; lane < count; ++lane)
      several.add(below(random, p.get()), random_bytes(random, batch->exponent_bytes()));
    EXPECT_EQ(expect_openssls(*batch, p.get(), std::move(several)), count);
  }
}

TEST_P(EachBatch, TheEdges) {
  if (!has(batch)) return;
  const auto size = static_cast<std::size_t>(BN_num_bytes(p.get()));
  const std::size_t longest = batch->exponent_bytes();
  std::vector<Bytes> bases;
  for (int small = 0; small < 3; ++small) {
    const BigNumber less(BN_dup(p.get()));
    BN_sub_word(less.get(), static_cast<BN_ULONG>(small) + 1);
    bases.push_back(bytes_of(less.get(), size));
    Bytes number(size);
    number.back() = static_cast<std::uint8_t>(small);
    bases.push_back(number);
  }
  Bytes shorter = below(random, p.get());
  std::fill_n(shorter.begin(), size / 2, std::uint8_t{0});
  bases.push_back(shorter);
  bases.push_back(below(random, p.get()));
  ASSERT_EQ(bases.size(), ModpBatch::kLanes);
  for (const Bytes& exponent : {Bytes{}, Bytes{0, 0, 3}, Bytes(longest, 0xff)}) {
    Several several;
    for (const Bytes& base : bases) several.add(base, exponent);
    expect_openssls(*batch, p.get(), std::move(several));
  }
}

TEST_P(EachBatch, PowersOfTheGeneratorComeFromTables) {
  if (!has(batch)) return;
  ASSERT_EQ(batch->has_generator(), GetParam().bits <= 325) << "not beyond 4096 bits";
  if (!batch->has_generator()) return;
  const auto size = static_cast<std::size_t>(BN_num_bytes(p.get()));
  Several several;
  for (const Bytes& exponent :
       {Bytes(batch->exponent_bytes(), 0xff), Bytes{1}, Bytes{0x10}, Bytes{}, random_bytes(random, 25)})
    several.add(Bytes(size), exponent);
  batch->generator_power(several.powers());
  for (std::size_t lane = 0; lane < several.bases.size(); ++lane)
    EXPECT_EQ(several.results[lane], plain_power(p.get(), Bytes{2}, several.exponents[lane])) << lane;
}

INSTANTIATE_TEST_SUITE_P(Table, EachBatch, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

// Carries are at their worst where limbs are all ones or all zero, and at the end of a number that fills its
// limbs: moduli that no group has.
TEST(ModpBatch, AnyOddModulus) {
  Random random(7);
  std::size_t compared = 0;
  for (const int bits :
       {53, 64, 101, 102, 103, 104, 206, 207, 208, 209, 512, 1037, 1038, 1039, 1040, 2078, 4159}) {
    std::vector<BigNumber> moduli;
    BigNumber ones(BN_new());
    BN_set_bit(ones.get(), bits);
    BN_sub_word(ones.get(), 1);
    BigNumber zeros(BN_new());
    BN_set_bit(zeros.get(), bits - 1);
    BN_set_bit(zeros.get(), 0);
    const Bytes any = random_bytes(random, static_cast<std::size_t>(bits) / 8);
    BigNumber one(BN_bin2bn(any.data(), static_cast<int>(any.size()), nullptr));
    BN_set_bit(one.get(), bits - 1);
    BN_set_bit(one.get(), 0);
    for (BigNumber* modulus : {&ones, &zeros, &one}) {
      const auto batch = ModpBatch::create(modulus->get(), two().get(), 64);
      if (!has(batch)) return;
      for (int round = 0; round < 4; ++round) {
        Several several;
        for (std::size_t lane = 0; lane < ModpBatch::kLanes; ++lane)
          several.add(below(random, modulus->get()), random_bytes(random, 8));
        compared += expect_openssls(*batch, modulus->get(), std::move(several));
      }
    }
  }
  EXPECT_EQ(compared, 17U * 3 * 4 * 8);
}

TEST(ModpBatch, WhatItIsNotFor) {
  const BigNumber g = two();
  BigNumber p(BN_get_rfc2409_prime_768(nullptr));
  EXPECT_EQ(ModpBatch::create(p.get(), g.get(), 0), nullptr) << "no exponents";
  BN_sub_word(p.get(), 1);
  EXPECT_EQ(ModpBatch::create(p.get(), g.get(), 200), nullptr) << "even";
  const BigNumber small(BN_new());
  BN_set_word(small.get(), 65537);
  EXPECT_EQ(ModpBatch::create(small.get(), g.get(), 16), nullptr) << "less than a limb";
  const BigNumber large(BN_new());
  BN_set_bit(large.get(), 8192);
  BN_set_bit(large.get(), 0);
  EXPECT_EQ(ModpBatch::create(large.get(), g.get(), 16), nullptr) << "more than 8192 bits";
}

}  // namespace
}  // namespace oakgate::crypto
