#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;

PeerConfig only_peer(const std::string& text, const std::string& file = "f.yaml") {
  auto outcome = parse_config(text, file);
  EXPECT_THAT(lines(outcome), ElementsAre());
  return outcome.config ? outcome.config->peers.at(0) : PeerConfig{};
}

TEST(Peers, Defaults) {
  // Every policy is the default, and the second needs a waiver.
  const PeerConfig peer = only_peer(with_peer("allow_weak: {algorithms: [3des, group2]}"));
  EXPECT_EQ(peer.name, "b");
  EXPECT_EQ(peer.address.to_string(), "192.0.2.2");
  EXPECT_EQ(peer.identity, std::nullopt);
  ASSERT_EQ(peer.policies.size(), 2U);
  EXPECT_EQ(peer.policies[0].number, 10);
  EXPECT_EQ(peer.pre_shared_key->kind, PskSource::Kind::file);
  EXPECT_EQ(peer.pre_shared_key->name, "b.psk");
  EXPECT_EQ(peer.pre_shared_key->position.line, 10);
  EXPECT_EQ(peer.nat_traversal, NatTraversal::rfc);
  EXPECT_TRUE(peer.fragmentation);
  EXPECT_EQ(peer.dpd, (DeadPeerDetection{DpdMode::on_demand, Seconds(30), Seconds(120)}));
  EXPECT_EQ(peer.position.line, 8);
  EXPECT_EQ(peer.tunnels.size(), 1U);
  EXPECT_FALSE(peer.allow_weak->until);
}

TEST(Peers, EveryFormOfNatTraversal) {
  for (const NatForm& form : nat_form_table()) {
    const std::string line = "allow_weak: {algorithms: [3des, group2]}\n    nat_traversal: ";
    EXPECT_EQ(only_peer(with_peer(line + std::string(form.word))).nat_traversal, form.id) << form.word;
  }
}

TEST(Peers, WithoutFragmentation) {
  EXPECT_FALSE(only_peer(with_peer("allow_weak: {algorithms: [3des, group2]}\n    fragmentation: false"))
                   .fragmentation);
}

TEST(Peers, WithoutDeadPeerDetection) {
  EXPECT_EQ(only_peer(with_peer("allow_weak: {algorithms: [3des, group2]}\n    dpd: off")).dpd.mode,
            DpdMode::off);
}

TEST(Peers, EveryKey) {
  const PeerConfig peer =
      only_peer(std::string(kProposals) +
                    "peers:\n"
                    "  b:\n"
                    "    address: 192.0.2.10-192.0.2.20\n"
                    "    identity: user-fqdn:b@example.net\n"
                    "    policies: [20, 10]\n"
                    "    pre_shared_key: {credential: b.psk}\n"
                    "    nat_traversal: off\n"
                    "    dpd: {interval: 10s, timeout: 1m, mode: periodic}\n"
                    "    allow_weak: {algorithms: [3des, group2, 3des, sha], until: 2027-06-30, reason: "
                    "\"until: replaced\"}\n"
                    "    tunnels: {lan: {local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: pix}}\n",
                "/etc/oakgate/f.yaml");
  EXPECT_EQ(peer.address.to_string(), "192.0.2.10-192.0.2.20");
  EXPECT_EQ(peer.identity->to_string(), "user-fqdn:b@example.net");
  ASSERT_EQ(peer.policies.size(), 2U);
  EXPECT_EQ(peer.policies[0].number, 10);  // by number, however listed
  EXPECT_EQ(peer.pre_shared_key->kind, PskSource::Kind::credential);
  EXPECT_EQ(peer.pre_shared_key->name, "b.psk");
  EXPECT_EQ(peer.nat_traversal, NatTraversal::off);
  EXPECT_EQ(peer.dpd, (DeadPeerDetection{DpdMode::periodic, Seconds(10), Seconds(60)}));
  using namespace std::chrono;
  EXPECT_EQ(
      *peer.allow_weak,
      (WeakWaiver{{Weak::des3, Weak::group2, Weak::sha}, sys_days(year(2027) / 6 / 30), "until: replaced"}));
}

// The peer's tunnels carry the cut HMAC; the declared set stays what it says.
TEST(Peers, Sha256TruncationReachesItsTunnels) {
  const std::string tunnels =
      "    pre_shared_key: {file: b.psk}\n"
      "    tunnels: {lan: {local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: [cut, other]}}\n";
  const auto sets_of = [&](const std::string& key) {
    const auto outcome = parse_config(
        "isakmp_policies: {10: {encryption: aes, hash: sha, group: 14, authentication: pre-share}}\n"
        "transform_sets: {cut: [esp-aes, esp-sha256-hmac], other: [esp-aes, esp-sha384-hmac]}\n"
        "peers:\n  b:\n    address: 192.0.2.2\n" +
            key + tunnels,
        "f.yaml");
    std::vector<std::string> sets;
    EXPECT_THAT(lines(outcome), ElementsAre());
    if (!outcome.config) return sets;
    EXPECT_EQ(to_string(outcome.config->transform_sets[0]), "esp-aes-128 esp-sha256-hmac");
    for (const TransformSet& set : outcome.config->peers[0].tunnels[0].transform_sets)
      sets.push_back(to_string(set));
    return sets;
  };
  EXPECT_THAT(sets_of("    sha256_truncation: 96\n"),
              ElementsAre("esp-aes-128 esp-sha256-hmac-96", "esp-aes-128 esp-sha384-hmac"));
  const auto usual = ElementsAre("esp-aes-128 esp-sha256-hmac", "esp-aes-128 esp-sha384-hmac");
  EXPECT_THAT(sets_of("    sha256_truncation: 128\n"), usual);
  EXPECT_THAT(sets_of(""), usual);
}

