#include "daemon/cli/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "conf/cisco/export.h"
#include "conf/load.h"
#include "daemon/cli/commands.h"
#include "daemon/control_protocol.h"
#include "daemon/text.h"

namespace oakgate::cli {

namespace {

using conf::cisco::Dialect;

Failure refuse(ErrorCode code, std::string text, std::string expected, std::string remedy) {
  return failure_of(Error{code, std::move(text), std::move(expected), std::move(remedy), {}});
}

// No secret is read: the configuration only names their files.
Outcome<conf::Config> read_config(const std::string& path) {
  conf::LoadOutcome outcome = conf::load_without_keys(path);
  if (outcome.config) return std::move(*outcome.config);
  const std::string first = outcome.issues.empty() ? path : conf::to_string(outcome.issues.front());
  return tl::unexpected(refuse(ErrorCode::configuration, first, "a configuration without errors",
                               "see `oakgate check " + path + "`"));
}

Outcome<const conf::PeerConfig*> find_peer(const conf::Config& config, const std::string& name) {
  std::string names;
  for (const conf::PeerConfig& peer : config.peers) {
    if (peer.name == name) return &peer;
    names += (names.empty() ? "" : ", ") + peer.name;
  }
  return tl::unexpected(refuse(ErrorCode::not_found, fmt::format("there is no peer {}", printable(name)),
                               names.empty() ? "a peer in the configuration" : "one of " + names, {}));
}

Outcome<IpAddress> our_address(const conf::Config& config, const std::string& given) {
  if (given.empty() && config.gateway.listen.size() == 1) return config.gateway.listen.front();
  if (const auto parsed = IpAddress::parse(given)) return *parsed;
  return tl::unexpected(
      refuse(ErrorCode::configuration,
             given.empty() ? "the configuration does not say which address of this gateway the peer calls"
                           : printable(given) + " is no address",
             "an address", "give it as --address"));
}

Dialect dialect_of(const std::string& word) {
  return word == "pix" ? Dialect::pix : word == "asa" ? Dialect::asa : Dialect::ios;
}

}  // namespace

int export_cisco(const Arguments& arguments) {
  const ExportArguments& options = arguments.exported;
  const Outcome<conf::Config> config = read_config(options.config);
  if (!config) return report(config.error(), arguments.json);
  const Outcome<const conf::PeerConfig*> peer = find_peer(*config, arguments.peer);
  if (!peer) return report(peer.error(), arguments.json);
  const Outcome<IpAddress> address = our_address(*config, options.address);
  if (!address) return report(address.error(), arguments.json);
  const auto exported =
      conf::cisco::export_cisco(*config, **peer, {dialect_of(options.dialect), *address, options.interface});
  if (arguments.json) {
    const Json json{{"version", kControlVersion},
                    {"peer", arguments.peer},
                    {"text", exported.text},
                    {"notes", exported.notes}};
    fmt::print("{}\n", json.dump());
  } else {
    std::fputs(exported.text.c_str(), stdout);
    for (const std::string& note : exported.notes) fmt::print(stderr, "{}: {}\n", arguments.peer, note);
  }
  return static_cast<int>(Exit::done);
}

}  // namespace oakgate::cli
