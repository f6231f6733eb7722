#include "pki/trust_store_parts.h"

#include <algorithm>

namespace oakgate::pki {
namespace {

// Maps that only remember: when one is full, any entry may go.
template <typename Map>
void make_room(Map& map, std::size_t most) {
  while (map.size() >= most) map.erase(map.begin());
}

}  // namespace

void TrustStoreParts::learn(const std::string& trustpoint, const Identity& identity,
                            const std::vector<Certificate>& path) {
  const std::lock_guard lock(mutex);
  auto& known = intermediates[trustpoint];
  for (std::size_t index = 1; index + 1 < path.size(); ++index) {
    if (std::find(known.begin(), known.end(), path[index]) != known.end()) continue;
    if (known.size() >= kMaxLearnedIntermediates) known.erase(known.begin());
    known.push_back(path[index]);
  }
  if (!leaves.contains({trustpoint, identity})) make_room(leaves, kMaxLearnedLeaves);
  leaves.insert_or_assign({trustpoint, identity}, path.front());
}

std::vector<Certificate> TrustStoreParts::learned_intermediates(const std::string& trustpoint) const {
  const std::lock_guard lock(mutex);
  const auto found = intermediates.find(trustpoint);
  return found == intermediates.end() ? std::vector<Certificate>() : found->second;
}

std::optional<Certificate> TrustStoreParts::learned_leaf(const std::string& trustpoint,
                                                         const Identity& identity) const {
  const std::lock_guard lock(mutex);
  const auto found = leaves.find({trustpoint, identity});
  return found == leaves.end() ? std::nullopt : std::optional(found->second);
}

void TrustStoreParts::ask_ocsp(const Bytes& request, const Certificate& subject, const Certificate& issuer) {
  const std::lock_guard lock(mutex);
  if (ocsp_questions.contains(request)) return;
  make_room(ocsp_questions, kMaxOcspAnswers);
  ocsp_questions.emplace(request, OcspQuestion{subject, issuer});
}

std::optional<TrustStoreParts::OcspQuestion> TrustStoreParts::ocsp_question(const Bytes& request) const {
  const std::lock_guard lock(mutex);
  if (const auto found = ocsp_questions.find(request); found != ocsp_questions.end()) return found->second;
  const auto answered = ocsp_answers.find(request);
  return answered == ocsp_answers.end() ? std::nullopt : std::optional(answered->second.question);
}

std::optional<OcspStatus> TrustStoreParts::ocsp_answer(const Certificate& subject, const Certificate& issuer,
                                                       WallTime now) const {
  const auto request = ocsp_request(subject, issuer);
  if (!request) return std::nullopt;
  const std::lock_guard lock(mutex);
  const auto found = ocsp_answers.find(*request);
  if (found == ocsp_answers.end() || found->second.good_until < now) return std::nullopt;
  return found->second.status;
}

void TrustStoreParts::remember_failure(const RevocationSource& source, const Error& error) {
  const std::lock_guard lock(mutex);
  const std::pair key(source.url, source.request);
  if (!failures.contains(key)) make_room(failures, kMaxFailures);
  failures.insert_or_assign(key, error);
}

void TrustStoreParts::forget_failure(const RevocationSource& source) {
  const std::lock_guard lock(mutex);
  failures.erase({source.url, source.request});
}

std::optional<Error> TrustStoreParts::failure_of(const RevocationSource& source) const {
  const std::lock_guard lock(mutex);
  const auto found = failures.find({source.url, source.request});
  return found == failures.end() ? std::nullopt : std::optional(found->second);
}

std::vector<Crl> TrustStoreParts::crls_for(const Trustpoint& trustpoint,
                                           const std::vector<Certificate>& path) const {
  std::vector<Crl> out;
  std::vector<Bytes> issuers;
  for (const Certificate& certificate : path) {
    Bytes issuer = certificate.issuer();
    if (std::find(issuers.begin(), issuers.end(), issuer) == issuers.end())
      issuers.push_back(std::move(issuer));
  }
  for (const Bytes& issuer : issuers) {
    const auto cached = cache.of_issuer(issuer);
    out.insert(out.end(), cached.begin(), cached.end());
  }
  for (const CrlFile& file : trustpoint.crl_files) out.insert(out.end(), file.crls.begin(), file.crls.end());
  return out;
}

}  // namespace oakgate::pki
