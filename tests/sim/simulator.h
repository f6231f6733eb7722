// A network of gateways in one process under a virtual clock: each is a real Engine with a data plane that
// only remembers, a worker pool that answers after a moment with a fast stand-in for Diffie-Hellman, and a
// wire between them that loses, repeats and reorders from a seed. The same seed gives the same run, byte for
// byte.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ike/engine.h"

namespace oakgate::sim {

class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) : engine_(seed) {}
  void fill(std::span<std::uint8_t> out) override;
  [[nodiscard]] bool chance(double probability);
  [[nodiscard]] std::int64_t between(std::int64_t low, std::int64_t high);  // both included

 private:
  std::mt19937_64 engine_;
};

// Diffie-Hellman's stand-in: both sides get the same secret from the two public values, in microseconds.
// Worthless as cryptography; what the core does with it is what it does with the real one.
[[nodiscard]] SecretBytes stand_in_secret(DhGroup group, ByteView a, ByteView b);

struct Faults {
  double loss = 0;  // of each datagram, each way
  double duplicate = 0;
  Milliseconds latency{5};
  Milliseconds job_delay{5};  // a job takes up to this long; longer than the latency: messages are held
  Milliseconds jitter{0};     // up to this much more: reorders
};

// What a gateway's data plane holds.
struct HeldSa {
  SaSpec spec;
  std::uint64_t order = 0;  // of installation
  std::uint64_t packets = 0;
  Instant since{};
};

class Simulator;

class Gateway {
 public:
  Gateway(Simulator& network, std::string name, IpAddress address);

  void configure(ike::EngineConfig config) { config_ = std::move(config); }
  [[nodiscard]] ike::EngineConfig& config() { return config_; }  // before start()
  void start();
  // The process is gone with all it knew, its data plane too; start() begins a new life.
  void kill();
  // The process is gone, its data plane is not, nor what EngineConfig::keep had it remember.
  void crash();
  [[nodiscard]] bool running() const { return engine_ != nullptr; }
  [[nodiscard]] ike::Engine& engine() { return *engine_; }
  void command(ike::Command command);
  void receive(const Endpoint& local, const Endpoint& remote, const Bytes& data);

  // Sends a packet on a selector pair: true if there is an SA for it and `peer` could open it. Without an SA
  // the engine gets an acquire, at most one a second.
  bool send_traffic(Reqid reqid, Gateway& peer);
  [[nodiscard]] bool tunnels_up() const;
  [[nodiscard]] const std::map<SaId, HeldSa>& plane() const { return plane_; }
  // An SA goes by itself, as at a hard limit.
  void lose(const SaId& id) { plane_.erase(id); }
  [[nodiscard]] const std::map<SaId, ike::KeptPair>& kept() const { return kept_; }
  [[nodiscard]] const std::map<Reqid, ProtectPolicy>& guarded() const { return guarded_; }
  // Each change of the guards, in order: true where one came or was replaced, false where it went.
  [[nodiscard]] const std::vector<std::pair<Reqid, bool>>& guard_changes() const { return guard_changes_; }

  const std::string name;
  const IpAddress address;
  std::map<std::string, std::string> pre_shared_keys;  // by peer
  std::vector<ike::Event> events;
  std::map<std::uint64_t, Result<void>> command_results;
  std::optional<ike::TrustpointState> trustpoint;  // told at start
  std::set<std::string> revoked;                   // serials that verifications refuse
  // Test hooks.
  bool refuse_installs = false;
  std::optional<ErrorCode>
      refuse_moves;              // `unsupported`: they stay where they are; else half of them is gone
  bool receives_late = false;    // on a new SA only once the SA to send with is there, as many responders do
  std::size_t jobs = 0;          // that were asked for, verifications included
  int unreadable = 0;            // so many of the next verifications find the signature bad
  Milliseconds verification{0};  // takes so long, besides a job's delay
  Milliseconds verification_jitter{0};  // up to this much more: CRLs come in any order

 private:
  friend class Simulator;
  void carry_out(ike::Effects effects);
  [[nodiscard]] ike::JobDone do_job(const ike::StartJob& start) const;
  void complete_later(Milliseconds time, ike::JobDone done);
  void install(ike::InstallSas& install);
  void move(const ike::MoveSas& move);
  void count_traffic(const ike::CountTraffic& count);
  void arm();
  [[nodiscard]] std::vector<ike::KeptPair> adopt();

