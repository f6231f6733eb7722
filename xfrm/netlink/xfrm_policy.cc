#include "xfrm/netlink/xfrm_policy.h"

#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "xfrm/netlink/routes.h"
#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {

namespace {

// Our priorities begin here: others that want to go before us have room.
constexpr std::uint32_t kPriorityBase = 0x1000;

constexpr auto kDirectionNames = std::to_array<std::string_view>({"in", "out", "fwd"});

xfrm_user_tmpl kernel_template(const PolicyTemplate& sa, IpsecProtocol protocol, EncapsulationMode mode) {
  xfrm_user_tmpl out{};
  out.id.daddr = to_xfrm(sa.destination);
  out.saddr = to_xfrm(sa.source);
  out.id.proto = static_cast<std::uint8_t>(protocol);
  out.family = xfrm_family(sa.destination.family());
  out.reqid = sa.reqid.value;
  out.mode = mode == EncapsulationMode::tunnel ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
  out.aalgos = out.ealgos = out.calgos = ~0U;  // the SA's own algorithms: the reqid is what binds
  return out;
}

// In the order the kernel applies them to what goes out: the first one has the mode that was negotiated.
Bytes kernel_templates(const PolicyTemplate& sa, PolicyDirection direction) {
  Bytes all;
  EncapsulationMode mode = sa.mode;
  const auto add = [&](IpsecProtocol protocol) {
    xfrm_user_tmpl one = kernel_template(sa, protocol, std::exchange(mode, EncapsulationMode::transport));
    one.optional = protocol == IpsecProtocol::comp && direction != PolicyDirection::out ? 1 : 0;
    const std::size_t at = all.size();
    all.resize(at + sizeof(one));
    std::memcpy(&all[at], &one, sizeof(one));
  };
  if (sa.compression) add(IpsecProtocol::comp);
  if (sa.protection != Protection::ah) add(IpsecProtocol::esp);
  if (sa.protection != Protection::esp) add(IpsecProtocol::ah);
  return all;
}

// Nothing if they are none of ours.
std::optional<PolicyTemplate> read_templates(ByteView all) {
  PolicyTemplate sa;
  bool esp = false;
  bool ah = false;
  for (std::size_t at = 0; at + sizeof(xfrm_user_tmpl) <= all.size(); at += sizeof(xfrm_user_tmpl)) {
    xfrm_user_tmpl one{};
    std::memcpy(&one, &all[at], sizeof(one));
    esp = esp || one.id.proto == IPPROTO_ESP;
    ah = ah || one.id.proto == IPPROTO_AH;
    sa.compression = sa.compression || one.id.proto == IPPROTO_COMP;
    if (at != 0) continue;
    sa.source = from_xfrm(one.saddr, one.family);
    sa.destination = from_xfrm(one.id.daddr, one.family);
    sa.reqid = Reqid{one.reqid};
    sa.mode = one.mode == XFRM_MODE_TUNNEL ? EncapsulationMode::tunnel : EncapsulationMode::transport;
  }
  if (all.size() < sizeof(xfrm_user_tmpl)) return std::nullopt;
  sa.protection = esp && ah ? Protection::ah_esp : ah ? Protection::ah : Protection::esp;
  return sa;
}

xfrm_userpolicy_info policy_info(const XfrmPolicy& policy) {
  xfrm_userpolicy_info info{};
  info.sel = to_xfrm(policy.source, policy.destination);
  if (policy.fragments) info.sel.sport_mask = info.sel.dport_mask = 0xffff;  // and both ports 0
  info.lft = unlimited_lifetime();
  info.priority = policy.priority;
  info.dir = static_cast<std::uint8_t>(policy.direction);
  info.index = policy.index == 0 ? 0 : policy.index | info.dir;
  info.action = policy.action == PolicyAction::allow ? XFRM_POLICY_ALLOW : XFRM_POLICY_BLOCK;
  info.share = XFRM_SHARE_ANY;
  return info;
}

void put_key(NetlinkMessage& message, const XfrmPolicy& policy) {
  put_mark(message, policy.mark);
  if (policy.if_id != 0) message.put_u32(XFRMA_IF_ID, policy.if_id);
}

}  // namespace

XfrmPolicy XfrmPolicy::key() const {
  XfrmPolicy key;
  key.direction = direction;
  key.source = source;
  key.destination = destination;
  key.fragments = fragments;
  key.mark = mark;
  key.if_id = if_id;
  return key;
}

bool XfrmPolicy::ours() const {
  if (sa) return sa->reqid.value >= kReqidBase && sa->reqid.value < kReqidBase + kReqidCount;
  return index >= kPolicyIndex && index < kPolicyIndexEnd;
}

std::string XfrmPolicy::to_string() const {
  std::string text(kDirectionNames[static_cast<std::size_t>(direction)]);
  text += " " + SelectorPair{source, destination}.to_string();
  if (!mark.all()) text += " mark " + mark.to_string();
  if (if_id != 0) text += " if_id " + std::to_string(if_id);
  return action == PolicyAction::block ? text + " block" : text;
}

