// `oakgate pki`: the files it makes, what it prints, and what it never prints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pkcs12.h>
#include <sys/stat.h>

#include "daemon/control_protocol.h"
#include "daemon/loop.h"
#include "ike/crypto/private_key.h"
#include "pki/certificate.h"
#include "tests/daemon/cli/fake_daemon.h"
#include "tests/daemon/cli/programs.h"
#include "tests/pki/support/ca.h"

namespace oakgate {
namespace {

namespace fs = std::filesystem;
using test::Ran;
using testing::HasSubstr;
using testing::Not;

test::CertificateRequest today(EVP_PKEY* key = nullptr) {
  test::CertificateRequest request;
  request.not_before = read_clocks().wall - test::kDay;
  request.not_after = read_clocks().wall + 30 * test::kDay;
  request.key = key;
  return request;
}

class Pki : public testing::Test {
 protected:
  void SetUp() override {
    configure("");
    ca_ = std::make_unique<test::TestCa>("CN=Root,O=test", nullptr, today());
  }
  // `more` are keys of the trustpoint.
  void configure(const std::string& more) {
    folder_.write("o.yaml",
                  "gateway: {state_dir: state, control_socket: control.sock}\n"
                  "isakmp_policies:\n"
                  "  10: {encryption: aes-256, hash: sha256, group: 14, authentication: rsa-sig}\n"
                  "  20: {encryption: aes-256, hash: sha256, group: 14, authentication: rsa-encr}\n"
                  "transform_sets: {s: [esp-gcm-256]}\n"
                  "keys: {encr: {file: encr.key, usage: encryption}}\n"
                  "public_keys: {p: {file: p.pem}}\n"
                  "trustpoints: {corp: {ca: ca.pem, certificate: c.pem, key: {file: c.key}" +
                      more +
                      "}}\n"
                      "peers:\n"
                      "  b: {address: 192.0.2.2, trustpoint: corp, rsa_encr: {peer_key: p, own_key: encr}, "
                      "tunnels: {l: "
                      "{local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: s}}}\n");
  }
  Ran oakgate(const std::string& verb) { return test::run_oakgate(verb + " --config " + file("o.yaml")); }
  Json json(const std::string& verb) {
    const Ran ran = oakgate(verb + " --json");
    EXPECT_EQ(ran.exit, 0) << ran.out;
    EXPECT_EQ(ran.err, "");
    return Json::parse(ran.out, nullptr, false);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (folder_.path() / name).string(); }
  [[nodiscard]] bool there(const std::string& name) const { return fs::exists(folder_.path() / name); }
  [[nodiscard]] std::string text(const std::string& name) const { return test::read_text(file(name)); }
  crypto::PrivateKey key(const std::string& name) {
    const std::string content = text(name);
    auto parsed = crypto::PrivateKey::parse(SecretBytes(as_bytes(content)));
    EXPECT_TRUE(parsed);
    return std::move(*parsed);
  }
  // No line of a PEM file may be in what was printed.
  void expect_secret(const Ran& ran, const std::string& pem) {
    std::size_t begin = 0;
    while (begin < pem.size()) {
      const std::size_t end = std::min(pem.find('\n', begin), pem.size());
      const std::string line = pem.substr(begin, end - begin);
      if (line.size() > 20 && !line.starts_with("--")) {
        EXPECT_THAT(ran.out + ran.err, Not(HasSubstr(line)));
      }
      begin = end + 1;
    }
  }
  Bytes leaf(EVP_PKEY* own) {
    test::CertificateRequest request = today(own);
    request.subject = "CN=gw-a,O=test";
    request.extensions = {{"subjectAltName", "DNS:gw-a.example.net"}, {"keyUsage", "digitalSignature"}};
    return ca_->issue(std::move(request));
  }

