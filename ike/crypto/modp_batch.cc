#include "ike/crypto/modp_batch.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>

#include "ike/base/secret.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace oakgate::crypto {

#if defined(__x86_64__)

namespace {

// Of single functions, not of the whole file: what is inline elsewhere shall not come out of here with
// instructions that a processor may lack.
#define OAKGATE_IFMA [[gnu::target("avx512f,avx512ifma")]]

constexpr int kLimbBits = 52;
constexpr std::uint64_t kLimbMask = (std::uint64_t{1} << kLimbBits) - 1;
constexpr unsigned kDigits = 16;  // values of a digit
constexpr int kDigitBits = 4;
constexpr int kMaxBits = 8192;
constexpr int kMaxTableBits = 4096;  // as FixedBase

// A number of each lane: `limbs` vectors.
using Lanes = __m512i*;
using ConstLanes = const __m512i*;

// What a computation needs to know of p.
struct Modulus {
  const std::uint64_t* p;
  std::size_t limbs;
  std::uint64_t k0;
};

// Vectors that are wiped in the end.
class Scratch {
 public:
  explicit Scratch(std::size_t vectors)
      : size_(vectors * sizeof(__m512i)),
        data_(static_cast<Lanes>(std::aligned_alloc(sizeof(__m512i), size_))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    wipe(data_, size_);
    std::free(data_);
  }
  Lanes take(std::size_t vectors) {
    const Lanes taken = data_ + used_;
    used_ += vectors;
    return taken;
  }

 private:
  std::size_t size_;
  Lanes data_;
  std::size_t used_ = 0;
};

// Loaded once, though used twice: GCC 12 would let either instruction load it.
OAKGATE_IFMA inline __m512i loaded(const __m512i& limb) {
  __m512i value = limb;
  asm("" : "+v"(value));
  return value;
}

// What a sum has above its limb. (All elements: GCC 12 warns of the form without a mask.)
OAKGATE_IFMA inline __m512i upper(__m512i sum) {
  return _mm512_maskz_srli_epi64(0xff, sum, kLimbBits);
}

// The sums of columns, carried into limbs.
OAKGATE_IFMA void carry_over(Lanes out, ConstLanes sums, std::size_t limbs) {
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(kLimbMask));
  __m512i carry = _mm512_setzero_si512();
  for (std::size_t j = 0; j < limbs; ++j) {
    const __m512i sum = _mm512_add_epi64(sums[j], carry);
    out[j] = _mm512_and_si512(sum, mask);
    carry = upper(sum);
  }
}

