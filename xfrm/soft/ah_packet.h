// Makes and verifies one SA's AH packets in place: RFC 4302 (and RFC 2402, which it replaces: the same bytes
// without extended sequence numbers, of which the high half is behind the payload for the ICV:
// section 2.5.1). Pure: no sequence state, no window, no selectors, no sockets.
//
//   | IP header | next header 1 | length 1 | 0 0 | SPI 4 | sequence 4 | ICV, padded | payload ... |
//
// The ICV covers the whole packet, IP header included; what routers may change in it counts as zero (RFC 4302
// section 3.3.3.1 and appendix A). Integers of the packet are in network order, those of the functions in
// host order. Keys are secret and stay inside.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "ike/base/algorithms.h"
#include "ike/base/net.h"
#include "ike/base/secret.h"
#include "ike/base/types.h"
#include "xfrm/soft/esp_crypto.h"
#include "xfrm/soft/sequence_numbers.h"

namespace oakgate::soft {

inline constexpr std::size_t kAhFixed = 12;       // before the ICV
inline constexpr std::size_t kMaxAhHeader = 64;   // of ours: the fixed part, the longest ICV, padding
inline constexpr std::size_t kMaxIpHeader = 512;  // outer header and its options: more is refused

struct AhHeader {
  Spi spi;
  std::uint64_t sequence = 0;  // its low 32 bits travel
  std::uint8_t next_header = 0;
  std::size_t size = 0;  // by its own length field, ICV and padding included
};
// From the bytes where AH begins. Nothing if they are cut, or shorter than their own length.
[[nodiscard]] std::optional<AhHeader> read_ah_header(ByteView packet);

// Zeroes what may change on the way in an IPv4 header with its options, or an IPv6 header with the extension
// headers before AH: `header` is exactly that. False: it is malformed.
[[nodiscard]] bool mute_mutable_fields(std::span<std::uint8_t> header);

enum class AhVerdict : std::uint8_t {
  ok,
  malformed,      // a header that is none: never authenticated
  not_authentic,  // the ICV does not verify
  failed,         // OpenSSL failed
};

// What of a packet is put aside while its ICV is computed.
struct AhFrame {
  std::array<std::uint8_t, kMaxIpHeader> outer{};
  std::array<std::uint8_t, kMaxIcv> icv{};  // as it came
};

class AhAuthenticator {
 public:
  // Keys as in SaSpec: ErrorCode::unsupported for one of a wrong length.
  [[nodiscard]] static Result<AhAuthenticator> create(Integrity integrity, const SecretBytes& key,
                                                      std::optional<CryptoBackend> backend = {});

  // Of the AH header we send; RFC 4302 section 2.6: a multiple of 4 bytes over IPv4, of 8 over IPv6.
  [[nodiscard]] std::size_t header_size(Family outer) const;
  // `packet` is the IP header (its protocol already AH, its length right), room for header_size() bytes, and
  // the payload. Writes the AH header. False: it must not be sent.
  [[nodiscard]] bool protect(std::span<std::uint8_t> packet, std::size_t ip_header, const AhHeader& header);
  // `packet` as it came, AH at `ip_header`; it is left as it came. A header of another size than ours is
  // taken: the padding is the sender's choice. The ICV is compared in constant time.
  // `sequence` is the whole number, of which the half that did not travel counts.
  [[nodiscard]] AhVerdict verify(std::span<std::uint8_t> packet, std::size_t ip_header,
                                 std::uint64_t sequence = 0);

  // Extended sequence numbers: before the first packet.
  void extend_numbers() { numbers_ = SequenceNumbers::bits_64; }
  [[nodiscard]] SequenceNumbers numbers() const { return numbers_; }
  // What the integrity algorithm reads of a packet: itself, or a copy with the high half behind it, until the
  // next call in this thread.
  [[nodiscard]] ByteView authenticated(ByteView packet, std::uint64_t sequence) const;

  // Both in steps, for crypto_batch.h: between begin and end, mac() is to be computed over all of `packet`,
  // icv_bytes() of it. An end must follow a begin that gave ok, and leaves the packet whole again.
  [[nodiscard]] bool begin_protect(std::span<std::uint8_t> packet, std::size_t ip_header,
                                   const AhHeader& header, AhFrame& frame) const;
  void end_protect(std::span<std::uint8_t> packet, std::size_t ip_header, const AhFrame& frame,
                   ByteView icv) const;
  [[nodiscard]] AhVerdict begin_verify(std::span<std::uint8_t> packet, std::size_t ip_header,
                                       AhFrame& frame) const;
  [[nodiscard]] AhVerdict end_verify(std::span<std::uint8_t> packet, std::size_t ip_header,
                                     const AhFrame& frame, ByteView icv) const;
  [[nodiscard]] IntegrityTag& mac() { return tag_; }
  [[nodiscard]] std::size_t icv_bytes() const { return icv_; }

 private:
  AhAuthenticator(std::size_t icv, IntegrityTag tag) : icv_(icv), tag_(std::move(tag)) {}
  // Takes the mutable fields and the ICV as zero. False: the outer header is none; nothing has changed then.
  [[nodiscard]] bool mute(std::span<std::uint8_t> packet, std::size_t ip_header, AhFrame& frame) const;
  std::size_t icv_;
  IntegrityTag tag_;
  SequenceNumbers numbers_ = SequenceNumbers::bits_32;
};

}  // namespace oakgate::soft
