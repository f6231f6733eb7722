// oakgate-authorized-keys: sshd's AuthorizedKeysCommand. It asks nobody but the folder that oakgated keeps,
// the users' certificates and, for what is missing, their servers; so it works while oakgated is down.
// oakgate-authorized-keys(8).
#include <fmt/format.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "conf/load.h"
#include "daemon/core_dumps.h"
#include "daemon/ssh/folder.h"
#include "daemon/ssh/login.h"
#include "daemon/text.h"
#include "daemon/version.h"
#include "ike/base/types.h"
#include "pki/fetcher.h"

namespace oakgate::ssh {

namespace {

constexpr const char* kName = "oakgate-authorized-keys";
constexpr Milliseconds kFetches{12000};  // all of them together
constexpr unsigned kWhole = 20;          // seconds; then the program ends, whatever it does
constexpr rlim_t kMaxMemory = rlim_t{1} << 30;

struct Arguments {
  Question question;
  std::string folder = conf::SshConfig{}.folder;
  std::string shell = OAKGATE_SHELL;
};

// sshd throws standard error away; somebody who tries this by hand reads it.
void log(int priority, const std::string& text) {
  ::syslog(LOG_AUTHPRIV | priority, "%s", text.c_str());
  fmt::print(stderr, "{}: {}\n", kName, text);
}

int give_up(const Error& error) {
  log(LOG_ERR, "SSH2: Certificate authentication is not possible: " + printable(error_text(error), 1024));
  return 1;
}

void bound() {
  ::signal(SIGPIPE, SIG_IGN);
  const rlimit memory{kMaxMemory, kMaxMemory};
  ::setrlimit(RLIMIT_AS, &memory);
  sigset_t alarm_only;
  ::sigemptyset(&alarm_only);
  ::sigaddset(&alarm_only, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &alarm_only, nullptr);
  ::alarm(kWhole);
  std::thread([alarm_only] {
    int which = 0;
    ::sigwait(&alarm_only, &which);
    log(LOG_ERR,
        fmt::format("SSH2: Certificate authentication is not possible: not done within {} s", kWhole));
    ::_exit(1);
  }).detach();
}

std::string print(const Answer& answer, const Arguments& arguments) {
  std::string out;
  const std::string folder = std::filesystem::absolute(arguments.folder).string();
  for (const AuthorizedKey& key : answer.keys)
    out += authorized_line(key, {arguments.shell, folder}, arguments.question.user);
  return out;
}

int run(const Arguments& arguments) {
  forbid_core_dumps();
  bound();
  conf::LoadOutcome loaded = conf::load_without_keys(settings_file(arguments.folder));
  if (!loaded.config || !loaded.config->ssh) {
    const std::string why =
        loaded.issues.empty() ? "it has no section `ssh`" : to_string(loaded.issues.front());
    return give_up({ErrorCode::configuration,
                    "there are no settings for logins: " + why,
                    "the section `ssh` of oakgate.yaml, and oakgated started or reloaded with it",
                    "`oakgate reload` writes them",
                    {}});
  }
  // The cache stays as it is: it is oakgated's.
  pki::TrustStore trust{{}};
  const auto errors = trust.replace(loaded.config->trustpoints, [](const KeyConfig&) -> Result<Bytes> {
    return fail(ErrorCode::no_public_key, "no key");
  });
  if (!errors.empty()) return give_up(errors.front());
  const pki::NetworkFetcher fetcher;
  const WallTime now = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
  const Answer given =
      answer(arguments.question, {*loaded.config->ssh, trust, fetcher, now, pki::deadline_after(kFetches)});
  for (const std::string& line : given.log) log(given.keys.empty() ? LOG_NOTICE : LOG_INFO, line);
  const std::string text = print(given, arguments);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

}  // namespace oakgate::ssh

int main(int argc, char** argv) {
  using namespace oakgate;
  ssh::Arguments arguments;
  CLI::App app("Keys that open a user's account: those of certificates that a trustpoint vouches for",
               ssh::kName);
  app.set_version_flag("--version", fmt::format("{} {}", ssh::kName, kVersion));
  app.add_option("USER", arguments.question.user, "who wants to log in (sshd's %u)")->required();
  app.add_option("TYPE", arguments.question.key_type, "of the key that is offered (%t)");
  app.add_option("KEY", arguments.question.key, "that key (%k); without: all keys of the user");
  app.add_option("--folder", arguments.folder, "what oakgated keeps for logins")->capture_default_str();
  app.add_option("--shell", arguments.shell, "the program `oakgate`")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  ::openlog(ssh::kName, LOG_PID, LOG_AUTHPRIV);
  return ssh::run(arguments);
}
