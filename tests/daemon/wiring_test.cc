#include "daemon/wiring.h"

#include <gtest/gtest.h>

#include <set>

namespace oakgate {
namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
SelectorPair pair_of(const char* local, const char* remote) {
  return {{*Subnet::parse(local), 0, 0}, {*Subnet::parse(remote), 0, 0}};
}

conf::PeerConfig peer(const char* name) {
  conf::PeerConfig peer;
  peer.name = name;
  peer.address.first = peer.address.last = ip("192.0.2.2");
  peer.policies = {
      {10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp2048, AuthMethod::pre_share, Seconds(86400)}};
  conf::TunnelConfig tunnel;
  tunnel.name = "lan";
  tunnel.pairs = {pair_of("10.1.0.0/24", "10.2.0.0/24"), pair_of("10.1.0.0/24", "10.3.0.0/24")};
  tunnel.transform_sets = {{"strong", EspCipher::aes_256, Integrity::sha256, EncapsulationMode::tunnel}};
  tunnel.pfs = DhGroup::modp2048;
  tunnel.lifetime = {Seconds(1800), Kilobytes{1000}};
  tunnel.start = StartMode::on_start;
  tunnel.replay_window = 128;
  peer.tunnels = {tunnel};
  return peer;
}

conf::Config config_of(std::vector<conf::PeerConfig> peers) {
  conf::Config config;
  config.gateway.name = "gw-a";
  config.peers = std::move(peers);
  return config;
}

LoadedKeys keys_of(const char* name, std::string_view key) {
  LoadedKeys keys;
  keys.pre_shared.emplace(name, SecretBytes(as_bytes(key)));
  return keys;
}

TEST(Wiring, CarriesEveryFieldOver) {
  conf::Config config = config_of({peer("branch-7")});
  config.peers[0].nat_traversal = NatTraversal::draft_02;
  config.peers[0].fragmentation = false;
  config.peers[0].dpd = {DpdMode::periodic, Seconds(10), Seconds(50)};
  config.gateway.half_open = {64, 8, 30};
  ReqidTable reqids;
  const auto engine = make_engine_config(config, keys_of("branch-7", "sixteen bytes or more"), reqids);
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->gateway, "gw-a");
  ASSERT_EQ(engine->peers.size(), 1U);
  const ike::PeerConfig& made = engine->peers[0];
  EXPECT_EQ(made.name, "branch-7");
  EXPECT_EQ(made.called_from, std::vector{Subnet::host(ip("192.0.2.2"))});
  EXPECT_EQ(made.policies, config.peers[0].policies);
  EXPECT_EQ(made.nat_traversal, NatTraversal::draft_02);
  EXPECT_FALSE(made.fragmentation);
  EXPECT_EQ(made.dpd, config.peers[0].dpd);
  EXPECT_EQ(engine->limits.half_open_total, 64U);
  EXPECT_EQ(engine->limits.half_open_per_source, 8U);
  EXPECT_EQ(engine->limits.aggressive_per_minute, 30);
  EXPECT_TRUE(made.needs_waiver.empty());
  ASSERT_EQ(made.tunnels.size(), 1U);
  const ike::TunnelConfig& tunnel = made.tunnels[0];
  EXPECT_EQ(tunnel.name, "lan");
  ASSERT_EQ(tunnel.pairs.size(), 2U);
  EXPECT_EQ(tunnel.pairs[0].selectors, config.peers[0].tunnels[0].pairs[0]);
  EXPECT_EQ(tunnel.pairs[0].reqid.value, kReqidBase);
  EXPECT_EQ(tunnel.pairs[1].reqid.value, kReqidBase + 1);
  EXPECT_EQ(tunnel.transform_sets, config.peers[0].tunnels[0].transform_sets);
  EXPECT_EQ(tunnel.pfs, DhGroup::modp2048);
  EXPECT_EQ(tunnel.lifetime, config.peers[0].tunnels[0].lifetime);
  EXPECT_EQ(tunnel.start, StartMode::on_start);
  EXPECT_EQ(tunnel.replay_window, 128);
}

