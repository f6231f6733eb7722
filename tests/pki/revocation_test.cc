#include "pki/revocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pki/support/ca.h"

namespace oakgate::pki {
namespace {

using test::CertificateRequest;
using test::CrlRequest;
using test::kDay;
using test::kTestNow;
using test::TestCa;
using testing::HasSubstr;

Certificate parse(const Bytes& der) {
  return Certificate::parse(der).value();
}
Crl list(const TestCa& ca, const CrlRequest& request = {}) {
  return Crl::parse(ca.crl(request)).value();
}
CrlRequest revoking(long serial) {
  CrlRequest out;
  out.revoked = {{serial, kTestNow - kDay, CRL_REASON_KEY_COMPROMISE}};
  return out;
}
CrlRequest dated(CrlRequest request, WallTime begin, WallTime end) {
  request.this_update = begin;
  request.next_update = end;
  return request;
}

// root > sub > leaf (serial number 500)
class Revocation : public testing::Test {
 protected:
  Revocation() : sub_(root_.subordinate("CN=Sub", test::rsa_key(2))) {
    CertificateRequest request;
    request.serial = 500;
    input_.settings.anchors = {parse(root_.certificate())};
    input_.settings.intermediates = {parse(sub_.certificate())};
    input_.path = {parse(sub_.issue(request)), parse(sub_.certificate()), parse(root_.certificate())};
  }
  RevocationFinding check(std::vector<Crl> crls) {
    input_.crls = std::move(crls);
    return check_revocation(input_, kTestNow);
  }
  static bool good(const RevocationFinding& finding) {
    return !finding.revoked && !finding.unknown && !finding.was_revoked;
  }
  TestCa root_;
  TestCa sub_;
  RevocationInput input_;
};

TEST_F(Revocation, EveryCertificateButTheAnchorNeedsACrl) {
  EXPECT_TRUE(good(check({list(root_), list(sub_)})));
  for (const std::vector<Crl>& crls : {std::vector<Crl>{}, {list(root_)}, {list(sub_)}}) {
    const auto finding = check(crls);
    ASSERT_TRUE(finding.unknown);
    EXPECT_EQ(finding.unknown->code, ErrorCode::crl_unavailable);
    EXPECT_THAT(finding.unknown->text, HasSubstr("there is no CRL of"));
  }
}

TEST_F(Revocation, RevokedLeafAndRevokedCa) {
  const auto leaf = check({list(root_), list(sub_, revoking(500))});
  ASSERT_TRUE(leaf.revoked);
  EXPECT_EQ(leaf.revoked->code, ErrorCode::certificate_revoked);
  EXPECT_THAT(leaf.revoked->text,
              HasSubstr("serial number 01F4, was revoked 2026-06-14 12:00:00 UTC: keyCompromise"));
  const auto ca = check({list(root_, revoking(test::serial_number(sub_.certificate()))), list(sub_)});
  ASSERT_TRUE(ca.revoked);
  EXPECT_THAT(ca.revoked->text, HasSubstr("CN=Sub"));
  // It is enough to know of one; the other CRL may be missing.
  EXPECT_TRUE(check({list(sub_, revoking(500))}).revoked);
}

TEST_F(Revocation, TheNewestListCounts) {
  const auto older = dated(revoking(500), kTestNow - 3 * kDay, kTestNow + 7 * kDay);
  EXPECT_TRUE(good(check({list(root_), list(sub_, older), list(sub_)})));  // taken off hold
  const auto empty = dated({}, kTestNow - 3 * kDay, kTestNow + 7 * kDay);
  EXPECT_TRUE(check({list(root_), list(sub_, empty), list(sub_, revoking(500))}).revoked);
}

TEST_F(Revocation, StaleAndEarlyListsAreNamed) {
  const auto stale = check({list(root_), list(sub_, dated({}, kTestNow - 9 * kDay, kTestNow - kDay))});
  ASSERT_TRUE(stale.unknown);
  EXPECT_EQ(stale.unknown->code, ErrorCode::crl_invalid);
  EXPECT_THAT(stale.unknown->text, HasSubstr("stale"));
  const auto early = dated({}, kTestNow + kDay, kTestNow + 9 * kDay);
  EXPECT_THAT(check({list(root_), list(sub_, early)}).unknown->text, HasSubstr("New CRL Not Yet Valid"));
  // An early one does not make the present one worthless.
  EXPECT_TRUE(good(check({list(root_), list(sub_), list(sub_, early)})));
}

TEST_F(Revocation, WhatAStaleListRevokesIsRemembered) {
  const auto finding =
      check({list(root_), list(sub_, dated(revoking(500), kTestNow - 9 * kDay, kTestNow - kDay))});
  EXPECT_FALSE(finding.revoked);
  EXPECT_TRUE(finding.unknown);
  ASSERT_TRUE(finding.was_revoked);
  EXPECT_EQ(finding.was_revoked->code, ErrorCode::certificate_revoked);
}

TEST_F(Revocation, WeakDigestsOfCrlsFollowTheWaiver) {
  CrlRequest weak;
  weak.digest = "sha1";
  const auto finding = check({list(root_), list(sub_, weak)});
  ASSERT_TRUE(finding.unknown);
  EXPECT_EQ(finding.unknown->code, ErrorCode::crl_invalid);
  EXPECT_THAT(finding.unknown->text, HasSubstr("signed with sha1"));
  input_.settings.allow_weak.algorithms = {Weak::sha};
  EXPECT_TRUE(good(check({list(root_), list(sub_, weak)})));
}

TEST_F(Revocation, AForgedListSaysNothing) {
  TestCa forger("CN=Sub", test::rsa_key(9));
  EXPECT_FALSE(check({list(root_), list(sub_), list(forger, revoking(500))}).revoked);
  const auto alone = check({list(root_), list(forger)});
  ASSERT_TRUE(alone.unknown);
  EXPECT_THAT(alone.unknown->text, HasSubstr("signature"));
  // Not even if a certificate for its key comes along that no trusted CA signed.
  input_.settings.intermediates.push_back(parse(forger.certificate()));
  EXPECT_TRUE(check({list(root_), list(forger)}).unknown);
}

TEST_F(Revocation, AnotherKeyOfTheIssuerMaySignItsCrls) {
  TestCa signer = root_.subordinate("CN=Sub", test::rsa_key(5));
  EXPECT_TRUE(check({list(root_), list(signer)}).unknown);  // nobody knows that key
  input_.settings.intermediates.push_back(parse(signer.certificate()));
  EXPECT_TRUE(good(check({list(root_), list(signer)})));
  EXPECT_TRUE(check({list(root_), list(signer, revoking(500))}).revoked);
  // Unless it is revoked itself.
  EXPECT_TRUE(
      check({list(root_, revoking(test::serial_number(signer.certificate()))), list(signer)}).unknown);
  // A list by the very key that signed the certificate goes before it, however old.
  const auto own = dated(revoking(500), kTestNow - 3 * kDay, kTestNow + kDay);
  EXPECT_TRUE(check({list(root_), list(signer), list(sub_, own)}).revoked);
}

TEST_F(Revocation, ASignerHasToLeadToTheSameAnchor) {
  // Another CA that is trusted as well certifies one of the same name: its list says nothing here.
  TestCa other("CN=Other", test::rsa_key(6));
  TestCa signer = other.subordinate("CN=Sub", test::rsa_key(5));
  input_.settings.anchors.push_back(parse(other.certificate()));
  input_.settings.intermediates.push_back(parse(signer.certificate()));
  const auto finding = check({list(root_), list(other), list(signer)});
  EXPECT_TRUE(finding.unknown);
  EXPECT_FALSE(check({list(root_), list(sub_), list(other), list(signer, revoking(500))}).revoked);
}

// RFC 6960 section 4.2.2.2.1: a responder's certificate may be revoked as any other.
TEST_F(Revocation, AResponderOfDoubtfulStandingDoesNotVouch) {
  CertificateRequest request;
  request.serial = 600;
  request.subject = "CN=Responder";
  OcspStatus status;
  status.responder = parse(sub_.issue(request));
  const Certificate leaf = input_.path.front();
  input_.ocsp = [&](const Certificate& subject, const Certificate&) {
    return subject == leaf ? std::optional(status) : std::nullopt;
  };
  const auto unknown = check({list(root_)});
  ASSERT_TRUE(unknown.unknown);
  EXPECT_EQ(unknown.unknown->code, ErrorCode::crl_unavailable);
  EXPECT_THAT(unknown.unknown->text,
              HasSubstr("nothing says whether the certificate of the OCSP responder \"CN=Responder\""));
  EXPECT_THAT(unknown.unknown->remedy, HasSubstr("id-pkix-ocsp-nocheck"));
  EXPECT_EQ(unknown.responders, std::vector<Certificate>{*status.responder});
  // A list that speaks of the responder, and not of the leaf.
  request.extensions = {{"crlDistributionPoints", "URI:http://responders.example/"}};
  status.responder = parse(sub_.issue(request));
  CrlRequest of_responders;
  of_responders.extensions = {{"issuingDistributionPoint", "critical,@point"}};
  of_responders.config = "[point]\nfullname=URI:http://responders.example/\n";
  EXPECT_TRUE(good(check({list(root_), list(sub_, of_responders)})));
  of_responders.revoked = {{600}};
  EXPECT_TRUE(check({list(root_), list(sub_, of_responders)}).unknown);
  // It is believed when it accuses, not when it was revoked itself.
  status.revoked = true;
  EXPECT_TRUE(check({list(root_)}).revoked);
  const auto stale = dated(revoking(600), kTestNow - 9 * kDay, kTestNow - kDay);
  const auto revoked = check({list(root_), list(sub_, stale)});
  EXPECT_FALSE(revoked.revoked);
  ASSERT_TRUE(revoked.unknown);
  EXPECT_THAT(revoked.unknown->text, HasSubstr("has itself been revoked"));
  EXPECT_TRUE(revoked.responders.empty()) << "nothing newer would help";
  // What a CRL says of the leaf needs no responder.
  status.revoked = false;
  EXPECT_TRUE(good(check({list(root_), list(sub_)})));
  EXPECT_TRUE(good(check({list(root_), list(sub_, revoking(600))})));
  EXPECT_TRUE(check({list(root_), list(sub_, revoking(500))}).revoked);
}

TEST_F(Revocation, OcspIsASecondSource) {
  OcspStatus status;
  input_.ocsp = [&status](const Certificate&, const Certificate&) { return status; };
  EXPECT_TRUE(good(check({})));
  status.revoked = true;
  status.reason = "superseded";
  const auto finding = check({});
  ASSERT_TRUE(finding.revoked);
  EXPECT_THAT(finding.revoked->text, HasSubstr("superseded (by OCSP)"));
  // A CRL that revokes is not talked out of it.
  status.revoked = false;
  EXPECT_TRUE(check({list(root_), list(sub_, revoking(500))}).revoked);
}

}  // namespace
}  // namespace oakgate::pki
