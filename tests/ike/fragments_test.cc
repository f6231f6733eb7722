#include "ike/fragments.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "ike/base/vendor_ids.h"

namespace oakgate::ike {
namespace {

using wire::ExchangeType;
using wire::FragmentPayload;
using wire::Header;

constexpr std::uint8_t kLast = 1;
const CookiePair kCookies{{1, 2, 3, 4, 5, 6, 7, 8}, {9, 10, 11, 12, 13, 14, 15, 16}};

Header header_of(std::uint32_t message_id = 0) {
  Header header;
  header.cookies = kCookies;
  header.exchange = ExchangeType::identity_protection;
  header.message_id = MessageId{message_id};
  return header;
}

// An encrypted message of so many bytes, its contents by `seed`.
Bytes message_of(std::size_t size, unsigned seed = 1) {
  Bytes body(size - wire::kHeaderBytes);
  std::mt19937 engine(seed);
  for (std::uint8_t& byte : body) byte = static_cast<std::uint8_t>(engine());
  Header header = header_of();
  header.flags = wire::kFlagEncryption;
  return wire::encode_encrypted(header, wire::PayloadType::identification, body);
}

struct Parsed {
  Header header;
  FragmentPayload fragment;
};
Parsed parse(ByteView datagram) {
  const auto header = wire::parse_header(datagram);
  const auto body =
      wire::parse_body(header->next_payload, wire::body_of(*header, datagram), wire::Padding::none);
  return {*header, std::get<FragmentPayload>(body->payloads.at(0))};
}

std::optional<Bytes> take(Reassembly& into, ByteView datagram) {
  const Parsed parsed = parse(datagram);
  auto taken = into.take(parsed.header, parsed.fragment);
  EXPECT_TRUE(taken);
  return taken ? *taken : std::nullopt;
}
Result<std::optional<Bytes>> take(Reassembly& into, const FragmentPayload& fragment) {
  return into.take(header_of(), fragment);
}

TEST(Fragments, WhatFitsIsLeftAsItIs) {
  for (const auto& [family, most] : {std::pair{Family::ipv4, 1248U}, {Family::ipv6, 1228U}}) {
    EXPECT_EQ(fragments_of(message_of(most), family), std::vector<Bytes>({message_of(most)}));
    EXPECT_EQ(fragments_of(message_of(most + 1), family).size(), 2U);
  }
}

TEST(Fragments, AreMessagesInClearThatFitIntoTheSmallestPacketOfIpv6) {
  for (const auto& [family, headers] : {std::pair{Family::ipv4, 20U}, {Family::ipv6, 40U}}) {
    const auto datagrams = fragments_of(message_of(4000), family);
    ASSERT_EQ(datagrams.size(), 4U);
    for (std::size_t i = 0; i < datagrams.size(); ++i) {
      EXPECT_LE(datagrams[i].size() + headers + 8 + 4, kFragmentPacketBytes);
      const Parsed parsed = parse(datagrams[i]);
      EXPECT_EQ(parsed.header.cookies, kCookies);
      EXPECT_EQ(parsed.header.exchange, ExchangeType::identity_protection);
      EXPECT_FALSE(parsed.header.encrypted());
      EXPECT_EQ(parsed.fragment.id, parse(datagrams[0]).fragment.id);
      EXPECT_NE(parsed.fragment.id, 0);
      EXPECT_EQ(parsed.fragment.number, i + 1);
      EXPECT_EQ(parsed.fragment.flags, i == 3 ? kLast : 0);
    }
  }
}

TEST(Fragments, TheSameMessageGivesTheSameOnes) {
  EXPECT_EQ(fragments_of(message_of(4000), Family::ipv4), fragments_of(message_of(4000), Family::ipv4));
  EXPECT_NE(parse(fragments_of(message_of(4000), Family::ipv4)[0]).fragment.id,
            parse(fragments_of(message_of(4000, 2), Family::ipv4)[0]).fragment.id);
}

TEST(Fragments, MoreThanSixteenAreNone) {
  const std::size_t room = 1248 - wire::kHeaderBytes - 8;
  EXPECT_EQ(fragments_of(message_of(16 * room), Family::ipv4).size(), kMaxFragments);
  EXPECT_EQ(fragments_of(message_of(16 * room + 1), Family::ipv4).size(), 1U);
}

TEST(Fragments, TheVendorIdMaySayForWhichExchanges) {
  const auto announces = [](std::string_view word, ExchangeType type) {
    const std::string hex = "4048b7d56ebce88525e7de7f00d6c2d3" + std::string(word);
    return announces_fragments(*from_hex(hex), type);
  };
  for (const ExchangeType type : {ExchangeType::identity_protection, ExchangeType::aggressive}) {
    EXPECT_TRUE(announces("", type));
    EXPECT_TRUE(announces("c0000000", type));
    EXPECT_FALSE(announces("00000000", type));
    EXPECT_EQ(announces("80000000", type), type == ExchangeType::identity_protection);
    EXPECT_EQ(announces("40000000", type), type == ExchangeType::aggressive);
    EXPECT_TRUE(announces_fragments(*from_hex(vendor_id_info(VendorId::fragmentation).hex), type));
    EXPECT_FALSE(announces_fragments(*from_hex(vendor_id_info(VendorId::dpd).hex), type));
    EXPECT_FALSE(announces_fragments({}, type));
  }
}

TEST(Reassembly, TakesThemInAnyOrder) {
  const Bytes message = message_of(4000);
  const auto datagrams = fragments_of(message, Family::ipv4);
  std::vector<std::size_t> order(datagrams.size());
  std::iota(order.begin(), order.end(), 0U);
  do {
    Reassembly reassembly;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto whole = take(reassembly, datagrams[order[i]]);
      EXPECT_EQ(whole.has_value(), i + 1 == order.size());
      EXPECT_EQ(whole.value_or(message), message);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Reassembly, TakesThemTwice) {
  const Bytes message = message_of(4000);
  Reassembly reassembly;
  int complete = 0;
  for (const Bytes& datagram : fragments_of(message, Family::ipv4)) {
    for (int i = 0; i < 2; ++i) complete += take(reassembly, datagram) == message ? 1 : 0;
  }
  EXPECT_EQ(complete, 2) << "the last one's repetition asks for the answer again";
}

TEST(Reassembly, ARepeatedMessageIsHandedUpOnceMore) {
  const Bytes message = message_of(4000);
  const auto datagrams = fragments_of(message, Family::ipv4);
  Reassembly reassembly;
  for (int round = 0; round < 3; ++round) {
    int complete = 0;
    for (const Bytes& datagram : datagrams) complete += take(reassembly, datagram) == message ? 1 : 0;
    EXPECT_EQ(complete, 1);
  }
}

TEST(Reassembly, TwoTransmissionsCompleteEachOther) {
  const Bytes message = message_of(4000);
  const auto datagrams = fragments_of(message, Family::ipv4);
  Reassembly reassembly;
  EXPECT_FALSE(take(reassembly, datagrams[0]));
  EXPECT_FALSE(take(reassembly, datagrams[3]));
  EXPECT_FALSE(take(reassembly, datagrams[1]));
  EXPECT_EQ(take(reassembly, datagrams[2]), message);
}

TEST(Reassembly, ANewMessageReplacesTheOlderOne) {
  const Bytes message = message_of(4000);
  const auto datagrams = fragments_of(message, Family::ipv4);
  Reassembly reassembly;
  EXPECT_FALSE(take(reassembly, fragments_of(message_of(4000, 2), Family::ipv4)[0]));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_FALSE(take(reassembly, datagrams[i]));
  EXPECT_EQ(take(reassembly, datagrams[3]), message);
  EXPECT_EQ(reassembly.bytes(), message.size());
}

// Some peers number every message 1.
TEST(Reassembly, OneIdForEverythingWorks) {
  const auto part = [](std::uint8_t number, std::uint8_t content, std::uint8_t flags) {
    return FragmentPayload{1, number, flags, Bytes(4, content)};
  };
  Reassembly reassembly;
  EXPECT_FALSE(*take(reassembly, part(1, 1, 0)));
  EXPECT_EQ(**take(reassembly, part(2, 1, kLast)), Bytes(8, 1));
  EXPECT_FALSE(*take(reassembly, part(1, 2, 0))) << "other bytes: a new message, not one of both halves";
  EXPECT_FALSE(*take(reassembly, part(2, 2, 0)));
  EXPECT_EQ(**take(reassembly, part(3, 2, kLast)), Bytes(12, 2));
  EXPECT_FALSE(*take(reassembly, part(2, 3, kLast)));
  EXPECT_FALSE(*take(reassembly, part(3, 4, 0))) << "beyond the last one: of another message";
  EXPECT_FALSE(*take(reassembly, part(1, 4, 0)));
  EXPECT_FALSE(*take(reassembly, part(2, 4, kLast))) << "the last one, and a later one is here";
  EXPECT_EQ(**take(reassembly, part(1, 5, 0)), [] {
    Bytes both(4, 5);
    both.resize(8, 4);
    return both;
  }());
}

TEST(Reassembly, TheMessageIdBelongsToIt) {
  Reassembly reassembly;
  EXPECT_FALSE(*reassembly.take(header_of(7), {1, 1, 0, Bytes(4, 1)}));
  EXPECT_FALSE(*reassembly.take(header_of(8), {1, 2, kLast, Bytes(4, 2)}));
  EXPECT_EQ(reassembly.bytes(), 4U);
}

TEST(Reassembly, RefusesWhatIsOutOfBounds) {
  Reassembly reassembly;
  EXPECT_FALSE(*take(reassembly, {1, 1, 0, Bytes(4, 1)}));
  for (const FragmentPayload& bad :
       {FragmentPayload{1, 0, 0, Bytes(4, 1)}, FragmentPayload{1, 17, 0, Bytes(4, 1)},
        FragmentPayload{1, 255, kLast, Bytes(4, 1)}, FragmentPayload{1, 2, 0, {}},
        FragmentPayload{1, 2, 0, Bytes(kMaxReassembledBytes - 3)}}) {
    EXPECT_FALSE(take(reassembly, bad));
  }
  EXPECT_EQ(reassembly.bytes(), 4U) << "nothing has changed";
  EXPECT_EQ((*take(reassembly, {1, 2, kLast, Bytes(kMaxReassembledBytes - 4)}))->size(),
            kMaxReassembledBytes);
  EXPECT_LE(reassembly.bytes(), kMaxReassembledBytes);
  reassembly.clear();
  EXPECT_TRUE(reassembly.empty());
}

// Whatever comes: never more than the bounds, and a message only from its own pieces.
TEST(Reassembly, HoldsBoundedMemoryUnderAnything) {
  std::mt19937 engine(3);
  const auto random = [&](unsigned below) { return static_cast<unsigned>(engine() % below); };
  Reassembly reassembly;
  for (int i = 0; i < 200'000; ++i) {
    const FragmentPayload fragment{static_cast<std::uint16_t>(random(3)),
                                   static_cast<std::uint8_t>(random(19)),
                                   static_cast<std::uint8_t>(random(8) == 0 ? kLast : 0),
                                   Bytes(random(4) == 0 ? random(40'000) : random(9), 1)};
    const auto taken = reassembly.take(header_of(random(2)), fragment);
    ASSERT_LE(reassembly.bytes(), kMaxReassembledBytes);
    const bool whole = taken && *taken;
    ASSERT_EQ(whole ? (*taken)->size() : reassembly.bytes(), reassembly.bytes());
  }
}

}  // namespace
}  // namespace oakgate::ike
