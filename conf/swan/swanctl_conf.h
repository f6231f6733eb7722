// The text of a swanctl.conf(5) as a tree, with the sections that others refer to (`name : other`) merged in.
// Of two settings or sections of one name the later goes on where the earlier left off, as strongSwan has it.
// Nothing here fails; what is neither is noted. Private to conf/swan/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/swan/model.h"

namespace oakgate::conf::swan {

inline constexpr std::size_t kMaxTreeNodes = 200'000;  // settings and sections, references merged in
inline constexpr int kMaxTreeDepth = 32;

struct Section {
  std::string name;
  int line = 0;
  std::vector<std::string> references;
  std::vector<Setting> settings;
  std::vector<Section> sections;

  // Null: there is none.
  [[nodiscard]] const Setting* setting(std::string_view key) const;
  [[nodiscard]] const Section* section(std::string_view name) const;
};

struct SwanctlConf {
  Section root;
  std::vector<std::string> referenced;  // names of top-level sections that others refer to
  std::vector<Note> notes;
};
[[nodiscard]] SwanctlConf read_swanctl_conf(std::string_view text);

}  // namespace oakgate::conf::swan
