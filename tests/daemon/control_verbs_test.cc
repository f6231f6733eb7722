// The verbs over a real control socket and the real core; only the data plane is a double. The peer's address
// is a host name nobody resolves, so what needs an answer of the peer ends at once.
#include "daemon/control_verbs.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include "daemon/cli/client.h"
#include "daemon/event_text.h"
#include "daemon/key_store.h"
#include "daemon/process.h"
#include "daemon/system_rng.h"
#include "daemon/wiring.h"
#include "tests/daemon/no_plane.h"

namespace oakgate {
namespace {

class Silent final : public LogSink {
 public:
  void write(LogLevel /*level*/, std::string_view /*text*/, std::span<const LogField> /*fields*/) override {}
};

conf::Config config_of(const std::vector<const char*>& names) {
  conf::Config config;
  config.gateway.name = "gw-a";
  for (const char* name : names) {
    conf::PeerConfig peer;
    peer.name = name;
    peer.address = {conf::PeerAddress::Kind::host_name, std::string(name) + ".example.net", {}, {}};
    peer.policies = {
        {10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp2048, AuthMethod::pre_share, Seconds(86400)}};
    conf::TunnelConfig tunnel;
    tunnel.name = "lan";
    tunnel.pairs = {{{*Subnet::parse("10.1.0.0/24"), 0, 0}, {*Subnet::parse("10.2.0.0/24"), 0, 0}}};
    tunnel.transform_sets = {{"strong", EspCipher::aes_256, Integrity::sha256, EncapsulationMode::tunnel}};
    peer.tunnels = {tunnel};
    config.peers.push_back(peer);
  }
  return config;
}

class ControlVerbsTest : public testing::Test {
 protected:
  ControlVerbsTest() {
    std::string name = "/tmp/oakgate-verbs-test.XXXXXX";
    folder = ::mkdtemp(name.data());
    path = folder + "/control.sock";
    loop = std::move(*Loop::create());
    workers = std::move(*WorkerPool::create(1, 16, WorkerPool::AtEnd::join));
    sockets = std::move(*UdpSockets::open(std::vector{*IpAddress::parse("127.0.0.1")}, {0, 0}));
    events = std::make_unique<EventLog>(
        *loop, log, [this](const ike::Event& event, WallTime at) { verbs->on_event(event, at); });
    driver = std::make_unique<CoreDriver>(CoreDriver::Parts{
        *loop, log, *events, *sockets, plane, *workers, keys, rng,
        [this](ike::CommandId id, const Result<void>& result) { verbs->on_outcome(id, result); }});
    verbs = std::make_unique<ControlVerbs>(ControlVerbs::Parts{
        *driver,
        plane,
        [this](std::optional<Seconds> confirm) {
          confirm_within = confirm;
          return reloaded;
        },
        [this] { return refreshed; },
        [this]() -> const conf::Config& { return config; },
        {},
        [this](const std::string& trustpoint, ControlVerbs::Parts::ListsCame came) -> Result<void> {
          if (trustpoint == "nowhere") return fail(ErrorCode::not_found, "nothing says where");
          lists_came = std::move(came);
          on_poke = [this] { std::exchange(lists_came, {})(lists); };
          const std::uint64_t one = 1;
          EXPECT_EQ(::write(poked.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
          return {};
        },
        []() -> Result<void> { return fail(ErrorCode::not_found, "no reload waits to be confirmed"); },
        [this] { return confirm_within; },
        [this]() -> Result<std::string> { return running; },
        &failures});
    server = std::move(*ControlServer::open(*loop, path));
    verbs->serve(*server);
    poke_watch = Watch::readable(*loop, poked.get(), [this] {
      std::uint64_t count = 0;
      if (::read(poked.get(), &count, sizeof count) > 0) on_poke();
    });
    driver->start(*make_engine_config(config, {}, reqids));
  }
  ~ControlVerbsTest() override { std::filesystem::remove_all(folder); }

  // Runs `client` on a thread of its own, and the loop until it has ended.
  void with_client(const std::function<void(cli::ControlClient&)>& client) {
    UniqueFd ended(::eventfd(0, EFD_CLOEXEC));
    const auto watch = Watch::readable(*loop, ended.get(), [this] { loop->stop(); });
    std::thread thread([&] {
      auto connected = cli::ControlClient::connect(path);
      EXPECT_TRUE(connected);
      if (connected) client(*connected);
      const std::uint64_t one = 1;
      EXPECT_EQ(::write(ended.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    });
    loop->run();
    thread.join();
  }
  cli::Outcome<Json> ask(ControlVerb verb, std::string peer = {}, std::string tunnel = {},
                         const cli::ControlClient::OnEvent& on_event = {}) {
    ControlRequest request;
    request.id = 9;
    request.verb = verb;
    request.peer = std::move(peer);
    request.tunnel = std::move(tunnel);
    request.progress = static_cast<bool>(on_event);
    return ask(request, on_event);
  }
  cli::Outcome<Json> ask(const ControlRequest& request, const cli::ControlClient::OnEvent& on_event = {}) {
    cli::Outcome<Json> answer;
    with_client([&](cli::ControlClient& client) { answer = client.request(request, Seconds(5), on_event); });
    return answer;
  }

  static ike::Event event_of(const char* peer) {
    ike::Event event;
    event.id = ike::EventId::endpoint_changed;
    event.peer = peer;
    return event;
  }
  // From the client's thread: has `on_poke` called on the loop's.
  void poke() const {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(poked.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }

  std::string folder;
  std::string path;
  conf::Config config = config_of({"b", "c"});
  ReloadOutcome reloaded;
  std::optional<Seconds> confirm_within;  // what the last reload was asked for
  std::string running;
  ike::FailureBook failures;
  ControlVerbs::Parts::ListsCame lists_came;
  Revocation::Requested lists;
  ReloadOutcome refreshed;
  Log log{std::make_unique<Silent>(), LogLevel::error};
  test::NoPlane plane{"software"};
  MemoryKeyStore keys;
  SystemRng rng = *SystemRng::create();
  ReqidTable reqids;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<UdpSockets> sockets;
  std::unique_ptr<EventLog> events;
  std::unique_ptr<CoreDriver> driver;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<ControlVerbs> verbs;
  std::unique_ptr<ControlServer> server;
  UniqueFd poked{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::function<void()> on_poke;
  std::unique_ptr<Watch> poke_watch;
};

TEST_F(ControlVerbsTest, StatusShowsEveryPeerOrOne) {
  const auto all = ask(ControlVerb::status);
  ASSERT_TRUE(all) << all.error().text;
  EXPECT_EQ((*all)["gateway"], "gw-a");
  EXPECT_EQ((*all)["data_plane"], "software");
  ASSERT_EQ((*all)["peers"].size(), 2U);
  EXPECT_EQ((*all)["peers"][0]["address"], "b.example.net");
  EXPECT_EQ((*all)["peers"][0]["tunnels"][0]["state"], "down");
  const auto one = ask(ControlVerb::status, "c");
  ASSERT_TRUE(one);
  ASSERT_EQ((*one)["peers"].size(), 1U);
  EXPECT_EQ((*one)["peers"][0]["name"], "c");
}

// Of thousands of peers the answer is made in pieces: as if it were one, and the loop goes on in between.
TEST_F(ControlVerbsTest, AnswersAboutManyPeersAreWhole) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < LongAnswers::kPeersAPiece * 2 + 50; ++i)
    names.push_back("peer-" + std::to_string(i));
  std::vector<const char*> texts;
  for (const std::string& name : names) texts.push_back(name.c_str());
  config = config_of(texts);
  driver->on_command(ike::Reconfigure{make_engine_config(config, {}, reqids).value()});
  std::size_t turns = 0;
  Timer turn(*loop, [&] {
    ++turns;
    turn.arm(Milliseconds(0));
  });
  turn.arm(Milliseconds(0));
  for (const auto& [verb, list] :
       {std::pair{ControlVerb::status, "peers"}, std::pair{ControlVerb::show_ipsec_sa, "idents"}}) {
    const std::size_t before = turns;
    const auto all = ask(verb);
    ASSERT_TRUE(all) << all.error().text;
    EXPECT_EQ(all->begin().key(), "version");
    EXPECT_EQ((*all)["data_plane"], "software");
    ASSERT_EQ((*all)[list].size(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const Json& entry = (*all)[list][i];
      ASSERT_EQ(verb == ControlVerb::status ? entry["name"] : entry["peer"], names[i]);
    }
    EXPECT_GE(turns, before + 2);
  }
  const auto none = ask(ControlVerb::show_isakmp_sa);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->dump(), R"({"version":1,"isakmp_sas":[]})");
}

TEST_F(ControlVerbsTest, WhatIsNotThereIsNotFound) {
  for (const ControlVerb verb : {ControlVerb::status, ControlVerb::up, ControlVerb::down}) {
    const auto answer = ask(verb, "d");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().exit, Exit::not_found);
    EXPECT_EQ(answer.error().text, "there is no peer d");
    EXPECT_EQ(answer.error().expected, "one of: b, c");
  }
  const auto tunnel = ask(ControlVerb::up, "b", "voice");
  ASSERT_FALSE(tunnel);
  EXPECT_EQ(tunnel.error().exit, Exit::not_found);
  EXPECT_EQ(tunnel.error().expected, "one of: lan");
}

TEST_F(ControlVerbsTest, UpWaitsForTheOutcomeOfTheCore) {
  const auto answer = ask(ControlVerb::up, "b", "lan");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().exit, Exit::failed);
  EXPECT_EQ(answer.error().code, "address-unknown");
}

TEST_F(ControlVerbsTest, DownIsDoneAtOnceWhereNothingIsUp) {
  const auto answer = ask(ControlVerb::down, "b");
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer->dump(),
            R"({"version":1,"verb":"down","peer":"b","tunnels":[{"name":"lan","state":"down"}]})");
}

// A negotiation with nobody: its beginning is told to who waits, events of another peer are not, `down` ends
// it.
TEST_F(ControlVerbsTest, ProgressIsOfThePeerWaitedFor) {
  const IpAddress here = *IpAddress::parse("127.0.0.1");
  driver->on_command(ike::SetPeerAddresses{"b", here, here, {}});
  on_poke = [&] {
    events->on_event(event_of("c"));
    driver->on_command(ike::Down{{0}, "b", {}});
  };
  std::vector<std::string> seen;
  const auto answer = ask(ControlVerb::up, "b", {}, [&](const Json& event) {
    seen.push_back(event.value("peer", "") + " " + event.value("event", ""));
    if (seen.size() == 1) poke();
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "cancelled");
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen[0], "b phase1-started");
  for (const std::string& line : seen) EXPECT_TRUE(line.starts_with("b ")) << line;
}

TEST_F(ControlVerbsTest, MonitorStreamsEvents) {
  on_poke = [&] {
    events->on_event(event_of("c"));
    server->flush();
    server.reset();
  };
  std::vector<Json> seen;
  with_client([&](cli::ControlClient& client) {
    ControlRequest request;
    request.id = 1;
    request.verb = ControlVerb::monitor;
    const auto started = client.request(request, Seconds(5));
    EXPECT_TRUE(started && (*started)["monitoring"] == true);
    poke();
    const cli::Failure end = client.follow([&](const Json& event) { seen.push_back(event); });
    EXPECT_EQ(end.exit, Exit::unreachable);
  });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0]["event"], "endpoint-changed");
  EXPECT_EQ(seen[0]["peer"], "c");
}

// ---- clear crypto, debug crypto ------------------------------------------------------------------------

TEST_F(ControlVerbsTest, ClearTellsWhatWent) {
  const auto nothing = ask(ControlVerb::clear_sas);
  ASSERT_TRUE(nothing) << nothing.error().text;
  EXPECT_EQ(nothing->dump(), R"({"version":1,"verb":"clear crypto sa","cleared":[]})");
  const IpAddress here = *IpAddress::parse("127.0.0.1");
  driver->on_command(ike::SetPeerAddresses{"b", here, here, {}});
  driver->on_command(ike::Up{{0}, "b", {}});
  const auto isakmp = ask(ControlVerb::clear_isakmp);
  ASSERT_TRUE(isakmp) << isakmp.error().text;
  ASSERT_EQ((*isakmp)["cleared"].size(), 1U) << "the negotiation under way";
  EXPECT_EQ((*isakmp)["cleared"][0]["peer"], "b");
  EXPECT_EQ(driver->load().isakmp_sas, 0U);
  EXPECT_TRUE(ask(ControlVerb::clear_sas, "b", "lan"));
  EXPECT_TRUE(ask(ControlVerb::clear_sas, "127.0.0.1")) << "an address is a peer's, too";
  EXPECT_TRUE(ask(ControlVerb::clear_counters));
}

TEST_F(ControlVerbsTest, ClearKnowsWhatIsNotThere) {
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::clear_sas;
  request.sa = SaId{*IpAddress::parse("127.0.0.1"), IpsecProtocol::esp, {0x1925112f}};
  const auto sa = ask(request);
  ASSERT_FALSE(sa);
  EXPECT_EQ(sa.error().exit, Exit::not_found);
  EXPECT_EQ(sa.error().text, "there is no SA of 127.0.0.1 with the SPI 0x1925112f");
  request.sa.reset();
  for (const ControlVerb verb : {ControlVerb::clear_isakmp, ControlVerb::clear_connection}) {
    request.verb = verb;
    request.connection = 4711;
    const auto connection = ask(request);
    ASSERT_FALSE(connection);
    EXPECT_EQ(connection.error().text, "there is no connection 4711");
  }
  for (const auto& [peer, tunnel] : {std::pair{"d", ""}, std::pair{"192.0.2.9", ""}, std::pair{"b", "dmz"},
                                     std::pair{"127.0.0.1", "lan"}}) {
    const auto named = ask(ControlVerb::clear_sas, peer, tunnel);
    ASSERT_FALSE(named) << peer;
    EXPECT_EQ(named.error().exit, Exit::not_found) << peer;
  }
}

// To who asked for this, and this peer, alone.
TEST_F(ControlVerbsTest, DebugStreamsWhatWasAskedFor) {
  on_poke = [&] {
    ike::Event event = event_of("c");
    events->on_event(event);
    event.peer = "b";
    events->on_event(event);
    event.id = ike::EventId::phase2_expired;  // of another part
    events->on_event(event);
    log.write(Facility::isakmp, LogLevel::debug, "of no peer");
    server->flush();
    server.reset();
  };
  log.listen([this](Facility facility, LogLevel level, std::string_view text) {
    verbs->on_line(facility, level, text);
  });
  std::vector<Json> seen;
  with_client([&](cli::ControlClient& client) {
    ControlRequest request;
    request.id = 1;
    request.verb = ControlVerb::debug;
    request.facility = Facility::isakmp;
    request.peer = "b";
    const auto started = client.request(request, Seconds(5));
    EXPECT_TRUE(started);
    if (started) {
      EXPECT_EQ(started->dump(), R"({"version":1,"debugging":"isakmp","peer":"b"})");
    }
    poke();
    const cli::Failure end = client.follow([&](const Json& event) { seen.push_back(event); });
    EXPECT_EQ(end.exit, Exit::unreachable);
  });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0]["event"], "endpoint-changed");
  EXPECT_EQ(seen[0]["peer"], "b");
  EXPECT_EQ(seen[0]["connection"], 0);
  EXPECT_EQ(seen[0]["line"], "ISAKMP: the peer moved from - to -");
}

