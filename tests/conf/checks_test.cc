#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;

std::string peer(const std::string& name, const std::string& keys, const std::string& remote,
                 const std::string& set = "strong", const std::string& pfs = "none") {
  return "  " + name + ": {pre_shared_key: {file: x}, " + keys +
         ", tunnels: {lan: {local: 10.1.0.0/24, remote: " + remote + ", transform_sets: " + set +
         ", pfs: " + pfs + "}}}\n";
}
std::vector<std::string> peers_errors(const std::string& peers) {
  return errors(std::string(kProposals) + "peers:\n" + peers);
}

// ---- peers that cannot be told apart -------------------------------------------------------------------

TEST(Checks, TheAddressChoosesThePeer) {
  EXPECT_THAT(peers_errors(peer("a", "policies: 10, address: 192.0.2.2", "10.2.0.0/24") +
                           peer("b", "policies: 10, address: 192.0.2.0/24", "10.4.0.0/24")),
              ElementsAre());
  EXPECT_THAT(
      peers_errors(peer("a", "policies: 10, address: 192.0.2.2", "10.2.0.0/24") +
                   peer("b", "policies: 10, address: 192.0.2.2, identity: hostname:b", "10.3.0.0/24")),
      ElementsAre(
          "f.yaml:9:3: peers.b: has the same address as peers.a (line 8), and with pre-shared keys the "
          "address chooses the peer; expected a different address, or one peer with the tunnels of both (or, "
          "of "
          "each, an `identity` that it signs for or sends in Aggressive Mode)"));
  EXPECT_THAT(
      peers_errors(peer("a", "policies: 10, address: GW.example.net, identity: hostname:x", "10.2.0.0/24") +
                   peer("b", "policies: 10, address: gw.example.net, identity: hostname:x", "10.3.0.0/24")),
      testing::SizeIs(1));
  EXPECT_THAT(peers_errors(peer("a", "policies: 10, address: any", "10.2.0.0/24") +
                           peer("b", "policies: 10, address: any", "10.3.0.0/24")),
              testing::SizeIs(1));
}

// ---- traffic that two tunnels claim --------------------------------------------------------------------

TEST(Checks, EachPairOfSubnetsHasOneTunnel) {
  // Overlap is fine, the more specific one is chosen; equality is not.
  EXPECT_THAT(
      peers_errors(peer("a", "policies: 10, address: 192.0.2.2", "[10.2.0.0/24, 10.3.0.0/24]") +
                   peer("b", "policies: 10, address: 192.0.2.3", "10.3.0.0/16") +
                   peer("c", "policies: 10, address: 192.0.2.4", "10.3.0.0/24")),
      ElementsAre("f.yaml:10:78: peers.c.tunnels.lan: `10.1.0.0/24 === 10.3.0.0/24` belongs to "
                  "peers.a.tunnels.lan (line 8) already; expected each pair of subnets in one tunnel"));
}

// ---- what the data plane cannot do ---------------------------------------------------------------------

TEST(Checks, CompressionIsTheKernelsAlone) {
  const auto with = [](const std::string& gateway) {
    return errors("gateway: {" + gateway + "}\n" + std::string(kProposals) +
                  "  small: [esp-gcm, comp-deflate]\n" + "peers:\n" +
                  peer("a", "policies: 10, address: 192.0.2.2", "10.2.0.0/24", "[strong, small]") +
                  peer("b", "policies: 10, address: 192.0.2.3", "10.3.0.0/24"));
  };
  EXPECT_THAT(with("data_plane: kernel"), ElementsAre());
  EXPECT_THAT(with("data_plane: auto"), ElementsAre());
  EXPECT_THAT(
      with("data_plane: software"),
      ElementsAre(testing::HasSubstr(
          "peers.a.tunnels.lan: its transform set `small` has `comp-deflate`, and `data_plane: software` "
          "cannot compress; expected `data_plane: kernel`, or a transform set without it")));
}

TEST(Checks, WhatTheKernelHasNoMeansFor) {
  const auto with = [](const std::string& plane, const std::string& handling) {
    return errors("gateway: {data_plane: " + plane + "}\n" + std::string(kProposals) + "peers:\n  a:\n" +
                  "    address: 192.0.2.2\n    policies: 10\n    pre_shared_key: {file: a.psk}\n" +
                  "    tunnels: {lan: {local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong, " +
                  handling + "}}\n");
  };
  EXPECT_THAT(with("software", "tcp_mss: clamp, df_bit: set"), ElementsAre());
  EXPECT_THAT(with("auto", "tcp_mss: clamp, df_bit: set"), ElementsAre());
  EXPECT_THAT(with("kernel", "tcp_mss: off, df_bit: clear"), ElementsAre());
  EXPECT_THAT(
      with("kernel", "tcp_mss: clamp"),
      ElementsAre(testing::HasSubstr("peers.a.tunnels.lan.tcp_mss: `data_plane: kernel` leaves the MSS")));
  EXPECT_THAT(
      with("kernel", "df_bit: set"),
      ElementsAre(testing::HasSubstr("peers.a.tunnels.lan.df_bit: `data_plane: kernel` cannot set DF")));
}

