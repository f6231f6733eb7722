#include "xfrm/soft/crypto_proof.h"

#include <array>
#include <vector>

#include "xfrm/soft/esp_crypto.h"
#include "xfrm/soft/gcm_cipher.h"

namespace oakgate::soft {

namespace {

// Around the blocks' and the code paths' bounds.
constexpr auto kSizes = std::to_array<std::size_t>({16, 48, 64, 112, 128, 256, 1408, 32, 4000, 80});
// Alone, few, as many as the lanes are, and more than that.
constexpr auto kTogether = std::to_array<std::size_t>({1, 2, 7, 8, 16, 17, 35});
constexpr std::size_t kKeys = 3;

Bytes pattern(std::size_t size, std::size_t seed) {
  Bytes made(size);
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::uint8_t>(i * 7 + seed * 31 + (i >> 5));
  return made;
}

struct GcmPacket {
  Bytes aad;
  Bytes data;
  std::size_t tag = 16;
};

// The last ones of each tag are GMAC.
std::vector<GcmPacket> gcm_packets() {
  std::vector<GcmPacket> out;
  for (const std::size_t tag : {8, 12, 16}) {
    for (const std::size_t size : {4, 15, 16, 17, 48, 64, 256, 257, 1408, 4000})
      out.push_back({pattern(8 + 4 * (size % 2), size), pattern(size, size), tag});
    for (const std::size_t size : {20, 1416}) out.push_back({pattern(size, size), {}, tag});
  }
  return out;
}

// Sealed alike, opened again, and a changed tag refused.
bool same(GcmCipher& trusted, GcmCipher& sealer, GcmCipher& opener, const GcmPacket& packet) {
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

// How OpenSSL does what a lane does.
struct TrustedCipher {
  const char* name;
  std::size_t key;
  std::size_t iv;
  std::size_t repeated;  // as algorithms.h has it: DES is EDE3 with three equal keys
  bool counter;
};
constexpr std::array<TrustedCipher, kCipherLanes> kTrustedCiphers{{
    {"AES-128-CBC", 16, 16, 1, false},
    {"AES-192-CBC", 24, 16, 1, false},
    {"AES-256-CBC", 32, 16, 1, false},
    {"AES-128-CTR", 16, 12, 1, true},
    {"AES-192-CTR", 24, 12, 1, true},
    {"AES-256-CTR", 32, 12, 1, true},
    {"DES-EDE3-CBC", 24, 8, 1, false},
    {"DES-EDE3-CBC", 8, 8, 3, false},
}};
struct TrustedTag {
  Integrity id;
  std::size_t whole;  // bytes of the tag before it is cut; XCBC: behind that
};
constexpr std::array<TrustedTag, kTagLanes> kTrustedTags{{{Integrity::md5, 16},
                                                          {Integrity::sha, 20},
                                                          {Integrity::sha256, 32},
                                                          {Integrity::sha384, 48},
                                                          {Integrity::sha512, 64},
                                                          {Integrity::aes_xcbc, 12}}};

bool by_openssl(const TrustedCipher& cipher, ByteView key, CryptDirection direction, ByteView iv,
                std::span<std::uint8_t> data) {
  const SecretBytes whole = repeated(key, cipher.repeated);
  if (cipher.counter) {
    auto made = CtrCipher::create(cipher.name, whole.view());
    return made && made->run(iv.first(cipher.iv), data);
  }
  auto made = CbcCipher::create(cipher.name, whole.view(), direction);
  return made && made->run(iv.first(cipher.iv), data);
}

}  // namespace

bool gcm_agrees_with_openssl() {
  struct Key {
    const char* name;
    std::size_t bytes;
  };
  for (const Key& one : {Key{"AES-128-GCM", 16}, Key{"AES-192-GCM", 24}, Key{"AES-256-GCM", 32}}) {
    const Bytes key(one.bytes, 0xa5);
    auto trusted = GcmCipher::create(one.name, key, CryptDirection::encrypt, CryptoBackend::openssl);
    auto sealer = GcmCipher::create(one.name, key, CryptDirection::encrypt, CryptoBackend::ipsec_mb);
    auto opener = GcmCipher::create(one.name, key, CryptDirection::decrypt, CryptoBackend::ipsec_mb);
    if (!trusted || !sealer || !opener) return false;
    for (const GcmPacket& packet : gcm_packets()) {
      if (!same(*trusted, *sealer, *opener, packet)) return false;
    }
  }
  return true;
}

bool agrees_with_openssl(CipherLane lane) {
  const TrustedCipher& trusted = kTrustedCiphers.at(static_cast<std::size_t>(lane));
  for (const CryptDirection direction : {CryptDirection::encrypt, CryptDirection::decrypt}) {
    std::vector<Bytes> keys;
    std::vector<MultiBufferCipher> ciphers;
    for (std::size_t i = 0; i < kKeys; ++i) {
      keys.push_back(pattern(trusted.key, 100 + i));
      ciphers.push_back(MultiBufferCipher::create(lane, keys.back(), direction));
      if (!ciphers.back()) return false;
    }
    for (const std::size_t together : kTogether) {
      std::vector<Bytes> ivs;
      std::vector<Bytes> ours;
      std::vector<Bytes> theirs;
      std::vector<MultiBufferCipher::Job> jobs;
      for (std::size_t i = 0; i < together; ++i) {
        // CTR need not be given whole blocks, and ESP aligns to 4 (RFC 4303 section 2.4).
        const std::size_t odd = trusted.counter ? 4 * (i % 4) : 0;
        ivs.push_back(pattern(16, i));
        ours.push_back(pattern(kSizes.at(i % kSizes.size()) + odd, i));
        theirs.push_back(ours.back());
        if (!by_openssl(trusted, keys[i % kKeys], direction, ivs[i], theirs.back())) return false;
      }
      for (std::size_t i = 0; i < together; ++i)
        jobs.push_back({&ciphers[i % kKeys], ivs[i].data(), ours[i]});
      if (!MultiBufferCipher::run(jobs) || ours != theirs) return false;
    }
  }
  return true;
}

bool agrees_with_openssl(TagLane lane) {
  const auto& [integrity, size] = kTrustedTags.at(static_cast<std::size_t>(lane));
  std::vector<IntegrityTag> trusted;
  std::vector<MultiBufferTag> tags;
  for (std::size_t i = 0; i < kKeys; ++i) {
    const Bytes key = pattern(info(integrity).key_bytes, 100 + i);
    auto made = IntegrityTag::create(integrity, SecretBytes(ByteView(key)), CryptoBackend::openssl);
    tags.push_back(MultiBufferTag::create(lane, key));
    if (!made || !tags.back()) return false;
    trusted.push_back(std::move(*made));
  }
  for (const std::size_t together : kTogether) {
    std::vector<Bytes> data;
    std::vector<Bytes> ours(together, Bytes(kMaxTag));
    std::vector<Bytes> theirs(together, Bytes(kMaxTag));
    std::vector<MultiBufferTag::Job> jobs;
    for (std::size_t i = 0; i < together; ++i) {
      data.push_back(pattern(kSizes.at(i % kSizes.size()) + i % 13, i));
      const std::span<std::uint8_t> whole(theirs[i].data(), size);
      if (!trusted[i % kKeys].compute(data[i], whole)) return false;
    }
    for (std::size_t i = 0; i < together; ++i) jobs.push_back({&tags[i % kKeys], data[i], ours[i].data()});
    if (!MultiBufferTag::run(jobs) || ours != theirs) return false;
  }
  return true;
}

}  // namespace oakgate::soft
