// Seals and opens one SA's ESP packets in place: RFC 4303 section 2, by any algorithms of
// ike/base/algorithms.h. Pure: no sequence state, no window, no selectors, no sockets.
//
//   | SPI 4 | sequence 4 | IV | inner packet ... | padding 1,2,3.. | pad length 1 | next header 1 | ICV |
//
// Integers of the packet are in network order, those of the functions in host order. Keys are secret and stay
// inside.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>

#include "ike/base/algorithms.h"
#include "ike/base/secret.h"
#include "ike/base/types.h"
#include "xfrm/soft/esp_crypto.h"
#include "xfrm/soft/gcm_cipher.h"
#include "xfrm/soft/sequence_numbers.h"

namespace oakgate::soft {

inline constexpr std::size_t kEspHeader = 8;
inline constexpr std::size_t kMaxIv = 16;
inline constexpr std::size_t kCounterIv = 8;  // of all whose IV is a counter

// What AES-GCM does not need lies elsewhere: an SA has few cache lines.
using EspCipherContext = std::variant<NullCipher, GcmCipher, std::unique_ptr<BlockCipher>>;
using EspNonce = std::array<std::uint8_t, GcmCipher::kNonceBytes>;

struct EspHeader {
  Spi spi;
  std::uint64_t sequence = 0;  // its low 32 bits travel
};
[[nodiscard]] std::optional<EspHeader> read_esp_header(ByteView packet);

// The sizes an SA's algorithms give.
struct EspLayout {
  std::uint8_t iv = 0;
  // Of the encrypted part: the cipher's block, at least 4 (RFC 4303 section 2.4). A power of two.
  std::uint8_t alignment = 4;
  std::uint8_t icv = 0;

  [[nodiscard]] static EspLayout of(EspCipher cipher, std::optional<Integrity> integrity);
  // From the packet's start to the inner packet.
  [[nodiscard]] std::size_t prefix() const { return kEspHeader + iv; }
  [[nodiscard]] std::size_t sealed_size(std::size_t inner) const {
    return prefix() + ((inner + 2 + alignment - 1) & ~(std::size_t{alignment} - 1)) + icv;
  }
  // The largest inner packet whose ESP packet fits `budget` bytes; 0 if none does.
  [[nodiscard]] std::size_t max_inner(std::size_t budget) const;
};

// The trailer of a decrypted payload: padding checked against 1, 2, 3, ... (RFC 4303 section 2.4 SHOULD).
struct EspTrailer {
  std::size_t inner_size = 0;
  std::uint8_t next_header = 0;
};
[[nodiscard]] std::optional<EspTrailer> read_trailer(ByteView plaintext);
// Fills everything behind the first `inner_size` bytes of `plaintext`, which is aligned and at least 2
// longer.
void write_trailer(std::span<std::uint8_t> plaintext, std::size_t inner_size, std::uint8_t next_header);

// The parts of a packet that the cryptography works on.
struct EspParts {
  std::span<std::uint8_t> covered;  // by the ICV: all before it
  std::span<std::uint8_t> payload;  // what is encrypted
  std::span<std::uint8_t> tag;      // the ICV
  ByteView iv;
};
// Of a packet that is long enough.
[[nodiscard]] inline EspParts parts_of(const EspLayout& layout, std::span<std::uint8_t> packet) {
  const std::span<std::uint8_t> covered = packet.first(packet.size() - layout.icv);
  return {covered, covered.subspan(layout.prefix()), packet.last(layout.icv),
          covered.subspan(kEspHeader, layout.iv)};
}

// What the keys of an SA become: the same for both directions but for the cipher's.
struct EspKeys {
  EspKind kind{};
  SequenceNumbers numbers = SequenceNumbers::bits_32;
  EspNonce salt{};  // its first salt_bytes
  std::uint8_t salt_bytes = 0;
  EspCipherContext cipher;
  std::unique_ptr<IntegrityTag> integrity;  // null: none of its own

