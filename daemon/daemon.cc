#include "daemon/daemon.h"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "daemon/data_plane_choice.h"
#include "daemon/messages.h"
#include "daemon/text.h"
#include "daemon/trust.h"
#include "ike/kept_pairs.h"
#include "pki/fetcher.h"
#include "xfrm/soft/processors.h"

namespace oakgate {

namespace {

constexpr std::string_view kKernelPlane = "kernel";
constexpr std::size_t kJobQueue = 512;   // computations waiting: half the core's half-open negotiations
constexpr std::size_t kNameQueue = 256;  // host names waiting
constexpr std::size_t kResolvers = 2;
constexpr Milliseconds kShutdownPatience{3000};
constexpr Milliseconds kHooksPatience{5000};  // for `updown` of the tunnels that end with us
constexpr Milliseconds kStatusDelay{300};
constexpr Milliseconds kNetworkDelay{50};
constexpr Milliseconds kTrustDelay{60000};
constexpr ike::CommandId kShutdownCommand{~std::uint64_t{0}};  // clients' commands count from 1

std::size_t worker_count() {
  return usable_processors(8);
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::create(DaemonOptions options, LoadedConfiguration loaded,
                                               const Log& log) {
  if (const Result<void> allowed = check_privileges(); !allowed) return fail(allowed.error());
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options), log));
  daemon->config_ = std::move(*loaded.outcome.config);
  const std::string composed = std::move(loaded.outcome.composed);
  daemon->loaded_keys_ = std::move(loaded.keys);
  using Step = Result<void> (Daemon::*)();
  // The data plane comes last: ending it after a later failure would take away the guard that a killed daemon
  // left behind.
  for (const Step step :
       {&Daemon::lock_and_listen, &Daemon::make_workers, &Daemon::make_trust, &Daemon::open_network}) {
    if (const Result<void> done = (daemon.get()->*step)(); !done) return fail(done.error());
  }
  daemon->note_running(composed);
  daemon->assemble();
  if (const Result<void> served = daemon->serve_metrics(); !served) return fail(served.error());
  return daemon;
}

Daemon::~Daemon() {
  log_.listen({});
  if (plane_) leave_plane();
}

// With `on_exit: keep` everything in the kernel stays as it is.
void Daemon::leave_plane() {
  if (!keeps_sas()) plane_->shut_down();
  plane_.reset();
}

bool Daemon::keeps_sas() const {
  return config_.gateway.on_exit == conf::OnExit::keep && plane_->name() == kKernelPlane;
}

Result<void> Daemon::lock_and_listen() {
  Result<std::unique_ptr<Loop>> loop = Loop::create();
  if (!loop) return fail(loop.error());
  loop_ = std::move(*loop);
  Result<SystemRng> rng = SystemRng::create();
  if (!rng) return fail(rng.error());
  rng_ = std::make_unique<SystemRng>(*rng);

  const conf::GatewayConfig& gateway = config_.gateway;
  Result<ProcessLock> state =
      ProcessLock::take(gateway.state_dir + "/oakgated.lock", "state directory " + gateway.state_dir);
  if (!state) return fail(state.error());
  locks_.push_back(std::move(*state));
  state_dir_ = gateway.state_dir;
  Result<ProcessLock> control =
      ProcessLock::take(gateway.control_socket + ".lock", "control socket " + gateway.control_socket);
  if (!control) return fail(control.error());
  locks_.push_back(std::move(*control));

  Result<std::unique_ptr<UdpSockets>> sockets = UdpSockets::open(gateway.listen);
  if (!sockets) return fail(sockets.error());
  sockets_ = std::move(*sockets);
  listen_ = gateway.listen;
  Result<std::unique_ptr<ControlServer>> server =
      ControlServer::open(*loop_, gateway.control_socket, {}, gateway.control_group);
  if (!server) return fail(server.error());
  server_ = std::move(*server);
  return {};
}

