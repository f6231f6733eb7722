// oakgated put together: owns every part, brings what happens outside to the core, and ends in order.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "conf/load.h"
#include "daemon/control_verbs.h"
#include "daemon/core_driver.h"
#include "daemon/enrollment.h"
#include "daemon/event_log.h"
#include "daemon/hooks/hooks.h"
#include "daemon/kept_store.h"
#include "daemon/key_store.h"
#include "daemon/metrics/service.h"
#include "daemon/peer_addresses.h"
#include "daemon/process.h"
#include "daemon/reload_guard.h"
#include "daemon/revocation.h"
#include "daemon/scep_lists.h"
#include "daemon/sockets.h"
#include "daemon/ssh/publication.h"
#include "daemon/system_rng.h"
#include "daemon/wiring.h"
#include "daemon/workers.h"
#include "ike/failure_book.h"
#include "xfrm/netlink/address_monitor.h"
#include "xfrm/netlink/routes.h"

namespace oakgate {

struct DaemonOptions {
  std::string config_file;
  conf::Environment environment;
  std::string version{};
};

class Daemon final : private DataPlaneListener {
 public:
  // `loaded` holds a configuration. Everything that can be missing is found here: privileges, locks, ports,
  // data plane. Nothing is left behind on an error.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> create(DaemonOptions options,
                                                              LoadedConfiguration loaded, const Log& log);
  ~Daemon() override;
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Until SIGTERM or SIGINT; peers are told, the data plane is left clean.
  void run();

 private:
  Daemon(DaemonOptions options, const Log& log) : options_(std::move(options)), log_(log) {}

  // create(), in order
  [[nodiscard]] Result<void> lock_and_listen();
  [[nodiscard]] Result<void> make_workers();
  [[nodiscard]] Result<void> make_trust();
  [[nodiscard]] Result<void> open_network();
  [[nodiscard]] Result<void> recall_kept();
  [[nodiscard]] Result<void> choose_plane();
  [[nodiscard]] Result<void> attach_sockets();
  void listen_to(const UdpSocket& socket);
  void carry_old_drafts(const conf::Config& config);
  void assemble();
  void make_hooks();
  [[nodiscard]] Result<void> serve_metrics();  // daemon_metrics.cc
  void note_reload(bool succeeded);
  void note_configured(const ike::EngineConfig& config);

  void start_core();
  void watch_signals();
  [[nodiscard]] ReloadOutcome reload(std::optional<Seconds> confirm);
  // Of a file that has come in: it takes the configuration file's place once it is in use for good.
  [[nodiscard]] ReloadOutcome reload_staged(const std::string& name, std::optional<Seconds> confirm);
  [[nodiscard]] ReloadOutcome reload_from(LoadedConfiguration loaded, std::optional<Seconds> confirm);
  [[nodiscard]] std::optional<ReloadOutcome> unconfirmed();
  [[nodiscard]] Result<conf::LoadOutcome> load_staged(const std::string& name);
  [[nodiscard]] Result<void> install_staged(const std::string& text);
  [[nodiscard]] Result<void> confirm_reload();
  [[nodiscard]] ReloadOutcome refresh_keys();
  // `before`, if there is one, gets what ran until now.
  [[nodiscard]] ReloadOutcome take_over(LoadedConfiguration loaded, LoadedConfiguration* before = nullptr);
  [[nodiscard]] ReloadOutcome replace_configuration(LoadedConfiguration loaded, LoadedConfiguration* before);
  void undo_reload(LoadedConfiguration before);
  void note_running(const std::string& composed);
  // Returns those from before.
  [[nodiscard]] Result<LoadedKeys> keep_keys(LoadedKeys keys);
  void tell_trustpoints();
  [[nodiscard]] std::vector<OwnCertificateStatus> own_certificates() const;
  void on_hangup();
  [[nodiscard]] std::set<std::string> peers_up() const;
  void configure_revocation();
  void configure_logins();
  void look_for_enrollments();
  void follow_on_exit(conf::OnExit before);
  void note_kept(const Result<void>& written);
  [[nodiscard]] bool keeps_sas() const;  // the plane's, beyond the daemon's end
  void leave_plane();
  void begin_shutdown(const char* signal_name);
  void on_core_event(const ike::Event& event, WallTime at);
  void on_outcome(ike::CommandId id, const Result<void>& result);
  void on_network_change();
  void status_changed();
  void show_status();
  void feed_watchdog();
  [[nodiscard]] std::optional<IpAddress> find_source(const IpAddress& destination);

