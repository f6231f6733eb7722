#include "daemon/hooks/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace oakgate::hooks {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

Subnet subnet(const char* address, int prefix) {
  return Subnet(*IpAddress::parse(address), prefix);
}

HookFacts facts() {
  HookFacts all;
  all.gateway = "gw-a";
  all.peer = "branch-7";
  all.tunnel = "lan";
  all.data_plane = "kernel";
  all.selectors = {{subnet("10.1.0.0", 24)}, {subnet("10.2.0.0", 24)}};
  all.reqid = Reqid{0x6f6b0000};
  all.local_gateway = *IpAddress::parse("192.0.2.1");
  all.remote_gateway = *IpAddress::parse("192.0.2.2");
  all.algorithms = "esp-aes-256 esp-sha256-hmac";
  all.identity = "hostname:gw-b.example.net";
  return all;
}

TEST(HookEnvironment, SaysAllAndNothingElse) {
  EXPECT_THAT(hook_environment(HookEvent::up, facts()),
              ElementsAre("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "OAKGATE_EVENT=up",
                          "OAKGATE_GATEWAY=gw-a", "OAKGATE_PEER=branch-7", "OAKGATE_TUNNEL=lan",
                          "OAKGATE_LOCAL=10.1.0.0/24", "OAKGATE_REMOTE=10.2.0.0/24",
                          "OAKGATE_LOCAL_SUBNETS=10.1.0.0/24", "OAKGATE_REMOTE_SUBNETS=10.2.0.0/24",
                          "OAKGATE_PROTOCOL=0", "OAKGATE_LOCAL_PORT=0", "OAKGATE_REMOTE_PORT=0",
                          "OAKGATE_LOCAL_ADDRESS=192.0.2.1", "OAKGATE_REMOTE_ADDRESS=192.0.2.2",
                          "OAKGATE_REMOTE_IDENTITY=hostname:gw-b.example.net", "OAKGATE_NAT=no",
                          "OAKGATE_MODE=tunnel", "OAKGATE_ALGORITHMS=esp-aes-256 esp-sha256-hmac",
                          "OAKGATE_DATA_PLANE=kernel", "OAKGATE_REQID=1869283328"));
}

TEST(HookEnvironment, OfADownHasItsReason) {
  EXPECT_THAT(hook_environment(HookEvent::down, facts(), "dead peer"),
              testing::IsSupersetOf({"OAKGATE_EVENT=down", "OAKGATE_REASON=dead peer"}));
}

TEST(HookEnvironment, NamesWhatTiesTheTunnelToTheKernel) {
  HookFacts all = facts();
  all.encapsulated = true;
  all.ties.mark = {7, 0xff};
  all.ties.interface = TunnelInterface{};
  all.ties.interface->name = "ipsec7";
  all.ties.interface->if_id = 7;
  EXPECT_THAT(hook_environment(HookEvent::adopted, all),
              testing::IsSupersetOf({"OAKGATE_EVENT=adopted", "OAKGATE_NAT=yes", "OAKGATE_MARK=0x7/0xff",
                                     "OAKGATE_INTERFACE=ipsec7", "OAKGATE_IF_ID=7"}));
}

TEST(HookEnvironment, RangesComeAsSubnetsToo) {
  HookFacts all = facts();
  all.selectors.local =
      Selector::of_range({*IpAddress::parse("10.1.0.10"), *IpAddress::parse("10.1.0.13")}, 6, 179);
  EXPECT_THAT(hook_environment(HookEvent::up, all),
              testing::IsSupersetOf({"OAKGATE_LOCAL=10.1.0.10-10.1.0.13 tcp 179",
                                     "OAKGATE_LOCAL_SUBNETS=10.1.0.10/31 10.1.0.12/31", "OAKGATE_PROTOCOL=6",
                                     "OAKGATE_LOCAL_PORT=179"}));
}

TEST(HookEnvironment, NothingOfAPeersReachesAShell) {
  HookFacts all = facts();
  for (const char* hostile : {"$(reboot)", "`reboot`", "a;reboot", "a\nOAKGATE_EVENT=down", "a'b\"c",
                              "a|b&c>d<e", "a\\b", "~root", "a?b[c]{d}!", "\xc3\xa4\x01"}) {
    all.identity = hostile;
    const auto environment = hook_environment(HookEvent::up, all);
    std::set<std::string> names;
    for (const std::string& one : environment) {
      EXPECT_EQ(one.find_first_of("$`;\n'\"|&><~?[]{}!\x01\xc3"), std::string::npos) << one;
      EXPECT_TRUE(names.insert(one.substr(0, one.find('='))).second) << one;
    }
    EXPECT_THAT(environment, Contains(StartsWith("OAKGATE_REMOTE_IDENTITY="))) << hostile;
  }
  all.identity = std::string(100'000, 'a');
  for (const std::string& one : hook_environment(HookEvent::up, all)) EXPECT_LT(one.size(), 1100U);
  all.identity.clear();
  EXPECT_THAT(hook_environment(HookEvent::up, all), Not(Contains(StartsWith("OAKGATE_REMOTE_IDENTITY"))));
}

}  // namespace
}  // namespace oakgate::hooks
