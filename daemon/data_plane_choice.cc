#include "daemon/data_plane_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "xfrm/netlink/state_probe.h"
#include "xfrm/soft/soft_data_plane.h"

namespace oakgate {

namespace {

// Its path, and which of the words that only the kernel knows it has; empty: no tunnel has one.
std::string tied_tunnel(const conf::Config& config) {
  for (const conf::PeerConfig& peer : config.peers) {
    for (const conf::TunnelConfig& tunnel : peer.tunnels) {
      const KernelTies& ties = tunnel.ties;
      if (!ties.steered() && ties.offload == Offload::none) continue;
      return fmt::format("tunnel {}/{} has `{}`", peer.name, tunnel.name,
                         ties.interface    ? "interface"
                         : ties.mark.all() ? "offload"
                                           : "mark");
    }
  }
  return {};
}

// The software plane carries every transform set but those with IPComp, and every tunnel that nothing but its
// selectors leads to.
Result<std::unique_ptr<DataPlane>> make_software(const conf::Config& config) {
  if (const std::string tied = tied_tunnel(config); !tied.empty()) {
    return fail(ErrorCode::unsupported,
                "the software data plane has no marks, interfaces or offload, and " + tied,
                "a kernel with CONFIG_INET_ESP and CONFIG_INET6_ESP, or no such tunnel",
                "load the modules esp4 and esp6, or take the word out of the tunnel");
  }
  const std::span<const TransformSet> sets = config.transform_sets;
  const auto set = std::find_if(sets.begin(), sets.end(),
                                [](const TransformSet& one) { return one.compression.has_value(); });
  if (set == sets.end()) return make_soft_data_plane({.workers = config.gateway.workers});
  return fail(ErrorCode::unsupported,
              fmt::format("the software data plane cannot compress, and transform set {} has {}", set->name,
                          info(*set->compression).name),
              "a kernel with CONFIG_INET_IPCOMP and CONFIG_INET6_IPCOMP, or no such transform set",
              "load the modules ipcomp and ipcomp6, or take the word out of the transform sets");
}

}  // namespace

PlaneMakers system_planes(const conf::Config& config, KeptStates* kept) {
  const bool only = config.gateway.data_plane == conf::DataPlaneChoice::kernel;
  const std::span<const TransformSet> sets = only ? std::span<const TransformSet>() : config.transform_sets;
  return {[sets, kept] { return make_kernel_data_plane(sets, kept); },
          [&config] { return make_software(config); }};
}

std::vector<Error> unusable_sets(const conf::Config& config) {
  std::vector<Error> errors;
  for (const TransformSet& set : config.transform_sets) {
    std::string users;
    for (const conf::PeerConfig& peer : config.peers) {
      for (const conf::TunnelConfig& tunnel : peer.tunnels) {
        const bool uses = std::any_of(tunnel.transform_sets.begin(), tunnel.transform_sets.end(),
                                      [&](const TransformSet& one) { return one.name == set.name; });
        if (uses && users.empty()) users = peer.name + "/" + tunnel.name;
      }
    }
    if (users.empty()) continue;
    auto probed = probe_esp({&set, 1});
    if (probed) continue;
    Error error = std::move(probed.error());
    error.text = fmt::format("transform set {} (tunnel {}): {}", set.name, users, error.text);
    errors.push_back(std::move(error));
  }
  return errors;
}

Result<ChosenPlane> choose_data_plane(conf::DataPlaneChoice choice, const PlaneMakers& makers) {
  std::string why = "as configured";
  std::string refused;
  if (choice != conf::DataPlaneChoice::software) {
    Result<std::unique_ptr<DataPlane>> kernel = makers.kernel();
    if (kernel) {
      if (choice == conf::DataPlaneChoice::automatic) why = "the kernel installs ESP";
      return ChosenPlane{std::move(*kernel), "data plane: kernel, " + why};
    }
    if (choice == conf::DataPlaneChoice::kernel) return fail(std::move(kernel.error()));
    refused = kernel.error().text;
    why = "because the kernel's cannot be used: " + refused;
  }
  Result<std::unique_ptr<DataPlane>> software = makers.software();
  if (software) return ChosenPlane{std::move(*software), "data plane: software, " + why};
  Error error = std::move(software.error());
  if (!refused.empty()) {
    error.text = fmt::format("no data plane: kernel: {}; software: {}", refused, error.text);
  }
  return fail(std::move(error));
}

}  // namespace oakgate
