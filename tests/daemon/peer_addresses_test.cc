// Host names and routes are this test's own: answers and sources are what it says, the loop runs until what
// is expected has been told.
#include "daemon/peer_addresses.h"

#include <gtest/gtest.h>

#include <future>
#include <mutex>

namespace oakgate {
namespace {

using Answers = std::map<std::string, Result<std::vector<IpAddress>>>;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

class Lines final : public LogSink {
 public:
  explicit Lines(std::vector<std::string>& lines) : lines_(lines) {}
  void write(LogLevel /*level*/, std::string_view text, std::span<const LogField> /*fields*/) override {
    lines_.emplace_back(text);
  }

 private:
  std::vector<std::string>& lines_;
};

class PeerAddressesTest : public testing::Test {
 protected:
  PeerAddressesTest() {
    loop = std::move(*Loop::create());
    pool = std::move(*WorkerPool::create(1, 16, WorkerPool::AtEnd::join));
    log = std::make_unique<Log>(std::make_unique<Lines>(lines), LogLevel::debug);
    watch = Watch::readable(*loop, pool->fd(), [this] { pool->dispatch(); });
    addresses = std::make_unique<PeerAddresses>(
        PeerAddresses::Parts{*loop, *pool, *log, [this](const std::string& name) { return resolve(name); },
                             [this](const IpAddress& to) { return source(to); },
                             [this](ike::SetPeerAddresses command) { told.push_back(std::move(command)); }},
        ResolveTimes{Milliseconds(60000), Milliseconds(1)});
  }

  Result<std::vector<IpAddress>> resolve(const std::string& name) {
    const std::lock_guard lock(mutex);
    ++asked;
    const auto found = answers.find(name);
    if (found == answers.end()) return fail(ErrorCode::address_unknown, "no such name: " + name);
    return found->second;
  }
  void answer(const std::string& name, std::vector<IpAddress> list) {
    const std::lock_guard lock(mutex);
    answers.insert_or_assign(name, std::move(list));
  }
  std::optional<IpAddress> source(const IpAddress& to) {
    ++looked_up;
    const auto found = sources.find(to.family());
    return found == sources.end() ? std::nullopt : std::optional(found->second);
  }
  // Runs the loop until `count` commands have been told; fails after five seconds.
  void run_until_told(std::size_t count) {
    Timer limit(*loop, [this] { loop->stop(); });
    limit.arm(Milliseconds(5000));
    while (told.size() < count) {
      event_base_loop(loop->base(), EVLOOP_ONCE);
      if (event_base_got_break(loop->base()) != 0) break;
    }
    ASSERT_GE(told.size(), count);
  }

  static conf::PeerConfig host(const char* name, const char* host_name) {
    conf::PeerConfig peer;
    peer.name = name;
    peer.address = {conf::PeerAddress::Kind::host_name, host_name, {}, {}};
    return peer;
  }
  static conf::PeerConfig fixed(const char* name, const char* address) {
    conf::PeerConfig peer;
    peer.name = name;
    peer.address.first = peer.address.last = ip(address);
    return peer;
  }

  std::mutex mutex;
  Answers answers;
  int asked = 0;
  int looked_up = 0;
  std::map<Family, IpAddress> sources{{Family::ipv4, ip("192.0.2.1")}};
  std::vector<std::string> lines;
  std::vector<ike::SetPeerAddresses> told;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Log> log;
  std::unique_ptr<PeerAddresses> addresses;
  std::unique_ptr<WorkerPool> pool;
  std::unique_ptr<Watch> watch;
};

TEST_F(PeerAddressesTest, AFixedPeerNeedsOnlyARoute) {
  addresses->configure({fixed("b", "198.51.100.2")});
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].peer, "b");
  EXPECT_EQ(told[0].local, ip("192.0.2.1"));
  EXPECT_EQ(told[0].remote, ip("198.51.100.2"));
  EXPECT_FALSE(told[0].called_from);
}

TEST_F(PeerAddressesTest, FollowsTheRoutes) {
  addresses->configure({fixed("b", "198.51.100.2")});
  addresses->network_changed();
  EXPECT_EQ(told.size(), 1U) << "nothing changed for this peer";
  sources.clear();
  addresses->network_changed();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_FALSE(told[1].local);
  sources[Family::ipv4] = ip("192.0.2.9");
  addresses->network_changed();
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[2].local, ip("192.0.2.9"));
}

TEST_F(PeerAddressesTest, AnyAndRangesAreNeverCalled) {
  conf::PeerConfig range = fixed("range", "198.51.100.2");
  range.address.kind = conf::PeerAddress::Kind::range;
  conf::PeerConfig any = fixed("any", "198.51.100.2");
  any.address.kind = conf::PeerAddress::Kind::any;
  addresses->configure({range, any});
  EXPECT_TRUE(told.empty());
}

