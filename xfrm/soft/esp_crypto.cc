#include "xfrm/soft/esp_crypto.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>

namespace oakgate::soft {

namespace {

struct CipherDeleter {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};

tl::unexpected<Error> not_offered(const char* name) {
  ERR_clear_error();
  return fail(ErrorCode::unsupported, std::string("OpenSSL cannot set up ") + name,
              "a key of its length and the algorithm in OpenSSL's default provider",
              "see `openssl list -cipher-algorithms -digest-algorithms`, or choose another transform set");
}

}  // namespace

bool checked(bool ok) {
  if (!ok) ERR_clear_error();
  return ok;
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

Result<CtrCipher> CtrCipher::create(const char* name, ByteView key) {
  auto context = keyed_context(name, key, CryptDirection::encrypt);
  if (!context) return fail(std::move(context.error()));
  return CtrCipher(std::move(*context));
}

bool CtrCipher::run(ByteView nonce, std::span<std::uint8_t> data) {
  if (nonce.size() != kNonceBytes || !fits_int(data.size())) return false;
  // RFC 3686 section 4: the counter block is nonce, IV and a block counter that "begins with the value of
  // one".
  std::array<std::uint8_t, kNonceBytes + 4> counter{};
  std::copy(nonce.begin(), nonce.end(), counter.begin());
  counter.back() = 1;
  int written = 0;
  return checked(EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, counter.data(), -1, nullptr) == 1 &&
                 EVP_CipherUpdate(context_.get(), data.data(), &written, data.data(),
                                  static_cast<int>(data.size())) == 1);
}

namespace {

using XcbcBlock = std::array<std::uint8_t, XcbcTag::kBlock>;

// CBC encryption of `data` (whole blocks) going on from `chain`, which becomes the last block of it.
bool chain_blocks(EVP_CIPHER_CTX* context, ByteView data, XcbcBlock& chain) {
  constexpr std::size_t kAtOnce = 64 * XcbcTag::kBlock;
  std::array<std::uint8_t, kAtOnce> out{};
  if (EVP_CipherInit_ex2(context, nullptr, nullptr, chain.data(), -1, nullptr) != 1) return false;
  while (!data.empty()) {
    const std::size_t size = std::min(data.size(), kAtOnce);
    int written = 0;
    if (EVP_CipherUpdate(context, out.data(), &written, data.data(), static_cast<int>(size)) != 1 ||
        static_cast<std::size_t>(written) != size) {
      return false;
    }
    std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(size - chain.size()), chain.size(), chain.begin());
    data = data.subspan(size);
  }
  return true;
}

}  // namespace

Result<XcbcTag> XcbcTag::create(const char* name, ByteView key) {
  auto deriving = keyed_context(name, key, CryptDirection::encrypt);
  if (!deriving) return fail(std::move(deriving.error()));
  EVP_CIPHER_CTX_set_padding(deriving->get(), 0);
  // RFC 3566 section 4: K1, K2, K3 are the key's encryptions of blocks of 01, 02 and 03.
  std::array<SecretBytes, 3> keys;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    XcbcBlock zero{};
    keys[i] = SecretBytes(kBlock);
    const Bytes constant(kBlock, static_cast<std::uint8_t>(i + 1));
    int written = 0;
    if (EVP_CipherInit_ex2(deriving->get(), nullptr, nullptr, zero.data(), -1, nullptr) != 1 ||
        EVP_CipherUpdate(deriving->get(), keys[i].mutable_view().data(), &written, constant.data(),
                         static_cast<int>(constant.size())) != 1) {
      return not_offered(name);
    }
  }
  auto context = keyed_context(name, keys[0].view(), CryptDirection::encrypt);
  if (!context) return fail(std::move(context.error()));
  EVP_CIPHER_CTX_set_padding(context->get(), 0);
  return XcbcTag(std::move(*context), std::move(keys[1]), std::move(keys[2]));
}

bool XcbcTag::compute(ByteView data, std::span<std::uint8_t> tag) {
  if (tag.size() > kBlock || !fits_int(data.size())) return false;
  // RFC 3566 section 4: the last block, padded with 80 00.. if it is not whole (or is empty), meets K2 or K3.
  const std::size_t tail = data.empty() ? 0 : (data.size() - 1) % kBlock + 1;
  XcbcBlock last{};
  std::copy(data.end() - static_cast<std::ptrdiff_t>(tail), data.end(), last.begin());
  if (tail < kBlock) last[tail] = 0x80;
  const ByteView mask = (tail < kBlock ? part_last_ : whole_last_).view();
  for (std::size_t i = 0; i < kBlock; ++i) last[i] ^= mask[i];
  XcbcBlock chain{};
  if (!checked(chain_blocks(context_.get(), data.first(data.size() - tail), chain) &&
               chain_blocks(context_.get(), last, chain))) {
    return false;
  }
  std::copy_n(chain.begin(), tag.size(), tag.begin());
  return true;
}

