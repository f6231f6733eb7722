// Configurations of strongSwan and libreswan in, our configuration out; and what accidents make of them.
#include "conf/swan/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conf/import_support.h"

namespace oakgate::conf::swan {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string sample(const std::string& name) {
  return sample_of("swan", name);
}

Imported import(const std::string& text, const std::string& secrets = "", Side side = Side::automatic) {
  return import_ipsec_conf({text, secrets, side}, kUntil);
}

const PeerConfig& peer(const Config& config, const std::string& name) {
  static const PeerConfig kNone{};
  for (const PeerConfig& one : config.peers) {
    if (one.name == name) return one;
  }
  ADD_FAILURE() << "no peer " << name;
  return kNone;
}

int line_of(const Imported& imported, const std::string& text) {
  for (const Note& note : imported.notes) {
    if (note.text.find(text) != std::string::npos) return note.line;
  }
  return -1;
}

std::vector<std::string> policies(const PeerConfig& peer) {
  std::vector<std::string> all;
  for (const IsakmpPolicy& one : peer.policies) all.push_back(to_string(one));
  return all;
}
std::vector<std::string> sets(const TunnelConfig& tunnel) {
  std::vector<std::string> all;
  for (const TransformSet& one : tunnel.transform_sets) all.push_back(to_string(one));
  return all;
}
std::vector<std::string> pairs(const TunnelConfig& tunnel) {
  std::vector<std::string> all;
  for (const SelectorPair& one : tunnel.pairs) all.push_back(one.to_string());
  return all;
}

bool shows(const Imported& imported, const std::string& secret) {
  if (imported.yaml.find(secret) != std::string::npos) return true;
  for (const Note& note : imported.notes) {
    if ((note.text + note.why).find(secret) != std::string::npos) return true;
  }
  return false;
}

// ---- ipsec.conf ----------------------------------------------------------------------------------------

TEST(ImportStrongswan, ConnectionsBecomePeers) {
  const Imported imported = import(sample("strongswan.conf"), sample("strongswan.secrets"));
  EXPECT_EQ(imported.peers, 4U);
  const Config config = parsed(imported);
  EXPECT_EQ(config.gateway.listen.at(0).to_string(), "192.0.2.1");
  const PeerConfig& pix = peer(config, "pix");
  EXPECT_EQ(pix.address.to_string(), "198.51.100.2");
  EXPECT_THAT(policies(pix), ElementsAre("3des md5 group2 pre-share"));
  EXPECT_EQ(pix.policies.at(0).lifetime, Seconds{8 * 3600});
  EXPECT_EQ(pix.dpd, (DeadPeerDetection{DpdMode::periodic, Seconds{30}, Seconds{120}}));
  ASSERT_TRUE(pix.allow_weak);
  EXPECT_THAT(pix.allow_weak->algorithms,
              testing::UnorderedElementsAre(Weak::des3, Weak::md5, Weak::group2, Weak::short_psk));
  const TunnelConfig& lan = pix.tunnels.at(0);
  EXPECT_THAT(pairs(lan), ElementsAre("10.1.0.0/24 === 10.2.0.0/24", "10.1.0.0/24 === 10.2.1.0/24"));
  EXPECT_THAT(sets(lan), ElementsAre("esp-3des esp-sha-hmac"));
  EXPECT_EQ(lan.pfs, DhGroup::modp1024);
  EXPECT_EQ(lan.start, StartMode::on_traffic);
  EXPECT_EQ(lan.lifetime, (Lifetime{Seconds{3600}, Kilobytes{0}}));
}

TEST(ImportStrongswan, AlsoAndDefaultHold) {
  const Config config = parsed(import(sample("strongswan.conf")));
  const PeerConfig& router = peer(config, "router");
  EXPECT_TRUE(router.aggressive);
  EXPECT_EQ(router.identity->to_string(), "hostname:router.example.net");
  EXPECT_THAT(policies(router), ElementsAre("aes-256 sha256 group14 pre-share"));
  const TunnelConfig& tunnel = router.tunnels.at(0);
  EXPECT_THAT(sets(tunnel), ElementsAre("esp-gcm-128", "esp-aes-256 esp-sha256-hmac-96"));
  EXPECT_THAT(pairs(tunnel), ElementsAre("10.1.0.0/24 tcp 179 === 10.3.0.0/24 tcp"));
  EXPECT_EQ(tunnel.start, StartMode::on_start);
}

TEST(ImportStrongswan, CertificatesBecomeATrustpoint) {
  const Imported imported = import(sample("strongswan.conf"));
  const Config config = parsed(imported);
  EXPECT_EQ(config.gateway.identity->to_string(), "dn:CN=gw-a,O=corp,C=CH");
  const PeerConfig& signed_peer = peer(config, "signed");
  EXPECT_EQ(signed_peer.address.kind, PeerAddress::Kind::any);
  EXPECT_EQ(signed_peer.trustpoint, "gw-a");
  EXPECT_EQ(config.trustpoints.at(0).revocation, RevocationCheck::crl);
  EXPECT_THAT(imported.notes, Contains(testing::Field(&Note::why, HasSubstr("/etc/ipsec.d/certs/gw-a.pem"))));
}

TEST(ImportStrongswan, TransportModeAndProtocols) {
  const Config config = parsed(import(sample("strongswan.conf")));
  const PeerConfig& gre = peer(config, "gre");
  EXPECT_EQ(gre.address.to_string(), "gw-e.example.net");
  EXPECT_THAT(sets(gre.tunnels.at(0)), ElementsAre("esp-aes-128 esp-sha-hmac transport"));
  EXPECT_THAT(pairs(gre.tunnels.at(0)), ElementsAre("192.0.2.1/32 gre === 198.51.100.5/32 gre"));
}

TEST(ImportStrongswan, KeysGoIntoFilesAndNowhereElse) {
  const Imported imported = import(sample("strongswan.conf"), sample("strongswan.secrets"));
  EXPECT_EQ(file(imported, "pix.psk"), "0x414243440a\n");  // not plain text
  EXPECT_EQ(file(imported, "router.psk"), "router's own key, a long one\n");
  EXPECT_EQ(file(imported, "gre.psk"), "a key for all who have none\n");
  for (const ImportedFile& one : imported.files) EXPECT_TRUE(one.secret) << one.name;
  for (const char* secret : {"a key for all", "41424344", "router's own", "passphrase", "alice's"})
    EXPECT_FALSE(shows(imported, secret)) << secret;
  EXPECT_THAT(why(imported, "ipsec.secrets:5: : rsa ..."), HasSubstr("oakgate pki import"));
  EXPECT_THAT(why(imported, "ipsec.secrets:6: alice : xauth ..."), HasSubstr("no pre-shared key"));
  EXPECT_THAT(why(imported, "ipsec.secrets:7: include"), HasSubstr("is not read"));
}

TEST(ImportStrongswan, EachLineThatWasNotCarriedOverIsListed) {
  const Imported imported = import(sample("strongswan.conf"));
  EXPECT_THAT(why(imported, "conn new"), HasSubstr("IKEv2"));
  EXPECT_EQ(line_of(imported, "conn new"), 66);
  EXPECT_THAT(why(imported, "conn clear"), HasSubstr("`type=passthrough` is no tunnel"));
  EXPECT_THAT(why(imported, "include /etc/ipsec.d"), HasSubstr("is not read"));
  EXPECT_THAT(why(imported, "crluri"), HasSubstr("crl: {urls"));
  EXPECT_THAT(why(imported, "charondebug"), HasSubstr("about the other program"));
  EXPECT_THAT(why(imported, "leftfirewall"), HasSubstr("updown"));
  EXPECT_EQ(why(imported, "keyingtries"), "no such note") << "%forever is what oakgate does";
  EXPECT_THAT(imported.notes, Contains(testing::Field(&Note::why, HasSubstr("--secrets"))));
  EXPECT_THAT(imported.yaml, Not(HasSubstr("strong:\n    address")));
}

TEST(ImportLibreswan, ItsOwnWords) {
  const Imported imported = import(sample("libreswan.conf"), "@west @east : PSK 'in single quotes, long'\n");
  const Config config = parsed(imported);
  EXPECT_THAT(imported.yaml, HasSubstr("of libreswan"));
  EXPECT_EQ(config.gateway.identity->to_string(), "hostname:west");
  const PeerConfig& east = peer(config, "east");
  EXPECT_THAT(policies(east), ElementsAre("aes-256 sha256 group14 pre-share", "aes-128 sha group5 pre-share",
                                          "aes-256 sha group5 pre-share"));
  EXPECT_EQ(east.dpd, (DeadPeerDetection{DpdMode::periodic, Seconds{10}, Seconds{60}}));
  ASSERT_EQ(east.tunnels.size(), 1U);
  EXPECT_THAT(sets(east.tunnels[0]), ElementsAre("esp-gcm-256", "esp-aes-128 esp-sha512-hmac"));
  EXPECT_EQ(east.tunnels[0].pfs, DhGroup::modp2048) << "PFS unless told not to, with the group of phase 1";
  EXPECT_EQ(east.tunnels[0].lifetime.time, Seconds{8 * 3600});
  EXPECT_THAT(pairs(east.tunnels[0]),
              ElementsAre("10.1.0.0/24 === 10.2.0.0/24", "10.1.0.0/24 === 10.2.1.0/24"));
  EXPECT_THAT(why(imported, "east"), Not(HasSubstr("no such note")));
  EXPECT_EQ(file(imported, "east.psk"), "in single quotes, long\n");
  const PeerConfig& north = peer(config, "north");
  EXPECT_EQ(north.tunnels.at(0).pfs, std::nullopt);
  EXPECT_EQ(north.tunnels.at(0).rekey, RekeyMode::never);
  EXPECT_EQ(file(imported, "north.psk"), "no such file");
  EXPECT_THAT(why(imported, "also = missing"), HasSubstr("no connection of that name"));
  EXPECT_THAT(why(imported, "compress"), HasSubstr("comp-deflate"));
  EXPECT_THAT(why(imported, "leftrsasigkey"), HasSubstr("certificates alone"));
  EXPECT_THAT(why(imported, "connection north"), HasSubstr("no pre-shared key for it"));
}

TEST(ImportLibreswan, WhichSideWeAreIsSaidOrSeen) {
  const std::string text =
      "conn a\n\tikev2=no\n\tauthby=secret\n\tleft=192.0.2.1\n\tleftsubnet=10.1.0.0/24\n\tright=192.0.2.2\n"
      "\trightsubnet=10.2.0.0/24\n\tauto=start\n";
  EXPECT_EQ(peer(parsed(import(text)), "a").address.to_string(), "192.0.2.2");
  EXPECT_THAT(import(text).notes, Contains(testing::Field(&Note::why, HasSubstr("--side right"))));
  EXPECT_EQ(peer(parsed(import(text, "", Side::right)), "a").address.to_string(), "192.0.2.1");
  std::string other = text;
  other.replace(other.find("right=192.0.2.2"), 15, "right=%defaultroute");
  EXPECT_EQ(peer(parsed(import(other)), "a").address.to_string(), "192.0.2.1");
}

TEST(ImportIpsecConf, ConnectionsToOneAddressAreOnePeer) {
  const std::string conn =
      "\tkeyexchange=ikev1\n\tauthby=secret\n\tleft=192.0.2.1\n\tleftsubnet=10.1.0.0/24\n"
      "\tright=192.0.2.2\n\tike=aes128-sha1-modp2048\n\tesp=aes128-sha1\n\tauto=add\n";
  const Imported imported = import("conn a\n" + conn + "\trightsubnet=10.2.0.0/24\nconn b\n" + conn +
                                   "\trightsubnet=10.3.0.0/24\n\taggressive=yes\n");
  EXPECT_EQ(imported.peers, 1U);
  EXPECT_EQ(imported.tunnels, 2U);
  const Config config = parsed(imported);
  EXPECT_EQ(config.peers.at(0).tunnels.at(1).name, "b");
  EXPECT_THAT(why(imported, "connection b"), HasSubstr("to the same address as a"));
}

TEST(ImportIpsecConf, WhatIsGuessedIsSaid) {
  const Imported imported = import(
      "conn a\n left=192.0.2.1\n leftsubnet=10.1.0.0/24\n right=192.0.2.2\n"
      " rightsubnet=10.2.0.0/24\n authby=psk\n");
  static_cast<void>(parsed(imported));
  std::string all;
  for (const Note& note : imported.notes) all += note.why + "\n";
  EXPECT_THAT(all, HasSubstr("does not say which IKE it speaks"));
  EXPECT_THAT(all, HasSubstr("`isakmp_policies` has in their place is a guess"));
  EXPECT_THAT(all, HasSubstr("`transform_sets` has in their place is a guess"));
  EXPECT_THAT(all, HasSubstr("auto=ignore"));
}

TEST(ImportIpsecConf, OddAlgorithmsAreNamed) {
  const std::string conn =
      "conn a\n keyexchange=ikev1\n authby=psk\n left=192.0.2.1\n leftsubnet=10.1.0.0/24\n"
      " right=192.0.2.2\n rightsubnet=10.2.0.0/24\n auto=add\n";
  const Imported imported =
      import(conn + " ike=serpent128-sha1-modp2048,aes128-sha1-dh14\n esp=aes128ccm16,aes128-sha1\n");
  const Config config = parsed(imported);
  EXPECT_THAT(policies(peer(config, "a")), ElementsAre("aes-128 sha group14 pre-share"));
  EXPECT_THAT(sets(peer(config, "a").tunnels.at(0)), ElementsAre("esp-aes-128 esp-sha-hmac"));
  EXPECT_THAT(why(imported, "ike ="), HasSubstr("`serpent128`: no algorithm that oakgate has for it"));
  EXPECT_THAT(why(imported, "esp ="), HasSubstr("`aes128ccm16`"));
}

TEST(ImportIpsecConf, DosLineEndsLostIndentationAndACutEnd) {
  std::string text = sample("strongswan.conf");
  std::string dos;
  for (const char c : text) {
    if (c == '\t') continue;
    if (c == '\n') dos += '\r';
    dos += c;
  }
  const Imported whole = import(text);
  const Imported same = import(dos);
  EXPECT_EQ(whole.yaml, same.yaml);
  for (std::size_t size = 0; size < text.size(); size += 31) {
    const Imported cut = import(text.substr(0, size));
    static_cast<void>(parsed(cut.peers == 0 ? whole : cut));
  }
  EXPECT_EQ(import(text.substr(0, text.find("conn router"))).peers, 1U);
}

TEST(ImportIpsecConf, HostileTextIsOnlyListed) {
  const Imported imported = import(
      "conn \033[2J\xff\n\tleft=\"\n=\n\tright\n conn\n: PSK \"a secret = that is lost\"\n"
      "conn a\n also=b\nconn b\n also=a\nconn c\n also=c\n right=%group\n");
  EXPECT_EQ(imported.peers, 0U);
  for (const Note& note : imported.notes) {
    for (const char c : note.text + note.why) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  }
  EXPECT_FALSE(shows(imported, "a secret"));
  EXPECT_THAT(imported.notes, Contains(testing::Field(&Note::why, HasSubstr("no connection of the file"))));
}

// ---- swanctl.conf --------------------------------------------------------------------------------------

TEST(ImportSwanctl, ConnectionsBecomePeers) {
  const Imported imported = import_swanctl_conf(sample("swanctl.conf"), kUntil);
  const Config config = parsed(imported);
  ASSERT_EQ(config.peers.size(), 2U);
  EXPECT_EQ(config.gateway.listen.at(0).to_string(), "192.0.2.1");
  const PeerConfig& pix = peer(config, "pix");
  EXPECT_THAT(policies(pix), ElementsAre("3des sha group2 pre-share"));
  EXPECT_EQ(pix.policies.at(0).lifetime, Seconds{8 * 3600});
  EXPECT_EQ(pix.dpd.mode, DpdMode::periodic);
  ASSERT_EQ(pix.tunnels.size(), 2U) << "a tunnel has one protocol";
  EXPECT_THAT(pairs(pix.tunnels[0]), ElementsAre("10.1.0.0/24 === 10.2.0.0/24"));
  EXPECT_THAT(pairs(pix.tunnels[1]), ElementsAre("10.1.1.0/24 tcp === 10.2.1.0/24 tcp 443"));
  EXPECT_THAT(sets(pix.tunnels[0]), ElementsAre("esp-3des esp-md5-hmac"));
  EXPECT_EQ(pix.tunnels[0].start, StartMode::on_traffic) << "its own goes before the reference's";
  EXPECT_EQ(pix.tunnels[0].lifetime.time, Seconds{55 * 66});
  EXPECT_EQ(file(imported, "pix.psk"), "sharedkeysharedkey\n");
}

TEST(ImportSwanctl, ReferencesAndCertificates) {
  const Imported imported = import_swanctl_conf(sample("swanctl.conf"), kUntil);
  const Config config = parsed(imported);
  const PeerConfig& other = peer(config, "signed");
  EXPECT_EQ(other.address.to_string(), "gw-d.example.net");
  EXPECT_EQ(other.identity->to_string(), "dn:CN=gw-d,O=corp,C=CH");
  EXPECT_THAT(policies(other), ElementsAre("aes-256 sha256 group14 rsa-sig"));
  EXPECT_EQ(other.trustpoint, "gw-a");
  EXPECT_THAT(sets(other.tunnels.at(0)), ElementsAre("ah-sha-hmac", "esp-aes-256 esp-sha256-hmac"));
  EXPECT_EQ(other.tunnels.at(0).start, StartMode::on_start);
  EXPECT_EQ(config.trustpoints.at(0).revocation, RevocationCheck::crl);
  EXPECT_THAT(imported.notes,
              Contains(testing::Field(&Note::why, HasSubstr("/etc/swanctl/x509ca/old-ca.pem"))));
}

TEST(ImportSwanctl, EachThingThatWasNotCarriedOverIsListed) {
  const Imported imported = import_swanctl_conf(sample("swanctl.conf"), kUntil);
  EXPECT_THAT(why(imported, "connection modern"), HasSubstr("IKEv2"));
  EXPECT_EQ(line_of(imported, "connection modern"), 31);
  EXPECT_THAT(why(imported, "auth = xauth"), HasSubstr("remote users"));
  EXPECT_THAT(why(imported, "updown ="), HasSubstr("other variables"));
  EXPECT_THAT(why(imported, "eap-carol"), HasSubstr("no pre-shared key"));
  EXPECT_THAT(why(imported, "private-gw"), HasSubstr("oakgate pki import"));
  EXPECT_THAT(why(imported, "pools"), HasSubstr("Mode Config"));
  EXPECT_THAT(why(imported, "include"), HasSubstr("is not read"));
  EXPECT_EQ(why(imported, "encap"), "no such note") << "`no` is what oakgate does";
  EXPECT_EQ(why(imported, "site {"), "no such note") << "others refer to it";
  for (const char* secret : {"sharedkey", "c2hhcmVka2V5", "for whoever else", "carol's", "passphrase"})
    EXPECT_FALSE(shows(imported, secret)) << secret;
}

TEST(ImportSwanctl, BracesWhereTheyMayStandAndSectionsThatGoOn) {
  const Imported imported = import_swanctl_conf(
      "connections\n{\n a\n {\n version=1\n remote_addrs=192.0.2.2 }\n}\n"
      "connections { a { local_addrs = 192.0.2.1\n children { n { remote_ts=10.2.0.0/24 } }\n"
      " proposals = aes128-sha1-modp2048\n local { auth=psk }\n remote { auth=psk } } }\n"
      "secrets { ike { secret = \"quoted \\\"#} key\" } }",
      kUntil);
  EXPECT_EQ(imported.peers, 1U);
  EXPECT_THAT(pairs(peer(parsed(imported), "a").tunnels.at(0)), ElementsAre("192.0.2.1/32 === 10.2.0.0/24"));
  EXPECT_EQ(file(imported, "a.psk"), "quoted \"#} key\n");
}

TEST(ImportSwanctl, ACutEndDosLineEndsAndHostileText) {
  const std::string text = sample("swanctl.conf");
  for (std::size_t size = 0; size < text.size(); size += 29) {
    const Imported cut = import_swanctl_conf(text.substr(0, size), kUntil);
    if (cut.peers != 0) static_cast<void>(parsed(cut));
    EXPECT_FALSE(shows(cut, "carol's"));
  }
  std::string dos;
  for (const char c : text) dos += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(import_swanctl_conf(dos, kUntil).yaml, import_swanctl_conf(text, kUntil).yaml);
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "a {";
  EXPECT_EQ(import_swanctl_conf(deep, kUntil).peers, 0U);
  EXPECT_EQ(import_swanctl_conf("a : b { }\nb : a { }\nc : c { }\n} } \033[2J = 3\n\"", kUntil).peers, 0U);
  // Doubles with each line: bounded.
  std::string bomb = "s0 { a = 1\n b = 2\n c = 3 }\n";
  for (int i = 1; i < 60; ++i) {
    const std::string before = "s" + std::to_string(i - 1);
    bomb += "s" + std::to_string(i) + " { l : " + before + " { }\n r : " + before + " { } }\n";
  }
  EXPECT_EQ(import_swanctl_conf(bomb, kUntil).peers, 0U);
}

}  // namespace
}  // namespace oakgate::conf::swan
