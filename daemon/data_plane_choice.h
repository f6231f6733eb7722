// Which data plane: the configured one, or by trying (`data_plane: auto`): the kernel's if it can install
// ESP, the software one otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "conf/config.h"
#include "ike/ports/data_plane.h"
#include "xfrm/kernel/kernel_data_plane.h"

namespace oakgate {

using MakePlane = std::function<Result<std::unique_ptr<DataPlane>>()>;

struct PlaneMakers {
  MakePlane kernel;
  MakePlane software;
};
// `config`: the kernel is tried with its transform sets, and the software plane refused where it lacks what
// is configured; must outlive the makers' calls. `kept`: null, or what the kernel is to keep of an earlier
// run. A kernel that is the only choice is asked for the least alone: what it lacks is then the failing of
// those tunnels that want it (unusable_sets), and the others come up.
[[nodiscard]] PlaneMakers system_planes(const conf::Config& config, KeptStates* kept = nullptr);
// What this kernel refuses of the transform sets that tunnels use, once each, in words.
[[nodiscard]] std::vector<Error> unusable_sets(const conf::Config& config);

struct ChosenPlane {
  std::unique_ptr<DataPlane> plane;
  std::string why;  // "data plane: software, because ...": for the log
};

// The error of `auto` says why each of the two was refused.
[[nodiscard]] Result<ChosenPlane> choose_data_plane(conf::DataPlaneChoice choice, const PlaneMakers& makers);

}  // namespace oakgate
