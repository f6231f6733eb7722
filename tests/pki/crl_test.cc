#include "pki/crl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

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

std::string refusal(const Result<Crl>& crl) {
  EXPECT_FALSE(crl);
  EXPECT_EQ(ERR_peek_error(), 0UL);
  if (crl) return {};
  EXPECT_EQ(crl.error().code, ErrorCode::crl_invalid);
  return crl.error().text;
}

TEST(Crl, SaysWhatIsInIt) {
  TestCa ca("CN=Root,O=corp");
  CertificateRequest request;
  request.serial = 77;
  const Certificate revoked = parse(ca.issue(request));
  const Certificate good = parse(ca.issue());
  CrlRequest list;
  list.revoked = {{77, kTestNow - 2 * kDay, CRL_REASON_KEY_COMPROMISE}, {78}};
  list.number = 0x1234;
  const Bytes der = ca.crl(list);
  const std::string pem = test::crl_pem(der);
  for (const Bytes& file : {der, Bytes(pem.begin(), pem.end())}) {
    const auto crl = Crl::parse(file);
    ASSERT_TRUE(crl) << crl.error().text;
    EXPECT_EQ(crl->der(), der);
    EXPECT_EQ(crl->issuer_text(), "CN=Root,O=corp");
    EXPECT_EQ(crl->this_update(), kTestNow - kDay);
    EXPECT_EQ(crl->next_update(), kTestNow + 7 * kDay);
    EXPECT_EQ(crl->entries(), 2U);
    EXPECT_EQ(crl->number(), "1234");
    EXPECT_EQ(crl->signature_digest(), "sha256");
    EXPECT_TRUE(crl->scope().empty());
    const auto entry = crl->find(revoked);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->revoked_at, kTestNow - 2 * kDay);
    EXPECT_EQ(entry->reason, "keyCompromise");
    EXPECT_FALSE(crl->find(good));
    EXPECT_EQ(crl->covers(good), kAllReasons);
  }
}

TEST(Crl, SignatureIssuerAndKeyUsage) {
  TestCa ca("CN=Root,O=corp");
  const Crl crl = Crl::parse(ca.crl()).value();
  EXPECT_TRUE(crl.signed_by(parse(ca.certificate())));
  EXPECT_TRUE(crl.signed_by(parse(ca.certificate())));  // remembered
  TestCa other("CN=Other", test::rsa_key(2));
  EXPECT_THAT(crl.signed_by(parse(other.certificate())).error().text, HasSubstr("is not of"));
  TestCa impostor("CN=Root,O=corp", test::rsa_key(2));
  EXPECT_THAT(crl.signed_by(parse(impostor.certificate())).error().text, HasSubstr("signature"));
  CertificateRequest no_crls;
  no_crls.extensions = {{"basicConstraints", "CA:TRUE"}, {"keyUsage", "keyCertSign"}};
  TestCa silent("CN=Root,O=corp", nullptr, no_crls);
  EXPECT_THAT(crl.signed_by(parse(silent.certificate())).error().text, HasSubstr("may not sign CRLs"));
  Bytes spoilt = ca.crl();
  spoilt[spoilt.size() - 5] ^= 1;
  EXPECT_FALSE(Crl::parse(spoilt)->signed_by(parse(ca.certificate())));
}

TEST(Crl, DatesInTheWordsOfIos) {
  TestCa ca;
  const Crl crl = Crl::parse(ca.crl()).value();
  EXPECT_TRUE(crl.current(kTestNow));
  const auto early = crl.current(kTestNow - 2 * kDay);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::crl_invalid);
  EXPECT_THAT(early.error().text, HasSubstr("New CRL Not Yet Valid (router time not synched to CA?)"));
  EXPECT_THAT(early.error().text,
              HasSubstr("published 2026-06-14 12:00:00 UTC, our time 2026-06-13 12:00:00 UTC"));
  const auto late = crl.current(kTestNow + 8 * kDay);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().text,
              HasSubstr("stale (server timer behind router): nextUpdate 2026-06-22 12:00:00 UTC"));
  CrlRequest endless;
  endless.next_update = std::nullopt;
  EXPECT_THAT(refusal(Crl::parse(ca.crl(endless))), HasSubstr("until when"));
}

