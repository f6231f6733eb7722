#include "xfrm/soft/esp_packet.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>
#include "xfrm/soft/packet_batch.h"

namespace oakgate::soft {

namespace {

template <typename T>
Result<std::unique_ptr<T>> on_heap(Result<T> made) {
  if (!made) return fail(std::move(made.error()));
  return std::make_unique<T>(std::move(*made));
}

Result<EspCipherContext> make_cipher(const EspCipherInfo& cipher, ByteView key, CryptDirection direction,
                                     std::optional<CryptoBackend> backend) {
  const auto hand = [](auto made) -> Result<EspCipherContext> {
    if (!made) return fail(std::move(made.error()));
    return EspCipherContext(std::move(*made));
  };
  switch (cipher.kind) {
    case EspKind::null:
      return EspCipherContext(NullCipher{});
    case EspKind::cbc:
    case EspKind::ctr:
      return hand(on_heap(BlockCipher::create(cipher, key, direction, backend)));
    case EspKind::gcm:
    case EspKind::gmac:
      return hand(GcmCipher::create(cipher.openssl, key, direction,
                                    backend ? *backend : crypto_backend(CryptoAlgorithm::gcm)));
  }
  return fail(ErrorCode::unsupported, std::string(cipher.name));
}

Result<EspKeys> make_keys(EspCipher id, std::optional<Integrity> integrity, const SecretBytes& encryption_key,
                          const SecretBytes& integrity_key, CryptDirection direction, Covered covered,
                          std::optional<CryptoBackend> backend) {
  const EspCipherInfo& row = info(id);
  const bool bare = !row.aead() && !integrity && covered == Covered::by_ah;
  if (!bare && row.aead() == integrity.has_value()) {
    return fail(ErrorCode::unsupported, std::string(row.name) + " with a wrong choice of integrity",
                row.aead() ? "no integrity algorithm beside an AEAD" : "an integrity algorithm");
  }
  if (encryption_key.size() != std::size_t{row.key_bytes} + row.salt_bytes) {
    return fail(ErrorCode::unsupported, std::string(row.name) + ": the encryption key has a wrong length",
                std::to_string(row.key_bytes + row.salt_bytes) + " bytes");
  }
  auto cipher = make_cipher(row, encryption_key.view().first(row.key_bytes), direction, backend);
  if (!cipher) return fail(std::move(cipher.error()));
  EspKeys keys;
  keys.kind = row.kind;
  keys.salt_bytes = row.salt_bytes;
  const ByteView salt = encryption_key.view().subspan(row.key_bytes, row.salt_bytes);
  std::copy(salt.begin(), salt.end(), keys.salt.begin());
  keys.cipher = std::move(*cipher);
  if (integrity) {
    auto tag = on_heap(IntegrityTag::create(*integrity, integrity_key, backend));
    if (!tag) return fail(std::move(tag.error()));
    keys.integrity = std::move(*tag);
  }
  return keys;
}

// How an AEAD divides a packet without its ICV. RFC 4106 section 5: the AAD is SPI and sequence number; RFC
// 4543 section 3.5: "the AAD consists of the SPI, Sequence Number, and ESP Payload" (the IV with it, figure
// 4), and the plaintext is empty.
struct AeadParts {
  ByteView aad;
  std::span<std::uint8_t> data;
};
AeadParts divide(const EspKeys& keys, const EspParts& parts, std::uint64_t sequence) {
  const bool gmac = keys.kind == EspKind::gmac;
  const std::span<std::uint8_t> data = gmac ? std::span<std::uint8_t>() : parts.payload;
  const ByteView aad = gmac ? parts.covered : parts.covered.first(kEspHeader);
  if (keys.numbers == SequenceNumbers::bits_32) return {aad, data};
  // RFC 4106 section 5, figure 4, and RFC 4543 figure 3: SPI, then the whole sequence number, its high half
  // first.
  thread_local std::array<std::uint8_t, PacketBatch::kMaxPacket + PacketBatch::kHeadroom> whole;
  const auto unsent = unsent_half(sequence);
  std::copy_n(aad.begin(), 4, whole.begin());
  std::copy(unsent.begin(), unsent.end(), whole.begin() + 4);
  std::copy(aad.begin() + 4, aad.end(), whole.begin() + 8);
  return {ByteView(whole.data(), aad.size() + kUnsentBytes), data};
}

// In network order. One store each: what is read back as a whole soon.
void put_u64(std::uint8_t* out, std::uint64_t value) {
  if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap64(value);
  std::memcpy(out, &value, sizeof value);
}

}  // namespace

std::optional<EspHeader> read_esp_header(ByteView packet) {
  ByteReader reader(packet);
  EspHeader header;
  std::uint32_t sequence = 0;
  if (!reader.u32(header.spi.value) || !reader.u32(sequence)) return std::nullopt;
  header.sequence = sequence;
  return header;
}

EspLayout EspLayout::of(EspCipher cipher, std::optional<Integrity> integrity) {
  const EspCipherInfo& row = info(cipher);
  EspLayout layout;
  layout.iv = row.iv_bytes;
  layout.alignment = std::max<std::uint8_t>(row.block_bytes, 4);
  layout.icv = integrity ? info(*integrity).icv_bytes : row.icv_bytes;
  return layout;
}

std::size_t EspLayout::max_inner(std::size_t budget) const {
  if (budget < prefix() + icv + alignment) return 0;
  return (budget - prefix() - icv) / alignment * alignment - 2;
}

void EspKeys::write_nonce(ByteView iv, EspNonce& out) const {
  out = salt;
  const std::span<std::uint8_t> rest = std::span(out).subspan(salt_bytes);
  if (iv.size() == 8 && rest.size() == 8) {  // all that there are: of a size that the compiler knows
    std::copy_n(iv.begin(), 8, rest.begin());
  } else {
    std::copy_n(iv.begin(), std::min(iv.size(), rest.size()), rest.begin());
  }
}

bool EspKeys::seal_aead(const EspLayout& layout, std::span<std::uint8_t> packet, const EspNonce& nonce,
                        std::uint64_t sequence) {
  const EspParts parts = parts_of(layout, packet);
  auto* const gcm = std::get_if<GcmCipher>(&cipher);
  if (gcm == nullptr || parts.covered.size() > PacketBatch::kMaxPacket) return false;
  if (kind == EspKind::gcm && numbers == SequenceNumbers::bits_32) [[likely]] {
    return gcm->seal(nonce, parts.covered.first(kEspHeader), parts.payload, parts.tag);
  }
  const AeadParts divided = divide(*this, parts, sequence);
  return gcm->seal(nonce, divided.aad, divided.data, parts.tag);
}

bool EspKeys::open_aead(const EspParts& parts, std::uint64_t sequence) {
  if (parts.covered.size() > PacketBatch::kMaxPacket) return false;
  const AeadParts divided = divide(*this, parts, sequence);
  EspNonce nonce;
  write_nonce(parts.iv, nonce);
  return std::get<GcmCipher>(cipher).open(nonce, divided.aad, divided.data, parts.tag);
}

ByteView EspKeys::authenticated(const EspParts& parts, std::uint64_t sequence) const {
  if (numbers == SequenceNumbers::bits_32 || parts.tag.size() < kUnsentBytes) return parts.covered;
  const auto unsent = unsent_half(sequence);
  std::copy(unsent.begin(), unsent.end(), parts.tag.begin());
  return {parts.covered.data(), parts.covered.size() + kUnsentBytes};
}

bool EspKeys::crypt(const EspParts& parts) {
  auto* const held = std::get_if<std::unique_ptr<BlockCipher>>(&cipher);
  if (held == nullptr) return std::holds_alternative<NullCipher>(cipher);
  BlockCipher* const block = held->get();
  if (kind != EspKind::ctr) return block->run(parts.iv, parts.payload);
  EspNonce nonce;
  write_nonce(parts.iv, nonce);
  return block->run(nonce, parts.payload);
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
                                    const SecretBytes& encryption_key, const SecretBytes& integrity_key,
                                    Covered covered, std::optional<CryptoBackend> backend) {
  auto keys =
      make_keys(cipher, integrity, encryption_key, integrity_key, CryptDirection::encrypt, covered, backend);
  if (!keys) return fail(std::move(keys.error()));
  return EspSealer(EspLayout::of(cipher, integrity), std::move(*keys));
}

bool EspSealer::frame(std::span<std::uint8_t> packet, EspHeader header, std::size_t inner_size,
                      std::uint8_t next_header) const {
  if (packet.size() != layout_.sealed_size(inner_size)) return false;
  put_u64(packet.data(), std::uint64_t{header.spi.value} << 32 | static_cast<std::uint32_t>(header.sequence));
  if (iv_is_counter() && layout_.iv == kCounterIv) put_u64(packet.data() + kEspHeader, header.sequence);
  write_trailer(parts_of(layout_, packet).payload, inner_size, next_header);
  return true;
}

bool EspSealer::seal(std::span<std::uint8_t> packet, EspHeader header, ByteView iv, std::size_t inner_size,
                     std::uint8_t next_header) {
  if (iv.size() != layout_.iv || !frame(packet, header, inner_size, next_header)) return false;
  std::copy(iv.begin(), iv.end(), packet.begin() + kEspHeader);
  const EspParts parts = parts_of(layout_, packet);
  if (keys_.aead()) {
    EspNonce nonce;
    keys_.write_nonce(iv, nonce);
    return keys_.seal_aead(layout_, packet, nonce, header.sequence);
  }
  // RFC 4303 section 3.3.2.1: encrypt first, then the ICV over everything before it.
  if (!keys_.crypt(parts)) return false;
  if (!keys_.integrity) return true;
  std::array<std::uint8_t, kMaxIcv> computed{};
  const std::span<std::uint8_t> tag(computed.data(), layout_.icv);
  if (!keys_.integrity->compute(keys_.authenticated(parts, header.sequence), tag)) return false;
  std::copy(tag.begin(), tag.end(), parts.tag.begin());
  return true;
}

Result<EspOpener> EspOpener::create(EspCipher cipher, std::optional<Integrity> integrity,
                                    const SecretBytes& encryption_key, const SecretBytes& integrity_key,
                                    Covered covered, std::optional<CryptoBackend> backend) {
  auto keys =
      make_keys(cipher, integrity, encryption_key, integrity_key, CryptDirection::decrypt, covered, backend);
  if (!keys) return fail(std::move(keys.error()));
  return EspOpener(EspLayout::of(cipher, integrity), std::move(*keys));
}

bool EspOpener::could_be(ByteView packet) const {
  const std::size_t frame = layout_.prefix() + layout_.icv;
  return packet.size() >= frame + layout_.alignment && (packet.size() - frame) % layout_.alignment == 0;
}

Opened EspOpener::open(std::span<std::uint8_t> packet, std::uint64_t sequence) {
  if (!could_be(packet)) return {};
  const EspParts parts = parts_of(layout_, packet);
  if (keys_.aead()) {
    if (!keys_.open_aead(parts, sequence)) return {OpenVerdict::not_authentic, {}, 0};
    return unpack(parts.payload);
  }
  std::array<std::uint8_t, kMaxIcv> computed{};
  const std::span<std::uint8_t> expected(computed.data(), layout_.icv);
  std::array<std::uint8_t, kMaxIcv> as_it_came{};
  std::copy(parts.tag.begin(), parts.tag.end(), as_it_came.begin());
  const ByteView received(as_it_came.data(), layout_.icv);
  // Without an algorithm of its own it came out of AH, which has verified all of it.
  if (keys_.integrity && (!keys_.integrity->compute(keys_.authenticated(parts, sequence), expected) ||
                          !equal_constant_time(expected, received))) {
    return {OpenVerdict::not_authentic, {}, 0};
  }
  if (!keys_.crypt(parts)) return {};
  return unpack(parts.payload);
}

Opened EspOpener::unpack(std::span<std::uint8_t> payload) {
  const auto trailer = read_trailer(payload);
  if (!trailer) return {OpenVerdict::bad_padding, {}, 0};
  return {OpenVerdict::ok, payload.first(trailer->inner_size), trailer->next_header};
}

}  // namespace oakgate::soft
