#include "daemon/probe/probe.h"

#include <gmock/gmock.h>

#include <map>

#include "daemon/cli/probe.h"

namespace oakgate::probe {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

// A machine on which everything is well, until a test spoils something.
class FakeMachine final : public Environment {
 public:
  Result<std::vector<StateTrial>> try_states(std::span<const TransformSet> sets) override {
    if (no_esp) return fail(*no_esp);
    std::vector<StateTrial> trials;
    for (const TransformSet& set : sets) {
      StateTrial trial{Family::ipv4, IpsecProtocol::esp, set, {}};
      if (set.cipher == lacks)
        trial.refused = Error{ErrorCode::unsupported, "this kernel lacks it", {}, "modprobe it", {}};
      trials.push_back(trial);
    }
    return trials;
  }
  Result<void> try_encapsulation(Family, bool marker) override {
    encapsulations.push_back(marker);
    return encapsulation;
  }
  Result<void> try_interface() override { return interface; }
  Result<bool> try_offload(const KernelTies&, const IpAddress&) override { return offload; }
  Result<void> try_tun() override { return tun; }
  Result<void> try_raw(Family, IpsecProtocol) override { return {}; }
  std::optional<std::string> setting(const std::string& name) override {
    const auto found = settings.find(name);
    return found == settings.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<OwnAddress> addresses() override { return own; }
  Result<void> try_port(const IpAddress&, std::uint16_t port) override {
    if (!taken.contains(port)) return {};
    return fail(ErrorCode::in_use, "in use");
  }
  std::string holder(std::uint16_t port) override { return taken[port]; }
  Result<RouteTo> route_to(const IpAddress& to) override {
    if (to == nowhere) return fail(ErrorCode::not_found, "no route");
    return RouteTo{to == own.front().address ? "lo" : "eth0", own.front().address};
  }
  Result<std::vector<IpAddress>> resolve(const std::string& name) override {
    if (name == "known.example") return std::vector{address("192.0.2.7")};
    return fail(ErrorCode::not_found, "Name or service not known");
  }
  Rulesets rulesets() override { return rules; }
  ClockState clock() override { return time; }
  Result<std::vector<CertificateDates>> certificates(const std::string& file) override { return dates[file]; }

  std::optional<Error> no_esp;
  std::optional<EspCipher> lacks;
  std::vector<bool> encapsulations;
  Result<void> encapsulation, interface, tun;
  Result<bool> offload = true;
  std::map<std::string, std::string> settings{{"net/ipv4/ip_forward", "1"},
                                              {"net/ipv4/conf/all/rp_filter", "0"},
                                              {"net/ipv4/conf/eth0/rp_filter", "2"},
                                              {"net/ipv4/conf/all/send_redirects", "1"}};
  std::vector<OwnAddress> own{{address("192.0.2.1"), "eth0"}, {address("10.1.0.1"), "eth1"}};
  std::map<std::uint16_t, std::string> taken;
  IpAddress nowhere = address("203.0.113.1");
  Rulesets rules;
  ClockState time{WallTime(std::chrono::seconds(1'800'000'000)), true};
  std::map<std::string, std::vector<CertificateDates>> dates;
};

class ProbeTest : public ::testing::Test {
 protected:
  ProbeTest() {
    set_.name = "strong";
    set_.cipher = EspCipher::aes_256;
    set_.integrity = Integrity::sha256;
    add_peer("branch", "192.0.2.2");
  }
  conf::PeerConfig& add_peer(const std::string& name, const char* at) {
    conf::PeerConfig peer;
    peer.name = name;
    peer.address.first = peer.address.last = address(at);
    conf::TunnelConfig tunnel;
    tunnel.name = "lan";
    tunnel.pairs.push_back({{*Subnet::parse("10.1.0.0/24")}, {*Subnet::parse("10.2.0.0/24")}});
    tunnel.transform_sets.push_back(set_);
    peer.tunnels.push_back(tunnel);
    config_.peers.push_back(peer);
    return config_.peers.back();
  }
  conf::TunnelConfig& tunnel() { return config_.peers.front().tunnels.front(); }
  Findings run() { return probe(config_, machine_); }
  // Those of one topic that are not ok.
  Findings bad(const std::string& topic) {
    Findings found;
    for (Finding& one : run()) {
      if (one.severity != Severity::ok && one.topic == topic) found.push_back(std::move(one));
    }
    return found;
  }

  TransformSet set_;
  conf::Config config_;
  FakeMachine machine_;
};

MATCHER_P2(Says, severity, text, "") {
  return arg.severity == severity && arg.text.find(text) != std::string::npos;
}

TEST_F(ProbeTest, WhereAllIsWellNothingIsWrong) {
  EXPECT_THAT(run(), Each(Field(&Finding::severity, Severity::ok)));
  EXPECT_THAT(run(), Contains(Says(Severity::ok, "the kernel has ESP")));
  EXPECT_THAT(run(), Contains(Says(Severity::ok, "UDP port 4500 is free")));
  EXPECT_THAT(run(), Contains(Says(Severity::ok, "no rule was found that blocks")));
}

TEST_F(ProbeTest, AnAlgorithmThatTheKernelLacks) {
  machine_.lacks = EspCipher::aes_256;
  EXPECT_THAT(bad("algorithms"),
              ElementsAre(Says(Severity::warning, "tunnel branch/lan (transform set strong)")));
  EXPECT_THAT(run(), Contains(Says(Severity::ok, "software data plane carries what the kernel cannot")));
  config_.gateway.data_plane = conf::DataPlaneChoice::kernel;
  const Findings errors = bad("algorithms");
  ASSERT_THAT(errors, ElementsAre(Says(Severity::error, "this kernel lacks it")));
  EXPECT_EQ("modprobe it", errors.front().remedy);
}

TEST_F(ProbeTest, AKernelWithoutEsp) {
  machine_.no_esp = Error{ErrorCode::unsupported, "no XFRM here", {}, "load it", {}};
  EXPECT_THAT(bad("data-plane"), ElementsAre(Says(Severity::warning, "no XFRM here")));
  machine_.tun = fail(ErrorCode::not_found, "no /dev/net/tun");
  EXPECT_THAT(bad("data-plane"), Contains(Says(Severity::error, "no /dev/net/tun")));
  tunnel().ties.mark = {7, 0xff};
  EXPECT_THAT(bad("data-plane"), Contains(Says(Severity::error, "tunnel branch/lan has a mark")));
}

TEST_F(ProbeTest, WhatATunnelIsTiedTo) {
  tunnel().ties.interface = TunnelInterface{.name = "ipsec7", .if_id = 7};
  tunnel().ties.offload = Offload::crypto;
  EXPECT_THAT(bad("interfaces"), IsEmpty());
  machine_.interface = fail(ErrorCode::unsupported, "no such devices", "", "modprobe xfrm_interface");
  EXPECT_THAT(bad("interfaces"), ElementsAre(Says(Severity::error, "tunnel branch/lan: no such devices")));
  machine_.offload = false;
  EXPECT_THAT(bad("offload"), ElementsAre(Says(Severity::warning, "nothing is offloaded")));
  machine_.offload = fail(ErrorCode::unsupported, "refused");
  EXPECT_THAT(bad("offload"), ElementsAre(Says(Severity::error, "refused")));
}

TEST_F(ProbeTest, TheFormsOfNatTraversalThatAreConfigured) {
  EXPECT_THAT(run(), Not(IsEmpty()));
  EXPECT_EQ((std::vector<bool>{false}), machine_.encapsulations);
  config_.peers.front().nat_traversal = NatTraversal::draft_00;
  machine_.encapsulation = fail(ErrorCode::unsupported, "Protocol not available");
  const Findings errors = bad("nat-traversal");
  ASSERT_EQ(1U, errors.size());
  EXPECT_THAT(errors.front().remedy, HasSubstr("draft-02"));
}

TEST_F(ProbeTest, PortsThatAreTaken) {
  machine_.taken = {{500, "charon (pid 12)"}, {4500, "oakgated (pid 34)"}};
  EXPECT_THAT(bad("ports"),
              ElementsAre(Says(Severity::error, "UDP port 500 of 0.0.0.0 is taken by charon (pid 12)")));
  EXPECT_THAT(run(), Contains(Says(Severity::ok, "held by oakgated")));
}

TEST_F(ProbeTest, FirewallsOfBothKinds) {
  machine_.rules.nftables = R"({"nftables": [{"chain": {"family": "inet", "table": "filter", "name": "input",
    "hook": "input", "policy": "drop"}}, {"rule": {"family": "inet", "table": "filter", "chain": "input", "expr":
    [{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 500}},
    {"accept": null}]}}]})";
  EXPECT_THAT(bad("firewall"),
              ElementsAre(Says(Severity::error,
                               "inbound UDP port 4500 over IPv4 is blocked by table inet filter chain input"),
                          Says(Severity::error, "inbound ESP (protocol 50) over IPv4 is blocked")));
  machine_.rules.nftables.clear();
  machine_.rules.iptables = "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 192.0.2.9/32 -j DROP\n";
  EXPECT_THAT(bad("firewall"),
              Contains(Says(Severity::warning, "outbound UDP port 500 over IPv4 may be blocked")));
  machine_.rules = {};
  machine_.rules.unreadable = "nft needs root";
  EXPECT_THAT(bad("firewall"), ElementsAre(Says(Severity::warning, "cannot be read: nft needs root")));
}

