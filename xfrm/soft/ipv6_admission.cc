#include "xfrm/soft/ipv6_admission.h"

#include <linux/if.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/xfrm.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "xfrm/netlink/netlink_socket.h"
#include "xfrm/netlink/nftables.h"

namespace oakgate::soft {

namespace {

constexpr const char* kChain = "mark";
constexpr int kPriorityRaw = -300;            // NF_IP6_PRI_RAW: before anything that judges
constexpr std::uint32_t kPolicyPriority = 1;  // before every selector's

// iifname DEVICE meta mark set kFromTunnelMark
nft::Rule mark_rule(const std::string& device) {
  std::array<std::uint8_t, IFNAMSIZ> name{};
  std::copy_n(device.begin(), std::min(device.size(), name.size() - 1), name.begin());
  return join({nft::meta_is(NFT_META_IIFNAME, name), nft::set_mark(kFromTunnelMark)});
}

int commit(nft::Transaction& transaction) {
  nft::Connection kernel;
  const int error = kernel.open();
  return error != 0 ? error : kernel.commit(transaction);
}

// ---- The policy

constexpr xfrm_mark kMark{kFromTunnelMark, 0xffff'ffff};

NetlinkMessage allow_message(std::uint8_t direction) {
  NetlinkMessage message(XFRM_MSG_UPDPOLICY, NLM_F_CREATE);
  auto& info = message.put_header<xfrm_userpolicy_info>();
  info.sel.family = AF_INET6;
  info.lft.soft_byte_limit = info.lft.hard_byte_limit = XFRM_INF;
  info.lft.soft_packet_limit = info.lft.hard_packet_limit = XFRM_INF;
  info.priority = kPolicyPriority;
  info.dir = direction;
  info.action = XFRM_POLICY_ALLOW;
  message.put_struct(XFRMA_MARK, kMark);
  return message;
}

NetlinkMessage remove_message(std::uint8_t direction) {
  NetlinkMessage message(XFRM_MSG_DELPOLICY, 0);
  auto& id = message.put_header<xfrm_userpolicy_id>();
  id.sel.family = AF_INET6;
  id.dir = direction;
  message.put_struct(XFRMA_MARK, kMark);
  return message;
}

}  // namespace

Result<void> admit_ipv6(const std::string& device, Admission admission) {
  const bool everywhere = admission == Admission::everywhere;
  nft::Transaction transaction(NFPROTO_IPV6);
  transaction.replace_table(device);  // whatever a killed run left under this name goes
  transaction.add_chain(device, kChain, everywhere ? NF_INET_PRE_ROUTING : NF_INET_LOCAL_IN, kPriorityRaw);
  transaction.add_rule(device, kChain, mark_rule(device));
  if (const int error = commit(transaction); error != 0) {
    return fail(ErrorCode::data_plane,
                std::string("IPv6 packets out of tunnels do not reach ") +
                    (everywhere ? "anybody" : "this gateway's own addresses (hosts behind it they do)") +
                    ": no nftables rule for " + device + ": " + std::strerror(error),
                "a kernel with nftables (CONFIG_NF_TABLES)", "`modprobe nf_tables`");
  }
  auto socket = NetlinkSocket::open(NetlinkFamily::xfrm);
  if (!socket) return fail(std::move(socket.error()));
  NetlinkMessage delivered = allow_message(XFRM_POLICY_IN);
  auto allowed = socket->request(delivered, "allow IPv6 packets out of tunnels to this host");
  if (!allowed || !everywhere) return allowed;
  NetlinkMessage forwarded = allow_message(XFRM_POLICY_FWD);
  return socket->request(forwarded, "allow IPv6 packets out of tunnels to be forwarded");
}

void withdraw_ipv6(const std::string& device) {
  if (auto socket = NetlinkSocket::open(NetlinkFamily::xfrm)) {
    for (const std::uint8_t direction : {XFRM_POLICY_IN, XFRM_POLICY_FWD}) {
      NetlinkMessage message = remove_message(direction);
      (void)socket->request(message, "remove the policy for IPv6 packets out of tunnels");
    }
  }
  nft::Transaction transaction(NFPROTO_IPV6);
  transaction.remove_table(device);
  (void)commit(transaction);
}

}  // namespace oakgate::soft
