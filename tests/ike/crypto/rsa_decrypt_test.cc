// Opening PKCS#1 type 2 blocks: what is well-formed comes out, and whatever is not yields bytes of the key
// and the block, never an error. Moduli from 512 to 8192 bits, e = 3 and 65537. That the time tells nothing
// either is tests/bench/rsa_timing.cc's to show.
#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include <map>
#include <string>

#include "ike/crypto/pkcs1.h"
#include "ike/crypto/private_key.h"
#include "tests/support/files.h"

namespace oakgate::crypto {
namespace {

PrivateKey load(const std::string& name) {
  auto key = PrivateKey::parse(SecretBytes(test::read_file("tests/vectors/rsa-keys/" + name)));
  EXPECT_TRUE(key) << name << ": " << key.error().text;
  return std::move(*key);
}

// A block of any form, encrypted without looking at it.
Bytes encrypt_raw(const PrivateKey& key, const Bytes& block) {
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
  Bytes out(block.size());
  std::size_t size = out.size();
  EVP_PKEY_encrypt_init(context.get());
  EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING);
  EXPECT_EQ(EVP_PKEY_encrypt(context.get(), out.data(), &size, block.data(), block.size()), 1);
  return out;
}

Bytes padded(const PrivateKey& key, const Bytes& content) {
  Bytes block(key.info().block_bytes, 0x77);
  block[0] = 0;
  block[1] = 2;
  block[block.size() - content.size() - 1] = 0;
  std::copy(content.begin(), content.end(), block.end() - static_cast<std::ptrdiff_t>(content.size()));
  return block;
}

Bytes modulus(const PrivateKey& key) {
  BIGNUM* n = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key.native(), OSSL_PKEY_PARAM_RSA_N, &n), 1);
  const BigNumber owned(n);
  Bytes out(key.info().block_bytes);
  BN_bn2binpad(n, out.data(), static_cast<int>(out.size()));
  return out;
}

// The block is refused, inside and unseen: what comes is as long as it must be, the same each time, and cut
// from the same bytes whatever length is asked for.
void expect_substitute(const PrivateKey& key, const Bytes& block, const std::string& what) {
  const auto first = key.decrypt(block, 8, 48);
  const auto again = key.decrypt(block, 8, 48);
  ASSERT_TRUE(first) << what << ": " << first.error().text;
  ASSERT_TRUE(again) << what;
  EXPECT_GE(first->size(), 8U) << what;
  EXPECT_LE(first->size(), 48U) << what;
  EXPECT_EQ(*first, *again) << what;
  const auto longest = key.decrypt(block, 48, 48);
  ASSERT_TRUE(longest) << what;
  EXPECT_EQ(to_hex(first->view()), to_hex(longest->view().first(first->size()))) << what;
}

void expect_whole_contract(const PrivateKey& key) {
  const std::string size = std::to_string(key.info().bits) + " bits";
  const std::size_t bytes = key.info().block_bytes;
  Bytes nonce(20);
  for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::uint8_t>(0xf0 + i);
  const auto block = rsa_encrypt(key.public_key(), nonce);
  ASSERT_TRUE(block) << size;
  const auto opened = key.decrypt(*block, 8, 256);
  ASSERT_TRUE(opened) << size << ": " << opened.error().text;
  EXPECT_EQ(to_hex(opened->view()), to_hex(nonce)) << size;

  Bytes other_type = padded(key, nonce);
  other_type[1] = 1;
  expect_substitute(key, encrypt_raw(key, other_type), size + ", block type 1");
  for (const std::size_t wrong :
       {std::size_t{0}, std::size_t{1}, bytes - 1, bytes + 1, 2 * bytes, std::size_t{65000}}) {
    expect_substitute(key, Bytes(wrong, 0x42), size + ", length " + std::to_string(wrong));
  }
  Bytes with_zero = *block;
  with_zero.insert(with_zero.begin(), 0);
  expect_substitute(key, with_zero, size + ", a good block behind a zero byte");
  expect_substitute(key, Bytes(bytes, 0), size + ", zero");
  expect_substitute(key, Bytes(bytes, 0xff), size + ", all ones");
  Bytes one(bytes, 0);
  one.back() = 1;
  expect_substitute(key, one, size + ", 1");
  Bytes n = modulus(key);
  expect_substitute(key, n, size + ", n");
  n.back() -= 1;  // n is odd
  expect_substitute(key, n, size + ", n-1");
}

