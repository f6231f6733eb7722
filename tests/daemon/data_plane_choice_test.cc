#include "daemon/data_plane_choice.h"

#include <gtest/gtest.h>

#include "tests/daemon/no_plane.h"

namespace oakgate {
namespace {

MakePlane makes(std::string_view name) {
  return [name]() -> Result<std::unique_ptr<DataPlane>> { return std::make_unique<test::NoPlane>(name); };
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

TEST(DataPlaneChoice, TheSoftwarePlaneSaysThatItCannotCompress) {
  TransformSet set{"small", EspCipher::aes_128, Integrity::sha};
  set.compression = Compression::deflate;
  conf::Config config;
  config.transform_sets.push_back(set);
  const auto refused = choose_data_plane(
      Choice::automatic,
      {refuses(ErrorCode::unsupported, "no ipcomp module"), system_planes(config).software});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text,
            "no data plane: kernel: no ipcomp module; software: the software data plane cannot compress, and "
            "transform set small has comp-deflate");
  EXPECT_NE(refused.error().expected.find("CONFIG_INET_IPCOMP"), std::string::npos);
}

TEST(DataPlaneChoice, TheSoftwarePlaneSaysThatItHasNoMarks) {
  conf::Config config;
  conf::PeerConfig peer;
  peer.name = "branch";
  conf::TunnelConfig tunnel;
  tunnel.name = "lan";
  tunnel.ties.mark = {7, 0xff};
  peer.tunnels.push_back(tunnel);
  config.peers.push_back(peer);
  const auto refused = choose_data_plane(
      Choice::automatic, {refuses(ErrorCode::unsupported, "no esp4 module"), system_planes(config).software});
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().text,
      "no data plane: kernel: no esp4 module; software: the software data plane has no marks, interfaces or "
      "offload, and tunnel branch/lan has `mark`");
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
