#include "xfrm/kernel/xfrm_events.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

namespace oakgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

NetlinkMessage acquire(std::uint32_t reqid) {
  NetlinkMessage message(XFRM_MSG_ACQUIRE, 0);
  message.put_header<xfrm_user_acquire>();
  xfrm_user_tmpl tmpl{};
  tmpl.reqid = reqid;
  message.put_struct(XFRMA_TMPL, tmpl);
  return message;
}

NetlinkMessage expire(std::uint32_t reqid, bool hard) {
  NetlinkMessage message(XFRM_MSG_EXPIRE, 0);
  auto& header = message.put_header<xfrm_user_expire>();
  header.hard = hard ? 1 : 0;
  header.state.reqid = reqid;
  header.state.family = AF_INET;
  header.state.id.proto = IPPROTO_ESP;
  header.state.id.spi = htonl(0x01020304);
  header.state.id.daddr.a4 = inet_addr("192.0.2.2");
  header.state.curlft.bytes = 840;
  header.state.curlft.packets = 10;
  header.state.stats.replay = 2;
  header.state.stats.integrity_failed = 1;
  return message;
}

const SaId kSa{*IpAddress::parse("192.0.2.2"), IpsecProtocol::esp, Spi{0x01020304}};

TEST(XfrmEvents, Acquires) {
  XfrmEventBatch batch;
  parse_xfrm_event(acquire(kReqidBase + 7).header(), batch);
  parse_xfrm_event(acquire(7).header(), batch);  // another program's
  parse_xfrm_event(acquire(kReqidBase + kReqidCount).header(), batch);
  EXPECT_THAT(batch.acquires, ElementsAre(Reqid{kReqidBase + 7}));
}

TEST(XfrmEvents, Limits) {
  XfrmEventBatch batch;
  parse_xfrm_event(expire(kReqidBase, true).header(), batch);
  EXPECT_THAT(batch.expired, ElementsAre(kSa));
  EXPECT_THAT(batch.soft_limits, IsEmpty());
  ASSERT_EQ(batch.last.size(), 1U);
  EXPECT_EQ(batch.last[0].id, kSa);
  EXPECT_EQ(batch.last[0].bytes, 840U);
  EXPECT_EQ(batch.last[0].packets, 10U);
  EXPECT_EQ(batch.last[0].replayed, 2U);
  EXPECT_EQ(batch.last[0].not_authentic, 1U);
  parse_xfrm_event(expire(kReqidBase, false).header(), batch);
  EXPECT_THAT(batch.soft_limits, ElementsAre(kSa));
  parse_xfrm_event(expire(9, true).header(), batch);
  EXPECT_EQ(1U, batch.expired.size());
}

NetlinkMessage mapping(std::uint32_t reqid, std::uint16_t port) {
  NetlinkMessage message(XFRM_MSG_MAPPING, 0);
  auto& header = message.put_header<xfrm_user_mapping>();
  header.reqid = reqid;
  header.id.family = AF_INET;
  header.id.proto = IPPROTO_ESP;
  header.id.spi = htonl(0x01020304);
  header.id.daddr.a4 = inet_addr("192.0.2.2");
  header.old_saddr.a4 = inet_addr("198.51.100.1");
  header.new_saddr.a4 = inet_addr("198.51.100.2");
  header.new_sport = htons(port);
  return message;
}

TEST(XfrmEvents, Mappings) {
  XfrmEventBatch batch;
  parse_xfrm_event(mapping(kReqidBase, 20001).header(), batch);
  parse_xfrm_event(mapping(kReqidBase, 20002).header(), batch);
  parse_xfrm_event(mapping(9, 20003).header(), batch);
  EXPECT_THAT(batch.moved, ElementsAre(MovedSa{kSa, {*IpAddress::parse("198.51.100.2"), 20002}}))
      << "each SA once, with the last word";
}

TEST(XfrmEvents, ShortMessagesSayNothing) {
  for (NetlinkMessage* message :
       {new NetlinkMessage(acquire(kReqidBase)), new NetlinkMessage(expire(kReqidBase, true)),
        new NetlinkMessage(mapping(kReqidBase, 1))}) {
    const std::unique_ptr<NetlinkMessage> owner(message);
    const std::uint32_t whole = message->header().nlmsg_len;
    for (std::uint32_t length = sizeof(nlmsghdr); length < whole; length += 4) {
      XfrmEventBatch batch;
      message->header().nlmsg_len = length;
      parse_xfrm_event(message->header(), batch);
      EXPECT_TRUE(batch.acquires.empty() && batch.expired.empty() && batch.moved.empty()) << length;
    }
  }
}

}  // namespace
}  // namespace oakgate
