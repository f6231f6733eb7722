// `trustpoints:`, `keys:`, `public_keys:`, and what a peer's proofs refer to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Lines 1 to 3.
constexpr std::string_view kPolicies =
    "isakmp_policies:\n"
    "  10: {encryption: aes-256, hash: sha256, group: 14, authentication: rsa-sig}\n"
    "  20: {encryption: aes-256, hash: sha256, group: 14, authentication: rsa-encr}\n"
    "  30: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share}\n"
    "  40: {encryption: aes-256, hash: sha256, group: 14, authentication: ecdsa-sig}\n"
    "  50: {encryption: aes-256, hash: sha256, group: 14, authentication: rsa-encr-rev}\n"
    "transform_sets: {strong: [esp-aes-256, esp-sha256-hmac]}\n";
constexpr std::string_view kTrust =
    "trustpoints:\n"
    "  corp: {ca: ca.pem, certificate: gw-a.pem, key: {file: gw-a.key}}\n"
    "  readers: {ca: ca.pem}\n"
    "keys:\n"
    "  gw-a-encr: {file: gw-a-encr.key, usage: encryption}\n"
    "  gw-a-sig: {file: gw-a-sig.key, usage: signature}\n"
    "public_keys:\n"
    "  wan2516.cisco.com: {key_string: \"305C300D 06092A86\"}\n"
    "  192.0.2.7: {file: wan2517.pem}\n";

std::string with_peers(const std::string& peers) {
  return std::string(kPolicies) + std::string(kTrust) + "peers:\n" + peers;
}
std::string peer(const std::string& keys, const std::string& name = "b",
                 const std::string& remote = "10.2.0.0/24") {
  return "  " + name + ": {" + keys + ", tunnels: {lan: {local: 10.1.0.0/24, remote: " + remote +
         ", transform_sets: strong}}}\n";
}
Config config_of(const std::string& text, const std::string& file = "f.yaml") {
  auto outcome = parse_config(text, file);
  EXPECT_THAT(lines(outcome), IsEmpty());
  return outcome.config.value_or(Config{});
}

TEST(Trust, EveryKeyOfATrustpoint) {
  const Config config = config_of(
      "trustpoints:\n"
      "  corp:\n"
      "    ca: [root.pem, sub.pem]\n"
      "    certificate: gw-a.pem\n"
      "    key: {file: gw-a.key}\n"
      "    encryption_certificate: gw-a-encr.pem\n"
      "    encryption_key: encr\n"
      "    extended_key_usage: any\n"
      "    revocation: crl-optional\n"
      "    crl: {files: corp.crl, urls: [http://ca.example/corp.crl, ldap://ca.example/CN=x], ldap: "
      "ldap://ca.example}\n"
      "    ocsp: {urls: [http://ocsp.example]}\n"
      "    enrollment: {url: http://ca.example/cgi-bin/pkiclient.exe, mode: ra, retry_period: 5m, "
      "retry_count: "
      "20}\n"
      "    allow_weak: {algorithms: [md5, rsa-1024], until: 2027-06-30}\n"
      "keys: {encr: {file: /keys/encr.key, usage: encryption}}\n",
      "/etc/oakgate/f.yaml");
  ASSERT_EQ(config.trustpoints.size(), 1U);
  using namespace std::chrono;
  EXPECT_EQ(
      config.trustpoints[0],
      (TrustpointConfig{
          "corp",
          {"/etc/oakgate/root.pem", "/etc/oakgate/sub.pem"},
          OwnCertificateFiles{"/etc/oakgate/gw-a.pem",
                              {"corp", "/etc/oakgate/gw-a.key", KeyUsage::signature}},
          OwnCertificateFiles{"/etc/oakgate/gw-a-encr.pem", {"encr", "/keys/encr.key", KeyUsage::encryption}},
          ExtendedKeyUsage::any,
          RevocationCheck::crl_optional,
          {{"/etc/oakgate/corp.crl"},
           {"http://ca.example/corp.crl", "ldap://ca.example/CN=x"},
           "ldap://ca.example"},
          {"http://ocsp.example"},
          EnrollmentSettings{"http://ca.example/cgi-bin/pkiclient.exe", EnrollmentMode::ra, Seconds(300), 20},
          WeakWaiver{{Weak::md5, Weak::rsa_1024}, sys_days(year(2027) / 6 / 30), ""}}));
  EXPECT_EQ(find_trustpoint(config, "corp"), &config.trustpoints[0]);
  EXPECT_EQ(find_trustpoint(config, "corporation"), nullptr);
}

