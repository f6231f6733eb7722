#include "conf/cisco/export.h"

#include <algorithm>
#include <array>
#include <bit>

namespace oakgate::conf::cisco {

namespace {

constexpr std::string_view kMap = "oakgate";
constexpr std::string_view kStars = "********";

constexpr std::uint32_t kUsualWindow = 64;

// `replay window-size`: the next one that IOS has.
std::uint32_t ios_window(std::uint32_t packets) {
  constexpr std::uint32_t kLargest = 1024;
  return std::clamp(std::bit_ceil(packets), kUsualWindow, kLargest);
}

// ---- what a dialect knows ------------------------------------------------------------------------------

// Old releases of each are meant: what the last ones learned beside IKEv2 is left to their documentation.
bool knows(Dialect dialect, IkeHash hash) {
  return dialect == Dialect::ios || hash == IkeHash::md5 || hash == IkeHash::sha;
}
bool knows(Dialect dialect, IkeCipher cipher) {
  static_cast<void>(dialect);
  return cipher == IkeCipher::des || cipher == IkeCipher::des3 || cipher == IkeCipher::aes_128 ||
         cipher == IkeCipher::aes_192 || cipher == IkeCipher::aes_256;
}
bool knows(Dialect dialect, DhGroup group) {
  const bool old = group == DhGroup::modp768 || group == DhGroup::modp1024 || group == DhGroup::modp1536;
  if (dialect != Dialect::ios) return old || (dialect == Dialect::asa && group == DhGroup::modp2048);
  return old || group == DhGroup::modp2048 || group == DhGroup::modp3072 || group == DhGroup::modp4096 ||
         group == DhGroup::ecp256 || group == DhGroup::ecp384 || group == DhGroup::ecp521 ||
         group == DhGroup::modp2048_256;
}
bool knows(Dialect dialect, AuthMethod method) {
  if (method == AuthMethod::pre_share || method == AuthMethod::rsa_sig) return true;
  return dialect == Dialect::ios && (method == AuthMethod::rsa_encr || method == AuthMethod::ecdsa_sig);
}
bool knows(Dialect dialect, EspCipher cipher) {
  switch (info(cipher).kind) {
    case EspKind::null:
      return true;
    case EspKind::cbc:
      return cipher != EspCipher::camellia_128 && cipher != EspCipher::camellia_192 &&
             cipher != EspCipher::camellia_256;
    case EspKind::gcm:
      return dialect == Dialect::ios && info(cipher).icv_bytes == 16;
    case EspKind::gmac:
      return dialect == Dialect::ios;
    case EspKind::ctr:
      return false;
  }
  return false;
}
bool knows(Dialect dialect, Integrity integrity) {
  const bool old = integrity == Integrity::md5 || integrity == Integrity::sha;
  return old || (dialect == Dialect::ios && integrity != Integrity::aes_xcbc);
}
bool knows(Dialect dialect, const TransformSet& set) {
  if (set.compression || (set.ah && dialect == Dialect::asa)) return false;
  return (!set.cipher || knows(dialect, *set.cipher)) && (!set.integrity || knows(dialect, *set.integrity)) &&
         (!set.ah || knows(dialect, *set.ah));
}

// ---- words ---------------------------------------------------------------------------------------------

std::string word(std::string_view text) {
  return std::string(text);
}

// PIX and ASA: "aes" and "aes-256"; "esp-aes" and "esp-aes-256"; "esp-none" is no word of theirs either.
std::string cipher_word(Dialect dialect, std::string_view ios_name) {
  std::string text(ios_name);
  if (dialect != Dialect::ios) std::replace(text.begin(), text.end(), ' ', '-');
  return text;
}

std::string inverse_mask(const Subnet& subnet) {
  std::string text;
  const IpAddress mask = subnet.netmask();
  for (const std::uint8_t byte : mask.bytes()) {
    text += (text.empty() ? "" : ".") + std::to_string(255 - byte);
  }
  return text;
}

std::string side(Dialect dialect, const Selector& selector) {
  const Subnet& subnet = selector.subnet;
  std::string text;
  if (subnet.prefix() == 0) {
    text = "any";
  } else if (subnet.is_host()) {
    text = "host " + subnet.address().to_string();
  } else {
    const std::string mask = dialect == Dialect::ios ? inverse_mask(subnet) : subnet.netmask().to_string();
    text = subnet.address().to_string() + " " + mask;
  }
  return selector.port == 0 ? text : text + " eq " + std::to_string(selector.port);
}

std::string protocol_word(std::uint8_t protocol) {
  switch (protocol) {
    case 0:
      return "ip";
    case 1:
      return "icmp";
    case 6:
      return "tcp";
    case 17:
      return "udp";
    case 47:
      return "gre";
    default:
      return std::to_string(protocol);
  }
}

class Writer {
 public:
  Writer(const Config& config, const PeerConfig& peer, const ExportOptions& options)
      : config_(config), peer_(peer), options_(options), dialect_(options.dialect) {}

