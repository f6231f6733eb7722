// Powers modulo the safe primes of the MODP groups, over OpenSSL's constant-time Montgomery arithmetic, with
// what is worth keeping of a group kept: EVP would make it anew for every key. And g^x by tables of g's
// powers: a fifth of the multiplications that a base nobody knew beforehand takes.
//
// Nothing here depends on a secret but the values themselves: not a branch, not an address.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/secret.h"
#include "ike/crypto/modp_batch.h"
#include "ike/crypto/openssl.h"

namespace oakgate::crypto {

using Montgomery = Owned<BN_MONT_CTX, BN_MONT_CTX_free>;

// g^x for exponents of up to `exponent_bits`: x in digits of 4 bits, for each position a table of all 16
// powers that a digit can mean, one multiplication a digit. Each entry is multiplied by one and the same
// number, which is taken out again at the end: so none of them is 1, whose Montgomery form is shorter than p,
// which would show.
class FixedBase {
 public:
  // Null: OpenSSL failed. `p` and `montgomery` have to outlive it.
  [[nodiscard]] static std::unique_ptr<FixedBase> create(const BIGNUM* p, const BN_MONT_CTX* montgomery,
                                                         const BIGNUM* g, int exponent_bits);
  // `x` is big-endian, at most as long as create() was told. False: OpenSSL failed.
  [[nodiscard]] bool power(ByteView x, std::span<std::uint8_t> out) const;
  [[nodiscard]] std::size_t exponent_bytes() const { return digits_ / 2; }

 private:
  FixedBase(const BN_MONT_CTX* montgomery, std::size_t width, std::size_t digits)
      : montgomery_(montgomery), words_(width / sizeof(std::uint64_t)), digits_(digits) {}
  [[nodiscard]] bool fill(const BIGNUM* p, const BIGNUM* g);
  void select(std::size_t position, unsigned digit, std::span<std::uint64_t> entry) const;

  const BN_MONT_CTX* montgomery_;
  std::size_t words_;                 // of a number
  std::size_t digits_;                // an even number of them
  std::vector<std::uint64_t> table_;  // [position][digit], little-endian numbers in Montgomery form
  BigNumber correction_;              // takes the common factor out of the product, in Montgomery form
};

// One MODP group with a safe prime.
class ModpGroup {
 public:
  // Null: OpenSSL failed. `p_bytes` as long as p; exponents of ours have `exponent_bits`.
  [[nodiscard]] static std::unique_ptr<ModpGroup> create(const BIGNUM* p, const BIGNUM* g, int exponent_bits);

  // A private value, uniform from 1 to 2^exponent_bits - 1, from OpenSSL's random source for secrets; empty
  // if that failed.
  [[nodiscard]] SecretBytes random_exponent() const;
  // g^x and y^x, as long as p; y is below p. Empty: OpenSSL failed.
  [[nodiscard]] Bytes generator_power(const SecretBytes& x) const;
  [[nodiscard]] SecretBytes power(ByteView y, const SecretBytes& x) const;
  // For several at once; null: there is none for this group, or on this processor.
  [[nodiscard]] const ModpBatch* batch() const { return batch_.get(); }

 private:
  ModpGroup() = default;
  BigNumber p_;
  BigNumber g_;
  Montgomery montgomery_;
  std::unique_ptr<FixedBase> fixed_base_;  // null where the tables would be too large
  std::unique_ptr<ModpBatch> batch_;
  int exponent_bits_ = 0;
  std::size_t bytes_ = 0;  // of p
};

}  // namespace oakgate::crypto
