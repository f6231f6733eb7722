// The engine's way of packets from outside to inside, by batches: find each one's SA, verify all AH, open all
// ESP, deliver in order. See esp_engine.h.
#include <algorithm>

#include "xfrm/soft/ecn_rules.h"
#include "xfrm/soft/esp_engine.h"
#include "xfrm/soft/ip_header.h"
#include "xfrm/soft/tcp_mss.h"

namespace oakgate::soft {

namespace {

constexpr std::size_t kUnknownInARow = 4;  // SPIs of one batch that are told of: nobody acts on more

// The packet's flow as the tunnel sees it: `local` is our side.
Flow flow_of(const InnerPacket& inner) {
  const Ports ports = inner.ports.value_or(Ports{});
  return {inner.destination, inner.source, inner.protocol, ports.destination, ports.source};
}

void count(SaState& state, std::size_t bytes, EngineOutput& out) {
  if (state.count(bytes)) out.soft_limits.push_back({state.id, state.reqid});
}

// With ESN what came is the low half.
void whole_number(const InboundSa& sa, std::uint64_t& sequence) {
  if (sa.esn) sequence = sa.window.whole_number(static_cast<std::uint32_t>(sequence));
}

bool acceptable(const InboundSa& sa, std::uint64_t sequence) {
  return sa.window.acceptable(sequence);
}

void accept(InboundSa& sa, std::uint64_t sequence) {
  sa.window.accept(sequence);
}

}  // namespace

void EspEngine::inbound(PacketBatch& batch, EngineOutput& out) {
  arriving_.clear();
  opening_.clear();
  authenticating_.clear();
  for (const BatchPacket& packet : batch.packets()) {
    if (packet.protocol == IpsecProtocol::ah) {
      look_at_ah(packet, out);
      continue;
    }
    Arriving arriving;
    arriving.packet = &packet;
    if (look_at_esp(arriving, packet.bytes, out)) arriving_.push_back(arriving);
  }
  crypto_.verify(authenticating_);
  // What AH has let through goes on; ESP that came without AH goes on as it is.
  std::size_t kept = 0;
  for (Arriving& arriving : arriving_) {
    if (!arriving.verifying || verified(arriving, out)) arriving_[kept++] = arriving;
  }
  arriving_.resize(kept);
  crypto_.open(opening_);
  for (Arriving& arriving : arriving_) opened(arriving, out);
  bury();
}

void EspEngine::unknown(const BatchPacket& packet, const SaId& id, EngineOutput& out) {
  ++drops_.invalid_spi;
  if (out.unknown_spis.size() < kUnknownInARow) out.unknown_spis.push_back({id, packet.source.address});
}

InboundSa* EspEngine::find_inbound(const BatchPacket& packet, IpsecProtocol protocol, Spi spi,
                                   EngineOutput& out) {
  const SaId id{packet.destination, protocol, spi};
  const auto found = inbound_.find(id);
  if (found == inbound_.end()) {
    unknown(packet, id, out);
    return nullptr;
  }
  if (found->second->encapsulated != packet.encapsulated ||
      found->second->non_ike_marker != packet.non_ike_marker) {
    ++drops_.encapsulation;
    return nullptr;
  }
  return found->second.get();
}

void EspEngine::look_at_ah(const BatchPacket& packet, EngineOutput& out) {
  auto header = read_ah_header(packet.bytes);
  if (!header) {
    ++drops_.malformed;
    return;
  }
  InboundSa* const sa = find_inbound(packet, IpsecProtocol::ah, header->spi, out);
  if (sa == nullptr) return;
  whole_number(*sa, header->sequence);
  // RFC 4302 section 3.4.3: the preliminary check, cheaper than the ICV.
  if (!acceptable(*sa, header->sequence)) {
    ++sa->state.counters.replayed;
    ++drops_.replayed;
    return;
  }
  const std::span<std::uint8_t> whole(packet.bytes.data() - packet.ip_header,
                                      packet.ip_header + packet.bytes.size());
  Arriving arriving;
  arriving.packet = &packet;
  arriving.ah = sa;
  arriving.ah_header = *header;
  arriving.verifying = authenticating_.size();
  arriving_.push_back(arriving);
  authenticating_.push_back(
      {&std::get<AhAuthenticator>(sa->crypto), whole, packet.ip_header, *header, AhVerdict::malformed});
}

bool EspEngine::verified(Arriving& arriving, EngineOutput& out) {
  InboundSa& sa = *arriving.ah;
  // An earlier packet of the batch may have had the same number.
  if (!acceptable(sa, arriving.ah_header.sequence)) {
    ++sa.state.counters.replayed;
    ++drops_.replayed;
    return false;
  }
  switch (authenticating_[*arriving.verifying].verdict) {
    case AhVerdict::malformed:
      ++drops_.malformed;
      return false;
    case AhVerdict::not_authentic:
      ++sa.state.counters.not_authentic;
      ++drops_.not_authentic;
      return false;
    case AhVerdict::failed:
      ++drops_.crypto_failed;
      return false;
    case AhVerdict::ok:
      accept(sa, arriving.ah_header.sequence);
      break;
  }
  arriving.payload = arriving.packet->bytes.subspan(arriving.ah_header.size);
  if (!sa.bundle) return true;
  if (arriving.ah_header.next_header != static_cast<std::uint8_t>(IpsecProtocol::esp)) {
    ++drops_.encapsulation;  // an SA of a bundle carries ESP alone
    return false;
  }
  count(sa.state, arriving.payload.size(), out);
  return look_at_esp(arriving, arriving.payload, out);
}

bool EspEngine::look_at_esp(Arriving& arriving, std::span<std::uint8_t> bytes, EngineOutput& out) {
  auto header = read_esp_header(bytes);
  if (!header) {
    ++drops_.malformed;
    return false;
  }
  InboundSa* const sa = find_inbound(*arriving.packet, IpsecProtocol::esp, header->spi, out);
  if (sa == nullptr) return false;
  const InboundSa* const ah = arriving.ah;
  if (sa->bundle != (ah != nullptr) || (ah != nullptr && ah->state.reqid != sa->state.reqid)) {
    ++drops_.encapsulation;
    return false;
  }
  whole_number(*sa, header->sequence);
  // RFC 4303 section 3.4.3: the preliminary check, cheaper than the ICV.
  if (!acceptable(*sa, header->sequence)) {
    ++sa->state.counters.replayed;
    ++drops_.replayed;
    return false;
  }
  arriving.esp = sa;
  arriving.esp_header = *header;
  arriving.opening = opening_.size();
  opening_.push_back({&std::get<EspOpener>(sa->crypto), bytes, header->sequence, {}});
  return true;
}

void EspEngine::opened(Arriving& arriving, EngineOutput& out) {
  InboundSa& sa = arriving.esp != nullptr ? *arriving.esp : *arriving.ah;
  if (sa.state.gone) {  // by a packet before it that reached the hard limit
    unknown(*arriving.packet, sa.state.id, out);
    return;
  }
  if (!arriving.opening) {
    deliver(sa, *arriving.packet, arriving.payload, arriving.ah_header.next_header, out);
    return;
  }
  // An earlier packet of the batch may have had the same number.
  if (!acceptable(sa, arriving.esp_header.sequence)) {
    ++sa.state.counters.replayed;
    ++drops_.replayed;
    return;
  }
  const Opened& opened = opening_[*arriving.opening].opened;
  switch (opened.verdict) {
    case OpenVerdict::malformed:
      ++drops_.malformed;
      return;
    case OpenVerdict::not_authentic:
      ++sa.state.counters.not_authentic;
      ++drops_.not_authentic;
      return;
    case OpenVerdict::bad_padding:
      accept(sa, arriving.esp_header.sequence);
      ++sa.state.counters.not_authentic;
      ++drops_.not_authentic;
      return;
    case OpenVerdict::ok:
      accept(sa, arriving.esp_header.sequence);
      break;
  }
  const Endpoint& source = arriving.packet->source;
  if (sa.encapsulated && source != sa.remote && (out.moved.empty() || out.moved.back().id != sa.state.id)) {
    out.moved.push_back({sa.state.id, sa.state.reqid, source});
  }
  deliver(sa, *arriving.packet, opened.inner, opened.next_header, out);
}

void EspEngine::deliver(InboundSa& sa, const BatchPacket& packet, std::span<std::uint8_t> payload,
                        std::uint8_t next_header, EngineOutput& out) {
  if (next_header == kProtocolNone) return;  // RFC 4303 section 2.6: "MUST ... discard such packets"
  const bool tunnel = sa.mode == EncapsulationMode::tunnel;
  std::span<std::uint8_t> whole = payload;
  if (!tunnel) {
    const std::size_t header = ip_header_size(packet.source.address);
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
  if (!within(sa.selectors, flow_of(*inner))) {
    ++sa.state.counters.selector_mismatch;
    ++drops_.selector_mismatch;
    return;
  }
  const auto traffic_class = tunnel ? decapsulated_traffic_class(inner->traffic_class, packet.traffic_class)
                                    : std::optional(inner->traffic_class);
  if (!traffic_class) {
    ++drops_.congestion;
    return;
  }
  if (sa.state.would_exceed(inner->size)) {
    ++drops_.expired;
    expired(sa.state, out);
    return;
  }
  if (sa.tcp_mss.kind != TcpMss::Kind::off && is_tcp_syn(whole, *inner)) clamp_inbound_mss(sa, whole, *inner);
  if (*traffic_class != inner->traffic_class) set_traffic_class(whole, *traffic_class);
  count(sa.state, inner->size, out);
  out.opened.push_back(whole.first(inner->size));
}

// What the other side says it takes is what our side will send, by the newest outbound SA. As there is no
// time here, a path that has been asked for before is as good as a new one.
void EspEngine::clamp_inbound_mss(const InboundSa& sa, std::span<std::uint8_t> packet,
                                  const InnerPacket& inner) const {
  if (sa.tcp_mss.kind == TcpMss::Kind::fixed) {
    clamp_mss(packet, inner, sa.tcp_mss.bytes);
    return;
  }
  const auto found = tunnels_.find(sa.state.reqid);
  if (found == tunnels_.end() || found->second.outbound.empty()) return;
  OutboundSa& back = *found->second.outbound.back();
  clamp_mss(packet, inner, mss_limit(back, over(back), inner, back.path_mtu_at));
}

}  // namespace oakgate::soft
