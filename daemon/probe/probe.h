// `oakgate check --probe`: whether this machine can do what a configuration asks for. Without the daemon,
// which may be running or not.
#pragma once

#include "conf/config.h"
#include "daemon/probe/environment.h"
#include "daemon/probe/finding.h"

namespace oakgate::probe {

// Errors: a tunnel cannot work so. Warnings: it may not, or not for long. In the order of the way of a
// tunnel: data plane, sockets, firewall, peers, forwarding, time.
[[nodiscard]] Findings probe(const conf::Config& config, Environment& environment);

}  // namespace oakgate::probe