// a b / R mod p, below 2p if a and b are, as 4p < R (almost Montgomery multiplication: no comparison with p).
// By columns, two limbs of b at a time: what a column is the sum of stays in registers. A sum has at most 4
// terms below 2^52 for each limb, 640 for the largest p, and so room in 64 bits; carries are passed on only
// where the lowest columns fall away, and in the end. The number of limbs is even. `out` may be `a` or `b`;
// `sums` has room for two more than a number.
OAKGATE_IFMA void multiply(Lanes out, ConstLanes a, ConstLanes b, const Modulus& modulus, Lanes sums) {
  const std::size_t limbs = modulus.limbs;
  const std::uint64_t* const p = modulus.p;
  const __m512i zero = _mm512_setzero_si512();
  const __m512i k0 = _mm512_set1_epi64(static_cast<long long>(modulus.k0));
  for (std::size_t i = 0; i < limbs + 2; ++i) sums[i] = zero;
  for (std::size_t i = 0; i < limbs; i += 2) {
    const __m512i f0 = b[i];
    const __m512i f1 = b[i + 1];
    __m512i a1 = a[0];  // of the column below
    __m512i p1 = _mm512_set1_epi64(static_cast<long long>(p[0]));
    // columns 0 and 1 say how often p is added so that they become zero
    __m512i column = _mm512_madd52lo_epu64(sums[0], a1, f0);
    const __m512i m0 = _mm512_madd52lo_epu64(zero, column, k0);
    column = _mm512_madd52lo_epu64(column, p1, m0);
    __m512i carry = upper(column);
    __m512i a0 = a[1];
    __m512i p0 = _mm512_set1_epi64(static_cast<long long>(p[1]));
    column = _mm512_madd52hi_epu64(_mm512_add_epi64(sums[1], carry), a1, f0);
    column = _mm512_madd52lo_epu64(column, a0, f0);
    column = _mm512_madd52hi_epu64(column, p1, m0);
    column = _mm512_madd52lo_epu64(column, p0, m0);
    column = _mm512_madd52lo_epu64(column, a1, f1);
    const __m512i m1 = _mm512_madd52lo_epu64(zero, column, k0);
    carry = upper(_mm512_madd52lo_epu64(column, p1, m1));
    __m512i a2 = a1;
    __m512i p2 = p1;
    a1 = a0;
    p1 = p0;
    sums[2] = _mm512_add_epi64(sums[2], carry);
#pragma GCC unroll 4
    for (std::size_t j = 2; j < limbs; ++j) {
      a0 = a[j];
      p0 = _mm512_set1_epi64(static_cast<long long>(p[j]));
      __m512i of_a = _mm512_madd52lo_epu64(sums[j], a0, f0);
      __m512i of_p = _mm512_madd52lo_epu64(zero, p0, m0);
      of_a = _mm512_madd52hi_epu64(of_a, a1, f0);
      of_p = _mm512_madd52hi_epu64(of_p, p1, m0);
      of_a = _mm512_madd52lo_epu64(of_a, a1, f1);
      of_p = _mm512_madd52lo_epu64(of_p, p1, m1);
      of_a = _mm512_madd52hi_epu64(of_a, a2, f1);
      of_p = _mm512_madd52hi_epu64(of_p, p2, m1);
      sums[j - 2] = _mm512_add_epi64(of_a, of_p);
      a2 = a1;
      a1 = a0;
      p2 = p1;
      p1 = p0;
    }
    column = _mm512_madd52hi_epu64(zero, a1, f0);
    column = _mm512_madd52hi_epu64(column, p1, m0);
    column = _mm512_madd52lo_epu64(column, a1, f1);
    column = _mm512_madd52lo_epu64(column, p1, m1);
    column = _mm512_madd52hi_epu64(column, a2, f1);
    sums[limbs - 2] = _mm512_add_epi64(sums[limbs], _mm512_madd52hi_epu64(column, p2, m1));
    sums[limbs] = zero;
    sums[limbs - 1] = _mm512_madd52hi_epu64(_mm512_madd52hi_epu64(zero, a1, f1), p1, m1);
  }
  carry_over(out, sums, limbs);
}

// a^2 / R mod p, likewise. Each product of two different limbs is needed twice and computed once: a quarter
// less than multiply() does. `sums` has room for two numbers.
[[gnu::noinline]] OAKGATE_IFMA void square(Lanes out, ConstLanes a, const Modulus& modulus, Lanes sums) {
  const std::size_t limbs = modulus.limbs;
  const std::uint64_t* const p = modulus.p;
  const __m512i zero = _mm512_setzero_si512();
  __m512i above = zero;  // what the column before has for this one
  for (std::size_t column = 0; column < 2 * limbs; ++column) {
    const std::size_t first = column < limbs ? 0 : column - limbs + 1;
    const std::size_t pairs = (column + 1) / 2 - first;  // of limbs i < j, i + j = column
    ConstLanes lower = a + first;
    ConstLanes higher = a + (column - first);
    // Two sums of each kind: one would wait for itself.
    __m512i low = zero;
    __m512i high = zero;
    __m512i low_too = zero;
    __m512i high_too = zero;
    std::size_t pair = 0;
    for (; pair + 2 <= pairs; pair += 2, lower += 2, higher -= 2) {
      const __m512i one = loaded(lower[0]);
      const __m512i other = loaded(higher[0]);
      low = _mm512_madd52lo_epu64(low, one, other);
      high = _mm512_madd52hi_epu64(high, one, other);
      const __m512i next = loaded(lower[1]);
      const __m512i its_other = loaded(higher[-1]);
      low_too = _mm512_madd52lo_epu64(low_too, next, its_other);
      high_too = _mm512_madd52hi_epu64(high_too, next, its_other);
    }
    if (pair < pairs) {
      low = _mm512_madd52lo_epu64(low, lower[0], higher[0]);
      high = _mm512_madd52hi_epu64(high, lower[0], higher[0]);
    }
    low = _mm512_add_epi64(above, _mm512_add_epi64(low, low_too));
    above = _mm512_add_epi64(high, high_too);
    low = _mm512_add_epi64(low, low);
    const __m512i middle = a[column / 2];
    sums[column] = column % 2 == 0 ? _mm512_madd52lo_epu64(low, middle, middle)
                                   : _mm512_madd52hi_epu64(low, middle, middle);
  }
  const __m512i k0 = _mm512_set1_epi64(static_cast<long long>(modulus.k0));
  for (std::size_t i = 0; i < limbs; i += 2, sums += 2) {
    __m512i p1 = _mm512_set1_epi64(static_cast<long long>(p[0]));
    const __m512i m0 = _mm512_madd52lo_epu64(zero, sums[0], k0);
    __m512i carry = upper(_mm512_madd52lo_epu64(sums[0], p1, m0));
    __m512i p0 = _mm512_set1_epi64(static_cast<long long>(p[1]));
    __m512i column = _mm512_madd52hi_epu64(_mm512_add_epi64(sums[1], carry), p1, m0);
    column = _mm512_madd52lo_epu64(column, p0, m0);
    const __m512i m1 = _mm512_madd52lo_epu64(zero, column, k0);
    carry = upper(_mm512_madd52lo_epu64(column, p1, m1));
    __m512i p2 = p1;
    p1 = p0;
    sums[2] = _mm512_add_epi64(sums[2], carry);
#pragma GCC unroll 4
    for (std::size_t j = 2; j < limbs; ++j) {
      p0 = _mm512_set1_epi64(static_cast<long long>(p[j]));
      __m512i of_m0 = _mm512_madd52lo_epu64(sums[j], p0, m0);
      __m512i of_m1 = _mm512_madd52lo_epu64(zero, p1, m1);
      of_m0 = _mm512_madd52hi_epu64(of_m0, p1, m0);
      of_m1 = _mm512_madd52hi_epu64(of_m1, p2, m1);
      sums[j] = _mm512_add_epi64(of_m0, of_m1);
      p2 = p1;
      p1 = p0;
    }
    column = _mm512_madd52hi_epu64(sums[limbs], p1, m0);
    column = _mm512_madd52lo_epu64(column, p1, m1);
    sums[limbs] = _mm512_madd52hi_epu64(column, p2, m1);
    sums[limbs + 1] = _mm512_madd52hi_epu64(sums[limbs + 1], p1, m1);
  }
  carry_over(out, sums, limbs);
}

