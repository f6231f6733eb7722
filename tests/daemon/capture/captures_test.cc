// What the daemon tells whoever captures: over a real control socket, by the command's own client.
#include "daemon/capture/captures.h"

#include <event2/event.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/cli/client.h"

namespace oakgate::capture {
namespace {

class Lines final : public LogSink {
 public:
  explicit Lines(std::string& text) : text_(text) {}
  void write(LogLevel /*level*/, std::string_view text, std::span<const LogField> /*fields*/) override {
    text_ += std::string(text) + "\n";
  }

 private:
  std::string& text_;
};

SaSpec sa_of(Direction direction, std::uint32_t spi, std::uint8_t key) {
  const IpAddress ours = *IpAddress::parse("192.0.2.1"), theirs = *IpAddress::parse("192.0.2.2");
  SaSpec sa;
  sa.direction = direction;
  sa.id = {direction == Direction::in ? ours : theirs, IpsecProtocol::esp, Spi{spi}};
  sa.source = direction == Direction::in ? theirs : ours;
  sa.cipher = EspCipher::aes_128;
  sa.integrity = Integrity::sha;
  sa.encryption_key = SecretBytes(Bytes(16, key));
  sa.integrity_key = SecretBytes(Bytes(20, key));
  return sa;
}

class CapturesTest : public testing::Test, public ControlHandler {
 protected:
  CapturesTest() {
    std::string name = "/tmp/oakgate-captures-test.XXXXXX";
    folder = ::mkdtemp(name.data());
    loop = std::move(*Loop::create());
    server = std::move(*ControlServer::open(*loop, folder + "/control.sock"));
    server->serve(*this);
    conf::PeerConfig peer;
    peer.name = "b";
    peer.address = {
        conf::PeerAddress::Kind::address, {}, *IpAddress::parse("192.0.2.2"), *IpAddress::parse("192.0.2.2")};
    config.peers = {peer};
    config.gateway.capture = conf::CaptureChoice::keys;
    make();
  }
  ~CapturesTest() override { std::filesystem::remove_all(folder); }
  void make() {
    captures = std::make_unique<Captures>(Captures::Parts{*loop, log, *server,
                                                          [this]() -> const conf::Config& { return config; },
                                                          [this](const std::string& peer) {
                                                            std::vector<ike::DecryptionKey> keys;
                                                            if (peer == "b" && ike_key != 0) {
                                                              ike::DecryptionKey key;
                                                              key.cookies = {{ike_key}, {9}};
                                                              key.cipher = IkeCipher::aes_128;
                                                              key.key = SecretBytes(Bytes(16, ike_key));
                                                              if (phase1_over)
                                                                key.last_phase1_block = Bytes(16, 0xbb);
                                                              keys.push_back(std::move(key));
                                                            }
                                                            return keys;
                                                          },
                                                          [this](const std::string&) { return peers; }});
  }
  void on_request(ClientId client, const ControlRequest& request) override {
    captures->begin(client, request);
  }
  void on_gone(ClientId client) override { captures->client_gone(client); }

  void install(const SaSpec& sa, const std::string& peer) { captures->installed({&sa, 1}, peer); }

  static ControlRequest request_of(bool keys, std::optional<Seconds> time = {}) {
    ControlRequest request;
    request.id = 4;
    request.verb = ControlVerb::capture;
    request.peer = "b";
    request.keys = keys;
    request.seconds = time;
    return request;
  }
  cli::ControlClient connect() { return std::move(*cli::ControlClient::connect(folder + "/control.sock")); }
  // The next line, the loop running meanwhile.
  cli::Outcome<cli::ControlClient::Line> next(cli::ControlClient& client) {
    while (true) {
      auto line = client.take();
      if (!line) return tl::unexpected(line.error());
      if (*line) return std::move(**line);
      event_base_loop(loop->base(), EVLOOP_ONCE);
    }
  }
  // Whether nothing more comes by what has happened so far.
  bool silent(cli::ControlClient& client) {
    for (int i = 0; i < 3; ++i) event_base_loop(loop->base(), EVLOOP_NONBLOCK);
    auto line = client.take();
    return line && !*line;
  }
  Json begun(cli::ControlClient& client, const ControlRequest& request) {
    EXPECT_TRUE(client.begin(request, Seconds(5)));
    auto line = next(client);
    EXPECT_TRUE(line);
    return line ? line->json : Json();
  }
  std::string table_line(cli::ControlClient& client) {
    auto line = next(client);
    return line ? line->json.value("table", "") + ": " + line->json.value("line", "") : line.error().text;
  }

