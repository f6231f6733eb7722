// What logins by SSH need of oakgated, kept in a folder that everybody may read and oakgated alone writes:
// settings, the trustpoint's CA certificates and revocation lists. Nothing in it is secret; what it says is
// public, or checked against signatures. It stays when oakgated ends: logins go on, as long as the lists are
// fresh.
#pragma once

#include <string>

#include "conf/config.h"
#include "daemon/log.h"
#include "pki/files.h"
#include "pki/trust_store.h"

namespace oakgate::ssh {

class Publication {
 public:
  // `state_dir`: where it is remembered which folder was written to.
  Publication(const Log& log, std::string state_dir) : log_(log), state_dir_(std::move(state_dir)) {}

  // At start and after each reload. Without `ssh:` in `config` nobody logs in any more.
  void configure(const conf::Config& config, const pki::TrustStore& trust);
  // New lists, perhaps: written if they differ from what was written last.
  void lists_changed(const pki::TrustStore& trust);

 private:
  void withdraw(const std::string& folder);
  // For scp and sftp: the running configuration, and certificates.
  void offer_files(const std::string& files, const pki::TrustStore& trust);
  void write(const std::string& path, const std::string& content, mode_t mode = pki::kPublicMode);
  [[nodiscard]] std::string remembered_folder() const;

  const Log& log_;
  std::string state_dir_;
  std::string folder_;  // empty: nothing is published
  std::string trustpoint_;
  std::string lists_;  // as written
};

}  // namespace oakgate::ssh
