// From the connections of an ipsec.conf to the model.
#include <algorithm>
#include <array>

#include "conf/swan/import.h"
#include "conf/swan/ipsec_conf.h"
#include "conf/swan/reasons.h"
#include "conf/swan/values.h"

namespace oakgate::conf::swan {

namespace {

// ---- Settings of one connection ------------------------------------------------------------------------

enum class Version : std::uint8_t { ikev1, not_said, ikev2 };

class Reader {
 public:
  Reader(ResolvedConn conn, Model& model, Side side) : conn_(std::move(conn)), model_(model), side_(side) {}

  void read() {
    if (!worth_reading()) return;
    choose_side();
    Connection& out = out_;
    out.line = conn_.line;
    out.name = conn_.name;
    if (!read_ends()) return;
    if (!read_proof()) return;
    read_phase1();
    if (!read_child()) return;
    note_rest();
    model_.connections.push_back(std::move(out_));
  }

 private:
  // The setting, which counts as understood from then on; null: there is none.
  const Setting* take(const std::string& key) {
    const auto found = conn_.settings.find(key);
    if (found == conn_.settings.end()) return nullptr;
    done_.push_back(key);
    return &found->second;
  }
  const Setting* take_any(std::initializer_list<std::string_view> keys) {
    const Setting* first = nullptr;
    for (const std::string_view key : keys) {
      const Setting* one = take(std::string(key));
      if (first == nullptr) first = one;
    }
    return first;
  }
  const Setting* local(const std::string& key) { return take(local_ + key); }
  const Setting* remote(const std::string& key) { return take(remote_ + key); }
  static std::string value(const Setting* setting) { return setting == nullptr ? "" : setting->value; }

  void note(const Setting& setting, std::string why) {
    model_.notes.push_back(note_of(setting, std::move(why)));
  }
  void about(std::string why) {
    model_.notes.push_back(note_at(conn_.line, "conn " + conn_.name, std::move(why)));
  }

  Version version() {
    const Setting* exchange = take("keyexchange");
    const Setting* ikev2 = take("ikev2");
    const std::string word = lower(value(exchange));
    const std::string policy = lower(value(ikev2));
    if (word == "ikev2") return Version::ikev2;
    if (word == "ikev1") return Version::ikev1;
    if (policy == "no" || policy == "never") return Version::ikev1;
    if (policy == "yes" || policy == "insist" || policy == "propose") return Version::ikev2;
    return Version::not_said;
  }

  bool worth_reading() {
    if (conn_.base) return false;
    if (conn_.name.starts_with('%')) return false;
    const Version spoken = version();
    if (spoken == Version::ikev2) {
      about("it is IKEv2, and oakgate speaks IKEv1 alone: left out");
      return false;
    }
    const std::string type = lower(value(take("type")));
    transport_ = type == "transport";
    if (!type.empty() && !transport_ && type != "tunnel") {
      about("`type=" + type + "` is no tunnel: left out; packets that no tunnel is for go as they are");
      return false;
    }
    const auto& all = conn_.settings;
    if (!all.contains("left") && !all.contains("right")) {
      about("it has neither `left` nor `right`: left out");
      return false;
    }
    if (spoken == Version::not_said) {
      about(
          "it does not say which IKE it speaks (`keyexchange`, `ikev2`): taken as IKEv1; if it is IKEv2, the "
          "peer "
          "has to be changed");
    }
    return true;
  }

  [[nodiscard]] bool wanders(std::string_view address) const {
    return address.empty() || peer_address(address) == "any";
  }

  void choose_side() {
    const auto of = [&](const char* key) {
      const auto found = conn_.settings.find(key);
      return found == conn_.settings.end() ? std::string{} : lower(found->second.value);
    };
    bool left = true;
    const std::string a = of("left");
    const std::string b = of("right");
    if (side_ != Side::automatic) {
      left = side_ == Side::left;
    } else if (a == "%defaultroute" || b == "%defaultroute") {
      left = a == "%defaultroute";
    } else if (of("leftcert").empty() != of("rightcert").empty()) {
      left = !of("leftcert").empty();
    } else if (wanders(a) != wanders(b)) {
      left = wanders(b);
    } else {
      model_.side_guessed = true;
    }
    local_ = left ? "left" : "right";
    remote_ = left ? "right" : "left";
  }

  bool read_ends() {
    const Setting* here = local("");
    const Setting* there = remote("");
    const std::string ours = peer_address(value(here)).value_or("");
    if (ours != "any" && IpAddress::parse(ours)) out_.local_address = ours;
    const std::vector<std::string> all = words_in(value(there));
    const auto theirs = peer_address(all.empty() ? "" : all.front());
    if (!theirs) {
      note(*there, "it is no address, range or host name of a peer: the connection is left out");
      return false;
    }
    if (all.size() > 1) note(*there, "only the first is carried over");
    out_.remote_address = *theirs;
    out_.local_identity = identity(local("id"), out_.local_address);
    out_.remote_identity = identity(remote("id"), out_.remote_address);
    return true;
  }

