// The one table of algorithms: what each is called in the configuration and by IOS, its number on the wire in
// phase 1 and phase 2, its sizes, its name in the kernel and in OpenSSL, and which waiver word it needs.
// Codec, policy, both data planes, log and commands all read it here. Data only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oakgate {

// Words of `allow_weak.algorithms` (oakgate.yaml(5)). A word covers IKE, ESP and AH alike.
enum class Weak : std::uint8_t {
  des,
  des3,
  md5,
  sha,
  group1,
  group2,
  group5,
  group22,
  group23,
  group24,
  rsa_512,
  rsa_1024,
  short_psk,
};
[[nodiscard]] std::string_view weak_word(Weak weak);
[[nodiscard]] std::optional<Weak> find_weak(std::string_view word);
[[nodiscard]] std::span<const std::string_view> weak_words();  // for "expected one of" and nearest names
inline constexpr std::size_t kShortPskBytes = 16;              // below it a pre-shared key needs `short-psk`
// Which word an RSA modulus of so many bits needs: below 1024 `rsa-512`, below 2048 `rsa-1024`.
[[nodiscard]] std::optional<Weak> weak_rsa(int modulus_bits);
inline constexpr int kMinRsaBits = 512;  // smaller or larger ones are refused, whatever is waived
inline constexpr int kMaxRsaBits = 8192;

// ---- Phase 1: RFC 2409 Appendix A ----------------------------------------------------------------------
enum class IkeCipher : std::uint8_t {
  des,
  des3,
  aes_128,
  aes_192,
  aes_256,
  camellia_128,
  camellia_192,
  camellia_256,
};
struct IkeCipherInfo {
  IkeCipher id;
  std::string_view name;        // "aes-256": the configuration's word
  std::string_view ios_name;    // "aes 256": accepted in the configuration, used in the IOS layouts
  std::uint16_t wire;           // Encryption Algorithm attribute
  std::uint16_t wire_key_bits;  // Key Length attribute; 0: none is sent (fixed-length cipher)
  std::uint16_t key_bytes;
  std::uint16_t block_bytes;  // block and IV size
  const char* openssl;
  std::uint8_t openssl_keys;  // how often OpenSSL wants the key: single DES is EDE3 with three equal ones
  std::optional<Weak> weak;
};

enum class IkeHash : std::uint8_t { md5, sha, sha256, sha384, sha512 };
struct IkeHashInfo {
  IkeHash id;
  std::string_view name;
  std::string_view ios_name;
  std::uint16_t wire;  // Hash Algorithm attribute
  std::uint16_t bytes;
  const char* openssl;
  std::optional<Weak> weak;  // `sha` is about certificates only, so HMAC-SHA-1 has none
};

enum class DhGroup : std::uint8_t {
  modp768 = 1,
  modp1024 = 2,
  modp1536 = 5,
  modp2048 = 14,
  modp3072 = 15,
  modp4096 = 16,
  modp6144 = 17,
  modp8192 = 18,
  ecp256 = 19,
  ecp384 = 20,
  ecp521 = 21,
  modp1024_160 = 22,
  modp2048_224 = 23,
  modp2048_256 = 24,
  curve25519 = 31,
};
enum class DhKind : std::uint8_t {
  safe_prime,  // RFC 2409 section 6, RFC 3526: 1 < y < p-1 is all there is to check
  subgroup,    // RFC 5114: q is far smaller than p, and a public value must lie in its subgroup
  curve,       // RFC 5903: KE is x|y, the secret is x only
  montgomery,  // RFC 8031: KE is u, little-endian as in RFC 7748
};
struct DhGroupInfo {
  DhGroup id;                    // its value is the Group Description attribute
  std::string_view name;         // "group14"
  std::string_view description;  // "2048 bit MODP"
  DhKind kind;
  std::uint16_t public_bytes;  // exact length of the KE body
  std::uint16_t secret_bytes;  // exact length of g^xy, leading zeros kept
  const char* openssl;         // named group; nullptr: OpenSSL has none, p and g are given to it
  std::optional<Weak> weak;
};

enum class AuthMethod : std::uint8_t { pre_share, rsa_sig, rsa_encr, rsa_encr_rev, ecdsa_sig };
struct AuthMethodInfo {
  AuthMethod id;
  std::string_view name;      // "pre-share"
  std::string_view ios_name;  // "Pre-Shared Key"
  std::uint16_t wire;         // Authentication Method attribute; ecdsa-sig: see wire_number()
  bool signs;                 // SIG payloads instead of HASH payloads; proves itself with a certificate
  bool encrypts;              // nonces and identities go encrypted to the peer's RSA key
};

