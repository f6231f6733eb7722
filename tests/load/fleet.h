// A fleet of initiators: one engine of the protocol core whose peers are all the same responder, each from a
// source address of its own. It starts one negotiation after the other (closed loop or at a fixed rate),
// keeps every SA it gets, and measures. Its data plane takes what it is given and carries nothing.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/sockets.h"
#include "ike/engine.h"
#include "tests/load/report.h"
#include "tests/load/short_dh.h"

namespace oakgate::load {

using Clock = std::chrono::steady_clock;

struct FleetOptions {
  Endpoint target;
  Subnet sources;  // peer number i calls from the i-th address of it
  std::uint16_t source_port = ike::kIkePort;
  std::size_t first = 0;  // number of the first peer
  std::size_t peers = 1000;
  std::size_t outstanding = 64;  // at most so many negotiations at once
  double rate = 0;               // begun a second; 0: as fast as the responder lets us
  Seconds time_limit{0};         // no new negotiation afterwards; 0: until every peer has had its turn
  bool quick_mode = false;
  IsakmpPolicy policy;
  TransformSet transforms;
  std::optional<DhGroup> pfs;
  Subnet inner;   // peer number i protects the i-th address of it,
  Subnet remote;  // towards this network of the responder's
  std::string pre_shared_key;
  NatTraversal nat_traversal = NatTraversal::rfc;
  bool short_exponent = false;
};

class Fleet {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Fleet>> create(FleetOptions options, UdpSockets& sockets,
                                                             Rng& rng);

  // Until every peer is up or has failed, or the time is over, or `stop` says so.
  [[nodiscard]] Report run(const std::function<bool()>& stop);
  // Keeps the SAs, answering what the responder asks, for so long or until `stop` says so.
  void hold(Seconds time, const std::function<bool()>& stop);

 private:
  struct Call {
    Clock::time_point begun;
    std::size_t number = 0;
  };
  Fleet(FleetOptions options, UdpSockets& sockets, Rng& rng);
  void configure();
  [[nodiscard]] ike::PeerConfig peer_config(std::size_t number) const;
  void begin_due();
  void begin_next();
  [[nodiscard]] bool finished() const;
  void wait_and_receive(Clock::time_point until);
  template <typename Input>
  void feed(Input input);
  void carry_out(ike::Effects effects);
  void on_event(const ike::Event& event);
  void end_call(const std::string& peer, const ike::Event* failure);
  [[nodiscard]] decltype(ike::JobDone::result) do_job(ike::Job& job);
  void send(ike::SendDatagram& datagram);
  [[nodiscard]] std::string name_of(std::size_t number) const;

  FleetOptions options_;
  UdpSockets& sockets_;
  Rng& rng_;
  ike::Engine engine_;
  std::optional<ShortDh> short_dh_;
  std::vector<ike::Completion> completions_;
  std::unordered_map<std::string, Call> calls_;  // under way, by the peer's name
  std::vector<std::string> over_;                // calls that ended: their peers start nothing by themselves
  std::size_t begun_ = 0;
  Clock::time_point started_;
  Report report_;
};

}  // namespace oakgate::load
