// TrustStore: the trustpoints with their certificates and revocation lists, and the verdict on a peer:
// RFC 5280 section 6, RFC 4945. It reads files and its cache below the state folder; it never fetches, never
// waits, and holds no private key.
//
// Safe to call from any thread: each call works on the contents as they were when it began.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/login.h"
#include "ike/base/result.h"
#include "ike/base/trust.h"
#include "ike/ports/peer_verifier.h"
#include "pki/certificate.h"
#include "pki/crl.h"

namespace oakgate::pki {

// The SubjectPublicKeyInfo of a key of ours, by its configuration; ErrorCode::no_public_key: no key yet. The
// KeyStore's owner answers it: the TrustStore opens no key file.
using PublicKeyOf = std::function<Result<Bytes>(const KeyConfig&)>;

// What the protocol has to know of a trustpoint (ike::TrustpointState).
struct TrustpointFacts {
  struct Own {
    Bytes certificate;         // DER
    std::vector<Bytes> chain;  // DER, the intermediates behind it, without the root
    std::string key;           // KeyConfig's name
    crypto::KeyKind algorithm = crypto::KeyKind::rsa;
    Bytes subject;  // DER Name
    AlternativeNames names;
  };
  struct Encryption {
    std::string key;  // KeyConfig's name
    Bytes certificate;
  };
  std::string name;
  std::vector<Bytes> ca_names;  // DER Names
  std::optional<Own> own;       // the one that signs
  std::optional<Encryption> own_encryption;
  std::string why_none;  // if there is no `own`
};

// For `show`. Everything is printable.
struct CertificateView {
  enum class Kind : std::uint8_t { ca, own, own_encryption };
  std::string trustpoint;
  Kind kind = Kind::ca;
  std::string status;  // "Available", "Expired", "Not yet valid", "Key missing" ...: one short text
  Certificate certificate;
};
struct CrlView {
  std::string issuer;
  WallTime this_update{};
  WallTime next_update{};
  std::size_t entries = 0;
  std::string number;
  std::string source;  // a URL, a file, "peer", "cache"
  std::string status;  // "Available", "Stale", "Not yet valid"
};
struct TrustpointView {
  std::string name;
  RevocationCheck revocation = RevocationCheck::crl;
  std::vector<std::string> ca_subjects;
  std::string ca_status;   // "Available", or why there is none
  std::string own_status;  // the same of our certificate; empty: none is configured
  std::string own_encryption_status;
};

// A CRL in use and where a newer one may be had: to refresh before `next_update`.
struct CrlToRefresh {
  RevocationSource source;
  WallTime this_update{};
  WallTime next_update{};
};
// Likewise an OCSP answer about one certificate (DER).
struct OcspToRefresh : CrlToRefresh {
  Bytes certificate;
};

// A certificate that has proved nothing yet: whoever logs in with it signs later, for somebody else to check.
struct LoginProof {
  std::string trustpoint;
  std::vector<Bytes> certificates;  // DER: the one in question, then what may lead to its CA
  LoginUsage usage = LoginUsage::ssh;
};
struct LoginVerification {
  // Without an identity: login_names() of pki/login.h tells whose it is.
  Result<VerifiedPeer> certificate = fail(ErrorCode::internal, "not verified");
  std::vector<RevocationSource> missing;  // as Verification has it
};

struct TrustStoreParts;
class TrustStore final : public PeerVerifier {
 public:
  // The cache is `state_dir`/crls, and what an earlier run left there is read; empty: nothing is kept on
  // disk.
  explicit TrustStore(const std::filesystem::path& state_dir);
  ~TrustStore() override;
  TrustStore(const TrustStore&) = delete;
  TrustStore& operator=(const TrustStore&) = delete;

  // Reads the files of all trustpoints. A file that is missing is a state (see TrustpointFacts::why_none);
  // one that is broken, or a certificate that is not its key's, is an error naming file and reason, and then
  // nothing changes. All errors come at once; empty: done.
  [[nodiscard]] std::vector<Error> replace(const std::vector<TrustpointConfig>& configs,
                                           const PublicKeyOf& public_key_of);
  // `crl: files` that changed since they were read; the errors name the files, whose earlier content stays.
  // `changed` tells whether a list is new.
  [[nodiscard]] std::vector<Error> reread_crl_files(bool& changed);

  [[nodiscard]] Verification verify(const PeerProof& proof, WallTime now, bool last) const override;
  // Chain, dates, usages, strength and revocation, as verify() looks at them.
  [[nodiscard]] LoginVerification verify_login(const LoginProof& proof, WallTime now, bool last) const;
  // Again for VerifiedPeer::chain, when revocation lists are new: the errors of verify but those of the
  // signature and the identity. Information that is missing is no error here.
  [[nodiscard]] Result<void> recheck(const std::vector<Bytes>& chain, const std::string& trustpoint,
                                     WallTime now) const;

  // What a fetch brought, CRL or OCSP answer, checked before it is kept. True: it is new; false: we have it,
  // or a newer one, or an OCSP answer that says the same and is still good. ErrorCode::crl_invalid,
  // ErrorCode::crl_unavailable.
  [[nodiscard]] Result<bool> add_answer(const RevocationSource& source, ByteView body, WallTime now);
  // A fetch that failed: verify(..., last) says why there is no CRL. Forgotten at the source's next answer.
  void add_failure(const RevocationSource& source, const Error& error);
  // Files of the cache that could not be read at the start; they are left alone.
  [[nodiscard]] const std::vector<Error>& cache_errors() const { return cache_errors_; }
  // The lists that were fetched, each with the source it came from.
  [[nodiscard]] std::vector<CrlToRefresh> fetched_crls() const;
  [[nodiscard]] std::vector<OcspToRefresh> fetched_answers() const;
  // Where the lists of a trustpoint may be had, as configured and as its own CAs' and our certificates name
  // them: for `pki crl request`. If they name nothing: its authority by SCEP, if that knows us.
  [[nodiscard]] std::vector<RevocationSource> crl_sources(const std::string& trustpoint) const;

  // Of a trustpoint, as it is trusted now: its CAs' certificates, and every list at hand that may speak of
  // what they issued, from files and from the cache. DER.
  [[nodiscard]] std::vector<Bytes> ca_certificates(const std::string& trustpoint) const;
  [[nodiscard]] std::vector<Bytes> lists(const std::string& trustpoint) const;

  [[nodiscard]] std::optional<TrustpointFacts> make_state(std::string_view trustpoint, WallTime now) const;
  [[nodiscard]] std::vector<CertificateView> certificates(WallTime now) const;
  [[nodiscard]] std::vector<CrlView> crls(WallTime now) const;
  [[nodiscard]] std::vector<TrustpointView> trustpoints(WallTime now) const;

 private:
  [[nodiscard]] Result<bool> add_crl(const RevocationSource& source, ByteView body, WallTime now);
  [[nodiscard]] Result<bool> add_ocsp(const RevocationSource& source, ByteView body, WallTime now);

  std::unique_ptr<TrustStoreParts> parts_;
  std::vector<Error> cache_errors_;
};

}  // namespace oakgate::pki