TEST_F(ProbeTest, PeersThatCannotBeReached) {
  add_peer("lost", "203.0.113.1");
  add_peer("self", "192.0.2.1");
  conf::PeerConfig& named = add_peer("named", "192.0.2.3");
  named.address.kind = conf::PeerAddress::Kind::host_name;
  named.address.host_name = "unknown.example";
  EXPECT_THAT(bad("peers"),
              ElementsAre(Says(Severity::error, "peer lost: there is no route to 203.0.113.1"),
                          Says(Severity::error, "peer self: 192.0.2.1 is an address of this machine"),
                          Says(Severity::error, "peer named: the name unknown.example has no address")));
}

TEST_F(ProbeTest, SettingsOfTheKernel) {
  machine_.settings["net/ipv4/ip_forward"] = "0";
  machine_.settings["net/ipv4/conf/eth0/rp_filter"] = "1";
  machine_.own.push_back({address("10.1.0.2"), "eth0"});
  EXPECT_THAT(bad("forwarding"), ElementsAre(Says(Severity::error, "IPv4 is not forwarded")));
  EXPECT_THAT(bad("rp_filter"), ElementsAre(Says(Severity::warning, "eth0 filters strictly")));
  EXPECT_THAT(bad("redirects"), ElementsAre(Says(Severity::warning, "eth0 leads to the LAN and to peers")));
}

