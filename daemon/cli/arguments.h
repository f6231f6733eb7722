// The command line of `oakgate`: verbs and options, before or after one another. oakgate(8).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/client.h"

namespace CLI {
class App;
}

namespace oakgate::cli {

enum class Verb : std::uint8_t {
  status,
  up,
  down,
  check,
  monitor,
  reload,
  show_isakmp_sa,
  show_ipsec_sa,
  show_crypto_engine,
  show_dropped_packets,
  pki_authenticate,
  pki_enroll,
  pki_generate_key,
  pki_show_key,
  pki_show_keys,
  pki_show_certificates,
  pki_show_crls,
  pki_show_trustpoints,
  pki_import,
  pki_export_ssh_host_key,
  pki_known_hosts,
  pki_zeroize,
  pki_crl_request,
  import_cisco,
  import_ipsec_conf,
  import_swanctl_conf,
  export_cisco,
  diff,
  confirm,
  show_running_config,
  show_isakmp_policy,
  show_transform_sets,
  show_crypto_map,
  show_sa_lifetime,
  show_session_key,
  show_transform_proposals,
  show_dynamic_map,
  show_connections,
  show_pubkey_chain,
  show_clock,
  show_debugging,
  clear_sas,
  clear_counters,
  clear_isakmp,
  clear_connection,
  debug_isakmp,
  debug_ipsec,
  debug_engine,
  debug_pki,
  shell,
  explain,
  capture,
  decode,
  ping,
};

// What `pki authenticate` and `pki enroll` take; each uses what is its own.
struct ScepArguments {
  std::string config;  // the configuration file, which names files and servers
  std::string trustpoint;
  std::string fingerprint;  // authenticate: hexadecimal, what an operator was told by other means
  std::string subject;      // enroll, and all below
  std::string host_name;    // --fqdn
  std::string ip_address;
  std::string serial_number;
  std::string password_file;  // of the challenge password; empty: none
  bool ask_password = false;  // instead
  bool wait = false;
  bool renew = false;
};

// Of the verbs of `oakgate pki`.
struct PkiArguments {
  std::string config;              // --config
  std::string name;                // of a key or a trustpoint
  std::string address;             // of a peer: show crypto key pubkey-chain
  std::string file;                // what to import, or to export to
  std::vector<std::string> files;  // known-hosts: certificates
  std::string password_file;
  std::string type = "rsa";
  int bits = 0;       // 0: the usual one of the type
  std::string usage;  // empty: as configured
  bool force = false;
  bool yes = false;
};

// Of `oakgate import`.
struct ImportArguments {
  std::string file;    // "-": standard input
  std::string output;  // the folder to write into; empty: nothing is written
  bool force = false;
  std::string secrets;  // ipsec.conf: its ipsec.secrets; empty: none is at hand
  std::string side;     // ipsec.conf: "left" or "right", which is this machine; empty: what the file shows
};

// Of `oakgate export`; the peer is Arguments::peer.
struct ExportArguments {
  std::string config;  // --config
  std::string dialect = "ios";
  std::string address;                // ours, as the peer calls it; empty: the configuration's only one
  std::string interface = "outside";  // of the device
};

// Of `oakgate capture`; the peer is Arguments::peer.
struct CaptureArguments {
  std::string file;  // -w
  int seconds = 0;   // 0: as long as the daemon gives by default
  int packets = 0;   // 0: as many as come
  bool no_keys = false;
};

// Of `oakgate decode`.
struct DecodeArguments {
  std::string file;
  std::vector<std::string> keys;  // tables, or folders that have some
};

// Of `oakgate ping`; the tunnel is Arguments::peer and tunnel.
struct PingArguments {
  std::string address;  // empty: the first one of the peer's side
  int count = 5;
};

// Of `clear`; the peer and its tunnel are Arguments::peer and tunnel.
struct ClearArguments {
  std::string tag;         // map: PEER or PEER/TUNNEL, which becomes those
  std::optional<SaId> sa;  // entry, spi
  std::uint32_t connection = 0;
  std::string address;  // of the SA, as it was written; likewise
  std::string protocol;
  std::string spi;
};

struct Arguments {
  Verb verb = Verb::status;
  bool json = false;
  std::string socket;      // --socket, OAKGATE_SOCKET, or the default
  std::string peer;        // status, up, down, ping
  std::string tunnel;      // up, down, ping: behind the slash
  std::string trustpoint;  // pki crl request
  std::string map;         // show crypto map: its tag; empty: all
  std::string interface;   // show crypto map interface
  ClearArguments clear;
  int watch = 0;       // status: seconds between two screens; 0: one screen
  std::string file;    // check, diff
  int confirm = 0;     // reload: seconds; 0: it needs no confirmation
  bool probe = false;  // check: ask the kernel and the network, too
  ScepArguments scep;
  bool socket_given = false;
  PkiArguments pki;
  ImportArguments import;
  ExportArguments exported;
  CaptureArguments captured;
  DecodeArguments decoded;
  PingArguments pinged;
  bool look_only = false;     // shell
  std::string login_folder;   // shell: the settings of a login by SSH; empty: it is none
  std::string login_subject;  // shell: of the login's certificate, ssh::encode_subject
  std::string line;           // shell: one line to be typed, instead of a prompt
  std::string staged;         // check, diff, reload: a file that has come in, by its name
  std::string printed;        // --help or --version: what to print instead of doing anything
};

// What may stand behind words of a verb, which may be cut: `show cr` is followed by `isakmp`, `ipsec`, ...
struct NextWord {
  std::string word;  // a name in capitals stands for an operand: "PEER"
  std::string help;
};
// Nothing: there is no such verb, or nothing may follow.
[[nodiscard]] std::vector<NextWord> next_words(const std::vector<std::string>& before);

// `word` in full, if it is the beginning of exactly one of `known`.
[[nodiscard]] std::optional<std::string> in_full(const std::string& word,
                                                 const std::vector<std::string>& known);

// Every verb, operand and option, and where its value goes: `arguments`, which gets the defaults.
void describe_command_line(CLI::App& app, Arguments& arguments);

// A mistake is Exit::usage; `arguments.json` then still says how to tell it. `environment_socket`: the value
// of OAKGATE_SOCKET, empty if it is not set.
[[nodiscard]] Outcome<void> parse_arguments(int argc, const char* const* argv,
                                            std::string_view environment_socket, Arguments& arguments);

}  // namespace oakgate::cli
