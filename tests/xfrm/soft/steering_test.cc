#include "xfrm/soft/steering.h"

#include <gtest/gtest.h>

#include "tests/xfrm/soft/packets.h"

namespace oakgate::soft {
namespace {

constexpr unsigned kSelf = 2;

Reqid reqid(std::uint32_t number) {
  return Reqid{kReqidBase + number};
}

ProtectPolicy policy(std::uint32_t number, const char* remote) {
  ProtectPolicy policy;
  policy.reqid = reqid(number);
  policy.selectors = {Selector{*Subnet::parse("10.1.0.0/24"), 0, 0}, Selector{*Subnet::parse(remote), 0, 0}};
  return policy;
}

// ESP or AH to 192.0.2.1; AH has its SPI behind four other bytes.
BatchPacket arriving(std::vector<std::uint8_t>& bytes, IpsecProtocol protocol, std::uint8_t spi) {
  bytes.assign(64, 0);
  if (protocol == IpsecProtocol::ah) {
    bytes = {50, 4, 0, 0, 0x10, 0, 0, spi};
    bytes.resize(64);
  } else {
    bytes[0] = 0x10;
    bytes[3] = spi;
  }
  BatchPacket packet;
  packet.bytes = bytes;
  packet.protocol = protocol;
  packet.destination = *IpAddress::parse("192.0.2.1");
  return packet;
}

SaId inbound(IpsecProtocol protocol, std::uint32_t spi) {
  return {*IpAddress::parse("192.0.2.1"), protocol, Spi{0x1000'0000 + spi}};
}

TEST(Steering, DealsConsecutiveTunnelsOut) {
  for (std::uint32_t i = 0; i < 6; ++i) {
    EXPECT_EQ(Steering::owner_of(reqid(i + 1), 3), (Steering::owner_of(reqid(i), 3) + 1) % 3);
    EXPECT_EQ(Steering::owner_of(reqid(i), 1), 0U);
  }
}

TEST(Steering, TheMostSpecificPolicyOwnsALeavingPacket) {
  Steering steering(kSelf, 4);
  steering.protect(policy(0, "10.0.0.0/8"));
  steering.protect(policy(1, "10.2.0.0/24"));
  const Bytes narrow = test::make_packet({.source = "10.1.0.10", .destination = "10.2.0.10"});
  const Bytes wide = test::make_packet({.source = "10.1.0.10", .destination = "10.3.0.10"});
  const Bytes nobodys = test::make_packet({.source = "10.1.0.10", .destination = "192.168.0.1"});
  const auto owner = [](std::uint32_t number) { return Steering::owner_of(reqid(number), 4); };
  EXPECT_EQ(steering.owner_of_leaving(narrow), owner(1));
  EXPECT_EQ(steering.owner_of_leaving(wide), owner(0));
  EXPECT_EQ(steering.owner_of_leaving(nobodys), kSelf);
  EXPECT_EQ(steering.owner_of_leaving(ByteView(narrow).first(10)), kSelf);
  // Another selector pair under the same reqid, and none.
  steering.protect(policy(1, "10.4.0.0/24"));
  EXPECT_EQ(steering.owner_of_leaving(narrow), owner(0));
  EXPECT_EQ(steering.owner_of_leaving(test::make_packet({.source = "10.1.0.10", .destination = "10.4.0.10"})),
            owner(1));
  steering.unprotect(reqid(0));
  steering.unprotect(reqid(0));
  EXPECT_EQ(steering.owner_of_leaving(narrow), kSelf);
}

TEST(Steering, AnSaOwnsWhatArrives) {
  Steering steering(kSelf, 4);
  steering.add(inbound(IpsecProtocol::esp, 7), reqid(1));
  steering.add(inbound(IpsecProtocol::ah, 7), reqid(3));
  std::vector<std::uint8_t> bytes;
  EXPECT_EQ(steering.owner_of_arriving(arriving(bytes, IpsecProtocol::esp, 7)),
            Steering::owner_of(reqid(1), 4));
  EXPECT_EQ(steering.owner_of_arriving(arriving(bytes, IpsecProtocol::ah, 7)),
            Steering::owner_of(reqid(3), 4));
  EXPECT_EQ(steering.owner_of_arriving(arriving(bytes, IpsecProtocol::esp, 8)), kSelf);
  BatchPacket elsewhere = arriving(bytes, IpsecProtocol::esp, 7);
  elsewhere.destination = *IpAddress::parse("192.0.2.9");
  EXPECT_EQ(steering.owner_of_arriving(elsewhere), kSelf);
  BatchPacket tiny = arriving(bytes, IpsecProtocol::esp, 7);
  tiny.bytes = tiny.bytes.first(3);
  EXPECT_EQ(steering.owner_of_arriving(tiny), kSelf);
  steering.remove(inbound(IpsecProtocol::esp, 7));
  EXPECT_EQ(steering.owner_of_arriving(arriving(bytes, IpsecProtocol::esp, 7)), kSelf);
}

}  // namespace
}  // namespace oakgate::soft
