#include "daemon/cli/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "conf/load.h"
#include "daemon/cli/arguments.h"

namespace oakgate::cli {

namespace {

using Words = std::vector<std::string>;

constexpr Seconds kPatience{1};

// A command line as far as it has been typed.
struct Typed {
  CLI::App* verb;                         // as far as words name one
  std::size_t operands = 0;               // before the word that is being typed
  const CLI::Option* value_of = nullptr;  // the option whose value that word is
};

bool is_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-';
}

// Of `verb`, of its groups, or of `oakgate` itself; null: there is none of that name.
const CLI::Option* find_option(CLI::App* verb, const std::string& word) {
  for (; verb != nullptr; verb = verb->get_parent()) {
    if (const CLI::Option* found = verb->get_option_no_throw(word)) return found;
  }
  return nullptr;
}

Words verbs_below(CLI::App* verb) {
  Words words;
  for (const CLI::App* one : verb->get_subcommands([](CLI::App*) { return true; }))
    words.push_back(one->get_name());
  return words;
}

Typed read_words(CLI::App& app, const Words& before) {
  Typed typed{&app, 0, nullptr};
  for (const std::string& word : before) {
    if (word == "=") continue;  // bash cuts `--dialect=ios` in three
    if (word == "help" && typed.verb == &app && typed.operands == 0) continue;
    if (typed.value_of != nullptr) {
      typed.value_of = nullptr;
    } else if (is_option(word)) {
      const CLI::Option* option = find_option(typed.verb, word);
      // `--watch` may stand alone: nothing is offered behind it that is not a value.
      if (option != nullptr && option->get_items_expected_max() > 0) typed.value_of = option;
    } else if (const auto full = in_full(word, typed.operands == 0 ? verbs_below(typed.verb) : Words{})) {
      typed.verb = typed.verb->get_subcommand(*full);
    } else {
      ++typed.operands;
    }
  }
  return typed;
}

// "{ios,pix,asa}", as CLI::IsMember describes itself.
Words values_of(const CLI::Option& option) {
  Words values;
  std::string text = option.get_type_name();
  const std::size_t open = text.find('{');
  const std::size_t close = text.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return values;
  text = text.substr(open + 1, close - open - 1);
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    values.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return values;
}

Words options_of(CLI::App* verb) {
  Words words;
  for (; verb != nullptr; verb = verb->get_parent()) {
    for (const CLI::Option* option : verb->get_options()) {
      if (option->get_group().empty()) continue;  // hidden
      for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
    }
  }
  return words;
}

const CLI::Option* operand_at(CLI::App* verb, std::size_t place) {
  for (const CLI::Option* option : verb->get_options()) {
    if (option->get_positional() && place-- == 0) return option;
  }
  return nullptr;
}

void append(Words& words, Words more) {
  words.insert(words.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// What may stand for an operand of that name.
Words operands(const std::string& name, const CompletionNames& known) {
  if (name == "PEER") return known.peers();
  if (name == "PEER[/TUNNEL]" || name == "TAG") return known.targets();
  if (name == "TRUSTPOINT") return known.trustpoints();
  if (name == "FILE") return {kFileNames};
  if (name != "NAME") return {};
  Words both = known.keys();
  append(both, known.trustpoints());
  return both;
}

// A free text is most often a file's name.
Words option_values(const CLI::Option& option) {
  Words values = values_of(option);
  if (values.empty() && option.get_type_name() == "TEXT") values.emplace_back(kFileNames);
  return values;
}

}  // namespace

std::vector<std::string> completions(const std::vector<std::string>& words, const CompletionNames& names) {
  Arguments arguments;
  CLI::App app("", "oakgate");
  describe_command_line(app, arguments);
  const bool at_equals = !words.empty() && words.back() == "=";
  const std::string begun = words.empty() || at_equals ? "" : words.back();
  const Typed typed = read_words(app, words.empty() ? words : Words(words.begin(), words.end() - 1));

  Words all;
  if (typed.value_of != nullptr) {
    all = option_values(*typed.value_of);
  } else if (is_option(begun) || begun == "-") {
    all = options_of(typed.verb);
  } else {
    if (typed.operands == 0) all = verbs_below(typed.verb);
    if (typed.operands == 0 && typed.verb == &app) all.emplace_back("help");
    if (const CLI::Option* operand = operand_at(typed.verb, typed.operands))
      append(all, operands(operand->get_name(true), names));
  }
  std::erase_if(all, [&](const std::string& word) { return word != kFileNames && !word.starts_with(begun); });
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

namespace {

// The value of `--socket` or `--config` among the words; `otherwise` if it is not given.
std::string given(const Words& words, std::string_view option, const std::string& otherwise) {
  for (std::size_t i = 0; i + 2 < words.size(); ++i) {
    if (words[i] == option) return words[i + 1] == "=" ? words[i + 2] : words[i + 1];
  }
  return otherwise;
}

Words daemons_targets(const std::string& socket) {
  Words targets;
  auto client = ControlClient::connect(socket);
  if (!client) return targets;
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::status;
  const auto status = client->request(request, kPatience);
  if (!status || !status->contains("peers")) return targets;
  for (const Json& peer : (*status)["peers"]) {
    const std::string name = peer.value("name", "");
    targets.push_back(name);
    for (const Json& tunnel : peer.value("tunnels", Json::array()))
      targets.push_back(name + "/" + tunnel.value("name", ""));
  }
  return targets;
}

conf::Config configured(const std::string& file) {
  conf::LoadOutcome loaded = conf::load_without_keys(file);
  return loaded.config ? std::move(*loaded.config) : conf::Config{};
}

Words configured_targets(const conf::Config& config) {
  Words targets;
  for (const conf::PeerConfig& peer : config.peers) {
    targets.push_back(peer.name);
    for (const conf::TunnelConfig& tunnel : peer.tunnels) targets.push_back(peer.name + "/" + tunnel.name);
  }
  return targets;
}

template <typename Items>
Words names_of(const Items& items) {
  Words names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

}  // namespace

void print_completions(const std::vector<std::string>& words, const std::string& environment_socket) {
  Arguments arguments;
  CLI::App app("", "oakgate");
  describe_command_line(app, arguments);
  const std::string socket =
      given(words, "--socket", environment_socket.empty() ? arguments.socket : environment_socket);
  const std::string file = given(words, "--config", arguments.file);
  CompletionNames names;
  names.targets = [&] {
    Words targets = daemons_targets(socket);
    return targets.empty() ? configured_targets(configured(file)) : targets;
  };
  names.peers = [&] {
    Words peers = names.targets();
    std::erase_if(peers, [](const std::string& name) { return name.find('/') != std::string::npos; });
    return peers;
  };
  names.trustpoints = [&] { return names_of(configured(file).trustpoints); };
  names.keys = [&] { return names_of(configured(file).keys); };
  for (const std::string& word : completions(words, names)) fmt::print("{}\n", word);
}

}  // namespace oakgate::cli
