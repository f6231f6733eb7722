#include "daemon/probe/probe.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <set>
#include <string>

#include "daemon/probe/firewall.h"

namespace oakgate::probe {

namespace {

constexpr std::uint16_t kIkePort = 500;
constexpr std::uint16_t kNatPort = 4500;
constexpr auto kSoonDays = std::chrono::days(14);  // before a certificate's end
constexpr std::size_t kMaxPeersAsked = 1000;       // for their addresses and routes

std::string_view family_name(Family family) {
  return family == Family::ipv4 ? "IPv4" : "IPv6";
}

class Prober {
 public:
  Prober(const conf::Config& config, Environment& environment) : config_(config), environment_(environment) {}

  Findings run() {
    look_at_peers();
    data_plane();
    ties();
    ports();
    firewall();
    findings_.insert(findings_.end(), peers_.begin(), peers_.end());
    forwarding();
    reverse_path();
    redirects();
    clock();
    certificates();
    waivers();
    return std::move(findings_);
  }

 private:
  void add(Severity severity, std::string topic, std::string text, std::string remedy = {}) {
    findings_.push_back({severity, std::move(topic), std::move(text), std::move(remedy)});
  }
  void add(Severity severity, std::string topic, const Error& error) {
    add(severity, std::move(topic), error.text,
        !error.remedy.empty()    ? error.remedy
        : error.expected.empty() ? ""
                                 : "needed: " + error.expected);
  }

  // ---- peers -------------------------------------------------------------------------------------------

  void add_peer_finding(Severity severity, std::string text, std::string remedy) {
    peers_.push_back({severity, "peers", std::move(text), std::move(remedy)});
  }

  void look_at_peers() {
    std::size_t asked = 0;
    std::size_t good = 0;
    for (const conf::PeerConfig& peer : config_.peers) {
      if (!peer.address.callable()) {
        if (peer.address.kind == conf::PeerAddress::Kind::range)
          families_.insert(peer.address.first.family());
        continue;
      }
      if (asked++ == kMaxPeersAsked) break;
      const std::vector<IpAddress> addresses = addresses_of(peer);
      bool reachable = !addresses.empty();
      for (const IpAddress& address : addresses) reachable = route_to(peer, address) && reachable;
      good += reachable ? 1 : 0;
    }
    if (families_.empty()) families_.insert(Family::ipv4);
    if (good != 0 && peers_.empty())
      add_peer_finding(Severity::ok,
                       fmt::format("there is a route to each of {} peer{}", good, good == 1 ? "" : "s"), "");
    if (asked > kMaxPeersAsked)
      add_peer_finding(Severity::warning,
                       fmt::format("only the first {} peers were looked at", kMaxPeersAsked), "");
  }

  std::vector<IpAddress> addresses_of(const conf::PeerConfig& peer) {
    if (peer.address.kind == conf::PeerAddress::Kind::address) return {peer.address.first};
    auto found = environment_.resolve(peer.address.host_name);
    if (found) return *found;
    add_peer_finding(Severity::error,
                     fmt::format("peer {}: the name {} has no address: {}", peer.name, peer.address.host_name,
                                 found.error().text),
                     "check the name and /etc/resolv.conf, or configure the peer's address");
    return {};
  }

  bool route_to(const conf::PeerConfig& peer, const IpAddress& address) {
    families_.insert(address.family());
    const auto route = environment_.route_to(address);
    if (!route) {
      add_peer_finding(Severity::error,
                       fmt::format("peer {}: there is no route to {}", peer.name, address.to_string()),
                       "add a route, or a default route (`ip route`)");
      return false;
    }
    if (route->device == "lo") {
      add_peer_finding(
          Severity::error,
          fmt::format("peer {}: {} is an address of this machine", peer.name, address.to_string()),
          "configure the peer's own address");
      return false;
    }
    outside_.insert(route->device);
    return true;
  }

  // ---- data plane --------------------------------------------------------------------------------------

  [[nodiscard]] std::vector<TransformSet> used_sets() const {
    std::vector<TransformSet> used;
    for (const conf::PeerConfig& peer : config_.peers) {
      for (const conf::TunnelConfig& tunnel : peer.tunnels) {
        for (const TransformSet& set : tunnel.transform_sets) {
          if (std::find(used.begin(), used.end(), set) == used.end()) used.push_back(set);
        }
      }
    }
    return used;
  }

