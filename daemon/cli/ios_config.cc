#include "daemon/cli/ios_config.h"

#include <fmt/format.h>

#include "conf/cisco/export.h"
#include "daemon/cli/ios_layout.h"
#include "daemon/text.h"
#include "ike/base/algorithms.h"

namespace oakgate::cli {

namespace {

using conf::PeerConfig;
using conf::TunnelConfig;

std::string encryption_text(IkeCipher id) {
  const IkeCipherInfo& cipher = info(id);
  if (id == IkeCipher::des) return "DES - Data Encryption Standard (56 bit keys).";
  if (id == IkeCipher::des3) return "Three key triple DES";
  const bool aes = cipher.name.starts_with("aes");
  return fmt::format("{} ({} bit keys).", aes ? "AES - Advanced Encryption Standard" : "Camellia",
                     cipher.key_bytes * 8);
}

std::string hash_text(IkeHash id) {
  switch (id) {
    case IkeHash::md5:
      return "Message Digest 5";
    case IkeHash::sha:
      return "Secure Hash Standard";
    default:
      return fmt::format("Secure Hash Standard 2 ({} bit)", info(id).bytes * 8);
  }
}

std::string lifetime_text(const Lifetime& lifetime) {
  const std::string volume = lifetime.kilobytes.value == 0
                                 ? std::string("no volume limit")
                                 : fmt::format("{} kilobytes", lifetime.kilobytes.value);
  return fmt::format("{}/{} seconds", volume, lifetime.time.count());
}

std::string transforms_text(const TransformSet& set) {
  std::string text;
  const auto add = [&text](const std::string& word) { text += " { " + word + " }"; };
  if (set.ah) add("ah-" + std::string(info(*set.ah).name));
  if (set.cipher) {
    std::string esp = ios_transform(info(*set.cipher).name);
    if (set.integrity) esp += " esp-" + std::string(info(*set.integrity).name);
    add(esp);
  }
  if (set.compression) add(std::string(info(*set.compression).name));
  return text;
}

std::string mode_text(EncapsulationMode mode) {
  return mode == EncapsulationMode::transport ? "Transport" : "Tunnel";
}

std::string map_entry(const PeerConfig& peer, const TunnelConfig& tunnel, int number, bool dynamic) {
  const std::string tag = printable(peer.name) + "/" + printable(tunnel.name);
  const std::string address = printable(peer.address.to_string());
  std::string out = dynamic ? fmt::format("Crypto Map Template\"{}\" {}\n", tag, number)
                            : fmt::format("Crypto Map \"{}\" {} ipsec-isakmp\n", tag, number);
  out += fmt::format("        Peer = {}\n", address);
  out += fmt::format("        Extended IP access list {}\n", tag);
  for (const SelectorPair& pair : tunnel.pairs) {
    const SelectorPair shown = pair.canonical();
    const bool v4 = shown.local.family() == Family::ipv4 && !shown.local.range && !shown.remote.range;
    out += fmt::format(
        "            access-list {} {}\n", tag,
        v4 ? conf::cisco::access_entry(conf::cisco::Dialect::ios, pair) : "permit " + pair.to_string());
  }
  out += fmt::format("        Current peer: {}\n", address);
  out += fmt::format("        Security association lifetime: {}\n", lifetime_text(tunnel.lifetime));
  out += fmt::format("        PFS (Y/N): {}\n", tunnel.pfs ? "Y" : "N");
  if (tunnel.pfs) out += fmt::format("        DH group:  {}\n", info(*tunnel.pfs).name);
  out += "        Transform sets={\n";
  for (const TransformSet& set : tunnel.transform_sets) {
    out += fmt::format("                {}:{} ,\n", printable(set.name), transforms_text(set));
  }
  return out + "        }\n";
}

}  // namespace

std::string ios_isakmp_policies(const conf::Config& config) {
  std::string out = "Global IKE policy\n";
  for (const IsakmpPolicy& policy : config.policies) {
    out += fmt::format("Protection suite of priority {}\n", policy.number);
    out += fmt::format("        encryption algorithm:   {}\n", encryption_text(policy.encryption));
    out += fmt::format("        hash algorithm:         {}\n", hash_text(policy.hash));
    out += fmt::format("        authentication method:  {}\n", info(policy.authentication).ios_name);
    out += fmt::format("        Diffie-Hellman group:   #{} ({})\n", static_cast<int>(policy.group),
                       info(policy.group).description);
    out +=
        fmt::format("        lifetime:               {} seconds, no volume limit\n", policy.lifetime.count());
  }
  return out;
}

std::string ios_transform_sets(const conf::Config& config) {
  std::string out;
  for (const TransformSet& set : config.transform_sets) {
    out += fmt::format("Transform set {}:{}\n", printable(set.name), transforms_text(set));
    out += fmt::format("   will negotiate = {{ {},  }},\n\n", mode_text(set.mode));
  }
  return out;
}

namespace {

std::string maps(const conf::Config& config, const std::string& tag, bool dynamic) {
  std::string out;
  for (const PeerConfig& peer : config.peers) {
    int number = 0;
    if (dynamic && peer.address.callable()) continue;
    for (const TunnelConfig& tunnel : peer.tunnels) {
      number += 10;
      if (tag.empty() || tag == peer.name || tag == peer.name + "/" + tunnel.name) {
        out += map_entry(peer, tunnel, number, dynamic) + "\n";
      }
    }
  }
  return out;
}

}  // namespace

std::string ios_crypto_maps(const conf::Config& config, const std::string& tag) {
  return maps(config, tag, false);
}

std::string ios_dynamic_maps(const conf::Config& config, const std::string& tag) {
  return maps(config, tag, true);
}

std::string ios_transform_proposals(const conf::Config& config) {
  std::string out;
  for (const TransformSet& set : config.transform_sets) {
    const std::string mode = mode_text(set.mode);
    out += fmt::format("Transform proposal {}:{}\n", printable(set.name), transforms_text(set));
    out += "   supported settings = { Tunnel, Transport,  },\n";
    out += fmt::format("   default settings = {{ {0},  }},\n   will negotiate = {{ {0},  }},\n\n", mode);
  }
  return out;
}

std::string ios_session_key() {
  return "Session key lifetime: " + lifetime_text(Lifetime{}) + "\n";
}

std::string ios_sa_lifetime() {
  return "Security association lifetime: " + lifetime_text(Lifetime{}) + "\n";
}

}  // namespace oakgate::cli
