// `oakgate pki import`: certificates and keys out of a file (PEM, DER, PKCS#7, PKCS#12) into the files that a
// trustpoint names. Which certificate is ours, its key says.
#pragma once

#include "daemon/cli/pki.h"

namespace oakgate::cli {

[[nodiscard]] Outcome<Json> import_file(const PkiContext& context);

// A certificate that is not its key's any more would be an error of the configuration: out of the way with
// it, to FILE.old, before the key changes. Nothing if there is none.
[[nodiscard]] Outcome<void> put_certificate_aside(const PkiContext& context, const KeyConfig& key);

}  // namespace oakgate::cli
