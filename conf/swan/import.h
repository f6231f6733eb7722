// Configurations of strongSwan, libreswan and openswan as one of ours: what `oakgate import ipsec.conf` and
// `oakgate import swanctl.conf` do. Pure: touches no file.
//
// The gateway that results takes the machine's place. Connections to one remote address become one peer, each
// child a tunnel. Only IKEv1 is carried over. What is weak gets the peer's `allow_weak`. Each line that was
// not carried over is listed with the reason.
#pragma once

#include <chrono>
#include <string_view>

#include "conf/imported.h"

namespace oakgate::conf::swan {

// Of `left` and `right` in an ipsec.conf, which is this machine. `automatic`: the one that has a certificate,
// %defaultroute or a fixed address where the other has none; `left` if nothing tells.
enum class Side : std::uint8_t { automatic, left, right };

struct Sources {
  std::string_view configuration;
  std::string_view secrets{};  // of an ipsec.secrets; empty: none is at hand
  Side side = Side::automatic;
};

// `weak_until`: the day on which the waivers end that the import writes.
[[nodiscard]] Imported import_ipsec_conf(const Sources& sources, std::chrono::sys_days weak_until);
[[nodiscard]] Imported import_swanctl_conf(std::string_view configuration, std::chrono::sys_days weak_until);

}  // namespace oakgate::conf::swan
