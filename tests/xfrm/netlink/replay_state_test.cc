#include "xfrm/netlink/replay_state.h"

#include <gtest/gtest.h>
#include <linux/xfrm.h>

#include <bit>
#include <cstring>

#include "tests/xfrm/netns.h"

namespace oakgate {
namespace {

const SaId kSa{IpAddress::parse("192.0.2.2").value(), IpsecProtocol::esp, Spi{0x01020304}};

// xfrm_aevent_id of kSa.
std::string header_bytes() {
  return "c0000202" + std::string(24, '0')  // destination
         + "01020304"                       // SPI
         + "0200" + "32" + "00"             // AF_INET, ESP
         + std::string(32, '0')             // source
         + std::string(16, '0');            // flags, reqid
}

// Behind nlmsghdr, whose sequence number is the socket's.
std::string hex_body(const NetlinkMessage& message) {
  return to_hex(message.view().subspan(sizeof(nlmsghdr)));
}

static_assert(std::endian::native == std::endian::little, "the bytes below are little-endian");

TEST(ReplayMessage, QueryNamesTheSa) {
  const NetlinkMessage message = query_replay_message(kSa);
  EXPECT_EQ(XFRM_MSG_GETAE, message.header().nlmsg_type);
  EXPECT_EQ(NLM_F_REQUEST, message.header().nlmsg_flags & ~NLM_F_ACK);
  EXPECT_EQ(header_bytes(), hex_body(message));
  // XFRMA_MARK, 21
  EXPECT_EQ(header_bytes() + "0c001500" + "07000000" + "ff000000",
            hex_body(query_replay_message(kSa, {7, 0xff})));
}

TEST(ReplayMessage, SetsTheOldWindow) {
  ReplayState state;
  state.sent = 0x11;
  state.received = 0x22;
  state.seen = {0x80000001};
  const NetlinkMessage message = set_replay_message(kSa, state);
  EXPECT_EQ(XFRM_MSG_NEWAE, message.header().nlmsg_type);
  EXPECT_NE(0, message.header().nlmsg_flags & NLM_F_REPLACE) << "the kernel insists";
  // XFRMA_REPLAY_VAL, 10
  EXPECT_EQ(header_bytes() + "10000a00" + "11000000" + "22000000" + "01000080", hex_body(message));
  EXPECT_EQ(state, parse_replay_state(message.header()));
}

TEST(ReplayMessage, SetsTheExtendedWindowAndWhatWasUsed) {
  ReplayState state;
  state.sent = 0x3'0000'0007;
  state.received = 0x4'0000'0008;
  state.window = 64;
  state.seen = {1, 2};
  state.used = ReplayState::Used{1000, 10, 0x65000000, 0x65000001};
  const NetlinkMessage message = set_replay_message(kSa, state);
  EXPECT_EQ(header_bytes()
                // XFRMA_REPLAY_ESN_VAL, 23: words, oseq, seq, oseq_hi, seq_hi, window, bits
                + "24001700" + "02000000" + "07000000" + "08000000" + "03000000" + "04000000" + "40000000" +
                "01000000" +
                "02000000"
                // XFRMA_LTIME_VAL, 9
                + "24000900" + "e803000000000000" + "0a00000000000000" + "0000006500000000" +
                "0100006500000000",
            hex_body(message));
  EXPECT_EQ(state, parse_replay_state(message.header()));
}

TEST(ReplayMessage, BitsThatWereNotGivenAreNone) {
  ReplayState state;
  state.window = 4096;
  const NetlinkMessage message = set_replay_message(kSa, state);
  EXPECT_FALSE(message.overflowed());
  EXPECT_EQ(std::vector<std::uint32_t>(128), parse_replay_state(message.header())->seen);
}

TEST(ReplayMessage, WhatIsTooShortIsNoState) {
  ReplayState state;
  state.window = 64;
  const NetlinkMessage whole = set_replay_message(kSa, state);
  const NetlinkAttributes attributes(whole.header(), sizeof(xfrm_aevent_id));
  const ByteView value = attributes.get(XFRMA_REPLAY_ESN_VAL);
  for (std::size_t size = 0; size < value.size(); ++size) {
    NetlinkMessage cut(XFRM_MSG_NEWAE, 0);
    cut.put_header<xfrm_aevent_id>();
    cut.put(XFRMA_REPLAY_ESN_VAL, value.first(size));
    EXPECT_FALSE(parse_replay_state(cut.header()).has_value()) << size;
  }
  NetlinkMessage none(XFRM_MSG_NEWAE, 0);
  none.put_header<xfrm_aevent_id>();
  EXPECT_FALSE(parse_replay_state(none.header()).has_value());
  NetlinkMessage tiny(XFRM_MSG_NEWAE, 0);
  EXPECT_FALSE(parse_replay_state(tiny.header()).has_value());
  EXPECT_FALSE(parse_replay_state(query_replay_message(kSa).header()).has_value());
}

TEST(ReplayState, OfAnSaThatIsNotThereIsNotFound) {
  const test::Namespace ns;
  ns.enter([] {
    auto xfrm = NetlinkSocket::open(NetlinkFamily::xfrm);
    ASSERT_TRUE(xfrm) << xfrm.error().text;
    const auto read = read_replay_state(*xfrm, kSa);
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(ErrorCode::not_found, read.error().code) << read.error().text;
    const auto set = set_replay_state(*xfrm, kSa, {});
    ASSERT_FALSE(set.has_value());
    EXPECT_EQ(ErrorCode::not_found, set.error().code) << set.error().text;
  });
}

}  // namespace
}  // namespace oakgate
