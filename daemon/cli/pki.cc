#include "daemon/cli/pki.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <map>

#include "conf/load.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/pki_import.h"
#include "daemon/cli/pki_keys.h"
#include "daemon/cli/pki_show.h"
#include "daemon/cli/pki_ssh.h"
#include "daemon/cli/pubkey_chain.h"
#include "daemon/issue_json.h"
#include "daemon/text.h"
#include "pki/files.h"

namespace oakgate::cli {

namespace {

constexpr Seconds kPatience{10};
constexpr std::size_t kMaxPassphrase = 1024;

struct PkiRow {
  Outcome<Json> (*run)(const PkiContext& context);
  std::string (*text)(const Json& result);  // null: everything has been said
  bool changes;                             // the daemon is told
};
const std::map<Verb, PkiRow>& rows() {
  static const std::map<Verb, PkiRow> table{
      {Verb::pki_generate_key, {generate_key, nullptr, true}},
      {Verb::pki_show_key, {show_key, ios_keys, false}},
      {Verb::pki_show_keys, {show_keys, ios_keys, false}},
      {Verb::pki_show_certificates, {show_certificates, ios_certificates, false}},
      {Verb::pki_show_crls, {show_crls, ios_crls, false}},
      {Verb::pki_show_trustpoints, {show_trustpoints, ios_trustpoints, false}},
      {Verb::show_pubkey_chain, {show_pubkey_chain, ios_pubkey_chain, false}},
      {Verb::pki_import, {import_file, nullptr, true}},
      {Verb::pki_export_ssh_host_key, {export_ssh_host_key, nullptr, false}},
      {Verb::pki_known_hosts, {known_hosts, known_hosts_text, false}},
      {Verb::pki_zeroize, {zeroize, nullptr, true}},
  };
  return table;
}

void tell(const PkiContext& context, Json& result) {
  const auto answer = tell_daemon(context.arguments, context.config);
  result["daemon"] = !answer ? "not running" : *answer ? "told" : "refuses";
  if (!answer || *answer) return;
  result["daemon_error"] = failure_json(answer->error())["error"];
  if (!context.arguments.json) {
    fmt::print(stderr, "oakgate: the file is written, but oakgated goes on without it: {}\n",
               answer->error().text);
  }
}

template <typename Items>
std::string names_of(const Items& items) {
  std::string names;
  for (const auto& item : items) names += (names.empty() ? "" : ", ") + item.name;
  return names.empty() ? "none" : names;
}

class NoEcho {
 public:
  NoEcho() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;
  ~NoEcho() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }

 private:
  termios before_{};
  bool changed_ = false;
};

// A line of the terminal, without its end.
SecretBytes read_line() {
  SecretBytes buffer(kMaxPassphrase);
  std::size_t size = 0;
  while (size < buffer.size()) {
    std::uint8_t byte = 0;
    if (::read(STDIN_FILENO, &byte, 1) != 1 || byte == '\n') break;
    buffer.mutable_view()[size++] = byte;
  }
  return buffer.slice(0, size);
}

}  // namespace

