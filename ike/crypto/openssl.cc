#include "ike/crypto/openssl.h"

#include <openssl/err.h>

#include <string>

namespace oakgate::crypto {

tl::unexpected<Error> openssl_failure(std::string_view what) {
  std::string text = "OpenSSL could not " + std::string(what);
  // Reason strings are constants of the library: they name no key and no data.
  for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(error);
    text += std::string(": ") + (reason == nullptr ? "error " + std::to_string(error) : reason);
  }
  return fail(ErrorCode::internal, std::move(text), "a libcrypto 3.0 or later with its default provider",
              "Look for a restricted OpenSSL configuration (openssl.cnf), or memory that ran out.");
}

void drop_openssl_errors() {
  ERR_clear_error();
}

}  // namespace oakgate::crypto
