#include "daemon/cli/explain_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace oakgate::cli {

namespace {

constexpr std::size_t kWidth = 80;

std::string text_of(const Json& json, const char* member) {
  const auto found = json.find(member);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// By words, each line with `indent` before it.
void append_wrapped(std::string& out, std::string_view text, std::size_t indent) {
  std::string line(indent, ' ');
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (line.size() > indent && line.size() + 1 + word.size() > kWidth) {
      out += line + "\n";
      line.assign(indent, ' ');
    }
    if (line.size() > indent) line += ' ';
    line += word;
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
  }
  out += line + "\n";
}

void append_attributes(std::string& out, const Json& attributes) {
  if (!attributes.is_array() || attributes.empty()) return;
  std::vector<std::array<std::string, 4>> rows{{"attribute", "theirs", "ours", "verdict"}};
  for (const Json& one : attributes) {
    const std::string theirs = text_of(one, "theirs");
    rows.push_back({text_of(one, "attribute"), theirs.empty() ? "(not told)" : theirs, text_of(one, "ours"),
                    text_of(one, "verdict")});
  }
  std::array<std::size_t, 3> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  out += "\n";
  for (const auto& row : rows) {
    out += fmt::format("  {:<{}}  {:<{}}  {:<{}}  {}\n", row[0], widths[0], row[1], widths[1], row[2],
                       widths[2], row[3]);
  }
}

void append_lines(std::string& out, std::string_view title, const Json& lines) {
  if (!lines.is_array() || lines.empty()) return;
  out += fmt::format("\n  {}\n", title);
  for (const Json& line : lines) out += fmt::format("    {}\n", line.get<std::string>());
}

std::string times_text(const Json& failure) {
  const auto times = failure.value("times", std::uint64_t{1});
  return times < 2 ? std::string() : fmt::format(", {} times since {}", times, text_of(failure, "first"));
}

void append_failure(std::string& out, const Json& failure) {
  const std::string tunnel = text_of(failure, "tunnel");
  out += fmt::format("last failure at {}{}{}\n\n", text_of(failure, "at"),
                     tunnel.empty() ? "" : ", tunnel " + tunnel, times_text(failure));
  append_wrapped(out, text_of(failure, "sentence"), 2);
  if (!failure.value("authenticated", true))
    append_wrapped(out, "(Its sender has not proved to be the peer: it may be anybody.)", 2);
  append_attributes(out, failure.value("attributes", Json::array()));
  const Json mend = failure.value("mend", Json::object());
  append_lines(out, "To mend it here:", mend.value("here", Json::array()));
  append_lines(out, "Or at the device, IOS:", mend.value("ios", Json::array()));
  append_lines(out, "Or at the device, PIX:", mend.value("pix", Json::array()));
  if (mend.value("asa", Json::array()) != mend.value("ios", Json::array()))
    append_lines(out, "Or at the device, ASA:", mend.value("asa", Json::array()));
}

void append_short(std::string& out, const Json& failures, std::string_view title) {
  if (!failures.is_array() || failures.empty()) return;
  out += fmt::format("\n{}\n", title);
  for (const Json& one : failures) {
    append_wrapped(out,
                   fmt::format("{}{}: {}", text_of(one, "at"), times_text(one), text_of(one, "sentence")), 2);
  }
}

}  // namespace

std::string explain_screen(const Json& explained) {
  std::string out;
  if (!explained.contains("peer")) {
    append_short(out, explained.value("unknown_callers", Json::array()), "Callers who are not configured:");
    return out.empty() ? "Nobody unknown has called.\n" : out.substr(1);
  }
  const std::string since = text_of(explained, "up_since");
  out += fmt::format("{} ({}): {}{}\n", text_of(explained, "peer"), text_of(explained, "address"),
                     text_of(explained, "state"), since.empty() ? "" : " since " + since);
  const Json failure = explained.value("last_failure", Json());
  if (failure.is_object()) {
    append_failure(out, failure);
    if (!since.empty() && since > text_of(failure, "at")) out += "\nSince then it is up.\n";
  } else {
    out += "No negotiation with it has failed since oakgated started.\n";
  }
  append_short(out, explained.value("earlier", Json::array()), "Before that:");
  append_short(out, explained.value("unknown_callers", Json::array()),
               "Callers who are not configured, in the last hour; perhaps it is one of them:");
  return out;
}

}  // namespace oakgate::cli