void PkiContext::say(const std::string& text) const {
  if (arguments.json) return;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

Outcome<conf::Config> load_pki_configuration(const std::string& file) {
  conf::LoadOutcome loaded = conf::load_without_keys(file);
  if (loaded.config) return std::move(*loaded.config);
  Failure failure = refuse(ErrorCode::configuration,
                           fmt::format("{} has {} error{}", printable(file), loaded.issues.size(),
                                       loaded.issues.size() == 1 ? "" : "s"),
                           "a configuration without errors",
                           "mend it; `oakgate check` looks at it without changing anything");
  failure.more["issues"] = issues_json(loaded.issues);
  return tl::unexpected(std::move(failure));
}

std::optional<Outcome<Json>> tell_daemon(const Arguments& arguments, const conf::Config& config) {
  const std::string& socket = arguments.socket_given ? arguments.socket : config.gateway.control_socket;
  Outcome<ControlClient> client = ControlClient::connect(socket);
  if (!client) return std::nullopt;
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::refresh_keys;
  return client->request(request, kPatience);
}

Failure refuse(ErrorCode code, std::string text, std::string expected, std::string remedy) {
  return failure_of(Error{code, std::move(text), std::move(expected), std::move(remedy), {}});
}

Outcome<TrustpointConfig> find_trustpoint(const PkiContext& context) {
  const TrustpointConfig* found = conf::find_trustpoint(context.config, context.pki().name);
  if (found != nullptr) return *found;
  return tl::unexpected(refuse(ErrorCode::not_found,
                               fmt::format("there is no trustpoint {}", context.pki().name),
                               "one of: " + names_of(context.config.trustpoints),
                               fmt::format("name it under `trustpoints` in {}", context.pki().config)));
}

Outcome<KeyConfig> find_key(const PkiContext& context) {
  const PkiArguments& pki = context.pki();
  if (const KeyConfig* key = conf::find_key(context.config, pki.name)) {
    constexpr std::array kUsages{"general", "signature", "encryption"};
    const std::string usage = kUsages[static_cast<std::size_t>(key->usage)];
    if (pki.usage.empty() || pki.usage == usage) return *key;
    return tl::unexpected(
        refuse(ErrorCode::configuration,
               fmt::format("the configuration says that {} is of usage {}", pki.name, usage),
               "no --usage, or that one", fmt::format("change `usage` of keys.{}", pki.name)));
  }
  const TrustpointConfig* trustpoint = conf::find_trustpoint(context.config, pki.name);
  if (trustpoint == nullptr) {
    return tl::unexpected(
        refuse(ErrorCode::not_found, fmt::format("there is no key {}", pki.name),
               fmt::format("one of `keys`: {}; or a trustpoint: {}", names_of(context.config.keys),
                           names_of(context.config.trustpoints)),
               fmt::format("name it under `keys` in {}", pki.config)));
  }
  const bool encryption = pki.usage == "encryption";
  const auto& own = encryption ? trustpoint->own_encryption : trustpoint->own;
  if (own) return own->key;
  return tl::unexpected(
      refuse(ErrorCode::not_found,
             fmt::format("trustpoint {} has no {}key", pki.name, encryption ? "encryption " : ""),
             encryption ? "`encryption_key` and `encryption_certificate`" : "`key` and `certificate`",
             fmt::format("name its files in trustpoints.{}", pki.name)));
}

Outcome<void> ask_consent(const PkiContext& context, const std::string& question) {
  if (context.pki().yes) return {};
  if (::isatty(STDIN_FILENO) != 1) {
    return tl::unexpected(Failure{Exit::usage, "usage", "nobody can be asked here", "--yes", ""});
  }
  fmt::print(stderr, "{}", question);
  const SecretBytes answer = read_line();
  const std::string word(answer.view().begin(), answer.view().end());
  if (word == "y" || word == "yes") return {};
  return tl::unexpected(refuse(ErrorCode::cancelled, "nothing has been changed", "yes"));
}

std::optional<SecretBytes> ask_secret(const std::string& prompt) {
  if (::isatty(STDIN_FILENO) != 1) return std::nullopt;
  const NoEcho silent;
  fmt::print(stderr, "{}", prompt);
  SecretBytes line = read_line();
  fmt::print(stderr, "\n");
  return line;
}

Outcome<SecretBytes> passphrase(const PkiContext& context, const std::string& prompt) {
  if (!context.pki().password_file.empty()) {
    Result<SecretBytes> content = pki::read_secret_file(context.pki().password_file, kMaxPassphrase);
    if (!content) return tl::unexpected(failure_of(content.error()));
    const bool newline = !content->empty() && content->view().back() == '\n';
    return content->slice(0, content->size() - (newline ? 1 : 0));
  }
  auto typed = ask_secret(prompt);
  return typed ? std::move(*typed) : SecretBytes();
}

std::string ios_time(WallTime time) {
  return fmt::format("{:%H:%M:%S} UTC {:%b} {} {:%Y}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)),
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)),
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)).tm_mday,
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

bool is_pki(Verb verb) {
  return rows().contains(verb);
}

int run_pki(const Arguments& arguments) {
  const PkiRow& row = rows().at(arguments.verb);
  Outcome<conf::Config> config = load_pki_configuration(arguments.pki.config);
  if (!config) return report(config.error(), arguments.json);
  const PkiContext context{arguments, std::move(*config)};
  Outcome<Json> result = row.run(context);
  if (!result) return report(result.error(), arguments.json);
  if (row.changes) tell(context, *result);
  if (arguments.json) {
    fmt::print("{}\n", dump(*result));
  } else if (row.text != nullptr) {
    context.say(row.text(*result));
  }
  return static_cast<int>(Exit::done);
}

}  // namespace oakgate::cli
