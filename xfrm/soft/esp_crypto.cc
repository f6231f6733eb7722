#include "xfrm/soft/esp_crypto.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>

namespace oakgate::soft {

namespace {

struct CipherDeleter {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
struct MacDeleter {
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
};

// Hands a result through and leaves OpenSSL's error queue empty where it is a failure.
bool checked(bool ok) {
  if (!ok) ERR_clear_error();
  return ok;
}

tl::unexpected<Error> not_offered(const char* name) {
  ERR_clear_error();
  return fail(ErrorCode::unsupported, std::string("OpenSSL cannot set up ") + name,
              "a key of its length and the algorithm in OpenSSL's default provider",
              "see `openssl list -cipher-algorithms -digest-algorithms`, or choose another transform set");
}

Result<CipherContext> keyed_context(const char* name, ByteView key, CryptDirection direction) {
  const std::unique_ptr<EVP_CIPHER, CipherDeleter> cipher(EVP_CIPHER_fetch(nullptr, name, nullptr));
  CipherContext context(EVP_CIPHER_CTX_new());
  if (!cipher || !context) return not_offered(name);
  if (static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher.get())) != key.size())
    return not_offered(name);
  if (EVP_CipherInit_ex2(context.get(), cipher.get(), key.data(), nullptr, static_cast<int>(direction),
                         nullptr) != 1) {
    return not_offered(name);
  }
  return context;
}

bool fits_int(std::size_t size) {
  return size <= static_cast<std::size_t>(std::numeric_limits<int>::max());
}

}  // namespace

Result<CbcCipher> CbcCipher::create(const char* name, ByteView key, CryptDirection direction) {
  auto context = keyed_context(name, key, direction);
  if (!context) return fail(std::move(context.error()));
  // ESP brings its own padding (RFC 4303 section 2.4).
  EVP_CIPHER_CTX_set_padding(context->get(), 0);
  return CbcCipher(std::move(*context));
}

bool CbcCipher::run(ByteView iv, std::span<std::uint8_t> data) {
  EVP_CIPHER_CTX* context = context_.get();
  const auto block = static_cast<std::size_t>(EVP_CIPHER_CTX_get_block_size(context));
  if (iv.size() != block || data.size() % block != 0 || !fits_int(data.size())) return false;
  int written = 0;
  return checked(
      EVP_CipherInit_ex2(context, nullptr, nullptr, iv.data(), -1, nullptr) == 1 &&
      EVP_CipherUpdate(context, data.data(), &written, data.data(), static_cast<int>(data.size())) == 1 &&
      static_cast<std::size_t>(written) == data.size());
}

Result<GcmCipher> GcmCipher::create(const char* name, ByteView key, CryptDirection direction) {
  auto context = keyed_context(name, key, direction);
  if (!context) return fail(std::move(context.error()));
  return GcmCipher(std::move(*context));
}

bool GcmCipher::run(ByteView nonce, ByteView aad, std::span<std::uint8_t> data) {
  EVP_CIPHER_CTX* context = context_.get();
  if (nonce.size() != kNonceBytes || !fits_int(aad.size()) || !fits_int(data.size())) return false;
  int written = 0;
  return EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), -1, nullptr) == 1 &&
         EVP_CipherUpdate(context, nullptr, &written, aad.data(), static_cast<int>(aad.size())) == 1 &&
         EVP_CipherUpdate(context, data.data(), &written, data.data(), static_cast<int>(data.size())) == 1;
}

bool GcmCipher::seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                     std::span<std::uint8_t> tag) {
  if (tag.size() != kTagBytes) return false;
  int written = 0;
  std::array<std::uint8_t, kTagBytes> unused{};
  return checked(run(nonce, aad, data) && EVP_CipherFinal_ex(context_.get(), unused.data(), &written) == 1 &&
                 EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1);
}

bool GcmCipher::open(ByteView nonce, ByteView aad, std::span<std::uint8_t> data, ByteView tag) {
  if (tag.size() != kTagBytes) return false;
  int written = 0;
  std::array<std::uint8_t, kTagBytes> expected{};
  std::copy(tag.begin(), tag.end(), expected.begin());  // the control call takes no const pointer
  std::array<std::uint8_t, kTagBytes> unused{};
  return checked(run(nonce, aad, data) &&
                 EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, expected.data()) ==
                     1 &&
                 EVP_CipherFinal_ex(context_.get(), unused.data(), &written) == 1);
}

Result<HmacTag> HmacTag::create(const char* digest, ByteView key) {
  const std::unique_ptr<EVP_MAC, MacDeleter> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  if (!mac) return not_offered("HMAC");
  Context context(EVP_MAC_CTX_new(mac.get()));
  std::string name(digest);
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
                                   OSSL_PARAM_construct_end()};
  if (!context || EVP_MAC_init(context.get(), key.data(), key.size(), parameters) != 1)
    return not_offered(digest);
  return HmacTag(std::move(context));
}

bool HmacTag::compute(ByteView data, std::span<std::uint8_t> tag) {
  std::array<std::uint8_t, kMaxTagBytes> full{};
  std::size_t written = 0;
  // Without a key the context starts again with the one it has.
  const bool ok = EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1 &&
                  EVP_MAC_update(context_.get(), data.data(), data.size()) == 1 &&
                  EVP_MAC_final(context_.get(), full.data(), &written, full.size()) == 1 &&
                  tag.size() <= written;
  if (!checked(ok)) return false;
  std::copy_n(full.begin(), tag.size(), tag.begin());
  return true;
}

}  // namespace oakgate::soft