// Less p where it is not below p. `number` is below 2p.
OAKGATE_IFMA void reduce(Lanes number, const Modulus& modulus, Lanes scratch) {
  const __m512i mask = _mm512_set1_epi64(static_cast<long long>(kLimbMask));
  __m512i borrow = _mm512_setzero_si512();  // 0 or -1
  for (std::size_t j = 0; j < modulus.limbs; ++j) {
    const __m512i p = _mm512_set1_epi64(static_cast<long long>(modulus.p[j]));
    const __m512i difference = _mm512_add_epi64(_mm512_sub_epi64(number[j], p), borrow);
    scratch[j] = _mm512_and_si512(difference, mask);
    borrow = _mm512_maskz_srai_epi64(0xff, difference, 63);
  }
  const __mmask8 below = _mm512_cmpneq_epi64_mask(borrow, _mm512_setzero_si512());
  for (std::size_t j = 0; j < modulus.limbs; ++j) {
    number[j] = _mm512_mask_mov_epi64(scratch[j], below, number[j]);
  }
}

// Each lane's digit of the exponents chooses its lane of `table`, [digit][limb]; all of it is read.
OAKGATE_IFMA void select(Lanes out, ConstLanes table, __m512i digits, std::size_t limbs) {
  __mmask8 chosen[kDigits];
  for (unsigned digit = 0; digit < kDigits; ++digit)
    chosen[digit] = _mm512_cmpeq_epi64_mask(digits, _mm512_set1_epi64(digit));
  for (std::size_t j = 0; j < limbs; ++j) {
    __m512i found = _mm512_setzero_si512();
#pragma GCC unroll 16
    for (unsigned digit = 0; digit < kDigits; ++digit)
      found = _mm512_mask_mov_epi64(found, chosen[digit], table[digit * limbs + j]);
    out[j] = found;
  }
}

// The same from a table that all lanes have in common.
OAKGATE_IFMA void select_common(Lanes out, const std::uint64_t* table, __m512i digits, std::size_t limbs) {
  __mmask8 chosen[kDigits];
  for (unsigned digit = 0; digit < kDigits; ++digit)
    chosen[digit] = _mm512_cmpeq_epi64_mask(digits, _mm512_set1_epi64(digit));
  for (std::size_t j = 0; j < limbs; ++j) {
    __m512i found = _mm512_setzero_si512();
#pragma GCC unroll 16
    for (unsigned digit = 0; digit < kDigits; ++digit) {
      const auto limb = static_cast<long long>(table[digit * limbs + j]);
      found = _mm512_mask_set1_epi64(found, chosen[digit], limb);
    }
    out[j] = found;
  }
}