TEST(Checks, WhatOnlyTheKernelHas) {
  const auto with = [](const std::string& plane, const std::string& first, const std::string& second) {
    const auto one = [](const std::string& name, const std::string& address, const std::string& ties) {
      return "  " + name + ":\n    address: " + address +
             "\n    policies: 10\n    pre_shared_key: {file: a.psk}\n    tunnels: {lan: {local: 10.1.0.0/24, "
             "remote: 10.2.0.0/24, transform_sets: strong" +
             ties + "}}\n";
    };
    return errors("gateway: {data_plane: " + plane + "}\n" + std::string(kProposals) + "peers:\n" +
                  one("a", "192.0.2.2", first) + one("b", "192.0.2.3", second));
  };
  using testing::HasSubstr;
  EXPECT_THAT(with("auto", ", mark: 1/0xf", ", mark: 2/0xf"), ElementsAre());
  EXPECT_THAT(with("kernel", ", interface: ipsec1", ", interface: ipsec2"), ElementsAre());
  EXPECT_THAT(with("software", ", mark: 1", ", mark: 2"),
              ElementsAre(HasSubstr("peers.a.tunnels.lan.mark: `data_plane: software` has no `mark`"),
                          HasSubstr("peers.b.tunnels.lan.mark: `data_plane: software` has no `mark`")));
  EXPECT_THAT(with("auto", ", mark: 1/0xf", ", mark: 0x10/0xf0"),
              ElementsAre(HasSubstr("belongs to peers.a.tunnels.lan")))
      << "a packet can have both";
  EXPECT_THAT(with("auto", ", mark: 1", ""), ElementsAre(HasSubstr("belongs to peers.a.tunnels.lan")));
  EXPECT_THAT(with("auto", ", interface: {name: a, if_id: 1}", ", interface: {name: a, if_id: 2}"),
              ElementsAre(HasSubstr("`a` is otherwise at peers.a.tunnels.lan")));
  EXPECT_THAT(
      with("auto", ", mark: 1, interface: {name: a, if_id: 1}", ", mark: 2, interface: {name: b, if_id: 1}"),
      ElementsAre(HasSubstr("the if_id 1 is that of `a` at peers.a.tunnels.lan")));
}

// ---- weak things ---------------------------------------------------------------------------------------

TEST(Checks, WhatNobodyUsesMayBeWeak) {
  EXPECT_THAT(peers_errors(peer("a", "policies: 10, address: 192.0.2.2", "10.2.0.0/24")), ElementsAre());
}

TEST(Checks, AWeakPolicyNeedsAWaiverOfEveryPeerThatMayUseIt) {
  const std::string mend =
      "expected `allow_weak: {algorithms: [3des, group2]}` in this peer, or something stronger";
  EXPECT_THAT(
      peers_errors(peer("a", "address: 192.0.2.2", "10.2.0.0/24") +
                   peer("b", "policies: [10], address: 192.0.2.3", "10.3.0.0/24") +
                   peer("c", "allow_weak: {algorithms: [3des, group2]}, address: 192.0.2.4", "10.4.0.0/24")),
      ElementsAre(
          "f.yaml:8:3: peers.a: may use the weak `3des` (isakmp_policies.20) and has no waiver for it; " +
              mend,
          "f.yaml:8:3: peers.a: may use the weak `group2` (isakmp_policies.20) and has no waiver for it; " +
              mend));
}

TEST(Checks, SetsAndPfsNeedThemToo) {
  EXPECT_THAT(
      peers_errors(peer("a", "policies: 10, address: 192.0.2.2", "10.2.0.0/24", "[strong, pix]", "group5")),
      ElementsAre("f.yaml:8:3: peers.a: may use the weak `3des` (transform_sets.pix) and has no waiver for "
                  "it; expected "
                  "`allow_weak: {algorithms: [3des, group5]}` in this peer, or something stronger",
                  "f.yaml:8:3: peers.a: may use the weak `group5` (tunnels.lan.pfs) and has no waiver for "
                  "it; expected "
                  "`allow_weak: {algorithms: [3des, group5]}` in this peer, or something stronger"));
}

TEST(Checks, AnIncompleteWaiverIsToldWhatToBecome) {
  EXPECT_THAT(
      peers_errors(peer("a", "allow_weak: {algorithms: [md5, 3des]}, address: 192.0.2.2", "10.2.0.0/24")),
      ElementsAre("f.yaml:8:3: peers.a: may use the weak `group2` (isakmp_policies.20) and has no waiver for "
                  "it; expected `algorithms: [md5, 3des, group2]` in its allow_weak, or something stronger"));
}

TEST(Checks, AnExpiredWaiverIsNoErrorAndNeitherIsAnIdleOne) {
  EXPECT_THAT(
      peers_errors(peer(
          "a", "allow_weak: {algorithms: [3des, group2, rsa-512], until: 2001-01-01}, address: 192.0.2.2",
          "10.2.0.0/24")),
      ElementsAre());
}

TEST(Checks, AWaiverThatCannotBeReadIsTheOnlyComplaint) {
  EXPECT_THAT(
      peers_errors(peer("a", "allow_weak: {algorithms: [3dse, group2]}, address: 192.0.2.2", "10.2.0.0/24")),
      testing::SizeIs(1));
}

}  // namespace
}  // namespace oakgate::conf