namespace {

// Null where the choice is OpenSSL; ipsec-mb that cannot key itself leaves the algorithm to OpenSSL too.
bool wants_together(CryptoAlgorithm algorithm, std::optional<CryptoBackend> backend) {
  return (backend ? *backend : crypto_backend(algorithm)) == CryptoBackend::ipsec_mb;
}

}  // namespace

Result<BlockCipher> BlockCipher::create(const EspCipherInfo& cipher, ByteView key, CryptDirection direction,
                                        std::optional<CryptoBackend> backend) {
  const auto algorithm = crypto_algorithm(cipher.id);
  BlockCipher made;
  made.iv_ = cipher.kind == EspKind::ctr ? CtrCipher::kNonceBytes : cipher.iv_bytes;
  made.block_ = cipher.kind == EspKind::ctr ? 1 : cipher.block_bytes;
  if (algorithm && info(*algorithm).cipher && wants_together(*algorithm, backend)) {
    // The lanes of one cipher follow each other by the length of their keys.
    const std::size_t longer = *algorithm == CryptoAlgorithm::cbc || *algorithm == CryptoAlgorithm::ctr
                                   ? (std::size_t{cipher.key_bytes} - 16) / 8
                                   : 0;
    const auto lane = static_cast<CipherLane>(static_cast<std::size_t>(*info(*algorithm).cipher) + longer);
    made.together_ = MultiBufferCipher::create(lane, key, direction);
    made.least_ = backend ? 1 : info(*algorithm).least;
  }
  if (made.together_ && made.least_ <= 1) return made;
  if (cipher.kind == EspKind::ctr) {
    auto ctr = CtrCipher::create(cipher.openssl, key);
    if (!ctr) return fail(std::move(ctr.error()));
    made.alone_ = std::move(*ctr);
  } else {
    auto cbc = CbcCipher::create(cipher.openssl, repeated(key, cipher.openssl_keys).view(), direction);
    if (!cbc) return fail(std::move(cbc.error()));
    made.alone_ = std::move(*cbc);
  }
  return made;
}

bool BlockCipher::run(ByteView iv, std::span<std::uint8_t> data) {
  if (auto* cbc = std::get_if<CbcCipher>(&alone_)) return cbc->run(iv, data);
  if (auto* ctr = std::get_if<CtrCipher>(&alone_)) return ctr->run(iv, data);
  if (iv.size() != iv_ || data.size() % block_ != 0 || data.size() > kMaxMultiBuffer) return false;
  const MultiBufferCipher::Job job{&together_, iv.data(), data};
  return MultiBufferCipher::run({&job, 1});
}

Result<IntegrityTag> IntegrityTag::create(Integrity algorithm, const SecretBytes& key,
                                          std::optional<CryptoBackend> backend) {
  const IntegrityInfo& row = info(algorithm);
  if (key.size() != row.key_bytes) {
    return fail(ErrorCode::unsupported, std::string(row.name) + ": the integrity key has a wrong length",
                std::to_string(row.key_bytes) + " bytes");
  }
  IntegrityTag made;
  const CryptoAlgorithmInfo& known = info(crypto_algorithm(algorithm));
  if (known.tag && wants_together(known.id, backend)) {
    made.together_ = MultiBufferTag::create(*known.tag, key.view());
    made.least_ = backend ? 1 : known.least;
  }
  if (made.together_ && made.least_ <= 1) return made;
  if (row.kind == MacKind::xcbc) {
    auto xcbc = XcbcTag::create(row.openssl, key.view());
    if (!xcbc) return fail(std::move(xcbc.error()));
    made.alone_ = std::make_unique<XcbcTag>(std::move(*xcbc));
  } else {
    auto hmac = HmacTag::create(row.openssl, key.view());
    if (!hmac) return fail(std::move(hmac.error()));
    made.alone_ = std::move(*hmac);
  }
  return made;
}

bool IntegrityTag::compute(ByteView data, std::span<std::uint8_t> tag) {
  if (auto* hmac = std::get_if<HmacTag>(&alone_)) return hmac->compute(data, tag);
  if (auto* xcbc = std::get_if<std::unique_ptr<XcbcTag>>(&alone_)) return (*xcbc)->compute(data, tag);
  std::array<std::uint8_t, kMaxTag> whole{};
  if (data.size() > kMaxMultiBuffer || tag.size() > whole.size()) return false;
  const MultiBufferTag::Job job{&together_, data, whole.data()};
  if (!MultiBufferTag::run({&job, 1})) return false;
  std::copy_n(whole.begin(), tag.size(), tag.begin());
  return true;
}

}  // namespace oakgate::soft