  Exported write() {
    line("! For the gateway that oakgate calls " + peer_.name + ".");
    if (dialect_ == Dialect::pix) line("PIX Version 6.3");
    if (dialect_ == Dialect::asa) line("ASA Version 8.4");
    policies();
    proofs();
    keepalive();
    transform_sets();
    int number = 10;
    for (const TunnelConfig& tunnel : peer_.tunnels) {
      if (write(tunnel, number)) number += 10;
    }
    finish();
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_.text += text + "\n"; }
  void note(std::string text) {
    line("! " + text);
    out_.notes.push_back(std::move(text));
  }
  [[nodiscard]] bool ios() const { return dialect_ == Dialect::ios; }
  [[nodiscard]] std::string us() const { return options_.our_address.to_string(); }

  void policies() {
    for (const IsakmpPolicy& policy : peer_.policies) {
      if (!knows(dialect_, policy.encryption) || !knows(dialect_, policy.hash) ||
          !knows(dialect_, policy.group) || !knows(dialect_, policy.authentication)) {
        note("policy " + std::to_string(policy.number) + " (" + to_string(policy) +
             ") is not spoken there: left out");
        continue;
      }
      const std::string number = std::to_string(policy.number);
      const std::array<std::string, 5> words{
          "authentication " + word(info(policy.authentication).name),
          (ios() ? "encr " : "encryption ") + cipher_word(dialect_, info(policy.encryption).ios_name),
          "hash " + word(info(policy.hash).name), "group " + std::to_string(static_cast<int>(policy.group)),
          "lifetime " + std::to_string(std::clamp<std::int64_t>(policy.lifetime.count(), 60, 86400))};
      const std::string head = ios()                      ? "crypto isakmp policy "
                               : dialect_ == Dialect::asa ? "crypto ikev1 policy "
                                                          : "isakmp policy ";
      if (dialect_ != Dialect::pix) line(head + number);
      for (const std::string& one : words)
        line(dialect_ == Dialect::pix ? head + number + " " + one : " " + one);
    }
  }

  void pre_shared_key() {
    const PskSource& source = *peer_.pre_shared_key;
    line("! the key is the one in " + source.name);
    if (dialect_ == Dialect::asa) {
      line("tunnel-group " + us() + " type ipsec-l2l");
      line("tunnel-group " + us() + " ipsec-attributes");
      line(" ikev1 pre-shared-key " + word(kStars));
    } else if (ios()) {
      line("crypto isakmp key " + word(kStars) + " address " + us());
    } else {
      line("isakmp key " + word(kStars) + " address " + us() + " netmask 255.255.255.255");
    }
  }

