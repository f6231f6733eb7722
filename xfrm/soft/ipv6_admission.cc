#include "xfrm/soft/ipv6_admission.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/xfrm.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "xfrm/netlink/netlink_socket.h"

namespace oakgate::soft {

namespace {

constexpr const char* kChain = "mark";
constexpr int kPriorityRaw = -300;            // NF_IP6_PRI_RAW: before anything that judges
constexpr std::uint32_t kPolicyPriority = 1;  // before every selector's

// ---- nftables: one transaction of messages (a batch), by hand; the rule is too small for a library

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

class NftBatch {
 public:
  NftBatch() { begin_end(NFNL_MSG_BATCH_BEGIN); }

  nlmsghdr* add(std::uint16_t type, std::uint16_t flags) {
    nlmsghdr* header =
        start(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_IPV6, 0);
    return header;
  }
  // 0 or an errno.
  [[nodiscard]] int send() {
    last_->nlmsg_flags = static_cast<std::uint16_t>(last_->nlmsg_flags | NLM_F_ACK);
    const std::uint32_t awaited = last_->nlmsg_seq;
    begin_end(NFNL_MSG_BATCH_END);
    finish();
    const std::unique_ptr<mnl_socket, CloseSocket> socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return errno;
    if (mnl_socket_sendto(socket.get(), buffer_.data(), size_) < 0) return errno;
    return answer(*socket, awaited);
  }

 private:
  void begin_end(std::uint16_t type) { start(type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES); }
  nlmsghdr* start(std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint16_t resource) {
    finish();
    nlmsghdr* header = mnl_nlmsg_put_header(buffer_.data() + size_);
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = ++sequence_;
    auto* body = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    body->nfgen_family = family;
    body->version = NFNETLINK_V0;
    body->res_id = htons(resource);
    if (type != NFNL_MSG_BATCH_END) last_ = header;
    open_ = header;
    return header;
  }
  void finish() {
    if (open_ != nullptr) size_ += NLMSG_ALIGN(open_->nlmsg_len);
    open_ = nullptr;
  }
  // The kernel answers the message that asked for it, and every one that failed.
  [[nodiscard]] static int answer(mnl_socket& socket, std::uint32_t awaited) {
    alignas(nlmsghdr) std::array<char, 8192> buffer{};
    for (;;) {
      const ssize_t got = mnl_socket_recvfrom(&socket, buffer.data(), buffer.size());
      if (got < 0) return errno;
      const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
      for (int left = static_cast<int>(got); mnl_nlmsg_ok(header, left);
           header = mnl_nlmsg_next(header, &left)) {
        if (header->nlmsg_type != NLMSG_ERROR) continue;
        const int error = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
        if (error != 0 || header->nlmsg_seq == awaited) return error;
      }
    }
  }

  alignas(nlmsghdr) std::array<char, 4096> buffer_{};
  std::size_t size_ = 0;
  std::uint32_t sequence_ = 0;
  nlmsghdr* open_ = nullptr;
  nlmsghdr* last_ = nullptr;
};

void put_be32(nlmsghdr* header, std::uint16_t type, std::uint32_t value) {
  mnl_attr_put_u32(header, type, htonl(value));
}

// One expression of a rule: its name and what `fill` puts into its data.
void put_expression(nlmsghdr* header, const char* name, const std::function<void()>& fill) {
  nlattr* element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
  mnl_attr_put_strz(header, NFTA_EXPR_NAME, name);
  nlattr* data = mnl_attr_nest_start(header, NFTA_EXPR_DATA);
  fill();
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, element);
}

void put_data(nlmsghdr* header, std::uint16_t type, const void* value, std::size_t size) {
  nlattr* nest = mnl_attr_nest_start(header, type);
  mnl_attr_put(header, NFTA_DATA_VALUE, size, value);
  mnl_attr_nest_end(header, nest);
}

void put_table(NftBatch& batch, std::uint16_t type, std::uint16_t flags, const std::string& name) {
  mnl_attr_put_strz(batch.add(type, flags), NFTA_TABLE_NAME, name.c_str());
}

void put_chain(NftBatch& batch, const std::string& table, std::uint32_t hook_number) {
  nlmsghdr* header = batch.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, table.c_str());
  mnl_attr_put_strz(header, NFTA_CHAIN_NAME, kChain);
  mnl_attr_put_strz(header, NFTA_CHAIN_TYPE, "filter");
  nlattr* hook = mnl_attr_nest_start(header, NFTA_CHAIN_HOOK);
  put_be32(header, NFTA_HOOK_HOOKNUM, hook_number);
  put_be32(header, NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(kPriorityRaw));
  mnl_attr_nest_end(header, hook);
}

// iifname DEVICE meta mark set kFromTunnelMark
void put_rule(NftBatch& batch, const std::string& device) {
  nlmsghdr* header = batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  mnl_attr_put_strz(header, NFTA_RULE_TABLE, device.c_str());
  mnl_attr_put_strz(header, NFTA_RULE_CHAIN, kChain);
  std::array<char, IFNAMSIZ> name{};
  std::copy_n(device.begin(), std::min(device.size(), name.size() - 1), name.begin());
  nlattr* expressions = mnl_attr_nest_start(header, NFTA_RULE_EXPRESSIONS);
  put_expression(header, "meta", [&] {
    put_be32(header, NFTA_META_DREG, NFT_REG_1);
    put_be32(header, NFTA_META_KEY, NFT_META_IIFNAME);
  });
  put_expression(header, "cmp", [&] {
    put_be32(header, NFTA_CMP_SREG, NFT_REG_1);
    put_be32(header, NFTA_CMP_OP, NFT_CMP_EQ);
    put_data(header, NFTA_CMP_DATA, name.data(), name.size());
  });
  put_expression(header, "immediate", [&] {
    put_be32(header, NFTA_IMMEDIATE_DREG, NFT_REG_1);
    put_data(header, NFTA_IMMEDIATE_DATA, &kFromTunnelMark, sizeof(kFromTunnelMark));  // marks are host order
  });
  put_expression(header, "meta", [&] {
    put_be32(header, NFTA_META_SREG, NFT_REG_1);
    put_be32(header, NFTA_META_KEY, NFT_META_MARK);
  });
  mnl_attr_nest_end(header, expressions);
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
  NftBatch batch;
  // Whatever a killed run left under this name goes in the same transaction.
  put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, device);
  put_table(batch, NFT_MSG_DELTABLE, 0, device);
  put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE, device);
  put_chain(batch, device, everywhere ? NF_INET_PRE_ROUTING : NF_INET_LOCAL_IN);
  put_rule(batch, device);
  if (const int error = batch.send(); error != 0) {
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
  NftBatch batch;
  put_table(batch, NFT_MSG_DELTABLE, 0, device);
  (void)batch.send();
}

}  // namespace oakgate::soft
