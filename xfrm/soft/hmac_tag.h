// HMAC (RFC 2104) of one packet at a time: MD5, SHA-1 and SHA-2 over OpenSSL's own contexts of these hashes,
// which begin where the key's two blocks have left them. So a key costs two states of the hash, and a packet
// nothing but its own bytes: OpenSSL's EVP_MAC takes 950 bytes a key, and looks up its algorithm with each
// packet.
#pragma once

#include <cstdint>
#include <span>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"

namespace oakgate::soft {

class HmacTag {
 public:
  // `digest` as OpenSSL spells it (algorithms.h); `key` is secret and of any length. ErrorCode::unsupported:
  // another digest.
  [[nodiscard]] static Result<HmacTag> create(const char* digest, ByteView key);
  // Truncates to the length asked for. False: `tag` is longer than the digest.
  [[nodiscard]] bool compute(ByteView data, std::span<std::uint8_t> tag) const;

  struct Hash;

 private:
  HmacTag(const Hash& hash, SecretBytes states) : hash_(&hash), states_(std::move(states)) {}
  const Hash* hash_;
  // Behind the block of ipad, then behind that of opad (RFC 2104 section 2).
  SecretBytes states_;
};

}  // namespace oakgate::soft
