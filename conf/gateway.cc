// `gateway:`, this machine.
#include <algorithm>
#include <array>
#include <filesystem>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr Word<DataPlaneChoice> kDataPlanes[] = {
    {"auto", DataPlaneChoice::automatic},
    {"kernel", DataPlaneChoice::kernel},
    {"software", DataPlaneChoice::software},
};

constexpr Word<OnExit> kOnExit[] = {
    {"delete", OnExit::remove},
    {"keep", OnExit::keep},
};

constexpr Word<CaptureChoice> kCapture[] = {
    {"off", CaptureChoice::off},
    {"packets", CaptureChoice::packets},
    {"keys", CaptureChoice::keys},
};

constexpr Word<DhChoice> kDiffieHellman[] = {
    {"batched", DhChoice::batched},
    {"single", DhChoice::single},
};

std::vector<IpAddress> read_listen(const Field& field) {
  constexpr std::string_view kExpected =
      "a list of this machine's addresses; leave `listen` out for all of them";
  std::vector<IpAddress> addresses;
  for (const Field& item : one_or_many(field, kExpected)) {
    const auto address = read(item, kExpected, parse_host_address);
    if (!address) continue;
    if (std::find(addresses.begin(), addresses.end(), *address) != addresses.end()) {
      item.fail({quote(address->to_string()) + " is listed twice", "each address once"});
      continue;
    }
    addresses.push_back(*address);
  }
  return addresses;
}

Parsed<std::uint64_t> parse_workers(std::string_view text) {
  if (text == "auto") return 0;
  auto number = parse_integer(text, 1, kMaxWorkers);
  if (!number) number.error().expected = "auto, or a number of threads from 1 to 64";
  static_assert(kMaxWorkers == 64);
  return number;
}

// None: auto, or an error.
std::optional<unsigned> read_workers(const Field& field) {
  const auto number = read(field, "auto, or a number of threads", parse_workers);
  if (!number || *number == 0) return std::nullopt;
  return static_cast<unsigned>(*number);
}

// 127.0.0.0/8 and ::1: whoever reads metrics learns names and amounts.
bool is_loopback(const IpAddress& address) {
  if (address.is_v4()) return address.bytes()[0] == 127;
  return address == *IpAddress::parse("::1");
}

Parsed<Endpoint> parse_loopback_endpoint(std::string_view text) {
  constexpr std::string_view kExpected = "unix:PATH, or a loopback address and port like 127.0.0.1:9814";
  const auto not_one = [&] { return fault(quote(text) + " is neither", std::string(kExpected)); };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return not_one();
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  if (!address || address->is_v4() == bracketed) return not_one();
  const auto port = parse_integer(text.substr(colon + 1), 1, 65535);
  if (!port) return tl::unexpected(port.error());
  if (!is_loopback(*address)) {
    return fault(
        quote(address->to_string()) + " is not a loopback address: metrics tell names and amounts " +
            "to everybody who can reach them",
        "127.0.0.1:PORT, \"[::1]:PORT\" or unix:PATH; a proxy can do authentication and TLS before it");
  }
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::optional<MetricsAddress> read_metrics(const Field& field, const std::string& folder) {
  constexpr std::string_view kUnix = "unix:";
  const auto text = free_text(field, "unix:PATH, or a loopback address and port like 127.0.0.1:9814");
  if (!text) return std::nullopt;
  if (!text->starts_with(kUnix)) {
    const auto endpoint = parse_loopback_endpoint(*text);
    if (endpoint) return MetricsAddress{{}, *endpoint};
    field.fail(endpoint.error());
    return std::nullopt;
  }
  std::filesystem::path path(text->substr(kUnix.size()));
  if (path.is_relative() && !path.empty()) path = std::filesystem::path(folder) / path;
  const std::string whole = path.lexically_normal().string();
  if (path.empty()) {
    field.fail({quote(*text) + " names no file", "unix:PATH"});
  } else if (whole.size() > kMaxSocketPath) {
    field.fail({quote(whole) + " is too long for a socket",
                "at most " + std::to_string(kMaxSocketPath) + " bytes (unix(7))"});
  } else {
    return MetricsAddress{whole, {}};
  }
  return std::nullopt;
}

// As useradd(8) has them. Whether there is such a group is known where oakgated runs.
Parsed<std::string> parse_group_name(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  constexpr std::string_view kOthers = "0123456789.-";
  const bool good =
      !text.empty() && text.size() <= kMaxGroupName && kLetters.find(text[0]) != std::string_view::npos &&
      text.find_first_not_of(std::string(kLetters) + std::string(kOthers)) == std::string_view::npos;
  if (good) return std::string(text);
  return fault(quote(text) + " cannot be the name of a group",
               "a letter or `_`, then letters, digits, `_`, `.` and `-`, at most 32");
}

HalfOpenLimits read_half_open(const Field& field) {
  constexpr auto kKeys = std::to_array<std::string_view>({"total", "per_source", "aggressive_per_minute"});
  HalfOpenLimits limits;
  if (!require_map(field, "a map like {total: 1024, per_source: 16}")) return limits;
  const MapReader map(field, kKeys);
  const auto number = [&](std::string_view key, std::uint64_t min, std::uint64_t max, std::uint32_t& value) {
    const auto given = map.optional(key);
    if (!given) return;
    const auto read_one =
        read(*given, "a number", [&](std::string_view text) { return parse_integer(text, min, max); });
    if (read_one) value = static_cast<std::uint32_t>(*read_one);
  };
  number("total", kMinHalfOpenTotal, kMaxHalfOpenTotal, limits.total);
  number("per_source", 1, kMaxHalfOpenTotal, limits.per_source);
  number("aggressive_per_minute", 1, kMaxAggressiveRate, limits.aggressive_per_minute);
  return limits;
}

}  // namespace