  test::Folder folder_;
  std::unique_ptr<test::TestCa> ca_;
};

TEST_F(Pki, GeneratesAKeyForItsOwnerAlone) {
  const Ran ran = oakgate("pki generate-key encr");
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("The name for the keys will be: encr\n% Generating 2048 bit RSA keys ..."));
  EXPECT_THAT(ran.out, HasSubstr("[OK]\n"));
  struct stat status {};
  ASSERT_EQ(::stat(file("encr.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(key("encr.key").info().bits, 2048);
  expect_secret(ran, text("encr.key"));
  expect_secret(oakgate("pki show keys --json"), text("encr.key"));
  expect_secret(oakgate("pki show keys"), text("encr.key"));
}

TEST_F(Pki, AKeyIsNotOverwrittenUnasked) {
  ASSERT_EQ(oakgate("pki generate-key corp --type ec").exit, 0);
  const std::string before = text("c.key");
  folder_.write("c.pem", "the old key's certificate");
  const Ran again = oakgate("pki generate-key corp --type ec");
  EXPECT_EQ(again.exit, 1);
  EXPECT_THAT(again.err, HasSubstr("--force"));
  EXPECT_EQ(text("c.key"), before);
  EXPECT_TRUE(there("c.pem"));
  // The certificate would be none of the new key's.
  EXPECT_EQ(oakgate("pki generate-key corp --type ec --force").exit, 0);
  EXPECT_NE(text("c.key"), before);
  EXPECT_FALSE(there("c.pem"));
  EXPECT_TRUE(there("c.pem.old"));
}

TEST_F(Pki, ShortAndWrongKeysAreRefused) {
  const Ran shorter = oakgate("pki generate-key corp --bits 1024");
  EXPECT_EQ(shorter.exit, 1);
  EXPECT_THAT(shorter.err, HasSubstr("1024 bits need the waiver `rsa-1024`, which trustpoints.corp lacks"));
  EXPECT_THAT(oakgate("pki generate-key encr --bits 1024").err, HasSubstr("which peers.b lacks"));
  EXPECT_EQ(oakgate("pki generate-key encr --bits 511").exit, 2);
  EXPECT_EQ(oakgate("pki generate-key encr --type ec").exit, 1);
  EXPECT_EQ(oakgate("pki generate-key corp --type ec --bits 2048").exit, 2);
  EXPECT_EQ(oakgate("pki generate-key encr --usage signature").exit, 4);
  EXPECT_EQ(oakgate("pki generate-key nobody").exit, 5);
  EXPECT_FALSE(there("c.key") || there("encr.key"));
  configure(", allow_weak: {algorithms: [rsa-512]}");
  EXPECT_EQ(json("pki generate-key corp --bits 512")["bits"], 512);
}

TEST_F(Pki, ShowsAPublicKeyReadyToPaste) {
  EXPECT_EQ(oakgate("pki show key encr").exit, 1);  // not there yet
  ASSERT_EQ(oakgate("pki generate-key encr").exit, 0);
  const Ran ran = oakgate("pki show key encr");
  EXPECT_EQ(ran.exit, 0);
  EXPECT_THAT(ran.out,
              HasSubstr("Key name: encr\n Usage: Encryption Key\n Key Data:\n  30820122 300D0609 2A864886"));
  EXPECT_EQ(oakgate("show crypto key mypubkey rsa").out.substr(0, ran.out.size()), ran.out);
  // What is printed can be read back as somebody's `key_string`.
  const std::string hex = ran.out.substr(ran.out.find("Key Data:\n") + 10);
  std::string digits;
  for (const char c : hex) digits += c == '\n' ? ' ' : c;
  EXPECT_EQ(from_hex(digits), key("encr.key").public_key());
  EXPECT_EQ(json("pki show key encr")["keys"][0]["public_key"], to_hex(key("encr.key").public_key()));
  EXPECT_EQ(json("pki show keys")["keys"][1]["status"], "not generated");
}

TEST_F(Pki, ZeroizeAsksAndLeavesNothing) {
  ASSERT_EQ(oakgate("pki generate-key encr").exit, 0);
  // A second name of the same blocks shows that they were overwritten.
  fs::create_hard_link(folder_.path() / "encr.key", folder_.path() / "other");
  const std::string before = text("encr.key");
  EXPECT_EQ(oakgate("pki zeroize encr").exit, 2);  // nobody can be asked here
  EXPECT_EQ(text("encr.key"), before);
  EXPECT_EQ(oakgate("pki zeroize encr --yes").exit, 0);
  EXPECT_FALSE(there("encr.key"));
  EXPECT_EQ(text("other").size(), before.size());
  EXPECT_THAT(text("other"), Not(HasSubstr("PRIVATE")));
  EXPECT_EQ(oakgate("pki zeroize encr --yes").exit, 5);
}

TEST_F(Pki, ImportsWhatBelongsToATrustpointsKey) {
  EVP_PKEY* own = test::rsa_key(7);
  folder_.write("c.key", test::private_key_pem(own));
  fs::permissions(folder_.path() / "c.key", fs::perms::owner_read | fs::perms::owner_write);
  folder_.write("root.pem", test::certificate_pem(ca_->certificate()));
  folder_.write("leaf.der", leaf(own));
  EXPECT_EQ(json("pki import corp " + file("root.pem"))["written"][0]["what"], "CA certificates");
  EXPECT_EQ(json("pki import corp " + file("leaf.der"))["written"][0]["what"], "certificate");
  EXPECT_EQ(text("ca.pem"), text("root.pem"));
  const Json shown = json("pki show certificates");
  ASSERT_EQ(shown["certificates"].size(), 2U);
  EXPECT_EQ(shown["certificates"][0]["subject"], "CN=gw-a,O=test");
  EXPECT_EQ(shown["certificates"][0]["usage"], "signature");
  EXPECT_EQ(shown["certificates"][0]["names"][0], "gw-a.example.net");
  EXPECT_TRUE(shown["problems"].empty());
  const Ran ios = oakgate("show crypto ca certificates");
  EXPECT_THAT(ios.out, HasSubstr("Certificate\n  Status: Available\n  Certificate Serial Number: "));
  EXPECT_THAT(ios.out, HasSubstr("  Subject:\n    Name: gw-a.example.net\n    CN = gw-a\n    O = test\n"));
  EXPECT_THAT(ios.out, HasSubstr("  Associated Identity: corp\n"));
  EXPECT_EQ(json("pki show trustpoints")["trustpoints"][0]["own_status"], "Available");
  // The CA's file is there now.
  EXPECT_EQ(oakgate("pki import corp " + file("root.pem")).exit, 1);
}

TEST_F(Pki, ImportsPkcs12WithItsPassphrase) {
  EVP_PKEY* own = test::rsa_key(8);
  const pki::Certificate certificate = pki::Certificate::parse(leaf(own)).value();
  const pki::Certificate root = pki::Certificate::parse(ca_->certificate()).value();
  STACK_OF(X509)* others = sk_X509_new_null();
  sk_X509_push(others, root.native());
  PKCS12* sealed = PKCS12_create("s3cret", "n", own, certificate.native(), others, 0, 0, 0, 0, 0);
  ASSERT_NE(sealed, nullptr);
  folder_.write("x.p12", pki::encode(sealed, i2d_PKCS12));
  PKCS12_free(sealed);
  sk_X509_free(others);
  folder_.write("password", "s3cret\n");
  const Ran without = oakgate("pki import corp " + file("x.p12"));
  EXPECT_EQ(without.exit, 4);
  EXPECT_FALSE(there("c.key"));
  const Ran ran = oakgate("pki import corp " + file("x.p12") + " --password-file " + file("password"));
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out + ran.err, Not(HasSubstr("s3cret")));
  expect_secret(ran, text("c.key"));
  struct stat status {};
  ASSERT_EQ(::stat(file("c.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(key("c.key").public_key(), test::public_key_der(own));
  EXPECT_EQ(text("c.pem"), certificate.to_pem());
  EXPECT_EQ(text("ca.pem"), root.to_pem());
  EXPECT_EQ(test::run_oakgate("check " + file("o.yaml")).exit, 0);
}

TEST_F(Pki, WhatIsNobodysIsNotImported) {
  folder_.write("leaf.pem", test::certificate_pem(leaf(test::rsa_key(9))));
  folder_.write("noise", "no certificate at all");
  const Ran stranger = oakgate("pki import corp " + file("leaf.pem"));
  EXPECT_EQ(stranger.exit, 1);
  EXPECT_THAT(stranger.err, HasSubstr("holds no certificate of a key of trustpoint corp"));
  EXPECT_NE(oakgate("pki import corp " + file("noise")).exit, 0);
  EXPECT_EQ(oakgate("pki import corp " + file("nothing")).exit, 5);
  EXPECT_EQ(oakgate("pki import crop " + file("noise")).exit, 5);
  EXPECT_FALSE(there("ca.pem") || there("c.pem") || there("c.key"));
}

TEST_F(Pki, ShowsRevocationLists) {
  configure(", crl: {files: list.crl}");
  folder_.write("ca.pem", test::certificate_pem(ca_->certificate()));
  test::CrlRequest request;
  request.this_update = read_clocks().wall - test::kDay;
  request.next_update = read_clocks().wall + test::kDay;
  request.revoked = {{5, read_clocks().wall - test::kDay, -1}};
  folder_.write("list.crl", ca_->crl(request));
  const Json shown = json("pki show crls");
  ASSERT_EQ(shown["crls"].size(), 1U) << shown.dump();
  EXPECT_EQ(shown["crls"][0]["issuer"], "CN=Root,O=test");
  EXPECT_EQ(shown["crls"][0]["entries"], 1);
  EXPECT_EQ(shown["crls"][0]["status"], "Available");
  EXPECT_THAT(oakgate("show crypto ca crls").out,
              HasSubstr("CRL Issuer Name:\n    CN = Root\n    O = test\n    LastUpdate: "));
}

TEST_F(Pki, ARunningDaemonIsTold) {
  test::FakeDaemon daemon("{\"id\":1,\"ok\":true,\"result\":{\"version\":1}}\n");
  const Json told = json("pki generate-key corp --type ec --socket " + daemon.path());
  EXPECT_EQ(told["daemon"], "told");
  EXPECT_EQ(daemon.request(), "{\"id\":1,\"version\":1,\"verb\":\"pki refresh\"}\n");
  EXPECT_EQ(json("pki zeroize corp --yes")["daemon"], "not running");
}

TEST_F(Pki, ABadConfigurationEndsWith4) {
  folder_.write("o.yaml", "keys: {k: {}}\n");
  const Ran ran = oakgate("pki show keys --json");
  EXPECT_EQ(ran.exit, 4);
  EXPECT_EQ(Json::parse(ran.out)["error"]["issues"][0]["key_path"], "keys.k");
  EXPECT_EQ(test::run_oakgate("pki show keys --config /nonexistent/o.yaml").exit, 4);
}

// A file that is no key is named, and nothing of it repeated.
TEST_F(Pki, BrokenKeysAreNotRepeated) {
  folder_.write("encr.key",
                "-----BEGIN PRIVATE KEY-----\nczNjcmV0czNjcmV0czNjcmV0\n-----END PRIVATE KEY-----\n");
  const Ran ran = oakgate("pki show key encr");
  EXPECT_EQ(ran.exit, 4);
  EXPECT_THAT(ran.err, HasSubstr("encr.key"));
  EXPECT_THAT(ran.err, Not(HasSubstr("czNjcmV0")));
}

}  // namespace
}  // namespace oakgate
