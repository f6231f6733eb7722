#include "xfrm/netlink/nftables.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "xfrm/netlink/netlink_message.h"

namespace oakgate::nft {

namespace {

constexpr timeval kPatience{5, 0};  // the kernel answers at once, or something is very wrong

template <typename Value>
ByteView raw(const Value& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(value)};
}
Bytes be32(std::uint16_t type, std::uint32_t value) {
  return netlink_attribute(type, raw(htonl(value)));
}
Bytes text(std::uint16_t type, std::string_view value) {
  Bytes characters = to_bytes(as_bytes(value));
  characters.push_back(0);
  return netlink_attribute(type, characters);
}
Bytes nest(std::uint16_t type, ByteView inner) {
  return netlink_attribute(static_cast<std::uint16_t>(type | NLA_F_NESTED), inner);
}
Bytes expression(std::string_view name, const Bytes& data) {
  return nest(NFTA_LIST_ELEM, join({text(NFTA_EXPR_NAME, name), nest(NFTA_EXPR_DATA, data)}));
}
Bytes data(std::uint16_t type, ByteView value) {
  return nest(type, netlink_attribute(NFTA_DATA_VALUE, value));
}

Bytes compare(nft_cmp_ops operation, ByteView value) {
  return expression("cmp", join({be32(NFTA_CMP_SREG, NFT_REG_1), be32(NFTA_CMP_OP, operation),
                                 data(NFTA_CMP_DATA, value)}));
}
Bytes mask_register(ByteView mask) {
  const Bytes zero(mask.size());
  return expression("bitwise", join({be32(NFTA_BITWISE_SREG, NFT_REG_1), be32(NFTA_BITWISE_DREG, NFT_REG_1),
                                     be32(NFTA_BITWISE_LEN, static_cast<std::uint32_t>(mask.size())),
                                     data(NFTA_BITWISE_MASK, mask), data(NFTA_BITWISE_XOR, zero)}));
}
Bytes load_payload(std::uint32_t base, std::uint32_t offset, std::size_t size) {
  return expression("payload", join({be32(NFTA_PAYLOAD_DREG, NFT_REG_1), be32(NFTA_PAYLOAD_BASE, base),
                                     be32(NFTA_PAYLOAD_OFFSET, offset),
                                     be32(NFTA_PAYLOAD_LEN, static_cast<std::uint32_t>(size))}));
}

std::uint16_t subsystem_type(std::uint16_t type) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
}

Bytes whole_message(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, const nfgenmsg& body,
                    ByteView attributes) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof(header) + sizeof(body) + attributes.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header.nlmsg_seq = sequence;
  return join({raw(header), raw(body), attributes});  // all of them padded to 4 already
}

// The kernel answers the message that asked for it, and every one that failed.
int answer(mnl_socket& socket, std::uint32_t awaited) {
  alignas(nlmsghdr) std::array<char, 8192> buffer{};
  for (;;) {
    const ssize_t got = mnl_socket_recvfrom(&socket, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
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

}  // namespace

Bytes meta_is(std::uint32_t key, ByteView value) {
  return join({expression("meta", join({be32(NFTA_META_DREG, NFT_REG_1), be32(NFTA_META_KEY, key)})),
               compare(NFT_CMP_EQ, value)});
}
Bytes meta_is(std::uint32_t key, std::uint32_t value) {
  return meta_is(key, raw(value));
}

Bytes payload_is(std::uint32_t base, std::uint32_t offset, ByteView value, ByteView mask) {
  return join({load_payload(base, offset, value.size()), mask.empty() ? Bytes{} : mask_register(mask),
               compare(NFT_CMP_EQ, value)});
}

Bytes payload_has(std::uint32_t base, std::uint32_t offset, ByteView mask) {
  return join({load_payload(base, offset, mask.size()), mask_register(mask),
               compare(NFT_CMP_NEQ, Bytes(mask.size()))});
}

Bytes extension_has(std::uint8_t header, std::uint32_t offset, ByteView mask) {
  const Bytes load = join({be32(NFTA_EXTHDR_DREG, NFT_REG_1),
                           netlink_attribute(NFTA_EXTHDR_TYPE, raw(header)), be32(NFTA_EXTHDR_OFFSET, offset),
                           be32(NFTA_EXTHDR_LEN, static_cast<std::uint32_t>(mask.size()))});
  return join({expression("exthdr", load), mask_register(mask), compare(NFT_CMP_NEQ, Bytes(mask.size()))});
}

Bytes set_mark(std::uint32_t value) {
  return join(
      {expression("immediate",
                  join({be32(NFTA_IMMEDIATE_DREG, NFT_REG_1), data(NFTA_IMMEDIATE_DATA, raw(value))})),
       expression("meta", join({be32(NFTA_META_SREG, NFT_REG_1), be32(NFTA_META_KEY, NFT_META_MARK)}))});
}

Bytes verdict(int code) {
  const Bytes chosen = nest(NFTA_DATA_VERDICT, be32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code)));
  return expression("immediate",
                    join({be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT), nest(NFTA_IMMEDIATE_DATA, chosen)}));
}

