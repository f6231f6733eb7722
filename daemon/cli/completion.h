// What bash asks for at each TAB: `oakgate --complete WORD...`, of which the last is the one that is being
// typed. Verbs, options and their values are those of the description that command lines are read with
// (arguments.h), names are the daemon's or, without one, the configuration's. scripts/completion/oakgate
// hands the answer to bash.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace oakgate::cli {

// Asked only where such a name may stand.
struct CompletionNames {
  std::function<std::vector<std::string>()> peers;
  std::function<std::vector<std::string>()> targets;  // peers, and PEER/TUNNEL
  std::function<std::vector<std::string>()> trustpoints;
  std::function<std::vector<std::string>()> keys;
};

// A line that stands for the names of files, which bash knows best.
inline constexpr const char* kFileNames = ":files";

// What may stand in the place of the last of `words`, beginning as it does; kFileNames besides, or alone.
[[nodiscard]] std::vector<std::string> completions(const std::vector<std::string>& words,
                                                   const CompletionNames& names);

// `words` as bash has them, behind `--complete`. Prints a line for each completion; a daemon that does not
// answer within a second, and a configuration with errors, know no names. Always ends well: there is nobody
// to tell.
void print_completions(const std::vector<std::string>& words, const std::string& environment_socket);

}  // namespace oakgate::cli
