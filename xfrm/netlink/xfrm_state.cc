#include "xfrm/netlink/xfrm_state.h"

#include <linux/udp.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {

xfrm_usersa_id kernel_id(const SaId& id) {
  xfrm_usersa_id out{};
  out.daddr = to_xfrm(id.destination);
  out.spi = htonl(id.spi.value);
  out.family = xfrm_family(id.destination.family());
  out.proto = static_cast<std::uint8_t>(id.protocol);
  return out;
}

namespace {

// Whether it takes what another SA of ours has made, not the inner packet.
bool over_another(const SaSpec& sa) {
  return sa.over_ipcomp || (sa.id.protocol == IpsecProtocol::ah && sa.bundle.has_value());
}

bool has_window(const SaSpec& sa) {
  return sa.id.protocol != IpsecProtocol::comp;
}

// ESN is this attribute's on both directions: it holds the numbers' high halves.
bool needs_bitmap(const SaSpec& sa) {
  if (!has_window(sa)) return false;
  return sa.esn || (sa.direction == Direction::in && sa.replay_window > 32);
}

xfrm_usersa_info state_info(const SaSpec& sa) {
  const bool in = sa.direction == Direction::in;
  xfrm_usersa_info info{};
  // The inner packet's selectors, of the inner family: inbound the kernel checks each decrypted packet
  // against them. What is over ESP or IPComp has none: theirs decide, and the inner family may be another.
  if (!over_another(sa)) {
    info.sel = in ? to_xfrm(sa.selectors.remote, sa.selectors.local)
                  : to_xfrm(sa.selectors.local, sa.selectors.remote);
  }
  info.id.daddr = to_xfrm(sa.id.destination);
  info.id.spi = htonl(sa.id.spi.value);
  info.id.proto = static_cast<std::uint8_t>(sa.id.protocol);
  info.saddr = to_xfrm(sa.source);
  info.family = xfrm_family(sa.id.destination.family());
  info.reqid = sa.reqid.value;
  info.mode = sa.mode == EncapsulationMode::tunnel ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
  // RFC 4302 section 2.6: over IPv4 the AH header is a multiple of 4 bytes, over IPv6 of 8. Linux takes 8 for
  // both unless it is told.
  if (sa.id.protocol == IpsecProtocol::ah && sa.source.is_v4()) info.flags |= XFRM_STATE_ALIGN4;
  // Without selectors the state would get the outer family for one, and serve no inner packet of the other.
  if (over_another(sa)) info.flags |= XFRM_STATE_AF_UNSPEC;
  info.lft = unlimited_lifetime();
  if (sa.esn) info.flags |= XFRM_STATE_ESN;
  if (sa.handling.df_bit == DfBit::clear) info.flags |= XFRM_STATE_NOPMTUDISC;
  info.lft.hard_add_expires_seconds = static_cast<std::uint64_t>(sa.hard_time.count());
  if (sa.hard_kilobytes.value != 0) info.lft.hard_byte_limit = sa.hard_kilobytes.value * 1024;
  if (sa.soft_kilobytes.value != 0) info.lft.soft_byte_limit = sa.soft_kilobytes.value * 1024;
  if (sa.soft_packets != 0) info.lft.soft_packet_limit = sa.soft_packets;
  // RFC 4303 section 3.3.3: the sequence numbers' end is the SA's. The kernel by itself would refuse the
  // packets and keep the SA.
  if (!in && !sa.esn && has_window(sa)) info.lft.hard_packet_limit = UINT32_MAX;
  if (sa.hard_packets != 0)
    info.lft.hard_packet_limit = std::min<std::uint64_t>(info.lft.hard_packet_limit, sa.hard_packets);
  // The old field ends at 32 packets; more needs XFRMA_REPLAY_ESN_VAL, which then must stand alone.
  if (in && has_window(sa) && !needs_bitmap(sa))
    info.replay_window = static_cast<std::uint8_t>(sa.replay_window);
  return info;
}

// An algorithm attribute: the kernel's struct with the key right behind it.
template <typename Algorithm>
void put_algorithm(NetlinkMessage& message, std::uint16_t attribute, Algorithm algorithm, const char* name,
                   const SecretBytes& key) {
  std::strncpy(algorithm.alg_name, name, sizeof(algorithm.alg_name) - 1);
  algorithm.alg_key_len = static_cast<unsigned>(key.size() * 8);
  SecretBytes value(sizeof(Algorithm) + key.size());
  std::memcpy(value.mutable_view().data(), &algorithm, sizeof(Algorithm));
  std::copy(key.view().begin(), key.view().end(), value.mutable_view().begin() + sizeof(Algorithm));
  message.put(attribute, value.view());
}

void put_algorithms(NetlinkMessage& message, const SaSpec& sa) {
  if (sa.id.protocol == IpsecProtocol::comp) {
    if (sa.compression) put_algorithm(message, XFRMA_ALG_COMP, xfrm_algo{}, info(*sa.compression).kernel, {});
    return;
  }
  if (sa.id.protocol == IpsecProtocol::esp) {
    const EspCipherInfo& cipher = info(sa.cipher);
    if (cipher.aead()) {
      xfrm_algo_aead aead{};
      aead.alg_icv_len = cipher.icv_bytes * 8U;
      put_algorithm(message, XFRMA_ALG_AEAD, aead, cipher.kernel, sa.encryption_key);
      return;
    }
    put_algorithm(message, XFRMA_ALG_CRYPT, xfrm_algo{}, cipher.kernel, sa.encryption_key);
  }
  if (!sa.integrity) return;
  // Always with the length: without it Linux cuts HMAC-SHA2-256 at 96 bits, where RFC 4868 says 128.
  xfrm_algo_auth auth{};
  auth.alg_trunc_len = info(*sa.integrity).icv_bytes * 8U;
  put_algorithm(message, XFRMA_ALG_AUTH_TRUNC, auth, info(*sa.integrity).kernel, sa.integrity_key);
}

// Where the numbers begin.
void put_sequence(NetlinkMessage& message, const SaSpec& sa) {
  xfrm_replay_state state{};
  (sa.direction == Direction::in ? state.seq : state.oseq) = static_cast<std::uint32_t>(sa.last_sequence);
  message.put_struct(XFRMA_REPLAY_VAL, state);
}

void put_replay_window(NetlinkMessage& message, const SaSpec& sa) {
  const bool in = sa.direction == Direction::in;
  xfrm_replay_state_esn state{};
  (in ? state.seq : state.oseq) = static_cast<std::uint32_t>(sa.last_sequence);
  (in ? state.seq_hi : state.oseq_hi) = static_cast<std::uint32_t>(sa.last_sequence >> 32);
  state.replay_window = sa.replay_window;
  state.bmp_len = (sa.replay_window + 31U) / 32U;
  Bytes value(sizeof(state) + state.bmp_len * sizeof(std::uint32_t));
  std::memcpy(value.data(), &state, sizeof(state));
  message.put(XFRMA_REPLAY_ESN_VAL, value);
}

xfrm_encap_tmpl encapsulation_of(const SaSpec& sa) {
  const bool in = sa.direction == Direction::in;
  xfrm_encap_tmpl encapsulation{};
  encapsulation.encap_type =
      sa.encapsulation->non_ike_marker ? UDP_ENCAP_ESPINUDP_NON_IKE : UDP_ENCAP_ESPINUDP;
  encapsulation.encap_sport = htons(in ? sa.encapsulation->remote_port : sa.encapsulation->local_port);
  encapsulation.encap_dport = htons(in ? sa.encapsulation->local_port : sa.encapsulation->remote_port);
  return encapsulation;
}

// The mark of a state is what the packets it takes carry: outbound the traffic that the policy has found by
// its mark. Inbound it would be that of the ESP packet, before anybody has looked inside: such a state takes
// all, and gives the mark to what it has decrypted, so that the policies find that.
void put_ties(NetlinkMessage& message, const SaSpec& sa, unsigned offload_ifindex) {
  const PacketMark& mark = sa.ties.mark;
  if (!mark.all() && sa.direction == Direction::out) put_mark(message, mark);
  if (!mark.all() && sa.direction == Direction::in) {
    message.put_u32(XFRMA_SET_MARK, mark.value);
    message.put_u32(XFRMA_SET_MARK_MASK, mark.mask);
  }
  if (sa.ties.if_id() != 0) message.put_u32(XFRMA_IF_ID, sa.ties.if_id());
  if (sa.ties.offload == Offload::none || offload_ifindex == 0) return;
  std::uint8_t flags = sa.source.is_v4() ? 0 : kOffloadIpv6;
  if (sa.direction == Direction::in) flags |= kOffloadInbound;
  if (sa.ties.offload == Offload::packet) flags |= kOffloadPacket;
  put_offload(message, offload_ifindex, flags);
}

}  // namespace

