#include "xfrm/soft/checksum.h"

#include <arpa/inet.h>

#include <cstring>

namespace oakgate::soft {

namespace {

// Two lanes of 64 bits that add 32-bit halves: no carries to look after for 2^32 words. Every compiler that
// builds this has the extension, and every machine either two lanes or two registers.
using Lanes = std::uint64_t __attribute__((vector_size(16)));
constexpr Lanes kLow = {0xffffffffU, 0xffffffffU};

template <typename T>
T load(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace

std::uint64_t add_words(std::uint64_t sum, ByteView data) {
  const std::uint8_t* at = data.data();
  std::size_t left = data.size();
  if (left >= 64) {
    Lanes low{};
    Lanes high{};
    for (; left >= 64; left -= 64, at += 64) {
      const auto a = load<Lanes>(at);
      const auto b = load<Lanes>(at + 16);
      const auto c = load<Lanes>(at + 32);
      const auto d = load<Lanes>(at + 48);
      low += ((a & kLow) + (b & kLow)) + ((c & kLow) + (d & kLow));
      high += ((a >> 32) + (b >> 32)) + ((c >> 32) + (d >> 32));
    }
    low += high;
    sum += low[0] + low[1];
  }
  for (; left >= 4; left -= 4, at += 4) sum += load<std::uint32_t>(at);
  if (left >= 2) {
    sum += load<std::uint16_t>(at);
    left -= 2;
    at += 2;
  }
  if (left != 0) {
    std::uint16_t last = 0;  // RFC 1071 section 4.1: an odd byte is the first of a word
    std::memcpy(&last, at, 1);
    sum += last;
  }
  return sum;
}

std::uint64_t add_word(std::uint64_t sum, std::uint16_t word) {
  return sum + htons(word);
}

std::uint16_t fold_words(std::uint64_t sum) {
  sum = (sum & 0xffffffffU) + (sum >> 32);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ntohs(static_cast<std::uint16_t>(sum));
}

std::uint16_t internet_checksum(ByteView data) {
  return static_cast<std::uint16_t>(~fold_words(add_words(0, data)));
}

std::uint64_t pseudo_header_sum(ByteView packet, std::uint8_t protocol, std::size_t length) {
  // Source and destination lie side by side.
  const ByteView addresses = packet[0] >> 4 == 4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
  const std::uint64_t sum = add_word(add_words(0, addresses), protocol);
  return add_word(add_word(sum, static_cast<std::uint16_t>(length >> 16)),
                  static_cast<std::uint16_t>(length));
}

}  // namespace oakgate::soft
