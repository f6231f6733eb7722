// Why settings of the other programs are not carried over. Private to conf/swan/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "conf/swan/model.h"

namespace oakgate::conf::swan {

enum class Where : std::uint8_t {
  conn,        // of an ipsec.conf; keys of a side without `left` and `right`
  connection,  // of a swanctl.conf
  child,
  end,  // `local` and `remote`
};

// Nothing: it asks for what is so anyway.
[[nodiscard]] std::optional<std::string> why_not(Where where, const Setting& setting);

}  // namespace oakgate::conf::swan
