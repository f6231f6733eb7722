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
  std::vector<Issue> issues;     // all of the files, in their order
  std::vector<Issue> warnings;   // what is allowed, and better known
  // With a configuration: it as one file, all others included and templates filled in. Holds no secret.
  std::string composed;
  // Only load_config fills these: the very bytes that were checked.
  std::map<std::string, SecretBytes, std::less<>> pre_shared_keys;  // by the name of a peer that has one
  // The contents of files, by the names of all_keys(). None: there is no such file yet.
  std::map<std::string, SecretBytes, std::less<>> private_keys;
  // By the name in `public_keys:`, from the file or the `key_string`. None: there is no such file yet.
  std::map<std::string, Bytes, std::less<>> public_keys;
};

// Pure: touches no file, so that `include:` is an issue. `filename` names the file in issues, and its folder
// is what relative paths in `text` are relative to. Secrets are not looked at, so a short pre-shared key goes
// unnoticed here.
[[nodiscard]] LoadOutcome parse_config(std::string_view text, const std::string& filename);

// Reads `path` and parses it: for programs that make the very files which are not there yet.
[[nodiscard]] LoadOutcome load_without_keys(const std::string& path);

// Reads `path`, parses it, loads every secret and key that it names. Anything wrong is an issue; what is in a
// key is for whoever can read keys.
[[nodiscard]] LoadOutcome load_config(const std::string& path, const Environment& environment);

// The same of `text`, which is to take the place of `path`: relative paths start where that is. Issues call
// it `name`.
[[nodiscard]] LoadOutcome load_config_text(std::string_view text, const std::string& name,
                                           const std::string& path, const Environment& environment);

// The secrets and keys of a configuration that was loaded before, as they are now: for files that have
// changed while it has not. Nothing is composed.
[[nodiscard]] LoadOutcome load_keys(Config config, const Environment& environment);

}  // namespace oakgate::conf