TEST_F(ControlVerbsTest, DebugTellsLinesOfTheLogBelowItsThreshold) {
  log.listen([this](Facility facility, LogLevel level, std::string_view text) {
    verbs->on_line(facility, level, text);
  });
  on_poke = [&] {
    log.write(Facility::engine, LogLevel::error, "data plane: not this one");
    log.write(Facility::pki, LogLevel::info, "CRYPTO_PKI: the CRL says nothing new");
    server->flush();
    server.reset();
  };
  std::vector<Json> seen;
  with_client([&](cli::ControlClient& client) {
    ControlRequest request;
    request.id = 1;
    request.verb = ControlVerb::debug;
    request.facility = Facility::pki;
    EXPECT_TRUE(client.request(request, Seconds(5)));
    poke();
    (void)client.follow([&](const Json& event) { seen.push_back(event); });
  });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0]["line"], "CRYPTO_PKI: the CRL says nothing new");
}

// A flood leaves lines out, and says how many: the daemon neither waits nor keeps them, and the stream goes
// on.
TEST_F(ControlVerbsTest, DebugIsBoundedInAFlood) {
  constexpr std::uint64_t kFlood = 20000;
  int pokes = 0;
  on_poke = [&] {
    if (++pokes == 1) {
      for (std::uint64_t i = 0; i < kFlood; ++i) events->on_event(event_of("c"));
      return;
    }
    events->on_event(event_of("b"));
    server->flush();
    server.reset();
  };
  std::uint64_t lines = 0;
  std::uint64_t left_out = 0;
  std::string last;
  Json listed;
  with_client([&](cli::ControlClient& client) {
    ControlRequest request;
    request.id = 1;
    request.verb = ControlVerb::debug;
    request.facility = Facility::isakmp;
    EXPECT_TRUE(client.request(request, Seconds(5)));
    poke();
    (void)client.follow([&](const Json& event) {
      if (event["event"] != "left-out") {
        ++lines;
        last = event.value("peer", "");
        return;
      }
      left_out += event["lines"].get<std::uint64_t>();
      EXPECT_EQ(event["line"], std::to_string(left_out) + " lines left out");
      if (!listed.is_null()) return;
      auto other = cli::ControlClient::connect(path);
      ASSERT_TRUE(other);
      request.verb = ControlVerb::show_debug;
      const auto answer = other->request(request, Seconds(5));
      ASSERT_TRUE(answer);
      listed = *answer;
      poke();
    });
  });
  EXPECT_EQ(lines + left_out, kFlood + 1);
  EXPECT_GT(lines, 100U);
  EXPECT_LT(lines, 2000U);
  EXPECT_EQ(last, "b") << "the stream went on";
  ASSERT_EQ(listed["streams"].size(), 1U);
  EXPECT_EQ(listed["streams"][0]["facility"], "isakmp");
  EXPECT_EQ(listed["streams"][0]["left_out"], left_out);
}

