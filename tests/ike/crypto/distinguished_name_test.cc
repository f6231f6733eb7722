#include "ike/crypto/distinguished_name.h"

#include <gtest/gtest.h>

namespace oakgate::crypto {
namespace {

Bytes der(std::string_view text) {
  auto name = name_from_text(text);
  EXPECT_TRUE(name) << text << ": " << (name ? "" : name.error().text);
  return name.value_or(Bytes{});
}
std::string round_trip(std::string_view text) {
  return name_text(der(text)).value_or("no text");
}
bool same(std::string_view a, std::string_view b) {
  return same_name(der(a), der(b));
}

TEST(DistinguishedName, TextRoundTrips) {
  for (const std::string text : {
           "CN=gw-a,O=corp",
           "serialNumber=04922418+CN=gw-a,OU=a\\, b,O=x\\+y\\\"z,C=us",
           "CN=\\ both ends\\ ,DC=example,DC=net",
           "unstructuredName=wan2511.cisco.com,unstructuredAddress=192.0.2.1",
           "CN=\\#number",
       }) {
    EXPECT_EQ(round_trip(text), text);
  }
}

TEST(DistinguishedName, EncodesMostSpecificLast) {
  // SEQUENCE { SET { SEQUENCE { countryName, PrintableString "us" } }, SET { ... commonName, UTF8String "a" }
  // }
  EXPECT_EQ(to_hex(der("CN=a,C=us")), "3019310b3009060355040613027573310a300806035504030c0161");
}

TEST(DistinguishedName, ReadsWhatIosAndOthersPrint) {
  EXPECT_EQ(round_trip("OU = sjvpn, O = cisco, C = us"), "OU=sjvpn,O=cisco,C=us");
  EXPECT_EQ(round_trip("cn=a;o=b"), "CN=a,O=b");
  EXPECT_EQ(round_trip("hostname=r1.example.net, ipaddress=192.0.2.1"),
            "unstructuredName=r1.example.net,unstructuredAddress=192.0.2.1");
  EXPECT_EQ(round_trip("CN=\"a, b\" , O=c"), "CN=a\\, b,O=c");
  EXPECT_EQ(round_trip("2.5.4.3=a"), "CN=a");
  EXPECT_EQ(round_trip("OID.2.5.4.3=a"), "CN=a");
  EXPECT_EQ(round_trip("CN=#0c0161"), "CN=a");
  EXPECT_EQ(round_trip("CN=a+SERIALNUMBER=1"),
            round_trip("serialNumber = 1 + CN = a"));  // a SET has no order
  EXPECT_EQ(round_trip("CN=Z\\C3\\BCrich"), "CN=Z\\C3\\BCrich");
}

TEST(DistinguishedName, RefusesWhatIsNoName) {
  for (const std::string text : {"",           "gw-a",   "CN=",       "CN=a,",     "CN=a,,O=b",
                                 "=a",         "XYZ=a",  "CN=a\\",    "CN=a\\q",   "CN=\"a",
                                 "CN=\"a\"b",  "CN=#",   "CN=#0c",    "CN=#0c016", "CN=#0c016161",
                                 "CN=#020101", "CN=a<b", "C=germany", "1.2.=a",    "CN=\\ff\\fe"}) {
    const auto name = name_from_text(text);
    ASSERT_FALSE(name) << text;
    EXPECT_EQ(name.error().code, ErrorCode::configuration) << text;
  }
  EXPECT_FALSE(name_from_text(std::string("CN=a\0b", 6)));
  EXPECT_FALSE(name_from_text("CN=" + std::string(20000, 'a')));
}

TEST(DistinguishedName, TextOfGarbageIsAnError) {
  const Bytes good = der("CN=gw-a,O=corp");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(name_text(ByteView(good).first(size))) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  ASSERT_FALSE(name_text(longer));
  EXPECT_EQ(name_text(longer).error().code, ErrorCode::malformed);
  EXPECT_FALSE(same_name(longer, longer));
}

TEST(DistinguishedName, TextHidesNoControlCharacters) {
  const Bytes name = der("CN=a\\0A\\1Bb\\00c");
  EXPECT_EQ(name_text(name).value(), "CN=a\\0A\\1Bb\\00c");
}

TEST(DistinguishedName, EqualityIsThatOfRfc5280) {
  EXPECT_TRUE(same("CN=gw-a,O=Corp", "cn=GW-A , o=corp"));
  EXPECT_TRUE(same("CN=two  blanks", "CN=two blanks"));
  EXPECT_TRUE(same("CN=#130161", "CN=#0c0161"));  // PrintableString and UTF8String
  EXPECT_FALSE(same("CN=gw-a,O=corp", "O=corp,CN=gw-a"));
  EXPECT_FALSE(same("CN=gw-a,O=corp", "CN=gw-a"));
  EXPECT_FALSE(same("CN=gw-a,O=corp", "CN=gw-a,O=corp,C=us"));
  EXPECT_FALSE(same("CN=gw-a", "OU=gw-a"));
  EXPECT_FALSE(same("CN=gw-a", "CN=gw-ab"));
  EXPECT_FALSE(same("CN=gw-a", "CN=gw-a\\00b"));  // no C strings
}

}  // namespace
}  // namespace oakgate::crypto
