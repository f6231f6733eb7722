#include "xfrm/netlink/policy_hash.h"

#include <linux/xfrm.h>

#include <optional>

namespace oakgate {

NetlinkMessage policy_hash_message(const PolicyHash& hash) {
  NetlinkMessage message(XFRM_MSG_NEWSPDINFO, NLM_F_ACK);
  message.put_header<std::uint32_t>();
  message.put_struct(XFRMA_SPD_IPV4_HTHRESH, xfrmu_spdhthresh{hash.ipv4.local, hash.ipv4.remote});
  message.put_struct(XFRMA_SPD_IPV6_HTHRESH, xfrmu_spdhthresh{hash.ipv6.local, hash.ipv6.remote});
  return message;
}

Result<PolicyHash> policy_hash(NetlinkSocket& xfrm) {
  NetlinkMessage message(XFRM_MSG_GETSPDINFO, NLM_F_ACK);
  message.put_header<std::uint32_t>();
  std::optional<PolicyHash> found;
  const auto asked = xfrm.request(message, "read how policies are hashed", [&](const nlmsghdr& answer) {
    if (answer.nlmsg_type != XFRM_MSG_NEWSPDINFO) return;
    const NetlinkAttributes attributes(answer, sizeof(std::uint32_t));
    const auto four = attributes.as<xfrmu_spdhthresh>(XFRMA_SPD_IPV4_HTHRESH);
    const auto six = attributes.as<xfrmu_spdhthresh>(XFRMA_SPD_IPV6_HTHRESH);
    if (four && six) found = PolicyHash{{four->lbits, four->rbits}, {six->lbits, six->rbits}};
  });
  if (!asked) return fail(asked.error());
  if (!found) return fail(ErrorCode::unsupported, "this kernel does not say how it hashes policies");
  return *found;
}

Result<void> set_policy_hash(NetlinkSocket& xfrm, const PolicyHash& hash) {
  NetlinkMessage message = policy_hash_message(hash);
  return xfrm.request(message, "have policies hashed");
}

}  // namespace oakgate
