// oakgated: the daemon's command line, its log, its configuration; everything else is Daemon's. oakgated(8).
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string>

#include "daemon/core_dumps.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/messages.h"
#include "daemon/process.h"
#include "daemon/text.h"
#include "daemon/version.h"

namespace oakgate {

namespace {

struct Arguments {
  std::string config = kDefaultConfig;
  std::string log_level = "info";
  bool foreground = false;
  bool catalog = false;
};

// Ends the process on --help, --version and mistakes.
std::optional<int> parse(int argc, char** argv, Arguments& arguments) {
  CLI::App app("IKEv1 daemon and IPsec data plane for Linux gateways", "oakgated");
  app.set_version_flag("--version", std::string("oakgated ") + kVersion);
  app.add_option("--config", arguments.config, "configuration file")->capture_default_str();
  app.add_flag("--foreground", arguments.foreground, "log to standard error, in plain text");
  app.add_flag("--message-catalog", arguments.catalog,
               "print the journal's catalogue of our messages, and end");
  app.add_option("--log-level", arguments.log_level, "least urgent lines to log")
      ->check(CLI::IsMember({"error", "warning", "notice", "info", "debug"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
  }
  if (arguments.catalog) {
    fmt::print("{}", message_catalog());
    return 0;
  }
  return std::nullopt;
}

// To the log, and to the terminal of whoever starts a daemon that logs elsewhere.
void complain(const Log& log, bool foreground, const std::string& text,
              std::span<const LogField> fields = {}) {
  log.write(LogLevel::error, text, fields);
  if (!foreground && ::isatty(STDERR_FILENO) == 1) fmt::print(stderr, "oakgated: {}\n", text);
}

conf::Environment environment() {
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  return {credentials != nullptr ? credentials : "", ::geteuid()};
}

int run(const Arguments& arguments) {
  const LogLevel level = find_log_level(arguments.log_level).value_or(LogLevel::info);
  const Log log(arguments.foreground ? make_stderr_sink() : make_system_sink(), level);
  forbid_core_dumps();

  DaemonOptions options{arguments.config, environment(), kVersion};
  LoadedConfiguration loaded = load_configuration(options.config_file, options.environment);
  for (const conf::Issue& warning : loaded.outcome.warnings) log.warning(conf::to_string(warning));
  if (!loaded.outcome.config) {
    for (const conf::Issue& issue : loaded.outcome.issues) {
      complain(log, arguments.foreground, conf::to_string(issue),
               message_fields(message_row(DaemonMessage::configuration_refused)));
    }
    return static_cast<int>(Exit::configuration);
  }
  const auto daemon = Daemon::create(std::move(options), std::move(loaded), log);
  if (!daemon) {
    complain(log, arguments.foreground, error_text(daemon.error()));
    return static_cast<int>(Exit::failed);
  }
  (*daemon)->run();
  return static_cast<int>(Exit::done);
}

}  // namespace

}  // namespace oakgate

int main(int argc, char** argv) {
  oakgate::Arguments arguments;
  if (const auto ended = oakgate::parse(argc, argv, arguments)) return *ended;
  return oakgate::run(arguments);
}
