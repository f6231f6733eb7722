// What may be typed after `oakgate`, and in its shell: one table, which the command line's parser, help,
// completion and abbreviations share.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

// What follows a verb's words.
enum class Operand : std::uint8_t {
  none,
  peer,
  status,
  target,
  file,
  check,
  reload,
  map,
  shell,
  // the IOS words' own
  called,  // PEER, or an address
  tag,     // of a map: has to be there
  interface,
  sa,          // ADDRESS PROTOCOL SPI
  connection,  // the number of an SA
  any_connection,
  key_name,
  key_address,
  // of `pki`; each takes --config as well
  pki,
  key,
  new_key,
  old_key,
  import,
  host_key,
  known_hosts,
  authenticate,
  enroll,
  trustpoint,  // the daemon's
  foreign,     // another program's or device's configuration
  ipsec_conf,  // likewise, with the file of its secrets
  device,      // that a peer is
  capture,
  capture_file,
  ping,
};

// A verb is a path of words; those before the last are groups.
struct VerbRow {
  Verb verb;
  std::array<const char*, 6> words;
  Operand operand;
  const char* help;
};
[[nodiscard]] std::span<const VerbRow> verb_table();

// What the help says of a group, by its first word; of those without a line of their own, of `show`.
[[nodiscard]] const char* group_help(std::string_view word);

}  // namespace oakgate::cli
