// `status --json` is a stable interface: its whole text is fixed here.
#include "daemon/status_json.h"

#include <gtest/gtest.h>

#include "tests/daemon/snapshots.h"

namespace oakgate {
namespace {

TEST(StatusJson, IsWhatIsDocumented) {
  EXPECT_EQ(status_json(test::status_input(), false).dump(1), R"({
 "version": 1,
 "gateway": "gw-a",
 "data_plane": "software",
 "peers": [
  {
   "name": "branch-7",
   "address": "192.0.2.2",
   "state": "established",
   "isakmp_sa": {
    "state": "QM_IDLE",
    "role": "initiator",
    "local": "192.0.2.1:500",
    "remote": "192.0.2.2:500",
    "initiator_cookie": "0102030405060708",
    "responder_cookie": "f1f2f3f4f5f6f7f8",
    "policy": "aes-256 sha256 group14 pre-share",
    "remote_identity": "192.0.2.2",
    "nat": "none",
    "established_at": "2026-11-20T18:08:04Z",
    "rekey_in_s": 78000,
    "expires_in_s": 79020
   },
   "last_error": null,
   "tunnels": [
    {
     "name": "lan",
     "state": "up",
     "last_error": null,
     "sas": [
      {
       "local": "10.1.0.0/24",
       "remote": "10.2.0.0/24",
       "narrowed": false,
       "role": "current",
       "in": [
        {
         "protocol": "esp",
         "spi": "0x1925112f"
        }
       ],
       "out": [
        {
         "protocol": "esp",
         "spi": "0x00662500"
        }
       ],
       "algorithms": "esp-aes-256 esp-sha256-hmac",
       "bytes_in": 1024,
       "bytes_out": 2048,
       "packets_in": 10,
       "packets_out": 20,
       "expires_in_s": 3000
      },
      {
       "local": "10.1.0.0/24",
       "remote": "10.2.0.0/24",
       "narrowed": false,
       "role": "old",
       "in": [
        {
         "protocol": "esp",
         "spi": "0x19251130"
        }
       ],
       "out": [
        {
         "protocol": "esp",
         "spi": "0x00662501"
        }
       ],
       "algorithms": "esp-aes-256 esp-sha256-hmac",
       "bytes_in": 3072,
       "bytes_out": 4096,
       "packets_in": 30,
       "packets_out": 40,
       "expires_in_s": 8
      }
     ]
    }
   ]
  },
  {
   "name": "branch-8",
   "address": "gw-8.example.net",
   "state": "down",
   "isakmp_sa": null,
   "last_error": {
    "code": "no-answer",
    "text": "branch-8 does not answer",
    "expected": "an answer on UDP 500",
    "remedy": "check the path",
    "at": "2026-11-20T20:10:59Z"
   },
   "tunnels": [
    {
     "name": "voice",
     "state": "down",
     "last_error": {
      "code": "no-answer",
      "text": "branch-8 does not answer",
      "expected": "an answer on UDP 500",
      "remedy": "check the path",
      "at": "2026-11-20T20:10:59Z"
     },
     "sas": []
    }
   ]
  }
 ]
})");
}

TEST(StatusJson, ShowsWhatThePeerHasNarrowed) {
  StatusInput input = test::status_input();
  ike::TunnelSnapshot& tunnel = input.peers.at(0).tunnels.at(0);
  SelectorPair part = tunnel.pairs.at(0).selectors;
  part.remote = Selector::of_range({*IpAddress::parse("10.2.0.10"), *IpAddress::parse("10.2.0.20")}, 6, 80);
  part.local.protocol = 6;
  tunnel.narrowed = {{Reqid{kReqidBase + kConfiguredReqids}, part}};
  tunnel.sas.at(0).selectors = part;
  tunnel.sas.at(0).narrowed = true;
  const Json json = status_json(input, true)["peers"][0]["tunnels"][0];
  EXPECT_EQ(json["sas"][0]["remote"], "10.2.0.10-10.2.0.20 tcp 80");
  EXPECT_EQ(json["sas"][0]["narrowed"], true);
  EXPECT_EQ(json["pairs"][1]["local"], "10.1.0.0/24 tcp");
  EXPECT_EQ(json["pairs"][1]["narrowed"], true);
  ConnectionNumbers numbers;
  const Json idents = ipsec_sa_json(input, numbers)["idents"];
  EXPECT_EQ(idents[0]["remote_ident"], "10.2.0.0/255.255.255.0/0/0");
  EXPECT_EQ(idents[1]["remote_ident"], "10.2.0.10-10.2.0.20/6/80");
  EXPECT_EQ(idents[1]["inbound"].size(), 1U);
}

TEST(StatusJson, DetailOnlyAdds) {
  const Json plain = status_json(test::status_input(), false);
  const Json detailed = status_json(test::status_input(), true);
  for (const Json& change : Json::diff(plain, detailed)) EXPECT_EQ(change["op"], "add") << change;
  const Json& tunnel = detailed["peers"][0]["tunnels"][0];
  EXPECT_EQ(tunnel["since"], "2026-11-20T18:08:05Z");
  EXPECT_EQ(tunnel["start"], "on-traffic");
  EXPECT_EQ(tunnel["retry_in_s"], nullptr);
  EXPECT_EQ(tunnel["pairs"],
            Json::array({{{"local", "10.1.0.0/24"}, {"remote", "10.2.0.0/24"}, {"narrowed", false}}}));
  EXPECT_EQ(tunnel["sas"][0]["rekey_in_s"], 2970);
  EXPECT_EQ(tunnel["sas"][1]["rekey_in_s"], nullptr);
  EXPECT_EQ(detailed["peers"][1]["tunnels"][0]["retry_in_s"], 20);
}

TEST(StatusJson, WhatIsOverHasNoNegativeTime) {
  StatusInput input = test::status_input();
  input.peers[0].tunnels[0].sas[1].expires_at = test::in_seconds(-3);
  EXPECT_EQ(status_json(input, false)["peers"][0]["tunnels"][0]["sas"][1]["expires_in_s"], 0);
}

TEST(StatusJson, MissingCountersAreZero) {
  StatusInput input = test::status_input();
  input.counters.clear();
  EXPECT_EQ(status_json(input, false)["peers"][0]["tunnels"][0]["sas"][0]["bytes_in"], 0);
}

TEST(StatusJson, AsksForEverySaOnce) {
  const auto ids = sa_ids(test::status_input().peers);
  EXPECT_EQ(ids.size(), 4U);
  EXPECT_EQ(std::set<SaId>(ids.begin(), ids.end()).size(), 4U);
}

TEST(StatusJson, WhatAPeerWroteIsEscaped) {
  StatusInput input = test::status_input();
  input.peers[0].isakmp_sas[0].remote_identity = "x\n\x1b[31m\xff";
  EXPECT_EQ(status_json(input, false)["peers"][0]["isakmp_sa"]["remote_identity"], "x\\x0a\\x1b[31m\\xff");
}

TEST(ShowJson, IosCallsTheResponderDestination) {
  StatusInput input = test::status_input();
  ConnectionNumbers numbers;
  Json sas = isakmp_sa_json(input, numbers)["isakmp_sas"];
  ASSERT_EQ(sas.size(), 1U);
  EXPECT_EQ(sas[0]["dst"], "192.0.2.2");
  EXPECT_EQ(sas[0]["src"], "192.0.2.1");
  EXPECT_EQ(sas[0]["state"], "QM_IDLE");
  input.peers[0].isakmp_sas[0].role = Role::responder;
  sas = isakmp_sa_json(input, numbers)["isakmp_sas"];
  EXPECT_EQ(sas[0]["dst"], "192.0.2.1");
  EXPECT_EQ(sas[0]["src"], "192.0.2.2");
}

TEST(ShowJson, AnSaKeepsItsConnectionNumber) {
  StatusInput input = test::status_input();
  ConnectionNumbers numbers;
  const Json first = ipsec_sa_json(input, numbers)["idents"][0];
  input.peers[0].tunnels[0].sas.erase(input.peers[0].tunnels[0].sas.begin());
  const Json second = ipsec_sa_json(input, numbers)["idents"][0];
  EXPECT_EQ(first["inbound"][1]["conn_id"], second["inbound"][0]["conn_id"]);
  EXPECT_NE(first["inbound"][0]["conn_id"], first["inbound"][1]["conn_id"]);
  EXPECT_NE(first["inbound"][0]["conn_id"], first["outbound"][0]["conn_id"]);
}

TEST(ShowJson, IdentsAreThereWithoutSas) {
  ConnectionNumbers numbers;
  const Json idents = ipsec_sa_json(test::status_input(), numbers)["idents"];
  ASSERT_EQ(idents.size(), 2U);
  EXPECT_EQ(idents[0]["local_ident"], "10.1.0.0/255.255.255.0/0/0");
  EXPECT_EQ(idents[0]["packets_in"], 40) << "all SAs of the pair";
  EXPECT_EQ(idents[0]["packets_out"], 60);
  EXPECT_EQ(idents[0]["receive_errors"], 8);
  EXPECT_EQ(idents[0]["current_outbound_spi"], "0x00662500");
  EXPECT_EQ(idents[0]["pfs_group"], 14);
  EXPECT_EQ(idents[0]["inbound"][0]["kilobytes_left"], 4608000 - 1);
  EXPECT_EQ(idents[1]["remote_ident"], "2001:db8:3::/64/0/0");
  EXPECT_EQ(idents[1]["current_outbound_spi"], nullptr);
  EXPECT_TRUE(idents[1]["inbound"].empty());
}

// The data plane goes on counting, and so does the SA's life.
TEST(ShowJson, ClearedCountersBeginAnew) {
  StatusInput input = test::status_input();
  const SaId in = input.peers[0].tunnels[0].sas[0].in;
  const SaId old = input.peers[0].tunnels[0].sas[1].in;
  std::map<SaId, SaCounters> cleared{{in, input.counters.at(in)}, {old, input.counters.at(old)}};
  cleared[in].packets -= 3;
  cleared[in].replayed = 0;
  cleared[old].packets += 1;  // another SA has the name by now
  ConnectionNumbers numbers;
  const Json before = ipsec_sa_json(input, numbers)["idents"][0];
  const Json status = status_json(input, false);
  input.cleared = &cleared;
  const Json ident = ipsec_sa_json(input, numbers)["idents"][0];
  EXPECT_EQ(ident["inbound"][0]["packets"], 3);
  EXPECT_EQ(ident["inbound"][1]["packets"], 30);
  EXPECT_EQ(ident["packets_in"], 33);
  EXPECT_EQ(ident["packets_out"], 60) << "what was not cleared";
  EXPECT_EQ(ident["receive_errors"], 7);
  EXPECT_EQ(ident["inbound"][0]["kilobytes_left"], before["inbound"][0]["kilobytes_left"]);
  EXPECT_EQ(status_json(input, false), status);
}

TEST(ShowJson, AhOverEspHasItsOwnEntries) {
  StatusInput input = test::status_input();
  ike::SaPairSnapshot& sa = input.peers[0].tunnels[0].sas[0];
  sa.set = {"pix", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel, Integrity::sha};
  sa.ah_in = SaId{test::ip("192.0.2.1"), IpsecProtocol::ah, {0x111}};
  sa.ah_out = SaId{test::ip("192.0.2.2"), IpsecProtocol::ah, {0x222}};
  EXPECT_EQ(sa_ids(input.peers).size(), 6U);
  const Json status = status_json(input, false)["peers"][0]["tunnels"][0]["sas"][0];
  ASSERT_EQ(status["in"].size(), 2U);
  EXPECT_EQ(status["in"][1]["protocol"], "ah");
  EXPECT_EQ(status["out"][1]["spi"], "0x00000222");
  ConnectionNumbers numbers;
  const Json inbound = ipsec_sa_json(input, numbers)["idents"][0]["inbound"];
  ASSERT_EQ(inbound.size(), 3U);
  EXPECT_EQ(inbound[0]["transform"], "esp-aes-128 esp-sha-hmac");
  EXPECT_EQ(inbound[1]["protocol"], "ah");
  EXPECT_EQ(inbound[1]["transform"], "ah-sha-hmac");
  EXPECT_EQ(inbound[1]["mode"], "tunnel");
}

TEST(EventJson, SaysWhereProposalsDiffer) {
  ike::Event event;
  event.id = ike::EventId::phase2_no_proposal;
  event.proposals = {
      {"esp-3des esp-sha-hmac", "strong (esp-aes-256)", {{"cipher", "esp-3des", "esp-aes-256"}}}};
  const Json json = event_json(event, test::kNow.wall);
  ASSERT_EQ(json["proposals"].size(), 1U);
  EXPECT_EQ(json["proposals"][0]["offered"], "esp-3des esp-sha-hmac");
  EXPECT_EQ(json["proposals"][0]["differences"][0]["attribute"], "cipher");
  EXPECT_EQ(json["proposals"][0]["differences"][0]["ours"], "esp-aes-256");
  event.proposals.clear();
  EXPECT_FALSE(event_json(event, test::kNow.wall).contains("proposals"));
}

TEST(EventJson, CarriesTheWholeEvent) {
  ike::Event event;
  event.id = ike::EventId::phase2_failed;
  event.peer = "branch-7";
  event.tunnel = "lan";
  event.remote = Endpoint{test::ip("192.0.2.2"), 500};
  event.cookies = CookiePair{{1}, {2}};
  event.fields = {{"selectors", "10.1.0.0/24 === 10.2.0.0/24"}, {"note", "a\nb"}};
  event.error = Error{ErrorCode::no_proposal_chosen, "refused", "", "compare", {}};
  const Json json = event_json(event, test::kNow.wall);
  EXPECT_EQ(json["at"], "2026-11-20T20:11:04Z");
  EXPECT_EQ(json["event"], "phase2-failed");
  EXPECT_EQ(json["level"], "warning");
  EXPECT_EQ(json["peer"], "branch-7");
  EXPECT_EQ(json["tunnel"], "lan");
  EXPECT_EQ(json["local"], nullptr);
  EXPECT_EQ(json["remote"], "192.0.2.2:500");
  EXPECT_EQ(json["initiator_cookie"], "0100000000000000");
  EXPECT_EQ(json["fields"]["note"], "a\\x0ab");
  EXPECT_EQ(json["error"]["code"], "no-proposal-chosen");
  EXPECT_FALSE(json["error"].contains("exit"));
  EXPECT_TRUE(json["text"].get<std::string>().starts_with("[branch-7/lan] phase2-failed: "));
}

// Both are there only where there is a certificate.
TEST(StatusJson, TellsOfCertificates) {
  StatusInput input = test::status_input();
  EXPECT_FALSE(status_json(input, false).contains("certificates"));
  EXPECT_FALSE(status_json(input, false)["peers"][0]["isakmp_sa"].contains("certificate"));
  VerifiedPeer proved;
  proved.subject = "CN=branch-7,O=corp\n";
  proved.issuer = "CN=corp\\, inc";
  proved.serial = "3B2FD307";
  proved.not_after = test::kNow.wall;
  input.peers[0].isakmp_sas[0].certificate = proved;
  input.own_certificates = {{"corp", "CN=gw-a", "Available", test::kNow.wall}};
  const Json json = status_json(input, false);
  EXPECT_EQ(json["peers"][0]["isakmp_sa"]["certificate"].dump(),
            R"({"subject":"CN=branch-7,O=corp\\x0a","issuer":"CN=corp\\, inc","serial":"3B2FD307",)"
            R"("not_after":"2026-11-20T20:11:04Z"})");
  EXPECT_EQ(
      json["certificates"].dump(),
      R"([{"trustpoint":"corp","subject":"CN=gw-a","status":"Available","not_after":"2026-11-20T20:11:04Z"}])");
}

// `allow_weak` stands where a peer needs a waiver; its last day counts whole.
TEST(StatusJson, ShowsTheWaiverAndItsEnd) {
  const auto waiver_on = [](std::optional<int> days_left) {
    StatusInput input = test::status_input();
    ike::WaiverSnapshot waiver{{Weak::des, Weak::md5}, {}, "PIX 520"};
    if (days_left)
      waiver.until = std::chrono::floor<std::chrono::days>(test::kNow.wall) + std::chrono::days(*days_left);
    input.peers[0].waiver = waiver;
    const Json json = status_json(input, false);
    EXPECT_FALSE(json["peers"][1].contains("allow_weak"));
    return json["peers"][0]["allow_weak"];
  };
  EXPECT_EQ(
      waiver_on(30).dump(),
      R"({"algorithms":["des","md5"],"until":"2026-12-20","reason":"PIX 520","days_left":30,"state":"ends-soon"})");
  EXPECT_EQ(waiver_on(31)["state"], "in-force");
  EXPECT_EQ(waiver_on(0)["state"], "ends-soon");
  EXPECT_EQ(waiver_on(0)["days_left"], 0);
  EXPECT_EQ(waiver_on(-1)["state"], "ended");
  EXPECT_EQ(waiver_on({})["state"], "in-force");
  EXPECT_TRUE(waiver_on({})["days_left"].is_null());
}

}  // namespace
}  // namespace oakgate
