// A folder with programs to run, for the tests of daemon/hooks/.
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace oakgate::hooks {

struct Scripts {
  Scripts() {
    std::string name = "/tmp/oakgate-hooks-test.XXXXXX";
    folder = ::mkdtemp(name.data());
  }
  ~Scripts() { std::filesystem::remove_all(folder); }
  Scripts(const Scripts&) = delete;
  Scripts& operator=(const Scripts&) = delete;

  [[nodiscard]] std::string write(const std::string& name, const std::string& body) const {
    std::string path = folder + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    ::chmod(path.c_str(), 0755);
    return path;
  }
  [[nodiscard]] std::string content(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(folder + "/" + name).rdbuf();
    return text.str();
  }
  std::string folder;
};

}  // namespace oakgate::hooks
