#include "daemon/cli/ios_words.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <string_view>

namespace oakgate::cli {

namespace {

std::string text(const Json& json, const char* member) {
  const auto found = json.find(member);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number(const Json& json, const char* member) {
  const auto found = json.find(member);
  if (found == json.end() || !found->is_number_integer()) return 0;
  const auto value = found->get<std::int64_t>();
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

const Json& list(const Json& json, const char* member) {
  static const Json none = Json::array();
  const auto found = json.find(member);
  return found != json.end() && found->is_array() ? *found : none;
}

void drop(std::string_view& word, std::string_view prefix, std::string_view suffix) {
  if (word.starts_with(prefix)) word.remove_prefix(prefix.size());
  if (word.ends_with(suffix)) word.remove_suffix(suffix.size());
}

// "esp-aes-256 esp-sha256-hmac" as IOS has it in a column: "AES256+SHA256".
std::string algorithm_column(std::string_view words) {
  std::string out;
  while (!words.empty()) {
    std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    drop(word, "esp-", "-hmac");
    drop(word, "ah-", "");
    drop(word, "comp-", "");
    if (!out.empty()) out += '+';
    for (const char c : word) {
      if (c != '-') out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
  }
  return out;
}

// "2026-11-30T18:10:27Z" as IOS stamps its lines.
std::string stamp(const std::string& iso) {
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  bool good = iso.size() == kForm.size();
  for (std::size_t i = 0; good && i < kForm.size(); ++i) {
    good = kForm[i] == '0' ? iso[i] >= '0' && iso[i] <= '9' : iso[i] == kForm[i];
  }
  const int month = good ? (iso[5] - '0') * 10 + (iso[6] - '0') : 0;
  if (month < 1 || month > 12) return "*";
  const int day = (iso[8] - '0') * 10 + (iso[9] - '0');
  return fmt::format("*{} {:2} {}: ", kMonths[static_cast<std::size_t>(month - 1)], day, iso.substr(11, 8));
}

}  // namespace

std::string ios_connections(const Json& result) {
  std::string out = fmt::format("{:>6}  {:<10} {:<15} {:<6} {:<19} {:>8} {:>8}\n", "ID", "Interface",
                                "IP-Address", "State", "Algorithm", "Encrypt", "Decrypt");
  for (const Json& ident : list(result, "idents")) {
    for (const char* direction : {"inbound", "outbound"}) {
      const bool in = std::string_view(direction) == "inbound";
      for (const Json& sa : list(ident, direction)) {
        const std::uint64_t packets = number(sa, "packets");
        out += fmt::format("{:>6}  {:<10} {:<15} {:<6} {:<19} {:>8} {:>8}\n", number(sa, "conn_id"),
                           text(result, "data_plane"), text(ident, "local_endpoint"), "set",
                           algorithm_column(text(sa, "transform")), in ? 0 : packets, in ? packets : 0);
      }
    }
  }
  return out;
}

std::string ios_debugging(const Json& result) {
  std::string out;
  for (const Json& stream : list(result, "streams")) {
    const auto facility = find_facility(text(stream, "facility"));
    if (!facility) continue;
    if (out.empty()) out = "Cryptographic Subsystem:\n";
    const std::string peer = text(stream, "peer");
    out += fmt::format("  {} debugging is on{}", info(*facility).ios, peer.empty() ? "" : ", peer " + peer);
    const std::uint64_t left_out = number(stream, "left_out");
    out += left_out == 0 ? "\n" : fmt::format(" ({} line{} left out)\n", left_out, left_out == 1 ? "" : "s");
  }
  return out;
}

std::string ios_debug_lines(const Json& event) {
  constexpr std::string_view kIsakmp = "ISAKMP: ";
  const std::string head = stamp(text(event, "at"));
  const std::string connection = fmt::format("ISAKMP:({}): ", number(event, "connection"));
  std::string line = text(event, "line");
  const bool isakmp = line.starts_with(kIsakmp);
  if (isakmp) line.replace(0, kIsakmp.size(), connection);
  const std::string peer = text(event, "peer");
  const std::string tunnel = text(event, "tunnel");
  if (!peer.empty()) line += fmt::format(" [{}{}{}]", peer, tunnel.empty() ? "" : "/", tunnel);
  std::string out;
  for (const Json& proposal : list(event, "proposals")) {
    out += fmt::format("{}{}Checking {} against {}\n", head, connection, text(proposal, "offered"),
                       text(proposal, "wanted"));
    for (const Json& difference : list(proposal, "differences")) {
      out += fmt::format("{}ISAKMP:      {} offered: {}, ours: {}\n", head, text(difference, "attribute"),
                         text(difference, "theirs"), text(difference, "ours"));
    }
  }
  return out + head + line + "\n";
}

std::string ios_clock(std::chrono::system_clock::time_point now) {
  const std::tm date = fmt::gmtime(std::chrono::system_clock::to_time_t(now));
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(
      now - std::chrono::floor<std::chrono::seconds>(now));
  return fmt::format("{:%H:%M:%S}.{:03} UTC {:%a %b} {} {:%Y}\n", date, milliseconds.count(), date,
                     date.tm_mday, date);
}

}  // namespace oakgate::cli
