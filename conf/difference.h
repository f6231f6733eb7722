// What changes from one configuration to another, value by value: `oakgate diff`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ike/base/result.h"

namespace oakgate::conf {

// One value. Texts are printable, lists as "[a, b]".
struct Difference {
  std::string key_path;  // "peers.branch-7.tunnels.lan.pfs"
  std::string before;    // empty: the value is new
  std::string after;     // empty: the value is gone
};

// Between two texts of LoadOutcome::composed, in the order of `before`, then that of `after`. The order of
// keys makes no difference; that of a list does. ErrorCode::malformed if one of them is none.
[[nodiscard]] Result<std::vector<Difference>> differences(std::string_view before, std::string_view after);

}  // namespace oakgate::conf
