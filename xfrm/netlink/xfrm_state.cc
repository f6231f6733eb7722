#include "xfrm/netlink/xfrm_state.h"

#include <linux/udp.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "xfrm/netlink/xfrm_wire.h"

namespace oakgate {

namespace {

xfrm_usersa_id kernel_id(const SaId& id) {
  xfrm_usersa_id out{};
  out.daddr = to_xfrm(id.destination);
  out.spi = htonl(id.spi.value);
  out.family = xfrm_family(id.destination.family());
  out.proto = static_cast<std::uint8_t>(id.protocol);
  return out;
}

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

}  // namespace

NetlinkMessage add_state_message(const SaSpec& sa) {
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
  return message;
}

NetlinkMessage remove_state_message(const SaId& id) {
  NetlinkMessage message(XFRM_MSG_DELSA, 0);
  message.put_header<xfrm_usersa_id>() = kernel_id(id);
  return message;
}

NetlinkMessage query_state_message(const SaId& id) {
  NetlinkMessage message(XFRM_MSG_GETSA, 0);
  message.put_header<xfrm_usersa_id>() = kernel_id(id);
  return message;
}

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
  return there->encap_type == here.encap_type && there->encap_sport == here.encap_sport &&
         there->encap_dport == here.encap_dport;
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
  return named && same_algorithms(attributes, sa) && same_encapsulation(attributes, sa);
}

std::string kernel_option(IpsecProtocol protocol) {
  const std::string name = protocol == IpsecProtocol::comp ? "IPCOMP" : std::string(protocol_name(protocol));
  return "a kernel with CONFIG_INET_" + name + ", CONFIG_INET6_" + name;
}

std::string kernel_remedy(IpsecProtocol protocol) {
  switch (protocol) {
    case IpsecProtocol::ah:
      return "load the modules ah4 and ah6, or configure `data_plane: software`";
    case IpsecProtocol::esp:
      return "load the modules esp4 and esp6, or configure `data_plane: software`";
    case IpsecProtocol::comp:
      return "load the modules ipcomp and ipcomp6, or take comp-deflate out of the transform sets";
  }
  return {};
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

namespace {

constexpr std::uint32_t kTrialCpi = 0xff00;  // of the private range, RFC 3173 section 3.3

SecretBytes trial_key(std::size_t size) {
  SecretBytes key(size);
  // Counting bytes: 3DES refuses keys whose parts are equal.
  std::iota(key.mutable_view().begin(), key.mutable_view().end(), std::uint8_t{1});
  return key;
}

SaSpec trial_sa(Family family, std::uint32_t number) {
  const IpAddress loopback = *IpAddress::parse(family == Family::ipv4 ? "127.0.0.1" : "::1");
  SaSpec sa;
  sa.direction = Direction::out;
  sa.id = {loopback, IpsecProtocol::esp, Spi{0xffff'0000U + number}};
  sa.source = loopback;
  sa.reqid = Reqid{kReqidBase + kReqidCount - 1};  // no policy has it: it carries nothing
  sa.selectors = {{Subnet::host(loopback)}, {Subnet::host(loopback)}};
  sa.hard_time = Seconds(10);  // gone even if this process dies before it is removed
  return sa;
}

std::vector<SaSpec> trial_sas(Family family, std::span<const TransformSet> sets) {
  std::vector<SaSpec> sas;
  const auto next = [&]() -> SaSpec& {
    sas.push_back(trial_sa(family, static_cast<std::uint32_t>(sas.size())));
    return sas.back();
  };
  const auto add_esp = [&](EspCipher cipher, std::optional<Integrity> integrity) {
    SaSpec& sa = next();
    sa.cipher = cipher;
    sa.integrity = integrity;
    sa.encryption_key = trial_key(info(cipher).key_bytes + info(cipher).salt_bytes);
    if (integrity) sa.integrity_key = trial_key(info(*integrity).key_bytes);
  };
  add_esp(EspCipher::aes_128, Integrity::sha);
  for (const TransformSet& set : sets) {
    if (set.cipher) add_esp(*set.cipher, set.integrity);
    if (set.ah) {
      SaSpec& sa = next();
      sa.id.protocol = IpsecProtocol::ah;
      sa.integrity = set.ah;
      sa.integrity_key = trial_key(info(*set.ah).key_bytes);
    }
    if (set.compression) {
      SaSpec& sa = next();
      sa.id = {sa.source, IpsecProtocol::comp, Spi{kTrialCpi + static_cast<std::uint32_t>(sas.size()) % 256}};
      sa.compression = set.compression;
    }
  }
  return sas;
}

// The part of a transform set that a trial stands for.
TransformSet tried_by(const SaSpec& sa) {
  TransformSet tried;
  const IpsecProtocol protocol = sa.id.protocol;
  (protocol == IpsecProtocol::ah ? tried.ah : tried.integrity) = sa.integrity;
  if (protocol == IpsecProtocol::esp) tried.cipher = sa.cipher;
  tried.compression = sa.compression;
  return tried;
}

bool has_family(Family family) {
  const int fd = socket(xfrm_family(family), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

Result<void> probe_family(NetlinkSocket& xfrm, Family family, std::span<const TransformSet> sets) {
  const std::vector<SaSpec> sas = trial_sas(family, sets);
  std::vector<NetlinkMessage> adds;
  std::vector<NetlinkMessage> removals;
  for (const SaSpec& sa : sas) {
    removals.push_back(remove_state_message(sa.id));
    adds.push_back(add_state_message(sa));
  }
  auto answers = xfrm.transact(adds);
  if (!answers) return tl::unexpected(answers.error());
  if (auto removed = xfrm.transact(removals); !removed) return tl::unexpected(removed.error());
  for (std::size_t i = 0; i < sas.size(); ++i) {
    const NetlinkAnswer& answer = (*answers)[i];
    if (answer.ok()) continue;
    const IpsecProtocol protocol = sas[i].id.protocol;
    const std::string what = "install an " + std::string(protocol_name(protocol)) + " SA over " +
                             std::string(family == Family::ipv4 ? "IPv4" : "IPv6") + " with " +
                             to_string(tried_by(sas[i]));
    Error error = netlink_error(answer, what);
    if (error.code == ErrorCode::not_permitted) return fail(std::move(error));
    error.code = ErrorCode::unsupported;
    error.expected = kernel_option(protocol) + " and this algorithm";
    error.remedy = kernel_remedy(protocol);
    return fail(std::move(error));
  }
  return {};
}

}  // namespace

Result<void> probe_esp(std::span<const TransformSet> sets) {
  auto xfrm = NetlinkSocket::open(NetlinkFamily::xfrm);
  if (!xfrm) return tl::unexpected(xfrm.error());
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    if (!has_family(family)) continue;
    if (auto probed = probe_family(*xfrm, family, sets); !probed) return probed;
  }
  return {};
}

}  // namespace oakgate
