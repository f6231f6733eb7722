// The `oakgate pki` verbs that talk to a certification authority: they run in the command's own process, read
// the configuration file, fill the files it names, and tell a running daemon. No YAML is ever edited.
#pragma once

#include <optional>
#include <string>

#include "conf/config.h"
#include "daemon/cli/arguments.h"
#include "ike/base/secret.h"
#include "ike/ports/fetcher.h"

namespace oakgate::cli {

// Print and return the exit code, as run() does (daemon/cli/commands.h).
[[nodiscard]] int pki_authenticate(const Arguments& arguments);
[[nodiscard]] int pki_enroll(const Arguments& arguments);

// ---- what its verbs share ----------------------------------------------------------------------------

// Exit::not_found names those there are.
[[nodiscard]] Outcome<TrustpointConfig> find_scep_trustpoint(const conf::Config& config,
                                                             const std::string& name);
// "1FCDF2C8 2DEDA6AC 4819D4C4 B4CFF2F5": hexadecimal in groups of eight, as IOS prints fingerprints.
[[nodiscard]] std::string grouped_fingerprint(const std::string& hex);

// The two verbs over any Fetcher and configuration; `confirm` and `ask` ask a person. For tests.
struct ScepContext {
  const Arguments& arguments;
  const conf::Config& config;
  const TrustpointConfig& trustpoint;  // with `enrollment`
  const Fetcher& fetcher;
};
using Confirm = bool (*)(const std::string& question);  // null: there is no one to ask
[[nodiscard]] Outcome<Json> authenticate(const ScepContext& context, Confirm confirm);
using AskSecret = std::optional<SecretBytes> (*)(const std::string& prompt);  // without echo; none likewise
[[nodiscard]] Outcome<Json> enroll(const ScepContext& context, AskSecret ask);

}  // namespace oakgate::cli
