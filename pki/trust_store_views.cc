// What a TrustStore tells of itself: facts for the protocol, views for `show`.
#include <fmt/format.h>

#include <algorithm>

#include "pki/trust_store_parts.h"

namespace oakgate::pki {
namespace {

std::string date_status(WallTime begin, WallTime end, WallTime now, const char* ended) {
  if (begin > now) return "Not yet valid";
  return end < now ? ended : "Available";
}

std::string certificate_status(const Certificate& certificate, WallTime now) {
  return date_status(certificate.not_before(), certificate.not_after(), now, "Expired");
}

// Why our certificate cannot be used now; empty: it can.
std::string own_problem(const std::optional<OwnMaterial>& own, const std::string& trustpoint, WallTime now) {
  if (!own) return "no certificate is configured";
  if (!own->missing.empty()) return own->missing;
  const Certificate& certificate = own->chain.front();
  if (certificate.not_after() < now) {
    return fmt::format("our certificate has expired: end date {}: `oakgate pki enroll {}`",
                       time_text(certificate.not_after()), trustpoint);
  }
  if (certificate.not_before() > now) {
    return fmt::format(
        "our certificate is not yet valid (router time not synched to CA?): start date {}, our time {}",
        time_text(certificate.not_before()), time_text(now));
  }
  return {};
}

std::string own_status(const std::optional<OwnMaterial>& own, const std::string& trustpoint, WallTime now) {
  if (!own) return {};
  const std::string problem = own_problem(own, trustpoint, now);
  return problem.empty() ? "Available" : problem;
}

void add_own(std::vector<CertificateView>& out, const Trustpoint& trustpoint,
             const std::optional<OwnMaterial>& own, CertificateView::Kind kind, WallTime now) {
  if (!own || own->chain.empty()) return;
  const Certificate& certificate = own->chain.front();
  out.push_back({trustpoint.config.name, kind, certificate_status(certificate, now), certificate});
}

CrlView view_of(const Crl& crl, std::string source, WallTime now) {
  return {crl.issuer_text(),
          crl.this_update(),
          crl.next_update(),
          crl.entries(),
          crl.number(),
          std::move(source),
          date_status(crl.this_update(), crl.next_update(), now, "Stale")};
}

}  // namespace

std::optional<TrustpointFacts> TrustStore::make_state(std::string_view trustpoint, WallTime now) const {
  const auto trustpoints = parts_->trustpoints();
  const auto found = trustpoints->find(trustpoint);
  if (found == trustpoints->end()) return std::nullopt;
  TrustpointFacts out;
  out.name = std::string(trustpoint);
  for (const Certificate& ca : found->second.cas) out.ca_names.push_back(ca.subject());
  const auto& encryption = found->second.own_encryption;
  if (own_problem(encryption, out.name, now).empty()) {
    out.own_encryption = {encryption->key.name, encryption->chain.front().der()};
  }
  const auto& own = found->second.own;
  out.why_none = own_problem(own, out.name, now);
  if (!out.why_none.empty()) return out;
  const Certificate& certificate = own->chain.front();
  const auto info = certificate.key_info();
  if (!info) {
    out.why_none = "our certificate's key: " + info.error().text;
    return out;
  }
  TrustpointFacts::Own facts{certificate.der(),  {}, own->key.name, info->kind, certificate.subject(),
                             certificate.names()};
  for (auto link = own->chain.begin() + 1; link != own->chain.end(); ++link)
    facts.chain.push_back(link->der());
  out.own = std::move(facts);
  return out;
}

std::vector<CertificateView> TrustStore::certificates(WallTime now) const {
  std::vector<CertificateView> out;
  const auto trustpoints = parts_->trustpoints();
  for (const auto& [name, trustpoint] : *trustpoints) {
    add_own(out, trustpoint, trustpoint.own, CertificateView::Kind::own, now);
    add_own(out, trustpoint, trustpoint.own_encryption, CertificateView::Kind::own_encryption, now);
    for (const Certificate& ca : trustpoint.cas) {
      out.push_back({name, CertificateView::Kind::ca, certificate_status(ca, now), ca});
    }
  }
  return out;
}

std::vector<CrlView> TrustStore::crls(WallTime now) const {
  std::vector<CrlView> out;
  for (const CrlCache::Item& item : parts_->cache.all()) {
    CrlView view = view_of(item.crl, item.source.url.empty() ? "peer" : item.source.url, now);
    if (!item.on_disk && parts_->cache.on_disk()) view.status += ", not on disk";
    out.push_back(std::move(view));
  }
  const auto trustpoints = parts_->trustpoints();
  for (const auto& [name, trustpoint] : *trustpoints) {
    for (const CrlFile& file : trustpoint.crl_files) {
      for (const Crl& crl : file.crls) out.push_back(view_of(crl, file.path, now));
    }
  }
  return out;
}

std::vector<Bytes> TrustStore::ca_certificates(const std::string& trustpoint) const {
  std::vector<Bytes> out;
  const auto trustpoints = parts_->trustpoints();
  const auto found = trustpoints->find(trustpoint);
  if (found == trustpoints->end()) return out;
  for (const Certificate& ca : found->second.cas) out.push_back(ca.der());
  return out;
}

std::vector<Bytes> TrustStore::lists(const std::string& trustpoint) const {
  std::vector<Bytes> out;
  const auto add = [&out](const Crl& crl) {
    if (std::find(out.begin(), out.end(), crl.der()) == out.end()) out.push_back(crl.der());
  };
  const auto trustpoints = parts_->trustpoints();
  const auto found = trustpoints->find(trustpoint);
  if (found == trustpoints->end()) return out;
  const std::vector<Certificate>& cas = found->second.cas;
  for (const CrlCache::Item& item : parts_->cache.all()) {
    const bool of_a_ca = std::any_of(cas.begin(), cas.end(), [&item](const Certificate& ca) {
      return item.crl.is_of(X509_get_subject_name(ca.native()));
    });
    if (of_a_ca || item.source.trustpoint == trustpoint) add(item.crl);
  }
  for (const CrlFile& file : found->second.crl_files) {
    for (const Crl& crl : file.crls) add(crl);
  }
  return out;
}

std::vector<TrustpointView> TrustStore::trustpoints(WallTime now) const {
  std::vector<TrustpointView> out;
  const auto trustpoints = parts_->trustpoints();
  for (const auto& [name, trustpoint] : *trustpoints) {
    TrustpointView view{name, trustpoint.config.revocation, {}, {}, {}, {}};
    for (const Certificate& ca : trustpoint.cas) view.ca_subjects.push_back(ca.subject_text());
    view.ca_status = trustpoint.ca_missing.empty() ? "Available" : trustpoint.ca_missing;
    view.own_status = own_status(trustpoint.own, name, now);
    view.own_encryption_status = own_status(trustpoint.own_encryption, name, now);
    out.push_back(std::move(view));
  }
  return out;
}

}  // namespace oakgate::pki
