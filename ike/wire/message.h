// Whole ISAKMP messages: header and payload chain, bytes <-> structs. RFC 2408 sections 3.1, 3.2 and 5.
// No policy, no logging, no cryptography: an encrypted message's body is parsed after the caller decrypted
// it.
//
// Every parse error is Error{malformed or unsupported, text, ..., notify} with the notification RFC 2408
// section 5 names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ike/base/result.h"
#include "ike/wire/payloads.h"

namespace oakgate::wire {

inline constexpr std::size_t kHeaderBytes = 28;
inline constexpr std::size_t kGenericHeaderBytes = 4;
// Bounds on what one message may hold: more is refused as malformed, whatever its length says.
inline constexpr std::size_t kMaxMessageBytes = 65'507;  // the largest UDP datagram
inline constexpr std::size_t kMaxPayloads = 128;
inline constexpr std::size_t kMaxProposals = 64;
inline constexpr std::size_t kMaxTransforms = 255;  // of one proposal
inline constexpr std::size_t kMaxAttributes = 64;   // of one transform or attributes payload
inline constexpr std::size_t kMaxDeletedSpis = 256;

struct Header {
  CookiePair cookies;
  PayloadType next_payload = PayloadType::none;  // set by the encoder
  std::uint8_t version = kVersion10;
  ExchangeType exchange{};
  std::uint8_t flags = 0;
  MessageId message_id;
  std::uint32_t length = 0;  // of the whole message; set by the encoder
  [[nodiscard]] bool encrypted() const { return (flags & kFlagEncryption) != 0; }
  friend bool operator==(const Header&, const Header&) = default;
};

// The payloads of a message and where they stood.
struct Body {
  std::vector<Payload> payloads;
  std::size_t length = 0;     // bytes of the chain, without any padding behind it
  std::size_t first_end = 0;  // offset just behind the first payload: HASH(1), (2) cover [first_end, length)
};

enum class Padding : bool { none, allowed };  // allowed: bytes behind the chain are the cipher's padding
// opaque: ID payloads are RSA blocks or the like (RFC 2409 sections 5.2, 5.3); they come as UnknownPayload.
enum class Identities : bool { parsed, opaque };

// Checks version (exactly 1.0, RFC 2408 section 3.1) and length against the datagram; cookies, exchange type,
// flags and message id are the caller's to judge. Bytes behind header.length are ignored: some peers append
// zeros.
[[nodiscard]] Result<Header> parse_header(ByteView datagram);
// The message's bytes behind the header, as long as header.length says. `header` must come from
// parse_header(datagram).
[[nodiscard]] ByteView body_of(const Header& header, ByteView datagram);
// Parses a payload chain (in clear or decrypted) that begins with `first`.
[[nodiscard]] Result<Body> parse_body(PayloadType first, ByteView body, Padding padding,
                                      Identities identities = Identities::parsed);

// A bare list of attributes, as RESPONDER-LIFETIME carries it (RFC 2407 section 4.6.3.1).
[[nodiscard]] Result<std::vector<Attribute>> parse_attributes(ByteView data);
[[nodiscard]] Bytes encode_attributes(const std::vector<Attribute>& attributes);

// The chain of payloads with their generic headers; empty for none. Encoding cannot fail: a payload's body
// must be below 65,532 bytes and lists within the bounds above, as the parser's always are.
[[nodiscard]] Bytes encode_body(std::span<const Payload> payloads);
// The SA payload's body behind its generic header: SAi_b.
[[nodiscard]] Bytes encode_sa_body(const SaPayload& sa);
// Header (next payload and length filled in) and chain, in clear.
[[nodiscard]] Bytes encode(const Header& header, std::span<const Payload> payloads);
// Header with `first` as its next payload, and a body that is already encrypted.
[[nodiscard]] Bytes encode_encrypted(const Header& header, PayloadType first, ByteView ciphertext);

}  // namespace oakgate::wire
