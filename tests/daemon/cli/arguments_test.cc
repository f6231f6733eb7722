#include "daemon/cli/arguments.h"

#include <gtest/gtest.h>

namespace oakgate::cli {
namespace {

struct Parsed {
  Outcome<void> outcome;
  Arguments arguments;
};

Parsed parse(std::vector<const char*> words, const char* environment = "") {
  words.insert(words.begin(), "oakgate");
  Parsed parsed;
  parsed.outcome =
      parse_arguments(static_cast<int>(words.size()), words.data(), environment, parsed.arguments);
  return parsed;
}

TEST(Arguments, TheDefaultIsStatus) {
  const Parsed parsed = parse({});
  ASSERT_TRUE(parsed.outcome);
  EXPECT_EQ(parsed.arguments.verb, Verb::status);
  EXPECT_EQ(parsed.arguments.socket, "/run/oakgate/control.sock");
  EXPECT_FALSE(parsed.arguments.json);
}

TEST(Arguments, WatchIsOfStatusAlone) {
  EXPECT_EQ(parse({}).arguments.watch, 0);
  EXPECT_EQ(parse({"--watch"}).arguments.watch, 2);
  EXPECT_EQ(parse({"--watch", "5"}).arguments.watch, 5);
  EXPECT_EQ(parse({"--watch", "--json"}).arguments.watch, 2);
  EXPECT_EQ(parse({"status", "--watch"}).arguments.watch, 2);
  EXPECT_EQ(parse({"status", "--watch=3600"}).arguments.watch, 3600);
  const Parsed one = parse({"status", "--watch", "b"});
  EXPECT_EQ(one.arguments.watch, 2);
  EXPECT_EQ(one.arguments.peer, "b");
  const Parsed often = parse({"status", "--watch", "10", "b"});
  EXPECT_EQ(often.arguments.watch, 10);
  EXPECT_EQ(often.arguments.peer, "b");
  EXPECT_FALSE(parse({"status", "--watch", "0"}).outcome);
  EXPECT_FALSE(parse({"status", "--watch", "3601"}).outcome);
  EXPECT_FALSE(parse({"status", "--watch", "99999999999"}).outcome);
  EXPECT_FALSE(parse({"status", "--watch=soon"}).outcome);
  const Parsed monitor = parse({"monitor", "--watch"});
  ASSERT_FALSE(monitor.outcome);
  EXPECT_EQ(monitor.outcome.error().exit, Exit::usage);
}

TEST(Arguments, EveryVerb) {
  EXPECT_EQ(parse({"status"}).arguments.verb, Verb::status);
  EXPECT_EQ(parse({"status", "b"}).arguments.peer, "b");
  EXPECT_EQ(parse({"up", "b"}).arguments.verb, Verb::up);
  EXPECT_EQ(parse({"down", "b"}).arguments.verb, Verb::down);
  EXPECT_EQ(parse({"check"}).arguments.file, "/etc/oakgate/oakgate.yaml");
  EXPECT_EQ(parse({"check", "x.yaml"}).arguments.file, "x.yaml");
  EXPECT_EQ(parse({"check", "x.yaml"}).arguments.verb, Verb::check);
  EXPECT_FALSE(parse({"check", "x.yaml"}).arguments.probe);
  EXPECT_TRUE(parse({"check", "--probe", "x.yaml"}).arguments.probe);
  EXPECT_EQ(parse({"monitor"}).arguments.verb, Verb::monitor);
  const Parsed exported = parse({"export", "cisco", "pix-520", "--dialect", "pix"});
  EXPECT_EQ(exported.arguments.verb, Verb::export_cisco);
  EXPECT_EQ(exported.arguments.peer, "pix-520");
  EXPECT_EQ(exported.arguments.exported.config, "/etc/oakgate/oakgate.yaml");
  EXPECT_FALSE(parse({"export", "cisco", "pix-520", "--dialect", "junos"}).outcome);
  const Parsed import = parse({"import", "cisco", "pix.txt", "--output", "new", "--force"});
  EXPECT_EQ(import.arguments.verb, Verb::import_cisco);
  EXPECT_EQ(import.arguments.import.file, "pix.txt");
  EXPECT_EQ(import.arguments.import.output, "new");
  EXPECT_TRUE(import.arguments.import.force);
  const Parsed captured =
      parse({"capture", "b", "-w", "x.pcapng", "--seconds", "30", "--packets", "9", "--no-keys"});
  EXPECT_EQ(captured.arguments.verb, Verb::capture);
  EXPECT_EQ(captured.arguments.peer, "b");
  EXPECT_EQ(captured.arguments.captured.file, "x.pcapng");
  EXPECT_EQ(captured.arguments.captured.seconds, 30);
  EXPECT_EQ(captured.arguments.captured.packets, 9);
  EXPECT_TRUE(captured.arguments.captured.no_keys);
  EXPECT_FALSE(parse({"capture", "b"}).outcome) << "where to";
  EXPECT_FALSE(parse({"capture", "b", "-w", "x", "--seconds", "3601"}).outcome);
  const Parsed decoded = parse({"decode", "x.pcap", "--keys", "one", "--keys", "two"});
  EXPECT_EQ(decoded.arguments.verb, Verb::decode);
  EXPECT_EQ(decoded.arguments.decoded.keys, (std::vector<std::string>{"one", "two"}));
  const Parsed pinged = parse({"ping", "b/lan", "--count", "3", "--address", "10.2.0.1"});
  EXPECT_EQ(pinged.arguments.verb, Verb::ping);
  EXPECT_EQ(pinged.arguments.tunnel, "lan");
  EXPECT_EQ(pinged.arguments.pinged.count, 3);
  const Parsed swan =
      parse({"import", "ipsec.conf", "ipsec.conf", "--secrets", "ipsec.secrets", "--side", "right"});
  EXPECT_EQ(swan.arguments.verb, Verb::import_ipsec_conf);
  EXPECT_EQ(swan.arguments.import.file, "ipsec.conf");
  EXPECT_EQ(swan.arguments.import.secrets, "ipsec.secrets");
  EXPECT_EQ(swan.arguments.import.side, "right");
  EXPECT_EQ(parse({"import", "swanctl.conf", "-"}).arguments.verb, Verb::import_swanctl_conf);
  EXPECT_EQ(parse({"reload"}).arguments.verb, Verb::reload);
  EXPECT_EQ(parse({"reload"}).arguments.confirm, 0);
  EXPECT_EQ(parse({"reload", "--confirm", "120"}).arguments.confirm, 120);
  EXPECT_EQ(parse({"confirm"}).arguments.verb, Verb::confirm);
  EXPECT_EQ(parse({"diff", "new.yaml"}).arguments.file, "new.yaml");
  EXPECT_EQ(parse({"show", "running-config"}).arguments.verb, Verb::show_running_config);
  EXPECT_EQ(parse({"show", "crypto", "isakmp", "sa"}).arguments.verb, Verb::show_isakmp_sa);
  EXPECT_EQ(parse({"show", "crypto", "ipsec", "sa"}).arguments.verb, Verb::show_ipsec_sa);
}

TEST(Arguments, WordsMayBeCutAsIosTakesThem) {
  EXPECT_EQ(parse({"sh", "cr", "isa", "sa"}).arguments.verb, Verb::show_isakmp_sa);
  EXPECT_EQ(parse({"--socket", "sh", "sh", "cry", "ips", "tr", "--json"}).arguments.verb,
            Verb::show_transform_sets);
  EXPECT_EQ(parse({"--socket", "sh", "sh", "cry", "ips", "tr"}).arguments.socket, "sh");
  EXPECT_EQ(parse({"sho", "run"}).arguments.verb, Verb::show_running_config);
  const Parsed map = parse({"sh", "cr", "map", "sta"});
  EXPECT_EQ(map.arguments.verb, Verb::show_crypto_map);
  EXPECT_EQ(map.arguments.map, "sta");  // an operand is not cut
  EXPECT_EQ(parse({"u", "s"}).arguments.peer, "s");
  EXPECT_EQ(parse({"rel"}).arguments.verb, Verb::reload);
  const Parsed s = parse({"s"});
  ASSERT_FALSE(s.outcome);
  EXPECT_EQ(s.outcome.error().exit, Exit::usage);
  EXPECT_EQ(s.outcome.error().text, "`s` is ambiguous: show, status");
  EXPECT_FALSE(parse({"sh", "cr", "nothing"}).outcome);
}

TEST(Arguments, ClearSaysWhat) {
  EXPECT_EQ(parse({"cl", "cr", "sa"}).arguments.verb, Verb::clear_sas);
  EXPECT_EQ(parse({"clear", "crypto", "ipsec", "sa"}).arguments.verb, Verb::clear_sas);
  EXPECT_EQ(parse({"clear", "crypto", "sa"}).arguments.peer, "");
  const Parsed peer = parse({"cl", "cr", "sa", "pe", "192.0.2.2"});
  ASSERT_TRUE(peer.outcome) << peer.outcome.error().text;
  EXPECT_EQ(peer.arguments.verb, Verb::clear_sas);
  EXPECT_EQ(peer.arguments.peer, "192.0.2.2");
  const Parsed map = parse({"clear", "crypto", "ips", "sa", "map", "b/lan"});
  EXPECT_EQ(map.arguments.verb, Verb::clear_sas);
  EXPECT_EQ(map.arguments.peer, "b");
  EXPECT_EQ(map.arguments.tunnel, "lan");
  EXPECT_EQ(parse({"cl", "cr", "sa", "map", "b"}).arguments.peer, "b");
  EXPECT_EQ(parse({"clear", "crypto", "sa", "counters"}).arguments.verb, Verb::clear_counters);
  for (const char* spi : {"0x1925112F", "0X1925112f", "421859631"}) {
    const Parsed entry = parse({"cl", "cr", "sa", "entry", "192.0.2.1", "esp", spi});
    ASSERT_TRUE(entry.outcome) << entry.outcome.error().text;
    EXPECT_EQ(entry.arguments.verb, Verb::clear_sas);
    EXPECT_EQ(entry.arguments.clear.sa,
              (SaId{*IpAddress::parse("192.0.2.1"), IpsecProtocol::esp, {0x1925112f}}));
  }
  EXPECT_EQ(parse({"cl", "cr", "sa", "spi", "::1", "ah", "7"}).arguments.clear.sa->protocol,
            IpsecProtocol::ah);
  EXPECT_EQ(parse({"cl", "cr", "isa"}).arguments.verb, Verb::clear_isakmp);
  EXPECT_EQ(parse({"cl", "cr", "isa"}).arguments.clear.connection, 0U);
  EXPECT_EQ(parse({"cl", "cr", "isa", "1001"}).arguments.clear.connection, 1001U);
  EXPECT_EQ(parse({"cl", "cr", "isa", "sa"}).arguments.verb, Verb::clear_isakmp);
  EXPECT_EQ(parse({"cl", "cr", "con", "7"}).arguments.verb, Verb::clear_connection);
  for (const auto& words :
       std::vector<std::vector<const char*>>{{"clear"},
                                             {"clear", "crypto"},
                                             {"clear", "crypto", "ipsec"},
                                             {"cl", "cr", "sa", "peer"},
                                             {"cl", "cr", "sa", "map"},
                                             {"cl", "cr", "sa", "map", "b/"},
                                             {"cl", "cr", "sa", "b"},
                                             {"cl", "cr", "sa", "counters", "b"},
                                             {"cl", "cr", "sa", "entry", "::1", "esp"},
                                             {"cl", "cr", "sa", "entry", "b", "esp", "1"},
                                             {"cl", "cr", "sa", "entry", "::1", "tcp", "1"},
                                             {"cl", "cr", "sa", "entry", "::1", "esp", "1g"},
                                             {"cl", "cr", "sa", "entry", "::1", "esp", "0x"},
                                             {"cl", "cr", "sa", "entry", "::1", "esp", "0x123456789"},
                                             {"cl", "cr", "con"},
                                             {"cl", "cr", "con", "0"},
                                             {"cl", "cr", "isa", "x"}}) {
    const Parsed parsed = parse(words);
    ASSERT_FALSE(parsed.outcome) << words.back();
    EXPECT_EQ(parsed.outcome.error().exit, Exit::usage);
  }
}

TEST(Arguments, DebugAndTheOtherIosWords) {
  EXPECT_EQ(parse({"deb", "cr", "isa"}).arguments.verb, Verb::debug_isakmp);
  EXPECT_EQ(parse({"debug", "crypto", "ipsec"}).arguments.verb, Verb::debug_ipsec);
  EXPECT_EQ(parse({"debug", "crypto", "engine"}).arguments.verb, Verb::debug_engine);
  EXPECT_EQ(parse({"deb", "cr", "pki"}).arguments.verb, Verb::debug_pki);
  EXPECT_EQ(parse({"deb", "cr", "pki", "trans"}).arguments.verb, Verb::debug_pki);
  EXPECT_EQ(parse({"deb", "cr", "ca"}).arguments.verb, Verb::debug_pki);
  const Parsed peer = parse({"deb", "cr", "isa", "peer", "b", "--json"});
  EXPECT_EQ(peer.arguments.verb, Verb::debug_isakmp);
  EXPECT_EQ(peer.arguments.peer, "b");
  EXPECT_TRUE(peer.arguments.json);
  EXPECT_FALSE(parse({"debug", "crypto"}).outcome);
  EXPECT_FALSE(parse({"debug", "all"}).outcome);
  EXPECT_EQ(parse({"sh", "deb"}).arguments.verb, Verb::show_debugging);
  EXPECT_EQ(parse({"sh", "clock"}).arguments.verb, Verb::show_clock);
  EXPECT_EQ(parse({"sh", "cr", "en", "conn", "ac"}).arguments.verb, Verb::show_connections);
  EXPECT_EQ(parse({"sh", "cr", "ips", "sess"}).arguments.verb, Verb::show_session_key);
  EXPECT_EQ(parse({"sh", "cr", "ips", "transform-p"}).arguments.verb, Verb::show_transform_proposals);
  EXPECT_EQ(parse({"sh", "cr", "dyn", "b"}).arguments.map, "b");
  EXPECT_EQ(parse({"sh", "cr", "map", "tag", "b"}).arguments.map, "b");
  EXPECT_EQ(parse({"sh", "cr", "map", "t"}).arguments.map, "t");  // a tag, since no tag follows
  EXPECT_EQ(parse({"sh", "cr", "map", "t", "b"}).arguments.map, "b");
  EXPECT_EQ(parse({"sh", "cr", "map", "int", "eth0"}).arguments.interface, "eth0");
  EXPECT_EQ(parse({"sh", "cr", "map", "int", "eth0"}).arguments.map, "");
  EXPECT_EQ(parse({"sh", "ca", "cert"}).arguments.verb, Verb::pki_show_certificates);
  EXPECT_EQ(parse({"sh", "ca", "crl"}).arguments.verb, Verb::pki_show_crls);
  EXPECT_EQ(parse({"sh", "ca", "my", "rsa"}).arguments.verb, Verb::pki_show_keys);
  EXPECT_EQ(parse({"sh", "cr", "key", "pub", "rsa"}).arguments.verb, Verb::show_pubkey_chain);
  EXPECT_EQ(parse({"sh", "cr", "key", "pub", "rsa", "name", "p"}).arguments.pki.name, "p");
  EXPECT_EQ(parse({"sh", "cr", "key", "pub", "rsa", "addr", "::1"}).arguments.pki.address, "::1");
}

TEST(Arguments, PkiVerbs) {
  const Parsed authenticate =
      parse({"pki", "authenticate", "corp", "--fingerprint", "12 34", "--config", "x"});
  ASSERT_TRUE(authenticate.outcome) << authenticate.outcome.error().text;
  EXPECT_EQ(authenticate.arguments.verb, Verb::pki_authenticate);
  EXPECT_EQ(authenticate.arguments.scep.trustpoint, "corp");
  EXPECT_EQ(authenticate.arguments.scep.fingerprint, "12 34");
  EXPECT_EQ(authenticate.arguments.scep.config, "x");
  const Parsed enroll =
      parse({"pki", "enroll", "corp", "--subject", "CN=a", "--fqdn", "a.b", "--ip-address", "192.0.2.1",
             "--serial-number", "7", "--password-file", "p", "--wait", "--json"});
  ASSERT_TRUE(enroll.outcome) << enroll.outcome.error().text;
  EXPECT_EQ(enroll.arguments.verb, Verb::pki_enroll);
  EXPECT_EQ(enroll.arguments.scep.subject, "CN=a");
  EXPECT_EQ(enroll.arguments.scep.host_name, "a.b");
  EXPECT_EQ(enroll.arguments.scep.ip_address, "192.0.2.1");
  EXPECT_EQ(enroll.arguments.scep.serial_number, "7");
  EXPECT_EQ(enroll.arguments.scep.password_file, "p");
  EXPECT_TRUE(enroll.arguments.scep.wait);
  EXPECT_FALSE(enroll.arguments.scep.ask_password);
  EXPECT_FALSE(enroll.arguments.scep.renew);
  EXPECT_TRUE(enroll.arguments.json);
  EXPECT_FALSE(parse({"pki", "enroll"}).outcome);
  EXPECT_FALSE(parse({"pki"}).outcome);
}

TEST(Arguments, OptionsStandBeforeOrAfterTheVerb) {
  for (const auto& words : std::vector<std::vector<const char*>>{{"--json", "--socket", "/x", "up", "b/lan"},
                                                                 {"up", "b/lan", "--json", "--socket", "/x"},
                                                                 {"--socket=/x", "up", "--json", "b/lan"}}) {
    const Parsed parsed = parse(words);
    ASSERT_TRUE(parsed.outcome) << parsed.outcome.error().text;
    EXPECT_TRUE(parsed.arguments.json);
    EXPECT_EQ(parsed.arguments.socket, "/x");
    EXPECT_EQ(parsed.arguments.peer, "b");
    EXPECT_EQ(parsed.arguments.tunnel, "lan");
  }
  EXPECT_TRUE(parse({"show", "crypto", "ipsec", "sa", "--json"}).arguments.json);
}

TEST(Arguments, TheSocketComesFromTheEnvironmentToo) {
  EXPECT_EQ(parse({}, "/env").arguments.socket, "/env");
  EXPECT_EQ(parse({"--socket", "/x"}, "/env").arguments.socket, "/x");
}

TEST(Arguments, MistakesAreUsageErrors) {
  for (const auto& words : std::vector<std::vector<const char*>>{{"frobnicate"},
                                                                 {"up"},
                                                                 {"down"},
                                                                 {"up", "a", "b"},
                                                                 {"up", "/lan"},
                                                                 {"up", "b/"},
                                                                 {"show"},
                                                                 {"show", "crypto"},
                                                                 {"show", "crypto", "isakmp"},
                                                                 {"--frobnicate"},
                                                                 {"--socket"},
                                                                 {"monitor", "b"},
                                                                 {"status", "a", "b"},
                                                                 {"up", "a", "down", "a"}}) {
    const Parsed parsed = parse(words);
    ASSERT_FALSE(parsed.outcome) << words[0];
    EXPECT_EQ(parsed.outcome.error().exit, Exit::usage);
    EXPECT_FALSE(parsed.outcome.error().text.empty());
  }
}

TEST(Arguments, AMistakeStillSaysHowToTellIt) {
  EXPECT_TRUE(parse({"frobnicate", "--json"}).arguments.json);
  EXPECT_FALSE(parse({"frobnicate"}).arguments.json);
}

Failure mistake(const std::vector<const char*>& words) {
  const Parsed parsed = parse(words);
  EXPECT_FALSE(parsed.outcome);
  return parsed.outcome ? Failure{} : parsed.outcome.error();
}

TEST(Arguments, AnUnknownWordSuggestsTheNearest) {
  EXPECT_EQ(mistake({"monitr"}).text, "there is no verb `monitr`; did you mean `monitor`?");
  EXPECT_EQ(mistake({"shw", "crypto", "isakmp", "sa"}).text, "there is no verb `shw`; did you mean `show`?");
  EXPECT_EQ(mistake({"--json", "statsu"}).text, "there is no verb `statsu`; did you mean `status`?");
  EXPECT_EQ(mistake({"frobnicate"}).text, "there is no verb `frobnicate`");
  EXPECT_EQ(mistake({"frobnicate"}).expected, "see `oakgate help`");
  EXPECT_EQ(mistake({"sh", "crypot"}).text, "`crypot` is no word of `show`; did you mean `crypto`?");
  EXPECT_EQ(mistake({"sh", "cr", "isa", "foo"}).text, "`foo` is no word of `show crypto isakmp`");
  EXPECT_EQ(mistake({"sh", "cr", "isa", "foo"}).expected, "one of: policy, sa");
  EXPECT_EQ(mistake({"import", "pix", "x.txt"}).expected, "one of: cisco, ipsec.conf, swanctl.conf");
  EXPECT_EQ(mistake({"clear", "crypto", "sa", "countres"}).text,
            "`countres` is no word of `clear crypto sa`; did you mean `counters`?");
  // An operand is not a word, and an option's value neither.
  EXPECT_EQ(parse({"sh", "cr", "map", "intreface"}).arguments.map, "intreface");
  EXPECT_EQ(mistake({"--scoket", "x", "status"}).text.find("there is no verb"), std::string::npos);
  EXPECT_TRUE(parse({"--socket", "monitr", "status"}).outcome);
}

TEST(Arguments, AMissingWordIsNamed) {
  EXPECT_EQ(mistake({"show"}).text, "`show` is not all: a word is missing");
  EXPECT_EQ(mistake({"show"}).expected, "one of: ca, clock, crypto, debugging, running-config");
  EXPECT_EQ(mistake({"pki", "crl"}).expected, "one of: request");
  EXPECT_EQ(mistake({"up"}).expected, "see `oakgate help up`");
  EXPECT_TRUE(parse({"clear", "crypto", "sa"}).outcome);
}

TEST(Arguments, HelpIsAVerbToo) {
  EXPECT_EQ(parse({"help"}).arguments.printed, parse({"--help"}).arguments.printed);
  EXPECT_EQ(parse({"help", "up"}).arguments.printed, parse({"up", "--help"}).arguments.printed);
  EXPECT_EQ(parse({"help", "sh", "cr"}).arguments.printed, parse({"show", "crypto", "-h"}).arguments.printed);
  EXPECT_NE(parse({"help", "show", "crypto"}).arguments.printed.find("policy, sa"), std::string::npos);
  EXPECT_EQ(parse({"up", "help"}).arguments.peer, "help");
  EXPECT_EQ(mistake({"help", "monitr"}).text, "there is no verb `monitr`; did you mean `monitor`?");
}

TEST(Arguments, HelpAndVersionPrint) {
  EXPECT_NE(parse({"--help"}).arguments.printed.find("show"), std::string::npos);
  EXPECT_NE(parse({"up", "--help"}).arguments.printed.find("PEER[/TUNNEL]"), std::string::npos);
  EXPECT_EQ(parse({"--version"}).arguments.printed.find("oakgate "), 0U);
}

}  // namespace
}  // namespace oakgate::cli