void put_offload(NetlinkMessage& message, unsigned ifindex, std::uint8_t flags) {
  xfrm_user_offload device{};
  device.ifindex = static_cast<int>(ifindex);
  device.flags = flags;
  message.put_struct(XFRMA_OFFLOAD_DEV, device);
}

NetlinkMessage add_state_message(const SaSpec& sa, unsigned offload_ifindex) {
  NetlinkMessage message(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);
  message.put_header<xfrm_usersa_info>() = state_info(sa);
  put_algorithms(message, sa);
  if (needs_bitmap(sa)) {
    put_replay_window(message, sa);
  } else if (sa.last_sequence != 0) {
    put_sequence(message, sa);
  }
  if (!sa.handling.copy_dscp && sa.direction == Direction::out) {
    constexpr std::uint32_t kFlags = XFRM_SA_XFLAG_DONT_ENCAP_DSCP;
    message.put_struct(XFRMA_SA_EXTRA_FLAGS, kFlags);
  }
  if (sa.encapsulation) message.put_struct(XFRMA_ENCAP, encapsulation_of(sa));
  put_ties(message, sa, offload_ifindex);
  return message;
}

NetlinkMessage remove_state_message(const SaId& id, const PacketMark& mark) {
  NetlinkMessage message(XFRM_MSG_DELSA, 0);
  message.put_header<xfrm_usersa_id>() = kernel_id(id);
  put_mark(message, mark);
  return message;
}

