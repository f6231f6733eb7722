// Daemon: how a new configuration, or new keys, take over from what runs, and how that is undone.
#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

#include "daemon/daemon.h"
#include "daemon/messages.h"
#include "daemon/ssh/staging.h"
#include "daemon/text.h"
#include "pki/files.h"

namespace oakgate {

namespace {

// What a reload cannot change: these belong to sockets and planes that live as long as the daemon.
std::vector<std::string> needs_restart(const conf::GatewayConfig& before, const conf::GatewayConfig& after) {
  std::vector<std::string> keys;
  if (before.listen != after.listen) keys.emplace_back("gateway.listen");
  if (before.data_plane != after.data_plane) keys.emplace_back("gateway.data_plane");
  if (before.workers != after.workers) keys.emplace_back("gateway.workers");
  if (before.control_socket != after.control_socket) keys.emplace_back("gateway.control_socket");
  if (before.control_group != after.control_group) keys.emplace_back("gateway.control_group");
  if (before.state_dir != after.state_dir) keys.emplace_back("gateway.state_dir");
  return keys;
}

}  // namespace

Result<LoadedKeys> Daemon::keep_keys(LoadedKeys keys) {
  Result<PrivateKeys> before = keys_.replace_private_keys(std::move(keys.private_keys));
  if (!before) return fail(std::move(before.error()));
  return LoadedKeys{keys_.replace(std::move(keys.pre_shared)), std::move(*before),
                    std::exchange(public_keys_, std::move(keys.public_keys))};
}

std::optional<ReloadOutcome> Daemon::unconfirmed() {
  const auto left = reload_guard_->left(read_clocks().instant);
  if (!left) return std::nullopt;
  ReloadOutcome refused;
  refused.error = Error{ErrorCode::in_use,
                        fmt::format("the last reload is not confirmed: it is undone in {} s", left->count()),
                        "one change at a time",
                        "`oakgate confirm`, or wait",
                        {}};
  tell(log_, LogLevel::error, DaemonMessage::reload_refused, printable(error_text(*refused.error), 1024));
  return refused;
}

ReloadOutcome Daemon::reload(std::optional<Seconds> confirm) {
  if (auto refused = unconfirmed()) return std::move(*refused);
  return reload_from(load_configuration(options_.config_file, options_.environment), confirm);
}

ReloadOutcome Daemon::reload_from(LoadedConfiguration loaded, std::optional<Seconds> confirm) {
  LoadedConfiguration before;
  ReloadOutcome outcome = take_over(std::move(loaded), &before);
  if (confirm && outcome.issues.empty() && !outcome.error) {
    tell(log_, LogLevel::notice, DaemonMessage::reload_unconfirmed,
         fmt::format("the new configuration is undone in {} s unless `oakgate confirm` comes first",
                     confirm->count()));
    reload_guard_->begin(std::move(before), *confirm, read_clocks().instant);
  }
  return outcome;
}

// ---- Configurations that have come in --------------------------------------------------------------------

Result<conf::LoadOutcome> Daemon::load_staged(const std::string& name) {
  const auto text = ssh::read_staged(config_.ssh ? config_.ssh->files : "", name);
  if (!text) return fail(text.error());
  return take_keys(conf::load_config_text(*text, name, options_.config_file, options_.environment)).outcome;
}

ReloadOutcome Daemon::reload_staged(const std::string& name, std::optional<Seconds> confirm) {
  if (auto refused = unconfirmed()) return std::move(*refused);
  ReloadOutcome outcome;
  auto text = ssh::read_staged(config_.ssh ? config_.ssh->files : "", name);
  if (!text) {
    outcome.error = std::move(text.error());
    return outcome;
  }
  log_.notice(fmt::format("reloading {}, which has come in", printable(name)));
  outcome = reload_from(
      take_keys(conf::load_config_text(*text, name, options_.config_file, options_.environment)), confirm);
  if (!outcome.issues.empty() || outcome.error) return outcome;
  if (confirm) {
    staged_ = std::move(*text);
  } else if (auto installed = install_staged(*text); !installed) {
    outcome.error = std::move(installed.error());
  }
  return outcome;
}

Result<void> Daemon::install_staged(const std::string& text) {
  struct stat status {};
  const bool there = ::stat(options_.config_file.c_str(), &status) == 0;
  const mode_t mode = there ? status.st_mode & 0777 : mode_t{0640};
  auto written = pki::write_file(options_.config_file, as_bytes(text), mode);
  if (!written) {
    written.error().text = "what runs is not in the file: " + written.error().text;
    log_.error(printable(error_text(written.error()), 1024));
  }
  return written;
}

Result<void> Daemon::confirm_reload() {
  if (Result<void> confirmed = reload_guard_->confirm(); !confirmed) return confirmed;
  log_.notice("the configuration in use is confirmed");
  if (!staged_) return {};
  return install_staged(*std::exchange(staged_, std::nullopt));
}

void Daemon::undo_reload(LoadedConfiguration before) {
  tell(log_, LogLevel::warning, DaemonMessage::reload_undone,
       fmt::format("nobody has confirmed the reload: what ran before comes back, and {} is not what runs",
                   staged_ ? "what has come in" : options_.config_file));
  staged_.reset();
  [[maybe_unused]] const ReloadOutcome undone = take_over(std::move(before));  // what fails is logged
  // Keys that have changed meanwhile, by `oakgate pki`, are wanted as they are.
  if (!shutting_down_) [[maybe_unused]]
    const ReloadOutcome refreshed = refresh_keys();
}

void Daemon::note_running(const std::string& composed) {
  if (auto written = write_running_config(state_dir_, composed); !written) {
    log_.error(printable(error_text(written.error()), 1024));
  }
}

// The configuration in use, whatever its file says by now, with the keys and certificates as they are.
ReloadOutcome Daemon::refresh_keys() {
  return take_over(take_keys(conf::load_keys(config_, options_.environment)));
}

ReloadOutcome Daemon::take_over(LoadedConfiguration loaded, LoadedConfiguration* before) {
  ReloadOutcome outcome = replace_configuration(std::move(loaded), before);
  note_reload(outcome.issues.empty() && !outcome.error);
  return outcome;
}

ReloadOutcome Daemon::replace_configuration(LoadedConfiguration loaded, LoadedConfiguration* before) {
  ReloadOutcome outcome;
  if (shutting_down_) {
    outcome.error = Error{ErrorCode::cancelled, "oakgated is ending", {}, {}, {}};
    return outcome;
  }
  if (!loaded.outcome.config) {
    tell(log_, LogLevel::error, DaemonMessage::reload_refused,
         fmt::format("{}: not reloaded, the configuration in use stays", options_.config_file));
    for (const conf::Issue& issue : loaded.outcome.issues) log_.error(conf::to_string(issue));
    outcome.issues = std::move(loaded.outcome.issues);
    return outcome;
  }
  conf::Config& config = *loaded.outcome.config;
  Result<ike::EngineConfig> engine = make_engine_config(config, loaded.keys, reqids_);
  if (engine) {
    const auto errors = trust_->replace(config.trustpoints, public_keys_of(loaded.keys.private_keys));
    if (!errors.empty()) engine = fail(errors.front());
  }
  LoadedKeys keys_before;
  if (engine) {
    if (Result<LoadedKeys> kept = keep_keys(std::move(loaded.keys))) {
      keys_before = std::move(*kept);
    } else {
      engine = fail(std::move(kept.error()));
    }
  }
  if (!engine) {
    tell(log_, LogLevel::error, DaemonMessage::reload_refused, printable(error_text(engine.error()), 1024));
    outcome.error = std::move(engine.error());
    return outcome;
  }
  for (const conf::Issue& warning : loaded.outcome.warnings) log_.warning(conf::to_string(warning));
  outcome.needs_restart = needs_restart(config_.gateway, config.gateway);
  for (const std::string& key : outcome.needs_restart) {
    log_.warning(fmt::format("{} has changed: that takes effect when oakgated starts anew", key));
  }
  notify_reloading();
  const conf::OnExit on_exit = config_.gateway.on_exit;
  if (before != nullptr) {
    if (auto text = read_running_config(state_dir_)) before->outcome.composed = std::move(*text);
    before->outcome.config = std::move(config_);
    before->keys = std::move(keys_before);
  }
  config_ = std::move(config);
  driver_->use_batches(config_.gateway.diffie_hellman == conf::DhChoice::batched);
  if (!loaded.outcome.composed.empty()) note_running(loaded.outcome.composed);
  follow_on_exit(on_exit);
  engine->keep = kept_store_->is_open();
  carry_old_drafts(config_);
  // Certificates first: a peer that starts anew needs them.
  tell_trustpoints();
  note_configured(*engine);
  hooks_->configure(config_, gateway_name(config_));
  driver_->on_command(ike::Reconfigure{std::move(*engine)});
  if (const auto served = metrics_->configure(config_.gateway.metrics); !served)
    log_.error(printable(error_text(served.error()), 1024));
  captures_->configure();
  configure_revocation();
  addresses_->configure(config_.peers);
  look_for_enrollments();
  tell(log_, LogLevel::notice, DaemonMessage::reloaded,
       fmt::format("{}: reloaded, {} peers", options_.config_file, config_.peers.size()));
  notify_ready(fmt::format("{} peers configured", config_.peers.size()));
  status_changed();
  return outcome;
}

void Daemon::follow_on_exit(conf::OnExit before) {
  if (before == config_.gateway.on_exit) return;
  if (keeps_sas()) {
    note_kept(kept_store_->open());
  } else {
    kept_store_->close();
  }
}

void Daemon::on_hangup() {
  [[maybe_unused]] const ReloadOutcome logged = reload(std::nullopt);
}

}  // namespace oakgate
