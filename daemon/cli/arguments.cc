#include "daemon/cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "daemon/cli/command_words.h"
#include "daemon/cli/verbs.h"
#include "daemon/version.h"

namespace oakgate::cli {

namespace {

constexpr int kMaxWatch = 3600;

CLI::App* child(CLI::App& parent, const char* word, const std::string& help) {
  const auto known = parent.get_subcommands([&](CLI::App* app) { return app->get_name() == word; });
  if (!known.empty()) return known.front();
  CLI::App* added = parent.add_subcommand(word, help);
  added->fallthrough();  // options of `oakgate` itself may follow the verb
  return added;
}

void add_watch(CLI::App& app, Arguments& arguments) {
  app.add_option(
         "--watch", arguments.watch,
         fmt::format("show status again every so many seconds, {} by default, with rates", kWatchAlone))
      ->type_name("[SECONDS]")
      ->check(CLI::Range(1, kMaxWatch));
}

void add_trustpoint(CLI::App& verb, Arguments& arguments) {
  verb.add_option("TRUSTPOINT", arguments.scep.trustpoint, "a trustpoint's name")->required();
  verb.add_option("--config", arguments.scep.config, "configuration file")->capture_default_str();
}

void add_enrollment(CLI::App& verb, Arguments& arguments) {
  ScepArguments& scep = arguments.scep;
  add_trustpoint(verb, arguments);
  verb.add_option("--subject", scep.subject, "distinguished name, \"CN=gw-a,O=corp\"; default: CN=FQDN");
  verb.add_option("--fqdn", scep.host_name, "our host name, into subjectAltName and the subject");
  verb.add_option("--ip-address", scep.ip_address, "our address, likewise");
  verb.add_option("--serial-number", scep.serial_number, "into the subject");
  auto* file =
      verb.add_option("--password-file", scep.password_file, "file of the challenge password, mode 0600");
  verb.add_flag("--ask-password", scep.ask_password, "ask for the challenge password on the terminal")
      ->excludes(file);
  verb.add_flag("--renew", scep.renew, "for the same names, signed with the certificate that is there");
  verb.add_flag("--wait", scep.wait, "wait while the request is pending, and poll");
}

void add_key_name(CLI::App& verb, PkiArguments& pki) {
  verb.add_option("NAME", pki.name, "one of `keys`, or a trustpoint for its certificate's key")->required();
  verb.add_option("--usage", pki.usage, "of a trustpoint with two keys, which one")
      ->check(CLI::IsMember({"general", "signature", "encryption"}));
}

void add_pki_operand(CLI::App& verb, Operand operand, PkiArguments& pki) {
  verb.add_option("--config", pki.config, "configuration file")->capture_default_str();
  switch (operand) {
    case Operand::new_key:
      add_key_name(verb, pki);
      verb.add_option("--type", pki.type, "the kind of key")
          ->check(CLI::IsMember({"rsa", "ec"}))
          ->capture_default_str();
      verb.add_option("--bits", pki.bits, "RSA: 2048 by default; EC: 256 by default, 384 or 521");
      verb.add_flag("--force", pki.force, "overwrite a key that is there");
      return;
    case Operand::key:
      add_key_name(verb, pki);
      return;
    case Operand::old_key:
      add_key_name(verb, pki);
      verb.add_flag("--yes", pki.yes, "do not ask");
      return;
    case Operand::import:
      verb.add_option("TRUSTPOINT", pki.name, "where to put it")->required();
      verb.add_option("FILE", pki.file, "PEM, DER, PKCS#7 or PKCS#12")->required();
      verb.add_option("--password-file", pki.password_file, "the passphrase of a PKCS#12 file");
      verb.add_option("--usage", pki.usage, "which of a trustpoint's two keys the file's key is")
          ->check(CLI::IsMember({"signature", "encryption"}));
      verb.add_flag("--force", pki.force, "overwrite what is there");
      return;
    case Operand::host_key:
      verb.add_option("TRUSTPOINT", pki.name, "whose key")->required();
      verb.add_option("FILE", pki.file, "where to: sshd's HostKey")->required();
      verb.add_flag("--force", pki.force, "overwrite what is there");
      return;
    case Operand::known_hosts:
      verb.add_option("TRUSTPOINT", pki.name, "what the certificates must chain to")->required();
      verb.add_option("FILE", pki.files, "hosts' certificates, PEM or DER")->required();
      return;
    default:
      return;
  }
}

// Of what looks inside tunnels; false: it is another verb's.
bool add_inside_operand(CLI::App& verb, Operand operand, Arguments& arguments) {
  CaptureArguments& captured = arguments.captured;
  switch (operand) {
    case Operand::ping:
      verb.add_option("PEER[/TUNNEL]", arguments.peer, "a tunnel; of a peer with one, its peer")->required();
      verb.add_option("--address", arguments.pinged.address,
                      "whom to ask; default: the first host on its side");
      verb.add_option("--count", arguments.pinged.count, "how many echoes")
          ->check(CLI::Range(1, 100))
          ->capture_default_str();
      return true;
    case Operand::capture:
      verb.add_option("PEER", arguments.peer, "a peer's name")->required();
      verb.add_option("-w,--write", captured.file, "file to write, pcapng; there must be none of that name")
          ->required();
      verb.add_option("--seconds", captured.seconds,
                      fmt::format("end after so long, {} by default", kDefaultCapture.count()))
          ->type_name("SECONDS")
          ->check(CLI::Range(1, static_cast<int>(kMaxCapture.count())));
      verb.add_option("--packets", captured.packets, "end after so many packets")
          ->check(CLI::Range(1, 100'000'000));
      verb.add_flag("--no-keys", captured.no_keys, "only the packets");
      return true;
    case Operand::capture_file:
      verb.add_option("FILE", arguments.decoded.file, "a capture, pcap or pcapng")->required();
      verb.add_option("--keys", arguments.decoded.keys,
                      "Wireshark's ikev1_decryption_table or esp_sa, or a folder that has them");
      return true;
    default:
      return false;
  }
}

// Of the IOS words.
void add_ios_operand(CLI::App& verb, Operand operand, Arguments& arguments) {
  switch (operand) {
    case Operand::called:
      verb.add_option("PEER", arguments.peer, "a peer's name, or its address")->required();
      return;
    case Operand::tag:
      verb.add_option("TAG", arguments.clear.tag, "a peer's name, or PEER/TUNNEL")->required();
      return;
    case Operand::interface:
      verb.add_option("INTERFACE", arguments.interface, "a network device: `ip link` lists them")->required();
      return;
    case Operand::sa:
      verb.add_option("ADDRESS", arguments.clear.address, "where the SA's packets go")->required();
      verb.add_option("PROTOCOL", arguments.clear.protocol, "of the SA")
          ->required()
          ->check(CLI::IsMember({"esp", "ah", "pcp"}));
      verb.add_option("SPI", arguments.clear.spi, "0x and hexadecimal digits, or a number")->required();
      return;
    case Operand::connection:
    case Operand::any_connection:
      verb.add_option("ID", arguments.clear.connection, "the `conn id` that the `show` commands print")
          ->required(operand == Operand::connection)
          ->check(CLI::Range(1U, kMaxConnection));
      return;
    case Operand::key_name:
      add_pki_operand(verb, Operand::pki, arguments.pki);
      verb.add_option("NAME", arguments.pki.name, "of `public_keys`")->required();
      return;
    case Operand::key_address:
      add_pki_operand(verb, Operand::pki, arguments.pki);
      verb.add_option("ADDRESS", arguments.pki.address, "of a peer")->required();
      return;
    default:
      add_pki_operand(verb, operand, arguments.pki);
      return;
  }
}

void add_operand(CLI::App& verb, Operand operand, Arguments& arguments) {
  switch (operand) {
    case Operand::none:
      return;
    default:
      if (!add_inside_operand(verb, operand, arguments)) add_ios_operand(verb, operand, arguments);
      return;
    case Operand::status:
      add_watch(verb, arguments);
      [[fallthrough]];
    case Operand::peer:
      verb.add_option("PEER", arguments.peer, "a peer's name");
      return;
    case Operand::target:
      verb.add_option("PEER[/TUNNEL]", arguments.peer, "a peer's name, or one of its tunnels")->required();
      return;
    case Operand::check:
      verb.add_flag("--probe", arguments.probe, "ask the kernel and the network for what it needs, too");
      [[fallthrough]];
    case Operand::file:
      verb.add_option("FILE", arguments.file, "a configuration file")->capture_default_str();
      return;
    case Operand::shell:
      verb.add_flag("--look", arguments.look_only, "only verbs that change nothing");
      verb.add_option("--login", arguments.login_folder, "a login by SSH: folder of its settings");
      verb.add_option("--operator", arguments.login_subject, "of a login: its certificate's subject");
      verb.add_option("--line", arguments.line, "type this line and end");
      return;
    case Operand::map:
      verb.add_option("TAG", arguments.map, "a peer's name, or PEER/TUNNEL");
      return;
    case Operand::reload:
      verb.add_option("FILE", arguments.staged,
                      "a file that has come in by scp or sftp; default: oakgate.yaml");
      verb.add_option("--confirm", arguments.confirm,
                      "undone after so long unless `oakgate confirm` comes first")
          ->type_name("SECONDS")
          ->check(CLI::Range(static_cast<int>(kMinConfirm.count()), static_cast<int>(kMaxConfirm.count())));
      return;
    case Operand::device:
      verb.add_option("PEER", arguments.peer, "a peer's name")->required();
      verb.add_option("--dialect", arguments.exported.dialect, "of the device")
          ->check(CLI::IsMember({"ios", "pix", "asa"}))
          ->capture_default_str();
      verb.add_option("--config", arguments.exported.config, "configuration file")->capture_default_str();
      verb.add_option("--address", arguments.exported.address, "of this gateway, as the device calls it");
      verb.add_option("--interface", arguments.exported.interface, "of the device, for its crypto map")
          ->capture_default_str();
      return;
    case Operand::ipsec_conf:
      verb.add_option("--secrets", arguments.import.secrets, "its ipsec.secrets, with the pre-shared keys");
      verb.add_option("--side", arguments.import.side, "which of its sides this machine is")
          ->check(CLI::IsMember({"left", "right"}));
      [[fallthrough]];
    case Operand::foreign:
      verb.add_option("FILE", arguments.import.file, "its configuration, - for standard input")->required();
      verb.add_option("--output", arguments.import.output, "folder for oakgate.yaml and the files it names");
      verb.add_flag("--force", arguments.import.force, "overwrite files that are there");
      return;
    case Operand::trustpoint:
      verb.add_option("TRUSTPOINT", arguments.trustpoint, "a trustpoint's name")->required();
      return;
    case Operand::authenticate:
      add_trustpoint(verb, arguments);
      verb.add_option("--fingerprint", arguments.scep.fingerprint,
                      "accept exactly this certificate: MD5, SHA1 or SHA256 in hexadecimal");
      return;
    case Operand::enroll:
      add_enrollment(verb, arguments);
      return;
  }
}

void add_verbs(CLI::App& app, Arguments& arguments) {
  for (const VerbRow& row : verb_table()) {
    CLI::App* at = &app;
    std::vector<std::string> path;
    for (std::size_t i = 0; i < row.words.size() && row.words[i] != nullptr; ++i) {
      const bool last = i + 1 == row.words.size() || row.words[i + 1] == nullptr;
      path.emplace_back(row.words[i]);
      at = child(*at, row.words[i], last ? row.help : help_of_group(path));
      // A verb's own words may go on: `clear crypto sa`, `clear crypto sa counters`.
      if (!last) at->require_subcommand(is_verb(path) ? 0 : 1, 1);
    }
    add_operand(*at, row.operand, arguments);
    at->callback([&arguments, at, verb = row.verb] {
      if (at->get_subcommands().empty()) arguments.verb = verb;
    });
  }
  app.require_subcommand(0, 1);
}

Outcome<void> only_status_is_watched(const Arguments& arguments) {
  if (arguments.watch == 0 || arguments.verb == Verb::status) return {};
  return tl::unexpected(
      usage("--watch is of `oakgate status` alone; `oakgate monitor` prints events as they happen"));
}

Outcome<void> split_target(Arguments& arguments) {
  if (arguments.verb == Verb::clear_sas && !arguments.clear.tag.empty()) arguments.peer = arguments.clear.tag;
  const bool map = arguments.verb == Verb::clear_sas && !arguments.clear.tag.empty();
  if (arguments.verb != Verb::up && arguments.verb != Verb::down && arguments.verb != Verb::ping && !map)
    return {};
  const std::size_t slash = arguments.peer.find('/');
  if (slash == std::string::npos) return {};
  arguments.tunnel = arguments.peer.substr(slash + 1);
  arguments.peer.resize(slash);
  if (arguments.peer.empty() || arguments.tunnel.empty()) {
    return tl::unexpected(usage("PEER/TUNNEL needs a name on both sides of the slash"));
  }
  return {};
}

std::optional<std::uint32_t> read_spi(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  std::uint32_t spi = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), spi, hex ? 16 : 10);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return spi;
}

