// What of the configuration logins by SSH need, as a configuration of its own: the trustpoint they chain to
// and `ssh:`. oakgated writes it where whoever checks logins may read it; the configuration itself may not
// be.
#pragma once

#include <string>

#include "conf/config.h"

namespace oakgate::conf {

// The trustpoint's files as the published ones are called: beside the text.
struct PublishedFiles {
  std::string ca;
  std::string crls;
};
// YAML that parse_config reads. `config.ssh` is there. What `ssh: revocation` says has become the
// trustpoint's. No secret is in it, and nothing of peers.
[[nodiscard]] std::string published_yaml(const Config& config, const PublishedFiles& files);

}  // namespace oakgate::conf
