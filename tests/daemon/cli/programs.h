// Runs the built programs as an operator's shell would, without a terminal, and keeps what they say.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "tests/pki/support/folder.h"

namespace oakgate::test {

struct Ran {
  int exit = -1;
  std::string out;
  std::string err;
};

inline std::string read_text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline Ran run_program(const std::string& program, const std::string& arguments) {
  const Folder folder;
  const char* root = std::getenv("OAKGATE_BUILD_ROOT");
  const std::string place = folder.path().string();
  const std::string command = "env -u OAKGATE_SOCKET " + std::string(root != nullptr ? root : ".") +
                              "/daemon/" + program + " " + arguments + " >" + place + "/out 2>" + place +
                              "/err </dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(place + "/out"), read_text(place + "/err")};
}

inline Ran run_oakgate(const std::string& arguments) {
  return run_program("oakgate", arguments);
}

}  // namespace oakgate::test
