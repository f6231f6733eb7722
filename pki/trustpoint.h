// A trustpoint's files, read: CA certificates, our own certificates, CRLs. Missing files are states, broken
// ones errors. No private key is opened here.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/result.h"
#include "ike/base/trust.h"
#include "pki/crl.h"
#include "pki/path.h"
#include "pki/trust_store.h"

namespace oakgate::pki {

// What tells a file from its next version; `size` 0 and no time: there is none.
struct FileStamp {
  std::filesystem::file_time_type time{};
  std::uintmax_t size = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};
[[nodiscard]] FileStamp stamp_of(const std::filesystem::path& path);

struct OwnMaterial {
  KeyConfig key;
  std::vector<Certificate> chain;  // ours first; empty: there is none yet
  std::string missing;             // why the chain is empty, or the key is missing; else empty
};

struct CrlFile {
  std::string path;
  FileStamp stamp;
  std::vector<Crl> crls;
};

struct Trustpoint {
  TrustpointConfig config;
  std::vector<Certificate> cas;
  std::vector<Certificate> anchors;
  std::string ca_missing;  // why there is no CA certificate; else empty
  std::optional<OwnMaterial> own;
  std::optional<OwnMaterial> own_encryption;
  std::vector<CrlFile> crl_files;

  // Anchors, the other CA certificates, those that came, and the waiver.
  [[nodiscard]] PathSettings path_settings(const std::vector<Certificate>& more) const;
  // GetCRL of the authority that our certificate comes from: the CRL of its issuer. None without
  // `enrollment`, and before we are enrolled.
  [[nodiscard]] std::optional<RevocationSource> scep_source() const;
  [[nodiscard]] bool scep_knows_issuer_of(const Certificate& certificate) const;

 private:
  [[nodiscard]] const Certificate* enrolled_as() const;
};

// Errors are appended, each naming its file.
[[nodiscard]] Trustpoint load_trustpoint(const TrustpointConfig& config, const PublicKeyOf& public_key_of,
                                         std::vector<Error>& errors);
// Missing files are empty.
[[nodiscard]] Result<CrlFile> load_crl_file(const std::string& path);

}  // namespace oakgate::pki
