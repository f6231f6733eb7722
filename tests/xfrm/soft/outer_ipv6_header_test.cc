#include "xfrm/soft/outer_ipv6_header.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>

#include "xfrm/soft/ah_packet.h"

namespace oakgate::soft {
namespace {

const IpAddress kSource = *IpAddress::parse("2001:db8::2");
const IpAddress kDestination = *IpAddress::parse("2001:db8::1");
const Bytes kHopByHop = {IPPROTO_DSTOPTS, 0, 0x3e, 4, 1, 2, 3, 4};
const Bytes kBeforeRouting = {IPPROTO_ROUTING, 0, 0x1e, 4, 5, 6, 7, 8};
const Bytes kRouting = {IPPROTO_DSTOPTS, 0, 4, 0, 0, 0, 0, 0};
const Bytes kLast = {IPPROTO_AH, 0, 1, 4, 0, 0, 0, 0};

Ipv6Extensions four() {
  Ipv6Extensions all;
  all.add({IPPROTO_HOPOPTS, kHopByHop});
  all.add({IPPROTO_DSTOPTS, kBeforeRouting});
  all.add({IPPROTO_ROUTING, kRouting});
  all.add({IPPROTO_DSTOPTS, kLast});
  return all;
}

// A packet as its sender made it, AH and 24 bytes of payload behind the header and these extension headers.
Bytes sent(const Ipv6Extensions& extensions) {
  Bytes header(40, 0);
  header[0] = 0x6f;  // traffic class and flow label are the sender's business
  header[3] = 0x77;
  header[7] = 61;
  header[6] = extensions.all().empty() ? std::uint8_t{IPPROTO_AH} : extensions.all().front().protocol;
  std::copy_n(kSource.bytes().begin(), 16, header.begin() + 8);
  std::copy_n(kDestination.bytes().begin(), 16, header.begin() + 24);
  for (const Ipv6Extension& one : extensions.all())
    header.insert(header.end(), one.bytes.begin(), one.bytes.end());
  const std::size_t ip = header.size();
  header.resize(ip + 24 + 24, 0x42);
  header[5] = static_cast<std::uint8_t>(header.size() - 40);
  auto ah = AhAuthenticator::create(Integrity::sha, SecretBytes(Bytes(20, 7)));
  EXPECT_TRUE(ah->protect(header, ip, {Spi{0x1234}, 1, IPPROTO_UDP, 0}));
  return header;
}

// What a raw socket hands up of it, with room before it.
struct Received {
  explicit Received(const Bytes& packet, std::size_t ip) : buffer(kMaxIpHeader) {
    buffer.insert(buffer.end(), packet.begin() + static_cast<std::ptrdiff_t>(ip), packet.end());
  }
  AhVerdict verify(std::size_t ip) {
    auto ah = AhAuthenticator::create(Integrity::sha, SecretBytes(Bytes(20, 7)));
    return ah->verify(std::span(buffer).subspan(kMaxIpHeader - ip), ip);
  }
  std::span<std::uint8_t> payload() { return std::span(buffer).subspan(kMaxIpHeader); }
  Bytes buffer;
};

TEST(OuterIpv6Header, IsWhatTheSenderAuthenticated) {
  for (const Ipv6Extensions& extensions : {Ipv6Extensions{}, four()}) {
    std::size_t ip = 40;
    for (const Ipv6Extension& one : extensions.all()) ip += one.bytes.size();
    Received received(sent(extensions), ip);
    EXPECT_EQ(put_ipv6_header(received.payload(), kSource, kDestination, extensions), ip);
    EXPECT_EQ(received.verify(ip), AhVerdict::ok);
  }
}

TEST(OuterIpv6Header, AnExtensionThatDiffersIsNoticed) {
  Received received(sent(four()), 72);
  for (const std::size_t wrong : {0U, 1U, 2U, 3U}) {
    Ipv6Extensions other;
    Bytes changed;
    for (std::size_t i = 0; i < four().all().size(); ++i) {
      Ipv6Extension one = four().all()[i];
      if (i == wrong) {
        changed = to_bytes(one.bytes);
        changed[3] ^= i == 2 ? 1 : 0;  // segments left
        changed[2] ^= i == 2 ? 0 : 1;  // an option's type
        one.bytes = changed;
      }
      other.add(one);
    }
    ASSERT_EQ(put_ipv6_header(received.payload(), kSource, kDestination, other), 72U);
    EXPECT_EQ(received.verify(72), AhVerdict::not_authentic) << wrong;
  }
  ASSERT_EQ(put_ipv6_header(received.payload(), kSource, kDestination, {}), 40U);
  EXPECT_EQ(received.verify(40), AhVerdict::not_authentic);
}

TEST(OuterIpv6Header, WhatIsNotKnownAsAWholeIsNotMade) {
  Received received(sent({}), 40);
  const Bytes before = received.buffer;
  Ipv6Extensions lost = four();
  lost.lose();
  EXPECT_EQ(put_ipv6_header(received.payload(), kSource, kDestination, lost), 0U);
  Ipv6Extensions five = four();
  five.add({IPPROTO_DSTOPTS, kLast});
  EXPECT_FALSE(five.complete());
  EXPECT_EQ(put_ipv6_header(received.payload(), kSource, kDestination, five), 0U);
  Bytes large(kMaxIpHeader - 32, 0);
  Ipv6Extensions too_long;
  too_long.add({IPPROTO_HOPOPTS, large});
  EXPECT_EQ(put_ipv6_header(received.payload(), kSource, kDestination, too_long), 0U);
  EXPECT_EQ(received.buffer, before);
}

}  // namespace
}  // namespace oakgate::soft
