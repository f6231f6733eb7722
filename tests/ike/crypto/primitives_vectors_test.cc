// Published vectors of HMAC, the CBC ciphers and Diffie-Hellman (tests/vectors; each folder says where its
// files come from). Each test counts what it ran: a file that parses to nothing fails.
#include <gtest/gtest.h>

#include "ike/crypto/cipher.h"
#include "ike/crypto/dh.h"
#include "ike/crypto/prf.h"
#include "tests/support/fax.h"
#include "tests/support/json.h"

namespace oakgate::crypto {
namespace {

using oakgate::test::hex;
using oakgate::test::read_json;
using oakgate::test::read_text;

TEST(Hmac, Rfc2202AndRfc4231) {
  const auto vectors = read_json("tests/vectors/rfc/hmac.json");
  EXPECT_EQ(vectors.size(), 35U);
  for (const auto& vector : vectors) {
    const auto algorithm = find_ike_hash(vector.at("hash").get<std::string>());
    ASSERT_TRUE(algorithm);
    const auto tag = prf(*algorithm, hex(vector, "key"), {hex(vector, "data")});
    ASSERT_TRUE(tag);
    const Bytes expected = hex(vector, "tag");  // case 5 of RFC 4231 is cut
    EXPECT_EQ(to_hex(tag->view().first(expected.size())), to_hex(expected)) << vector.at("source");
  }
}

TEST(Hmac, Wycheproof) {
  struct File {
    const char* name;
    IkeHash hash;
  };
  std::size_t valid = 0;
  std::size_t invalid = 0;
  for (const File& file : {File{"hmac_sha1", IkeHash::sha},
                           {"hmac_sha256", IkeHash::sha256},
                           {"hmac_sha384", IkeHash::sha384},
                           {"hmac_sha512", IkeHash::sha512}}) {
    const auto vectors = read_json("tests/vectors/wycheproof/" + std::string(file.name) + "_test.json");
    for (const auto& group : vectors.at("testGroups")) {
      for (const auto& vector : group.at("tests")) {
        const auto tag = prf(file.hash, hex(vector, "key"), {hex(vector, "msg")});
        ASSERT_TRUE(tag);
        const Bytes expected = hex(vector, "tag");
        const bool good = vector.at("result") == "valid";
        EXPECT_EQ(equal_constant_time(tag->view().first(expected.size()), expected), good)
            << file.name << " " << vector.at("tcId");
        ++(good ? valid : invalid);
      }
    }
  }
  EXPECT_EQ(valid, 264U);
  EXPECT_EQ(invalid, 428U);
}

void expect_both_ways(IkeCipher cipher, const Bytes& key, const Bytes& iv, const Bytes& plain,
                      const Bytes& secret, const std::string& what) {
  const auto encrypted = encrypt(cipher, SecretBytes(key), iv, plain);
  const auto decrypted = decrypt(cipher, SecretBytes(key), iv, secret);
  ASSERT_TRUE(encrypted) << what;
  ASSERT_TRUE(decrypted) << what;
  EXPECT_EQ(to_hex(*encrypted), to_hex(secret)) << what;
  EXPECT_EQ(to_hex(*decrypted), to_hex(plain)) << what;
}

IkeCipher aes_of(std::size_t key_bytes) {
  return find_ike_cipher(7, static_cast<std::uint16_t>(key_bytes * 8)).value();
}

TEST(AesCbc, Rfc3602) {
  const auto vectors = read_json("tests/vectors/rfc/aes-cbc.json");
  EXPECT_EQ(vectors.size(), 8U);
  for (const auto& vector : vectors) {
    const Bytes key = hex(vector, "key");
    expect_both_ways(aes_of(key.size()), key, hex(vector, "iv"), hex(vector, "plaintext"),
                     hex(vector, "ciphertext"), vector.at("source"));
  }
}

TEST(AesCbc, WycheproofWithItsPaddingMadeHere) {
  std::size_t run = 0;
  const auto vectors = read_json("tests/vectors/wycheproof/aes_cbc_pkcs5_test.json");
  for (const auto& group : vectors.at("testGroups")) {
    for (const auto& vector : group.at("tests")) {
      if (vector.at("result") != "valid") continue;  // the others are about unpadding, which is not done here
      const Bytes key = hex(vector, "key");
      Bytes plain = hex(vector, "msg");
      const std::size_t padding = 16 - plain.size() % 16;
      plain.insert(plain.end(), padding, static_cast<std::uint8_t>(padding));
      expect_both_ways(aes_of(key.size()), key, hex(vector, "iv"), plain, hex(vector, "ct"),
                       vector.at("tcId").dump());
      ++run;
    }
  }
  EXPECT_EQ(run, 72U);
}

Bytes tdes_key(const oakgate::test::FaxRecord& record) {
  const bool one = record.values.contains("KEYs");
  Bytes key;
  for (const char* name : {"KEY1", "KEY2", "KEY3"}) {
    const Bytes part = record.hex(one ? "KEYs" : name);
    key.insert(key.end(), part.begin(), part.end());
  }
  return key;
}

TEST(TripleDesCbc, NistKnownAnswersAndMultiBlockMessages) {
  std::size_t run = 0;
  for (const char* file : {"MMT1", "MMT2", "MMT3", "invperm", "permop", "subtab", "varkey", "vartext"}) {
    for (const auto& record :
         oakgate::test::parse_fax(read_text(std::string("tests/vectors/tdes/TCBC") + file + ".fax"))) {
      expect_both_ways(IkeCipher::des3, tdes_key(record), record.hex("IV"), record.hex("PLAINTEXT"),
                       record.hex("CIPHERTEXT"), std::string(file) + " " + record.values.at("COUNT"));
      ++run;
    }
  }
  EXPECT_EQ(run, 530U);
}

// NIST's known answers for 3DES use three equal keys, which is single DES.
TEST(DesCbc, NistKnownAnswersWithOneKey) {
  std::size_t run = 0;
  for (const char* file : {"invperm", "permop", "subtab", "varkey", "vartext"}) {
    for (const auto& record :
         oakgate::test::parse_fax(read_text(std::string("tests/vectors/tdes/TCBC") + file + ".fax"))) {
      ASSERT_TRUE(record.values.contains("KEYs"));
      expect_both_ways(IkeCipher::des, record.hex("KEYs"), record.hex("IV"), record.hex("PLAINTEXT"),
                       record.hex("CIPHERTEXT"), std::string(file) + " " + record.values.at("COUNT"));
      ++run;
    }
  }
  EXPECT_EQ(run, 470U);
}

TEST(CamelliaCbc, Rfc3713) {
  const auto vectors = read_json("tests/vectors/rfc/camellia.json");
  EXPECT_EQ(vectors.size(), 3U);
  for (const auto& vector : vectors) {
    const Bytes key = hex(vector, "key");
    const auto cipher = find_ike_cipher(8, static_cast<std::uint16_t>(key.size() * 8));
    ASSERT_TRUE(cipher);
    expect_both_ways(*cipher, key, Bytes(16), hex(vector, "plaintext"), hex(vector, "ciphertext"),
                     vector.at("source"));
  }
}

TEST(DiffieHellman, Rfc5903Rfc5114AndModpPowersWithLeadingZeros) {
  std::size_t run = 0;
  for (const char* file : {"ecp", "modp", "modp-5114"}) {
    for (const auto& vector : read_json("tests/vectors/rfc/" + std::string(file) + ".json")) {
      const auto group = find_dh_group(vector.at("group").get<std::uint32_t>());
      ASSERT_TRUE(group);
      SCOPED_TRACE(std::string(info(*group).name) + ": " + vector.at("source").get<std::string>());
      const auto i = dh_from_private(*group, hex(vector, "private_i"));
      const auto r = dh_from_private(*group, hex(vector, "private_r"));
      ASSERT_TRUE(i) << i.error().text;
      ASSERT_TRUE(r) << r.error().text;
      EXPECT_EQ(to_hex(i->public_value), to_hex(hex(vector, "public_i")));
      EXPECT_EQ(to_hex(r->public_value), to_hex(hex(vector, "public_r")));
      const auto ir = dh_shared(*i, r->public_value);
      const auto ri = dh_shared(*r, i->public_value);
      ASSERT_TRUE(ir) << ir.error().text;
      ASSERT_TRUE(ri) << ri.error().text;
      EXPECT_EQ(to_hex(ir->view()), to_hex(hex(vector, "shared")));
      EXPECT_EQ(*ir, *ri);
      ++run;
    }
  }
  EXPECT_EQ(run, 25U);
}

// Wycheproof's scalars come as signed integers of any length; ours are exactly as long as the field or
// shorter.
Bytes unsigned_scalar(Bytes scalar, std::size_t most) {
  while (scalar.size() > most && scalar.front() == 0) scalar.erase(scalar.begin());
  return scalar;
}

TEST(Ecdh, Wycheproof) {
  struct File {
    const char* name;
    DhGroup group;
  };
  std::size_t valid = 0;
  std::size_t refused = 0;
  for (const File& file :
       {File{"256r1", DhGroup::ecp256}, {"384r1", DhGroup::ecp384}, {"521r1", DhGroup::ecp521}}) {
    const auto vectors =
        read_json("tests/vectors/wycheproof/ecdh_secp" + std::string(file.name) + "_ecpoint_test.json");
    for (const auto& test : vectors.at("testGroups").at(0).at("tests")) {
      SCOPED_TRACE(std::string(file.name) + " " + test.at("tcId").dump());
      const Bytes scalar = unsigned_scalar(hex(test, "private"), info(file.group).secret_bytes);
      const auto ours = dh_from_private(file.group, scalar);
      ASSERT_TRUE(ours) << ours.error().text;
      Bytes peer = hex(test, "public");
      const bool uncompressed = !peer.empty() && peer.front() == 4;
      if (uncompressed) peer.erase(peer.begin());  // KE has no prefix; what is compressed has another length
      const auto secret = dh_shared(*ours, peer);
      if (test.at("result") == "valid") {
        ASSERT_TRUE(secret) << secret.error().text;
        EXPECT_EQ(to_hex(secret->view()), to_hex(hex(test, "shared")));
        ++valid;
      } else {
        ASSERT_FALSE(secret);
        EXPECT_EQ(secret.error().notify, NotifyType::invalid_key_information);
        ++refused;
      }
    }
  }
  EXPECT_EQ(valid, 330U + 771U + 632U);
  EXPECT_EQ(refused, 25U + 19U + 29U);
}

// Curve25519: what RFC 7748 calls the all-zero value is refused, everything else gives the vector's secret.
TEST(X25519, Wycheproof) {
  std::size_t good = 0;
  std::size_t refused = 0;
  const auto vectors = read_json("tests/vectors/wycheproof/x25519_test.json");
  for (const auto& group : vectors.at("testGroups")) {
    for (const auto& test : group.at("tests")) {
      SCOPED_TRACE(test.at("tcId").dump());
      const auto ours = dh_from_private(DhGroup::curve25519, hex(test, "private"));
      ASSERT_TRUE(ours) << ours.error().text;
      const auto secret = dh_shared(*ours, hex(test, "public"));
      if (hex(test, "shared") == Bytes(32)) {
        ASSERT_FALSE(secret);
        EXPECT_EQ(secret.error().notify, NotifyType::invalid_key_information);
        ++refused;
      } else {
        ASSERT_TRUE(secret) << secret.error().text;
        EXPECT_EQ(to_hex(secret->view()), to_hex(hex(test, "shared")));
        ++good;
      }
    }
  }
  EXPECT_EQ(good, 487U);
  EXPECT_EQ(refused, 31U);
}

}  // namespace
}  // namespace oakgate::crypto
