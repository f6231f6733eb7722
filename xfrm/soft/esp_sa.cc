#include "xfrm/soft/esp_sa.h"

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

Result<SaState> make_state(const SaSpec& spec, Instant now) {
  if (spec.id.protocol != IpsecProtocol::esp) return unsupported(spec, "its protocol is AH", "ESP");
  if (spec.mode != EncapsulationMode::tunnel) return unsupported(spec, "its mode", "tunnel mode");
  if (spec.id.spi.value < kFirstSpi) return unsupported(spec, "its SPI is reserved", "an SPI from 256 on");
  if (spec.source.family() != spec.id.destination.family()) {
    return unsupported(spec, "its outer addresses are of two families", "IPv4 or IPv6 for both");
  }
  if (spec.selectors.local.subnet.family() != spec.selectors.remote.subnet.family()) {
    return unsupported(spec, "its selectors are of two families", "IPv4 or IPv6 for both");
  }
  SaState state;
  state.id = spec.id;
  state.reqid = spec.reqid;
  state.counters.id = spec.id;
  if (spec.hard_time.count() > 0) state.expires = now + spec.hard_time;
  state.max_bytes = in_bytes(spec.hard_kilobytes);
  state.soft_bytes = in_bytes(spec.soft_kilobytes);
  return state;
}

}  // namespace

Result<std::unique_ptr<OutboundSa>> make_outbound_sa(const SaSpec& spec, Instant now) {
  auto state = make_state(spec, now);
  if (!state) return fail(std::move(state.error()));
  auto sealer = EspSealer::create(spec.cipher, spec.integrity, spec.encryption_key, spec.integrity_key);
  if (!sealer) return fail(std::move(sealer.error()));
  return std::make_unique<OutboundSa>(OutboundSa{*state,
                                                 {spec.source, spec.id.destination, spec.encapsulation},
                                                 std::move(*sealer),
                                                 SequenceCounter(),
                                                 0,
                                                 {}});
}

Result<std::unique_ptr<InboundSa>> make_inbound_sa(const SaSpec& spec, Instant now) {
  auto state = make_state(spec, now);
  if (!state) return fail(std::move(state.error()));
  if (spec.replay_window < ReplayWindow::kMinSize || spec.replay_window > ReplayWindow::kMaxSize) {
    return unsupported(spec, "a replay window of " + std::to_string(spec.replay_window) + " packets",
                       "32 to 4096");
  }
  auto opener = EspOpener::create(spec.cipher, spec.integrity, spec.encryption_key, spec.integrity_key);
  if (!opener) return fail(std::move(opener.error()));
  const Endpoint remote{spec.source, spec.encapsulation ? spec.encapsulation->remote_port : std::uint16_t{0}};
  return std::make_unique<InboundSa>(InboundSa{*state, spec.selectors, spec.encapsulation.has_value(), remote,
                                               std::move(*opener), ReplayWindow(spec.replay_window)});
}

}  // namespace oakgate::soft
