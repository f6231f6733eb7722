// What an operator decides about keys and trust, as plain values: trustpoints, own keys, peers' public keys.
// conf/ makes them, pki/ obeys them, the protocol carries what it needs. No key is in them: private keys are
// named by file, and never leave the KeyStore.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/policy.h"
#include "ike/base/types.h"

namespace oakgate {

// `usage:` of a key. `general` may serve either purpose, but never both: that is an error.
enum class KeyUsage : std::uint8_t { general, signature, encryption };

// An RSA or EC private key of ours, in a PEM or DER file (mode 0600). The file may be missing: the key is
// generated or imported later (`oakgate pki`).
struct KeyConfig {
  std::string name;  // in `keys:`; of a trustpoint's own key "TRUSTPOINT" or "TRUSTPOINT encryption"
  std::string file;  // path, already relative to the configuration's folder
  KeyUsage usage = KeyUsage::general;
  friend bool operator==(const KeyConfig&, const KeyConfig&) = default;
};

// `public_keys:`, IOS's `crypto key pubkey-chain rsa`: a PEM file or the hexadecimal that IOS prints, whose
// bytes are a DER SubjectPublicKeyInfo.
struct PublicKeyConfig {
  std::string name;  // IOS: the peer's FQDN or address
  std::string file;  // empty: `key_string` holds it
  Bytes key_string;
  friend bool operator==(const PublicKeyConfig&, const PublicKeyConfig&) = default;
};

// `extended_key_usage:` of a peer's certificate, if it has that extension: it names IKE (RFC 4945 section
// 5.1.3.12), or anything goes.
enum class ExtendedKeyUsage : std::uint8_t { ike, any };

enum class RevocationCheck : std::uint8_t { crl, crl_optional, none };

struct CrlSettings {
  std::vector<std::string> files;  // read at start, at a reload and when they change
  std::vector<std::string>
      urls;          // http:, https: or ldap:, asked before the certificate's distribution points
  std::string ldap;  // server for distribution points that are directory names; empty: none
  friend bool operator==(const CrlSettings&, const CrlSettings&) = default;
};

enum class EnrollmentMode : std::uint8_t { ca, ra };  // ra: the CA answers through a registration authority
struct EnrollmentSettings {
  std::string url;  // http://ca.example/cgi-bin/pkiclient.exe
  EnrollmentMode mode = EnrollmentMode::ca;
  Seconds retry_period{60};  // between two polls of a pending request
  int retry_count = 10;      // polls before giving up; 0: for ever
  friend bool operator==(const EnrollmentSettings&, const EnrollmentSettings&) = default;
};

struct OwnCertificateFiles {
  std::string
      certificate;  // PEM, our certificate first, then intermediates; may be missing: not enrolled yet
  KeyConfig key;
  friend bool operator==(const OwnCertificateFiles&, const OwnCertificateFiles&) = default;
};

struct TrustpointConfig {
  std::string name;
  std::vector<std::string>
      ca;  // PEM or DER files: roots and intermediates; may be missing until `authenticate`
  std::optional<OwnCertificateFiles> own;             // general purpose, or signatures only
  std::optional<OwnCertificateFiles> own_encryption;  // `encryption_certificate` and `encryption_key`
  ExtendedKeyUsage extended_key_usage = ExtendedKeyUsage::ike;
  RevocationCheck revocation = RevocationCheck::crl;
  CrlSettings crl;
  std::vector<std::string> ocsp_urls;  // a second source
  std::optional<EnrollmentSettings> enrollment;
  WeakWaiver allow_weak;  // md5 and sha signatures, rsa-512, rsa-1024; SCEP: des, 3des, md5
  friend bool operator==(const TrustpointConfig&, const TrustpointConfig&) = default;
};

// `send_certificate:`, RFC 2408 section 3.9.
enum class SendCertificate : std::uint8_t { always, on_request, never };

// SKEYID of RSA-encrypted nonces: RFC 2409 section 5 hashes the nonces first, recorded IOS exchanges do not.
// automatic: the RFC's first, then the other one; what a peer uses is remembered.
enum class SkeyidForm : std::uint8_t { automatic, rfc, ios };

}  // namespace oakgate