TEST(Trust, Defaults) {
  const Config config = config_of(
      "trustpoints: {corp: {ca: ca.pem, certificate: c.pem, key: {file: k.pem}}}\n"
      "keys: {k: {file: g.key}}\n");
  const TrustpointConfig& corp = config.trustpoints.at(0);
  EXPECT_EQ(corp.revocation, RevocationCheck::crl);
  EXPECT_EQ(corp.extended_key_usage, ExtendedKeyUsage::ike);
  EXPECT_EQ(corp.own->key, (KeyConfig{"corp", "k.pem", KeyUsage::general}));
  EXPECT_FALSE(corp.own_encryption || corp.enrollment);
  EXPECT_EQ(config.keys.at(0), (KeyConfig{"k", "g.key", KeyUsage::general}));
  EXPECT_EQ(EnrollmentSettings{}.retry_period, Seconds(60));
}

TEST(Trust, EveryPrivateKeyOnce) {
  const Config config = config_of(
      "keys: {a: {file: a.key}, b: {file: b.key}}\n"
      "trustpoints:\n"
      "  one: {ca: ca.pem, certificate: c.pem, key: a}\n"
      "  two: {ca: ca.pem, certificate: d.pem, key: {file: d.key}, encryption_certificate: e.pem, "
      "encryption_key: {file: e.key}}\n");
  std::vector<std::string> names;
  std::vector<std::string> paths;
  for (const KeyConfig& key : all_keys(config)) {
    names.push_back(key.name);
    paths.push_back(key_path(key, config));
  }
  EXPECT_THAT(names, ElementsAre("a", "b", "two", "two encryption"));
  EXPECT_THAT(paths,
              ElementsAre("keys.a", "keys.b", "trustpoints.two.key", "trustpoints.two.encryption_key"));
  EXPECT_EQ(position_of(config, "trustpoints.two.encryption_key").line, 4);
  EXPECT_EQ(position_of(config, "keys.b").column, 26);
  EXPECT_EQ(position_of(config, "nowhere").line, 0);
}

TEST(Trust, EveryKeyOfAPeer) {
  const Config config = config_of(with_peers(peer(
      "address: 192.0.2.2, identity: \"dn:CN=b,O=corp\", trustpoint: corp, send_certificate: always, "
      "aggressive: true, pre_shared_key: {file: x}, rsa_encr: {peer_key: [wan2516.cisco.com, 192.0.2.7], "
      "own_key: gw-a-encr, skeyid: ios}")));
  const PeerConfig& b = config.peers.at(0);
  EXPECT_EQ(b.identity->to_string(), "dn:CN=b,O=corp");
  EXPECT_EQ(b.trustpoint, "corp");
  EXPECT_EQ(b.send_certificate, SendCertificate::always);
  EXPECT_TRUE(b.aggressive);
  EXPECT_THAT(b.rsa_encr->peer_keys, ElementsAre("wan2516.cisco.com", "192.0.2.7"));
  EXPECT_EQ(b.rsa_encr->own_key, "gw-a-encr");
  EXPECT_EQ(b.rsa_encr->skeyid, SkeyidForm::ios);
  EXPECT_EQ(b.policies.size(), 5U);
  EXPECT_EQ(config.public_keys.at(0).key_string, *from_hex("305C300D06092A86"));
  EXPECT_EQ(config.public_keys.at(1).file, "wan2517.pem");
}

