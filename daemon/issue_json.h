// Configuration issues as JSON: for `check`, `reload` and the control protocol.
#pragma once

#include <vector>

#include "conf/issue.h"
#include "daemon/control_protocol.h"

namespace oakgate {

[[nodiscard]] inline Json issues_json(const std::vector<conf::Issue>& issues) {
  Json list = Json::array();
  for (const conf::Issue& issue : issues) {
    list.push_back({{"file", issue.file},
                    {"line", issue.line},
                    {"column", issue.column},
                    {"key_path", issue.key_path},
                    {"message", issue.message},
                    {"expected", issue.expected},
                    {"nearest", issue.nearest},
                    {"text", conf::to_string(issue)}});
  }
  return list;
}

}  // namespace oakgate
