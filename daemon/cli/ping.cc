#include "daemon/cli/ping.h"

#include <fmt/format.h>
#include <ifaddrs.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "daemon/cli/commands.h"
#include "daemon/cli/echo.h"
#include "daemon/sockaddr.h"
#include "daemon/text.h"

namespace oakgate::cli {

namespace {

constexpr Seconds kPatience{10};
constexpr Seconds kNegotiationPatience{120};

Failure failure(ErrorCode code, std::string text, std::string expected, std::string remedy) {
  return failure_of(Error{code, std::move(text), std::move(expected), std::move(remedy), {}});
}

std::vector<IpAddress> own_addresses() {
  std::vector<IpAddress> own;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return own;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> kept(list, ::freeifaddrs);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, one->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (const auto endpoint = from_socket_address(storage)) own.push_back(endpoint->address);
  }
  return own;
}

struct Tunnel {
  std::string name;
  std::string state;
  std::vector<Json> sas;  // the current ones
};

Outcome<Json> ask(const Arguments& arguments, ControlVerb verb, Seconds patience,
                  const ControlClient::OnEvent& on_event = {}) {
  Outcome<ControlClient> client = ControlClient::connect(arguments.socket);
  if (!client) return tl::unexpected(client.error());
  ControlRequest request;
  request.id = 1;
  request.verb = verb;
  request.peer = arguments.peer;
  request.tunnel = arguments.tunnel;
  request.progress = static_cast<bool>(on_event);
  return client->request(request, patience, on_event);
}

Outcome<Tunnel> find_tunnel(const Arguments& arguments) {
  const Outcome<Json> status = ask(arguments, ControlVerb::status, kPatience);
  if (!status) return tl::unexpected(status.error());
  std::vector<Tunnel> found;
  std::string names;
  for (const Json& peer : status->value("peers", Json::array())) {
    if (peer.value("name", "") != arguments.peer) continue;
    for (const Json& one : peer.value("tunnels", Json::array())) {
      names += (names.empty() ? "" : ", ") + arguments.peer + "/" + one.value("name", "");
      if (!arguments.tunnel.empty() && one.value("name", "") != arguments.tunnel) continue;
      Tunnel tunnel{one.value("name", ""), one.value("state", ""), {}};
      for (const Json& sa : one.value("sas", Json::array())) {
        if (sa.value("role", "") == "current") tunnel.sas.push_back(sa);
      }
      found.push_back(std::move(tunnel));
    }
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty())
    return tl::unexpected(failure(ErrorCode::not_found, "there is no such tunnel", names, ""));
  return tl::unexpected(Failure{Exit::usage, "usage", printable(arguments.peer) + " has several tunnels",
                                "one of " + names, "say which", nullptr});
}

struct Path {
  IpAddress source;
  IpAddress destination;
  Json sa;
};

// Among the pairs of the tunnel one that has an address of ours and the one that is asked for.
Outcome<Path> choose_path(const Tunnel& tunnel, const std::optional<IpAddress>& wanted) {
  const std::vector<IpAddress> own = own_addresses();
  std::string pairs;
  std::string only;
  bool has_remote = false;
  for (const Json& sa : tunnel.sas) {
    const auto local = parse_ping_side(sa.value("local", "")),
               remote = parse_ping_side(sa.value("remote", ""));
    if (!local || !remote) continue;
    pairs +=
        fmt::format("{}{} === {}", pairs.empty() ? "" : ", ", sa.value("local", ""), sa.value("remote", ""));
    if (!local->only.empty() || !remote->only.empty()) {
      only = local->only.empty() ? remote->only : local->only;
      if (!only.starts_with("icmp")) continue;
    }
    if (wanted && !remote->range.contains(*wanted)) continue;
    has_remote = true;
    const auto source = std::find_if(
        own.begin(), own.end(), [&](const IpAddress& address) { return local->range.contains(address); });
    if (source == own.end()) continue;
    return Path{*source, wanted.value_or(first_host(remote->range)), sa};
  }
  if (tunnel.sas.empty())
    return tl::unexpected(failure(ErrorCode::data_plane, "the tunnel has no SAs", "", ""));
  if (wanted && !has_remote && only.empty()) {
    return tl::unexpected(
        failure(ErrorCode::proxy_id_mismatch,
                fmt::format("{} is not on the peer's side of the tunnel", wanted->to_string()),
                "an address of the right side of " + pairs, ""));
  }
  if (!has_remote) {
    return tl::unexpected(failure(ErrorCode::unsupported, "the tunnel carries " + only + " alone, no ICMP",
                                  "selectors that an echo fits", "try an application's own packets"));
  }
  return tl::unexpected(failure(ErrorCode::address_unknown,
                                "this gateway has no address on its side of the tunnel",
                                "an address within the left side of " + pairs,
                                "ping from a host there, or give the gateway an address in that net"));
}

std::uint64_t counted(const Json& sa, const char* name) {
  return sa.value(name, std::uint64_t{0});
}
std::string spi_of(const Json& sa, const char* side) {
  const Json list = sa.value(side, Json::array());
  return list.empty() ? "" : list.back().value("spi", "");
}

// The same pair of nets, as it is by now.
Json same_pair(const Tunnel& tunnel, const Json& sa) {
  for (const Json& one : tunnel.sas) {
    if (one.value("local", "") == sa.value("local", "") && one.value("remote", "") == sa.value("remote", ""))
      return one;
  }
  return Json::object();
}

struct Round {
  PingCounts counts;
  std::vector<double> milliseconds;
  PathMtu mtu;
};

void print_screen(const Json& json) {
  fmt::print("{} -> {}: {} of {} came back", json.value("source", ""), json.value("address", ""),
             json.value("received", 0), json.value("sent", 0));
  if (json["rtt_ms"].is_object())
    fmt::print(", {:.1f}/{:.1f}/{:.1f} ms", json["rtt_ms"].value("min", 0.0),
               json["rtt_ms"].value("avg", 0.0), json["rtt_ms"].value("max", 0.0));
  fmt::print("\n");
  if (json["path_mtu"].is_number())
    fmt::print("largest packet that passes unfragmented: {} bytes\n", json["path_mtu"].get<std::size_t>());
  fmt::print("SA out {}: {} packets; SA in {}: {} packets\n", json.value("spi_out", ""),
             json.value("packets_out", std::uint64_t{0}), json.value("spi_in", ""),
             json.value("packets_in", std::uint64_t{0}));
  fmt::print("{}\n", json.value("verdict", ""));
}

// Echoes, counted by the SAs, then ever larger ones.
Outcome<Round> ping_through(const Arguments& arguments, const Path& path) {
  Result<EchoSocket> socket = EchoSocket::open(path.source, path.destination);
  if (!socket) return tl::unexpected(failure_of(socket.error()));
  const Outcome<Tunnel> before = find_tunnel(arguments);
  if (!before) return tl::unexpected(before.error());
  Round round;
  round.counts.address = path.destination.to_string();
  const int count = arguments.pinged.count;
  for (int i = 0; i < count; ++i) {
    const EchoOutcome one = socket->ask(kSmallEcho, kEchoPatience);
    ++round.counts.sent;
    if (one.answered) {
      ++round.counts.received;
      round.milliseconds.push_back(static_cast<double>(one.round_trip.count()) / 1000.0);
    } else if (!one.complaint.empty()) {
      round.counts.complaint = one.complaint;
    }
  }
  const Outcome<Tunnel> after = find_tunnel(arguments);
  if (!after) return tl::unexpected(after.error());
  const Json was = same_pair(*before, path.sa), is = same_pair(*after, path.sa);
  round.counts.spi_in = spi_of(is, "in");
  round.counts.spi_out = spi_of(is, "out");
  round.counts.same_sas =
      round.counts.spi_in == spi_of(was, "in") && round.counts.spi_out == spi_of(was, "out");
  const auto difference = [&](const char* name) {
    const std::uint64_t now = counted(is, name), then = round.counts.same_sas ? counted(was, name) : 0;
    return now - std::min(now, then);
  };
  round.counts.out = difference("packets_out");
  round.counts.in = difference("packets_in");
  if (round.counts.received > 0) {
    // Loopback's 65,536 would be a long way down.
    const std::size_t most = std::clamp<std::size_t>(socket->known_mtu(), kSmallEcho, 9216);
    round.mtu = find_path_mtu(
        kSmallEcho, most, [&](std::size_t size) { return socket->ask(size, kEchoPatience); },
        [&] { return socket->known_mtu(); });
  }
  return round;
}

Json round_json(const Arguments& arguments, const std::string& tunnel, const Path& path, const Round& round,
                bool brought_up) {
  Json json{{"version", kControlVersion},
            {"peer", arguments.peer},
            {"tunnel", tunnel},
            {"brought_up", brought_up},
            {"source", path.source.to_string()},
            {"address", path.destination.to_string()},
            {"sent", round.counts.sent},
            {"received", round.counts.received},
            {"rtt_ms", nullptr},
            {"path_mtu", nullptr},
            {"spi_out", round.counts.spi_out},
            {"packets_out", round.counts.out},
            {"spi_in", round.counts.spi_in},
            {"packets_in", round.counts.in},
            {"verdict", ping_verdict(round.counts)}};
  if (round.counts.received == 0) return json;
  const auto [least, most] = std::minmax_element(round.milliseconds.begin(), round.milliseconds.end());
  double sum = 0;
  for (const double one : round.milliseconds) sum += one;
  json["rtt_ms"] = {
      {"min", *least}, {"avg", sum / static_cast<double>(round.milliseconds.size())}, {"max", *most}};
  json["path_mtu"] = round.mtu.bytes;
  return json;
}

}  // namespace

