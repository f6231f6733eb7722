// The core's events in, programs run and events out.
#include "daemon/hooks/hooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "scripts.h"

namespace oakgate::hooks {
namespace {

using ike::EventId;
using testing::ElementsAre;
using testing::HasSubstr;

class Lines final : public LogSink {
 public:
  explicit Lines(std::vector<std::string>& lines) : lines_(lines) {}
  void write(LogLevel, std::string_view text, std::span<const LogField>) override {
    lines_.emplace_back(text);
  }

 private:
  std::vector<std::string>& lines_;
};

class HooksTest : public testing::Test {
 protected:
  HooksTest() : log(std::make_unique<Lines>(logged), LogLevel::info) {
    auto made = Loop::create();
    EXPECT_TRUE(made);
    loop = std::move(*made);
    program = scripts.write("updown",
                            "echo $OAKGATE_EVENT $OAKGATE_PEER/$OAKGATE_TUNNEL $OAKGATE_REMOTE "
                            "${OAKGATE_REASON:+for $OAKGATE_REASON}"
                            " >>" +
                                scripts.folder + "/told");
  }
  void make(QueueBounds bounds = {}) {
    Hooks::Parts parts{*loop, log, ::geteuid(), "software"};
    parts.sa_pair = [this](const std::string&, Spi in) -> std::optional<ike::SaPairSnapshot> {
      if (gone) return std::nullopt;
      ike::SaPairSnapshot sas;
      sas.in.spi = in;
      sas.reqid = reqid;
      sas.selectors = {{Subnet(*IpAddress::parse("10.1.0.0"), 24)},
                       {Subnet(*IpAddress::parse("10.2.0.0"), 24)}};
      return sas;
    };
    parts.identity = [](const std::string&) { return "192.0.2.2"; };
    parts.raise = [this](const ike::Event& event) { raised.push_back(event); };
    parts.idle = [this] { loop->stop(); };
    parts.bounds = bounds;
    hooks = std::make_unique<Hooks>(std::move(parts));
    configure(program);
  }
  void configure(const std::string& file) {
    conf::Config config;
    conf::PeerConfig peer;
    peer.name = "b";
    conf::TunnelConfig tunnel;
    tunnel.name = "lan";
    if (!file.empty()) tunnel.updown = conf::HookConfig{file, {}};
    peer.tunnels.push_back(tunnel);
    config.peers.push_back(peer);
    hooks->configure(config, "gw-a");
  }
  void tell(EventId id, std::uint32_t spi) {
    ike::Event event;
    event.id = id;
    event.peer = "b";
    event.tunnel = "lan";
    event.fields = {{"spi_in", std::to_string(spi)}, {"reason", "dead peer"}};
    hooks->on_event(event);
  }
  void settle() {
    if (!hooks->idle()) loop->run();
  }
  Scripts scripts;
  std::string program;
  std::vector<std::string> logged;
  Log log;
  std::unique_ptr<Loop> loop;
  std::vector<ike::Event> raised;
  Reqid reqid{1};
  bool gone = false;
  std::unique_ptr<Hooks> hooks;
};

TEST_F(HooksTest, FirstUpAndLastDownAreTold) {
  make();
  tell(EventId::phase2_established, 0x100);
  settle();
  tell(EventId::phase2_established, 0x101);  // a renewal
  tell(EventId::phase2_deleted, 0x100);
  settle();
  EXPECT_EQ(scripts.content("told"), "up b/lan 10.2.0.0/24\n");
  tell(EventId::phase2_deleted, 0x101);
  settle();
  EXPECT_EQ(scripts.content("told"), "up b/lan 10.2.0.0/24\ndown b/lan 10.2.0.0/24 for dead peer\n");
  ASSERT_EQ(raised.size(), 2U);
  for (const ike::Event& event : raised) {
    EXPECT_EQ(event.id, EventId::hook_ran);
    EXPECT_EQ(event.peer + "/" + event.tunnel, "b/lan");
  }
  EXPECT_EQ(raised[1].fields[0], ike::Field("event", "down"));
}

TEST_F(HooksTest, AdoptedSasAreToldSo) {
  make();
  tell(EventId::phase2_adopted, 0x100);
  settle();
  EXPECT_EQ(scripts.content("told"), "adopted b/lan 10.2.0.0/24\n");
}

TEST_F(HooksTest, WhatHasNoProgramIsNotFollowed) {
  make();
  configure("");
  tell(EventId::phase2_established, 0x100);
  tell(EventId::phase2_deleted, 0x100);
  EXPECT_TRUE(hooks->idle());
  configure(program);
  gone = true;  // before we came to it
  tell(EventId::phase2_established, 0x101);
  EXPECT_TRUE(hooks->idle());
}

TEST_F(HooksTest, DownIsForTheProgramThatWasToldUp) {
  make();
  tell(EventId::phase2_established, 0x100);
  settle();
  configure("");
  tell(EventId::phase2_deleted, 0x100);
  settle();
  EXPECT_THAT(scripts.content("told"), HasSubstr("down b/lan"));
}

TEST_F(HooksTest, AProgramThatFailsIsAnEvent) {
  make();
  configure(scripts.write("fails", "echo 'cannot do \033[2J that'; exit 1"));
  tell(EventId::phase2_established, 0x100);
  settle();
  ASSERT_EQ(raised.size(), 1U);
  EXPECT_EQ(raised[0].id, EventId::hook_failed);
  ASSERT_TRUE(raised[0].error);
  EXPECT_EQ(raised[0].error->text, "the program ended with exit status 1");
  EXPECT_THAT(logged, ElementsAre("[b/lan] updown says: cannot do \\x1b[2J that"));
}

TEST_F(HooksTest, AProgramThatOthersCanChangeIsNotRun) {
  make();
  ::chmod(program.c_str(), 0777);
  tell(EventId::phase2_established, 0x100);
  settle();
  ASSERT_EQ(raised.size(), 1U);
  EXPECT_EQ(raised[0].id, EventId::hook_failed);
  ASSERT_TRUE(raised[0].error);
  EXPECT_THAT(raised[0].error->text, HasSubstr("can be changed by others"));
  EXPECT_EQ(scripts.content("told"), "");
}

TEST_F(HooksTest, WhatHasNoRoomIsAnEvent) {
  make({.at_once = 1, .waiting = 1});
  tell(EventId::phase2_established, 0x100);
  reqid = Reqid{2};
  tell(EventId::phase2_established, 0x200);
  ASSERT_EQ(raised.size(), 1U);
  EXPECT_EQ(raised[0].id, EventId::hook_failed);
  EXPECT_EQ(hooks->lost(), 1U);
  settle();
  EXPECT_EQ(scripts.content("told"), "up b/lan 10.2.0.0/24\n");
}

}  // namespace
}  // namespace oakgate::hooks
