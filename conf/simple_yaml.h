// The YAML that configurations are mostly written in, read many times as quickly as yaml-cpp reads it: block
// maps and lists, `{}` and `[]` within a line, plain and quoted text within a line, comments. Whatever else
// there may be in a text, and whatever may be wrong with it, is left to yaml-cpp, which then reads all of it:
// nothing here judges. What is read here yields exactly what yaml-cpp makes of it, positions included
// (tests/conf/config_fuzz.cc). Private to conf/.
#pragma once

#include <cstdint>
#include <string_view>

#include "conf/config.h"

namespace oakgate::conf {

struct YamlEvent {
  enum class Kind : std::uint8_t { null, scalar, sequence, map, end };
  Kind kind = Kind::null;
  bool plain = true;        // scalar: written without quotes
  Position at;              // file 0
  std::string_view text{};  // scalar: a part of what was read
};

class YamlSink {
 public:
  virtual void take(const YamlEvent& event) = 0;

 protected:
  ~YamlSink() = default;
};

// Gives `sink` the nodes in the order of the text, `end` behind the last of each list and map: all of one
// whole document, or, and then it is false, nothing. What `sink` throws comes through. `text` is UTF-8
// (conf/encoding.h).
[[nodiscard]] bool read_simple_yaml(std::string_view text, YamlSink& sink);
// Whether it would.
[[nodiscard]] bool is_simple_yaml(std::string_view text);

}  // namespace oakgate::conf
