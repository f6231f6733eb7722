// TrustStore but for its verdicts (trust_store_verify.cc) and views (trust_store_views.cc).
#include "pki/trust_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "pki/identity.h"
#include "pki/revocation_sources.h"
#include "pki/trust_store_parts.h"

namespace oakgate::pki {
namespace {

// RFC 6960 section 4.2.2.1: without nextUpdate "newer revocation information is available all the time".
constexpr auto kOcspPatience = std::chrono::minutes(5);

}  // namespace

TrustStore::TrustStore(const std::filesystem::path& state_dir)
    : parts_(std::make_unique<TrustStoreParts>(state_dir)) {
  cache_errors_ = parts_->cache.load();
}

TrustStore::~TrustStore() = default;

std::vector<Error> TrustStore::replace(const std::vector<TrustpointConfig>& configs,
                                       const PublicKeyOf& public_key_of) {
  std::vector<Error> errors;
  Trustpoints fresh;
  for (const TrustpointConfig& config : configs) {
    fresh.insert_or_assign(config.name, load_trustpoint(config, public_key_of, errors));
  }
  if (!errors.empty()) return errors;
  auto contents = std::make_shared<const Trustpoints>(std::move(fresh));
  const std::lock_guard lock(parts_->mutex);
  // What was learned under another CA file does not count any more.
  parts_->intermediates.clear();
  parts_->leaves.clear();
  parts_->contents = std::move(contents);
  return {};
}

std::vector<Error> TrustStore::reread_crl_files(bool& changed) {
  std::vector<Error> errors;
  changed = false;
  const auto before = parts_->trustpoints();
  Trustpoints after = *before;
  for (auto& [name, trustpoint] : after) {
    for (CrlFile& file : trustpoint.crl_files) {
      const FileStamp stamp = stamp_of(file.path);
      if (stamp == file.stamp) continue;
      file.stamp = stamp;  // a broken file is told of once
      changed = true;
      auto fresh = load_crl_file(file.path);
      if (fresh) {
        file.crls = std::move(fresh->crls);
        continue;
      }
      fresh.error().text = fmt::format("trustpoint {}: {}: {}", name, file.path, fresh.error().text);
      errors.push_back(std::move(fresh.error()));
    }
  }
  if (!changed) return errors;
  const std::lock_guard lock(parts_->mutex);
  // If the trustpoints were replaced meanwhile, their files were read then.
  if (parts_->contents == before) parts_->contents = std::make_shared<const Trustpoints>(std::move(after));
  return errors;
}

Result<bool> TrustStore::add_answer(const RevocationSource& source, ByteView body, WallTime now) {
  auto added =
      source.kind == RevocationSource::Kind::ocsp ? add_ocsp(source, body, now) : add_crl(source, body, now);
  if (added) {
    parts_->forget_failure(source);
  } else {
    parts_->remember_failure(source, added.error());
  }
  return added;
}

void TrustStore::add_failure(const RevocationSource& source, const Error& error) {
  parts_->remember_failure(source, error);
}

Result<bool> TrustStore::add_crl(const RevocationSource& source, ByteView body, WallTime now) {
  auto crl = Crl::parse(body);
  if (!crl) return tl::unexpected(crl.error());
  const auto trustpoints = parts_->trustpoints();
  const auto trustpoint = trustpoints->find(source.trustpoint);
  if (trustpoint == trustpoints->end()) {
    return fail(ErrorCode::not_found, "there is no trustpoint " + printable(source.trustpoint));
  }
  std::vector<Certificate> signers = trustpoint->second.cas;
  for (const Certificate& learned : parts_->learned_intermediates(source.trustpoint))
    signers.push_back(learned);
  Error why{
      ErrorCode::crl_invalid,
      fmt::format("the CRL of \"{}\" is of no CA of trustpoint {}", crl->issuer_text(), source.trustpoint),
      "a CRL of the trustpoint's CA",
      "See whether the URL is the right one.",
      {}};
  for (const Certificate& signer : signers) {
    if (!crl->is_of(X509_get_subject_name(signer.native()))) continue;
    if (auto good = crl->signed_by(signer); !good) {
      why = std::move(good.error());
      continue;
    }
    if (auto current = crl->current(now); !current) return tl::unexpected(current.error());
    return parts_->cache.put({std::move(*crl), signer.public_key(), source, false});
  }
  return fail(std::move(why));
}

Result<bool> TrustStore::add_ocsp(const RevocationSource& source, ByteView body, WallTime now) {
  const auto question = parts_->ocsp_question(source.request);
  if (!question) return fail(ErrorCode::crl_invalid, "an OCSP answer that nobody asked for");
  const auto status = read_ocsp_answer(body, question->subject, question->issuer, now);
  if (!status) return tl::unexpected(status.error());
  const auto trustpoints = parts_->trustpoints();
  const auto trustpoint = trustpoints->find(source.trustpoint);
  if (trustpoint == trustpoints->end()) {
    return fail(ErrorCode::not_found, "there is no trustpoint " + printable(source.trustpoint));
  }
  for (const std::string& digest : status->signature_digests) {
    const auto strong = check_digest(digest, "the OCSP answer", trustpoint->second.config.allow_weak, now);
    if (!strong) return tl::unexpected(strong.error());
  }
  const std::lock_guard lock(parts_->mutex);
  auto& answers = parts_->ocsp_answers;
  const auto known = answers.find(source.request);
  bool says_more = true;
  if (known == answers.end()) {
    while (answers.size() >= kMaxOcspAnswers) answers.erase(answers.begin());
  } else {
    const OcspStatus& before = known->second.status;
    if (before.this_update > status->this_update) return false;
    says_more = known->second.good_until < now || before.revoked != status->revoked ||
                before.responder != status->responder;
  }
  answers.insert_or_assign(
      source.request, TrustStoreParts::OcspAnswer{*status, status->next_update.value_or(now + kOcspPatience),
                                                  source, *question});
  return says_more;
}

std::vector<OcspToRefresh> TrustStore::fetched_answers() const {
  std::vector<OcspToRefresh> out;
  const std::lock_guard lock(parts_->mutex);
  for (const auto& [request, answer] : parts_->ocsp_answers) {
    if (!parts_->contents->contains(answer.source.trustpoint)) continue;
    out.push_back(
        {{answer.source, answer.status.this_update, answer.good_until}, answer.question.subject.der()});
  }
  return out;
}

std::vector<CrlToRefresh> TrustStore::fetched_crls() const {
  std::vector<CrlToRefresh> out;
  const auto trustpoints = parts_->trustpoints();
  for (const CrlCache::Item& item : parts_->cache.all()) {
    if (item.source.url.empty() || !trustpoints->contains(item.source.trustpoint)) continue;
    out.push_back({item.source, item.crl.this_update(), item.crl.next_update()});
  }
  return out;
}

std::vector<RevocationSource> TrustStore::crl_sources(const std::string& trustpoint) const {
  const auto trustpoints = parts_->trustpoints();
  const auto found = trustpoints->find(trustpoint);
  if (found == trustpoints->end()) return {};
  std::vector<Certificate> certificates = found->second.cas;
  for (const auto* own : {&found->second.own, &found->second.own_encryption}) {
    if (*own) certificates.insert(certificates.begin(), (*own)->chain.begin(), (*own)->chain.end());
  }
  auto out = pki::crl_sources(found->second.config, certificates);
  if (const auto scep = found->second.scep_source(); scep && out.empty()) out.push_back(*scep);
  return out;
}

}  // namespace oakgate::pki
