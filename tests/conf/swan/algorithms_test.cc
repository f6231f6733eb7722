#include "conf/swan/algorithms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oakgate::conf::swan {
namespace {

using testing::ElementsAre;

std::vector<std::string> ike(std::string_view text) {
  std::vector<std::string> all;
  for (const IkeProposal& one : read_ike_proposals(text).all) {
    all.push_back(std::string(info(one.cipher).name) + " " + std::string(info(one.hash).name) + " " +
                  (one.group ? std::string(info(*one.group).name) : "-"));
  }
  return all;
}
std::vector<std::string> esp(std::string_view text) {
  std::vector<std::string> all;
  for (const EspProposal& one : read_esp_proposals(text).all)
    all.push_back(to_string(one.set) + (one.group ? " " + std::string(info(*one.group).name) : ""));
  return all;
}

TEST(SwanAlgorithms, IkeOfStrongswan) {
  EXPECT_THAT(ike("aes128-sha1-modp2048!"), ElementsAre("aes-128 sha group14"));
  EXPECT_THAT(ike("aes256-sha512-prfsha512-ecp384"), ElementsAre("aes-256 sha512 group20"));
  EXPECT_THAT(ike("aes128-aes256-sha256-modp1024-modp1536"),
              ElementsAre("aes-128 sha256 group2", "aes-128 sha256 group5", "aes-256 sha256 group2",
                          "aes-256 sha256 group5"));
  EXPECT_THAT(ike("des-md5-modp768, 3des-sha-curve25519"), ElementsAre("des md5 group1", "3des sha group31"));
  EXPECT_THAT(ike("camellia192-sha384-modp2048s256"), ElementsAre("camellia-192 sha384 group24"));
}

TEST(SwanAlgorithms, IkeOfLibreswan) {
  EXPECT_THAT(ike("AES_CBC_256-HMAC"), ElementsAre());
  EXPECT_THAT(ike("aes_cbc256-sha2_256;dh14"), ElementsAre("aes-256 sha256 group14"));
  EXPECT_THAT(ike("aes128+aes256-sha1+sha2_512;modp1536"),
              ElementsAre("aes-128 sha group5", "aes-128 sha512 group5", "aes-256 sha group5",
                          "aes-256 sha512 group5"));
  EXPECT_THAT(ike("3des-md5"), ElementsAre("3des md5 -"));
}

TEST(SwanAlgorithms, Esp) {
  EXPECT_THAT(esp("aes128gcm16,aes256gcm96,aes192gcm64"),
              ElementsAre("esp-gcm-128", "esp-gcm12-256", "esp-gcm8-192"));
  EXPECT_THAT(esp("aes_gcm128,aes_gcm_c_256-null,aes_gcm_a_128"),
              ElementsAre("esp-gcm-128", "esp-gcm-256", "esp-gcm8-128"));
  EXPECT_THAT(esp("aes256gmac"), ElementsAre("esp-gmac-256"));
  EXPECT_THAT(esp("aes128ctr-sha1"), ElementsAre("esp-ctr-128 esp-sha-hmac"));
  EXPECT_THAT(esp("null-sha256"), ElementsAre("esp-null esp-sha256-hmac"));
  EXPECT_THAT(esp("aes256-aesxcbc-modp3072"), ElementsAre("esp-aes-256 esp-aes-xcbc group15"));
  EXPECT_THAT(esp("aes"), ElementsAre("esp-aes-128 esp-sha-hmac"));
  EXPECT_TRUE(read_esp_proposals("aes128-sha256_96-esn").sha256_96);
  EXPECT_TRUE(read_esp_proposals("aes128-sha256_96-esn").esn);
  EXPECT_EQ(to_string(read_ah_proposals("sha1-modp2048").all.at(0).set), "ah-sha-hmac");
}

TEST(SwanAlgorithms, WhatIsNoneOfOursIsNamed) {
  for (const char* text : {"twofish128-sha1-modp2048", "aes128gcm16-prfsha256-modp2048", "aes128-modp2048",
                           "sha1", "-", "aes999-sha1-modp2048", "aes128-sha1-dh3", "aes128-sha1-dh"}) {
    const auto read = read_ike_proposals(text);
    EXPECT_TRUE(read.all.empty()) << text;
    EXPECT_FALSE(read.unknown.empty()) << text;
  }
  EXPECT_FALSE(read_esp_proposals("aes128ccm12").unknown.empty());
  EXPECT_FALSE(read_esp_proposals("chacha20poly1305").unknown.empty());
  EXPECT_FALSE(read_ah_proposals("aes128-sha1").unknown.empty());
  EXPECT_TRUE(read_esp_proposals("").unknown.empty());
}

TEST(SwanAlgorithms, CombinationsHaveABound) {
  std::string many =
      "aes128-aes192-aes256-3des-des-camellia128-md5-sha1-sha256-sha384-sha512-modp1024-modp1536-modp2048-"
      "modp3072";
  const auto read = read_ike_proposals(many);
  EXPECT_EQ(read.all.size(), kMaxProposals);
  EXPECT_THAT(read.unknown, ElementsAre("more than 64 combinations"));
}

}  // namespace
}  // namespace oakgate::conf::swan