Result<void> Daemon::make_workers() {
  Result<std::unique_ptr<WorkerPool>> workers =
      WorkerPool::create(worker_count(), kJobQueue, WorkerPool::AtEnd::join);
  if (!workers) return fail(workers.error());
  workers_ = std::move(*workers);
  Result<std::unique_ptr<WorkerPool>> resolvers =
      WorkerPool::create(kResolvers, kNameQueue, WorkerPool::AtEnd::leave);
  if (!resolvers) return fail(resolvers.error());
  resolvers_ = std::move(*resolvers);
  // A certificate that is granted or renewed comes into use as one that an operator puts there.
  Result<std::unique_ptr<Enrollment>> enrollment =
      Enrollment::create({*loop_, log_, std::make_shared<pki::NetworkFetcher>(), [this](const std::string&) {
                            [[maybe_unused]] const ReloadOutcome logged = refresh_keys();
                          }});
  if (!enrollment) return fail(enrollment.error());
  enrollment_ = std::move(*enrollment);
  if (auto recalled = recall_kept(); !recalled) return recalled;
  Result<ike::EngineConfig> engine = make_engine_config(config_, loaded_keys_, reqids_);
  if (!engine) return fail(engine.error());
  engine_config_ = std::move(*engine);
  return {};
}

// Reqids first: the SAs that stayed in the kernel have theirs.
Result<void> Daemon::recall_kept() {
  kept_store_ = std::make_unique<KeptStore>(config_.gateway.state_dir, boot_id());
  if (config_.gateway.on_exit != conf::OnExit::keep) {
    kept_store_->close();
    return {};
  }
  Result<std::vector<ike::KeptPair>> kept = kept_store_->load();
  if (!kept) {
    // Tunnels are then negotiated anew; the plane removes what it has of ours.
    log_.error(printable(error_text(kept.error()), 1024));
    return {};
  }
  kept_ = std::move(*kept);
  for (const ike::KeptPair& pair : kept_) {
    if (!pair.narrows) reqids_.restore({pair.peer, pair.tunnel, pair.selectors}, pair.reqid);
  }
  return {};
}

// Of what is remembered, what the kernel still has.
Result<void> Daemon::choose_plane() {
  const bool keep = config_.gateway.on_exit == conf::OnExit::keep;
  KeptStates states;
  for (const ike::KeptPair& pair : kept_) {
    for (SaSpec& sa : ike::kept_sas(pair)) states.sas.push_back(std::move(sa));
  }
  Result<ChosenPlane> chosen =
      choose_data_plane(config_.gateway.data_plane, system_planes(config_, keep ? &states : nullptr));
  if (!chosen) return fail(chosen.error());
  plane_ = std::move(chosen->plane);
  log_.notice(printable(chosen->why, 1024));
  if (config_.gateway.data_plane == conf::DataPlaneChoice::kernel) {
    for (const Error& error : unusable_sets(config_)) log_.error(printable(error_text(error), 1024));
  }
  if (!keep) return {};
  if (keeps_sas()) {
    kept_ = ike::still_there(std::move(kept_), std::move(states.stayed));
    return kept_store_->open();
  }
  log_.warning("gateway.on_exit is keep, but the software data plane's SAs end with oakgated");
  kept_.clear();
  kept_store_->close();
  return {};
}

void Daemon::note_kept(const Result<void>& written) {
  if (!written) log_.error(printable(error_text(written.error()), 1024));
}