  // Empty: it is the address.
  std::string identity(const Setting* setting, const std::string& address) {
    if (setting == nullptr) return {};
    const auto id = identity_of(setting->value);
    if (!id) {
      const std::string word = lower(trim(setting->value));
      if (word != "%any" && word != "%fromcert" && word != "%cert" && word != "%myid")
        note(*setting, "no identity that oakgate has: the address is taken, set `identity` if it is another");
      if (word == "%fromcert" || word == "%cert") return "dn";
      return {};
    }
    return *id == address ? "" : *id;
  }

  // ---- Authentication

  bool read_proof() {
    const Setting* by = take("authby");
    std::string word = lower(value(by));
    const Setting* leftauth = local("auth");
    const Setting* rightauth = remote("auth");
    if (leftauth != nullptr) word = lower(leftauth->value);
    const std::string theirs = lower(value(rightauth));
    if (!theirs.empty() && !word.empty() && theirs.substr(0, 3) != word.substr(0, 3))
      note(*rightauth, "IKEv1 has one method for both ends: that of ours is taken");
    if (word.empty()) word = theirs;
    const Setting* said = leftauth != nullptr ? leftauth : by != nullptr ? by : rightauth;
    if (word.find("xauth") != std::string::npos || word.starts_with("eap") ||
        word.find("hybrid") != std::string::npos) {
      note(*said, "XAUTH, EAP and hybrid authentication are for remote users: the connection is left out");
      return false;
    }
    if (word.find("psk") != std::string::npos || word.find("secret") != std::string::npos) {
      out_.authentication = AuthMethod::pre_share;
    } else if (word.starts_with("ecdsa")) {
      out_.authentication = AuthMethod::ecdsa_sig;
    } else if (word.empty() || word.starts_with("rsa") || word.starts_with("pubkey")) {
      out_.authentication = AuthMethod::rsa_sig;
    } else {
      note(*said, "no authentication of IKEv1 that oakgate has: the connection is left out");
      return false;
    }
    if (out_.authentication != AuthMethod::pre_share) read_certificates();
    return true;
  }

  void read_certificates() {
    out_.certificate = value(local("cert"));
    if (const Setting* theirs = remote("cert"))
      note(*theirs,
           "a peer's certificate is not pinned: it has to chain to the trustpoint's CA and to have its "
           "`identity`");
    for (const Setting* ca : {local("ca"), remote("ca")}) {
      const std::string word = lower(value(ca));
      if (ca != nullptr && word != "%same" && word != "%any")
        note(*ca, "whom the peer must chain to is its trustpoint's `ca`: a file");
    }
    if (const Setting* send = local("sendcert")) {
      const std::string word = lower(send->value);
      out_.send_certificate = word == "always" || word == "yes" ? SendCertificate::always
                              : word == "never" || word == "no" ? SendCertificate::never
                                                                : SendCertificate::on_request;
    }
  }

  // ---- Phase 1

  void read_phase1() {
    const Setting* ike = take("ike");
    if (ike != nullptr) out_.policies = policies_of(*ike, out_.authentication, model_.notes);
    if (out_.policies.empty()) {
      about(
          "its own proposals for IKE are not in the file: what `isakmp_policies` has in their place is a "
          "guess");
      out_.policies = usual_policies(out_.authentication);
    }
    if (const Setting* life = take("ikelifetime")) {
      if (const auto time = seconds(life->value)) {
        for (IsakmpPolicy& policy : out_.policies) policy.lifetime = *time;
      } else {
        note(*life, "no duration that was understood: 24 hours are taken");
      }
    }
    if (const Setting* mode = take_any({"aggressive", "aggrmode", "aggressive-mode"}))
      out_.aggressive = yes_or_no(mode->value).value_or(false);
    if (const Setting* fragments = take("fragmentation"))
      out_.fragmentation = yes_or_no(fragments->value).value_or(true);
    if (const Setting* bug = take_any({"sha2-truncbug", "sha2_truncbug", "sha256_96"}))
      out_.sha256_96 = yes_or_no(bug->value).value_or(false);
    read_nat_traversal();
    read_dpd();
  }

  void read_nat_traversal() {
    const Setting* method = take_any({"nat-ikev1-method", "nat_ikev1_method"});
    const std::string word = lower(value(method));
    if (word == "none") out_.nat_traversal = NatTraversal::off;
    if (word == "drafts") out_.nat_traversal = NatTraversal::draft_02;
  }

