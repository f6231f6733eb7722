// IKEv1 key derivation: RFC 2409 section 5 (SKEYID family), 5.5 (KEYMAT), Appendix B (cipher key, IVs), and
// the authenticating hashes. All secret but the IVs and hashes that go on the wire.
#pragma once

#include <cstdint>
#include <optional>

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "ike/base/trust.h"
#include "ike/base/types.h"

namespace oakgate::crypto {

struct Phase1Keys {
  SecretBytes skeyid;
  SecretBytes skeyid_d;
  SecretBytes skeyid_a;
  SecretBytes skeyid_e;
  SecretBytes cipher_key;  // SKEYID_e cut or expanded to the cipher's key length, Appendix B
};

// SKEYID for signatures: prf(Ni_b | Nr_b, g^xy). (For pre-shared keys the KeyStore computes SKEYID.)
[[nodiscard]] Result<SecretBytes> skeyid_for_signatures(IkeHash prf, ByteView nonce_i, ByteView nonce_r,
                                                        const SecretBytes& g_xy);
// SKEYID for public key encryption. rfc: prf(hash(Ni_b | Nr_b), CKY-I | CKY-R); ios: prf(Ni_b | Nr_b, CKY-I |
// CKY-R), as recorded from IOS; `form` is one of these. The nonces are secret here.
[[nodiscard]] Result<SecretBytes> skeyid_for_encryption(IkeHash prf, SkeyidForm form, ByteView nonce_i,
                                                        ByteView nonce_r, const CookiePair& cookies);
// Revised mode of public key encryption, RFC 2409 section 5.3: Ke_i or Ke_r from the sender's nonce and
// cookie, as long as the cipher's key. "Ephemeral and MUST be discarded after use".
[[nodiscard]] Result<SecretBytes> revised_mode_key(IkeHash prf, IkeCipher cipher, ByteView nonce,
                                                   const Cookie& cookie);
[[nodiscard]] Result<Phase1Keys> derive_phase1_keys(IkeHash prf, IkeCipher cipher, SecretBytes skeyid,
                                                    const SecretBytes& g_xy, const CookiePair& cookies);
// IV of the first encrypted phase 1 message: hash(g^xi | g^xr), cut to the block size.
[[nodiscard]] Result<Bytes> phase1_iv(IkeHash hash, IkeCipher cipher, ByteView g_xi, ByteView g_xr);
// IV of the first message of a phase 2 exchange: hash(last phase 1 block | M-ID), cut to the block size.
[[nodiscard]] Result<Bytes> phase2_iv(IkeHash hash, IkeCipher cipher, ByteView last_phase1_block,
                                      MessageId id);

// HASH_I (sender: initiator) or HASH_R: prf(SKEYID, g^xs | g^xo | CKY-s | CKY-o | SAi_b | IDs_b), where s is
// the sender of the hash and o the other.
struct AuthenticationInput {
  ByteView own_public;  // g^x of the hash's sender
  ByteView other_public;
  CookiePair cookies;
  ByteView sa_body;  // SAi_b, always the initiator's
  ByteView id_body;  // ID of the hash's sender
};
[[nodiscard]] Result<Bytes> authentication_hash(IkeHash prf, const Phase1Keys& keys, Role sender,
                                                const AuthenticationInput& input);

// Quick Mode, section 5.5: HASH(1) = prf(SKEYID_a, M-ID | rest); HASH(2) = prf(SKEYID_a, M-ID | Ni_b | rest);
// HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b). `rest`: the message behind the hash payload. HASH(1)
// serves the Informational exchange too (section 5.7).
[[nodiscard]] Result<Bytes> hash_1(IkeHash prf, const Phase1Keys& keys, MessageId id, ByteView rest);
[[nodiscard]] Result<Bytes> hash_2(IkeHash prf, const Phase1Keys& keys, MessageId id, ByteView nonce_i,
                                   ByteView rest);
[[nodiscard]] Result<Bytes> hash_3(IkeHash prf, const Phase1Keys& keys, MessageId id, ByteView nonce_i,
                                   ByteView nonce_r);

// KEYMAT of one SA, expanded to `length`: prf(SKEYID_d, [g(qm)^xy |] protocol | SPI | Ni_b | Nr_b), K1 | K2 |
// ... `spi` is the receiver's choice; `protocol` is the DOI's number (3: ESP).
[[nodiscard]] Result<SecretBytes> keymat(IkeHash prf, const SecretBytes& skeyid_d, const SecretBytes* g_qm_xy,
                                         std::uint8_t protocol, Spi spi, ByteView nonce_i, ByteView nonce_r,
                                         std::size_t length);

}  // namespace oakgate::crypto
