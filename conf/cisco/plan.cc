#include "conf/cisco/plan.h"

#include <algorithm>
#include <optional>

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"

namespace oakgate::conf::cisco {

namespace {

// The content of the DER element that `der` begins with, which must have this tag; `der` goes on behind it.
std::optional<ByteView> take_element(ByteView& der, std::uint8_t tag) {
  if (der.size() < 2 || der[0] != tag) return std::nullopt;
  std::size_t length = der[1];
  std::size_t at = 2;
  if (length > 0x80) {
    std::size_t more = length - 0x80;
    if (more > 2 || der.size() < at + more) return std::nullopt;
    for (length = 0; more > 0; --more) length = length << 8 | der[at++];
  }
  if (der.size() - at < length) return std::nullopt;
  const ByteView content = der.subspan(at, length);
  der = der.subspan(at + length);
  return content;
}

// Of an RSA key as IOS prints it, a SubjectPublicKeyInfo (RFC 5280, RFC 8017); 0: it is none.
int modulus_bits(std::string_view hexadecimal) {
  constexpr std::uint8_t kInteger = 0x02;
  constexpr std::uint8_t kBitString = 0x03;
  constexpr std::uint8_t kSequence = 0x30;
  std::string digits(hexadecimal);
  digits.erase(std::remove(digits.begin(), digits.end(), ' '), digits.end());
  const std::optional<Bytes> der = from_hex(digits);
  if (!der) return 0;
  ByteView all(*der);
  auto info = take_element(all, kSequence);
  if (!info || !take_element(*info, kSequence)) return 0;
  auto bits = take_element(*info, kBitString);
  if (!bits || bits->empty()) return 0;
  *bits = bits->subspan(1);  // how many bits of the last byte are none: 0
  auto key = take_element(*bits, kSequence);
  auto modulus = key ? take_element(*key, kInteger) : std::nullopt;
  if (!modulus) return 0;
  while (!modulus->empty() && modulus->front() == 0) *modulus = modulus->subspan(1);
  return static_cast<int>(modulus->size() * 8);
}

class Planner {
 public:
  explicit Planner(Model& model) : model_(model) {}

  std::vector<PlannedPeer> plan() {
    for (const MapEntry& entry : model_.maps) take(entry);
    for (PlannedPeer& peer : peers_) note_weak(peer);
    std::erase_if(peers_, [](const PlannedPeer& peer) { return peer.tunnels.empty(); });
    return std::move(peers_);
  }

 private:
  void about(const MapEntry& entry, std::string why) {
    model_.notes.push_back({entry.line,
                            "crypto map " + name_of(entry.map) + " " + std::to_string(entry.number),
                            std::move(why)});
  }

  [[nodiscard]] bool applied(const MapEntry& entry) const {
    const auto& all = model_.interfaces;
    const auto on = [&](const Interface& one) { return one.crypto_map == entry.map; };
    const bool any =
        std::any_of(all.begin(), all.end(), [](const Interface& one) { return !one.crypto_map.empty(); });
    return entry.dynamic || !any || std::any_of(all.begin(), all.end(), on);
  }

  void take(const MapEntry& entry) {
    const auto list = model_.access_lists.find(entry.access_list);
    if (!applied(entry)) {
      about(entry, "the crypto map is on no interface: left out");
    } else if (entry.peers.empty() && !entry.dynamic) {
      about(entry, "the entry has no `set peer`: left out");
    } else if (list == model_.access_lists.end() || list->second.empty()) {
      about(entry, "there is no access list that says what it protects: left out; write its tunnel by hand");
    } else {
      if (entry.peers.size() > 1) {
        about(entry,
              "only the first of its peers is carried over: another gateway for the same networks cannot "
              "stand beside it");
      }
      take(entry, list->second);
    }
  }

  void take(const MapEntry& entry, const std::vector<AccessEntry>& entries) {
    const std::vector<std::string> sets = known_sets(entry);
    if (sets.empty()) {
      about(entry, "none of its transform sets was carried over: left out");
      return;
    }
    PlannedPeer* peer = peer_of(entry);
    if (peer == nullptr) return;
    int number = 0;
    for (const AccessEntry& one : entries) {
      PlannedTunnel tunnel;
      const std::string base = "acl-" + name_of(entry.access_list);
      tunnel.name = entries.size() == 1 ? base : base + "-" + std::to_string(++number);
      while (std::any_of(peer->tunnels.begin(), peer->tunnels.end(),
                         [&](const PlannedTunnel& other) { return other.name == tunnel.name; })) {
        tunnel.name += "x";
      }
      tunnel.local = one.local;
      tunnel.remote = one.remote;
      tunnel.transform_sets = sets;
      tunnel.pfs = entry.pfs;
      tunnel.lifetime = entry.lifetime.value_or(model_.lifetime);
      handle(entry, tunnel);
      peer->tunnels.push_back(std::move(tunnel));
    }
  }

