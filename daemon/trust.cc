#include "daemon/trust.h"

#include <algorithm>

namespace oakgate {

ike::TrustpointState trustpoint_state(pki::TrustpointFacts facts) {
  ike::TrustpointState state;
  state.name = std::move(facts.name);
  state.ca_names = std::move(facts.ca_names);
  state.why_none = std::move(facts.why_none);
  if (facts.own_encryption) {
    state.own_encryption = ike::EncryptionCertificate{std::move(facts.own_encryption->key),
                                                      std::move(facts.own_encryption->certificate)};
  }
  if (!facts.own) return state;
  pki::TrustpointFacts::Own& own = *facts.own;
  state.own = ike::OwnCertificate{std::move(own.certificate),
                                  std::move(own.chain),
                                  std::move(own.key),
                                  own.algorithm,
                                  std::move(own.subject),
                                  std::move(own.names.addresses),
                                  std::move(own.names.host_names),
                                  std::move(own.names.user_names)};
  return state;
}

std::vector<TrustpointConfig> trustpoints_in_use(const conf::Config& config) {
  std::vector<TrustpointConfig> used;
  for (const TrustpointConfig& trustpoint : config.trustpoints) {
    const bool by_peer =
        std::any_of(config.peers.begin(), config.peers.end(),
                    [&](const conf::PeerConfig& peer) { return peer.trustpoint == trustpoint.name; });
    const bool by_logins = config.ssh && config.ssh->trustpoint == trustpoint.name;
    if (by_peer || by_logins) used.push_back(trustpoint);
  }
  return used;
}

}  // namespace oakgate
