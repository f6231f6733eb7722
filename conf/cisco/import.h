// A Cisco running configuration as one of ours: what `oakgate import cisco` does. Pure: touches no file.
//
// The gateway that results takes the device's place: its interface's address, its policies and keys, and for
// each entry of a crypto map that is on an interface a peer (entries to one peer together) with a tunnel for
// each `permit` of its access list. What is weak gets the peer's `allow_weak`. What was not carried over is
// listed line by line.
#pragma once

#include <chrono>
#include <string_view>

#include "conf/imported.h"

namespace oakgate::conf::cisco {

// `weak_until`: the day on which the waivers end that the import writes.
[[nodiscard]] Imported import_cisco(std::string_view running_config, std::chrono::sys_days weak_until);

}  // namespace oakgate::conf::cisco
