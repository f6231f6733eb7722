// The software data plane's SPD and SAD, and the way of a packet through them. No sockets, no clock, no
// threads: one worker drives it with batches and the time, and does with the output what it says.
//
// Outbound (RFC 4301 section 5.1): inner packet -> selectors -> newest SA of the reqid -> size against the
// path -> seal -> AH over it, if the SA is one of a bundle. Inbound (section 5.2): SPI and destination ->
// encapsulation -> window -> ICV -> window moves -> the same once more for ESP under AH -> inner packet
// within the SA's selectors -> ECN. Every other packet is dropped and counted.
//
// A batch goes through in phases, so that its cryptography is done together (crypto_batch.h), and so that
// what a packet needs of the tables is on its way into the cache while others are worked on: of each packet
// the headers are read, then policy and SA are found, then it is decided on, all are sealed or opened, and
// what comes of it is done in the packets' order. What a packet takes from its SA (sequence numbers, bytes of
// a limit) it takes when it is decided on; whether it is a replay is asked again when it has been opened, for
// a batch may hold a packet twice.
//
// Transport mode carries the gateways' own packets, whole and without IP options or extension headers: the
// header that goes out is this host's, or for AH over IPv4 ours, and what comes in gets a new one with the
// outer addresses. Fragments have no place in it (RFC 4301 section 4.1) and are dropped, both ways.
//
// Sizes (section 8.2): a packet that must not be fragmented (IPv4 with DF, IPv6 above 1280) and does not fit
// the SA's path is answered by ICMP; any other is sealed whole and the ESP packet fragmented by this host's
// kernel. Fragments (section 7): a later fragment meets only selectors without ports, outbound and inbound.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "ike/ports/data_plane.h"
#include "xfrm/soft/crypto_batch.h"
#include "xfrm/soft/esp_sa.h"
#include "xfrm/soft/inner_packet.h"
#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/selector_table.h"

