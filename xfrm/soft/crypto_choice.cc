#include "xfrm/soft/crypto_choice.h"

#include <openssl/crypto.h>

#include <array>
#include <atomic>
#include <mutex>

#include "ike/base/printable.h"
#include "xfrm/soft/crypto_proof.h"

namespace oakgate::soft {

namespace {

// The last column was measured with packets of 64 to 1408 bytes on a Zen 5 with AVX-512: of a lone packet
// OpenSSL's SHA extensions make a tag in a seventh of the time of ipsec-mb's sixteen lanes, which are all
// gone through however few are in use.
constexpr std::array<CryptoAlgorithmInfo, 12> kAlgorithms{{
    {CryptoAlgorithm::gcm, "AES-GCM, AES-GMAC", {}, {}, 1},
    {CryptoAlgorithm::cbc, "AES-CBC", CipherLane::cbc_128, {}, 1},
    {CryptoAlgorithm::ctr, "AES-CTR", CipherLane::ctr_128, {}, 1},
    {CryptoAlgorithm::des3, "3DES-CBC", CipherLane::des3, {}, 6},
    {CryptoAlgorithm::des, "DES-CBC", CipherLane::des, {}, 2},
    {CryptoAlgorithm::camellia, "Camellia-CBC", {}, {}, 1},
    {CryptoAlgorithm::md5, "HMAC-MD5", {}, TagLane::md5, 2},
    {CryptoAlgorithm::sha1, "HMAC-SHA-1", {}, TagLane::sha1, 5},
    {CryptoAlgorithm::sha256, "HMAC-SHA-256", {}, TagLane::sha256, 8},
    {CryptoAlgorithm::sha384, "HMAC-SHA-384", {}, TagLane::sha384, 3},
    {CryptoAlgorithm::sha512, "HMAC-SHA-512", {}, TagLane::sha512, 3},
    {CryptoAlgorithm::xcbc, "AES-XCBC-MAC", {}, TagLane::xcbc, 1},
}};

bool known(CryptoAlgorithm algorithm) {
  return algorithm != CryptoAlgorithm::camellia;
}
bool is_des(CryptoAlgorithm algorithm) {
  return algorithm == CryptoAlgorithm::des || algorithm == CryptoAlgorithm::des3;
}

bool proves(const CryptoAlgorithmInfo& row) {
  if (row.id == CryptoAlgorithm::gcm) return gcm_agrees_with_openssl();
  if (row.tag) return agrees_with_openssl(*row.tag);
  if (is_des(row.id)) return agrees_with_openssl(*row.cipher);
  const auto shortest = static_cast<std::uint8_t>(*row.cipher);  // the longer keys' lanes follow it
  for (std::uint8_t i = 0; i < 3; ++i) {
    if (!agrees_with_openssl(static_cast<CipherLane>(shortest + i))) return false;
  }
  return true;
}

bool usable(CryptoAlgorithm algorithm) {
  const MultiBufferLibrary& library = multi_buffer_library();
  return library.usable && known(algorithm) && (library.des || !is_des(algorithm));
}

bool proved(CryptoAlgorithm algorithm) {
  struct Proof {
    std::once_flag once;
    bool holds = false;
  };
  static std::array<Proof, kAlgorithms.size()> proofs;
  Proof& proof = proofs.at(static_cast<std::size_t>(algorithm));
  std::call_once(proof.once, [&] { proof.holds = proves(info(algorithm)); });
  return proof.holds;
}

std::atomic<bool> openssl_alone{false};

}  // namespace

std::span<const CryptoAlgorithmInfo> crypto_algorithms() {
  return kAlgorithms;
}

const CryptoAlgorithmInfo& info(CryptoAlgorithm id) {
  return kAlgorithms.at(static_cast<std::size_t>(id));
}

std::optional<CryptoAlgorithm> crypto_algorithm(EspCipher cipher) {
  switch (info(cipher).kind) {
    case EspKind::null:
      return std::nullopt;
    case EspKind::ctr:
      return CryptoAlgorithm::ctr;
    case EspKind::gcm:
    case EspKind::gmac:
      return CryptoAlgorithm::gcm;
    case EspKind::cbc:
      break;
  }
  switch (cipher) {
    case EspCipher::des:
      return CryptoAlgorithm::des;
    case EspCipher::des3:
      return CryptoAlgorithm::des3;
    case EspCipher::camellia_128:
    case EspCipher::camellia_192:
    case EspCipher::camellia_256:
      return CryptoAlgorithm::camellia;
    default:
      return CryptoAlgorithm::cbc;
  }
}

CryptoAlgorithm crypto_algorithm(Integrity integrity) {
  switch (integrity) {
    case Integrity::md5:
      return CryptoAlgorithm::md5;
    case Integrity::sha:
      return CryptoAlgorithm::sha1;
    case Integrity::sha256:
    case Integrity::sha256_96:
      return CryptoAlgorithm::sha256;
    case Integrity::sha384:
      return CryptoAlgorithm::sha384;
    case Integrity::sha512:
      return CryptoAlgorithm::sha512;
    case Integrity::aes_xcbc:
      break;
  }
  return CryptoAlgorithm::xcbc;
}

CryptoBackend crypto_backend(CryptoAlgorithm algorithm) {
  const bool ours = !openssl_alone && usable(algorithm) && proved(algorithm);
  return ours ? CryptoBackend::ipsec_mb : CryptoBackend::openssl;
}

CryptoChoice crypto_choice(CryptoAlgorithm algorithm) {
  const MultiBufferLibrary& library = multi_buffer_library();
  const CryptoAlgorithmInfo& row = info(algorithm);
  const std::string openssl = std::string("OpenSSL ") + OpenSSL_version(OPENSSL_VERSION_STRING);
  const auto by_openssl = [&](std::string why) {
    return CryptoChoice{CryptoBackend::openssl, openssl, std::move(why)};
  };
  if (openssl_alone)
    return by_openssl(std::string(kCryptoEngineVariable) + "=openssl was in the environment");
  if (!library.usable) return by_openssl(library.why);
  if (!known(algorithm)) return by_openssl(library.name + " does not know it");
  if (!usable(algorithm)) return by_openssl(library.name + " has it for AVX-512 alone");
  if (!proved(algorithm)) return by_openssl(library.name + " gave other bytes than OpenSSL");
  std::string why = "it gave the same bytes as OpenSSL when oakgated started";
  if (row.least > 1) {
    why +=
        "; fewer than " + std::to_string(row.least) + " packets at once go by OpenSSL, which is faster then";
  }
  return {CryptoBackend::ipsec_mb, library.name, why};
}

Result<void> use_crypto_engine(std::string_view word) {
  if (word != "auto" && word != "openssl") {
    return fail(
        ErrorCode::configuration,
        std::string(kCryptoEngineVariable) + "=" + printable(word) + ": there is no such crypto engine",
        "auto or openssl", "unset the variable, or take one of these");
  }
  openssl_alone = word == "openssl";
  return {};
}

}  // namespace oakgate::soft
