// Running configurations in, our configuration out: those of the documents that the project starts from, an
// ASA's, and what terminals and accidents make of them.
#include "conf/cisco/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/conf/import_support.h"

namespace oakgate::conf::cisco {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

std::string sample(const std::string& name) {
  return sample_of("cisco", name);
}

Imported import(const std::string& text) {
  return import_cisco(text, kUntil);
}

TEST(ImportCisco, WhatIsDoneToPackets) {
  const auto with = [](const std::string& global, const std::string& entry, const std::string& interface) {
    return import(
        "hostname r1\ncrypto isakmp policy 10\n authentication pre-share\n"
        "crypto isakmp key secret address 192.0.2.2\ncrypto ipsec transform-set t esp-3des esp-sha-hmac\n" +
        global +
        "crypto map m 10 ipsec-isakmp\n set peer 192.0.2.2\n set transform-set t\n match address 101\n" +
        entry + "interface Serial0\n ip address 192.0.2.1 255.255.255.0\n crypto map m\n" + interface +
        "access-list 101 permit ip 10.1.0.0 0.0.0.255 10.2.0.0 0.0.0.255\n");
  };
  const auto tunnel = [](const Imported& imported) { return parsed(imported).peers.at(0).tunnels.at(0); };
  EXPECT_EQ(tunnel(with("", "", "")).handling, PacketHandling{});
  EXPECT_EQ(tunnel(with("crypto ipsec df-bit clear\n", "", "")).handling.df_bit, DfBit::clear);
  const Imported overruled =
      with("crypto ipsec df-bit clear\n", "", " crypto ipsec df-bit copy\n ip tcp adjust-mss 1360\n");
  EXPECT_EQ(tunnel(overruled).handling.df_bit, DfBit::copy);
  EXPECT_THAT(overruled.yaml, HasSubstr("# tcp_mss: 1360"));
  EXPECT_THAT(with("crypto ipsec df-bit set\n", "", "").yaml, HasSubstr("# df_bit: set"));
  const std::string replay = "crypto ipsec security-association replay window-size 1024\n";
  EXPECT_EQ(tunnel(with(replay, "", "")).replay_window, 1024U);
  EXPECT_EQ(tunnel(with(replay, " set security-association replay window-size 128\n", "")).replay_window,
            128U);
  EXPECT_THAT(why(with("crypto ipsec security-association replay disable\n", "", ""), "replay disable"),
              HasSubstr("always checked for replays"));
  EXPECT_THAT(why(with("crypto ipsec df-bit maybe\n", "", ""), "df-bit"), HasSubstr("copy, set or clear"));
}

TEST(ImportCisco, APreSharedKeyOfIos) {
  const Imported imported = import(sample("cl-2513-2a"));
  const Config config = parsed(imported);
  EXPECT_EQ(config.gateway.name, "cl-2513-2A");
  ASSERT_EQ(config.peers.size(), 1U);
  const PeerConfig& peer = config.peers[0];
  EXPECT_EQ(peer.address.to_string(), "20.20.20.20");
  ASSERT_EQ(peer.policies.size(), 1U);
  EXPECT_EQ(to_string(peer.policies[0]), "des sha group2 pre-share");
  ASSERT_EQ(peer.tunnels.size(), 1U);
  ASSERT_EQ(peer.tunnels[0].pairs.size(), 1U);
  EXPECT_EQ(peer.tunnels[0].pairs[0].to_string(), "50.50.50.0/24 === 60.60.60.0/24");
  EXPECT_EQ(to_string(peer.tunnels[0].transform_sets[0]), "esp-des esp-sha-hmac");
  EXPECT_EQ(config.gateway.listen.at(0).to_string(), "20.20.20.21");
  EXPECT_EQ(file(imported, peer.name + ".psk"), "sharedkey\n");
  EXPECT_THAT(peer.allow_weak->algorithms, ElementsAre(Weak::des, Weak::group2, Weak::short_psk));
  EXPECT_THAT(imported.yaml, Not(HasSubstr("sharedkey")));
  EXPECT_TRUE(imported.notes.empty()) << imported.notes[0].text << ": " << imported.notes[0].why;
}

TEST(ImportCisco, RsaEncryptedNoncesWithAhAndEsp) {
  const Imported imported = import(sample("wan2511"));
  const Config config = parsed(imported);
  ASSERT_EQ(config.peers.size(), 1U);
  const PeerConfig& peer = config.peers[0];
  EXPECT_EQ(to_string(peer.policies.at(0)), "des sha group2 rsa-encr");
  EXPECT_EQ(peer.policies.at(0).lifetime, Seconds{240});
  EXPECT_EQ(to_string(peer.tunnels.at(0).transform_sets.at(0)), "ah-sha-hmac esp-des esp-sha-hmac");
  ASSERT_TRUE(peer.rsa_encr);
  EXPECT_THAT(peer.rsa_encr->peer_keys, ElementsAre("wan2516.cisco.com"));
  EXPECT_EQ(config.gateway.identity->to_string(), "hostname:wan2511.cisco.com");
  // As `show crypto key pubkey-chain rsa` has it there.
  EXPECT_THAT(imported.yaml, HasSubstr("305C300D06092A864886F70D0101010500034B003048024100DC3DDC5988"));
  EXPECT_THAT(imported.yaml, HasSubstr("F8DE41691F0203010001\""));
}

TEST(ImportCisco, CertificatesOfIosAndPix) {
  const Imported ios = import(sample("1720-1"));
  const Config config = parsed(ios);
  ASSERT_EQ(config.peers.size(), 1U);
  EXPECT_EQ(config.peers[0].trustpoint, "vpn");
  EXPECT_EQ(to_string(config.peers[0].policies.at(0)), "des md5 group1 rsa-sig");
  EXPECT_EQ(config.peers[0].tunnels.at(0).pairs.at(0).to_string(), "1.1.1.0/24 === 192.168.4.0/24");
  const TrustpointConfig* vpn = find_trustpoint(config, "vpn");
  ASSERT_NE(vpn, nullptr);
  EXPECT_THAT(ios.yaml, HasSubstr("url: \"http://171.69.89.16:80/cgi-bin/pkiclient.exe\", mode: ra"));
  EXPECT_THAT(ios.yaml, HasSubstr("ldap://171.69.89.16"));
  EXPECT_THAT(file(ios, "vpn-ca.pem"), testing::StartsWith("-----BEGIN CERTIFICATE-----\nMII"));
  EXPECT_THAT(file(ios, "vpn.pem"), testing::EndsWith("-----END CERTIFICATE-----\n"));
  EXPECT_THAT(why(ios, "certificate ra-sign"), HasSubstr("registration authority"));

  const Imported pix = import(sample("pix520-1"));
  const Config other = parsed(pix);
  ASSERT_EQ(other.peers.size(), 1U);
  EXPECT_EQ(to_string(other.peers[0].policies.at(0)), "des md5 group1 rsa-sig");
  // The mirror image, out of a list of netmasks that the terminal has broken.
  EXPECT_EQ(other.peers[0].tunnels.at(0).pairs.at(0).to_string(), "192.168.4.0/24 === 1.1.1.0/24");
  EXPECT_EQ(other.peers[0].tunnels.at(0).lifetime.time, Seconds{28800});
  EXPECT_EQ(other.peers[0].nat_traversal, NatTraversal::off);
  EXPECT_EQ(other.gateway.listen.at(0).to_string(), "172.16.172.34");
  EXPECT_THAT(pix.yaml, HasSubstr("http://171.69.89.16/cgi-bin/pkiclient.exe"));
}

TEST(ImportCisco, TheDefaultPolicyThatNoConfigurationShows) {
  const Config config = parsed(import(sample("lab-isdn1")));
  ASSERT_EQ(config.peers.size(), 1U);
  EXPECT_EQ(to_string(config.peers[0].policies.at(0)), "des sha group1 rsa-sig");
  EXPECT_EQ(config.peers[0].trustpoint, "bubba");
}

TEST(ImportCisco, ObjectsDynamicMapsAndTunnelGroupsOfAnAsa) {
  const Imported imported = import(sample("asa"));
  const Config config = parsed(imported);
  ASSERT_EQ(config.peers.size(), 2U);
  const PeerConfig& roaming = config.peers[0];
  EXPECT_EQ(roaming.address.kind, PeerAddress::Kind::any);
  EXPECT_EQ(file(imported, roaming.name + ".psk"), "a-key-for-everybody\n");
  const PeerConfig& branch = config.peers[1];
  EXPECT_EQ(branch.address.to_string(), "198.51.100.7");
  ASSERT_EQ(branch.tunnels.size(), 2U);
  std::vector<std::string> pairs;
  for (const SelectorPair& pair : branch.tunnels[0].pairs) pairs.push_back(pair.to_string());
  EXPECT_THAT(pairs, ElementsAre("10.1.0.0/24 === 10.60.0.0/24", "10.1.8.0/24 === 10.60.0.0/24",
                                 "10.1.7.1/32 === 10.60.0.0/24"));
  EXPECT_EQ(branch.tunnels[1].pairs.at(0).to_string(), "10.1.9.10-10.1.9.20 tcp === 10.60.1.5/32 tcp 515");
  EXPECT_EQ(branch.tunnels[0].pfs, DhGroup::modp1536);
  EXPECT_EQ(branch.tunnels[0].lifetime.time, Seconds{3600});
  EXPECT_EQ(branch.dpd.interval, Seconds{10});
  // Everything that is not carried over is said.
  EXPECT_THAT(why(imported, "deny ip any any"), HasSubstr("denies"));
  EXPECT_THAT(why(imported, "transform-set lzs"), HasSubstr("comp-lzs"));
  EXPECT_THAT(why(imported, "set nat-t-disable"), HasSubstr("nothing"));
  EXPECT_THAT(why(imported, "VPNCLIENT"), HasSubstr("LAN-to-LAN"));
  EXPECT_THAT(imported.notes, Contains(Field(&Note::why, HasSubstr("only the first"))));
  EXPECT_THAT(imported.notes, Contains(Field(&Note::why, HasSubstr("not shown in the file"))));
}

// The same, whatever the way it took: DOS line ends, a pager, no indentation.
TEST(ImportCisco, TextThatTerminalsHaveChanged) {
  const std::string text = sample("cl-2513-2a");
  const std::string plain = import(text).yaml;
  std::string dos;
  std::string paged;
  std::string flat;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    dos += line + "\r\n";
    paged += (++number % 7 == 0 ? "<--- More --->\r              \r" : "") + line + "\n";
    const bool on_interface = line == " crypto map test";
    flat += on_interface
                ? ""
                : line.substr(
                      line.find_first_not_of(' ') == std::string::npos ? 0 : line.find_first_not_of(' ')) +
                      "\n";
  }
  EXPECT_EQ(import(dos).yaml, plain);
  EXPECT_EQ(import(paged).yaml, plain);
  const Config config = parsed(import(flat));
  ASSERT_EQ(config.peers.size(), 1U);
  EXPECT_EQ(config.peers[0].tunnels.size(), 1U);
}