std::optional<PingSide> parse_ping_side(const std::string& text) {
  PingSide side;
  const std::size_t blank = text.find(' ');
  const std::string addresses = text.substr(0, blank);
  if (blank != std::string::npos) side.only = text.substr(blank + 1);
  const std::size_t dash = addresses.find('-');
  if (dash != std::string::npos) {
    const auto first = IpAddress::parse(addresses.substr(0, dash)),
               last = IpAddress::parse(addresses.substr(dash + 1));
    if (!first || !last || first->family() != last->family()) return std::nullopt;
    side.range = {*first, *last};
    return side;
  }
  const auto subnet = Subnet::parse(addresses);
  if (!subnet) return std::nullopt;
  side.range = {subnet->address(), subnet->last()};
  return side;
}

IpAddress first_host(const AddressRange& range) {
  if (range.first == range.last) return range.first;
  Bytes next = to_bytes(range.first.bytes());
  // A net's own address has only zeros behind its prefix; of a range or a /31 the first one is a host.
  const Subnet around = range.around();
  const bool net = around.address() == range.first && around.last() == range.last &&
                   around.prefix() < around.address().bits() - 1;
  if (!net) return range.first;
  next.back() = static_cast<std::uint8_t>(next.back() + 1);  // its last bit is 0
  return *IpAddress::from_bytes(next);
}