  [[nodiscard]] bool aead() const { return std::holds_alternative<GcmCipher>(cipher); }
  // RFC 4106 section 4, RFC 3686 section 4: the salt (there called nonce), then the packet's IV.
  void write_nonce(ByteView iv, EspNonce& out) const;
  // Of an AEAD alone; `nonce` as write_nonce() has it, `sequence` is the whole number. False: it failed, or
  // the ICV does not verify.
  [[nodiscard]] bool seal_aead(const EspLayout& layout, std::span<std::uint8_t> packet, const EspNonce& nonce,
                               std::uint64_t sequence);
  [[nodiscard]] bool open_aead(const EspParts& parts, std::uint64_t sequence);
  // Of the others: what the integrity algorithm reads. The high half of an extended sequence number stands in
  // the ICV's place meanwhile.
  [[nodiscard]] ByteView authenticated(const EspParts& parts, std::uint64_t sequence) const;
  // Of the others: either way, in place.
  [[nodiscard]] bool crypt(const EspParts& parts);
};

// Who sees to the integrity: the SA itself, or AH over it. Then an integrity algorithm may be absent, and
// ESP's packets have no ICV.
enum class Covered : std::uint8_t { by_itself, by_ah };

// Keys as in SaSpec: ErrorCode::unsupported for keys of a wrong length or a cipher without its integrity.
// `backend`: absent: what is chosen for each algorithm; ipsec_mb: it alone, wherever it can.
class EspSealer {
 public:
  [[nodiscard]] static Result<EspSealer> create(EspCipher cipher, std::optional<Integrity> integrity,
                                                const SecretBytes& encryption_key,
                                                const SecretBytes& integrity_key,
                                                Covered covered = Covered::by_itself,
                                                std::optional<CryptoBackend> backend = {});
  [[nodiscard]] const EspLayout& layout() const { return layout_; }
  // GCM, GMAC and CTR want an IV that never repeats (a counter does), CBC one that cannot be predicted (RFC
  // 4106 section 3.1, RFC 3686 section 3.1, RFC 3602 section 3).
  [[nodiscard]] bool iv_is_counter() const { return keys_.kind != EspKind::cbc; }

  // `packet` has layout().sealed_size(inner_size) bytes, the inner packet already at layout().prefix(). `iv`
  // has layout().iv bytes. False: OpenSSL failed, and `packet` must not be sent.
  [[nodiscard]] bool seal(std::span<std::uint8_t> packet, EspHeader header, ByteView iv,
                          std::size_t inner_size, std::uint8_t next_header);

  // seal() in two steps, for crypto_batch.h: all but the cryptography, which is for keys() to do then. The IV
  // is the sequence number if iv_is_counter(), elsewhere what is in its place already. False: a wrong length.
  [[nodiscard]] bool frame(std::span<std::uint8_t> packet, EspHeader header, std::size_t inner_size,
                           std::uint8_t next_header) const;
  [[nodiscard]] EspKeys& keys() { return keys_; }
  [[nodiscard]] const EspKeys& keys() const { return keys_; }
  // Extended sequence numbers: before the first packet.
  void extend_numbers() { keys_.numbers = SequenceNumbers::bits_64; }

 private:
  EspSealer(EspLayout layout, EspKeys keys) : layout_(layout), keys_(std::move(keys)) {}
  EspLayout layout_;
  EspKeys keys_;
};

enum class OpenVerdict : std::uint8_t {
  ok,
  malformed,      // too short or not aligned: never authenticated
  not_authentic,  // the ICV does not verify
  bad_padding,    // authentic, but its sender made a mistake
};

struct Opened {
  OpenVerdict verdict = OpenVerdict::malformed;
  std::span<std::uint8_t> inner;  // within the packet; empty unless ok
  std::uint8_t next_header = 0;
};

class EspOpener {
 public:
  [[nodiscard]] static Result<EspOpener> create(EspCipher cipher, std::optional<Integrity> integrity,
                                                const SecretBytes& encryption_key,
                                                const SecretBytes& integrity_key,
                                                Covered covered = Covered::by_itself,
                                                std::optional<CryptoBackend> backend = {});
  [[nodiscard]] const EspLayout& layout() const { return layout_; }

  // `packet` begins with the SPI. The ICV is verified first, in constant time (RFC 4303 section 3.4.4);
  // nothing of the packet is believed before. `sequence` is the whole number, of which the half that did not
  // travel counts.
  [[nodiscard]] Opened open(std::span<std::uint8_t> packet, std::uint64_t sequence = 0);

  // open() in steps, for crypto_batch.h: whether the length is one that can be; then it is for keys() to
  // verify and decrypt; then what is inside.
  [[nodiscard]] bool could_be(ByteView packet) const;
  [[nodiscard]] EspKeys& keys() { return keys_; }
  void extend_numbers() { keys_.numbers = SequenceNumbers::bits_64; }
  [[nodiscard]] static Opened unpack(std::span<std::uint8_t> payload);

 private:
  EspOpener(EspLayout layout, EspKeys keys) : layout_(layout), keys_(std::move(keys)) {}
  EspLayout layout_;
  EspKeys keys_;
};

}  // namespace oakgate::soft
