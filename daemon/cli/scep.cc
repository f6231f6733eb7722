#include "daemon/cli/scep.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "daemon/cli/commands.h"
#include "daemon/cli/pki.h"
#include "daemon/text.h"
#include "pki/fetcher.h"

namespace oakgate::cli {

namespace {

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
  const Outcome<conf::Config> config = load_pki_configuration(arguments.scep.config);
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
  return run_verb(arguments, [](const ScepContext& context) { return enroll(context, ask_secret); });
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

std::string grouped_fingerprint(const std::string& hex) {
  std::string out;
  for (std::size_t at = 0; at < hex.size(); at += kFingerprintGroup) {
    out += (at == 0 ? "" : " ") + hex.substr(at, kFingerprintGroup);
  }
  return out;
}

}  // namespace oakgate::cli
