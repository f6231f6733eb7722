// Diffie-Hellman that costs the load generator next to nothing: exponents of 16 bits, so that one core
// saturates any responder. THEY PROTECT NOTHING: whoever records the exchange finds the exponent in a blink.
// Linked into oakgate-load alone; ike/ and the programs that are installed have no such thing.
#pragma once

#include <openssl/bn.h>

#include <memory>
#include <vector>

#include "ike/crypto/dh.h"

namespace oakgate::load {

class ShortDh {
 public:
  // Of a MODP group with a safe prime; ErrorCode::unsupported for others. The public values are made here,
  // `kExponents` of them.
  [[nodiscard]] static Result<ShortDh> create(DhGroup group);

  [[nodiscard]] DhGroup group() const { return group_; }
  // The next of its key pairs, round and round.
  [[nodiscard]] crypto::DhKeyPair generate();
  [[nodiscard]] Result<SecretBytes> shared(const crypto::DhKeyPair& ours, ByteView peer_public) const;

 private:
  struct Free {
    void operator()(BIGNUM* number) const { BN_free(number); }
    void operator()(BN_CTX* context) const { BN_CTX_free(context); }
    void operator()(BN_MONT_CTX* context) const { BN_MONT_CTX_free(context); }
  };
  using Number = std::unique_ptr<BIGNUM, Free>;
  explicit ShortDh(DhGroup group) : group_(group) {}
  [[nodiscard]] Result<Bytes> power(const BIGNUM* base, BN_ULONG exponent) const;

  DhGroup group_;
  Number prime_;
  std::unique_ptr<BN_CTX, Free> context_;
  std::unique_ptr<BN_MONT_CTX, Free> montgomery_;
  std::vector<crypto::DhKeyPair> pairs_;
  std::size_t next_ = 0;
};

}  // namespace oakgate::load
