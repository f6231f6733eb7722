#include "daemon/clear.h"

#include <algorithm>

namespace oakgate {

namespace {

Json ike_sa_json(const ike::PeerSnapshot& peer, const ike::IkeSaSnapshot& sa,
                 const ConnectionNumbers& numbers) {
  return {{"peer", peer.name},
          {"local", sa.local.to_string()},
          {"remote", sa.remote.to_string()},
          {"state", sa.state},
          {"connection", numbers.find(connection_name(sa.cookies))}};
}

Json sa_pair_json(const ike::PeerSnapshot& peer, const ike::TunnelSnapshot& tunnel,
                  const ike::SaPairSnapshot& sa) {
  return {{"peer", peer.name},
          {"tunnel", tunnel.name},
          {"local", sa.selectors.local.to_string()},
          {"remote", sa.selectors.remote.to_string()},
          {"in", spi_json(inbound_of(sa))},
          {"out", spi_json(outbound_of(sa))}};
}

std::vector<SaId> ids_of(const ike::SaPairSnapshot& sa) {
  std::vector<SaId> ids = inbound_of(sa);
  for (const SaId& other : outbound_of(sa)) ids.push_back(other);
  return ids;
}

bool has_number(const ControlRequest& request, const std::string& sa, const ConnectionNumbers& numbers) {
  return numbers.find(sa) == static_cast<int>(request.connection);
}

// Whether a pair is meant: by one of its SAs' names or numbers, if the request has one.
bool is_meant(const ControlRequest& request, const ike::SaPairSnapshot& sa,
              const ConnectionNumbers& numbers) {
  if (!request.sa && request.connection == 0) return true;
  const std::vector<SaId> ids = ids_of(sa);
  return std::any_of(ids.begin(), ids.end(), [&](const SaId& id) {
    return request.sa ? id == *request.sa : has_number(request, connection_name(id), numbers);
  });
}

void clear_ike_sas(Cleared& out, const ControlRequest& request, const std::optional<IpAddress>& remote,
                   const ike::PeerSnapshot& peer, const ConnectionNumbers& numbers) {
  const bool some = request.connection != 0 || remote;
  for (const ike::IkeSaSnapshot& sa : peer.isakmp_sas) {
    if (remote && sa.remote.address != *remote) continue;
    if (request.connection != 0 && !has_number(request, connection_name(sa.cookies), numbers)) continue;
    out.sas.push_back(ike_sa_json(peer, sa, numbers));
    if (some) out.commands.emplace_back(ike::ClearIkeSas{peer.name, sa.cookies});
  }
  if (!some && !out.sas.empty()) out.commands.emplace_back(ike::ClearIkeSas{peer.name, {}});
}

void clear_sa_pairs(Cleared& out, const ControlRequest& request, const std::optional<IpAddress>& remote,
                    const ike::PeerSnapshot& peer, const ConnectionNumbers& numbers) {
  const bool some = request.sa || request.connection != 0 || remote;
  bool any = false;
  for (const ike::TunnelSnapshot& tunnel : peer.tunnels) {
    if (!request.tunnel.empty() && tunnel.name != request.tunnel) continue;
    for (const ike::SaPairSnapshot& sa : tunnel.sas) {
      if ((remote && sa.remote_gateway != *remote) || !is_meant(request, sa, numbers)) continue;
      any = true;
      out.sas.push_back(sa_pair_json(peer, tunnel, sa));
      if (some) out.commands.emplace_back(ike::ClearSas{peer.name, {}, sa.in});
    }
  }
  // The newest last: without it, the peer would go back to an older one, and may renew that at once.
  if (some) std::reverse(out.commands.begin(), out.commands.end());
  if (any && !some) out.commands.emplace_back(ike::ClearSas{peer.name, request.tunnel, {}});
}

}  // namespace

Cleared cleared_by(const ControlRequest& request, const std::optional<IpAddress>& remote,
                   const ike::PeerSnapshot& peer, const ConnectionNumbers& numbers) {
  Cleared out;
  if (request.verb != ControlVerb::clear_sas) clear_ike_sas(out, request, remote, peer, numbers);
  if (request.verb != ControlVerb::clear_isakmp) clear_sa_pairs(out, request, remote, peer, numbers);
  return out;
}

}  // namespace oakgate
