#include "daemon/ssh/authorized_keys.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace oakgate::ssh {

namespace {

constexpr std::size_t kMaxSubject = 512;
constexpr std::string_view kDigits = "0123456789ABCDEF";

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("=,.@/_+-").find(c) != std::string_view::npos;
}

// One word for a POSIX shell: sshd runs a forced command by the user's login shell.
std::string shell_word(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string out = "'";
  for (const char c : text) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

// Within the quotes of an option: sshd knows \" and nothing else.
std::string option_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out;
}

int hex_value(char c) {
  const std::size_t at = kDigits.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::string encode_subject(std::string_view subject) {
  std::string out;
  for (const char c : subject.substr(0, kMaxSubject)) {
    if (is_plain(c) && !(out.empty() && c == '-')) {  // not to be taken for an option
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string decode_subject(std::string_view word) {
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      if (!is_plain(word[i])) return {};
      out += word[i];
      continue;
    }
    const int high = i + 2 < word.size() ? hex_value(word[i + 1]) : -1;
    const int low = i + 2 < word.size() ? hex_value(word[i + 2]) : -1;
    if (high < 0 || low < 0) return {};
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string authorized_line(const AuthorizedKey& key, const ShellCommand& command, const std::string& user) {
  const std::string words =
      fmt::format("{} shell {}--login {} --operator {}", shell_word(command.program),
                  key.change ? "" : "--look ", shell_word(command.folder), encode_subject(key.subject));
  const auto expiry = fmt::gmtime(std::chrono::system_clock::to_time_t(key.expiry));
  return fmt::format("expiry-time=\"{:%Y%m%d%H%M%S}Z\",restrict,pty,command=\"{}\" {} {}\n", expiry,
                     option_text(words), key.key.line(), user);
}

}  // namespace oakgate::ssh
