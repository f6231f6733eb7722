#include "daemon/data_plane_choice.h"

#include <gtest/gtest.h>

namespace oakgate {
namespace {

class Plane final : public DataPlane {
 public:
  explicit Plane(std::string_view name) : name_(name) {}
  std::string_view name() const override { return name_; }
  int fd() const override { return -1; }
  void dispatch(DataPlaneListener& /*listener*/) override {}
  Result<void> exempt_socket(int /*fd*/, Family /*family*/) override { return {}; }
  Result<void> attach_encapsulation_socket(int /*fd*/, const Endpoint& /*local*/) override { return {}; }
  void detach_encapsulation_socket(int /*fd*/) override {}
  bool reads_encapsulation_socket() const override { return false; }
  Result<void> protect(const ProtectPolicy& /*policy*/) override { return {}; }
  Result<void> unprotect(Reqid /*reqid*/) override { return {}; }
  Result<void> install(std::span<const SaSpec> /*sas*/) override { return {}; }
  Result<void> remove(std::span<const SaId> /*sas*/) override { return {}; }
  Result<std::vector<SaCounters>> counters(std::span<const SaId> /*sas*/) override {
    return std::vector<SaCounters>();
  }
  void shut_down() override {}

 private:
  std::string name_;
};

MakePlane makes(std::string_view name) {
  return [name]() -> Result<std::unique_ptr<DataPlane>> { return std::make_unique<Plane>(name); };
}
MakePlane refuses(ErrorCode code, std::string text) {
  return [code, text]() -> Result<std::unique_ptr<DataPlane>> { return fail(code, text, "x", "y"); };
}
using Choice = conf::DataPlaneChoice;

TEST(DataPlaneChoice, AutomaticPrefersTheKernel) {
  const auto chosen = choose_data_plane(Choice::automatic, {makes("kernel"), makes("software")});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->plane->name(), "kernel");
  EXPECT_EQ(chosen->why, "data plane: kernel, the kernel installs ESP");
}

TEST(DataPlaneChoice, AutomaticFallsBackAndSaysWhy) {
  const auto chosen = choose_data_plane(
      Choice::automatic, {refuses(ErrorCode::unsupported, "no esp4 module"), makes("software")});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->plane->name(), "software");
  EXPECT_EQ(chosen->why, "data plane: software, because the kernel's cannot be used: no esp4 module");
}

TEST(DataPlaneChoice, WithNeitherItTellsBothReasons) {
  const auto chosen = choose_data_plane(
      Choice::automatic,
      {refuses(ErrorCode::unsupported, "no esp4 module"), refuses(ErrorCode::not_found, "no /dev/net/tun")});
  ASSERT_FALSE(chosen);
  EXPECT_NE(chosen.error().text.find("no esp4 module"), std::string::npos);
  EXPECT_NE(chosen.error().text.find("no /dev/net/tun"), std::string::npos);
}

TEST(DataPlaneChoice, TheConfiguredOneIsTheOnlyOne) {
  const MakePlane no = refuses(ErrorCode::unsupported, "refused");
  EXPECT_FALSE(choose_data_plane(Choice::kernel, {no, makes("software")}));
  EXPECT_FALSE(choose_data_plane(Choice::software, {makes("kernel"), no}));
  EXPECT_EQ(choose_data_plane(Choice::software, {makes("kernel"), makes("software")})->why,
            "data plane: software, as configured");
  EXPECT_EQ(choose_data_plane(Choice::kernel, {makes("kernel"), no})->plane->name(), "kernel");
}

}  // namespace
}  // namespace oakgate
