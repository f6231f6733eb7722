// PKCS#12 (RFC 7292): a key with its certificates in one file, as CAs and routers export them. Old files are
// sealed with RC2 or 3DES: the legacy provider opens them, in a library context of its own, so that nothing
// else can use those ciphers.
#pragma once

#include <vector>

#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "ike/crypto/private_key.h"
#include "pki/certificate.h"

namespace oakgate::pki {

struct Pkcs12 {
  crypto::PrivateKey key;
  Certificate certificate;  // the key's own
  std::vector<Certificate> chain;
};
// ErrorCode::configuration: no PKCS#12, wrong passphrase, no key or no certificate in it, a key that is not
// the certificate's.
[[nodiscard]] Result<Pkcs12> read_pkcs12(ByteView file, const SecretBytes& passphrase);

}  // namespace oakgate::pki
