#include "daemon/cli/scep.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "conf/load.h"
#include "daemon/cli/commands.h"
#include "daemon/issue_json.h"
#include "daemon/text.h"
#include "daemon/version.h"
#include "pki/fetcher.h"

namespace oakgate::cli {

namespace {

constexpr Seconds kPatience{10};
constexpr std::size_t kFingerprintGroup = 8;

bool ask_person(const std::string& question) {
  // As IOS does: until it is one of the two words.
  std::string answer;
  while (true) {
    fmt::print("{} [yes/no]: ", question);
    std::fflush(stdout);
    if (!std::getline(std::cin, answer)) return false;
    if (answer == "yes" || answer == "y") return true;
    if (answer == "no" || answer == "n") return false;
    fmt::print("% Please answer 'yes' or 'no'.\n");
  }
}

// Loads what every verb needs, runs it, prints its JSON if asked (its text it prints itself).
template <typename Run>
int run_verb(const Arguments& arguments, Run run) {
  const Outcome<conf::Config> config = load_scep_configuration(arguments);
  if (!config) return report(config.error(), arguments.json);
  const Outcome<TrustpointConfig> trustpoint = find_scep_trustpoint(*config, arguments.scep.trustpoint);
  if (!trustpoint) return report(trustpoint.error(), arguments.json);
  const pki::NetworkFetcher fetcher;
  const Outcome<Json> result = run(ScepContext{arguments, *config, *trustpoint, fetcher});
  if (!result) return report(result.error(), arguments.json);
  if (arguments.json) fmt::print("{}\n", dump(*result));
  return static_cast<int>(Exit::done);
}

}  // namespace

int pki_authenticate(const Arguments& arguments) {
  const bool person = !arguments.json && ::isatty(STDIN_FILENO) == 1;
  return run_verb(arguments, [person](const ScepContext& context) {
    return authenticate(context, person ? ask_person : nullptr);
  });
}

int pki_enroll(const Arguments& arguments) {
  return run_verb(arguments, [](const ScepContext& context) { return enroll(context); });
}

Failure failure_of(const Error& error) {
  // What an authority or a file says malformed is no mistake on the command line.
  const Exit exit = error.code == ErrorCode::malformed ? Exit::failed : exit_for(error.code);
  return {exit, std::string(to_string(error.code)), error.text, error.expected, error.remedy, nullptr};
}

Outcome<conf::Config> load_scep_configuration(const Arguments& arguments) {
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  conf::LoadOutcome loaded =
      conf::load_config(arguments.scep.config, {credentials != nullptr ? credentials : "", ::geteuid()});
  if (loaded.config) return std::move(*loaded.config);
  Failure failure{Exit::configuration,
                  std::string(to_string(ErrorCode::configuration)),
                  fmt::format("{} is not valid", arguments.scep.config),
                  "a valid configuration",
                  "",
                  nullptr};
  failure.more = Json{{"issues", issues_json(loaded.issues)}};
  return tl::unexpected(std::move(failure));
}

Outcome<TrustpointConfig> find_scep_trustpoint(const conf::Config& config, const std::string& name) {
  const TrustpointConfig* trustpoint = conf::find_trustpoint(config, name);
  if (trustpoint == nullptr) {
    std::string names;
    for (const TrustpointConfig& one : config.trustpoints) names += (names.empty() ? "" : ", ") + one.name;
    return tl::unexpected(Failure{Exit::not_found, std::string(to_string(ErrorCode::not_found)),
                                  fmt::format("there is no trustpoint {}", printable(name)),
                                  "one of: " + (names.empty() ? std::string("none") : names),
                                  "Declare it under `trustpoints:`.", nullptr});
  }
  if (!trustpoint->enrollment) {
    return tl::unexpected(
        failure_of({ErrorCode::configuration,
                    fmt::format("trustpoint {} has no certification authority to ask", name),
                    fmt::format("`trustpoints.{}.enrollment` with a `url`", name),
                    fmt::format("Add `enrollment: {{url: http://ca.example/cgi-bin/pkiclient.exe}}` to "
                                "`trustpoints.{}`, or import the certificate: `oakgate pki import`.",
                                name),
                    {}}));
  }
  return *trustpoint;
}

bool tell_daemon(const Arguments& arguments, const conf::Config& config) {
  const std::string& socket =
      arguments.socket == kDefaultSocket ? config.gateway.control_socket : arguments.socket;
  Outcome<ControlClient> client = ControlClient::connect(socket);
  if (!client) return false;
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::reload;
  return client->request(request, kPatience).has_value();
}

std::string grouped_fingerprint(const std::string& hex) {
  std::string out;
  for (std::size_t at = 0; at < hex.size(); at += kFingerprintGroup) {
    out += (at == 0 ? "" : " ") + hex.substr(at, kFingerprintGroup);
  }
  return out;
}

}  // namespace oakgate::cli
