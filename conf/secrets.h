// Pre-shared keys from where the configuration says they are: files only their owner can read, or systemd
// credentials (systemd.exec(5), LoadCredential=). Errors name the place and the rule, never a byte of the
// key.
#pragma once

#include <sys/types.h>

#include <string>

#include "conf/config.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"

namespace oakgate::conf {

// What the process around us decides.
struct Environment {
  std::string credentials_directory;  // $CREDENTIALS_DIRECTORY; empty: none was passed
  uid_t effective_uid = 0;            // secret files must be this user's or root's
};

inline constexpr std::size_t kMaxSecretBytes = 4096;

// The key itself: one trailing newline is taken off, and `0x...` is hexadecimal. Refuses what others can
// read, what somebody else owns, what is not a regular file, what is empty or too long.
[[nodiscard]] Result<SecretBytes> load_pre_shared_key(const PskSource& source,
                                                      const Environment& environment);

}  // namespace oakgate::conf
