// What one backend seals another opens: random packets of every algorithm, of every size from 1 to 1500 bytes
// and some larger ones, in batches of any mixture. What is spoiled neither of them opens, and both say the
// same of it.
//
// 100,000 packets, or as many as OAKGATE_DIFFERENTIAL_PACKETS says.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <random>

#include "tests/xfrm/soft/crypto_backends.h"
#include "xfrm/soft/crypto_batch.h"

namespace oakgate::soft {
namespace {

constexpr std::size_t kSmall = 1500;
constexpr std::size_t kMost = 40;  // packets in a batch

// One SA, once by OpenSSL and once by what there is beside it.
struct Sa {
  std::string name;
  std::vector<EspSealer> sealers;
  std::vector<EspOpener> openers;
};

class Differential : public testing::Test {
 protected:
  Bytes bytes(std::size_t size) {
    Bytes out(size);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random_());
    return out;
  }
  void add(EspCipher cipher, std::optional<Integrity> integrity) {
    const SecretBytes encryption_key(bytes(info(cipher).key_bytes + info(cipher).salt_bytes));
    const SecretBytes integrity_key(bytes(integrity ? info(*integrity).key_bytes : 0));
    Sa sa;
    sa.name = std::string(info(cipher).name) + (integrity ? " " + std::string(info(*integrity).name) : "");
    for (const CryptoBackend backend : {CryptoBackend::openssl, crypto_backends().back()}) {
      auto sealer =
          EspSealer::create(cipher, integrity, encryption_key, integrity_key, Covered::by_itself, backend);
      auto opener =
          EspOpener::create(cipher, integrity, encryption_key, integrity_key, Covered::by_itself, backend);
      ASSERT_TRUE(sealer && opener) << sa.name;
      sa.sealers.push_back(std::move(*sealer));
      sa.openers.push_back(std::move(*opener));
    }
    sas_.push_back(std::move(sa));
  }
  void SetUp() override {
    for (const EspCipherInfo& cipher : esp_ciphers()) {
      if (cipher.aead()) {
        add(cipher.id, {});
      } else {
        for (const IntegrityInfo& integrity : integrities()) add(cipher.id, integrity.id);
      }
    }
  }
  // Every size has its turn; now and then one that is far larger.
  std::size_t next_size() {
    if (random_() % 200 == 0) return kSmall + random_() % (random_() % 10 == 0 ? 63000 : 8000);
    size_ = size_ % kSmall + 1;
    return size_;
  }

