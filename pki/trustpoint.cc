#include "pki/trustpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <system_error>

#include "ike/crypto/distinguished_name.h"
#include "pki/files.h"

namespace oakgate::pki {
namespace {

Error in_file(const TrustpointConfig& config, const std::string& file, Error error) {
  error.text = fmt::format("trustpoint {}: {}: {}", config.name, file, error.text);
  return error;
}

// Nothing: the file is missing, or broken (then an error was appended).
std::optional<Bundle> load_bundle(const TrustpointConfig& config, const std::string& file,
                                  std::vector<Error>& errors) {
  const auto content = read_file(file, kMaxBundleBytes);
  if (!content) {
    if (content.error().code != ErrorCode::not_found)
      errors.push_back(in_file(config, file, content.error()));
    return std::nullopt;
  }
  auto bundle = parse_bundle(*content);
  if (bundle && bundle->certificates.empty()) {
    bundle = fail(ErrorCode::certificate_invalid, "no certificate is in it", "PEM or DER");
  }
  if (!bundle) {
    errors.push_back(in_file(config, file, bundle.error()));
    return std::nullopt;
  }
  return std::move(*bundle);
}

void load_cas(Trustpoint& trustpoint, std::vector<Error>& errors) {
  std::string missing;
  for (const std::string& file : trustpoint.config.ca) {
    const auto bundle = load_bundle(trustpoint.config, file, errors);
    if (!bundle) {
      missing += (missing.empty() ? "" : ", ") + file;
      continue;
    }
    for (const Certificate& certificate : bundle->certificates) {
      auto& cas = trustpoint.cas;
      if (!certificate.is_ca()) {
        errors.push_back(in_file(trustpoint.config, file,
                                 {ErrorCode::certificate_invalid,
                                  "the certificate of \"" + certificate.subject_text() + "\" is not a CA's",
                                  "basicConstraints with CA:TRUE",
                                  "`ca:` takes the CA's certificates alone.",
                                  {}}));
      } else if (std::find(cas.begin(), cas.end(), certificate) == cas.end()) {
        cas.push_back(certificate);
      }
    }
  }
  trustpoint.anchors = trust_anchors(trustpoint.cas);
  if (!trustpoint.cas.empty()) return;
  trustpoint.ca_missing =
      fmt::format("no CA certificate yet{}: `oakgate pki authenticate {}` or put it there",
                  missing.empty() ? std::string() : " (" + missing + ")", trustpoint.config.name);
}

OwnMaterial load_own(const Trustpoint& trustpoint, const OwnCertificateFiles& files,
                     const PublicKeyOf& public_key_of, std::vector<Error>& errors) {
  OwnMaterial out{files.key, {}, {}};
  const std::string& name = trustpoint.config.name;
  const auto key = public_key_of(files.key);
  if (!key) {
    const bool absent =
        key.error().code == ErrorCode::no_public_key || key.error().code == ErrorCode::not_found;
    if (!absent) errors.push_back(in_file(trustpoint.config, files.key.file, key.error()));
    out.missing = fmt::format("no key yet ({}): `oakgate pki generate-key {}`", files.key.file, name);
    return out;
  }
  const auto bundle = load_bundle(trustpoint.config, files.certificate, errors);
  if (!bundle) {
    out.missing = fmt::format("no certificate yet ({}): `oakgate pki enroll {}` or put it there",
                              files.certificate, name);
    return out;
  }
  const auto& all = bundle->certificates;
  const auto mine = std::find_if(all.begin(), all.end(), [&key](const Certificate& certificate) {
    return certificate.public_key() == *key;
  });
  if (mine == all.end()) {
    errors.push_back(in_file(trustpoint.config, files.certificate,
                             {ErrorCode::configuration,
                              fmt::format("the certificate of \"{}\" is not of the key in {}",
                                          all.front().subject_text(), files.key.file),
                              "a certificate of that very key",
                              "Enroll again after a new key was generated.",
                              {}}));
    return out;
  }
  std::vector<Certificate> pool = all;
  pool.insert(pool.end(), trustpoint.cas.begin(), trustpoint.cas.end());
  out.chain = order_chain(*mine, pool);
  return out;
}

// A file may hold several CRLs in PEM, one for each CA of a chain.
Result<std::vector<Crl>> parse_crls(ByteView content) {
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  constexpr std::string_view kBegin = "-----BEGIN ";
  const std::size_t first = text.find(kBegin);
  std::vector<Crl> out;
  if (first == std::string_view::npos || text.find(kBegin, first + 1) == std::string_view::npos) {
    auto crl = Crl::parse(content);
    if (!crl) return tl::unexpected(crl.error());
    out.push_back(std::move(*crl));
    return out;
  }
  const auto bundle = parse_bundle(content);
  if (!bundle) return tl::unexpected(bundle.error());
  for (const Bytes& der : bundle->crls) {
    auto crl = Crl::parse(der);
    if (!crl) return tl::unexpected(crl.error());
    out.push_back(std::move(*crl));
  }
  return out;
}

}  // namespace

FileStamp stamp_of(const std::filesystem::path& path) {
  std::error_code error;
  FileStamp out;
  out.time = std::filesystem::last_write_time(path, error);
  if (error) return {};
  out.size = std::filesystem::file_size(path, error);
  return error ? FileStamp{} : out;
}

PathSettings Trustpoint::path_settings(const std::vector<Certificate>& more) const {
  PathSettings out;
  out.anchors = anchors;
  out.allow_weak = config.allow_weak;
  for (const auto* list : {&cas, &more}) {
    for (const Certificate& certificate : *list) {
      if (std::find(anchors.begin(), anchors.end(), certificate) == anchors.end()) {
        out.intermediates.push_back(certificate);
      }
    }
  }
  return out;
}

std::optional<RevocationSource> Trustpoint::scep_source() const {
  if (!config.enrollment || enrolled_as() == nullptr) return std::nullopt;
  return RevocationSource{RevocationSource::Kind::scep, config.enrollment->url, true, {}, config.name};
}

bool Trustpoint::scep_knows_issuer_of(const Certificate& certificate) const {
  const Certificate* ours = enrolled_as();
  return ours != nullptr && crypto::same_name(ours->issuer(), certificate.issuer());
}

const Certificate* Trustpoint::enrolled_as() const {
  const auto& material = own ? own : own_encryption;
  return material && material->missing.empty() ? &material->chain.front() : nullptr;
}

Result<CrlFile> load_crl_file(const std::string& path) {
  CrlFile out{path, stamp_of(path), {}};
  const auto content = read_file(path, kMaxCrlBytes + kMaxCrlBytes / 2);
  if (!content) {
    if (content.error().code == ErrorCode::not_found) return CrlFile{path, {}, {}};
    return tl::unexpected(content.error());
  }
  auto crls = parse_crls(*content);
  if (!crls) return tl::unexpected(crls.error());
  out.crls = std::move(*crls);
  return out;
}

Trustpoint load_trustpoint(const TrustpointConfig& config, const PublicKeyOf& public_key_of,
                           std::vector<Error>& errors) {
  Trustpoint out;
  out.config = config;
  load_cas(out, errors);
  if (config.own) out.own = load_own(out, *config.own, public_key_of, errors);
  if (config.own_encryption)
    out.own_encryption = load_own(out, *config.own_encryption, public_key_of, errors);
  for (const std::string& path : config.crl.files) {
    auto file = load_crl_file(path);
    if (!file) {
      errors.push_back(in_file(config, path, file.error()));
      continue;
    }
    out.crl_files.push_back(std::move(*file));
  }
  return out;
}

}  // namespace oakgate::pki
