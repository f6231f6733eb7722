// Which library does which algorithm in this process: ipsec-mb where it is there and has proved itself,
// OpenSSL elsewhere. Found out for each algorithm when it is first asked for, by having ipsec-mb do packets
// of many sizes under several keys, alone and together, and holding every byte against OpenSSL's. Safe from
// any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ike/base/algorithms.h"
#include "ike/base/result.h"
#include "xfrm/soft/multi_buffer.h"

namespace oakgate::soft {

enum class CryptoBackend : std::uint8_t { openssl, ipsec_mb };

enum class CryptoAlgorithm : std::uint8_t {
  gcm,  // and GMAC
  cbc,
  ctr,
  des3,
  des,
  camellia,
  md5,
  sha1,
  sha256,
  sha384,
  sha512,
  xcbc,
};
struct CryptoAlgorithmInfo {
  CryptoAlgorithm id;
  std::string_view name;             // "AES-CBC"
  std::optional<CipherLane> cipher;  // of its shortest keys; ipsec-mb's
  std::optional<TagLane> tag;        // likewise
  std::size_t least;                 // packets of one batch, from which on ipsec-mb is the faster
};
[[nodiscard]] std::span<const CryptoAlgorithmInfo> crypto_algorithms();
[[nodiscard]] const CryptoAlgorithmInfo& info(CryptoAlgorithm id);
[[nodiscard]] std::optional<CryptoAlgorithm> crypto_algorithm(EspCipher cipher);  // nothing: null encryption
[[nodiscard]] CryptoAlgorithm crypto_algorithm(Integrity integrity);

struct CryptoChoice {
  CryptoBackend backend = CryptoBackend::openssl;
  std::string name;  // "ipsec-mb 1.3.0 (AVX512)"
  std::string why;   // in a sentence
};
[[nodiscard]] CryptoChoice crypto_choice(CryptoAlgorithm algorithm);
// Without the sentences.
[[nodiscard]] CryptoBackend crypto_backend(CryptoAlgorithm algorithm);

// Which libraries SAs are made for from now on: `auto`, as above, or `openssl`, whatever else there is, which
// is for tests and for measuring. ErrorCode::configuration: another word.
inline constexpr const char* kCryptoEngineVariable = "OAKGATE_CRYPTO_ENGINE";
[[nodiscard]] Result<void> use_crypto_engine(std::string_view word);

}  // namespace oakgate::soft
