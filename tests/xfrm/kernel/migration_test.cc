#include "xfrm/kernel/migration.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/xfrm.h>

#include <cstring>

#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {
namespace {

const IpAddress kUs = IpAddress::parse("192.0.2.1").value();
const IpAddress kPeer = IpAddress::parse("198.51.100.2").value();
const IpAddress kElsewhere = IpAddress::parse("198.51.100.77").value();
const Endpoint kOtherPort{kPeer, 31001};
const Endpoint kOtherPlace{kElsewhere, 31001};

SaSpec example(Direction direction) {
  SaSpec sa;
  const bool in = direction == Direction::in;
  sa.direction = direction;
  sa.id = {in ? kUs : kPeer, IpsecProtocol::esp, Spi{in ? 0x1001U : 0x1002U}};
  sa.source = in ? kPeer : kUs;
  sa.reqid = Reqid{kReqidBase + 5};
  sa.selectors = {{*Subnet::parse("10.1.0.0/24"), 0, 0}, {*Subnet::parse("10.2.0.0/24"), 0, 0}};
  sa.cipher = EspCipher::aes_128;
  sa.integrity = Integrity::sha;
  sa.encryption_key = SecretBytes(Bytes(16, 0xaa));
  sa.integrity_key = SecretBytes(Bytes(20, 0xbb));
  sa.encapsulation = UdpEncapsulation{4500, 20001};
  return sa;
}

SaSpec at(SaSpec sa, const Endpoint& place) {
  (sa.direction == Direction::in ? sa.source : sa.id.destination) = place.address;
  sa.encapsulation->remote_port = place.port;
  return sa;
}

constexpr xfrm_lifetime_cur kUsed{2000, 7, 1'700'000'000, 1'700'000'100};

xfrm_usersa_info& info_of(NetlinkMessage& message) {
  return *const_cast<xfrm_usersa_info*>(netlink_header<xfrm_usersa_info>(message.header()));
}

// What the kernel would say of it.
NetlinkMessage said(const SaSpec& sa, xfrm_lifetime_cur used = kUsed) {
  NetlinkMessage message = add_state_message(sa);
  info_of(message).curlft = used;
  info_of(message).stats = {1, 2, 3};
  info_of(message).seq = 99;
  return message;
}

Bytes attribute(const NetlinkMessage& message, std::uint16_t type) {
  const ByteView value = NetlinkAttributes(message.header(), sizeof(xfrm_usersa_info)).get(type);
  return {value.begin(), value.end()};
}

// But for those named, the message says what would be said of `wanted`, a state made there from the
// beginning.
void expect_same(const NetlinkMessage& wanted, const NetlinkMessage& message,
                 std::initializer_list<std::uint16_t> other = {}) {
  EXPECT_EQ(0, std::memcmp(netlink_header<xfrm_usersa_info>(wanted.header()),
                           netlink_header<xfrm_usersa_info>(message.header()), sizeof(xfrm_usersa_info)));
  for (std::uint16_t type = 1; type <= XFRMA_MAX; ++type) {
    if (std::find(other.begin(), other.end(), type) != other.end()) continue;
    EXPECT_EQ(attribute(wanted, type), attribute(message, type)) << type;
  }
}

std::vector<NetlinkMessage> moved(const SaSpec& sa, const Endpoint& place) {
  return move_messages(said(sa).header(), sa.direction, held(sa).mark, place);
}

SaSpec with_everything(Direction direction) {
  SaSpec sa = example(direction);
  sa.ties.mark = {7, 0xff};
  sa.ties.interface = TunnelInterface{.name = "ipsec7", .if_id = 7};
  sa.handling = {DfBit::clear, false, {}};
  sa.hard_time = Seconds(3600);
  sa.hard_kilobytes = Kilobytes{5000};
  sa.soft_kilobytes = Kilobytes{4000};
  sa.soft_packets = 900;
  sa.hard_packets = 1000;
  return sa;
}

TEST(MoveMessages, AnotherPortIsAnUpdateOfThatAlone) {
  for (const Direction direction : {Direction::in, Direction::out}) {
    for (const bool esn : {false, true}) {
      SaSpec sa = with_everything(direction);
      sa.esn = esn;
      const auto messages = moved(sa, kOtherPort);
      ASSERT_EQ(1U, messages.size());
      EXPECT_EQ(XFRM_MSG_UPDSA, messages[0].header().nlmsg_type);
      NetlinkMessage wanted = said(at(std::move(sa), kOtherPort));
      expect_same(wanted, messages[0]);
    }
  }
}

TEST(MoveMessages, AtAnotherAddressTheStateIsMadeAnewWithItsNumbers) {
  for (const Direction direction : {Direction::in, Direction::out}) {
    SaSpec sa = with_everything(direction);
    sa.replay_window = 32;
    sa.last_sequence = 500;
    const auto messages = moved(sa, kOtherPlace);
    ASSERT_EQ(2U, messages.size());
    const NetlinkMessage old_one = remove_state_message(sa.id, held(sa).mark);
    const ByteView end = messages[0].view();
    EXPECT_EQ(Bytes(old_one.view().begin(), old_one.view().end()), Bytes(end.begin(), end.end()));
    EXPECT_EQ(XFRM_MSG_NEWSA, messages[1].header().nlmsg_type);
    EXPECT_EQ(NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL,
              messages[1].header().nlmsg_flags & ~(NLM_F_ACK | NLM_F_ECHO));
    SaSpec there = at(std::move(sa), kOtherPlace);
    if (direction == Direction::out) there.last_sequence += kSkippedNumbers;
    expect_same(add_state_message(there), messages[1], {XFRMA_LTIME_VAL});
    const auto* used = reinterpret_cast<const std::uint8_t*>(&kUsed);
    EXPECT_EQ(Bytes(used, used + sizeof(kUsed)), attribute(messages[1], XFRMA_LTIME_VAL));
  }
}

// 0 of `bits`: the state has none of them.
NetlinkMessage said_with_window(const SaSpec& sa, std::uint64_t sent, std::uint64_t received,
                                std::uint32_t bits) {
  NetlinkMessage message = said(sa);
  const Bytes value = attribute(message, XFRMA_REPLAY_ESN_VAL);
  const ByteView there =
      NetlinkAttributes(message.header(), sizeof(xfrm_usersa_info)).get(XFRMA_REPLAY_ESN_VAL);
  auto* state = reinterpret_cast<xfrm_replay_state_esn*>(const_cast<std::uint8_t*>(there.data()));
  state->oseq = static_cast<std::uint32_t>(sent);
  state->oseq_hi = static_cast<std::uint32_t>(sent >> 32);
  state->seq = static_cast<std::uint32_t>(received);
  state->seq_hi = static_cast<std::uint32_t>(received >> 32);
  std::memcpy(const_cast<std::uint8_t*>(there.data()) + sizeof(*state), &bits, sizeof(bits));
  return message;
}

TEST(MoveMessages, TheWindowStaysAsItIs) {
  SaSpec sa = example(Direction::in);
  sa.replay_window = 1024;
  const NetlinkMessage state = said_with_window(sa, 0, 700, 0xdead'beef);
  const auto messages = move_messages(state.header(), sa.direction, {}, kOtherPlace);
  ASSERT_EQ(2U, messages.size());
  EXPECT_EQ(attribute(state, XFRMA_REPLAY_ESN_VAL), attribute(messages[1], XFRMA_REPLAY_ESN_VAL));
  EXPECT_TRUE(attribute(messages[1], XFRMA_REPLAY_VAL).empty()) << "the kernel takes but one of the two";
}

TEST(MoveMessages, SkippedNumbersCarryWithEsnAndEndWithout) {
  const auto sent_after = [](bool esn, std::uint64_t sent) {
    SaSpec sa = example(Direction::out);
    sa.esn = esn;
    sa.last_sequence = sent;
    const auto messages = moved(sa, kOtherPlace);
    const NetlinkAttributes said(messages[1].header(), sizeof(xfrm_usersa_info));
    if (const auto old = said.as<xfrm_replay_state>(XFRMA_REPLAY_VAL)) return std::uint64_t{old->oseq};
    xfrm_replay_state_esn state{};
    const ByteView value = said.get(XFRMA_REPLAY_ESN_VAL);
    if (value.size() >= sizeof(state)) std::memcpy(&state, value.data(), sizeof(state));
    return std::uint64_t{state.oseq_hi} << 32 | state.oseq;
  };
  EXPECT_EQ(100U + kSkippedNumbers, sent_after(false, 100));
  EXPECT_EQ(UINT32_MAX, sent_after(false, UINT32_MAX - 5));
  EXPECT_EQ(100U + kSkippedNumbers, sent_after(true, 100));
  EXPECT_EQ(UINT32_MAX - 5 + std::uint64_t{kSkippedNumbers}, sent_after(true, UINT32_MAX - 5));
  EXPECT_EQ(0U, sent_after(false, 0)) << "never used: RFC 4303 section 3.3.3 begins with 1";
}

TEST(MoveMessages, ASoftLimitThatWasToldIsNotToldAgain) {
  SaSpec sa = example(Direction::out);
  sa.soft_kilobytes = Kilobytes{1};
  sa.hard_kilobytes = Kilobytes{2};
  sa.soft_packets = 7;
  for (const Endpoint& place : {kOtherPort, kOtherPlace}) {
    const auto limits = [&](std::uint64_t bytes, std::uint64_t packets) {
      const auto messages = move_messages(said(sa, {bytes, packets, 0, 0}).header(), sa.direction, {}, place);
      return netlink_header<xfrm_usersa_info>(messages.back().header())->lft;
    };
    EXPECT_EQ(1024U, limits(1023, 6).soft_byte_limit);
    EXPECT_EQ(XFRM_INF, limits(1024, 6).soft_byte_limit);
    EXPECT_EQ(2048U, limits(1024, 6).hard_byte_limit);
    EXPECT_EQ(7U, limits(0, 6).soft_packet_limit);
    EXPECT_EQ(XFRM_INF, limits(0, 7).soft_packet_limit);
  }
}

TEST(MoveMessages, NoneForWhatCannotGo) {
  SaSpec sa = example(Direction::out);
  sa.ties.offload = Offload::crypto;
  for (const Endpoint& place : {kOtherPort, kOtherPlace}) {
    EXPECT_TRUE(move_messages(add_state_message(sa, 3).header(), sa.direction, {}, place).empty())
        << "a device would not hear of it";
    const NetlinkMessage other(XFRM_MSG_DELSA, 0);
    EXPECT_TRUE(move_messages(other.header(), Direction::out, {}, place).empty());
  }
  sa = example(Direction::out);
  sa.encryption_key = SecretBytes(Bytes(16, 0));
  EXPECT_TRUE(moved(sa, kOtherPlace).empty()) << "a kernel in lockdown does not tell keys";
  EXPECT_EQ(1U, moved(sa, kOtherPort).size()) << "which an update does not need";
  sa = example(Direction::out);
  sa.encapsulation.reset();
  EXPECT_TRUE(moved(sa, kOtherPort).empty());
}

TEST(MoveMessages, IpcompGoesAlongWithTheAddressAlone) {
  SaSpec sa = example(Direction::out);
  sa.id.protocol = IpsecProtocol::comp;
  sa.compression = Compression::deflate;
  sa.encapsulation.reset();
  EXPECT_TRUE(moved(sa, kOtherPort).empty());
  const auto messages = moved(sa, kOtherPlace);
  ASSERT_EQ(2U, messages.size());
  sa.id.destination = kElsewhere;
  expect_same(add_state_message(sa), messages[1], {XFRMA_LTIME_VAL});
}

TEST(MoveMessages, TheNameOfAnInboundSaStays) {
  const SaSpec in = example(Direction::in);
  EXPECT_EQ(in.id, name_at(in.id, in.direction, kOtherPlace));
  const SaSpec out = example(Direction::out);
  EXPECT_EQ((SaId{kElsewhere, IpsecProtocol::esp, out.id.spi}), name_at(out.id, out.direction, kOtherPlace));
}

}  // namespace
}  // namespace oakgate
