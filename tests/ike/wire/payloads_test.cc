#include "ike/wire/payloads.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "ike/wire/message.h"
#include "tests/ike/wire/samples.h"

namespace oakgate::wire {
namespace {

Bytes hex(std::string_view text) {
  const auto bytes = from_hex(text);
  EXPECT_TRUE(bytes) << text;
  return bytes.value_or(Bytes{});
}

// `body` framed as the only payload of a message.
Bytes framed(ByteView body) {
  ByteWriter out;
  out.u16(0);
  out.u16(static_cast<std::uint16_t>(body.size() + kGenericHeaderBytes));
  out.bytes(body);
  return std::move(out).take();
}

// Either refused with a notification, or read so that writing gives the same bytes. The copy is an exact
// allocation: AddressSanitizer sees a read past its end.
void expect_refused_or_identical(PayloadType type, ByteView chain) {
  const Bytes exact = to_bytes(chain);
  const auto body = parse_body(type, exact, Padding::none);
  if (!body) {
    EXPECT_TRUE(body.error().notify);
    EXPECT_FALSE(body.error().text.empty());
    return;
  }
  EXPECT_EQ(to_hex(encode_body(body->payloads)), to_hex(exact));
}

TEST(Payloads, HaveTheBytesOfTheRfcBothWays) {
  std::set<std::size_t> kinds;
  for (const auto& [name, payload, text] : test::samples()) {
    SCOPED_TRACE(name);
    kinds.insert(payload.index());
    const Bytes bytes = framed(hex(text));
    EXPECT_EQ(to_hex(encode_body({&payload, 1})), to_hex(bytes));
    const auto body = parse_body(type_of(payload), bytes, Padding::none);
    ASSERT_TRUE(body) << body.error().text;
    ASSERT_EQ(body->payloads.size(), 1U);
    EXPECT_EQ(body->payloads[0], payload);
    EXPECT_EQ(type_of(body->payloads[0]), type_of(payload));
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Payload>) << "a payload without a sample";
}

TEST(Payloads, CutAnywhereAreRefusedOrStillExact) {
  for (const auto& [name, payload, text] : test::samples()) {
    SCOPED_TRACE(name);
    const Bytes whole = framed(hex(text));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const ByteView cut = ByteView(whole).first(size);
      EXPECT_FALSE(parse_body(type_of(payload), cut, Padding::none)) << "the length goes past byte " << size;
      if (size >= kGenericHeaderBytes) {
        expect_refused_or_identical(type_of(payload), framed(cut.subspan(kGenericHeaderBytes)));
      }
    }
  }
}

TEST(Payloads, WithOneBitOrByteChangedAreRefusedOrStillExact) {
  for (const auto& [name, payload, text] : test::samples()) {
    SCOPED_TRACE(name);
    const Bytes whole = framed(hex(text));
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        Bytes flipped = whole;
        flipped[i] = static_cast<std::uint8_t>(flipped[i] ^ (1U << bit));
        expect_refused_or_identical(type_of(payload), flipped);
      }
      for (const std::uint8_t value : {0x00, 0xff}) {
        Bytes changed = whole;
        changed[i] = value;
        expect_refused_or_identical(type_of(payload), changed);
      }
    }
  }
}

RC_GTEST_PROP(PayloadsProperty, AnyBytesAreRefusedOrStillExact, (std::uint8_t type, const Bytes& bytes)) {
  expect_refused_or_identical(static_cast<PayloadType>(type), framed(bytes));
}

Attribute any_attribute() {
  const bool basic = *rc::gen::arbitrary<bool>();
  Bytes value = basic ? *rc::gen::container<Bytes>(2, rc::gen::arbitrary<std::uint8_t>())
                      : *rc::gen::arbitrary<Bytes>();
  return {static_cast<std::uint16_t>(*rc::gen::inRange(0, 0x8000)), basic, std::move(value)};
}

