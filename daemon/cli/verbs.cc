#include "daemon/cli/verbs.h"

#include <algorithm>

namespace oakgate::cli {

namespace {

constexpr std::array kOperatorVerbs{
    VerbRow{Verb::status, {"status"}, Operand::status, "the tunnels, of one peer or all (the default verb)"},
    VerbRow{Verb::up, {"up"}, Operand::target, "bring a peer's tunnels up, wait for the outcome"},
    VerbRow{Verb::down, {"down"}, Operand::target, "take a peer's tunnels down until `oakgate up`"},
    VerbRow{Verb::check, {"check"}, Operand::check, "look for errors in a configuration file"},
    VerbRow{Verb::explain, {"explain"}, Operand::peer, "why the last negotiation failed, and what mends it"},
    VerbRow{Verb::ping, {"ping"}, Operand::ping, "test the way through a tunnel: both SAs, and the path MTU"},
    VerbRow{Verb::capture, {"capture"}, Operand::capture, "a peer's packets into a file, and their keys"},
    VerbRow{Verb::decode, {"decode"}, Operand::capture_file, "explain a capture file, with keys or without"},
    VerbRow{Verb::monitor, {"monitor"}, Operand::none, "print what happens, as it happens"},
    VerbRow{Verb::diff, {"diff"}, Operand::file, "how a configuration file differs from what runs"},
    VerbRow{Verb::reload, {"reload"}, Operand::reload, "read the configuration anew"},
    VerbRow{Verb::confirm, {"confirm"}, Operand::none, "keep what `reload --confirm` has brought"},
};
constexpr std::array kShowVerbs{
    VerbRow{Verb::show_running_config, {"show", "running-config"}, Operand::none, "the configuration in use"},
    VerbRow{Verb::show_isakmp_sa, {"show", "crypto", "isakmp", "sa"}, Operand::none, "as IOS prints it"},
    VerbRow{Verb::show_ipsec_sa, {"show", "crypto", "ipsec", "sa"}, Operand::none, "as IOS prints it"},
    VerbRow{Verb::show_crypto_engine,
            {"show", "crypto", "engine", "configuration"},
            Operand::none,
            "what encrypts, and why"},
    VerbRow{Verb::show_dropped_packets,
            {"show", "crypto", "engine", "connections", "dropped-packet"},
            Operand::none,
            "how many packets the data plane dropped, and why"},
    VerbRow{Verb::show_isakmp_policy,
            {"show", "crypto", "isakmp", "policy"},
            Operand::none,
            "the ISAKMP policies that are configured"},
    VerbRow{Verb::show_transform_sets,
            {"show", "crypto", "ipsec", "transform-set"},
            Operand::none,
            "the transform sets that are configured"},
    VerbRow{Verb::show_sa_lifetime,
            {"show", "crypto", "ipsec", "security-association"},
            Operand::none,
            "the life time of tunnels that do not say one"},
    VerbRow{Verb::show_crypto_map,
            {"show", "crypto", "map"},
            Operand::map,
            "the tunnels, as entries of crypto maps"},
    VerbRow{Verb::show_crypto_map, {"show", "crypto", "map", "tag"}, Operand::tag, "one of them"},
    VerbRow{Verb::show_crypto_map,
            {"show", "crypto", "map", "interface"},
            Operand::interface,
            "those whose local address a network device of this host has"},
    VerbRow{Verb::show_dynamic_map,
            {"show", "crypto", "dynamic-map"},
            Operand::map,
            "the tunnels of peers that may call from several addresses"},
    VerbRow{Verb::show_session_key,
            {"show", "crypto", "ipsec", "session-key"},
            Operand::none,
            "security-association, as IOS 11.3 has it"},
    VerbRow{Verb::show_transform_proposals,
            {"show", "crypto", "ipsec", "transform-proposal"},
            Operand::none,
            "transform-set, as IOS 11.3 has it"},
    VerbRow{Verb::show_connections,
            {"show", "crypto", "engine", "connections", "active"},
            Operand::none,
            "the packets that each SA has carried"},
    VerbRow{Verb::show_clock, {"show", "clock"}, Operand::none, "the time, by which certificates are judged"},
    VerbRow{Verb::show_debugging, {"show", "debugging"}, Operand::none, "who debugs what"},
};
constexpr std::array kShowKeyVerbs{
    VerbRow{
        Verb::pki_show_keys, {"show", "crypto", "key", "mypubkey", "rsa"}, Operand::pki, "our public keys"},
    VerbRow{
        Verb::pki_show_certificates, {"show", "crypto", "ca", "certificates"}, Operand::pki, "CAs' and ours"},
    VerbRow{Verb::pki_show_crls, {"show", "crypto", "ca", "crls"}, Operand::pki, "revocation lists at hand"},
    VerbRow{Verb::pki_show_certificates,
            {"show", "ca", "certificates"},
            Operand::pki,
            "CAs' and ours, as PIX has it"},
    VerbRow{
        Verb::pki_show_crls, {"show", "ca", "crl"}, Operand::pki, "revocation lists at hand, as PIX has it"},
    VerbRow{Verb::pki_show_keys,
            {"show", "ca", "mypubkey", "rsa"},
            Operand::pki,
            "our public keys, as PIX has it"},
    VerbRow{Verb::show_pubkey_chain,
            {"show", "crypto", "key", "pubkey-chain", "rsa"},
            Operand::pki,
            "the peers' public keys that are configured"},
    VerbRow{Verb::show_pubkey_chain,
            {"show", "crypto", "key", "pubkey-chain", "rsa", "name"},
            Operand::key_name,
            "one of them"},
    VerbRow{Verb::show_pubkey_chain,
            {"show", "crypto", "key", "pubkey-chain", "rsa", "address"},
            Operand::key_address,
            "those of the peer at an address"},
};
constexpr std::array kClearVerbs{
    VerbRow{Verb::clear_sas,
            {"clear", "crypto", "sa"},
            Operand::none,
            "delete all IPsec SAs; traffic brings them up again"},
    VerbRow{Verb::clear_sas, {"clear", "crypto", "sa", "peer"}, Operand::called, "those with one peer"},
    VerbRow{Verb::clear_sas, {"clear", "crypto", "sa", "map"}, Operand::tag, "those of one tunnel, or peer"},
    VerbRow{Verb::clear_sas, {"clear", "crypto", "sa", "entry"}, Operand::sa, "one, and its counterpart"},
    VerbRow{Verb::clear_sas, {"clear", "crypto", "sa", "spi"}, Operand::sa, "entry, as IOS 11.3 has it"},
    VerbRow{Verb::clear_counters,
            {"clear", "crypto", "sa", "counters"},
            Operand::none,
            "delete none, but count their packets anew"},
    VerbRow{Verb::clear_sas, {"clear", "crypto", "ipsec", "sa"}, Operand::none, "sa, as PIX has it"},
    VerbRow{
        Verb::clear_sas, {"clear", "crypto", "ipsec", "sa", "peer"}, Operand::called, "those with one peer"},
    VerbRow{Verb::clear_sas,
            {"clear", "crypto", "ipsec", "sa", "map"},
            Operand::tag,
            "those of one tunnel, or peer"},
    VerbRow{Verb::clear_sas,
            {"clear", "crypto", "ipsec", "sa", "entry"},
            Operand::sa,
            "one, and its counterpart"},
    VerbRow{Verb::clear_counters,
            {"clear", "crypto", "ipsec", "sa", "counters"},
            Operand::none,
            "delete none, but count their packets anew"},
    VerbRow{Verb::clear_isakmp,
            {"clear", "crypto", "isakmp"},
            Operand::any_connection,
            "delete all ISAKMP SAs, or one"},
    VerbRow{
        Verb::clear_isakmp, {"clear", "crypto", "isakmp", "sa"}, Operand::none, "all of them, as PIX has it"},
    VerbRow{Verb::clear_connection,
            {"clear", "crypto", "connection"},
            Operand::connection,
            "delete the SA with this number, of either kind"},
};
constexpr std::array kDebugVerbs{
    VerbRow{Verb::debug_isakmp, {"debug", "crypto", "isakmp"}, Operand::none, "phase 1, until Ctrl-C"},
    VerbRow{Verb::debug_isakmp, {"debug", "crypto", "isakmp", "peer"}, Operand::called, "with one peer"},
    VerbRow{Verb::debug_ipsec, {"debug", "crypto", "ipsec"}, Operand::none, "phase 2, until Ctrl-C"},
    VerbRow{Verb::debug_ipsec, {"debug", "crypto", "ipsec", "peer"}, Operand::called, "with one peer"},
    VerbRow{Verb::debug_engine,
            {"debug", "crypto", "engine"},
            Operand::none,
            "what the data plane has and cannot do, until Ctrl-C"},
    VerbRow{Verb::debug_engine, {"debug", "crypto", "engine", "peer"}, Operand::called, "with one peer"},
    VerbRow{Verb::debug_pki,
            {"debug", "crypto", "pki", "transactions"},
            Operand::none,
            "certificates, revocation lists, enrollment, until Ctrl-C"},
    VerbRow{Verb::debug_pki,
            {"debug", "crypto", "pki"},
            Operand::none,
            "certificates, revocation lists, enrollment, until Ctrl-C"},
    VerbRow{Verb::debug_pki, {"debug", "crypto", "pki", "peer"}, Operand::called, "with one peer"},
    VerbRow{Verb::debug_pki, {"debug", "crypto", "ca"}, Operand::none, "pki, as PIX has it"},
};
constexpr std::array kOtherVerbs{
    VerbRow{Verb::shell, {"shell"}, Operand::shell, "type verbs at a prompt, with completion and `?`"},
    VerbRow{Verb::pki_authenticate,
            {"pki", "authenticate"},
            Operand::authenticate,
            "fetch the certificate of a trustpoint's authority and accept it"},
    VerbRow{Verb::pki_enroll,
            {"pki", "enroll"},
            Operand::enroll,
            "request a certificate from a trustpoint's authority"},
    VerbRow{Verb::pki_generate_key, {"pki", "generate-key"}, Operand::new_key, "make a private key"},
    VerbRow{
        Verb::pki_show_key, {"pki", "show", "key"}, Operand::key, "one public key of ours, ready to paste"},
    VerbRow{Verb::pki_show_keys, {"pki", "show", "keys"}, Operand::pki, "all keys of ours"},
    VerbRow{Verb::pki_show_certificates, {"pki", "show", "certificates"}, Operand::pki, "CAs' and ours"},
    VerbRow{
        Verb::pki_show_crls, {"pki", "show", "crls"}, Operand::pki, "certificate revocation lists at hand"},
    VerbRow{
        Verb::pki_show_trustpoints, {"pki", "show", "trustpoints"}, Operand::pki, "what each has and lacks"},
    VerbRow{Verb::pki_import, {"pki", "import"}, Operand::import, "certificates and keys out of a file"},
    VerbRow{Verb::pki_export_ssh_host_key, {"pki", "export-ssh-host-key"}, Operand::host_key, "for sshd"},
    VerbRow{Verb::pki_known_hosts, {"pki", "known-hosts"}, Operand::known_hosts, "of certificates"},
    VerbRow{Verb::pki_crl_request,
            {"pki", "crl", "request"},
            Operand::trustpoint,
            "have the daemon fetch revocation lists now"},
    VerbRow{Verb::import_cisco, {"import", "cisco"}, Operand::foreign, "an IOS, PIX or ASA running-config"},
    VerbRow{Verb::import_ipsec_conf, {"import", "ipsec.conf"}, Operand::ipsec_conf, "strongSwan, libreswan"},
    VerbRow{Verb::import_swanctl_conf, {"import", "swanctl.conf"}, Operand::foreign, "strongSwan"},
    VerbRow{Verb::export_cisco,
            {"export", "cisco"},
            Operand::device,
            "what a peer's device has to be told, in its own words"},
    VerbRow{Verb::pki_zeroize, {"pki", "zeroize"}, Operand::old_key, "destroy a private key"},
};

template <std::size_t... Sizes>
constexpr auto joined(const std::array<VerbRow, Sizes>&... tables) {
  std::array<VerbRow, (Sizes + ...)> all{};
  auto* to = all.begin();
  ((to = std::copy(tables.begin(), tables.end(), to)), ...);
  return all;
}
constexpr std::array kAllVerbs =
    joined(kOperatorVerbs, kShowVerbs, kShowKeyVerbs, kClearVerbs, kDebugVerbs, kOtherVerbs);

struct GroupRow {
  std::string_view word;
  const char* help;
};
constexpr std::array kGroups{
    GroupRow{"clear", "the IOS words that delete SAs, which come up again"},
    GroupRow{"debug", "what happens, as it happens, in the manner of IOS"},
    GroupRow{"export", "the other end's configuration"},
    GroupRow{"import", "a configuration out of another device's or program's"},
    GroupRow{"pki", "keys and certificates"},
    GroupRow{"show", "the IOS words, in the IOS layouts"},
};
}  // namespace

std::span<const VerbRow> verb_table() {
  return kAllVerbs;
}

const char* group_help(std::string_view word) {
  for (const GroupRow& row : kGroups) {
    if (row.word == word) return row.help;
  }
  return kGroups.back().help;
}

}  // namespace oakgate::cli
