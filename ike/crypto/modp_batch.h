// Eight powers modulo one prime at once, by the processor's AVX-512 IFMA: for a gateway that many call at the
// same time, a sixth of OpenSSL's time for each. Where the processor has no such instructions, or what comes
// out is not what OpenSSL computes, there is no batch, and callers do without.
//
// Numbers are in limbs of 52 bits, and a vector has one limb of all eight: nothing passes between the lanes.
// Nothing depends on a secret but the values themselves: not a branch, not an address. What was computed with
// is wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/crypto/openssl.h"

namespace oakgate::crypto {

class ModpBatch {
 public:
  static constexpr std::size_t kLanes = 8;

  // Whether this processor has the instructions, and the system keeps their registers.
  [[nodiscard]] static bool supported();
  // For bases below the odd `p` and exponents of up to `exponent_bits`. Null: not supported, `p` has no size
  // that is provided for (at most 8192 bits), OpenSSL failed, or the proof against it did.
  [[nodiscard]] static std::unique_ptr<ModpBatch> create(const BIGNUM* p, const BIGNUM* g, int exponent_bits);

  // base^exponent mod p to `out`, which is as long as p, as `base` is. Big-endian; the exponent is secret,
  // and at most exponent_bytes() long.
  struct Power {
    ByteView base;
    ByteView exponent;
    std::span<std::uint8_t> out;
  };
  // At most kLanes of them, whatever their number at the cost of eight.
  void power(std::span<const Power> powers) const;
  // The same of g, by tables of its powers as FixedBase has them; `base` counts for nothing. Only if
  // has_generator().
  void generator_power(std::span<const Power> powers) const;
  [[nodiscard]] bool has_generator() const { return !table_.empty(); }
  [[nodiscard]] std::size_t exponent_bytes() const { return digits_ / 2; }

 private:
  ModpBatch() = default;
  [[nodiscard]] bool fill_table(const BIGNUM* p, const BIGNUM* g);
  [[nodiscard]] bool prove(const BIGNUM* p, const BIGNUM* g) const;

  std::size_t bytes_ = 0;   // of p
  std::size_t limbs_ = 0;   // of a number
  std::size_t digits_ = 0;  // of an exponent, of 4 bits each; an even number of them
  std::uint64_t k0_ = 0;    // -1/p modulo 2^52
  std::vector<std::uint64_t> p_;
  std::vector<std::uint64_t> to_montgomery_;  // R^2 mod p, R = 2^(52 limbs)
  std::vector<std::uint64_t> table_;          // [digit's position][digit]: g's powers times R
};

}  // namespace oakgate::crypto