NetlinkMessage query_state_message(const SaId& id, const PacketMark& mark) {
  NetlinkMessage message(XFRM_MSG_GETSA, 0);
  message.put_header<xfrm_usersa_id>() = kernel_id(id);
  put_mark(message, mark);
  return message;
}

namespace {

// Of the two numbers the one of the other direction stays 0.
std::uint64_t sequence_of(const NetlinkAttributes& attributes) {
  const ByteView raw = attributes.get(XFRMA_REPLAY_ESN_VAL);
  if (raw.size() >= sizeof(xfrm_replay_state_esn)) {
    xfrm_replay_state_esn esn;
    std::memcpy(&esn, raw.data(), sizeof(esn));
    const auto whole = [](std::uint32_t high, std::uint32_t low) { return std::uint64_t{high} << 32 | low; };
    return std::max(whole(esn.oseq_hi, esn.oseq), whole(esn.seq_hi, esn.seq));
  }
  const auto state = attributes.as<xfrm_replay_state>(XFRMA_REPLAY_VAL);
  return state ? std::max(state->oseq, state->seq) : 0;
}

}  // namespace

std::optional<StateReport> parse_state(const nlmsghdr& message) {
  const auto* header = netlink_header<xfrm_usersa_info>(message);
  if (message.nlmsg_type != XFRM_MSG_NEWSA || header == nullptr) return std::nullopt;
  if (header->id.proto != IPPROTO_ESP && header->id.proto != IPPROTO_AH && header->id.proto != IPPROTO_COMP)
    return std::nullopt;
  StateReport report;
  report.id = {from_xfrm(header->id.daddr, header->family), IpsecProtocol{header->id.proto},
               Spi{ntohl(header->id.spi)}};
  report.reqid = Reqid{header->reqid};
  report.larval = header->id.spi == 0;
  report.past_soft_limit = header->curlft.bytes >= header->lft.soft_byte_limit ||
                           header->curlft.packets >= header->lft.soft_packet_limit;
  report.counters = counters_of(*header, report.id);
  const NetlinkAttributes attributes(message, sizeof(xfrm_usersa_info));
  report.counters.sequence = sequence_of(attributes);
  report.mark = mark_of(attributes);
  report.offloaded = attributes.has(XFRMA_OFFLOAD_DEV);
  return report;
}

SaCounters counters_of(const xfrm_usersa_info& state, const SaId& id) {
  SaCounters counters{.id = id};
  counters.bytes = state.curlft.bytes;
  counters.packets = state.curlft.packets;
  counters.replayed = std::uint64_t{state.stats.replay} + state.stats.replay_window;
  counters.not_authentic = state.stats.integrity_failed;
  return counters;
}

