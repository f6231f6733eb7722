// Captures of real gateways, looked at: what each packet is, decrypted by Wireshark's own keys, and what
// happened.
#include "daemon/decode/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.h"

namespace oakgate::decode {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

struct Looked {
  std::vector<Json> packets;
  Json story;
  [[nodiscard]] std::vector<std::string> said() const {
    return story["said"].get<std::vector<std::string>>();
  }
  [[nodiscard]] int count(const char* member) const {
    int found = 0;
    for (const Json& packet : packets) found += packet.value(member, false) ? 1 : 0;
    return found;
  }
};

capture::KeyTables tables_of(const std::vector<std::string>& names) {
  capture::KeyTables tables;
  for (const std::string& name : names) {
    const auto read =
        capture::read_table(oakgate::test::read_text("tests/vectors/captures/" + name), name, tables);
    EXPECT_TRUE(read);
  }
  return tables;
}

Looked look(const Bytes& file, const capture::KeyTables& tables) {
  Looked out;
  Decoder decoder(tables);
  const auto end = capture::read_capture(file, [&](const capture::Frame& frame) {
    Json packet = decoder.take(frame);
    if (!packet.is_null()) out.packets.push_back(std::move(packet));
  });
  EXPECT_TRUE(end && end->flaw.empty());
  out.story = decoder.story();
  return out;
}
Looked look(const std::string& name, const std::vector<std::string>& tables = {}) {
  return look(oakgate::test::read_file("tests/vectors/captures/" + name), tables_of(tables));
}

std::vector<std::string> payloads_of(const Json& packet) {
  std::vector<std::string> names;
  for (const Json& payload : packet["payloads"]) names.push_back(payload.value("payload", ""));
  return names;
}

TEST(Decoder, NamesEveryPayloadAndAttributeInClear) {
  const Looked looked = look("ikev1-psk-main-mode-complete.pcapng");
  ASSERT_EQ(looked.packets.size(), 9U);
  const Json& first = looked.packets[0];
  EXPECT_EQ(first["exchange"], "Main Mode");
  EXPECT_EQ(first["from"], "192.168.0.100:500");
  EXPECT_EQ(first["payloads"][0]["payload"], "SA");
  EXPECT_THAT(first["payloads"][0]["proposals"][0]["transforms"][0].value("text", ""),
              testing::AllOf(HasSubstr("encryption aes-128"), HasSubstr("hash sha"), HasSubstr("group2"),
                             HasSubstr("authentication pre-share"), HasSubstr("seconds")));
  EXPECT_THAT(payloads_of(looked.packets[2]), testing::AllOf(Contains("KE"), Contains("NONCE")));
  EXPECT_FALSE(looked.packets[6].value("decrypted", true));
  EXPECT_EQ(looked.packets[6].value("obstacle", ""), "no key for it");
  EXPECT_THAT(looked.said(), Contains(HasSubstr("Phase 1 is complete")));
  EXPECT_THAT(looked.said(),
              Contains(HasSubstr("Quick Mode that 192.168.0.100 began in packet 7: complete")));
}

TEST(Decoder, DecryptsBothPhasesByWiresharksTable) {
  const Looked looked = look("ikev1-certs.pcap", {"ikev1_decryption_table.tmpl"});
  ASSERT_EQ(looked.packets.size(), 10U);
  EXPECT_EQ(looked.count("decrypted"), 5)
      << "messages 5 and 6 and Quick Mode's; its first message comes twice";
  EXPECT_THAT(payloads_of(looked.packets[4]),
              testing::AllOf(Contains("ID"), Contains("CERT"), Contains("SIG")));
  EXPECT_EQ(looked.packets[7]["repeats"], 7);
  EXPECT_THAT(payloads_of(looked.packets[8]), Contains("SA"));
  EXPECT_THAT(looked.said(),
              Contains(testing::AllOf(HasSubstr("Quick Mode"), HasSubstr("complete"), HasSubstr("esp-"),
                                      HasSubstr("1 messages of it were sent again"))));
}

TEST(Decoder, AnotherKeyIsNamed) {
  capture::KeyTables tables;
  const Bytes file = oakgate::test::read_file("tests/vectors/captures/ikev1-certs.pcap");
  for (const auto& row : tables_of({"ikev1_decryption_table.tmpl"}).ike) {
    SecretBytes wrong = row.key.clone();
    for (std::uint8_t& byte : wrong.mutable_view()) byte ^= 0x55;
    tables.ike.push_back({row.initiator, std::move(wrong)});
  }
  const Looked looked = look(file, tables);
  EXPECT_EQ(looked.count("decrypted"), 0);
  EXPECT_THAT(looked.packets[4].value("obstacle", ""), HasSubstr("decrypts to nonsense"));
  EXPECT_THAT(looked.said(), Contains("The key given for it does not decrypt its messages."));
}

TEST(Decoder, XauthsPasswordIsNotShown) {
  const Looked looked = look("ikev1-bug-12610.pcapng", {"ikev1_decryption_table.tmpl"});
  int shown = 0;
  for (const Json& packet : looked.packets) {
    for (const Json& payload : packet["payloads"]) {
      if (payload["payload"] != "ATTR") continue;
      ++shown;
      EXPECT_THAT(payload.value("text", ""),
                  testing::MatchesRegex(
                      "(request|reply|set|acknowledgement) [0-9]+:( [A-Za-z0-9_-]+ \\([0-9]+\\)[?]?)*"));
    }
  }
  EXPECT_GT(shown, 4);
  EXPECT_GT(looked.count("decrypted"), 8);
}

TEST(Decoder, TellsAWrongPreSharedKeyBySilence) {
  const Looked looked = look("ikev1-psk-main-mode-incomplete.pcapng");
  EXPECT_THAT(looked.said(), Contains(testing::AllOf(HasSubstr("Message 5 of Main Mode, from 192.168.0.100"),
                                                     HasSubstr("another pre-shared key"))));
}

TEST(Decoder, OpensEspByWiresharksTable) {
  const Looked looked = look("esp-bug-12671.pcapng", {"esp_sa.tmpl"});
  ASSERT_EQ(looked.packets.size(), 6U);
  EXPECT_EQ(looked.packets[0].value("inner", ""), "10.1.1.1 -> 10.1.0.10 ICMP echo request, 84 bytes");
  EXPECT_EQ(looked.packets[1].value("inner", ""), "10.1.0.10 -> 10.1.1.1 ICMP echo reply, 84 bytes");
  ASSERT_EQ(looked.story["sas"].size(), 2U);
  EXPECT_EQ(looked.story["sas"][0]["decrypted"], 3);
  EXPECT_THAT(looked.said(), Not(Contains(HasSubstr("nothing comes back"))));
}

TEST(Decoder, SeesOneWayOnly) {
  const Looked looked = look("espudp1.pcap");
  ASSERT_EQ(looked.packets.size(), 8U);
  EXPECT_EQ(looked.packets[0].value("kind", ""), "ESP in UDP");
  EXPECT_EQ(looked.packets[0].value("spi", ""), "0x12345678");
  EXPECT_THAT(looked.said(), Contains(HasSubstr("from 192.1.2.23 to 192.1.2.45 only, nothing comes back")));
}

// A capture of what begins and ends in it: built by hand.
Bytes capture_of(const std::vector<std::pair<bool, Bytes>>& datagrams) {
  ByteWriter out;
  out.u32(0xa1b2c3d4);
  out.zeros(16);
  out.u32(101);
  for (const auto& [from_initiator, data] : datagrams) {
    out.u32(1'700'000'000);
    out.u32(0);
    out.u32(static_cast<std::uint32_t>(28 + data.size()));
    out.u32(static_cast<std::uint32_t>(28 + data.size()));
    out.u32(0x45000000 | static_cast<std::uint32_t>(28 + data.size()));
    out.u32(0);
    out.u32(0x40110000);
    out.u32(from_initiator ? 0xc0000201 : 0xc0000202);
    out.u32(from_initiator ? 0xc0000202 : 0xc0000201);
    out.u32(0x01f401f4);
    out.u16(static_cast<std::uint16_t>(8 + data.size()));
    out.u16(0);
    out.bytes(data);
  }
  return std::move(out).take();
}

Bytes message_1() {
  wire::Header header;
  header.cookies.initiator = {1, 1, 1, 1, 1, 1, 1, 1};
  header.exchange = wire::ExchangeType::identity_protection;
  wire::Transform transform{1, wire::kTransformKeyIke, {}};
  transform.attributes = {wire::Attribute::short_form(1, 5), wire::Attribute::short_form(2, 2),
                          wire::Attribute::short_form(3, 1), wire::Attribute::short_form(4, 2)};
  wire::SaPayload sa;
  sa.proposals = {{1, wire::kProtocolIsakmp, {}, {transform}}};
  const wire::Payload payload = sa;
  return wire::encode(header, {&payload, 1});
}

TEST(Story, SilenceIsCountedAndExplained) {
  const Bytes first = message_1();
  const Looked looked = look(capture_of({{true, first}, {true, first}, {true, first}}), {});
  EXPECT_EQ(looked.packets[2]["repeats"], 1);
  EXPECT_THAT(looked.said(),
              Contains(testing::AllOf(HasSubstr("Message 1 of Main Mode, from 192.0.2.1, was sent 3 times"),
                                      HasSubstr("UDP 500"))));
}

TEST(Story, NoProposalChosenNamesWhatWasOffered) {
  wire::Header header;
  header.cookies = {{1, 1, 1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2, 2, 2}};
  header.exchange = wire::ExchangeType::informational;
  header.message_id = MessageId{77};
  wire::NotifyPayload notify;
  notify.protocol = wire::kProtocolIsakmp;
  notify.type = NotifyType::no_proposal_chosen;
  const wire::Payload payload = notify;
  const Looked looked =
      look(capture_of({{true, message_1()}, {false, wire::encode(header, {&payload, 1})}}), {});
  EXPECT_THAT(looked.said(), Contains(HasSubstr("192.0.2.2 said NO-PROPOSAL-CHOSEN in clear")));
  EXPECT_THAT(looked.said(),
              Contains(testing::AllOf(HasSubstr("None of the ISAKMP policies that 192.0.2.1 offered"),
                                      HasSubstr("encryption 3des"), HasSubstr("group2"))));
}

TEST(Story, OfACaptureWithoutAnything) {
  EXPECT_THAT(look(capture_of({}), {}).said(), Contains(HasSubstr("neither ISAKMP nor ESP nor AH")));
}

}  // namespace
}  // namespace oakgate::decode
