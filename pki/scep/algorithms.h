// What a SCEP server says it can do, and the algorithms we use with it: RFC 8894 section 3.5, and the drafts
// before it, whose servers know DES, 3DES, SHA-1 and MD5 alone.
//
// GetCACaps is not authenticated: whoever is on the path may take words away (RFC 8894 section 7.5). So DES,
// 3DES and MD5 are used only if the trustpoint's `allow_weak` has the word, however the answer reads. SHA-1
// needs none here: it signs messages that live for one transaction and begin with our nonce (RFC 8894 section
// 7.9), and servers of today answer with it whatever they were asked with. In certificates it is fenced.
#pragma once

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstddef>

#include "ike/base/bytes.h"
#include "ike/base/policy.h"
#include "ike/base/result.h"

namespace oakgate::pki::scep {

inline constexpr std::size_t kMaxCapabilityBytes = 8192;

// RFC 8894 table 7. An unknown word is ignored, the case does not count.
struct Capabilities {
  bool aes = false;
  bool des3 = false;
  bool post = false;
  bool renewal = false;
  bool standard = false;  // implies aes, post and sha256
  bool sha1 = false;
  bool sha256 = false;
  bool sha512 = false;
  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};
// An answer that is too long, or no text, says nothing: all false.
[[nodiscard]] Capabilities parse_capabilities(ByteView answer);

enum class ContentCipher : std::uint8_t { aes_128, aes_192, aes_256, des3, des };
enum class MessageDigest : std::uint8_t { sha256, sha384, sha512, sha1, md5 };
struct Algorithms {
  ContentCipher cipher = ContentCipher::aes_128;
  MessageDigest digest = MessageDigest::sha256;
  friend bool operator==(const Algorithms&, const Algorithms&) = default;
};

// Which weak things one trustpoint may use, now.
struct Allowance {
  std::string trustpoint;  // for errors
  WeakWaiver waiver;
  WallTime now{};
};

// The best of what the server can do and we may use: AES-128-CBC and SHA-256 if it says so (RFC 8894 section
// 3.5.2 asks for exactly these). ErrorCode::configuration, or weak_waiver_expired, names the words that
// `allow_weak` would have to have.
[[nodiscard]] Result<Algorithms> choose_algorithms(const Capabilities& server, const Allowance& allowance);

// What an answer uses, by OpenSSL's NID. ErrorCode::unsupported: nothing we know;
// ErrorCode::configuration: weak, and not waived.
[[nodiscard]] Result<ContentCipher> accept_cipher(int nid, const Allowance& allowance);
[[nodiscard]] Result<MessageDigest> accept_digest(int nid, const Allowance& allowance);

[[nodiscard]] const char* openssl_name(ContentCipher cipher);
[[nodiscard]] const char* openssl_name(MessageDigest digest);

// The library context in which `cipher` exists. Null is OpenSSL's default one; single DES lives in the legacy
// provider, which is loaded, the default one beside it, into a context of its own: nothing else of the
// process can use it. ErrorCode::unsupported if there is no legacy provider.
[[nodiscard]] Result<OSSL_LIB_CTX*> library_for(ContentCipher cipher);

}  // namespace oakgate::pki::scep
