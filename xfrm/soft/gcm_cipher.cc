#include "xfrm/soft/gcm_cipher.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

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

bool lengths_good(ByteView nonce, std::size_t tag) {
  return nonce.size() == GcmCipher::kNonceBytes && (tag == 8 || tag == 12 || tag == 16);
}

// ---- Whether ipsec-mb is to be believed

struct Packet {
  Bytes aad;
  Bytes data;
  std::size_t tag = 16;
};

// Around the blocks' and the code paths' bounds; the last ones are GMAC.
std::vector<Packet> packets() {
  std::vector<Packet> out;
  const auto bytes = [](std::size_t size) {
    Bytes made(size);
    for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::uint8_t>(i * 7 + size);
    return made;
  };
  for (const std::size_t tag : {8, 12, 16}) {
    for (const std::size_t size : {4, 15, 16, 17, 48, 64, 256, 257, 1408, 4000})
      out.push_back({bytes(8), bytes(size), tag});
    for (const std::size_t size : {20, 1416}) out.push_back({bytes(size), {}, tag});
  }
  return out;
}

// Sealed alike, opened again, and a changed tag refused.
bool same(GcmCipher& trusted, GcmCipher& sealer, GcmCipher& opener, const Packet& packet) {
  constexpr std::array<std::uint8_t, GcmCipher::kNonceBytes> kNonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  Bytes expected = packet.data;
  Bytes sealed = packet.data;
  Bytes expected_tag(packet.tag);
  Bytes tag(packet.tag);
  if (!trusted.seal(kNonce, packet.aad, expected, expected_tag) ||
      !sealer.seal(kNonce, packet.aad, sealed, tag) || sealed != expected || tag != expected_tag) {
    return false;
  }
  Bytes again = sealed;
  if (!opener.open(kNonce, packet.aad, again, tag) || again != packet.data) return false;
  tag.front() ^= 1;
  return !opener.open(kNonce, packet.aad, sealed, tag);
}

bool agrees_with_openssl() {
  struct Key {
    const char* name;
    std::size_t bytes;
  };
  for (const Key& one : {Key{"AES-128-GCM", 16}, Key{"AES-192-GCM", 24}, Key{"AES-256-GCM", 32}}) {
    const Bytes key(one.bytes, 0xa5);
    auto trusted = GcmCipher::create(one.name, key, CryptDirection::encrypt, GcmBackend::openssl);
    auto sealer = GcmCipher::create(one.name, key, CryptDirection::encrypt, GcmBackend::ipsec_mb);
    auto opener = GcmCipher::create(one.name, key, CryptDirection::decrypt, GcmBackend::ipsec_mb);
    if (!trusted || !sealer || !opener) return false;
    for (const Packet& packet : packets()) {
      if (!same(*trusted, *sealer, *opener, packet)) return false;
    }
  }
  return true;
}

GcmChoice choose() {
  const MultiBufferLibrary& library = multi_buffer_library();
  const std::string openssl = std::string("OpenSSL ") + OpenSSL_version(OPENSSL_VERSION_STRING);
  if (!library.usable) return {GcmBackend::openssl, openssl, library.why};
  if (!agrees_with_openssl())
    return {GcmBackend::openssl, openssl, library.name + " gave other bytes than OpenSSL"};
  return {GcmBackend::ipsec_mb, library.name, "it gave the same bytes as OpenSSL when oakgated started"};
}

}  // namespace

const GcmChoice& gcm_choice() {
  static const GcmChoice choice = choose();
  return choice;
}

Result<GcmCipher> GcmCipher::create(const char* name, ByteView key, CryptDirection direction) {
  return create(name, key, direction, gcm_choice().backend);
}

Result<GcmCipher> GcmCipher::create(const char* name, ByteView key, CryptDirection direction,
                                    GcmBackend backend) {
  auto context = keyed_context(name, key, direction);
  if (!context) return fail(std::move(context.error()));
  if (backend == GcmBackend::openssl) return GcmCipher(std::move(*context));
  MultiBuffer keyed = MultiBufferGcm::create(key);
  if (keyed == nullptr) return fail(ErrorCode::unsupported, multi_buffer_library().why);
  return GcmCipher(std::move(keyed));
}

bool GcmCipher::seal(ByteView nonce, ByteView aad, std::span<std::uint8_t> data,
                     std::span<std::uint8_t> tag) {
  if (!lengths_good(nonce, tag.size())) return false;
  if (auto* const keyed = std::get_if<MultiBuffer>(&context_)) {
    (*keyed)->seal(nonce, aad, data, tag);
    return true;
  }
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
  if (auto* const keyed = std::get_if<MultiBuffer>(&context_)) {
    const std::span<std::uint8_t> computed(expected.data(), tag.size());
    (*keyed)->open(nonce, aad, data, computed);
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
