// oakgate: what an operator asks of a running oakgated, and the check of a configuration. oakgate(8).
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "daemon/cli/commands.h"
#include "daemon/cli/completion.h"

int main(int argc, char** argv) {
  using namespace oakgate::cli;
  Arguments arguments;
  const char* socket = std::getenv("OAKGATE_SOCKET");
  if (argc > 1 && std::string_view(argv[1]) == "--complete") {
    print_completions({argv + 2, argv + argc}, socket != nullptr ? socket : "");
    return 0;
  }
  const auto understood = parse_arguments(argc, argv, socket != nullptr ? socket : "", arguments);
  if (!understood) return report(understood.error(), arguments.json);
  if (!arguments.printed.empty()) {
    std::fputs(arguments.printed.c_str(), stdout);
    return 0;
  }
  return run(arguments);
}
