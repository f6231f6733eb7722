#include "ike/crypto/keys.h"

#include <gtest/gtest.h>

#include "ike/crypto/prf.h"

namespace oakgate::crypto {
namespace {

const SecretBytes& secret() {
  static const SecretBytes bytes(Bytes(20, 0x42));
  return bytes;
}

Bytes join(std::initializer_list<ByteView> parts) {
  Bytes out;
  for (const ByteView part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

Phase1Keys keys_for(IkeHash hash, IkeCipher cipher) {
  return derive_phase1_keys(hash, cipher, secret().clone(), secret(), {{1}, {2}}).value();
}

TEST(Phase1Keys, CutOrExpandTheCipherKey) {
  // RFC 2409 Appendix B: SKEYID_e's leading bytes if it is long enough, else K1 | K2 | ... of it.
  const Phase1Keys cut = keys_for(IkeHash::sha, IkeCipher::aes_128);
  EXPECT_EQ(to_bytes(cut.cipher_key.view()), to_bytes(cut.skeyid_e.view().first(16)));
  for (const auto& [hash, cipher] : {std::pair{IkeHash::sha, IkeCipher::des3},
                                     {IkeHash::sha, IkeCipher::aes_192},
                                     {IkeHash::sha, IkeCipher::aes_256}}) {
    const Phase1Keys keys = keys_for(hash, cipher);
    const SecretBytes k1 = prf(hash, keys.skeyid_e.view(), {Bytes(1)}).value();
    const SecretBytes k2 = prf(hash, keys.skeyid_e.view(), {k1.view()}).value();
    const Bytes expected = join({k1.view(), k2.view()});
    EXPECT_EQ(to_hex(keys.cipher_key.view()), to_hex(ByteView(expected).first(info(cipher).key_bytes)));
  }
  const Phase1Keys exact = keys_for(IkeHash::sha256, IkeCipher::aes_256);
  EXPECT_EQ(exact.cipher_key, exact.skeyid_e);
}

TEST(Skeyid, OfEncryptionInBothForms) {
  const CookiePair cookies{{1}, {2}};
  const Bytes ni(8, 1);
  const Bytes nr(20, 2);
  const Bytes both = join({ni, nr});
  const auto form = [&](SkeyidForm which) {
    return to_hex(skeyid_for_encryption(IkeHash::sha256, which, ni, nr, cookies).value().view());
  };
  const auto expected = [&](ByteView key) {
    return to_hex(prf(IkeHash::sha256, key, {cookies.initiator, cookies.responder}).value().view());
  };
  EXPECT_EQ(form(SkeyidForm::rfc), expected(hash(IkeHash::sha256, {ni, nr}).value()));
  EXPECT_EQ(form(SkeyidForm::ios), expected(both));
}

TEST(RevisedModeKey, IsCutOrExpandedFromTheNonceAndItsSendersCookie) {
  const Bytes nonce(20, 7);
  const Cookie cookie{1, 2, 3};
  // RFC 2409 section 5.3: "Ke_i and Ke_r are derived from the most significant bits of Ne_i and Ne_r" ...
  const SecretBytes ne = prf(IkeHash::sha, nonce, {cookie}).value();
  EXPECT_EQ(to_hex(revised_mode_key(IkeHash::sha, IkeCipher::aes_128, nonce, cookie).value().view()),
            to_hex(ne.view().first(16)));
  // ... or from K1 = prf(Ne_i, 0), K2 = prf(Ne_i, K1) if they are longer.
  const SecretBytes k1 = prf(IkeHash::sha, ne.view(), {Bytes(1)}).value();
  const SecretBytes k2 = prf(IkeHash::sha, ne.view(), {k1.view()}).value();
  const Bytes expanded = join({k1.view(), k2.view()});
  EXPECT_EQ(to_hex(revised_mode_key(IkeHash::sha, IkeCipher::aes_256, nonce, cookie).value().view()),
            to_hex(ByteView(expanded).first(32)));
}

TEST(Ivs, AreAsLongAsTheBlock) {
  for (const IkeCipherInfo& row : ike_ciphers()) {
    EXPECT_EQ(phase1_iv(IkeHash::sha, row.id, Bytes(4), Bytes(4)).value().size(), row.block_bytes);
    EXPECT_EQ(phase2_iv(IkeHash::sha, row.id, Bytes(8), MessageId{1}).value().size(), row.block_bytes);
  }
  const Bytes whole = hash(IkeHash::sha, {as_bytes("ab"), as_bytes("\x01\x02\x03\x04")}).value();
  EXPECT_EQ(to_hex(phase2_iv(IkeHash::sha, IkeCipher::des3, as_bytes("ab"), MessageId{0x01020304}).value()),
            to_hex(ByteView(whole).first(8)));
}

TEST(Hashes, CoverWhatSection55Says) {
  const Phase1Keys keys = keys_for(IkeHash::sha, IkeCipher::aes_128);
  const Bytes id{0xa1, 0xb2, 0xc3, 0xd4};
  const Bytes ni(8, 1);
  const Bytes nr(9, 2);
  const Bytes rest(10, 3);
  const auto expected = [&keys](std::initializer_list<ByteView> parts) {
    return to_bytes(prf(IkeHash::sha, keys.skeyid_a.view(), parts).value().view());
  };
  EXPECT_EQ(hash_1(IkeHash::sha, keys, MessageId{0xa1b2c3d4}, rest).value(), expected({id, rest}));
  EXPECT_EQ(hash_2(IkeHash::sha, keys, MessageId{0xa1b2c3d4}, ni, rest).value(), expected({id, ni, rest}));
  EXPECT_EQ(hash_3(IkeHash::sha, keys, MessageId{0xa1b2c3d4}, ni, nr).value(),
            expected({Bytes(1), id, ni, nr}));
}

TEST(AuthenticationHash, TurnsAroundForTheResponder) {
  const Phase1Keys keys = keys_for(IkeHash::sha256, IkeCipher::aes_128);
  const AuthenticationInput input{
      as_bytes("own"), as_bytes("other"), {{1}, {2}}, as_bytes("SA"), as_bytes("ID")};
  const Cookie i{1};
  const Cookie r{2};
  EXPECT_EQ(authentication_hash(IkeHash::sha256, keys, Role::initiator, input).value(),
            to_bytes(prf(IkeHash::sha256, keys.skeyid.view(),
                         {as_bytes("ownother"), i, r, as_bytes("SA"), as_bytes("ID")})
                         .value()
                         .view()));
  EXPECT_EQ(authentication_hash(IkeHash::sha256, keys, Role::responder, input).value(),
            to_bytes(prf(IkeHash::sha256, keys.skeyid.view(),
                         {as_bytes("ownother"), r, i, as_bytes("SA"), as_bytes("ID")})
                         .value()
                         .view()));
}

TEST(Keymat, ChainsEachBlockOverTheOneBeforeAndAllItsParts) {
  const Bytes ni(8, 1);
  const Bytes nr(9, 2);
  const SecretBytes g_qm_xy(Bytes(16, 9));
  for (const SecretBytes* pfs : {static_cast<const SecretBytes*>(nullptr), &g_qm_xy}) {
    const Bytes seed =
        join({pfs == nullptr ? ByteView{} : pfs->view(), Bytes{3, 0xa1, 0xb2, 0xc3, 0xd4}, ni, nr});
    const SecretBytes k1 = prf(IkeHash::sha, secret().view(), {seed}).value();
    const SecretBytes k2 = prf(IkeHash::sha, secret().view(), {k1.view(), seed}).value();
    const SecretBytes k3 = prf(IkeHash::sha, secret().view(), {k2.view(), seed}).value();
    const Bytes all = join({k1.view(), k2.view(), k3.view()});
    for (const std::size_t length : {std::size_t{1}, std::size_t{20}, std::size_t{21}, all.size()}) {
      const auto got = keymat(IkeHash::sha, secret(), pfs, 3, Spi{0xa1b2c3d4}, ni, nr, length);
      ASSERT_TRUE(got);
      EXPECT_EQ(to_hex(got->view()), to_hex(ByteView(all).first(length)));
    }
  }
  EXPECT_EQ(keymat(IkeHash::sha, secret(), nullptr, 3, Spi{1}, ni, nr, 0).value().size(), 0U);
}

}  // namespace
}  // namespace oakgate::crypto
