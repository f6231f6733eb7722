// AES-GCM of ESP by ipsec-mb where it is there and has proved itself, by OpenSSL elsewhere; both give the
// same bytes. Keyed once, then run packet by packet without allocating. Buffers are worked on in place.
// Objects are not shared between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "xfrm/soft/esp_crypto.h"
#include "xfrm/soft/multi_buffer.h"

namespace oakgate::soft {

enum class GcmBackend : std::uint8_t { openssl, ipsec_mb };

struct GcmChoice {
  GcmBackend backend = GcmBackend::openssl;
  std::string name;  // "ipsec-mb 1.3.0 (AVX512)"
  std::string why;   // in a sentence
};
// What this process takes. Found out once, by having ipsec-mb seal and open packets of many sizes under keys
// of each length, and holding every byte against OpenSSL's. Safe from any thread.
[[nodiscard]] const GcmChoice& gcm_choice();

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
                                                GcmBackend backend);
  // False: a wrong length, or OpenSSL failed; its error queue is left empty.
  [[nodiscard]] bool seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                          std::span<std::uint8_t> tag);
  // False if the tag does not verify, too (compared in constant time); `data` is garbage then.
  [[nodiscard]] bool open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, ByteView tag);

 private:
  using MultiBuffer = std::unique_ptr<MultiBufferGcm>;
  explicit GcmCipher(std::variant<CipherContext, MultiBuffer> context) : context_(std::move(context)) {}
  std::variant<CipherContext, MultiBuffer> context_;
};

}  // namespace oakgate::soft