TEST(ImportCisco, ABannerIsNoConfiguration) {
  const std::string banner =
      "banner motd ^C\ncrypto isakmp key stolen address 20.20.20.20\nhostname liar\n^C\n";
  const Imported imported = import(banner + sample("cl-2513-2a"));
  EXPECT_EQ(parsed(imported).gateway.name, "cl-2513-2A");
  EXPECT_EQ(file(imported, parsed(imported).peers.at(0).name + ".psk"), "sharedkey\n");
}

TEST(ImportCisco, NeverAKeyInWhatIsShown) {
  std::string text = sample("cl-2513-2a");
  text +=
      "crypto isakmp key other-secret address\n"
      "crypto isakmp key 6 aaBBcc address 20.20.20.20\n"
      "crypto map test 20 ipsec-manual\n set session-key inbound ah 256 deadbeef\n"
      "tunnel-group x general-attributes\n pre-shared-key third-secret extra\n"
      "crypto isakmp \x1b[31mred\n";
  const Imported imported = import(text);
  std::string shown = imported.yaml;
  for (const Note& note : imported.notes) shown += note.text + note.why;
  for (const char* secret : {"sharedkey", "other-secret", "aaBBcc", "deadbeef", "third-secret"}) {
    EXPECT_THAT(shown, Not(HasSubstr(secret)));
  }
  EXPECT_THAT(shown, Not(HasSubstr("\x1b")));
}

TEST(ImportCisco, AKeyThatLooksHexadecimalStaysWhatItIs) {
  std::string text = sample("cl-2513-2a");
  text.replace(text.find("sharedkey"), 9, "0xcafe");
  const Imported imported = import(text);
  EXPECT_EQ(file(imported, parsed(imported).peers.at(0).name + ".psk"), "0x307863616665\n");
}

// Wherever it is cut: as far as it goes, and no further.
TEST(ImportCisco, ACutFileIsTakenAsFarAsItGoes) {
  for (const char* name : {"cl-2513-2a", "wan2511", "1720-1", "pix520-1", "asa", "lab-isdn1"}) {
    const std::string text = sample(name);
    for (std::size_t size = 0; size < text.size(); size += 37) {
      const Imported imported = import(text.substr(0, size));
      if (imported.peers != 0) static_cast<void>(parsed(imported));
    }
  }
}

}  // namespace
}  // namespace oakgate::conf::cisco
