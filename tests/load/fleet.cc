#include "tests/load/fleet.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>

#include "daemon/loop.h"
#include "ike/crypto/prf.h"

namespace oakgate::load {

namespace {

constexpr const char* kTunnel = "lan";
constexpr std::size_t kParts = 10;  // of a run, in the report
constexpr auto kLongestWait = std::chrono::milliseconds(100);

using JobResult = decltype(ike::JobDone::result);

template <typename T>
JobResult job_result(Result<T> result) {
  if (!result) return fail(std::move(result.error()));
  return ike::JobOutput(std::move(*result));
}

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

double own_cpu() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The address `number` further; within a subnet that create() has found large enough.
IpAddress address_at(const Subnet& subnet, std::size_t number) {
  Bytes raw = to_bytes(subnet.address().bytes());
  std::size_t carry = number;
  for (std::size_t i = raw.size(); i-- > 0 && carry != 0;) {
    carry += raw[i];
    raw[i] = static_cast<std::uint8_t>(carry & 0xff);
    carry >>= 8;
  }
  return IpAddress::from_bytes(raw).value_or(subnet.address());
}

bool holds(const Subnet& subnet, std::size_t addresses) {
  const int free_bits = subnet.address().bits() - subnet.prefix();
  return free_bits >= 63 || addresses <= std::size_t{1} << free_bits;
}

}  // namespace

Result<std::unique_ptr<Fleet>> Fleet::create(FleetOptions options, UdpSockets& sockets, Rng& rng) {
  const std::size_t last = options.first + options.peers;
  for (const Subnet* subnet : {&options.sources, &options.inner}) {
    if (holds(*subnet, last)) continue;
    return fail(ErrorCode::configuration,
                fmt::format("{} has fewer than {} addresses", subnet->to_string(), last),
                "an address for each peer", "take a shorter prefix or fewer peers");
  }
  if (last > kConfiguredReqids) {
    return fail(ErrorCode::configuration, fmt::format("{} peers", last),
                fmt::format("at most {}", kConfiguredReqids));
  }
  if (options.sources.family() != options.target.address.family()) {
    return fail(ErrorCode::configuration,
                fmt::format("nobody in {} can call {}", options.sources.to_string(),
                            options.target.address.to_string()),
                "source and target addresses of one family");
  }
  std::optional<ShortDh> short_dh;
  if (options.short_exponent) {
    auto made = ShortDh::create(options.policy.group);
    if (!made) return fail(std::move(made.error()));
    short_dh = std::move(*made);
  }
  std::unique_ptr<Fleet> fleet(new Fleet(std::move(options), sockets, rng));
  fleet->short_dh_ = std::move(short_dh);
  fleet->configure();
  return fleet;
}

Fleet::Fleet(FleetOptions options, UdpSockets& sockets, Rng& rng)
    : options_(std::move(options)), sockets_(sockets), rng_(rng) {}

std::string Fleet::name_of(std::size_t number) const {
  return fmt::format("peer-{}", number);
}

ike::PeerConfig Fleet::peer_config(std::size_t number) const {
  ike::PeerConfig peer;
  peer.name = name_of(number);
  peer.policies = {options_.policy};
  peer.nat_traversal = options_.nat_traversal;
  peer.dpd.mode = DpdMode::off;
  ike::TunnelConfig tunnel;
  tunnel.name = kTunnel;
  tunnel.transform_sets = {options_.transforms};
  tunnel.pfs = options_.pfs;
  tunnel.lifetime = {Seconds(86400), Kilobytes{0}};
  tunnel.start = StartMode::responder;
  tunnel.rekey = RekeyMode::never;
  SelectorPair selectors;
  selectors.local.subnet = Subnet::host(address_at(options_.inner, number));
  selectors.remote.subnet = options_.remote;
  tunnel.pairs = {{Reqid{kReqidBase + static_cast<std::uint32_t>(number)}, selectors}};
  peer.tunnels = {std::move(tunnel)};
  return peer;
}

void Fleet::configure() {
  ike::EngineConfig config;
  config.gateway = "oakgate-load";
  for (std::size_t i = 0; i < options_.peers; ++i) config.peers.push_back(peer_config(options_.first + i));
  feed([&](const ike::Context& context, ike::Engine& engine) { engine.start(context, std::move(config)); });
  for (std::size_t i = 0; i < options_.peers; ++i) {
    const std::size_t number = options_.first + i;
    ike::SetPeerAddresses addresses{
        name_of(number), address_at(options_.sources, number), options_.target.address, {}};
    feed([&](const ike::Context& context, ike::Engine& engine) {
      engine.on_command(context, std::move(addresses));
    });
  }
}

Report Fleet::run(const std::function<bool()>& stop) {
  report_ = {};
  report_.mode = options_.quick_mode ? "main-and-quick-mode" : "main-mode";
  std::vector<double> ends;
  const double cpu_before = own_cpu();
  started_ = Clock::now();
  while (!finished() && !stop()) {
    begin_due();
    const std::size_t before = report_.established;
    wait_and_receive(Clock::now() + kLongestWait);
    ends.insert(ends.end(), report_.established - before, seconds_between(started_, Clock::now()));
  }
  report_.own_cpu_seconds = own_cpu() - cpu_before;
  report_.seconds = ends.empty() ? seconds_between(started_, Clock::now()) : ends.back();
  report_.unanswered = calls_.size();
  report_.parts = parts_of(ends, kParts);
  return std::move(report_);
}

void Fleet::hold(Seconds time, const std::function<bool()>& stop) {
  const auto until = Clock::now() + time;
  while (Clock::now() < until && !stop()) wait_and_receive(std::min(until, Clock::now() + kLongestWait));
}

bool Fleet::finished() const {
  const bool late = options_.time_limit > Seconds(0) && Clock::now() - started_ >= options_.time_limit;
  return late || (begun_ == options_.peers && calls_.empty());
}

void Fleet::begin_due() {
  std::size_t due = options_.peers;
  if (options_.rate > 0)
    due =
        std::min(due, static_cast<std::size_t>(seconds_between(started_, Clock::now()) * options_.rate) + 1);
  while (begun_ < due && calls_.size() < options_.outstanding) begin_next();
}

void Fleet::begin_next() {
  const std::string name = name_of(options_.first + begun_);
  calls_[name] = {Clock::now(), begun_};
  ++begun_;
  feed([&](const ike::Context& context, ike::Engine& engine) {
    engine.on_command(context, ike::Up{{}, name, kTunnel});
    // Main Mode alone: the tunnel that it was begun for is not wanted any more.
    if (!options_.quick_mode) engine.on_command(context, ike::Down{{}, name, kTunnel});
  });
}

void Fleet::wait_and_receive(Clock::time_point until) {
  const auto deadline = engine_.next_deadline();
  auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
  if (deadline) wait = std::min(wait, std::chrono::milliseconds(*deadline - read_clocks().instant));
  if (options_.rate > 0 && begun_ < options_.peers) wait = std::min(wait, std::chrono::milliseconds(1));
  std::vector<pollfd> waiting;
  for (const UdpSocket& socket : sockets_.all()) waiting.push_back({socket.fd.get(), POLLIN, 0});
  ::poll(waiting.data(), waiting.size(), static_cast<int>(std::max<std::int64_t>(wait.count(), 0)));
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if ((waiting[i].revents & POLLIN) == 0) continue;
    sockets_.receive(sockets_.all()[i], [this](ike::Datagram datagram) {
      datagram.local.port = ike::kIkePort;
      datagram.remote.port = ike::kIkePort;
      feed([&](const ike::Context& context, ike::Engine& engine) { engine.on_datagram(context, datagram); });
    });
  }
  if (engine_.next_deadline())
    feed([](const ike::Context& context, ike::Engine& engine) { engine.on_timer(context); });
  for (const std::string& name : std::exchange(over_, {})) {
    feed([&](const ike::Context& context, ike::Engine& engine) {
      engine.on_command(context, ike::Down{{}, name, kTunnel});
    });
  }
}

