// The engine's way of packets from outside to inside, by batches: find each one's SA, look at it, verify all
// AH, open all ESP, deliver in order. See esp_engine.h.
#include <algorithm>

#include "xfrm/soft/ecn_rules.h"
#include "xfrm/soft/esp_engine.h"
#include "xfrm/soft/ip_header.h"
#include "xfrm/soft/tcp_mss.h"

namespace oakgate::soft {

namespace {

constexpr std::size_t kUnknownInARow = 4;  // SPIs of one batch that are told of: nobody acts on more

// The packet's flow as the tunnel sees it: `local` is our side.
FlowView flow_of(const InnerPacket& inner) {
  const Ports ports = inner.ports.value_or(Ports{});
  return {inner.destination, inner.source, inner.protocol, ports.destination, ports.source};
}

// Of the SA that `bytes` name, which begin with the header of `protocol`. Nothing: they are too short.
std::optional<SaId> id_of(const BatchPacket& packet, IpsecProtocol protocol, ByteView bytes) {
  if (protocol == IpsecProtocol::ah) {
    const auto header = read_ah_header(bytes);
    return header ? std::optional(SaId{packet.destination, protocol, header->spi}) : std::nullopt;
  }
  const auto header = read_esp_header(bytes);
  return header ? std::optional(SaId{packet.destination, protocol, header->spi}) : std::nullopt;
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
  find_sas(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const BatchPacket& packet = batch.packets()[i];
    Arriving& arriving = arriving_.emplace_back();
    arriving.packet = &packet;
    const bool goes_on = packet.protocol == IpsecProtocol::ah
                             ? look_at_ah(arriving, found_[i], out)
                             : look_at_esp(arriving, packet.bytes, found_[i], out);
    if (!goes_on) arriving_.pop_back();
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

// ESP under AH has its SA found when that has been verified.
void EspEngine::find_sas(PacketBatch& batch) {
  found_.clear();
  for (const BatchPacket& packet : batch.packets()) {
    if (const auto id = id_of(packet, packet.protocol, packet.bytes)) inbound_.prefetch(*id);
  }
  const InboundSa* before = nullptr;
  for (const BatchPacket& packet : batch.packets()) {
    const auto id = id_of(packet, packet.protocol, packet.bytes);
    InboundSa* const found = id ? find_inbound(*id) : nullptr;
    found_.push_back(found);
    if (found != nullptr && found != before) prefetch(*found);
    before = found;
  }
}

void EspEngine::unknown(const BatchPacket& packet, const SaId& id, EngineOutput& out) {
  ++drops_.invalid_spi;
  if (out.unknown_spis.size() < kUnknownInARow) out.unknown_spis.push_back({id, packet.source.address});
}

InboundSa* EspEngine::find_inbound(const SaId& id) const {
  const auto* const found = inbound_.find(id);
  return found != nullptr ? found->get() : nullptr;
}

bool EspEngine::admitted(const BatchPacket& packet, const InboundSa* sa, const SaId& id, EngineOutput& out) {
  if (sa == nullptr) {
    unknown(packet, id, out);
    return false;
  }
  if (sa->encapsulated == packet.encapsulated && sa->non_ike_marker == packet.non_ike_marker) return true;
  ++drops_.encapsulation;
  return false;
}

bool EspEngine::look_at_ah(Arriving& arriving, InboundSa* sa, EngineOutput& out) {
  const BatchPacket& packet = *arriving.packet;
  auto header = read_ah_header(packet.bytes);
  if (!header) {
    ++drops_.malformed;
    return false;
  }
  if (!admitted(packet, sa, {packet.destination, IpsecProtocol::ah, header->spi}, out)) return false;
  whole_number(*sa, header->sequence);
  // RFC 4302 section 3.4.3: the preliminary check, cheaper than the ICV.
  if (!acceptable(*sa, header->sequence)) {
    ++sa->state.refused.replayed;
    ++drops_.replayed;
    return false;
  }
  const std::span<std::uint8_t> whole(packet.bytes.data() - packet.ip_header,
                                      packet.ip_header + packet.bytes.size());
  arriving.ah = sa;
  arriving.ah_header = *header;
  arriving.verifying = authenticating_.size();
  authenticating_.push_back(
      {&std::get<AhAuthenticator>(sa->crypto), whole, packet.ip_header, *header, AhVerdict::malformed});
  return true;
}

bool EspEngine::verified(Arriving& arriving, EngineOutput& out) {
  InboundSa& sa = *arriving.ah;
  // An earlier packet of the batch may have had the same number.
  if (!acceptable(sa, arriving.ah_header.sequence)) {
    ++sa.state.refused.replayed;
    ++drops_.replayed;
    return false;
  }
  switch (authenticating_[*arriving.verifying].verdict) {
    case AhVerdict::malformed:
      ++drops_.malformed;
      return false;
    case AhVerdict::not_authentic:
      ++sa.state.refused.not_authentic;
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
  const auto id = id_of(*arriving.packet, IpsecProtocol::esp, arriving.payload);
  return look_at_esp(arriving, arriving.payload, id ? find_inbound(*id) : nullptr, out);
}

bool EspEngine::look_at_esp(Arriving& arriving, std::span<std::uint8_t> bytes, InboundSa* sa,
                            EngineOutput& out) {
  auto header = read_esp_header(bytes);
  if (!header) {
    ++drops_.malformed;
    return false;
  }
  const BatchPacket& packet = *arriving.packet;
  if (!admitted(packet, sa, {packet.destination, IpsecProtocol::esp, header->spi}, out)) return false;
  const InboundSa* const ah = arriving.ah;
  if (sa->bundle != (ah != nullptr) || (ah != nullptr && ah->state.reqid != sa->state.reqid)) {
    ++drops_.encapsulation;
    return false;
  }
  whole_number(*sa, header->sequence);
  // RFC 4303 section 3.4.3: the preliminary check, cheaper than the ICV.
  if (!acceptable(*sa, header->sequence)) {
    ++sa->state.refused.replayed;
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
    ++sa.state.refused.replayed;
    ++drops_.replayed;
    return;
  }
  const Opened& opened = opening_[*arriving.opening].opened;
  switch (opened.verdict) {
    case OpenVerdict::malformed:
      ++drops_.malformed;
      return;
    case OpenVerdict::not_authentic:
      ++sa.state.refused.not_authentic;
      ++drops_.not_authentic;
      return;
    case OpenVerdict::bad_padding:
      accept(sa, arriving.esp_header.sequence);
      ++sa.state.refused.not_authentic;
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
    ++sa.state.refused.selector_mismatch;
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
  const Tunnel* const found = find(sa.state.reqid);
  if (found == nullptr || found->newest == nullptr) return;
  OutboundSa& back = *found->newest;
  clamp_mss(packet, inner, mss_limit(back, over(back), inner, back.path_mtu_at));
}

}  // namespace oakgate::soft
