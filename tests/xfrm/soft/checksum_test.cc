#include "xfrm/soft/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "ike/base/bytes.h"

namespace oakgate::soft {
namespace {

// RFC 1071 section 4.1, as it stands there.
std::uint16_t by_the_book(ByteView data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); ++i) sum += std::uint32_t{data[i]} << (i % 2 == 0 ? 8 : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

TEST(Checksum, OfRfc1071) {
  EXPECT_EQ(internet_checksum(*from_hex("0001f203f4f5f6f7")), static_cast<std::uint16_t>(~0xddf2));
  EXPECT_EQ(internet_checksum(*from_hex("01")), 0xfeff);
  EXPECT_EQ(internet_checksum({}), 0xffff);
}

TEST(Checksum, OfEveryLengthAndPlace) {
  std::mt19937 random(1);
  Bytes data(400);
  for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random());
  for (std::size_t offset = 0; offset < 17; ++offset) {
    for (std::size_t size = 0; size + offset <= data.size(); ++size) {
      const ByteView view = ByteView(data).subspan(offset, size);
      ASSERT_EQ(internet_checksum(view), by_the_book(view)) << offset << " " << size;
    }
  }
}

TEST(Checksum, CarriesAreKept) {
  const Bytes ones(65534, 0xff);
  EXPECT_EQ(internet_checksum(ones), 0);
  const Bytes most(65535, 0xfe);
  EXPECT_EQ(internet_checksum(most), by_the_book(most));
}

TEST(Checksum, PiecesAddUp) {
  std::mt19937 random(2);
  Bytes data(301);
  for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random());
  for (std::size_t cut = 0; cut < data.size(); cut += 2) {
    const ByteView view(data);
    const std::uint64_t sum = add_words(add_words(0, view.first(cut)), view.subspan(cut));
    ASSERT_EQ(static_cast<std::uint16_t>(~fold_words(sum)), by_the_book(view)) << cut;
  }
  EXPECT_EQ(fold_words(add_word(add_word(0, 0x1234), 0xf000)), 0x0235);
}

TEST(Checksum, PseudoHeaders) {
  Bytes v4(20);
  v4[0] = 0x45;
  for (std::size_t i = 12; i < 20; ++i) v4[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(fold_words(pseudo_header_sum(v4, 6, 0x12345)),
            0x0c0d + 0x0e0f + 0x1011 + 0x1213 + 6 + 1 + 0x2345);
  Bytes v6(40);
  v6[0] = 0x60;
  v6[8] = 0x20;
  v6[39] = 9;
  EXPECT_EQ(fold_words(pseudo_header_sum(v6, 17, 8)), 0x2000 + 9 + 17 + 8);
}

}  // namespace
}  // namespace oakgate::soft