template <typename Input>
void Fleet::feed(Input input) {
  ike::Effects effects;
  input(ike::Context{read_clocks(), rng_, effects}, engine_);
  carry_out(std::move(effects));
  while (!completions_.empty()) {
    for (ike::Completion& completion : std::exchange(completions_, {})) {
      ike::Effects more;
      engine_.on_completion(ike::Context{read_clocks(), rng_, more}, std::move(completion));
      carry_out(std::move(more));
    }
  }
}

void Fleet::carry_out(ike::Effects effects) {
  for (ike::Effect& effect : effects) {
    if (auto* send_one = std::get_if<ike::SendDatagram>(&effect)) {
      send(*send_one);
    } else if (auto* job = std::get_if<ike::StartJob>(&effect)) {
      completions_.emplace_back(ike::JobDone{job->id, do_job(job->job)});
    } else if (auto* verify = std::get_if<ike::VerifyPeer>(&effect)) {
      completions_.emplace_back(
          ike::JobDone{verify->id, fail(ErrorCode::unsupported, "oakgate-load knows pre-shared keys alone")});
    } else if (auto* install = std::get_if<ike::InstallSas>(&effect)) {
      completions_.emplace_back(ike::SasInstalled{install->id, {}});
    } else if (auto* move = std::get_if<ike::MoveSas>(&effect)) {
      completions_.emplace_back(ike::SasMoved{move->id, {}});
    } else if (auto* count = std::get_if<ike::CountTraffic>(&effect)) {
      completions_.emplace_back(ike::TrafficCounted{count->id, std::vector<SaCounters>(count->sas.size())});
    } else if (auto* raised = std::get_if<ike::Raise>(&effect)) {
      on_event(raised->event);
    }
  }
}

