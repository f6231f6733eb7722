// One SA as the engine keeps it: RFC 4301 section 4.4.2.1. Made from a SaSpec, whose keys go into the cipher
// contexts and nowhere else. Owned and used by one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>

#include "ike/ports/data_plane.h"
#include "xfrm/soft/ah_packet.h"
#include "xfrm/soft/esp_packet.h"
#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/prefetch.h"
#include "xfrm/soft/replay_window.h"
#include "xfrm/soft/slab.h"

namespace oakgate::soft {

// The sender's sequence numbers: RFC 4303 section 3.3.3. "The first packet sent will contain 1", and "the
// sender MUST NOT send a packet on an SA if doing so would cause the sequence number to cycle".
class SequenceCounter {
 public:
  static constexpr std::uint64_t kLast32 = UINT32_MAX;
  static constexpr std::uint64_t kLast64 = UINT64_MAX;  // with ESN
  explicit SequenceCounter(std::uint64_t last = 0, std::uint64_t end = kLast32) : last_(last), end_(end) {}
  // Nothing when all are used up.
  [[nodiscard]] std::optional<std::uint64_t> next() {
    if (last_ == end_) return std::nullopt;
    return ++last_;
  }
  [[nodiscard]] std::uint64_t last() const { return last_; }

 private:
  std::uint64_t last_;
  std::uint64_t end_;
};

// What both directions have: name, counters, hard limits. In this and the SAs themselves what each packet
// needs lies together: of 100,000 SAs each packet's comes from memory, line by line.
struct SaState {
  struct Limits {
    std::uint64_t max_bytes = 0;     // the hard limit; 0: none
    std::uint64_t soft_bytes = 0;    // 0: none, or told already
    std::uint64_t max_packets = 0;   // the hard limit; 0: none
    std::uint64_t soft_packets = 0;  // 0: none, or told already
  };
  // SaCounters (ike/ports/data_plane.h) but for the name, and what `bytes` and `packets` are.
  struct Refused {
    std::uint64_t replayed = 0;
    std::uint64_t not_authentic = 0;
    std::uint64_t selector_mismatch = 0;
  };

  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;
  // Before these no limit is near: one comparison for each packet.
  std::uint64_t quiet_bytes = UINT64_MAX;
  std::uint64_t quiet_packets = UINT64_MAX;
  SaId id;
  Reqid reqid;
  bool gone = false;  // out of the engine's tables
  // Seldom looked at; prefetch() ends here.
  Limits limits;
  Refused refused;
  std::optional<Instant> expires;

  [[nodiscard]] SaCounters report() const {
    return {id, bytes, packets, refused.replayed, refused.not_authentic, refused.selector_mismatch};
  }
  void limit(const Limits& to);
  // Whether a packet more, of `more` bytes, would pass a hard limit.
  [[nodiscard]] bool would_exceed(std::uint64_t more) const {
    return (bytes + more >= quiet_bytes || packets >= quiet_packets) && past_hard_limit(more);
  }
  // True once: when a soft limit is reached.
  [[nodiscard]] bool count(std::uint64_t more) {
    bytes += more;
    ++packets;
    return (bytes >= quiet_bytes || packets >= quiet_packets) && take_soft_limit();
  }
  // Takes back one count(): the packet could not be made.
  void uncount(std::uint64_t less) {
    bytes -= less;
    --packets;
  }

 private:
  [[nodiscard]] bool past_hard_limit(std::uint64_t more) const;
  [[nodiscard]] bool take_soft_limit();
};

// One of ESP and AH, by `state.id.protocol`.
struct alignas(kCacheLine) OutboundSa {
  SequenceCounter sequence;
  // What the kernel says about the path; asked again after a second (esp_engine.h).
  std::size_t path_mtu = 0;
  Instant path_mtu_at{};
  EncapsulationMode mode = EncapsulationMode::tunnel;
  PacketHandling handling{};
  std::uint16_t ip_id = 0;     // AH over IPv4, which covers it: the last one
  std::optional<SaId> bundle;  // ESP: the AH that goes over it. AH: what it goes over
  OuterPath path;
  std::variant<EspSealer, AhAuthenticator> crypto;
  SaState state;

  static void* operator new(std::size_t, std::align_val_t) { return slab_of<OutboundSa>().take(); }
  static void operator delete(void* sa, std::align_val_t) { slab_of<OutboundSa>().give(sa); }
};

struct alignas(kCacheLine) InboundSa {
  EncapsulationMode mode = EncapsulationMode::tunnel;
  bool encapsulated = false;
  bool non_ike_marker = false;
  bool bundle = false;  // of AH and ESP
  bool esn = false;
  TcpMss tcp_mss{};
  Endpoint remote;  // in UDP: where the peer was when the SA was made
  ReplayWindow window;
  std::variant<EspOpener, AhAuthenticator> crypto;
  SelectorPair selectors;
  SaState state;

  static void* operator new(std::size_t, std::align_val_t) { return slab_of<InboundSa>().take(); }
  static void operator delete(void* sa, std::align_val_t) { slab_of<InboundSa>().give(sa); }
};

// Has what a packet needs of its SA brought into the cache, but for the key schedule, which is
// crypto_batch.h's.
template <typename Sa>
void prefetch(const Sa& sa) {
  const auto* const begin = reinterpret_cast<const std::byte*>(&sa);
  prefetch_lines(begin,
                 static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&sa.state.limits) - begin));
}

// ErrorCode::unsupported for what this plane does not do: AH or transport mode in UDP, a replay window out of
// 32..4096, addresses of mixed families, transport mode whose selectors are not its addresses, a reserved
// SPI, keys that do not fit.
[[nodiscard]] Result<std::unique_ptr<OutboundSa>> make_outbound_sa(const SaSpec& spec, Instant now);
[[nodiscard]] Result<std::unique_ptr<InboundSa>> make_inbound_sa(const SaSpec& spec, Instant now);

}  // namespace oakgate::soft
