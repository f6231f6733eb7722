#include "conf/checks.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "conf/text.h"

namespace oakgate::conf {

namespace {

std::string peer_path(const PeerConfig& peer) {
  return "peers." + peer.name;
}
std::string tunnel_path(const PeerConfig& peer, const TunnelConfig& tunnel) {
  return peer_path(peer) + ".tunnels." + tunnel.name;
}

// Whether the peer says who it is before anything depends on it: in Aggressive Mode in its first message
// (RFC 2409 section 5.4), in Main Mode where it signs. With pre-shared keys and RSA encryption Main Mode has
// to know the peer's key before that ("the key can only be identified by the IP address of the peers since
// HASH_I must be computed before the initiator has processed IDir"), so the address alone chooses the peer.
bool names_itself(const PeerConfig& peer) {
  if (!peer.identity || peer.policies.empty()) return false;
  return peer.aggressive || std::all_of(peer.policies.begin(), peer.policies.end(),
                                        [](const auto& policy) { return info(policy.authentication).signs; });
}

bool told_apart(const PeerConfig& a, const PeerConfig& b) {
  return names_itself(a) && names_itself(b) && a.identity != b.identity;
}

void check_peers_differ(const Draft& draft, Report& report) {
  std::map<PeerAddress, std::vector<const PeerConfig*>> seen;
  for (const PeerDraft& peer : draft.peers) {
    if (!peer.address_known) continue;
    const PeerConfig& config = peer.config;
    std::vector<const PeerConfig*>& others = seen[config.address];
    const auto same = std::find_if(others.begin(), others.end(),
                                   [&](const PeerConfig* other) { return !told_apart(config, *other); });
    if (same != others.end()) {
      report.add(config.position, peer_path(config),
                 {"has the same address as " + peer_path(**same) + " (" +
                      report.place((*same)->position, config.position) + ")" +
                      ", and with pre-shared keys the address chooses the peer",
                  "a different address, or one peer with the tunnels of both (or, of each, an `identity` "
                  "that it signs for or sends in Aggressive Mode)"});
    }
    others.push_back(&config);
  }
}

// ---- One key, one purpose ------------------------------------------------------------------------------

// A key that signs and decrypts would let each use help an attack on the other (CVE-2018-5389 and kin), so
// wherever a file is named, it has one purpose.
struct KeyUse {
  std::string file;
  std::string path;  // of the configuration's key
  Position position;
};

void check_purposes(const Draft& draft, Report& report) {
  std::map<std::string, KeyUse> signing;
  std::vector<KeyUse> decrypting;
  const auto& trustpoint_at = draft.trustpoints.positions;
  for (const TrustpointConfig& trustpoint : draft.trustpoints.in_order) {
    const std::string path = "trustpoints." + trustpoint.name;
    const Position position = trustpoint_at.find(trustpoint.name)->second;
    if (trustpoint.own) {
      const std::string& file = trustpoint.own->key.file;
      signing.emplace(file, KeyUse{file, path + ".key", position});
    }
    if (trustpoint.own_encryption) {
      decrypting.push_back({trustpoint.own_encryption->key.file, path + ".encryption_key", position});
    }
  }
  for (const PeerDraft& peer : draft.peers) {
    if (!peer.config.rsa_encr) continue;
    const auto key = draft.keys.by_name.find(peer.config.rsa_encr->own_key);
    if (key == draft.keys.by_name.end() || !key->second) continue;
    decrypting.push_back(
        {key->second->file, peer_path(peer.config) + ".rsa_encr.own_key", peer.config.rsa_encr->position});
  }
  for (const KeyUse& use : decrypting) {
    const auto other = signing.find(use.file);
    if (other == signing.end()) continue;
    report.add(use.position, use.path,
               {"the key in " + quote(use.file) + " decrypts here and signs for " + other->second.path +
                    " (" + report.place(other->second.position, use.position) + ")",
                "a key for each: one key never does both"});
  }
}

// Each selector pair has one policy in the data plane, so it can lead to one tunnel only: of one peer, whose
// proxy identities say no more; and of several, but for those that another mark or interface leads to.
void check_pairs_differ(const Draft& draft, Report& report) {
  struct Owner {
    const PeerConfig* peer;
    const TunnelConfig* tunnel;
    [[nodiscard]] bool told_from(const Owner& other) const {
      const KernelTies& ours = tunnel->ties;
      const KernelTies& theirs = other.tunnel->ties;
      return peer != other.peer && (ours.if_id() != theirs.if_id() || !ours.mark.meets(theirs.mark));
    }
  };
  std::map<SelectorPair, std::vector<Owner>> seen;
  std::size_t count = 0;
  for (const PeerDraft& peer : draft.peers) {
    for (const TunnelConfig& tunnel : peer.config.tunnels) {
      for (const SelectorPair& pair : tunnel.pairs) {
        ++count;
        std::vector<Owner>& others = seen[pair.canonical()];
        const Owner mine{&peer.config, &tunnel};
        const auto same = std::find_if(others.begin(), others.end(),
                                       [&](const Owner& other) { return !mine.told_from(other); });
        if (same == others.end()) {
          others.push_back(mine);
          continue;
        }
        report.add(tunnel.position, tunnel_path(peer.config, tunnel),
                   {quote(pair.to_string()) + " belongs to " + tunnel_path(*same->peer, *same->tunnel) +
                        " (" + report.place(same->tunnel->position, tunnel.position) + ") already",
                    "each pair of subnets in one tunnel"});
      }
    }
  }
  if (count > kConfiguredReqids) {
    report.add(
        {}, "peers",
        {"the tunnels have too many pairs of subnets", "at most " + std::to_string(kConfiguredReqids)});
  }
}

// `comp-deflate` is the kernel's. With `data_plane: auto` it is known only at the start which one there is.
void check_compression(const Draft& draft, Report& report) {
  if (draft.gateway.data_plane != DataPlaneChoice::software) return;
  for (const PeerDraft& peer : draft.peers) {
    for (const TunnelConfig& tunnel : peer.config.tunnels) {
      const auto set = std::find_if(tunnel.transform_sets.begin(), tunnel.transform_sets.end(),
                                    [](const TransformSet& one) { return one.compression.has_value(); });
      if (set == tunnel.transform_sets.end()) continue;
      report.add(tunnel.position, tunnel_path(peer.config, tunnel),
                 {"its transform set " + quote(set->name) + " has " + quote(info(*set->compression).name) +
                      ", and `data_plane: software` cannot compress",
                  "`data_plane: kernel`, or a transform set without it"});
    }
  }
}

// The other way round: XFRM has no means for these. Under `auto` the plane refuses such an SA.
void check_handling(const Draft& draft, Report& report) {
  if (draft.gateway.data_plane != DataPlaneChoice::kernel) return;
  for (const PeerDraft& peer : draft.peers) {
    for (const TunnelConfig& tunnel : peer.config.tunnels) {
      const std::string path = tunnel_path(peer.config, tunnel);
      if (tunnel.handling.tcp_mss.kind != TcpMss::Kind::off) {
        report.add(
            tunnel.position, path + ".tcp_mss",
            {"`data_plane: kernel` leaves the MSS of TCP alone",
             "`data_plane: software`, or a firewall rule (nftables: `tcp option maxseg size set rt mtu`)"});
      }
      if (tunnel.handling.df_bit == DfBit::set) {
        report.add(tunnel.position, path + ".df_bit",
                   {"`data_plane: kernel` cannot set DF always", "copy or clear, or `data_plane: software`"});
      }
    }
  }
}

// Marks, interfaces and offload are the kernel's. Under `auto` it is known only at the start whether it can.
void check_ties(const Draft& draft, Report& report) {
  struct Owner {
    std::string path;
    Position position;
    const TunnelInterface* interface;
  };
  std::map<std::string_view, Owner> by_name;
  std::map<std::uint32_t, Owner> by_id;
  for (const PeerDraft& peer : draft.peers) {
    for (const TunnelConfig& tunnel : peer.config.tunnels) {
      const KernelTies& ties = tunnel.ties;
      if (ties == KernelTies{}) continue;
      const std::string path = tunnel_path(peer.config, tunnel);
      const auto kernels_alone = [&](bool there, const std::string& key) {
        if (!there || draft.gateway.data_plane != DataPlaneChoice::software) return;
        report.add(
            tunnel.position, path + "." + key,
            {"`data_plane: software` has no " + quote(key), "`data_plane: kernel`, or a tunnel without it"});
      };
      kernels_alone(!ties.mark.all(), "mark");
      kernels_alone(ties.interface.has_value(), "interface");
      kernels_alone(ties.offload != Offload::none, "offload");
      if (!ties.interface) continue;
      const TunnelInterface& interface = *ties.interface;
      const Owner mine{path, tunnel.position, &interface};
      const Owner& named = by_name.emplace(interface.name, mine).first->second;
      if (*named.interface != interface) {
        report.add(tunnel.position, path + ".interface",
                   {quote(interface.name) + " is otherwise at " + named.path + " (" +
                        report.place(named.position, tunnel.position) + ")",
                    "the same words for one interface, or another name"});
      }
      const Owner& numbered = by_id.emplace(interface.if_id, mine).first->second;
      if (numbered.interface->name != interface.name) {
        report.add(tunnel.position, path + ".interface",
                   {"the if_id " + std::to_string(interface.if_id) + " is that of " +
                        quote(numbered.interface->name) + " at " + numbered.path + " (" +
                        report.place(numbered.position, tunnel.position) + ")",
                    "an if_id for each interface"});
      }
    }
  }
}

// ---- allow_weak ----------------------------------------------------------------------------------------

// Weak word -> the places that need it, as key paths.
using WeakUses = std::map<Weak, std::vector<std::string>>;

void add_use(WeakUses& uses, const std::vector<Weak>& words, const std::string& place) {
  for (const Weak word : words) {
    auto& places = uses[word];
    if (places.empty() || places.back() != place) places.push_back(place);
  }
}

WeakUses weak_uses(const PeerConfig& peer, bool short_psk) {
  WeakUses uses;
  for (const IsakmpPolicy& policy : peer.policies) {
    add_use(uses, weak_things(policy), "isakmp_policies." + std::to_string(policy.number));
  }
  std::set<std::string_view> sets;
  for (const TunnelConfig& tunnel : peer.tunnels) {
    for (const TransformSet& set : tunnel.transform_sets) {
      if (sets.insert(set.name).second) add_use(uses, weak_things(set, {}), "transform_sets." + set.name);
    }
    if (tunnel.pfs && info(*tunnel.pfs).weak) {
      add_use(uses, {*info(*tunnel.pfs).weak}, "tunnels." + tunnel.name + ".pfs");
    }
  }
  if (short_psk)
    add_use(uses, {Weak::short_psk}, "pre_shared_key, below " + std::to_string(kShortPskBytes) + " bytes");
  return uses;
}

std::string places_text(const std::vector<std::string>& places) {
  constexpr std::size_t kShown = 4;
  std::string text;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (i == kShown) return text + " and " + std::to_string(places.size() - i) + " more";
    text += (i == 0 ? "" : ", ") + places[i];
  }
  return text;
}

// The line that would mend all of it at once, ready to be pasted.
std::string line_to_add(const PeerConfig& peer, const WeakUses& uses) {
  std::string words;
  const auto add = [&words](Weak word) {
    words += (words.empty() ? "" : ", ") + std::string(weak_word(word));
  };
  if (peer.allow_weak) {
    for (const Weak word : peer.allow_weak->algorithms) add(word);
  }
  for (const auto& [word, places] : uses) {
    if (!peer.allow_weak || !peer.allow_weak->covers(word)) add(word);
  }
  if (peer.allow_weak) return "`algorithms: [" + words + "]` in its allow_weak";
  return "`allow_weak: {algorithms: [" + words + "]}` in this peer";
}

// An expired waiver still counts: expiry is a state of the running peer, not an error in the file.
void check_waiver(const PeerDraft& draft, bool short_psk, Report& report) {
  if (!draft.waiver_known) return;
  const PeerConfig& peer = draft.config;
  const WeakUses uses = weak_uses(peer, short_psk);
  for (const auto& [word, places] : uses) {
    if (peer.allow_weak && peer.allow_weak->covers(word)) continue;
    report.add(peer.position, peer_path(peer),
               {"may use the weak `" + std::string(weak_word(word)) + "` (" + places_text(places) +
                    ") and has no waiver for it",
                line_to_add(peer, uses) + ", or something stronger"});
  }
}

}  // namespace