  void proofs() {
    if (peer_.pre_shared_key) pre_shared_key();
    const std::string head = dialect_ == Dialect::pix ? "isakmp identity " : "crypto isakmp identity ";
    if (peer_.identity) {
      if (peer_.identity->kind == IdentityKind::fqdn) {
        line(head + "hostname");
        note("its host name and domain must make up " + peer_.identity->text);
      } else if (peer_.identity->kind == IdentityKind::dn) {
        line(head + (ios() ? "dn" : "hostname"));
      }
    }
    if (peer_.rsa_encr) {
      note("what `oakgate pki show key " + peer_.rsa_encr->own_key +
           "` prints belongs into its `crypto key pubkey-chain rsa`");
    }
    const TrustpointConfig* trustpoint = find_trustpoint(config_, peer_.trustpoint);
    if (trustpoint == nullptr) return;
    if (!trustpoint->enrollment || dialect_ == Dialect::pix) {
      note("it needs a certificate of the CA of trustpoint " + trustpoint->name);
      return;
    }
    line("crypto ca trustpoint " + trustpoint->name);
    line(" enrollment url " + trustpoint->enrollment->url);
    if (ios() && trustpoint->enrollment->mode == EnrollmentMode::ra) line(" enrollment mode ra");
  }

  void keepalive() {
    const std::string head = dialect_ == Dialect::pix ? "isakmp " : "crypto isakmp ";
    if (peer_.dpd.mode != DpdMode::off && dialect_ != Dialect::asa) {
      const auto interval = std::clamp<std::int64_t>(peer_.dpd.interval.count(), 10, 3600);
      line(head + "keepalive " + std::to_string(interval) +
           (ios() && peer_.dpd.mode == DpdMode::periodic ? " periodic" : ""));
    }
    if (peer_.nat_traversal != NatTraversal::off && dialect_ == Dialect::pix) line("isakmp nat-traversal 20");
    if (peer_.nat_traversal == NatTraversal::off && ios())
      line("no crypto ipsec nat-transparency udp-encapsulation");
  }

  void transform_sets() {
    for (const TunnelConfig& tunnel : peer_.tunnels) {
      for (const TransformSet& set : tunnel.transform_sets) {
        const bool had = std::find(sets_.begin(), sets_.end(), set.name) != sets_.end();
        if (had) continue;
        if (!knows(dialect_, set)) {
          note("transform set " + set.name + " (" + to_string(set) + ") is not spoken there: left out");
          continue;
        }
        sets_.push_back(set.name);
        write(set);
      }
    }
  }

  void write(const TransformSet& set) {
    const std::string head =
        dialect_ == Dialect::asa ? "crypto ipsec ikev1 transform-set " : "crypto ipsec transform-set ";
    std::string text = head + set.name;
    if (set.ah) text += " ah-" + word(info(*set.ah).name);
    if (set.cipher) text += " " + cipher_word(dialect_, info(*set.cipher).ios_name);
    if (set.integrity)
      text += " esp-" + word(set.integrity == Integrity::sha256_96 ? info(Integrity::sha256).name
                                                                   : info(*set.integrity).name);
    line(text);
    if (set.mode == EncapsulationMode::tunnel) return;
    line(ios() ? " mode transport" : head + set.name + " mode transport");
  }

  [[nodiscard]] std::vector<std::string> sets_of(const TunnelConfig& tunnel) const {
    std::vector<std::string> names;
    for (const TransformSet& set : tunnel.transform_sets) {
      if (std::find(sets_.begin(), sets_.end(), set.name) != sets_.end()) names.push_back(set.name);
    }
    return names;
  }

  // The mirror: their source is what is remote to us.
  bool access_list(const TunnelConfig& tunnel, const std::string& name) {
    bool any = false;
    for (const SelectorPair& pair : tunnel.pairs) {
      const bool said = pair.local.family() == Family::ipv4 && !pair.canonical().local.range &&
                        !pair.canonical().remote.range;
      if (!said) {
        note(pair.to_string() + " cannot be said in an access list: left out");
        continue;
      }
      if (!any && ios()) line("ip access-list extended " + name);
      any = true;
      const SelectorPair mirror{pair.remote, pair.local};
      const std::string entry = access_entry(dialect_, mirror);
      if (ios()) {
        line(" " + entry);
      } else {
        line("access-list " + name + (dialect_ == Dialect::asa ? " extended " : " ") + entry);
      }
    }
    return any;
  }

