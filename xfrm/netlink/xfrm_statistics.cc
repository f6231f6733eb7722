#include "xfrm/netlink/xfrm_statistics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

namespace {

constexpr const char* kFile = "/proc/thread-self/net/xfrm_stat";
constexpr std::size_t kMostBytes = 16384;

struct Row {
  std::string_view name;
  DropReason reason;
};
// Documentation/networking/xfrm_proc.rst. A state mismatch is the SA's own selectors or its encapsulation; a
// template mismatch is a packet that was not protected as its policy wants, most often not at all.
constexpr std::array kRows{
    Row{"XfrmInHdrError", DropReason::malformed},
    Row{"XfrmInNoStates", DropReason::invalid_spi},
    Row{"XfrmInStateProtoError", DropReason::not_authentic},
    Row{"XfrmInStateModeError", DropReason::malformed},
    Row{"XfrmInStateSeqError", DropReason::replayed},
    Row{"XfrmInStateExpired", DropReason::expired},
    Row{"XfrmInStateMismatch", DropReason::selector_mismatch},
    Row{"XfrmInStateInvalid", DropReason::invalid_spi},
    Row{"XfrmInTmplMismatch", DropReason::plaintext},
    Row{"XfrmInNoPols", DropReason::selector_mismatch},
    Row{"XfrmInPolBlock", DropReason::plaintext},
    Row{"XfrmFwdHdrError", DropReason::malformed},
    Row{"XfrmOutNoStates", DropReason::no_sa},
    Row{"XfrmOutStateModeError", DropReason::malformed},
    Row{"XfrmOutStateSeqError", DropReason::expired},
    Row{"XfrmOutStateExpired", DropReason::expired},
    Row{"XfrmOutPolBlock", DropReason::no_sa},
    Row{"XfrmOutPolDead", DropReason::no_sa},
    Row{"XfrmOutStateInvalid", DropReason::no_sa},
};

DropReason reason_of(std::string_view name) {
  const auto found =
      std::find_if(kRows.begin(), kRows.end(), [name](const Row& row) { return row.name == name; });
  return found == kRows.end() ? DropReason::crypto_failed : found->reason;
}

std::string_view next_word(std::string_view& text) {
  constexpr std::string_view kSpace = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  const std::string_view word = text.substr(0, std::min(text.find_first_of(kSpace), text.size()));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace

DropCounts parse_xfrm_statistics(std::string_view text) {
  DropCounts counts;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string_view name = next_word(line);
    const std::string_view number = next_word(line);
    std::uint64_t packets = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), packets);
    // An acquire that nobody heard is no packet: the packet counts as XfrmOutNoStates.
    if (error != std::errc{} || end != number.data() + number.size() || name == "XfrmAcquireError") continue;
    counts.add(reason_of(name), packets);
  }
  return counts;
}

Result<DropCounts> read_xfrm_statistics() {
  const UniqueFd file(::open(kFile, O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> part{};
  ssize_t got = -1;
  while (file.valid() && text.size() < kMostBytes && (got = ::read(file.get(), part.data(), part.size())) > 0)
    text.append(part.data(), static_cast<std::size_t>(got));
  if (file.valid() && got >= 0) return parse_xfrm_statistics(text);
  return fail(ErrorCode::unsupported, std::string("cannot read ") + kFile + ": " + std::strerror(errno),
              "a kernel with CONFIG_XFRM_STATISTICS, and /proc mounted",
              "the counters of each SA are in `oakgate show crypto ipsec sa`");
}

DropCounts since(const DropCounts& before, const DropCounts& now) {
  DropCounts result;
  for (const DropReasonRow& row : kDropReasons) {
    const std::uint64_t old = before.of(row.reason);
    if (now.of(row.reason) > old) result.add(row.reason, now.of(row.reason) - old);
  }
  return result;
}

}  // namespace oakgate
