// The Internet checksum (RFC 1071), the one place that computes it: over the segments of 64 KB vectors it is
// the dearest thing next to the ciphers.
//
// A sum is taken in this machine's byte order (RFC 1071 section 2 (B): the order does not matter), over
// pieces of which only the last may have an odd number of bytes, and becomes 16 bits at its end.
#pragma once

#include <cstdint>
#include <span>

#include "ike/base/bytes.h"

namespace oakgate::soft {

// `sum` and the words of `data`. Sums of pieces may be added; 2^32 bytes and more do not overflow.
[[nodiscard]] std::uint64_t add_words(std::uint64_t sum, ByteView data);

// `sum` and one word given in host order, such as a length of a pseudo-header.
[[nodiscard]] std::uint64_t add_word(std::uint64_t sum, std::uint16_t word);

// The one's complement sum, in host order, ready to be written; not complemented.
[[nodiscard]] std::uint16_t fold_words(std::uint64_t sum);

// The checksum of `data`, in host order, ready to be written.
[[nodiscard]] std::uint16_t internet_checksum(ByteView data);

// Of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1) of a packet whose IP header is whole.
[[nodiscard]] std::uint64_t pseudo_header_sum(ByteView packet, std::uint8_t protocol, std::size_t length);

}  // namespace oakgate::soft
