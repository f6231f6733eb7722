// `oakgate pki ...`: what its verbs share. They work on the files that the configuration names, in a process
// of their own; a running daemon is told afterwards.
#pragma once

#include <optional>
#include <string>

#include "conf/config.h"
#include "daemon/cli/arguments.h"
#include "daemon/cli/client.h"
#include "ike/base/secret.h"

namespace oakgate::cli {

// What a verb works with. Progress goes to standard output unless --json is given.
struct PkiContext {
  const Arguments& arguments;
  conf::Config config;
  [[nodiscard]] const PkiArguments& pki() const { return arguments.pki; }
  void say(const std::string& text) const;
};

// Whether `verb` is one of these; then runs it and returns the exit code.
[[nodiscard]] bool is_pki(Verb verb);
[[nodiscard]] int run_pki(const Arguments& arguments);

// Exit::configuration with its issues, as `oakgate check` shows them. No file but the configuration is looked
// at: the others are what these verbs make.
[[nodiscard]] Outcome<conf::Config> load_pki_configuration(const std::string& file);
// Has a running daemon read keys and certificates anew, over --socket or else the configuration's socket.
// Nothing: none runs, which is fine: it will read them when it starts.
[[nodiscard]] std::optional<Outcome<Json>> tell_daemon(const Arguments& arguments,
                                                       const conf::Config& config);

// ErrorCode::not_found names what there is.
[[nodiscard]] Outcome<KeyConfig> find_key(const PkiContext& context);
[[nodiscard]] Outcome<TrustpointConfig> find_trustpoint(const PkiContext& context);
[[nodiscard]] Failure refuse(ErrorCode code, std::string text, std::string expected = {},
                             std::string remedy = {});

// Asks on the terminal; without one, `--yes` is needed. `question` ends with what to type.
[[nodiscard]] Outcome<void> ask_consent(const PkiContext& context, const std::string& question);
// What a person types, without echo. None: there is no terminal.
[[nodiscard]] std::optional<SecretBytes> ask_secret(const std::string& prompt);
// The content of --password-file without one trailing newline; without the option the terminal is asked,
// without echo; without a terminal it is empty.
[[nodiscard]] Outcome<SecretBytes> passphrase(const PkiContext& context, const std::string& prompt);

// "16:17:34 UTC Jan 10 2002", as IOS writes times.
[[nodiscard]] std::string ios_time(WallTime time);

}  // namespace oakgate::cli
