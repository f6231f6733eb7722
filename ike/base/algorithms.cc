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

// RFC 2409 Appendix A; AES is value 7 (RFC 3602 section 5.1).
constexpr auto kIkeCiphers = std::to_array<IkeCipherInfo>({
    {IkeCipher::des3, "3des", "3des", 5, 0, 24, 8, "DES-EDE3-CBC", Weak::des3},
    {IkeCipher::aes_128, "aes-128", "aes", 7, 128, 16, 16, "AES-128-CBC", {}},
    {IkeCipher::aes_192, "aes-192", "aes 192", 7, 192, 24, 16, "AES-192-CBC", {}},
    {IkeCipher::aes_256, "aes-256", "aes 256", 7, 256, 32, 16, "AES-256-CBC", {}},
});

constexpr auto kIkeHashes = std::to_array<IkeHashInfo>({
    {IkeHash::sha, "sha", "Secure Hash Standard", 2, 20, "SHA1", {}},
    {IkeHash::sha256, "sha256", "Secure Hash Standard 2 (256 bit)", 4, 32, "SHA256", {}},
    {IkeHash::sha384, "sha384", "Secure Hash Standard 2 (384 bit)", 5, 48, "SHA384", {}},
    {IkeHash::sha512, "sha512", "Secure Hash Standard 2 (512 bit)", 6, 64, "SHA512", {}},
});

// RFC 2409 section 6, RFC 3526, RFC 5903.
constexpr auto kDhGroups = std::to_array<DhGroupInfo>({
    {DhGroup::modp1024, "group2", "1024 bit MODP", false, 128, 128, "modp_1024", Weak::group2},
    {DhGroup::modp1536, "group5", "1536 bit MODP", false, 192, 192, "modp_1536", Weak::group5},
    {DhGroup::modp2048, "group14", "2048 bit MODP", false, 256, 256, "modp_2048", {}},
    {DhGroup::modp3072, "group15", "3072 bit MODP", false, 384, 384, "modp_3072", {}},
    {DhGroup::modp4096, "group16", "4096 bit MODP", false, 512, 512, "modp_4096", {}},
    {DhGroup::ecp256, "group19", "256 bit ECP", true, 64, 32, "P-256", {}},
    {DhGroup::ecp384, "group20", "384 bit ECP", true, 96, 48, "P-384", {}},
    {DhGroup::ecp521, "group21", "521 bit ECP", true, 132, 66, "P-521", {}},
});

constexpr auto kAuthMethods = std::to_array<AuthMethodInfo>({
    {AuthMethod::pre_share, "pre-share", "Pre-Shared Key", 1, false, false},
    {AuthMethod::rsa_sig, "rsa-sig", "Rivest-Shamir-Adleman Signature", 3, true, false},
    {AuthMethod::rsa_encr, "rsa-encr", "Rivest-Shamir-Adleman Encryption", 4, false, true},
    {AuthMethod::rsa_encr_rev, "rsa-encr-rev", "Revised Rivest-Shamir-Adleman Encryption", 5, false, true},
    {AuthMethod::ecdsa_sig, "ecdsa-sig", "Elliptic Curve Digital Signature", 9, true, false},
});

// RFC 2407 section 4.4.4: ESP_3DES 3, ESP_AES 12; ESP_AES-GCM with a 16-octet ICV 20 (RFC 4106 section 8).
constexpr auto kEspCiphers = std::to_array<EspCipherInfo>({
    {EspCipher::des3, "esp-3des", "esp-3des", 3, 0, 24, 0, 8, 8, 0, "cbc(des3_ede)", "DES-EDE3-CBC",
     Weak::des3},
    {EspCipher::aes_128, "esp-aes-128", "esp-aes", 12, 128, 16, 0, 16, 16, 0, "cbc(aes)", "AES-128-CBC", {}},
    {EspCipher::aes_192,
     "esp-aes-192",
     "esp-aes 192",
     12,
     192,
     24,
     0,
     16,
     16,
     0,
     "cbc(aes)",
     "AES-192-CBC",
     {}},
    {EspCipher::aes_256,
     "esp-aes-256",
     "esp-aes 256",
     12,
     256,
     32,
     0,
     16,
     16,
     0,
     "cbc(aes)",
     "AES-256-CBC",
     {}},
    {EspCipher::gcm_128,
     "esp-gcm-128",
     "esp-gcm",
     20,
     128,
     16,
     4,
     8,
     4,
     16,
     "rfc4106(gcm(aes))",
     "AES-128-GCM",
     {}},
    {EspCipher::gcm_192,
     "esp-gcm-192",
     "esp-gcm 192",
     20,
     192,
     24,
     4,
     8,
     4,
     16,
     "rfc4106(gcm(aes))",
     "AES-192-GCM",
     {}},
    {EspCipher::gcm_256,
     "esp-gcm-256",
     "esp-gcm 256",
     20,
     256,
     32,
     4,
     8,
     4,
     16,
     "rfc4106(gcm(aes))",
     "AES-256-GCM",
     {}},
});

// RFC 2407 section 4.5; SHA2 numbers and truncations: RFC 4868 section 4.
constexpr auto kIntegrities = std::to_array<IntegrityInfo>({
    {Integrity::sha, "sha-hmac", 2, 20, 12, "hmac(sha1)", "SHA1", {}},
    {Integrity::sha256, "sha256-hmac", 5, 32, 16, "hmac(sha256)", "SHA256", {}},
    {Integrity::sha384, "sha384-hmac", 6, 48, 24, "hmac(sha384)", "SHA384", {}},
    {Integrity::sha512, "sha512-hmac", 7, 64, 32, "hmac(sha512)", "SHA512", {}},
});

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
  return find_id(kIkeCiphers, [=](const auto& r) { return r.wire == wire && r.wire_key_bits == key_bits; });
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
  return find_id(kEspCiphers, [=](const auto& r) { return r.wire == wire && r.wire_key_bits == key_bits; });
}
std::optional<Integrity> find_integrity(std::string_view name) {
  return find_id(kIntegrities, [name](const auto& r) { return r.name == name; });
}
std::optional<Integrity> find_integrity(std::uint16_t wire) {
  return find_id(kIntegrities, [=](const auto& r) { return r.wire == wire; });
}

}  // namespace oakgate
