#include "daemon/cli/decode.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "daemon/capture/capture_file.h"
#include "daemon/capture/wireshark_tables.h"
#include "daemon/cli/commands.h"
#include "daemon/core_dumps.h"
#include "daemon/decode/decoder.h"
#include "daemon/text.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::cli {

namespace {

constexpr std::size_t kWidth = 96;  // sentences are broken there

Failure unreadable(const std::string& path, int code) {
  return failure_of(Error{code == ENOENT ? ErrorCode::not_found : ErrorCode::not_permitted,
                          fmt::format("{} cannot be read: {}", printable(path, 1024), std::strerror(code)),
                          "a file that you may read",
                          {},
                          {}});
}

// The whole file; wiped when it ends, for it may be a table of keys.
Outcome<SecretBytes> read_file(const std::string& path, std::size_t at_most) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return tl::unexpected(unreadable(path, errno));
  if (S_ISDIR(status.st_mode)) return tl::unexpected(unreadable(path, EISDIR));
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) > at_most) {
    return tl::unexpected(failure_of(Error{ErrorCode::malformed,
                                           fmt::format("{} is no file, or too long", printable(path, 1024)),
                                           fmt::format("a file of at most {} bytes", at_most),
                                           "cut it with editcap or tcpdump -r",
                                           {}}));
  }
  SecretBytes bytes(static_cast<std::size_t>(status.st_size));
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.mutable_view().data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(unreadable(path, errno));
    if (got == 0) return bytes.slice(0, size);  // it became shorter
    size += static_cast<std::size_t>(got);
  }
  return bytes;
}

Outcome<void> add_table(const std::string& path, capture::KeyTables& tables) {
  const Outcome<SecretBytes> text = read_file(path, capture::kMaxTableBytes);
  if (!text) return tl::unexpected(text.error());
  const std::string_view view(static_cast<const char*>(static_cast<const void*>(text->view().data())),
                              text->size());
  const Result<void> read = capture::read_table(view, path, tables);
  if (!read) return tl::unexpected(failure_of(read.error()));
  return {};
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

// A table, or a folder that has one or both.
Outcome<void> add_keys(const std::string& path, capture::KeyTables& tables) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return tl::unexpected(unreadable(path, errno));
  if (!S_ISDIR(status.st_mode)) return add_table(path, tables);
  bool any = false;
  for (const std::string_view name : {capture::kIkeTable, capture::kEspTable}) {
    const std::string file = path + "/" + std::string(name);
    if (!exists(file)) continue;
    any = true;
    if (auto added = add_table(file, tables); !added) return added;
  }
  if (any) return {};
  return tl::unexpected(
      failure_of(Error{ErrorCode::not_found,
                       printable(path, 1024) + " has no table of keys",
                       fmt::format("{} or {}", capture::kIkeTable, capture::kEspTable),
                       "a folder that `oakgate capture` made, or one of Wireshark's profiles",
                       {}}));
}

std::string proposals_screen(const Json& payload) {
  std::string text;
  if (!payload.contains("proposals")) return text;
  for (const Json& proposal : payload["proposals"]) {
    for (const Json& transform : proposal["transforms"]) {
      const std::string spi = proposal.value("spi", "");
      text += fmt::format("        {} proposal {}{}, transform {}: {}\n", proposal.value("protocol", ""),
                          proposal.value("number", 0), spi.empty() ? "" : ", SPI 0x" + spi,
                          transform.value("number", 0), transform.value("text", ""));
    }
  }
  return text;
}

std::string isakmp_screen(const Json& packet) {
  std::string text = fmt::format(" {}", packet.value("exchange", ""));
  if (packet.value("message_id", "") != "0x00000000") text += " " + packet.value("message_id", "");
  text += fmt::format(", {} bytes", packet.value("length", 0));
  if (packet.value("fragment", false))
    text += packet.contains("reassembled") ? ", its last fragment" : ", a fragment";
  if (packet.value("encrypted", false))
    text += packet.value("decrypted", false) ? ", decrypted" : ", encrypted";
  if (packet.contains("repeats"))
    text += fmt::format(", packet {} again", packet["repeats"].get<std::uint64_t>());
  text += "\n";
  if (packet.contains("obstacle")) text += "      (" + packet.value("obstacle", "") + ")\n";
  if (packet.contains("repeats")) return text;
  for (const Json& payload : packet["payloads"]) {
    text += fmt::format("      {}: {}\n", payload.value("payload", ""), payload.value("text", ""));
    text += proposals_screen(payload);
  }
  return text;
}

