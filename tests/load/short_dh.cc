#include "tests/load/short_dh.h"

#include <string>

namespace oakgate::load {

namespace {

constexpr std::size_t kExponents = 256;
constexpr BN_ULONG kFirstExponent = 0x8001;  // 16 bits, the highest set
constexpr BN_ULONG kExponentStep = 126;      // kExponents of them stay below 2^16
constexpr BN_ULONG kGenerator = 2;           // RFC 2409 section 6, RFC 3526

using PrimeSource = BIGNUM* (*)(BIGNUM*);

PrimeSource prime_of(DhGroup group) {
  switch (group) {
    case DhGroup::modp768:
      return BN_get_rfc2409_prime_768;
    case DhGroup::modp1024:
      return BN_get_rfc2409_prime_1024;
    case DhGroup::modp1536:
      return BN_get_rfc3526_prime_1536;
    case DhGroup::modp2048:
      return BN_get_rfc3526_prime_2048;
    case DhGroup::modp3072:
      return BN_get_rfc3526_prime_3072;
    case DhGroup::modp4096:
      return BN_get_rfc3526_prime_4096;
    case DhGroup::modp6144:
      return BN_get_rfc3526_prime_6144;
    case DhGroup::modp8192:
      return BN_get_rfc3526_prime_8192;
    default:
      return nullptr;
  }
}

tl::unexpected<Error> out_of_memory() {
  return fail(ErrorCode::internal, "OpenSSL cannot compute a power");
}

}  // namespace

Result<ShortDh> ShortDh::create(DhGroup group) {
  const PrimeSource source = prime_of(group);
  if (source == nullptr) {
    return fail(ErrorCode::unsupported, "no short exponents in " + std::string(info(group).name),
                "a MODP group: 1, 2, 5, 14 to 18", "leave --short-exponent out for this group");
  }
  ShortDh dh(group);
  dh.prime_.reset(source(nullptr));
  dh.context_.reset(BN_CTX_new());
  dh.montgomery_.reset(BN_MONT_CTX_new());
  const Number generator(BN_new());
  if (!dh.prime_ || !dh.context_ || !dh.montgomery_ || !generator ||
      BN_set_word(generator.get(), kGenerator) != 1 ||
      BN_MONT_CTX_set(dh.montgomery_.get(), dh.prime_.get(), dh.context_.get()) != 1) {
    return out_of_memory();
  }
  for (std::size_t i = 0; i < kExponents; ++i) {
    const BN_ULONG exponent = kFirstExponent + i * kExponentStep;
    auto value = dh.power(generator.get(), exponent);
    if (!value) return fail(std::move(value.error()));
    const Bytes raw{static_cast<std::uint8_t>(exponent >> 8), static_cast<std::uint8_t>(exponent)};
    dh.pairs_.push_back({group, std::move(*value), SecretBytes(ByteView(raw))});
  }
  return dh;
}

crypto::DhKeyPair ShortDh::generate() {
  next_ = (next_ + 1) % pairs_.size();
  return pairs_[next_].clone();
}

Result<SecretBytes> ShortDh::shared(const crypto::DhKeyPair& ours, ByteView peer_public) const {
  const Number base(BN_bin2bn(peer_public.data(), static_cast<int>(peer_public.size()), nullptr));
  if (!base) return out_of_memory();
  if (BN_cmp(base.get(), prime_.get()) >= 0 || BN_is_zero(base.get()) || BN_is_one(base.get())) {
    return fail(ErrorCode::malformed, "the responder's Diffie-Hellman value is out of range");
  }
  const ByteView raw = ours.private_value.view();
  auto value = power(base.get(), static_cast<BN_ULONG>(raw[0]) << 8 | raw[1]);
  if (!value) return fail(std::move(value.error()));
  return SecretBytes(std::move(*value));
}

Result<Bytes> ShortDh::power(const BIGNUM* base, BN_ULONG exponent) const {
  const Number by(BN_new());
  const Number result(BN_new());
  Bytes out(info(group_).secret_bytes);
  if (!by || !result || BN_set_word(by.get(), exponent) != 1 ||
      BN_mod_exp_mont(result.get(), base, by.get(), prime_.get(), context_.get(), montgomery_.get()) != 1 ||
      BN_bn2binpad(result.get(), out.data(), static_cast<int>(out.size())) < 0) {
    return out_of_memory();
  }
  return out;
}

}  // namespace oakgate::load