  [[nodiscard]] std::string users_of(const TransformSet& tried) const {
    for (const conf::PeerConfig& peer : config_.peers) {
      for (const conf::TunnelConfig& tunnel : peer.tunnels) {
        for (const TransformSet& set : tunnel.transform_sets) {
          const bool esp = tried.cipher && set.cipher == tried.cipher && set.integrity == tried.integrity;
          const bool ah = tried.ah && set.ah == tried.ah;
          const bool comp = tried.compression && set.compression == tried.compression;
          if (esp || ah || comp)
            return fmt::format("tunnel {}/{} (transform set {})", peer.name, tunnel.name, set.name);
        }
      }
    }
    return {};
  }

  void data_plane() {
    const auto choice = config_.gateway.data_plane;
    const bool software =
        choice == conf::DataPlaneChoice::software || !kernel(choice == conf::DataPlaneChoice::kernel);
    software_ = software;
    if (!software) {
      encapsulation();
      return;
    }
    if (auto tun = environment_.try_tun(); !tun) {
      add(Severity::error, "data-plane", tun.error());
    } else {
      add(Severity::ok, "data-plane", "the software data plane can have its TUN device");
    }
    for (const Family family : families_) {
      for (const IpsecProtocol protocol : {IpsecProtocol::esp, IpsecProtocol::ah}) {
        if (auto raw = environment_.try_raw(family, protocol); !raw)
          add(Severity::error, "data-plane", raw.error());
      }
    }
    for (const TransformSet& set : used_sets()) {
      if (!set.compression) continue;
      add(Severity::error, "algorithms",
          fmt::format("the software data plane cannot compress, and {} has {}", users_of(set),
                      info(*set.compression).name),
          "take the word out of the transform set, or load the kernel's modules (ipcomp, ipcomp6)");
    }
  }

  // Whether the kernel carries the tunnels.
  bool kernel(bool only) {
    const std::vector<TransformSet> sets = used_sets();
    auto trials = environment_.try_states(sets);
    if (!trials) {
      add(only ? Severity::error : Severity::warning, "data-plane", trials.error());
      if (!only) add(Severity::ok, "data-plane", "with `data_plane: auto` the software data plane carries");
      return only;
    }
    std::size_t good = 0;
    bool refused = false;
    std::set<std::string> told;
    for (const StateTrial& trial : *trials) {
      if (!trial.refused) {
        ++good;
        continue;
      }
      refused = true;
      const std::string users = users_of(trial.tried);
      const std::string text = users.empty() ? trial.refused->text : users + ": " + trial.refused->text;
      if (told.insert(text).second)
        add(only ? Severity::error : Severity::warning, "algorithms", text, trial.refused->remedy);
    }
    if (!refused) {
      add(Severity::ok, "data-plane",
          fmt::format("the kernel has ESP and every algorithm that is configured ({} tried)", good));
    } else if (!only) {
      add(Severity::ok, "data-plane",
          "with `data_plane: auto` the software data plane carries what the kernel cannot");
    }
    return only || !refused;
  }

  void encapsulation() {
    bool rfc = false;
    bool marker = false;
    for (const conf::PeerConfig& peer : config_.peers) {
      const NatForm* form = find_nat_form(peer.nat_traversal);
      if (form == nullptr) continue;
      (form->floats ? rfc : marker) = true;
    }
    for (const Family family : families_) {
      for (const bool non_ike_marker : {false, true}) {
        if (!(non_ike_marker ? marker : rfc)) continue;
        const std::string what = fmt::format("ESP in UDP port {} over {}",
                                             non_ike_marker ? kIkePort : kNatPort, family_name(family));
        if (auto tried = environment_.try_encapsulation(family, non_ike_marker); !tried) {
          add(Severity::error, "nat-traversal",
              "the kernel does not take " + what + ": " + tried.error().text,
              non_ike_marker ? "configure `nat_traversal: draft-02` or later if the peer knows it, or "
                               "`data_plane: software`"
                             : "a kernel with CONFIG_INET_ESP, or `data_plane: software`");
        } else {
          add(Severity::ok, "nat-traversal", "the kernel takes " + what);
        }
      }
    }
  }

