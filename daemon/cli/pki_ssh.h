// `oakgate pki export-ssh-host-key | known-hosts`: the same keys and certificates for SSH's host side.
#pragma once

#include "daemon/cli/pki.h"

namespace oakgate::cli {

// A trustpoint's private key as sshd reads it (HostKey), mode 0600, and its public half beside it.
[[nodiscard]] Outcome<Json> export_ssh_host_key(const PkiContext& context);
// known_hosts lines for the certificates in files, each verified: chain, dates, usage, revocation.
[[nodiscard]] Outcome<Json> known_hosts(const PkiContext& context);
[[nodiscard]] std::string known_hosts_text(const Json& result);

}  // namespace oakgate::cli
