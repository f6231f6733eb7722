// Core: the state of one engine together with the call it is in. Every file of the protocol works on it; it
// holds no protocol itself, only the books: who is there, how they are found, what is armed, what goes out.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ike/engine.h"
#include "ike/half_open.h"
#include "ike/ike_sa.h"
#include "ike/peers.h"
#include "ike/source_index.h"
#include "ike/timers.h"

namespace oakgate::ike {

// Which exchange a job belongs to; or which SA pair, if its outbound SA is installed after the exchange.
struct JobOwner {
  IkeSaId sa;
  MessageId exchange;
  SaPairId pair{};  // 0: an exchange's
};

// An SA pair that the data plane was told to have go on elsewhere (moved_peers.h).
struct MoveUnderWay {
  SaPairId pair;
  Endpoint from;
  std::vector<SaId> outbound;  // as they were named there
};

class EngineState {
 public:
  std::string gateway;
  Limits limits;
  std::vector<std::string> peer_order;
  // By `called_from`; none: it has changed since, and is made anew when somebody calls.
  std::optional<SourceIndex> sources;
  std::unordered_map<std::string, std::unique_ptr<Peer>> peers;
  std::unordered_map<Reqid, Peer*> by_reqid;
  std::unordered_map<std::string, TrustpointState> trustpoints;

  std::unordered_map<IkeSaId, std::unique_ptr<IkeSa>> ike_sas;
  std::unordered_map<CookiePair, IkeSaId> by_cookies;  // responder zero: ours, message 2 still to come
  // Responders: a repeated message 1 has no responder cookie to be found by.
  std::unordered_map<CookiePair, IkeSaId> by_initiator_cookie;
  HalfOpenBook half_open;

  std::unordered_map<SaPairId, Reqid> sa_pairs;
  std::unordered_set<Spi> inbound_spis;
  std::unordered_map<JobId, JobOwner> jobs;
  std::unordered_map<JobId, MoveUnderWay> moves;
  std::unordered_map<JobId, IkeSaId> countings;  // CountTraffic under way
  std::list<Waiter> waiters;
  std::uint32_t last_narrowed = 0;   // reqids of narrowed pairs go round
  std::vector<Reqid> narrowed_left;  // narrowed pairs that may be needed no more (narrowed_pairs.h)
  TimerQueue timers;
  TunnelCounts tunnels;  // as TunnelRuntime::up_since has them

  std::uint64_t last_id = 0;  // of IKE SAs, SA pairs and jobs
  bool shutting_down = false;
  bool keep = false;        // EngineConfig::keep
  std::size_t adopted = 0;  // SA pairs

  // What was removed during a call lives until its end, so that the code that removed it may still look at
  // it.
  std::vector<std::unique_ptr<IkeSa>> removed_sas;
  std::vector<std::unique_ptr<Exchange>> removed_exchanges;
  std::vector<std::unique_ptr<Peer>> removed_peers;
};

// One call into the engine. Cheap to make; lives on the stack.
class Core {
 public:
  Core(EngineState& state, const Context& context) : state_(state), context_(context) {}
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core();

  [[nodiscard]] EngineState& state() { return state_; }
  [[nodiscard]] const Limits& limits() const { return state_.limits; }
  [[nodiscard]] Now now() const { return context_.now; }
  [[nodiscard]] Rng& rng() { return context_.rng; }
  void effect(Effect effect) { context_.out.push_back(std::move(effect)); }
  [[nodiscard]] Bytes random(std::size_t size);
  [[nodiscard]] std::uint64_t next_id() { return ++state_.last_id; }

  // ---- looking up; null: not there
  [[nodiscard]] Peer* find_peer(std::string_view name);
  [[nodiscard]] Pair* find_pair(Reqid reqid);
  [[nodiscard]] IkeSa* find_sa(IkeSaId id);
  [[nodiscard]] IkeSa* find_sa(const CookiePair& cookies);
  [[nodiscard]] Exchange* find_exchange(IkeSa& sa, MessageId id);
  // The newest established IKE SA with a peer.
  [[nodiscard]] IkeSa* current_sa(const Peer& peer);
  // The configured peer a call from this address is for: the most specific match (CISCO's rule,
  // oakgate.yaml(5)).
  [[nodiscard]] Peer* peer_for_source(const IpAddress& source);
  // The same for Aggressive Mode, where the caller says who it is: among the peers that allow it.
  [[nodiscard]] Peer* peer_for_identity(const IpAddress& source, const Identity& claimed);

  // ---- timers
  [[nodiscard]] TimerId arm(Milliseconds after, Timer timer);
  void cancel(TimerId& id) { state_.timers.cancel(id); }

  // ---- events
  [[nodiscard]] Event event(EventId id, const IkeSa& sa) const;
  [[nodiscard]] Event event(EventId id, const Peer& peer, std::string tunnel = {}) const;
  void raise(Event event) { effect(Raise{std::move(event)}); }

 private:
  [[nodiscard]] const SourceIndex& sources();

  EngineState& state_;
  const Context& context_;
};

}  // namespace oakgate::ike