TEST(Peers, SecretPathsStartAtTheConfigurationsFolder) {
  const auto path = [](const std::string& file, const std::string& psk) {
    std::string text = with_peer("policies: [10]");
    text.replace(text.find("b.psk"), 5, psk);
    return only_peer(text, file).pre_shared_key->name;
  };
  EXPECT_EQ(path("/etc/oakgate/f.yaml", "b.psk"), "/etc/oakgate/b.psk");
  EXPECT_EQ(path("/etc/oakgate/f.yaml", "psk/b"), "/etc/oakgate/psk/b");
  EXPECT_EQ(path("/etc/oakgate/f.yaml", "/run/b"), "/run/b");
  EXPECT_EQ(path("conf/f.yaml", "b.psk"), "conf/b.psk");
}

struct Case {
  std::string peer;
  std::vector<std::string> lines;
};
class PeerErrors : public testing::TestWithParam<Case> {};
TEST_P(PeerErrors, Say) {
  EXPECT_EQ(errors(with_peer("policies: [10]")
                       .replace(std::string(kProposals).size(), std::string::npos,
                                "peers:\n  " + GetParam().peer + "\n")),
            GetParam().lines);
}

const std::string kTunnels =
    "tunnels: {l: {local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong}}}";
const std::string kGood = "b: {address: 192.0.2.2, pre_shared_key: {file: x}, policies: 10, " + kTunnels;
std::string with(const std::string& key) {
  return "b: {" + key + ", " + kGood.substr(4);
}
std::string with_psk(const std::string& psk) {
  return "b: {address: 192.0.2.2, policies: 10, pre_shared_key: " + psk + ", " + kTunnels;
}
const std::string kNoPlace =
    "f.yaml:8:41: peers.b.pre_shared_key: does not say where the key is; expected {file: PATH} or "
    "{credential: NAME}; "
    "keys themselves do not belong here";

INSTANTIATE_TEST_SUITE_P(
    Shape, PeerErrors,
    testing::Values(
        Case{kGood, {}},
        Case{
            "b:",
            {"f.yaml:8:3: peers.b: has no value; expected a map with the keys extends, address, identity, "
             "policies, "
             "pre_shared_key, trustpoint, rsa_encr, aggressive, send_certificate, allow_weak, nat_traversal, "
             "fragmentation, sha256_truncation, dpd, updown or tunnels"}},
        Case{"b: {}",
             {"f.yaml:8:3: peers.b: `address` is missing; expected where the peer is: an address, host name, "
              "range or "
              "any",
              "f.yaml:8:3: peers.b: nothing says what proves the peer; expected `pre_shared_key`, "
              "`trustpoint` or "
              "`rsa_encr`, as the authentication of its policies",
              "f.yaml:8:3: peers.b: `tunnels` is missing; expected a map of tunnels by name, at least one"}},
        Case{
            with("dpdd: {interval: 30s}"),
            {"f.yaml:8:7: peers.b.dpdd: `dpdd` is not a known key; expected extends, address, identity, "
             "policies, "
             "pre_shared_key, trustpoint, rsa_encr, aggressive, send_certificate, allow_weak, nat_traversal, "
             "fragmentation, sha256_truncation, dpd, updown or tunnels; did you mean `dpd`?"}},
        Case{
            with("identiy: address"),
            {"f.yaml:8:7: peers.b.identiy: `identiy` is not a known key; expected extends, address, "
             "identity, "
             "policies, "
             "pre_shared_key, trustpoint, rsa_encr, aggressive, send_certificate, allow_weak, nat_traversal, "
             "fragmentation, sha256_truncation, dpd, updown or tunnels; did you mean `identity`?"}},
        Case{"\"b c\": {}",
             {"f.yaml:8:3: peers.b c: `b c` cannot be a name; expected a letter or digit, then letters, "
              "digits, `.`, "
              "`_` and `-`, at most 64"}},
        Case{"yes: {}",
             {"f.yaml:8:3: peers.yes: `yes` is a boolean to other readers of YAML; expected a name, in "
              "quotes if the "
              "very word is meant"}},
        Case{with("nat_traversal: draft-04"),
             {"f.yaml:8:22: peers.b.nat_traversal: `draft-04` is not known here; expected rfc, draft-03, "
              "draft-02, draft-01, draft-00 or off; did you mean `draft-03`?"}},
        Case{with("fragmentation: yes"),
             {"f.yaml:8:22: peers.b.fragmentation: `yes` is not known here; expected true or false"}},
        Case{with("sha256_truncation: 112"),
             {"f.yaml:8:26: peers.b.sha256_truncation: `112` is not known here; expected 128 or 96"}},
        Case{with("dpd: on"),
             {"f.yaml:8:12: peers.b.dpd: is a single value; expected off, or a map like {interval: 30s, "
              "timeout: "
              "120s, mode: on-demand}"}},
        Case{with("dpd: {mode: always}"),
             {"f.yaml:8:19: peers.b.dpd.mode: `always` is not known here; expected on-demand or periodic"}},
        Case{with("dpd: {interval: 2m}"),
             {"f.yaml:8:7: peers.b.dpd: the peer would be given up before it is asked; expected a `timeout` "
              "(120s) "
              "longer than the `interval` (30s)"}}));

