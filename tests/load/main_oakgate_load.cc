// oakgate-load: how many negotiations a second an IKEv1 responder completes, and what it holds. README.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <fstream>
#include <string>

#include "daemon/system_rng.h"
#include "daemon/text.h"
#include "tests/load/fleet.h"

namespace oakgate::load {

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

volatile std::sig_atomic_t g_stop = 0;

struct Arguments {
  std::string target;
  std::uint16_t port = ike::kIkePort;
  std::string sources = "10.64.0.0/10";
  std::string inner = "100.64.0.0/10";
  std::string remote = "10.0.0.0/24";
  std::string encryption = "aes-256";
  std::string hash = "sha256";
  std::uint32_t group = 14;
  std::uint32_t pfs = 0;
  std::string esp = "esp-aes-256";
  std::string integrity = "sha256-hmac";
  std::uint32_t time_limit = 0;
  std::uint32_t hold = 0;
  std::string ready;
  bool no_nat_traversal = false;
  bool json = false;
};

void add_options(CLI::App& app, Arguments& arguments, FleetOptions& fleet) {
  app.add_option("target", arguments.target, "the responder's address")->required();
  app.add_option("--port", arguments.port, "its IKE port")->capture_default_str();
  app.add_option("--sources", arguments.sources, "peer number i calls from the i-th address of this network")
      ->capture_default_str();
  app.add_option("--source-port", fleet.source_port, "UDP port of the peers")->capture_default_str();
  app.add_option("--first", fleet.first, "number of the first peer")->capture_default_str();
  app.add_option("--peers", fleet.peers, "how many peers call, each once")
      ->check(CLI::Range(1, 900000))
      ->capture_default_str();
  app.add_option("--outstanding", fleet.outstanding, "negotiations at once, at most")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--rate", fleet.rate, "negotiations begun a second; 0: one as soon as another has ended")
      ->capture_default_str();
  app.add_option("--time", arguments.time_limit, "seconds after which no more are awaited; 0: no limit")
      ->capture_default_str();
  app.add_flag("--quick-mode", fleet.quick_mode, "Main Mode and one Quick Mode; otherwise Main Mode alone");
  app.add_option("--encryption", arguments.encryption, "of phase 1")->capture_default_str();
  app.add_option("--hash", arguments.hash, "of phase 1")->capture_default_str();
  app.add_option("--group", arguments.group, "Diffie-Hellman group of phase 1")->capture_default_str();
  app.add_option("--pfs", arguments.pfs, "Diffie-Hellman group of Quick Mode; 0: none")
      ->capture_default_str();
  app.add_option("--esp", arguments.esp, "cipher of Quick Mode")->capture_default_str();
  app.add_option("--esp-integrity", arguments.integrity, "of Quick Mode; empty with an AEAD")
      ->capture_default_str();
  app.add_option("--inner", arguments.inner, "peer number i protects the i-th address of this network")
      ->capture_default_str();
  app.add_option("--remote", arguments.remote, "towards this network behind the responder")
      ->capture_default_str();
  app.add_option("--psk", fleet.pre_shared_key,
                 "the pre-shared key of all peers; it is a benchmark's, no secret")
      ->capture_default_str();
  app.add_flag("--no-nat-traversal", arguments.no_nat_traversal, "offer none");
  app.add_flag("--short-exponent", fleet.short_exponent,
               "Diffie-Hellman exponents of 16 bits, which protect nothing: the responder's core is the "
               "bottleneck then, not this one's");
  app.add_option("--hold", arguments.hold, "seconds to keep the SAs afterwards, answering what is asked")
      ->capture_default_str();
  app.add_option("--ready", arguments.ready, "write the report to this file before holding");
  app.add_flag("--json", arguments.json, "the report as JSON");
}

template <typename T>
Result<T> known(std::optional<T> found, const char* option, const std::string& value) {
  if (found) return *found;
  return fail(ErrorCode::configuration, fmt::format("{} {} is nothing that oakgate knows", option, value),
              "a word of oakgate.yaml(5)");
}

Result<Subnet> subnet(const char* option, const std::string& text) {
  return known(Subnet::parse(text), option, text);
}

Result<DhGroup> group(const char* option, std::uint32_t number) {
  return known(find_dh_group(number), option, std::to_string(number));
}

Result<void> take_algorithms(const Arguments& arguments, FleetOptions& fleet) {
  const auto encryption = known(find_ike_cipher(arguments.encryption), "--encryption", arguments.encryption);
  if (!encryption) return fail(encryption.error());
  const auto hash = known(find_ike_hash(arguments.hash), "--hash", arguments.hash);
  if (!hash) return fail(hash.error());
  const auto dh = group("--group", arguments.group);
  if (!dh) return fail(dh.error());
  fleet.policy = {10, *encryption, *hash, *dh, AuthMethod::pre_share, Seconds(86400)};
  const auto esp = known(find_esp_cipher(arguments.esp), "--esp", arguments.esp);
  if (!esp) return fail(esp.error());
  fleet.transforms.name = "load";
  fleet.transforms.cipher = *esp;
  if (!info(*esp).aead()) {
    const auto mac =
        known(find_integrity(std::string_view(arguments.integrity)), "--esp-integrity", arguments.integrity);
    if (!mac) return fail(mac.error());
    fleet.transforms.integrity = *mac;
  }
  if (arguments.pfs == 0) return {};
  const auto pfs = group("--pfs", arguments.pfs);
  if (!pfs) return fail(pfs.error());
  fleet.pfs = *pfs;
  return {};
}

Result<void> take(const Arguments& arguments, FleetOptions& fleet) {
  const auto target = known(IpAddress::parse(arguments.target), "target", arguments.target);
  if (!target) return fail(target.error());
  fleet.target = {*target, arguments.port};
  for (const auto& [option, text, to] : {std::tuple{"--sources", &arguments.sources, &fleet.sources},
                                         std::tuple{"--inner", &arguments.inner, &fleet.inner},
                                         std::tuple{"--remote", &arguments.remote, &fleet.remote}}) {
    const auto found = subnet(option, *text);
    if (!found) return fail(found.error());
    *to = *found;
  }
  fleet.time_limit = Seconds(arguments.time_limit);
  if (arguments.no_nat_traversal) fleet.nat_traversal = NatTraversal::off;
  return take_algorithms(arguments, fleet);
}

void on_signal(int /*number*/) {
  g_stop = 1;
}

Result<void> measure(const Arguments& arguments, FleetOptions options) {
  auto rng = SystemRng::create();
  if (!rng) return fail(rng.error());
  const std::uint16_t port = options.source_port;
  const std::array any{IpAddress::any(options.sources.family())};
  auto sockets = UdpSockets::open(any, {port, static_cast<std::uint16_t>(port + 4000)});
  if (!sockets) return fail(sockets.error());
  const std::size_t wanted = options.peers;
  auto fleet = Fleet::create(std::move(options), **sockets, *rng);
  if (!fleet) return fail(fleet.error());
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  const auto stop = [] { return g_stop != 0; };
  const Report report = (*fleet)->run(stop);
  const std::string text = arguments.json ? to_json(report) + "\n" : to_text(report);
  fmt::print("{}", text);
  std::fflush(stdout);
  if (!arguments.ready.empty()) std::ofstream(arguments.ready) << to_json(report) << "\n";
  (*fleet)->hold(Seconds(arguments.hold), stop);
  if (report.established > 0 && (report.failed == 0 || report.established < wanted)) return {};
  return fail(ErrorCode::no_answer,
              fmt::format("{} of {} negotiations failed", wanted - report.established, wanted),
              "a responder that knows these peers", "see its log");
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("measures an IKEv1 responder with a fleet of initiators", "oakgate-load");
  Arguments arguments;
  FleetOptions fleet;
  fleet.pre_shared_key = "a pre-shared key that is long enough";
  add_options(app, arguments, fleet);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (const auto taken = take(arguments, fleet); !taken) {
    fmt::print(stderr, "oakgate-load: {}\n", error_text(taken.error()));
    return kUsage;
  }
  if (const auto measured = measure(arguments, std::move(fleet)); !measured) {
    fmt::print(stderr, "oakgate-load: {}\n", error_text(measured.error()));
    return kFailed;
  }
  return 0;
}

}  // namespace oakgate::load

int main(int argc, char** argv) {
  return oakgate::load::run(argc, argv);
}
