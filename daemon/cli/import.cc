#include "daemon/cli/import.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "conf/cisco/import.h"
#include "conf/swan/import.h"
#include "daemon/cli/commands.h"
#include "daemon/core_dumps.h"
#include "daemon/text.h"
#include "pki/files.h"

namespace oakgate::cli {

namespace {

using conf::Imported;
using conf::ImportedFile;
using conf::Note;

constexpr const char* kConfiguration = "oakgate.yaml";
constexpr std::chrono::days kWaived{365};  // until then the peers' weak algorithms are allowed

// A file, or standard input for "-"; bounded.
Outcome<SecretBytes> read_source(const std::string& path) {
  if (path != "-") {
    Result<SecretBytes> file = pki::read_secret_file(path, conf::kMaxImport);
    if (!file) return tl::unexpected(failure_of(file.error()));
    return std::move(*file);
  }
  SecretBytes buffer(conf::kMaxImport);
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.mutable_view().data() + size, buffer.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const std::string text = fmt::format("standard input cannot be read: {}", std::strerror(errno));
      return tl::unexpected(failure_of(Error{ErrorCode::internal, text, {}, {}, {}}));
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return buffer.slice(0, size);
}

std::vector<std::string> names_of(const Imported& imported) {
  std::vector<std::string> names{kConfiguration};
  for (const ImportedFile& file : imported.files) names.push_back(file.name);
  return names;
}

Outcome<void> write_all(const Imported& imported, const ImportArguments& arguments) {
  const auto path = [&](const std::string& name) { return arguments.output + "/" + name; };
  struct stat status {};
  for (const std::string& name : names_of(imported)) {
    if (arguments.force || ::lstat(path(name).c_str(), &status) != 0) continue;
    return tl::unexpected(failure_of(Error{ErrorCode::in_use,
                                           path(name) + " is there already",
                                           "a folder without these files",
                                           "--force overwrites them",
                                           {}}));
  }
  // The configuration last: what it names is there then.
  for (const ImportedFile& file : imported.files) {
    const mode_t mode = file.secret ? pki::kSecretMode : pki::kPublicMode;
    const auto written = pki::write_file(path(file.name), file.contents.view(), mode);
    if (!written) return tl::unexpected(failure_of(written.error()));
  }
  const auto written = pki::write_file(path(kConfiguration), as_bytes(imported.yaml), pki::kPublicMode);
  if (!written) return tl::unexpected(failure_of(written.error()));
  return {};
}

void print_notes(const Imported& imported, const std::string& source) {
  for (const Note& note : imported.notes) {
    const std::string where = note.line == 0 ? source : fmt::format("{}:{}", source, note.line);
    fmt::print(stderr, "{}: {}{}\n", where, note.text.empty() ? "" : note.text + ": ", note.why);
  }
}

void print_summary(const Imported& imported, const ImportArguments& arguments) {
  const auto counted = [](std::size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  fmt::print(stderr, "{}, {}, {} not carried over or to be looked at\n", counted(imported.peers, "peer"),
             counted(imported.tunnels, "tunnel"), counted(imported.notes.size(), "line"));
  if (arguments.output.empty()) {
    if (imported.files.empty()) return;
    fmt::print(stderr, "{} that it names, keys among them, would be written by --output FOLDER\n",
               counted(imported.files.size(), "file"));
    return;
  }
  for (const std::string& name : names_of(imported)) fmt::print("{}/{}\n", arguments.output, name);
  fmt::print(stderr, "next: oakgate check {}/{}\n", arguments.output, kConfiguration);
}

Json json_of(const Imported& imported, const ImportArguments& arguments) {
  Json notes = Json::array();
  for (const Note& note : imported.notes) {
    notes.push_back({{"line", note.line}, {"text", note.text}, {"why", note.why}});
  }
  Json json{{"version", kControlVersion}, {"peers", imported.peers}, {"tunnels", imported.tunnels}};
  json["files"] = names_of(imported);
  json["notes"] = std::move(notes);
  if (arguments.output.empty()) json["yaml"] = imported.yaml;
  return json;
}

std::string_view text_of(const SecretBytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.view().data()), bytes.size()};
}

Imported imported_by(const Arguments& arguments, std::string_view text, std::string_view secrets) {
  using conf::swan::Side;
  const auto until = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()) + kWaived;
  switch (arguments.verb) {
    case Verb::import_swanctl_conf:
      return conf::swan::import_swanctl_conf(text, until);
    case Verb::import_ipsec_conf: {
      const std::string& side = arguments.import.side;
      const Side given = side == "left" ? Side::left : side == "right" ? Side::right : Side::automatic;
      return conf::swan::import_ipsec_conf({text, secrets, given}, until);
    }
    default:
      return conf::cisco::import_cisco(text, until);
  }
}

}  // namespace

int import_foreign(const Arguments& arguments) {
  forbid_core_dumps();  // the text holds keys
  const ImportArguments& import = arguments.import;
  const Outcome<SecretBytes> source = read_source(import.file);
  if (!source) return report(source.error(), arguments.json);
  Outcome<SecretBytes> secrets = SecretBytes{};
  if (!import.secrets.empty()) secrets = read_source(import.secrets);
  if (!secrets) return report(secrets.error(), arguments.json);
  const Imported imported = imported_by(arguments, text_of(*source), text_of(*secrets));
  if (!import.output.empty()) {
    if (const auto written = write_all(imported, import); !written) {
      return report(written.error(), arguments.json);
    }
  }
  if (arguments.json) {
    fmt::print("{}\n", json_of(imported, import).dump());
  } else {
    if (import.output.empty()) std::fputs(imported.yaml.c_str(), stdout);
    print_notes(imported, printable(import.file));
    print_summary(imported, import);
  }
  return static_cast<int>(imported.peers != 0 ? Exit::done : Exit::configuration);
}

}  // namespace oakgate::cli