TEST_F(ControlVerbsTest, DebugsAreFew) {
  bool refused = false;
  with_client([&](cli::ControlClient& client) {
    ControlRequest request;
    request.verb = ControlVerb::debug;
    request.facility = Facility::ipsec;
    // Of one client and of many alike.
    for (std::size_t i = 0; i < 10; ++i) {
      request.id = i;
      EXPECT_TRUE(client.request(request, Seconds(5)));
    }
    auto other = cli::ControlClient::connect(path);
    ASSERT_TRUE(other);
    for (std::size_t i = 0; i < 10 && !refused; ++i) {
      request.id = i;
      const auto answer = other->request(request, Seconds(5));
      refused = !answer;
      if (refused) {
        EXPECT_EQ(answer.error().code, "in-use");
        EXPECT_EQ(i, DebugLimits{}.streams - 10);
      }
    }
  });
  EXPECT_TRUE(refused);
  const auto none = ask(ControlVerb::debug, "nobody");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().exit, Exit::not_found);
}

// Each event is somebody's.
TEST(DebugFacilities, ShowEveryEvent) {
  for (const EventRow& row : event_table()) {
    bool shown = false;
    for (const FacilityRow& facility : kFacilities) shown = shown || is_about(row.id, facility.id);
    EXPECT_TRUE(shown) << ike::to_string(row.id);
  }
  EXPECT_TRUE(is_about(ike::EventId::phase1_failed, Facility::isakmp));
  EXPECT_FALSE(is_about(ike::EventId::phase1_failed, Facility::ipsec));
  EXPECT_TRUE(is_about(ike::EventId::phase2_established, Facility::ipsec));
  EXPECT_TRUE(is_about(ike::EventId::phase2_established, Facility::engine));
  EXPECT_FALSE(is_about(ike::EventId::phase2_established, Facility::isakmp));
  EXPECT_TRUE(is_about(ike::EventId::certificate_verified, Facility::pki));
}

