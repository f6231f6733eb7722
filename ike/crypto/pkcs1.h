// PKCS#1 version 1.5 blocks: RFC 8017 sections 7.2.2 and 9.2, RFC 2313 section 8.1. The making of type 1
// (signatures) and the opening of type 2 (encryption), by code whose time and memory accesses depend on
// lengths alone. For private_key.cc and public_key.cc; no RSA in it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ike/base/bytes.h"
#include "ike/base/secret.h"

namespace oakgate::crypto {

inline constexpr std::size_t kPkcs1Overhead = 11;  // 00, type, at least eight bytes of padding, 00

// 00 01 FF .. FF 00 hash, `block_bytes` long (RFC 2409 section 5.1: no DigestInfo). Empty if the hash is too
// long for it.
[[nodiscard]] Bytes type1_block(ByteView hash, std::size_t block_bytes);

// The content of 00 02 <nonzero padding> 00 content, or `substitute` if `block` is not of that form, if its
// content is not between `at_least` and `at_most` bytes long, or if `refuse` is all ones (0: nothing speaks
// against it). Which of them it was shows neither in the result nor in the time. `substitute` holds at_most
// bytes, of which the first `substitute_size` count; at_least <= substitute_size <= at_most <= block.size() -
// kPkcs1Overhead. Secret, all of it.
[[nodiscard]] SecretBytes open_type2_block(ByteView block, std::uint32_t refuse, ByteView substitute,
                                           std::size_t substitute_size, std::size_t at_least,
                                           std::size_t at_most);

// All ones if big-endian `value` is below `limit`, of the same length; else 0. In constant time.
[[nodiscard]] std::uint32_t mask_if_below(ByteView value, ByteView limit);

}  // namespace oakgate::crypto
