// The ciphers and tags of ESP over OpenSSL: keyed once, then run packet by packet without allocating or
// keying anew. OpenSSL's ciphers are known here alone; a multi-buffer library goes beside it behind
// the same shape.
//
// A false result is an OpenSSL failure (out of memory, a wrong length), or a tag that does not verify;
// OpenSSL's error queue is left empty. Buffers are worked on in place. Objects are not shared between
// threads.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <span>

#include "ike/base/bytes.h"
#include "ike/base/result.h"

namespace oakgate::soft {

enum class CryptDirection : int { decrypt = 0, encrypt = 1 };

struct CipherContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherContextDeleter>;

// AES-CBC (RFC 3602), 3DES-CBC (RFC 2451).
class CbcCipher {
 public:
  // `name` as OpenSSL spells it (algorithms.h). `key` is secret and copied into the context, which wipes it.
  [[nodiscard]] static Result<CbcCipher> create(const char* name, ByteView key, CryptDirection direction);
  // `data` is whole blocks, `iv` one block.
  [[nodiscard]] bool run(ByteView iv, std::span<std::uint8_t> data);

 private:
  explicit CbcCipher(CipherContext context) : context_(std::move(context)) {}
  CipherContext context_;
};

// AES-GCM with 12-byte nonces and 16-byte tags (RFC 4106).
class GcmCipher {
 public:
  static constexpr std::size_t kNonceBytes = 12;
  static constexpr std::size_t kTagBytes = 16;
  [[nodiscard]] static Result<GcmCipher> create(const char* name, ByteView key, CryptDirection direction);
  [[nodiscard]] bool seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                          std::span<std::uint8_t> tag);
  // False if the tag does not verify (compared in constant time); `data` is garbage then.
  [[nodiscard]] bool open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, ByteView tag);

 private:
  explicit GcmCipher(CipherContext context) : context_(std::move(context)) {}
  [[nodiscard]] bool run(ByteView nonce, ByteView aad, std::span<std::uint8_t> data);
  CipherContext context_;
};

// HMAC (RFC 2104), truncated to the length asked for.
class HmacTag {
 public:
  static constexpr std::size_t kMaxTagBytes = 64;
  [[nodiscard]] static Result<HmacTag> create(const char* digest, ByteView key);
  // `tag` is at most the digest's size.
  [[nodiscard]] bool compute(ByteView data, std::span<std::uint8_t> tag);

 private:
  struct Deleter {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };
  using Context = std::unique_ptr<EVP_MAC_CTX, Deleter>;
  explicit HmacTag(Context context) : context_(std::move(context)) {}
  Context context_;
};

}  // namespace oakgate::soft
