#include "daemon/key_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "daemon/wiring.h"

namespace oakgate {
namespace {

namespace fs = std::filesystem;

std::string pem(const crypto::PrivateKey& key) {
  const auto text = key.to_pem();
  EXPECT_TRUE(text);
  return {text->view().begin(), text->view().end()};
}
// Made once: keys of 2048 bits take their time.
const crypto::PrivateKey& rsa(int bits) {
  static std::map<int, crypto::PrivateKey> keys;
  auto found = keys.find(bits);
  if (found == keys.end()) {
    auto key = crypto::PrivateKey::generate_rsa(bits);
    EXPECT_TRUE(key);
    found = keys.emplace(bits, std::move(*key)).first;
  }
  return found->second;
}
std::string ec() {
  auto key = crypto::PrivateKey::generate_ec(crypto::KeyKind::ec_p256);
  EXPECT_TRUE(key);
  return pem(*key);
}

class KeyFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "oakgate-keys-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }
  // `trust` are further lines at the top, `peer` further keys of the peer (line 10 without `trust`).
  LoadedConfiguration load(const std::string& trust = "", const std::string& peer = "") {
    write("f.yaml",
          trust +
              "keys: {encr: {file: encr.key}}\n"
              "public_keys: {theirs: {file: theirs.pem}}\n"
              "trustpoints: {corp: {ca: ca.pem, certificate: c.pem, key: {file: sig.key}}}\n"
              "isakmp_policies:\n"
              "  10: {encryption: aes-256, hash: sha256, group: 14, authentication: rsa-encr}\n"
              "transform_sets: {strong: [esp-gcm-256]}\n"
              "peers:\n"
              "  b:\n"
              "    address: 192.0.2.2\n"
              "    rsa_encr: {peer_key: theirs, own_key: encr}\n" +
              peer +
              "    tunnels: {lan: {local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong}}\n");
    return load_configuration((folder_ / "f.yaml").string(), {"", geteuid()});
  }
  std::vector<std::string> errors(const std::string& trust = "", const std::string& peer = "") {
    const LoadedConfiguration loaded = load(trust, peer);
    EXPECT_EQ(loaded.outcome.config.has_value(), loaded.outcome.issues.empty());
    if (!loaded.outcome.issues.empty()) {
      EXPECT_TRUE(loaded.keys.private_keys.empty() && loaded.keys.public_keys.empty());
    }
    std::vector<std::string> all;
    for (const conf::Issue& issue : loaded.outcome.issues) {
      std::string line = conf::to_string(issue);
      for (auto at = line.find(folder_.string()); at != std::string::npos; at = line.find(folder_.string())) {
        line.erase(at, folder_.string().size() + 1);
      }
      all.push_back(line);
    }
    return all;
  }
  using Lines = std::vector<std::string>;
  fs::path folder_;
};

TEST_F(KeyFiles, WithoutFilesThereAreNoKeysAndNoError) {
  const LoadedConfiguration loaded = load();
  ASSERT_TRUE(loaded.outcome.config);
  EXPECT_TRUE(loaded.keys.private_keys.empty());
  ReqidTable reqids;
  const auto engine = make_engine_config(*loaded.outcome.config, loaded.keys, reqids);
  ASSERT_TRUE(engine);
  EXPECT_TRUE(engine->peers[0].rsa_encryption->own_spki.empty());
  EXPECT_TRUE(engine->peers[0].rsa_encryption->peer_keys.empty());
}

TEST_F(KeyFiles, EachKeyHasThePurposeItIsUsedFor) {
  write("encr.key", pem(rsa(2048)));
  write("sig.key", ec());
  write("theirs.pem", pem(rsa(2048)), 0644);
  // A private key is no public one.
  EXPECT_EQ(errors().size(), 1U);
  const std::string hex = to_hex(rsa(2048).public_key());
  write("theirs.pem", "", 0644);
  const LoadedConfiguration loaded = [&] {
    fs::remove(folder_ / "theirs.pem");
    return load();
  }();
  ASSERT_TRUE(loaded.outcome.config);
  EXPECT_EQ(loaded.keys.private_keys.at("encr").usage, KeyUsage::encryption);
  EXPECT_EQ(loaded.keys.private_keys.at("corp").usage, KeyUsage::signature);
  ReqidTable reqids;
  LoadedKeys keys;
  keys.public_keys.emplace("theirs", rsa(2048).public_key());
  const auto engine = make_engine_config(*loaded.outcome.config, keys, reqids);
  ASSERT_TRUE(engine);
  const ike::RsaEncryption& made = *engine->peers[0].rsa_encryption;
  EXPECT_EQ(made.own_key, "encr");
  EXPECT_EQ(made.peer_keys, (std::vector<ike::PublicKey>{{"theirs", rsa(2048).public_key()}}));
}

TEST_F(KeyFiles, BrokenFilesAreErrorsWithoutTheirContent) {
  write("encr.key", "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n");
  write("sig.key", "s3cret");
  write("theirs.pem", "neither", 0644);
  const Lines lines = errors();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_TRUE(lines[0].starts_with("f.yaml:1:8: keys.encr: encr.key: ")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("f.yaml:2:15: public_keys.theirs: ")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with("f.yaml:3:15: trustpoints.corp.key: sig.key: ")) << lines[2];
  for (const std::string& line : lines) {
    EXPECT_EQ(line.find("s3cret"), std::string::npos);
    EXPECT_EQ(line.find("czNjcmV0"), std::string::npos);
  }
}

TEST_F(KeyFiles, WeakKeysNeedAWaiver) {
  write("encr.key", pem(rsa(1024)));
  write("sig.key", pem(rsa(512)));
  EXPECT_EQ(
      errors(),
      (Lines{
          "f.yaml:3:15: trustpoints.corp: its key corp has 512 bits, which needs `rsa-512`, and there is no "
          "waiver for it; expected `allow_weak: {algorithms: [rsa-512]}` in this trustpoint, or a longer key",
          "f.yaml:10:5: peers.b.rsa_encr: a key of it, ours or the peer's, needs `rsa-1024`, and the peer "
          "has no waiver for it; expected `rsa-1024` in the peer's allow_weak, or longer keys"}));
  fs::remove(folder_ / "sig.key");
  const LoadedConfiguration loaded =
      load("", "    allow_weak: {algorithms: [rsa-1024], until: 2027-06-30}\n");
  ASSERT_TRUE(loaded.outcome.config);
  ReqidTable reqids;
  const auto engine = make_engine_config(*loaded.outcome.config, loaded.keys, reqids);
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->peers[0].needs_waiver, std::vector{Weak::rsa_1024});
  EXPECT_EQ(engine->peers[0].rsa_encryption->own_spki, rsa(1024).public_key());
}

TEST_F(KeyFiles, OneKeyInTwoFilesIsOneKey) {
  write("encr.key", pem(rsa(2048)));
  write("sig.key", pem(rsa(2048)));
  EXPECT_EQ(errors(),
            (Lines{"f.yaml:1:8: keys.encr: holds the same key as trustpoints.corp.key, which signs, and "
                   "this one decrypts; expected a key for each: one key never does both"}));
}

TEST_F(KeyFiles, OnlyRsaKeysDecrypt) {
  write("encr.key", ec());
  EXPECT_EQ(errors(),
            (Lines{"f.yaml:10:5: peers.b.rsa_encr.own_key: encr is not an RSA key; expected an RSA key: "
                   "nothing else decrypts"}));
}

}  // namespace
}  // namespace oakgate