  void ties() {
    bool interface_tried = false;
    std::set<std::string> devices;
    for (const conf::PeerConfig& peer : config_.peers) {
      for (const conf::TunnelConfig& tunnel : peer.tunnels) {
        const std::string name = fmt::format("tunnel {}/{}", peer.name, tunnel.name);
        const KernelTies& ties = tunnel.ties;
        if (software_ && (ties.steered() || ties.offload != Offload::none)) {
          add(Severity::error, "data-plane",
              name + " has a mark, an interface or offload, and the software data plane knows none of them",
              "load the kernel's modules (esp4, esp6), or take the word out of the tunnel");
          continue;
        }
        if (ties.interface && !std::exchange(interface_tried, true)) {
          auto tried = environment_.try_interface();
          if (tried) {
            add(Severity::ok, "interfaces", "the kernel has xfrm interfaces");
          } else {
            add(Severity::error, "interfaces", name + ": " + tried.error().text, tried.error().remedy);
          }
        }
        if (ties.offload != Offload::none && devices.insert(ties.offload_device).second) offload(name, ties);
      }
    }
  }

  void offload(const std::string& tunnel, const KernelTies& ties) {
    IpAddress ours =
        config_.gateway.listen.empty() ? IpAddress::any(Family::ipv4) : config_.gateway.listen.front();
    if (config_.gateway.listen.empty()) {
      for (const OwnAddress& own : environment_.addresses()) {
        if (outside_.contains(own.device)) ours = own.address;
      }
    }
    const auto tried = environment_.try_offload(ties, ours);
    if (!tried) {
      add(Severity::error, "offload", tunnel + ": " + tried.error().text, tried.error().remedy);
    } else if (!*tried) {
      add(Severity::warning, "offload",
          tunnel + ": nothing is offloaded, the kernel protects the packets itself",
          "a device with esp-hw-offload (`ethtool -k`), a kernel with CONFIG_XFRM_OFFLOAD, or `offload: no`");
    } else {
      add(Severity::ok, "offload", tunnel + ": the device takes SAs");
    }
  }

  // ---- sockets and firewall ----------------------------------------------------------------------------

  void ports() {
    std::vector<IpAddress> locals = config_.gateway.listen;
    if (locals.empty()) {
      for (const Family family : families_) locals.push_back(IpAddress::any(family));
    }
    for (const std::uint16_t port : {kIkePort, kNatPort}) {
      bool free = true;
      for (const IpAddress& local : locals) {
        const auto tried = environment_.try_port(local, port);
        if (tried) continue;
        free = false;
        const std::string holder = environment_.holder(port);
        if (tried.error().code == ErrorCode::in_use && holder.find("oakgated") != std::string::npos) {
          add(Severity::ok, "ports", fmt::format("UDP port {} is held by {}", port, holder));
        } else if (tried.error().code == ErrorCode::in_use) {
          add(Severity::error, "ports",
              fmt::format("UDP port {} of {} is taken{}", port, local.to_string(),
                          holder.empty() ? "" : " by " + holder),
              "stop the other IPsec daemon");
        } else {
          add(Severity::error, "ports", tried.error());
        }
        break;
      }
      if (free) add(Severity::ok, "ports", fmt::format("UDP port {} is free", port));
    }
  }

  [[nodiscard]] bool uses(IpsecProtocol protocol) const {
    for (const TransformSet& set : used_sets()) {
      if (protocol == IpsecProtocol::ah ? set.ah.has_value() : set.cipher && !set.ah) return true;
    }
    return false;
  }

