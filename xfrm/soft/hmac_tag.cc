// OpenSSL 3 calls these contexts deprecated, in favour of EVP: that one has no way to go on from a state
// without a context of its own for it.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "xfrm/soft/hmac_tag.h"

#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace oakgate::soft {

namespace {

constexpr std::size_t kMaxBlock = SHA512_CBLOCK;
constexpr std::size_t kMaxDigest = SHA512_DIGEST_LENGTH;

// The words that a hash carries from block to block, as OpenSSL's contexts have them.
std::span<std::uint8_t> state_of(MD5_CTX& context) {
  static_assert(offsetof(MD5_CTX, D) == 3 * sizeof(MD5_LONG));
  return {reinterpret_cast<std::uint8_t*>(&context), 4 * sizeof(MD5_LONG)};
}
std::span<std::uint8_t> state_of(SHA_CTX& context) {
  static_assert(offsetof(SHA_CTX, h4) == 4 * sizeof(SHA_LONG));
  return {reinterpret_cast<std::uint8_t*>(&context), 5 * sizeof(SHA_LONG)};
}
std::span<std::uint8_t> state_of(SHA256_CTX& context) {
  return {reinterpret_cast<std::uint8_t*>(context.h), sizeof(context.h)};
}
std::span<std::uint8_t> state_of(SHA512_CTX& context) {
  return {reinterpret_cast<std::uint8_t*>(context.h), sizeof(context.h)};
}

struct Md5 {
  using Context = MD5_CTX;
  static constexpr std::size_t kBlock = MD5_CBLOCK;
  static constexpr std::size_t kDigest = MD5_DIGEST_LENGTH;
  static constexpr auto kInit = MD5_Init;
  static constexpr auto kUpdate = MD5_Update;
  static constexpr auto kFinal = MD5_Final;
};
struct Sha1 {
  using Context = SHA_CTX;
  static constexpr std::size_t kBlock = SHA_CBLOCK;
  static constexpr std::size_t kDigest = SHA_DIGEST_LENGTH;
  static constexpr auto kInit = SHA1_Init;
  static constexpr auto kUpdate = SHA1_Update;
  static constexpr auto kFinal = SHA1_Final;
};
struct Sha256 {
  using Context = SHA256_CTX;
  static constexpr std::size_t kBlock = SHA256_CBLOCK;
  static constexpr std::size_t kDigest = SHA256_DIGEST_LENGTH;
  static constexpr auto kInit = SHA256_Init;
  static constexpr auto kUpdate = SHA256_Update;
  static constexpr auto kFinal = SHA256_Final;
};
struct Sha384 {
  using Context = SHA512_CTX;
  static constexpr std::size_t kBlock = SHA512_CBLOCK;
  static constexpr std::size_t kDigest = SHA384_DIGEST_LENGTH;
  static constexpr auto kInit = SHA384_Init;
  static constexpr auto kUpdate = SHA384_Update;
  static constexpr auto kFinal = SHA384_Final;
};
struct Sha512 : Sha384 {
  static constexpr std::size_t kDigest = SHA512_DIGEST_LENGTH;
  static constexpr auto kInit = SHA512_Init;
  static constexpr auto kUpdate = SHA512_Update;
  static constexpr auto kFinal = SHA512_Final;
};

// A context on the stack, that holds secrets.
template <typename H>
struct Hashing {
  typename H::Context context;
  Hashing() { H::kInit(&context); }
  Hashing(const Hashing&) = delete;
  Hashing& operator=(const Hashing&) = delete;
  ~Hashing() { OPENSSL_cleanse(&context, sizeof(context)); }
  void update(ByteView data) { H::kUpdate(&context, data.data(), data.size()); }
  // As if the block that gave it had just been taken.
  void go_on_from(ByteView state) {
    std::copy(state.begin(), state.end(), state_of(context).begin());
    context.Nl = H::kBlock * 8;  // bits so far
  }
};

template <typename H>
std::size_t state_bytes() {
  typename H::Context context{};
  return state_of(context).size();
}

template <typename H>
SecretBytes states_of(ByteView key) {
  std::array<std::uint8_t, kMaxBlock> block{};
  if (key.size() > H::kBlock) {
    // RFC 2104 section 2: "Applications that use keys longer than B bytes will first hash the key".
    Hashing<H> hashing;
    hashing.update(key);
    H::kFinal(block.data(), &hashing.context);
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  const std::size_t size = state_bytes<H>();
  SecretBytes states(2 * size);
  const auto hash_under = [&](std::uint8_t pad, std::size_t at) {
    for (std::uint8_t& byte : block) byte ^= pad;
    Hashing<H> hashing;
    hashing.update(ByteView(block).first(H::kBlock));
    std::ranges::copy(state_of(hashing.context), states.mutable_view().subspan(at, size).begin());
    for (std::uint8_t& byte : block) byte ^= pad;
  };
  hash_under(0x36, 0);
  hash_under(0x5c, size);
  OPENSSL_cleanse(block.data(), block.size());
  return states;
}

// All of the tag, which has room for kMaxDigest.
template <typename H>
void hmac(ByteView states, ByteView data, std::uint8_t* tag) {
  const std::size_t size = states.size() / 2;
  Hashing<H> inner;
  inner.go_on_from(states.first(size));
  inner.update(data);
  H::kFinal(tag, &inner.context);
  Hashing<H> outer;
  outer.go_on_from(states.subspan(size));
  outer.update({tag, H::kDigest});
  H::kFinal(tag, &outer.context);
}

}  // namespace

struct HmacTag::Hash {
  const char* name;
  std::size_t digest;
  SecretBytes (*states_of)(ByteView key);
  void (*hmac)(ByteView states, ByteView data, std::uint8_t* tag);
};

namespace {

template <typename H>
constexpr HmacTag::Hash row(const char* name) {
  return {name, H::kDigest, states_of<H>, hmac<H>};
}
constexpr std::array<HmacTag::Hash, 5> kHashes{{row<Md5>("MD5"), row<Sha1>("SHA1"), row<Sha256>("SHA256"),
                                                row<Sha384>("SHA384"), row<Sha512>("SHA512")}};

}  // namespace

Result<HmacTag> HmacTag::create(const char* digest, ByteView key) {
  const auto hash = std::find_if(kHashes.begin(), kHashes.end(),
                                 [&](const Hash& row) { return std::strcmp(row.name, digest) == 0; });
  if (hash == kHashes.end())
    return fail(ErrorCode::unsupported, std::string("no HMAC with ") + digest,
                "MD5, SHA1, SHA256, SHA384 or SHA512");
  return HmacTag(*hash, hash->states_of(key));
}

bool HmacTag::compute(ByteView data, std::span<std::uint8_t> tag) const {
  if (tag.size() > hash_->digest) return false;
  std::array<std::uint8_t, kMaxDigest> full;  // written before it is read
  hash_->hmac(states_.view(), data, full.data());
  std::copy_n(full.begin(), tag.size(), tag.begin());
  return true;
}

}  // namespace oakgate::soft
