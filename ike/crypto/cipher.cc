#include "ike/crypto/cipher.h"

#include <limits>
#include <string>
#include <vector>

#include "ike/crypto/openssl.h"

namespace oakgate::crypto {

namespace {

const EVP_CIPHER* find(IkeCipher cipher) {
  static const auto ciphers = [] {
    std::vector<Cipher> all;
    for (const IkeCipherInfo& row : ike_ciphers()) {
      all.emplace_back(EVP_CIPHER_fetch(nullptr, row.openssl, nullptr));
    }
    return all;
  }();
  return ciphers[static_cast<std::size_t>(cipher)].get();
}

enum class Direction : int { decrypt = 0, encrypt = 1 };

Result<Bytes> run(Direction direction, IkeCipher cipher, const SecretBytes& key, ByteView iv,
                  ByteView input) {
  const IkeCipherInfo& row = info(cipher);
  if (key.size() != row.key_bytes || iv.size() != row.block_bytes) {
    return fail(ErrorCode::internal, "a key or IV of the wrong size for " + std::string(row.name));
  }
  if (input.size() % row.block_bytes != 0 ||
      input.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return reject(
        NotifyType::payload_malformed, ErrorCode::malformed,
        std::to_string(input.size()) + " encrypted bytes are not whole blocks of " + std::string(row.name),
        "a multiple of " + std::to_string(row.block_bytes));
  }
  const SecretBytes openssl_key = repeated(key.view(), row.openssl_keys);
  Bytes out(input.size());
  const CipherContext context(EVP_CIPHER_CTX_new());
  int written = 0;
  if (!context ||
      EVP_CipherInit_ex2(context.get(), find(cipher), openssl_key.view().data(), iv.data(),
                         static_cast<int>(direction), nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1 ||
      EVP_CipherUpdate(context.get(), out.data(), &written, input.data(), static_cast<int>(input.size())) !=
          1 ||
      static_cast<std::size_t>(written) != out.size()) {
    return openssl_failure("run " + std::string(row.name));
  }
  return out;
}

}  // namespace

Result<Bytes> encrypt(IkeCipher cipher, const SecretBytes& key, ByteView iv, ByteView plaintext) {
  return run(Direction::encrypt, cipher, key, iv, plaintext);
}

Result<Bytes> decrypt(IkeCipher cipher, const SecretBytes& key, ByteView iv, ByteView ciphertext) {
  return run(Direction::decrypt, cipher, key, iv, ciphertext);
}

}  // namespace oakgate::crypto
