#include "ike/base/algorithms.h"

#include <algorithm>
#include <array>

namespace oakgate {

namespace {

constexpr auto kWeakWords = std::to_array<std::string_view>({
    "des",
    "3des",
    "md5",
    "sha",
    "group1",
    "group2",
    "group5",
    "group22",
    "group23",
    "group24",
    "rsa-512",
    "rsa-1024",
    "short-psk",
});

// RFC 2409 Appendix A; AES is value 7 (RFC 3602 section 5.1), Camellia 8 (RFC 4312 section 4).
constexpr auto kIkeCiphers = std::to_array<IkeCipherInfo>({
    {IkeCipher::des, "des", "des", 1, 0, 8, 8, "DES-EDE3-CBC", 3, Weak::des},
    {IkeCipher::des3, "3des", "3des", 5, 0, 24, 8, "DES-EDE3-CBC", 1, Weak::des3},
    {IkeCipher::aes_128, "aes-128", "aes", 7, 128, 16, 16, "AES-128-CBC", 1, {}},
    {IkeCipher::aes_192, "aes-192", "aes 192", 7, 192, 24, 16, "AES-192-CBC", 1, {}},
    {IkeCipher::aes_256, "aes-256", "aes 256", 7, 256, 32, 16, "AES-256-CBC", 1, {}},
    {IkeCipher::camellia_128, "camellia-128", "camellia", 8, 128, 16, 16, "CAMELLIA-128-CBC", 1, {}},
    {IkeCipher::camellia_192, "camellia-192", "camellia 192", 8, 192, 24, 16, "CAMELLIA-192-CBC", 1, {}},
    {IkeCipher::camellia_256, "camellia-256", "camellia 256", 8, 256, 32, 16, "CAMELLIA-256-CBC", 1, {}},
});

constexpr auto kIkeHashes = std::to_array<IkeHashInfo>({
    {IkeHash::md5, "md5", "Message Digest 5", 1, 16, "MD5", Weak::md5},
    {IkeHash::sha, "sha", "Secure Hash Standard", 2, 20, "SHA1", {}},
    {IkeHash::sha256, "sha256", "Secure Hash Standard 2 (256 bit)", 4, 32, "SHA256", {}},
    {IkeHash::sha384, "sha384", "Secure Hash Standard 2 (384 bit)", 5, 48, "SHA384", {}},
    {IkeHash::sha512, "sha512", "Secure Hash Standard 2 (512 bit)", 6, 64, "SHA512", {}},
});

// RFC 2409 section 6, RFC 3526, RFC 5903, RFC 5114, RFC 8031.
constexpr auto kDhGroups = std::to_array<DhGroupInfo>({
    {DhGroup::modp768, "group1", "768 bit MODP", DhKind::safe_prime, 96, 96, nullptr, Weak::group1},
    {DhGroup::modp1024, "group2", "1024 bit MODP", DhKind::safe_prime, 128, 128, nullptr, Weak::group2},
    {DhGroup::modp1536, "group5", "1536 bit MODP", DhKind::safe_prime, 192, 192, "modp_1536", Weak::group5},
    {DhGroup::modp2048, "group14", "2048 bit MODP", DhKind::safe_prime, 256, 256, "modp_2048", {}},
    {DhGroup::modp3072, "group15", "3072 bit MODP", DhKind::safe_prime, 384, 384, "modp_3072", {}},
    {DhGroup::modp4096, "group16", "4096 bit MODP", DhKind::safe_prime, 512, 512, "modp_4096", {}},
    {DhGroup::modp6144, "group17", "6144 bit MODP", DhKind::safe_prime, 768, 768, "modp_6144", {}},
    {DhGroup::modp8192, "group18", "8192 bit MODP", DhKind::safe_prime, 1024, 1024, "modp_8192", {}},
    {DhGroup::ecp256, "group19", "256 bit ECP", DhKind::curve, 64, 32, "P-256", {}},
    {DhGroup::ecp384, "group20", "384 bit ECP", DhKind::curve, 96, 48, "P-384", {}},
    {DhGroup::ecp521, "group21", "521 bit ECP", DhKind::curve, 132, 66, "P-521", {}},
    {DhGroup::modp1024_160, "group22", "1024 bit MODP, 160 bit subgroup", DhKind::subgroup, 128, 128,
     "dh_1024_160", Weak::group22},
    {DhGroup::modp2048_224, "group23", "2048 bit MODP, 224 bit subgroup", DhKind::subgroup, 256, 256,
     "dh_2048_224", Weak::group23},
    {DhGroup::modp2048_256, "group24", "2048 bit MODP, 256 bit subgroup", DhKind::subgroup, 256, 256,
     "dh_2048_256", Weak::group24},
    {DhGroup::curve25519, "group31", "Curve25519", DhKind::montgomery, 32, 32, "X25519", {}},
});

constexpr auto kAuthMethods = std::to_array<AuthMethodInfo>({
    {AuthMethod::pre_share, "pre-share", "Pre-Shared Key", 1, false, false},
    {AuthMethod::rsa_sig, "rsa-sig", "Rivest-Shamir-Adleman Signature", 3, true, false},
    {AuthMethod::rsa_encr, "rsa-encr", "Rivest-Shamir-Adleman Encryption", 4, false, true},
    {AuthMethod::rsa_encr_rev, "rsa-encr-rev", "Revised Rivest-Shamir-Adleman Encryption", 5, false, true},
    {AuthMethod::ecdsa_sig, "ecdsa-sig", "Elliptic Curve Digital Signature", 9, true, false},
});

// What the ESP ciphers of one family have in common. RFC 2407 section 4.4.4: ESP_DES 2, ESP_3DES 3, ESP_NULL
// 11; ESP_AES-CBC 12 (RFC 3602), ESP_AES-CTR 13 (RFC 3686), ESP_AES-GCM 18, 19, 20 by its ICV (RFC 4106),
// ESP_CAMELLIA 22 (RFC 4312), ESP_NULL_AUTH_AES-GMAC 23 (the registry; 21, in RFC 4543, is IKEv2's).
struct EspFamily {
  EspKind kind;
  std::uint8_t wire;
  std::uint8_t salt_bytes;
  std::uint8_t iv_bytes;
  std::uint8_t block_bytes;
  std::uint8_t icv_bytes;
  const char* kernel;
};
constexpr EspFamily kAes{EspKind::cbc, 12, 0, 16, 16, 0, "cbc(aes)"};
constexpr EspFamily kCamellia{EspKind::cbc, 22, 0, 16, 16, 0, "cbc(camellia)"};
constexpr EspFamily kCtr{EspKind::ctr, 13, 4, 8, 4, 0, "rfc3686(ctr(aes))"};
constexpr EspFamily kGcm16{EspKind::gcm, 20, 4, 8, 4, 16, "rfc4106(gcm(aes))"};
constexpr EspFamily kGcm12{EspKind::gcm, 19, 4, 8, 4, 12, "rfc4106(gcm(aes))"};
constexpr EspFamily kGcm8{EspKind::gcm, 18, 4, 8, 4, 8, "rfc4106(gcm(aes))"};
constexpr EspFamily kGmac{EspKind::gmac, 23, 4, 8, 4, 16, "rfc4543(gcm(aes))"};

// A cipher whose key length is negotiated.
constexpr EspCipherInfo keyed(EspCipher id, const EspFamily& family, std::uint16_t bits,
                              std::string_view name, std::string_view ios_name, const char* openssl) {
  return {id,
          name,
          ios_name,
          family.kind,
          family.wire,
          bits,
          static_cast<std::uint16_t>(bits / 8),
          family.salt_bytes,
          family.iv_bytes,
          family.block_bytes,
          family.icv_bytes,
          family.kernel,
          openssl,
          1,
          {}};
}

constexpr auto kEspCiphers = std::to_array<EspCipherInfo>({
    {EspCipher::null,
     "esp-null",
     "esp-null",
     EspKind::null,
     11,
     0,
     0,
     0,
     0,
     4,
     0,
     "ecb(cipher_null)",
     nullptr,
     0,
     {}},
    {EspCipher::des, "esp-des", "esp-des", EspKind::cbc, 2, 0, 8, 0, 8, 8, 0, "cbc(des)", "DES-EDE3-CBC", 3,
     Weak::des},
    {EspCipher::des3, "esp-3des", "esp-3des", EspKind::cbc, 3, 0, 24, 0, 8, 8, 0, "cbc(des3_ede)",
     "DES-EDE3-CBC", 1, Weak::des3},
    keyed(EspCipher::aes_128, kAes, 128, "esp-aes-128", "esp-aes", "AES-128-CBC"),
    keyed(EspCipher::aes_192, kAes, 192, "esp-aes-192", "esp-aes 192", "AES-192-CBC"),
    keyed(EspCipher::aes_256, kAes, 256, "esp-aes-256", "esp-aes 256", "AES-256-CBC"),
    keyed(EspCipher::camellia_128, kCamellia, 128, "esp-camellia-128", "esp-camellia", "CAMELLIA-128-CBC"),
    keyed(EspCipher::camellia_192, kCamellia, 192, "esp-camellia-192", "esp-camellia 192",
          "CAMELLIA-192-CBC"),
    keyed(EspCipher::camellia_256, kCamellia, 256, "esp-camellia-256", "esp-camellia 256",
          "CAMELLIA-256-CBC"),
    keyed(EspCipher::ctr_128, kCtr, 128, "esp-ctr-128", "esp-ctr", "AES-128-CTR"),
    keyed(EspCipher::ctr_192, kCtr, 192, "esp-ctr-192", "esp-ctr 192", "AES-192-CTR"),
    keyed(EspCipher::ctr_256, kCtr, 256, "esp-ctr-256", "esp-ctr 256", "AES-256-CTR"),
    keyed(EspCipher::gcm_128, kGcm16, 128, "esp-gcm-128", "esp-gcm", "AES-128-GCM"),
    keyed(EspCipher::gcm_192, kGcm16, 192, "esp-gcm-192", "esp-gcm 192", "AES-192-GCM"),
    keyed(EspCipher::gcm_256, kGcm16, 256, "esp-gcm-256", "esp-gcm 256", "AES-256-GCM"),
    keyed(EspCipher::gcm12_128, kGcm12, 128, "esp-gcm12-128", "esp-gcm12", "AES-128-GCM"),
    keyed(EspCipher::gcm12_192, kGcm12, 192, "esp-gcm12-192", "esp-gcm12 192", "AES-192-GCM"),
    keyed(EspCipher::gcm12_256, kGcm12, 256, "esp-gcm12-256", "esp-gcm12 256", "AES-256-GCM"),
    keyed(EspCipher::gcm8_128, kGcm8, 128, "esp-gcm8-128", "esp-gcm8", "AES-128-GCM"),
    keyed(EspCipher::gcm8_192, kGcm8, 192, "esp-gcm8-192", "esp-gcm8 192", "AES-192-GCM"),
    keyed(EspCipher::gcm8_256, kGcm8, 256, "esp-gcm8-256", "esp-gcm8 256", "AES-256-GCM"),
    keyed(EspCipher::gmac_128, kGmac, 128, "esp-gmac-128", "esp-gmac", "AES-128-GCM"),
    keyed(EspCipher::gmac_192, kGmac, 192, "esp-gmac-192", "esp-gmac 192", "AES-192-GCM"),
    keyed(EspCipher::gmac_256, kGmac, 256, "esp-gmac-256", "esp-gmac 256", "AES-256-GCM"),
});

// RFC 2407 section 4.5 and 4.4.3; SHA2 numbers and truncations: RFC 4868 section 4; XCBC: RFC 3566. Some IOS
// releases cut SHA2-256 at 96 bits, under the same number.
constexpr auto kIntegrities = std::to_array<IntegrityInfo>({
    {Integrity::md5, "md5-hmac", MacKind::hmac, 1, 2, 16, 12, "hmac(md5)", "MD5", Weak::md5, true},
    {Integrity::sha, "sha-hmac", MacKind::hmac, 2, 3, 20, 12, "hmac(sha1)", "SHA1", {}, true},
    {Integrity::sha256, "sha256-hmac", MacKind::hmac, 5, 5, 32, 16, "hmac(sha256)", "SHA256", {}, true},
    {Integrity::sha256_96,
     "sha256-hmac-96",
     MacKind::hmac,
     5,
     5,
     32,
     12,
     "hmac(sha256)",
     "SHA256",
     {},
     false},
    {Integrity::sha384, "sha384-hmac", MacKind::hmac, 6, 6, 48, 24, "hmac(sha384)", "SHA384", {}, true},
    {Integrity::sha512, "sha512-hmac", MacKind::hmac, 7, 7, 64, 32, "hmac(sha512)", "SHA512", {}, true},
    {Integrity::aes_xcbc, "aes-xcbc", MacKind::xcbc, 9, 9, 16, 12, "xcbc(aes)", "AES-128-CBC", {}, true},
});

// LZS is patented history that no kernel has; IOS offers it as `comp-lzs`.
constexpr auto kCompressions = std::to_array<CompressionInfo>(
    {{Compression::deflate, "comp-deflate", 2, "deflate"}, {Compression::lzs, "comp-lzs", 3, nullptr}});

// Rows stand in the order of their enumerators (checked by the unit tests), so a lookup is an index.
template <typename Table, typename Id>
constexpr const auto& row(const Table& table, Id id) {
  return table[static_cast<std::size_t>(id)];
}

template <typename Table, typename Predicate>
auto find_id(const Table& table, Predicate matches) -> std::optional<decltype(table[0].id)> {
  const auto found = std::find_if(table.begin(), table.end(), matches);
  if (found == table.end()) return std::nullopt;
  return found->id;
}

// Whether a Key Length attribute (0: absent) names this row's length.
constexpr std::uint16_t kUnsaidKeyBits = 128;
template <typename Row>
bool says_key(const Row& row, std::uint16_t key_bits) {
  return row.wire_key_bits == key_bits || (key_bits == 0 && row.wire_key_bits == kUnsaidKeyBits);
}

}  // namespace

std::string_view weak_word(Weak weak) {
  return kWeakWords[static_cast<std::size_t>(weak)];
}
std::span<const std::string_view> weak_words() {
  return kWeakWords;
}
std::optional<Weak> find_weak(std::string_view word) {
  const auto found = std::find(kWeakWords.begin(), kWeakWords.end(), word);
  if (found == kWeakWords.end()) return std::nullopt;
  return static_cast<Weak>(found - kWeakWords.begin());
}

std::optional<Weak> weak_rsa(int modulus_bits) {
  if (modulus_bits < 1024) return Weak::rsa_512;
  if (modulus_bits < 2048) return Weak::rsa_1024;
  return std::nullopt;
}

std::span<const IkeCipherInfo> ike_ciphers() {
  return kIkeCiphers;
}
std::span<const IkeHashInfo> ike_hashes() {
  return kIkeHashes;
}
std::span<const DhGroupInfo> dh_groups() {
  return kDhGroups;
}
std::span<const AuthMethodInfo> auth_methods() {
  return kAuthMethods;
}
std::span<const EspCipherInfo> esp_ciphers() {
  return kEspCiphers;
}
std::span<const IntegrityInfo> integrities() {
  return kIntegrities;
}

std::span<const CompressionInfo> compressions() {
  return kCompressions;
}

const IkeCipherInfo& info(IkeCipher id) {
  return row(kIkeCiphers, id);
}
const IkeHashInfo& info(IkeHash id) {
  return row(kIkeHashes, id);
}
const DhGroupInfo& info(DhGroup id) {
  return *std::find_if(kDhGroups.begin(), kDhGroups.end(),
                       [id](const auto& group) { return group.id == id; });
}
const AuthMethodInfo& info(AuthMethod id) {
  return row(kAuthMethods, id);
}
const EspCipherInfo& info(EspCipher id) {
  return row(kEspCiphers, id);
}
const IntegrityInfo& info(Integrity id) {
  return row(kIntegrities, id);
}
const CompressionInfo& info(Compression id) {
  return row(kCompressions, id);
}

std::optional<IkeCipher> find_ike_cipher(std::string_view name) {
  return find_id(kIkeCiphers, [name](const auto& r) { return r.name == name || r.ios_name == name; });
}
std::optional<IkeHash> find_ike_hash(std::string_view name) {
  return find_id(kIkeHashes, [name](const auto& r) { return r.name == name; });
}
std::optional<AuthMethod> find_auth_method(std::string_view name) {
  return find_id(kAuthMethods, [name](const auto& r) { return r.name == name; });
}
std::uint16_t wire_number(AuthMethod method, IkeHash hash) {
  if (method != AuthMethod::ecdsa_sig) return info(method).wire;
  switch (hash) {
    case IkeHash::sha256:
      return 9;
    case IkeHash::sha384:
      return 10;
    case IkeHash::sha512:
      return 11;
    default:
      return 0;
  }
}
std::optional<AuthMethod> find_auth_method(std::uint16_t wire) {
  if (wire >= 9 && wire <= 11) return AuthMethod::ecdsa_sig;
  return find_id(kAuthMethods, [=](const auto& r) { return r.wire == wire; });
}
std::optional<IkeCipher> find_ike_cipher(std::uint16_t wire, std::uint16_t key_bits) {
  return find_id(kIkeCiphers, [=](const auto& r) { return r.wire == wire && says_key(r, key_bits); });
}
std::optional<IkeHash> find_ike_hash(std::uint16_t wire) {
  return find_id(kIkeHashes, [=](const auto& r) { return r.wire == wire; });
}
std::optional<DhGroup> find_dh_group(std::uint32_t number) {
  return find_id(kDhGroups, [=](const auto& r) { return static_cast<std::uint32_t>(r.id) == number; });
}

std::optional<EspCipher> find_esp_cipher(std::string_view name) {
  return find_id(kEspCiphers, [name](const auto& r) { return r.name == name || r.ios_name == name; });
}
std::optional<EspCipher> find_esp_cipher(std::uint8_t wire, std::uint16_t key_bits) {
  return find_id(kEspCiphers, [=](const auto& r) { return r.wire == wire && says_key(r, key_bits); });
}
std::optional<Integrity> find_integrity(std::string_view name) {
  return find_id(kIntegrities, [name](const auto& r) { return r.configurable && r.name == name; });
}
std::optional<Integrity> find_integrity(std::uint16_t wire) {
  return find_id(kIntegrities, [=](const auto& r) { return r.configurable && r.wire == wire; });
}
std::optional<Compression> find_compression(std::string_view name) {
  return find_id(kCompressions, [name](const auto& r) { return r.kernel != nullptr && r.name == name; });
}
std::optional<Compression> find_compression(std::uint8_t wire) {
  return find_id(kCompressions, [=](const auto& r) { return r.wire == wire; });
}

}  // namespace oakgate
