#include "daemon/metrics/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include "ike/ports/drop_reasons.h"
#include "tests/daemon/metrics/openmetrics_checker.h"

namespace oakgate::metrics {
namespace {

using test::Exposed;
using test::OpenMetricsChecker;

SaId id(std::uint32_t spi, IpsecProtocol protocol = IpsecProtocol::esp) {
  return {*IpAddress::parse("192.0.2.1"), protocol, Spi{spi}};
}
SaSpec spec(std::uint32_t spi, Direction direction, IpsecProtocol protocol = IpsecProtocol::esp) {
  SaSpec sa;
  sa.id = id(spi, protocol);
  sa.direction = direction;
  return sa;
}
SaCounters counters(std::uint32_t spi, std::uint64_t bytes, std::uint64_t packets,
                    IpsecProtocol protocol = IpsecProtocol::esp) {
  SaCounters one;
  one.id = id(spi, protocol);
  one.bytes = bytes;
  one.packets = packets;
  return one;
}
const TunnelName kLan{"gw-b", "lan"};

void install(TunnelTraffic& traffic, std::uint32_t in, std::uint32_t out) {
  std::vector<SaSpec> sas;
  sas.push_back(spec(in, Direction::in));
  sas.push_back(spec(out, Direction::out));
  traffic.installed(sas, kLan);
}
void count(TunnelTraffic& traffic, const SaCounters& one) {
  traffic.counted({&one, 1});
}

TEST(TunnelTraffic, DoesNotFallWhenAnSaIsRenewed) {
  TunnelTraffic traffic;
  traffic.configure({kLan});
  install(traffic, 1, 2);
  count(traffic, counters(1, 840, 10));
  count(traffic, counters(2, 420, 5));
  install(traffic, 3, 4);
  count(traffic, counters(3, 84, 1));
  count(traffic, counters(1, 924, 11));
  const SaId old[] = {id(1), id(2)};
  traffic.gone(old);
  count(traffic, counters(1, 2000, 20));  // nobody's any more
  count(traffic, counters(3, 168, 2));
  const TunnelTotals totals = traffic.totals(kLan);
  EXPECT_EQ(totals.bytes_in, 924U + 168U);
  EXPECT_EQ(totals.packets_in, 13U);
  EXPECT_EQ(totals.bytes_out, 420U);
  EXPECT_EQ(totals.packets_out, 5U);
  EXPECT_THAT(traffic.sas_of(kLan), testing::ElementsAre(id(3), id(4)));
}

TEST(TunnelTraffic, WhatThePlaneHasLostKeepsItsLastCount) {
  TunnelTraffic traffic;
  traffic.configure({kLan});
  install(traffic, 1, 2);
  count(traffic, counters(1, 840, 10));
  count(traffic, counters(1, 0, 0));  // it has expired, and nobody has been told yet
  EXPECT_EQ(traffic.totals(kLan).bytes_in, 840U);
}

TEST(TunnelTraffic, OfABundleTheInnerPacketsCountOnce) {
  TunnelTraffic traffic;
  traffic.configure({kLan});
  std::vector<SaSpec> sas;
  sas.push_back(spec(1, Direction::in));
  sas.push_back(spec(2, Direction::in, IpsecProtocol::ah));
  sas[0].bundle = sas[1].id;
  sas[1].bundle = sas[0].id;
  sas.push_back(spec(3, Direction::in, IpsecProtocol::comp));
  traffic.installed(sas, kLan);
  SaCounters ah = counters(2, 1000, 10, IpsecProtocol::ah);
  ah.replayed = 3;
  ah.not_authentic = 2;
  ah.selector_mismatch = 1;
  count(traffic, counters(1, 840, 10));
  count(traffic, ah);
  count(traffic, counters(3, 500, 10, IpsecProtocol::comp));
  EXPECT_EQ(traffic.totals(kLan), (TunnelTotals{840, 0, 10, 0, 3, 2, 1}));
}

TEST(TunnelTraffic, AhAloneCarries) {
  TunnelTraffic traffic;
  traffic.configure({kLan});
  std::vector<SaSpec> sas;
  sas.push_back(spec(1, Direction::out, IpsecProtocol::ah));
  traffic.installed(sas, kLan);
  count(traffic, counters(1, 84, 1, IpsecProtocol::ah));
  EXPECT_EQ(traffic.totals(kLan).bytes_out, 84U);
}

TEST(TunnelTraffic, AConfigurationDecidesWhoIsThere) {
  TunnelTraffic traffic;
  traffic.configure({kLan, {"gw-c", "lan"}});
  install(traffic, 1, 2);
  count(traffic, counters(1, 840, 10));
  traffic.configure({kLan});
  EXPECT_EQ(traffic.totals(kLan).bytes_in, 840U);
  traffic.configure({{"gw-c", "lan"}});
  count(traffic, counters(1, 1000, 12));
  traffic.configure({kLan});
  EXPECT_EQ(traffic.totals(kLan), TunnelTotals{});
}

ike::Event event(ike::EventId id, const char* peer = "gw-b", const char* tunnel = "") {
  ike::Event one;
  one.id = id;
  one.peer = peer;
  one.tunnel = tunnel;
  return one;
}

TEST(EventTally, CountsByPeerTunnelStageAndReason) {
  EventTally tally;
  tally.configure({kLan});
  tally.count(event(ike::EventId::phase1_established));
  ike::Event failed = event(ike::EventId::phase1_failed);
  failed.error = Error{ErrorCode::no_answer, "", {}, {}, {}};
  tally.count(failed);
  tally.count(failed);
  tally.count(event(ike::EventId::phase2_established, "gw-b", "lan"));
  failed.id = ike::EventId::phase2_failed;
  failed.tunnel = "lan";
  failed.error->code = ErrorCode::proxy_id_mismatch;
  tally.count(failed);
  ike::Event stranger = event(ike::EventId::unknown_peer, "");
  stranger.error = Error{ErrorCode::unknown_peer, "", {}, {}, {}};
  tally.count(stranger);
  tally.count(event(ike::EventId::phase1_established, "nobody"));
  EXPECT_EQ(tally.phase1_of("gw-b"), (Negotiations{1, 2}));
  EXPECT_EQ(tally.phase1_of("nobody"), (Negotiations{}));
  EXPECT_EQ(tally.phase2_of(kLan), (Negotiations{1, 1}));
  EXPECT_EQ(tally.whole().failures(Stage::phase1, ErrorCode::no_answer), 2U);
  EXPECT_EQ(tally.whole().failures(Stage::phase2, ErrorCode::proxy_id_mismatch), 1U);
  EXPECT_EQ(tally.whole().failures(Stage::message, ErrorCode::unknown_peer), 1U);
  EXPECT_EQ(tally.whole().of(ike::EventId::phase1_established), 2U);
}

GatewayFacts facts() {
  GatewayFacts all;
  all.version = "1.0";
  all.data_plane = "software";
  all.started = WallTime(Seconds(1795205464));
  all.reloads = {2, 1, false, WallTime(Seconds(1795205500)), WallTime(Seconds(1795205480))};
  all.load = {5, 3, 1024, 16};
  all.queues = {{"computations", 2, 512}};
  all.drops.emplace().add(DropReason::replayed, 7);
  all.certificates = {{"corp", "identity", "CN=\"gw\\a\",O=\xc3\xb6\n", WallTime(Seconds(1800000000))}};
  all.crls = {{"CN=ca", WallTime(Seconds(1795300000))}};
  all.trustpoint_waivers = {{"corp", WallTime(Seconds(1796000000))}};
  ike::Event retried = event(ike::EventId::retransmitting);
  all.events.count(retried);
  return all;
}

std::string written(Exposition exposition, std::size_t piece) {
  std::string text;
  while (exposition.write(text, piece)) {
  }
  return text;
}

Exposition example() {
  PeerRow peer{"gw-b", true, {1, 2}, WallTime(Seconds(1797000000))};
  TunnelRow up{kLan, true, WallTime(Seconds(1795205470)), {840, 420, 10, 5, 1, 2, 3}, {4, 1}};
  TunnelRow down{{"gw-b", "dmz"}};
  return {facts(), {peer, {"gw-c"}}, {up, down}};
}

TEST(Exposition, IsOpenMetrics) {
  const Exposed all = OpenMetricsChecker::check(written(example(), 1 << 20));
  EXPECT_EQ(all.problem, "");
  EXPECT_EQ(all.of("oakgate_build_info{version=\"1.0\",data_plane=\"software\"}"), 1U);
  EXPECT_EQ(all.of("oakgate_process_start_time_seconds"), 1795205464U);
  EXPECT_EQ(all.of("oakgate_reload_success"), 0U);
  EXPECT_EQ(all.of("oakgate_reloads_total{outcome=\"succeeded\"}"), 2U);
  EXPECT_EQ(all.of("oakgate_half_open_sas"), 3U);
  EXPECT_EQ(all.of("oakgate_half_open_sas_limit"), 1024U);
  EXPECT_EQ(all.of("oakgate_queue_limit{queue=\"computations\"}"), 512U);
  EXPECT_EQ(all.of("oakgate_retransmissions_total"), 1U);
  EXPECT_EQ(all.of("oakgate_peer_waiver_end_timestamp_seconds{peer=\"gw-b\"}"), 1797000000U);
  EXPECT_EQ(all.of("oakgate_peer_negotiations_total{peer=\"gw-b\",outcome=\"failed\"}"), 2U);
  EXPECT_EQ(all.of("oakgate_tunnel_up{peer=\"gw-b\",tunnel=\"lan\"}"), 1U);
  EXPECT_EQ(all.of("oakgate_tunnel_received_bytes_total{peer=\"gw-b\",tunnel=\"lan\"}"), 840U);
  EXPECT_EQ(all.of("oakgate_tunnel_sent_packets_total{peer=\"gw-b\",tunnel=\"lan\"}"), 5U);
  EXPECT_EQ(all.of("oakgate_tunnel_selector_mismatch_packets_total{peer=\"gw-b\",tunnel=\"lan\"}"), 3U);
  for (const DropReasonRow& row : kDropReasons) {
    const std::string sample = "oakgate_dropped_packets_total{reason=\"" + std::string(row.key) + "\"}";
    EXPECT_EQ(all.of(sample), row.reason == DropReason::replayed ? 7U : 0U);
  }
}

TEST(Exposition, ATunnelThatIsDownHasItsSeriesToo) {
  const Exposed all = OpenMetricsChecker::check(written(example(), 1 << 20));
  const std::string labels = "{peer=\"gw-b\",tunnel=\"dmz\"}";
  EXPECT_EQ(all.of("oakgate_tunnel_up" + labels), 0U);
  EXPECT_EQ(all.of("oakgate_tunnel_received_bytes_total" + labels), 0U);
  EXPECT_EQ(all.samples.count("oakgate_tunnel_up_since_timestamp_seconds" + labels), 0U);
  EXPECT_EQ(all.of("oakgate_peer_up{peer=\"gw-c\"}"), 0U);
}

TEST(Exposition, LabelValuesAreEscaped) {
  const std::string text = written(example(), 1 << 20);
  EXPECT_THAT(text, testing::HasSubstr(R"(subject="CN=\"gw\\\\a\",O=\\xc3\\xb6\\x0a"} 1800000000)"));
}

TEST(Exposition, PiecesAreTheWholeAndEachIsSmall) {
  std::vector<TunnelRow> tunnels;
  for (int i = 0; i < 2000; ++i) tunnels.push_back({{"gw-b", "t" + std::to_string(i)}});
  const std::string whole = written(Exposition(facts(), {{"gw-b"}}, tunnels), std::size_t{1} << 30);
  EXPECT_EQ(OpenMetricsChecker::check(whole).problem, "");
  Exposition exposition(facts(), {{"gw-b"}}, tunnels);
  std::string all;
  bool more = true;
  while (more) {
    std::string piece;
    more = exposition.write(piece, 1024);
    EXPECT_LT(piece.size(), 16384U);
    all += piece;
  }
  EXPECT_EQ(all, whole);
}

TEST(Exposition, NothingConfiguredIsStillWhole) {
  const Exposed all = OpenMetricsChecker::check(written(Exposition(GatewayFacts{}, {}, {}), 1));
  EXPECT_EQ(all.problem, "");
  EXPECT_EQ(all.type.size(), all_families().size());
}

// ---- what is shipped for Grafana and Prometheus, and the manual

std::string file(const std::string& name) {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  std::ifstream in(std::string(root == nullptr ? "." : root) + "/" + name);
  EXPECT_TRUE(in) << name;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::set<std::string> names_in(const std::string& text) {
  static const std::regex name("oakgate_[a-z0-9_]+");
  std::set<std::string> names;
  for (std::sregex_iterator one(text.begin(), text.end(), name), end; one != end; ++one)
    names.insert(one->str());
  return names;
}

std::set<std::string> our_names() {
  std::set<std::string> names;
  for (const Family& family : all_families()) names.insert(sample_name(family));
  return names;
}

TEST(ShippedRules, NameOnlyMetricsThatExist) {
  const std::set<std::string> ours = our_names();
  for (const char* shipped : {"scripts/grafana-dashboard.json", "scripts/prometheus-alerts.yml"}) {
    const std::set<std::string> named = names_in(file(shipped));
    EXPECT_FALSE(named.empty()) << shipped;
    for (const std::string& name : named) EXPECT_TRUE(ours.contains(name)) << shipped << ": " << name;
  }
}

TEST(Manual, NamesEachMetric) {
  const std::set<std::string> named = names_in(file("man/oakgate-metrics.7"));
  EXPECT_EQ(named, our_names());
}

}  // namespace
}  // namespace oakgate::metrics