std::string esp_screen(const Json& packet) {
  std::string text = fmt::format(" SPI {} sequence {}, {} bytes", packet.value("spi", "?"),
                                 packet.value("sequence", 0U), packet.value("length", 0));
  if (packet.contains("esp")) text += "; ESP" + esp_screen(packet["esp"]);
  if (packet.contains("inner")) text += ": " + packet.value("inner", "");
  if (packet.contains("obstacle")) text += " (" + packet.value("obstacle", "") + ")";
  return text;
}

std::string broken(const std::string& sentence) {
  std::string out = "- ";
  std::size_t column = 2;
  std::string_view rest = sentence;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    if (column > 2 && column + word.size() > kWidth) {
      out.back() = '\n';
      out += "  ";
      column = 2;
    }
    out += word;
    out += ' ';
    column += word.size() + 1;
  }
  out.back() = '\n';
  return out;
}

struct Output {
  bool json = false;
  bool first = true;
  void packet(const Json& one) {
    std::string text;
    if (json) {
      text = (first ? "\n" : ",\n") + dump(one);
    } else {
      text = packet_screen(one);
    }
    first = false;
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
};

}  // namespace

std::string packet_screen(const Json& packet) {
  const std::string kind = packet.value("kind", "");
  std::string text =
      fmt::format("{:>5} {} {} -> {} {}", packet["number"].get<std::uint64_t>(), packet.value("time", ""),
                  packet.value("from", ""), packet.value("to", ""), kind);
  if (packet.contains("payloads")) return text + isakmp_screen(packet);
  if (packet.contains("spi")) return text + esp_screen(packet) + "\n";
  if (packet.contains("obstacle")) text += " (" + packet.value("obstacle", "") + ")";
  return text + "\n";
}

std::string story_screen(const Json& story) {
  std::string text = "\nWhat happened:\n";
  for (const Json& sentence : story["said"]) text += broken(sentence.get<std::string>());
  return text;
}

int decode(const Arguments& arguments) {
  forbid_core_dumps();
  capture::KeyTables tables;
  for (const std::string& path : arguments.decoded.keys) {
    if (auto added = add_keys(path, tables); !added) return report(added.error(), arguments.json);
  }
  const Outcome<SecretBytes> file = read_file(arguments.decoded.file, capture::kMaxFileBytes);
  if (!file) return report(file.error(), arguments.json);
  decode::Decoder decoder(tables);
  Output output{arguments.json};
  bool begun = false;
  const auto begin = [&] {
    if (!arguments.json || begun) return;
    const std::string name = dump(Json(printable(arguments.decoded.file, 1024)));
    fmt::print("{{\"version\":{},\"file\":{},\"packets\":[", kControlVersion, name);
    begun = true;
  };
  const auto end = capture::read_capture(file->view(), [&](const capture::Frame& frame) {
    begin();
    if (const Json packet = decoder.take(frame); !packet.is_null()) output.packet(packet);
  });
  if (!end) return report(failure_of(end.error()), arguments.json);
  begin();
  const Json story = decoder.story();
  if (arguments.json) {
    fmt::print("],\"story\":{},\"flaw\":{}}}\n", dump(story),
               end->flaw.empty() ? "null" : dump(Json(printable(end->flaw, 1024))));
  } else {
    fmt::print("{}", story_screen(story));
  }
  if (end->flaw.empty()) return static_cast<int>(Exit::done);
  if (arguments.json) return static_cast<int>(Exit::failed);
  return report(failure_of(Error{ErrorCode::malformed,
                                 fmt::format("{}: the file is broken: {}",
                                             printable(arguments.decoded.file, 1024), end->flaw),
                                 "a whole capture file",
                                 "what is before the break is shown",
                                 {}}),
                false);
}

}  // namespace oakgate::cli