Result<void> Daemon::make_trust() {
  trust_ = std::make_shared<pki::TrustStore>(config_.gateway.state_dir);
  for (const Error& error : trust_->cache_errors()) log_.warning(printable(error_text(error), 1024));
  const auto errors = trust_->replace(config_.trustpoints, public_keys_of(loaded_keys_.private_keys));
  if (!errors.empty()) return fail(errors.front());
  publication_ = std::make_unique<ssh::Publication>(log_, state_dir_);
  const auto fetcher = std::make_shared<pki::NetworkFetcher>();
  scep_lists_ = std::make_shared<ScepLists>(fetcher);
  Result<std::unique_ptr<Revocation>> revocation =
      Revocation::create({{*loop_, log_, std::make_shared<TrustRevocationStore>(trust_), fetcher,
                           [lists = scep_lists_](const RevocationSource& source, Milliseconds timeout) {
                             return lists->get(source, timeout, read_clocks().wall);
                           }},
                          *workers_,
                          *rng_,
                          [this](ike::PeerRevoked command) { driver_->on_command(std::move(command)); },
                          [this] { publication_->lists_changed(*trust_); },
                          [this] { return peers_up(); }});
  if (!revocation) return fail(revocation.error());
  revocation_ = std::move(*revocation);
  if (auto kept = keep_keys(std::exchange(loaded_keys_, {})); !kept) return fail(std::move(kept.error()));
  return {};
}

Result<void> Daemon::open_network() {
  Result<std::unique_ptr<AddressMonitor>> monitor = AddressMonitor::open();
  if (!monitor) return fail(monitor.error());
  monitor_ = std::move(*monitor);
  Result<Routing> routing = Routing::open();
  if (!routing) return fail(routing.error());
  routing_ = std::make_unique<Routing>(std::move(*routing));
  if (auto plane = choose_plane(); !plane) return plane;
  return attach_sockets();
}

Result<void> Daemon::attach_sockets() {
  for (const UdpSocket& socket : sockets_->all()) {
    const int fd = socket.fd.get();
    const Result<void> exempt = plane_->exempt_socket(fd, socket.bound.address.family());
    if (!exempt) return fail(exempt.error());
    if (socket.encapsulation) {
      const Result<void> attached = plane_->attach_encapsulation_socket(fd, socket.bound, false);
      if (!attached) return fail(attached.error());
      if (plane_->reads_encapsulation_socket()) continue;
    }
    listen_to(socket);
  }
  carry_old_drafts(config_);
  return {};
}

void Daemon::listen_to(const UdpSocket& socket) {
  const int fd = socket.fd.get();
  ike_watches_[fd] = Watch::readable(*loop_, fd, [this, &socket] {
    sockets_->receive(socket, [this](const ike::Datagram& datagram) { driver_->on_datagram(datagram); });
  });
}

// Drafts 00 and 01 of NAT traversal have ESP on IKE's own port: the data plane takes part there as long as a
// peer wants that, and no longer.
void Daemon::carry_old_drafts(const conf::Config& config) {
  const bool wanted = std::any_of(config.peers.begin(), config.peers.end(), [](const conf::PeerConfig& peer) {
    const NatForm* form = find_nat_form(peer.nat_traversal);
    return form != nullptr && !form->floats;
  });
  if (wanted == std::exchange(old_drafts_, wanted)) return;
  for (const UdpSocket& socket : sockets_->all()) {
    const int fd = socket.fd.get();
    if (socket.encapsulation) continue;
    if (!wanted) {
      plane_->detach_encapsulation_socket(fd);
      listen_to(socket);
      continue;
    }
    if (const auto attached = plane_->attach_encapsulation_socket(fd, socket.bound, true); !attached) {
      // Peers without such a NAT, and all others, go on; SAs that would need it say so.
      log_.error(printable(error_text(attached.error()), 1024));
    } else if (plane_->reads_encapsulation_socket()) {
      ike_watches_.erase(fd);
    }
  }
}

