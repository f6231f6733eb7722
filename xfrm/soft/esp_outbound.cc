// The engine's way of packets from inside to outside, by batches: read all, find policies, SAs, decide on
// each, seal all, AH over those that need it, hand over in order. See esp_engine.h.
#include <algorithm>

#include "xfrm/soft/ecn_rules.h"
#include "xfrm/soft/esp_engine.h"
#include "xfrm/soft/ip_header.h"
#include "xfrm/soft/tcp_mss.h"

namespace oakgate::soft {

namespace {

constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kMinMtu4 = 68;    // RFC 791
constexpr std::size_t kMinMtu6 = 1280;  // RFC 8200 section 5
// Below this nobody's path MTU lies: small packets are not worth the question.
constexpr std::size_t kAlwaysFits = 500;

// The packet's flow as the tunnel sees it.
FlowView flow_of(const InnerPacket& inner) {
  return {inner.source, inner.destination, inner.protocol,
          inner.ports ? inner.ports->source : std::uint16_t{0},
          inner.ports ? inner.ports->destination : std::uint16_t{0}};
}

// From field to field: what has been gathered piece by piece is slow to compare.
bool same_flow(const InnerPacket& one, const InnerPacket& other) {
  return one.destination == other.destination && one.source == other.source &&
         one.protocol == other.protocol && one.ports.has_value() == other.ports.has_value() &&
         (!one.ports ||
          (one.ports->source == other.ports->source && one.ports->destination == other.ports->destination));
}

// ESP behind the marker that its path has.
std::span<std::uint8_t> marked(std::span<std::uint8_t> esp, const OuterPath& path) {
  if (!path.encapsulation || !path.encapsulation->non_ike_marker) return esp;
  static_assert(PacketBatch::kHeadroom >= kEspHeader + kMaxIv + kNonIkeMarkerBytes);
  const std::span<std::uint8_t> packet(esp.data() - kNonIkeMarkerBytes, esp.size() + kNonIkeMarkerBytes);
  std::fill_n(packet.begin(), kNonIkeMarkerBytes, std::uint8_t{0});
  return packet;
}

std::size_t outer_headers(const OuterPath& path) {
  const std::size_t ip = path.destination.is_v4() ? kIpv4Header : kIpv6Header;
  if (!path.encapsulation) return ip;
  return ip + kUdpHeader + (path.encapsulation->non_ike_marker ? kNonIkeMarkerBytes : 0);
}

// What of an inner packet transport mode leaves out: its IP header. Nothing if it cannot carry it.
std::optional<std::size_t> stripped(const OutboundSa& sa, const InnerPacket& inner) {
  if (sa.mode == EncapsulationMode::tunnel) return 0;
  if (inner.fragment != Fragment::none || inner.upper_offset != ip_header_size(inner.source))
    return std::nullopt;
  return inner.upper_offset;
}

// The bytes that `body` bytes become under an SA, without IP and UDP header.
std::size_t protected_size(const OutboundSa& sa, std::size_t body) {
  if (const auto* esp = std::get_if<EspSealer>(&sa.crypto)) return esp->layout().sealed_size(body);
  return std::get<AhAuthenticator>(sa.crypto).header_size(sa.path.source.family()) + body;
}

// RFC 4301 section 8.1: "configurable, per SA": copy, set or clear. IPv6 counts as DF: its routers never
// fragment.
bool outer_df(const OutboundSa& sa, const InnerPacket& inner) {
  switch (sa.handling.df_bit) {
    case DfBit::set:
      return true;
    case DfBit::clear:
      return false;
    case DfBit::copy:
      break;
  }
  return inner.dont_fragment;
}

// Whether its sender has to be told of what does not fit. An IPv4 packet's DF is not heeded where the outer
// header never has it: that is what `df_bit: clear` is for, hosts that hear no ICMP.
bool must_fit(const OutboundSa& sa, const InnerPacket& inner) {
  if (inner.source.is_v4() && sa.handling.df_bit == DfBit::clear) return false;
  return inner.dont_fragment;
}

void count(SaState& state, std::size_t bytes, EngineOutput& out) {
  if (state.count(bytes)) out.soft_limits.push_back({state.id, state.reqid});
}

}  // namespace

void EspEngine::outbound(PacketBatch& batch, Instant now, EngineOutput& out) {
  leaving_.clear();
  sealing_.clear();
  authenticating_.clear();
  read(batch);
  find_tunnels();
  const Tunnel* before = nullptr;
  for (const Leaver& packet : leavers()) {
    if (packet.tunnel == before) continue;
    before = packet.tunnel;
    if (before != nullptr && before->newest != nullptr) prefetch(*before->newest);
  }
  for (const Leaver& packet : leavers()) decide(packet, now, out);
  crypto_.seal(sealing_);
  for (Leaving& leaving : leaving_) {
    if (leaving.ah != nullptr) ask_to_authenticate(leaving);
  }
  crypto_.protect(authenticating_);
  for (Leaving& leaving : leaving_) send(leaving, out);
  bury();
}

void EspEngine::read(PacketBatch& batch) {
  read_ = 0;
  for (const BatchPacket& packet : batch.packets()) {
    Leaver& leaver = (*leavers_)[read_];
    leaver.bytes = packet.bytes;
    if (read_inner_packet(packet.bytes, leaver.inner)) {
      ++read_;
    } else {
      ++drops_.malformed;
    }
  }
  // A loop of its own: what has just been written bit by bit is slow to read.
  for (const Leaver& leaver : leavers()) selectors_.prefetch(flow_of(leaver.inner));
}

// Tunnels stay while they have a policy, and policies change between batches alone. What follows a packet is
// mostly of the same flow.
void EspEngine::find_tunnels() {
  const Leaver* before = nullptr;
  for (Leaver& packet : leavers()) {
    if (before != nullptr && same_flow(packet.inner, before->inner)) {
      packet.tunnel = before->tunnel;
    } else {
      Tunnel* const* const found = selectors_.find(flow_of(packet.inner));
      packet.tunnel = found != nullptr ? *found : nullptr;
      prefetch_line(packet.tunnel);
    }
    before = &packet;
  }
}

void EspEngine::decide(const Leaver& packet, Instant now, EngineOutput& out) {
  const InnerPacket& inner = packet.inner;
  if (packet.tunnel == nullptr) {
    ++drops_.no_policy;
    icmp(packet.bytes, inner, IcmpError::prohibited, 0, now, out);
    return;
  }
  while (packet.tunnel->newest != nullptr) {
    OutboundSa& sa = *packet.tunnel->newest;
    OutboundSa* const ah = over(sa);
    // A hard limit ends the SA, not the packet: an older SA may still carry it. ESP never goes without its
    // AH.
    if (sa.state.would_exceed(inner.size) ||
        (sa.bundle && sa.state.id.protocol == IpsecProtocol::esp && ah == nullptr)) {
      expired(sa.state, out);
      continue;
    }
    const auto header = stripped(sa, inner);
    if (!header) {
      ++drops_.malformed;
      return;
    }
    const std::size_t own = protected_size(sa, inner.size - *header);
    const std::size_t size = (ah != nullptr ? protected_size(*ah, own) : own) + outer_headers(sa.path);
    const bool fits = size <= kAlwaysFits || size <= path_mtu(sa, now);
    const std::size_t least = inner.source.is_v4() ? kMinMtu4 : kMinMtu6;
    if (!fits && must_fit(sa, inner) && inner.size > least) {
      ++drops_.too_big;
      const std::size_t mtu = inner_mtu(sa, ah, *header, now);
      icmp(packet.bytes, inner, IcmpError::too_big, std::max(mtu, least), now, out);
      return;
    }
    if (sa.handling.tcp_mss.kind != TcpMss::Kind::off && is_tcp_syn(packet.bytes, inner)) {
      clamp_mss(packet.bytes, inner, mss_limit(sa, ah, inner, now));
    }
    protect(sa, ah, packet.bytes, inner, fits, out);
    return;
  }
  without_sa(*packet.tunnel, packet, now, out);
}

void EspEngine::without_sa(Tunnel& tunnel, const Leaver& packet, Instant now, EngineOutput& out) {
  ++drops_.no_sa;
  if (!tunnel.policy->acquire) {
    icmp(packet.bytes, packet.inner, IcmpError::prohibited, 0, now, out);
    return;
  }
  if (!tunnel.acquired || now - *tunnel.acquired >= kAcquireEvery) {
    tunnel.acquired = now;
    out.acquires.push_back({tunnel.reqid});
  }
  const std::size_t before = tunnel.waiting.size();
  std::erase_if(tunnel.waiting, [now](const Waiting& entry) { return now - entry.since > kWaitingTime; });
  waiting_ -= before - tunnel.waiting.size();
  if (tunnel.waiting.size() >= kWaitingPackets || waiting_ >= kWaitingInAll) return;
  try {
    tunnel.waiting.push_back({now, to_bytes(packet.bytes.first(packet.inner.size))});
  } catch (const std::bad_alloc&) {
    return;
  }
  --drops_.no_sa;  // it waits
  ++waiting_;
}

OutboundSa* EspEngine::ah_over(const OutboundSa& sa) const {
  if (sa.state.id.protocol != IpsecProtocol::esp) return nullptr;
  const auto* const found = outbound_.find(*sa.bundle);
  return found != nullptr && (*found)->state.id.protocol == IpsecProtocol::ah ? found->get() : nullptr;
}

std::size_t EspEngine::path_mtu(OutboundSa& sa, Instant now) const {
  if (sa.path_mtu == 0 || now - sa.path_mtu_at >= kPathMtuEvery) {
    const std::size_t answer = environment_.path_mtu(sa.path);
    sa.path_mtu = answer != 0 ? answer : PacketBatch::kMaxPacket;
    sa.path_mtu_at = now;
  }
  return sa.path_mtu;
}

std::size_t EspEngine::inner_mtu(OutboundSa& sa, const OutboundSa* ah, std::size_t stripped,
                                 Instant now) const {
  const std::size_t headers = outer_headers(sa.path) + (ah != nullptr ? protected_size(*ah, 0) : 0);
  const std::size_t mtu = path_mtu(sa, now);
  if (mtu <= headers) return 0;
  const std::size_t budget = mtu - headers;
  if (const auto* esp = std::get_if<EspSealer>(&sa.crypto)) {
    const std::size_t body = esp->layout().max_inner(budget);
    return body == 0 ? 0 : body + stripped;
  }
  const std::size_t own = protected_size(sa, 0);
  return budget <= own ? 0 : budget - own + stripped;
}

std::size_t EspEngine::mss_limit(OutboundSa& sa, const OutboundSa* ah, const InnerPacket& inner,
                                 Instant now) const {
  if (sa.handling.tcp_mss.kind == TcpMss::Kind::fixed) return sa.handling.tcp_mss.bytes;
  const std::size_t header = sa.mode == EncapsulationMode::tunnel ? 0 : ip_header_size(inner.source);
  return mss_of(inner_mtu(sa, ah, header, now), inner);
}

void EspEngine::protect(OutboundSa& sa, OutboundSa* ah, std::span<std::uint8_t> bytes,
                        const InnerPacket& inner, bool fits, EngineOutput& out) {
  const bool tunnel = sa.mode == EncapsulationMode::tunnel;
  const std::span<std::uint8_t> whole(bytes.data(), inner.size);
  const std::uint8_t inner_ip = inner.source.is_v4() ? kProtocolIpv4 : kProtocolIpv6;
  Leaving& leaving = leaving_.emplace_back();
  leaving.sa = &sa;
  leaving.inner_size = inner.size;
  leaving.payload = tunnel ? whole : whole.subspan(inner.upper_offset);
  leaving.next_header = tunnel ? inner_ip : inner.protocol;
  // A packet that is to be fragmented by this host must not carry DF.
  leaving.dont_fragment = outer_df(sa, inner) && fits;
  leaving.traffic_class =
      tunnel ? outer_traffic_class(inner.traffic_class, sa.handling.copy_dscp) : inner.traffic_class;
  if (!fits) leaving.fragment_to = static_cast<std::uint32_t>(sa.path_mtu);
  leaving.ah = &sa;
  std::size_t size = leaving.payload.size();
  if (sa.state.id.protocol == IpsecProtocol::esp) {
    size = ask_to_seal(leaving, leaving.next_header, out);
    if (size == 0) {
      leaving_.pop_back();
      return;
    }
    leaving.next_header = static_cast<std::uint8_t>(IpsecProtocol::esp);
    leaving.ah = ah;
  }
  if (leaving.ah != nullptr && !take_ah(leaving, size, out)) {
    if (leaving.sealing != Leaving::kNone) sealing_.pop_back();
    leaving_.pop_back();
    return;
  }
  if (ah != nullptr) count(ah->state, inner.size, out);
  count(sa.state, inner.size, out);
}

std::size_t EspEngine::ask_to_seal(Leaving& leaving, std::uint8_t next_header, EngineOutput& out) {
  OutboundSa& sa = *leaving.sa;
  EspSealer& sealer = std::get<EspSealer>(sa.crypto);
  const auto sequence = sa.sequence.next();
  if (!sequence) {
    ++drops_.expired;
    expired(sa.state, out);
    return 0;
  }
  const EspLayout& layout = sealer.layout();
  // The packet lies in a slot with head- and tailroom (PacketBatch).
  static_assert(PacketBatch::kHeadroom >= kEspHeader + kMaxIv + kMaxAhHeader + kIpv6Header);
  static_assert(PacketBatch::kTailroom >= kMaxIcv + 2 + kMaxIv);
  const std::span<std::uint8_t> payload = leaving.payload;
  const std::span<std::uint8_t> packet(payload.data() - layout.prefix(), layout.sealed_size(payload.size()));
  if (!sealer.iv_is_counter() && !environment_.random(packet.subspan(kEspHeader, layout.iv))) {
    ++drops_.crypto_failed;
    return 0;
  }
  // In place, as PacketBatch::add() has it.
  SealRequest& request = sealing_.emplace_back();
  request.sealer = &sealer;
  request.packet = packet;
  request.header = {sa.state.id.spi, *sequence};
  request.inner_size = payload.size();
  request.next_header = next_header;
  leaving.sealing = static_cast<std::uint16_t>(sealing_.size() - 1);
  return packet.size();
}

bool EspEngine::take_ah(Leaving& leaving, std::size_t size, EngineOutput& out) {
  OutboundSa& sa = *leaving.ah;
  const auto sequence = sa.sequence.next();
  if (!sequence) {
    ++drops_.expired;
    expired(sa.state, out);
    return false;
  }
  const std::size_t header = std::get<AhAuthenticator>(sa.crypto).header_size(sa.path.source.family());
  if (ip_header_size(sa.path.source) + header + size > kMaxIpv4Packet) {
    ++drops_.malformed;
    return false;
  }
  leaving.ah_sequence = *sequence;
  return true;
}

void EspEngine::ask_to_authenticate(Leaving& leaving) {
  if (leaving.sealing != Leaving::kNone) {
    const SealRequest& sealed = sealing_[leaving.sealing];
    if (!sealed.sealed) return;
    leaving.payload = sealed.packet;
  }
  OutboundSa& sa = *leaving.ah;
  AhAuthenticator& ah = std::get<AhAuthenticator>(sa.crypto);
  const std::size_t ip = ip_header_size(sa.path.source);
  const std::size_t size = ah.header_size(sa.path.source.family());
  const std::span<std::uint8_t> whole(leaving.payload.data() - size - ip, ip + size + leaving.payload.size());
  // AH covers the identification, and the kernel would fill in one of its own for 0.
  if (++sa.ip_id == 0) ++sa.ip_id;
  constexpr auto kAh = static_cast<std::uint8_t>(IpsecProtocol::ah);
  write_ip_header(whole, {sa.path.source, sa.path.destination, kAh, leaving.traffic_class, sa.ip_id,
                          leaving.dont_fragment});
  leaving.authenticating = static_cast<std::uint16_t>(authenticating_.size());
  authenticating_.push_back(
      {&ah, whole, ip, {sa.state.id.spi, leaving.ah_sequence, leaving.next_header, 0}, AhVerdict::failed});
}

void EspEngine::send(const Leaving& leaving, EngineOutput& out) {
  const OuterPath& path = leaving.sa->path;
  bool made = false;
  std::span<std::uint8_t> bytes;
  const bool authenticated = leaving.authenticating != Leaving::kNone;
  if (authenticated) {
    const AhRequest& request = authenticating_[leaving.authenticating];
    made = request.verdict == AhVerdict::ok;
    // The kernel makes the IPv6 header: nothing in it that AH covers is its own choice.
    bytes = path.source.is_v4() ? request.packet : request.packet.subspan(request.ip_header);
  } else if (leaving.sealing != Leaving::kNone && leaving.ah == nullptr) {
    made = sealing_[leaving.sealing].sealed;
    bytes = sealing_[leaving.sealing].packet;
  }
  if (!made) {
    ++drops_.crypto_failed;
    leaving.sa->state.uncount(leaving.inner_size);
    if (leaving.ah != nullptr && leaving.ah != leaving.sa) leaving.ah->state.uncount(leaving.inner_size);
    return;
  }
  SealedPacket& packet = out.sealed.emplace_back();
  packet.bytes = marked(bytes, path);
  packet.path = path;
  packet.traffic_class = leaving.traffic_class;
  packet.dont_fragment = leaving.dont_fragment;
  packet.protocol = authenticated ? IpsecProtocol::ah : IpsecProtocol::esp;
  packet.fragment_to = leaving.fragment_to;
}

void EspEngine::icmp(ByteView packet, const InnerPacket& inner, IcmpError kind, std::size_t mtu, Instant now,
                     EngineOutput& out) {
  try {
    auto message =
        make_icmp_error(packet, inner, kind, static_cast<std::uint16_t>(std::min<std::size_t>(mtu, 65535)));
    if (message && icmp_rate_.take(now)) out.icmp.push_back(std::move(*message));
  } catch (const std::bad_alloc&) {
    return;  // the sender will try again
  }
}

}  // namespace oakgate::soft