Transaction::Transaction(std::uint8_t family) : family_(family) {
  message(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, {});
}

void Transaction::message(std::uint16_t type, std::uint16_t flags, std::uint8_t family,
                          std::uint16_t resource, const Bytes& attributes) {
  if (type != NFNL_MSG_BATCH_END) last_ = batch_.size();
  const Bytes added =
      whole_message(type, flags, ++sequence_, {family, NFNETLINK_V0, htons(resource)}, attributes);
  batch_.insert(batch_.end(), added.begin(), added.end());
}

void Transaction::add(std::uint16_t type, std::uint16_t flags, const Bytes& attributes) {
  message(subsystem_type(type), flags, family_, 0, attributes);
}

void Transaction::add_table(const std::string& name) {
  add(NFT_MSG_NEWTABLE, NLM_F_CREATE, text(NFTA_TABLE_NAME, name));
}
void Transaction::remove_table(const std::string& name) {
  add(NFT_MSG_DELTABLE, 0, text(NFTA_TABLE_NAME, name));
}
void Transaction::replace_table(const std::string& name) {
  add_table(name);
  remove_table(name);
  add_table(name);
}

void Transaction::add_chain(const std::string& table, const std::string& chain, std::uint32_t hook,
                            int priority) {
  add(NFT_MSG_NEWCHAIN, NLM_F_CREATE,
      join({text(NFTA_CHAIN_TABLE, table), text(NFTA_CHAIN_NAME, chain), text(NFTA_CHAIN_TYPE, "filter"),
            nest(NFTA_CHAIN_HOOK, join({be32(NFTA_HOOK_HOOKNUM, hook),
                                        be32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(priority))}))}));
}

void Transaction::add_rule(const std::string& table, const std::string& chain, const Rule& rule) {
  add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
      join({text(NFTA_RULE_TABLE, table), text(NFTA_RULE_CHAIN, chain), nest(NFTA_RULE_EXPRESSIONS, rule)}));
}

Bytes Transaction::finish() {
  nlmsghdr last;
  std::memcpy(&last, batch_.data() + last_, sizeof(last));
  last.nlmsg_flags = static_cast<std::uint16_t>(last.nlmsg_flags | NLM_F_ACK);
  std::memcpy(batch_.data() + last_, &last, sizeof(last));
  acknowledged_ = last.nlmsg_seq;
  message(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, {});
  return std::move(batch_);
}

void Connection::Close::operator()(mnl_socket* socket) const {
  mnl_socket_close(socket);
}

int Connection::open() {
  socket_.reset(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket_ || mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) return errno;
  setsockopt(mnl_socket_get_fd(socket_.get()), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  return 0;
}

int Connection::exchange(const Bytes& messages, std::uint32_t awaited) {
  const int fd = mnl_socket_get_fd(socket_.get());
  std::array<char, 512> stale{};  // further errors of a transaction that was refused
  while (::recv(fd, stale.data(), stale.size(), MSG_DONTWAIT) > 0) {
  }
  // A transaction is one datagram, however long.
  const int room = static_cast<int>(messages.size() + 4096);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
  if (mnl_socket_sendto(socket_.get(), messages.data(), messages.size()) < 0) return errno;
  return answer(*socket_, awaited);
}

int Connection::commit(Transaction& transaction) {
  const Bytes messages = transaction.finish();
  return exchange(messages, transaction.acknowledged());
}

int Connection::find_table(std::uint8_t family, const std::string& name) {
  constexpr std::uint32_t kSequence = 1;
  return exchange(whole_message(subsystem_type(NFT_MSG_GETTABLE), NLM_F_ACK, kSequence,
                                {family, NFNETLINK_V0, 0}, text(NFTA_TABLE_NAME, name)),
                  kSequence);
}

}  // namespace oakgate::nft