  void read_dpd() {
    const Setting* action = take("dpdaction");
    const Setting* delay = take_any({"dpddelay", "dpdinterval"});
    const Setting* timeout = take("dpdtimeout");
    const std::string word = lower(value(action));
    DeadPeerDetection dpd;
    if (word == "none" || (action == nullptr && delay == nullptr)) {
      dpd.mode = DpdMode::off;
      out_.dpd = dpd;
      return;
    }
    dpd.mode = DpdMode::periodic;
    dpd.interval = seconds(value(delay)).value_or(Seconds{30});
    dpd.timeout = seconds(value(timeout)).value_or(dpd.interval * 5);
    if (dpd.interval > Seconds{86400 / 2}) dpd.interval = Seconds{86400 / 2};
    dpd.timeout = std::clamp(dpd.timeout, dpd.interval + Seconds{1}, Seconds{86400});
    out_.dpd = dpd;
  }

  // ---- Phase 2

  bool read_child() {
    Child child;
    child.line = conn_.line;
    child.name = conn_.name;
    child.local = nets(local_, out_.local_address);
    child.remote = nets(remote_, out_.remote_address);
    if (child.local.empty() || child.remote.empty()) {
      about(std::string(child.local.empty() ? "this side's" : "the peer's") +
            " net is not in the file, or was not understood: left out");
      return false;
    }
    read_sets(child);
    read_life(child);
    const std::string start = lower(value(take("auto")));
    child.start = start == "start" || start == "up"                            ? StartMode::on_start
                  : start == "route" || start == "ondemand" || start == "trap" ? StartMode::on_traffic
                                                                               : StartMode::responder;
    if (start.empty() || start == "ignore")
      about("it is not loaded there (`auto=ignore`, or none): the tunnel does not start by itself");
    if (const Setting* window = take_any({"replay_window", "replay-window"})) {
      const auto packets = number(window->value);
      if (packets && *packets >= 32 && *packets <= 4096) {
        child.replay_window = static_cast<std::uint32_t>(*packets);
      } else {
        note(*window, "a replay window has 32 to 4096 packets: 64 are taken");
      }
    }
    if (const Setting* one = take("mark")) {
      child.mark = mark(one->value);
      if (child.mark.empty()) note(*one, "no mark and mask that was understood");
    }
    if (transport_) {
      for (TransformSet& set : child.sets) set.mode = EncapsulationMode::transport;
    }
    out_.children.push_back(std::move(child));
    return true;
  }

  std::vector<Selector> nets(const std::string& side, const std::string& address) {
    const Setting* setting = take_any({side + "subnets", side + "subnet"});
    const Setting* protocol = take(side + "protoport");
    std::vector<std::string> words = words_in(value(setting));
    if (words.empty() && !address.empty()) words.push_back(address);
    std::vector<Selector> all;
    for (const std::string& word : words) {
      // A dialect's way of saying: the side itself.
      const bool itself = lower(word) == "%dynamic" || lower(word).starts_with("%dynamic[");
      auto one = selector(itself ? address + word.substr(8) : word);
      if (one && protocol != nullptr && !add_protocol(*one, protocol->value)) one.reset();
      if (one) {
        if (std::find(all.begin(), all.end(), *one) == all.end()) all.push_back(*one);
      } else if (setting != nullptr) {
        note(*setting, "`" + word + "` is no net that was understood: left out");
      }
    }
    return all;
  }

  void read_sets(Child& child) {
    const bool by_ah = lower(value(take("phase2"))) == "ah";
    const Setting* ah = take("ah");
    const Setting* esp = take_any({"esp", "phase2alg"});
    if (ah == nullptr && by_ah) std::swap(ah, esp);
    const Setting* pfs = take("pfs");
    const Setting* group = take("pfsgroup");
    if (ah != nullptr) take_sets(*ah, true, out_, child, model_.notes);
    if (esp != nullptr) take_sets(*esp, false, out_, child, model_.notes);
    if (child.sets.empty()) {
      about(
          "its own proposals for ESP are not in the file: what `transform_sets` has in their place is a "
          "guess");
      child.sets = usual_sets();
    }
    if (group != nullptr) child.pfs = find_group_word(group->value);
    // libreswan asks for PFS unless told not to, with the group of phase 1 where no other is named.
    const bool wanted = yes_or_no(value(pfs)).value_or(model_.program == "libreswan");
    if (model_.program == "libreswan" && !wanted) child.pfs.reset();
    if (model_.program == "libreswan" && wanted && !child.pfs) child.pfs = out_.policies.front().group;
  }

