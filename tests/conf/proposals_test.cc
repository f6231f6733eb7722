#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;

TEST(Policies, AreSortedByNumberAndTakeIosWords) {
  const auto outcome = parse_config(
      "isakmp_policies:\n"
      "  20: {encryption: aes 256, hash: sha, group: group5, authentication: pre-share, lifetime: 3600}\n"
      "  3: {encryption: aes, hash: sha512, group: 21, authentication: pre-share}\n",
      "f.yaml");
  ASSERT_TRUE(outcome.config) << lines(outcome)[0];
  const auto& policies = outcome.config->policies;
  ASSERT_EQ(policies.size(), 2U);
  EXPECT_EQ(policies[0].number, 3);
  EXPECT_EQ(to_string(policies[0]), "aes-128 sha512 group21 pre-share");
  EXPECT_EQ(policies[0].lifetime, Seconds(86400));
  EXPECT_EQ(policies[1].number, 20);
  EXPECT_EQ(to_string(policies[1]), "aes-256 sha group5 pre-share");
  EXPECT_EQ(policies[1].lifetime, Seconds(3600));
}

TEST(Policies, TakeEveryAlgorithm) {
  for (const IkeCipherInfo& cipher : ike_ciphers()) {
    for (const DhGroupInfo& group : dh_groups()) {
      const std::string text = "isakmp_policies:\n  10: {encryption: " + std::string(cipher.ios_name) +
                               ", hash: md5, group: " + std::to_string(static_cast<int>(group.id)) +
                               ", authentication: pre-share}\n";
      const auto outcome = parse_config(text, "f.yaml");
      ASSERT_TRUE(outcome.config) << lines(outcome)[0];
      EXPECT_EQ(to_string(outcome.config->policies[0]),
                std::string(cipher.name) + " md5 " + std::string(group.name) + " pre-share");
    }
  }
}

TEST(TransformSets, TakeBothFormsAndIosWords) {
  const auto outcome = parse_config(
      "transform_sets:\n"
      "  z: [esp-sha-hmac, esp-aes 256]\n"
      "  a: {transforms: [esp-3des, esp-sha-hmac], mode: tunnel}\n"
      "  g: [esp-gcm]\n"
      "  l:\n"
      "    - esp-aes-192\n"
      "    - esp-sha384-hmac\n"
      "  o: [esp-des, esp-md5-hmac]\n"
      "  x: [esp-aes-xcbc, esp-null]\n"
      "  c: [esp-ctr 192, esp-sha-hmac]\n"
      "  k: [esp-camellia, esp-sha512-hmac]\n"
      "  8: [esp-gcm8 256]\n"
      "  12: [esp-gcm12]\n"
      "  m: [esp-gmac 192]\n"
      "  pix: [ah-sha-hmac, esp-3des, esp-sha-hmac]\n"
      "  gre: {transforms: [esp-aes, esp-sha-hmac], mode: transport}\n"
      "  ah: [ah-sha256-hmac]\n"
      "  covered: [esp-aes, ah-sha-hmac]\n"
      "  small: {transforms: [comp-deflate, esp-aes, esp-sha-hmac], mode: transport}\n",
      "f.yaml");
  ASSERT_TRUE(outcome.config) << lines(outcome)[0];
  std::vector<std::string> sets;
  for (const auto& set : outcome.config->transform_sets) sets.push_back(set.name + ": " + to_string(set));
  EXPECT_THAT(sets, ElementsAre("z: esp-aes-256 esp-sha-hmac", "a: esp-3des esp-sha-hmac", "g: esp-gcm-128",
                                "l: esp-aes-192 esp-sha384-hmac", "o: esp-des esp-md5-hmac",
                                "x: esp-null esp-aes-xcbc", "c: esp-ctr-192 esp-sha-hmac",
                                "k: esp-camellia-128 esp-sha512-hmac", "8: esp-gcm8-256", "12: esp-gcm12-128",
                                "m: esp-gmac-192", "pix: ah-sha-hmac esp-3des esp-sha-hmac",
                                "gre: esp-aes-128 esp-sha-hmac transport", "ah: ah-sha256-hmac",
                                "covered: ah-sha-hmac esp-aes-128",
                                "small: esp-aes-128 esp-sha-hmac comp-deflate transport"));
}

struct Case {
  std::string text;
  std::vector<std::string> lines;
};
class ProposalErrors : public testing::TestWithParam<Case> {};
TEST_P(ProposalErrors, Say) {
  EXPECT_EQ(errors(GetParam().text), GetParam().lines);
}

std::string policy(const std::string& text) {
  return "isakmp_policies: {10: {" + text + "}}";
}
std::string set(const std::string& text) {
  return "transform_sets: {s: " + text + "}";
}

