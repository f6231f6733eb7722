#include "conf/values.h"

#include <gtest/gtest.h>

namespace oakgate::conf {
namespace {

template <typename T>
std::string why(const Parsed<T>& parsed) {
  return parsed ? "accepted" : parsed.error().message;
}

TEST(Values, Integer) {
  EXPECT_EQ(parse_integer("0", 0, 10), 0U);
  EXPECT_EQ(parse_integer("10", 0, 10), 10U);
  for (const char* bad : {"", "-1", "+1", "0x10", "1_0", "1e1", "1.0", " 1", "1:30", "ten"}) {
    EXPECT_EQ(why(parse_integer(bad, 0, 100)), "`" + std::string(bad) + "` is not a whole number");
  }
  EXPECT_EQ(why(parse_integer("11", 0, 10)), "`11` is out of range");
  EXPECT_EQ(why(parse_integer("99999999999999999999999", 0, 10)),
            "`99999999999999999999999` is out of range");
  const auto octal = parse_integer("0123", 0, 1000);
  ASSERT_FALSE(octal);
  EXPECT_EQ(octal.error().expected, "`123`, if it is decimal");
}

TEST(Values, Duration) {
  const auto parse = [](std::string_view text) { return parse_duration(text, Seconds(30), Seconds(864000)); };
  EXPECT_EQ(parse("30s"), Seconds(30));
  EXPECT_EQ(parse("90"), Seconds(90));
  EXPECT_EQ(parse("5m"), Seconds(300));
  EXPECT_EQ(parse("24h"), Seconds(86400));
  EXPECT_EQ(parse("10d"), Seconds(864000));
  EXPECT_EQ(why(parse("29s")), "`29s` is too short");
  EXPECT_EQ(why(parse("11d")), "`11d` is too long");
  EXPECT_EQ(why(parse("864001")), "`864001` is too long");
  EXPECT_EQ(why(parse("18446744073709551615d")), "`18446744073709551615d` is too long");
  EXPECT_EQ(why(parse("99999999999999999999d")), "`99999999999999999999d` is too long");
  for (const char* bad : {"", "s", "h", "1h30m", "1.5h", "-1h", "1 h", "1w", "1H", "24 hours"}) {
    EXPECT_EQ(why(parse(bad)), "`" + std::string(bad) + "` is not a duration");
  }
  ASSERT_FALSE(parse("08h"));
  EXPECT_EQ(parse("08h").error().expected, "`8h`, if it is decimal");
  EXPECT_EQ(parse("1s").error().expected, "30s to 10d");
}

TEST(Values, Date) {
  using namespace std::chrono;
  EXPECT_EQ(parse_date("2028-02-29"), sys_days(year(2028) / 2 / 29));
  EXPECT_EQ(why(parse_date("2027-02-29")), "`2027-02-29` is no day of the calendar");
  EXPECT_EQ(why(parse_date("2027-13-01")), "`2027-13-01` is no day of the calendar");
  for (const char* bad :
       {"", "2027", "27-01-01", "2027-1-1", "2027/01/01", "2027-01-01T00:00", "20x7-01-01"}) {
    EXPECT_EQ(why(parse_date(bad)), "`" + std::string(bad) + "` is not a date");
  }
}

TEST(Values, Name) {
  for (const char* good : {"b", "7", "branch-7", "wan.example_2", "ESP-3DES-SHA"})
    EXPECT_EQ(parse_name(good), good);
  EXPECT_TRUE(parse_name(std::string(64, 'a')));
  EXPECT_FALSE(parse_name(std::string(65, 'a')));
  for (const char* bad : {"", "-x", ".x", "a/b", "a b", "\xc3\xbc", "a\n"})
    EXPECT_FALSE(parse_name(bad)) << bad;
}

TEST(Values, HostAddress) {
  EXPECT_EQ(parse_host_address("2001:db8::1")->to_string(), "2001:db8::1");
  EXPECT_EQ(why(parse_host_address("0.0.0.0")), "`0.0.0.0` means every address");
  EXPECT_EQ(why(parse_host_address("::")), "`::` means every address");
  EXPECT_EQ(why(parse_host_address("224.0.0.1")),
            "`224.0.0.1` is a multicast, broadcast or reserved address");
  EXPECT_EQ(why(parse_host_address("ff02::1")), "`ff02::1` is a multicast address");
  EXPECT_EQ(why(parse_host_address("fe80::1")),
            "`fe80::1` is link-local, which is ambiguous without an interface");
  EXPECT_EQ(why(parse_host_address("::ffff:192.0.2.1")),
            "`::ffff:192.0.2.1` is an IPv4 address in IPv6 form");
  EXPECT_EQ(why(parse_host_address("192.0.2.01")), "`192.0.2.01` is not an IP address");
}

TEST(Values, HostName) {
  EXPECT_EQ(parse_host_name("GW-A.Example.net"), "gw-a.example.net");
  EXPECT_EQ(parse_host_name("host_1"), "host_1");
  EXPECT_TRUE(parse_host_name(std::string(63, 'a') + ".net"));
  for (const std::string& bad :
       {std::string(), std::string("."), std::string("a..b"), std::string("a."), std::string("-a"),
        std::string("a-.b"), std::string("a b"), std::string("a:b"), std::string("192.0.2.300"),
        std::string("10.1"), std::string("\xc3\xbc.net"), std::string(64, 'a'),
        std::string(126, 'a') + "." + std::string(126, 'b')}) {
    EXPECT_FALSE(parse_host_name(bad)) << bad;
  }
}

TEST(Values, PeerAddress) {
  const auto text = [](std::string_view spelled) {
    const auto parsed = parse_peer_address(spelled);
    return parsed ? parsed->to_string() : "refused: " + parsed.error().message;
  };
  for (const char* same :
       {"192.0.2.2", "2001:db8::2", "gw.example.net", "gw-7.example.net", "192.0.2.0/24", "2001:db8::/32",
        "192.0.2.10-192.0.2.20", "2001:db8::1-2001:db8::f", "any", "0.0.0.0/0", "::/0"}) {
    EXPECT_EQ(text(same), same);
  }
  EXPECT_EQ(text("192.0.2.2/32"), "192.0.2.2");
  EXPECT_EQ(text("192.0.2.2-192.0.2.2"), "192.0.2.2");
  EXPECT_EQ(text("192.0.2.0-192.0.2.255"), "192.0.2.0/24");
  EXPECT_EQ(text("192.0.2.2/24"), "refused: `192.0.2.2/24` has bits set behind its prefix");
  EXPECT_EQ(text("192.0.2.0/33"), "refused: `192.0.2.0/33` is not a subnet");
  EXPECT_EQ(text("192.0.2.9-192.0.2.1"), "refused: `192.0.2.9-192.0.2.1` ends before it begins");
  EXPECT_EQ(text("192.0.2.9-2001:db8::1"), "refused: `192.0.2.9-2001:db8::1` mixes IPv4 and IPv6");
  EXPECT_EQ(text("192.0.2.9-20"), "refused: `20` is not an IP address");
  EXPECT_EQ(text("0.0.0.0"), "refused: `0.0.0.0` means every address");
  EXPECT_EQ(text("192.0.2.256"), "refused: `192.0.2.256` is no address of a peer");
}

TEST(Values, PeerAddressContains) {
  const auto contains = [](std::string_view peer, std::string_view address) {
    return parse_peer_address(peer)->contains(*IpAddress::parse(address));
  };
  EXPECT_TRUE(contains("192.0.2.2", "192.0.2.2"));
  EXPECT_FALSE(contains("192.0.2.2", "192.0.2.3"));
  EXPECT_TRUE(contains("192.0.2.10-192.0.2.20", "192.0.2.10"));
  EXPECT_TRUE(contains("192.0.2.10-192.0.2.20", "192.0.2.20"));
  EXPECT_FALSE(contains("192.0.2.10-192.0.2.20", "192.0.2.9"));
  EXPECT_FALSE(contains("192.0.2.10-192.0.2.20", "192.0.2.21"));
  EXPECT_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_FALSE(contains("::/0", "192.0.2.2"));
  EXPECT_TRUE(contains("any", "192.0.2.2"));
  EXPECT_TRUE(contains("any", "2001:db8::1"));
  EXPECT_FALSE(contains("gw.example.net", "192.0.2.2"));
}

TEST(Values, Identity) {
  EXPECT_FALSE(parse_identity("address")->has_value());
  for (const char* same : {"hostname:GW-a.example.net", "user-fqdn:ops@example.net", "192.168.7.2",
                           "2001:db8::7", "dn", "dn:CN=gw-a,O=corp", "dn:OU = sjvpn, O = cisco, C = us",
                           "dn:CN=a\\,b+2.5.4.5=1234", "dn:O=\"a, b\""}) {
    const auto identity = parse_identity(same);
    ASSERT_TRUE(identity && *identity) << same;
    EXPECT_EQ((*identity)->to_string(), same);
  }
  for (const char* bad : {"dn:", "dn:gw-a", "dn:CN=", "dn:CN=a,,O=b", "dn:=a", "dn:C N=a", "dnn",
                          "hostname:", "hostname:a b", "user-fqdn:example.net", "user-fqdn:@a",
                          "user-fqdn:a@", "user-fqdn:a@b@c", "user-fqdn:a b@c", "0.0.0.0", "gw-a"}) {
    EXPECT_FALSE(parse_identity(bad)) << bad;
  }
  EXPECT_EQ(parse_identity("hotsname:gw-a").error().nearest, "hostname:");
}

TEST(Values, Url) {
  constexpr auto kSchemes = std::to_array<std::string_view>({"http", "ldap"});
  for (const char* good :
       {"http://ca.example/corp.crl", "ldap://192.0.2.1:389", "http://[2001:db8::1]:80/a?b",
        "http://ca.example:8080", "ldap://ca.example/CN=CRL1,O=corp?certificateRevocationList"}) {
    const auto url = parse_url(good, kSchemes);
    ASSERT_TRUE(url) << good;
    EXPECT_EQ(*url, good);
  }
  for (const char* bad :
       {"https://ca.example/", "http:/ca.example", "ca.example", "http://", "http://a b/",
        "http://ca.example:0/", "http://ca.example:99999/", "http://[::1/", "http://[192.0.2.1]/",
        "http://ca.example/a b", "http://ca.example/\xc3\xa4", "file:///etc/shadow"}) {
    EXPECT_FALSE(parse_url(bad, kSchemes)) << bad;
  }
  // A password in a URL is not repeated.
  const auto secret = parse_url("http://me:s3cret@ca.example/", kSchemes);
  ASSERT_FALSE(secret);
  EXPECT_EQ((secret.error().message + secret.error().expected).find("s3cret"), std::string::npos);
}

TEST(Values, Selector) {
  for (const char* same : {"10.1.0.0/24", "10.1.0.0/24 tcp 179", "10.1.0.0/24 udp", "2001:db8::/32 icmpv6",
                           "10.1.0.0/24 89", "0.0.0.0/0", "::/0"}) {
    const auto selector = parse_selector(same);
    ASSERT_TRUE(selector) << why(selector);
    EXPECT_EQ(selector->to_string(), same);
  }
  for (const char* same : {"10.1.0.10-10.1.0.20", "10.1.0.0-10.1.0.255", "10.1.0.10-10.1.0.20 tcp 80",
                           "2001:db8::a-2001:db8::14", "2001:db8::a-2001:db8::14 icmpv6"}) {
    const auto selector = parse_selector(same);
    ASSERT_TRUE(selector) << why(selector);
    EXPECT_EQ(selector->to_string(), same);
  }
  EXPECT_EQ(why(parse_selector("10.1.0.20-10.1.0.10")), "`10.1.0.20-10.1.0.10` ends before it begins");
  EXPECT_EQ(why(parse_selector("10.1.0.20-2001:db8::")), "`10.1.0.20-2001:db8::` mixes IPv4 and IPv6");
  EXPECT_EQ(why(parse_selector("10.1.0.20-30")), "`30` is not an IP address");
  EXPECT_EQ(why(parse_selector("2001:db8::1-2001:db8::9 icmp")),
            "`icmp` is not for `2001:db8::1-2001:db8::9`");
  EXPECT_EQ(parse_selector("10.1.0.1")->to_string(), "10.1.0.1/32");
  EXPECT_EQ(parse_selector("10.1.0.0/24  tcp\t80")->port, 80);
  EXPECT_EQ(parse_selector("10.1.0.5/24").error().nearest, "10.1.0.0/24");
  EXPECT_EQ(parse_selector("2001:db8::5/32").error().nearest, "2001:db8::/32");
  EXPECT_EQ(parse_selector("10.1.0.0/24 tpc").error().nearest, "tcp");
  EXPECT_EQ(why(parse_selector("10.1.0.0/24 gre 5")), "`gre` has no ports, but `5` follows");
  EXPECT_EQ(why(parse_selector("10.1.0.0/24 icmpv6")), "`icmpv6` is not for `10.1.0.0/24`");
  EXPECT_EQ(why(parse_selector("2001:db8::/32 icmp")), "`icmp` is not for `2001:db8::/32`");
  for (const char* bad : {"", "any", "10.1.0.0/", "10.1.0.0/24/8", "10.1.0/24", "10.1.0.0/24 0",
                          "10.1.0.0/24 256", "10.1.0.0/24 tcp 0", "10.1.0.0/24 tcp 65536",
                          "10.1.0.0/24 tcp 080", "10.1.0.0/24 tcp 1 2", "10.1.0.0/-1", "10.1.0.0/ 24"}) {
    EXPECT_FALSE(parse_selector(bad)) << bad;
  }
}

TEST(Values, Group) {
  EXPECT_EQ(parse_group("14"), DhGroup::modp2048);
  EXPECT_EQ(parse_group("group19"), DhGroup::ecp256);
  EXPECT_EQ(parse_group("grup14").error().nearest, "group14");
  EXPECT_FALSE(parse_group("014"));
  EXPECT_FALSE(parse_group("3"));
}

}  // namespace
}  // namespace oakgate::conf