RC_GTEST_PROP(PayloadsProperty, AnySaSurvivesTheWire, ()) {
  SaPayload sa;
  sa.situation = *rc::gen::element(0U, 1U, 8U);
  const int proposals = *rc::gen::inRange(1, 5);
  for (int p = 0; p < proposals; ++p) {
    Proposal& proposal = sa.proposals.emplace_back();
    proposal.number = *rc::gen::arbitrary<std::uint8_t>();
    proposal.protocol = *rc::gen::arbitrary<std::uint8_t>();
    proposal.spi.resize(static_cast<std::size_t>(*rc::gen::inRange(0, 17)), 0xa5);
    const int transforms = *rc::gen::inRange(1, 5);
    for (int t = 0; t < transforms; ++t) {
      Transform& transform = proposal.transforms.emplace_back();
      transform.number = *rc::gen::arbitrary<std::uint8_t>();
      transform.id = *rc::gen::arbitrary<std::uint8_t>();
      const int attributes = *rc::gen::inRange(0, 6);
      for (int a = 0; a < attributes; ++a) transform.attributes.push_back(any_attribute());
    }
  }
  const std::vector<Payload> sent{sa, VendorIdPayload{*rc::gen::arbitrary<Bytes>()}};
  const auto got = parse_body(PayloadType::sa, encode_body(sent), Padding::none);
  RC_ASSERT(got.has_value());
  RC_ASSERT(got->payloads == sent);
  RC_ASSERT(std::get<SaPayload>(got->payloads[0]).raw_body == encode_sa_body(sa));
}

struct Broken {
  const char* what;
  PayloadType type;
  const char* hex;
  NotifyType notify;
  const char* says;
};
constexpr Broken kBroken[] = {
    {"RESERVED of the generic header", PayloadType::hash, "00 01 0006 0102", NotifyType::payload_malformed,
     "RESERVED"},
    {"length below the header", PayloadType::hash, "00 00 0003 01", NotifyType::payload_malformed,
     "below its header"},
    {"length past the end", PayloadType::hash, "00 00 0007 0102", NotifyType::payload_malformed,
     "past the end"},
    {"proposal outside an SA", PayloadType::proposal, "00 00 0008 01010000", NotifyType::invalid_payload_type,
     "outside an SA"},
    {"transform outside an SA", PayloadType::transform, "00 00 0008 01010000",
     NotifyType::invalid_payload_type, "outside an SA"},
    {"DOI 2", PayloadType::sa, "00 00 001c 00000002 00000001 00 00 0010 01 01 00 01 00 00 0008 01 01 0000",
     NotifyType::doi_not_supported, "domain of interpretation"},
    {"labels", PayloadType::sa, "00 00 001c 00000001 00000002 00 00 0010 01 01 00 01 00 00 0008 01 01 0000",
     NotifyType::situation_not_supported, "labels"},
    {"no proposals", PayloadType::sa, "00 00 000c 00000001 00000001", NotifyType::bad_proposal_syntax,
     "within a field"},
    {"no transforms", PayloadType::sa, "00 00 0014 00000001 00000001 00 00 0008 01 01 00 00",
     NotifyType::bad_proposal_syntax, "within a field"},
    {"transforms counted wrong", PayloadType::sa,
     "00 00 001c 00000001 00000001 00 00 0010 01 01 00 02 00 00 0008 01 01 0000",
     NotifyType::bad_proposal_syntax, "number of transforms"},
    {"proposal chain says a transform", PayloadType::sa,
     "00 00 001c 00000001 00000001 03 00 0010 01 01 00 01 00 00 0008 01 01 0000",
     NotifyType::bad_proposal_syntax, "another type"},
    {"transform chain says a proposal", PayloadType::sa,
     "00 00 001c 00000001 00000001 00 00 0010 01 01 00 01 02 00 0008 01 01 0000",
     NotifyType::bad_proposal_syntax, "another type"},
    {"RESERVED of a proposal", PayloadType::sa,
     "00 00 001c 00000001 00000001 00 07 0010 01 01 00 01 00 00 0008 01 01 0000",
     NotifyType::bad_proposal_syntax, "RESERVED"},
    {"RESERVED2 of a transform", PayloadType::sa,
     "00 00 001c 00000001 00000001 00 00 0010 01 01 00 01 00 00 0008 01 01 0001",
     NotifyType::bad_proposal_syntax, "RESERVED"},
    {"bytes behind the proposals", PayloadType::sa,
     "00 00 001d 00000001 00000001 00 00 0010 01 01 00 01 00 00 0008 01 01 0000 00",
     NotifyType::bad_proposal_syntax, "behind the last of the chain"},
    {"bytes behind the transforms", PayloadType::sa,
     "00 00 001d 00000001 00000001 00 00 0011 01 01 00 01 00 00 0008 01 01 0000 00",
     NotifyType::bad_proposal_syntax, "behind the last of the chain"},
    {"SPI of 17 bytes", PayloadType::sa,
     "00 00 002d 00000001 00000001 00 00 0021 01 01 11 01 0000000000000000000000000000000000 00 00 0008 01 "
     "01 "
     "0000",
     NotifyType::invalid_spi, "longer than 16"},
    {"attribute longer than its transform", PayloadType::sa,
     "00 00 0022 00000001 00000001 00 00 0016 01 01 00 01 00 00 000e 01 01 0000 000c 0004 0001",
     NotifyType::bad_proposal_syntax, "within a field"},
    {"notified SPI of 17 bytes", PayloadType::notification,
     "00 00 001d 00000001 01 11 0001 0000000000000000000000000000000000", NotifyType::invalid_spi,
     "longer than 16"},
    {"deleted SPI of 17 bytes", PayloadType::deletion,
     "00 00 001d 00000001 01 11 0001 0000000000000000000000000000000000", NotifyType::invalid_spi,
     "longer than 16"},
    {"more SPIs counted than there are", PayloadType::deletion, "00 00 0010 00000001 03 04 0002 01020304",
     NotifyType::payload_malformed, "within a field"},
    {"257 empty SPIs", PayloadType::deletion, "00 00 000c 00000001 03 00 0101", NotifyType::payload_malformed,
     "too many SPIs"},
    {"RESERVED of NAT-OA", PayloadType::nat_oa, "00 00 000c 01 000100 0a000001",
     NotifyType::payload_malformed, "RESERVED"},
};

