// The software plane's ESP against the kernel's: what one seals the other opens, random packets of every
// algorithm that this kernel has. What the kernel has sealed the software seals again, with the same sequence
// number and IV: the bytes are the same. What is spoiled neither opens.
//
// 10,000 packets, or as many as OAKGATE_DIFFERENTIAL_PACKETS says. Topology: data_plane_contract.h. Gateway
// a's kernel seals and its wire is listened to; the software seals what is put on the wire for gateway b.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "tests/xfrm/data_plane_contract.h"
#include "xfrm/netlink/state_probe.h"
#include "xfrm/soft/crypto_batch.h"

namespace oakgate::test {

namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kIpv4 = 20;
constexpr std::size_t kUdp = 8;
constexpr std::size_t kMostPayload = 1380;  // with any algorithm within 1500 bytes
constexpr std::uint16_t kPort = 7795;
constexpr std::uint32_t kApart = 2000;
constexpr std::uint16_t kWindow = 4096;

std::size_t packets_wanted() {
  const char* const text = std::getenv("OAKGATE_DIFFERENTIAL_PACKETS");
  return text == nullptr ? 10'000 : std::strtoull(text, nullptr, 10);
}

std::uint32_t u32_at(const Bytes& bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}
void put_u16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

// RFC 791 section 3.1, over a header without options.
void finish_ipv4(Bytes& packet, std::size_t at, std::size_t length) {
  put_u16(packet, at + 2, length);
  put_u16(packet, at + 10, 0);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < kIpv4; i += 2) sum += std::uint32_t{packet[at + i]} << 8 | packet[at + i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  put_u16(packet, at + 10, ~sum & 0xffff);
}

}  // namespace

class KernelDifferential : public DataPlaneContract {
 protected:
  std::string text(std::size_t size) {
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random_());
    return out;
  }

  // The one ESP frame that has left gateway a since the last call.
  Bytes esp_frame() {
    for (int tries = 0; tries < 1000; ++tries) {
      for (Bytes& frame : from_a_->take()) {
        if (frame.size() > kEthernet + kIpv4 && frame[12] == 0x08 && frame[kEthernet + 9] == IPPROTO_ESP)
          return std::move(frame);
      }
    }
    return {};
  }

  void run(const Tunnel& tunnel, std::size_t rounds);

  std::mt19937_64 random_{7};
  std::size_t done_ = 0;
};