std::optional<std::string> read_path(const Field& field, const std::string& folder) {
  const auto text = free_text(field, "a path");
  if (!text) return std::nullopt;
  const std::filesystem::path path(*text);
  if (path.is_absolute() || folder.empty()) return path.lexically_normal().string();
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

GatewayConfig read_gateway(const Field& field, const std::string& folder) {
  constexpr auto kKeys = std::to_array<std::string_view>(
      {"name", "identity", "listen", "data_plane", "workers", "on_exit", "control_socket", "control_group",
       "state_dir", "half_open", "metrics", "capture", "diffie_hellman", "updown"});
  GatewayConfig gateway;
  const MapReader map(field, kKeys);
  if (const auto name = map.optional("name")) {
    gateway.name = read(*name, "this gateway's name", parse_name).value_or("");
  }
  if (const auto identity = map.optional("identity")) {
    gateway.identity = read(*identity, "an identity", parse_identity).value_or(std::nullopt);
  }
  if (const auto listen = map.optional("listen")) gateway.listen = read_listen(*listen);
  if (const auto plane = map.optional("data_plane")) {
    gateway.data_plane = choice(*plane, kDataPlanes).value_or(DataPlaneChoice::automatic);
  }
  if (const auto workers = map.optional("workers")) {
    gateway.workers = read_workers(*workers);
    if (gateway.workers && gateway.data_plane == DataPlaneChoice::kernel) {
      workers->fail({"`data_plane: kernel` carries everything in the kernel, without workers",
                     "auto, or `data_plane: software`"});
    }
  }
  if (const auto on_exit = map.optional("on_exit")) {
    gateway.on_exit = choice(*on_exit, kOnExit).value_or(OnExit::remove);
    if (gateway.on_exit == OnExit::keep && gateway.data_plane == DataPlaneChoice::software) {
      on_exit->fail({"the software data plane's SAs end with oakgated",
                     "delete, or `data_plane: kernel`, whose SAs can stay"});
    }
  }
  if (const auto socket = map.optional("control_socket")) {
    const auto path = read_path(*socket, folder);
    if (path && path->size() > kMaxSocketPath) {
      socket->fail({quote(*path) + " is too long for a socket",
                    "at most " + std::to_string(kMaxSocketPath) + " bytes (unix(7))"});
    } else if (path) {
      gateway.control_socket = *path;
    }
  }
  if (const auto group = map.optional("control_group")) {
    gateway.control_group =
        read(*group, "the name of a group of this machine", parse_group_name).value_or("");
  }
  if (const auto directory = map.optional("state_dir")) {
    gateway.state_dir = read_path(*directory, folder).value_or("");
  }
  if (const auto limits = map.optional("half_open")) gateway.half_open = read_half_open(*limits);
  if (const auto metrics = map.optional("metrics")) {
    gateway.metrics = read_metrics(*metrics, folder);
    if (gateway.metrics && gateway.metrics->socket == gateway.control_socket)
      metrics->fail({quote(gateway.control_socket) + " is the control socket", "another path"});
  }
  if (const auto capture = map.optional("capture")) {
    gateway.capture = choice(*capture, kCapture).value_or(CaptureChoice::off);
  }
  if (const auto computed = map.optional("diffie_hellman")) {
    gateway.diffie_hellman = choice(*computed, kDiffieHellman).value_or(DhChoice::batched);
  }
  gateway.updown = read_updown(map, std::nullopt);
  return gateway;
}

}  // namespace oakgate::conf
