// What people read: the status screen and the IOS layouts, letter by letter.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "daemon/cli/ios_layout.h"
#include "daemon/cli/screen.h"
#include "tests/daemon/snapshots.h"

namespace oakgate::cli {
namespace {

TEST(StatusScreen, IsOneReadableScreen) {
  const std::string screen = status_screen(status_json(test::status_input(), true), test::kNow.wall, {});
  EXPECT_EQ(screen, R"(gw-a: 1 of 2 tunnels up, data plane software

branch-7  192.0.2.2  established for 2 h 3 min
  aes-256 sha256 group14 pre-share, initiator, we rekey in 21 h 40 min
  lan  up for 2 h 2 min
    10.1.0.0/24 === 10.2.0.0/24
      esp-aes-256 esp-sha256-hmac
      in 1.0 kB, out 2.0 kB, we rekey in 49 min

branch-8  gw-8.example.net  down
  last error: no-answer: branch-8 does not answer
  to mend it: check the path
  voice  down, tries again in 20 s
    10.1.0.0/24 === 2001:db8:3::/64

why, and what mends it: `oakgate explain branch-8`
)");
}

TEST(StatusScreen, SaysWhoBeginsAndWhereToLook) {
  StatusInput input = test::status_input();
  input.peers[1].tunnels[0].retry_at.reset();
  input.peers[0].last_error = input.peers[1].last_error;
  for (const auto& [start, words] :
       {std::pair{StartMode::responder, "voice  down, waits for the peer\n"},
        std::pair{StartMode::on_traffic, "voice  down, starts with the first packet\n"},
        std::pair{StartMode::on_start, "voice  down, starts by itself\n"}}) {
    input.peers[1].tunnels[0].start = start;
    const std::string screen = status_screen(status_json(input, true), test::kNow.wall, {});
    EXPECT_NE(screen.find(words), std::string::npos) << screen;
    EXPECT_TRUE(screen.ends_with("\n\nwhy, and what mends it: `oakgate explain PEER`\n")) << screen;
  }
  for (ike::PeerSnapshot& peer : input.peers) {
    peer.last_error.reset();
    for (ike::TunnelSnapshot& tunnel : peer.tunnels) tunnel.last_error.reset();
  }
  EXPECT_EQ(status_screen(status_json(input, true), test::kNow.wall, {}).find("explain"), std::string::npos);
}

TEST(StatusScreen, FitsItsWidth) {
  StatusInput input = test::status_input();
  input.peers[1].last_error->error.text = std::string(300, 'x');
  input.peers[0].isakmp_sas[0].nat = "both";
  for (const std::size_t width : {40U, 80U}) {
    const std::string screen = status_screen(status_json(input, true), test::kNow.wall, {false, width});
    std::size_t at = 0;
    while (at < screen.size()) {
      const std::size_t end = screen.find('\n', at);
      EXPECT_LE(end - at, width) << screen.substr(at, end - at);
      at = end + 1;
    }
  }
}

// From 30 days before a waiver ends the screen says so.
TEST(StatusScreen, TellsOfAWaiverThatEndsSoon) {
  const auto screen_on = [](int days_left) {
    StatusInput input = test::status_input();
    const auto today = std::chrono::floor<std::chrono::days>(test::kNow.wall);
    input.peers[0].waiver = {{Weak::des3, Weak::group2}, today + std::chrono::days(days_left), "PIX 520"};
    return status_screen(status_json(input, true), test::kNow.wall, {false, 100});
  };
  EXPECT_EQ(screen_on(31).find("allow_weak"), std::string::npos);
  EXPECT_NE(screen_on(30).find("  allow_weak (3des, group2) ends in 30 days, on 2026-12-20, its reason: PIX "
                               "520\n"),
            std::string::npos)
      << screen_on(30);
  EXPECT_NE(screen_on(1).find("ends in 1 day, on 2026-11-21"), std::string::npos) << screen_on(1);
  EXPECT_NE(screen_on(0).find("ends today, on 2026-11-20"), std::string::npos) << screen_on(0);
  EXPECT_NE(screen_on(-1).find("ended, on 2026-11-19"), std::string::npos) << screen_on(-1);
}

TEST(StatusScreen, TellsOfATrustpointsWaiverThatEndsSoon) {
  const auto screen_on = [](int days_left) {
    StatusInput input = test::status_input();
    const auto today = std::chrono::floor<std::chrono::days>(test::kNow.wall);
    input.trustpoint_waivers = {{"corp", {{Weak::md5}, today + std::chrono::days(days_left), "old CA"}}};
    return status_screen(status_json(input, true), test::kNow.wall, {false, 100});
  };
  EXPECT_EQ(screen_on(31).find("trustpoint"), std::string::npos);
  EXPECT_NE(screen_on(30).find("\ntrustpoint corp\n  allow_weak (md5) ends in 30 days, on 2026-12-20, its "
                               "reason: old CA\n"),
            std::string::npos)
      << screen_on(30);
  EXPECT_NE(screen_on(-1).find("allow_weak (md5) ended, on 2026-11-19"), std::string::npos) << screen_on(-1);
}

TEST(StatusScreen, SaysThatThePeerHasToRenew) {
  StatusInput input = test::status_input();
  input.peers[0].isakmp_sas[0].rekey_at.reset();
  input.peers[0].tunnels[0].sas[0].rekey_at.reset();
  const std::string screen = status_screen(status_json(input, true), test::kNow.wall, {});
  EXPECT_NE(screen.find("initiator,\n  ends in 21 h 57 min unless the peer rekeys\n"), std::string::npos)
      << screen;
  EXPECT_NE(screen.find("out 2.0 kB, ends in 50 min unless the peer rekeys\n"), std::string::npos) << screen;
}

// From 30 days before: of the peer's certificate, and of ours by the trustpoint's name.
TEST(StatusScreen, TellsOfCertificatesThatEndSoon) {
  const auto screen_with = [](Seconds left) {
    StatusInput input = test::status_input();
    const WallTime end = test::kNow.wall + left;
    input.peers[0].isakmp_sas[0].certificate.emplace().not_after = end;
    input.own_certificates = {{"corp", "CN=gw-a", "Available", end}};
    return status_screen(status_json(input, true), test::kNow.wall, {});
  };
  constexpr Seconds kDay{86400};
  EXPECT_EQ(screen_with(30 * kDay + Seconds(1)).find("certificate"), std::string::npos);
  const std::string soon = screen_with(30 * kDay);
  EXPECT_NE(soon.find("\n  the peer's certificate ends in 30 d, on 2026-12-20\n"), std::string::npos) << soon;
  EXPECT_NE(soon.find("\n\ntrustpoint corp\n  our certificate ends in 30 d, on 2026-12-20\n  CN=gw-a\n"),
            std::string::npos)
      << soon;
  EXPECT_NE(screen_with(-kDay).find("our certificate ended, on 2026-11-19"), std::string::npos)
      << screen_with(-kDay);
}

// ---- Rates, and screen after screen --------------------------------------------------------------------

Json carried(std::uint64_t in, std::uint64_t out, std::uint32_t first_spi = 1) {
  StatusInput input = test::status_input();
  ike::SaPairSnapshot& sa = input.peers[0].tunnels[0].sas[0];
  input.peers[0].tunnels[0].sas.resize(1);
  sa.in.spi.value = first_spi;
  sa.out.spi.value = first_spi + 1;
  input.counters.clear();
  input.counters[sa.in].bytes = in;
  input.counters[sa.out].bytes = out;
  return status_json(input, true);
}
Rate rate_of(const Json& before, const Json& after, Milliseconds between) {
  return rates_between(before, after, between).at({"branch-7", "lan"});
}

TEST(Rates, AreBytesASecondBetweenTwoAnswers) {
  const Rate rate = rate_of(carried(1000, 2000), carried(4000, 2500), Milliseconds(2000));
  EXPECT_EQ(rate.in, 1500U);
  EXPECT_EQ(rate.out, 250U);
  EXPECT_EQ(rate_of(carried(0, 0), carried(100, 0), Milliseconds(500)).in, 200U);
}

TEST(Rates, NewSasCountWholeAndNothingIsMadeUp) {
  const Rate renewed = rate_of(carried(90000, 90000), carried(600, 300, 77), Milliseconds(3000));
  EXPECT_EQ(renewed.in, 200U);
  EXPECT_EQ(renewed.out, 100U);
  EXPECT_EQ(rate_of(carried(500, 0), carried(400, 0), Milliseconds(1000)).in, 0U);
  const auto most = std::numeric_limits<std::uint64_t>::max();
  EXPECT_GT(rate_of(carried(0, 0), carried(most / 4096, 0), Milliseconds(1000)).in, most / 8192);
  EXPECT_TRUE(rates_between(carried(0, 0), carried(1, 1), Milliseconds(0)).empty());
  const Json none{{"peers", Json::array()}};
  EXPECT_TRUE(rates_between(none, carried(1, 1), Milliseconds(1000)).empty());
  EXPECT_TRUE(rates_between(carried(1, 1), none, Milliseconds(1000)).empty());
}

// Answers come from a list, time goes by as it says.
struct Watched {
  std::vector<Outcome<Json>> answers;
  std::size_t rows = 0;
  std::size_t rounds = 2;
  std::vector<std::string> printed;

