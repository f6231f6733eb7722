// What each verb of the control protocol does. Answers at once where it can, and keeps who waits for the
// core's CommandDone, or watches events.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "conf/config.h"
#include "conf/issue.h"
#include "conf/load.h"
#include "daemon/capture/captures.h"
#include "daemon/control_server.h"
#include "daemon/core_driver.h"
#include "daemon/debug_streams.h"
#include "daemon/long_answers.h"
#include "daemon/revocation.h"
#include "daemon/status_json.h"
#include "ike/failure_book.h"

namespace oakgate {

struct ReloadOutcome {
  std::vector<conf::Issue> issues;         // not empty: the old configuration stays
  std::optional<Error> error;              // likewise
  std::vector<std::string> needs_restart;  // keys whose change waits for the next start
};

class ControlVerbs final : public ControlHandler {
 public:
  struct Parts {
    CoreDriver& driver;
    DataPlane& plane;
    std::function<ReloadOutcome(std::optional<Seconds> confirm)> reload;
    std::function<ReloadOutcome()> refresh_keys;
    std::function<const conf::Config&()> config;
    std::function<std::vector<OwnCertificateStatus>()> own_certificates{};
    // Revocation::request_lists.
    using ListsCame = std::function<void(const Revocation::Requested&)>;
    std::function<Result<void>(const std::string& trustpoint, ListsCame)> request_lists{};
    // ReloadGuard's.
    std::function<Result<void>()> confirm{};
    std::function<std::optional<Seconds>()> confirm_within{};
    std::function<Result<std::string>()> running_config{};
    const ike::FailureBook* failures = nullptr;
    capture::Captures* captures = nullptr;
    // Of a file that has come in: as it is; and as the configuration to come.
    std::function<Result<conf::LoadOutcome>(const std::string& name)> load_staged{};
    std::function<ReloadOutcome(const std::string& name, std::optional<Seconds> confirm)> reload_staged{};
  };
  explicit ControlVerbs(Parts parts) : parts_(std::move(parts)) {}
  void serve(ControlServer& server) {
    server_ = &server;
    long_answers_ = std::make_unique<LongAnswers>(server.loop(), server);
    debugs_ = std::make_unique<DebugStreams>(server.loop(), server);
    server.serve(*this);
  }

  void on_request(ClientId client, const ControlRequest& request) override;
  void on_gone(ClientId client) override;

  // From the core, by way of the daemon.
  void on_event(const ike::Event& event, WallTime at);
  // A line of the log that `debug crypto` shows.
  void on_line(Facility facility, LogLevel level, std::string_view text);
  // False: the command was not given by a client.
  bool on_outcome(ike::CommandId id, const Result<void>& result);

 private:
  struct Waiting {
    ClientId client;
    ControlRequest request;
  };
  using Verb = void (ControlVerbs::*)(ClientId, const ControlRequest&);
  static const std::map<ControlVerb, Verb>& verbs();

  void status(ClientId client, const ControlRequest& request);
  void up_or_down(ClientId client, const ControlRequest& request);
  void reload(ClientId client, const ControlRequest& request);
  void check(ClientId client, const ControlRequest& request);
  void confirm(ClientId client, const ControlRequest& request);
  void show_running_config(ClientId client, const ControlRequest& request);
  void monitor(ClientId client, const ControlRequest& request);
  void show(ClientId client, const ControlRequest& request);
  void show_engine(ClientId client, const ControlRequest& request);
  void explain(ClientId client, const ControlRequest& request);
  void begin_capture(ClientId client, const ControlRequest& request);
  void show_drops(ClientId client, const ControlRequest& request);
  void clear(ClientId client, const ControlRequest& request);
  void clear_one(ClientId client, const ControlRequest& request);
  void clear_counters(ClientId client, const ControlRequest& request);
  void debug(ClientId client, const ControlRequest& request);
  void show_debug(ClientId client, const ControlRequest& request);
  [[nodiscard]] Json clear_of(const ControlRequest& request, const std::optional<IpAddress>& remote,
                              std::span<const LongAnswers::Peer> peers);
  void request_crls(ClientId client, const ControlRequest& request);
  void crls_came(std::uint64_t number, const Revocation::Requested& lists);

  // ErrorCode::not_found names what there is.
  [[nodiscard]] Result<void> check_target(const ControlRequest& request) const;
  // A peer by name, or an address and the peers that are there. ErrorCode::not_found likewise.
  struct Called {
    std::set<std::string> names;
    std::optional<IpAddress> address;
  };
  [[nodiscard]] Result<Called> peers_called(const std::string& text) const;
  // `whole`: with what is not a peer's, too.
  [[nodiscard]] StatusInput status_input(std::span<const LongAnswers::Peer> peers, bool whole) const;
  [[nodiscard]] std::vector<LongAnswers::Peer> peers_meant(const std::string& name) const;  // empty: all

  Parts parts_;
  ControlServer* server_ = nullptr;
  std::unique_ptr<LongAnswers> long_answers_;
  std::map<ike::CommandId, Waiting> waiting_;
  std::set<std::pair<ClientId, std::uint64_t>> monitors_;  // with the request's id
  std::unique_ptr<DebugStreams> debugs_;
  ConnectionNumbers numbers_;
  std::map<SaId, SaCounters> cleared_counters_;  // as they were at `clear crypto sa counters`
  std::map<std::uint64_t, Waiting> waiting_for_crls_;
  std::uint64_t next_command_ = 1;
};

}  // namespace oakgate