void Daemon::assemble() {
  events_ = std::make_unique<EventLog>(
      *loop_, log_, [this](const ike::Event& event, WallTime at) { on_core_event(event, at); },
      [this](const ike::Event& event, WallTime at) {
        counts_.events.count(event);
        failures_.note(event, at);
        if (hooks_) hooks_->on_event(event);
      });
  captures_ = std::make_unique<capture::Captures>(
      capture::Captures::Parts{*loop_, log_, *server_, [this]() -> const conf::Config& { return config_; },
                               [this](const std::string& peer) { return driver_->decryption_keys(peer); },
                               [this](const std::string& peer) { return driver_->snapshot(peer); }});
  driver_ = std::make_unique<CoreDriver>(CoreDriver::Parts{
      *loop_, log_, *events_, *sockets_, *plane_, *workers_, keys_, *rng_,
      [this](ike::CommandId id, const Result<void>& result) { on_outcome(id, result); },
      [this](PeerProof proof, std::function<void(PeerVerdict)> answer) {
        revocation_->verify(std::move(proof), std::move(answer));
      },
      [this](const ike::KeptPair& pair) { note_kept(kept_store_->keep(pair)); },
      [this](const SaId& in) { note_kept(kept_store_->forget(in)); }, &counts_.traffic, captures_.get()});
  driver_->use_batches(config_.gateway.diffie_hellman == conf::DhChoice::batched);
  make_hooks();
  reload_guard_ = std::make_unique<ReloadGuard>(
      *loop_, [this](LoadedConfiguration before) { undo_reload(std::move(before)); });
  verbs_ = std::make_unique<ControlVerbs>(ControlVerbs::Parts{
      *driver_, *plane_, [this](std::optional<Seconds> confirm) { return reload(confirm); },
      [this] { return refresh_keys(); }, [this]() -> const conf::Config& { return config_; },
      [this] { return own_certificates(); },
      [this](const std::string& trustpoint, ControlVerbs::Parts::ListsCame came) {
        return revocation_->request_lists(trustpoint, std::move(came));
      },
      [this] { return confirm_reload(); }, [this] { return reload_guard_->left(read_clocks().instant); },
      [this] { return read_running_config(state_dir_); }, &failures_, captures_.get(),
      [this](const std::string& name) { return load_staged(name); },
      [this](const std::string& name, std::optional<Seconds> confirm) {
        return reload_staged(name, confirm);
      }});
  verbs_->serve(*server_);
  log_.listen([this](Facility facility, LogLevel level, std::string_view text) {
    verbs_->on_line(facility, level, text);
  });
  addresses_ = std::make_unique<PeerAddresses>(PeerAddresses::Parts{
      *loop_, *resolvers_, log_, resolve_by_system,
      [this](const IpAddress& destination) { return find_source(destination); },
      [this](ike::SetPeerAddresses command) { driver_->on_command(std::move(command)); }});
  // Certificates of ours expire, and begin, while nobody says so.
  trust_timer_ = std::make_unique<Timer>(*loop_, [this] {
    tell_trustpoints();
    trust_timer_->arm(kTrustDelay);
  });
  status_timer_ = std::make_unique<Timer>(*loop_, [this] { show_status(); });
  network_timer_ = std::make_unique<Timer>(*loop_, [this] {
    network_timer_armed_ = false;
    addresses_->network_changed();
  });
  watchdog_timer_ = std::make_unique<Timer>(*loop_, [this] { feed_watchdog(); });
  shutdown_timer_ = std::make_unique<Timer>(*loop_, [this] { loop_->stop(); });
}

void Daemon::make_hooks() {
  hooks::Hooks::Parts parts{*loop_, log_, options_.environment.effective_uid, std::string(plane_->name())};
  parts.sa_pair = [this](const std::string& peer, Spi in) { return driver_->sa_pair(peer, in); };
  parts.identity = [this](const std::string& peer) { return driver_->remote_identity(peer); };
  parts.raise = [this](const ike::Event& event) { events_->on_event(event); };
  parts.idle = [this] {
    if (core_ended_) loop_->stop();
  };
  hooks_ = std::make_unique<hooks::Hooks>(std::move(parts));
}

void Daemon::tell_trustpoints() {
  for (const TrustpointConfig& trustpoint : config_.trustpoints) {
    auto facts = trust_->make_state(trustpoint.name, read_clocks().wall);
    if (facts) driver_->on_command(ike::SetTrustpoint{trustpoint_state(std::move(*facts))});
  }
}

std::vector<OwnCertificateStatus> Daemon::own_certificates() const {
  std::vector<OwnCertificateStatus> own;
  for (const pki::CertificateView& view : trust_->certificates(read_clocks().wall)) {
    if (view.kind == pki::CertificateView::Kind::ca) continue;
    own.push_back(
        {view.trustpoint, view.certificate.subject_text(), view.status, view.certificate.not_after()});
  }
  return own;
}

