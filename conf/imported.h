// What becomes of another program's or device's configuration, and the pieces of YAML that the importers of
// each kind have in common. Pure: touches no file.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/policy.h"
#include "ike/base/secret.h"

namespace oakgate::conf {

inline constexpr std::size_t kMaxImport = 4U << 20;  // bytes of one file

// A line that was not, or not wholly, carried over, and why. Printable, without secrets.
struct Note {
  int line = 0;      // from 1
  std::string text;  // the line; empty: about the file as a whole
  std::string why;
};

// A file that the configuration names: a pre-shared key (secret, mode 0600) or a certificate in PEM.
struct ImportedFile {
  std::string name;  // as the configuration spells it: beside the configuration
  bool secret = false;
  SecretBytes contents;
};

struct Imported {
  std::string yaml;
  std::vector<ImportedFile> files;
  std::vector<Note> notes;  // by line; about the file as a whole behind them
  std::size_t peers = 0;
  std::size_t tunnels = 0;
};

// Escapes the reasons, in which words of the file are, too, and puts them in the order of Imported.
void finish_notes(std::vector<Note>& notes);

// `text` as a name of ours: other characters become '-'; short enough to be made unique by a number.
[[nodiscard]] std::string name_of(std::string_view text);
// The same in YAML.
[[nodiscard]] std::string yaml_name(std::string_view text);
// Between quotes; empty if it holds what a URL or a DN has no need of.
[[nodiscard]] std::string yaml_quoted(std::string_view text);
// A pre-shared key as its file holds it: in hexadecimal if it is not plain text, or begins with "0x" and
// would be taken for hexadecimal there.
[[nodiscard]] SecretBytes key_file(const SecretBytes& key);
[[nodiscard]] std::string join(const std::vector<std::string>& words);  // ", " between them

// Values of keys, and whole entries: "10: {encryption: ...}", "strong: [...]", "allow_weak: {...}".
[[nodiscard]] std::string yaml_selectors(const std::vector<Selector>& selectors);
[[nodiscard]] std::string yaml_policy(const IsakmpPolicy& policy);
[[nodiscard]] std::string yaml_set(const TransformSet& set);
[[nodiscard]] std::string yaml_waiver(const std::vector<Weak>& weak, std::chrono::sys_days until,
                                      std::string_view reason);
[[nodiscard]] std::string yaml_dpd(const DeadPeerDetection& dpd);
[[nodiscard]] std::string yaml_lifetime(const Lifetime& lifetime);

}  // namespace oakgate::conf
