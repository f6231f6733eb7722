#include "daemon/cli/command_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "conf/text.h"
#include "daemon/cli/verbs.h"
#include "daemon/text.h"

namespace oakgate::cli {

namespace {

using Words = std::vector<std::string>;
using Known = std::set<std::string_view>;

std::size_t length_of(const VerbRow& row) {
  std::size_t length = 0;
  while (length < row.words.size() && row.words[length] != nullptr) ++length;
  return length;
}

// The words that may follow `before`.
Known words_after(const Words& before) {
  Known next;
  for (const VerbRow& row : verb_table()) {
    const std::size_t length = length_of(row);
    if (length > before.size() && std::equal(before.begin(), before.end(), row.words.begin()))
      next.insert(row.words[before.size()]);
  }
  return next;
}

const VerbRow* row_of(const Words& words) {
  const auto verbs = verb_table();
  const auto found = std::find_if(verbs.begin(), verbs.end(), [&](const VerbRow& row) {
    return length_of(row) == words.size() && std::equal(words.begin(), words.end(), row.words.begin());
  });
  return found == verbs.end() ? nullptr : &*found;
}

// ---- Abbreviations: `sh cr isa sa` -----------------------------------------------------------------------

// IOS 11.3's word makes way for the newer one: `tr` is `transform-set`.
constexpr std::string_view kOldWord = "transform-proposal";
constexpr std::string_view kNewWord = "transform-set";
constexpr std::string_view kNeverCut = "shell";  // `sh` is `show` to whoever knows IOS

// `word` in full, if it is the beginning of one of `known`; as it stands if it is of none.
Outcome<std::string> in_full(const std::string& word, const Known& known, const Words& before = {}) {
  if (known.contains(word)) return word;
  std::string all;
  std::string_view found;
  for (const std::string_view candidate : known) {
    if (!candidate.starts_with(word) || candidate == kNeverCut) continue;
    if (candidate == kOldWord && kNewWord.starts_with(word)) continue;
    all += (found.empty() ? "" : ", ") + std::string(candidate);
    found = candidate;
  }
  if (found.empty()) return word;
  if (found.size() != all.size()) return tl::unexpected(usage("`" + word + "` is ambiguous: " + all, before));
  return std::string(found);
}

// "PEER" and the like: what an operator names himself.
std::string_view operand_name(Operand operand) {
  switch (operand) {
    case Operand::status:
    case Operand::peer:
    case Operand::device:
    case Operand::capture:
    case Operand::called:
      return "PEER";
    case Operand::target:
    case Operand::ping:
      return "PEER/TUNNEL";
    case Operand::map:
    case Operand::tag:
      return "TAG";
    case Operand::interface:
      return "INTERFACE";
    case Operand::sa:
    case Operand::key_address:
      return "ADDRESS";
    case Operand::connection:
    case Operand::any_connection:
      return "ID";
    case Operand::file:
    case Operand::foreign:
    case Operand::capture_file:
    case Operand::ipsec_conf:
      return "FILE";
    case Operand::trustpoint:
    case Operand::authenticate:
    case Operand::enroll:
    case Operand::import:
    case Operand::host_key:
    case Operand::known_hosts:
      return "TRUSTPOINT";
    case Operand::key:
    case Operand::new_key:
    case Operand::old_key:
    case Operand::key_name:
      return "NAME";
    default:
      return {};
  }
}

// `--watch` may stand alone, and what follows it then is no number: `status --watch branch-7`.
std::string watch_option(std::string_view next) {
  const bool number =
      !next.empty() && std::all_of(next.begin(), next.end(), [](char c) { return c >= '0' && c <= '9'; });
  return "--watch=" + std::string(number ? next : kWatchAlone);
}

// What stands last behind such a verb may be its operand: `show crypto map t` asks for the tag t.
bool takes_operand(const Words& verb) {
  const auto verbs = verb_table();
  return std::any_of(verbs.begin(), verbs.end(), [&](const VerbRow& row) {
    return row.operand == Operand::map && length_of(row) == verb.size() &&
           std::equal(verb.begin(), verb.end(), row.words.begin());
  });
}
bool nothing_follows(int argc, const char* const* argv, int word) {
  return std::all_of(argv + word + 1, argv + argc, [](const char* next) { return next[0] == '-'; });
}

// ---- Words that are none ---------------------------------------------------------------------------------

bool asks_for_help(const Words& words) {
  return std::any_of(words.begin(), words.end(),
                     [](const std::string& word) { return word == "--help" || word == "-h"; });
}

// Whether `word`, behind the words of `verb`, can be nothing but one more of them, and is none.
bool is_unknown(const std::string& word, const Words& verb, const Known& known, std::string_view before) {
  // What follows an option that is not known here may be its value.
  constexpr std::array kFlags{std::string_view("--json"), std::string_view("--help"), std::string_view("-h"),
                              std::string_view("--version")};
  const bool flag = std::find(kFlags.begin(), kFlags.end(), before) != kFlags.end();
  if (before.starts_with("-") && !flag && before.find('=') == std::string_view::npos) return false;
  const VerbRow* row = row_of(verb);
  return !known.contains(word) && (row == nullptr || row->operand == Operand::none);
}

// Those that may follow; of many the help tells.
std::string one_of(const Known& known, const Words& verb) {
  constexpr std::size_t kShown = 12;
  return known.size() > kShown ? usage({}, verb).expected : fmt::format("one of: {}", fmt::join(known, ", "));
}

Failure unknown_word(const std::string& word, const Words& verb, const Known& known) {
  const std::vector<std::string_view> candidates(known.begin(), known.end());
  const std::string near = conf::nearest(word, candidates);
  std::string text = verb.empty()
                         ? fmt::format("there is no verb {}", conf::quote(word))
                         : fmt::format("{} is no word of `{}`", conf::quote(word), fmt::join(verb, " "));
  if (!near.empty()) text += fmt::format("; did you mean `{}`?", near);
  Failure failure = usage(std::move(text), verb);
  failure.expected = one_of(known, verb);
  return failure;
}

Failure missing_word(const Words& verb, const Known& known) {
  Failure failure = usage(fmt::format("`{}` is not all: a word is missing", fmt::join(verb, " ")), verb);
  failure.expected = one_of(known, verb);
  return failure;
}

}  // namespace

Failure usage(std::string text, const std::vector<std::string>& verb) {
  return {Exit::usage,
          "usage",
          std::move(text),
          verb.empty() ? "see `oakgate help`" : fmt::format("see `oakgate help {}`", fmt::join(verb, " ")),
          "",
          nullptr};
}

bool is_command(const std::vector<std::string>& words) {
  Words verb;
  for (const std::string& word : words) {
    const Known known = words_after(verb);
    if (known.empty()) return true;
    Outcome<std::string> full = in_full(word, known);
    if (!full || is_unknown(*full, verb, known, "")) return false;
    if (!known.contains(*full)) return true;
    verb.push_back(std::move(*full));
  }
  return true;
}

bool is_verb(const std::vector<std::string>& words) {
  return row_of(words) != nullptr;
}

std::string help_of_group(const std::vector<std::string>& words) {
  if (words.size() == 1) return group_help(words.front());
  return fmt::format("{}", fmt::join(words_after(words), ", "));
}

Outcome<Line> read_line(int argc, const char* const* argv) {
  Line line;
  Words& verb = line.verb;
  bool help = false;
  bool verb_ends = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "help" && verb.empty() && !help) {
      help = true;
      continue;
    }
    line.words.push_back(word);
    const Known known = verb_ends ? Known{} : words_after(verb);
    const bool operand = takes_operand(verb) && nothing_follows(argc, argv, i);
    if (word == "--socket" && i + 1 < argc) {
      line.words.emplace_back(argv[++i]);
    } else if (word == "--watch") {
      line.words.back() = watch_option(i + 1 < argc ? argv[i + 1] : "");
      if (i + 1 < argc && line.words.back() == "--watch=" + std::string(argv[i + 1])) ++i;
    } else if (!word.empty() && !word.starts_with("-") && !known.empty() && !operand) {
      Outcome<std::string> full = in_full(word, known, verb);
      if (!full) return tl::unexpected(full.error());
      if (is_unknown(*full, verb, known, argv[i - 1])) return tl::unexpected(unknown_word(word, verb, known));
      verb_ends = !known.contains(*full);
      line.words.back() = *full;
      if (!verb_ends) verb.push_back(std::move(*full));
    }
  }
  if (help) line.words.emplace_back("--help");
  if (!verb.empty() && !verb_ends && !is_verb(verb) && !asks_for_help(line.words))
    return tl::unexpected(missing_word(verb, words_after(verb)));
  return line;
}

