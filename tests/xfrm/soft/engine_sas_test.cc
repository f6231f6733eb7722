// The engine's SAs and policies: their limits, how they come and go; and random packets by random algorithms.
#include "two_engines.h"

namespace oakgate::soft {
namespace {

TEST_F(EspEngineTest, HardBytesEndAnSaBeforeTheyArePassed) {
  ASSERT_TRUE(a_.engine.protect(policy()));
  SaSpec limited = spec(Direction::out);
  limited.hard_kilobytes = Kilobytes{1};
  limited.soft_kilobytes = Kilobytes{1};
  ASSERT_TRUE(install(a_.engine, std::move(limited)));
  const Bytes packet = make_packet({.payload = 492});  // 512 with its header
  EXPECT_TRUE(send(packet).soft_limits.empty());
  EXPECT_EQ(send(packet).soft_limits.size(), 1U) << "once, when it is reached";
  EXPECT_TRUE(a_.out.expired.empty());
  EXPECT_EQ(counters(a_.engine).bytes, 1024U);
  EngineOutput& out = send(packet);
  EXPECT_TRUE(out.sealed.empty());
  ASSERT_EQ(out.expired.size(), 1U);
  EXPECT_EQ(out.expired[0].reqid, kReqid);
  EXPECT_EQ(counters(a_.engine).packets, 0U) << "it is gone";
}

TEST_F(EspEngineTest, HardBytesEndAnInboundSaToo) {
  up();
  const SaId id{b_.own, IpsecProtocol::esp, Spi{0x1000}};
  b_.engine.remove({&id, 1});
  SaSpec limited = spec(Direction::in);
  limited.hard_kilobytes = Kilobytes{1};
  ASSERT_TRUE(install(b_.engine, std::move(limited)));
  EXPECT_EQ(receive(sealed({.payload = 1000})).opened.size(), 1U);
  EXPECT_TRUE(receive(sealed({.payload = 1000})).opened.empty());
  EXPECT_EQ(b_.out.expired.size(), 1U);
}

TEST_F(EspEngineTest, HardTimeEndsAnSa) {
  ASSERT_TRUE(a_.engine.protect(policy()));
  for (const std::uint32_t spi : {0x1000U, 0x2000U}) {
    SaSpec limited = spec(Direction::out, spi);
    limited.hard_time = Seconds(spi == 0x1000 ? 20 : 10);
    ASSERT_TRUE(install(a_.engine, std::move(limited), now_));
  }
  EXPECT_EQ(a_.engine.next_expiry(), now_ + Seconds(10));
  a_.out.clear();
  a_.engine.expire(now_ + Seconds(10) - Milliseconds(1), a_.out);
  EXPECT_TRUE(a_.out.expired.empty());
  a_.engine.expire(now_ + Seconds(10), a_.out);
  ASSERT_EQ(a_.out.expired.size(), 1U);
  EXPECT_EQ(a_.out.expired[0].id.spi.value, 0x2000U);
  EXPECT_EQ(a_.engine.next_expiry(), now_ + Seconds(20));
  const SaId removed{b_.own, IpsecProtocol::esp, Spi{0x1000}};
  a_.engine.remove({&removed, 1});
  EXPECT_FALSE(a_.engine.next_expiry());
}

// More than the engine takes at once.
TEST_F(EspEngineTest, HardTimeEndsManySas) {
  constexpr std::uint32_t kMany = 2 * EspEngine::kExpiredAtOnce + 1;
  ASSERT_TRUE(a_.engine.protect(policy()));
  for (std::uint32_t i = 0; i <= kMany; ++i) {
    SaSpec limited = spec(Direction::out, 0x1000 + i);
    limited.hard_time = Seconds(i < kMany ? 10 : 20);
    ASSERT_TRUE(install(a_.engine, std::move(limited), now_));
  }
  a_.out.clear();
  a_.engine.expire(now_ + Seconds(10), a_.out);
  ASSERT_EQ(a_.out.expired.size(), kMany);
  for (std::uint32_t i = 0; i < kMany; ++i) EXPECT_EQ(a_.out.expired[i].id.spi.value, 0x1000 + i);
  EXPECT_EQ(a_.engine.next_expiry(), now_ + Seconds(20));
}

TEST_F(EspEngineTest, InstallsAllOrNone) {
  ASSERT_TRUE(a_.engine.protect(policy()));
  std::vector<SaSpec> batch;
  batch.push_back(spec(Direction::out, 0x1000));
  batch.push_back(spec(Direction::in, 0x3000));
  batch.push_back(spec(Direction::out, 0x1000));
  const auto refused = a_.engine.install(batch, now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::in_use);
  EXPECT_TRUE(send(make_packet({})).sealed.empty());
  ASSERT_TRUE(install(a_.engine, spec(Direction::in, 0x3000)));
}

TEST_F(EspEngineTest, RefusesWhatItDoesNotDo) {
  const auto refused = [&](auto change) {
    SaSpec sa = spec(Direction::in);
    change(sa);
    const auto result = install(a_.engine, std::move(sa));
    return !result && result.error().code == ErrorCode::unsupported;
  };
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.id.spi.value = 255; }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.replay_window = 31; }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.replay_window = 4097; }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.source = address("2001:db8::1"); }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.selectors.local.subnet = *Subnet::parse("2001:db8::/32"); }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.integrity.reset(); }));
  EXPECT_FALSE(refused([](SaSpec&) {}));
}

