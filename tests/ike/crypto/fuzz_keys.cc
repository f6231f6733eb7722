// Fuzz target: the bytes of key files, public and private. What is taken obeys the bounds, and is written and
// read back the same.
#include "ike/crypto/private_key.h"
#include "ike/crypto/public_key.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate;
  const ByteView bytes(data, size);
  if (const auto spki = crypto::parse_public_key(bytes)) {
    const auto info = crypto::public_key_info(*spki);
    if (!info || info->bits > kMaxRsaBits || info->block_bytes == 0) __builtin_trap();
    const auto again = crypto::parse_public_key(*spki);
    if (!again || *again != *spki) __builtin_trap();
    // No signature of zeros verifies with any key.
    if (crypto::verify_signature(*spki, AuthMethod::rsa_sig, Bytes(20, 1), Bytes(info->block_bytes))) {
      __builtin_trap();
    }
  }
  if (const auto key = crypto::PrivateKey::parse(SecretBytes(bytes))) {
    const auto pem = key->to_pem();
    if (!pem) __builtin_trap();
    const auto again = crypto::PrivateKey::parse(*pem);
    if (!again || again->public_key() != key->public_key()) __builtin_trap();
  }
  return 0;
}