  void read_life(Child& child) {
    if (const Setting* life = take_any({"lifetime", "keylife", "salifetime", "ipsec-lifetime"})) {
      if (const auto time = seconds(life->value)) {
        child.lifetime.time = *time;
      } else {
        note(*life, "no duration that was understood: an hour is taken");
      }
    }
    if (const Setting* bytes = take_any({"lifebytes", "ipsec-max-bytes"})) {
      if (const auto count = number(bytes->value); count && *count != 0) {
        child.lifetime.kilobytes = Kilobytes{std::max<std::uint64_t>(*count / 1024, 1)};
      } else {
        note(*bytes, "no number of bytes that was understood: oakgate's own limit is taken");
      }
    } else {
      child.lifetime.kilobytes = Kilobytes{0};  // neither program has a limit of its own
    }
    if (const Setting* renew = take("rekey")) child.rekeys = yes_or_no(renew->value).value_or(true);
  }

  // ---- The rest

  void note_rest() {
    for (const auto& [key, setting] : conn_.settings) {
      if (std::find(done_.begin(), done_.end(), key) != done_.end()) continue;
      if (auto why = why_not(Where::conn, setting)) note(setting, std::move(*why));
    }
  }

  ResolvedConn conn_;
  Model& model_;
  Side side_;
  Connection out_;
  std::string local_;
  std::string remote_;
  bool transport_ = false;
  std::vector<std::string> done_;
};

// ---- The file as a whole -------------------------------------------------------------------------------

// By what only one of them knows.
bool is_libreswan(const IpsecConf& conf) {
  constexpr std::string_view kTheirs[] = {
      "protostack",    "virtual_private",  "virtual-private", "nat_traversal", "ikev2",
      "ikev1-policy",  "plutodebug",       "leftsubnets",     "rightsubnets",  "phase2",
      "phase2alg",     "salifetime",       "leftnexthop",     "rightnexthop",  "oe",
      "sha2-truncbug", "nat-ikev1-method", "pfsgroup",        "leftrsasigkey", "rightrsasigkey"};
  constexpr std::string_view kOurs[] = {"charondebug", "strictcrlpolicy", "cachecrls",   "keyexchange",
                                        "leftauth",    "rightauth",       "leftfirewall"};
  int score = 0;
  for (const IpsecSection& section : conf.sections) {
    for (const Setting& one : section.settings) {
      if (std::find(std::begin(kTheirs), std::end(kTheirs), one.key) != std::end(kTheirs)) ++score;
      if (std::find(std::begin(kOurs), std::end(kOurs), one.key) != std::end(kOurs)) --score;
    }
  }
  return score > 0;
}

void read_setup(const IpsecSection& section, Model& model) {
  for (const Setting& one : section.settings) {
    if (one.key == "strictcrlpolicy" && lower(one.value) == "yes") {
      model.revocation = "crl";
    } else if (one.key != "strictcrlpolicy") {
      model.notes.push_back(note_of(one, "it is about the other program, not about its connections"));
    }
  }
}

void read_authority(const IpsecSection& section, Model& model) {
  for (const Setting& one : section.settings) {
    const bool list = one.key.starts_with("crluri");
    const bool responder = one.key.starts_with("ocspuri");
    model.notes.push_back(note_of(one, list ? "`crl: {urls: [...]}` of the trustpoint that has this CA"
                                       : responder
                                           ? "`ocsp: {urls: [...]}` of the trustpoint that has this CA"
                                           : "a trustpoint's `ca` is the file with its certificate"));
  }
}

}  // namespace

Imported import_ipsec_conf(const Sources& sources, std::chrono::sys_days weak_until) {
  IpsecConf conf = read_ipsec_conf(sources.configuration);
  Model model;
  model.program = is_libreswan(conf) ? "libreswan" : "strongSwan";
  model.file = "ipsec.conf";
  model.certificate_folder = "/etc/ipsec.d/certs/";
  model.authority_folder = "/etc/ipsec.d/cacerts/";
  model.key_folder = "/etc/ipsec.d/private/";
  model.notes = std::move(conf.notes);
  for (const IpsecSection& section : conf.sections) {
    if (section.kind == "config") read_setup(section, model);
    if (section.kind == "ca" && section.name != "%default") read_authority(section, model);
  }
  for (ResolvedConn& conn : resolve(conf, model.notes)) Reader(std::move(conn), model, sources.side).read();
  if (model.side_guessed)
    model.notes.push_back({0, {}, "`left` is taken for this machine: if it is `right`, say --side right"});
  model.secrets_known = !sources.secrets.empty();
  model.secrets = read_ipsec_secrets(sources.secrets, model.notes);
  return write_model(std::move(model), weak_until);
}

}  // namespace oakgate::conf::swan