namespace oakgate::soft {

// What the engine asks its surroundings; functions, so that tests answer as they like.
struct EngineEnvironment {
  // The path MTU between two addresses, IP header included; 0: unknown, everything fits.
  std::function<std::size_t(const OuterPath&)> path_mtu;
  // Fills with unpredictable bytes, for the IVs of CBC; false: there are none, the packet is dropped.
  std::function<bool(std::span<std::uint8_t>)> random;
};

// Packets that vanished.
struct Drops {
  std::uint64_t malformed = 0;      // no inner packet, none that its SA's next header announced, or none that
                                    // transport mode can carry
  std::uint64_t no_policy = 0;      // outbound: no selector pair
  std::uint64_t no_sa = 0;          // outbound: no SA and no room to wait
  std::uint64_t invalid_spi = 0;    // inbound: no such SA
  std::uint64_t encapsulation = 0;  // native for an SA in UDP, ESP without its AH, or the other way round
  std::uint64_t too_big = 0;        // answered by ICMP, as far as the rate allows
  std::uint64_t congestion = 0;     // RFC 6040: CE for a transport without ECN
  std::uint64_t crypto_failed = 0;  // OpenSSL or the random source failed
  std::uint64_t expired = 0;        // the SA's kilobytes or sequence numbers were at their end
  // The sums of what the SAs count each by itself, those included that are gone.
  std::uint64_t replayed = 0;
  std::uint64_t not_authentic = 0;  // or its padding is wrong, which nobody shall be able to tell
  std::uint64_t selector_mismatch = 0;
  // What the surroundings would not take, as they tell the engine.
  std::uint64_t send_refused = 0;  // a protected packet, to the outer side
  std::uint64_t lan_refused = 0;   // an inner packet, to this host
};

class EspEngine {
 public:
  static constexpr std::size_t kWaitingPackets = 16;  // for each reqid, until its SA is there
  static constexpr std::size_t kWaitingInAll = 1024;
  static constexpr Milliseconds kWaitingTime{10'000};
  static constexpr Milliseconds kAcquireEvery{1000};
  static constexpr Milliseconds kPathMtuEvery{1000};
  static constexpr std::size_t kExpiredAtOnce = 16;

  // With room for a batch: its packets take no memory but for those that wait for an SA, and for ICMP.
  explicit EspEngine(EngineEnvironment environment);

  // The port's functions of the same names (ike/ports/data_plane.h). Without memory (std::bad_alloc)
  // everything is as before, but for a policy that was to take another one's place: then neither is there,
  // and its packets are dropped.
  [[nodiscard]] Result<void> protect(const ProtectPolicy& policy);
  void unprotect(Reqid reqid);
  [[nodiscard]] std::optional<ProtectPolicy> policy(Reqid reqid) const;
  [[nodiscard]] Result<void> install(std::span<const SaSpec> sas, Instant now);
  void remove(std::span<const SaId> sas);
  // All or none; their names then, in the order asked.
  [[nodiscard]] Result<std::vector<SaId>> move(std::span<const SaMove> sas);
  [[nodiscard]] std::vector<SaCounters> counters(std::span<const SaId> sas) const;

  // Appends to `out`.
  void outbound(PacketBatch& batch, Instant now, EngineOutput& out);
  void inbound(PacketBatch& batch, EngineOutput& out);
  // Fills `batch` with packets whose SA has come meanwhile, for outbound(); false: there are none.
  [[nodiscard]] bool take_waiting(PacketBatch& batch, Instant now);

  // Takes away what has reached hard_time.
  void expire(Instant now, EngineOutput& out);
  [[nodiscard]] std::optional<Instant> next_expiry() const;

  [[nodiscard]] const Drops& drops() const { return drops_; }
  void count_refused_sends(std::size_t packets) { drops_.send_refused += packets; }
  void count_refused_by_lan(std::size_t packets) { drops_.lan_refused += packets; }

 private:
  struct Waiting {
    Instant since;
    Bytes packet;
  };
  // Everything of one reqid.
  struct Tunnel {
    OutboundSa* newest = nullptr;  // the last of `outbound`
    Reqid reqid;
    std::vector<OutboundSa*> outbound;  // oldest first; of a bundle the ESP
    std::optional<ProtectPolicy> policy;
    std::vector<Waiting> waiting;
    std::optional<Instant> acquired;  // when `acquire` was last raised

    static void* operator new(std::size_t) { return slab_of<Tunnel>().take(); }
    static void operator delete(void* tunnel) { slab_of<Tunnel>().give(tunnel); }
  };
  struct ReqidHash {
    std::size_t operator()(Reqid reqid) const noexcept { return mixed(reqid.value); }
  };
  struct SaIdHash {
    std::size_t operator()(const SaId& id) const noexcept {
      const auto words = id.destination.words();
      return mixed(mixed(words[0] + words[1]) + id.spi.value);
    }
  };
  template <typename Sa>
  using SaTable = FlatTable<SaId, std::unique_ptr<Sa>, SaIdHash>;

  // An outbound packet that has been read.
  struct Leaver {
    std::span<std::uint8_t> bytes;
    InnerPacket inner;
    Tunnel* tunnel = nullptr;  // whose policy it meets; null: nobody's
  };

  // One that has been decided on. Each packet makes one: few bytes.
  struct Leaving {
    static constexpr std::uint16_t kNone = PacketBatch::kCapacity;
    OutboundSa* sa = nullptr;
    OutboundSa* ah = nullptr;         // whose AH it gets: `sa` itself, or the one over it
    std::size_t inner_size = 0;       // what has been counted
    std::span<std::uint8_t> payload;  // what AH covers, if there is no ESP
    std::uint64_t ah_sequence = 0;
    std::uint32_t fragment_to = 0;         // these three as SealedPacket has them
    std::uint16_t sealing = kNone;         // its SealRequest
    std::uint16_t authenticating = kNone;  // its AhRequest
    std::uint8_t traffic_class = 0;
    bool dont_fragment = false;
    std::uint8_t next_header = 0;  // of AH
  };
  // An inbound packet whose SA is known.
  struct Arriving {
    const BatchPacket* packet = nullptr;
    InboundSa* ah = nullptr;
    InboundSa* esp = nullptr;
    AhHeader ah_header;
    EspHeader esp_header;
    std::optional<std::size_t> verifying;  // its AhRequest
    std::optional<std::size_t> opening;    // its OpenRequest
    std::span<std::uint8_t> payload;       // that came out of AH alone
  };

  // Outbound (esp_outbound.cc): the phases' parts.
  void read(PacketBatch& batch);
  [[nodiscard]] std::span<Leaver> leavers() { return std::span(*leavers_).first(read_); }
  void find_tunnels();
  void decide(const Leaver& packet, Instant now, EngineOutput& out);
  void without_sa(Tunnel& tunnel, const Leaver& packet, Instant now, EngineOutput& out);
  // The SA whose AH goes over `sa`; absent if it is gone, or none is meant.
  [[nodiscard]] OutboundSa* over(const OutboundSa& sa) const { return sa.bundle ? ah_over(sa) : nullptr; }
  [[nodiscard]] OutboundSa* ah_over(const OutboundSa& sa) const;  // of a bundle
  // The largest packet on the SA's path, and the largest inner packet that gives one such.
  [[nodiscard]] std::size_t path_mtu(OutboundSa& sa, Instant now) const;
  [[nodiscard]] std::size_t inner_mtu(OutboundSa& sa, const OutboundSa* ah, std::size_t stripped,
                                      Instant now) const;
  // What `tcp_mss` leaves of a SYN's MSS.
  [[nodiscard]] std::size_t mss_limit(OutboundSa& sa, const OutboundSa* ah, const InnerPacket& inner,
                                      Instant now) const;
  void clamp_inbound_mss(const InboundSa& sa, std::span<std::uint8_t> packet, const InnerPacket& inner) const;
  void protect(OutboundSa& sa, OutboundSa* ah, std::span<std::uint8_t> bytes, const InnerPacket& inner,
               bool fits, EngineOutput& out);
  // Asks for ESP around `leaving.payload`; how large that will be. 0: it must not go.
  [[nodiscard]] std::size_t ask_to_seal(Leaving& leaving, std::uint8_t next_header, EngineOutput& out);
  // Takes a sequence number for AH before `size` bytes; false likewise.
  [[nodiscard]] bool take_ah(Leaving& leaving, std::size_t size, EngineOutput& out);
  void ask_to_authenticate(Leaving& leaving);
  void send(const Leaving& leaving, EngineOutput& out);
  void icmp(ByteView packet, const InnerPacket& inner, IcmpError kind, std::size_t mtu, Instant now,
            EngineOutput& out);

  // Inbound (esp_inbound.cc).
  void find_sas(PacketBatch& batch);
  [[nodiscard]] InboundSa* find_inbound(const SaId& id) const;
  // Whether the SA is there, and takes what came as the packet did.
  [[nodiscard]] bool admitted(const BatchPacket& packet, const InboundSa* sa, const SaId& id,
                              EngineOutput& out);
  void unknown(const BatchPacket& packet, const SaId& id, EngineOutput& out);
  // False: the packet went no further. `sa`: of its SPI, null if there is none. `bytes` begins with the SPI.
  [[nodiscard]] bool look_at_ah(Arriving& arriving, InboundSa* sa, EngineOutput& out);
  [[nodiscard]] bool look_at_esp(Arriving& arriving, std::span<std::uint8_t> bytes, InboundSa* sa,
                                 EngineOutput& out);
  [[nodiscard]] bool verified(Arriving& arriving, EngineOutput& out);
  void opened(Arriving& arriving, EngineOutput& out);
  void deliver(InboundSa& sa, const BatchPacket& packet, std::span<std::uint8_t> payload,
               std::uint8_t next_header, EngineOutput& out);

  Tunnel& tunnel(Reqid reqid);  // made if there is none
  [[nodiscard]] Tunnel* find(Reqid reqid) const;
  void forget_if_empty(Reqid reqid);
  void rename(const SaId& id, const SaId& to);  // an outbound one
  void enter(std::unique_ptr<InboundSa> sa);
  void enter(std::unique_ptr<OutboundSa> sa);
  void erase(const SaId& id);  // takes no memory
  void bury();                 // frees what erase() took away: no packet may need it any more
  void expired(const SaState& state, EngineOutput& out);  // the SA is out of the tables afterwards
  [[nodiscard]] SaState* find(const SaId& id) const;
  void prefetch_tables(const SaId& id) const;  // ahead of find()
  [[nodiscard]] std::uint64_t last_sequence(const SaId& id) const;

  EngineEnvironment environment_;
  FlatTable<Reqid, std::unique_ptr<Tunnel>, ReqidHash> tunnels_;  // they stay where they are: selectors_
  SelectorTable<Tunnel*> selectors_;
  SaTable<OutboundSa> outbound_;
  SaTable<InboundSa> inbound_;
  std::set<std::pair<Instant, SaId>> expiries_;
  // Taken out of the tables in the midst of a batch, whose packets may still need them.
  std::vector<std::unique_ptr<OutboundSa>> buried_outbound_;
  std::vector<std::unique_ptr<InboundSa>> buried_inbound_;
  // Of the batch at hand; kept for their room.
  // Not made anew for each packet: read() writes all that is read of them.
  std::unique_ptr<std::array<Leaver, PacketBatch::kCapacity>> leavers_ =
      std::make_unique<std::array<Leaver, PacketBatch::kCapacity>>();
  std::size_t read_ = 0;  // so many of them are
  std::vector<Leaving> leaving_;
  std::vector<InboundSa*> found_;  // of the packets in their order; null: none
  std::vector<Arriving> arriving_;
  std::vector<SealRequest> sealing_;
  std::vector<OpenRequest> opening_;
  std::vector<AhRequest> authenticating_;
  CryptoBatch crypto_;
  std::size_t waiting_ = 0;
  std::vector<Reqid> ready_;  // have both an SA and waiting packets
  TokenBucket icmp_rate_{50, 100};
  Drops drops_;
};

}  // namespace oakgate::soft
