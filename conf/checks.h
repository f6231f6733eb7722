// What only the whole configuration shows: peers that cannot be told apart, traffic that two tunnels claim,
// keys that sign and decrypt, weak algorithms without a waiver. Private to conf/.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "conf/report.h"
#include "conf/sections.h"

namespace oakgate::conf {

// `short_psk`: the peers whose pre-shared key is shorter than kShortPskBytes, as far as anybody looked.
void check_whole(const Draft& draft, const std::set<std::string, std::less<>>& short_psk, Report& report);

// What is allowed, and yet worth a line in the log.
[[nodiscard]] std::vector<Issue> warnings_of(const Draft& draft, const std::vector<std::string>& files);

}  // namespace oakgate::conf
