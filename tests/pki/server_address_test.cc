#include "pki/server_address.h"

#include <gtest/gtest.h>

#include <future>

namespace oakgate::pki {
namespace {

IpAddress address(const char* text) {
  const auto parsed = IpAddress::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(IpAddress());
}

TEST(AddressKind, TellsInsideFromOutside) {
  for (const char* inside :
       {"0.0.0.0",       "0.1.2.3",      "10.0.0.1",        "10.255.255.255",  "100.64.0.1",
        "127.0.0.1",     "127.255.0.1",  "169.254.169.254", "172.16.0.1",      "172.31.255.255",
        "192.168.1.1",   "224.0.0.1",    "239.1.1.1",       "255.255.255.255", "::",
        "::1",           "fc00::1",      "fdff::1",         "fe80::1",         "febf::1",
        "fec0::1",       "ff02::1",      "::ffff:10.0.0.1", "::127.0.0.1",     "64:ff9b::10.0.0.1",
        "2002:a00:1::1", "2002:7f00:1::"}) {
    EXPECT_NE(address_kind(address(inside)), "") << inside;
  }
  for (const char* outside :
       {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
        "223.255.255.255", "192.0.2.1", "2001:db8::1", "2606:4700::1111", "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1", "2002:101:101::"}) {
    EXPECT_EQ(address_kind(address(outside)), "") << outside;
  }
}

TEST(ServerAddresses, GivesLiteralsBack) {
  const ServerAddresses servers{AddressRules{}};
  const auto deadline = deadline_after(Milliseconds{1000});
  EXPECT_EQ(*servers.find("192.0.2.1", false, deadline), std::vector{address("192.0.2.1")});
  EXPECT_EQ(*servers.find("2001:db8::1", false, deadline), std::vector{address("2001:db8::1")});
  EXPECT_FALSE(servers.find("10.0.0.1", false, deadline));
  EXPECT_TRUE(servers.find("10.0.0.1", true, deadline));
}

TEST(ServerAddresses, KnowsThisHost) {
  const ServerAddresses servers{AddressRules{}};
  const auto found = servers.find("localhost", true, deadline_after(Milliseconds{5000}));
  ASSERT_TRUE(found) << found.error().text;
  const auto refused = servers.find("localhost", false, deadline_after(Milliseconds{5000}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::fetch_failed);
}

TEST(ServerAddresses, HoldsABoundedNumberOfLookUps) {
  std::promise<void> gate;
  AddressRules rules;
  rules.look_up = [future = gate.get_future().share()](const std::string&) -> Result<std::vector<IpAddress>> {
    future.wait();
    return std::vector{IpAddress()};
  };
  const ServerAddresses servers(rules);
  for (int i = 0; i < kMaxLookUps; ++i) {
    const auto late = servers.find("a.example", true, deadline_after(Milliseconds{1}));
    ASSERT_FALSE(late);
    EXPECT_NE(late.error().text.find("in time"), std::string::npos) << late.error().text;
  }
  const auto refused = servers.find("b.example", true, deadline_after(Milliseconds{60000}));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("too many names"), std::string::npos) << refused.error().text;
  gate.set_value();
}

TEST(ServerAddresses, FewAddressesAreEnough) {
  AddressRules rules;
  rules.look_up = [](const std::string&) -> Result<std::vector<IpAddress>> {
    return std::vector<IpAddress>(100, *IpAddress::parse("192.0.2.1"));
  };
  const auto found = ServerAddresses(rules).find("a.example", false, deadline_after(Milliseconds{5000}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size(), kMaxServerAddresses);
}

}  // namespace
}  // namespace oakgate::pki
