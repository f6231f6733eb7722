// Messages of real gateways: recorded exchanges with a Cisco responder, and captures. Everything in clear is
// read and written back to the same bytes; of what is encrypted, the header is (tests/ike/crypto decrypts the
// exchanges whose keys are known).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ike/wire/message.h"
#include "tests/support/files.h"
#include "tests/support/pcap.h"

namespace oakgate::wire {
namespace {

struct Counts {
  int clear = 0;
  int encrypted = 0;
  friend bool operator==(const Counts&, const Counts&) = default;
  friend void PrintTo(const Counts& c, std::ostream* out) { *out << c.clear << " clear, " << c.encrypted; }
};

void expect_identical(ByteView datagram, Counts& counts) {
  const auto header = parse_header(datagram);
  ASSERT_TRUE(header) << header.error().text;
  const ByteView body = body_of(*header, datagram);
  if (header->encrypted()) {
    ++counts.encrypted;
    EXPECT_EQ(to_hex(encode_encrypted(*header, header->next_payload, body)),
              to_hex(datagram.first(header->length)));
    return;
  }
  ++counts.clear;
  const auto parsed = parse_body(header->next_payload, body, Padding::none);
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(to_hex(encode(*header, parsed->payloads)), to_hex(datagram.first(header->length)));
  EXPECT_EQ(parsed->length, body.size());
}

TEST(RecordedExchanges, AreWrittenBackByteForByte) {
  const auto exchanges =
      nlohmann::json::parse(oakgate::test::read_text("tests/vectors/recorded-exchanges.json"));
  ASSERT_EQ(exchanges.size(), 3U);
  Counts counts;
  for (const auto& [name, exchange] : exchanges.items()) {
    SCOPED_TRACE(name);
    for (const auto& message : exchange.at("messages")) {
      const auto bytes = from_hex(message.at("hex").get<std::string>());
      ASSERT_TRUE(bytes);
      expect_identical(*bytes, counts);
    }
  }
  EXPECT_EQ(counts, (Counts{12, 13}));
}

struct Capture {
  const char* file;
  Counts counts;
};
class Captures : public testing::TestWithParam<Capture> {};

TEST_P(Captures, AreWrittenBackByteForByte) {
  const Bytes file = oakgate::test::read_file(std::string("tests/vectors/captures/") + GetParam().file);
  Counts counts;
  for (const auto& datagram : oakgate::test::udp_datagrams(file)) {
    if (datagram.destination.port == 500) expect_identical(datagram.payload, counts);
  }
  EXPECT_EQ(counts, GetParam().counts);
}

INSTANTIATE_TEST_SUITE_P(All, Captures,
                         testing::Values(Capture{"ISAKMP_sa_setup.pcap", {4, 5}},
                                         Capture{"ikev1-psk-main-mode-complete.pcapng", {4, 5}},
                                         Capture{"ikev1-psk-main-mode-incomplete.pcapng", {4, 4}},
                                         Capture{"ikev1-bug-12610.pcapng", {4, 12}},
                                         Capture{"ikev1-bug-12620.pcapng", {3, 7}},
                                         Capture{"ikev1-certs.pcap", {4, 6}}));

}  // namespace
}  // namespace oakgate::wire
