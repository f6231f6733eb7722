#include "ike/identities.h"

#include <gtest/gtest.h>

#include "ike/crypto/distinguished_name.h"

namespace oakgate::ike {
namespace {

using wire::IdPayload;
using wire::IdType;

Selector selector(const char* subnet, std::uint8_t protocol = 0, std::uint16_t port = 0) {
  return {*Subnet::parse(subnet), protocol, port};
}

TEST(ClientId, HostsBecomeAddressesAndNetworksSubnets) {
  EXPECT_EQ(client_id(selector("10.1.0.7")).type, IdType::ipv4_addr);
  const IdPayload net = client_id(selector("10.1.0.0/24", 6, 179));
  EXPECT_EQ(net.type, IdType::ipv4_addr_subnet);
  EXPECT_EQ(to_hex(net.data), "0a010000ffffff00");
  EXPECT_EQ(net.protocol, 6);
  EXPECT_EQ(net.port, 179);
  EXPECT_EQ(client_id(selector("2001:db8::/32")).type, IdType::ipv6_addr_subnet);
}

TEST(ClientId, RoundTripsEverySelector) {
  for (const char* text :
       {"0.0.0.0/0", "10.1.0.0/24", "10.1.0.7", "10.0.0.0/9", "::/0", "2001:db8::/33", "2001:db8::1"}) {
    const auto back = parse_client_id(client_id(selector(text, 17, 53)));
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(*back, selector(text, 17, 53));
  }
}

TEST(ClientId, RangesAreTheirFirstAndLastAddress) {
  const Selector some =
      Selector::of_range({*IpAddress::parse("10.1.0.10"), *IpAddress::parse("10.1.0.20")}, 6, 80);
  const IdPayload id = client_id(some);
  EXPECT_EQ(to_hex(id.body()), "070600500a01000a0a010014");
  EXPECT_EQ(*parse_client_id(id), some);
  EXPECT_EQ(describe(id), "10.1.0.10-10.1.0.20 tcp 80");
  const Selector six =
      Selector::of_range({*IpAddress::parse("2001:db8::a"), *IpAddress::parse("2001:db8::14")});
  EXPECT_EQ(to_hex(client_id(six).body()),
            "0800000020010db800000000000000000000000a20010db8000000000000000000000014");
  EXPECT_EQ(*parse_client_id(client_id(six)), six);
}

TEST(ClientId, ARangeThatIsASubnetStaysARangeOnTheWire) {
  const auto net = parse_client_id({IdType::ipv4_addr_range, 0, 0, *from_hex("0a0100000a0100ff")});
  ASSERT_TRUE(net);
  EXPECT_EQ(net->canonical(), selector("10.1.0.0/24"));
  EXPECT_EQ(client_id(*net).type, IdType::ipv4_addr_range);
}

TEST(ClientId, RefusesRangesThatAreNone) {
  for (const char* data : {"0a0100ff0a010000", "0a0100010a0100", "0a010001", "", "0a0100010a0100ff00"})
    EXPECT_FALSE(parse_client_id({IdType::ipv4_addr_range, 0, 0, *from_hex(data)})) << data;
  EXPECT_FALSE(parse_client_id({IdType::ipv6_addr_range, 0, 0, *from_hex("0a0100010a0100ff")}));
  const std::string zeros(32, '0');
  EXPECT_FALSE(
      parse_client_id({IdType::ipv6_addr_range, 0, 0, *from_hex(std::string(30, '0') + "01" + zeros)}));
}

TEST(ClientId, RefusesWhatNobodyConfigured) {
  const std::vector<IdPayload> bad{
      {IdType::ipv4_addr, 0, 0, *from_hex("0a0100")},                   // short
      {IdType::ipv4_addr, 0, 0, {}},                                    // empty
      {IdType::ipv4_addr_subnet, 0, 0, *from_hex("0a010000ff00ff00")},  // mask with a hole
      {IdType::ipv4_addr_subnet, 0, 0, *from_hex("0a010007ffffff00")},  // host bits
      {IdType::ipv4_addr_subnet, 0, 0, *from_hex("0a010000")},
      {IdType::ipv6_addr, 0, 0, *from_hex("0a010000")},
      {IdType::fqdn, 0, 0, to_bytes(as_bytes("gw.example.net"))},
      {IdType::key_id, 0, 0, *from_hex("00")},
  };
  for (const IdPayload& id : bad) {
    const auto parsed = parse_client_id(id);
    ASSERT_FALSE(parsed) << describe(id);
    EXPECT_EQ(parsed.error().notify, NotifyType::invalid_id_information);
  }
}

TEST(Phase1Id, SaysWhoWeAreWithUdpPort500) {
  const IdPayload id = phase1_id({}, *IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(to_hex(id.body()), "011101f4c0000201");
  EXPECT_EQ(
      phase1_id({IdentityKind::address, *IpAddress::parse("192.0.2.9"), {}}, *IpAddress::parse("192.0.2.1"))
          .data,
      *from_hex("c0000209"));
}

TEST(Phase1Id, ReadsNamesAndRefusesTricks) {
  const auto name = [](IdType type, std::string text) {
    return IdPayload{type, 0, 0, to_bytes(as_bytes(text))};
  };
  EXPECT_EQ(parse_phase1_id(name(IdType::fqdn, "gw-a.example.net"))->to_string(),
            "hostname:gw-a.example.net");
  EXPECT_EQ(parse_phase1_id(name(IdType::user_fqdn, "ops@example.net"))->kind, IdentityKind::user_fqdn);
  for (const std::string& bad : {std::string(), std::string("a\0b", 3), std::string("a b"),
                                 std::string("a\n"), std::string(256, 'a'), std::string("\xc3\xa4")}) {
    EXPECT_FALSE(parse_phase1_id(name(IdType::fqdn, bad)));
  }
  EXPECT_FALSE(parse_phase1_id(name(IdType::der_asn1_dn, "x")));
}

TEST(Describe, NeverPrintsUnboundedOrBinaryData) {
  const IdPayload odd{IdType::key_id, 0, 0, Bytes(5000, 7)};
  EXPECT_LT(describe(odd).size(), 200U);
}

TEST(Phase1Id, ADistinguishedNameGoesThereAndBack) {
  Identity identity{IdentityKind::dn, {}, "CN=gw-a,O=corp"};
  identity.der = *crypto::name_from_text(identity.text);
  const wire::IdPayload id = phase1_id(identity, {});
  EXPECT_EQ(id.type, wire::IdType::der_asn1_dn);
  const auto parsed = parse_phase1_id(id);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, identity);
  for (std::size_t size = 0; size < id.data.size(); ++size) {
    wire::IdPayload cut = id;
    cut.data.resize(size);
    EXPECT_FALSE(parse_phase1_id(cut)) << size;
  }
}

TEST(Phase1Id, FitsExactlyWhatIsConfigured) {
  const IpAddress source = *IpAddress::parse("192.0.2.2");
  const IpAddress inner = *IpAddress::parse("10.0.0.2");
  const auto name = [](IdentityKind kind, std::string text) { return Identity{kind, {}, std::move(text)}; };
  const Identity any{};
  EXPECT_TRUE(identity_fits(any, {IdentityKind::address, source, ""}, source, false));
  EXPECT_FALSE(identity_fits(any, {IdentityKind::address, inner, ""}, source, false));
  EXPECT_TRUE(identity_fits(any, {IdentityKind::address, inner, ""}, source, true)) << "behind a NAT";
  EXPECT_FALSE(
      identity_fits({IdentityKind::address, inner, ""}, {IdentityKind::address, source, ""}, source, true))
      << "a configured address is that address";
  const Identity host = name(IdentityKind::fqdn, "gw-a.example.net");
  EXPECT_TRUE(identity_fits(host, host, source, false));
  for (const char* other :
       {"gw-a.example.ne", "gw-a.example.net.", "GW-A.example.net", "xgw-a.example.net", ""})
    EXPECT_FALSE(identity_fits(host, name(IdentityKind::fqdn, other), source, false)) << other;
  EXPECT_FALSE(identity_fits(host, name(IdentityKind::user_fqdn, "gw-a.example.net"), source, false));
  Identity claimed = name(IdentityKind::dn, "CN=gw-a,O=corp");
  claimed.der = *crypto::name_from_text(claimed.text);
  EXPECT_TRUE(identity_fits(name(IdentityKind::dn, "cn = GW-A, o = Corp"), claimed, source, false));
  EXPECT_FALSE(identity_fits(name(IdentityKind::dn, "CN=gw-a"), claimed, source, false));
  EXPECT_TRUE(identity_fits(name(IdentityKind::dn, ""), claimed, source, false)) << "its certificate decides";
  EXPECT_FALSE(identity_fits(any, claimed, source, true));
}

}  // namespace
}  // namespace oakgate::ike