TEST_F(EspEngineTest, UnprotectTakesThePolicyAway) {
  up();
  a_.engine.unprotect(kReqid);
  EXPECT_TRUE(send(make_packet({})).sealed.empty());
  EXPECT_EQ(a_.engine.drops().no_policy, 1U);
  ASSERT_TRUE(a_.engine.protect(policy()));
  EXPECT_EQ(send(make_packet({})).sealed.size(), 1U) << "the SA was there all the time";
}

TEST_F(EspEngineTest, AReplacedPolicyForgetsItsOldSelectors) {
  up();
  ProtectPolicy moved = policy();
  moved.selectors.remote.subnet = *Subnet::parse("10.7.0.0/24");
  ASSERT_TRUE(a_.engine.protect(moved));
  EXPECT_TRUE(send(make_packet({})).sealed.empty());
  EXPECT_EQ(send(make_packet({.destination = "10.7.0.1"})).sealed.size(), 1U);
}

TEST(SequenceCounter, NeverWraps) {
  SequenceCounter counter(0xffff'fffd);
  EXPECT_EQ(counter.next(), 0xffff'fffeU);
  EXPECT_EQ(counter.next(), 0xffff'ffffU);
  EXPECT_FALSE(counter.next());
  EXPECT_FALSE(counter.next());
  EXPECT_EQ(SequenceCounter().next(), 1U);
}

// Random packets by random algorithms arrive as they were sent.
TEST_F(EspEngineTest, AnyPacketByAnyAlgorithm) {
  std::mt19937 random(11);
  mtu_ = 0;
  ASSERT_TRUE(a_.engine.protect(policy()));
  std::uint32_t spi = 0x1'0000;
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    for (const IntegrityInfo& integrity : integrities()) {
      ++spi;
      for (EspEngine* engine : {&a_.engine, &b_.engine}) {
        SaSpec sa = spec(engine == &a_.engine ? Direction::out : Direction::in, spi);
        sa.cipher = cipher.id;
        sa.integrity = cipher.aead() ? std::nullopt : std::optional(integrity.id);
        sa.encryption_key = SecretBytes(Bytes(std::size_t{cipher.key_bytes} + cipher.salt_bytes, 0x33));
        sa.integrity_key = SecretBytes(Bytes(integrity.key_bytes, 0x44));
        ASSERT_TRUE(install(*engine, std::move(sa)));
      }
      for (int i = 0; i < 20; ++i) {
        const Bytes packet = make_packet({.payload = random() % 3000});
        ASSERT_EQ(send(packet).sealed.size(), 1U);
        ASSERT_EQ(receive(to_bytes(a_.out.sealed[0].bytes)).opened.size(), 1U)
            << cipher.name << integrity.name;
        ASSERT_EQ(to_bytes(b_.out.opened[0]), packet);
      }
    }
  }
}

}  // namespace
}  // namespace oakgate::soft
