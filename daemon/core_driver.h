// Drives the protocol core: brings it datagrams, deadlines, commands and completions, and carries its effects
// out on the sockets, the data plane and the worker pool. The only place that runs effects.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "daemon/capture/key_watch.h"
#include "daemon/event_log.h"
#include "daemon/loop.h"
#include "daemon/metrics/tunnel_traffic.h"
#include "daemon/sockets.h"
#include "daemon/workers.h"
#include "ike/engine.h"
#include "ike/ports/key_store.h"

namespace oakgate {

class CoreDriver {
 public:
  using CommandOutcome = std::function<void(ike::CommandId, const Result<void>&)>;
  // Answers later, on the loop's thread, never from within the call.
  using Verify = std::function<void(PeerProof, std::function<void(PeerVerdict)> answer)>;
  struct Parts {
    Loop& loop;
    const Log& log;
    EventLog& events;
    const UdpSockets& sockets;
    DataPlane& plane;
    WorkerPool& workers;
    const KeyStore& keys;
    Rng& rng;
    CommandOutcome outcome;  // may not call back into this object
    Verify verify;
    std::function<void(ike::KeptPair)> kept;     // KeepPair
    std::function<void(const SaId&)> forgotten;  // ForgetPair
    metrics::TunnelTraffic* traffic = nullptr;   // none: nobody wants to know
    capture::KeyWatch* key_watch = nullptr;      // likewise
  };
  explicit CoreDriver(Parts parts);
  // Whether Diffie-Hellman computations that wait are done several at a time (gateway.diffie_hellman).
  void use_batches(bool wanted) { batches_ = wanted; }

  void start(ike::EngineConfig config, std::vector<ike::KeptPair> kept = {});
  void on_datagram(const ike::Datagram& datagram);
  void on_command(ike::Command command);
  [[nodiscard]] ike::TunnelCounts tunnel_counts() const { return engine_.tunnel_counts(); }
  [[nodiscard]] ike::EngineLoad load() const { return engine_.load(); }
  [[nodiscard]] std::vector<ike::DecryptionKey> decryption_keys(std::string_view peer) const {
    return engine_.decryption_keys(peer);
  }
  [[nodiscard]] std::vector<ike::PeerSnapshot> snapshot(std::string_view peer = {}) const;
  [[nodiscard]] std::optional<ike::SaPairSnapshot> sa_pair(const std::string& peer, Spi in) const {
    return engine_.sa_pair(peer, in);
  }
  [[nodiscard]] std::string remote_identity(const std::string& peer) const {
    return engine_.remote_identity(peer);
  }

 private:
  class JobTask;
  template <typename Input>
  void feed(Input input);
  void carry_out(ike::Effects effects);
  void learn_names(const ike::EngineConfig& config);
  void count_installed(const std::vector<SaSpec>& sas);
  [[nodiscard]] std::string name_of(Reqid reqid) const;

  void run(ike::SendDatagram& effect);
  void run(ike::StartJob& effect);
  void run(ike::VerifyPeer& effect);
  void run(ike::InstallSas& effect);
  void run(ike::RemoveSas& effect);
  void run(ike::MoveSas& effect);
  void run(ike::CountTraffic& effect);
  void run(ike::Protect& effect);
  void run(ike::Unprotect& effect);
  void run(ike::KeepPair& effect);
  void run(ike::ForgetPair& effect);
  void run(ike::Raise& effect);
  void run(ike::CommandDone& effect);

  Parts parts_;
  ike::Engine engine_;
  bool batches_ = true;
  Timer deadline_;
  std::deque<ike::Completion> completions_;  // to be fed once the effects before them are carried out
  std::map<Reqid, std::string> names_;       // "branch-7/lan", for log lines
};

}  // namespace oakgate
