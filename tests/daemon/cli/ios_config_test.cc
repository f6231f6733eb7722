// What is configured in the layouts of IOS, letter by letter.
#include "daemon/cli/ios_config.h"

#include <gtest/gtest.h>

#include "conf/load.h"

namespace oakgate::cli {
namespace {

conf::Config config() {
  const auto outcome = conf::parse_config(
      "isakmp_policies:\n"
      "  10: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share}\n"
      "  20: {encryption: 3des, hash: md5, group: 2, authentication: rsa-sig, lifetime: 1h}\n"
      "transform_sets:\n"
      "  strong: [esp-aes-256, esp-sha256-hmac]\n"
      "  pix: [ah-sha-hmac, esp-3des, esp-sha-hmac]\n"
      "  gre: {transforms: [esp-aes-128, esp-sha-hmac], mode: transport}\n"
      "peers:\n"
      "  b:\n"
      "    address: 192.0.2.2\n"
      "    policies: [10]\n"
      "    pre_shared_key: {file: b.psk}\n"
      "    allow_weak: {algorithms: [3des]}\n"
      "    tunnels:\n"
      "      lan: {local: 10.1.0.0/24, remote: [10.2.0.0/16, 10.9.0.1], transform_sets: [strong, pix], pfs: "
      "group14}\n"
      "      six: {local: \"2001:db8:1::/64\", remote: \"2001:db8:2::/64\", transform_sets: strong, "
      "lifetime: "
      "{time: 30m, kilobytes: 0}}\n",
      "f.yaml");
  EXPECT_TRUE(outcome.config) << (outcome.issues.empty() ? "" : to_string(outcome.issues.front()));
  return outcome.config.value_or(conf::Config{});
}

TEST(IosConfig, IsakmpPolicies) {
  EXPECT_EQ(ios_isakmp_policies(config()), R"(Global IKE policy
Protection suite of priority 10
        encryption algorithm:   AES - Advanced Encryption Standard (256 bit keys).
        hash algorithm:         Secure Hash Standard 2 (256 bit)
        authentication method:  Pre-Shared Key
        Diffie-Hellman group:   #14 (2048 bit MODP)
        lifetime:               86400 seconds, no volume limit
Protection suite of priority 20
        encryption algorithm:   Three key triple DES
        hash algorithm:         Message Digest 5
        authentication method:  Rivest-Shamir-Adleman Signature
        Diffie-Hellman group:   #2 (1024 bit MODP)
        lifetime:               3600 seconds, no volume limit
)");
}

TEST(IosConfig, TransformSets) {
  EXPECT_EQ(ios_transform_sets(config()), R"(Transform set strong: { esp-256-aes esp-sha256-hmac }
   will negotiate = { Tunnel,  },

Transform set pix: { ah-sha-hmac } { esp-3des esp-sha-hmac }
   will negotiate = { Tunnel,  },

Transform set gre: { esp-aes esp-sha-hmac }
   will negotiate = { Transport,  },

)");
}

TEST(IosConfig, AsIos113HasThem) {
  EXPECT_EQ(ios_session_key(), "Session key lifetime: 4608000 kilobytes/3600 seconds\n");
  EXPECT_EQ(ios_transform_proposals(config()), R"(Transform proposal strong: { esp-256-aes esp-sha256-hmac }
   supported settings = { Tunnel, Transport,  },
   default settings = { Tunnel,  },
   will negotiate = { Tunnel,  },

Transform proposal pix: { ah-sha-hmac } { esp-3des esp-sha-hmac }
   supported settings = { Tunnel, Transport,  },
   default settings = { Tunnel,  },
   will negotiate = { Tunnel,  },

Transform proposal gre: { esp-aes esp-sha-hmac }
   supported settings = { Tunnel, Transport,  },
   default settings = { Transport,  },
   will negotiate = { Transport,  },

)");
}

// Of peers that may call from several addresses alone.
TEST(IosConfig, DynamicMaps) {
  conf::Config both = config();
  EXPECT_EQ(ios_dynamic_maps(both, ""), "");
  both.peers.push_back(both.peers[0]);
  both.peers[1].name = "any";
  both.peers[1].address = {conf::PeerAddress::Kind::range, "", *IpAddress::parse("198.51.100.0"),
                           *IpAddress::parse("198.51.100.255")};
  both.peers[1].tunnels.resize(1);
  const std::string maps = ios_dynamic_maps(both, "");
  EXPECT_TRUE(maps.starts_with("Crypto Map Template\"any/lan\" 10\n        Peer = 198.51.100.0")) << maps;
  EXPECT_EQ(maps.find("192.0.2.2"), std::string::npos);
  EXPECT_NE(maps.find("            access-list any/lan permit ip 10.1.0.0 0.0.0.255 10.2.0.0 0.0.255.255\n"),
            std::string::npos)
      << maps;
  EXPECT_EQ(ios_dynamic_maps(both, "b"), "");
  EXPECT_EQ(ios_dynamic_maps(both, "any/lan"), maps);
}

TEST(IosConfig, CryptoMaps) {
  EXPECT_EQ(ios_crypto_maps(config(), "b/lan"), R"(Crypto Map "b/lan" 10 ipsec-isakmp
        Peer = 192.0.2.2
        Extended IP access list b/lan
            access-list b/lan permit ip 10.1.0.0 0.0.0.255 10.2.0.0 0.0.255.255
            access-list b/lan permit ip 10.1.0.0 0.0.0.255 host 10.9.0.1
        Current peer: 192.0.2.2
        Security association lifetime: 4608000 kilobytes/3600 seconds
        PFS (Y/N): Y
        DH group:  group14
        Transform sets={
                strong: { esp-256-aes esp-sha256-hmac } ,
                pix: { ah-sha-hmac } { esp-3des esp-sha-hmac } ,
        }

)");
  const std::string all = ios_crypto_maps(config(), "");
  EXPECT_NE(all.find("access-list b/six permit 2001:db8:1::/64 === 2001:db8:2::/64\n"), std::string::npos)
      << all;
  EXPECT_NE(all.find("lifetime: no volume limit/1800 seconds\n"), std::string::npos);
  EXPECT_EQ(ios_crypto_maps(config(), "b"), all);
  EXPECT_EQ(ios_crypto_maps(config(), "c"), "");
}

TEST(IosConfig, LifeTime) {
  EXPECT_EQ(ios_sa_lifetime(), "Security association lifetime: 4608000 kilobytes/3600 seconds\n");
}

}  // namespace
}  // namespace oakgate::cli
