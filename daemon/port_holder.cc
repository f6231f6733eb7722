// Who holds a UDP port: the socket's inode from /proc/net/udp, then the process that has it open. Only for an
// error message: whatever cannot be read is left out.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "daemon/sockets.h"
#include "daemon/text.h"

namespace oakgate {

namespace {

namespace fs = std::filesystem;

// Lines are "sl local_address rem_address st queues tr:when retrnsmt uid timeout inode ..."; addresses are
// hexadecimal "0100007F:01F4".
void add_inodes(const char* table, std::uint16_t port, std::set<std::string>& inodes) {
  std::ifstream stream(table);
  const std::string wanted = fmt::format(":{:04X}", port);
  std::string line;
  std::getline(stream, line);
  while (std::getline(stream, line)) {
    std::istringstream words(line);
    std::string slot;
    std::string local;
    std::string inode;
    words >> slot >> local;
    for (int i = 0; i < 8; ++i) words >> inode;
    if (local.ends_with(wanted) && !inode.empty()) inodes.insert("socket:[" + inode + "]");
  }
}

bool has_open(const fs::path& process, const std::set<std::string>& sockets) {
  std::error_code ignored;
  for (fs::directory_iterator fd(process / "fd", ignored), end; !ignored && fd != end;
       fd.increment(ignored)) {
    const fs::path target = fs::read_symlink(fd->path(), ignored);
    if (!ignored && sockets.contains(target.string())) return true;
    ignored.clear();  // it may just have been closed
  }
  return false;
}

}  // namespace

std::string holder_of_udp_port(std::uint16_t port) {
  std::set<std::string> sockets;
  add_inodes("/proc/net/udp", port, sockets);
  add_inodes("/proc/net/udp6", port, sockets);
  if (sockets.empty()) return {};
  std::error_code ignored;
  for (fs::directory_iterator process("/proc", ignored), end; !ignored && process != end;
       process.increment(ignored)) {
    const std::string pid = process->path().filename().string();
    if (!std::all_of(pid.begin(), pid.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    if (!has_open(process->path(), sockets)) continue;
    std::ifstream stream(process->path() / "comm");
    std::string name;
    std::getline(stream, name);
    return fmt::format("{} (pid {})", printable(name), pid);
  }
  return {};
}

}  // namespace oakgate
