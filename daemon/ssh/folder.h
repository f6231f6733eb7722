// The folder that oakgated keeps for logins: what is in it.
#pragma once

#include <filesystem>
#include <string>

namespace oakgate::ssh {

inline constexpr const char* kSettingsFile = "ssh.yaml";  // conf::published_yaml
inline constexpr const char* kCaFile = "ca.pem";
inline constexpr const char* kListsFile = "crls.pem";

[[nodiscard]] inline std::string settings_file(const std::string& folder) {
  return (std::filesystem::path(folder) / kSettingsFile).string();
}

}  // namespace oakgate::ssh
