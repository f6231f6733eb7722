// The other end of a peer's tunnels, in the words of its device: what `oakgate export cisco` prints. Pure:
// touches no file, and holds no key: where one belongs there are stars and a remark that names the file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conf/cisco/running_config.h"
#include "conf/config.h"

namespace oakgate::conf::cisco {

struct ExportOptions {
  Dialect dialect = Dialect::ios;
  IpAddress our_address;              // the peer's `set peer`
  std::string interface = "outside";  // that the crypto map goes on
};

struct Exported {
  std::string text;                // lines to paste, remarks among them
  std::vector<std::string> notes;  // what the dialect cannot say, or the operator has to see to
};

// "permit ip 10.1.0.0 0.0.0.255 10.2.0.0 0.0.0.255": a pair of IPv4 subnets in an access list of the device
// whose LAN is `local`.
[[nodiscard]] std::string access_entry(Dialect dialect, const SelectorPair& pair);

[[nodiscard]] Exported export_cisco(const Config& config, const PeerConfig& peer,
                                    const ExportOptions& options);

}  // namespace oakgate::conf::cisco