// Without `policies` a peer gets those that it has the means for.
TEST(Trust, PoliciesFollowTheMeans) {
  const auto numbers = [](const std::string& keys) {
    std::vector<int> all;
    const Config config = config_of(with_peers(peer("address: 192.0.2.2, " + keys)));
    if (config.peers.empty()) return all;
    for (const IsakmpPolicy& policy : config.peers[0].policies) all.push_back(policy.number);
    return all;
  };
  EXPECT_THAT(numbers("pre_shared_key: {file: x}"), ElementsAre(30));
  EXPECT_THAT(numbers("trustpoint: corp"), ElementsAre(10, 40));
  EXPECT_THAT(numbers("rsa_encr: {peer_key: 192.0.2.7, own_key: gw-a-encr}"), ElementsAre(20, 50));
  EXPECT_THAT(numbers("pre_shared_key: {file: x}, trustpoint: corp"), ElementsAre(10, 30, 40));
  EXPECT_THAT(numbers("pre_shared_key: {file: x}, trustpoint: corp, policies: 40"), ElementsAre(40));
}

TEST(Trust, NoPolicyFits) {
  EXPECT_THAT(
      errors("isakmp_policies: {10: {encryption: aes-256, hash: sha256, group: 14, authentication: "
             "pre-share}}\n"
             "transform_sets: {strong: [esp-gcm-256]}\n" +
             std::string(kTrust) + "peers:\n" + peer("address: 192.0.2.2, trustpoint: corp")),
      ElementsAre("f.yaml:13:3: peers.b: no ISAKMP policy is of a method it is configured for; expected "
                  "one with the authentication rsa-sig or ecdsa-sig under isakmp_policies"));
}

struct Case {
  std::string keys;
  std::vector<std::string> lines;
};
class ProofErrors : public testing::TestWithParam<Case> {};
TEST_P(ProofErrors, Say) {
  EXPECT_EQ(errors(with_peers(peer("address: 192.0.2.2, " + GetParam().keys))), GetParam().lines);
}
INSTANTIATE_TEST_SUITE_P(
    All, ProofErrors,
    testing::Values(
        Case{"policies: [10, 20, 30, 40]",
             {"f.yaml:18:3: peers.b: `trustpoint` is missing: policy 10 is rsa-sig; expected the name of one "
              "of "
              "`trustpoints`",
              "f.yaml:18:3: peers.b: `rsa_encr` is missing: policy 20 is rsa-encr; expected a map like "
              "{peer_key: "
              "branch.example.net, own_key: gw-a-encr}",
              "f.yaml:18:3: peers.b: `pre_shared_key` is missing: policy 30 is pre-share; expected {file: "
              "PATH} or "
              "{credential: NAME}; keys themselves do not belong here"}},
        Case{"trustpoint: crop",
             {"f.yaml:18:39: peers.b.trustpoint: there is no trustpoint `crop`; expected corp or readers; "
              "did you "
              "mean `corp`?"}},
        Case{"trustpoint: readers",
             {"f.yaml:18:39: peers.b.trustpoint: trustpoint `readers` has no certificate of ours, which is "
              "to prove "
              "us; expected `certificate` and `key` in trustpoints.readers (the files may come later, by "
              "`oakgate "
              "pki enroll`)"}},
        Case{
            "rsa_encr: {peer_key: [wan2517.cisco.com, 192.0.2.7, 192.0.2.7], own_key: gw-a-enc, skeyid: "
            "cisco}",
            {"f.yaml:18:49: peers.b.rsa_encr.peer_key: there is no public key `wan2517.cisco.com`; expected "
             "192.0.2.7 or wan2516.cisco.com; did you mean `wan2516.cisco.com`?",
             "f.yaml:18:79: peers.b.rsa_encr.peer_key: public key `192.0.2.7` is listed twice; expected each "
             "key "
             "once",
             "f.yaml:18:100: peers.b.rsa_encr.own_key: there is no key `gw-a-enc`; expected gw-a-encr or "
             "gw-a-sig; "
             "did you mean `gw-a-encr`?",
             "f.yaml:18:118: peers.b.rsa_encr.skeyid: `cisco` is not known here; expected auto, rfc or ios"}},
        Case{"rsa_encr: {peer_key: 192.0.2.7, own_key: gw-a-sig}",
             {"f.yaml:18:68: peers.b.rsa_encr.own_key: `gw-a-sig` is of usage signature, and the key here "
              "decrypts; "
              "expected a key of usage encryption: one key never does both"}},
        Case{"rsa_encr: {}",
             {"f.yaml:18:27: peers.b.rsa_encr: `peer_key` is missing; expected the name of one of "
              "`public_keys`, or a "
              "list of names",
              "f.yaml:18:27: peers.b.rsa_encr: `own_key` is missing; expected the name of one of `keys`"}},
        Case{"rsa_encr: gw-a-encr",
             {"f.yaml:18:37: peers.b.rsa_encr: is a single value; expected a map like {peer_key: "
              "branch.example.net, own_key: gw-a-encr}"}},
        Case{"trustpoint: corp, aggressive: yes, send_certificate: sometimes",
             {"f.yaml:18:57: peers.b.aggressive: `yes` is not known here; expected true or false",
              "f.yaml:18:80: peers.b.send_certificate: `sometimes` is not known here; expected always, "
              "on-request "
              "or never"}}));