OAKGATE_IFMA void broadcast(Lanes out, const std::uint64_t* number, std::size_t limbs) {
  for (std::size_t j = 0; j < limbs; ++j) out[j] = _mm512_set1_epi64(static_cast<long long>(number[j]));
}

OAKGATE_IFMA void set_to(Lanes out, std::uint64_t small, std::size_t limbs) {
  out[0] = _mm512_set1_epi64(static_cast<long long>(small));
  for (std::size_t j = 1; j < limbs; ++j) out[j] = _mm512_setzero_si512();
}

// base to the power of the exponents that `digits` are, [from the most significant one on][lane].
OAKGATE_IFMA void raise(Lanes out, ConstLanes base, const std::uint64_t* digits, std::size_t count,
                        ConstLanes one, const Modulus& modulus, Scratch& scratch) {
  const std::size_t limbs = modulus.limbs;
  const Lanes sums = scratch.take(2 * limbs);
  const Lanes entry = scratch.take(limbs);
  const Lanes table = scratch.take(kDigits * limbs);
  std::copy(one, one + limbs, table);
  std::copy(base, base + limbs, table + limbs);
  for (unsigned digit = 2; digit < kDigits; ++digit)
    multiply(table + digit * limbs, table + (digit - 1) * limbs, base, modulus, sums);
  select(out, table, _mm512_loadu_si512(digits), limbs);
  for (std::size_t i = 1; i < count; ++i) {
    for (int bit = 0; bit < kDigitBits; ++bit) square(out, out, modulus, sums);
    select(entry, table, _mm512_loadu_si512(digits + i * ModpBatch::kLanes), limbs);
    multiply(out, out, entry, modulus, sums);
  }
}

// g to the power of them, by its table (ModpBatch::table_).
OAKGATE_IFMA void raise_generator(Lanes out, const std::uint64_t* table, const std::uint64_t* digits,
                                  std::size_t count, const Modulus& modulus, Scratch& scratch) {
  const std::size_t limbs = modulus.limbs;
  const Lanes sums = scratch.take(limbs + 2);
  const Lanes entry = scratch.take(limbs);
  // `digits` begin with the most significant, `table` with the least.
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t* row = table + (count - 1 - i) * kDigits * limbs;
    const __m512i chosen = _mm512_loadu_si512(digits + i * ModpBatch::kLanes);
    select_common(i == 0 ? out : entry, row, chosen, limbs);
    if (i != 0) multiply(out, out, entry, modulus, sums);
  }
}

// ---- numbers

// The limb that begins at bit 52 i of a big-endian number.
std::uint64_t limb_of(ByteView number, std::size_t i) {
  std::uint64_t limb = 0;
  const std::size_t first = i * kLimbBits / 8;
  for (std::size_t byte = 0; byte < 8 && first + byte < number.size(); ++byte)
    limb |= std::uint64_t{number[number.size() - 1 - first - byte]} << 8 * byte;
  return limb >> i * kLimbBits % 8 & kLimbMask;
}

std::uint64_t* words(Lanes lanes) {
  return static_cast<std::uint64_t*>(static_cast<void*>(lanes));
}

void write_lane(Lanes lanes, std::size_t lane, ByteView number, std::size_t limbs) {
  for (std::size_t i = 0; i < limbs; ++i) words(lanes)[i * ModpBatch::kLanes + lane] = limb_of(number, i);
}

// Two limbs are 13 bytes.
void read_lane(Lanes lanes, std::size_t lane, std::span<std::uint8_t> out, std::size_t limbs) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t bit = 8 * i;
    const std::size_t limb = bit / kLimbBits;
    const std::size_t shift = bit % kLimbBits;
    std::uint64_t value = words(lanes)[limb * ModpBatch::kLanes + lane] >> shift;
    if (shift > kLimbBits - 8 && limb + 1 < limbs)
      value |= words(lanes)[(limb + 1) * ModpBatch::kLanes + lane] << (kLimbBits - shift);
    out[out.size() - 1 - i] = static_cast<std::uint8_t>(value);
  }
}

