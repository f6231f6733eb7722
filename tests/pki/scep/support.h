// What the tests of pki/scep/ share: keys as PrivateKey, parsed certificates, a seeded generator.
#pragma once

#include <gtest/gtest.h>

#include "ike/base/rng.h"
#include "pki/scep/client.h"
#include "tests/pki/support/ca.h"
#include "tests/pki/support/scep_server.h"

namespace oakgate::test {

class CountingRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 1;
};

inline const crypto::PrivateKey& private_key(int number) {
  static std::map<int, crypto::PrivateKey> keys;
  const auto known = keys.find(number);
  if (known != keys.end()) return known->second;
  auto parsed = crypto::PrivateKey::parse(SecretBytes(private_key_pem(rsa_key(number))));
  if (!parsed) throw std::runtime_error(parsed.error().text);
  return keys.emplace(number, std::move(*parsed)).first->second;
}

inline pki::Certificate certificate(const Bytes& der) {
  auto parsed = pki::Certificate::parse(der);
  if (!parsed) throw std::runtime_error(parsed.error().text);
  return std::move(*parsed);
}

inline WeakWaiver waive(std::vector<Weak> algorithms) {
  return WeakWaiver{std::move(algorithms), std::nullopt, "old authority"};
}

}  // namespace oakgate::test