TEST(Wiring, IdentitiesDefaultToTheAddressInUse) {
  conf::Config config = config_of({peer("a"), peer("b")});
  config.gateway.identity = Identity{IdentityKind::fqdn, {}, "gw-a.example.net"};
  config.peers[1].identity = Identity{IdentityKind::user_fqdn, {}, "b@example.net"};
  ReqidTable reqids;
  const auto engine = make_engine_config(config, {}, reqids);
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->peers[0].local_identity.to_string(), "hostname:gw-a.example.net");
  EXPECT_EQ(engine->peers[0].remote_identity, Identity{});
  EXPECT_TRUE(engine->peers[0].remote_identity.address.is_any());
  EXPECT_EQ(engine->peers[1].remote_identity.to_string(), "user-fqdn:b@example.net");
}

TEST(Wiring, ProofsAreCarriedOver) {
  conf::Config config = config_of({peer("b")});
  config.peers[0].trustpoint = "corp";
  config.peers[0].aggressive = true;
  config.peers[0].send_certificate = SendCertificate::never;
  config.peers[0].rsa_encr =
      conf::RsaEncryptionConfig{{"first", "missing", "second"}, "ours", SkeyidForm::ios, {}};
  LoadedKeys keys;
  keys.public_keys = {{"second", Bytes{2}}, {"first", Bytes{1}}};
  ReqidTable reqids;
  const auto engine = make_engine_config(config, keys, reqids);
  ASSERT_TRUE(engine);
  const ike::PeerConfig& made = engine->peers[0];
  EXPECT_EQ(made.trustpoint, "corp");
  EXPECT_TRUE(made.aggressive);
  EXPECT_EQ(made.send_certificate, SendCertificate::never);
  EXPECT_EQ(*made.rsa_encryption,
            (ike::RsaEncryption{{{"first", {1}}, {"second", {2}}}, "ours", {}, SkeyidForm::ios}));
}

// `dn` is our certificate's subject, so it is for the peers that we sign for.
TEST(Wiring, TheCertificatesSubjectIsForWhereWeSign) {
  conf::Config config = config_of({peer("psk"), peer("sig")});
  config.gateway.identity = Identity{IdentityKind::dn, {}, ""};
  config.peers[1].policies[0].authentication = AuthMethod::rsa_sig;
  ReqidTable reqids;
  auto engine = make_engine_config(config, {}, reqids);
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->peers[0].local_identity, Identity{});
  EXPECT_EQ(engine->peers[1].local_identity.kind, IdentityKind::dn);
  config.gateway.identity->text = "CN=gw-a";
  engine = make_engine_config(config, {}, reqids);
  EXPECT_EQ(engine->peers[0].local_identity.to_string(), "dn:CN=gw-a");
}

TEST(Wiring, CallersComeFromTheConfiguredPlaces) {
  conf::Config config = config_of({peer("range"), peer("any"), peer("name")});
  config.peers[0].address = {conf::PeerAddress::Kind::range, "", ip("192.0.2.1"), ip("192.0.2.6")};
  config.peers[1].address.kind = conf::PeerAddress::Kind::any;
  config.peers[2].address = {conf::PeerAddress::Kind::host_name, "gw-b.example.net", {}, {}};
  ReqidTable reqids;
  const auto engine = make_engine_config(config, {}, reqids);
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->peers[0].called_from, (AddressRange{ip("192.0.2.1"), ip("192.0.2.6")}.subnets()));
  EXPECT_EQ(engine->peers[1].called_from,
            (std::vector{Subnet::any(Family::ipv4), Subnet::any(Family::ipv6)}));
  EXPECT_TRUE(engine->peers[2].called_from.empty());
}

