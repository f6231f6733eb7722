// From the model to our configuration: connections to one peer come together, what is alike has one name.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "conf/swan/values.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf::swan {

namespace {

struct Peer {
  std::string name;
  const Connection* first = nullptr;
  std::vector<const Connection*> connections;
  std::string trustpoint;
  const Secret* secret = nullptr;
};

std::string without_marks(std::string_view text) {
  while (!text.empty() && (text.front() == '@' || text.front() == '"')) text.remove_prefix(1);
  while (!text.empty() && text.back() == '"') text.remove_suffix(1);
  return lower(text);
}

std::string file_part(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

class Writer {
 public:
  Writer(Model model, std::chrono::sys_days weak_until) : model_(std::move(model)), weak_until_(weak_until) {}

  Imported write() {
    for (Connection& one : model_.connections) {
      settle(one);
      std::erase_if(one.children, [this](const Child& child) {
        if (!kinds_of(child).empty()) return false;
        model_.notes.push_back(
            note_at(child.line, child.name, "its nets have no match at the other side: left out"));
        return true;
      });
      if (!one.children.empty()) add(one);
    }
    for (Peer& peer : peers_) find_proofs(peer);
    std::erase_if(peers_, [](const Peer& peer) { return peer.first == nullptr; });
    // The sections first: peers refer to them.
    std::string peers = peers_text();
    line("# From the " + model_.file + " of " + model_.program + ", by `oakgate import " + model_.file +
         "`.");
    gateway();
    section("isakmp_policies", policies_);
    section("transform_sets", sets_);
    trustpoints();
    out_.yaml += peers;
    if (peers_.empty()) about_file("no connection of the file could be made a peer");
    if (!model_.secrets_known && needs_secrets_)
      about_file("the pre-shared keys are in ipsec.secrets: give it with --secrets");
    finish_notes(model_.notes);
    const auto same = [](const Note& a, const Note& b) {
      return a.line == b.line && a.text == b.text && a.why == b.why;
    };
    model_.notes.erase(std::unique(model_.notes.begin(), model_.notes.end(), same), model_.notes.end());
    out_.notes = std::move(model_.notes);
    out_.peers = peers_.size();
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_.yaml += text + "\n"; }
  void about_file(std::string why) { model_.notes.push_back({0, {}, std::move(why)}); }
  void about(const Connection& connection, std::string why) {
    model_.notes.push_back(note_at(connection.line, "connection " + connection.name, std::move(why)));
  }

  // ---- What there is

  // Values within our bounds; a life outside is said and cut.
  void settle(Connection& one) {
    constexpr Seconds kLeast{60};
    constexpr Seconds kMost{30 * 86400};
    bool cut = false;
    const auto within = [&](Seconds& time) {
      const Seconds clamped = std::clamp(time, kLeast, kMost);
      cut = cut || clamped != time;
      time = clamped;
    };
    for (IsakmpPolicy& policy : one.policies) within(policy.lifetime);
    for (Child& child : one.children) within(child.lifetime.time);
    if (cut) about(one, "a life time is 60 seconds to 30 days: cut");
  }

  // With pre-shared keys the address chooses the peer; who signs, or names itself in Aggressive Mode, may
  // share it.
  [[nodiscard]] static bool names_itself(const Connection& one) {
    return !one.remote_identity.empty() && (one.aggressive || one.authentication != AuthMethod::pre_share);
  }
  [[nodiscard]] static bool same_peer(const Connection& a, const Connection& b) {
    if (a.remote_address != b.remote_address) return false;
    return !(names_itself(a) && names_itself(b)) || a.remote_identity == b.remote_identity;
  }

  void add(const Connection& one) {
    for (Peer& peer : peers_) {
      if (!same_peer(*peer.first, one)) continue;
      peer.connections.push_back(&one);
      if (peer.first->aggressive != one.aggressive || peer.first->remote_identity != one.remote_identity ||
          peer.first->authentication != one.authentication || peer.first->certificate != one.certificate) {
        about(one,
              "it is to the same address as " + peer.first->name +
                  " and becomes a tunnel of that peer, which has one identity, proof and mode: the other's");
      }
      return;
    }
    peers_.push_back({unique_name(one.name), &one, {&one}, {}, nullptr});
  }

  std::string unique_name(const std::string& wanted) {
    const std::string base = name_of(wanted);
    std::string name = base;
    for (int number = 2; !names_.insert(name).second; ++number) name = base + "-" + std::to_string(number);
    return name;
  }

  // ---- Proofs

  void find_proofs(Peer& peer) {
    const Connection& one = *peer.first;
    if (one.authentication != AuthMethod::pre_share) {
      peer.trustpoint = trustpoint_of(one);
      return;
    }
    needs_secrets_ = true;
    peer.secret = secret_of(one);
    if (peer.secret == nullptr && model_.secrets_known)
      about(one, "there is no pre-shared key for it: write it into " + peer.name + ".psk, mode 0600");
  }

  // How well the owners fit both ends; 0: not at all. As both programs do, a key that names the peer goes
  // before one that names only us, before one for everybody.
  [[nodiscard]] static int fit(const Secret& secret, const Connection& one) {
    if (secret.owners.empty()) return 1;
    const auto bare = [](const std::string& identity) {
      const std::size_t colon = identity.find(':');
      const bool tagged = identity.starts_with("hostname:") || identity.starts_with("user-fqdn:");
      return lower(tagged ? identity.substr(colon + 1) : identity);
    };
    const auto is = [&](const std::string& owner, const std::string& identity, const std::string& address) {
      const std::string text = without_marks(owner);
      if (text.empty()) return false;
      const auto theirs = identity_of(owner);
      return text == bare(identity) || text == address || (theirs && bare(*theirs) == bare(identity));
    };
    bool here = false;
    bool there = false;
    bool anybody = false;
    for (const std::string& owner : secret.owners) {
      const std::string text = without_marks(owner);
      anybody = anybody || text == "%any" || text == "0.0.0.0" || text == "%any6" || text == "::";
      here = here || is(owner, one.local_identity, one.local_address);
      there = there || is(owner, one.remote_identity, one.remote_address);
    }
    if (there) return here ? 6 : 5;
    if (here && anybody) return 4;
    if (here) return secret.owners.size() == 1 ? 3 : 0;
    return anybody ? 2 : 0;
  }

  [[nodiscard]] const Secret* secret_of(const Connection& one) const {
    const Secret* best = nullptr;
    int best_fit = 0;
    for (const Secret& secret : model_.secrets) {
      const int fits = fit(secret, one);
      if (fits <= best_fit) continue;
      best = &secret;
      best_fit = fits;
    }
    return best;
  }

  struct Trustpoint {
    std::string name;
    std::string certificate;
    std::vector<std::string> authorities;
  };

  std::string trustpoint_of(const Connection& one) {
    for (const Trustpoint& known : trustpoints_) {
      if (known.certificate == one.certificate && known.authorities == one.authorities) return known.name;
    }
    std::string base = file_part(one.certificate);
    if (const std::size_t dot = base.rfind('.'); dot != std::string::npos && dot != 0) base.resize(dot);
    base = name_of(base.empty() ? "certificates" : base);
    std::string name = base;
    const auto taken = [&](const Trustpoint& known) { return known.name == name; };
    for (int number = 2; std::any_of(trustpoints_.begin(), trustpoints_.end(), taken); ++number)
      name = base + "-" + std::to_string(number);
    trustpoints_.push_back({name, one.certificate, one.authorities});
    const auto place = [](const std::string& folder, const std::string& file) {
      return file.find('/') == std::string::npos ? folder + file : file;
    };
    std::string cas;
    for (const std::string& file : one.authorities)
      cas += (cas.empty() ? "" : ", ") + place(model_.authority_folder, file);
    if (cas.empty()) cas = "the one in " + model_.authority_folder + " that issued the peer's";
    const std::string own = one.certificate.empty() ? "one of " + model_.certificate_folder
                                                    : place(model_.certificate_folder, one.certificate);
    about_file("trustpoint " + name + ": put the CA's certificate (" + cas + ") into " + name +
               "-ca.pem, ours (" + own + ") into " + name + ".pem, its key (from " + model_.key_folder +
               ", or `oakgate pki import " + name + " FILE` for PKCS#12) into " + name + ".key, mode 0600");
    return name;
  }

  // ---- Sections

  void gateway() {
    std::vector<std::string> addresses;
    bool everywhere = false;
    std::string identity;
    for (const Peer& peer : peers_) {
      for (const Connection* one : peer.connections) {
        everywhere = everywhere || one->local_address.empty();
        const bool v6 = one->local_address.find(':') != std::string::npos;
        const std::string text = v6 ? "\"" + one->local_address + "\"" : one->local_address;
        if (std::find(addresses.begin(), addresses.end(), text) == addresses.end()) addresses.push_back(text);
        if (one->local_identity.empty()) continue;
        if (identity.empty()) {
          identity = one->local_identity;
        } else if (identity != one->local_identity) {
          about(*one,
                "it has another identity of ours than the connection before: a gateway has one, the first");
        }
      }
    }
    if (peers_.empty() || (everywhere && identity.empty())) return;
    line("\ngateway:");
    if (!identity.empty()) line("  identity: \"" + identity + "\"");
    if (!everywhere) line("  listen: [" + join(addresses) + "]");
  }

  void section(const std::string& name, const std::vector<std::string>& entries) {
    if (entries.empty()) return;
    line("\n" + name + ":");
    for (const std::string& one : entries) line("  " + one);
  }

  void trustpoints() {
    if (trustpoints_.empty()) return;
    line("\ntrustpoints:");
    for (const Trustpoint& one : trustpoints_) {
      line("  " + yaml_name(one.name) + ":");
      line("    ca: " + one.name + "-ca.pem");
      line("    certificate: " + one.name + ".pem");
      line("    key: {file: " + one.name + ".key}");
      line("    revocation: " + model_.revocation);
    }
  }

  // The number of the policy, which it gets when it is first met.
  int policy_number(IsakmpPolicy policy) {
    policy.number = 0;
    for (const auto& [known, number] : numbers_) {
      if (known == policy) return number;
    }
    const int number = 10 * (static_cast<int>(numbers_.size()) + 1);
    numbers_.emplace_back(policy, number);
    policy.number = static_cast<std::uint16_t>(number);
    policies_.push_back(yaml_policy(policy));
    return number;
  }

  std::string set_name(const TransformSet& set) {
    const std::string words = to_string(set);
    const auto known = set_names_.find(words);
    if (known != set_names_.end()) return known->second;
    std::string name;
    for (const char c : words) name += c == ' ' ? '_' : c;
    // The configuration's names have at most 64 letters: the words of any one set have fewer.
    TransformSet named = set;
    named.name = name;
    sets_.push_back(yaml_set(named));
    return set_names_.emplace(words, name).first->second;
  }

  // ---- Peers

  std::string peers_text() {
    std::string text;
    const auto add = [&](const std::string& one) { text += one + "\n"; };
    if (!peers_.empty()) add("\npeers:");
    for (const Peer& peer : peers_) {
      const Connection& one = *peer.first;
      add("  " + yaml_name(peer.name) + ":");
      add("    address: \"" + one.remote_address + "\"");
      if (!one.remote_identity.empty()) add("    identity: \"" + one.remote_identity + "\"");
      std::vector<std::string> numbers;
      for (const Connection* each : peer.connections) {
        for (const IsakmpPolicy& policy : each->policies) {
          const std::string number = std::to_string(policy_number(policy));
          if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) numbers.push_back(number);
        }
      }
      add("    policies: [" + join(numbers) + "]");
      proof(peer, add);
      if (one.aggressive) add("    aggressive: true");
      if (one.send_certificate == SendCertificate::always) add("    send_certificate: always");
      if (one.send_certificate == SendCertificate::never) add("    send_certificate: never");
      if (const auto words = weak(peer); !words.empty())
        add("    " + yaml_waiver(words, weak_until_, "as " + model_.program + " had it"));
      if (one.nat_traversal == NatTraversal::off) add("    nat_traversal: off");
      if (one.nat_traversal == NatTraversal::draft_02) add("    nat_traversal: draft-02");
      if (!one.fragmentation) add("    fragmentation: false");
      if (one.sha256_96) add("    sha256_truncation: 96");
      if (one.dpd) add("    " + yaml_dpd(*one.dpd));
      add("    tunnels:");
      std::set<std::string> tunnels;
      for (const Connection* each : peer.connections) {
        for (const Child& child : each->children) tunnel(child, one.remote_address, tunnels, add);
      }
    }
    return text;
  }

  template <typename Add>
  void proof(const Peer& peer, Add add) {
    if (!peer.trustpoint.empty()) {
      add("    trustpoint: " + yaml_name(peer.trustpoint));
      return;
    }
    const std::string name = peer.name + ".psk";
    add("    pre_shared_key: {file: " + name + "}");
    if (peer.secret != nullptr) out_.files.push_back({name, true, key_file(peer.secret->key)});
  }

  [[nodiscard]] std::vector<Weak> weak(const Peer& peer) const {
    std::vector<Weak> words;
    const auto add = [&](const std::vector<Weak>& more) {
      for (const Weak word : more) {
        if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
      }
    };
    for (const Connection* one : peer.connections) {
      for (const IsakmpPolicy& policy : one->policies) add(weak_things(policy));
      for (const Child& child : one->children) {
        for (const TransformSet& set : child.sets) add(weak_things(set, child.pfs));
      }
    }
    if (peer.secret != nullptr && peer.secret->key.size() < kShortPskBytes) add({Weak::short_psk});
    return words;
  }

  // Family and protocol of the nets of one tunnel.
  using Kind = std::pair<Family, std::uint8_t>;
  using Kinds = std::vector<Kind>;
  [[nodiscard]] static Kinds kinds_of(const Child& child) {
    Kinds kinds;
    for (const Selector& one : child.local) {
      const Kind kind(one.family(), one.protocol);
      const bool both = std::any_of(child.remote.begin(), child.remote.end(), [&](const Selector& other) {
        return other.family() == kind.first && other.protocol == kind.second;
      });
      if (both && std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
    }
    return kinds;
  }

  // Several may come of a child.
  template <typename Add>
  void tunnel(const Child& child, const std::string& address, std::set<std::string>& names, Add add) {
    const Kinds kinds = kinds_of(child);
    const auto of = [](const std::vector<Selector>& all, const Kind& kind) {
      std::vector<Selector> some;
      for (const Selector& one : all) {
        if (one.family() == kind.first && one.protocol == kind.second) some.push_back(one);
      }
      return some;
    };
    std::size_t nets = 0;
    for (const auto& kind : kinds) {
      const auto local = of(child.local, kind);
      const auto remote = of(child.remote, kind);
      nets += local.size() + remote.size();
      one_tunnel(child, local, remote, address, names, add);
    }
    if (nets < child.local.size() + child.remote.size()) {
      model_.notes.push_back(
          note_at(child.line, child.name,
                  "nets of one side that have no match in family and protocol at the other: left out"));
    }
  }

  template <typename Add>
  void one_tunnel(const Child& child, const std::vector<Selector>& local, const std::vector<Selector>& remote,
                  const std::string& address, std::set<std::string>& names, Add add) {
    const std::string base = name_of(child.name);
    std::string name = base;
    for (int number = 2; !names.insert(name).second; ++number) name = base + "-" + std::to_string(number);
    ++out_.tunnels;
    add("      " + yaml_name(name) + ":");
    add("        local: " + yaml_selectors(local));
    add("        remote: " + yaml_selectors(remote));
    std::vector<std::string> sets;
    for (const TransformSet& set : child.sets) sets.push_back(yaml_name(set_name(set)));
    add("        transform_sets: [" + join(sets) + "]");
    if (child.pfs) add("        pfs: " + std::string(info(*child.pfs).name));
    add("        " + yaml_lifetime(child.lifetime));
    const auto peer = parse_peer_address(address);
    const bool callable = peer && peer->callable();
    if (!callable && child.start != StartMode::responder) {
      model_.notes.push_back(
          note_at(child.line, child.name, "there is no one address to call: it only answers"));
    } else if (child.start != StartMode::on_traffic) {
      add(std::string("        start: ") + (child.start == StartMode::on_start ? "on-start" : "responder"));
    }
    if (!child.rekeys) add("        rekey: never");
    if (child.replay_window != 0) add("        replay_window: " + std::to_string(child.replay_window));
    if (child.esn.value_or(false)) add("        esn: true");
    if (!child.mark.empty()) add("        mark: " + child.mark);
  }

  Model model_;
  std::chrono::sys_days weak_until_;
  std::vector<Peer> peers_;
  std::set<std::string> names_;
  bool needs_secrets_ = false;
  std::vector<Trustpoint> trustpoints_;
  std::vector<std::pair<IsakmpPolicy, int>> numbers_;
  std::vector<std::string> policies_;
  std::map<std::string, std::string> set_names_;
  std::vector<std::string> sets_;
  Imported out_;
};

}  // namespace

Imported write_model(Model model, std::chrono::sys_days weak_until) {
  return Writer(std::move(model), weak_until).write();
}

}  // namespace oakgate::conf::swan