namespace {

SaSpec with_blank_keys(const SaSpec& sa) {
  SaSpec blank;
  blank.id = sa.id;
  blank.cipher = sa.cipher;
  blank.integrity = sa.integrity;
  blank.compression = sa.compression;
  if (sa.id.protocol == IpsecProtocol::esp)
    blank.encryption_key = SecretBytes(std::size_t{info(sa.cipher).key_bytes} + info(sa.cipher).salt_bytes);
  if (sa.integrity) blank.integrity_key = SecretBytes(std::size_t{info(*sa.integrity).key_bytes});
  return blank;
}

bool same_bytes(const void* one, const void* other, std::size_t size) {
  return std::memcmp(one, other, size) == 0;
}

// The kernel says a little more than it was told: only the algorithms' names and lengths are looked at.
bool same_algorithms(const NetlinkAttributes& held, const SaSpec& sa) {
  constexpr std::pair<std::uint16_t, std::size_t> kHeads[] = {
      {XFRMA_ALG_AEAD, sizeof(xfrm_algo_aead)},
      {XFRMA_ALG_CRYPT, sizeof(xfrm_algo)},
      {XFRMA_ALG_AUTH_TRUNC, sizeof(xfrm_algo_auth)},
      {XFRMA_ALG_COMP, sizeof(xfrm_algo)},
  };
  NetlinkMessage wanted(XFRM_MSG_NEWSA, 0);
  wanted.put_header<xfrm_usersa_info>();
  put_algorithms(wanted, with_blank_keys(sa));
  const NetlinkAttributes ours(wanted.header(), sizeof(xfrm_usersa_info));
  return std::all_of(std::begin(kHeads), std::end(kHeads), [&](const auto& head) {
    const ByteView there = held.get(head.first);
    const ByteView here = ours.get(head.first);
    if (there.empty() || here.empty()) return there.empty() == here.empty();
    return there.size() >= head.second && same_bytes(there.data(), here.data(), head.second);
  });
}

bool same_encapsulation(const NetlinkAttributes& held, const SaSpec& sa) {
  const auto there = held.as<xfrm_encap_tmpl>(XFRMA_ENCAP);
  if (!there || !sa.encapsulation) return there.has_value() == sa.encapsulation.has_value();
  const xfrm_encap_tmpl here = encapsulation_of(sa);
  const bool in = sa.direction == Direction::in;
  return there->encap_type == here.encap_type &&
         (in ? there->encap_dport == here.encap_dport : there->encap_sport == here.encap_sport);
}

bool same_ties(const NetlinkAttributes& held, const SaSpec& sa) {
  const bool in = sa.direction == Direction::in;
  const PacketMark set{held.u32(XFRMA_SET_MARK), held.u32(XFRMA_SET_MARK_MASK)};
  return mark_of(held) == (in ? PacketMark{} : sa.ties.mark) && set == (in ? sa.ties.mark : PacketMark{}) &&
         held.u32(XFRMA_IF_ID) == sa.ties.if_id();
}

}  // namespace

bool is_state(const nlmsghdr& held, const SaSpec& sa) {
  const auto* there = netlink_header<xfrm_usersa_info>(held);
  if (held.nlmsg_type != XFRM_MSG_NEWSA || there == nullptr) return false;
  const xfrm_usersa_info here = state_info(sa);
  const bool named = there->id.spi == here.id.spi && there->id.proto == here.id.proto &&
                     there->family == here.family && there->reqid == here.reqid && there->mode == here.mode &&
                     ((there->flags ^ here.flags) & XFRM_STATE_ESN) == 0 &&
                     same_bytes(&there->id.daddr, &here.id.daddr, sizeof(here.id.daddr)) &&
                     same_bytes(&there->saddr, &here.saddr, sizeof(here.saddr)) &&
                     same_bytes(&there->sel, &here.sel, sizeof(here.sel));
  const NetlinkAttributes attributes(held, sizeof(xfrm_usersa_info));
  return named && same_algorithms(attributes, sa) && same_encapsulation(attributes, sa) &&
         same_ties(attributes, sa);
}

Result<std::vector<StateReport>> our_states(NetlinkSocket& xfrm, const NetlinkHandler& each) {
  NetlinkMessage message(XFRM_MSG_GETSA, 0);
  std::vector<StateReport> found;
  auto dumped = xfrm.dump(message, "list the XFRM states", [&](const nlmsghdr& part) {
    const auto state = parse_state(part);
    if (!state || state->reqid.value < kReqidBase || state->reqid.value >= kReqidBase + kReqidCount) return;
    found.push_back(*state);
    if (each && !state->larval) each(part);
  });
  if (!dumped) return tl::unexpected(dumped.error());
  return found;
}

}  // namespace oakgate
