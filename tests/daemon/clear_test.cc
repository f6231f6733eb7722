// What `clear crypto` means, of a peer that is up with a current and an old SA pair.
#include "daemon/clear.h"

#include <gtest/gtest.h>

#include "tests/daemon/snapshots.h"

namespace oakgate {
namespace {

class Clear : public testing::Test {
 protected:
  Cleared cleared(ControlVerb verb, const std::function<void(ControlRequest&)>& with = {},
                  const std::optional<IpAddress>& remote = {}) {
    ControlRequest request;
    request.verb = verb;
    if (with) with(request);
    return cleared_by(request, remote, peer, numbers);
  }
  static const ike::ClearSas& sas(const Cleared& cleared, std::size_t which = 0) {
    return std::get<ike::ClearSas>(cleared.commands.at(which));
  }
  ike::PeerSnapshot peer = test::peer_up();
  ConnectionNumbers numbers;
};

TEST_F(Clear, AllIsOneCommand) {
  const Cleared all = cleared(ControlVerb::clear_sas);
  ASSERT_EQ(all.commands.size(), 1U);
  EXPECT_EQ(sas(all).peer, "branch-7");
  EXPECT_FALSE(sas(all).sa);
  ASSERT_EQ(all.sas.size(), 2U);
  EXPECT_EQ(all.sas[0].dump(),
            R"({"peer":"branch-7","tunnel":"lan","local":"10.1.0.0/24","remote":"10.2.0.0/24",)"
            R"("in":[{"protocol":"esp","spi":"0x1925112f"}],"out":[{"protocol":"esp","spi":"0x00662500"}]})");
}

TEST_F(Clear, OneTunnel) {
  EXPECT_EQ(sas(cleared(ControlVerb::clear_sas, [](auto& request) { request.tunnel = "lan"; })).tunnel,
            "lan");
  const Cleared other = cleared(ControlVerb::clear_sas, [](auto& request) { request.tunnel = "dmz"; });
  EXPECT_TRUE(other.commands.empty());
  EXPECT_TRUE(other.sas.empty());
}

TEST_F(Clear, OneSaByEitherOfItsNames) {
  const ike::SaPairSnapshot& old = peer.tunnels[0].sas[1];
  for (const SaId& id : {old.in, old.out}) {
    const Cleared one = cleared(ControlVerb::clear_sas, [&](auto& request) { request.sa = id; });
    ASSERT_EQ(one.commands.size(), 1U);
    EXPECT_EQ(sas(one).sa, old.in);
    EXPECT_EQ(one.sas.size(), 1U);
  }
  const Cleared none = cleared(ControlVerb::clear_sas, [&](auto& request) {
    request.sa = old.in;
    request.sa->protocol = IpsecProtocol::ah;
  });
  EXPECT_TRUE(none.commands.empty());
}

TEST_F(Clear, NumbersAreThoseThatWereShown) {
  const auto seventh = [](auto& request) { request.connection = 1001; };
  EXPECT_TRUE(cleared(ControlVerb::clear_connection, seventh).commands.empty()) << "nothing has a number yet";
  StatusInput input = test::status_input();
  const int isakmp = isakmp_sa_json(input, numbers)["isakmp_sas"][0]["conn_id"];
  const int ipsec = ipsec_sa_json(input, numbers)["idents"][0]["outbound"][1]["conn_id"];
  const auto with = [](int number) {
    return [number](ControlRequest& request) { request.connection = static_cast<std::uint32_t>(number); };
  };
  for (const ControlVerb verb : {ControlVerb::clear_isakmp, ControlVerb::clear_connection}) {
    const Cleared one = cleared(verb, with(isakmp));
    ASSERT_EQ(one.commands.size(), 1U);
    EXPECT_EQ(std::get<ike::ClearIkeSas>(one.commands[0]).cookies, peer.isakmp_sas[0].cookies);
    EXPECT_EQ(one.sas[0]["connection"], isakmp);
  }
  EXPECT_EQ(sas(cleared(ControlVerb::clear_connection, with(ipsec))).sa, peer.tunnels[0].sas[1].in);
  EXPECT_TRUE(cleared(ControlVerb::clear_isakmp, with(ipsec)).commands.empty()) << "of the other kind";
}

// Of a peer that many call by, only those at the address.
TEST_F(Clear, AnAddressIsThatOfTheSas) {
  peer.tunnels[0].sas[1].remote_gateway = test::ip("192.0.2.3");
  const Cleared one = cleared(ControlVerb::clear_sas, {}, test::ip("192.0.2.3"));
  ASSERT_EQ(one.commands.size(), 1U);
  EXPECT_EQ(sas(one).sa, peer.tunnels[0].sas[1].in);
  EXPECT_TRUE(cleared(ControlVerb::clear_sas, {}, test::ip("192.0.2.4")).commands.empty());
  EXPECT_EQ(cleared(ControlVerb::clear_isakmp, {}, test::ip("192.0.2.2")).commands.size(), 1U);
  EXPECT_TRUE(cleared(ControlVerb::clear_isakmp, {}, test::ip("192.0.2.3")).commands.empty());
}

TEST_F(Clear, TheNewestGoesLast) {
  const Cleared both = cleared(ControlVerb::clear_sas, {}, test::ip("192.0.2.2"));
  ASSERT_EQ(both.commands.size(), 2U);
  EXPECT_EQ(sas(both, 1).sa, peer.tunnels[0].sas[0].in);
}

}  // namespace
}  // namespace oakgate
