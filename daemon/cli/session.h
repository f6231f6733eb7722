// Who types at a shell, and what of it is logged: a login by SSH comes with its certificate's subject and the
// settings that oakgated keeps for logins; a shell that somebody starts by hand comes with nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/arguments.h"
#include "ike/base/types.h"

namespace oakgate::cli {

struct Session {
  bool login =
      false;  // by SSH, or as a login shell: nothing of this machine but the gateway is to be reached
  bool look_only = false;
  std::string socket;
  std::string user;     // of the process
  std::string subject;  // of the certificate, printable; empty: none is known
  std::string from;     // the client's address; empty: not known
  std::string banner;
  Seconds idle{0};       // 0: none
  std::string incoming;  // where `check FILE` and its like look; empty: there is no such place
};

// Exit::configuration: the settings cannot be read; then there is no shell.
[[nodiscard]] Outcome<Session> open_session(const Arguments& arguments);

// A line that was typed, and whether it is done or refused, to the system's log; not of sessions by hand.
void log_command(const Session& session, std::string_view line, bool refused);

// What a login may type. In every other shell everything may be typed but what `look_only` forbids.
enum class Use : std::uint8_t { look, change, never };
[[nodiscard]] Use use_of(Verb verb);
// Whether the verb changes nothing, and tells of nothing but what oakgated does.
[[nodiscard]] bool only_looks(Verb verb);

// What makes a typed line one for a login: a file is one of those that have come in, by its name; no option
// leads to another file or gateway. Exit::usage.
[[nodiscard]] Outcome<void> confine(const Session& session, Arguments& arguments);

// `oakgate-shell -c COMMAND`, as sshd runs a login shell: our own command line, or a line to be typed.
[[nodiscard]] std::vector<std::string> login_shell_words(int argc, const char* const* argv);
[[nodiscard]] bool is_login_shell(std::string_view argv0);

}  // namespace oakgate::cli
