// Keys from where the configuration says they are: pre-shared and private ones in files only their owner can
// read, or systemd credentials (systemd.exec(5), LoadCredential=); public ones in any. Errors name the place
// and the rule, never a byte of a key.
#pragma once

#include <sys/types.h>

#include <optional>
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

inline constexpr std::size_t kMaxKeyFileBytes = 64U << 10;

// What is in a private key's file, of whatever format. The same rules; nothing if there is no such file.
[[nodiscard]] Result<std::optional<SecretBytes>> load_private_key(const std::string& path,
                                                                  const Environment& environment);
// Likewise of a public key, which anybody may read.
[[nodiscard]] Result<std::optional<Bytes>> load_public_key(const std::string& path);

}  // namespace oakgate::conf
