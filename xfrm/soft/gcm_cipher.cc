#include "xfrm/soft/gcm_cipher.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace oakgate::soft {

namespace {

bool run_openssl(EVP_CIPHER_CTX* context, ByteView nonce, ByteView aad, std::span<std::uint8_t> data) {
  if (!fits_int(aad.size()) || !fits_int(data.size())) return false;
  int written = 0;
  return EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), -1, nullptr) == 1 &&
         EVP_CipherUpdate(context, nullptr, &written, aad.data(), static_cast<int>(aad.size())) == 1 &&
         EVP_CipherUpdate(context, data.data(), &written, data.data(), static_cast<int>(data.size())) == 1;
}

using Block = std::array<std::uint8_t, GcmCipher::kMaxTagBytes>;

// Whether the cipher that OpenSSL calls `name` has keys of so many bytes.
bool of_length(std::string_view name, std::size_t key_bytes) {
  const auto rows = esp_ciphers();
  return std::any_of(rows.begin(), rows.end(), [&](const EspCipherInfo& row) {
    return row.openssl != nullptr && row.openssl == name && row.key_bytes == key_bytes;
  });
}

}  // namespace

Result<GcmCipher> GcmCipher::create(const char* name, ByteView key, CryptDirection direction) {
  return create(name, key, direction, crypto_backend(CryptoAlgorithm::gcm));
}

Result<GcmCipher> GcmCipher::create(const char* name, ByteView key, CryptDirection direction,
                                    CryptoBackend backend) {
  if (backend == CryptoBackend::openssl) {
    auto context = keyed_context(name, key, direction);
    if (!context) return fail(std::move(context.error()));
    return GcmCipher(std::move(*context));
  }
  if (!of_length(name, key.size())) {
    return fail(ErrorCode::unsupported, std::string(name) + ": the key has a wrong length");
  }
  MultiBufferGcm keyed = MultiBufferGcm::create(key);
  if (keyed) return GcmCipher(std::move(keyed));
  return fail(ErrorCode::unsupported, "ipsec-mb does not key AES-GCM: " + multi_buffer_library().why);
}

bool GcmCipher::seal_by_openssl(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                                std::span<std::uint8_t> tag) {
  EVP_CIPHER_CTX* const context = std::get<CipherContext>(context_).get();
  int written = 0;
  Block unused{};
  return checked(
      run_openssl(context, nonce, aad, data) && EVP_CipherFinal_ex(context, unused.data(), &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()), tag.data()) == 1);
}

bool GcmCipher::open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, ByteView tag) {
  if (!lengths_good(nonce, tag.size())) return false;
  Block expected{};
  if (auto* const keyed = std::get_if<MultiBufferGcm>(&context_)) {
    const std::span<std::uint8_t> computed(expected.data(), tag.size());
    keyed->open(nonce, aad, data, computed);
    return equal_constant_time(computed, tag);
  }
  EVP_CIPHER_CTX* const context = std::get<CipherContext>(context_).get();
  int written = 0;
  std::copy(tag.begin(), tag.end(), expected.begin());  // the control call takes no const pointer
  Block unused{};
  return checked(run_openssl(context, nonce, aad, data) &&
                 EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()),
                                     expected.data()) == 1 &&
                 EVP_CipherFinal_ex(context, unused.data(), &written) == 1);
}

}  // namespace oakgate::soft
