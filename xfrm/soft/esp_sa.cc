#include "xfrm/soft/esp_sa.h"

#include <algorithm>
#include <string>

namespace oakgate::soft {

namespace {

constexpr std::uint32_t kFirstSpi = 256;  // RFC 4303 section 2.1: 1 to 255 are reserved, 0 never travels

tl::unexpected<Error> unsupported(const SaSpec& spec, const std::string& what, const std::string& expected) {
  return fail(
      ErrorCode::unsupported,
      "the software data plane cannot install the SA to " + spec.id.destination.to_string() + ": " + what,
      expected);
}

// RFC 2407 section 4.5: kilobytes of 1024 bytes. More than 2^54 of them is no limit anybody reaches.
std::uint64_t in_bytes(Kilobytes limit) {
  return limit.value < UINT64_MAX / 1024 ? limit.value * 1024 : 0;
}

// Transport mode has no inner header: the packets' addresses are the SA's.
bool between_its_ends(const SaSpec& spec) {
  const bool in = spec.direction == Direction::in;
  const Subnet& source = in ? spec.selectors.remote.subnet : spec.selectors.local.subnet;
  const Subnet& destination = in ? spec.selectors.local.subnet : spec.selectors.remote.subnet;
  return source == Subnet::host(spec.source) && destination == Subnet::host(spec.id.destination);
}

Result<SaState> make_state(const SaSpec& spec, Instant now) {
  const bool transport = spec.mode == EncapsulationMode::transport;
  const bool ah = spec.id.protocol == IpsecProtocol::ah;
  if (spec.id.protocol == IpsecProtocol::comp || spec.over_ipcomp) {
    return unsupported(spec, "it does not compress", "the kernel's data plane, or no comp-deflate");
  }
  if (spec.ties.steered() || spec.ties.offload != Offload::none) {
    return unsupported(spec,
                       spec.ties.interface    ? "an interface"
                       : spec.ties.mark.all() ? "offload"
                                              : "a mark",
                       "the kernel's data plane, or a tunnel without it");
  }
  if (spec.encapsulation && (ah || transport)) {
    return unsupported(spec, ah ? "AH in UDP" : "transport mode in UDP", "ESP in tunnel mode through a NAT");
  }
  if (spec.bundle && (spec.bundle->protocol == spec.id.protocol || (ah && !transport))) {
    return unsupported(spec, "its bundle", "AH in transport mode over ESP");
  }
  if (spec.id.spi.value < kFirstSpi) return unsupported(spec, "its SPI is reserved", "an SPI from 256 on");
  if (spec.source.family() != spec.id.destination.family()) {
    return unsupported(spec, "its outer addresses are of two families", "IPv4 or IPv6 for both");
  }
  if (spec.selectors.local.subnet.family() != spec.selectors.remote.subnet.family()) {
    return unsupported(spec, "its selectors are of two families", "IPv4 or IPv6 for both");
  }
  if (transport && !(ah && spec.bundle) && !between_its_ends(spec)) {
    return unsupported(spec, "its selectors in transport mode", "the SA's own two addresses");
  }
  SaState state;
  state.id = spec.id;
  state.reqid = spec.reqid;
  if (spec.hard_time.count() > 0) state.expires = now + spec.hard_time;
  state.limit({.max_bytes = in_bytes(spec.hard_kilobytes),
               .soft_bytes = in_bytes(spec.soft_kilobytes),
               .max_packets = spec.hard_packets,
               .soft_packets = spec.soft_packets});
  return state;
}

// The protocol's half: EspSealer or EspOpener, or AH.
template <typename Esp>
Result<std::variant<Esp, AhAuthenticator>> make_crypto(const SaSpec& spec) {
  using Crypto = std::variant<Esp, AhAuthenticator>;
  if (spec.id.protocol == IpsecProtocol::ah) {
    if (!spec.integrity) return unsupported(spec, "AH without an algorithm", "an integrity algorithm");
    auto ah = AhAuthenticator::create(*spec.integrity, spec.integrity_key);
    if (!ah) return fail(std::move(ah.error()));
    if (spec.esn) ah->extend_numbers();
    return Crypto(std::move(*ah));
  }
  auto esp = Esp::create(spec.cipher, spec.integrity, spec.encryption_key, spec.integrity_key,
                         spec.bundle ? Covered::by_ah : Covered::by_itself);
  if (!esp) return fail(std::move(esp.error()));
  if (spec.esn) esp->extend_numbers();
  return Crypto(std::move(*esp));
}

}  // namespace

void SaState::limit(const Limits& to) {
  const auto nearer = [](std::uint64_t hard, std::uint64_t soft) {
    return std::min(hard != 0 ? hard : UINT64_MAX, soft != 0 ? soft : UINT64_MAX);
  };
  limits = to;
  quiet_bytes = nearer(to.max_bytes, to.soft_bytes);
  quiet_packets = nearer(to.max_packets, to.soft_packets);
}

bool SaState::past_hard_limit(std::uint64_t more) const {
  if (limits.max_packets != 0 && packets >= limits.max_packets) return true;
  return limits.max_bytes != 0 && (bytes > limits.max_bytes || more > limits.max_bytes - bytes);
}

bool SaState::take_soft_limit() {
  const bool bytes_reached = limits.soft_bytes != 0 && bytes >= limits.soft_bytes;
  const bool packets_reached = limits.soft_packets != 0 && packets >= limits.soft_packets;
  if (!bytes_reached && !packets_reached) return false;
  limit({limits.max_bytes, 0, limits.max_packets, 0});
  return true;
}

Result<std::unique_ptr<OutboundSa>> make_outbound_sa(const SaSpec& spec, Instant now) {
  auto state = make_state(spec, now);
  if (!state) return fail(std::move(state.error()));
  auto crypto = make_crypto<EspSealer>(spec);
  if (!crypto) return fail(std::move(crypto.error()));
  return std::make_unique<OutboundSa>(OutboundSa{
      .sequence =
          SequenceCounter(spec.last_sequence, spec.esn ? SequenceCounter::kLast64 : SequenceCounter::kLast32),
      .mode = spec.mode,
      .handling = spec.handling,
      .bundle = spec.bundle,
      .path = {spec.source, spec.id.destination, spec.encapsulation},
      .crypto = std::move(*crypto),
      .state = *state,
  });
}

Result<std::unique_ptr<InboundSa>> make_inbound_sa(const SaSpec& spec, Instant now) {
  auto state = make_state(spec, now);
  if (!state) return fail(std::move(state.error()));
  if (spec.replay_window < ReplayWindow::kMinSize || spec.replay_window > ReplayWindow::kMaxSize) {
    return unsupported(spec, "a replay window of " + std::to_string(spec.replay_window) + " packets",
                       "32 to 4096");
  }
  auto crypto = make_crypto<EspOpener>(spec);
  if (!crypto) return fail(std::move(crypto.error()));
  const Endpoint remote{spec.source, spec.encapsulation ? spec.encapsulation->remote_port : std::uint16_t{0}};
  return std::make_unique<InboundSa>(InboundSa{
      .mode = spec.mode,
      .encapsulated = spec.encapsulation.has_value(),
      .non_ike_marker = spec.encapsulation && spec.encapsulation->non_ike_marker,
      .bundle = spec.bundle.has_value(),
      .esn = spec.esn,
      .tcp_mss = spec.handling.tcp_mss,
      .remote = remote,
      .window = ReplayWindow(spec.replay_window, spec.last_sequence),
      .crypto = std::move(*crypto),
      .selectors = spec.selectors,
      .state = *state,
  });
}

}  // namespace oakgate::soft