TEST_F(PeerAddressesTest, ANameIsUnknownUntilItResolves) {
  answer("gw-b.example.net", {ip("198.51.100.2"), ip("198.51.100.3")});
  addresses->configure({host("b", "gw-b.example.net")});
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told[0].remote);
  ASSERT_TRUE(told[0].called_from);
  EXPECT_TRUE(told[0].called_from->empty());
  run_until_told(2);
  EXPECT_EQ(told[1].remote, ip("198.51.100.2"));
  EXPECT_EQ(told[1].local, ip("192.0.2.1"));
  EXPECT_EQ(told[1].called_from,
            (std::vector{Subnet::host(ip("198.51.100.2")), Subnet::host(ip("198.51.100.3"))}));
}

TEST_F(PeerAddressesTest, AFailureIsLoggedOnceAndAskedAgain) {
  addresses->configure({host("b", "gw-b.example.net")});
  while (asked < 4) event_base_loop(loop->base(), EVLOOP_ONCE);
  EXPECT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("[b] address-unknown"), std::string::npos) << lines[0];
  answer("gw-b.example.net", {ip("198.51.100.2")});
  run_until_told(2);
  EXPECT_EQ(told[1].remote, ip("198.51.100.2"));
}

TEST_F(PeerAddressesTest, ShuffledAnswersKeepTheAddressInUse) {
  answer("gw-b.example.net", {ip("198.51.100.2"), ip("198.51.100.3")});
  addresses->configure({host("b", "gw-b.example.net")});
  run_until_told(2);
  answer("gw-b.example.net", {ip("198.51.100.3"), ip("198.51.100.4"), ip("198.51.100.2")});
  addresses->peer_is_silent("b");
  run_until_told(3);
  EXPECT_EQ(told[2].remote, ip("198.51.100.2"));
  EXPECT_EQ(told[2].called_from->size(), 3U);
  answer("gw-b.example.net", {ip("198.51.100.5")});
  addresses->peer_is_silent("b");
  run_until_told(4);
  EXPECT_EQ(told[3].remote, ip("198.51.100.5"));
}

TEST_F(PeerAddressesTest, PrefersAnAddressThereIsAWayTo) {
  answer("gw-b.example.net", {ip("2001:db8::2"), ip("198.51.100.2")});
  addresses->configure({host("b", "gw-b.example.net")});
  run_until_told(2);
  EXPECT_EQ(told[1].remote, ip("198.51.100.2"));
  EXPECT_EQ(told[1].local, ip("192.0.2.1"));
}

TEST_F(PeerAddressesTest, AReloadTellsEverythingAnewAndAsksAgain) {
  answer("gw-b.example.net", {ip("198.51.100.2")});
  addresses->configure({host("b", "gw-b.example.net"), fixed("c", "203.0.113.3")});
  run_until_told(3);
  answer("gw-b.example.net", {ip("198.51.100.9")});
  addresses->configure({host("b", "gw-b.example.net")});
  ASSERT_EQ(told.size(), 4U);
  EXPECT_EQ(told[3].remote, ip("198.51.100.2")) << "what is known is kept meanwhile";
  run_until_told(5);
  EXPECT_EQ(told[4].remote, ip("198.51.100.9"));
}

TEST_F(PeerAddressesTest, AReloadLooksForAWayOnlyWhereItKnowsNone) {
  addresses->configure({fixed("b", "198.51.100.2"), fixed("c", "2001:db8::3")});
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(looked_up, 2);
  sources[Family::ipv6] = ip("2001:db8::1");
  addresses->configure({fixed("b", "198.51.100.2"), fixed("c", "2001:db8::3")});
  EXPECT_EQ(looked_up, 3);
  ASSERT_EQ(told.size(), 4U);
  EXPECT_EQ(told[2].local, ip("192.0.2.1"));
  EXPECT_EQ(told[2].remote, ip("198.51.100.2"));
  EXPECT_EQ(told[3].local, ip("2001:db8::1"));
  sources[Family::ipv4] = ip("192.0.2.9");
  addresses->configure({fixed("b", "198.51.100.4"), fixed("c", "2001:db8::3")});
  EXPECT_EQ(looked_up, 4);
  ASSERT_EQ(told.size(), 6U);
  EXPECT_EQ(told[4].local, ip("192.0.2.9"));
  EXPECT_EQ(told[4].remote, ip("198.51.100.4"));
  EXPECT_EQ(told[5].local, ip("2001:db8::1"));
}

// The answer comes after the peer, or everything, has gone.
TEST_F(PeerAddressesTest, LateAnswersHarmNobody) {
  answer("gw-b.example.net", {ip("198.51.100.2")});
  addresses->configure({host("b", "gw-b.example.net")});
  addresses->configure({});
  addresses->configure({fixed("b", "198.51.100.7")});
  Timer end(*loop, [this] { loop->stop(); });
  end.arm(Milliseconds(50));
  loop->run();
  EXPECT_EQ(told.back().remote, ip("198.51.100.7"));
  addresses->configure({host("d", "gw-b.example.net")});
  addresses.reset();
  end.arm(Milliseconds(50));
  loop->run();
}

TEST(ResolveBySystem, ReadsNumbersAndRefusesNonsense) {
  const auto found = resolve_by_system("192.0.2.44");
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, std::vector{ip("192.0.2.44")});
  const auto nonsense = resolve_by_system("no such name!");
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().code, ErrorCode::address_unknown);
}

}  // namespace
}  // namespace oakgate