TEST_F(ControlVerbsTest, ReloadTellsItsOutcome) {
  reloaded.needs_restart = {"gateway.listen"};
  const auto good = ask(ControlVerb::reload);
  ASSERT_TRUE(good);
  EXPECT_EQ(good->dump(), R"({"version":1,"reloaded":true,"needs_restart":["gateway.listen"]})");
  reloaded.issues = {
      {"oakgate.yaml", 3, 5, "peers.b.identty", "`identty` is not a known key", "", "identity"}};
  const auto bad = ask(ControlVerb::reload);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().exit, Exit::configuration);
  ASSERT_EQ(bad.error().more["issues"].size(), 1U);
  EXPECT_EQ(bad.error().more["issues"][0]["line"], 3);
  EXPECT_EQ(bad.error().more["issues"][0]["nearest"], "identity");
}

TEST_F(ControlVerbsTest, ReloadMayHaveToBeConfirmed) {
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::reload;
  request.confirm = Seconds{120};
  const auto answer = ask(request);
  ASSERT_TRUE(answer);
  EXPECT_EQ((*answer)["confirm_within_s"], 120);
  EXPECT_EQ(confirm_within, Seconds{120});
  const auto status = ask(ControlVerb::status);
  ASSERT_TRUE(status);
  EXPECT_EQ((*status)["confirm_within_s"], 120);
  ASSERT_TRUE(ask(ControlVerb::reload));
  EXPECT_EQ(confirm_within, std::nullopt);
  const auto nothing = ask(ControlVerb::confirm);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().exit, Exit::not_found);
  running = "peers:\n";
  const auto text = ask(ControlVerb::show_running_config);
  ASSERT_TRUE(text);
  EXPECT_EQ((*text)["text"], "peers:\n");
}

