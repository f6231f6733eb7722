#include "ike/crypto/modp.h"

#include <openssl/rand.h>

#include <algorithm>

namespace oakgate::crypto {

namespace {

constexpr unsigned kDigits = 16;  // values of one
constexpr int kDigitBits = 4;
// Above it tables take more than a megabyte, and such groups are slow anyway.
constexpr int kMaxFixedBaseBits = 4096;

// Hides from the compiler what it knows of a value, so that it makes no branch of a mask.
std::uint64_t opaque(std::uint64_t value) {
  asm("" : "+r"(value));
  return value;
}

// All ones if they are equal, else zero.
std::uint64_t mask_if_equal(unsigned a, unsigned b) {
  const std::uint64_t differ = opaque(a ^ b);
  return opaque((differ - 1) >> 63) * ~std::uint64_t{0};
}

unsigned digit_of(ByteView x, std::size_t position) {
  const std::uint8_t byte = x[x.size() - 1 - position / 2];
  return position % 2 == 0 ? byte & 0xfU : byte >> kDigitBits;
}

std::uint8_t* raw(std::uint64_t* words) {
  return static_cast<std::uint8_t*>(static_cast<void*>(words));
}

}  // namespace

// ---- FixedBase

std::unique_ptr<FixedBase> FixedBase::create(const BIGNUM* p, const BN_MONT_CTX* montgomery, const BIGNUM* g,
                                             int exponent_bits) {
  const auto width = static_cast<std::size_t>(BN_num_bytes(p));
  if (width % sizeof(std::uint64_t) != 0 || exponent_bits < 1) return nullptr;
  const std::size_t digits = (static_cast<std::size_t>(exponent_bits) + 7) / 8 * 2;
  std::unique_ptr<FixedBase> made(new FixedBase(montgomery, width, digits));
  return made->fill(p, g) ? std::move(made) : nullptr;
}

// The common factor is any number; it has to make every entry as long as p, which one in 2^50 does not.
bool FixedBase::fill(const BIGNUM* p, const BIGNUM* g) {
  const NumberContext context(BN_CTX_new());
  const BigNumber factor(BN_new());
  const BigNumber base(BN_new());
  const BigNumber entry(BN_new());
  correction_.reset(BN_new());
  auto* montgomery = const_cast<BN_MONT_CTX*>(montgomery_);  // OpenSSL only reads it
  const int width = static_cast<int>(words_ * sizeof(std::uint64_t));
  if (!context || !factor || !base || !entry || !correction_ || BN_rand_range(factor.get(), p) != 1 ||
      BN_to_montgomery(base.get(), g, montgomery, context.get()) != 1)
    return false;
  table_.resize(digits_ * kDigits * words_);
  std::uint64_t* at = table_.data();
  for (std::size_t position = 0; position < digits_; ++position) {
    if (BN_to_montgomery(entry.get(), factor.get(), montgomery, context.get()) != 1) return false;
    for (unsigned digit = 0; digit < kDigits; ++digit, at += words_) {
      if (BN_num_bytes(entry.get()) <= width - static_cast<int>(sizeof(BN_ULONG)) ||
          BN_bn2lebinpad(entry.get(), raw(at), width) != width ||
          BN_mod_mul_montgomery(entry.get(), entry.get(), base.get(), montgomery, context.get()) != 1)
        return false;
    }
    for (int i = 0; i < kDigitBits; ++i) {
      if (BN_mod_mul_montgomery(base.get(), base.get(), base.get(), montgomery, context.get()) != 1)
        return false;
    }
  }
  // factor^-digits
  return BN_set_word(entry.get(), digits_) == 1 &&
         BN_mod_exp(factor.get(), factor.get(), entry.get(), p, context.get()) == 1 &&
         BN_mod_inverse(factor.get(), factor.get(), p, context.get()) != nullptr &&
         BN_to_montgomery(correction_.get(), factor.get(), montgomery, context.get()) == 1;
}

// Reads the whole table of a position, whichever entry it is.
void FixedBase::select(std::size_t position, unsigned digit, std::span<std::uint64_t> entry) const {
  std::fill(entry.begin(), entry.end(), 0);
  const std::uint64_t* from = table_.data() + position * kDigits * words_;
  for (unsigned candidate = 0; candidate < kDigits; ++candidate, from += words_) {
    const std::uint64_t mask = mask_if_equal(candidate, digit);
    for (std::size_t i = 0; i < words_; ++i) entry[i] |= from[i] & mask;
  }
}

bool FixedBase::power(ByteView x, std::span<std::uint8_t> out) const {
  if (x.size() > exponent_bytes()) return false;
  SecretBytes padded(exponent_bytes());
  std::copy(x.begin(), x.end(), padded.mutable_view().end() - static_cast<std::ptrdiff_t>(x.size()));
  const NumberContext context(BN_CTX_new());
  const BigNumber product(BN_dup(correction_.get()));
  const BigNumber factor(BN_new());
  if (!context || !product || !factor) return false;
  auto* montgomery = const_cast<BN_MONT_CTX*>(montgomery_);
  std::vector<std::uint64_t> entry(words_);
  const int width = static_cast<int>(words_ * sizeof(std::uint64_t));
  bool done = true;
  for (std::size_t position = 0; position < digits_ && done; ++position) {
    select(position, digit_of(padded.view(), position), entry);
    done = BN_lebin2bn(raw(entry.data()), width, factor.get()) != nullptr &&
           BN_mod_mul_montgomery(product.get(), product.get(), factor.get(), montgomery, context.get()) == 1;
  }
  wipe(entry.data(), entry.size() * sizeof(std::uint64_t));
  return done && BN_from_montgomery(product.get(), product.get(), montgomery, context.get()) == 1 &&
         BN_bn2binpad(product.get(), out.data(), static_cast<int>(out.size())) > 0;
}

// ---- ModpGroup

std::unique_ptr<ModpGroup> ModpGroup::create(const BIGNUM* p, const BIGNUM* g, int exponent_bits) {
  std::unique_ptr<ModpGroup> group(new ModpGroup);
  const NumberContext context(BN_CTX_new());
  group->p_.reset(BN_dup(p));
  group->g_.reset(BN_dup(g));
  group->montgomery_.reset(BN_MONT_CTX_new());
  group->exponent_bits_ = exponent_bits;
  group->bytes_ = static_cast<std::size_t>(BN_num_bytes(p));
  if (!context || !group->p_ || !group->g_ || !group->montgomery_ ||
      BN_MONT_CTX_set(group->montgomery_.get(), group->p_.get(), context.get()) != 1)
    return nullptr;
  if (BN_num_bits(p) <= kMaxFixedBaseBits)
    group->fixed_base_ = FixedBase::create(group->p_.get(), group->montgomery_.get(), g, exponent_bits);
  group->batch_ = ModpBatch::create(p, g, exponent_bits);
  return group;
}

SecretBytes ModpGroup::random_exponent() const {
  const auto bits = static_cast<unsigned>(exponent_bits_);
  SecretBytes x((bits + 7) / 8);
  const auto bytes = x.mutable_view();
  std::uint8_t any = 0;
  while (any == 0) {
    if (RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return {};
    if (bits % 8 != 0) bytes.front() &= static_cast<std::uint8_t>((1U << bits % 8) - 1);
    for (const std::uint8_t byte : bytes) any |= byte;
  }
  return x;
}

Bytes ModpGroup::generator_power(const SecretBytes& x) const {
  Bytes out(bytes_);
  if (fixed_base_ && x.size() <= fixed_base_->exponent_bytes()) {
    return fixed_base_->power(x.view(), out) ? out : Bytes{};
  }
  if (BN_bn2binpad(g_.get(), out.data(), static_cast<int>(out.size())) < 0) return {};
  return to_bytes(power(out, x).view());
}

SecretBytes ModpGroup::power(ByteView y, const SecretBytes& x) const {
  const BigNumber base(BN_bin2bn(y.data(), static_cast<int>(y.size()), nullptr));
  const BigNumber exponent(BN_secure_new());
  const BigNumber result(BN_secure_new());
  const NumberContext context(BN_CTX_secure_new());
  if (!base || !exponent || !result || !context ||
      BN_bin2bn(x.view().data(), static_cast<int>(x.size()), exponent.get()) == nullptr)
    return {};
  BN_set_flags(exponent.get(), BN_FLG_CONSTTIME);
  SecretBytes out(bytes_);
  if (BN_mod_exp_mont_consttime(result.get(), base.get(), exponent.get(), p_.get(), context.get(),
                                montgomery_.get()) != 1 ||
      BN_bn2binpad(result.get(), out.mutable_view().data(), static_cast<int>(out.size())) < 0)
    return {};
  return out;
}

}  // namespace oakgate::crypto
