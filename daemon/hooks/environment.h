// What a program that is run for a tunnel is told: its environment, and nothing else. oakgate.yaml(5) lists
// the variables. No secret is in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/policy.h"
#include "ike/snapshot.h"

namespace oakgate::hooks {

// `adopted`: the SAs of an earlier run of the daemon are carried on with.
enum class HookEvent : std::uint8_t { up, down, adopted };
[[nodiscard]] std::string_view to_string(HookEvent event);

// One selector pair of a tunnel.
struct HookFacts {
  std::string gateway;
  std::string peer;
  std::string tunnel;
  std::string data_plane;  // "kernel", "software"
  SelectorPair selectors;
  Reqid reqid;
  IpAddress local_gateway;
  IpAddress remote_gateway;
  bool encapsulated = false;  // in UDP: a NAT is on the way
  EncapsulationMode mode = EncapsulationMode::tunnel;
  std::string algorithms;
  KernelTies ties;
  std::string identity;  // what the peer proved to be; from the peer, not escaped; may be empty
};

// "NAME=value" each. `reason`, of a tunnel that goes down, is ours. Whatever came from a peer is letters,
// digits and some marks that no shell takes for its own; every other byte is \xNN.
[[nodiscard]] std::vector<std::string> hook_environment(HookEvent event, const HookFacts& facts,
                                                        std::string_view reason = {});

}  // namespace oakgate::hooks
