#include "xfrm/netlink/xfrm_state.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

#include <cstring>

#include "tests/xfrm/netns.h"
#include "xfrm/netlink/state_probe.h"

namespace oakgate {
namespace {

using ::testing::HasSubstr;

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

SaSpec example(Direction direction, EspCipher cipher, std::optional<Integrity> integrity) {
  SaSpec sa;
  sa.direction = direction;
  sa.id = {address("192.0.2.2"), IpsecProtocol::esp, Spi{0x01020304}};
  sa.source = address("192.0.2.1");
  sa.reqid = Reqid{kReqidBase + 5};
  sa.selectors = {{*Subnet::parse("10.1.0.0/24"), 6, 0}, {*Subnet::parse("10.2.0.0/24"), 6, 179}};
  sa.cipher = cipher;
  sa.integrity = integrity;
  sa.encryption_key = SecretBytes(Bytes(info(cipher).key_bytes + info(cipher).salt_bytes, 0xaa));
  if (integrity) sa.integrity_key = SecretBytes(Bytes(info(*integrity).key_bytes, 0xbb));
  return sa;
}

NetlinkAttributes attributes_of(const NetlinkMessage& message) {
  return {message.header(), sizeof(xfrm_usersa_info)};
}

// A struct with a flexible array at its end, which no std::optional can hold.
template <typename Struct>
const Struct* flexible(ByteView raw) {
  return raw.size() < sizeof(Struct) ? nullptr : reinterpret_cast<const Struct*>(raw.data());
}

TEST(StateMessage, NamesTheSaExclusively) {
  const NetlinkMessage message =
      add_state_message(example(Direction::out, EspCipher::aes_256, Integrity::sha256));
  EXPECT_EQ(XFRM_MSG_NEWSA, message.header().nlmsg_type);
  EXPECT_NE(0, message.header().nlmsg_flags & NLM_F_EXCL);
  const auto* header = netlink_header<xfrm_usersa_info>(message.header());
  ASSERT_NE(nullptr, header);
  EXPECT_EQ(htonl(0x01020304), header->id.spi);
  EXPECT_EQ(inet_addr("192.0.2.2"), header->id.daddr.a4);
  EXPECT_EQ(inet_addr("192.0.2.1"), header->saddr.a4);
  EXPECT_EQ(IPPROTO_ESP, header->id.proto);
  EXPECT_EQ(AF_INET, header->family);
  EXPECT_EQ(kReqidBase + 5, header->reqid);
  EXPECT_EQ(XFRM_MODE_TUNNEL, header->mode);
  EXPECT_EQ(0, header->flags) << "no ESN";
  EXPECT_FALSE(message.overflowed());
}

// The kernel has prefixes only; the policies are exact (guard_plan.h).
TEST(StateMessage, OfARangeHasTheSubnetAroundIt) {
  SaSpec sa = example(Direction::in, EspCipher::aes_256, Integrity::sha256);
  sa.selectors.local = Selector::of_range({address("10.1.0.10"), address("10.1.0.20")}, 6, 80);
  const NetlinkMessage message = add_state_message(sa);
  const auto& coming = netlink_header<xfrm_usersa_info>(message.header())->sel;
  EXPECT_EQ(inet_addr("10.1.0.0"), coming.daddr.a4);
  EXPECT_EQ(27, coming.prefixlen_d);
  EXPECT_EQ(htons(80), coming.dport);
}

SaSpec example_ah(const char* source, const char* destination, Integrity integrity) {
  SaSpec sa = example(Direction::in, EspCipher::aes_256, integrity);
  sa.id = {address(destination), IpsecProtocol::ah, Spi{0x01020304}};
  sa.source = address(source);
  sa.encryption_key = SecretBytes();
  return sa;
}

TEST(StateMessage, AhHasNoCipherAndTheAlignmentOfItsFamily) {
  const NetlinkMessage v4 = add_state_message(example_ah("192.0.2.1", "192.0.2.2", Integrity::sha256));
  const auto* header = netlink_header<xfrm_usersa_info>(v4.header());
  EXPECT_EQ(IPPROTO_AH, header->id.proto);
  EXPECT_EQ(XFRM_MODE_TUNNEL, header->mode);
  EXPECT_EQ(XFRM_STATE_ALIGN4, header->flags) << "RFC 4302: 28 bytes, not 32";
  EXPECT_EQ(inet_addr("10.2.0.0"), header->sel.saddr.a4);
  EXPECT_FALSE(attributes_of(v4).has(XFRMA_ALG_CRYPT));
  const auto* auth = flexible<xfrm_algo_auth>(attributes_of(v4).get(XFRMA_ALG_AUTH_TRUNC));
  ASSERT_NE(nullptr, auth);
  EXPECT_STREQ("hmac(sha256)", auth->alg_name);
  EXPECT_EQ(128U, auth->alg_trunc_len);
  const NetlinkMessage v6 = add_state_message(example_ah("2001:db8::1", "2001:db8::2", Integrity::sha256));
  EXPECT_EQ(0, netlink_header<xfrm_usersa_info>(v6.header())->flags);
}

TEST(StateMessage, AhOverEspIsInTransportModeWithoutSelectors) {
  SaSpec sa = example_ah("192.0.2.1", "192.0.2.2", Integrity::sha);
  sa.mode = EncapsulationMode::transport;
  sa.bundle = SaId{address("192.0.2.2"), IpsecProtocol::esp, Spi{0x01020305}};
  const NetlinkMessage message = add_state_message(sa);
  const auto* header = netlink_header<xfrm_usersa_info>(message.header());
  EXPECT_EQ(XFRM_MODE_TRANSPORT, header->mode);
  EXPECT_EQ(0U, header->sel.saddr.a4);
  EXPECT_EQ(0, header->sel.prefixlen_s);
  EXPECT_EQ(0, header->sel.proto);
  EXPECT_EQ(0, header->sel.family);
  EXPECT_NE(0, header->flags & XFRM_STATE_AF_UNSPEC) << "the kernel takes the outer family else";
}

TEST(StateMessage, IpcompHasAnAlgorithmAndNothingElse) {
  SaSpec sa = example(Direction::in, EspCipher::aes_256, {});
  sa.id = {address("192.0.2.2"), IpsecProtocol::comp, Spi{0x1234}};
  sa.encryption_key = SecretBytes();
  sa.compression = Compression::deflate;
  sa.replay_window = 64;
  const NetlinkMessage message = add_state_message(sa);
  const auto* header = netlink_header<xfrm_usersa_info>(message.header());
  EXPECT_EQ(IPPROTO_COMP, header->id.proto);
  EXPECT_EQ(htonl(0x1234), header->id.spi) << "the CPI in the lower bytes";
  EXPECT_EQ(XFRM_MODE_TUNNEL, header->mode);
  EXPECT_EQ(0, header->replay_window);
  EXPECT_EQ(inet_addr("10.2.0.0"), header->sel.saddr.a4) << "the inner packets are its";
  const auto* algorithm = flexible<xfrm_algo>(attributes_of(message).get(XFRMA_ALG_COMP));
  ASSERT_NE(nullptr, algorithm);
  EXPECT_STREQ("deflate", algorithm->alg_name);
  EXPECT_EQ(0U, algorithm->alg_key_len);
  for (const int other : {XFRMA_ALG_CRYPT, XFRMA_ALG_AUTH_TRUNC, XFRMA_REPLAY_ESN_VAL})
    EXPECT_FALSE(attributes_of(message).has(static_cast<std::uint16_t>(other))) << other;
}

TEST(StateMessage, WhatIsOverIpcompHasNoSelectors) {
  SaSpec sa = example(Direction::in, EspCipher::aes_256, Integrity::sha);
  sa.mode = EncapsulationMode::transport;
  sa.over_ipcomp = true;
  const NetlinkMessage message = add_state_message(sa);
  const auto* header = netlink_header<xfrm_usersa_info>(message.header());
  EXPECT_EQ(XFRM_MODE_TRANSPORT, header->mode);
  EXPECT_EQ(0U, header->sel.saddr.a4);
  EXPECT_EQ(0, header->sel.family);
  EXPECT_NE(0, header->flags & XFRM_STATE_AF_UNSPEC);
}

TEST(StateMessage, EspUnderAhMayHaveNoIntegrity) {
  SaSpec sa = example(Direction::out, EspCipher::aes_128, std::nullopt);
  sa.bundle = SaId{address("192.0.2.2"), IpsecProtocol::ah, Spi{0x01020305}};
  const NetlinkMessage message = add_state_message(sa);
  EXPECT_TRUE(attributes_of(message).has(XFRMA_ALG_CRYPT));
  EXPECT_FALSE(attributes_of(message).has(XFRMA_ALG_AUTH_TRUNC));
}

TEST(StateMessage, SelectorsFollowThePacket) {
  const NetlinkMessage out =
      add_state_message(example(Direction::out, EspCipher::aes_256, Integrity::sha256));
  const auto& leaving = netlink_header<xfrm_usersa_info>(out.header())->sel;
  EXPECT_EQ(inet_addr("10.1.0.0"), leaving.saddr.a4);
  EXPECT_EQ(inet_addr("10.2.0.0"), leaving.daddr.a4);
  EXPECT_EQ(htons(179), leaving.dport);
  EXPECT_EQ(0, leaving.sport_mask);
  const NetlinkMessage in = add_state_message(example(Direction::in, EspCipher::aes_256, Integrity::sha256));
  const auto& coming = netlink_header<xfrm_usersa_info>(in.header())->sel;
  EXPECT_EQ(inet_addr("10.2.0.0"), coming.saddr.a4);
  EXPECT_EQ(inet_addr("10.1.0.0"), coming.daddr.a4);
  EXPECT_EQ(htons(179), coming.sport);
}

TEST(StateMessage, SelectorsKeepTheInnerFamily) {
  SaSpec sa = example(Direction::out, EspCipher::aes_256, Integrity::sha256);
  sa.id.destination = address("2001:db8::2");
  sa.source = address("2001:db8::1");
  const NetlinkMessage message = add_state_message(sa);
  const auto* header = netlink_header<xfrm_usersa_info>(message.header());
  EXPECT_EQ(AF_INET6, header->family);
  EXPECT_EQ(AF_INET, header->sel.family);
}

TEST(StateMessage, CarriesEveryAlgorithmWithItsLengths) {
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    for (const IntegrityInfo& integrity : integrities()) {
      const auto with = cipher.aead() ? std::nullopt : std::optional(integrity.id);
      const NetlinkMessage message = add_state_message(example(Direction::out, cipher.id, with));
      const NetlinkAttributes attributes = attributes_of(message);
      if (cipher.aead()) {
        const auto* aead = flexible<xfrm_algo_aead>(attributes.get(XFRMA_ALG_AEAD));
        ASSERT_NE(nullptr, aead);
        EXPECT_STREQ(cipher.kernel, aead->alg_name);
        EXPECT_EQ((std::size_t{cipher.key_bytes} + cipher.salt_bytes) * 8, aead->alg_key_len);
        EXPECT_EQ(cipher.icv_bytes * 8U, aead->alg_icv_len);
        EXPECT_EQ(sizeof(xfrm_algo_aead) + cipher.key_bytes + 4, attributes.get(XFRMA_ALG_AEAD).size());
        EXPECT_FALSE(attributes.has(XFRMA_ALG_CRYPT));
        continue;
      }
      const auto* crypt = flexible<xfrm_algo>(attributes.get(XFRMA_ALG_CRYPT));
      ASSERT_NE(nullptr, crypt);
      EXPECT_STREQ(cipher.kernel, crypt->alg_name);
      EXPECT_EQ((std::size_t{cipher.key_bytes} + cipher.salt_bytes) * 8, crypt->alg_key_len);
      if (cipher.key_bytes != 0) {
        EXPECT_EQ(0xaa, attributes.get(XFRMA_ALG_CRYPT).back());
      }
      const auto* auth = flexible<xfrm_algo_auth>(attributes.get(XFRMA_ALG_AUTH_TRUNC));
      ASSERT_NE(nullptr, auth);
      EXPECT_STREQ(integrity.kernel, auth->alg_name);
      EXPECT_EQ(integrity.key_bytes * 8U, auth->alg_key_len);
      EXPECT_EQ(integrity.icv_bytes * 8U, auth->alg_trunc_len);
      EXPECT_EQ(0xbb, attributes.get(XFRMA_ALG_AUTH_TRUNC).back());
      EXPECT_FALSE(attributes.has(XFRMA_ALG_AUTH)) << "it would cut HMAC-SHA2-256 at 96 bits";
    }
  }
}

TEST(StateMessage, ExtendedSequenceNumbers) {
  for (const Direction direction : {Direction::in, Direction::out}) {
    SaSpec sa = example(direction, EspCipher::gcm_128, std::nullopt);
    sa.esn = true;
    sa.replay_window = 32;
    sa.last_sequence = 0x3'0000'0007;
    const NetlinkMessage message = add_state_message(sa);
    const auto* header = netlink_header<xfrm_usersa_info>(message.header());
    EXPECT_EQ(XFRM_STATE_ESN, header->flags & XFRM_STATE_ESN);
    EXPECT_EQ(0, header->replay_window);
    EXPECT_EQ(XFRM_INF, header->lft.hard_packet_limit);
    const auto* state = flexible<xfrm_replay_state_esn>(attributes_of(message).get(XFRMA_REPLAY_ESN_VAL));
    ASSERT_NE(nullptr, state);
    EXPECT_EQ(32U, state->replay_window);
    EXPECT_EQ(1U, state->bmp_len);
    const bool in = direction == Direction::in;
    EXPECT_EQ(in ? 7U : 0U, state->seq);
    EXPECT_EQ(in ? 3U : 0U, state->seq_hi);
    EXPECT_EQ(in ? 0U : 7U, state->oseq);
    EXPECT_EQ(in ? 0U : 3U, state->oseq_hi);
  }
}

TEST(StateMessage, WithoutThemAnSaEndsWithItsNumbers) {
  SaSpec sa = example(Direction::out, EspCipher::gcm_128, std::nullopt);
  sa.soft_packets = 1000;
  const NetlinkMessage out = add_state_message(sa);
  EXPECT_EQ(0xffff'ffffU, netlink_header<xfrm_usersa_info>(out.header())->lft.hard_packet_limit);
  EXPECT_EQ(1000U, netlink_header<xfrm_usersa_info>(out.header())->lft.soft_packet_limit);
  EXPECT_FALSE(attributes_of(out).has(XFRMA_REPLAY_VAL));
  sa.last_sequence = 5;
  const NetlinkMessage later = add_state_message(sa);
  ASSERT_TRUE(attributes_of(later).has(XFRMA_REPLAY_VAL));
}

TEST(StateMessage, DfAndDscp) {
  SaSpec sa = example(Direction::out, EspCipher::gcm_128, std::nullopt);
  EXPECT_EQ(0,
            netlink_header<xfrm_usersa_info>(add_state_message(sa).header())->flags & XFRM_STATE_NOPMTUDISC);
  EXPECT_FALSE(attributes_of(add_state_message(sa)).has(XFRMA_SA_EXTRA_FLAGS));
  sa.handling = {DfBit::clear, false, {}};
  const NetlinkMessage message = add_state_message(sa);
  EXPECT_NE(0, netlink_header<xfrm_usersa_info>(message.header())->flags & XFRM_STATE_NOPMTUDISC);
  const auto flags = attributes_of(message).get(XFRMA_SA_EXTRA_FLAGS);
  std::uint32_t value = 0;
  ASSERT_EQ(sizeof(value), flags.size());
  std::memcpy(&value, flags.data(), sizeof(value));
  EXPECT_EQ(std::uint32_t{XFRM_SA_XFLAG_DONT_ENCAP_DSCP}, value);
}

TEST(StateMessage, ReplayWindows) {
  SaSpec sa = example(Direction::in, EspCipher::gcm_128, std::nullopt);
  sa.replay_window = 32;
  const NetlinkMessage small = add_state_message(sa);
  EXPECT_EQ(32, netlink_header<xfrm_usersa_info>(small.header())->replay_window);
  EXPECT_FALSE(attributes_of(small).has(XFRMA_REPLAY_ESN_VAL));
  sa.replay_window = 1000;
  const NetlinkMessage large = add_state_message(sa);
  EXPECT_EQ(0, netlink_header<xfrm_usersa_info>(large.header())->replay_window);
  const auto* state = flexible<xfrm_replay_state_esn>(attributes_of(large).get(XFRMA_REPLAY_ESN_VAL));
  ASSERT_NE(nullptr, state);
  EXPECT_EQ(1000U, state->replay_window);
  EXPECT_EQ(32U, state->bmp_len);
  EXPECT_EQ(sizeof(xfrm_replay_state_esn) + 32 * 4, attributes_of(large).get(XFRMA_REPLAY_ESN_VAL).size());
  sa.direction = Direction::out;
  EXPECT_FALSE(attributes_of(add_state_message(sa)).has(XFRMA_REPLAY_ESN_VAL));
}

TEST(StateMessage, UdpPortsFollowThePacket) {
  SaSpec sa = example(Direction::out, EspCipher::gcm_128, std::nullopt);
  EXPECT_FALSE(attributes_of(add_state_message(sa)).has(XFRMA_ENCAP));
  sa.encapsulation = UdpEncapsulation{4500, 1024};
  const NetlinkMessage out = add_state_message(sa);
  const auto leaving = attributes_of(out).as<xfrm_encap_tmpl>(XFRMA_ENCAP);
  ASSERT_TRUE(leaving.has_value());
  EXPECT_EQ(UDP_ENCAP_ESPINUDP, leaving->encap_type);
  EXPECT_EQ(htons(4500), leaving->encap_sport);
  EXPECT_EQ(htons(1024), leaving->encap_dport);
  sa.direction = Direction::in;
  const NetlinkMessage in = add_state_message(sa);
  const auto coming = attributes_of(in).as<xfrm_encap_tmpl>(XFRMA_ENCAP);
  EXPECT_EQ(htons(1024), coming->encap_sport);
  EXPECT_EQ(htons(4500), coming->encap_dport);
}

TEST(StateMessage, Limits) {
  SaSpec sa = example(Direction::out, EspCipher::gcm_128, std::nullopt);
  const NetlinkMessage without = add_state_message(sa);
  const auto& none = netlink_header<xfrm_usersa_info>(without.header())->lft;
  EXPECT_EQ(XFRM_INF, none.hard_byte_limit);
  EXPECT_EQ(XFRM_INF, none.soft_byte_limit);
  EXPECT_EQ(0U, none.hard_add_expires_seconds);
  sa.hard_time = Seconds(3600);
  sa.hard_kilobytes = Kilobytes{4608000};
  sa.soft_kilobytes = Kilobytes{4000000};
  const NetlinkMessage with = add_state_message(sa);
  const auto& limits = netlink_header<xfrm_usersa_info>(with.header())->lft;
  EXPECT_EQ(3600U, limits.hard_add_expires_seconds);
  EXPECT_EQ(4608000U * 1024ULL, limits.hard_byte_limit);
  EXPECT_EQ(4000000U * 1024ULL, limits.soft_byte_limit);
}

// A mark on the inbound state would be looked for on the ESP packet, which has none.
TEST(StateMessage, AMarkIsAskedForOutboundAndGivenInbound) {
  SaSpec sa = example(Direction::out, EspCipher::gcm_128, std::nullopt);
  sa.ties.mark = {0x7, 0xff};
  const NetlinkMessage out = add_state_message(sa);
  const auto mark = attributes_of(out).as<xfrm_mark>(XFRMA_MARK);
  ASSERT_TRUE(mark.has_value());
  EXPECT_EQ(0x7U, mark->v);
  EXPECT_EQ(0xffU, mark->m);
  EXPECT_FALSE(attributes_of(out).has(XFRMA_SET_MARK));
  EXPECT_FALSE(attributes_of(out).has(XFRMA_IF_ID));
  sa.direction = Direction::in;
  const NetlinkMessage in = add_state_message(sa);
  EXPECT_FALSE(attributes_of(in).has(XFRMA_MARK));
  EXPECT_EQ(0x7U, attributes_of(in).u32(XFRMA_SET_MARK));
  EXPECT_EQ(0xffU, attributes_of(in).u32(XFRMA_SET_MARK_MASK));
}

TEST(StateMessage, OfAnInterfaceHasItsIfIdBothWays) {
  for (const Direction direction : {Direction::in, Direction::out}) {
    SaSpec sa = example(direction, EspCipher::gcm_128, std::nullopt);
    sa.ties.interface = TunnelInterface{.name = "ipsec7", .if_id = 7};
    const NetlinkMessage message = add_state_message(sa);
    EXPECT_EQ(7U, attributes_of(message).u32(XFRMA_IF_ID));
    const ByteView raw = attributes_of(message).get(XFRMA_IF_ID);
    EXPECT_EQ(4U, raw.size());
  }
}

TEST(StateMessage, OffloadNamesTheDeviceAndTheDirection) {
  SaSpec sa = example(Direction::out, EspCipher::gcm_128, std::nullopt);
  EXPECT_FALSE(attributes_of(add_state_message(sa, 3)).has(XFRMA_OFFLOAD_DEV)) << "not asked for";
  sa.ties.offload = Offload::crypto;
  const auto device = [](const NetlinkMessage& message) {
    return attributes_of(message).as<xfrm_user_offload>(XFRMA_OFFLOAD_DEV).value();
  };
  const NetlinkMessage out = add_state_message(sa, 3);
  EXPECT_EQ(3, device(out).ifindex);
  EXPECT_EQ(0, device(out).flags);
  sa.direction = Direction::in;
  EXPECT_EQ(2, device(add_state_message(sa, 3)).flags) << "XFRM_OFFLOAD_INBOUND";
  sa.ties.offload = Offload::packet;
  sa.source = address("2001:db8::1");
  sa.id.destination = address("2001:db8::2");
  EXPECT_EQ(7, device(add_state_message(sa, 3)).flags) << "XFRM_OFFLOAD_PACKET, _INBOUND and _IPV6";
}

TEST(StateMessage, WhatHasAMarkIsFoundByIt) {
  const SaId id{address("192.0.2.2"), IpsecProtocol::esp, Spi{0x01020304}};
  for (const NetlinkMessage& message :
       {query_state_message(id, {7, 0xff}), remove_state_message(id, {7, 0xff})}) {
    const auto mark = NetlinkAttributes(message.header(), sizeof(xfrm_usersa_id)).as<xfrm_mark>(XFRMA_MARK);
    ASSERT_TRUE(mark.has_value());
    EXPECT_EQ(7U, mark->v);
    EXPECT_EQ(0xffU, mark->m);
  }
}

TEST(IsState, AnotherMarkOrInterfaceIsAnotherSa) {
  for (const Direction direction : {Direction::in, Direction::out}) {
    SaSpec sa = example(direction, EspCipher::gcm_128, std::nullopt);
    sa.ties.mark = {7, 0xff};
    sa.ties.interface = TunnelInterface{.name = "ipsec7", .if_id = 7};
    const NetlinkMessage message = add_state_message(sa);
    EXPECT_TRUE(is_state(message.header(), sa));
    sa.ties.mark = {8, 0xff};
    EXPECT_FALSE(is_state(message.header(), sa));
    sa.ties.mark = {};
    EXPECT_FALSE(is_state(message.header(), sa));
    sa.ties.mark = {7, 0xff};
    sa.ties.interface->if_id = 8;
    EXPECT_FALSE(is_state(message.header(), sa));
  }
}

TEST(IsState, ThePeersPortMayHaveMoved) {
  for (const Direction direction : {Direction::in, Direction::out}) {
    SaSpec sa = example(direction, EspCipher::gcm_128, std::nullopt);
    sa.encapsulation = UdpEncapsulation{4500, 20001};
    const NetlinkMessage message = add_state_message(sa);
    sa.encapsulation->remote_port = 31001;
    EXPECT_TRUE(is_state(message.header(), sa));
    sa.encapsulation->local_port = 4501;
    EXPECT_FALSE(is_state(message.header(), sa));
    sa.encapsulation.reset();
    EXPECT_FALSE(is_state(message.header(), sa));
  }
}

TEST(ParseState, ReadsSequenceNumbersMarkAndOffload) {
  SaSpec sa = example(Direction::out, EspCipher::gcm_128, std::nullopt);
  sa.last_sequence = 5;
  sa.ties.mark = {7, 0xff};
  sa.ties.offload = Offload::crypto;
  const auto outbound = parse_state(add_state_message(sa, 3).header());
  EXPECT_EQ(5U, outbound->counters.sequence);
  EXPECT_EQ((PacketMark{7, 0xff}), outbound->mark);
  EXPECT_TRUE(outbound->offloaded);
  sa.direction = Direction::in;
  sa.esn = true;
  sa.last_sequence = 0x3'0000'0007;
  const auto inbound = parse_state(add_state_message(sa).header());
  EXPECT_EQ(0x3'0000'0007U, inbound->counters.sequence);
  EXPECT_FALSE(inbound->offloaded);
}

TEST(RefusedState, SaysWhatTheKernelLacks) {
  SaSpec sa = example(Direction::out, EspCipher::des3, Integrity::md5);
  const Error algorithm = refused_state(sa, {ENOSYS, {}}, "install it");
  EXPECT_EQ(ErrorCode::unsupported, algorithm.code);
  EXPECT_THAT(algorithm.text, HasSubstr("this kernel lacks cbc(des3_ede) or hmac(md5)"));
  EXPECT_THAT(algorithm.remedy, HasSubstr("modprobe des_generic md5"));
  const Error protocol = refused_state(sa, {EPROTONOSUPPORT, {}}, "install it");
  EXPECT_THAT(protocol.expected, HasSubstr("CONFIG_INET_ESP"));
  sa.ties.offload = Offload::packet;
  EXPECT_THAT(refused_state(sa, {EINVAL, {}}, "install it").remedy, HasSubstr("offload: no"));
}

TEST(StateMessage, QueriesAndRemovalsNameTheSa) {
  const SaId id{address("2001:db8::2"), IpsecProtocol::esp, Spi{0x01020304}};
  for (const auto& [message, type] : {std::pair(query_state_message(id), XFRM_MSG_GETSA),
                                      std::pair(remove_state_message(id), XFRM_MSG_DELSA)}) {
    EXPECT_EQ(type, message.header().nlmsg_type);
    const auto* named = netlink_header<xfrm_usersa_id>(message.header());
    ASSERT_NE(nullptr, named);
    EXPECT_EQ(AF_INET6, named->family);
    EXPECT_EQ(htonl(0x01020304), named->spi);
    EXPECT_EQ(IPPROTO_ESP, named->proto);
  }
}

TEST(ParseState, ReadsCounters) {
  NetlinkMessage message(XFRM_MSG_NEWSA, 0);
  auto& header = message.put_header<xfrm_usersa_info>();
  header.family = AF_INET;
  header.id.proto = IPPROTO_ESP;
  header.id.daddr.a4 = inet_addr("192.0.2.2");
  header.id.spi = htonl(0x01020304);
  header.reqid = kReqidBase + 5;
  header.curlft.bytes = 1000;
  header.curlft.packets = 10;
  header.stats.replay = 1;
  header.stats.replay_window = 2;
  header.stats.integrity_failed = 4;
  const auto report = parse_state(message.header());
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ((SaId{address("192.0.2.2"), IpsecProtocol::esp, Spi{0x01020304}}), report->id);
  EXPECT_EQ(Reqid{kReqidBase + 5}, report->reqid);
  EXPECT_EQ(1000U, report->counters.bytes);
  EXPECT_EQ(10U, report->counters.packets);
  EXPECT_EQ(3U, report->counters.replayed);
  EXPECT_EQ(4U, report->counters.not_authentic);
  message.header().nlmsg_len -= 8;
  EXPECT_FALSE(parse_state(message.header()).has_value()) << "too short";
}

// On a kernel with ESP the trial succeeds, on one without it says so; either way it leaves nothing.
TEST(ProbeEsp, SaysInWordsAndLeavesNothing) {
  const test::Namespace ns;
  std::vector<TransformSet> sets;
  for (const EspCipherInfo& cipher : esp_ciphers())
    sets.push_back({"s", cipher.id, cipher.aead() ? std::nullopt : std::optional(Integrity::sha256)});
  const auto probed = ns.enter([&] { return probe_esp(sets); });
  if (!probed) {
    EXPECT_EQ(ErrorCode::unsupported, probed.error().code) << probed.error().text;
    EXPECT_THAT(probed.error().text, ::testing::HasSubstr("cannot install an ESP SA over IPv4"));
    EXPECT_FALSE(probed.error().remedy.empty());
  }
  EXPECT_EQ("", ns.output("ip xfrm state"));
}

}  // namespace
}  // namespace oakgate