class SectionErrors : public testing::TestWithParam<Case> {};
TEST_P(SectionErrors, Say) {
  EXPECT_EQ(errors("keys: {s: {file: s.key, usage: signature}, e: {file: e.key, usage: encryption}, t: "
                   "{file: t.key}}\n" +
                   GetParam().keys + "\n"),
            GetParam().lines);
}
INSTANTIATE_TEST_SUITE_P(
    All, SectionErrors,
    testing::Values(
        Case{"trustpoints: {corp: {}}",
             {"f.yaml:2:15: trustpoints.corp: `ca` is missing; expected the CA certificate's file, or a list "
              "of "
              "files"}},
        Case{"trustpoints: {corp: {ca: [a, a], crls: b}}",
             {"f.yaml:2:30: trustpoints.corp.ca: `a` is listed twice; expected each file once",
              "f.yaml:2:34: trustpoints.corp.crls: `crls` is not a known key; expected ca, certificate, key, "
              "encryption_certificate, encryption_key, extended_key_usage, revocation, crl, ocsp, enrollment "
              "or allow_weak; did "
              "you mean "
              "`crl`?"}},
        Case{"trustpoints: {corp: {ca: a, certificate: c}}",
             {"f.yaml:2:15: trustpoints.corp: `key` is missing; expected the certificate's key: {file: "
              "PATH}, or the "
              "name of one of `keys`"}},
        Case{"trustpoints: {corp: {ca: a, encryption_key: e}}",
             {"f.yaml:2:15: trustpoints.corp: `encryption_certificate` is missing; expected the path of our "
              "certificate's file, and `encryption_key` with it"}},
        Case{"trustpoints: {corp: {ca: a, certificate: c, key: e, encryption_certificate: d, encryption_key: "
             "s}}",
             {"f.yaml:2:50: trustpoints.corp.key: `e` is of usage encryption, and the key here signs; "
              "expected a key "
              "of another usage: one key never does both",
              "f.yaml:2:96: trustpoints.corp.encryption_key: `s` is of usage signature, and the key here "
              "decrypts; "
              "expected a key of another usage: one key never does both"}},
        Case{"trustpoints: {corp: {ca: a, certificate: c, key: u}}",
             {"f.yaml:2:50: trustpoints.corp.key: there is no key `u`; expected e, s or t"}},
        Case{"trustpoints: {t: {ca: a, certificate: c, key: {file: k}}}",
             {"f.yaml:2:42: trustpoints.t.key: the key would be called `t`, as one of `keys` is already; "
              "expected "
              "`key: t`, if that one is meant, or another name there"}},
        // One key for both purposes, by name and by file.
        Case{"trustpoints: {corp: {ca: a, certificate: c, key: t, encryption_certificate: d, encryption_key: "
             "t}}",
             {"f.yaml:2:15: trustpoints.corp.encryption_key: the key in `t.key` decrypts here and signs for "
              "trustpoints.corp.key (line 2); expected a key for each: one key never does both"}},
        Case{"trustpoints: {corp: {ca: a, certificate: c, key: {file: e.key}, encryption_certificate: d, "
             "encryption_key: e}}",
             {"f.yaml:2:15: trustpoints.corp.encryption_key: the key in `e.key` decrypts here and signs for "
              "trustpoints.corp.key (line 2); expected a key for each: one key never does both"}},
        Case{"trustpoints: {corp: {ca: a, revocation: clr, crl: {files: f, url: u}, ocsp: {}, enrollment: "
             "{mode: x}}}",
             {"f.yaml:2:41: trustpoints.corp.revocation: `clr` is not known here; expected crl, crl-optional "
              "or none; "
              "did you mean `crl`?",
              "f.yaml:2:62: trustpoints.corp.crl.url: `url` is not a known key; expected files, urls or "
              "ldap; did you "
              "mean `urls`?",
              "f.yaml:2:71: trustpoints.corp.ocsp: `urls` is missing; expected a list of URLs",
              "f.yaml:2:81: trustpoints.corp.enrollment: `url` is missing; expected the SCEP server's URL",
              "f.yaml:2:100: trustpoints.corp.enrollment.mode: `x` is not known here; expected ca or ra"}},
        Case{"trustpoints: {corp: {ca: a, crl: {urls: [ftp://a/b], ldap: http://a}, ocsp: {urls: ldap://a}}}",
             {"f.yaml:2:42: trustpoints.corp.crl.urls: `ftp://a/b` is not a URL we can fetch from; expected "
              "http://HOST/... or https://HOST/... or ldap://HOST/...",
              "f.yaml:2:60: trustpoints.corp.crl.ldap: `http://a` is not a URL we can fetch from; expected "
              "ldap://HOST/...",
              "f.yaml:2:84: trustpoints.corp.ocsp.urls: `ldap://a` is not a URL we can fetch from; expected "
              "http://HOST/... or https://HOST/..."}},
        Case{"trustpoints: {corp: {ca: a, enrollment: {url: \"http://a\", retry_period: 0s, retry_count: "
             "01}}}",
             {"f.yaml:2:73: trustpoints.corp.enrollment.retry_period: `0s` is too short; expected 1s to 1d",
              "f.yaml:2:90: trustpoints.corp.enrollment.retry_count: `01` starts with a zero: other readers "
              "of YAML "
              "take that for an octal number; expected `1`, if it is decimal"}},
        Case{"public_keys: {a: {}, b: {file: x, key_string: 3000}, c: {key_string: 30zz}, d: {key_string: "
             "0400}}",
             {"f.yaml:2:15: public_keys.a: names no key; expected {file: PATH} or {key_string: \"305C300D "
              "...\"}",
              "f.yaml:2:22: public_keys.b: names two keys; expected {file: PATH} or {key_string: \"305C300D "
              "...\"}",
              "f.yaml:2:70: public_keys.c.key_string: `30zz` is not hexadecimal; expected the hexadecimal "
              "behind `Key "
              "Data:` of `show crypto key mypubkey rsa`",
              "f.yaml:2:93: public_keys.d.key_string: `0400` is not a public key; expected the hexadecimal "
              "behind `Key "
              "Data:` of `show crypto key mypubkey rsa`"}}));

