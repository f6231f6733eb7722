#include "pki/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/crypto/distinguished_name.h"
#include "tests/pki/support/ca.h"

namespace oakgate::pki {
namespace {

using testing::HasSubstr;

Identity address(const char* text) {
  return {IdentityKind::address, *IpAddress::parse(text), {}};
}
Identity host(std::string text) {
  return {IdentityKind::fqdn, {}, std::move(text)};
}
Identity user(std::string text) {
  return {IdentityKind::user_fqdn, {}, std::move(text)};
}
// As an ID payload has it: text and DER.
Identity dn(const std::string& text) {
  return {IdentityKind::dn, {}, text, crypto::name_from_text(text).value()};
}

Certificate certificate(const std::string& subject, const std::string& alternative = {}) {
  static test::TestCa ca;
  test::CertificateRequest request;
  request.subject = subject;
  if (!alternative.empty()) request.extensions = {{"subjectAltName", alternative}};
  return Certificate::parse(ca.issue(request)).value();
}
const Certificate& everything() {
  static const Certificate out =
      certificate("CN=gw-b,O=corp", "IP:192.0.2.2,DNS:gw-b.example.net,email:Ops@example.net");
  return out;
}

PeerProof proof(Identity wanted, Identity claimed) {
  PeerProof out;
  out.peer = "branch-7";
  out.source = *IpAddress::parse("192.0.2.2");
  out.wanted = std::move(wanted);
  out.claimed = std::move(claimed);
  return out;
}
const Identity kSource{};  // the any-address: whatever it sends from

std::string refusal(const PeerProof& asked, const Certificate& leaf) {
  const auto result = check_identity(asked, leaf);
  EXPECT_FALSE(result) << asked.claimed.to_string();
  if (result) return {};
  EXPECT_EQ(result.error().code, ErrorCode::identity_mismatch);
  return result.error().text + "; expected: " + result.error().expected;
}

TEST(PeerIdentity, EachKindIsFoundInTheCertificate) {
  EXPECT_TRUE(check_identity(proof(kSource, address("192.0.2.2")), everything()));
  EXPECT_TRUE(check_identity(proof(address("192.0.2.2"), address("192.0.2.2")), everything()));
  EXPECT_TRUE(check_identity(proof(host("gw-b.example.net"), host("gw-b.example.net")), everything()));
  EXPECT_TRUE(check_identity(proof(user("Ops@example.net"), user("Ops@EXAMPLE.net")), everything()));
  EXPECT_TRUE(
      check_identity(proof({IdentityKind::dn, {}, "CN=GW-B, O=corp"}, dn("CN=gw-b,O=corp")), everything()));
  EXPECT_TRUE(check_identity(proof({IdentityKind::dn, {}, ""}, dn("CN=gw-b,O=corp")), everything()));
  EXPECT_TRUE(check_identity(proof(dn("CN=gw-b,O=corp"), dn("cn=gw-b,o=corp")), everything()));
}

TEST(PeerIdentity, IosSubjectsHoldNamesAndAddresses) {
  const Certificate ios = certificate("hostname=wan2511.cisco.com+ipaddress=192.0.2.2");
  EXPECT_TRUE(check_identity(proof(kSource, address("192.0.2.2")), ios));
  EXPECT_TRUE(check_identity(proof(host("WAN2511.cisco.com"), host("wan2511.cisco.com")), ios));
}

TEST(PeerIdentity, RefusalsAreInIosWords) {
  EXPECT_THAT(
      refusal(proof(kSource, address("192.0.2.3")), everything()),
      HasSubstr("%CRYPTO-6-IKMP_NO_ID_CERT_ADDR_MATCH: ID of 192.0.2.3 (type 1) and certificate addr with "
                "192.0.2.2"));
  EXPECT_THAT(refusal(proof(kSource, address("2001:db8::1")), certificate("CN=x")),
              HasSubstr("ID of 2001:db8::1 (type 5) and certificate addr with none"));
  EXPECT_THAT(
      refusal(proof(host("a.example"), host("a.example")), everything()),
      HasSubstr("%CRYPTO-6-IKMP_NO_ID_CERT_FQDN_MATCH: ID of a.example (type 2) and certificate fqdn with "
                "gw-b.example.net"));
  EXPECT_THAT(refusal(proof(user("a@b"), user("a@b")), everything()),
              HasSubstr("%CRYPTO-6-IKMP_NO_ID_CERT_USER_FQDN_MATCH"));
  EXPECT_THAT(
      refusal(proof({IdentityKind::dn, {}, ""}, dn("CN=gw-c,O=corp")), everything()),
      HasSubstr("%CRYPTO-6-IKMP_NO_ID_CERT_DN_MATCH: ID of CN=gw-c,O=corp (type 9) and certificate dn with "
                "CN=gw-b,O=corp"));
}

TEST(PeerIdentity, AnotherOneThanConfiguredIsRefusedThoughProved) {
  EXPECT_THAT(refusal(proof(kSource, host("gw-b.example.net")), everything()),
              HasSubstr("the peer proved to be hostname:gw-b.example.net; expected: its address, 192.0.2.2"));
  EXPECT_THAT(refusal(proof(address("192.0.2.9"), address("192.0.2.2")), everything()),
              HasSubstr("192.0.2.9"));
  EXPECT_THAT(refusal(proof(host("gw-a.example.net"), host("gw-b.example.net")), everything()),
              HasSubstr("expected: hostname:gw-a.example.net"));
  EXPECT_THAT(refusal(proof({IdentityKind::dn, {}, "CN=gw-a"}, dn("CN=gw-b,O=corp")), everything()),
              HasSubstr("expected: dn:CN=gw-a"));
  // Any subject, but a DN.
  EXPECT_THAT(refusal(proof({IdentityKind::dn, {}, ""}, host("gw-b.example.net")), everything()),
              HasSubstr("its certificate's subject"));
  auto elsewhere = proof(kSource, address("192.0.2.2"));
  elsewhere.source = *IpAddress::parse("192.0.2.77");
  EXPECT_THAT(refusal(elsewhere, everything()), HasSubstr("192.0.2.77"));
}

TEST(PeerIdentity, BehindANatAnAddressMayBeTheInnerOne) {
  auto asked = proof(kSource, address("192.0.2.2"));
  asked.source = *IpAddress::parse("203.0.113.1");
  asked.behind_nat = true;
  EXPECT_TRUE(check_identity(asked, everything()));
  asked.wanted = address("203.0.113.1");  // a configured address means that one
  EXPECT_FALSE(check_identity(asked, everything()));
  asked.wanted = kSource;
  asked.claimed = address("10.0.0.1");  // not in its certificate
  EXPECT_FALSE(check_identity(asked, everything()));
}

TEST(PeerIdentity, NoTricks) {
  const Certificate wild =
      certificate("CN=x", "DNS:*.example.net,DNS:gw-b.example.net.,DNS:good.example.net");
  for (const std::string name :
       {"*.example.net", "gw-b.example.net.", "gw-b.example.net", "good.example.net.", "ood.example.net",
        "good.example.ne", "good.example.net.evil.net", "", ".", "good..example.net"}) {
    EXPECT_FALSE(check_identity(proof(host(name), host(name)), wild)) << name;
  }
  EXPECT_FALSE(
      check_identity(proof(host("good.example.net"), host(std::string("good.example.net\0", 17))), wild));
  EXPECT_FALSE(
      check_identity(proof(host("good.example.net"), host(std::string("good.example.net\0x", 18))), wild));
  // The common name is no host name, and a host name no user's.
  EXPECT_FALSE(check_identity(proof(host("gw-b"), host("gw-b")), everything()));
  EXPECT_FALSE(check_identity(proof(user("ops@example.net"), user("ops@example.net")), everything()));
  EXPECT_FALSE(check_identity(proof(host("Ops@example.net"), host("Ops@example.net")), everything()));
  // An address in text form is no address.
  const Certificate texts = certificate("CN=x", "DNS:192.0.2.2");
  EXPECT_FALSE(check_identity(proof(kSource, address("192.0.2.2")), texts));
  // A NUL in the certificate.
  const Certificate nul = certificate("hostname=good.example.net\\00.evil.net");
  EXPECT_FALSE(check_identity(proof(host("good.example.net"), host("good.example.net")), nul));
  Identity bad = dn("CN=gw-b,O=corp");
  bad.der.pop_back();
  EXPECT_FALSE(check_identity(proof({IdentityKind::dn, {}, ""}, bad), everything()));
}

TEST(PeerIdentity, PeersTextIsEscaped) {
  EXPECT_EQ(printable("a b\\\"\n\x1b\xff"), "a b\\\\\\\"\\x0a\\x1b\\xff");
  EXPECT_LT(printable(std::string(100000, '\n')).size(), 210U);
  EXPECT_THAT(refusal(proof(kSource, host("evil\n\x1b[2J")), everything()), HasSubstr("evil\\x0a\\x1b[2J"));
}

}  // namespace
}  // namespace oakgate::pki
