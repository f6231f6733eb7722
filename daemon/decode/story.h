// What happened in a capture, in sentences an operator can act on: silence, refusals, wrong keys, fragments,
// the way to port 4500, traffic in one direction only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/decode/esp_flows.h"
#include "daemon/decode/negotiation.h"

namespace oakgate::decode {

[[nodiscard]] std::vector<std::string> story_of(const Negotiation::Facts& facts);
[[nodiscard]] std::vector<std::string> story_of(const std::map<EspFlows::Name, EspFlows::Flow>& flows);

}  // namespace oakgate::decode