TEST_F(ControlVerbsTest, KeysAreRefreshedWithoutTheConfiguration) {
  refreshed.error = Error{ErrorCode::configuration, "ca.pem: not a certificate", "", "", {}};
  EXPECT_TRUE(ask(ControlVerb::reload));
  const auto bad = ask(ControlVerb::refresh_keys);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().text, "ca.pem: not a certificate");
}

TEST_F(ControlVerbsTest, AsksForListsAndTellsWhatCame) {
  for (const char* name : {"corp", "nowhere"}) {
    TrustpointConfig trustpoint;
    trustpoint.name = name;
    config.trustpoints.push_back(trustpoint);
  }
  const auto ask_for = [&](const std::string& trustpoint) {
    ControlRequest request;
    request.id = 1;
    request.verb = ControlVerb::request_crls;
    request.trustpoint = trustpoint;
    cli::Outcome<Json> answer;
    with_client([&](cli::ControlClient& client) { answer = client.request(request, Seconds(10)); });
    return answer;
  };
  EXPECT_EQ(ask_for("crop").error().exit, Exit::not_found);
  EXPECT_EQ(ask_for("nowhere").error().text, "nothing says where");
  const RevocationSource near{RevocationSource::Kind::crl, "http://near/", true, {}, "corp"};
  const RevocationSource far{RevocationSource::Kind::crl, "http://far/", true, {}, "corp"};
  const Error unreachable{ErrorCode::fetch_failed, "far is silent", "", "", {}};
  lists = {{far, {false, unreachable}}, {near, {true, std::nullopt}}};
  const auto came = ask_for("corp");
  ASSERT_TRUE(came);
  EXPECT_EQ((*came)["lists"][0]["error"]["code"], "fetch-failed");
  EXPECT_EQ((*came)["lists"][1]["new"], true);
  lists = {{far, {false, unreachable}}};
  const auto none = ask_for("corp");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().text, "far is silent");
  EXPECT_EQ(none.error().more["lists"][0]["url"], "http://far/");
}

