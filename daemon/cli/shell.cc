#include "daemon/cli/shell.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "daemon/cli/command_words.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/debug.h"
#include "daemon/cli/debug_jobs.h"
#include "daemon/cli/session.h"
#include "daemon/cli/terminal.h"
#include "daemon/text.h"

namespace oakgate::cli {

namespace {

using Words = std::vector<std::string>;

constexpr Seconds kPatience{10};

// What is before the word under the cursor, and that word (empty behind a blank).
struct Cut {
  Words before;
  std::string word;
};
Cut cut(std::string_view line) {
  Cut out;
  Outcome<Words> words = split_line(line);
  if (!words) return out;
  out.before = std::move(*words);
  if (!line.empty() && line.back() != ' ' && !out.before.empty()) {
    out.word = std::move(out.before.back());
    out.before.pop_back();
  }
  return out;
}

std::vector<NextWord> own_words() {
  return {
      {"exit", "leave the shell"}, {"help", "what may be typed"}, {"undebug", "all: end what `debug` began"}};
}

bool is_operand(const NextWord& next) {
  return !next.word.empty() && next.word[0] >= 'A' && next.word[0] <= 'Z';
}

// Peers' and tunnels' names.
bool takes_name(const NextWord& next) {
  return next.word == "PEER" || next.word == "PEER/TUNNEL" || next.word == "TAG";
}
bool takes(const NextWord& next, const std::string& target) {
  return takes_name(next) && (next.word != "PEER" || target.find('/') == std::string::npos);
}

// Peers and tunnels that the daemon knows; none if it does not answer.
Words known_targets(const std::string& socket) {
  Words names;
  Outcome<ControlClient> client = ControlClient::connect(socket);
  if (!client) return names;
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::status;
  const Outcome<Json> status = client->request(request, kPatience);
  if (!status || !status->contains("peers")) return names;
  for (const Json& peer : (*status)["peers"]) {
    const std::string name = peer.value("name", "");
    names.push_back(name);
    for (const Json& tunnel : peer.value("tunnels", Json::array()))
      names.push_back(name + "/" + tunnel.value("name", ""));
  }
  return names;
}

// Where one of them may follow.
Words targets_for(std::string_view line, const std::string& socket) {
  const auto next = next_words(cut(line).before);
  return std::any_of(next.begin(), next.end(), takes_name) ? known_targets(socket) : Words{};
}

std::string help_of_line(std::string_view line, const std::string& socket) {
  return help_for(line, targets_for(line, socket));
}

std::string gateway_of(const std::string& socket) {
  Outcome<ControlClient> client = ControlClient::connect(socket);
  if (!client) return "oakgate";
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::show_crypto_engine;
  const Outcome<Json> answer = client->request(request, kPatience);
  return answer ? printable(answer->value("gateway", "oakgate")) : "oakgate";
}

Failure refuse(std::string text, std::string expected) {
  return {Exit::usage, "usage", std::move(text), std::move(expected), "", nullptr};
}

// In a process of its own: its end, and what ends it, are not ours.
int run_apart(const Arguments& arguments) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGINT, SIG_DFL);
    const int code = run(arguments);
    std::fflush(stdout);
    ::_exit(code);
  }
  if (child < 0) {
    return report(refuse("no process can be started", "fewer of them"), false);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  fmt::print("\n");
  return static_cast<int>(Exit::failed);
}

void undebug(Words words, DebugJobs& debugs) {
  if (words.size() == 1 && words[0] == "all") {
    debugs.end_all();
    return;
  }
  words.insert(words.begin(), {"oakgate", "debug"});
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  Arguments arguments;
  const auto understood = parse_arguments(static_cast<int>(argv.size()), argv.data(), "", arguments);
  if (!understood || !is_debug(arguments.verb)) {
    (void)report(refuse("that is nothing to turn off", "`undebug all`, `no debug crypto isakmp`"), false);
    return;
  }
  debugs.end(arguments.verb, arguments.peer);
}

