// NIST's vectors of the SKEYID family (RFC 2409 section 5): every case of the response files, and those of
// ACVP whose hash is in our table. g^xy stands there in whole bytes.
#include <gtest/gtest.h>

#include <algorithm>

#include "ike/crypto/keys.h"
#include "ike/crypto/prf.h"
#include "tests/support/fax.h"
#include "tests/support/json.h"

namespace oakgate::crypto {
namespace {

enum class Method { pre_shared_key, signature, encryption };

struct Case {
  std::string name;
  IkeHash hash{};
  Method method{};
  Bytes psk, ni, nr, g_xy, cky_i, cky_r, skeyid, skeyid_d, skeyid_a, skeyid_e;
};

CookiePair cookies_of(const Case& c) {
  CookiePair cookies;
  std::copy(c.cky_i.begin(), c.cky_i.end(), cookies.initiator.begin());
  std::copy(c.cky_r.begin(), c.cky_r.end(), cookies.responder.begin());
  return cookies;
}

Result<SecretBytes> skeyid_of(const Case& c, const SecretBytes& g_xy) {
  switch (c.method) {
    case Method::pre_shared_key:
      return prf(c.hash, c.psk, {c.ni, c.nr});
    case Method::signature:
      return skeyid_for_signatures(c.hash, c.ni, c.nr, g_xy);
    case Method::encryption:
      return skeyid_for_encryption(c.hash, SkeyidForm::rfc, c.ni, c.nr, cookies_of(c));
  }
  return fail(ErrorCode::internal, "no such method");
}

void expect_derived(const Case& c) {
  SCOPED_TRACE(c.name);
  ASSERT_EQ(c.cky_i.size(), 8U);
  ASSERT_EQ(c.cky_r.size(), 8U);
  const SecretBytes g_xy(c.g_xy);
  auto skeyid = skeyid_of(c, g_xy);
  ASSERT_TRUE(skeyid);
  ASSERT_EQ(to_hex(skeyid->view()), to_hex(c.skeyid));
  const auto keys = derive_phase1_keys(c.hash, IkeCipher::aes_128, std::move(*skeyid), g_xy, cookies_of(c));
  ASSERT_TRUE(keys);
  EXPECT_EQ(to_hex(keys->skeyid.view()), to_hex(c.skeyid));
  EXPECT_EQ(to_hex(keys->skeyid_d.view()), to_hex(c.skeyid_d));
  EXPECT_EQ(to_hex(keys->skeyid_a.view()), to_hex(c.skeyid_a));
  EXPECT_EQ(to_hex(keys->skeyid_e.view()), to_hex(c.skeyid_e));
}

IkeHash hash_of(const oakgate::test::FaxRecord& record) {
  if (record.under("SHA-1")) return IkeHash::sha;
  if (record.under("SHA-256")) return IkeHash::sha256;
  if (record.under("SHA-384")) return IkeHash::sha384;
  if (record.under("SHA-512")) return IkeHash::sha512;
  throw std::runtime_error("a case under no hash");
}

std::size_t run_fax(const char* file, Method method) {
  std::size_t run = 0;
  for (const auto& r : oakgate::test::parse_fax(oakgate::test::read_text(file))) {
    Case c{std::to_string(run),
           hash_of(r),
           method,
           {},
           r.hex("Ni"),
           r.hex("Nr"),
           r.hex("g^xy"),
           r.hex("CKY_I"),
           r.hex("CKY_R"),
           r.hex("SKEYID"),
           r.hex("SKEYID_d"),
           r.hex("SKEYID_a"),
           r.hex("SKEYID_e")};
    if (method == Method::pre_shared_key) c.psk = r.hex("pre-shared-key");
    expect_derived(c);
    ++run;
  }
  return run;
}

TEST(Skeyid, NistPreSharedKey) {
  EXPECT_EQ(run_fax("tests/vectors/kdf-ikev1/ikev1_psk.fax", Method::pre_shared_key), 1700U);
}

TEST(Skeyid, NistDigitalSignature) {
  EXPECT_EQ(run_fax("tests/vectors/kdf-ikev1/ikev1_dsa.fax", Method::signature), 1700U);
}

TEST(Skeyid, Acvp) {
  std::size_t run = 0;
  std::size_t other_hash = 0;
  std::size_t bit_strings = 0;
  for (const auto& v : oakgate::test::read_json("tests/vectors/kdf-ikev1/acvp_ikev1_unit_cases.json")) {
    const std::string auth = v.at("auth");
    const std::string size = v.at("digestSize");
    const auto hashes = ike_hashes();
    const auto row = std::find_if(hashes.begin(), hashes.end(), [&size](const IkeHashInfo& h) {
      return size == "DigestSizes.d" + std::to_string(h.bytes * 8);
    });
    const Method method = auth == "psk"   ? Method::pre_shared_key
                          : auth == "dsa" ? Method::signature
                                          : Method::encryption;
    if (method == Method::encryption) {
      ASSERT_EQ(auth, "pke");
    }
    if (v.at("name").get<std::string>().find("non-byte-aligned") != std::string::npos) {
      ++bit_strings;  // 521 bits, which no group's g^xy has: RFC 5903 has whole bytes
      continue;
    }
    if (row == hashes.end()) {
      ++other_hash;
      continue;
    }
    using oakgate::test::hex;
    Case c{v.at("name"),
           row->id,
           method,
           {},
           hex(v, "niHex"),
           hex(v, "nrHex"),
           hex(v, "gxyHex"),
           hex(v, "ckyiHex"),
           hex(v, "ckyrHex"),
           hex(v, "sKeyIdHex"),
           hex(v, "sKeyIdDHex"),
           hex(v, "sKeyIdAHex"),
           hex(v, "sKeyIdEHex")};
    if (method == Method::pre_shared_key) c.psk = hex(v, "pskHex");
    expect_derived(c);
    ++run;
  }
  EXPECT_EQ(run, 12U);
  EXPECT_EQ(bit_strings, 3U);
  EXPECT_EQ(other_hash, 3U) << "SHA-224";
}

}  // namespace
}  // namespace oakgate::crypto
