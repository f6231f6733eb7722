// What we send to a certification authority: PKCS#10 requests, the certificate that signs a first one, and
// the pkiMessages around them (RFC 8894 section 3, RFC 2986). Pure: nonces, transaction identifiers and the
// time come in; OpenSSL's own generator makes the content-encryption keys.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/trust.h"
#include "ike/crypto/private_key.h"
#include "pki/certificate.h"
#include "pki/scep/algorithms.h"

namespace oakgate::pki::scep {

// RFC 8894 table 3, the messages we send.
enum class MessageType : std::uint8_t { renewal_req = 17, pkcs_req = 19, cert_poll = 20, get_crl = 22 };

using Nonce = std::array<std::uint8_t, 16>;  // RFC 8894 section 3.2.1.5

inline constexpr std::size_t kMaxChallengeBytes = 255;  // PKCS #9: pkcs-9-ub-challengePassword
inline constexpr std::size_t kMaxNameBytes = 255;       // a host name; a serial number has at most 64
inline constexpr std::size_t kMaxSerialNumberBytes = 64;

// What the certificate is to say we are.
struct RequestedSubject {
  std::string distinguished_name;    // RFC 4514 or as IOS writes it; empty: CN=`host_name`
  std::string host_name;             // into subjectAltName, and unstructuredName of the subject as IOS has it
  std::optional<IpAddress> address;  // likewise, unstructuredAddress
  std::string serial_number;         // into the subject; empty: none
};
// The subject's DER. ErrorCode::configuration says which part cannot be used.
[[nodiscard]] Result<Bytes> subject_name(const RequestedSubject& subject);

struct RequestContent {
  Bytes subject;  // DER Name, not empty
  std::vector<std::string> host_names;
  std::vector<IpAddress> addresses;
  KeyUsage usage = KeyUsage::general;
};
[[nodiscard]] Result<RequestContent> request_content(const RequestedSubject& subject, KeyUsage usage);
// To ask for the same again: its subject and the names in it.
[[nodiscard]] RequestContent renewal_content(const Certificate& old, KeyUsage usage);

// PKCS#10, signed with `key`, with extensionRequest and, if `challenge` is not empty, challengePassword.
// Secret as long as the challenge is.
[[nodiscard]] Result<SecretBytes> make_request(const RequestContent& content, const crypto::PrivateKey& key,
                                               MessageDigest digest, const SecretBytes& challenge);

// The certificate of our own key that signs a first enrolment (RFC 8894 section 2.3): subject as requested,
// the serial number made from the transaction's identifier, good for a year: an operator may take long.
[[nodiscard]] Result<Certificate> make_signer(const Bytes& subject, const std::string& transaction,
                                              const crypto::PrivateKey& key, MessageDigest digest,
                                              WallTime now);

// IssuerAndSubject of CertPoll, RFC 8894 section 3.3.3.
[[nodiscard]] Bytes issuer_and_subject(const Bytes& issuer, const Bytes& subject);
// IssuerAndSerialNumber of GetCRL, RFC 8894 section 3.3.4.
[[nodiscard]] Bytes issuer_and_serial(const Certificate& certificate);

struct MessageHead {
  MessageType type{};
  std::string transaction;
  Nonce nonce{};
};
// `content` enveloped for `recipient`, whose key has to be RSA, and signed by `key` as `signer`.
// ErrorCode::unsupported: a key that cannot be used with SCEP.
[[nodiscard]] Result<Bytes> make_message(const MessageHead& head, ByteView content,
                                         const Certificate& recipient, const Certificate& signer,
                                         const crypto::PrivateKey& key, const Algorithms& algorithms);

}  // namespace oakgate::pki::scep