TEST(Trust, KeysErrors) {
  EXPECT_THAT(
      errors("keys: {a: {usage: sign}, b: x}\n"),
      ElementsAre("f.yaml:1:8: keys.a: `file` is missing; expected the path of the private key's file",
                  "f.yaml:1:19: keys.a.usage: `sign` is not known here; expected general, signature or "
                  "encryption",
                  "f.yaml:1:29: keys.b: is a single value; expected a map like {file: gw-a.key, usage: "
                  "encryption}"));
}

// RFC 4754 section 3: its methods are a curve with a hash each.
TEST(Trust, EcdsaNeedsAHashOfItsCurve) {
  EXPECT_THAT(
      errors(
          "isakmp_policies: {1: {encryption: aes-256, hash: sha, group: 19, authentication: ecdsa-sig}}\n"),
      ElementsAre(
          "f.yaml:1:82: isakmp_policies.1.authentication: `ecdsa-sig` does not go with the hash `sha`; "
          "expected the hash sha256 (P-256), sha384 (P-384) or sha512 (P-521)"));
}

TEST(Trust, OneKeyForOwnCertificateAndRsaEncr) {
  EXPECT_THAT(
      errors(std::string(kPolicies) +
             "keys: {k: {file: k.key}}\n"
             "trustpoints: {corp: {ca: ca.pem, certificate: c.pem, key: k}}\n"
             "public_keys: {p: {file: p.pem}}\n"
             "peers:\n" +
             peer("address: 192.0.2.2, rsa_encr: {peer_key: p, own_key: k}")),
      ElementsAre("f.yaml:12:27: peers.b.rsa_encr.own_key: the key in `k.key` decrypts here and signs for "
                  "trustpoints.corp.key (line 9); expected a key for each: one key never does both"));
}

