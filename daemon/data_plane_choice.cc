#include "daemon/data_plane_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "xfrm/soft/soft_data_plane.h"

namespace oakgate {

namespace {

// The software plane carries every transform set but those with IPComp.
Result<std::unique_ptr<DataPlane>> make_software(std::span<const TransformSet> sets,
                                                 std::optional<unsigned> workers) {
  const auto set = std::find_if(sets.begin(), sets.end(),
                                [](const TransformSet& one) { return one.compression.has_value(); });
  if (set == sets.end()) return make_soft_data_plane({.workers = workers});
  return fail(ErrorCode::unsupported,
              fmt::format("the software data plane cannot compress, and transform set {} has {}", set->name,
                          info(*set->compression).name),
              "a kernel with CONFIG_INET_IPCOMP and CONFIG_INET6_IPCOMP, or no such transform set",
              "load the modules ipcomp and ipcomp6, or take the word out of the transform sets");
}

}  // namespace

PlaneMakers system_planes(std::span<const TransformSet> sets, KeptStates* kept,
                          std::optional<unsigned> workers) {
  return {[sets, kept] { return make_kernel_data_plane(sets, kept); },
          [sets, workers] { return make_software(sets, workers); }};
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
