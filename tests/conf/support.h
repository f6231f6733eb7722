// What the tests of conf/ share: texts that are valid but for one thing, and the lines that come of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/load.h"

namespace oakgate::conf {

// Lines 1 to 6 of valid(): nothing to complain about.
inline constexpr std::string_view kProposals =
    "isakmp_policies:\n"
    "  10: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share}\n"
    "  20: {encryption: 3des, hash: sha, group: 2, authentication: pre-share}\n"
    "transform_sets:\n"
    "  strong: [esp-aes-256, esp-sha256-hmac]\n"
    "  pix: [esp-3des, esp-sha-hmac]\n";

// kProposals and a peer b: `peer` are further keys of it (line 11), `tunnel` of its tunnel (line 13).
inline std::string with_peer(const std::string& peer, const std::string& tunnel = "pfs: none") {
  return std::string(kProposals) +
         "peers:\n"
         "  b:\n"
         "    address: 192.0.2.2\n"
         "    pre_shared_key: {file: b.psk}\n"
         "    " +
         peer +
         "\n"
         "    tunnels:\n"
         "      lan: {local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: [strong], " +
         tunnel + "}\n";
}
inline std::string with_tunnel(const std::string& tunnel) {
  return with_peer("policies: [10]", tunnel);
}

inline std::vector<std::string> lines(const LoadOutcome& outcome) {
  std::vector<std::string> out;
  for (const Issue& issue : outcome.issues) out.push_back(to_string(issue));
  return out;
}
inline std::vector<std::string> errors(std::string_view text) {
  return lines(parse_config(text, "f.yaml"));
}

}  // namespace oakgate::conf
