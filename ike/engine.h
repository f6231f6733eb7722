// The protocol core: everything of IKEv1 between a datagram and an effect. Sans I/O: it reads no clock, no
// random source, no socket and no global; they come in with each call, effects go out in order.
//
// Use: call one of the on_ functions, carry the effects out in order, wait for the next input or
// next_deadline(). Not thread-safe: one engine, one thread. No function throws.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ike/base/rng.h"
#include "ike/base/types.h"
#include "ike/config.h"
#include "ike/decryption_keys.h"
#include "ike/effects.h"
#include "ike/snapshot.h"

namespace oakgate::ike {

// What every call brings along. `out` is appended to.
struct Context {
  Now now;
  Rng& rng;
  Effects& out;
};

class EngineState;

class Engine {
 public:
  Engine();
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Guards every configured pair (Protect) and starts `on-start` tunnels as soon as addresses are known.
  // Once, first. `kept`: SA pairs of an earlier run, and what the data plane still has of them
  // (still_there()).
  void start(const Context& context, EngineConfig config, std::vector<KeptPair> kept = {});

  void on_datagram(const Context& context, const Datagram& datagram);
  void on_timer(const Context& context);
  void on_command(const Context& context, Command command);
  void on_completion(const Context& context, Completion completion);

  // When on_timer wants to be called next; none: not before another input.
  [[nodiscard]] std::optional<Instant> next_deadline() const;

  // Costs nothing, however many there are.
  [[nodiscard]] TunnelCounts tunnel_counts() const;
  [[nodiscard]] EngineLoad load() const;
  // Whose selector pair this is, a narrowed one's too: peer and tunnel.
  [[nodiscard]] std::optional<std::pair<std::string, std::string>> tunnel_of(Reqid reqid) const;
  // In the order of the configuration. One peer by name, or all.
  [[nodiscard]] std::vector<PeerSnapshot> snapshot(WallTime now, std::string_view peer = {}) const;
  // Secret, and the only way by which keys of IKE SAs leave the core: for `oakgate capture`. Of each IKE SA
  // with the peer whose keys are derived.
  [[nodiscard]] std::vector<DecryptionKey> decryption_keys(std::string_view peer) const;
  // One SA pair of a peer, by the SPI it receives with (its `in`).
  [[nodiscard]] std::optional<SaPairSnapshot> sa_pair(const std::string& peer, Spi in) const;
  // What the peer has proved to be, in its current IKE SA; empty without one. From the peer: not escaped.
  [[nodiscard]] std::string remote_identity(const std::string& peer) const;

 private:
  std::unique_ptr<EngineState> state_;
};

}  // namespace oakgate::ike
