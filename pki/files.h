// Files of pki/: read whole and bounded, written so that a crash leaves the old content or the new one.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"

namespace oakgate::pki {

inline constexpr mode_t kSecretMode = 0600;
inline constexpr mode_t kPublicMode = 0644;
inline constexpr std::size_t kMaxKeyFileBytes = 65536;

// ErrorCode::not_found if there is no such file; ErrorCode::configuration if it cannot be read, is no regular
// file, or has more than `max_bytes`.
[[nodiscard]] Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max_bytes);
[[nodiscard]] Result<SecretBytes> read_secret_file(const std::filesystem::path& path,
                                                   std::size_t max_bytes = kMaxKeyFileBytes);
// Into a new file of that mode beside `path`, synced, then renamed: `path` is never half-written, and no one
// but its owner ever reads a secret. Its folder is made if it is missing (mode 0700).
// ErrorCode::not_permitted or ErrorCode::internal name the path and the reason.
[[nodiscard]] Result<void> write_file(const std::filesystem::path& path, ByteView content, mode_t mode);

}  // namespace oakgate::pki
