// `updown`: who has which program, and which programs are taken.
#include "conf/hooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> programs(const std::string& text) {
  const auto outcome = parse_config(text, "f.yaml");
  EXPECT_THAT(lines(outcome), ElementsAre());
  std::vector<std::string> all;
  if (!outcome.config) return all;
  for (const TunnelConfig& tunnel : outcome.config->peers.front().tunnels)
    all.push_back(tunnel.updown ? tunnel.updown->file : "none");
  return all;
}

std::string with_gateway(const std::string& peer, const std::string& tunnel) {
  return with_peer("policies: [10]\n    " + peer, tunnel) + "gateway: {updown: /etc/oakgate/gateway}\n";
}

TEST(Updown, IsTheTunnelsOwnOrThePeersOrTheGateways) {
  EXPECT_THAT(programs(with_tunnel("pfs: none")), ElementsAre("none"));
  EXPECT_THAT(programs(with_gateway("fragmentation: true", "pfs: none")),
              ElementsAre("/etc/oakgate/gateway"));
  EXPECT_THAT(programs(with_gateway("updown: /etc/oakgate/peer", "pfs: none")),
              ElementsAre("/etc/oakgate/peer"));
  EXPECT_THAT(programs(with_gateway("updown: /etc/oakgate/peer", "updown: /etc/oakgate/tunnel")),
              ElementsAre("/etc/oakgate/tunnel"));
  EXPECT_THAT(programs(with_gateway("updown: none", "pfs: none")), ElementsAre("none"));
  EXPECT_THAT(programs(with_gateway("updown: /etc/oakgate/peer", "updown: none")), ElementsAre("none"));
}

TEST(Updown, IsAnAbsolutePath) {
  EXPECT_THAT(errors(with_tunnel("updown: updown.sh")),
              ElementsAre("f.yaml:13:88: peers.b.tunnels.lan.updown: `updown.sh` is not a program's absolute "
                          "path; expected an absolute path like /etc/oakgate/updown, or none"));
  EXPECT_THAT(errors(with_tunnel("updown: /etc/oakgate/")),
              ElementsAre(HasSubstr("is not a program's absolute path")));
  EXPECT_THAT(errors(with_tunnel("updown: /" + std::string(1100, 'a'))),
              ElementsAre(HasSubstr("the path is too long")));
}

class HookFile : public testing::Test {
 protected:
  HookFile() {
    std::string name = "/tmp/oakgate-hooks-test.XXXXXX";
    folder = ::mkdtemp(name.data());
    std::filesystem::create_directory(folder + "/hooks");
    file = folder + "/hooks/updown";
    std::ofstream(file) << "#!/bin/sh\n";
    ::chmod(file.c_str(), 0755);
  }
  ~HookFile() override { std::filesystem::remove_all(folder); }
  std::string why(uid_t user = ::geteuid()) const {
    const auto usable = check_hook_file(file, user);
    return usable ? "" : usable.error().text;
  }
  std::string folder;
  std::string file;
};

TEST_F(HookFile, OfOursThatOthersCannotChangeIsTaken) {
  const auto usable = check_hook_file(file, ::geteuid());
  ASSERT_TRUE(usable) << usable.error().text;
  EXPECT_EQ(*usable, file);
}

TEST_F(HookFile, IsResolved) {
  std::filesystem::create_symlink(file, folder + "/link");
  const auto usable = check_hook_file(folder + "/link", ::geteuid());
  ASSERT_TRUE(usable) << usable.error().text;
  EXPECT_EQ(*usable, file);
}

TEST_F(HookFile, ThatOthersCanWriteIsRefused) {
  ::chmod(file.c_str(), 0775);
  EXPECT_THAT(why(), HasSubstr("updown can be changed by others"));
  ::chmod(file.c_str(), 0757);
  EXPECT_THAT(why(), HasSubstr("updown can be changed by others"));
}

TEST_F(HookFile, InAFolderThatOthersCanWriteIsRefused) {
  ::chmod((folder + "/hooks").c_str(), 0777);
  EXPECT_THAT(why(), HasSubstr("others can change what is in the folder " + folder + "/hooks"));
  ::chmod((folder + "/hooks").c_str(), 01777);  // sticky: they could put theirs there first
  EXPECT_THAT(why(), HasSubstr("others can change what is in the folder " + folder + "/hooks"));
  ::chmod((folder + "/hooks").c_str(), 0755);
  ::chmod(folder.c_str(), 0777);
  EXPECT_THAT(why(), HasSubstr("others can change what is in the folder " + folder + ","));
}

TEST_F(HookFile, OfSomebodyElseIsRefused) {
  ASSERT_EQ(::geteuid(), 0U) << "this test needs root";
  ASSERT_EQ(::chown(file.c_str(), 12345, 0), 0);
  EXPECT_THAT(why(), HasSubstr("updown belongs to user 12345"));
  ASSERT_EQ(::chown(file.c_str(), 0, 0), 0);
  ASSERT_EQ(::chown((folder + "/hooks").c_str(), 12345, 0), 0);
  EXPECT_THAT(why(), HasSubstr("hooks belongs to user 12345"));
}

TEST_F(HookFile, ThatIsNoProgramIsRefused) {
  ::chmod(file.c_str(), 0644);
  EXPECT_THAT(why(), HasSubstr("is not executable"));
  file = folder + "/hooks";
  EXPECT_THAT(why(), HasSubstr("is no file"));
  file = folder + "/nothing";
  EXPECT_THAT(why(), HasSubstr("cannot find " + folder + "/nothing"));
}

TEST_F(HookFile, IsLookedAtWhenAConfigurationIsLoaded) {
  const std::string psk = folder + "/b.psk";
  std::ofstream(psk) << "a pre-shared key that is long enough\n";
  ::chmod(psk.c_str(), 0600);
  ::chmod(file.c_str(), 0644);
  const std::string path = folder + "/f.yaml";
  std::ofstream(path) << with_tunnel("updown: " + file);
  EXPECT_THAT(lines(load_config(path, {"", ::geteuid()})),
              ElementsAre(path + ":13:88: updown: " + file +
                          " is not executable; expected a program that can be run (chmod u+x " + file + ")"));
  ::chmod(file.c_str(), 0755);
  EXPECT_THAT(lines(load_config(path, {"", ::geteuid()})), ElementsAre());
}

}  // namespace
}  // namespace oakgate::conf
