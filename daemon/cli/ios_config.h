// `show crypto isakmp policy`, `show crypto ipsec transform-set`, `show crypto map` and their like: what is
// configured, as IOS lays it out. A crypto map's entry is a tunnel of ours; its map is called PEER/TUNNEL, as
// in `show crypto ipsec sa`.
#pragma once

#include <string>

#include "conf/config.h"

namespace oakgate::cli {

[[nodiscard]] std::string ios_isakmp_policies(const conf::Config& config);
[[nodiscard]] std::string ios_transform_sets(const conf::Config& config);
// Of the map named `tag`, or of all (empty).
[[nodiscard]] std::string ios_crypto_maps(const conf::Config& config, const std::string& tag);
// Of tunnels that have no life time of their own.
// The same of the peers that may call from several addresses.
[[nodiscard]] std::string ios_dynamic_maps(const conf::Config& config, const std::string& tag);
[[nodiscard]] std::string ios_sa_lifetime();
// As IOS 11.3 has them.
[[nodiscard]] std::string ios_transform_proposals(const conf::Config& config);
[[nodiscard]] std::string ios_session_key();

}  // namespace oakgate::cli
