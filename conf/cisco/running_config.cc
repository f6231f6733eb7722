#include "conf/cisco/running_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace oakgate::conf::cisco {

namespace {

using Words = std::initializer_list<std::string_view>;

// Which words stand in a command's submode, for text whose indentation is lost.
struct Mode {
  std::array<std::string_view, 4> head;
  std::span<const std::string_view> body;
};
constexpr std::array<std::string_view, 6> kPolicyWords{"encr",  "encryption",     "hash",
                                                       "group", "authentication", "lifetime"};
constexpr std::array<std::string_view, 4> kMapWords{"set", "match", "description", "reverse-route"};
constexpr std::array<std::string_view, 1> kTransformWords{"mode"};
constexpr std::array<std::string_view, 14> kTrustpointWords{
    "enrollment",    "query", "crl",     "revocation-check", "subject-name",
    "rsakeypair",    "fqdn",  "keypair", "fingerprint",      "ip-address",
    "serial-number", "usage", "ocsp",    "auto-enroll"};
constexpr std::array<std::string_view, 4> kPubkeyWords{"named-key", "addressed-key", "address", "key-string"};
constexpr std::array<std::string_view, 3> kListWords{"permit", "deny", "remark"};
constexpr std::array<std::string_view, 7> kObjectWords{
    "host", "subnet", "range", "network-object", "group-object", "description", "fqdn"};
constexpr std::array<std::string_view, 5> kTunnelGroupWords{"pre-shared-key", "ikev1", "ikev2", "isakmp",
                                                            "trust-point"};
constexpr std::array<std::string_view, 1> kKeyringWords{"pre-shared-key"};
constexpr std::array<Mode, 15> kModes{{
    {{"crypto", "isakmp", "policy"}, kPolicyWords},
    {{"crypto", "ikev1", "policy"}, kPolicyWords},
    {{"crypto", "map"}, kMapWords},
    {{"crypto", "dynamic-map"}, kMapWords},
    {{"crypto", "ipsec", "transform-set"}, kTransformWords},
    {{"crypto", "ca", "identity"}, kTrustpointWords},
    {{"crypto", "ca", "trustpoint"}, kTrustpointWords},
    {{"crypto", "pki", "trustpoint"}, kTrustpointWords},
    {{"crypto", "key", "pubkey-chain"}, kPubkeyWords},
    {{"crypto", "keyring"}, kKeyringWords},
    {{"ip", "access-list", "extended"}, kListWords},
    {{"object", "network"}, kObjectWords},
    {{"object-group", "network"}, kObjectWords},
    {{"tunnel-group"}, kTunnelGroupWords},
    {{"crypto", "ca", "certificate", "map"}, kTransformWords},
}};

bool matches_head(const Line& line, const Mode& mode) {
  for (std::size_t i = 0; i < mode.head.size() && !mode.head[i].empty(); ++i) {
    if (line.word(i) != mode.head[i]) return false;
  }
  return true;
}

bool belongs(const Line& line, const Command& open) {
  for (const Mode& mode : kModes) {
    if (matches_head(open.line, mode) &&
        std::find(mode.body.begin(), mode.body.end(), line.word(0)) != mode.body.end())
      return true;
  }
  return false;
}

bool is_certificate_chain(const Line& line) {
  return line.begins({"crypto", "ca", "certificate", "chain"}) ||
         line.begins({"crypto", "pki", "certificate", "chain"});
}

// Words of 8 digits as a rule; a terminal's width may have broken them anywhere.
bool is_hexadecimal(const Line& line) {
  return !line.words.empty() && std::all_of(line.words.begin(), line.words.end(), [](const auto& word) {
    return std::all_of(word.begin(), word.end(),
                       [](unsigned char c) { return c < 0x80 && std::isxdigit(c) != 0; });
  });
}

// What a pager leaves behind, then blanks and the backspaces that wiped it.
void drop_pager(std::string_view& text) {
  for (const std::string_view mark : {"<--- More --->", " --More-- ", "--More--"}) {
    const std::size_t at = text.find(mark);
    if (at == std::string_view::npos) continue;
    text.remove_prefix(at + mark.size());
    while (!text.empty() && (text.front() == ' ' || text.front() == '\b' || text.front() == '\r')) {
      text.remove_prefix(1);
    }
    return;
  }
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  std::size_t at = 0;
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (at < text.size() && words.size() < kMaxWords) {
    while (at < text.size() && blank(text[at])) ++at;
    std::size_t end = at;
    while (end < text.size() && !blank(text[end])) ++end;
    if (end > at) words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

// `banner motd ^C`: the text goes on until the delimiter comes again. Nothing if the banner ends on its line,
// as those of PIX and ASA all do.
std::string banner_delimiter(const Line& line) {
  if (line.word(0) != "banner" || line.words.size() < 3) return {};
  const std::string& third = line.words[2];
  std::string delimiter;
  if (third.starts_with("^C")) {
    delimiter = "^C";
  } else if (third[0] == '\x03' || (third.size() == 1 && line.words.size() == 3)) {
    delimiter = third.substr(0, 1);
  } else {
    return {};
  }
  if (third.find(delimiter, delimiter.size()) != std::string::npos) return {};
  for (std::size_t i = 3; i < line.words.size(); ++i) {
    if (line.words[i].find(delimiter) != std::string::npos) return {};
  }
  return delimiter;
}

class Reader {
 public:
  void take(std::string_view text) {
    ++out_.lines;
    if (!delimiter_.empty()) {
      if (text.find(delimiter_) != std::string_view::npos) delimiter_.clear();
      return;
    }
    drop_pager(text);
    const bool indented = !text.empty() && (text.front() == ' ' || text.front() == '\t');
    Line line{out_.lines, split(text)};
    if (line.words.empty() || line.words[0][0] == '!') return;
    note_dialect(line);
    delimiter_ = banner_delimiter(line);
    place(std::move(line), indented);
  }
  RunningConfig finish() { return std::move(out_); }

 private:
  void note_dialect(const Line& line) {
    if (line.begins({"PIX", "Version"})) out_.dialect = Dialect::pix;
    if (line.begins({"ASA", "Version"})) out_.dialect = Dialect::asa;
    // Without the first lines: nobody else has these.
    if (out_.dialect == Dialect::ios && (line.word(0) == "nameif" || line.word(0) == "isakmp")) {
      out_.dialect = Dialect::pix;
    }
    if (out_.dialect == Dialect::ios && line.word(0) == "tunnel-group") out_.dialect = Dialect::asa;
  }

  void place(Line line, bool indented) {
    Command* open = out_.commands.empty() ? nullptr : &out_.commands.back();
    if (in_hexadecimal_) {
      if (is_hexadecimal(line)) {
        open->body.push_back(std::move(line));
        return;
      }
      in_hexadecimal_ = false;  // "quit", or it was cut
      if (line.word(0) == "quit") return;
    }
    if (open == nullptr) {
      out_.commands.push_back({std::move(line), {}});
    } else if (Line* wrapped = wrapped_by(line, *open, indented)) {
      append(*wrapped, line);
    } else if (is_certificate_chain(open->line) && line.word(0) == "certificate") {
      open->body.push_back(std::move(line));
      in_hexadecimal_ = true;
    } else if (indented ? !top_level(line) : belongs(line, *open)) {
      in_hexadecimal_ = line.word(0) == "key-string";
      open->body.push_back(std::move(line));
    } else {
      out_.commands.push_back({std::move(line), {}});
    }
  }

  // The access list's line that goes on here: a terminal of 80 columns breaks long ones, and no command
  // begins with a digit but those of numbered named lists.
  static Line* wrapped_by(const Line& line, Command& open, bool indented) {
    if (std::isdigit(static_cast<unsigned char>(line.words[0][0])) == 0) return nullptr;
    if (open.line.word(0) == "access-list") return &open.line;
    const bool named = open.line.begins({"ip", "access-list"}) && !open.body.empty() && !indented;
    return named && line.words[0].find('.') != std::string::npos ? &open.body.back() : nullptr;
  }

  // Some documents indent every line: these are commands all the same, though `crypto map NAME` is an
  // interface's, and so is `crypto ipsec df-bit` there.
  static bool top_level(const Line& line) {
    if (line.begins({"crypto", "map"})) return line.words.size() > 3;
    if (line.begins({"crypto", "ipsec", "df-bit"})) return false;
    return line.word(0) == "access-list" || line.word(0) == "crypto";
  }

  static void append(Line& line, Line& rest) {
    for (std::string& word : rest.words) {
      if (line.words.size() < kMaxWords) line.words.push_back(std::move(word));
    }
  }

  RunningConfig out_;
  std::string delimiter_;  // of the banner we are in
  bool in_hexadecimal_ = false;
};

}  // namespace

std::string_view Line::word(std::size_t index) const {
  return index < words.size() ? std::string_view(words[index]) : std::string_view{};
}

bool Line::begins(Words with) const {
  std::size_t at = 0;
  return std::all_of(with.begin(), with.end(), [&](std::string_view one) { return word(at++) == one; });
}

RunningConfig read_running_config(std::string_view text) {
  text = text.substr(0, kMaxRunningConfig);
  Reader reader;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    reader.take(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return reader.finish();
}

}  // namespace oakgate::conf::cisco