TEST(RsaDecrypt, MadeKeys) {
  for (const int bits : {512, 768, 1024, 1031, 1536, 2048}) {
    const auto key = PrivateKey::generate_rsa(bits);
    ASSERT_TRUE(key) << bits;
    expect_whole_contract(*key);
  }
}

TEST(RsaDecrypt, LongKeys) {
  for (const char* name : {"rsa-3072.pem", "rsa-4096.pem", "rsa-8192.pem"}) expect_whole_contract(load(name));
}

TEST(RsaDecrypt, ExponentThree) {
  const PrivateKey key = load("rsa-1024-e3.pem");
  expect_whole_contract(key);
  const Bytes hash(20, 9);
  EXPECT_TRUE(verify_signature(key.public_key(), AuthMethod::rsa_sig, hash, key.sign(hash).value()));
}

TEST(RsaDecrypt, ValuesOfTheModulusAndMoreAreRefusedThoughTheirRemainderIsGood) {
  // c + n decrypts like c: it must not. A modulus whose first byte is low leaves room for c + n.
  const PrivateKey key = load("rsa-1024-e3.pem");
  const Bytes n = modulus(key);
  const auto plus_n = [&n](Bytes value) {
    unsigned carry = 0;
    for (std::size_t i = value.size(); i-- > 0;) {
      carry += static_cast<unsigned>(value[i]) + n[i];
      value[i] = static_cast<std::uint8_t>(carry);
      carry >>= 8;
    }
    return std::pair(value, carry == 0);
  };
  const Bytes nonce(20, 0x31);
  int tried = 0;
  for (int i = 0; i < 200 && tried < 3; ++i) {
    const Bytes block = rsa_encrypt(key.public_key(), nonce).value();
    const auto [larger, fits] = plus_n(block);
    if (!fits) continue;
    ++tried;
    EXPECT_EQ(to_hex(key.decrypt(block, 8, 48)->view()), to_hex(nonce));
    EXPECT_NE(to_hex(key.decrypt(larger, 8, 48)->view()), to_hex(nonce));
    expect_substitute(key, larger, "c + n");
  }
  EXPECT_GT(tried, 0);
}

// The length counts, not the number alone: one byte of zeros more or less in front of a good block.
TEST(RsaDecrypt, GoodNumbersOfAWrongLengthAreRefused) {
  const auto key = PrivateKey::generate_rsa(512).value();
  const Bytes nonce(20, 0x31);
  Bytes block;
  for (int tries = 0; tries < 20000 && (block.empty() || block[0] != 0); ++tries) {
    block = rsa_encrypt(key.public_key(), nonce).value();
  }
  ASSERT_EQ(block[0], 0);  // one in 256 is so, or more
  EXPECT_EQ(to_hex(key.decrypt(block, 8, 48)->view()), to_hex(nonce));
  Bytes longer = block;
  longer.insert(longer.begin(), 0);
  expect_substitute(key, longer, "a zero byte more");
  EXPECT_NE(to_hex(key.decrypt(longer, 8, 48)->view()), to_hex(nonce));
  const Bytes shorter(block.begin() + 1, block.end());
  expect_substitute(key, shorter, "a zero byte less");
  EXPECT_NE(to_hex(key.decrypt(shorter, 8, 48)->view()), to_hex(nonce));
}