  bool write(const TunnelConfig& tunnel, int number) {
    const std::vector<std::string> sets = sets_of(tunnel);
    const std::string list = "oakgate-" + tunnel.name;
    if (sets.empty()) {
      note("tunnel " + tunnel.name + " has no transform set that is spoken there: left out");
      return false;
    }
    if (!access_list(tunnel, list)) return false;
    std::vector<std::string> words{"set peer " + us()};
    std::string names = dialect_ == Dialect::asa ? "set ikev1 transform-set" : "set transform-set";
    for (const std::string& one : sets) names += " " + one;
    words.push_back(std::move(names));
    if (tunnel.pfs && knows(dialect_, *tunnel.pfs))
      words.push_back("set pfs " + word(info(*tunnel.pfs).name));
    if (tunnel.pfs && !knows(dialect_, *tunnel.pfs))
      note(word(info(*tunnel.pfs).name) + " for `set pfs` is not known there");
    const std::string life = "set security-association lifetime ";
    words.push_back(life + "seconds " +
                    std::to_string(std::clamp<std::int64_t>(tunnel.lifetime.time.count(), 120, 86400)));
    if (tunnel.lifetime.kilobytes.value != 0) {
      words.push_back(life + "kilobytes " +
                      std::to_string(std::min<std::uint64_t>(tunnel.lifetime.kilobytes.value, 2147483647)));
    }
    if (ios() && tunnel.replay_window != kUsualWindow)
      words.push_back("set security-association replay window-size " +
                      std::to_string(ios_window(tunnel.replay_window)));
    if (tunnel.esn)
      note("tunnel " + tunnel.name + " has extended sequence numbers (`esn`), which are not known there");
    words.push_back("match address " + list);
    const std::string head = "crypto map " + word(kMap) + " " + std::to_string(number);
    line(ios() ? head + " ipsec-isakmp" : dialect_ == Dialect::pix ? head + " ipsec-isakmp" : "! " + head);
    for (const std::string& one : words) line(ios() ? " " + one : head + " " + one);
    return true;
  }

  void finish() {
    const std::string& interface = options_.interface;
    if (ios()) {
      line("interface " + interface);
      line(" crypto map " + word(kMap));
      handling();
      return;
    }
    if (dialect_ == Dialect::asa) handling();
    line("crypto map " + word(kMap) + " interface " + interface);
    line((dialect_ == Dialect::asa ? "crypto ikev1 enable " : "isakmp enable ") + interface);
    if (dialect_ == Dialect::pix) line("sysopt connection permit-ipsec");
  }

  // What is said of the interface there, of tunnels that all say the same.
  void handling() {
    const PacketHandling& first = peer_.tunnels.front().handling;
    const bool all = std::all_of(peer_.tunnels.begin(), peer_.tunnels.end(),
                                 [&](const TunnelConfig& one) { return one.handling == first; });
    if (!all) {
      note("its tunnels differ in df_bit or tcp_mss, which are the interface's there: left out");
      return;
    }
    const bool set = first.df_bit == DfBit::set;
    if (first.df_bit != DfBit::copy) {
      line(ios() ? " crypto ipsec df-bit " + word(set ? "set" : "clear")
                 : "crypto ipsec df-bit " + word(set ? "set-df " : "clear-df ") + options_.interface);
    }
    if (first.tcp_mss.kind != TcpMss::Kind::fixed) return;
    const std::string bytes = std::to_string(first.tcp_mss.bytes);
    line(ios() ? " ip tcp adjust-mss " + bytes : "sysopt connection tcpmss " + bytes);
  }

  const Config& config_;
  const PeerConfig& peer_;
  const ExportOptions& options_;
  Dialect dialect_;
  std::vector<std::string> sets_;  // that were written
  Exported out_;
};

}  // namespace

std::string access_entry(Dialect dialect, const SelectorPair& pair) {
  const SelectorPair shown = pair.canonical();
  return "permit " + protocol_word(shown.local.protocol) + " " + side(dialect, shown.local) + " " +
         side(dialect, shown.remote);
}

Exported export_cisco(const Config& config, const PeerConfig& peer, const ExportOptions& options) {
  return Writer(config, peer, options).write();
}

}  // namespace oakgate::conf::cisco