TEST(Wiring, FindsTheWeakThingsAPeerCanUse) {
  conf::Config config = config_of({peer("old")});
  config.peers[0].policies.push_back(
      {20, IkeCipher::des3, IkeHash::sha, DhGroup::modp1024, AuthMethod::pre_share, Seconds(86400)});
  config.peers[0].tunnels[0].pfs = DhGroup::modp1536;
  config.peers[0].allow_weak =
      WeakWaiver{{Weak::des3, Weak::group2, Weak::group5, Weak::short_psk}, {}, "old"};
  ReqidTable reqids;
  const auto engine = make_engine_config(config, keys_of("old", "fifteen bytes.."), reqids);
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->peers[0].needs_waiver,
            (std::vector{Weak::des3, Weak::group2, Weak::group5, Weak::short_psk}));
  EXPECT_EQ(engine->peers[0].waiver, *config.peers[0].allow_weak);
}

TEST(Wiring, ReqidsOutliveReloads) {
  ReqidTable reqids;
  conf::Config config = config_of({peer("a"), peer("b")});
  const auto first = make_engine_config(config, {}, reqids);
  ASSERT_TRUE(first);
  // `a` goes, `b` loses a pair and gains one, `c` comes.
  conf::Config next = config_of({peer("c"), peer("b")});
  next.peers[1].tunnels[0].pairs[0] = pair_of("10.1.0.0/24", "10.9.0.0/24");
  const auto second = make_engine_config(next, {}, reqids);
  ASSERT_TRUE(second);
  const auto reqid = [](const ike::EngineConfig& engine, std::size_t p, std::size_t i) {
    return engine.peers[p].tunnels[0].pairs[i].reqid.value - kReqidBase;
  };
  EXPECT_EQ(reqid(*first, 1, 1), 3U);
  EXPECT_EQ(reqid(*second, 1, 1), 3U) << "the pair that stayed";
  EXPECT_EQ(reqid(*second, 0, 0), 4U) << "freed ones are not given away at once";
  EXPECT_EQ(reqid(*second, 0, 1), 5U);
  EXPECT_EQ(reqid(*second, 1, 0), 6U);
  const auto third = make_engine_config(config, {}, reqids);
  ASSERT_TRUE(third);
  EXPECT_EQ(reqid(*third, 0, 0), 7U) << "forgotten while it was not configured";
}

TEST(Wiring, ARefusedConfigurationChangesNoReqid) {
  ReqidTable reqids;
  const conf::Config config = config_of({peer("a")});
  const auto first = make_engine_config(config, {}, reqids);
  reqids.begin();  // a reload that never gets to its end
  const auto again = make_engine_config(config, {}, reqids);
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->peers, again->peers);
}

// Those of SAs that an earlier run has left in the kernel.
TEST(Wiring, ReqidsOutliveRestarts) {
  const Reqid kept{kReqidBase + 1};
  ReqidTable reqids;
  const SelectorPair second = pair_of("10.1.0.0/24", "10.3.0.0/24");
  reqids.restore({"b", "lan", second}, kept);
  reqids.restore({"gone", "lan", second}, kept);                                  // another's already
  reqids.restore({"b", "lan", pair_of("10.1.0.0/24", "10.2.0.0/24")}, Reqid{7});  // none of ours
  const auto engine = make_engine_config(config_of({peer("a"), peer("b")}), {}, reqids);
  ASSERT_TRUE(engine);
  EXPECT_EQ(kept, engine->peers[1].tunnels[0].pairs[1].reqid);
  std::set<Reqid> all;
  for (const ike::PeerConfig& one : engine->peers) {
    for (const ike::PairConfig& pair : one.tunnels[0].pairs) all.insert(pair.reqid);
  }
  EXPECT_EQ(4U, all.size());
  EXPECT_EQ(kReqidBase, all.begin()->value);
}

TEST(GatewayName, IsTheConfiguredOrTheHosts) {
  EXPECT_EQ(gateway_name(config_of({})), "gw-a");
  EXPECT_FALSE(gateway_name(conf::Config{}).empty());
}

}  // namespace
}  // namespace oakgate
