#include "conf/hooks.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr std::size_t kMaxHookPath = 1024;
constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<struct stat> look_at(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return fail(ErrorCode::configuration, "cannot look at " + printable(path) + ": " + std::strerror(errno),
                "a program that can be run");
  }
  return status;
}

Result<void> check_owner(const struct stat& status, const std::string& path, uid_t user) {
  if (status.st_uid == 0 || status.st_uid == user) return {};
  return fail(ErrorCode::configuration, printable(path) + " belongs to user " + std::to_string(status.st_uid),
              "root or user " + std::to_string(user) + " as its owner", "chown root " + printable(path));
}

Result<void> check_file(const std::string& path, uid_t user) {
  const auto status = look_at(path);
  if (!status) return fail(status.error());
  if (!S_ISREG(status->st_mode))
    return fail(ErrorCode::configuration, printable(path) + " is no file", "a program that can be run");
  if (auto owned = check_owner(*status, path, user); !owned) return owned;
  if ((status->st_mode & kOthersWrite) != 0) {
    return fail(ErrorCode::configuration, printable(path) + " can be changed by others",
                "a file that only its owner can write", "chmod go-w " + printable(path));
  }
  if ((status->st_mode & S_IXUSR) == 0) {
    return fail(ErrorCode::configuration, printable(path) + " is not executable", "a program that can be run",
                "chmod u+x " + printable(path));
  }
  return {};
}

Result<void> check_folders(std::string_view path, uid_t user) {
  bool nearest = true;
  for (std::string_view folder = folder_of(path);; folder = folder_of(folder)) {
    const std::string name(folder);
    const auto status = look_at(name);
    if (!status) return fail(status.error());
    if (auto owned = check_owner(*status, name, user); !owned) return owned;
    const bool sticky = (status->st_mode & S_ISVTX) != 0;
    if ((status->st_mode & kOthersWrite) != 0 && (nearest || !sticky)) {
      return fail(ErrorCode::configuration,
                  "others can change what is in the folder " + printable(name) + ", and so the program",
                  "a folder that only its owner can write", "chmod go-w " + printable(name));
    }
    nearest = false;
    if (name == "/") return {};
  }
}

Parsed<std::string> parse_hook_path(std::string_view text) {
  const std::string expected = "an absolute path like /etc/oakgate/updown, or none";
  if (!text.starts_with('/') || text.ends_with('/'))
    return fault(quote(text) + " is not a program's absolute path", expected);
  if (text.size() > kMaxHookPath) {
    return fault("the path is too long", "at most " + std::to_string(kMaxHookPath) + " bytes");
  }
  return std::string(text);
}

}  // namespace

Result<std::string> check_hook_file(const std::string& path, uid_t effective_uid) {
  struct Free {
    void operator()(char* text) const { std::free(text); }
  };
  const std::unique_ptr<char, Free> resolved(::realpath(path.c_str(), nullptr));
  if (!resolved) {
    return fail(ErrorCode::configuration, "cannot find " + printable(path) + ": " + std::strerror(errno),
                "a program that can be run");
  }
  const std::string file(resolved.get());
  if (auto good = check_file(file, effective_uid); !good) return fail(good.error());
  if (auto good = check_folders(file, effective_uid); !good) return fail(good.error());
  return file;
}

std::optional<HookConfig> read_updown(const MapReader& map, const std::optional<HookConfig>& inherited) {
  const auto field = map.optional("updown");
  if (!field) return inherited;
  const auto text = free_text(*field, "a program's absolute path, or none");
  if (!text || *text == "none") return std::nullopt;
  const auto path = read(*field, "a program's absolute path, or none", parse_hook_path);
  if (!path) return std::nullopt;
  return HookConfig{*path, field->node->position};
}

}  // namespace oakgate::conf
