#include "xfrm/netlink/policy_hash.h"

#include <gtest/gtest.h>
#include <linux/xfrm.h>

#include "tests/xfrm/netns.h"

namespace oakgate {
namespace {

TEST(PolicyHash, IsAskedForByTwoAttributes) {
  const NetlinkMessage message = policy_hash_message({{0, 24}, {8, 56}});
  const ByteView raw = message.view();
  EXPECT_EQ(message.header().nlmsg_type, XFRM_MSG_NEWSPDINFO);
  // flags, then XFRMA_SPD_IPV4_HTHRESH (3) and XFRMA_SPD_IPV6_HTHRESH (4) with two bytes each
  const Bytes expected{0, 0, 0, 0, 6, 0, 3, 0, 0, 24, 0, 0, 6, 0, 4, 0, 8, 56, 0, 0};
  EXPECT_EQ(to_bytes(raw.subspan(sizeof(nlmsghdr))), expected);
}

TEST(PolicyHash, IsTheNamespacesOwn) {
  const test::Namespace ns;
  auto xfrm = ns.enter([] { return NetlinkSocket::open(NetlinkFamily::xfrm); });
  ASSERT_TRUE(xfrm);
  EXPECT_EQ(policy_hash(*xfrm).value(), kKernelsPolicyHash);
  ASSERT_TRUE(set_policy_hash(*xfrm, kManyPairsPolicyHash));
  EXPECT_EQ(policy_hash(*xfrm).value(), kManyPairsPolicyHash);
  EXPECT_FALSE(set_policy_hash(*xfrm, {{33, 0}, {0, 0}}));
  EXPECT_EQ(policy_hash(*xfrm).value(), kManyPairsPolicyHash);
}

}  // namespace
}  // namespace oakgate
