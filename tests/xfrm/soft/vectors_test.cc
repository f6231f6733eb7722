// Published vectors (tests/vectors): RFC 3602's ESP packets, recorded captures with their keys, Wycheproof,
// AES-CTR of RFC 3686, XCBC of RFC 3566.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/xfrm/soft/crypto_backends.h"
#include "xfrm/soft/checksum.h"
#include "xfrm/soft/esp_packet.h"
#include "xfrm/soft/inner_packet.h"

namespace oakgate::soft {
namespace {

using nlohmann::json;

json load(const std::string& name, const std::string& folder = "esp") {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  std::ifstream stream(std::string(root == nullptr ? "." : root) + "/tests/vectors/" + folder + "/" + name);
  return json::parse(stream, nullptr, false);
}

Bytes hex(const json& value) {
  return *from_hex(value.get<std::string>());
}

class ByBackend : public testing::TestWithParam<CryptoBackend> {};
INSTANTIATE_TEST_SUITE_P(Vectors, ByBackend, testing::ValuesIn(crypto_backends()));

Result<BlockCipher> block_cipher(EspCipher cipher, ByteView key, CryptDirection direction,
                                 CryptoBackend backend) {
  return BlockCipher::create(info(cipher), key, direction, backend);
}
EspCipher of_key(EspCipher shortest, std::size_t key) {  // by the order of the enumeration
  return static_cast<EspCipher>(static_cast<std::size_t>(shortest) + (key - 16) / 8);
}

TEST_P(ByBackend, Rfc3602PacketsEncryptAndDecrypt) {
  const json cases = load("rfc3602.json").at("cases");
  ASSERT_EQ(cases.size(), 4U);
  for (const json& item : cases) {
    const Bytes plaintext = hex(item["plaintext"]);
    const Bytes ciphertext = hex(item["ciphertext"]);
    auto decrypt = block_cipher(EspCipher::aes_128, hex(item["key"]), CryptDirection::decrypt, GetParam());
    auto encrypt = block_cipher(EspCipher::aes_128, hex(item["key"]), CryptDirection::encrypt, GetParam());
    ASSERT_TRUE(decrypt && encrypt);
    Bytes data = ciphertext;
    ASSERT_TRUE(decrypt->run(hex(item["iv"]), data));
    EXPECT_EQ(to_hex(data), to_hex(plaintext)) << item["case"];
    const auto trailer = read_trailer(data);
    ASSERT_TRUE(trailer);
    const bool tunnel = item["case"].get<int>() >= 7;
    EXPECT_EQ(trailer->next_header, tunnel ? kProtocolIpv4 : kProtocolIcmp);
    EXPECT_EQ(parse_inner_packet(ByteView(data).first(trailer->inner_size)).has_value(), tunnel);
    // The trailer that we would write is the RFC's.
    Bytes ours(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(trailer->inner_size));
    ours.resize(data.size());
    write_trailer(ours, trailer->inner_size, trailer->next_header);
    ASSERT_TRUE(encrypt->run(hex(item["iv"]), ours));
    EXPECT_EQ(to_hex(ours), to_hex(ciphertext)) << item["case"];
  }
}

// Decrypts by hand where the integrity key is not known; the trailer and the inner packet then tell.
Bytes decrypt_only(const json& capture, const json& key, const Bytes& packet, CryptoBackend backend) {
  const auto cipher = find_esp_cipher(capture["cipher"].get<std::string>());
  const auto integrity = find_integrity(capture["integrity"].get<std::string>());
  const EspLayout layout = EspLayout::of(*cipher, *integrity);
  auto cbc = block_cipher(*cipher, hex(key), CryptDirection::decrypt, backend);
  EXPECT_TRUE(cbc);
  const ByteView body = ByteView(packet).first(packet.size() - layout.icv);
  Bytes payload = to_bytes(body.subspan(layout.prefix()));
  EXPECT_TRUE(cbc->run(body.subspan(kEspHeader, layout.iv), payload));
  const auto trailer = read_trailer(payload);
  EXPECT_TRUE(trailer);
  if (!trailer) return {};
  EXPECT_EQ(trailer->next_header, kProtocolIpv4);
  payload.resize(trailer->inner_size);
  return payload;
}

void expect_ping(const Bytes& inner, const json& capture) {
  const auto parsed = parse_inner_packet(inner);
  ASSERT_TRUE(parsed) << capture["file"];
  EXPECT_EQ(parsed->protocol, kProtocolIcmp);
  EXPECT_EQ(internet_checksum(ByteView(inner).first(parsed->upper_offset)), 0);
  EXPECT_EQ(internet_checksum(ByteView(inner).subspan(parsed->upper_offset)), 0);
}

TEST_P(ByBackend, CapturesWithTheEncryptionKeyAlone) {
  int packets = 0;
  for (const json& capture : load("captures.json")) {
    if (capture.contains("integrity_key")) continue;
    for (const json& packet : capture["packets"]) {
      Bytes inner = decrypt_only(capture, capture["encryption_key"], hex(packet), GetParam());
      if (capture.contains(
              "inner_key")) {  // ESP in ESP: the inner packet is IPv4 with another SA's ESP packet
        inner.erase(inner.begin(), inner.begin() + 20);
        EXPECT_EQ(to_hex(ByteView(inner).first(4)), capture["inner_spi"]);
        inner = decrypt_only(capture, capture["inner_key"], inner, GetParam());
      }
      expect_ping(inner, capture);
      ++packets;
    }
  }
  EXPECT_EQ(packets, 32);
}

TEST_P(ByBackend, CapturesWithBothKeysOpenAndSealAgain) {
  int packets = 0;
  for (const json& capture : load("captures.json")) {
    if (!capture.contains("integrity_key")) continue;
    const SecretBytes encryption_key(hex(capture["encryption_key"]));
    const SecretBytes integrity_key(hex(capture["integrity_key"]));
    auto opener = EspOpener::create(EspCipher::aes_128, Integrity::sha, encryption_key, integrity_key,
                                    Covered::by_itself, GetParam());
    auto sealer = EspSealer::create(EspCipher::aes_128, Integrity::sha, encryption_key, integrity_key,
                                    Covered::by_itself, GetParam());
    ASSERT_TRUE(opener && sealer);
    for (const json& item : capture["packets"]) {
      const Bytes original = hex(item);
      Bytes packet = original;
      const Opened opened = opener->open(packet);
      ASSERT_EQ(opened.verdict, OpenVerdict::ok);
      EXPECT_EQ(opened.next_header, kProtocolIpv4);
      expect_ping(to_bytes(opened.inner), capture);
      const std::size_t inner = opened.inner.size();
      const Bytes iv = to_bytes(ByteView(original).subspan(kEspHeader, 16));
      ASSERT_TRUE(sealer->seal(packet, *read_esp_header(original), iv, inner, kProtocolIpv4));
      EXPECT_EQ(to_hex(packet), to_hex(original));
      ++packets;
    }
  }
  EXPECT_EQ(packets, 6);
}

TEST_P(ByBackend, AesGcm) {
  const json tests = load("aes_gcm.json").at("tests");
  ASSERT_EQ(tests.size(), 197U);
  for (const json& test : tests) {
    const Bytes key = hex(test["key"]);
    const std::string name = "AES-" + std::to_string(key.size() * 8) + "-GCM";
    auto decrypt = GcmCipher::create(name.c_str(), key, CryptDirection::decrypt, GetParam());
    auto encrypt = GcmCipher::create(name.c_str(), key, CryptDirection::encrypt, GetParam());
    ASSERT_TRUE(decrypt && encrypt);
    const bool valid = test["result"] == "valid";
    Bytes data = hex(test["ct"]);
    EXPECT_EQ(decrypt->open(hex(test["iv"]), hex(test["aad"]), data, hex(test["tag"])), valid)
        << test["tcId"];
    if (!valid) continue;
    EXPECT_EQ(data, hex(test["msg"])) << test["tcId"];
    Bytes tag(GcmCipher::kMaxTagBytes);
    EXPECT_TRUE(encrypt->seal(hex(test["iv"]), hex(test["aad"]), data, tag));
    EXPECT_EQ(data, hex(test["ct"])) << test["tcId"];
    EXPECT_EQ(tag, hex(test["tag"])) << test["tcId"];
  }
}

TEST_P(ByBackend, AesCbc) {
  const json tests = load("aes_cbc.json").at("tests");
  ASSERT_EQ(tests.size(), 72U);
  for (const json& test : tests) {
    const Bytes key = hex(test["key"]);
    auto decrypt =
        block_cipher(of_key(EspCipher::aes_128, key.size()), key, CryptDirection::decrypt, GetParam());
    ASSERT_TRUE(decrypt);
    Bytes data = hex(test["ct"]);
    EXPECT_TRUE(decrypt->run(hex(test["iv"]), data));
    const Bytes message = hex(test["msg"]);
    ASSERT_GE(data.size(), message.size());
    data.resize(message.size());  // behind it: PKCS #5 padding
    EXPECT_EQ(data, message) << test["tcId"];
  }
}

TEST(Wycheproof, Hmac) {
  const json tests = load("hmac.json").at("tests");
  ASSERT_EQ(tests.size(), 692U);
  for (const json& test : tests) {
    auto hmac = HmacTag::create(test["digest"].get<std::string>().c_str(), hex(test["key"]));
    ASSERT_TRUE(hmac);
    const Bytes expected = hex(test["tag"]);
    Bytes tag(expected.size());
    for (int again = 0; again < 2; ++again) {  // the second time without keying anew
      ASSERT_TRUE(hmac->compute(hex(test["msg"]), tag));
      EXPECT_EQ(tag == expected, test["result"] == "valid") << test["digest"] << " " << test["tcId"];
    }
  }
}

// GMAC is GCM with everything in the AAD: the tags of Wycheproof's GMAC, whose IVs of 12 bytes are ESP's
// nonces.
TEST_P(ByBackend, AesGmac) {
  int run = 0;
  const json vectors = load("aes_gmac_test.json", "wycheproof");
  for (const json& group : vectors.at("testGroups")) {
    if (group["ivSize"] != 96) continue;
    for (const json& test : group["tests"]) {
      const Bytes key = hex(test["key"]);
      const std::string name = "AES-" + std::to_string(key.size() * 8) + "-GCM";
      auto decrypt = GcmCipher::create(name.c_str(), key, CryptDirection::decrypt, GetParam());
      auto encrypt = GcmCipher::create(name.c_str(), key, CryptDirection::encrypt, GetParam());
      ASSERT_TRUE(decrypt && encrypt);
      const bool valid = test["result"] == "valid";
      EXPECT_EQ(decrypt->open(hex(test["iv"]), hex(test["msg"]), {}, hex(test["tag"])), valid)
          << test["tcId"];
      Bytes tag(GcmCipher::kMaxTagBytes);
      EXPECT_TRUE(encrypt->seal(hex(test["iv"]), hex(test["msg"]), {}, tag));
      EXPECT_EQ(tag == hex(test["tag"]), valid) << test["tcId"];
      ++run;
    }
  }
  EXPECT_EQ(run, 207);
}

TEST_P(ByBackend, Rfc3686AesCtr) {
  const json vectors = load("aes-ctr.json", "rfc");
  ASSERT_EQ(vectors.size(), 9U);
  for (const json& vector : vectors) {
    const Bytes key = hex(vector["key"]);
    auto ctr = block_cipher(of_key(EspCipher::ctr_128, key.size()), key, CryptDirection::encrypt, GetParam());
    ASSERT_TRUE(ctr);
    Bytes nonce = hex(vector["nonce"]);
    const Bytes iv = hex(vector["iv"]);
    nonce.insert(nonce.end(), iv.begin(), iv.end());
    Bytes data = hex(vector["plaintext"]);
    ASSERT_TRUE(ctr->run(nonce, data));
    EXPECT_EQ(to_hex(data), vector["ciphertext"]) << vector["source"];
    ASSERT_TRUE(ctr->run(nonce, data));
    EXPECT_EQ(data, hex(vector["plaintext"])) << vector["source"];
  }
}

// An RFC 3686 vector as a whole ESP packet: where nonce and IV go, and that a peer's packet opens.
TEST_P(ByBackend, Rfc3686AnEspPacketTakesItsNonceFromKeymat) {
  const json vector = load("aes-ctr.json", "rfc").at(1);
  Bytes keymat = hex(vector["key"]);
  const Bytes nonce = hex(vector["nonce"]);
  keymat.insert(keymat.end(), nonce.begin(), nonce.end());
  auto sealer = EspSealer::create(EspCipher::ctr_128, Integrity::sha, SecretBytes(keymat),
                                  SecretBytes(Bytes(20)), Covered::by_itself, GetParam());
  ASSERT_TRUE(sealer);
  // The vector's plaintext 00 01 .. 1f; its first 30 bytes are given, the two behind are padding and header.
  const Bytes plaintext = hex(vector["plaintext"]);
  Bytes packet(sealer->layout().sealed_size(30));
  std::copy_n(plaintext.begin(), 30, packet.begin() + static_cast<std::ptrdiff_t>(sealer->layout().prefix()));
  ASSERT_TRUE(sealer->seal(packet, {Spi{1000}, 1}, hex(vector["iv"]), 30, kProtocolIpv4));
  EXPECT_EQ(to_hex(ByteView(packet).subspan(sealer->layout().prefix(), 30)),
            vector["ciphertext"].get<std::string>().substr(0, 60));
}

TEST_P(ByBackend, Rfc3566AesXcbcMac96) {
  const json vectors = load("xcbc.json", "rfc");
  ASSERT_EQ(vectors.size(), 7U);
  for (const json& vector : vectors) {
    // No packet is empty, and ipsec-mb is asked for none that is.
    if (hex(vector["data"]).empty() && GetParam() != CryptoBackend::openssl) continue;
    auto mac = IntegrityTag::create(Integrity::aes_xcbc, SecretBytes(hex(vector["key"])), GetParam());
    ASSERT_TRUE(mac);
    for (int again = 0; again < 2; ++again) {
      Bytes tag(info(Integrity::aes_xcbc).icv_bytes);
      ASSERT_TRUE(mac->compute(hex(vector["data"]), tag));
      EXPECT_EQ(to_hex(tag), vector["tag"]) << vector["source"];
    }
  }
}

TEST(Rfc2202, HmacMd5) {
  int run = 0;
  for (const json& vector : load("hmac.json", "rfc")) {
    if (vector["hash"] != "md5") continue;
    auto mac = HmacTag::create(info(Integrity::md5).openssl, hex(vector["key"]));
    ASSERT_TRUE(mac);
    Bytes tag(info(Integrity::md5).icv_bytes);
    ASSERT_TRUE(mac->compute(hex(vector["data"]), tag));
    EXPECT_EQ(to_hex(tag), vector["tag"].get<std::string>().substr(0, 24)) << vector["source"];
    ++run;
  }
  EXPECT_EQ(run, 7);
}

// ipsec-mb's tags of keys that fit the hash's block, which those of ESP and AH do: Wycheproof, and RFC 2202
// and 2403 for MD5. All of one hash at once.
struct Known {
  MultiBufferTag mac;
  Bytes message;
  Bytes tag;
  bool valid = true;
};

std::vector<Known> known_tags(TagLane lane, const std::string& digest) {
  std::vector<Known> all;
  const auto add = [&](const json& test, const char* message, bool valid) {
    MultiBufferTag mac = MultiBufferTag::create(lane, hex(test["key"]));
    // No packet is empty, and the library takes none that is.
    if (mac && !hex(test[message]).empty())
      all.push_back({std::move(mac), hex(test[message]), hex(test["tag"]), valid});
  };
  const json wycheproof = load("hmac.json");
  for (const json& test : wycheproof.at("tests")) {
    if (test["digest"] == digest) add(test, "msg", test["result"] == "valid");
  }
  for (const json& vector : load("hmac.json", "rfc")) {
    if (lane == TagLane::md5 && vector["hash"] == "md5") add(vector, "data", true);
  }
  return all;
}

TEST(MultiBufferTags, AreThePublishedOnes) {
  if (!multi_buffer_library().usable) return;  // there is nothing to be told then
  struct Hash {
    TagLane lane;
    const char* digest;
  };
  for (const Hash& hash :
       {Hash{TagLane::md5, "none"}, Hash{TagLane::sha1, "SHA1"}, Hash{TagLane::sha256, "SHA256"},
        Hash{TagLane::sha384, "SHA384"}, Hash{TagLane::sha512, "SHA512"}}) {
    const std::vector<Known> known = known_tags(hash.lane, hash.digest);
    ASSERT_GE(known.size(), hash.lane == TagLane::md5 ? 5U : 80U) << hash.digest;
    std::vector<Bytes> tags(known.size(), Bytes(kMaxTag));
    std::vector<MultiBufferTag::Job> jobs;
    for (std::size_t i = 0; i < known.size(); ++i) {
      jobs.push_back({&known[i].mac, known[i].message, tags[i].data()});
    }
    ASSERT_TRUE(MultiBufferTag::run(jobs));
    for (std::size_t i = 0; i < known.size(); ++i) {
      tags[i].resize(known[i].tag.size());
      EXPECT_EQ(tags[i] == known[i].tag, known[i].valid) << hash.digest << " " << i;
    }
  }
}

}  // namespace
}  // namespace oakgate::soft
