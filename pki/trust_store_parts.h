// What a TrustStore is made of, for its own .cc files: the trustpoints as they were read, the CRL cache, and
// what was learned from peers whose chain was good.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pki/crl_cache.h"
#include "pki/ocsp.h"
#include "pki/trust_store.h"
#include "pki/trustpoint.h"

namespace oakgate::pki {

inline constexpr std::size_t kMaxLearnedIntermediates = 64;  // of one trustpoint
inline constexpr std::size_t kMaxLearnedLeaves = 1024;
inline constexpr std::size_t kMaxOcspAnswers = 1024;
inline constexpr std::size_t kMaxFailures = 256;

using Trustpoints = std::map<std::string, Trustpoint, std::less<>>;

struct TrustStoreParts {
  struct OcspQuestion {
    Certificate subject;
    Certificate issuer;
  };
  struct OcspAnswer {
    OcspStatus status;
    WallTime good_until{};
    RevocationSource source;
    OcspQuestion question;
  };

  explicit TrustStoreParts(const std::filesystem::path& state_dir)
      : cache(state_dir.empty() ? std::filesystem::path() : state_dir / "crls") {}

  // The trustpoints as they are now. Shared: a verification under way keeps those it began with.
  [[nodiscard]] std::shared_ptr<const Trustpoints> trustpoints() const {
    const std::lock_guard lock(mutex);
    return contents;
  }

  // Certificates that came with good chains: CRLs that arrive later are signed by them, and peers that send
  // none are known by them.
  void learn(const std::string& trustpoint, const Identity& identity, const std::vector<Certificate>& path);
  [[nodiscard]] std::vector<Certificate> learned_intermediates(const std::string& trustpoint) const;
  [[nodiscard]] std::optional<Certificate> learned_leaf(const std::string& trustpoint,
                                                        const Identity& identity) const;
  // Remembers which certificate an OCSP request is about; tells it again, for the answer that comes, or for a
  // newer one; gives the answer at hand.
  void ask_ocsp(const Bytes& request, const Certificate& subject, const Certificate& issuer);
  [[nodiscard]] std::optional<OcspQuestion> ocsp_question(const Bytes& request) const;
  [[nodiscard]] std::optional<OcspStatus> ocsp_answer(const Certificate& subject, const Certificate& issuer,
                                                      WallTime now) const;
  void remember_failure(const RevocationSource& source, const Error& error);
  void forget_failure(const RevocationSource& source);
  [[nodiscard]] std::optional<Error> failure_of(const RevocationSource& source) const;

  // All CRLs that may speak of a path's certificates.
  [[nodiscard]] std::vector<Crl> crls_for(const Trustpoint& trustpoint,
                                          const std::vector<Certificate>& path) const;

  CrlCache cache;
  mutable std::mutex mutex;
  std::shared_ptr<const Trustpoints> contents = std::make_shared<const Trustpoints>();
  std::map<std::string, std::vector<Certificate>, std::less<>> intermediates;
  std::map<std::pair<std::string, Identity>, Certificate> leaves;
  std::map<Bytes, OcspQuestion> ocsp_questions;  // by request
  std::map<Bytes, OcspAnswer> ocsp_answers;
  std::map<std::pair<std::string, Bytes>, Error> failures;  // by URL and request
};

}  // namespace oakgate::pki
