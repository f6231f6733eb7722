// OpenLDAP's server on a loopback port of its own, with a temporary folder; ended with the object. Throws
// when it does not start.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "xfrm/netlink/unique_fd.h"

namespace oakgate::test {

class Slapd {
 public:
  // `entries` in LDIF, below the suffix c=us (its own entry is there).
  explicit Slapd(const std::string& entries);
  ~Slapd();
  Slapd(const Slapd&) = delete;
  Slapd& operator=(const Slapd&) = delete;
  [[nodiscard]] std::string url(const std::string& rest) const;  // ldap://127.0.0.1:PORT/rest

 private:
  void load(const std::string& entries) const;
  void start();
  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
  UniqueFd output_;  // kept open: a server that writes into a closed pipe ends
};

}  // namespace oakgate::test
