// Which keys open a user's account: those of the user's certificates that chain to the trustpoint, are of
// this user, may be used for it, and are not revoked. oakgate-ssh(7); RFC 6187 for the usages. Whoever holds
// the key is for sshd to find out.
#pragma once

#include <string>
#include <vector>

#include "conf/ssh.h"
#include "daemon/ssh/authorized_keys.h"
#include "ike/ports/fetcher.h"
#include "pki/server_address.h"
#include "pki/trust_store.h"

namespace oakgate::ssh {

inline constexpr std::size_t kMaxUserCertificates = 16;

// Who asks. The key is what sshd was offered (%t and %k): others of the user's are not looked at.
struct Question {
  std::string user;
  std::string key_type;  // empty: all keys of the user
  std::string key;       // base64
};

// A certificate, and what came with it.
struct UserCertificate {
  std::string source;  // a path or a URL
  pki::Certificate leaf;
  std::vector<Bytes> others;  // DER: intermediates, perhaps
};

// What the answer is made of. `fetcher` and `trust` as they are; `deadline` bounds all fetches together.
struct Means {
  const conf::SshConfig& config;
  pki::TrustStore& trust;
  const Fetcher& fetcher;
  WallTime now{};
  pki::Deadline deadline{};
};

struct Answer {
  std::vector<AuthorizedKey> keys;
  std::vector<std::string> log;  // a line for each key, and for each refusal which it is
};

// Every certificate that the folder or the directory has of the user, those of CAs aside. ErrorCode::
// no_certificate: none; or why none can be had.
[[nodiscard]] Result<std::vector<UserCertificate>> find_certificates(const Means& means,
                                                                     const std::string& user);

// Fails closed: whatever is not known to be good is refused.
[[nodiscard]] Answer answer(const Question& question, const Means& means);

}  // namespace oakgate::ssh
