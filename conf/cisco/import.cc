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

// Words that other readers of YAML take for booleans, and names that are all digits, stand in quotes.
std::string yaml_name(std::string_view text) {
  std::string name = name_of(text);
  constexpr std::array<std::string_view, 9> kBooleans{"yes",   "no", "on", "off", "true",
                                                      "false", "y",  "n",  "null"};
  std::string lower;
  for (const char c : name) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const bool digits = name.find_first_not_of("0123456789.") == std::string::npos;
  const bool boolean = std::find(kBooleans.begin(), kBooleans.end(), lower) != kBooleans.end();
  return digits || boolean ? "\"" + name + "\"" : name;
}

// Between quotes; empty if it holds what a URL or a DN has no need of.
std::string quoted(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  return plain && !text.empty() ? "\"" + std::string(text) + "\"" : std::string{};
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

// As a key's file holds it: one that begins with "0x" would be taken for hexadecimal there.
SecretBytes key_file(const SecretBytes& key) {
  const ByteView raw = key.view();
  Bytes out;
  if (raw.size() >= 2 && raw[0] == '0' && raw[1] == 'x') {
    constexpr std::string_view kHex = "0123456789abcdef";
    out = {'0', 'x'};
    for (const std::uint8_t byte : raw) {
      out.push_back(static_cast<std::uint8_t>(kHex[byte >> 4]));
      out.push_back(static_cast<std::uint8_t>(kHex[byte & 15U]));
    }
  } else {
    out.assign(raw.begin(), raw.end());
  }
  out.push_back('\n');
  return SecretBytes(std::move(out));
}

std::string date_text(std::chrono::sys_days day) {
  const std::chrono::year_month_day date(day);
  const auto two = [](unsigned value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  return std::to_string(static_cast<int>(date.year())) + "-" + two(static_cast<unsigned>(date.month())) +
         "-" + two(static_cast<unsigned>(date.day()));
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string selectors_text(const std::vector<Selector>& selectors) {
  std::vector<std::string> texts;
  for (const Selector& one : selectors) {
    const std::string text = one.to_string();
    texts.push_back(one.family() == Family::ipv6 ? "\"" + text + "\"" : text);
  }
  return texts.size() == 1 ? texts.front() : "[" + join(texts) + "]";
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
    // Words of the file are in the reasons, too.
    for (Note& note : model_.notes) note.why = printable(note.why);
    // By line, and what is about the file as a whole behind them.
    std::stable_sort(model_.notes.begin(), model_.notes.end(), [](const Note& a, const Note& b) {
      return (a.line == 0) != (b.line == 0) ? b.line == 0 : a.line < b.line;
    });
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
      if (const std::string text = quoted("hostname:" + name); !text.empty())
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
    for (const IsakmpPolicy& one : model_.policies) {
      line("  " + std::to_string(one.number) + ": {encryption: " + std::string(info(one.encryption).name) +
           ", hash: " + std::string(info(one.hash).name) +
           ", group: " + std::to_string(static_cast<int>(one.group)) +
           ", authentication: " + std::string(info(one.authentication).name) +
           ", lifetime: " + std::to_string(one.lifetime.count()) + "s}");
    }
  }

  void transform_sets() {
    line("\ntransform_sets:");
    for (const auto& [number, set] : model_.transform_sets) {
      TransformSet tunnel = set;
      tunnel.mode = EncapsulationMode::tunnel;
      std::string words = to_string(tunnel);
      std::replace(words.begin(), words.end(), ' ', ',');
      for (std::size_t at = 0; (at = words.find(',', at)) != std::string::npos; at += 2)
        words.insert(at + 1, " ");
      const bool transport = set.mode == EncapsulationMode::transport;
      line("  " + yaml_name(set.name) + ": " +
           (transport ? "{transforms: [" + words + "], mode: transport}" : "[" + words + "]"));
    }
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
    if (parse_url(text, schemes) && !quoted(text).empty()) return quoted(text);
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
    std::vector<std::string> words;
    for (const Weak one : peer.weak) words.emplace_back(weak_word(one));
    line("    allow_weak: {algorithms: [" + join(words) + "], until: " + date_text(weak_until_) +
         ", reason: \"as its " + std::string(dialect_name(model_.dialect)) + " configuration had it\"}");
  }

  void dead_peers() {
    if (!model_.dpd) return;
    const DeadPeerDetection& dpd = *model_.dpd;
    line("    dpd: {interval: " + std::to_string(dpd.interval.count()) +
         "s, timeout: " + std::to_string(dpd.timeout.count()) +
         "s, mode: " + (dpd.mode == DpdMode::periodic ? "periodic" : "on-demand") + "}");
  }

  void write(const PlannedTunnel& tunnel) {
    ++out_.tunnels;
    line("      " + yaml_name(tunnel.name) + ":");
    line("        local: " + selectors_text(tunnel.local));
    line("        remote: " + selectors_text(tunnel.remote));
    std::vector<std::string> sets;
    for (const std::string& one : tunnel.transform_sets) sets.push_back(yaml_name(one));
    line("        transform_sets: [" + join(sets) + "]");
    if (tunnel.pfs) line("        pfs: " + std::string(info(*tunnel.pfs).name));
    if (tunnel.lifetime != Lifetime{}) {
      const auto kilobytes = std::clamp<std::uint64_t>(tunnel.lifetime.kilobytes.value, 2560, 4294967295);
      line("        lifetime: {time: " + std::to_string(tunnel.lifetime.time.count()) +
           "s, kilobytes: " + std::to_string(kilobytes) + "}");
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