std::string ping_verdict(const PingCounts& counts) {
  const auto sent = static_cast<std::uint64_t>(counts.sent);
  const std::string said =
      counts.complaint.empty() ? "" : fmt::format(" The network said: {}.", counts.complaint);
  if (counts.received == counts.sent) return "the tunnel carries both ways";
  if (counts.received > 0) {
    return fmt::format("the tunnel carries both ways, but {} of {} packets were lost.{}",
                       counts.sent - counts.received, counts.sent, said);
  }
  if (!counts.same_sas)
    return "its SAs were renewed meanwhile, so their counters tell nothing: try again." + said;
  if (counts.out == 0) {
    return fmt::format(
        "nothing went out in SPI {}: a route, a firewall or another policy here keeps the packets from "
        "the tunnel.{}",
        counts.spi_out, said);
  }
  if (counts.in < sent) {
    return fmt::format(
        "we sent {} in SPI {}, {} came back: ESP is dropped on the way, or the peer's SA, its routing or "
        "access list, or {} itself does not answer; `oakgate capture` here shows whether ESP of the peer "
        "arrives.{}",
        counts.out, counts.spi_out, counts.in == 0 ? "nothing" : fmt::format("{} packets", counts.in),
        counts.address, said);
  }
  return fmt::format(
      "{} packets came in by SPI {}, but no answer reached us: a firewall here drops what comes out of "
      "the tunnel, or it was other traffic.{}",
      counts.in, counts.spi_in, said);
}

int ping(const Arguments& arguments) {
  std::optional<IpAddress> wanted;
  if (!arguments.pinged.address.empty()) {
    wanted = IpAddress::parse(arguments.pinged.address);
    if (!wanted) {
      return report({Exit::usage, "usage", printable(arguments.pinged.address) + " is not an address",
                     "an IPv4 or IPv6 address on the peer's side", "", nullptr},
                    arguments.json);
    }
  }
  Outcome<Tunnel> tunnel = find_tunnel(arguments);
  if (!tunnel) return report(tunnel.error(), arguments.json);
  Arguments one = arguments;
  one.tunnel = tunnel->name;
  const bool down = tunnel->state != "up";
  if (down) {
    if (!arguments.json)
      fmt::print(stderr, "{}/{} is {}: bringing it up\n", printable(arguments.peer), tunnel->name,
                 tunnel->state);
    const Outcome<Json> up = ask(one, ControlVerb::up, kNegotiationPatience, [&](const Json& event) {
      if (!arguments.json && event.value("level", "debug") != "debug")
        fmt::print(stderr, "  {}\n", event.value("text", ""));
    });
    if (!up) return report(up.error(), arguments.json);
    tunnel = find_tunnel(one);
    if (!tunnel) return report(tunnel.error(), arguments.json);
  }
  const Outcome<Path> path = choose_path(*tunnel, wanted);
  if (!path) return report(path.error(), arguments.json);
  const Outcome<Round> round = ping_through(one, *path);
  if (!round) return report(round.error(), arguments.json);
  const Json json = round_json(arguments, one.tunnel, *path, *round, down);
  if (arguments.json) {
    fmt::print("{}\n", dump(json));
  } else {
    print_screen(json);
  }
  return static_cast<int>(round->counts.received > 0 ? Exit::done : Exit::failed);
}

}  // namespace oakgate::cli
