#include "pki/scep/algorithms.h"

#include <openssl/objects.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "ike/crypto/openssl.h"

namespace oakgate::pki::scep {

namespace {

struct CapabilityRow {
  std::string_view word;  // lower case
  bool Capabilities::*flag;
};
constexpr std::array kCapabilities{
    CapabilityRow{"aes", &Capabilities::aes},
    CapabilityRow{"des3", &Capabilities::des3},
    CapabilityRow{"postpkioperation", &Capabilities::post},
    CapabilityRow{"renewal", &Capabilities::renewal},
    CapabilityRow{"scepstandard", &Capabilities::standard},
    CapabilityRow{"sha-1", &Capabilities::sha1},
    CapabilityRow{"sha-256", &Capabilities::sha256},
    CapabilityRow{"sha-512", &Capabilities::sha512},
};

struct CipherRow {
  ContentCipher cipher;
  int nid;
  const char* name;
  std::optional<Weak> weak;
};
constexpr std::array kCiphers{
    CipherRow{ContentCipher::aes_128, NID_aes_128_cbc, "AES-128-CBC", std::nullopt},
    CipherRow{ContentCipher::aes_192, NID_aes_192_cbc, "AES-192-CBC", std::nullopt},
    CipherRow{ContentCipher::aes_256, NID_aes_256_cbc, "AES-256-CBC", std::nullopt},
    CipherRow{ContentCipher::des3, NID_des_ede3_cbc, "DES-EDE3-CBC", Weak::des3},
    CipherRow{ContentCipher::des, NID_des_cbc, "DES-CBC", Weak::des},
};

struct DigestRow {
  MessageDigest digest;
  int nid;
  const char* name;
  std::optional<Weak> weak;
};
constexpr std::array kDigests{
    DigestRow{MessageDigest::sha256, NID_sha256, "SHA256", std::nullopt},
    DigestRow{MessageDigest::sha384, NID_sha384, "SHA384", std::nullopt},
    DigestRow{MessageDigest::sha512, NID_sha512, "SHA512", std::nullopt},
    DigestRow{MessageDigest::sha1, NID_sha1, "SHA1", std::nullopt},
    DigestRow{MessageDigest::md5, NID_md5, "MD5", Weak::md5},
};

bool allowed(const Allowance& allowance, std::optional<Weak> weak) {
  return !weak || (allowance.waiver.covers(*weak) && !allowance.waiver.expired(allowance.now));
}

// `what` needs one of `words`.
tl::unexpected<Error> weak_refusal(const Allowance& allowance, const std::string& what,
                                   const std::vector<Weak>& words) {
  std::string list;
  bool waived = false;
  for (const Weak weak : words) {
    list += (list.empty() ? "`" : " or `") + std::string(weak_word(weak)) + "`";
    waived = waived || allowance.waiver.covers(weak);
  }
  if (waived) {
    return fail(ErrorCode::weak_waiver_expired,
                what + ", which is weak, and the waiver of trustpoint " + allowance.trustpoint + " has ended",
                "an `allow_weak.until` that has not passed",
                "Move the date of `trustpoints." + allowance.trustpoint +
                    ".allow_weak.until`, or mend the certification authority.");
  }
  return fail(ErrorCode::configuration, what + ", which is weak and not allowed",
              list + " among `trustpoints." + allowance.trustpoint + ".allow_weak.algorithms`",
              "Add the word with a date and a reason, or have the certification authority offer AES and "
              "SHA-256.");
}

Result<ContentCipher> choose_cipher(const Capabilities& server, const Allowance& allowance) {
  if (server.aes || server.standard) return ContentCipher::aes_128;
  if (allowed(allowance, Weak::des3)) return ContentCipher::des3;
  // A server that says DES3 is never spoken to in single DES: whoever strips the word gains nothing by it.
  if (!server.des3 && allowed(allowance, Weak::des)) return ContentCipher::des;
  std::vector<Weak> words{Weak::des3};
  if (!server.des3) words.push_back(Weak::des);
  return weak_refusal(allowance,
                      server.des3 ? "the certification authority encrypts with 3DES at best"
                                  : "the certification authority does not say that it knows AES: an old one "
                                    "encrypts with 3DES or DES",
                      words);
}

// "All known servers support at least triple DES and SHA-1" (RFC 8894 section 7.5); MD5 is for those of
// DES's time, whose operator allowed just that.
MessageDigest choose_digest(const Capabilities& server, ContentCipher cipher, const Allowance& allowance) {
  if (server.sha256 || server.standard) return MessageDigest::sha256;
  if (server.sha512) return MessageDigest::sha512;
  const bool old = cipher == ContentCipher::des && !server.sha1 && allowed(allowance, Weak::md5);
  return old ? MessageDigest::md5 : MessageDigest::sha1;
}

// Loaded once, and for the life of the process: a provider that goes away takes the keys it holds along.
OSSL_LIB_CTX* load_legacy_library() {
  OSSL_LIB_CTX* library = OSSL_LIB_CTX_new();
  if (library == nullptr) return nullptr;
  // Loading one provider explicitly keeps the default one from being loaded by itself.
  if (OSSL_PROVIDER_load(library, "default") == nullptr || OSSL_PROVIDER_load(library, "legacy") == nullptr) {
    OSSL_LIB_CTX_free(library);
    return nullptr;
  }
  return library;
}

template <typename Row, std::size_t N>
const Row* find_nid(const std::array<Row, N>& rows, int nid) {
  const auto row = std::find_if(rows.begin(), rows.end(), [nid](const Row& r) { return r.nid == nid; });
  return row == rows.end() ? nullptr : &*row;
}

const char* name_of_nid(int nid) {
  const char* name = nid == NID_undef ? nullptr : OBJ_nid2sn(nid);
  return name == nullptr ? "an unknown algorithm" : name;
}

}  // namespace

Capabilities parse_capabilities(ByteView answer) {
  Capabilities out;
  if (answer.size() > kMaxCapabilityBytes) return out;
  std::string word;
  const auto take = [&] {
    for (const CapabilityRow& row : kCapabilities) {
      if (word == row.word) out.*row.flag = true;
    }
    word.clear();
  };
  for (const std::uint8_t byte : answer) {
    const char c = static_cast<char>(byte);
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') {
      take();
    } else {
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  take();
  return out;
}

Result<Algorithms> choose_algorithms(const Capabilities& server, const Allowance& allowance) {
  const auto cipher = choose_cipher(server, allowance);
  if (!cipher) return fail(cipher.error());
  return Algorithms{*cipher, choose_digest(server, *cipher, allowance)};
}

Result<ContentCipher> accept_cipher(int nid, const Allowance& allowance) {
  const CipherRow* row = find_nid(kCiphers, nid);
  if (row == nullptr) {
    return fail(ErrorCode::unsupported,
                std::string("the certification authority's answer is encrypted with ") + name_of_nid(nid),
                "AES-CBC, 3DES-CBC or DES-CBC");
  }
  if (allowed(allowance, row->weak)) return row->cipher;
  return weak_refusal(allowance,
                      std::string("the certification authority's answer is encrypted with ") + row->name,
                      {*row->weak});
}

Result<MessageDigest> accept_digest(int nid, const Allowance& allowance) {
  const DigestRow* row = find_nid(kDigests, nid);
  if (row == nullptr) {
    return fail(ErrorCode::unsupported,
                std::string("the certification authority's answer is signed with ") + name_of_nid(nid),
                "SHA-256, SHA-384, SHA-512, SHA-1 or MD5");
  }
  if (allowed(allowance, row->weak)) return row->digest;
  return weak_refusal(allowance,
                      std::string("the certification authority's answer is signed with ") + row->name,
                      {*row->weak});
}

const char* openssl_name(ContentCipher cipher) {
  for (const CipherRow& row : kCiphers) {
    if (row.cipher == cipher) return row.name;
  }
  return "AES-128-CBC";
}

const char* openssl_name(MessageDigest digest) {
  for (const DigestRow& row : kDigests) {
    if (row.digest == digest) return row.name;
  }
  return "SHA256";
}

Result<OSSL_LIB_CTX*> library_for(ContentCipher cipher) {
  if (cipher != ContentCipher::des) return nullptr;
  static OSSL_LIB_CTX* const library = load_legacy_library();
  if (library != nullptr) return library;
  crypto::drop_openssl_errors();
  return fail(ErrorCode::unsupported, "single DES is not to be had: OpenSSL's legacy provider does not load",
              "legacy.so beside libcrypto (Debian's libssl3 has it)",
              "Install it, or have the certification authority use 3DES or AES.");
}

}  // namespace oakgate::pki::scep
