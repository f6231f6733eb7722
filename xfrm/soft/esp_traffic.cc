// The engine's way of packets, outbound and inbound. See esp_engine.h.
#include <algorithm>
#include <array>

#include "xfrm/soft/ecn_rules.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {

namespace {

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kMinMtu4 = 68;    // RFC 791
constexpr std::size_t kMinMtu6 = 1280;  // RFC 8200 section 5
// Below this nobody's path MTU lies: small packets are not worth the question.
constexpr std::size_t kAlwaysFits = 500;
constexpr std::size_t kUnknownInARow = 4;  // SPIs of one batch that are told of: nobody acts on more

// The packet's flow as the tunnel sees it: `local` is our side.
Flow flow_of(const InnerPacket& inner, Direction direction) {
  const Ports ports = inner.ports.value_or(Ports{});
  if (direction == Direction::out) {
    return {inner.source, inner.destination, inner.protocol, ports.source, ports.destination};
  }
  return {inner.destination, inner.source, inner.protocol, ports.destination, ports.source};
}

std::size_t outer_headers(const OuterPath& path) {
  return (path.destination.is_v4() ? kIpv4Header : kIpv6Header) + (path.encapsulation ? kUdpHeader : 0);
}

void count(SaState& state, std::size_t bytes, EngineOutput& out) {
  if (state.count(bytes)) out.soft_limits.push_back({state.id, state.reqid});
}

}  // namespace

// ---- Outbound

void EspEngine::outbound(PacketBatch& batch, Instant now, EngineOutput& out) {
  for (BatchPacket& packet : batch.packets()) outbound_packet(packet, now, out);
}

void EspEngine::outbound_packet(BatchPacket& packet, Instant now, EngineOutput& out) {
  const auto inner = parse_inner_packet(packet.bytes);
  if (!inner) {
    ++drops_.malformed;
    return;
  }
  Tunnel* const* found = selectors_.find(flow_of(*inner, Direction::out));
  if (found == nullptr) {
    ++drops_.no_policy;
    icmp(packet.bytes, *inner, IcmpError::prohibited, 0, now, out);
    return;
  }
  Tunnel& entry = **found;
  while (!entry.outbound.empty()) {
    OutboundSa& sa = *entry.outbound.back();
    // A hard limit ends the SA, not the packet: an older SA may still carry it.
    if (sa.state.would_exceed(inner->size)) {
      expired(sa.state, out);
      continue;
    }
    bool fits = true;
    if (sa.sealer.layout().sealed_size(inner->size) + outer_headers(sa.path) > kAlwaysFits) {
      const std::size_t mtu = inner_mtu(sa, now);
      fits = inner->size <= mtu;
      const std::size_t least = inner->source.is_v4() ? kMinMtu4 : kMinMtu6;
      if (!fits && inner->dont_fragment && inner->size > least) {
        ++drops_.too_big;
        icmp(packet.bytes, *inner, IcmpError::too_big, std::max(mtu, least), now, out);
        return;
      }
    }
    seal(sa, packet.bytes, *inner, fits, out);
    return;
  }
  without_sa(entry, packet, *inner, now, out);
}