// ---- peers at one address ------------------------------------------------------------------------------

TEST(Trust, SignedIdentitiesTellPeersOfOneAddressApart) {
  const std::string at = "address: 192.0.2.2, ";
  EXPECT_THAT(errors(with_peers(peer(at + "trustpoint: corp, identity: hostname:a", "a") +
                                peer(at + "trustpoint: corp, identity: \"dn:CN=b\"", "b", "10.3.0.0/24"))),
              IsEmpty());
  // Aggressive Mode says who it is in its first message.
  EXPECT_THAT(
      errors(with_peers(peer(at + "pre_shared_key: {file: x}, aggressive: true, identity: hostname:a", "a") +
                        peer(at + "pre_shared_key: {file: x}, aggressive: true, identity: hostname:b", "b",
                             "10.3.0.0/24"))),
      IsEmpty());
  for (const char* second : {"trustpoint: corp", "trustpoint: corp, identity: hostname:a",
                             "trustpoint: corp, pre_shared_key: {file: x}, identity: hostname:b",
                             "rsa_encr: {peer_key: 192.0.2.7, own_key: gw-a-encr}, identity: hostname:b"}) {
    EXPECT_THAT(errors(with_peers(peer(at + "trustpoint: corp, identity: hostname:a", "a") +
                                  peer(at + second, "b", "10.3.0.0/24"))),
                testing::SizeIs(1))
        << second;
  }
}

TEST(Trust, AggressiveModeWithAPreSharedKeyIsWarnedOf) {
  const auto warned = [](const std::string& keys) {
    std::vector<std::string> all;
    for (const Issue& issue :
         parse_config(with_peers(peer("address: 192.0.2.2, " + keys)), "f.yaml").warnings)
      all.push_back(to_string(issue));
    return all;
  };
  EXPECT_THAT(
      warned("pre_shared_key: {file: x}, aggressive: true"),
      ElementsAre("f.yaml:18:3: peers.b.aggressive: Aggressive Mode with a pre-shared key lets anybody who "
                  "asks for it, or listens, guess the key offline; expected Main Mode where the peer can do "
                  "it, otherwise a long random key"));
  EXPECT_THAT(warned("pre_shared_key: {file: x}"), IsEmpty());
  EXPECT_THAT(warned("trustpoint: corp, aggressive: true"), IsEmpty());
}

}  // namespace
}  // namespace oakgate::conf
