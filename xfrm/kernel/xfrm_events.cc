#include "xfrm/kernel/xfrm_events.h"

#include <arpa/inet.h>
#include <linux/xfrm.h>

#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {

namespace {

constexpr unsigned kGroups[] = {XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING};

bool is_ours(std::uint32_t reqid) {
  return reqid >= kReqidBase && reqid < kReqidBase + kReqidCount;
}

// XFRM_MSG_MAPPING comes for each packet until the SA is replaced.
void add_mapping(const xfrm_user_mapping& mapping, XfrmEventBatch& batch) {
  const MovedSa moved{{from_xfrm(mapping.id.daddr, mapping.id.family), IpsecProtocol{mapping.id.proto},
                       Spi{ntohl(mapping.id.spi)}},
                      {from_xfrm(mapping.new_saddr, mapping.id.family), ntohs(mapping.new_sport)}};
  for (MovedSa& known : batch.moved) {
    if (known.id != moved.id) continue;
    known = moved;
    return;
  }
  batch.moved.push_back(moved);
}

}  // namespace

void parse_xfrm_event(const nlmsghdr& message, XfrmEventBatch& batch) {
  if (message.nlmsg_type == XFRM_MSG_ACQUIRE) {
    if (netlink_header<xfrm_user_acquire>(message) == nullptr) return;
    const auto tmpl = NetlinkAttributes(message, sizeof(xfrm_user_acquire)).as<xfrm_user_tmpl>(XFRMA_TMPL);
    if (tmpl && is_ours(tmpl->reqid)) batch.acquires.push_back(Reqid{tmpl->reqid});
  } else if (message.nlmsg_type == XFRM_MSG_MAPPING) {
    const auto* mapping = netlink_header<xfrm_user_mapping>(message);
    if (mapping != nullptr && is_ours(mapping->reqid)) add_mapping(*mapping, batch);
  } else if (message.nlmsg_type == XFRM_MSG_EXPIRE) {
    const auto* expire = netlink_header<xfrm_user_expire>(message);
    if (expire == nullptr || !is_ours(expire->state.reqid)) return;
    const SaId id{from_xfrm(expire->state.id.daddr, expire->state.family),
                  IpsecProtocol{expire->state.id.proto}, Spi{ntohl(expire->state.id.spi)}};
    (expire->hard != 0 ? batch.expired : batch.soft_limits).push_back(id);
    if (expire->hard != 0) batch.last.push_back(counters_of(expire->state, id));
  }
}

Result<XfrmEvents> XfrmEvents::open() {
  auto socket = NetlinkSocket::open_events(NetlinkFamily::xfrm, kGroups);
  if (!socket) return tl::unexpected(socket.error());
  return XfrmEvents(std::move(*socket));
}

Result<XfrmEventBatch> XfrmEvents::read() {
  XfrmEventBatch batch;
  auto overrun = socket_.receive([&](const nlmsghdr& message) { parse_xfrm_event(message, batch); });
  if (!overrun) return tl::unexpected(overrun.error());
  batch.overrun = *overrun;
  return batch;
}

}  // namespace oakgate
