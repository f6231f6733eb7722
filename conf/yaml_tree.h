// YAML text -> a tree of nodes with positions, built on yaml-cpp's events instead of its own nodes, because
// those accept duplicate keys, expand aliases without bound, and turn `0123` into 83 and `yes` into true.
// Here every scalar stays the text that was written; what it means is its reader's business.
//
// Refused: duplicate keys, anchors, aliases, merge keys, tags, keys that are not plain text, several
// documents, what is not UTF-8, control characters, and anything beyond the limits below. Private to conf/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/report.h"

namespace oakgate::conf {

inline constexpr std::size_t kMaxDepth = 32;
inline constexpr std::size_t kMaxNodes = 500'000;  // of one file
inline constexpr std::size_t kMaxScalarBytes = 4096;

struct Node {
  enum class Kind : std::uint8_t { null, scalar, sequence, map };
  Kind kind = Kind::null;
  bool plain = true;        // scalar: written without quotes
  bool reported = false;    // scalar: unusable, and its reader need not say so again
  Position position;        // of a scalar; of anything else its key's, if it has one
  std::string text;         // scalar
  std::vector<Node> keys;   // map: scalars, each different from the others; keys[i] leads to items[i]
  std::vector<Node> items;  // sequence and map
};

// Nothing if the text could not be read to its end; `report` then says why. With a tree there may be issues
// too (a duplicate key, say: the first is kept).
// `file`: Position::file of its nodes.
[[nodiscard]] std::optional<Node> build_tree(std::string_view text, Report& report, std::uint16_t file = 0);

}  // namespace oakgate::conf