void Daemon::start_core() {
  note_configured(engine_config_);
  hooks_->configure(config_, gateway_name(config_));
  driver_->start(std::move(engine_config_), std::exchange(kept_, {}));
  tell_trustpoints();
  configure_revocation();
  trust_timer_->arm(kTrustDelay);
  addresses_->configure(config_.peers);
  look_for_enrollments();
}

std::set<std::string> Daemon::peers_up() const {
  std::set<std::string> up;
  for (const ike::PeerSnapshot& peer : driver_->snapshot()) {
    const bool tunnels = std::any_of(peer.tunnels.begin(), peer.tunnels.end(),
                                     [](const ike::TunnelSnapshot& one) { return !one.sas.empty(); });
    if (tunnels || peer.state == ike::PeerState::established) up.insert(peer.name);
  }
  return up;
}

// Revocation may ask for lists at once.
void Daemon::configure_revocation() {
  scep_lists_->configure(config_.trustpoints, options_.environment);
  revocation_->configure(trustpoints_in_use(config_));
  configure_logins();
}

void Daemon::configure_logins() {
  publication_->configure(config_, *trust_);
  std::set<uid_t> changers;
  for (const std::string& user : config_.ssh ? config_.ssh->change : std::vector<std::string>()) {
    if (const passwd* entry = ::getpwnam(user.c_str())) {
      changers.insert(entry->pw_uid);
    } else {
      log_.warning(fmt::format("ssh.change: there is no user {} on this machine", printable(user)));
    }
  }
  server_->let_change(std::move(changers));
}

void Daemon::look_for_enrollments() {
  enrollment_->configure(config_.trustpoints, config_.gateway.state_dir, options_.environment);
}

void Daemon::watch_signals() {
  watches_.push_back(Watch::signal(*loop_, SIGHUP, [this] { on_hangup(); }));
  watches_.push_back(Watch::signal(*loop_, SIGTERM, [this] { begin_shutdown("SIGTERM"); }));
  watches_.push_back(Watch::signal(*loop_, SIGINT, [this] { begin_shutdown("SIGINT"); }));
  watches_.push_back(Watch::readable(*loop_, plane_->fd(), [this] { plane_->dispatch(*this); }));
  watches_.push_back(Watch::readable(*loop_, workers_->fd(), [this] { workers_->dispatch(); }));
  watches_.push_back(Watch::readable(*loop_, resolvers_->fd(), [this] { resolvers_->dispatch(); }));
  watches_.push_back(Watch::readable(*loop_, monitor_->fd(), [this] { on_network_change(); }));
}

void Daemon::run() {
  std::signal(SIGPIPE, SIG_IGN);
  watch_signals();
  start_core();
  tell(log_, LogLevel::notice, DaemonMessage::ready,
       fmt::format("oakgated is ready: gateway {}, {} peer{}, {}", printable(gateway_name(config_)),
                   config_.peers.size(), config_.peers.size() == 1 ? "" : "s", plane_->name()));
  notify_ready(fmt::format("{} peers configured", config_.peers.size()));
  feed_watchdog();
  loop_->run();
  if (!hooks_->idle()) {
    log_.warning(fmt::format("updown: {} programs are not waited for, {} are not run: oakgated ends",
                             hooks_->running(), hooks_->waiting()));
  }
  hooks_.reset();
  watches_.clear();
  ike_watches_.clear();
  server_->flush();
  leave_plane();
  tell(log_, LogLevel::notice, DaemonMessage::ended, "oakgated has ended");
}