  void firewall() {
    const Rulesets rules = environment_.rulesets();
    if (!rules.unreadable.empty()) {
      add(Severity::warning, "firewall", "the packet filter's rules cannot be read: " + rules.unreadable,
          "install nftables (nft), and run as root");
    }
    std::vector<Traffic> all;
    for (const Family family : families_) {
      for (const bool inbound : {true, false}) {
        all.push_back({family, inbound, IPPROTO_UDP, kIkePort});
        all.push_back({family, inbound, IPPROTO_UDP, kNatPort});
        if (uses(IpsecProtocol::esp)) all.push_back({family, inbound, IPPROTO_ESP, 0});
        if (uses(IpsecProtocol::ah)) all.push_back({family, inbound, IPPROTO_AH, 0});
      }
    }
    bool blocked = false;
    for (const Traffic& traffic : all) {
      FilterVerdict verdict = judge_nftables(rules.nftables, traffic).value_or(FilterVerdict{});
      const FilterVerdict old =
          judge_iptables(traffic.family == Family::ipv4 ? rules.iptables : rules.ip6tables, traffic);
      if (old.verdict > verdict.verdict) verdict = old;
      if (verdict.verdict == Verdict::passes) continue;
      blocked = true;
      const bool sure = verdict.verdict == Verdict::blocked;
      add(sure ? Severity::error : Severity::warning, "firewall",
          fmt::format("{} {} by {}", traffic.to_string(), sure ? "is blocked" : "may be blocked",
                      verdict.where),
          sure ? remedy_for(traffic) : "look at that chain; if need be " + remedy_for(traffic));
    }
    if (!blocked && rules.unreadable.empty())
      add(Severity::ok, "firewall", "no rule was found that blocks IKE, ESP or AH");
  }

  static std::string remedy_for(const Traffic& traffic) {
    if (traffic.protocol == IPPROTO_UDP) return "accept it there: `udp dport { 500, 4500 } accept`";
    return "accept it there: `meta l4proto { esp, ah } accept`";
  }

  // ---- settings ----------------------------------------------------------------------------------------

  [[nodiscard]] bool forwards(Family family) const {
    for (const conf::PeerConfig& peer : config_.peers) {
      for (const conf::TunnelConfig& tunnel : peer.tunnels) {
        for (const SelectorPair& pair : tunnel.pairs) {
          const Subnet& local = pair.local.subnet;
          if (local.family() == family && !local.is_host()) return true;
        }
      }
    }
    return false;
  }

  void forwarding() {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      if (!forwards(family)) continue;
      const bool v4 = family == Family::ipv4;
      const std::string name = v4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding";
      const std::string key = v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
      const auto value = environment_.setting(name);
      if (!value) continue;
      if (*value != "0") {
        add(Severity::ok, "forwarding", fmt::format("{} is forwarded", family_name(family)));
      } else {
        add(Severity::error, "forwarding",
            fmt::format("{} is not forwarded: the networks behind this gateway reach no tunnel",
                        family_name(family)),
            fmt::format("`sysctl -w {}=1`, and the same in /etc/sysctl.d/", key));
      }
    }
  }

  // 1 is strict: the way back must lead through the device that a packet came by. 2 is loose. The larger of
  // `all` and the device's own counts.
  void reverse_path() {
    if (!families_.contains(Family::ipv4)) return;
    const auto number = [&](const std::string& device) {
      const auto value = environment_.setting("net/ipv4/conf/" + device + "/rp_filter");
      return value && value->size() == 1 ? value->front() - '0' : 0;
    };
    const int all = number("all");
    bool strict = false;
    for (const std::string& device : outside_) {
      if (std::max(all, number(device)) != 1) continue;
      strict = true;
      add(Severity::warning, "rp_filter",
          fmt::format(
              "{} filters strictly by the way back (rp_filter 1): packets may vanish where peers or networks "
              "are reached by more than one way",
              device),
          fmt::format("`sysctl -w net.ipv4.conf.{}.rp_filter=2` (loose)", device));
    }
    if (!strict && !outside_.empty())
      add(Severity::ok, "rp_filter", "packets are not filtered strictly by the way back");
  }

  // Where the LAN and the peers are reached by one device, Linux tells hosts of the LAN to go to the peer's
  // router directly, past the tunnel.
  void redirects() {
    for (const OwnAddress& own : environment_.addresses()) {
      if (!own.address.is_v4() || !outside_.contains(own.device) || !behind_us(own.address)) continue;
      const auto on = [&](const std::string& device) {
        return environment_.setting("net/ipv4/conf/" + device + "/send_redirects").value_or("0") != "0";
      };
      if (!on("all") && !on(own.device)) continue;
      add(Severity::warning, "redirects",
          fmt::format("{} leads to the LAN and to peers, and sends ICMP redirects: hosts may be told a way "
                      "past the tunnel",
                      own.device),
          fmt::format("`sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.{}.send_redirects=0`",
                      own.device));
    }
  }

