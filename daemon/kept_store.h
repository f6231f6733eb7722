// What `on_exit: keep` remembers beyond the daemon's life: state_dir/kept-sas, mode 0600, without keys. Each
// change is one line of JSON at the file's end, so that it costs the same however many SAs there are, and a
// daemon that is killed has said everything. The file is written anew, as a whole, when most of its lines are
// of the past, and at each start.
//
// The SAs it speaks of end with the machine, so no line is ever synced to the disk; a file of an earlier boot
// is not looked at, for its SAs are gone and its times mean nothing.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/result.h"
#include "ike/kept_pair.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

inline constexpr std::size_t kMaxKeptFile = std::size_t{512} << 20;
inline constexpr std::size_t kMaxKeptLine = 4096;

// One line each, with its newline; and what the lines of a file come to, oldest change first. A last line
// without newline was being written when the daemon was killed, and is left out.
[[nodiscard]] std::string kept_header(std::string_view boot);
[[nodiscard]] std::string kept_line(const ike::KeptPair& pair);
[[nodiscard]] std::string forgotten_line(const SaId& in);
// ErrorCode::malformed names the line. Empty if the file is of another boot.
[[nodiscard]] Result<std::vector<ike::KeptPair>> parse_kept(std::string_view text, std::string_view boot);

class KeptStore {
 public:
  // `boot`: what tells this life of the machine from others (boot_id()).
  KeptStore(const std::string& state_dir, std::string boot);

  // What an earlier run has left. None if there is no file; of a file that is not ours an error.
  [[nodiscard]] Result<std::vector<ike::KeptPair>> load() const;
  // From now on changes are written. What was in the file goes.
  [[nodiscard]] Result<void> open();
  // The file goes.
  void close();
  [[nodiscard]] bool is_open() const { return fd_.get() >= 0; }

  // An error once, until it works again; what could not be written is made up for by the next change.
  [[nodiscard]] Result<void> keep(const ike::KeptPair& pair);
  [[nodiscard]] Result<void> forget(const SaId& in);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] Result<void> append(const std::string& line);
  [[nodiscard]] Result<void> rewrite();

  std::string path_;
  std::string boot_;
  UniqueFd fd_;
  std::map<SaId, std::string> lines_;  // by inbound SA: what the file has to say
  std::size_t written_ = 0;            // lines in the file, those of the past too
  bool broken_ = false;
};

// /proc/sys/kernel/random/boot_id; empty if there is none.
[[nodiscard]] std::string boot_id();

}  // namespace oakgate
