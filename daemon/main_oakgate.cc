// oakgate: what an operator asks of a running oakgated, and the check of a configuration. oakgate(8).
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/commands.h"
#include "daemon/cli/completion.h"
#include "daemon/cli/session.h"

int main(int argc, char** argv) {
  using namespace oakgate::cli;
  Arguments arguments;
  std::vector<std::string> words;
  std::vector<const char*> login;
  if (argc > 0 && is_login_shell(argv[0])) {
    words = login_shell_words(argc, argv);
    for (const std::string& word : words) login.push_back(word.c_str());
    argc = static_cast<int>(login.size());
  }
  const char* const* const arguments_given = login.empty() ? argv : login.data();
  const char* socket = std::getenv("OAKGATE_SOCKET");
  if (login.empty() && argc > 1 && std::string_view(argv[1]) == "--complete") {
    print_completions({argv + 2, argv + argc}, socket != nullptr ? socket : "");
    return 0;
  }
  const auto understood = parse_arguments(argc, arguments_given, socket != nullptr ? socket : "", arguments);
  if (!understood) return report(understood.error(), arguments.json);
  if (!arguments.printed.empty()) {
    std::fputs(arguments.printed.c_str(), stdout);
    return 0;
  }
  return run(arguments);
}