TEST(Payloads, BrokenOnesAreRefusedWithTheRfcsNotification) {
  for (const Broken& broken : kBroken) {
    SCOPED_TRACE(broken.what);
    const auto body = parse_body(broken.type, hex(broken.hex), Padding::none);
    ASSERT_FALSE(body);
    EXPECT_EQ(body.error().notify, broken.notify) << body.error().text;
    EXPECT_NE(body.error().text.find(broken.says), std::string::npos) << body.error().text;
    EXPECT_FALSE(body.error().expected.empty());
  }
}

TEST(Payloads, CountsAreBounded) {
  const Transform transform{1, 1, {}};
  const auto refused = [](const Payload& payload) {
    return !parse_body(type_of(payload), encode_body({&payload, 1}), Padding::none);
  };
  SaPayload proposals;
  proposals.proposals.assign(kMaxProposals, Proposal{1, 1, {}, {transform}});
  EXPECT_FALSE(refused(proposals));
  proposals.proposals.push_back(proposals.proposals[0]);
  EXPECT_TRUE(refused(proposals));

  SaPayload transforms;
  transforms.proposals.push_back({1, 1, {}, std::vector<Transform>(kMaxTransforms, transform)});
  EXPECT_FALSE(refused(transforms));
  transforms.proposals[0].transforms.push_back(transform);
  EXPECT_TRUE(refused(transforms));

  AttributesPayload attributes;
  attributes.attributes.assign(kMaxAttributes, Attribute::short_form(1, 1));
  EXPECT_FALSE(refused(attributes));
  attributes.attributes.push_back(Attribute::short_form(1, 1));
  EXPECT_TRUE(refused(attributes));

  DeletePayload spis;
  spis.spis.assign(kMaxDeletedSpis, Bytes(4));
  EXPECT_FALSE(refused(spis));
  spis.spis.emplace_back(4);
  EXPECT_TRUE(refused(spis));
}