// Each round: one packet the one way, one the other, and now and then a spoiled one.
void KernelDifferential::run(const Tunnel& tunnel, std::size_t rounds) {
  up(tunnel);
  const std::vector<SaSpec> sas = tunnel.sas(Side::a);
  const SaSpec& out = sas.back();
  auto sealer = soft::EspSealer::create(out.cipher, out.integrity, out.encryption_key, out.integrity_key);
  auto opener = soft::EspOpener::create(out.cipher, out.integrity, out.encryption_key, out.integrity_key);
  ASSERT_TRUE(sealer && opener);
  const soft::EspLayout layout = sealer->layout();
  const UdpSocket here(gateway(Side::a).ns, gateway_lan_address(Side::a, Family::ipv4), kPort);
  const UdpSocket there(gateway(Side::b).ns, gateway_lan_address(Side::b, Family::ipv4), kPort);
  std::size_t spoiled = 0;
  std::uint32_t sequence = kApart;  // beyond what the kernel will use, and within one window with it
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::string first = text(1 + random_() % kMostPayload);
    ASSERT_EQ(0, here.send(there.local(), first));
    Bytes frame = esp_frame();
    ASSERT_FALSE(frame.empty());
    const std::size_t length = std::size_t{frame[kEthernet + 2]} << 8 | frame[kEthernet + 3];
    const Bytes esp(frame.begin() + kEthernet + kIpv4,
                    frame.begin() + static_cast<std::ptrdiff_t>(kEthernet + length));
    Bytes copy = esp;
    const soft::Opened opened = opener->open(copy);
    ASSERT_EQ(soft::OpenVerdict::ok, opened.verdict) << first.size();
    Bytes inner(opened.inner.begin(), opened.inner.end());
    ASSERT_EQ(kIpv4 + kUdp + first.size(), inner.size());
    ASSERT_EQ(first, std::string(inner.begin() + kIpv4 + kUdp, inner.end()));
    // Again, by the software: RFC 4303 leaves nothing open but the IV.
    Bytes again(layout.sealed_size(inner.size()));
    std::copy(inner.begin(), inner.end(), again.begin() + static_cast<std::ptrdiff_t>(layout.prefix()));
    const ByteView iv(esp.data() + 8, layout.iv);
    ASSERT_TRUE(
        sealer->seal(again, {Spi{u32_at(esp, 0)}, u32_at(esp, 4)}, iv, inner.size(), opened.next_header));
    ASSERT_EQ(esp, again) << "of " << first.size() << " bytes";
    // The other way: another packet of the same flow.
    const std::string second = text(1 + random_() % kMostPayload);
    inner.resize(kIpv4 + kUdp);
    inner.insert(inner.end(), second.begin(), second.end());
    finish_ipv4(inner, 0, inner.size());
    put_u16(inner, kIpv4 + 4, kUdp + second.size());
    put_u16(inner, kIpv4 + 6, 0);  // RFC 768: no checksum
    Bytes fresh_iv(layout.iv);
    for (std::uint8_t& byte : fresh_iv) byte = static_cast<std::uint8_t>(random_());
    Bytes sealed(layout.sealed_size(inner.size()));
    std::copy(inner.begin(), inner.end(), sealed.begin() + static_cast<std::ptrdiff_t>(layout.prefix()));
    ASSERT_TRUE(sealer->seal(sealed, {out.id.spi, ++sequence}, fresh_iv, inner.size(), 4));
    frame.resize(kEthernet + kIpv4);
    finish_ipv4(frame, kEthernet, kIpv4 + sealed.size());
    frame.insert(frame.end(), sealed.begin(), sealed.end());
    if (round % 8 == 0) {
      Bytes bad = frame;
      bad[kEthernet + kIpv4 + 8 + random_() % (sealed.size() - 8)] ^=
          static_cast<std::uint8_t>(1U << (random_() % 8));
      from_a_->inject(bad);
      ++spoiled;
    }
    from_a_->inject(frame);
    static_cast<void>(from_a_->take());
    // What the kernels said to each other comes first.
    ASSERT_TRUE(first == there.receive()) << round;
    ASSERT_TRUE(second == there.receive()) << round;
    done_ += 2;
  }
  EXPECT_EQ(spoiled, counters(Side::b, tunnel.inbound(Side::b)).not_authentic);
  EXPECT_EQ(2 * rounds, counters(Side::b, tunnel.inbound(Side::b)).packets);
  remove(tunnel);
  unprotect(tunnel);
}

TEST_F(KernelDifferential, WhatOneSealsTheOtherOpens) {
  std::vector<TransformSet> sets;
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    if (cipher.aead()) {
      sets.push_back({"", cipher.id, {}});
      continue;
    }
    for (const IntegrityInfo& integrity : integrities()) sets.push_back({"", cipher.id, integrity.id});
  }
  std::vector<TransformSet> known;
  for (const TransformSet& set : sets) {
    const auto tried = gateway(Side::a).ns.enter([&] { return probe_esp({&set, 1}); });
    if (tried) {
      known.push_back(set);
    } else {
      std::cout << "not of this kernel: " << to_string(set) << "\n";
    }
  }
  // What any kernel with ESP has, and old peers speak, is among them.
  for (const EspCipher cipher : {EspCipher::des, EspCipher::des3, EspCipher::aes_256, EspCipher::gcm_128}) {
    EXPECT_TRUE(std::any_of(known.begin(), known.end(),
                            [&](const TransformSet& set) { return set.cipher == cipher; }));
  }
  ASSERT_FALSE(known.empty());
  const std::size_t rounds = packets_wanted() / (2 * known.size()) + 1;
  ASSERT_LT(rounds, kApart) << "fewer packets, or numbers further apart";
  for (std::size_t i = 0; i < known.size(); ++i) {
    Tunnel tunnel;
    tunnel.number = static_cast<std::uint32_t>(i + 1);
    tunnel.cipher = *known[i].cipher;
    tunnel.integrity = known[i].integrity;
    tunnel.replay_window = kWindow;
    run(tunnel, rounds);
    ASSERT_FALSE(HasFatalFailure()) << to_string(known[i]);
  }
  EXPECT_GE(done_, packets_wanted());
  std::cout << done_ << " packets of " << known.size() << " choices of algorithms\n";
}

}  // namespace oakgate::test
