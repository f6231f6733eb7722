#include "ike/wire/message.h"

#include <gtest/gtest.h>

#include "tests/ike/wire/samples.h"

namespace oakgate::wire {
namespace {

Header main_mode() {
  Header header;
  header.cookies = {{1, 2, 3, 4, 5, 6, 7, 8}, {9, 10, 11, 12, 13, 14, 15, 16}};
  header.exchange = ExchangeType::identity_protection;
  header.message_id = MessageId{0xa1b2c3d4};
  return header;
}

std::vector<Payload> every_payload() {
  std::vector<Payload> payloads;
  for (const auto& sample : test::samples()) payloads.push_back(sample.payload);
  return payloads;
}

TEST(Header, HasTheBytesOfTheRfc) {
  Header header = main_mode();
  header.flags = kFlagEncryption;
  EXPECT_EQ(to_hex(encode_encrypted(header, PayloadType::hash, Bytes{0xee})),
            "0102030405060708090a0b0c0d0e0f10"
            "08"
            "10"
            "02"
            "01"
            "a1b2c3d4"
            "0000001d"
            "ee");
}

TEST(Header, ReadsBackAndFramesTheBody) {
  const Bytes datagram = encode_encrypted(main_mode(), PayloadType::hash, Bytes{0xee, 0xff});
  const auto header = parse_header(datagram);
  ASSERT_TRUE(header);
  Header expected = main_mode();
  expected.next_payload = PayloadType::hash;
  expected.length = 30;
  EXPECT_EQ(*header, expected);
  EXPECT_FALSE(header->encrypted());
  EXPECT_EQ(to_hex(body_of(*header, datagram)), "eeff");
}

TEST(Header, BytesBehindTheMessageAreIgnored) {
  Bytes datagram = encode_encrypted(main_mode(), PayloadType::hash, Bytes{0xee});
  datagram.resize(datagram.size() + 16);  // as some clients append
  const auto header = parse_header(datagram);
  ASSERT_TRUE(header);
  EXPECT_EQ(to_hex(body_of(*header, datagram)), "ee");
}

TEST(Header, RefusesEveryCut) {
  const Bytes datagram = encode_encrypted(main_mode(), PayloadType::hash, Bytes{0xee});
  for (std::size_t size = 0; size < datagram.size(); ++size) {
    const Bytes cut(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(size));
    const auto header = parse_header(cut);
    ASSERT_FALSE(header) << size;
    EXPECT_EQ(header.error().code, ErrorCode::malformed);
    EXPECT_TRUE(header.error().notify);
  }
}

TEST(Header, RefusesLengthsAndVersionsItCannotMean) {
  const Bytes good = encode_encrypted(main_mode(), PayloadType::hash, Bytes{0xee});
  const auto changed = [&good](std::size_t offset, std::uint8_t value) {
    Bytes bytes = good;
    bytes[offset] = value;
    return parse_header(bytes);
  };
  EXPECT_EQ(changed(27, 27).error().notify, NotifyType::unequal_payload_lengths);
  EXPECT_EQ(changed(27, 30).error().notify, NotifyType::unequal_payload_lengths);
  EXPECT_EQ(changed(24, 0x80).error().notify, NotifyType::unequal_payload_lengths);
  EXPECT_EQ(changed(17, 0x20).error().notify, NotifyType::invalid_major_version);
  EXPECT_EQ(changed(17, 0x20).error().code, ErrorCode::unsupported);
  EXPECT_EQ(changed(17, 0x00).error().notify, NotifyType::invalid_major_version);
  EXPECT_EQ(changed(17, 0x11).error().notify, NotifyType::invalid_minor_version);
  EXPECT_TRUE(changed(27, 28));
  Bytes huge = good;
  huge.resize(kMaxMessageBytes + 1);
  huge[26] = 0xff;
  huge[27] = 0xe4;
  EXPECT_FALSE(parse_header(huge));
  huge[27] = 0xe3;
  EXPECT_TRUE(parse_header(huge));
}

TEST(Message, OfEveryPayloadSurvivesTheWire) {
  const auto payloads = every_payload();
  const Bytes datagram = encode(main_mode(), payloads);
  const auto header = parse_header(datagram);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->next_payload, PayloadType::sa);
  EXPECT_EQ(header->length, datagram.size());
  const auto body = parse_body(header->next_payload, body_of(*header, datagram), Padding::none);
  ASSERT_TRUE(body) << body.error().text;
  EXPECT_EQ(body->payloads, payloads);
  EXPECT_EQ(body->length, datagram.size() - kHeaderBytes);
}

TEST(Message, WithoutPayloads) {
  const Bytes datagram = encode(main_mode(), {});
  EXPECT_EQ(datagram.size(), kHeaderBytes);
  const auto body = parse_body(PayloadType::none, {}, Padding::none);
  ASSERT_TRUE(body);
  EXPECT_TRUE(body->payloads.empty());
  EXPECT_EQ(body->first_end, 0U);
}

TEST(Body, SaysWhereTheFirstPayloadAndTheChainEnd) {
  const std::vector<Payload> payloads{HashPayload{Bytes(20)}, NoncePayload{Bytes(16)}};
  Bytes bytes = encode_body(payloads);
  const std::size_t length = bytes.size();
  bytes.insert(bytes.end(), {0, 0, 3});
  const auto body = parse_body(PayloadType::hash, bytes, Padding::allowed);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->first_end, 24U);
  EXPECT_EQ(body->length, length);
  const auto strict = parse_body(PayloadType::hash, bytes, Padding::none);
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().notify, NotifyType::unequal_payload_lengths);
}

TEST(Body, KeepsTheSaAsReceived) {
  const std::vector<Payload> payloads = every_payload();
  const auto& sa = std::get<SaPayload>(payloads[0]);
  const auto body = parse_body(PayloadType::sa, encode_body(payloads), Padding::none);
  ASSERT_TRUE(body);
  const auto& parsed = std::get<SaPayload>(body->payloads[0]);
  EXPECT_EQ(parsed.raw_body, encode_sa_body(sa));
  EXPECT_EQ(parsed.raw_body.size(), 56U);
}

TEST(Body, BoundsTheNumberOfPayloads) {
  std::vector<Payload> payloads(kMaxPayloads, VendorIdPayload{});
  EXPECT_TRUE(parse_body(PayloadType::vendor_id, encode_body(payloads), Padding::none));
  payloads.emplace_back(VendorIdPayload{});
  const auto body = parse_body(PayloadType::vendor_id, encode_body(payloads), Padding::none);
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().notify, NotifyType::payload_malformed);
}

TEST(Body, ErrorsSayWhichPayloadAndWhere) {
  const std::vector<Payload> payloads{HashPayload{Bytes(20)}, NoncePayload{Bytes(16)}};
  Bytes bytes = encode_body(payloads);
  bytes[25] = 1;
  const auto body = parse_body(PayloadType::hash, bytes, Padding::none);
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().text,
            "payload NONCE (type 10) at byte 24 behind the header: a RESERVED field is not zero");
  EXPECT_EQ(body.error().expected, "zero");
}

}  // namespace
}  // namespace oakgate::wire
