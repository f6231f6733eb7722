#include "pki/scep/reply.h"

#include "ike/crypto/distinguished_name.h"
#include "tests/pki/scep/support.h"

namespace oakgate::pki::scep {
namespace {

using test::certificate;
using test::kTestNow;
using test::private_key;

class ReplyTest : public testing::Test {
 protected:
  ReplyTest() {
    test::CertificateRequest request;
    request.key = private_key(1).native();
    rep_.transaction = "0123";
    rep_.recipient_nonce = Bytes(16, 7);
    rep_.content = test::pkcs7({ca_.issue(request)});
    rep_.recipient = own_.der();
    rep_.signer = ca_.certificate();
    rep_.signer_key = ca_.key();
  }
  Result<Reply> read(ByteView der) {
    Nonce nonce;
    nonce.fill(7);
    return read_reply(der, {"0123", nonce, signers_, own_, private_key(1), {"corp", {}, kTestNow}});
  }

  test::TestCa ca_{"CN=Root,O=test", test::rsa_key(0)};
  std::vector<Certificate> signers_{certificate(ca_.certificate())};
  Certificate own_ = *make_signer(*crypto::name_from_text("CN=gw-a"), "0123", private_key(1),
                                  MessageDigest::sha256, kTestNow);
  test::CertRep rep_;
};

TEST_F(ReplyTest, SuccessCarriesTheCertificates) {
  const auto reply = read(make_cert_rep(rep_));
  ASSERT_TRUE(reply) << reply.error().text;
  EXPECT_EQ(reply->status, Status::success);
  EXPECT_EQ(reply->content, rep_.content);
}

TEST_F(ReplyTest, PendingAndFailureCarryNothing) {
  rep_.content.clear();
  rep_.status = "3";
  ASSERT_TRUE(read(make_cert_rep(rep_)));
  EXPECT_EQ(read(make_cert_rep(rep_))->status, Status::pending);
  rep_.status = "2";
  rep_.fail_info = "3";
  EXPECT_EQ(read(make_cert_rep(rep_))->status, Status::failure);
  EXPECT_EQ(read(make_cert_rep(rep_))->reason, "badTime (our clock and the authority's differ)");
  rep_.fail_info.clear();
  EXPECT_EQ(read(make_cert_rep(rep_))->reason, "no reason given");
}

TEST_F(ReplyTest, CutAnywhereItIsRefused) {
  const Bytes whole = make_cert_rep(rep_);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_FALSE(read(ByteView(whole).first(cut))) << cut;
  }
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_FALSE(read(longer));
}

TEST_F(ReplyTest, NoChangedBitGoesUnnoticed) {
  const Bytes whole = make_cert_rep(rep_);
  const auto good = read(whole);
  ASSERT_TRUE(good);
  for (std::size_t at = 0; at < whole.size(); at += 3) {
    Bytes changed = whole;
    changed[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    const auto reply = read(changed);
    // What is not signed (the list of certificates beside the content) may change; the content may not.
    if (reply) {
      EXPECT_EQ(reply->status, Status::success) << at;
      EXPECT_EQ(reply->content, good->content) << at;
    }
  }
}

TEST_F(ReplyTest, IsBounded) {
  EXPECT_EQ(read(Bytes(kMaxReplyBytes + 1, 0x30)).error().code, ErrorCode::malformed);
  EXPECT_EQ(read({}).error().code, ErrorCode::malformed);
}

TEST_F(ReplyTest, WhatIsNotSignedDataIsNoReply) {
  EXPECT_EQ(read(test::pkcs7({ca_.certificate()})).error().code, ErrorCode::malformed);  // no signer
  EXPECT_EQ(read(ca_.certificate()).error().code, ErrorCode::malformed);
}

}  // namespace
}  // namespace oakgate::pki::scep