  // What the map's interface, or else the whole device, does to packets. An MSS is as a rule adjusted on the
  // inside: one that is the only one of all interfaces is meant for the tunnels, too.
  void handle(const MapEntry& entry, PlannedTunnel& tunnel) const {
    tunnel.df_bit = model_.df_bit.value_or(DfBit::copy);
    tunnel.replay_window = entry.replay_window != 0 ? entry.replay_window : model_.replay_window;
    tunnel.tcp_mss = model_.tcp_mss;
    for (const Interface& one : model_.interfaces) {
      if (tunnel.tcp_mss == 0) tunnel.tcp_mss = one.tcp_mss;
      if (one.crypto_map != entry.map) continue;
      tunnel.df_bit = one.df_bit.value_or(tunnel.df_bit);
      if (one.tcp_mss != 0) tunnel.tcp_mss = one.tcp_mss;
    }
  }

  [[nodiscard]] std::vector<std::string> known_sets(const MapEntry& entry) const {
    std::vector<std::string> known;
    for (const std::string& name : entry.transform_sets) {
      const auto& all = model_.transform_sets;
      const bool there =
          std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.second.name == name; });
      if (there) known.push_back(name);
    }
    return known;
  }

  // The peer of the entry, made with its proofs when it is first met; null: it has none.
  PlannedPeer* peer_of(const MapEntry& entry) {
    const std::string address = entry.dynamic ? "any" : entry.peers.front();
    const auto found = std::find_if(peers_.begin(), peers_.end(),
                                    [&](const PlannedPeer& one) { return one.address == address; });
    if (found != peers_.end()) return &*found;
    PlannedPeer peer;
    peer.name = name_of(entry.map + "-" + std::to_string(entry.number));
    peer.address = address;
    peer.pre_shared_key = key_for(address);
    const auto by = [&](AuthMethod method) {
      return std::any_of(model_.policies.begin(), model_.policies.end(),
                         [&](const IsakmpPolicy& one) { return one.authentication == method; });
    };
    peer.signs = by(AuthMethod::rsa_sig) && !model_.trustpoints.empty();
    if (peer.signs)
      peer.trustpoint = entry.trustpoint.empty() ? model_.trustpoints.front().name : entry.trustpoint;
    if (by(AuthMethod::rsa_encr)) peer.public_key = public_key_for(address);
    if (!by(AuthMethod::pre_share)) peer.pre_shared_key = nullptr;
    if (peer.pre_shared_key == nullptr && !peer.signs && peer.public_key == nullptr) {
      about(entry, "no ISAKMP policy fits it: there is neither a pre-shared key for " + address +
                       ", nor a trustpoint, nor a public key of the peer: left out");
      return nullptr;
    }
    return &peers_.emplace_back(std::move(peer));
  }

  // The most specific one.
  [[nodiscard]] const PreSharedKey* key_for(const std::string& address) const {
    const auto parsed = IpAddress::parse(address);
    const PreSharedKey* best = nullptr;
    for (const PreSharedKey& key : model_.keys) {
      if (!key.host_name.empty() && key.host_name == address) return &key;
      if (!key.peer) continue;
      const bool fits = parsed ? key.peer->contains(*parsed) : key.peer->prefix() == 0;
      if (fits && (best == nullptr || key.peer->prefix() > best->peer->prefix())) best = &key;
    }
    return best;
  }

  // A key is named by host name as a rule, a map's peer by address: the only key there is must be meant.
  [[nodiscard]] const PublicKey* public_key_for(const std::string& address) const {
    for (const PublicKey& key : model_.public_keys) {
      if (key.name == address) return &key;
    }
    return model_.public_keys.size() == 1 ? &model_.public_keys.front() : nullptr;
  }

  void note_weak(PlannedPeer& peer) const {
    const auto add = [&](const std::vector<Weak>& words) {
      for (const Weak word : words) {
        if (std::find(peer.weak.begin(), peer.weak.end(), word) == peer.weak.end()) peer.weak.push_back(word);
      }
    };
    for (const IsakmpPolicy& policy : model_.policies) {
      if (usable(peer, policy.authentication)) add(weak_things(policy));
    }
    for (const PlannedTunnel& tunnel : peer.tunnels) {
      for (const auto& [line, set] : model_.transform_sets) {
        const auto& names = tunnel.transform_sets;
        if (std::find(names.begin(), names.end(), set.name) != names.end()) add(weak_things(set, tunnel.pfs));
      }
    }
    const PreSharedKey* key = peer.pre_shared_key;
    if (key != nullptr && !key->key.empty() && key->key.size() < kShortPskBytes) add({Weak::short_psk});
    if (peer.public_key == nullptr) return;
    if (const int bits = modulus_bits(peer.public_key->hexadecimal); bits > 0) {
      if (const auto word = weak_rsa(bits)) add({*word});
    }
  }

  [[nodiscard]] static bool usable(const PlannedPeer& peer, AuthMethod method) {
    if (method == AuthMethod::pre_share) return peer.pre_shared_key != nullptr;
    if (method == AuthMethod::rsa_sig) return peer.signs;
    return peer.public_key != nullptr;
  }

  Model& model_;
  std::vector<PlannedPeer> peers_;
};

}  // namespace

std::vector<PlannedPeer> plan_peers(Model& model) {
  return Planner(model).plan();
}

}  // namespace oakgate::conf::cisco
