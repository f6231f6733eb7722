#include "conf/imported.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "conf/text.h"

namespace oakgate::conf {

namespace {

constexpr std::size_t kMaxName = 48;  // leaves room for what makes it unique

std::string date_text(std::chrono::sys_days day) {
  const std::chrono::year_month_day date(day);
  const auto two = [](unsigned value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  return std::to_string(static_cast<int>(date.year())) + "-" + two(static_cast<unsigned>(date.month())) +
         "-" + two(static_cast<unsigned>(date.day()));
}

}  // namespace

void finish_notes(std::vector<Note>& notes) {
  for (Note& note : notes) note.why = printable(note.why);
  std::stable_sort(notes.begin(), notes.end(), [](const Note& a, const Note& b) {
    return (a.line == 0) != (b.line == 0) ? b.line == 0 : a.line < b.line;
  });
}

std::string name_of(std::string_view text) {
  std::string name;
  for (const char c : text.substr(0, kMaxName)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool fine = byte < 0x80 && (std::isalnum(byte) != 0 || c == '.' || c == '_' || c == '-');
    name += fine ? c : '-';
  }
  if (name.empty() || std::isalnum(static_cast<unsigned char>(name[0])) == 0) name.insert(0, "x");
  return name;
}

// Words that other readers of YAML take for booleans, and names that are all digits, stand in quotes.
std::string yaml_name(std::string_view text) {
  std::string name = name_of(text);
  constexpr std::array<std::string_view, 9> kBooleans{"yes",   "no", "on", "off", "true",
                                                      "false", "y",  "n",  "null"};
  std::string lower;
  for (const char c : name) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const bool digits = name.find_first_not_of("0123456789.") == std::string::npos;
  const bool boolean = std::find(kBooleans.begin(), kBooleans.end(), lower) != kBooleans.end();
  return digits || boolean ? "\"" + name + "\"" : name;
}

std::string yaml_quoted(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  return plain && !text.empty() ? double_quoted(text) : std::string{};
}

SecretBytes key_file(const SecretBytes& key) {
  const ByteView raw = key.view();
  Bytes out;
  const bool hexadecimal = raw.size() >= 2 && raw[0] == '0' && raw[1] == 'x';
  const bool plain =
      std::all_of(raw.begin(), raw.end(), [](std::uint8_t c) { return c >= 0x20 && c < 0x7f; });
  if (hexadecimal || !plain) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out = {'0', 'x'};
    for (const std::uint8_t byte : raw) {
      out.push_back(static_cast<std::uint8_t>(kHex[byte >> 4]));
      out.push_back(static_cast<std::uint8_t>(kHex[byte & 15U]));
    }
  } else {
    out.assign(raw.begin(), raw.end());
  }
  out.push_back('\n');
  return SecretBytes(std::move(out));
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string yaml_selectors(const std::vector<Selector>& selectors) {
  std::vector<std::string> texts;
  for (const Selector& one : selectors) {
    const std::string text = one.to_string();
    texts.push_back(one.family() == Family::ipv6 ? "\"" + text + "\"" : text);
  }
  return texts.size() == 1 ? texts.front() : "[" + join(texts) + "]";
}

std::string yaml_policy(const IsakmpPolicy& policy) {
  return std::to_string(policy.number) + ": {encryption: " + std::string(info(policy.encryption).name) +
         ", hash: " + std::string(info(policy.hash).name) +
         ", group: " + std::to_string(static_cast<int>(policy.group)) +
         ", authentication: " + std::string(info(policy.authentication).name) +
         ", lifetime: " + std::to_string(policy.lifetime.count()) + "s}";
}

std::string yaml_set(const TransformSet& set) {
  TransformSet tunnel = set;
  tunnel.mode = EncapsulationMode::tunnel;
  std::string words = to_string(tunnel);
  std::replace(words.begin(), words.end(), ' ', ',');
  for (std::size_t at = 0; (at = words.find(',', at)) != std::string::npos; at += 2)
    words.insert(at + 1, " ");
  const bool transport = set.mode == EncapsulationMode::transport;
  return yaml_name(set.name) + ": " +
         (transport ? "{transforms: [" + words + "], mode: transport}" : "[" + words + "]");
}

std::string yaml_waiver(const std::vector<Weak>& weak, std::chrono::sys_days until, std::string_view reason) {
  std::vector<std::string> words;
  for (const Weak one : weak) words.emplace_back(weak_word(one));
  return "allow_weak: {algorithms: [" + join(words) + "], until: " + date_text(until) + ", reason: \"" +
         std::string(reason) + "\"}";
}

std::string yaml_dpd(const DeadPeerDetection& dpd) {
  if (dpd.mode == DpdMode::off) return "dpd: off";
  return "dpd: {interval: " + std::to_string(dpd.interval.count()) +
         "s, timeout: " + std::to_string(dpd.timeout.count()) +
         "s, mode: " + (dpd.mode == DpdMode::periodic ? "periodic" : "on-demand") + "}";
}

std::string yaml_lifetime(const Lifetime& lifetime) {
  const auto kilobytes = lifetime.kilobytes.value == 0
                             ? 0
                             : std::clamp<std::uint64_t>(lifetime.kilobytes.value, 2560, 4294967295);
  return "lifetime: {time: " + std::to_string(lifetime.time.count()) +
         "s, kilobytes: " + std::to_string(kilobytes) + "}";
}

}  // namespace oakgate::conf
