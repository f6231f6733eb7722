// Which data plane: the configured one, or by trying (`data_plane: auto`): the kernel's if it can install
// ESP, the software one otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "conf/config.h"
#include "ike/ports/data_plane.h"
#include "xfrm/kernel/kernel_data_plane.h"

namespace oakgate {

using MakePlane = std::function<Result<std::unique_ptr<DataPlane>>()>;

struct PlaneMakers {
  MakePlane kernel;
  MakePlane software;
};
// `sets`: what the kernel is tried with; must outlive the makers' calls. `kept`: null, or
// what the kernel is to keep of an earlier run. `workers`: the software plane's, none: as it sees fit.
[[nodiscard]] PlaneMakers system_planes(std::span<const TransformSet> sets, KeptStates* kept = nullptr,
                                        std::optional<unsigned> workers = std::nullopt);

struct ChosenPlane {
  std::unique_ptr<DataPlane> plane;
  std::string why;  // "data plane: software, because ...": for the log
};

// The error of `auto` says why each of the two was refused.
[[nodiscard]] Result<ChosenPlane> choose_data_plane(conf::DataPlaneChoice choice, const PlaneMakers& makers);

}  // namespace oakgate
