// oakgate: what an operator asks of a running oakgated, and the check of a configuration. oakgate(8).
#include <cstdio>
#include <cstdlib>

#include "daemon/cli/commands.h"

int main(int argc, char** argv) {
  using namespace oakgate::cli;
  Arguments arguments;
  const char* socket = std::getenv("OAKGATE_SOCKET");
  const auto understood = parse_arguments(argc, argv, socket != nullptr ? socket : "", arguments);
  if (!understood) return report(understood.error(), arguments.json);
  if (!arguments.printed.empty()) {
    std::fputs(arguments.printed.c_str(), stdout);
    return 0;
  }
  return run(arguments);
}