// What is offered instead, in the order of the tables.
const std::string kCiphers =
    "des, 3des, aes-128, aes-192, aes-256, camellia-128, camellia-192 or camellia-256";
const std::string kHashes = "md5, sha, sha256, sha384 or sha512";
const std::string kGroups =
    "group1, group2, group5, group14, group15, group16, group17, group18, group19, group20, group21, "
    "group22, "
    "group23, group24 or group31";
const std::string kEspFirst =
    "esp-null, esp-des, esp-3des, esp-aes-128, esp-aes-192, esp-aes-256, esp-camellia-128, esp-camellia-192, "
    "esp-camellia-256, esp-ctr-128, esp-ctr-192, esp-ctr-256, esp-gcm-128, esp-gcm-192, esp-gcm-256, "
    "esp-gcm12-128, esp-gcm12-192, esp-gcm12-256, esp-gcm8-128, esp-gcm8-192, esp-gcm8-256, esp-gmac-128, "
    "esp-gmac-192";
const std::string kAuthenticators =
    "esp-md5-hmac, esp-sha-hmac, esp-sha256-hmac, esp-sha384-hmac, esp-sha512-hmac or esp-aes-xcbc";

constexpr const char* kGoodPolicy = "encryption: aes-256, hash: sha256, group: 14, authentication: pre-share";

INSTANTIATE_TEST_SUITE_P(
    Policies, ProposalErrors,
    testing::Values(
        Case{"isakmp_policies: [10]\n",
             {"f.yaml:1:1: isakmp_policies: is a list; expected a map of ISAKMP policies by number"}},
        Case{
            "isakmp_policies: {0: {}, 65535: {}, ten: {}, 010: {}}\n",
            {"f.yaml:1:19: isakmp_policies.0: `0` is out of range; expected a number from 1 to 65534",
             "f.yaml:1:26: isakmp_policies.65535: `65535` is out of range; expected a number from 1 to 65534",
             "f.yaml:1:37: isakmp_policies.ten: `ten` is not a whole number; expected a number from 1 to "
             "65534",
             "f.yaml:1:46: isakmp_policies.010: `010` starts with a zero: other readers of YAML take that "
             "for an "
             "octal number; expected `10`, if it is decimal"}},
        Case{"isakmp_policies:\n  10: aes-256\n",
             {"f.yaml:2:7: isakmp_policies.10: is a single value; expected a map like {encryption: aes-256, "
              "hash: "
              "sha256, group: 14, authentication: pre-share}"}},
        Case{"isakmp_policies:\n  10: {}\n",
             {"f.yaml:2:3: isakmp_policies.10: `encryption` is missing; expected " + kCiphers,
              "f.yaml:2:3: isakmp_policies.10: `hash` is missing; expected " + kHashes,
              "f.yaml:2:3: isakmp_policies.10: `authentication` is missing; expected pre-share, rsa-sig, "
              "rsa-encr, rsa-encr-rev or ecdsa-sig",
              "f.yaml:2:3: isakmp_policies.10: `group` is missing; expected " + kGroups}},
        Case{policy("encryption: eas-256, hash: sha1, group: 3, authentication: rsa-sign"),
             {"f.yaml:1:36: isakmp_policies.10.encryption: `eas-256` is not known here; expected " +
                  kCiphers + "; did you mean `aes-256`?",
              "f.yaml:1:51: isakmp_policies.10.hash: `sha1` is not known here; expected " + kHashes +
                  "; did you mean `sha`?",
              "f.yaml:1:64: isakmp_policies.10.group: `3` is not a known group; expected " + kGroups +
                  "; did you mean `group1`?",
              "f.yaml:1:83: isakmp_policies.10.authentication: `rsa-sign` is not known here; expected "
              "pre-share, rsa-sig, rsa-encr, rsa-encr-rev or ecdsa-sig; did you mean `rsa-sig`?"}},
        Case{policy(std::string(kGoodPolicy) + ", lifetime: 59s"),
             {"f.yaml:1:107: isakmp_policies.10.lifetime: `59s` is too short; expected 1m to 30d"}},
        Case{policy(std::string(kGoodPolicy) + ", lifetime: 31d"),
             {"f.yaml:1:107: isakmp_policies.10.lifetime: `31d` is too long; expected 1m to 30d"}},
        Case{policy(std::string(kGoodPolicy) + ", lifetme: 1h"),
             {"f.yaml:1:97: isakmp_policies.10.lifetme: `lifetme` is not a known key; expected encryption, "
              "hash, group, "
              "authentication or lifetime; did you mean `lifetime`?"}}));