// Every place where the padding can be wrong, by blocks that differ in one byte from a good one.
TEST(RsaDecrypt, EachByteOfThePadding) {
  const auto key = PrivateKey::generate_rsa(512).value();
  const Bytes content(20, 0x61);
  const Bytes good = padded(key, content);
  const std::size_t separator = good.size() - content.size() - 1;
  ASSERT_EQ(to_bytes(key.decrypt(encrypt_raw(key, good), 8, 48)->view()), content);
  const auto content_of = [&key](const Bytes& block) {
    return to_bytes(key.decrypt(encrypt_raw(key, block), 8, 53)->view());
  };
  for (std::size_t i = 2; i < separator; ++i) {
    Bytes block = good;
    block[i] = 0;
    if (i < 10) {
      expect_substitute(key, encrypt_raw(key, block), "zero at " + std::to_string(i));
    } else {
      EXPECT_EQ(content_of(block), Bytes(block.begin() + static_cast<std::ptrdiff_t>(i) + 1, block.end()))
          << i;
    }
  }
  for (int type = 0; type < 256; ++type) {
    Bytes block = good;
    block[1] = static_cast<std::uint8_t>(type);
    if (type == 2) {
      EXPECT_EQ(content_of(block), content);
    } else {
      expect_substitute(key, encrypt_raw(key, block), "type " + std::to_string(type));
    }
  }
  for (int first = 1; first < 0x80; ++first) {  // below the modulus, whose top bit is set
    Bytes block = good;
    block[0] = static_cast<std::uint8_t>(first);
    expect_substitute(key, encrypt_raw(key, block), "first byte " + std::to_string(first));
  }
  Bytes without_separator = good;
  without_separator[separator] = 1;
  std::replace(without_separator.begin() + 2, without_separator.end(), std::uint8_t{0}, std::uint8_t{1});
  expect_substitute(key, encrypt_raw(key, without_separator), "no separator");
  Bytes empty = without_separator;
  empty.back() = 0;
  expect_substitute(key, encrypt_raw(key, empty), "no content");
  EXPECT_EQ(key.decrypt(encrypt_raw(key, empty), 0, 0)->size(), 0U);
}

TEST(RsaDecrypt, EachLengthOfContent) {
  const auto key = PrivateKey::generate_rsa(512).value();
  for (std::size_t size = 0; size <= 53; ++size) {
    Bytes content(size);
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<std::uint8_t>(i);
    const Bytes block = encrypt_raw(key, padded(key, content));
    EXPECT_EQ(to_hex(key.decrypt(block, 0, 53)->view()), to_hex(content)) << size;
    EXPECT_EQ(to_hex(key.decrypt(block, size, size)->view()), to_hex(content)) << size;
    if (size > 0) {
      EXPECT_LT(key.decrypt(block, 0, size - 1)->size(), size) << size;
    }
    if (size < 8 || size > 48) expect_substitute(key, block, "content of " + std::to_string(size));
  }
  // More than the modulus has room for is cut to that; less room than the least that can come is an error.
  EXPECT_TRUE(key.decrypt(Bytes(64), 53, 256));
  EXPECT_EQ(key.decrypt(Bytes(64), 54, 256).error().code, ErrorCode::key_too_small);
}

TEST(RsaDecrypt, SubstitutesVaryInLengthAndDependOnKeyAndBlock) {
  const auto key = PrivateKey::generate_rsa(512).value();
  const auto other = PrivateKey::generate_rsa(512).value();
  std::map<std::size_t, int> lengths;
  for (int i = 0; i < 2000; ++i) {
    Bytes block(64, 0);
    block[62] = static_cast<std::uint8_t>(i >> 8);
    block[63] = static_cast<std::uint8_t>(i);
    ++lengths[key.decrypt(block, 8, 27)->size()];
  }
  // 20 lengths, 100 each on average; a deviation of 5 sigma is 49. (A random key: no more than chance.)
  EXPECT_EQ(lengths.size(), 20U);
  for (const auto& [length, count] : lengths) {
    EXPECT_GT(count, 45) << length;
    EXPECT_LT(count, 155) << length;
  }
  Bytes block(64, 1);
  const auto first = key.decrypt(block, 32, 32);
  EXPECT_FALSE(*first == *other.decrypt(block, 32, 32));
  // The same after a restart.
  const auto reloaded = PrivateKey::parse(*key.to_pem());
  ASSERT_TRUE(reloaded);
  EXPECT_EQ(*first, *reloaded->decrypt(block, 32, 32));
  block[63] ^= 1;
  EXPECT_FALSE(*first == *key.decrypt(block, 32, 32));
}

TEST(RsaDecrypt, MasksCompareLikeNumbers) {
  const auto below = [](const Bytes& a, const Bytes& b) { return mask_if_below(a, b); };
  EXPECT_EQ(below({0, 0}, {0, 1}), ~0U);
  EXPECT_EQ(below({0, 1}, {0, 1}), 0U);
  EXPECT_EQ(below({1, 0}, {0, 255}), 0U);
  EXPECT_EQ(below({0, 255}, {1, 0}), ~0U);
  EXPECT_EQ(below({255, 255}, {255, 254}), 0U);
  EXPECT_EQ(below({255, 254}, {255, 255}), ~0U);
  EXPECT_EQ(below({5, 0, 9}, {5, 0, 10}), ~0U);
}

}  // namespace
}  // namespace oakgate::crypto