  struct Packet {
    Sa* sa = nullptr;
    Bytes inner;
    Bytes esp;
    std::uint8_t next_header = 0;
  };
  // As many as one batch has, sealed by `sealing` of the two.
  std::vector<Packet> sealed(std::size_t sealing) {
    // All of one SA up to all of any.
    const std::size_t few = 1 + random_() % (random_() % 2 == 0 ? 3 : sas_.size());
    const std::size_t from = random_();
    std::vector<Packet> packets(1 + random_() % kMost);
    std::vector<SealRequest> requests;
    for (Packet& packet : packets) {
      Sa& sa = sas_[(from + random_() % few) % sas_.size()];
      EspSealer& sealer = sa.sealers[sealing];
      packet.sa = &sa;
      packet.inner = bytes(next_size());
      packet.next_header = static_cast<std::uint8_t>(random_());
      packet.esp.resize(sealer.layout().sealed_size(packet.inner.size()));
      std::copy(packet.inner.begin(), packet.inner.end(),
                packet.esp.begin() + static_cast<std::ptrdiff_t>(sealer.layout().prefix()));
      SealRequest request;
      request.sealer = &sealer;
      request.packet = packet.esp;
      request.header = {Spi{static_cast<std::uint32_t>(random_())}, random_() & 0xffff'ffffU};
      const Bytes iv = bytes(sealer.layout().iv);
      std::copy(iv.begin(), iv.end(), packet.esp.begin() + kEspHeader);
      request.inner_size = packet.inner.size();
      request.next_header = packet.next_header;
      requests.push_back(request);
    }
    batch_.seal(requests);
    for (const SealRequest& request : requests) EXPECT_TRUE(request.sealed);
    return packets;
  }
  std::vector<OpenRequest> open(const std::vector<Packet>& packets, std::vector<Bytes>& copies,
                                std::size_t opening) {
    std::vector<OpenRequest> requests;
    for (std::size_t i = 0; i < packets.size(); ++i) {
      OpenRequest request;
      request.opener = &packets[i].sa->openers[opening];
      request.packet = copies[i];
      requests.push_back(request);
    }
    batch_.open(requests);
    return requests;
  }
  // Flips a bit, or cuts or adds a few bytes.
  void spoil(Bytes& packet) {
    if (random_() % 4 != 0) {
      packet[8 + random_() % (packet.size() - 8)] ^= static_cast<std::uint8_t>(1U << (random_() % 8));
    } else if (random_() % 2 == 0) {
      packet.resize(packet.size() - std::min<std::size_t>(packet.size(), 1 + random_() % 40));
    } else {
      packet.resize(packet.size() + 1 + random_() % 40);
    }
  }

  std::mt19937_64 random_{5};
  std::vector<Sa> sas_;
  std::size_t size_ = 0;
  CryptoBatch batch_;
};

std::size_t packets_wanted() {
  const char* const text = std::getenv("OAKGATE_DIFFERENTIAL_PACKETS");
  return text == nullptr ? 100'000 : std::strtoull(text, nullptr, 10);
}

TEST_F(Differential, WhatOneSealsTheOtherOpens) {
  const std::size_t wanted = packets_wanted();
  std::size_t done = 0;
  for (std::size_t round = 0; done < wanted; ++round) {
    const std::vector<Packet> packets = sealed(round % 2);
    std::vector<Bytes> copies;
    for (const Packet& packet : packets) copies.push_back(packet.esp);
    const auto opened = open(packets, copies, (round + 1) % 2);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      const Packet& packet = packets[i];
      ASSERT_EQ(opened[i].opened.verdict, OpenVerdict::ok) << packet.sa->name << " " << packet.inner.size();
      ASSERT_EQ(to_bytes(opened[i].opened.inner), packet.inner) << packet.sa->name;
      ASSERT_EQ(opened[i].opened.next_header, packet.next_header) << packet.sa->name;
    }
    done += packets.size();
  }
  EXPECT_GE(done, wanted);
}

TEST_F(Differential, WhatIsSpoiledBothRefuseAlike) {
  for (std::size_t round = 0; round < 200; ++round) {
    const std::vector<Packet> packets = sealed(round % 2);
    std::vector<Bytes> spoiled;
    for (const Packet& packet : packets) {
      spoiled.push_back(packet.esp);
      spoil(spoiled.back());
    }
    std::vector<Bytes> again = spoiled;
    const auto one = open(packets, spoiled, 0);
    const auto other = open(packets, again, 1);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      ASSERT_EQ(one[i].opened.verdict, other[i].opened.verdict) << packets[i].sa->name;
      ASSERT_NE(one[i].opened.verdict, OpenVerdict::ok) << packets[i].sa->name;
      // Wrong padding would be told apart from a wrong ICV; it is never reached.
      ASSERT_NE(one[i].opened.verdict, OpenVerdict::bad_padding) << packets[i].sa->name;
      ASSERT_TRUE(one[i].opened.inner.empty());
    }
  }
}

// One by one and together are the same packets.
TEST_F(Differential, ABatchOfOneIsTheSingleCall) {
  for (Sa& sa : sas_) {
    const Bytes inner = bytes(1 + random_() % kSmall);
    const EspLayout layout = sa.sealers[1].layout();
    // In a batch an IV that is a counter is the sequence number.
    const Bytes iv =
        sa.sealers[1].iv_is_counter() && layout.iv != 0 ? Bytes{0, 0, 0, 0, 0, 0, 0, 7} : bytes(layout.iv);
    std::vector<Bytes> made(2, Bytes(layout.sealed_size(inner.size())));
    for (Bytes& packet : made)
      std::copy(inner.begin(), inner.end(), packet.begin() + static_cast<std::ptrdiff_t>(layout.prefix()));
    ASSERT_TRUE(sa.sealers[1].seal(made[0], {Spi{500}, 7}, iv, inner.size(), 4));
    std::copy(iv.begin(), iv.end(), made[1].begin() + kEspHeader);
    SealRequest request{&sa.sealers[1], made[1], {Spi{500}, 7}, inner.size(), 4, false};
    batch_.seal({&request, 1});
    ASSERT_TRUE(request.sealed);
    EXPECT_EQ(to_hex(made[0]), to_hex(made[1])) << sa.name;
    const Opened opened = sa.openers[1].open(made[0]);
    ASSERT_EQ(opened.verdict, OpenVerdict::ok) << sa.name;
    EXPECT_EQ(to_bytes(opened.inner), inner);
  }
}

}  // namespace
}  // namespace oakgate::soft
