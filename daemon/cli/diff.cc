#include "daemon/cli/diff.h"

#include <fmt/format.h>

#include "conf/difference.h"
#include "conf/load.h"
#include "daemon/cli/client.h"
#include "daemon/cli/commands.h"
#include "daemon/issue_json.h"

namespace oakgate::cli {

namespace {

constexpr Seconds kPatience{10};

}  // namespace

Outcome<std::string> running_config(const std::string& socket) {
  Outcome<ControlClient> client = ControlClient::connect(socket);
  if (!client) return tl::unexpected(client.error());
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::show_running_config;
  const Outcome<Json> result = client->request(request, kPatience);
  if (!result) return tl::unexpected(result.error());
  return result->value("text", "");
}

namespace {

Failure invalid(const std::string& file, const std::vector<conf::Issue>& issues) {
  Failure failure{Exit::configuration,
                  std::string(to_string(ErrorCode::configuration)),
                  fmt::format("{} has {} error{}", file, issues.size(), issues.size() == 1 ? "" : "s"),
                  "a configuration without errors",
                  "",
                  nullptr};
  failure.more["issues"] = issues_json(issues);
  return failure;
}

void print_plain(const std::string& file, const std::vector<conf::Difference>& differences) {
  if (differences.empty()) fmt::print("{} is what runs\n", file);
  for (const conf::Difference& one : differences) {
    if (!one.before.empty()) fmt::print("- {}: {}\n", one.key_path, one.before);
    if (!one.after.empty()) fmt::print("+ {}: {}\n", one.key_path, one.after);
  }
}

void print_json(const std::string& file, const std::vector<conf::Difference>& differences) {
  Json json{{"version", kControlVersion}, {"file", file}, {"differences", Json::array()}};
  for (const conf::Difference& one : differences) {
    json["differences"].push_back({{"key_path", one.key_path},
                                   {"before", one.before.empty() ? Json(nullptr) : Json(one.before)},
                                   {"after", one.after.empty() ? Json(nullptr) : Json(one.after)}});
  }
  fmt::print("{}\n", dump(json));
}

}  // namespace

Outcome<Json> check_staged(const Arguments& arguments) {
  Outcome<ControlClient> client = ControlClient::connect(arguments.socket);
  if (!client) return tl::unexpected(client.error());
  ControlRequest request;
  request.id = 1;
  request.verb = ControlVerb::check;
  request.file = arguments.staged;
  return client->request(request, kPatience);
}

namespace {

// The text of what is compared with what runs.
Outcome<std::string> composed(const Arguments& arguments) {
  if (arguments.staged.empty()) {
    const conf::LoadOutcome loaded = conf::load_without_keys(arguments.file);
    if (!loaded.config) return tl::unexpected(invalid(arguments.file, loaded.issues));
    return loaded.composed;
  }
  const Outcome<Json> checked = check_staged(arguments);
  if (!checked) return tl::unexpected(checked.error());
  if (!checked->value("valid", false)) {
    Failure failure = invalid(arguments.staged, {});
    failure.text = fmt::format("{} has errors", arguments.staged);
    failure.more["issues"] = checked->value("issues", Json::array());
    return tl::unexpected(std::move(failure));
  }
  return checked->value("composed", "");
}

}  // namespace

int diff(const Arguments& arguments) {
  const Outcome<std::string> text = composed(arguments);
  if (!text) return report(text.error(), arguments.json);
  const Outcome<std::string> running = running_config(arguments.socket);
  if (!running) return report(running.error(), arguments.json);
  const auto differences = conf::differences(*running, *text);
  if (!differences) return report(failure_of(differences.error()), arguments.json);
  arguments.json ? print_json(arguments.file, *differences) : print_plain(arguments.file, *differences);
  return static_cast<int>(Exit::done);
}

}  // namespace oakgate::cli
