// Lines of authorized_keys: sshd(8). What a certificate says never reaches sshd or a shell as it is.
#pragma once

#include <string>
#include <string_view>

#include "daemon/ssh/public_key.h"
#include "ike/base/types.h"

namespace oakgate::ssh {

// What a login with that key comes to.
struct AuthorizedKey {
  PublicKey key;
  WallTime expiry{};    // of its certificate's path
  std::string subject;  // of its certificate, RFC 4514
  bool change = false;  // false: only verbs that change nothing
};

// What becomes of a login: the shell, and where it finds its settings.
struct ShellCommand {
  std::string program;  // path of `oakgate`
  std::string folder;   // --login
};

[[nodiscard]] std::string authorized_line(const AuthorizedKey& key, const ShellCommand& command,
                                          const std::string& user);

// A subject as one word that neither sshd nor a shell gives a meaning: what is not a letter, a digit or one
// of `=,.@/_+-` becomes %XX; and back (nothing: it is none).
[[nodiscard]] std::string encode_subject(std::string_view subject);
[[nodiscard]] std::string decode_subject(std::string_view word);

}  // namespace oakgate::ssh