// [digit from the most significant on][lane]
void write_digits(std::uint64_t* digits, std::size_t lane, ByteView exponent, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t position = count - 1 - i;
    const std::size_t byte = position / 2;
    std::uint64_t digit = 0;
    if (byte < exponent.size()) {
      const std::uint8_t both = exponent[exponent.size() - 1 - byte];
      digit = position % 2 == 0 ? both & (kDigits - 1) : both >> kDigitBits;
    }
    digits[i * ModpBatch::kLanes + lane] = digit;
  }
}

Bytes bytes_of(const BIGNUM* number, std::size_t size) {
  Bytes out(size);
  return BN_bn2binpad(number, out.data(), static_cast<int>(size)) < 0 ? Bytes{} : out;
}

void append_limbs(std::vector<std::uint64_t>& to, ByteView number, std::size_t limbs) {
  for (std::size_t i = 0; i < limbs; ++i) to.push_back(limb_of(number, i));
}

// Bytes that have nothing to do with one another, the same for each `seed` (a linear congruential generator).
Bytes pattern(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  for (std::uint8_t& byte : out) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::uint8_t>(seed >> 56);
  }
  return out;
}

// -1/p modulo 2^52, for an odd p: each round doubles the bits that are right.
std::uint64_t negative_inverse(std::uint64_t p) {
  std::uint64_t inverse = 1;
  for (int i = 0; i < 6; ++i) inverse *= 2 - p * inverse;
  return (0 - inverse) & kLimbMask;
}

}  // namespace

bool ModpBatch::supported() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512ifma") != 0;
}

std::unique_ptr<ModpBatch> ModpBatch::create(const BIGNUM* p, const BIGNUM* g, int exponent_bits) {
  const int bits = BN_num_bits(p);
  if (!supported() || bits > kMaxBits || bits < kLimbBits || BN_is_odd(p) != 1 || exponent_bits < 1)
    return nullptr;
  std::unique_ptr<ModpBatch> made(new ModpBatch);
  made->bytes_ = static_cast<std::size_t>(BN_num_bytes(p));
  made->limbs_ = (static_cast<std::size_t>(bits) + 2 + 2 * kLimbBits - 1) / (2 * kLimbBits) * 2;  // 4p < R
  made->digits_ = (static_cast<std::size_t>(exponent_bits) + 7) / 8 * 2;
  append_limbs(made->p_, bytes_of(p, made->bytes_), made->limbs_);
  made->k0_ = negative_inverse(made->p_[0]);
  const NumberContext context(BN_CTX_new());
  const BigNumber square(BN_new());
  if (!context || !square || BN_set_bit(square.get(), static_cast<int>(2 * kLimbBits * made->limbs_)) != 1 ||
      BN_mod(square.get(), square.get(), p, context.get()) != 1)
    return nullptr;
  append_limbs(made->to_montgomery_, bytes_of(square.get(), made->bytes_), made->limbs_);
  if (bits <= kMaxTableBits && !made->fill_table(p, g)) return nullptr;
  return made->prove(p, g) ? std::move(made) : nullptr;
}

bool ModpBatch::fill_table(const BIGNUM* p, const BIGNUM* g) {
  const NumberContext context(BN_CTX_new());
  const Owned<BN_MONT_CTX, BN_MONT_CTX_free> montgomery(BN_MONT_CTX_new());
  const BigNumber one(BN_new());   // R mod p
  const BigNumber base(BN_new());  // g to the power of 16^position, for OpenSSL's multiplication
  const BigNumber entry(BN_new());
  if (!context || !montgomery || !one || !base || !entry ||
      BN_MONT_CTX_set(montgomery.get(), p, context.get()) != 1 ||
      BN_set_bit(one.get(), static_cast<int>(kLimbBits * limbs_)) != 1 ||
      BN_mod(one.get(), one.get(), p, context.get()) != 1 ||
      BN_to_montgomery(base.get(), g, montgomery.get(), context.get()) != 1)
    return false;
  table_.reserve(digits_ * kDigits * limbs_);
  for (std::size_t position = 0; position < digits_; ++position) {
    if (BN_copy(entry.get(), one.get()) == nullptr) return false;
    for (unsigned digit = 0; digit < kDigits; ++digit) {
      append_limbs(table_, bytes_of(entry.get(), bytes_), limbs_);
      if (BN_mod_mul_montgomery(entry.get(), entry.get(), base.get(), montgomery.get(), context.get()) != 1)
        return false;
    }
    for (int i = 0; i < kDigitBits; ++i) {
      if (BN_mod_mul_montgomery(base.get(), base.get(), base.get(), montgomery.get(), context.get()) != 1)
        return false;
    }
  }
  return true;
}

