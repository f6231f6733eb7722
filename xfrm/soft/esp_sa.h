// One SA as the engine keeps it: RFC 4301 section 4.4.2.1. Made from a SaSpec, whose keys go into the cipher
// contexts and nowhere else. Owned and used by one worker.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>

#include "ike/ports/data_plane.h"
#include "xfrm/soft/ah_packet.h"
#include "xfrm/soft/esp_packet.h"
#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/replay_window.h"

namespace oakgate::soft {

// The sender's sequence numbers: RFC 4303 section 3.3.3. "The first packet sent will contain 1", and "the
// sender MUST NOT send a packet on an SA if doing so would cause the sequence number to cycle".
class SequenceCounter {
 public:
  explicit SequenceCounter(std::uint32_t last = 0) : last_(last) {}
  // Nothing when all are used up.
  [[nodiscard]] std::optional<std::uint32_t> next() {
    if (last_ == UINT32_MAX) return std::nullopt;
    return ++last_;
  }

 private:
  std::uint32_t last_;
};

// What both directions have: name, counters, hard limits.
struct SaState {
  SaId id;
  Reqid reqid;
  SaCounters counters;
  std::optional<Instant> expires;
  std::uint64_t max_bytes = 0;   // the hard limit; 0: none
  std::uint64_t soft_bytes = 0;  // 0: none, or told already
  bool gone = false;             // out of the engine's tables

  // Whether `bytes` more would pass the hard limit.
  [[nodiscard]] bool would_exceed(std::uint64_t bytes) const {
    return max_bytes != 0 && (counters.bytes > max_bytes || bytes > max_bytes - counters.bytes);
  }
  // True once: when the soft limit is reached.
  [[nodiscard]] bool count(std::uint64_t bytes) {
    counters.bytes += bytes;
    ++counters.packets;
    if (soft_bytes == 0 || counters.bytes < soft_bytes) return false;
    soft_bytes = 0;
    return true;
  }
  // Takes back one count(): the packet could not be made.
  void uncount(std::uint64_t bytes) {
    counters.bytes -= bytes;
    --counters.packets;
  }
};

// One of ESP and AH, by `state.id.protocol`.
struct OutboundSa {
  SaState state;
  OuterPath path;
  EncapsulationMode mode = EncapsulationMode::tunnel;
  std::optional<SaId> bundle;  // ESP: the AH that goes over it. AH: what it goes over
  std::variant<EspSealer, AhAuthenticator> crypto;
  SequenceCounter sequence;
  std::uint16_t ip_id = 0;  // AH over IPv4, which covers it: the last one
  // What the kernel says about the path; asked again after a second (esp_engine.h).
  std::size_t path_mtu = 0;
  Instant path_mtu_at{};
};

struct InboundSa {
  SaState state;
  SelectorPair selectors;
  EncapsulationMode mode = EncapsulationMode::tunnel;
  bool encapsulated = false;
  bool non_ike_marker = false;
  Endpoint remote;      // in UDP: where the peer was when the SA was made
  bool bundle = false;  // of AH and ESP
  std::variant<EspOpener, AhAuthenticator> crypto;
  ReplayWindow window;
};

// ErrorCode::unsupported for what this plane does not do: AH or transport mode in UDP, a replay window out of
// 32..4096, addresses of mixed families, transport mode whose selectors are not its addresses, a reserved
// SPI, keys that do not fit.
[[nodiscard]] Result<std::unique_ptr<OutboundSa>> make_outbound_sa(const SaSpec& spec, Instant now);
[[nodiscard]] Result<std::unique_ptr<InboundSa>> make_inbound_sa(const SaSpec& spec, Instant now);

}  // namespace oakgate::soft
