#include "daemon/cli/session.h"

#include <fmt/format.h>
#include <pwd.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "conf/load.h"
#include "daemon/cli/shell.h"
#include "daemon/ssh/authorized_keys.h"
#include "daemon/ssh/folder.h"
#include "daemon/text.h"

namespace oakgate::cli {

namespace {

constexpr const char* kIdent = "oakgate";
constexpr std::size_t kMaxLogged = 512;
constexpr std::string_view kLoginShell = "oakgate-shell";

Failure refuse(std::string text, std::string expected) {
  return {Exit::usage, "usage", std::move(text), std::move(expected), "", nullptr};
}

std::string user_name() {
  const passwd* entry = ::getpwuid(::getuid());
  return entry == nullptr ? std::to_string(::getuid()) : printable(entry->pw_name);
}

// sshd: "address port address port"
std::string client_address() {
  const char* connection = std::getenv("SSH_CONNECTION");
  const std::string text = connection == nullptr ? "" : connection;
  return printable(text.substr(0, text.find(' ')), 64);
}

}  // namespace

Outcome<Session> open_session(const Arguments& arguments) {
  Session session;
  session.look_only = arguments.look_only;
  session.socket = arguments.socket;
  session.user = user_name();
  if (arguments.login_folder.empty()) return session;
  session.login = true;
  session.from = client_address();
  session.subject = printable(ssh::decode_subject(arguments.login_subject), kMaxLogged);
  const std::string file = ssh::settings_file(arguments.login_folder);
  const conf::LoadOutcome loaded = conf::load_without_keys(file);
  if (!loaded.config || !loaded.config->ssh) {
    return tl::unexpected(Failure{Exit::configuration, "configuration",
                                  fmt::format("{}: there are no settings for logins", printable(file)),
                                  "oakgated started or reloaded with the section `ssh`", "", nullptr});
  }
  const conf::SshConfig& ssh = *loaded.config->ssh;
  if (!arguments.socket_given) session.socket = loaded.config->gateway.control_socket;
  // A login shell that no certificate led to has no level of its own.
  session.look_only = session.look_only || !conf::may_change(ssh, session.user);
  session.banner = ssh.banner;
  session.idle = ssh.idle_timeout;
  if (!ssh.files.empty()) session.incoming = (std::filesystem::path(ssh.files) / "incoming").string();
  return session;
}

void log_command(const Session& session, std::string_view line, bool refused) {
  if (!session.login) return;
  ::openlog(kIdent, LOG_PID, LOG_AUTHPRIV);
  const std::string text = fmt::format(
      "%PARSER-5-CFGLOG_LOGGEDCMD: User:{} certificate:{}{}{} {}:{}", session.user,
      session.subject.empty() ? "none" : '"' + session.subject + '"', session.from.empty() ? "" : " from ",
      session.from, refused ? "refused command" : "logged command", printable(line, kMaxLogged));
  ::syslog(LOG_AUTHPRIV | LOG_NOTICE, "%s", text.c_str());
}

Use use_of(Verb verb) {
  if (only_looks(verb)) return Use::look;
  switch (verb) {
    case Verb::up:
    case Verb::down:
    case Verb::clear_sas:
    case Verb::clear_counters:
    case Verb::clear_isakmp:
    case Verb::clear_connection:
    case Verb::check:
    case Verb::diff:
    case Verb::reload:
    case Verb::confirm:
    case Verb::pki_crl_request:
      return Use::change;
    default:
      return Use::never;
  }
}

bool only_looks(Verb verb) {
  switch (verb) {
    case Verb::status:
    case Verb::explain:
    case Verb::monitor:
    case Verb::show_isakmp_sa:
    case Verb::show_ipsec_sa:
    case Verb::show_crypto_engine:
    case Verb::show_dropped_packets:
    case Verb::show_running_config:
    case Verb::show_isakmp_policy:
    case Verb::show_transform_sets:
    case Verb::show_crypto_map:
    case Verb::show_sa_lifetime:
    case Verb::show_session_key:
    case Verb::show_transform_proposals:
    case Verb::show_dynamic_map:
    case Verb::show_connections:
    case Verb::show_clock:
    case Verb::show_debugging:
    case Verb::debug_isakmp:  // its lines are what `monitor` prints, bounded, and hold no secret
    case Verb::debug_ipsec:
    case Verb::debug_engine:
    case Verb::debug_pki:
      return true;
    default:
      return false;
  }
}

Outcome<void> confine(const Session& session, Arguments& arguments) {
  if (arguments.socket != session.socket)
    return tl::unexpected(refuse("this shell is for one gateway", "no --socket"));
  const Use use = use_of(arguments.verb);
  const bool nested = arguments.verb == Verb::shell;
  if (nested || (session.look_only && use != Use::look) || (session.login && use == Use::never)) {
    return tl::unexpected(
        refuse("that is not for this shell",
               session.look_only ? "verbs that change nothing: `?` lists all" : "another verb"));
  }
  if (!session.login) return {};
  const bool takes_file =
      arguments.verb == Verb::check || arguments.verb == Verb::diff || arguments.verb == Verb::reload;
  if (!takes_file) return {};
  const bool needs_file = arguments.verb != Verb::reload;
  if (arguments.verb == Verb::check && arguments.probe)
    return tl::unexpected(refuse("`check --probe` asks this machine, as root", "`check FILE`"));
  std::string& file = arguments.verb == Verb::reload ? arguments.staged : arguments.file;
  if (!needs_file && file.empty()) return {};
  if (session.incoming.empty())
    return tl::unexpected(refuse("this gateway takes no files", "`files` under `ssh` in oakgate.yaml"));
  if (!is_staged_name(file)) {
    return tl::unexpected(
        refuse(fmt::format("{} is no file that has come in", printable(file)),
               fmt::format("the name of a file in {}, as scp and sftp put it there", session.incoming)));
  }
  arguments.staged = file;
  return {};
}

bool is_login_shell(std::string_view argv0) {
  // login(1) and sshd put a `-` before it.
  const std::size_t slash = argv0.rfind('/');
  std::string_view name = slash == std::string_view::npos ? argv0 : argv0.substr(slash + 1);
  if (name.starts_with('-')) name.remove_prefix(1);
  return name == kLoginShell;
}

std::vector<std::string> login_shell_words(int argc, const char* const* argv) {
  const std::vector<std::string> plain{kIdent, "shell", "--login", conf::SshConfig{}.folder};
  if (argc < 3 || std::string_view(argv[1]) != "-c") return plain;
  const Outcome<std::vector<std::string>> words = split_line(argv[2]);
  if (words && words->size() >= 2 && (*words)[1] == "shell") {
    const std::string& program = words->front();
    if (program.substr(program.rfind('/') + 1) == kIdent) {
      std::vector<std::string> own = *words;
      if (std::find(own.begin(), own.end(), "--login") == own.end())
        own.insert(own.end(), {plain[2], plain[3]});
      return own;
    }
  }
  std::vector<std::string> line = plain;
  line.insert(line.end(), {"--line", argv[2]});
  return line;
}

}  // namespace oakgate::cli
