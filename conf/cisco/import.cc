#include "conf/cisco/import.h"

#include <algorithm>
#include <array>

#include "conf/cisco/plan.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf::cisco {

namespace {

std::string_view dialect_name(Dialect dialect) {
  constexpr std::array<std::string_view, 3> kNames{"IOS", "PIX", "ASA"};
  return kNames[static_cast<std::size_t>(dialect)];
}

std::string in_pem(ByteView der) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::size_t kLine = 64;
  std::string text;
  for (std::size_t i = 0; i < der.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, der.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? der[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= left ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t i = 0; i < text.size(); i += kLine) pem += text.substr(i, kLine) + "\n";
  return pem + "-----END CERTIFICATE-----\n";
}

SecretBytes bytes_of(std::string_view text) {
  return SecretBytes(ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

class Writer {
 public:
  Writer(Model model, std::chrono::sys_days weak_until)
      : model_(std::move(model)), weak_until_(weak_until), peers_(plan_peers(model_)) {}

  Imported write() {
    const std::string host = model_.host_name.empty() ? "a device" : printable(model_.host_name);
    line("# From the running configuration of " + host + " (" + std::string(dialect_name(model_.dialect)) +
         "), by `oakgate import cisco`.");
    gateway();
    policies();
    transform_sets();
    trustpoints();
    keys();
    peers();
    file_notes();
    finish_notes(model_.notes);
    out_.notes = std::move(model_.notes);
    out_.peers = peers_.size();
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_.yaml += text + "\n"; }
  void about_file(std::string why) { model_.notes.push_back({0, {}, std::move(why)}); }

  void gateway() {
    std::vector<std::string> lines;
    if (!model_.host_name.empty()) lines.push_back("  name: " + yaml_name(model_.host_name));
    if (model_.identity == "hostname" && !model_.host_name.empty()) {
      const std::string name =
          model_.domain.empty() ? model_.host_name : model_.host_name + "." + model_.domain;
      if (const std::string text = yaml_quoted("hostname:" + name); !text.empty())
        lines.push_back("  identity: " + text);
    } else if (model_.identity == "dn") {
      lines.emplace_back("  identity: dn");
    }
    std::vector<std::string> addresses;
    for (const Interface& one : model_.interfaces) {
      if (one.crypto_map.empty() || !one.address) continue;
      const std::string text = one.address->to_string();
      addresses.push_back(one.address->is_v4() ? text : "\"" + text + "\"");
    }
    if (!addresses.empty()) lines.push_back("  listen: [" + join(addresses) + "]");
    if (lines.empty()) return;
    line("\ngateway:");
    for (const std::string& one : lines) line(one);
  }

  void policies() {
    line("\nisakmp_policies:");
    for (const IsakmpPolicy& one : model_.policies) line("  " + yaml_policy(one));
  }

  void transform_sets() {
    line("\ntransform_sets:");
    for (const auto& [number, set] : model_.transform_sets) line("  " + yaml_set(set));
  }

  void trustpoints() {
    if (model_.trustpoints.empty()) return;
    line("\ntrustpoints:");
    for (const Trustpoint& one : model_.trustpoints) {
      const std::string name = name_of(one.name);
      line("  " + yaml_name(one.name) + ":");
      line("    ca: " + name + "-ca.pem");
      line("    certificate: " + name + ".pem");
      line("    key: {file: " + name + ".key}");
      line("    revocation: " + one.revocation);
      if (const std::string ldap = url_of(one, one.ldap, "ldap"); !ldap.empty())
        line("    crl: {ldap: " + ldap + "}");
      enrollment(one);
      certificate(name + "-ca.pem", one.ca_certificate);
      certificate(name + ".pem", one.certificate);
      about_file("trustpoint " + name + ": its private key stays in the device: `oakgate pki generate-key " +
                 name + "`, " +
                 (one.ca_certificate.empty() ? "`oakgate pki authenticate " + name + "`, " : std::string{}) +
                 "`oakgate pki enroll " + name + "`; an old CA needs `allow_weak` too");
    }
  }

  void enrollment(const Trustpoint& one) {
    const std::string url = url_of(one, one.url, "http");
    if (url.empty()) return;
    std::string text = "    enrollment: {url: " + url + ", mode: " + (one.ra ? "ra" : "ca");
    if (one.retry_minutes != 0) text += ", retry_period: " + std::to_string(one.retry_minutes) + "m";
    if (one.retry_count != 0) text += ", retry_count: " + std::to_string(one.retry_count);
    line(text + "}");
  }

  // Between quotes; empty if there is none, or none that we can use.
  std::string url_of(const Trustpoint& trustpoint, const std::string& text, std::string_view scheme) {
    const std::array schemes{scheme};
    if (text.empty()) return {};
    if (parse_url(text, schemes) && !yaml_quoted(text).empty()) return yaml_quoted(text);
    model_.notes.push_back(
        {trustpoint.line, {}, "the server's URL was not understood: set it in `trustpoints`"});
    return {};
  }

  void certificate(const std::string& name, const Bytes& der) {
    if (!der.empty()) out_.files.push_back({name, false, bytes_of(in_pem(der))});
  }

  void keys() {
    const bool used = std::any_of(peers_.begin(), peers_.end(),
                                  [](const PlannedPeer& peer) { return peer.public_key != nullptr; });
    if (!used) return;
    line("\nkeys:");
    line("  own: {file: own.key, usage: encryption}");
    about_file(
        "the device's RSA key stays in it: `oakgate pki generate-key own --bits 1024`, and paste what "
        "`oakgate pki show key own` prints into the peers' pubkey-chain");
    line("\npublic_keys:");
    for (const PublicKey& one : model_.public_keys) {
      line("  " + yaml_name(one.name) + ": {key_string: \"" + one.hexadecimal + "\"}");
    }
  }

  void peers() {
    line("\npeers:");
    for (const PlannedPeer& peer : peers_) {
      line("  " + yaml_name(peer.name) + ":");
      line("    address: " +
           (peer.address == "any" || IpAddress::parse(peer.address) ? peer.address : name_of(peer.address)));
      proofs(peer);
      if (!peer.weak.empty()) waiver(peer);
      if (model_.dialect == Dialect::pix && !model_.nat_traversal) line("    nat_traversal: off");
      dead_peers();
      line("    tunnels:");
      for (const PlannedTunnel& tunnel : peer.tunnels) write(tunnel);
    }
  }

  void proofs(const PlannedPeer& peer) {
    if (peer.pre_shared_key != nullptr) {
      const std::string name = name_of(peer.name) + ".psk";
      line("    pre_shared_key: {file: " + name + "}");
      const PreSharedKey& key = *peer.pre_shared_key;
      if (key.key.empty()) {
        model_.notes.push_back(
            {key.line, {}, "the key is not shown in the file: write it into " + name + ", mode 0600"});
      } else {
        out_.files.push_back({name, true, key_file(key.key)});
      }
    }
    if (peer.signs) {
      line("    trustpoint: " + yaml_name(peer.trustpoint));
      about_file("peer " + peer.name +
                 ": what name its certificate has is not in the file: set `identity` if it is "
                 "not its address");
    }
    if (peer.public_key != nullptr) {
      line("    rsa_encr: {peer_key: " + yaml_name(peer.public_key->name) + ", own_key: own}");
    }
  }

  void waiver(const PlannedPeer& peer) {
    line("    " +
         yaml_waiver(peer.weak, weak_until_,
                     "as its " + std::string(dialect_name(model_.dialect)) + " configuration had it"));
  }

  void dead_peers() {
    if (!model_.dpd) return;
    line("    " + yaml_dpd(*model_.dpd));
  }

  void write(const PlannedTunnel& tunnel) {
    ++out_.tunnels;
    line("      " + yaml_name(tunnel.name) + ":");
    line("        local: " + yaml_selectors(tunnel.local));
    line("        remote: " + yaml_selectors(tunnel.remote));
    std::vector<std::string> sets;
    for (const std::string& one : tunnel.transform_sets) sets.push_back(yaml_name(one));
    line("        transform_sets: [" + join(sets) + "]");
    if (tunnel.pfs) line("        pfs: " + std::string(info(*tunnel.pfs).name));
    if (tunnel.lifetime != Lifetime{}) {
      line("        " + yaml_lifetime(tunnel.lifetime));
    }
    if (tunnel.replay_window != 0) line("        replay_window: " + std::to_string(tunnel.replay_window));
    if (tunnel.df_bit == DfBit::clear) line("        df_bit: clear");
    // The kernel's data plane has no means for these, and which one there will be is not known.
    if (tunnel.df_bit == DfBit::set) line("        # df_bit: set    # with `data_plane: software`");
    if (tunnel.tcp_mss != 0) {
      line("        # tcp_mss: " + std::to_string(tunnel.tcp_mss) +
           "    # with `data_plane: software`; else by a firewall rule");
    }
  }

  void file_notes() {
    if (peers_.empty()) about_file("no crypto map of the file could be made a peer");
  }

  Model model_;
  std::chrono::sys_days weak_until_;
  std::vector<PlannedPeer> peers_;
  Imported out_;
};

}  // namespace

Imported import_cisco(std::string_view running_config, std::chrono::sys_days weak_until) {
  return Writer(read_model(read_running_config(running_config)), weak_until).write();
}

}  // namespace oakgate::conf::cisco
