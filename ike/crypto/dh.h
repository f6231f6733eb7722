// Diffie-Hellman over the groups of the algorithm table. Slow: runs as an effect in the worker pool, never in
// the core.
//
// Public values are the KE payload's body, exactly info(group).public_bytes long (MODP: leading zeros kept,
// RFC 2409 section 5; ECP: x|y without the 04 byte, RFC 5903 section 7; Curve25519: u, little-endian, RFC
// 8031 section 3). Shared secrets are exactly info(group).secret_bytes long, leading zeros kept; ECP: x only.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"

namespace oakgate::crypto {

struct DhKeyPair {
  DhGroup group{};
  Bytes public_value;
  SecretBytes private_value;  // big-endian exponent or scalar; Curve25519: little-endian, 32 bytes
  [[nodiscard]] DhKeyPair clone() const { return {group, public_value, private_value.clone()}; }
};

// A fresh key pair from OpenSSL's random source.
[[nodiscard]] Result<DhKeyPair> dh_generate(DhGroup group);
// The public value of a given private one: for recorded exchanges.
[[nodiscard]] Result<DhKeyPair> dh_from_private(DhGroup group, ByteView private_value);
// g^xy. A peer value of the wrong length, outside 1 < y < p-1, outside the subgroup of an RFC 5114 group, off
// the curve, or one that makes Curve25519's result zero is ErrorCode::malformed with INVALID-KEY-INFORMATION
// (RFC 6989 section 2: for safe-prime MODP groups the range is enough; OpenSSL's own, slow validation is not
// run).
[[nodiscard]] Result<SecretBytes> dh_shared(const DhKeyPair& ours, ByteView peer_public);

// ---- Several at once

// Whether several computations of the group take less time together than one by one: by now that is those of
// the safe-prime MODP groups, on a processor for which modp_batch.h has a way. Costs nothing to ask.
[[nodiscard]] bool dh_batches(DhGroup group);
// How MODP groups are computed here when several negotiate at once, and why, for operators: "batches of 8,
// AVX-512 IFMA". Proves it first if nobody has computed with modp2048 yet.
struct DhMeans {
  std::string name;
  std::string why;
};
[[nodiscard]] DhMeans dh_means(bool batches_wanted);
// As dh_generate() and dh_shared() of each, in their order; one that fails does not concern the others.
[[nodiscard]] std::vector<Result<DhKeyPair>> dh_generate(DhGroup group, std::size_t count);
struct DhExchange {
  const DhKeyPair* ours;
  ByteView peer_public;
};
[[nodiscard]] std::vector<Result<SecretBytes>> dh_shared(std::span<const DhExchange> exchanges);

}  // namespace oakgate::crypto