  std::string folder;
  std::string logged;
  Log log{std::make_unique<Lines>(logged), LogLevel::debug};
  conf::Config config;
  std::vector<ike::PeerSnapshot> peers;
  std::uint8_t ike_key = 0;
  bool phase1_over = false;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<ControlServer> server;
  std::unique_ptr<Captures> captures;
};

TEST_F(CapturesTest, NothingUnlessTheConfigurationAllowsIt) {
  config.gateway.capture = conf::CaptureChoice::off;
  captures->configure();
  auto client = connect();
  ASSERT_TRUE(client.begin(request_of(true), Seconds(5)));
  const auto answer = next(client);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "not-permitted");
  EXPECT_EQ(answer.error().exit, Exit::failed);
  EXPECT_THAT(answer.error().remedy, testing::HasSubstr("oakgate reload"));
}

TEST_F(CapturesTest, KeysOfWhatIsThereAndOfWhatComes) {
  ike_key = 1;
  phase1_over = true;
  install(sa_of(Direction::in, 0x1001, 0x11), "b");
  install(sa_of(Direction::in, 0x2001, 0x22), "c");
  auto client = connect();
  const Json first = begun(client, request_of(true, Seconds(60)));
  EXPECT_EQ(first["keys"], true);
  EXPECT_EQ(first["seconds"], 60);
  EXPECT_EQ(first["addresses"].dump(), R"([{"first":"192.0.2.2","last":"192.0.2.2"}])");
  EXPECT_THAT(table_line(client),
              testing::AllOf(testing::StartsWith("ikev1_decryption_table: 0100000000000000,"),
                             testing::HasSubstr("\n# phase 1 ended: ")));
  EXPECT_THAT(table_line(client),
              testing::AllOf(testing::HasSubstr("\"192.0.2.2\",\"192.0.2.1\",\"0x00001001\""),
                             testing::HasSubstr("0x" + std::string(32, '1'))));
  EXPECT_TRUE(silent(client)) << "not the other peer's";

  captures->core_worked();
  EXPECT_TRUE(silent(client)) << "nothing twice";
  ike_key = 2;
  phase1_over = false;
  captures->core_worked();
  EXPECT_THAT(table_line(client), testing::AllOf(testing::HasSubstr("0200000000000000,"),
                                                 testing::Not(testing::HasSubstr("phase 1 ended"))));
  phase1_over = true;
  captures->core_worked();
  EXPECT_TRUE(silent(client)) << "its phase 1 is in the capture";
  install(sa_of(Direction::out, 0x1002, 0x33), "b");
  EXPECT_THAT(table_line(client), testing::HasSubstr("\"192.0.2.1\",\"192.0.2.2\",\"0x00001002\""));
  install(sa_of(Direction::out, 0x2002, 0x44), "c");
  EXPECT_TRUE(silent(client));
  EXPECT_THAT(logged, testing::HasSubstr("with keys"));
  EXPECT_THAT(logged, testing::Not(testing::HasSubstr("1111")));
}

TEST_F(CapturesTest, PacketsAloneHaveNoKeys) {
  config.gateway.capture = conf::CaptureChoice::packets;
  captures->configure();
  install(sa_of(Direction::in, 0x1001, 0x11), "b");
  ike_key = 1;
  auto client = connect();
  const Json first = begun(client, request_of(true));
  EXPECT_EQ(first["keys"], false);
  EXPECT_THAT(first.value("no_keys", ""), testing::HasSubstr("packets"));
  captures->core_worked();
  EXPECT_TRUE(silent(client));
}

TEST_F(CapturesTest, GoneSAsAreForgotten) {
  const SaSpec sa = sa_of(Direction::in, 0x1001, 0x11);
  install(sa_of(Direction::in, 0x1001, 0x11), "b");
  captures->gone({&sa.id, 1});
  auto client = connect();
  (void)begun(client, request_of(true));
  EXPECT_TRUE(silent(client));
}

TEST_F(CapturesTest, AnSaThatMovesHasARowForItsNewAddress) {
  const SaSpec in = sa_of(Direction::in, 0x1001, 0x11), out = sa_of(Direction::out, 0x1002, 0x33);
  install(in, "b");
  install(out, "b");
  auto client = connect();
  (void)begun(client, request_of(true));
  (void)table_line(client);
  (void)table_line(client);
  const Endpoint there{*IpAddress::parse("198.51.100.7"), 31000};
  const std::vector<SaMove> moves{{in.id, there}, {out.id, there}};
  captures->moved(moves);
  EXPECT_THAT(table_line(client), testing::HasSubstr("\"198.51.100.7\",\"192.0.2.1\",\"0x00001001\""));
  EXPECT_THAT(table_line(client), testing::HasSubstr("\"192.0.2.1\",\"198.51.100.7\",\"0x00001002\""));
  // Another port of the same address changes no row; and it is found under its new name.
  SaId moved = out.id;
  moved.destination = there.address;
  captures->moved(std::vector<SaMove>{{moved, {there.address, 31001}}});
  EXPECT_TRUE(silent(client));
  captures->gone({&moved, 1});
  captures->gone({&in.id, 1});
  auto later = connect();
  (void)begun(later, request_of(true));
  EXPECT_TRUE(silent(later));
}

TEST_F(CapturesTest, EndsWithItsTime) {
  auto client = connect();
  (void)begun(client, request_of(true, Seconds(1)));
  const auto last = next(client);
  ASSERT_TRUE(last);
  EXPECT_TRUE(last->last);
  EXPECT_EQ(last->json["ended"], "its time is over");
  EXPECT_THAT(logged,
              testing::HasSubstr("ended after 1 s: its time is over; 0 ISAKMP and 0 ESP keys were given"));
}

TEST_F(CapturesTest, EndsWhenAReloadAllowsItNoMoreAndForgetsTheKeys) {
  install(sa_of(Direction::in, 0x1001, 0x11), "b");
  auto client = connect();
  (void)begun(client, request_of(true));
  (void)table_line(client);
  config.gateway.capture = conf::CaptureChoice::packets;
  captures->configure();
  const auto last = next(client);
  ASSERT_TRUE(last);
  EXPECT_THAT(last->json.value("ended", ""), testing::HasSubstr("does not allow it"));
  config.gateway.capture = conf::CaptureChoice::keys;
  captures->configure();
  (void)begun(client, request_of(true));
  EXPECT_TRUE(silent(client)) << "the key from before is wiped";
}

TEST_F(CapturesTest, WhereThePeerIsNowIsTold) {
  auto client = connect();
  (void)begun(client, request_of(false));
  ike::PeerSnapshot shot;
  shot.remote = IpAddress::parse("198.51.100.7");
  peers = {shot};
  captures->core_worked();
  const auto line = next(client);
  ASSERT_TRUE(line);
  EXPECT_THAT(line->json.dump(), testing::HasSubstr("198.51.100.7"));
  captures->core_worked();
  EXPECT_TRUE(silent(client));
}

TEST_F(CapturesTest, AClientThatGoesEndsItsOwn) {
  {
    auto client = connect();
    (void)begun(client, request_of(false));
  }
  while (logged.find("its client has ended it") == std::string::npos)
    event_base_loop(loop->base(), EVLOOP_ONCE);
  std::vector<cli::ControlClient> many;
  for (std::size_t i = 0; i < Captures::kMost; ++i) {
    many.push_back(connect());
    EXPECT_EQ(begun(many.back(), request_of(false))["capture"], "begun");
  }
  auto client = connect();
  ASSERT_TRUE(client.begin(request_of(false), Seconds(5)));
  const auto refused = next(client);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "in-use");
}

}  // namespace
}  // namespace oakgate::capture