void ModpBatch::power(std::span<const Power> powers) const {
  if (powers.empty()) return;
  const Modulus modulus{p_.data(), limbs_, k0_};
  Scratch scratch((kDigits + 8) * limbs_ + digits_ + 2);
  const Lanes base = scratch.take(limbs_);
  const Lanes one = scratch.take(limbs_);
  const Lanes constant = scratch.take(limbs_);
  const Lanes result = scratch.take(limbs_);
  const Lanes sums = scratch.take(limbs_ + 2);
  std::uint64_t* const digits = words(scratch.take(digits_));
  const std::size_t count = std::min(powers.size(), kLanes);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const Power& from = powers[lane < count ? lane : 0];  // a lane that nobody needs does what the first does
    write_lane(base, lane, from.base, limbs_);
    write_digits(digits, lane, from.exponent, digits_);
  }
  broadcast(constant, to_montgomery_.data(), limbs_);
  multiply(base, base, constant, modulus, sums);
  set_to(one, 1, limbs_);
  multiply(one, one, constant, modulus, sums);
  raise(result, base, digits, digits_, one, modulus, scratch);
  set_to(one, 1, limbs_);
  multiply(result, result, one, modulus, sums);
  reduce(result, modulus, sums);
  for (std::size_t lane = 0; lane < count; ++lane) read_lane(result, lane, powers[lane].out, limbs_);
}

void ModpBatch::generator_power(std::span<const Power> powers) const {
  if (powers.empty()) return;
  const Modulus modulus{p_.data(), limbs_, k0_};
  Scratch scratch(5 * limbs_ + digits_ + 4);
  const Lanes one = scratch.take(limbs_);
  const Lanes result = scratch.take(limbs_);
  const Lanes sums = scratch.take(limbs_ + 2);
  std::uint64_t* const digits = words(scratch.take(digits_));
  const std::size_t count = std::min(powers.size(), kLanes);
  for (std::size_t lane = 0; lane < kLanes; ++lane)
    write_digits(digits, lane, powers[lane < count ? lane : 0].exponent, digits_);
  raise_generator(result, table_.data(), digits, digits_, modulus, scratch);
  set_to(one, 1, limbs_);
  multiply(result, result, one, modulus, sums);
  reduce(result, modulus, sums);
  for (std::size_t lane = 0; lane < count; ++lane) read_lane(result, lane, powers[lane].out, limbs_);
}

// Eight different bases and exponents as long as they get, and all of it by OpenSSL, too.
bool ModpBatch::prove(const BIGNUM* p, const BIGNUM* g) const {
  const NumberContext context(BN_CTX_new());
  const BigNumber number(BN_new());
  const BigNumber exponent(BN_new());
  if (!context || !number || !exponent) return false;
  std::array<Bytes, kLanes> bases;
  std::array<Bytes, kLanes> exponents;
  std::array<Bytes, kLanes> results;
  std::array<Power, kLanes> powers;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    bases[lane] = pattern(bytes_, 2 * lane);
    exponents[lane] = pattern(exponent_bytes(), 2 * lane + 1);
    if (BN_bin2bn(bases[lane].data(), static_cast<int>(bytes_), number.get()) == nullptr ||
        BN_mod(number.get(), number.get(), p, context.get()) != 1)
      return false;
    bases[lane] = bytes_of(number.get(), bytes_);
    results[lane].resize(bytes_);
    powers[lane] = {bases[lane], exponents[lane], results[lane]};
  }
  const auto right = [&](bool of_generator) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if (BN_bin2bn(bases[lane].data(), static_cast<int>(bytes_), number.get()) == nullptr ||
          BN_bin2bn(exponents[lane].data(), static_cast<int>(exponent_bytes()), exponent.get()) == nullptr ||
          BN_mod_exp(number.get(), of_generator ? g : number.get(), exponent.get(), p, context.get()) != 1 ||
          bytes_of(number.get(), bytes_) != results[lane])
        return false;
    }
    return true;
  };
  power(powers);
  if (!right(false)) return false;
  if (!has_generator()) return true;
  generator_power(powers);
  return right(true);
}

#else

bool ModpBatch::supported() {
  return false;
}
std::unique_ptr<ModpBatch> ModpBatch::create(const BIGNUM*, const BIGNUM*, int) {
  return nullptr;
}
void ModpBatch::power(std::span<const Power>) const {}
void ModpBatch::generator_power(std::span<const Power>) const {}

#endif

}  // namespace oakgate::crypto
