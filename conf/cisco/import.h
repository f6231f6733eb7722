// A Cisco running configuration as one of ours: what `oakgate import cisco` does. Pure: touches no file.
//
// The gateway that results takes the device's place: its interface's address, its policies and keys, and for
// each entry of a crypto map that is on an interface a peer (entries to one peer together) with a tunnel for
// each `permit` of its access list. What is weak gets the peer's `allow_weak`. What was not carried over is
// listed line by line.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "conf/cisco/model.h"

namespace oakgate::conf::cisco {

// A file that the configuration names: a pre-shared key (secret, mode 0600) or a certificate in PEM.
struct ImportedFile {
  std::string name;  // as the configuration spells it: beside the configuration
  bool secret = false;
  SecretBytes contents;
};

struct Imported {
  std::string yaml;
  std::vector<ImportedFile> files;
  std::vector<Note> notes;  // by line; about the file as a whole behind them
  std::size_t peers = 0;
  std::size_t tunnels = 0;
};

// `weak_until`: the day on which the waivers end that the import writes.
[[nodiscard]] Imported import_cisco(std::string_view running_config, std::chrono::sys_days weak_until);

}  // namespace oakgate::conf::cisco
