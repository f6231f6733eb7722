// One tree out of a configuration's files: what `include:` names is read and joined, and each peer that
// `extends:` a template gets what it has not said itself. The readers of sections see neither. Private to
// conf/.
//
// Joining: the sections of all files together; a name that two of them declare is an error. Extending: a
// peer's own keys win, and so, key by key, do those of a tunnel that both have; every other value is taken
// whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "conf/load.h"
#include "conf/yaml_tree.h"

namespace oakgate::conf {

inline constexpr std::size_t kMaxIncludedFiles = 10'000;
inline constexpr std::size_t kMaxTemplateDepth = 8;
inline constexpr std::size_t kMaxComposedNodes = 2'000'000;

// `text` is that of the report's first file, whose folder is `folder`: patterns start there. None: no file
// may be touched, and an `include:` is a fault. Nothing if a file could not be read to its end; `report` says
// why.
[[nodiscard]] std::optional<Node> compose(std::string_view text, const std::optional<std::string>& folder,
                                          Report& report);

// The text of a configuration file; otherwise a fault of the report's file number `file`.
[[nodiscard]] std::optional<std::string> read_text(const std::string& path, std::uint16_t file,
                                                   Report& report);

}  // namespace oakgate::conf
