#include "daemon/enrollment_files.h"

#include <fmt/format.h>

#include "pki/files.h"

namespace oakgate {

namespace {

// An error about a file's content says which file.
Error in_file(Error error, const std::string& path) {
  error.text = path + ": " + error.text;
  return error;
}

}  // namespace

const std::optional<OwnCertificateFiles>& own_files(const TrustpointConfig& trustpoint, bool encryption_key) {
  return encryption_key ? trustpoint.own_encryption : trustpoint.own;
}

Result<std::vector<pki::Certificate>> read_authority(const TrustpointConfig& trustpoint) {
  std::vector<pki::Certificate> all;
  for (const std::string& path : trustpoint.ca) {
    const auto content = pki::read_file(path, pki::kMaxBundleBytes);
    if (!content && content.error().code == ErrorCode::not_found) continue;
    if (!content) return fail(content.error());
    auto bundle = pki::parse_bundle(*content);
    if (!bundle) return fail(in_file(bundle.error(), path));
    all.insert(all.end(), bundle->certificates.begin(), bundle->certificates.end());
  }
  if (!all.empty()) return all;
  return fail(ErrorCode::no_certificate,
              fmt::format("trustpoint {} has no certificate of its authority yet", trustpoint.name),
              "a certificate in " + (trustpoint.ca.empty() ? std::string("`ca`") : trustpoint.ca.front()),
              fmt::format("Fetch it: `oakgate pki authenticate {}`.", trustpoint.name));
}

Result<crypto::PrivateKey> read_own_key(const OwnCertificateFiles& files,
                                        const conf::Environment& environment) {
  const auto content = conf::load_private_key(files.key.file, environment);
  if (!content) return fail(in_file(content.error(), files.key.file));
  if (!*content) {
    return fail(ErrorCode::no_public_key, fmt::format("there is no key {} yet", files.key.name),
                "a private key in " + files.key.file,
                fmt::format("Make one: `oakgate pki generate-key \"{}\"`.", files.key.name));
  }
  auto key = crypto::PrivateKey::parse(**content);
  if (!key) return fail(in_file(key.error(), files.key.file));
  return key;
}

Result<std::optional<pki::Certificate>> read_own_certificate(const OwnCertificateFiles& files) {
  const auto content = pki::read_file(files.certificate, pki::kMaxBundleBytes);
  if (!content && content.error().code == ErrorCode::not_found) return std::nullopt;
  if (!content) return fail(content.error());
  auto bundle = pki::parse_bundle(*content);
  if (!bundle) return fail(in_file(bundle.error(), files.certificate));
  if (bundle->certificates.empty()) return std::nullopt;
  return std::move(bundle->certificates.front());
}

Result<void> write_certificates(const std::string& path, const std::vector<pki::Certificate>& certificates) {
  std::string text;
  for (const pki::Certificate& certificate : certificates) text += certificate.to_pem();
  return pki::write_file(path, as_bytes(text), pki::kPublicMode);
}

}  // namespace oakgate
