#include "ike/crypto/prf.h"

#include <string>
#include <vector>

#include "ike/crypto/openssl.h"

namespace oakgate::crypto {

namespace {

// Fetching an algorithm by name costs more than using it, so each is fetched once.
struct Algorithm {
  Digest digest;
  MacContext hmac;  // has its digest but no key: duplicated for each use
};

Algorithm fetch(const IkeHashInfo& info) {
  Algorithm algorithm;
  algorithm.digest.reset(EVP_MD_fetch(nullptr, info.openssl, nullptr));
  const Mac mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  if (!mac) return algorithm;
  algorithm.hmac.reset(EVP_MAC_CTX_new(mac.get()));
  std::string name = info.openssl;
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), name.size()),
      OSSL_PARAM_construct_end()};
  if (algorithm.hmac && EVP_MAC_CTX_set_params(algorithm.hmac.get(), parameters) != 1) algorithm.hmac.reset();
  return algorithm;
}

const Algorithm* find(IkeHash hash) {
  static const auto algorithms = [] {
    std::vector<Algorithm> all;
    for (const IkeHashInfo& row : ike_hashes()) all.push_back(fetch(row));
    return all;
  }();
  return &algorithms[static_cast<std::size_t>(hash)];
}

}  // namespace

Result<Bytes> hash(IkeHash algorithm, std::initializer_list<ByteView> parts) {
  const Algorithm* fetched = find(algorithm);
  const DigestContext context(EVP_MD_CTX_new());
  bool done =
      fetched->digest && context && EVP_DigestInit_ex2(context.get(), fetched->digest.get(), nullptr) == 1;
  for (const ByteView part : parts) {
    done = done && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  }
  Bytes out(info(algorithm).bytes);
  if (!done || EVP_DigestFinal_ex(context.get(), out.data(), nullptr) != 1) return openssl_failure("hash");
  return out;
}

Result<SecretBytes> prf(IkeHash algorithm, ByteView key, std::initializer_list<ByteView> parts) {
  static constexpr std::uint8_t kEmpty = 0;
  const Algorithm* fetched = find(algorithm);
  const MacContext context(fetched->hmac ? EVP_MAC_CTX_dup(fetched->hmac.get()) : nullptr);
  // A null key would mean "the one from before", not an empty one.
  bool done =
      context && EVP_MAC_init(context.get(), key.empty() ? &kEmpty : key.data(), key.size(), nullptr) == 1;
  for (const ByteView part : parts) {
    done = done && EVP_MAC_update(context.get(), part.data(), part.size()) == 1;
  }
  SecretBytes out(info(algorithm).bytes);
  std::size_t written = 0;
  if (!done || EVP_MAC_final(context.get(), out.mutable_view().data(), &written, out.size()) != 1 ||
      written != out.size()) {
    return openssl_failure("compute an HMAC");
  }
  return out;
}

}  // namespace oakgate::crypto
