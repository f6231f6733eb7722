#include "daemon/cli/debug.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/ios_words.h"
#include "daemon/text.h"

namespace oakgate::cli {

namespace {

constexpr Seconds kPatience{10};

struct DebugRow {
  Verb verb;
  Facility facility;
};
constexpr std::array kRows{
    DebugRow{Verb::debug_isakmp, Facility::isakmp},
    DebugRow{Verb::debug_ipsec, Facility::ipsec},
    DebugRow{Verb::debug_engine, Facility::engine},
    DebugRow{Verb::debug_pki, Facility::pki},
};
const DebugRow* row_of(Verb verb) {
  for (const DebugRow& row : kRows) {
    if (row.verb == verb) return &row;
  }
  return nullptr;
}

// Every line is written whole before the next wait: nothing is left to be flushed.
void end(int /*signal*/) {
  ::_exit(static_cast<int>(Exit::done));
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

bool is_debug(Verb verb) {
  return row_of(verb) != nullptr;
}

Facility debug_facility(Verb verb) {
  return row_of(verb)->facility;
}

int debug(const Arguments& arguments, DebugEnds ends, int begun_fd) {
  struct sigaction action {};
  action.sa_handler = end;
  ::sigaction(ends == DebugEnds::with_ctrl_c ? SIGINT : SIGTERM, &action, nullptr);
  Outcome<ControlClient> client = ControlClient::connect(arguments.socket);
  if (!client) return report(client.error(), arguments.json);
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::debug;
  request.facility = debug_facility(arguments.verb);
  request.peer = arguments.peer;
  const Outcome<Json> begun = client->request(request, kPatience);
  if (!begun) return report(begun.error(), arguments.json);
  if (!arguments.json) {
    print(fmt::format("{} debugging is on{}\n", info(request.facility).ios,
                      request.peer.empty() ? "" : ", peer " + printable(request.peer)));
  }
  if (begun_fd >= 0) ::close(begun_fd);
  return report(client->follow([&](const Json& event) {
    print(arguments.json ? dump(event) + "\n" : ios_debug_lines(event));
  }),
                arguments.json);
}

}  // namespace oakgate::cli