void Daemon::begin_shutdown(const char* signal_name) {
  if (shutting_down_) {
    loop_->stop();  // whoever sends it twice does not want to wait
    return;
  }
  shutting_down_ = true;
  const bool keep = keeps_sas();
  tell(log_, LogLevel::notice, DaemonMessage::stopping,
       fmt::format("{}: {}", signal_name,
                   keep ? "the tunnels stay, as `on_exit` says" : "taking the tunnels down"));
  notify_stopping();
  shutdown_timer_->arm(kShutdownPatience);
  if (keep) {
    driver_->on_command(ike::Suspend{kShutdownCommand});
  } else {
    driver_->on_command(ike::Shutdown{kShutdownCommand});
  }
}

void Daemon::on_outcome(ike::CommandId id, const Result<void>& result) {
  if (id == kShutdownCommand && hooks_->idle()) {
    loop_->stop();
  } else if (id == kShutdownCommand) {
    core_ended_ = true;
    shutdown_timer_->arm(kHooksPatience);
  } else {
    verbs_->on_outcome(id, result);
  }
}

void Daemon::on_core_event(const ike::Event& event, WallTime at) {
  verbs_->on_event(event, at);
  if (ike::to_string(event.id).starts_with("phase2")) status_changed();
  if (event.id == ike::EventId::phase1_failed && event.error && event.error->code == ErrorCode::no_answer) {
    addresses_->peer_is_silent(event.peer);
  }
}

// systemd is told soon, once for many changes.
void Daemon::status_changed() {
  status_timer_->arm(kStatusDelay);
}

// From the loop alone: what does not turn does not say so.
void Daemon::feed_watchdog() {
  const std::optional<Milliseconds> bound = watchdog_bound();
  if (!bound) return;
  notify_watchdog();
  watchdog_timer_->arm(*bound / 3);
}

void Daemon::show_status() {
  const ike::TunnelCounts tunnels = driver_->tunnel_counts();
  std::string status = fmt::format("{} of {} tunnels up", tunnels.up, tunnels.configured);
  if (status == status_ || shutting_down_) return;
  status_ = std::move(status);
  notify_status(status_);
}

void Daemon::on_network_change() {
  const Result<AddressMonitor::Change> change = monitor_->dispatch();
  if (!change) {
    log_.error("following local addresses: " + printable(error_text(change.error()), 1024));
  } else if (change->any() && !network_timer_armed_) {
    // A routing daemon changes many routes at once: one round of look-ups for all of them.
    network_timer_armed_ = true;
    network_timer_->arm(kNetworkDelay);
  }
}

std::optional<IpAddress> Daemon::find_source(const IpAddress& destination) {
  const Result<RouteAnswer> route = routing_->look_up(destination, kBypassMark);
  if (!route) return std::nullopt;
  if (listen_.empty() || std::find(listen_.begin(), listen_.end(), route->source) != listen_.end()) {
    return route->source;
  }
  for (const IpAddress& address : listen_) {
    if (address.family() == destination.family() && monitor_->has(address)) return address;
  }
  return std::nullopt;
}

void Daemon::on_acquire(Reqid reqid) {
  driver_->on_command(ike::Acquire{reqid});
}

void Daemon::on_soft_limit(const SaId& id, Reqid reqid) {
  driver_->on_command(ike::SoftLimitReached{id, reqid});
}

void Daemon::on_last_counts(const SaCounters& counts) {
  counts_.traffic.counted({&counts, 1});
}

void Daemon::on_expired(const SaId& id, Reqid reqid) {
  captures_->gone({&id, 1});
  driver_->on_command(ike::SaExpired{id, reqid});
}

void Daemon::on_ike_datagram(const Endpoint& local, const Endpoint& remote, ByteView datagram) {
  driver_->on_datagram({local, remote, datagram});
}

void Daemon::on_peer_moved(const SaId& id, Reqid reqid, const Endpoint& remote) {
  driver_->on_command(ike::PeerMoved{id, reqid, remote});
}

void Daemon::on_unknown_spi(const SaId& id, const IpAddress& remote) {
  driver_->on_command(ike::UnknownSpi{id.destination, remote, id.protocol, id.spi});
}

void Daemon::on_warning(const Error& error) {
  log_.write(Facility::engine, LogLevel::warning, "data plane: " + printable(error_text(error), 1024));
}

}  // namespace oakgate