std::vector<NextWord> next_words(const std::vector<std::string>& before) {
  Words verb;
  for (const std::string& word : before) {
    const Outcome<std::string> full = in_full(word, words_after(verb));
    if (!full || !words_after(verb).contains(*full)) return {};
    verb.push_back(*full);
  }
  std::vector<NextWord> next;
  for (const VerbRow& row : verb_table()) {
    const std::size_t length = length_of(row);
    if (length < verb.size() || !std::equal(verb.begin(), verb.end(), row.words.begin())) continue;
    const bool whole = length == verb.size();
    const std::string word(whole ? operand_name(row.operand) : row.words[verb.size()]);
    const auto same = [&](const NextWord& known) { return known.word == word; };
    if (word.empty() || std::any_of(next.begin(), next.end(), same)) continue;
    Words group = verb;
    group.push_back(word);
    next.push_back({word, whole || length == verb.size() + 1 ? row.help : help_of_group(group)});
  }
  return next;
}

std::optional<std::string> in_full(const std::string& word, const std::vector<std::string>& known) {
  const Outcome<std::string> full = in_full(word, Known(known.begin(), known.end()));
  if (!full || std::find(known.begin(), known.end(), *full) == known.end()) return std::nullopt;
  return *full;
}

}  // namespace oakgate::cli
