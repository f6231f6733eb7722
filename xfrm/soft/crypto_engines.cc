#include "xfrm/soft/crypto_engines.h"

#include <openssl/crypto.h>

#include "xfrm/soft/gcm_cipher.h"

namespace oakgate::soft {

std::vector<CryptoEngine> crypto_engines() {
  const GcmChoice& gcm = gcm_choice();
  const std::string openssl = std::string("OpenSSL ") + OpenSSL_version(OPENSSL_VERSION_STRING);
  if (gcm.backend == GcmBackend::openssl) return {{"all", openssl, gcm.why}};
  return {{"AES-GCM, AES-GMAC", gcm.name, gcm.why},
          {"all others", openssl, "packets go one by one, where OpenSSL is as fast"}};
}

}  // namespace oakgate::soft