  [[nodiscard]] bool behind_us(const IpAddress& address) const {
    for (const conf::PeerConfig& peer : config_.peers) {
      for (const conf::TunnelConfig& tunnel : peer.tunnels) {
        for (const SelectorPair& pair : tunnel.pairs) {
          if (pair.local.subnet.contains(address) && pair.local.subnet.prefix() != 0 &&
              !pair.local.subnet.is_host())
            return true;
        }
      }
    }
    return false;
  }

  // ---- time --------------------------------------------------------------------------------------------

  void clock() {
    const ClockState clock = environment_.clock();
    now_ = clock.now;
    if (clock.synchronized) {
      add(Severity::ok, "clock", "the clock is synchronized");
      return;
    }
    const bool depends = !config_.trustpoints.empty();
    add(Severity::warning, "clock",
        depends
            ? "the clock is not synchronized, and certificates and revocation lists are taken by their dates"
            : "the clock is not synchronized: log lines and ends of waivers go by it",
        "run an NTP client (systemd-timesyncd, chrony)");
  }

  void certificates() {
    for (const TrustpointConfig& trustpoint : config_.trustpoints) {
      std::vector<std::string> files = trustpoint.ca;
      if (trustpoint.own) files.push_back(trustpoint.own->certificate);
      if (trustpoint.own_encryption) files.push_back(trustpoint.own_encryption->certificate);
      std::size_t good = 0;
      for (const std::string& file : files) {
        const auto found = environment_.certificates(file);
        if (!found) {
          add(Severity::error, "certificates", found.error());
          continue;
        }
        if (found->empty()) {
          add(Severity::warning, "certificates",
              fmt::format("trustpoint {}: {} is not there yet", trustpoint.name, file),
              "`oakgate pki authenticate`, `oakgate pki enroll` or `oakgate pki import`");
        }
        for (const CertificateDates& one : *found) good += dates(trustpoint.name, one) ? 1 : 0;
      }
      if (good != 0) {
        add(Severity::ok, "certificates",
            fmt::format("trustpoint {}: {} certificate{} valid now", trustpoint.name, good,
                        good == 1 ? "" : "s"));
      }
    }
  }

  bool dates(const std::string& trustpoint, const CertificateDates& one) {
    const auto day = [](WallTime time) {
      const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
      return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                         static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
    };
    const std::string name = fmt::format("trustpoint {}: the certificate of {}", trustpoint, one.subject);
    if (now_ < one.not_before) {
      add(Severity::error, "certificates",
          fmt::format("{} is not valid before {}", name, day(one.not_before)), "set the clock, or wait");
      return false;
    }
    if (now_ > one.not_after) {
      add(Severity::error, "certificates", fmt::format("{} ended on {}", name, day(one.not_after)),
          "enroll anew (`oakgate pki enroll`), or import its successor");
      return false;
    }
    if (now_ + kSoonDays > one.not_after) {
      add(Severity::warning, "certificates", fmt::format("{} ends on {}", name, day(one.not_after)),
          "enroll anew (`oakgate pki enroll --renew`)");
    }
    return true;
  }

  void waivers() {
    for (const conf::PeerConfig& peer : config_.peers) {
      if (!peer.allow_weak || !peer.allow_weak->expired(now_)) continue;
      add(Severity::warning, "waivers",
          fmt::format("peer {}: its allow_weak has ended, so it stays down if it needs it", peer.name),
          "stronger algorithms, or a later `until`");
    }
  }

  const conf::Config& config_;
  Environment& environment_;
  Findings findings_;
  Findings peers_;
  std::set<Family> families_;      // of the gateways
  std::set<std::string> outside_;  // devices towards peers
  bool software_ = false;
  WallTime now_{};
};

}  // namespace

Findings probe(const conf::Config& config, Environment& environment) {
  return Prober(config, environment).run();
}

}  // namespace oakgate::probe
