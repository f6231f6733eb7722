// The engine when memory runs out, at each place where it asks for some: nothing crashes, an error is
// reported, what was there is there, what was to come is not there by half, and no packet leaves in plain.
// The way of a packet asks for none.
//
// Allocations of C++ and of OpenSSL fail here when told to. (ipsec-mb takes its managers when a thread
// begins.)
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <array>
#include <cstdlib>
#include <new>

#include "packets.h"
#include "xfrm/soft/esp_engine.h"

namespace {

// How many more allocations succeed; negative: all.
long g_left = -1;
bool g_failed = false;

bool refused() {
  if (g_left < 0 || g_left-- > 0) return false;
  g_left = 0;  // and all that follow: memory does not come back at once
  g_failed = true;
  return true;
}

void* openssl_malloc(std::size_t size, const char*, int) {
  return refused() ? nullptr : std::malloc(size);
}
void* openssl_realloc(void* old, std::size_t size, const char*, int) {
  return refused() ? nullptr : std::realloc(old, size);
}
void openssl_free(void* memory, const char*, int) {
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  void* const memory = refused() ? nullptr : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto boundary = static_cast<std::size_t>(alignment);
  void* const memory =
      refused() ? nullptr : std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace oakgate::soft {
namespace {

using test::address;
using test::make_packet;
using test::PacketSpec;

constexpr Reqid kReqid{kReqidBase + 1};
constexpr int kMostAllocations = 2000;

// Runs `work` with its first allocation failing, then its second one, until it needs no more than it gets;
// `after` looks at what each failure has left. How many there were.
template <typename Work, typename After>
int each_failure(Work work, After after) {
  for (int granted = 0; granted < kMostAllocations; ++granted) {
    bool told = false;
    g_failed = false;
    g_left = granted;
    try {
      told = !work();
    } catch (const std::bad_alloc&) {
      told = true;
    }
    g_left = -1;
    if (!g_failed) {
      EXPECT_FALSE(told);
      return granted;
    }
    SCOPED_TRACE("allocation " + std::to_string(granted));
    after(told);
  }
  ADD_FAILURE() << "there is no end of allocations";
  return kMostAllocations;
}

struct Algorithms {
  const char* name;
  IpsecProtocol protocol;
  EspCipher cipher;
  std::optional<Integrity> integrity;
};
constexpr std::array kAlgorithms{
    Algorithms{"cbc", IpsecProtocol::esp, EspCipher::aes_256, Integrity::sha256},
    Algorithms{"gcm", IpsecProtocol::esp, EspCipher::gcm_128, std::nullopt},
    Algorithms{"3des", IpsecProtocol::esp, EspCipher::des3, Integrity::md5},
    Algorithms{"ah", IpsecProtocol::ah, EspCipher::null, Integrity::sha},
};

class OutOfMemory : public ::testing::TestWithParam<Algorithms> {
 protected:
  static EngineEnvironment environment() {
    return {[](const OuterPath&) { return std::size_t{1500}; },
            [](std::span<std::uint8_t> iv) {
              std::fill(iv.begin(), iv.end(), std::uint8_t{7});
              return true;
            }};
  }
  // What is made once: OpenSSL's algorithms, the proofs of the crypto engines. The daemon makes them when it
  // starts.
  void SetUp() override {
    EspEngine engine(environment());
    ASSERT_TRUE(engine.protect(policy()));
    ASSERT_TRUE(engine.install(both(), {}));
    expect_carries(engine);
  }
  ProtectPolicy policy(bool acquire = false) const {
    ProtectPolicy policy;
    policy.reqid = kReqid;
    policy.selectors = pair_;
    policy.local_gateway = a_;
    policy.remote_gateway = b_;
    policy.acquire = acquire;
    return policy;
  }
  SaSpec spec(Direction direction, std::uint32_t spi = 0x1000) const {
    const Algorithms& use = GetParam();
    SaSpec sa;
    sa.direction = direction;
    sa.id = {b_, use.protocol, Spi{spi}};
    sa.source = a_;
    sa.reqid = kReqid;
    sa.selectors = direction == Direction::out ? pair_ : SelectorPair{pair_.remote, pair_.local};
    sa.cipher = use.cipher;
    sa.integrity = use.integrity;
    if (use.protocol == IpsecProtocol::esp)
      sa.encryption_key = SecretBytes(Bytes(info(use.cipher).key_bytes + info(use.cipher).salt_bytes, 0x11));
    if (use.integrity) sa.integrity_key = SecretBytes(Bytes(info(*use.integrity).key_bytes, 0x22));
    sa.hard_time = Seconds(3600);
    return sa;
  }
  std::vector<SaSpec> both() const {
    std::vector<SaSpec> sas;
    sas.push_back(spec(Direction::out));
    sas.push_back(spec(Direction::in, 0x2000));
    return sas;
  }
  // What becomes of a packet; nothing of it may be in the output.
  EngineOutput& send(EspEngine& engine) {
    out_.clear();
    batch_.clear();
    std::copy(packet_.begin(), packet_.end(), batch_.next_room().begin());
    batch_.add(batch_.next_room().first(packet_.size()));
    engine.outbound(batch_, Instant(Milliseconds(5000)), out_);
    for (const SealedPacket& sealed : out_.sealed) {
      const bool plain = sealed.protocol == IpsecProtocol::esp &&
                         std::search(sealed.bytes.begin(), sealed.bytes.end(), packet_.end() - 16,
                                     packet_.end()) != sealed.bytes.end();
      EXPECT_FALSE(plain);
    }
    return out_;
  }
  EngineOutput& receive(EspEngine& engine, const Bytes& sealed) {
    out_.clear();
    batch_.clear();
    // AH covers the IP header before it.
    const std::size_t header = GetParam().protocol == IpsecProtocol::ah ? 20 : 0;
    std::copy(sealed.begin(), sealed.end(), batch_.next_room().begin());
    BatchPacket& packet = batch_.add(batch_.next_room().subspan(header, sealed.size() - header));
    packet.destination = b_;
    packet.source = {a_, 0};
    packet.protocol = GetParam().protocol;
    packet.ip_header = header;
    engine.inbound(batch_, out_);
    return out_;
  }
  // An engine of its own takes what `engine` seals.
  void expect_carries(EspEngine& engine) {
    EspEngine peer(environment());
    const SaSpec in = spec(Direction::in);
    ASSERT_TRUE(peer.install({&in, 1}, {}));
    ASSERT_EQ(1U, send(engine).sealed.size());
    const Bytes sealed = to_bytes(out_.sealed[0].bytes);
    EXPECT_EQ(1U, receive(peer, sealed).opened.size());
  }

  IpAddress a_ = address("192.0.2.1");
  IpAddress b_ = address("192.0.2.2");
  SelectorPair pair_{{*Subnet::parse("10.1.0.0/24"), 17, 0}, {*Subnet::parse("10.2.0.0/24"), 17, 2000}};
  Bytes packet_ = make_packet(PacketSpec{});
  PacketBatch batch_;
  EngineOutput out_;
};

TEST_P(OutOfMemory, PoliciesAndSasComeWholeOrNotAtAll) {
  EspEngine engine(environment());
  const int protecting = each_failure([&] { return engine.protect(policy()).has_value(); },
                                      [&](bool told) {
                                        EXPECT_TRUE(told);
                                        EXPECT_TRUE(send(engine).sealed.empty());
                                        EXPECT_FALSE(engine.policy(kReqid).has_value());
                                      });
  EXPECT_GT(protecting, 2);
  const std::vector<SaSpec> sas = both();
  const std::array ids{sas[0].id, sas[1].id};
  const int installing = each_failure([&] { return engine.install(sas, {}).has_value(); },
                                      [&](bool told) {
                                        EXPECT_TRUE(told);
                                        EXPECT_TRUE(send(engine).sealed.empty());
                                        EXPECT_FALSE(engine.next_expiry().has_value());
                                      });
  EXPECT_GT(installing, 4);
  expect_carries(engine);
  // Their end needs no memory.
  EXPECT_EQ(0, each_failure(
                   [&] {
                     engine.remove(ids);
                     return true;
                   },
                   [](bool) {}));
  EXPECT_TRUE(send(engine).sealed.empty());
}

TEST_P(OutOfMemory, AnotherPolicyOrNone) {
  EspEngine engine(environment());
  ASSERT_TRUE(engine.protect(policy()));
  ASSERT_TRUE(engine.install(both(), {}));
  ProtectPolicy other = policy();
  other.selectors.local = {*Subnet::parse("10.1.0.0/16"), 17, 0};
  each_failure([&] { return engine.protect(other).has_value(); },
               [&](bool told) {
                 EXPECT_TRUE(told);
                 static_cast<void>(send(engine));  // it is sealed, or dropped
                 if (!engine.policy(kReqid)) {
                   EXPECT_TRUE(out_.sealed.empty());
                 }
               });
  expect_carries(engine);
  each_failure(
      [&] {
        engine.unprotect(kReqid);
        return true;
      },
      [&](bool) { static_cast<void>(send(engine)); });
  EXPECT_TRUE(send(engine).sealed.empty());
}

TEST_P(OutOfMemory, AMovedSaIsHereOrThere) {
  EspEngine engine(environment());
  ASSERT_TRUE(engine.protect(policy()));
  ASSERT_TRUE(engine.install(both(), {}));
  ASSERT_EQ(1U, send(engine).sealed.size());
  const IpAddress there = address("192.0.2.77");
  const SaId old_name = spec(Direction::out).id;
  SaId new_name = old_name;
  new_name.destination = there;
  const std::array moves{SaMove{old_name, {there, 4500}}};
  std::uint64_t sent = 1;
  each_failure([&] { return engine.move(moves).has_value(); },
               [&](bool told) {
                 EXPECT_TRUE(told);
                 ASSERT_EQ(1U, send(engine).sealed.size());
                 EXPECT_EQ(out_.sealed[0].path.destination, b_);
                 ++sent;
                 const std::array names{old_name, new_name};
                 const auto counters = engine.counters(names);
                 EXPECT_EQ(counters[0].packets, sent);
                 EXPECT_EQ(counters[1].packets, 0U);
               });
  ASSERT_EQ(1U, send(engine).sealed.size());
  EXPECT_EQ(out_.sealed[0].path.destination, there);
  EXPECT_EQ(engine.counters({&new_name, 1})[0].packets, sent + 1);
  EXPECT_TRUE(engine.next_expiry().has_value());
}

// OpenSSL takes some for an HMAC; without it the packet is dropped, and counted.
TEST_P(OutOfMemory, APacketTakesNoneOfOurs) {
  EspEngine engine(environment());
  EspEngine peer(environment());
  ASSERT_TRUE(engine.protect(policy()));
  ASSERT_TRUE(engine.install(both(), {}));
  const SaSpec in = spec(Direction::in);
  ASSERT_TRUE(peer.install({&in, 1}, {}));
  const int most = GetParam().integrity ? 4 : 0;
  std::size_t sealed = 0;
  std::uint64_t dropped = 0;
  EXPECT_LE(each_failure(
                [&] {
                  sealed = send(engine).sealed.size();
                  return true;
                },
                [&](bool told) {
                  EXPECT_FALSE(told);
                  EXPECT_TRUE(out_.sealed.empty());
                  EXPECT_EQ(engine.drops().crypto_failed, ++dropped);
                }),
            most);
  ASSERT_EQ(1U, sealed);
  EXPECT_EQ(1U, engine.counters({&in.id, 1})[0].packets) << "of those dropped none is counted";
  const Bytes wire = to_bytes(out_.sealed[0].bytes);
  std::size_t opened = 0;
  EXPECT_LE(each_failure(
                [&] {
                  opened = receive(peer, wire).opened.size();
                  return true;
                },
                [&](bool told) {
                  EXPECT_FALSE(told);
                  EXPECT_TRUE(out_.opened.empty());
                }),
            most);
  EXPECT_EQ(1U, opened) << "the window has not moved before";
}

TEST_P(OutOfMemory, WhatCannotWaitForItsSaIsDroppedAndTheAcquireIsTold) {
  EspEngine engine(environment());
  ASSERT_TRUE(engine.protect(policy(true)));
  std::uint64_t dropped = 0;
  each_failure(
      [&] {
        send(engine);
        return true;
      },
      [&](bool told) {
        EXPECT_FALSE(told) << "the others of its batch go on";
        EXPECT_TRUE(out_.sealed.empty());
        EXPECT_EQ(engine.drops().no_sa, ++dropped);
        EXPECT_EQ(out_.acquires.size(), dropped == 1 ? 1U : 0U);
      });
  EXPECT_GT(dropped, 0U);
}

INSTANTIATE_TEST_SUITE_P(Each, OutOfMemory, ::testing::ValuesIn(kAlgorithms),
                         [](const auto& one) { return "with_" + std::string(one.param.name); });

}  // namespace
}  // namespace oakgate::soft

int main(int argc, char** argv) {
  if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) return 2;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