Outcome<void> read_sa(Arguments& arguments) {
  ClearArguments& clear = arguments.clear;
  if (clear.address.empty()) return {};
  const auto address = IpAddress::parse(clear.address);
  if (!address) return tl::unexpected(usage("`" + clear.address + "` is no address"));
  const auto spi = read_spi(clear.spi);
  if (!spi) {
    return tl::unexpected(usage("`" + clear.spi + "` is no SPI: 0x and hexadecimal digits, or a number"));
  }
  const IpsecProtocol protocol = clear.protocol == "ah"    ? IpsecProtocol::ah
                                 : clear.protocol == "pcp" ? IpsecProtocol::comp
                                                           : IpsecProtocol::esp;
  clear.sa = SaId{*address, protocol, Spi{*spi}};
  return {};
}

}  // namespace

void describe_command_line(CLI::App& app, Arguments& arguments) {
  arguments.socket = kDefaultSocket;
  arguments.file = kDefaultConfig;
  arguments.scep.config = kDefaultConfig;
  arguments.pki.config = kDefaultConfig;
  arguments.exported.config = kDefaultConfig;
  app.set_version_flag("--version", std::string("oakgate ") + kVersion);
  // Of the help: `up [OPTIONS] PEER[/TUNNEL]`, not `PEER[/TUNNEL] TEXT REQUIRED`.
  for (const auto& [word, label] : {std::pair{"REQUIRED", ""}, std::pair{"TEXT", ""},
                                    std::pair{"SUBCOMMAND", "VERB"}, std::pair{"Positionals", "Operands"}})
    app.get_formatter()->label(word, label);
  app.add_option("--socket", arguments.socket, "control socket of the daemon; also OAKGATE_SOCKET");
  app.add_flag("--json", arguments.json, "print JSON, errors included");
  add_watch(app, arguments);
  add_verbs(app, arguments);
  app.footer("`oakgate help VERB` tells more of one; oakgate(8) has them all, and examples.");
}

