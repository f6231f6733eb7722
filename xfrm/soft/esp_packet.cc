#include "xfrm/soft/esp_packet.h"

#include <algorithm>
#include <array>
#include <string>

namespace oakgate::soft {

namespace {

using Cipher = std::variant<CbcCipher, GcmCipher>;

// What sealer and opener have in common: the parts that keys become.
struct Parts {
  SecretBytes salt;
  Cipher cipher;
  std::optional<HmacTag> integrity;
};

Result<Parts> make_parts(EspCipher id, std::optional<Integrity> integrity, const SecretBytes& encryption_key,
                         const SecretBytes& integrity_key, CryptDirection direction) {
  const EspCipherInfo& cipher = info(id);
  if (cipher.aead() == integrity.has_value()) {
    return fail(ErrorCode::unsupported, std::string(cipher.name) + " with a wrong choice of integrity",
                cipher.aead() ? "no integrity algorithm beside an AEAD" : "an integrity algorithm");
  }
  if (encryption_key.size() != std::size_t{cipher.key_bytes} + cipher.salt_bytes) {
    return fail(ErrorCode::unsupported, std::string(cipher.name) + ": the encryption key has a wrong length",
                std::to_string(cipher.key_bytes + cipher.salt_bytes) + " bytes");
  }
  const ByteView key = encryption_key.view().first(cipher.key_bytes);
  if (cipher.aead()) {
    auto gcm = GcmCipher::create(cipher.openssl, key, direction);
    if (!gcm) return fail(std::move(gcm.error()));
    return Parts{encryption_key.slice(cipher.key_bytes, cipher.salt_bytes), std::move(*gcm), std::nullopt};
  }
  const IntegrityInfo& hmac = info(*integrity);
  if (integrity_key.size() != hmac.key_bytes) {
    return fail(ErrorCode::unsupported, std::string(hmac.name) + ": the integrity key has a wrong length",
                std::to_string(hmac.key_bytes) + " bytes");
  }
  auto cbc = CbcCipher::create(cipher.openssl, key, direction);
  if (!cbc) return fail(std::move(cbc.error()));
  auto tag = HmacTag::create(hmac.openssl, integrity_key.view());
  if (!tag) return fail(std::move(tag.error()));
  return Parts{SecretBytes(), std::move(*cbc), std::move(*tag)};
}

// RFC 4106 section 4: the salt, then the packet's IV.
std::array<std::uint8_t, GcmCipher::kNonceBytes> gcm_nonce(const SecretBytes& salt, ByteView iv) {
  std::array<std::uint8_t, GcmCipher::kNonceBytes> nonce{};
  std::copy(salt.view().begin(), salt.view().end(), nonce.begin());
  std::copy(iv.begin(), iv.end(), nonce.begin() + static_cast<std::ptrdiff_t>(salt.size()));
  return nonce;
}

void put_u32(std::span<std::uint8_t> out, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

}  // namespace

std::optional<EspHeader> read_esp_header(ByteView packet) {
  ByteReader reader(packet);
  EspHeader header;
  if (!reader.u32(header.spi.value) || !reader.u32(header.sequence)) return std::nullopt;
  return header;
}

EspLayout EspLayout::of(EspCipher cipher, std::optional<Integrity> integrity) {
  const EspCipherInfo& row = info(cipher);
  EspLayout layout;
  layout.iv = row.iv_bytes;
  layout.alignment = std::max<std::size_t>(row.block_bytes, 4);
  layout.icv = integrity ? info(*integrity).icv_bytes : row.icv_bytes;
  return layout;
}

std::size_t EspLayout::max_inner(std::size_t budget) const {
  if (budget < prefix() + icv + alignment) return 0;
  return (budget - prefix() - icv) / alignment * alignment - 2;
}

std::optional<EspTrailer> read_trailer(ByteView plaintext) {
  if (plaintext.size() < 2) return std::nullopt;
  const std::size_t padding = plaintext[plaintext.size() - 2];
  if (padding + 2 > plaintext.size()) return std::nullopt;
  const std::size_t inner = plaintext.size() - 2 - padding;
  for (std::size_t i = 0; i < padding; ++i) {
    if (plaintext[inner + i] != static_cast<std::uint8_t>(i + 1)) return std::nullopt;
  }
  return EspTrailer{inner, plaintext.back()};
}

void write_trailer(std::span<std::uint8_t> plaintext, std::size_t inner_size, std::uint8_t next_header) {
  const std::size_t padding = plaintext.size() - 2 - inner_size;
  for (std::size_t i = 0; i < padding; ++i) plaintext[inner_size + i] = static_cast<std::uint8_t>(i + 1);
  plaintext[plaintext.size() - 2] = static_cast<std::uint8_t>(padding);
  plaintext.back() = next_header;
}

Result<EspSealer> EspSealer::create(EspCipher cipher, std::optional<Integrity> integrity,
                                    const SecretBytes& encryption_key, const SecretBytes& integrity_key) {
  auto parts = make_parts(cipher, integrity, encryption_key, integrity_key, CryptDirection::encrypt);
  if (!parts) return fail(std::move(parts.error()));
  return EspSealer(EspLayout::of(cipher, integrity), std::move(parts->salt), std::move(parts->cipher),
                   std::move(parts->integrity));
}

bool EspSealer::seal(std::span<std::uint8_t> packet, EspHeader header, ByteView iv, std::size_t inner_size,
                     std::uint8_t next_header) {
  if (packet.size() != layout_.sealed_size(inner_size) || iv.size() != layout_.iv) return false;
  put_u32(packet.first(4), header.spi.value);
  put_u32(packet.subspan(4, 4), header.sequence);
  std::copy(iv.begin(), iv.end(), packet.begin() + kEspHeader);
  const std::span<std::uint8_t> tag = packet.last(layout_.icv);
  const std::span<std::uint8_t> covered = packet.first(packet.size() - layout_.icv);
  const std::span<std::uint8_t> payload = covered.subspan(layout_.prefix());
  write_trailer(payload, inner_size, next_header);
  if (auto* gcm = std::get_if<GcmCipher>(&cipher_)) {
    // RFC 4106 section 5: the AAD is SPI and sequence number.
    return gcm->seal(gcm_nonce(salt_, iv), packet.first(kEspHeader), payload, tag);
  }
  // RFC 4303 section 3.3.2.1: encrypt first, then the ICV over everything before it.
  return std::get<CbcCipher>(cipher_).run(iv, payload) && integrity_->compute(covered, tag);
}

Result<EspOpener> EspOpener::create(EspCipher cipher, std::optional<Integrity> integrity,
                                    const SecretBytes& encryption_key, const SecretBytes& integrity_key) {
  auto parts = make_parts(cipher, integrity, encryption_key, integrity_key, CryptDirection::decrypt);
  if (!parts) return fail(std::move(parts.error()));
  return EspOpener(EspLayout::of(cipher, integrity), std::move(parts->salt), std::move(parts->cipher),
                   std::move(parts->integrity));
}

Opened EspOpener::open(std::span<std::uint8_t> packet) {
  if (packet.size() < layout_.prefix() + layout_.alignment + layout_.icv) return {};
  const ByteView tag = packet.last(layout_.icv);
  const std::span<std::uint8_t> covered = packet.first(packet.size() - layout_.icv);
  const ByteView iv = covered.subspan(kEspHeader, layout_.iv);
  const std::span<std::uint8_t> payload = covered.subspan(layout_.prefix());
  if (payload.size() % layout_.alignment != 0) return {};
  if (auto* gcm = std::get_if<GcmCipher>(&cipher_)) {
    if (!gcm->open(gcm_nonce(salt_, iv), packet.first(kEspHeader), payload, tag)) {
      return {OpenVerdict::not_authentic, {}, 0};
    }
  } else {
    std::array<std::uint8_t, HmacTag::kMaxTagBytes> computed{};
    const std::span<std::uint8_t> expected(computed.data(), layout_.icv);
    if (!integrity_->compute(covered, expected) || !equal_constant_time(expected, tag)) {
      return {OpenVerdict::not_authentic, {}, 0};
    }
    if (!std::get<CbcCipher>(cipher_).run(iv, payload)) return {};
  }
  const auto trailer = read_trailer(payload);
  if (!trailer) return {OpenVerdict::bad_padding, {}, 0};
  return {OpenVerdict::ok, payload.first(trailer->inner_size), trailer->next_header};
}

}  // namespace oakgate::soft
