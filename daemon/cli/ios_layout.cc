#include "daemon/cli/ios_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "ike/base/algorithms.h"

namespace oakgate::cli {

namespace {

std::string text(const Json& json, const char* member) {
  const auto found = json.find(member);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string("(unknown)");
}

std::uint64_t number(const Json& json, const char* member) {
  const auto found = json.find(member);
  if (found == json.end() || !found->is_number_integer()) return 0;
  const auto value = found->get<std::int64_t>();
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

bool is_v6(const Json& sa) {
  return text(sa, "dst").find(':') != std::string::npos;
}

// "0x01925112f" of the JSON as IOS writes it: "0x1925112F(421859631)".
std::string ios_spi(const Json& spi) {
  const unsigned long value =
      spi.is_string() ? std::strtoul(spi.get_ref<const std::string&>().c_str(), nullptr, 16) : 0;
  return fmt::format("0x{:X}({})", value, value);
}

// A cipher's word as IOS shows it with an SA: "esp-256-aes" for what its configuration calls "esp-aes 256".
std::string ios_shown(const EspCipherInfo& cipher) {
  const std::string words(cipher.ios_name);
  const std::size_t space = words.find(' ');
  if (cipher.kind != EspKind::cbc || space == std::string::npos) return words;
  return fmt::format("esp-{}-{}", words.substr(space + 1), words.substr(4, space - 4));
}

std::string lifetime_left(const Json& sa) {
  const std::uint64_t seconds = number(sa, "expires_in_s");
  if (!sa.contains("kilobytes_left") || !sa["kilobytes_left"].is_number()) {
    return fmt::format("remaining key lifetime (sec): {}", seconds);
  }
  return fmt::format("remaining key lifetime (k/sec): ({}/{})", number(sa, "kilobytes_left"), seconds);
}

std::string sa_block(const Json& sa, const std::string& map) {
  const bool nat = sa.value("udp_encapsulation", false);
  std::string out = fmt::format("      spi: {}\n", ios_spi(sa["spi"]));
  out += fmt::format("        transform: {} ,\n", ios_transform(text(sa, "transform")));
  const std::string mode = sa.value("mode", "tunnel") == "transport" ? "Transport" : "Tunnel";
  out += fmt::format("        in use settings ={{{}, }}\n", mode + (nat ? " UDP-Encaps" : ""));
  out += fmt::format("        conn id: {}, crypto map: {}\n", number(sa, "conn_id"), map);
  out += fmt::format("        sa timing: {}\n", lifetime_left(sa));
  out += fmt::format("        replay detection support: {}\n", number(sa, "replay_window") > 0 ? "Y" : "N");
  if (const std::uint64_t last = number(sa, "sequence"); last != 0)
    out += fmt::format("        last sequence number: {}\n", last);
  if (sa.value("esn", false)) out += "        extended sequence numbers: Y\n";
  out += fmt::format("        Status: {}\n", sa["role"] == "current" ? "ACTIVE" : "ACTIVE(replaced)");
  return out;
}

std::string sa_list(const Json& ident, const char* direction, const char* protocol, const std::string& map) {
  std::string out = fmt::format("\n     {} {} sas:\n", direction, protocol);
  for (const Json& sa : ident[direction]) {
    if (sa["protocol"] == protocol) out += sa_block(sa, map);
  }
  return out;
}

std::string ident_block(const Json& ident) {
  const std::string map = text(ident, "peer") + "/" + text(ident, "tunnel");
  const std::string local = text(ident, "local_endpoint");
  const std::string remote = text(ident, "remote_endpoint");
  const std::uint64_t sent = number(ident, "packets_out");
  const std::uint64_t received = number(ident, "packets_in");
  std::string out = fmt::format("    Crypto map tag: {}, local addr {}\n\n", map, local);
  out += fmt::format("   local  ident (addr/mask/prot/port): ({})\n", text(ident, "local_ident"));
  out += fmt::format("   remote ident (addr/mask/prot/port): ({})\n", text(ident, "remote_ident"));
  out += fmt::format("   current_peer {} port {}\n", remote, number(ident, "remote_port"));
  out += "     PERMIT, flags={origin_is_acl,}\n";
  out += fmt::format("    #pkts encaps: {0}, #pkts encrypt: {0}, #pkts digest: {0}\n", sent);
  out += fmt::format("    #pkts decaps: {0}, #pkts decrypt: {0}, #pkts verify: {0}\n", received);
  out += fmt::format("    #pkts compressed: {}, #pkts decompressed: {}\n",
                     number(ident, "packets_compressed"), number(ident, "packets_decompressed"));
  out += fmt::format("    #send errors 0, #recv errors {}\n\n", number(ident, "receive_errors"));
  out += fmt::format("     local crypto endpt.: {}, remote crypto endpt.: {}\n", local, remote);
  out += fmt::format("     current outbound spi: {}\n", ios_spi(ident["current_outbound_spi"]));
  const bool pfs = ident["pfs_group"].is_number();
  out += fmt::format("     PFS (Y/N): {}, DH group: {}\n", pfs ? "Y" : "N",
                     pfs ? fmt::format("group{}", number(ident, "pfs_group")) : "none");
  for (const char* direction : {"inbound", "outbound"}) {
    for (const char* protocol : {"esp", "ah", "pcp"}) out += sa_list(ident, direction, protocol, map);
  }
  return out;
}

std::string isakmp_section(const Json& sas, bool v6) {
  std::string out = fmt::format("{} Crypto ISAKMP SA\n", v6 ? "IPv6" : "IPv4");
  if (!v6) out += "dst             src             state          conn-id status\n";
  for (const Json& sa : sas) {
    if (is_v6(sa) != v6) continue;
    if (v6) {
      out += fmt::format(" dst: {}\n src: {}\n state: {:<14} conn-id: {:>7} status: {}\n\n", text(sa, "dst"),
                         text(sa, "src"), text(sa, "state"), number(sa, "conn_id"), text(sa, "status"));
    } else {
      out += fmt::format("{:<15} {:<15} {:<14} {:>7} {}\n", text(sa, "dst"), text(sa, "src"),
                         text(sa, "state"), number(sa, "conn_id"), text(sa, "status"));
    }
  }
  return out;
}

}  // namespace

// The configuration's words for transforms are IOS's but for the key lengths.
std::string ios_transform(std::string_view words) {
  std::string shown;
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    const auto cipher = find_esp_cipher(word);
    shown += (shown.empty() ? "" : " ") + (cipher ? ios_shown(info(*cipher)) : std::string(word));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
  }
  return shown;
}

std::string ios_isakmp_sa(const Json& result) {
  const Json& sas = result["isakmp_sas"];
  return isakmp_section(sas, false) + "\n" + isakmp_section(sas, true);
}

std::string ios_ipsec_sa(const Json& result) {
  std::string out = fmt::format("\ninterface: {}\n", text(result, "data_plane"));
  bool first = true;
  for (const Json& ident : result["idents"]) {
    if (!first) out += "\n";
    first = false;
    out += ident_block(ident);
  }
  return out;
}

std::string ios_crypto_engine(const Json& result) {
  std::string text;
  for (const Json& engine : result["engines"]) {
    if (!text.empty()) text += '\n';
    text += fmt::format("        crypto engine name:  {}\n", engine.value("name", ""));
    text += fmt::format("        crypto engine type:  {}\n",
                        engine.value("type", result.value("data_plane", "")));
    text += "       crypto engine state:  installed\n";
    text += fmt::format("                algorithms:  {}\n", engine.value("algorithms", ""));
    text += fmt::format("                    chosen:  {}\n", engine.value("why", ""));
  }
  if (const std::uint64_t workers = number(result, "workers"); workers != 0) {
    text += fmt::format("\n            worker threads:  {}\n", workers);
  }
  return text;
}

std::string ios_dropped_packets(const Json& result) {
  // IOS: one line an interface, with its address; the planes have none of their own.
  const Json addresses = result.value("addresses", Json::array());
  const bool one = addresses.is_array() && addresses.size() == 1 && addresses[0].is_string();
  std::string out = fmt::format("{:<16} {:<16} {}\n", "Interface", "IP-Address", "Drop Count");
  out += fmt::format("{:<16} {:<16} {}\n", text(result, "data_plane"),
                     one ? addresses[0].get<std::string>() : "unassigned", number(result, "dropped"));
  for (const Json& reason : result.value("reasons", Json::array())) {
    if (number(reason, "packets") != 0)
      out += fmt::format("    {:<48} {}\n", text(reason, "text"), number(reason, "packets"));
  }
  return out;
}

}  // namespace oakgate::cli
