#include "xfrm/kernel/migration.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <linux/xfrm.h>

#include <cstring>

#include "xfrm/netlink/xfrm_state.h"

namespace oakgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const IpAddress kUs = IpAddress::parse("192.0.2.1").value();
const IpAddress kPeer = IpAddress::parse("198.51.100.2").value();
const IpAddress kOther = IpAddress::parse("198.51.100.3").value();

SaSpec example(Direction direction, std::uint32_t spi, std::uint16_t peers_port) {
  SaSpec sa;
  const bool in = direction == Direction::in;
  sa.direction = direction;
  sa.id = {in ? kUs : kPeer, IpsecProtocol::esp, Spi{spi}};
  sa.source = in ? kPeer : kUs;
  sa.reqid = Reqid{kReqidBase + 5};
  sa.selectors = {{*Subnet::parse("10.1.0.0/24"), 0, 0}, {*Subnet::parse("10.2.0.0/24"), 0, 0}};
  sa.cipher = EspCipher::aes_128;
  sa.integrity = Integrity::sha;
  sa.encryption_key = SecretBytes(Bytes(16, 0xaa));
  sa.integrity_key = SecretBytes(Bytes(20, 0xbb));
  sa.encapsulation = UdpEncapsulation{4500, peers_port};
  return sa;
}

class PortChanges : public ::testing::Test {
 protected:
  SaId add(const SaSpec& sa) {
    sas_[sa.id] = held(sa);
    return sa.id;
  }
  std::vector<PortChange> after(const SaId& told, const IpAddress& from, std::uint16_t port) {
    return port_changes(sas_, told, {from, port});
  }
  void apply(const std::vector<PortChange>& changes) {
    for (const PortChange& change : changes) sas_.at(change.id).moved_to = change.port;
  }
  HeldSas sas_;
};

TEST_F(PortChanges, TheOutboundSaFollowsAndTheInboundOneListens) {
  const SaId in = add(example(Direction::in, 1, 20001));
  const SaId out = add(example(Direction::out, 2, 20001));
  const auto changes = after(in, kPeer, 31001);
  EXPECT_THAT(changes, ElementsAre(PortChange{out, {}, 31001}, PortChange{in, {}, kAnyPort}));
  apply(changes);
  EXPECT_THAT(after(in, kPeer, 31001), IsEmpty()) << "said for each packet";
  EXPECT_THAT(after(in, kPeer, 20001), ElementsAre(PortChange{out, {}, 20001})) << "and back";
}

TEST_F(PortChanges, NothingElseFollows) {
  const SaId in = add(example(Direction::in, 1, 20001));
  add(example(Direction::out, 2, 31001));  // renewed since: an old packet comes late
  SaSpec tunnel = example(Direction::out, 3, 20001);
  tunnel.reqid = Reqid{kReqidBase + 6};
  add(tunnel);
  SaSpec elsewhere = example(Direction::out, 4, 20001);
  elsewhere.id.destination = kOther;
  add(elsewhere);
  EXPECT_THAT(after(in, kPeer, 31002), IsEmpty());
  EXPECT_THAT(after({kUs, IpsecProtocol::esp, Spi{9}}, kPeer, 31002), IsEmpty()) << "unknown";
  add(example(Direction::out, 5, 20001));
  EXPECT_THAT(after(in, kPeer, 0), IsEmpty()) << "nobody can answer to it";
}

TEST_F(PortChanges, AnotherAddressIsQuickModes) {
  const SaId in = add(example(Direction::in, 1, 20001));
  add(example(Direction::out, 2, 20001));
  EXPECT_THAT(after(in, kOther, 20001), IsEmpty());
}

TEST_F(PortChanges, APeerWithoutTranslationStays) {
  const SaId in = add(example(Direction::in, 1, 4500));
  add(example(Direction::out, 2, 4500));
  EXPECT_THAT(after(in, kPeer, 31001), IsEmpty());
}

// What the kernel would say of it.
NetlinkMessage said(const SaSpec& sa, std::uint64_t bytes = 0) {
  NetlinkMessage message = add_state_message(sa);
  const_cast<xfrm_usersa_info*>(netlink_header<xfrm_usersa_info>(message.header()))->curlft.bytes = bytes;
  return message;
}

TEST(ChangePortMessage, ChangesThePortAndNothingElse) {
  SaSpec sa = example(Direction::out, 2, 20001);
  sa.esn = true;
  sa.ties.mark = {7, 0xff};
  sa.ties.interface = TunnelInterface{.name = "ipsec7", .if_id = 7};
  sa.handling = {DfBit::clear, false, {}};
  const auto update = change_port_message(said(sa).header(), Direction::out, 31001);
  ASSERT_TRUE(update.has_value());
  EXPECT_EQ(XFRM_MSG_UPDSA, update->header().nlmsg_type);
  sa.encapsulation->remote_port = 31001;
  const NetlinkMessage wanted = add_state_message(sa);
  EXPECT_EQ(0, std::memcmp(netlink_header<xfrm_usersa_info>(wanted.header()),
                           netlink_header<xfrm_usersa_info>(update->header()), sizeof(xfrm_usersa_info)));
  const NetlinkAttributes here(update->header(), sizeof(xfrm_usersa_info));
  const NetlinkAttributes there(wanted.header(), sizeof(xfrm_usersa_info));
  for (std::uint16_t type = 1; type <= XFRMA_MAX; ++type) {
    const ByteView one = here.get(type);
    const ByteView other = there.get(type);
    EXPECT_EQ(Bytes(other.begin(), other.end()), Bytes(one.begin(), one.end())) << type;
  }
}

TEST(ChangePortMessage, OfAnInboundStateItIsTheSource) {
  const auto update =
      change_port_message(said(example(Direction::in, 1, 20001)).header(), Direction::in, kAnyPort);
  const auto udp =
      NetlinkAttributes(update->header(), sizeof(xfrm_usersa_info)).as<xfrm_encap_tmpl>(XFRMA_ENCAP);
  EXPECT_EQ(0, udp->encap_sport);
  EXPECT_EQ(htons(4500), udp->encap_dport);
}

TEST(ChangePortMessage, ASoftLimitThatWasToldIsNotToldAgain) {
  SaSpec sa = example(Direction::out, 2, 20001);
  sa.soft_kilobytes = Kilobytes{1};
  sa.hard_kilobytes = Kilobytes{2};
  const auto limits = [&](std::uint64_t bytes) {
    const auto update = change_port_message(said(sa, bytes).header(), Direction::out, 31001);
    return netlink_header<xfrm_usersa_info>(update->header())->lft;
  };
  EXPECT_EQ(1024U, limits(1023).soft_byte_limit);
  EXPECT_EQ(XFRM_INF, limits(1024).soft_byte_limit);
  EXPECT_EQ(2048U, limits(1024).hard_byte_limit);
}

TEST(ChangePortMessage, IsNotForWhatHasNoPort) {
  SaSpec sa = example(Direction::out, 2, 20001);
  sa.encapsulation.reset();
  EXPECT_FALSE(change_port_message(said(sa).header(), Direction::out, 1).has_value());
  const NetlinkMessage other(XFRM_MSG_DELSA, 0);
  EXPECT_FALSE(change_port_message(other.header(), Direction::out, 1).has_value());
  sa = example(Direction::out, 2, 20001);
  sa.ties.offload = Offload::crypto;
  EXPECT_FALSE(change_port_message(add_state_message(sa, 3).header(), Direction::out, 1).has_value());
}

}  // namespace
}  // namespace oakgate