  Simulator& network_;
  ike::EngineConfig config_;
  std::unique_ptr<ike::Engine> engine_;
  std::uint64_t life_ = 0;  // what was scheduled for an earlier life is dropped
  [[nodiscard]] bool receives_on(const HeldSa& inbound) const;
  std::map<SaId, HeldSa> plane_;
  std::map<SaId, ike::KeptPair> kept_;  // by inbound SA
  std::map<Reqid, ProtectPolicy> guarded_;
  std::vector<std::pair<Reqid, bool>> guard_changes_;
  std::map<Reqid, Instant> acquired_;
  std::uint64_t installs_ = 0;
};

class Simulator {
 public:
  explicit Simulator(std::uint64_t seed);

  Gateway& add(const std::string& name, const std::string& address);
  // Runs until `until`, or until `done` says so after an event. Returns whether it did.
  bool run_until(Instant until, const std::function<bool()>& done = {});
  bool run_for(Milliseconds time, const std::function<bool()>& done = {}) {
    return run_until(now_.instant + time, done);
  }
  void at(Instant when, std::function<void()> action);
  void after(Milliseconds time, std::function<void()> action) { at(now_.instant + time, std::move(action)); }
  void send(const Endpoint& from, const Endpoint& to, const Bytes& data);

  [[nodiscard]] Now now() const { return now_; }
  // Somebody sets the clock: wall time jumps, the monotonic time does not.
  void step_clock(Seconds by);
  [[nodiscard]] const std::vector<std::unique_ptr<Gateway>>& gateways() const { return gateways_; }
  SeededRng rng;
  Faults faults;
  // Sees every datagram before the wire does; false drops it.
  std::function<bool(const Endpoint& from, const Endpoint& to, Bytes& data)> tap;
  std::uint64_t datagrams = 0;
  std::uint64_t steps = 0;  // events that were run: datagrams, timers, completions
  bool cut = false;         // nothing passes, neither IKE nor traffic
  // A NAT in front of a gateway: its packets leave from `outside`, answers come back.
  struct Nat {
    IpAddress inside;
    IpAddress outside;
    std::uint16_t port_offset = 10000;
  };
  std::vector<Nat> nats;

 private:
  struct Action {
    Instant when;
    std::uint64_t order;
    std::function<void()> run;
    bool operator>(const Action& other) const {
      return std::pair(when, order) > std::pair(other.when, other.order);
    }
  };
  void deliver(const Endpoint& from, const Endpoint& to, const Bytes& data);

  Now now_;
  Seconds clock_stepped_{0};
  std::uint64_t order_ = 0;
  std::priority_queue<Action, std::vector<Action>, std::greater<>> queue_;
  std::vector<std::unique_ptr<Gateway>> gateways_;
};

// A configuration for two gateways' ends of the same tunnels, mirrored.
struct TunnelPlan {
  std::string name = "lan";
  std::vector<std::string> local{"10.1.0.0/24"};
  std::vector<std::string> remote{"10.2.0.0/24"};
  std::optional<DhGroup> pfs;
  Seconds lifetime{3600};
  RekeyMode rekey = RekeyMode::on_traffic;
  StartMode start_here = StartMode::on_start;
  StartMode start_there = StartMode::on_start;
};
// `here` and `there` get peers named after each other. Reqids begin at `reqid` on both sides, in the same
// order.
void connect(Gateway& here, Gateway& there, const std::vector<TunnelPlan>& plans,
             Seconds phase1_life = Seconds(86400), std::uint32_t reqid = kReqidBase,
             const std::string& key = "sharedkeysharedkey");
// Both prove themselves to each other by certificates instead, and by nothing else.
void use_certificates(Gateway& here, Gateway& there, AuthMethod method = AuthMethod::rsa_sig);
// Both prove themselves to each other by RSA-encrypted nonces instead: `rsa_encr` or `rsa_encr_rev`.
void use_rsa_encryption(Gateway& here, Gateway& there, AuthMethod method);
[[nodiscard]] ike::PeerConfig peer_config(const Gateway& here, const Gateway& there,
                                          const std::vector<TunnelPlan>& plans, Seconds phase1_life,
                                          std::uint32_t reqid, bool mirrored);

}  // namespace oakgate::sim
