#include "daemon/reload_guard.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace oakgate {
namespace {

LoadedConfiguration named(const char* name) {
  LoadedConfiguration loaded;
  loaded.outcome.config.emplace();
  loaded.outcome.config->gateway.name = name;
  return loaded;
}

class ReloadGuardTest : public testing::Test {
 protected:
  std::unique_ptr<Loop> loop = std::move(*Loop::create());
  std::string back;  // the name of what came back
  ReloadGuard guard{*loop, [this](LoadedConfiguration before) {
                      back = before.outcome.config->gateway.name;
                      loop->stop();
                    }};
};

TEST_F(ReloadGuardTest, WhatRanBeforeComesBack) {
  EXPECT_FALSE(guard.pending());
  EXPECT_EQ(guard.left({}), std::nullopt);
  guard.begin(named("old"), Seconds{1}, read_clocks().instant);
  EXPECT_TRUE(guard.pending());
  EXPECT_EQ(guard.left(read_clocks().instant), Seconds{1});
  loop->run();
  EXPECT_EQ(back, "old");
  EXPECT_FALSE(guard.pending());
}

TEST_F(ReloadGuardTest, NotIfSomebodyConfirms) {
  EXPECT_EQ(guard.confirm().error().code, ErrorCode::not_found);
  guard.begin(named("old"), Seconds{0}, read_clocks().instant);
  EXPECT_TRUE(guard.confirm());
  EXPECT_EQ(guard.confirm().error().code, ErrorCode::not_found);
  // Armed behind it: had it not been disarmed, it would have come first.
  Timer end(*loop, [this] { loop->stop(); });
  end.arm(Milliseconds{1});
  loop->run();
  EXPECT_EQ(back, "");
}

TEST(RunningConfig, IsKeptBesideTheState) {
  std::string folder = (std::filesystem::temp_directory_path() / "oakgate-running-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  EXPECT_EQ(read_running_config(folder).error().code, ErrorCode::not_found);
  ASSERT_TRUE(write_running_config(folder, "peers:\n"));
  EXPECT_EQ(*read_running_config(folder), "peers:\n");
  EXPECT_EQ(std::filesystem::status(folder + "/running-config.yaml").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace oakgate