void check_whole(const Draft& draft, const std::set<std::string, std::less<>>& short_psk, Report& report) {
  check_peers_differ(draft, report);
  check_purposes(draft, report);
  check_pairs_differ(draft, report);
  check_compression(draft, report);
  check_handling(draft, report);
  check_ties(draft, report);
  for (const PeerDraft& peer : draft.peers) check_waiver(peer, short_psk.contains(peer.config.name), report);
}

// RFC 2409 section 5.4: in Aggressive Mode the responder's HASH_R goes out before the initiator has proved
// anything, so whoever asks can try keys against it at home.
std::vector<Issue> warnings_of(const Draft& draft, const std::vector<std::string>& files) {
  Report warnings(files);
  for (const PeerDraft& peer : draft.peers) {
    const PeerConfig& config = peer.config;
    const auto shared = [](const IsakmpPolicy& policy) {
      return policy.authentication == AuthMethod::pre_share;
    };
    if (!config.aggressive || std::none_of(config.policies.begin(), config.policies.end(), shared)) continue;
    warnings.add(config.position, peer_path(config) + ".aggressive",
                 {"Aggressive Mode with a pre-shared key lets anybody who asks for it, or listens, guess the "
                  "key offline",
                  "Main Mode where the peer can do it, otherwise a long random key"});
  }
  return std::move(warnings).take();
}

}  // namespace oakgate::conf
