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
constexpr std::size_t kMaxIpv4Packet = 65535;
constexpr std::uint8_t kTtl = 64;
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

std::size_t ip_header(const IpAddress& address) {
  return address.is_v4() ? kIpv4Header : kIpv6Header;
}

void put_u16(std::span<std::uint8_t> out, std::size_t value) {
  out[0] = static_cast<std::uint8_t>(value >> 8);
  out[1] = static_cast<std::uint8_t>(value);
}

struct IpHeader {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;
  std::uint8_t traffic_class = 0;
  std::uint16_t id = 0;        // IPv4
  bool dont_fragment = false;  // IPv4
};

// Writes the header of a packet that is `packet`; the IPv4 checksum too.
void write_ip_header(std::span<std::uint8_t> packet, const IpHeader& header) {
  const bool v4 = header.source.is_v4();
  const std::span<std::uint8_t> out = packet.first(ip_header(header.source));
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  const auto source = header.source.bytes();
  const auto destination = header.destination.bytes();
  if (v4) {
    out[0] = 0x45;
    out[1] = header.traffic_class;
    put_u16(out.subspan(2), packet.size());
    put_u16(out.subspan(4), header.id);
    out[6] = header.dont_fragment ? 0x40 : 0;
    out[8] = kTtl;
    out[9] = header.protocol;
    std::copy_n(source.begin(), 4, out.begin() + 12);
    std::copy_n(destination.begin(), 4, out.begin() + 16);
    put_u16(out.subspan(10), internet_checksum(out));
    return;
  }
  out[0] = static_cast<std::uint8_t>(0x60 | header.traffic_class >> 4);
  out[1] = static_cast<std::uint8_t>(header.traffic_class << 4);
  put_u16(out.subspan(4), packet.size() - kIpv6Header);
  out[6] = header.protocol;
  out[7] = kTtl;
  std::copy_n(source.begin(), 16, out.begin() + 8);
  std::copy_n(destination.begin(), 16, out.begin() + 24);
}

// What of an inner packet transport mode leaves out: its IP header. Nothing if it cannot carry it.
std::optional<std::size_t> stripped(const OutboundSa& sa, const InnerPacket& inner) {
  if (sa.mode == EncapsulationMode::tunnel) return 0;
  if (inner.fragment != Fragment::none || inner.upper_offset != ip_header(inner.source)) return std::nullopt;
  return inner.upper_offset;
}