TEST(Crl, DeltaIndirectAndUnknownCriticalOnesAreRefused) {
  TestCa ca;
  CrlRequest list;
  list.extensions = {{"2.5.29.27", "critical,ASN1:INTEGER:1"}};
  EXPECT_THAT(refusal(Crl::parse(ca.crl(list))), HasSubstr("delta CRL"));
  list.extensions = {{"issuingDistributionPoint", "critical,indirectCRL:TRUE"}};
  EXPECT_THAT(refusal(Crl::parse(ca.crl(list))), HasSubstr("indirect CRL"));
  list.extensions = {{"1.2.3.4", "critical,ASN1:NULL"}};
  EXPECT_THAT(refusal(Crl::parse(ca.crl(list))), HasSubstr("critical extension"));
  list.extensions = {{"1.2.3.4", "ASN1:NULL"}};
  EXPECT_TRUE(Crl::parse(ca.crl(list)));
}

TEST(Crl, ScopeIsHonoured) {
  TestCa ca("CN=Root,O=corp");
  CertificateRequest request;
  request.extensions = {{"crlDistributionPoints", "URI:http://a.example/1.crl"}};
  const Certificate at_one = parse(ca.issue(request));
  const Certificate nowhere = parse(ca.issue());
  const Certificate sub = parse(ca.subordinate("CN=Sub", test::rsa_key(2)).certificate());
  const auto covers = [&ca](const std::string& point, const Certificate& certificate) {
    CrlRequest list;
    list.extensions = {{"issuingDistributionPoint", "critical,@point"}};
    list.config = "[point]\n" + point + "\n[named]\nO=corp\nCN=Root\n";
    return Crl::parse(ca.crl(list)).value().covers(certificate);
  };
  EXPECT_EQ(covers("fullname=URI:http://a.example/1.crl", at_one), kAllReasons);
  EXPECT_EQ(covers("fullname=URI:http://a.example/2.crl", at_one), 0U);
  EXPECT_EQ(covers("fullname=URI:http://a.example/1.crl", nowhere), 0U);
  EXPECT_EQ(covers("fullname=dirName:named", nowhere), kAllReasons);
  EXPECT_EQ(covers("onlyuser=TRUE", nowhere), kAllReasons);
  EXPECT_EQ(covers("onlyuser=TRUE", sub), 0U);
  EXPECT_EQ(covers("onlyCA=TRUE", nowhere), 0U);
  EXPECT_EQ(covers("onlyCA=TRUE", sub), kAllReasons);
  EXPECT_EQ(covers("onlyAA=TRUE", nowhere), 0U);
  EXPECT_EQ(covers("onlysomereasons=keyCompromise", nowhere),
            static_cast<ReasonMask>(CRL_REASON_KEY_COMPROMISE << 6));
  TestCa other("CN=Other", test::rsa_key(3));
  EXPECT_EQ(Crl::parse(other.crl()).value().covers(nowhere), 0U);
}

TEST(Crl, BoundsAndGarbage) {
  EXPECT_THAT(refusal(Crl::parse({})), HasSubstr("none"));
  EXPECT_THAT(refusal(Crl::parse(Bytes(kMaxCrlBytes * 2, 0x30))), HasSubstr("20000000 bytes"));
  TestCa ca;
  CrlRequest list;
  list.revoked = {{5}};
  const Bytes good = ca.crl(list);
  for (std::size_t size = 0; size < good.size(); size += 3) {
    static_cast<void>(refusal(Crl::parse(ByteView(good).first(size))));
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(refusal(Crl::parse(longer)), HasSubstr("none"));
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x81;
    if (const auto crl = Crl::parse(bad)) {
      static_cast<void>(crl->number());
      static_cast<void>(crl->issuer_text());
      static_cast<void>(crl->covers(parse(ca.certificate())));
    }
  }
  EXPECT_EQ(ERR_peek_error(), 0UL);
}

TEST(Crl, TenMegabytesAreTheBound) {
  TestCa ca;
  CrlRequest list;
  std::string value = "ASN1:UTF8:";
  value.append(kMaxCrlBytes, 'a');
  list.extensions = {{"1.2.3.4", value}};
  EXPECT_THAT(refusal(Crl::parse(ca.crl(list))), HasSubstr("bytes"));
}

}  // namespace
}  // namespace oakgate::pki