  Outcome<void> run() {
    std::size_t round = 0;
    Now now = test::kNow;
    return watch_status({[&] { return answers.at(round); }, [&] { return now; },
                         [&] {
                           now.instant += Seconds(2);
                           now.wall += Seconds(2);
                           return ++round < rounds;
                         },
                         [] { return ScreenStyle{}; }, [&] { return rows; },
                         [&](const std::string& text) { printed.push_back(text); }});
  }
};

TEST(Watch, ScreensFollowOneAnotherWithRatesFromTheSecondOn) {
  Watched watched{{carried(1000, 0), carried(4000, 100)}};
  ASSERT_TRUE(watched.run());
  ASSERT_EQ(watched.printed.size(), 2U);
  EXPECT_EQ(watched.printed[0].find("now in"), std::string::npos);
  EXPECT_EQ(watched.printed.at(1).substr(0, 6), "\ngw-a:");
  EXPECT_NE(watched.printed.at(1).find("  lan  up for 2 h 3 min\n    now in 1.5 kB/s, out 50 B/s\n"),
            std::string::npos)
      << watched.printed.at(1);
  EXPECT_EQ(watched.printed.at(1).find("/s", watched.printed.at(1).find("voice")), std::string::npos);
  EXPECT_EQ(watched.printed.at(1).find('\033'), std::string::npos);
}

TEST(Watch, OnATerminalEachScreenIsDrawnOverTheLast) {
  Watched watched{{carried(1000, 0), carried(4000, 100)}, 24};
  ASSERT_TRUE(watched.run());
  EXPECT_EQ(watched.printed.at(1).substr(0, 8), "\033[Hgw-a:");
  EXPECT_NE(watched.printed.at(1).find("1.5 kB/s, out 50 B/s\033[K\n"), std::string::npos);
  EXPECT_TRUE(watched.printed.at(1).ends_with("\033[J"));
  // What does not fit is counted; the last row stays free for the cursor.
  for (const std::size_t rows : {1U, 2U, 5U}) {
    Watched low{{carried(1000, 0), carried(4000, 100)}, rows};
    ASSERT_TRUE(low.run());
    const std::string& screen = low.printed.at(1);
    const auto lines = static_cast<std::size_t>(std::count(screen.begin(), screen.end(), '\n'));
    EXPECT_EQ(lines, std::max<std::size_t>(rows - 1, 1)) << screen;
    EXPECT_NE(screen.find(" more lines)"), std::string::npos) << screen;
  }
}

TEST(Watch, EndsWhenAskingFails) {
  Watched watched{
      {carried(1, 1), tl::unexpected(Failure{Exit::unreachable, "unreachable", "gone", "", ""})}, 0, 9};
  const Outcome<void> end = watched.run();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().exit, Exit::unreachable);
  EXPECT_EQ(watched.printed.size(), 1U);
}

TEST(IosLayout, CryptoEngine) {
  const Json result{
      {"data_plane", "software"},
      {"workers", 3},
      {"engines",
       {{{"algorithms", "AES-GCM"}, {"name", "ipsec-mb 1.3.0 (AVX512)"}, {"why", "the same bytes"}},
        {{"algorithms", "all others"}, {"name", "OpenSSL 3.0.15"}, {"why", "one by one"}},
        {{"algorithms", "Diffie-Hellman"}, {"type", "IKE"}, {"name", "batches"}, {"why", "together"}}}}};
  EXPECT_EQ(ios_crypto_engine(result),
            "        crypto engine name:  ipsec-mb 1.3.0 (AVX512)\n"
            "        crypto engine type:  software\n"
            "       crypto engine state:  installed\n"
            "                algorithms:  AES-GCM\n"
            "                    chosen:  the same bytes\n"
            "\n"
            "        crypto engine name:  OpenSSL 3.0.15\n"
            "        crypto engine type:  software\n"
            "       crypto engine state:  installed\n"
            "                algorithms:  all others\n"
            "                    chosen:  one by one\n"
            "\n"
            "        crypto engine name:  batches\n"
            "        crypto engine type:  IKE\n"
            "       crypto engine state:  installed\n"
            "                algorithms:  Diffie-Hellman\n"
            "                    chosen:  together\n"
            "\n"
            "            worker threads:  3\n");
}

TEST(IosLayout, DroppedPackets) {
  DropCounts drops;
  drops.add(DropReason::not_authentic, 3);
  drops.add(DropReason::lan_refused, 1);
  StatusInput input = test::status_input();
  EXPECT_EQ(ios_dropped_packets(dropped_packets_json(input, drops)),
            "Interface        IP-Address       Drop Count\n"
            "software         192.0.2.1        4\n"
            "    decrypt: mac verify failed                       3\n"
            "    decapsulated packet refused by the host          1\n");
  input.peers[1].local = test::ip("198.51.100.1");
  EXPECT_EQ(ios_dropped_packets(dropped_packets_json(input, {})),
            "Interface        IP-Address       Drop Count\n"
            "software         unassigned       0\n");
  EXPECT_EQ(ios_dropped_packets(Json::object()).substr(0, 9), "Interface");
}

TEST(StatusScreen, PaintsStatesOnlyWhenAsked) {
  const Json status = status_json(test::status_input(), true);
  const std::string painted = status_screen(status, test::kNow.wall, {true, 80});
  EXPECT_NE(painted.find("\033[32mestablished\033[0m"), std::string::npos);
  EXPECT_NE(painted.find("lan  \033[32mup\033[0m for"), std::string::npos);
  EXPECT_NE(painted.find("voice  \033[31mdown\033[0m"), std::string::npos);
  EXPECT_EQ(status_screen(status, test::kNow.wall, {}).find('\033'), std::string::npos);
}

TEST(StatusScreen, ReadsTimesBack) {
  EXPECT_EQ(parse_iso_time("2026-11-20T20:11:04Z"), test::kNow.wall);
  EXPECT_FALSE(parse_iso_time("2026-11-20"));
  EXPECT_FALSE(parse_iso_time("2026-13-20T20:11:04Z"));
  EXPECT_FALSE(parse_iso_time("nonsense"));
}

TEST(IosLayout, ShowCryptoIsakmpSa) {
  ConnectionNumbers numbers;
  StatusInput input = test::status_input();
  ike::IkeSaSnapshot six = input.peers[0].isakmp_sas[0];
  six.cookies.initiator[0] = 9;
  six.local.address = test::ip("2001:db8::1");
  six.remote.address = test::ip("2001:db8::2");
  six.state = "MM_KEY_EXCH";
  six.established = false;
  input.peers[1].isakmp_sas = {six};
  EXPECT_EQ(ios_isakmp_sa(isakmp_sa_json(input, numbers)),
            R"(IPv4 Crypto ISAKMP SA
dst             src             state          conn-id status
192.0.2.2       192.0.2.1       QM_IDLE           1001 ACTIVE

IPv6 Crypto ISAKMP SA
 dst: 2001:db8::2
 src: 2001:db8::1
 state: MM_KEY_EXCH    conn-id:    1002 status: ACTIVE

)");
}

TEST(IosLayout, ShowCryptoIpsecSa) {
  ConnectionNumbers numbers;
  StatusInput input = test::status_input();
  input.peers[0].tunnels[0].sas.pop_back();
  EXPECT_EQ(ios_ipsec_sa(ipsec_sa_json(input, numbers)), R"(
interface: software
    Crypto map tag: branch-7/lan, local addr 192.0.2.1

   local  ident (addr/mask/prot/port): (10.1.0.0/255.255.255.0/0/0)
   remote ident (addr/mask/prot/port): (10.2.0.0/255.255.255.0/0/0)
   current_peer 192.0.2.2 port 500
     PERMIT, flags={origin_is_acl,}
    #pkts encaps: 20, #pkts encrypt: 20, #pkts digest: 20
    #pkts decaps: 10, #pkts decrypt: 10, #pkts verify: 10
    #pkts compressed: 0, #pkts decompressed: 0
    #send errors 0, #recv errors 2

     local crypto endpt.: 192.0.2.1, remote crypto endpt.: 192.0.2.2
     current outbound spi: 0x662500(6694144)
     PFS (Y/N): Y, DH group: group14

     inbound esp sas:
      spi: 0x1925112F(421859631)
        transform: esp-256-aes esp-sha256-hmac ,
        in use settings ={Tunnel, }
        conn id: 1001, crypto map: branch-7/lan
        sa timing: remaining key lifetime (k/sec): (4607999/3000)
        replay detection support: Y
        last sequence number: 11
        Status: ACTIVE

     inbound ah sas:

     inbound pcp sas:

     outbound esp sas:
      spi: 0x662500(6694144)
        transform: esp-256-aes esp-sha256-hmac ,
        in use settings ={Tunnel, }
        conn id: 1002, crypto map: branch-7/lan
        sa timing: remaining key lifetime (k/sec): (4607998/3000)
        replay detection support: Y
        last sequence number: 22
        Status: ACTIVE

     outbound ah sas:

     outbound pcp sas:

    Crypto map tag: branch-8/voice, local addr (unknown)

   local  ident (addr/mask/prot/port): (10.1.0.0/255.255.255.0/0/0)
   remote ident (addr/mask/prot/port): (2001:db8:3::/64/0/0)
   current_peer (unknown) port 500
     PERMIT, flags={origin_is_acl,}
    #pkts encaps: 0, #pkts encrypt: 0, #pkts digest: 0
    #pkts decaps: 0, #pkts decrypt: 0, #pkts verify: 0
    #pkts compressed: 0, #pkts decompressed: 0
    #send errors 0, #recv errors 0

     local crypto endpt.: (unknown), remote crypto endpt.: (unknown)
     current outbound spi: 0x0(0)
     PFS (Y/N): N, DH group: none

     inbound esp sas:

     inbound ah sas:

     inbound pcp sas:

     outbound esp sas:

     outbound ah sas:

     outbound pcp sas:
)");
}

}  // namespace
}  // namespace oakgate::cli
