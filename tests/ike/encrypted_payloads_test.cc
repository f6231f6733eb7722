#include "ike/encrypted_payloads.h"

#include <gtest/gtest.h>

#include "ike/crypto/cipher.h"
#include "ike/crypto/keys.h"

namespace oakgate::ike {
namespace {

const Bytes kNonce(20, 7);
const Cookie kCookie{1, 2, 3, 4, 5, 6, 7, 8};

RevisedCipher make(IkeCipher cipher) {
  return RevisedCipher::make(IkeHash::sha, cipher, kNonce, kCookie).value();
}

TEST(RevisedCipher, ChainsTheBodiesOfAMessageFromAnIvOfZerosOn) {
  const SecretBytes key = crypto::revised_mode_key(IkeHash::sha, IkeCipher::aes_128, kNonce, kCookie).value();
  RevisedCipher cipher = make(IkeCipher::aes_128);
  const Bytes first = cipher.seal(Bytes(5, 0xaa)).value();
  const Bytes second = cipher.seal(Bytes(16, 0xbb)).value();
  // RFC 2409 section 5.3: zeros, then the number of the padding bytes without the last one; always some.
  Bytes plain = crypto::decrypt(IkeCipher::aes_128, key, Bytes(16), first).value();
  EXPECT_EQ(to_hex(plain),
            "aaaaaaaaaa"
            "00000000000000000000"
            "0a");
  plain = crypto::decrypt(IkeCipher::aes_128, key, first, second).value();
  EXPECT_EQ(to_hex(plain), to_hex(Bytes(16, 0xbb)) +
                               "000000000000000000000000000000"
                               "0f");
}

TEST(RevisedCipher, OpensWhatItSealed) {
  for (const IkeCipherInfo& row : ike_ciphers()) {
    RevisedCipher seals = make(row.id);
    RevisedCipher opens = make(row.id);
    for (std::size_t size = 0; size < 50; ++size) {
      const Bytes body(size, static_cast<std::uint8_t>(size));
      const Bytes sealed = seals.seal(body).value();
      EXPECT_EQ(sealed.size() % row.block_bytes, 0U);
      EXPECT_GT(sealed.size(), size);
      const auto opened = opens.open(sealed);
      ASSERT_TRUE(opened) << row.name << " " << size;
      EXPECT_EQ(to_bytes(opened->view()), body);
    }
  }
}

TEST(RevisedCipher, RefusesWhatIsNotWholeBlocksOrNotPadded) {
  RevisedCipher cipher = make(IkeCipher::aes_128);
  for (const std::size_t size : {0U, 1U, 15U, 17U}) EXPECT_FALSE(cipher.open(Bytes(size))) << size;
  const SecretBytes key = crypto::revised_mode_key(IkeHash::sha, IkeCipher::aes_128, kNonce, kCookie).value();
  Bytes plain(16);
  plain.back() = 16;  // more than there is
  RevisedCipher fresh = make(IkeCipher::aes_128);
  EXPECT_FALSE(fresh.open(crypto::encrypt(IkeCipher::aes_128, key, Bytes(16), plain).value()));
  plain.back() = 15;  // nothing but padding
  RevisedCipher again = make(IkeCipher::aes_128);
  EXPECT_EQ(again.open(crypto::encrypt(IkeCipher::aes_128, key, Bytes(16), plain).value())->size(), 0U);
}

TEST(EncryptedBodies, KeepTheirBytesAndTheirOrder) {
  const Bytes block(64, 0xe7);
  wire::Body body;
  body.payloads = {wire::NoncePayload{Bytes(64, 1)},
                   wire::VendorIdPayload{Bytes(8, 2)},
                   wire::UnknownPayload{wire::PayloadType::identification, block},
                   wire::KeyExchangePayload{Bytes(96, 3)},
                   wire::CertificatePayload{4, Bytes(4, 6)},
                   wire::NatDetectionPayload{wire::PayloadType::nat_d_draft, Bytes(20, 4)},
                   wire::NatDetectionPayload{wire::PayloadType::nat_d, Bytes(20, 5)}};
  const auto bodies = encrypted_bodies(body, wire::PayloadType::nat_d);
  ASSERT_EQ(bodies.size(), 5U);
  EXPECT_EQ(bodies[0].type, wire::PayloadType::nonce);
  EXPECT_EQ(bodies[1].data, block);
  EXPECT_EQ(bodies[2].data, Bytes(96, 3));
  EXPECT_EQ(to_hex(bodies[3].data), "0406060606");
  EXPECT_EQ(bodies[4].data, Bytes(20, 5));
}

TEST(IdOfBody, IsTheBodyAgain) {
  const Bytes body = from_hex("011101f4c0000201").value();
  const wire::IdPayload id = id_of_body(body);
  EXPECT_EQ(id.type, wire::IdType::ipv4_addr);
  EXPECT_EQ(id.port, 500);
  EXPECT_EQ(id.body(), body);
  EXPECT_EQ(id_of_body({}).body(), Bytes(4));
}

}  // namespace
}  // namespace oakgate::ike
