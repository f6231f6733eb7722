// AES-GCM of ESP by ipsec-mb where it is chosen (crypto_choice.h), by OpenSSL elsewhere; both give the same
// bytes. Keyed once, then run packet by packet without allocating. Buffers are worked on in place.
// Objects are not shared between threads.
#pragma once

#include <cstdint>
#include <span>
#include <variant>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "xfrm/soft/esp_crypto.h"
#include "xfrm/soft/multi_buffer.h"

namespace oakgate::soft {

// With 12-byte nonces and tags of 8, 12 or 16 bytes (RFC 4106); with all of the packet as `aad` and no `data`
// it is GMAC (RFC 4543).
class GcmCipher {
 public:
  static constexpr std::size_t kNonceBytes = 12;
  static constexpr std::size_t kMaxTagBytes = 16;
  // As keyed_context (esp_crypto.h). `key` is secret and copied; the copy is wiped at the end.
  [[nodiscard]] static Result<GcmCipher> create(const char* name, ByteView key, CryptDirection direction);
  // By one of them; ErrorCode::unsupported if ipsec-mb is wanted and not usable.
  [[nodiscard]] static Result<GcmCipher> create(const char* name, ByteView key, CryptDirection direction,
                                                CryptoBackend backend);
  // Ahead of a packet of so many bytes.
  void prefetch(std::size_t bytes) const {
    if (const auto* keyed = std::get_if<MultiBufferGcm>(&context_)) keyed->prefetch(bytes);
  }
  // False: a wrong length, or OpenSSL failed; its error queue is left empty.
  [[nodiscard]] bool seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                          std::span<std::uint8_t> tag) {
    if (!lengths_good(nonce, tag.size())) return false;
    const auto* const keyed = std::get_if<MultiBufferGcm>(&context_);
    if (keyed == nullptr) return seal_by_openssl(nonce, aad, data, tag);
    keyed->seal(nonce, aad, data, tag);
    return true;
  }
  // False if the tag does not verify, too (compared in constant time); `data` is garbage then.
  [[nodiscard]] bool open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, ByteView tag);

 private:
  [[nodiscard]] static bool lengths_good(ByteView nonce, std::size_t tag) {
    return nonce.size() == kNonceBytes && (tag == 16 || tag == 12 || tag == 8);
  }
  [[nodiscard]] bool seal_by_openssl(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                                     std::span<std::uint8_t> tag);
  explicit GcmCipher(std::variant<MultiBufferGcm, CipherContext> context) : context_(std::move(context)) {}
  std::variant<MultiBufferGcm, CipherContext> context_;
};

}  // namespace oakgate::soft
