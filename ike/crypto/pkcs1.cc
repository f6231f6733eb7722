// Constant time: values that depend on the block are combined by masks (all ones or 0), never by branches
// or as indices. `opaque` hides a mask from the optimiser, which might otherwise find out that there are two
// cases only, and branch.
#include "ike/crypto/pkcs1.h"

#include <algorithm>

namespace oakgate::crypto {

namespace {

using Mask = std::uint32_t;

Mask opaque(Mask value) {
  // NOLINTNEXTLINE(hicpp-no-assembler): an empty statement that the compiler cannot look into
  __asm__ volatile("" : "+r"(value));
  return value;
}

Mask top_bit(std::uint32_t value) {
  return opaque(0U - (value >> 31));
}
Mask is_zero(std::uint32_t value) {
  return top_bit(~value & (value - 1U));
}
Mask is_equal(std::uint32_t a, std::uint32_t b) {
  return is_zero(a ^ b);
}
// For values below 2^31, as lengths are.
Mask is_below(std::uint32_t a, std::uint32_t b) {
  return top_bit(a - b);
}
std::uint32_t choose(Mask mask, std::uint32_t if_set, std::uint32_t if_not) {
  return (mask & if_set) | (~mask & if_not);
}

// Moves all bytes `distance` places towards the beginning, zeros behind them, in as many passes as the size
// has bits; each pass touches every byte.
void shift_left(std::span<std::uint8_t> bytes, std::uint32_t distance) {
  for (std::uint32_t step = 1; step < bytes.size(); step <<= 1) {
    const Mask move = ~is_zero(distance & step);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const std::uint32_t from = i + step < bytes.size() ? bytes[i + step] : 0U;
      bytes[i] = static_cast<std::uint8_t>(choose(move, from, bytes[i]));
    }
  }
}

}  // namespace

Bytes type1_block(ByteView hash, std::size_t block_bytes) {
  if (block_bytes < kPkcs1Overhead || hash.size() > block_bytes - kPkcs1Overhead) return {};
  Bytes block(block_bytes, 0xff);
  block[0] = 0;
  block[1] = 1;
  block[block_bytes - hash.size() - 1] = 0;
  std::copy(hash.begin(), hash.end(), block.end() - static_cast<std::ptrdiff_t>(hash.size()));
  return block;
}

SecretBytes open_type2_block(ByteView block, std::uint32_t refuse, ByteView substitute,
                             std::size_t substitute_size, std::size_t at_least, std::size_t at_most) {
  const auto size = static_cast<std::uint32_t>(block.size());
  // The place of the first zero behind the two leading bytes; `size` if there is none.
  Mask found = 0;
  std::uint32_t separator = size;
  for (std::uint32_t i = 2; i < size; ++i) {
    const Mask first = ~found & is_zero(block[i]);
    separator = choose(first, i, separator);
    found |= first;
  }
  const std::uint32_t length = size - 1U - separator;  // of the content; meaningless unless `found`
  Mask good = ~opaque(refuse) & is_zero(block[0]) & is_equal(block[1], 2) & found;
  // RFC 8017 section 7.2.2: "... or if the length of PS is less than 8 octets".
  good &= ~is_below(separator, 2 + 8);
  good &= ~is_below(length & 0x7fffffffU, static_cast<std::uint32_t>(at_least));
  good &= ~is_below(static_cast<std::uint32_t>(at_most), length & 0x7fffffffU);
  good = opaque(good);

  // The content ends where the block does: of its last at_most bytes, those before it are shifted out.
  const ByteView tail = block.last(at_most);
  Bytes out(tail.begin(), tail.end());
  const auto limit = static_cast<std::uint32_t>(at_most);
  shift_left(out, choose(good, limit - length, 0));
  const std::uint32_t out_size = choose(good, length, static_cast<std::uint32_t>(substitute_size));
  for (std::uint32_t i = 0; i < limit; ++i) {
    const std::uint32_t chosen = choose(good, out[i], substitute[i]);
    out[i] = static_cast<std::uint8_t>(chosen & is_below(i, out_size));
  }
  // Shortening moves and frees nothing, and what it cuts off is zeros: no time that tells the length.
  out.resize(out_size);
  return SecretBytes(std::move(out));
}

std::uint32_t mask_if_below(ByteView value, ByteView limit) {
  std::uint32_t borrow = 0;
  for (std::size_t i = value.size(); i-- > 0;) {
    borrow = (std::uint32_t{value[i]} - limit[i] - borrow) >> 31;
  }
  return opaque(0U - borrow);
}

}  // namespace oakgate::crypto
