// The ciphers and tags of ESP, keyed once, then run packet by packet without allocating or keying anew: each
// over OpenSSL, and BlockCipher and IntegrityTag by whatever does the algorithm in this process
// (crypto_choice.h). Those two have what crypto_batch.h needs to do many packets at once. AES-GCM is in
// gcm_cipher.h, HMAC in hmac_tag.h.
//
// A false result is a library's failure (out of memory, a wrong length), or a tag that does not verify;
// OpenSSL's error queue is left empty. Buffers are worked on in place. Objects are not shared between
// threads.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <optional>
#include <span>
#include <variant>

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "xfrm/soft/crypto_choice.h"
#include "xfrm/soft/hmac_tag.h"
#include "xfrm/soft/multi_buffer.h"

namespace oakgate::soft {

struct CipherContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherContextDeleter>;
// `name` as OpenSSL spells it (algorithms.h). ErrorCode::unsupported: OpenSSL has no such cipher, or it has
// keys of another length.
[[nodiscard]] Result<CipherContext> keyed_context(const char* name, ByteView key, CryptDirection direction);
// Hands a result through and leaves OpenSSL's error queue empty where it is a failure.
[[nodiscard]] bool checked(bool ok);
[[nodiscard]] bool fits_int(std::size_t size);  // of OpenSSL's lengths

// CBC: AES (RFC 3602), Camellia (RFC 4312), 3DES (RFC 2451), DES (RFC 2405) as 3DES with one key thrice.
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

// AES-CTR (RFC 3686): the same both ways, so it is always created to encrypt.
class CtrCipher {
 public:
  static constexpr std::size_t kNonceBytes = 12;  // the SA's nonce, then the packet's IV
  [[nodiscard]] static Result<CtrCipher> create(const char* name, ByteView key);
  [[nodiscard]] bool run(ByteView nonce, std::span<std::uint8_t> data);

 private:
  explicit CtrCipher(CipherContext context) : context_(std::move(context)) {}
  CipherContext context_;
};

// Any cipher of the table that does not authenticate.
class BlockCipher {
 public:
  // `key` without the salt. `backend`: absent: what is chosen; ipsec_mb: it alone, where it can.
  [[nodiscard]] static Result<BlockCipher> create(const EspCipherInfo& cipher, ByteView key,
                                                  CryptDirection direction,
                                                  std::optional<CryptoBackend> backend);
  // `iv` is a block of CBC, or CTR's nonce.
  [[nodiscard]] bool run(ByteView iv, std::span<std::uint8_t> data);
  // How many at once do it together; null: one by one, by run(). It pays from least() on.
  [[nodiscard]] const MultiBufferCipher& together() const { return together_; }
  [[nodiscard]] std::size_t iv_bytes() const { return iv_; }
  [[nodiscard]] std::size_t least() const { return least_; }

 private:
  BlockCipher() = default;
  std::variant<std::monostate, CbcCipher, CtrCipher> alone_;  // by OpenSSL, where that is ever wanted
  MultiBufferCipher together_;
  std::size_t iv_ = 0;
  std::size_t block_ = 1;
  std::size_t least_ = 0;
};

// RFC 2410: nothing is done.
struct NullCipher {};

inline constexpr std::size_t kMaxIcv = 64;  // of any integrity algorithm, untruncated

// AES-XCBC-MAC (RFC 3566), truncated to the length asked for.
class XcbcTag {
 public:
  static constexpr std::size_t kBlock = 16;
  // `name` is AES-128-CBC as OpenSSL spells it.
  [[nodiscard]] static Result<XcbcTag> create(const char* name, ByteView key);
  // `tag` is at most one block.
  [[nodiscard]] bool compute(ByteView data, std::span<std::uint8_t> tag);

 private:
  XcbcTag(CipherContext context, SecretBytes whole_last, SecretBytes part_last)
      : context_(std::move(context)), whole_last_(std::move(whole_last)), part_last_(std::move(part_last)) {}
  CipherContext context_;   // under K1
  SecretBytes whole_last_;  // K2: goes into a last block that is whole
  SecretBytes part_last_;   // K3: into one that was padded
};

// Any integrity algorithm of the table.
class IntegrityTag {
 public:
  // ErrorCode::unsupported for a key of the wrong length. `backend` as BlockCipher's.
  [[nodiscard]] static Result<IntegrityTag> create(Integrity algorithm, const SecretBytes& key,
                                                   std::optional<CryptoBackend> backend = {});
  // `tag` is at most what the algorithm gives; ESP and AH ask for info(algorithm).icv_bytes.
  [[nodiscard]] bool compute(ByteView data, std::span<std::uint8_t> tag);
  // As BlockCipher's.
  [[nodiscard]] const MultiBufferTag& together() const { return together_; }
  [[nodiscard]] std::size_t least() const { return least_; }

 private:
  IntegrityTag() = default;
  // Of XCBC elsewhere: it is seldom done alone, and large.
  std::variant<std::monostate, HmacTag, std::unique_ptr<XcbcTag>> alone_;
  MultiBufferTag together_;
  std::size_t least_ = 0;
};

}  // namespace oakgate::soft