void EspEngine::without_sa(Tunnel& tunnel, const BatchPacket& packet, const InnerPacket& inner, Instant now,
                           EngineOutput& out) {
  ++drops_.no_sa;
  if (!tunnel.policy->acquire) {
    icmp(packet.bytes, inner, IcmpError::prohibited, 0, now, out);
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
  --drops_.no_sa;  // it waits
  tunnel.waiting.push_back({now, to_bytes(packet.bytes.first(inner.size))});
  ++waiting_;
}

std::size_t EspEngine::inner_mtu(OutboundSa& sa, Instant now) const {
  if (sa.path_mtu == 0 || now - sa.path_mtu_at >= kPathMtuEvery) {
    const std::size_t answer = environment_.path_mtu(sa.path);
    sa.path_mtu = answer != 0 ? answer : PacketBatch::kMaxPacket;
    sa.path_mtu_at = now;
  }
  const std::size_t headers = outer_headers(sa.path);
  return sa.path_mtu <= headers ? 0 : sa.sealer.layout().max_inner(sa.path_mtu - headers);
}

void EspEngine::seal(OutboundSa& sa, std::span<std::uint8_t> bytes, const InnerPacket& inner, bool fits,
                     EngineOutput& out) {
  const auto sequence = sa.sequence.next();
  if (!sequence) {
    expired(sa.state, out);
    return;
  }
  const EspLayout& layout = sa.sealer.layout();
  std::array<std::uint8_t, kMaxIv> iv{};
  const std::span<std::uint8_t> used(iv.data(), layout.iv);
  if (sa.sealer.iv_is_counter()) {
    for (std::size_t i = 0; i < std::min<std::size_t>(used.size(), 4); ++i)
      used[used.size() - 1 - i] = static_cast<std::uint8_t>(*sequence >> (8 * i));
  } else if (!environment_.random(used)) {
    ++drops_.crypto_failed;
    return;
  }
  // The packet lies in a slot with head- and tailroom (PacketBatch).
  static_assert(PacketBatch::kHeadroom >= kEspHeader + kMaxIv);
  static_assert(PacketBatch::kTailroom >= kMaxIcv + 2 + kMaxIv);
  const std::span<std::uint8_t> packet(bytes.data() - layout.prefix(), layout.sealed_size(inner.size));
  const std::uint8_t next_header = inner.source.is_v4() ? kProtocolIpv4 : kProtocolIpv6;
  if (!sa.sealer.seal(packet, {sa.state.id.spi, *sequence}, used, inner.size, next_header)) {
    ++drops_.crypto_failed;
    return;
  }
  count(sa.state, inner.size, out);
  // RFC 4301 section 8.1: DF is copied; IPv6 counts as DF, for its routers never fragment. A packet that is
  // to be fragmented by this host must not carry it.
  out.sealed.push_back(
      {packet, sa.path, outer_traffic_class(inner.traffic_class), inner.dont_fragment && fits});
}

void EspEngine::icmp(ByteView packet, const InnerPacket& inner, IcmpError kind, std::size_t mtu, Instant now,
                     EngineOutput& out) {
  auto message =
      make_icmp_error(packet, inner, kind, static_cast<std::uint16_t>(std::min<std::size_t>(mtu, 65535)));
  if (message && icmp_rate_.take(now)) out.icmp.push_back(std::move(*message));
}

// ---- Inbound

void EspEngine::inbound(PacketBatch& batch, EngineOutput& out) {
  for (BatchPacket& packet : batch.packets()) inbound_packet(packet, out);
}

void EspEngine::inbound_packet(BatchPacket& packet, EngineOutput& out) {
  const auto header = read_esp_header(packet.bytes);
  if (!header) {
    ++drops_.malformed;
    return;
  }
  const SaId id{packet.destination, IpsecProtocol::esp, header->spi};
  const auto found = inbound_.find(id);
  if (found == inbound_.end()) {
    ++drops_.no_sa;
    if (out.unknown_spis.size() < kUnknownInARow) out.unknown_spis.push_back({id, packet.source.address});
    return;
  }
  InboundSa& sa = *found->second;
  if (sa.encapsulated != packet.encapsulated) {
    ++drops_.encapsulation;
    return;
  }
  // RFC 4303 section 3.4.3: the preliminary check, cheaper than the ICV.
  if (!sa.window.acceptable(header->sequence)) {
    ++sa.state.counters.replayed;
    return;
  }
  const Opened opened = sa.opener.open(packet.bytes);
  switch (opened.verdict) {
    case OpenVerdict::malformed:
      ++drops_.malformed;
      return;
    case OpenVerdict::not_authentic:
      ++sa.state.counters.not_authentic;
      return;
    case OpenVerdict::bad_padding:
      sa.window.accept(header->sequence);
      ++drops_.malformed;
      return;
    case OpenVerdict::ok:
      sa.window.accept(header->sequence);
      break;
  }
  if (sa.encapsulated && packet.source != sa.remote && (out.moved.empty() || out.moved.back().id != id))
    out.moved.push_back({id, sa.state.reqid, packet.source});
  deliver(sa, packet, opened, out);
}

void EspEngine::deliver(InboundSa& sa, const BatchPacket& packet, const Opened& opened, EngineOutput& out) {
  if (opened.next_header == kProtocolNone) return;  // RFC 4303 section 2.6: "MUST ... discard such packets"
  const auto inner = parse_inner_packet(opened.inner);
  const std::uint8_t announced = inner && inner->source.is_v4() ? kProtocolIpv4 : kProtocolIpv6;
  if (!inner || opened.next_header != announced) {
    ++drops_.malformed;
    return;
  }
  // RFC 4301 section 5.2 step 4: the packet must match the SA's selectors.
  if (!within(sa.selectors, flow_of(*inner, Direction::in))) {
    ++sa.state.counters.selector_mismatch;
    return;
  }
  const auto traffic_class = decapsulated_traffic_class(inner->traffic_class, packet.traffic_class);
  if (!traffic_class) {
    ++drops_.congestion;
    return;
  }
  if (sa.state.would_exceed(inner->size)) {
    expired(sa.state, out);
    return;
  }
  if (*traffic_class != inner->traffic_class) set_traffic_class(opened.inner, *traffic_class);
  count(sa.state, inner->size, out);
  out.opened.push_back(opened.inner.first(inner->size));
}

}  // namespace oakgate::soft