std::uint32_t policy_priority(const Selector& source, const Selector& destination, bool exemption) {
  const auto missing = [](const Selector& side) {
    return side.subnet.address().bits() - side.subnet.prefix();
  };
  const auto missing_bits = static_cast<std::uint32_t>(missing(source) + missing(destination));
  std::uint32_t priority = kPriorityBase + missing_bits * 16;
  if (source.protocol == 0) priority += 8;
  if (source.port == 0) priority += 4;
  if (destination.port == 0) priority += 2;
  return exemption ? priority + 1 : priority;
}

NetlinkMessage policy_message(const XfrmPolicy& policy, PolicyUpdate update) {
  NetlinkMessage message(update == PolicyUpdate::replace ? XFRM_MSG_UPDPOLICY : XFRM_MSG_NEWPOLICY, 0);
  message.put_header<xfrm_userpolicy_info>() = policy_info(policy);
  if (policy.sa) message.put(XFRMA_TMPL, kernel_templates(*policy.sa, policy.direction));
  put_key(message, policy);
  // The kernel offloads those in and out alone.
  if (policy.offload_ifindex != 0 && policy.direction != PolicyDirection::forward)
    put_offload(message, policy.offload_ifindex, kOffloadPacket);
  return message;
}

NetlinkMessage remove_policy_message(const XfrmPolicy& policy) {
  NetlinkMessage message(XFRM_MSG_DELPOLICY, 0);
  auto& id = message.put_header<xfrm_userpolicy_id>();
  id.sel = policy_info(policy).sel;
  id.dir = static_cast<std::uint8_t>(policy.direction);
  put_key(message, policy);
  return message;
}

std::optional<XfrmPolicy> parse_policy(const nlmsghdr& message) {
  const auto* info = netlink_header<xfrm_userpolicy_info>(message);
  if (message.nlmsg_type != XFRM_MSG_NEWPOLICY || info == nullptr) return std::nullopt;
  if (info->dir > XFRM_POLICY_FWD) return std::nullopt;
  const auto selectors = from_xfrm(info->sel);
  if (!selectors) return std::nullopt;
  XfrmPolicy policy;
  policy.direction = PolicyDirection{info->dir};
  policy.source = selectors->source;
  policy.destination = selectors->destination;
  policy.fragments = info->sel.sport_mask == 0xffff && info->sel.sport == 0 && info->sel.dport == 0;
  policy.action = info->action == XFRM_POLICY_ALLOW ? PolicyAction::allow : PolicyAction::block;
  policy.priority = info->priority;
  policy.index = info->index & ~7U;
  const NetlinkAttributes attributes(message, sizeof(xfrm_userpolicy_info));
  policy.sa = read_templates(attributes.get(XFRMA_TMPL));
  policy.mark = mark_of(attributes);
  policy.if_id = attributes.u32(XFRMA_IF_ID);
  const auto device = attributes.as<xfrm_user_offload>(XFRMA_OFFLOAD_DEV);
  if (device) policy.offload_ifindex = static_cast<unsigned>(device->ifindex);
  return policy;
}

Result<std::vector<XfrmPolicy>> our_policies(NetlinkSocket& xfrm) {
  NetlinkMessage message(XFRM_MSG_GETPOLICY, 0);
  message.put_header<xfrm_userpolicy_id>();
  std::vector<XfrmPolicy> found;
  auto dumped = xfrm.dump(message, "list the XFRM policies", [&](const nlmsghdr& part) {
    const auto policy = parse_policy(part);
    if (policy && policy->ours()) found.push_back(*policy);
  });
  if (!dumped) return tl::unexpected(dumped.error());
  return found;
}

Result<void> bypass_socket(int socket_fd, Family family) {
  const auto refused = [](std::string_view what) {
    return fail(netlink_error({errno, {}}, std::string("let the IKE socket past the protected selectors (") +
                                               std::string(what) + ")"));
  };
  if (setsockopt(socket_fd, SOL_SOCKET, SO_MARK, &kBypassMark, sizeof(kBypassMark)) != 0)
    return refused("SO_MARK");
  if (!kernel_has_xfrm()) return {};
  const bool v4 = family == Family::ipv4;
  for (const auto direction : {XFRM_POLICY_IN, XFRM_POLICY_OUT}) {
    xfrm_userpolicy_info info{};
    info.sel.family = xfrm_family(family);
    info.lft = unlimited_lifetime();
    info.dir = static_cast<std::uint8_t>(direction);
    info.action = XFRM_POLICY_ALLOW;
    if (setsockopt(socket_fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_XFRM_POLICY : IPV6_XFRM_POLICY, &info,
                   sizeof(info)) != 0) {
      return refused(v4 ? "IP_XFRM_POLICY" : "IPV6_XFRM_POLICY");
    }
  }
  return {};
}

bool kernel_has_xfrm() {
  // The socket exists exactly if the kernel has, or can load, XFRM's netlink interface.
  return NetlinkSocket::open(NetlinkFamily::xfrm).has_value();
}

}  // namespace oakgate