TEST_F(ProbeTest, ClockCertificatesAndWaivers) {
  machine_.time.synchronized = false;
  TrustpointConfig trustpoint;
  trustpoint.name = "corp";
  trustpoint.ca = {"ca.pem", "new.pem", "old.pem", "soon.pem"};
  config_.trustpoints.push_back(trustpoint);
  const WallTime now = machine_.time.now;
  const auto day = std::chrono::days(1);
  machine_.dates["new.pem"] = {{"CN=new", now + day, now + day * 9}};
  machine_.dates["old.pem"] = {{"CN=old", now - day * 9, now - day}};
  machine_.dates["soon.pem"] = {{"CN=soon", now - day * 9, now + day}};
  config_.peers.front().allow_weak =
      WeakWaiver{{}, std::chrono::floor<std::chrono::days>(now - day * 9), "old"};
  EXPECT_THAT(bad("clock"), ElementsAre(Says(Severity::warning, "certificates and revocation lists")));
  EXPECT_THAT(bad("certificates"), ElementsAre(Says(Severity::warning, "ca.pem is not there yet"),
                                               Says(Severity::error, "CN=new is not valid before 2027-01-16"),
                                               Says(Severity::error, "CN=old ended on 2027-01-14"),
                                               Says(Severity::warning, "CN=soon ends on 2027-01-16")));
  EXPECT_THAT(bad("waivers"), ElementsAre(Says(Severity::warning, "peer branch: its allow_weak has ended")));
}

TEST(ProbeText, ALineForEachAndWhatMendsIt) {
  const Findings findings{{Severity::ok, "clock", "well", ""},
                          {Severity::error, "ports", "bad\x1b", "stop it"}};
  EXPECT_EQ("ok      clock: well\nerror   ports: bad\\x1b\n        to mend it: stop it\n",
            cli::findings_text(findings));
  const auto json = cli::findings_json(findings);
  EXPECT_EQ("ok", json[0]["severity"]);
  EXPECT_FALSE(json[0].contains("remedy"));
  EXPECT_EQ("stop it", json[1]["remedy"]);
}

}  // namespace
}  // namespace oakgate::probe
