// YAML in, configuration or issues out: the way into conf/.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "conf/issue.h"
#include "conf/secrets.h"
#include "ike/base/secret.h"

namespace oakgate::conf {

inline constexpr std::size_t kMaxFileBytes = 4U << 20;

struct LoadOutcome {
  std::optional<Config> config;  // present exactly if `issues` is empty
  std::vector<Issue> issues;     // all of the file, in its order
  // By peer name, every peer has one. Only load_config fills it: the very bytes that were checked.
  std::map<std::string, SecretBytes, std::less<>> pre_shared_keys;
};

// Pure: touches no file. `filename` names the file in issues, and its folder is what relative paths in `text`
// are relative to. Secrets are not looked at, so a short pre-shared key goes unnoticed here.
[[nodiscard]] LoadOutcome parse_config(std::string_view text, const std::string& filename);

// The whole check: reads `path`, parses it, loads every secret that it names. Anything wrong is an issue.
[[nodiscard]] LoadOutcome load_config(const std::string& path, const Environment& environment);

}  // namespace oakgate::conf
