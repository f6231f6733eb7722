// The files of a trustpoint as enrolment needs them: the authority's certificates, our key, our certificate.
// Used by `oakgate pki` and by oakgated's worker threads; nothing is kept between calls.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conf/secrets.h"
#include "ike/base/trust.h"
#include "ike/crypto/private_key.h"
#include "pki/certificate.h"

namespace oakgate {

// Which of a trustpoint's keys: its own, or the one for encryption alone.
[[nodiscard]] const std::optional<OwnCertificateFiles>& own_files(const TrustpointConfig& trustpoint,
                                                                  bool encryption_key);

// Of all its `ca` files. ErrorCode::no_certificate, with `oakgate pki authenticate` as the remedy: there is
// none yet.
[[nodiscard]] Result<std::vector<pki::Certificate>> read_authority(const TrustpointConfig& trustpoint);
// ErrorCode::no_public_key, with `oakgate pki generate-key` as the remedy: there is none yet.
[[nodiscard]] Result<crypto::PrivateKey> read_own_key(const OwnCertificateFiles& files,
                                                      const conf::Environment& environment);
// The first certificate in the file; nothing if there is no file yet.
[[nodiscard]] Result<std::optional<pki::Certificate>> read_own_certificate(const OwnCertificateFiles& files);

// PEM, whole or not at all: a crash leaves the old file.
[[nodiscard]] Result<void> write_certificates(const std::string& path,
                                              const std::vector<pki::Certificate>& certificates);

}  // namespace oakgate
