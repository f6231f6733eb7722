#include "daemon/cli/commands.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "conf/load.h"
#include "daemon/cli/capture.h"
#include "daemon/cli/configured.h"
#include "daemon/cli/debug.h"
#include "daemon/cli/decode.h"
#include "daemon/cli/diff.h"
#include "daemon/cli/explain_screen.h"
#include "daemon/cli/export.h"
#include "daemon/cli/import.h"
#include "daemon/cli/ios_layout.h"
#include "daemon/cli/ios_words.h"
#include "daemon/cli/ping.h"
#include "daemon/cli/pki.h"
#include "daemon/cli/probe.h"
#include "daemon/cli/scep.h"
#include "daemon/cli/screen.h"
#include "daemon/cli/shell.h"
#include "daemon/issue_json.h"
#include "daemon/key_files.h"
#include "daemon/loop.h"
#include "daemon/text.h"

namespace oakgate::cli {

namespace {

constexpr Seconds kPatience{10};
// A negotiation answers after its retransmissions at the latest; every retransmission is a line that begins
// the wait anew.
constexpr Seconds kNegotiationPatience{120};
// One server after the other, each with a bound of its own.
constexpr Seconds kFetchPatience{120};

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void print_line(const Json& json) {
  print(dump(json) + "\n");
}

ScreenStyle screen_style() {
  ScreenStyle style;
  if (::isatty(STDOUT_FILENO) != 1) {
    style.width = 10000;  // for programs and files nothing is cut
    return style;
  }
  style.colour = std::getenv("NO_COLOR") == nullptr;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) style.width = size.ws_col;
  return style;
}

// 0: no terminal. One of unknown height is taken for the usual one.
std::size_t screen_rows() {
  if (::isatty(STDOUT_FILENO) != 1) return 0;
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

// ---- What people read ----------------------------------------------------------------------------------

void print_status(const Json& result) {
  print(status_screen(result, read_clocks().wall, screen_style()));
}

void print_isakmp_sa(const Json& result) {
  print(ios_isakmp_sa(result));
}

void print_ipsec_sa(const Json& result) {
  print(ios_ipsec_sa(result));
}

void print_crypto_engine(const Json& result) {
  print(ios_crypto_engine(result));
}

void print_dropped_packets(const Json& result) {
  print(ios_dropped_packets(result));
}

void print_connections(const Json& result) {
  print(ios_connections(result));
}

void print_debugging(const Json& result) {
  print(ios_debugging(result));
}

// IOS says nothing either.
void print_nothing(const Json& /*result*/) {}

void print_tunnels(const Json& result) {
  for (const Json& tunnel : result["tunnels"]) {
    print(fmt::format("{}/{}: {}\n", result.value("peer", ""), tunnel.value("name", ""),
                      tunnel.value("state", "")));
  }
}

void print_explained(const Json& result) {
  print(explain_screen(result));
}

void print_lists(const Json& result) {
  for (const Json& list : result["lists"]) {
    const std::string what = list["error"].is_object()  ? list["error"].value("text", "")
                             : list.value("new", false) ? "a new list"
                                                        : "the list at hand is as new";
    print(fmt::format("{}: {}\n", list.value("url", ""), what));
  }
}

void print_reload(const Json& result) {
  print("reloaded\n");
  if (result.contains("confirm_within_s")) {
    print(fmt::format("undone in {} s unless you say `oakgate confirm`\n",
                      result["confirm_within_s"].get<std::int64_t>()));
  }
  for (const Json& key : result["needs_restart"]) {
    print(
        fmt::format("{} has changed: that takes effect when oakgated starts anew\n", key.get<std::string>()));
  }
}

void print_confirmed(const Json& /*result*/) {
  print("confirmed\n");
}

void print_running_config(const Json& result) {
  print(result.value("text", ""));
}

void print_event(const Json& event) {
  print(
      fmt::format("{} {:<7} {}\n", event.value("at", ""), event.value("level", ""), event.value("text", "")));
}

// What happens while `up` or `down` waits: beside the result, so on standard error.
void print_progress(const Json& event) {
  if (event.value("level", "debug") == "debug") return;
  fmt::print(stderr, "  {}\n", event.value("text", ""));
}

// ---- Verbs ---------------------------------------------------------------------------------------------

struct VerbRow {
  ControlVerb verb;
  Seconds patience;
  bool progress;
  void (*print)(const Json& result);
};
const std::map<Verb, VerbRow>& verbs() {
  static const std::map<Verb, VerbRow> table{
      {Verb::status, {ControlVerb::status, kPatience, false, print_status}},
      {Verb::up, {ControlVerb::up, kNegotiationPatience, true, print_tunnels}},
      {Verb::down, {ControlVerb::down, kNegotiationPatience, true, print_tunnels}},
      {Verb::reload, {ControlVerb::reload, kPatience, false, print_reload}},
      {Verb::pki_crl_request, {ControlVerb::request_crls, kFetchPatience, false, print_lists}},
      {Verb::confirm, {ControlVerb::confirm, kPatience, false, print_confirmed}},
      {Verb::show_running_config, {ControlVerb::show_running_config, kPatience, false, print_running_config}},
      {Verb::explain, {ControlVerb::explain, kPatience, false, print_explained}},
      {Verb::monitor, {ControlVerb::monitor, kPatience, false, nullptr}},
      {Verb::show_isakmp_sa, {ControlVerb::show_isakmp_sa, kPatience, false, print_isakmp_sa}},
      {Verb::show_ipsec_sa, {ControlVerb::show_ipsec_sa, kPatience, false, print_ipsec_sa}},
      {Verb::show_crypto_engine, {ControlVerb::show_crypto_engine, kPatience, false, print_crypto_engine}},
      {Verb::show_connections, {ControlVerb::show_ipsec_sa, kPatience, false, print_connections}},
      {Verb::show_debugging, {ControlVerb::show_debug, kPatience, false, print_debugging}},
      {Verb::clear_sas, {ControlVerb::clear_sas, kPatience, false, print_nothing}},
      {Verb::clear_counters, {ControlVerb::clear_counters, kPatience, false, print_nothing}},
      {Verb::clear_isakmp, {ControlVerb::clear_isakmp, kPatience, false, print_nothing}},
      {Verb::clear_connection, {ControlVerb::clear_connection, kPatience, false, print_nothing}},
      {Verb::show_dropped_packets,
       {ControlVerb::show_dropped_packets, kPatience, false, print_dropped_packets}},
  };
  return table;
}

ControlRequest request_of(const Arguments& arguments) {
  const VerbRow& row = verbs().at(arguments.verb);
  ControlRequest request;
  request.id = 1;
  request.verb = row.verb;
  request.peer = arguments.peer;
  request.tunnel = arguments.tunnel;
  request.trustpoint = arguments.trustpoint;
  request.file = arguments.staged;
  request.sa = arguments.clear.sa;
  request.connection = arguments.clear.connection;
  if (arguments.confirm > 0) request.confirm = Seconds(arguments.confirm);
  request.detail = arguments.verb == Verb::status && !arguments.json;
  request.progress = row.progress && !arguments.json;
  return request;
}

// Until the daemon is gone, or Ctrl-C. Each round has a connection of its own: idle ones the daemon ends.
int watch(const Arguments& arguments) {
  const ControlRequest request = request_of(arguments);
  const auto ask = [&]() -> Outcome<Json> {
    Outcome<ControlClient> client = ControlClient::connect(arguments.socket);
    if (!client) return tl::unexpected(client.error());
    return client->request(request, kPatience);
  };
  const auto wait = [&] {
    ::poll(nullptr, 0, arguments.watch * 1000);
    return true;
  };
  if (arguments.json) {
    while (true) {
      const Outcome<Json> answer = ask();
      if (!answer) return report(answer.error(), true);
      print_line(*answer);
      wait();
    }
  }
  if (screen_rows() > 0) print("\033[2J");
  const Outcome<void> end = watch_status({ask, read_clocks, wait, screen_style, screen_rows, print});
  return end ? static_cast<int>(Exit::done) : report(end.error(), false);
}

int run_over_socket(const Arguments& arguments) {
  const VerbRow& row = verbs().at(arguments.verb);
  Outcome<ControlClient> client = ControlClient::connect(arguments.socket);
  if (!client) return report(client.error(), arguments.json);
  const ControlRequest request = request_of(arguments);
  const Outcome<Json> result = client->request(request, row.patience, print_progress);
  if (!result) return report(result.error(), arguments.json);
  if (arguments.verb == Verb::monitor) {
    return report(
        client->follow([&](const Json& event) { arguments.json ? print_line(event) : print_event(event); }),
        arguments.json);
  }
  arguments.json ? print_line(*result) : row.print(*result);
  return static_cast<int>(Exit::done);
}

// A file that has come in: the daemon reads it, with what it names.
int check_incoming(const Arguments& arguments) {
  const Outcome<Json> found = check_staged(arguments);
  if (!found) return report(found.error(), arguments.json);
  const bool valid = found->value("valid", false);
  if (arguments.json) {
    Json json = *found;
    json.erase("composed");
    print_line(json);
    return static_cast<int>(valid ? Exit::done : Exit::configuration);
  }
  const Json issues = found->value("issues", Json::array());
  for (const Json& issue : issues) fmt::print(stderr, "{}\n", issue.value("text", ""));
  for (const Json& warning : found->value("warnings", Json::array()))
    fmt::print(stderr, "warning: {}\n", warning.value("text", ""));
  const std::size_t peers = found->value("peers", std::size_t{0});
  print(valid ? fmt::format("{}: valid, {} peer{}\n", arguments.staged, peers, peers == 1 ? "" : "s")
              : fmt::format("{}: {} error{}\n", arguments.staged, issues.size(),
                            issues.size() == 1 ? "" : "s"));
  return static_cast<int>(valid ? Exit::done : Exit::configuration);
}

int check(const Arguments& arguments) {
  if (!arguments.staged.empty()) return check_incoming(arguments);
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  const conf::LoadOutcome loaded =
      load_configuration(arguments.file, {credentials != nullptr ? credentials : "", ::geteuid()}).outcome;
  const bool valid = loaded.config.has_value();
  if (valid && arguments.probe) return probe(arguments, loaded);
  if (arguments.json) {
    Json json{{"version", kControlVersion}, {"file", arguments.file}, {"valid", valid}};
    json["issues"] = issues_json(loaded.issues);
    json["warnings"] = issues_json(loaded.warnings);
    print_line(json);
  } else {
    for (const conf::Issue& issue : loaded.issues) fmt::print(stderr, "{}\n", conf::to_string(issue));
    for (const conf::Issue& warning : loaded.warnings) {
      fmt::print(stderr, "warning: {}\n", conf::to_string(warning));
    }
    if (valid) {
      print(fmt::format("{}: valid, {} peer{}\n", arguments.file, loaded.config->peers.size(),
                        loaded.config->peers.size() == 1 ? "" : "s"));
    } else {
      fmt::print(stderr, "{}: {} error{}\n", arguments.file, loaded.issues.size(),
                 loaded.issues.size() == 1 ? "" : "s");
    }
  }
  return static_cast<int>(valid ? Exit::done : Exit::configuration);
}

int show_clock(const Arguments& arguments) {
  const std::string text = ios_clock(std::chrono::system_clock::now());
  arguments.json ? print_line({{"version", kControlVersion}, {"text", text}}) : print(text);
  return static_cast<int>(Exit::done);
}

}  // namespace

int report(const Failure& failure, bool json) {
  if (json) {
    print_line(failure_json(failure));
    return static_cast<int>(failure.exit);
  }
  std::fflush(stdout);  // what was printed before comes before
  fmt::print(stderr, "oakgate: {}\n", failure.text);
  if (!failure.expected.empty()) fmt::print(stderr, "  expected: {}\n", failure.expected);
  if (!failure.remedy.empty()) fmt::print(stderr, "  to mend it: {}\n", failure.remedy);
  if (failure.more.is_object() && failure.more.contains("issues")) {
    for (const Json& issue : failure.more["issues"]) fmt::print(stderr, "  {}\n", issue.value("text", ""));
  }
  return static_cast<int>(failure.exit);
}

int run(const Arguments& arguments) {
  if (is_pki(arguments.verb)) return run_pki(arguments);
  if (is_of_configuration(arguments.verb)) return show_configured(arguments);
  if (is_debug(arguments.verb)) return debug(arguments);
  switch (arguments.verb) {
    case Verb::check:
      return check(arguments);
    case Verb::shell:
      return shell(arguments);
    case Verb::diff:
      return diff(arguments);
    case Verb::show_clock:
      return show_clock(arguments);
    case Verb::export_cisco:
      return export_cisco(arguments);
    case Verb::capture:
      return capture(arguments);
    case Verb::ping:
      return ping(arguments);
    case Verb::decode:
      return decode(arguments);
    case Verb::import_cisco:
    case Verb::import_ipsec_conf:
    case Verb::import_swanctl_conf:
      return import_foreign(arguments);
    case Verb::pki_authenticate:
      return pki_authenticate(arguments);
    case Verb::pki_enroll:
      return pki_enroll(arguments);
    default:
      return arguments.watch > 0 ? watch(arguments) : run_over_socket(arguments);
  }
}

}  // namespace oakgate::cli