Outcome<void> parse_arguments(int argc, const char* const* argv, std::string_view environment_socket,
                              Arguments& arguments) {
  CLI::App app("Control of oakgated, the IKEv1 daemon", "oakgate");
  describe_command_line(app, arguments);
  if (!environment_socket.empty()) arguments.socket = environment_socket;
  Outcome<Line> line = read_line(argc, argv);
  // What was not understood may hide --json from the parser; whoever wrote it wants JSON.
  for (int i = 1; i < argc; ++i) arguments.json = arguments.json || std::string_view(argv[i]) == "--json";
  if (!line) return tl::unexpected(line.error());
  std::reverse(line->words.begin(), line->words.end());  // as CLI11 wants them
  try {
    app.parse(line->words);
  } catch (const CLI::CallForHelp&) {
    arguments.printed = app.help();
    return {};
  } catch (const CLI::CallForVersion& version) {
    arguments.printed = std::string(version.what()) + "\n";
    return {};
  } catch (const CLI::ParseError& error) {
    return tl::unexpected(usage(error.what(), line->verb));
  }
  arguments.socket_given = app.count("--socket") > 0 || !environment_socket.empty();
  if (auto watched = only_status_is_watched(arguments); !watched) return watched;
  if (auto read = read_sa(arguments); !read) return read;
  if (arguments.verb == Verb::show_crypto_map && !arguments.clear.tag.empty())
    arguments.map = arguments.clear.tag;
  return split_target(arguments);
}

}  // namespace oakgate::cli