  void on_acquire(Reqid reqid) override;
  void on_soft_limit(const SaId& id, Reqid reqid) override;
  void on_last_counts(const SaCounters& counts) override;
  void on_expired(const SaId& id, Reqid reqid) override;
  void on_ike_datagram(const Endpoint& local, const Endpoint& remote, ByteView datagram) override;
  void on_peer_moved(const SaId& id, Reqid reqid, const Endpoint& remote) override;
  void on_unknown_spi(const SaId& id, const IpAddress& remote) override;
  void on_warning(const Error& error) override;

  // Destroyed from the end: what watches before what is watched, the workers before what they use.
  DaemonOptions options_;
  const Log& log_;
  std::unique_ptr<Loop> loop_;
  std::vector<ProcessLock> locks_;
  std::string state_dir_;  // ours, whatever a reload says
  std::unique_ptr<SystemRng> rng_;
  conf::Config config_;
  LoadedKeys loaded_keys_;  // between create() and run()
  PublicKeys public_keys_;  // of peers, as they were loaded
  MemoryKeyStore keys_;
  std::shared_ptr<pki::TrustStore> trust_;  // shared with threads that fetch, which may be left behind
  std::shared_ptr<ScepLists> scep_lists_;   // likewise
  ike::EngineConfig engine_config_;         // likewise
  ReqidTable reqids_;
  std::unique_ptr<KeptStore> kept_store_;
  std::vector<ike::KeptPair> kept_;  // of an earlier run, between create() and run()
  std::unique_ptr<UdpSockets> sockets_;
  std::vector<IpAddress> listen_;  // as the sockets are bound, whatever a reload says
  std::unique_ptr<DataPlane> plane_;
  std::unique_ptr<AddressMonitor> monitor_;
  std::unique_ptr<Routing> routing_;
  metrics::Counts counts_;
  ike::FailureBook failures_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<capture::Captures> captures_;
  std::unique_ptr<CoreDriver> driver_;
  std::unique_ptr<hooks::Hooks> hooks_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<ssh::Publication> publication_;
  std::unique_ptr<Revocation> revocation_;
  std::unique_ptr<ReloadGuard> reload_guard_;
  std::optional<std::string> staged_;  // what becomes the configuration file once it is confirmed
  std::unique_ptr<ControlVerbs> verbs_;
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<metrics::Service> metrics_;
  std::unique_ptr<PeerAddresses> addresses_;
  std::unique_ptr<WorkerPool> resolvers_;
  std::unique_ptr<Enrollment> enrollment_;
  std::unique_ptr<Timer> trust_timer_;
  std::unique_ptr<Timer> status_timer_;
  std::unique_ptr<Timer> network_timer_;
  std::unique_ptr<Timer> watchdog_timer_;
  std::unique_ptr<Timer> shutdown_timer_;
  std::vector<std::unique_ptr<Watch>> watches_;
  std::map<int, std::unique_ptr<Watch>> ike_watches_;  // by descriptor: the sockets that we read ourselves
  bool old_drafts_ = false;  // ESP goes beside IKE on its port: drafts 00 and 01 of NAT traversal
  std::string status_;
  bool network_timer_armed_ = false;
  bool shutting_down_ = false;
  bool core_ended_ = false;  // nothing but programs that were run for tunnels is waited for
};

}  // namespace oakgate