// `debugs`: what runs beside the prompt; none: there is no prompt, and debugging lasts until it is given up.
int run_words(const Words& words, std::string_view line, const Session& session, DebugJobs* debugs) {
  std::vector<const char*> argv{"oakgate"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  Arguments arguments;
  auto understood = parse_arguments(static_cast<int>(argv.size()), argv.data(), session.socket, arguments);
  if (understood && arguments.printed.empty()) understood = confine(session, arguments);
  log_command(session, line, !understood);
  if (!understood) return report(understood.error(), arguments.json);
  if (!arguments.printed.empty()) {
    fmt::print("{}", arguments.printed);
    return static_cast<int>(Exit::done);
  }
  if (debugs == nullptr || !is_debug(arguments.verb)) return run_apart(arguments);
  const auto started = debugs->start(arguments);
  return started ? static_cast<int>(Exit::done) : report(started.error(), arguments.json);
}

// What a line has come to; none: the shell ends.
std::optional<int> take_line(const std::string& line, const Session& session, DebugJobs* debugs) {
  constexpr int kDone = static_cast<int>(Exit::done);
  const std::size_t end = line.find_last_not_of(' ');
  if (end == std::string::npos) return kDone;
  if (line[end] == '?') {  // typed where no key is bound to it
    fmt::print("{}", help_of_line(std::string_view(line).substr(0, end), session.socket));
    return kDone;
  }
  const Outcome<Words> words = split_line(line);
  if (!words) return report(words.error(), false);
  if (words->empty()) return kDone;
  const std::string& first = words->front();
  if (first == "exit" || first == "quit" || first == "logout") return std::nullopt;
  if (first == "help" && words->size() == 1) {
    fmt::print("{}", help_for(""));
    return kDone;
  }
  if (auto off = undebug_words(*words); off && debugs != nullptr) {
    undebug(std::move(*off), *debugs);
    log_command(session, line, false);
    return kDone;
  }
  return run_words(*words, line, session, debugs);
}

// Instead of a prompt: `ssh gateway show crypto isakmp sa`, which sshd hands a forced command this way.
std::optional<std::string> line_instead(const Arguments& arguments, const Session& session) {
  if (!arguments.line.empty()) return arguments.line;
  const char* original = session.login ? std::getenv("SSH_ORIGINAL_COMMAND") : nullptr;
  if (original == nullptr) return std::nullopt;
  return std::string(original).substr(0, Terminal::kMaxLine);
}

int prompt(const Session& session) {
  if (!session.banner.empty()) fmt::print("{}\n", session.banner);
  const std::string text = gateway_of(session.socket) + (session.look_only ? "> " : "# ");
  DebugJobs debugs;
  Terminal terminal(
      text,
      {[&](const std::string& line) { return completion_of(line, targets_for(line, session.socket)); },
       [&](const std::string& line) { return help_of_line(line, session.socket); },
       [&] { debugs.given_up(); }},
      session.idle);
  std::signal(SIGINT, SIG_IGN);  // of the verb that runs, not of the shell
  while (const auto line = terminal.read_line()) {
    if (!take_line(*line, session, &debugs)) break;
  }
  if (terminal.timed_out()) {
    fmt::print("\n% Nothing was typed for {}: the session ends\n", duration_text(session.idle));
    log_command(session, "(idle time-out)", false);
  }
  return static_cast<int>(Exit::done);
}

}  // namespace

Outcome<Words> split_line(std::string_view line) {
  Words words;
  bool in_word = false;
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
      if (!in_word) words.emplace_back();
      in_word = true;
    } else if (c == ' ' && !quoted) {
      in_word = false;
    } else {
      if (!in_word) words.emplace_back();
      in_word = true;
      words.back() += c;
    }
  }
  if (quoted) return tl::unexpected(refuse("a quote is not closed", "\" on both sides"));
  return words;
}

std::string help_for(std::string_view line, const std::vector<std::string>& targets) {
  constexpr std::size_t kNames = 20;
  const Cut at = cut(line);
  std::vector<NextWord> all = next_words(at.before);
  const auto fits = [&](const std::string& target) {
    return target.starts_with(at.word) &&
           std::any_of(all.begin(), all.end(), [&](const NextWord& next) { return takes(next, target); });
  };
  const std::vector<NextWord> own = own_words();
  if (at.before.empty()) {
    all.insert(all.end(), own.begin(), own.end());
  } else if (!is_command(at.before) && std::none_of(own.begin(), own.end(), [&](const NextWord& one) {
               return one.word == at.before.front();
             })) {
    return "  % there is no such command\n";
  }
  std::string out;
  for (const NextWord& next : all) {
    if (next.word.starts_with(at.word)) out += fmt::format("  {:<24} {}\n", next.word, next.help);
  }
  std::size_t fitting = 0;
  for (const std::string& target : targets) {
    if (!fits(target) || ++fitting > kNames) continue;
    out += fmt::format("    {}\n", target);
  }
  if (fitting > kNames) out += fmt::format("    ({} more)\n", fitting - kNames);
  return out.empty() ? "  <cr>\n" : out;
}

std::string completion_of(std::string_view line, const std::vector<std::string>& targets) {
  const Cut at = cut(line);
  Words fitting;
  for (const NextWord& next : next_words(at.before)) {
    if (is_operand(next)) {
      std::copy_if(
          targets.begin(), targets.end(), std::back_inserter(fitting),
          [&](const std::string& target) { return takes(next, target) && target.starts_with(at.word); });
    } else if (next.word.starts_with(at.word)) {
      fitting.push_back(next.word);
    }
  }
  if (fitting.empty()) return {};
  std::string common = fitting.front();
  for (const std::string& word : fitting) {
    const auto [end, other] = std::mismatch(common.begin(), common.end(), word.begin(), word.end());
    common.erase(end, common.end());
  }
  return common.substr(at.word.size()) + (fitting.size() == 1 ? " " : "");
}

int shell(const Arguments& arguments) {
  const Outcome<Session> session = open_session(arguments);
  if (!session) return report(session.error(), arguments.json);
  if (const auto line = line_instead(arguments, *session)) {
    return take_line(*line, *session, nullptr).value_or(static_cast<int>(Exit::done));
  }
  log_command(*session, "(session begins)", false);
  const int code = prompt(*session);
  log_command(*session, "(session ends)", false);
  return code;
}

}  // namespace oakgate::cli
