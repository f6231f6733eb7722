// One thing that is wrong with a configuration, for an operator to mend and for programs to read.
// Texts are printable: what comes from the file is escaped and cut. Never a secret.
#pragma once

#include <string>
#include <vector>

#include "conf/config.h"

namespace oakgate::conf {

struct Issue {
  std::string file;      // as the caller named it
  int line = 0;          // from 1; 0: the file as a whole
  int column = 0;        // from 1
  std::string key_path;  // "peers.branch-7.tunnels.lan.pfs"; empty: the file as a whole
  std::string message;
  std::string expected;  // may be empty
  std::string nearest;   // the known name nearest to what stands there; may be empty
};

// "oakgate.yaml:12:9: peers.branch-7.identty: `identty` is not a known key; expected ...; did you mean
// `identity`?"
[[nodiscard]] std::string to_string(const Issue& issue);

}  // namespace oakgate::conf