[[nodiscard]] std::span<const IkeCipherInfo> ike_ciphers();
[[nodiscard]] std::span<const IkeHashInfo> ike_hashes();
[[nodiscard]] std::span<const DhGroupInfo> dh_groups();
[[nodiscard]] std::span<const AuthMethodInfo> auth_methods();
[[nodiscard]] const IkeCipherInfo& info(IkeCipher id);
[[nodiscard]] const IkeHashInfo& info(IkeHash id);
[[nodiscard]] const DhGroupInfo& info(DhGroup id);
[[nodiscard]] const AuthMethodInfo& info(AuthMethod id);
// By configuration word or IOS spelling.
[[nodiscard]] std::optional<IkeCipher> find_ike_cipher(std::string_view name);
[[nodiscard]] std::optional<IkeHash> find_ike_hash(std::string_view name);
[[nodiscard]] std::optional<AuthMethod> find_auth_method(std::string_view name);
// The Authentication Method attribute. ECDSA's names its curve and hash with it, so `hash` decides: sha256
// P-256 (9), sha384 P-384 (10), sha512 P-521 (11), RFC 4754 section 3; with another hash it has no number: 0.
[[nodiscard]] std::uint16_t wire_number(AuthMethod method, IkeHash hash);
[[nodiscard]] std::optional<AuthMethod> find_auth_method(std::uint16_t wire);
// By the numbers of the wire. `key_bits` is the Key Length attribute, 0 if it was absent: then AES and
// Camellia have 128 bits, which is what a peer means that leaves it out. A fixed-length cipher takes no Key
// Length (RFC 2409 Appendix A: "MUST NOT be used").
[[nodiscard]] std::optional<IkeCipher> find_ike_cipher(std::uint16_t wire, std::uint16_t key_bits);
[[nodiscard]] std::optional<IkeHash> find_ike_hash(std::uint16_t wire);
[[nodiscard]] std::optional<DhGroup> find_dh_group(std::uint32_t number);

// ---- Phase 2: RFC 2407 section 4.4.4 and 4.5 ------------------------------------------------------------
enum class EspCipher : std::uint8_t {
  null,
  des,
  des3,
  aes_128,
  aes_192,
  aes_256,
  camellia_128,
  camellia_192,
  camellia_256,
  ctr_128,
  ctr_192,
  ctr_256,
  gcm_128,  // with the whole ICV of 16 bytes
  gcm_192,
  gcm_256,
  gcm12_128,
  gcm12_192,
  gcm12_256,
  gcm8_128,
  gcm8_192,
  gcm8_256,
  gmac_128,
  gmac_192,
  gmac_256,
};
enum class EspKind : std::uint8_t {
  null,  // RFC 2410
  cbc,   // RFC 2405, 2451, 3602, 4312
  ctr,   // RFC 3686
  gcm,   // RFC 4106
  gmac,  // RFC 4543: authenticates, does not encrypt
};
struct EspCipherInfo {
  EspCipher id;
  std::string_view name;      // "esp-aes-256"
  std::string_view ios_name;  // "esp-aes 256"
  EspKind kind;
  std::uint8_t wire;            // ESP transform identifier
  std::uint16_t wire_key_bits;  // Key Length attribute; 0: none is sent
  std::uint16_t key_bytes;      // without the salt
  std::uint8_t salt_bytes;      // follows the key in KEYMAT: RFC 4106 section 8.1, RFC 3686 section 5.1
  std::uint8_t iv_bytes;        // in the packet
  std::uint8_t block_bytes;     // padding granularity of the cipher; ESP aligns to 4 besides
  std::uint8_t icv_bytes;       // AEAD: its tag; 0: needs an integrity algorithm
  const char* kernel;           // XFRM name
  const char* openssl;          // nullptr: nothing is encrypted
  std::uint8_t openssl_keys;    // as IkeCipherInfo's
  std::optional<Weak> weak;
  [[nodiscard]] constexpr bool aead() const { return icv_bytes != 0; }
};

enum class Integrity : std::uint8_t { md5, sha, sha256, sha256_96, sha384, sha512, aes_xcbc };
enum class MacKind : std::uint8_t { hmac, xcbc };
struct IntegrityInfo {
  Integrity id;
  std::string_view name;  // "sha256-hmac", behind "esp-" or "ah-"
  MacKind kind;
  std::uint16_t wire;    // Authentication Algorithm attribute
  std::uint8_t ah_wire;  // AH transform identifier, RFC 2407 section 4.4.3
  std::uint16_t key_bytes;
  std::uint8_t icv_bytes;  // on the wire
  const char* kernel;
  const char* openssl;  // hmac: the digest; xcbc: the block cipher
  std::optional<Weak> weak;
  // False: not a word of transform sets, and found by no number, but what `sha256_truncation: 96` makes of
  // another row (with_truncation, ike/base/policy.h).
  bool configurable;
};

// IPComp, RFC 2407 section 4.4.5 and RFC 3173: it makes packets smaller and protects nothing.
enum class Compression : std::uint8_t { deflate, lzs };
struct CompressionInfo {
  Compression id;
  std::string_view name;  // "comp-deflate"
  std::uint8_t wire;      // IPCOMP transform identifier
  const char* kernel;     // XFRM name; nullptr: known by name only, and no word of transform sets
};

[[nodiscard]] std::span<const EspCipherInfo> esp_ciphers();
[[nodiscard]] std::span<const IntegrityInfo> integrities();
[[nodiscard]] std::span<const CompressionInfo> compressions();
[[nodiscard]] const EspCipherInfo& info(EspCipher id);
[[nodiscard]] const IntegrityInfo& info(Integrity id);
[[nodiscard]] const CompressionInfo& info(Compression id);
[[nodiscard]] std::optional<EspCipher> find_esp_cipher(std::string_view name);
[[nodiscard]] std::optional<EspCipher> find_esp_cipher(std::uint8_t wire,
                                                       std::uint16_t key_bits);  // likewise
// `name` without the "esp-" or "ah-" prefix.
[[nodiscard]] std::optional<Integrity> find_integrity(std::string_view name);
[[nodiscard]] std::optional<Integrity> find_integrity(std::uint16_t wire);
[[nodiscard]] std::optional<Compression> find_compression(std::string_view name);
[[nodiscard]] std::optional<Compression> find_compression(std::uint8_t wire);

}  // namespace oakgate