JobResult Fleet::do_job(ike::Job& job) {
  if (auto* generate = std::get_if<ike::DhGenerate>(&job)) {
    if (short_dh_ && short_dh_->group() == generate->group) return ike::JobOutput(short_dh_->generate());
    return job_result(crypto::dh_generate(generate->group));
  }
  if (auto* shared = std::get_if<ike::DhShared>(&job)) {
    if (short_dh_ && short_dh_->group() == shared->ours.group)
      return job_result(short_dh_->shared(shared->ours, shared->peer_public));
    return job_result(crypto::dh_shared(shared->ours, shared->peer_public));
  }
  if (const auto* prf = std::get_if<ike::PreSharedKeyPrf>(&job))
    return job_result(crypto::prf(prf->prf, as_bytes(options_.pre_shared_key), {prf->data}));
  return fail(ErrorCode::unsupported, "oakgate-load knows pre-shared keys alone");
}

void Fleet::send(ike::SendDatagram& datagram) {
  // The core says 500 and 4500; where the two really are is the sockets' matter.
  if (datagram.local.port == ike::kIkePort) datagram.local.port = options_.source_port;
  if (datagram.remote.port == ike::kIkePort) datagram.remote.port = options_.target.port;
  if (!sockets_.send(datagram)) ++report_.failures["send"];
}

void Fleet::on_event(const ike::Event& event) {
  switch (event.id) {
    case ike::EventId::retransmitting:
      ++report_.retransmissions;
      return;
    case ike::EventId::phase1_established:
      if (!options_.quick_mode) end_call(event.peer, nullptr);
      return;
    case ike::EventId::phase2_established:
      end_call(event.peer, nullptr);
      return;
    case ike::EventId::phase1_failed:
    case ike::EventId::phase2_failed:
      end_call(event.peer, &event);
      return;
    default:
      return;
  }
}

void Fleet::end_call(const std::string& peer, const ike::Event* failure) {
  const auto call = calls_.find(peer);
  if (call == calls_.end()) return;
  if (failure == nullptr) {
    ++report_.established;
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - call->second.begun);
    report_.times_us.push_back(static_cast<std::uint32_t>(took.count()));
  } else {
    ++report_.failed;
    ++report_.failures[failure->error ? std::string(to_string(failure->error->code)) : "unknown"];
    over_.push_back(peer);
  }
  calls_.erase(call);
}

}  // namespace oakgate::load