INSTANTIATE_TEST_SUITE_P(
    TransformSets, ProposalErrors,
    testing::Values(
        Case{set("[esp-gcm-256, esp-sha-hmac]"),
             {"f.yaml:1:18: transform_sets.s: `esp-gcm-256` authenticates by itself and takes no "
              "authenticator; "
              "expected `esp-gcm-256` alone, without `esp-sha-hmac`"}},
        Case{set("[esp-aes]"),
             {"f.yaml:1:18: transform_sets.s: `esp-aes-128` does not authenticate: packets could be altered "
              "unnoticed; expected an authenticator beside it: " +
              kAuthenticators}},
        Case{set("[esp-null]"),
             {"f.yaml:1:18: transform_sets.s: `esp-null` does not authenticate: packets could be altered "
              "unnoticed; expected an authenticator beside it: " +
              kAuthenticators}},
        Case{set("[esp-ctr 256]"),
             {"f.yaml:1:18: transform_sets.s: `esp-ctr-256` does not authenticate: packets could be altered "
              "unnoticed; expected an authenticator beside it: " +
              kAuthenticators}},
        Case{set("[esp-gmac, esp-md5-hmac]"),
             {"f.yaml:1:18: transform_sets.s: `esp-gmac-128` authenticates by itself and takes no "
              "authenticator; expected `esp-gmac-128` alone, without `esp-md5-hmac`"}},
        Case{set("[esp-aes, esp-sha256-hmac-96]"),
             {"f.yaml:1:31: transform_sets.s: `esp-sha256-hmac-96` is not a known transform; expected " +
              kEspFirst + ", esp-gmac-256 or another of 37; did you mean `esp-sha256-hmac`?"}},
        Case{set("[esp-sha-hmac]"),
             {"f.yaml:1:18: transform_sets.s: the set has no cipher; expected " + kEspFirst +
              " or esp-gmac-256"}},
        Case{set("[esp-3des, esp-aes, esp-sha-hmac, esp-sha-hmac]"),
             {"f.yaml:1:32: transform_sets.s: `esp-aes` is the second cipher of this set; expected one, and "
              "another "
              "transform set for the other",
              "f.yaml:1:55: transform_sets.s: `esp-sha-hmac` is the second authenticator of this set; "
              "expected one, "
              "and another transform set for the other"}},
        Case{set("[ah-sha-hmac, ah-sha256-hmac, esp-aes]"),
             {"f.yaml:1:35: transform_sets.s: `ah-sha256-hmac` is the second AH transform of this set; "
              "expected one, and another transform set for the other"}},
        Case{set("[comp-deflate]"),
             {"f.yaml:1:18: transform_sets.s: the set compresses and does not protect: it has neither a "
              "cipher nor AH; expected " +
              kEspFirst + " or esp-gmac-256"}},
        Case{set("[comp-deflate, esp-gcm, comp-deflate]"),
             {"f.yaml:1:45: transform_sets.s: `comp-deflate` is the second compression of this set; expected "
              "one, and another transform set for the other"}},
        Case{set("[comp-lzs, esp-gcm]"),
             {"f.yaml:1:22: transform_sets.s: `comp-lzs` is not a known transform; expected " + kEspFirst +
              ", esp-gmac-256 or another of 37"}},
        Case{set("[ah-sha-hmac, esp-gcm, esp-sha-hmac]"),
             {"f.yaml:1:18: transform_sets.s: `esp-gcm-128` authenticates by itself and takes no "
              "authenticator; expected `esp-gcm-128` alone, without `esp-sha-hmac`"}},
        Case{set("[]"),
             {"f.yaml:1:18: transform_sets.s: the list is empty; expected a list of transforms, like "
              "[esp-aes-256, "
              "esp-sha256-hmac]"}},
        Case{set("esp-gcm"),
             {"f.yaml:1:21: transform_sets.s: is a single value; expected a list of transforms, like "
              "[esp-aes-256, "
              "esp-sha256-hmac]"}},
        Case{set("{mode: beet, transforms: [esp-gcm]}"),
             {"f.yaml:1:28: transform_sets.s.mode: `beet` is not known here; expected tunnel or transport"}},
        Case{set("{mode: tunnel, transform: [esp-gcm]}"),
             {"f.yaml:1:18: transform_sets.s: `transforms` is missing; expected a list of transforms, like "
              "[esp-aes-256, esp-sha256-hmac]",
              "f.yaml:1:36: transform_sets.s.transform: `transform` is not a known key; expected transforms "
              "or mode; "
              "did you mean `transforms`?"}},
        Case{"transform_sets: {a b: [esp-gcm], off: [esp-gcm]}",
             {"f.yaml:1:18: transform_sets.a b: `a b` cannot be a name; expected a letter or digit, then "
              "letters, "
              "digits, `.`, `_` and `-`, at most 64",
              "f.yaml:1:34: transform_sets.off: `off` is a boolean to other readers of YAML; expected a "
              "name, in quotes "
              "if the very word is meant"}}));

}  // namespace
}  // namespace oakgate::conf
