#include "xfrm/kernel/migration.h"

#include <arpa/inet.h>
#include <linux/xfrm.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {

namespace {

// What the kernel wants to hear again of a state: without the algorithms and the window it takes the request
// for that of another one.
constexpr std::uint16_t kSaidAgain[] = {
    XFRMA_ALG_AEAD, XFRMA_ALG_CRYPT, XFRMA_ALG_AUTH_TRUNC, XFRMA_REPLAY_ESN_VAL, XFRMA_SA_EXTRA_FLAGS,
    XFRMA_MARK,     XFRMA_SET_MARK,  XFRMA_SET_MARK_MASK,  XFRMA_IF_ID,
};

// An update lets the kernel forget that it has told of a soft limit.
void drop_told_limits(xfrm_usersa_info& state) {
  if (state.curlft.bytes >= state.lft.soft_byte_limit) state.lft.soft_byte_limit = XFRM_INF;
  if (state.curlft.packets >= state.lft.soft_packet_limit) state.lft.soft_packet_limit = XFRM_INF;
}

}  // namespace

HeldSa held(const SaSpec& sa) {
  HeldSa held{sa.reqid, sa.direction == Direction::out ? sa.ties.mark : PacketMark{}, sa.direction};
  const auto& udp = sa.encapsulation;
  if (udp && udp->remote_port != udp->local_port) held.translated_port = udp->remote_port;
  return held;
}

std::vector<PortChange> port_changes(const HeldSas& sas, const SaId& told, const Endpoint& remote) {
  std::vector<PortChange> changes;
  const auto inbound = sas.find(told);
  if (inbound == sas.end() || inbound->second.translated_port == 0 || remote.port == kAnyPort) return changes;
  // In the order of destinations, those to the peer stand together.
  for (auto at = sas.lower_bound({remote.address, IpsecProtocol{}, Spi{}});
       at != sas.end() && at->first.destination == remote.address; ++at) {
    const HeldSa& sa = at->second;
    if (sa.direction != Direction::out || sa.reqid != inbound->second.reqid ||
        sa.translated_port != inbound->second.translated_port || sa.moved_to == remote.port)
      continue;
    changes.push_back({at->first, sa, remote.port});
  }
  if (!changes.empty() && !inbound->second.moved_to) changes.push_back({told, inbound->second, kAnyPort});
  return changes;
}

std::optional<NetlinkMessage> change_port_message(const nlmsghdr& state, Direction direction,
                                                  std::uint16_t port) {
  const auto* header = netlink_header<xfrm_usersa_info>(state);
  if (state.nlmsg_type != XFRM_MSG_NEWSA || header == nullptr) return std::nullopt;
  const NetlinkAttributes said(state, sizeof(xfrm_usersa_info));
  auto encapsulation = said.as<xfrm_encap_tmpl>(XFRMA_ENCAP);
  if (!encapsulation || said.has(XFRMA_OFFLOAD_DEV)) return std::nullopt;
  (direction == Direction::in ? encapsulation->encap_sport : encapsulation->encap_dport) = htons(port);
  NetlinkMessage message(XFRM_MSG_UPDSA, NLM_F_REPLACE);
  auto& info = message.put_header<xfrm_usersa_info>();
  std::memcpy(&info, header, sizeof(info));
  drop_told_limits(info);
  for (const std::uint16_t attribute : kSaidAgain) {
    if (said.has(attribute)) message.put(attribute, said.get(attribute));
  }
  message.put_struct(XFRMA_ENCAP, *encapsulation);
  return message;
}

Result<void> change_ports(NetlinkSocket& xfrm, std::span<const PortChange> changes) {
  std::vector<NetlinkMessage> queries;
  queries.reserve(changes.size());
  for (const PortChange& change : changes) queries.push_back(query_state_message(change.id, change.sa.mark));
  std::vector<NetlinkMessage> updates;
  auto read = xfrm.transact(queries, [&](const nlmsghdr& state) {
    const auto report = parse_state(state);
    const auto change = std::find_if(changes.begin(), changes.end(),
                                     [&](const PortChange& one) { return report && one.id == report->id; });
    if (change == changes.end()) return;
    auto update = change_port_message(state, change->sa.direction, change->port);
    if (update) updates.push_back(std::move(*update));
  });
  if (!read) return tl::unexpected(read.error());
  auto answers = xfrm.transact(updates);
  if (!answers) return tl::unexpected(answers.error());
  for (const NetlinkAnswer& answer : *answers) {
    if (!answer.ok() && answer.error != ESRCH)
      return fail(netlink_error(answer, "send to the peer's new UDP port"));
  }
  return {};
}

}  // namespace oakgate
