// Two engines that face each other, a and b: no sockets, no TUN, a clock of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "packets.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {

using test::address;
using test::make_packet;
using test::PacketSpec;

inline constexpr Reqid kReqid{kReqidBase + 1};

class EspEngineTest : public testing::Test {
 protected:
  struct Side {
    Side(std::string_view own_text, std::string_view peer_text, std::size_t& mtu)
        : own(address(own_text)),
          peer(address(peer_text)),
          engine({[&mtu](const OuterPath&) { return mtu; },
                  [this](std::span<std::uint8_t> iv) {
                    for (std::uint8_t& byte : iv) byte = static_cast<std::uint8_t>(random());
                    return true;
                  }}) {}
    IpAddress own;
    IpAddress peer;
    std::mt19937 random{3};
    EspEngine engine;
    PacketBatch batch;
    EngineOutput out;
  };

  EspEngineTest() {
    // `local` is the own side of each.
    pair_ = {{*Subnet::parse("10.1.0.0/24"), 0, 0}, {*Subnet::parse("10.2.0.0/24"), 0, 0}};
  }
  static SelectorPair turned(const SelectorPair& pair) { return {pair.remote, pair.local}; }

  ProtectPolicy policy(bool acquire = false) const {
    return {kReqid, pair_, a_.own, b_.own, EncapsulationMode::tunnel, acquire};
  }
  // The SA from a to b, as `direction` sees it.
  SaSpec spec(Direction direction, std::uint32_t spi = 0x1000) const {
    SaSpec out;
    out.direction = direction;
    out.id = {b_.own, IpsecProtocol::esp, Spi{spi}};
    out.source = a_.own;
    out.reqid = kReqid;
    out.selectors = direction == Direction::out ? pair_ : turned(pair_);
    out.cipher = EspCipher::aes_128;
    out.integrity = Integrity::sha256;
    out.encryption_key = SecretBytes(Bytes(16, 0x11));
    out.integrity_key = SecretBytes(Bytes(32, 0x22));
    return out;
  }
  static Result<void> install(EspEngine& engine, SaSpec sa, Instant now = {}) {
    return engine.install({&sa, 1}, now);
  }
  void up() {
    ASSERT_TRUE(a_.engine.protect(policy()));
    ASSERT_TRUE(install(a_.engine, spec(Direction::out)));
    ASSERT_TRUE(install(b_.engine, spec(Direction::in)));
  }
  // Gives one packet to a's engine; its output is in a_.out.
  EngineOutput& send(const Bytes& packet) {
    a_.out.clear();
    a_.batch.clear();
    std::copy(packet.begin(), packet.end(), a_.batch.next_room().begin());
    a_.batch.add(a_.batch.next_room().first(packet.size()));
    a_.engine.outbound(a_.batch, now_, a_.out);
    return a_.out;
  }
  // Gives one ESP packet to b's engine.
  EngineOutput& receive(const Bytes& esp, std::uint8_t traffic_class = 0, bool encapsulated = false) {
    b_.out.clear();
    b_.batch.clear();
    std::copy(esp.begin(), esp.end(), b_.batch.next_room().begin());
    BatchPacket& packet = b_.batch.add(b_.batch.next_room().first(esp.size()));
    packet.destination = b_.own;
    packet.traffic_class = traffic_class;
    packet.encapsulated = encapsulated;
    packet.source = from_;
    b_.engine.inbound(b_.batch, b_.out);
    return b_.out;
  }
  Bytes sealed(const PacketSpec& packet) {
    EngineOutput& out = send(make_packet(packet));
    EXPECT_EQ(out.sealed.size(), 1U);
    return out.sealed.empty() ? Bytes{} : to_bytes(out.sealed[0].bytes);
  }
  // An ESP packet that a's keys make of these very bytes.
  Bytes forge(const Bytes& inner, std::uint32_t sequence, std::uint8_t next_header) {
    const SaSpec keys = spec(Direction::out);
    auto sealer = EspSealer::create(keys.cipher, keys.integrity, keys.encryption_key, keys.integrity_key);
    Bytes packet(sealer->layout().sealed_size(inner.size()));
    std::copy(inner.begin(), inner.end(),
              packet.begin() + static_cast<std::ptrdiff_t>(sealer->layout().prefix()));
    EXPECT_TRUE(sealer->seal(packet, {keys.id.spi, sequence}, Bytes(16, 0x77), inner.size(), next_header));
    return packet;
  }
  SaCounters counters(const EspEngine& engine, std::uint32_t spi = 0x1000) {
    const SaId id{b_.own, IpsecProtocol::esp, Spi{spi}};
    return engine.counters({&id, 1}).at(0);
  }

  SelectorPair pair_;
  std::size_t mtu_ = 1500;
  Instant now_{Milliseconds(5000)};
  Endpoint from_;
  Side a_{"192.0.2.1", "192.0.2.2", mtu_};
  Side b_{"192.0.2.2", "192.0.2.1", mtu_};
};

}  // namespace oakgate::soft