TEST_F(ControlVerbsTest, ShowsInTheIosWords) {
  const auto isakmp = ask(ControlVerb::show_isakmp_sa);
  ASSERT_TRUE(isakmp);
  EXPECT_TRUE((*isakmp)["isakmp_sas"].is_array());
  const auto ipsec = ask(ControlVerb::show_ipsec_sa);
  ASSERT_TRUE(ipsec);
  EXPECT_EQ((*ipsec)["idents"].size(), 2U);
}

TEST_F(ControlVerbsTest, TellsWhatEncrypts) {
  const auto engine = ask(ControlVerb::show_crypto_engine);
  ASSERT_TRUE(engine);
  EXPECT_FALSE((*engine)["data_plane"].get<std::string>().empty());
  EXPECT_EQ((*engine)["workers"], plane.workers());
  ASSERT_FALSE((*engine)["engines"].empty());
  const std::string all = (*engine)["engines"].dump();
  EXPECT_TRUE(all.find("OpenSSL 3") != std::string::npos || all.find("ipsec-mb") != std::string::npos) << all;
  for (const Json& one : (*engine)["engines"]) EXPECT_NE(one["why"], "");
}

TEST_F(ControlVerbsTest, TellsWhatWasDropped) {
  plane.drop_counts.add(DropReason::replayed, 3);
  plane.drop_counts.add(DropReason::plaintext, 1);
  const auto dropped = ask(ControlVerb::show_dropped_packets);
  ASSERT_TRUE(dropped);
  EXPECT_EQ((*dropped)["dropped"], 4);
  ASSERT_EQ((*dropped)["reasons"].size(), kDropReasons.size());
  for (const Json& one : (*dropped)["reasons"]) {
    const int wanted = one["reason"] == "replayed" ? 3 : one["reason"] == "plaintext" ? 1 : 0;
    EXPECT_EQ(one["packets"], wanted) << one["reason"];
  }
  const auto status = ask(ControlVerb::status);
  ASSERT_TRUE(status);
  EXPECT_EQ((*status)["drops"]["replayed"], 3);
}

}  // namespace
}  // namespace oakgate
