// Wireshark's tables: what we write it reads (tests/net/look.sh asks tshark), and we read what it writes.
#include "daemon/capture/wireshark_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.h"

namespace oakgate::capture {
namespace {

std::string text_of(const SecretBytes& secret) {
  return {static_cast<const char*>(static_cast<const void*>(secret.view().data())), secret.size()};
}

SecretBytes key_of(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i + 1);
  return SecretBytes(std::move(bytes));
}

EspKeys esp_keys(EspCipher cipher, std::optional<Integrity> integrity) {
  EspKeys keys{IpAddress::parse("192.0.2.1"),
               IpAddress::parse("192.0.2.2"),
               Spi{0xc0ffee},
               cipher,
               integrity,
               0,
               {},
               {}};
  keys.encryption_key = key_of(std::size_t{info(cipher).key_bytes} + info(cipher).salt_bytes);
  if (integrity) keys.integrity_key = key_of(info(*integrity).key_bytes);
  return keys;
}

TEST(Tables, AnEspRowAsWiresharkHasIt) {
  const auto line = esp_line(esp_keys(EspCipher::aes_128, Integrity::sha));
  ASSERT_TRUE(line);
  EXPECT_EQ(text_of(*line),
            "\"IPv4\",\"192.0.2.1\",\"192.0.2.2\",\"0x00c0ffee\",\"AES-CBC [RFC3602]\","
            "\"0x0102030405060708090a0b0c0d0e0f10\",\"HMAC-SHA-1-96 [RFC2404]\","
            "\"0x0102030405060708090a0b0c0d0e0f1011121314\"\n");
}

TEST(Tables, EveryCipherThatHasANameComesBack) {
  int named = 0;
  for (const EspCipherInfo& row : esp_ciphers()) {
    const std::optional<Integrity> integrity = row.aead() ? std::nullopt : std::optional(Integrity::sha256);
    const auto line = esp_line(esp_keys(row.id, integrity));
    if (!line) continue;
    ++named;
    KeyTables tables;
    ASSERT_TRUE(read_table(text_of(*line), "esp_sa", tables)) << row.name;
    ASSERT_EQ(tables.esp.size(), 1U);
    EXPECT_EQ(tables.esp[0].cipher, row.id) << row.name;
    EXPECT_EQ(tables.esp[0].integrity, integrity);
    EXPECT_EQ(tables.esp[0].encryption_key, esp_keys(row.id, integrity).encryption_key);
    EXPECT_EQ(tables.esp[0].spi, Spi{0xc0ffee});
    EXPECT_EQ(tables.esp[0].destination, IpAddress::parse("192.0.2.2"));
  }
  EXPECT_EQ(named, 18) << "null, des, 3des, and three of AES-CBC, CTR, GCM, GCM-12, GCM-8";
}

TEST(Tables, WhatWiresharkCannotCheckItSkips) {
  EXPECT_THAT(text_of(*esp_line(esp_keys(EspCipher::aes_128, Integrity::aes_xcbc))),
              testing::HasSubstr("ANY 96 bit authentication [no checking]"));
  EXPECT_THAT(text_of(*esp_line(esp_keys(EspCipher::aes_128, std::nullopt))),
              testing::EndsWith("\"NULL\",\"0x\"\n"))
      << "AH over it";
  EXPECT_FALSE(esp_line(esp_keys(EspCipher::camellia_128, Integrity::sha)));
}

TEST(Tables, AnIsakmpRowAndWhatPhase1EndedWith) {
  ike::DecryptionKey key;
  key.cookies = {{1, 2, 3, 4, 5, 6, 7, 8}, {9, 9, 9, 9, 9, 9, 9, 9}};
  key.cipher = IkeCipher::aes_128;
  key.hash = IkeHash::sha256;
  key.key = key_of(16);
  EXPECT_EQ(text_of(ike_lines(key)), "0102030405060708,0102030405060708090a0b0c0d0e0f10\n");
  key.last_phase1_block = Bytes(16, 0xaa);
  KeyTables tables;
  ASSERT_TRUE(read_table(text_of(ike_lines(key)), "ikev1_decryption_table", tables));
  ASSERT_EQ(tables.ike.size(), 1U);
  EXPECT_EQ(tables.ike[0].initiator, key.cookies.initiator);
  EXPECT_EQ(tables.ike[0].key, key.key);
  ASSERT_EQ(tables.ended.size(), 1U);
  EXPECT_EQ(tables.ended[0].cookies, key.cookies);
  EXPECT_EQ(tables.ended[0].cipher, key.cipher);
  EXPECT_EQ(tables.ended[0].hash, key.hash);
  EXPECT_EQ(tables.ended[0].last_block, key.last_phase1_block);
}

TEST(Tables, ThoseOfWiresharksOwnTestsAreRead) {
  KeyTables tables;
  for (const char* name : {"ikev1_decryption_table.tmpl", "esp_sa.tmpl"}) {
    const auto read =
        read_table(oakgate::test::read_text(std::string("tests/vectors/captures/") + name), name, tables);
    EXPECT_TRUE(read) << read.error().text;
  }
  EXPECT_EQ(tables.ike.size(), 3U);
  EXPECT_EQ(tables.esp.size(), 2U);
}

struct Bad {
  std::string text;
  std::string expected;
};
class BadTable : public testing::TestWithParam<Bad> {};
TEST_P(BadTable, NamesTheLineAndNoKey) {
  KeyTables tables;
  const auto read = read_table("# a comment\n\n" + GetParam().text + "\n", "esp_sa", tables);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().text, testing::StartsWith("esp_sa:3: "));
  EXPECT_THAT(read.error().expected, testing::HasSubstr(GetParam().expected));
  EXPECT_THAT(read.error().text + read.error().expected, testing::Not(testing::HasSubstr("5ec2e7")));
}
const std::string kRow = "\"IPv4\",\"10.0.0.1\",\"10.0.0.2\",\"0x1\",";
INSTANTIATE_TEST_SUITE_P(
    All, BadTable,
    testing::Values(Bad{"5ec2e7", "COOKIE,KEY"}, Bad{"0102,5ec2e7", "the initiator's cookie"},
                    Bad{"0102030405060708,5ec2e7zz", "a key of 1 to 64 bytes"},
                    Bad{"0102030405060708,", "a key"}, Bad{"\"IPv5\",a,b,c,d,0x5ec2e7,e,0x", "IPv4 or IPv6"},
                    Bad{"\"IPv4\",\"10.0.0.300\",b,c,d,0x5ec2e7,e,0x", "an address"},
                    Bad{"\"IPv4\",\"*\",\"*\",12,d,0x5ec2e7,e,0x", "an SPI"},
                    Bad{kRow + "\"ROT13\",\"0x5ec2e7\",\"NULL\",\"0x\"", "an encryption algorithm"},
                    Bad{kRow + "\"AES-CBC [RFC3602]\",\"0x5ec2e7\",\"NULL\",\"0x\"", "key as long"},
                    Bad{kRow + "\"NULL\",\"\",\"HMAC-SHA-1-96 [RFC2404]\",\"0x5ec2e7\"",
                        "authentication key as long"},
                    Bad{kRow + "\"NULL\",\"\",\"CRC-5ec2e7\",\"0x\"", "an authentication algorithm"},
                    Bad{"# phase 1 ended: 01 02 rot13 md4 5ec2e7", "COOKIE-I COOKIE-R"},
                    Bad{std::string(3000, 'x'), "at most 2048"}));

}  // namespace
}  // namespace oakgate::capture
