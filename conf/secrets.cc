#include "conf/secrets.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "conf/files.h"
#include "conf/text.h"

namespace oakgate::conf {

namespace {

// Who may read a secret depends on who put it there.
Result<void> check_access(const struct stat& status, bool credential, const std::string& path,
                          const Environment& environment) {
  // systemd grants the service's user access by an ACL, whose mask shows in the group bits; the folder around
  // it is closed to everybody else (systemd.exec(5)).
  const mode_t refused = credential ? 07 : 077;
  if ((status.st_mode & refused) != 0) {
    return fail(ErrorCode::configuration, printable(path) + " can be read or changed by others", "mode 0600",
                "chmod 600 " + printable(path));
  }
  if (!credential && status.st_uid != 0 && status.st_uid != environment.effective_uid) {
    return fail(ErrorCode::configuration,
                printable(path) + " belongs to user " + std::to_string(status.st_uid),
                "root or user " + std::to_string(environment.effective_uid) + " as its owner",
                "chown root " + printable(path));
  }
  return {};
}

Result<SecretBytes> read_all(const FileHandle& file, const std::string& path, std::size_t limit) {
  // One byte more than allowed, to see a longer file; it may have grown since it was looked at.
  SecretBytes content(limit + 1);
  const auto size = read_up_to(file, content.mutable_view());
  if (!size) {
    return fail(ErrorCode::configuration, "cannot read " + printable(path) + ": " + size.error().text);
  }
  if (*size > limit) {
    return fail(ErrorCode::configuration, printable(path) + " is too long for a key",
                "at most " + std::to_string(limit) + " bytes");
  }
  return content.slice(0, *size);
}

int hex_value(std::uint8_t digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// By hand, into the one buffer: from_hex() would leave copies of the key behind.
Result<SecretBytes> decode_hex(ByteView digits, const std::string& path) {
  const auto bad = fail(ErrorCode::configuration, printable(path) + " begins with 0x but is not hexadecimal",
                        "an even number of hexadecimal digits behind 0x and nothing else");
  if (digits.size() % 2 != 0) return bad;
  SecretBytes key(digits.size() / 2);
  for (std::size_t i = 0; i < key.size(); ++i) {
    const int high = hex_value(digits[2 * i]);
    const int low = hex_value(digits[2 * i + 1]);
    if (high < 0 || low < 0) return bad;
    key.mutable_view()[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return key;
}

Result<SecretBytes> decode(const SecretBytes& content, const std::string& path) {
  ByteView text = content.view();
  if (!text.empty() && text.back() == '\n') {
    text = text.first(text.size() - 1);
    if (!text.empty() && text.back() == '\r') text = text.first(text.size() - 1);
  }
  const bool hex = text.size() >= 2 && text[0] == '0' && text[1] == 'x';
  if (text.size() == (hex ? 2U : 0U)) {
    return fail(ErrorCode::configuration, printable(path) + " holds no key", "the pre-shared key");
  }
  if (hex) return decode_hex(text.subspan(2), path);
  return SecretBytes(text);
}

Result<std::string> path_of(const PskSource& source, const Environment& environment) {
  if (source.kind == PskSource::Kind::file) return source.name;
  if (environment.credentials_directory.empty()) {
    return fail(ErrorCode::configuration,
                "no credentials were passed to this process (CREDENTIALS_DIRECTORY)",
                "LoadCredential=" + printable(source.name) + ":PATH in the service's unit (systemd.exec(5))");
  }
  return environment.credentials_directory + "/" + source.name;
}

}  // namespace

Result<SecretBytes> load_pre_shared_key(const PskSource& source, const Environment& environment) {
  const auto path = path_of(source, environment);
  if (!path) return fail(path.error());
  const auto file = open_regular(*path);
  if (!file) return fail(file.error());
  if (auto access =
          check_access(file->status, source.kind == PskSource::Kind::credential, *path, environment);
      !access)
    return fail(access.error());
  const auto content = read_all(file->handle, *path, kMaxSecretBytes);
  if (!content) return fail(content.error());
  return decode(*content, *path);
}

Result<std::optional<SecretBytes>> load_private_key(const std::string& path, const Environment& environment) {
  const auto file = open_regular(path);
  if (!file && file.error().code == ErrorCode::not_found) return std::nullopt;
  if (!file) return fail(file.error());
  if (auto access = check_access(file->status, false, path, environment); !access)
    return fail(access.error());
  auto content = read_all(file->handle, path, kMaxKeyFileBytes);
  if (!content) return fail(content.error());
  return std::optional<SecretBytes>(std::move(*content));
}

Result<std::optional<Bytes>> load_public_key(const std::string& path) {
  const auto file = open_regular(path);
  if (!file && file.error().code == ErrorCode::not_found) return std::nullopt;
  if (!file) return fail(file.error());
  const auto content = read_all(file->handle, path, kMaxKeyFileBytes);
  if (!content) return fail(content.error());
  return std::optional<Bytes>(to_bytes(content->view()));
}

}  // namespace oakgate::conf
