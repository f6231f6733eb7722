#include "daemon/cli/configured.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>

#include "conf/load.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/diff.h"
#include "daemon/cli/ios_config.h"
#include "daemon/sockaddr.h"
#include "daemon/text.h"

namespace oakgate::cli {

namespace {

constexpr Seconds kPatience{10};

struct FreeAddresses {
  void operator()(ifaddrs* list) const { ::freeifaddrs(list); }
};

std::set<IpAddress> addresses_of(const std::string& interface) {
  std::set<IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  const std::unique_ptr<ifaddrs, FreeAddresses> owner(list);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || interface != one->ifa_name) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage address{};
    std::memcpy(&address, one->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (const auto endpoint = from_socket_address(address)) addresses.insert(endpoint->address);
  }
  return addresses;
}

// The peers whose traffic leaves from an address of that device.
Outcome<std::set<std::string>> peers_on(const Arguments& arguments) {
  if (::if_nametoindex(arguments.interface.c_str()) == 0) {
    return tl::unexpected(failure_of(Error{ErrorCode::not_found,
                                           "there is no network device " + printable(arguments.interface),
                                           "a device of this host",
                                           "`ip link` lists them",
                                           {}}));
  }
  Outcome<ControlClient> client = ControlClient::connect(arguments.socket);
  if (!client) return tl::unexpected(client.error());
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::show_ipsec_sa;
  const Outcome<Json> result = client->request(request, kPatience);
  if (!result) return tl::unexpected(result.error());
  const std::set<IpAddress> ours = addresses_of(arguments.interface);
  std::set<std::string> peers;
  for (const Json& ident : (*result)["idents"]) {
    const auto local = ident.find("local_endpoint");
    if (local == ident.end() || !local->is_string()) continue;
    const auto address = IpAddress::parse(local->get<std::string>());
    if (address && ours.contains(*address)) peers.insert(ident.value("peer", ""));
  }
  return peers;
}

Outcome<std::string> crypto_maps(const Arguments& arguments, conf::Config config) {
  if (!arguments.interface.empty()) {
    const Outcome<std::set<std::string>> peers = peers_on(arguments);
    if (!peers) return tl::unexpected(peers.error());
    std::erase_if(config.peers, [&](const conf::PeerConfig& peer) { return !peers->contains(peer.name); });
  }
  const bool dynamic = arguments.verb == Verb::show_dynamic_map;
  std::string text =
      dynamic ? ios_dynamic_maps(config, arguments.map) : ios_crypto_maps(config, arguments.map);
  if (!text.empty() || arguments.map.empty()) return text;
  return tl::unexpected(failure_of(Error{
      ErrorCode::not_found,
      fmt::format("there is no {} map {}", dynamic ? "dynamic crypto" : "crypto", printable(arguments.map)),
      "a peer's name, or PEER/TUNNEL",
      fmt::format("`oakgate show crypto {}` shows all", dynamic ? "dynamic-map" : "map"),
      {}}));
}

Outcome<std::string> text_of(const Arguments& arguments, const conf::Config& config) {
  switch (arguments.verb) {
    case Verb::show_isakmp_policy:
      return ios_isakmp_policies(config);
    case Verb::show_transform_sets:
      return ios_transform_sets(config);
    case Verb::show_transform_proposals:
      return ios_transform_proposals(config);
    case Verb::show_session_key:
      return ios_session_key();
    case Verb::show_sa_lifetime:
      return ios_sa_lifetime();
    default:
      return crypto_maps(arguments, config);
  }
}

}  // namespace

bool is_of_configuration(Verb verb) {
  switch (verb) {
    case Verb::show_isakmp_policy:
    case Verb::show_transform_sets:
    case Verb::show_transform_proposals:
    case Verb::show_session_key:
    case Verb::show_sa_lifetime:
    case Verb::show_crypto_map:
    case Verb::show_dynamic_map:
      return true;
    default:
      return false;
  }
}

int show_configured(const Arguments& arguments) {
  const Outcome<std::string> text = running_config(arguments.socket);
  if (!text) return report(text.error(), arguments.json);
  const conf::LoadOutcome running = conf::parse_config(*text, "running-config");
  if (!running.config) {
    return report(
        failure_of(Error{ErrorCode::internal, "the running configuration cannot be read", {}, {}, {}}),
        arguments.json);
  }
  const Outcome<std::string> shown = text_of(arguments, *running.config);
  if (!shown) return report(shown.error(), arguments.json);
  const std::string out =
      arguments.json ? dump(Json{{"version", kControlVersion}, {"text", *shown}}) + "\n" : *shown;
  std::fwrite(out.data(), 1, out.size(), stdout);
  std::fflush(stdout);
  return static_cast<int>(Exit::done);
}

}  // namespace oakgate::cli