// The bytes that `body` bytes become under an SA, without IP and UDP header.
std::size_t protected_size(const OutboundSa& sa, std::size_t body) {
  if (const auto* esp = std::get_if<EspSealer>(&sa.crypto)) return esp->layout().sealed_size(body);
  return std::get<AhAuthenticator>(sa.crypto).header_size(sa.path.source.family()) + body;
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
    OutboundSa* const ah = over(sa);
    // A hard limit ends the SA, not the packet: an older SA may still carry it. ESP never goes without its
    // AH.
    if (sa.state.would_exceed(inner->size) ||
        (sa.bundle && sa.state.id.protocol == IpsecProtocol::esp && ah == nullptr)) {
      expired(sa.state, out);
      continue;
    }
    const auto header = stripped(sa, *inner);
    if (!header) {
      ++drops_.malformed;
      return;
    }
    bool fits = true;
    const std::size_t sealed = protected_size(sa, inner->size - *header);
    if ((ah != nullptr ? protected_size(*ah, sealed) : sealed) + outer_headers(sa.path) > kAlwaysFits) {
      const std::size_t mtu = inner_mtu(sa, ah, *header, now);
      fits = inner->size <= mtu;
      const std::size_t least = inner->source.is_v4() ? kMinMtu4 : kMinMtu6;
      if (!fits && inner->dont_fragment && inner->size > least) {
        ++drops_.too_big;
        icmp(packet.bytes, *inner, IcmpError::too_big, std::max(mtu, least), now, out);
        return;
      }
    }
    protect(sa, ah, packet.bytes, *inner, fits, out);
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

OutboundSa* EspEngine::over(const OutboundSa& sa) const {
  if (!sa.bundle || sa.state.id.protocol != IpsecProtocol::esp) return nullptr;
  const auto found = outbound_.find(*sa.bundle);
  const bool fits = found != outbound_.end() && found->second->state.id.protocol == IpsecProtocol::ah;
  return fits ? found->second.get() : nullptr;
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

void EspEngine::protect(OutboundSa& sa, OutboundSa* ah, std::span<std::uint8_t> bytes,
                        const InnerPacket& inner, bool fits, EngineOutput& out) {
  const bool tunnel = sa.mode == EncapsulationMode::tunnel;
  const std::span<std::uint8_t> whole(bytes.data(), inner.size);
  std::span<std::uint8_t> payload = tunnel ? whole : whole.subspan(inner.upper_offset);
  const std::uint8_t inner_ip = inner.source.is_v4() ? kProtocolIpv4 : kProtocolIpv6;
  std::uint8_t next_header = tunnel ? inner_ip : inner.protocol;
  SealedPacket packet;
  packet.path = sa.path;
  // RFC 4301 section 8.1: DF is copied; IPv6 counts as DF, for its routers never fragment. A packet that is
  // to be fragmented by this host must not carry it.
  packet.dont_fragment = inner.dont_fragment && fits;
  packet.traffic_class = tunnel ? outer_traffic_class(inner.traffic_class) : inner.traffic_class;
  if (!fits) packet.fragment_to = sa.path_mtu;
  OutboundSa* last = &sa;
  if (sa.state.id.protocol == IpsecProtocol::esp) {
    payload = seal(sa, payload, next_header, out);
    if (payload.empty()) return;
    next_header = static_cast<std::uint8_t>(IpsecProtocol::esp);
    last = ah;
  }
  if (last != nullptr) {
    payload = authenticate(*last, payload, next_header, packet, out);
    if (payload.empty()) return;
  }
  packet.bytes = marked(payload, sa.path);
  if (ah != nullptr) count(ah->state, inner.size, out);
  count(sa.state, inner.size, out);
  out.sealed.push_back(packet);
}

std::span<std::uint8_t> EspEngine::seal(OutboundSa& sa, std::span<std::uint8_t> payload,
                                        std::uint8_t next_header, EngineOutput& out) {
  EspSealer& sealer = std::get<EspSealer>(sa.crypto);
  const auto sequence = sa.sequence.next();
  if (!sequence) {
    expired(sa.state, out);
    return {};
  }
  const EspLayout& layout = sealer.layout();
  std::array<std::uint8_t, kMaxIv> iv{};
  const std::span<std::uint8_t> used(iv.data(), layout.iv);
  if (sealer.iv_is_counter()) {
    for (std::size_t i = 0; i < std::min<std::size_t>(used.size(), 4); ++i)
      used[used.size() - 1 - i] = static_cast<std::uint8_t>(*sequence >> (8 * i));
  } else if (!environment_.random(used)) {
    ++drops_.crypto_failed;
    return {};
  }
  // The packet lies in a slot with head- and tailroom (PacketBatch).
  static_assert(PacketBatch::kHeadroom >= kEspHeader + kMaxIv + kMaxAhHeader + kIpv6Header);
  static_assert(PacketBatch::kTailroom >= kMaxIcv + 2 + kMaxIv);
  const std::span<std::uint8_t> packet(payload.data() - layout.prefix(), layout.sealed_size(payload.size()));
  if (!sealer.seal(packet, {sa.state.id.spi, *sequence}, used, payload.size(), next_header)) {
    ++drops_.crypto_failed;
    return {};
  }
  return packet;
}

std::span<std::uint8_t> EspEngine::authenticate(OutboundSa& sa, std::span<std::uint8_t> payload,
                                                std::uint8_t next_header, SealedPacket& packet,
                                                EngineOutput& out) {
  const auto sequence = sa.sequence.next();
  if (!sequence) {
    expired(sa.state, out);
    return {};
  }
  AhAuthenticator& ah = std::get<AhAuthenticator>(sa.crypto);
  const bool v4 = sa.path.source.is_v4();
  const std::size_t ip = ip_header(sa.path.source);
  const std::size_t size = ah.header_size(sa.path.source.family());
  const std::span<std::uint8_t> whole(payload.data() - size - ip, ip + size + payload.size());
  if (whole.size() > kMaxIpv4Packet) {
    ++drops_.malformed;
    return {};
  }
  // AH covers the identification, and the kernel would fill in one of its own for 0.
  if (++sa.ip_id == 0) ++sa.ip_id;
  constexpr auto kAh = static_cast<std::uint8_t>(IpsecProtocol::ah);
  write_ip_header(whole, {sa.path.source, sa.path.destination, kAh, packet.traffic_class, sa.ip_id,
                          packet.dont_fragment});
  if (!ah.protect(whole, ip, {sa.state.id.spi, *sequence, next_header, 0})) {
    ++drops_.crypto_failed;
    return {};
  }
  packet.protocol = IpsecProtocol::ah;
  // The kernel makes the IPv6 header: nothing in it that AH covers is its own choice.
  return v4 ? whole : whole.subspan(ip);
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
  if (packet.protocol == IpsecProtocol::ah) {
    inbound_ah(packet, out);
  } else {
    inbound_esp(packet, packet.bytes, nullptr, out);
  }
}

InboundSa* EspEngine::find_inbound(const BatchPacket& packet, IpsecProtocol protocol, Spi spi,
                                   EngineOutput& out) {
  const SaId id{packet.destination, protocol, spi};
  const auto found = inbound_.find(id);
  if (found == inbound_.end()) {
    ++drops_.no_sa;
    if (out.unknown_spis.size() < kUnknownInARow) out.unknown_spis.push_back({id, packet.source.address});
    return nullptr;
  }
  if (found->second->encapsulated != packet.encapsulated ||
      found->second->non_ike_marker != packet.non_ike_marker) {
    ++drops_.encapsulation;
    return nullptr;
  }
  return found->second.get();
}

void EspEngine::inbound_ah(BatchPacket& packet, EngineOutput& out) {
  const auto header = read_ah_header(packet.bytes);
  if (!header) {
    ++drops_.malformed;
    return;
  }
  InboundSa* const sa = find_inbound(packet, IpsecProtocol::ah, header->spi, out);
  if (sa == nullptr) return;
  // RFC 4302 section 3.4.3: the preliminary check, cheaper than the ICV.
  if (!sa->window.acceptable(header->sequence)) {
    ++sa->state.counters.replayed;
    return;
  }
  const std::span<std::uint8_t> whole(packet.bytes.data() - packet.ip_header,
                                      packet.ip_header + packet.bytes.size());
  switch (std::get<AhAuthenticator>(sa->crypto).verify(whole, packet.ip_header)) {
    case AhVerdict::malformed:
      ++drops_.malformed;
      return;
    case AhVerdict::not_authentic:
      ++sa->state.counters.not_authentic;
      return;
    case AhVerdict::failed:
      ++drops_.crypto_failed;
      return;
    case AhVerdict::ok:
      sa->window.accept(header->sequence);
      break;
  }
  const std::span<std::uint8_t> payload = packet.bytes.subspan(header->size);
  const bool esp = header->next_header == static_cast<std::uint8_t>(IpsecProtocol::esp);
  if (!sa->bundle) {
    deliver(*sa, packet, payload, header->next_header, out);
  } else if (esp) {
    count(sa->state, payload.size(), out);
    inbound_esp(packet, payload, sa, out);
  } else {
    ++drops_.encapsulation;  // an SA of a bundle carries ESP alone
  }
}

void EspEngine::inbound_esp(BatchPacket& packet, std::span<std::uint8_t> bytes, const InboundSa* ah,
                            EngineOutput& out) {
  const auto header = read_esp_header(bytes);
  if (!header) {
    ++drops_.malformed;
    return;
  }
  InboundSa* const sa = find_inbound(packet, IpsecProtocol::esp, header->spi, out);
  if (sa == nullptr) return;
  if (sa->bundle != (ah != nullptr) || (ah != nullptr && ah->state.reqid != sa->state.reqid)) {
    ++drops_.encapsulation;
    return;
  }
  // RFC 4303 section 3.4.3: the preliminary check, cheaper than the ICV.
  if (!sa->window.acceptable(header->sequence)) {
    ++sa->state.counters.replayed;
    return;
  }
  const Opened opened = std::get<EspOpener>(sa->crypto).open(bytes);
  switch (opened.verdict) {
    case OpenVerdict::malformed:
      ++drops_.malformed;
      return;
    case OpenVerdict::not_authentic:
      ++sa->state.counters.not_authentic;
      return;
    case OpenVerdict::bad_padding:
      sa->window.accept(header->sequence);
      ++drops_.malformed;
      return;
    case OpenVerdict::ok:
      sa->window.accept(header->sequence);
      break;
  }
  if (sa->encapsulated && packet.source != sa->remote &&
      (out.moved.empty() || out.moved.back().id != sa->state.id)) {
    out.moved.push_back({sa->state.id, sa->state.reqid, packet.source});
  }
  deliver(*sa, packet, opened.inner, opened.next_header, out);
}

void EspEngine::deliver(InboundSa& sa, const BatchPacket& packet, std::span<std::uint8_t> payload,
                        std::uint8_t next_header, EngineOutput& out) {
  if (next_header == kProtocolNone) return;  // RFC 4303 section 2.6: "MUST ... discard such packets"
  const bool tunnel = sa.mode == EncapsulationMode::tunnel;
  std::span<std::uint8_t> whole = payload;
  if (!tunnel) {
    const std::size_t header = ip_header(packet.source.address);
    // There is room: the ESP or AH header lies before the payload, and before that an outer header, or the
    // slot's headroom.
    whole = {payload.data() - header, header + payload.size()};
    if (whole.size() > kMaxIpv4Packet) {
      ++drops_.malformed;
      return;
    }
    write_ip_header(whole,
                    {packet.source.address, packet.destination, next_header, packet.traffic_class, 0, true});
  }
  const auto inner = parse_inner_packet(whole);
  const std::uint8_t announced = inner && inner->source.is_v4() ? kProtocolIpv4 : kProtocolIpv6;
  // RFC 4301 section 4.1: transport mode SAs "do not carry fragments".
  const bool fragment = inner && !tunnel && inner->fragment != Fragment::none;
  if (!inner || fragment || (tunnel && next_header != announced)) {
    ++drops_.malformed;
    return;
  }
  // RFC 4301 section 5.2 step 4: the packet must match the SA's selectors.
  if (!within(sa.selectors, flow_of(*inner, Direction::in))) {
    ++sa.state.counters.selector_mismatch;
    return;
  }
  const auto traffic_class = tunnel ? decapsulated_traffic_class(inner->traffic_class, packet.traffic_class)
                                    : std::optional(inner->traffic_class);
  if (!traffic_class) {
    ++drops_.congestion;
    return;
  }
  if (sa.state.would_exceed(inner->size)) {
    expired(sa.state, out);
    return;
  }
  if (*traffic_class != inner->traffic_class) set_traffic_class(whole, *traffic_class);
  count(sa.state, inner->size, out);
  out.opened.push_back(whole.first(inner->size));
}

}  // namespace oakgate::soft