INSTANTIATE_TEST_SUITE_P(
    Policies, PeerErrors,
    testing::Values(
        Case{"b: {address: 192.0.2.2, pre_shared_key: {file: x}, policies: [10, 10, 11, 01, x], " + kTunnels,
             {"f.yaml:8:69: peers.b.policies: policy 10 is listed twice; expected each policy once",
              "f.yaml:8:73: peers.b.policies: there is no ISAKMP policy `11`; expected 10 or 20; did you "
              "mean `10`?",
              "f.yaml:8:77: peers.b.policies: `01` starts with a zero: other readers of YAML take that for "
              "an octal "
              "number; expected `1`, if it is decimal",
              "f.yaml:8:81: peers.b.policies: `x` is not a whole number; expected a number from 1 to 65534"}},
        Case{
            "b: {address: 192.0.2.2, pre_shared_key: {file: x}, policies: [], " + kTunnels,
            {"f.yaml:8:54: peers.b.policies: the list is empty; expected a list of ISAKMP policy numbers"}}));

INSTANTIATE_TEST_SUITE_P(
    Secrets, PeerErrors,
    testing::Values(Case{with_psk("{file: x, credential: y}"),
                         {"f.yaml:8:41: peers.b.pre_shared_key: names two places; expected {file: PATH} or "
                          "{credential: NAME}; keys "
                          "themselves do not belong here"}},
                    Case{with_psk("{}"),
                         {"f.yaml:8:41: peers.b.pre_shared_key: names no place; expected {file: PATH} or "
                          "{credential: NAME}; keys "
                          "themselves do not belong here"}},
                    Case{with_psk("{credential: ../x}"),
                         {"f.yaml:8:70: peers.b.pre_shared_key.credential: `../x` cannot be a credential's "
                          "name; expected a name as "
                          "in LoadCredential= (systemd.exec(5))"}},
                    Case{with_psk("{file: [x]}"),
                         {"f.yaml:8:58: peers.b.pre_shared_key.file: is a list; expected a path"}},
                    // A key in the wrong place is never repeated.
                    Case{with_psk("{s3cret}"), {kNoPlace}}, Case{with_psk("[s3cret]"), {kNoPlace}},
                    Case{with_psk("{file: x, s3cret: s3cret}"), {kNoPlace}},
                    Case{with_psk("s3cret"), {"f.yaml:8:57" + kNoPlace.substr(kNoPlace.find(": peers"))}}));

INSTANTIATE_TEST_SUITE_P(
    Waivers, PeerErrors,
    testing::Values(
        Case{with("allow_weak: {algorithms: [3dse, des, blowfish], until: 2027-02-30, reason: no}"),
             {"f.yaml:8:33: peers.b.allow_weak.algorithms: `3dse` is not known here; expected des, 3des, "
              "md5, sha, "
              "group1, group2, group5, group22, group23, group24, rsa-512, rsa-1024 or short-psk; did you "
              "mean `3des`?",
              "f.yaml:8:44: peers.b.allow_weak.algorithms: `blowfish` is not known here; expected des, 3des, "
              "md5, sha, "
              "group1, group2, group5, group22, group23, group24, rsa-512, rsa-1024 or short-psk",
              "f.yaml:8:62: peers.b.allow_weak.until: `2027-02-30` is no day of the calendar; expected "
              "YYYY-MM-DD",
              "f.yaml:8:82: peers.b.allow_weak.reason: `no` is a boolean to other readers of YAML; expected "
              "one line of "
              "text, in quotes if the very word is meant"}},
        Case{with("allow_weak: {until: 2027-06-30}"),
             {"f.yaml:8:7: peers.b.allow_weak: `algorithms` is missing; expected a list of des, 3des, md5, "
              "sha, group1, "
              "group2, group5, group22, group23, group24, rsa-512, rsa-1024 or short-psk"}},
        Case{with("allow_weak: 3des"),
             {"f.yaml:8:19: peers.b.allow_weak: is a single value; expected a map with the keys algorithms, "
              "until or "
              "reason"}},
        Case{
            with("allow_weak: {algorithms: des, reason: " + std::string(257, 'x') + "}"),
            {"f.yaml:8:45: peers.b.allow_weak.reason: the reason is too long; expected at most 256 bytes"}}));

}  // namespace
}  // namespace oakgate::conf
