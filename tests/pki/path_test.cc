#include "pki/path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include "tests/pki/support/ca.h"

namespace oakgate::pki {
namespace {

using test::CertificateRequest;
using test::kDay;
using test::kTestNow;
using test::TestCa;
using testing::HasSubstr;

Certificate parse(const Bytes& der) {
  return Certificate::parse(der).value();
}

PathSettings trusting(const std::vector<Bytes>& anchors, const std::vector<Bytes>& more = {}) {
  PathSettings out;
  for (const Bytes& der : anchors) out.anchors.push_back(parse(der));
  for (const Bytes& der : more) out.intermediates.push_back(parse(der));
  return out;
}

Error refused(const Bytes& leaf, const PathSettings& settings) {
  const auto path = build_path(parse(leaf), settings, kTestNow);
  EXPECT_FALSE(path);
  EXPECT_EQ(ERR_peek_error(), 0UL);
  return path ? Error{} : path.error();
}

TEST(Path, LeadsFromTheLeafToTheAnchor) {
  TestCa root;
  TestCa sub = root.subordinate("CN=Sub", test::rsa_key(2));
  const Bytes leaf = sub.issue();
  const auto path = build_path(parse(leaf), trusting({root.certificate()}, {sub.certificate()}), kTestNow);
  ASSERT_TRUE(path) << path.error().text;
  ASSERT_EQ(path->size(), 3U);
  EXPECT_EQ(path->at(0).der(), leaf);
  EXPECT_EQ(path->at(1).der(), sub.certificate());
  EXPECT_EQ(path->at(2).der(), root.certificate());
}

TEST(Path, WrongIssuer) {
  TestCa root;
  TestCa other("CN=Other,O=test", test::rsa_key(2));
  const Error error = refused(other.issue(), trusting({root.certificate()}));
  EXPECT_EQ(error.code, ErrorCode::certificate_invalid);
  EXPECT_THAT(error.text, HasSubstr("a certificate chain could not be constructed"));
  EXPECT_THAT(error.text, HasSubstr("issued by \"CN=Other,O=test\""));
  // A root that comes along is not trusted for that; nor is one that names itself like ours.
  EXPECT_EQ(refused(other.issue(), trusting({root.certificate()}, {other.certificate()})).code,
            ErrorCode::certificate_invalid);
  TestCa impostor("CN=Root,O=test", test::rsa_key(2));
  EXPECT_EQ(refused(impostor.issue(), trusting({root.certificate()}, {impostor.certificate()})).code,
            ErrorCode::certificate_invalid);
}

TEST(Path, AnotherKeyOfTheIssuerIsToldFromAnotherIssuer) {
  CertificateRequest with_id;
  with_id.extensions = {{"basicConstraints", "critical,CA:TRUE"}, {"subjectKeyIdentifier", "hash"}};
  TestCa old_root("CN=Root,O=test", test::rsa_key(0), with_id);
  TestCa new_root("CN=Root,O=test", test::rsa_key(2), with_id);
  CertificateRequest request;
  request.extensions = {{"authorityKeyIdentifier", "keyid:always"}};
  EXPECT_THAT(refused(new_root.issue(request), trusting({old_root.certificate()})).text,
              HasSubstr("by another key of it"));
}

TEST(Path, ExpiredAndNotYetValid) {
  TestCa root;
  CertificateRequest old;
  old.not_after = kTestNow - kDay;
  const Error expired = refused(root.issue(old), trusting({root.certificate()}));
  EXPECT_EQ(expired.code, ErrorCode::certificate_expired);
  EXPECT_THAT(expired.text, HasSubstr("end date 2026-06-14 12:00:00 UTC, our time 2026-06-15 12:00:00 UTC"));
  CertificateRequest early;
  early.not_before = kTestNow + kDay;
  const Error soon = refused(root.issue(early), trusting({root.certificate()}));
  EXPECT_EQ(soon.code, ErrorCode::certificate_not_yet_valid);
  EXPECT_THAT(soon.text, HasSubstr("router time not synched to CA?"));
  // A CA's dates count too.
  CertificateRequest old_ca;
  old_ca.not_after = kTestNow - kDay;
  TestCa sub = root.subordinate("CN=Sub", test::rsa_key(2), old_ca);
  EXPECT_EQ(refused(sub.issue(), trusting({root.certificate()}, {sub.certificate()})).code,
            ErrorCode::certificate_expired);
}

TEST(Path, WhoMayIssue) {
  TestCa root;
  struct Case {
    test::Extensions ca;
    const char* says;
  };
  for (const Case& one :
       {Case{{{"basicConstraints", "CA:FALSE"}}, "not a CA's"},
        Case{{{"basicConstraints", "CA:TRUE"}, {"keyUsage", "digitalSignature"}}, "not a CA's"},
        Case{{{"basicConstraints", "CA:TRUE"}, {"1.2.3.4", "critical,ASN1:NULL"}}, "critical"}}) {
    CertificateRequest request;
    request.extensions = one.ca;
    TestCa sub = root.subordinate("CN=Sub", test::rsa_key(2), request);
    const Error error = refused(sub.issue(), trusting({root.certificate()}, {sub.certificate()}));
    EXPECT_EQ(error.code, ErrorCode::certificate_invalid);
    EXPECT_THAT(error.text, HasSubstr(one.says));
  }
}

TEST(Path, LengthAndNameConstraints) {
  CertificateRequest bounded;
  bounded.extensions = {{"basicConstraints", "critical,CA:TRUE,pathlen:0"},
                        {"nameConstraints", "permitted;DNS:example.net"}};
  TestCa root("CN=Root", nullptr, bounded);
  TestCa sub = root.subordinate("CN=Sub", test::rsa_key(2));
  EXPECT_THAT(refused(sub.issue(), trusting({root.certificate()}, {sub.certificate()})).text,
              HasSubstr("path length"));
  CertificateRequest outside;
  outside.extensions = {{"subjectAltName", "DNS:gw.example.org"}};
  EXPECT_THAT(refused(root.issue(outside), trusting({root.certificate()})).text, HasSubstr("may certify"));
  CertificateRequest inside;
  inside.extensions = {{"subjectAltName", "DNS:gw.example.net"}};
  EXPECT_TRUE(build_path(parse(root.issue(inside)), trusting({root.certificate()}), kTestNow));
}

TEST(Path, OldCasWithoutKeyUsageOrOfVersion1Serve) {
  CertificateRequest plain;
  plain.extensions = {{"basicConstraints", "CA:TRUE"}};
  CertificateRequest version1;
  version1.version = 1;
  for (const CertificateRequest& request : {plain, version1}) {
    TestCa root("CN=Old", nullptr, request);
    EXPECT_TRUE(build_path(parse(root.issue()), trusting({root.certificate()}), kTestNow));
  }
}

TEST(Path, MayEndAtAnIntermediateOnlyIfThatIsTrusted) {
  TestCa root;
  TestCa sub = root.subordinate("CN=Sub", test::rsa_key(2));
  const Bytes leaf = sub.issue();
  const auto path = build_path(parse(leaf), trusting({sub.certificate()}), kTestNow);
  ASSERT_TRUE(path) << path.error().text;
  EXPECT_EQ(path->size(), 2U);
  TestCa other("CN=Other", test::rsa_key(3));
  EXPECT_FALSE(build_path(parse(leaf), trusting({other.certificate()}, {sub.certificate()}), kTestNow));
}

TEST(Path, AnchorsAreTheRootsAndWhatHasNoIssuerThere) {
  TestCa root;
  TestCa sub = root.subordinate("CN=Sub", test::rsa_key(2));
  TestCa elsewhere("CN=Elsewhere", test::rsa_key(3));
  TestCa alone = elsewhere.subordinate("CN=Alone", test::rsa_key(4));
  const std::vector<Certificate> cas = {parse(sub.certificate()), parse(root.certificate()),
                                        parse(alone.certificate())};
  EXPECT_THAT(trust_anchors(cas), testing::ElementsAre(cas[1], cas[2]));
}

TEST(Path, DepthIsBounded) {
  TestCa root("CN=Root", test::ec_key(0));
  std::vector<TestCa> cas = {root};
  std::vector<Bytes> intermediates;
  for (int depth = 1; depth <= kMaxPathDepth + 1; ++depth) {
    cas.push_back(cas.back().subordinate("CN=Sub" + std::to_string(depth), test::ec_key(depth)));
    intermediates.push_back(cas.back().certificate());
  }
  CertificateRequest request;
  request.key = test::ec_key(50);
  const auto settings = trusting({root.certificate()}, intermediates);
  EXPECT_TRUE(build_path(parse(cas[kMaxPathDepth].issue(request)), settings, kTestNow));
  EXPECT_THAT(refused(cas[kMaxPathDepth + 1].issue(request), settings).text, HasSubstr("too many CAs"));
}

TEST(Usage, SignaturesAndIkeOrNoWord) {
  TestCa root;
  const auto usage = [&root](const test::Extensions& extensions,
                             ExtendedKeyUsage wanted = ExtendedKeyUsage::ike) {
    CertificateRequest request;
    request.extensions = extensions;
    return check_usage(parse(root.issue(request)), wanted);
  };
  EXPECT_TRUE(usage({}));
  EXPECT_TRUE(usage({{"keyUsage", "digitalSignature"}}));
  EXPECT_TRUE(usage({{"keyUsage", "nonRepudiation"}}));
  EXPECT_FALSE(usage({{"keyUsage", "keyEncipherment"}}));
  for (const std::string good :
       {"1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.7.3.5", "1.3.6.1.5.5.7.3.6", "1.3.6.1.5.5.7.3.7",
        "1.3.6.1.5.5.8.2.2", "anyExtendedKeyUsage", "serverAuth,1.3.6.1.5.5.7.3.17"}) {
    EXPECT_TRUE(usage({{"extendedKeyUsage", good}})) << good;
  }
  const auto tls = usage({{"extendedKeyUsage", "serverAuth,clientAuth"}});
  ASSERT_FALSE(tls);
  EXPECT_EQ(tls.error().code, ErrorCode::certificate_invalid);
  EXPECT_THAT(tls.error().text, HasSubstr("1.3.6.1.5.5.7.3.1 1.3.6.1.5.5.7.3.2"));
  EXPECT_TRUE(usage({{"extendedKeyUsage", "serverAuth,clientAuth"}}, ExtendedKeyUsage::any));
  EXPECT_FALSE(usage({{"keyUsage", "keyEncipherment"}}, ExtendedKeyUsage::any));
}

WeakWaiver waiver(std::vector<Weak> algorithms, std::optional<std::chrono::sys_days> until = {}) {
  return {std::move(algorithms), until, "test"};
}

Result<void> strength(const TestCa& root, const Bytes& leaf, const WeakWaiver& allowed) {
  return check_strength({parse(leaf), parse(root.certificate())}, allowed, kTestNow);
}

TEST(Strength, WeakDigestsNeedAWaiver) {
  TestCa root;
  CertificateRequest request;
  request.digest = "md5";
  const Bytes md5 = root.issue(request);
  request.digest = "sha1";
  const Bytes sha1 = root.issue(request);
  EXPECT_TRUE(strength(root, root.issue(), {}));
  const auto refused_md5 = strength(root, md5, waiver({Weak::sha}));
  ASSERT_FALSE(refused_md5);
  EXPECT_EQ(refused_md5.error().code, ErrorCode::certificate_invalid);
  EXPECT_THAT(refused_md5.error().text, HasSubstr("is signed with md5"));
  EXPECT_THAT(refused_md5.error().expected, HasSubstr("`md5`"));
  EXPECT_FALSE(strength(root, sha1, {}));
  EXPECT_TRUE(strength(root, md5, waiver({Weak::md5})));
  EXPECT_TRUE(strength(root, sha1, waiver({Weak::sha})));
  // And such a path can be built at all: OpenSSL does not refuse by itself.
  EXPECT_TRUE(build_path(parse(md5), trusting({root.certificate()}), kTestNow));
}

TEST(Strength, TheAnchorsOwnSignatureDoesNotCount) {
  CertificateRequest request;
  request.digest = "md5";
  TestCa root("CN=Old", nullptr, request);
  EXPECT_TRUE(strength(root, root.issue(), {}));
}

TEST(Strength, SmallKeysNeedAWaiver) {
  TestCa root;
  CertificateRequest request;
  request.key = test::rsa_key(0, 1024);
  const Bytes medium = root.issue(request);
  request.key = test::rsa_key(0, 512);
  const Bytes small = root.issue(request);
  EXPECT_EQ(strength(root, medium, {}).error().code, ErrorCode::key_too_small);
  EXPECT_THAT(strength(root, medium, {}).error().text, HasSubstr("has 1024 bits"));
  EXPECT_TRUE(strength(root, medium, waiver({Weak::rsa_1024})));
  EXPECT_FALSE(strength(root, small, waiver({Weak::rsa_1024})));
  EXPECT_TRUE(strength(root, small, waiver({Weak::rsa_512})));
  EXPECT_TRUE(build_path(parse(small), trusting({root.certificate()}), kTestNow));
  // The CA's key counts as well.
  TestCa old("CN=Old", test::rsa_key(1, 1024));
  EXPECT_EQ(strength(old, old.issue(), {}).error().code, ErrorCode::key_too_small);
}

TEST(Strength, AnExpiredWaiverIsToldAsSuch) {
  TestCa root;
  CertificateRequest request;
  request.digest = "sha1";
  const auto yesterday = std::chrono::floor<std::chrono::days>(kTestNow) - std::chrono::days(1);
  EXPECT_EQ(strength(root, root.issue(request), waiver({Weak::sha}, yesterday)).error().code,
            ErrorCode::weak_waiver_expired);
}

TEST(Strength, UnknownDigestsAreRefused) {
  EXPECT_FALSE(check_digest("md4", "it", waiver({Weak::md5, Weak::sha}), kTestNow));
  EXPECT_FALSE(check_digest("", "it", waiver({Weak::md5, Weak::sha}), kTestNow));
  EXPECT_TRUE(check_digest("none", "it", {}, kTestNow));
}

}  // namespace
}  // namespace oakgate::pki