TEST(Attribute, NumbersInEitherForm) {
  EXPECT_EQ(Attribute::short_form(12, 28800).number(), 28800U);
  // CISCO.md's "0x0 0x46 0x50 0x0": 4,608,000 kilobytes in the long form.
  EXPECT_EQ((Attribute{12, false, {0x00, 0x46, 0x50, 0x00}}).number(), 4608000U);
  EXPECT_EQ(Attribute::long_form(12, 4608000), (Attribute{12, false, {0x00, 0x46, 0x50, 0x00}}));
  EXPECT_EQ((Attribute{12, false, {0, 0, 0xff, 1, 2, 3, 4, 5, 6, 7}}).number(), 0xff01020304050607U);
  EXPECT_EQ((Attribute{12, false, {0}}).number(), 0U);
  EXPECT_EQ((Attribute{12, false, {}}).number(), std::nullopt);
  EXPECT_EQ((Attribute{12, false, {1, 2, 3, 4, 5, 6, 7, 8, 9}}).number(), std::nullopt);
}

TEST(Attribute, AValueThatDoesNotFitTheShortFormIsNotCut) {
  const Payload payload = AttributesPayload{1, 0, {{7, true, {1, 2, 3}}}};
  const auto body = parse_body(PayloadType::attributes, encode_body({&payload, 1}), Padding::none);
  ASSERT_TRUE(body);
  EXPECT_EQ(std::get<AttributesPayload>(body->payloads[0]).attributes[0], (Attribute{7, false, {1, 2, 3}}));
}

TEST(Attribute, ListsOfANotificationAreReadToTheEnd) {
  // RESPONDER-LIFETIME's data, RFC 2407 section 4.6.3.1: life type seconds, 86400.
  const Bytes data = hex("80010001 000200040001 5180");
  const auto attributes = parse_attributes(data);
  ASSERT_TRUE(attributes);
  EXPECT_EQ(*attributes, (std::vector{Attribute::short_form(ipsec_attribute::life_type, kLifeSeconds),
                                      Attribute::long_form(ipsec_attribute::life_duration, 86400)}));
  for (std::size_t size = 0; size < data.size(); ++size) {
    const Bytes cut(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
    const bool whole = size == 0 || size == 4;
    EXPECT_EQ(parse_attributes(cut).has_value(), whole) << size;
  }
  Bytes many;
  for (std::size_t i = 0; i <= kMaxAttributes; ++i) many.insert(many.end(), data.begin(), data.begin() + 4);
  EXPECT_FALSE(parse_attributes(many));
  many.resize(many.size() - 4);
  EXPECT_TRUE(parse_attributes(many));
}

TEST(IdPayload, BodyIsWhatTheHashesCover) {
  EXPECT_EQ(to_hex(IdPayload{IdType::ipv4_addr, 17, 500, {192, 0, 2, 1}}.body()), "011101f4c0000201");
}

TEST(Names, AreTheRfcs) {
  EXPECT_EQ(payload_name(PayloadType::key_exchange), "KE");
  EXPECT_EQ(payload_name(PayloadType{15}), "payload");
  EXPECT_EQ(exchange_name(ExchangeType::identity_protection), "Main Mode");
  EXPECT_EQ(exchange_name(ExchangeType{99}), "exchange");
  EXPECT_EQ(id_type_name(IdType::ipv4_addr_subnet), "ID_IPV4_ADDR_SUBNET");
  EXPECT_EQ(id_type_name(IdType{0}), "ID type");
}

}  // namespace
}  // namespace oakgate::wire
