// What decrypts the messages of an IKE SA, for an operator who looks at a capture of them. Secret.
#pragma once

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"
#include "ike/base/secret.h"
#include "ike/base/types.h"

namespace oakgate::ike {

struct DecryptionKey {
  CookiePair cookies;
  IkeCipher cipher{};
  IkeHash hash{};
  SecretBytes key;  // SKEYID_e cut or expanded for the cipher, RFC 2409 Appendix B
  // Not secret: the last block of phase 1, from which the IVs of later exchanges grow. Empty: phase 1 is not
  // over.
  Bytes last_phase1_block;
};

}  // namespace oakgate::ike
