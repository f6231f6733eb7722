// `ssh:`, who may log in to this gateway by SSH and with which certificates: oakgate-ssh(7).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ike/base/login.h"
#include "ike/base/trust.h"
#include "ike/base/types.h"

namespace oakgate::conf {

// Where operators' certificates are: one of the two.
struct LoginCertificates {
  std::string folder;  // USER.pem, and whatever is in USER/
  std::string ldap;    // an ldap: URL; %u in it stands for the user's name
  friend bool operator==(const LoginCertificates&, const LoginCertificates&) = default;
};

struct SshConfig {
  std::string trustpoint;  // a declared one
  LoginCertificates certificates;
  LoginName username{};
  std::string domain;  // of san_email and san_upn: the certificate says USER@domain; empty: it says USER
  LoginUsage extended_key_usage = LoginUsage::ssh;
  std::optional<RevocationCheck> revocation;  // none: the trustpoint's
  int min_rsa_bits = 2048;
  std::vector<std::string> change;  // users who may change what runs; all others may look
  Seconds idle_timeout{600};        // of the shell; 0: none
  std::string banner;               // what the shell shows first; may be empty
  // Where oakgated keeps what logins need, readable to everybody, so that they work while it is down.
  std::string folder = "/var/lib/oakgate-ssh";
  // Where files come and go by scp and sftp: sshd's ChrootDirectory. Empty: nowhere.
  std::string files;
  friend bool operator==(const SshConfig&, const SshConfig&) = default;
};

// Of the shell, as sshd and its keys have it.
[[nodiscard]] bool may_change(const SshConfig& ssh, const std::string& user);

}  // namespace oakgate::conf
