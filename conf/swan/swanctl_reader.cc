// From the sections of a swanctl.conf to the model.
#include <algorithm>
#include <array>

#include "conf/swan/import.h"
#include "conf/swan/reasons.h"
#include "conf/swan/swanctl_conf.h"
#include "conf/swan/values.h"

namespace oakgate::conf::swan {

namespace {

// ---- One connection ------------------------------------------------------------------------------------

class Reader {
 public:
  Reader(const Section& section, Model& model) : section_(section), model_(model) {}

  void read() {
    if (!speaks_ikev1()) return;
    out_.line = section_.line;
    out_.name = section_.name;
    if (!read_addresses() || !read_ends()) return;
    read_phase1();
    const Section* children = section_.section("children");
    if (children == nullptr || children->sections.empty()) {
      about("it has no children: left out");
      return;
    }
    for (const Section& one : children->sections) read_child(one);
    note_rest(section_, done_, Where::connection);
    for (const Section& one : section_.sections) {
      if (one.name == "children" || one.name.starts_with("local") || one.name.starts_with("remote")) continue;
      model_.notes.push_back(
          note_at(one.line, one.name + " { ... }", "no section of a connection that is known"));
    }
    if (!out_.children.empty()) model_.connections.push_back(std::move(out_));
  }

 private:
  using Done = std::vector<std::string_view>;

  static const Setting* take(const Section& section, std::string_view key, Done& done) {
    const Setting* setting = section.setting(key);
    if (setting != nullptr) done.push_back(setting->key);
    return setting;
  }
  const Setting* take(std::string_view key) { return take(section_, key, done_); }
  static std::string value(const Setting* setting) { return setting == nullptr ? "" : setting->value; }
  void note(const Setting& setting, std::string why) {
    model_.notes.push_back(note_of(setting, std::move(why)));
  }
  void about(std::string why) {
    model_.notes.push_back(note_at(section_.line, "connection " + section_.name, std::move(why)));
  }

  void note_rest(const Section& section, const Done& done, Where where) {
    for (const Setting& one : section.settings) {
      if (std::find(done.begin(), done.end(), one.key) != done.end()) continue;
      if (auto why = why_not(where, one)) note(one, std::move(*why));
    }
  }

  bool speaks_ikev1() {
    const std::string version = value(take("version"));
    if (version == "2") {
      about("it is IKEv2, and oakgate speaks IKEv1 alone: left out");
      return false;
    }
    if (version != "1") {
      about(
          "it does not say `version = 1`, so strongSwan begins with IKEv2: taken as IKEv1; if the peer does "
          "not "
          "answer that, it has to be changed");
    }
    return true;
  }

  bool read_addresses() {
    const Setting* here = take("local_addrs");
    const Setting* there = take("remote_addrs");
    const std::vector<std::string> ours = words_in(value(here));
    if (ours.size() == 1 && IpAddress::parse(ours.front())) out_.local_address = lower(ours.front());
    if (ours.size() > 1) note(*here, "several: the route to the peer decides which is used");
    const std::vector<std::string> theirs = words_in(value(there));
    const auto address = peer_address(theirs.empty() ? "" : theirs.front());
    if (!address) {
      note(*there, "it is no address, range or host name of a peer: the connection is left out");
      return false;
    }
    if (theirs.size() > 1) note(*there, "only the first is carried over");
    out_.remote_address = *address;
    return true;
  }

  bool read_ends() {
    std::string method;
    bool good = true;
    for (const Section& one : section_.sections) {
      const bool here = one.name.starts_with("local");
      if (here || one.name.starts_with("remote")) good = read_end(one, here, method) && good;
    }
    if (method == "psk") {
      out_.authentication = AuthMethod::pre_share;
    } else if (method.starts_with("ecdsa")) {
      out_.authentication = AuthMethod::ecdsa_sig;
    } else {
      out_.authentication = AuthMethod::rsa_sig;
    }
    return good;
  }

  bool read_end(const Section& end, bool here, std::string& method) {
    Done done;
    const Setting* auth = take(end, "auth", done);
    const std::string word = lower(value(auth));
    if (word.starts_with("xauth") || word.starts_with("eap") || word == "any") {
      note(*auth, "XAUTH and EAP are for remote users: the connection is left out");
      return false;
    }
    if (!word.empty() && !method.empty() && word.substr(0, 3) != method.substr(0, 3)) {
      note(*auth, "IKEv1 has one method for both ends: the first is taken");
    } else if (!word.empty()) {
      method = word;
    }
    const Setting* id = take(end, "id", done);
    std::string& identity = here ? out_.local_identity : out_.remote_identity;
    const std::string& address = here ? out_.local_address : out_.remote_address;
    if (id != nullptr && id->value != "%any") {
      const auto parsed = identity_of(id->value);
      if (!parsed)
        note(*id, "no identity that oakgate has: the address is taken, set `identity` if it is another");
      identity = parsed && *parsed != address ? *parsed : "";
    }
    const Setting* certificates = take(end, "certs", done);
    const Setting* authorities = take(end, "cacerts", done);
    if (here && certificates != nullptr) {
      const auto files = words_in(certificates->value);
      if (!files.empty()) out_.certificate = files.front();
      if (files.size() > 1) note(*certificates, "only the first is carried over");
    } else if (certificates != nullptr) {
      note(*certificates,
           "a peer's certificate is not pinned: it has to chain to the trustpoint's CA and to have its "
           "`identity`");
    }
    if (!here && authorities != nullptr) out_.authorities = words_in(authorities->value);
    if (const Setting* revocation = take(end, "revocation", done)) {
      const std::string policy = lower(revocation->value);
      if (policy == "strict") model_.revocation = "crl";
    }
    note_rest(end, done, Where::end);
    for (const Section& one : end.sections)
      model_.notes.push_back(
          note_at(one.line, one.name + " { ... }", "name the certificate's file in its trustpoint"));
    return true;
  }

  // ---- Phase 1

  void read_phase1() {
    const Setting* proposals = take("proposals");
    if (proposals != nullptr && lower(proposals->value) != "default")
      out_.policies = policies_of(*proposals, out_.authentication, model_.notes);
    if (out_.policies.empty()) {
      about(
          "its own proposals for IKE are not in the file: what `isakmp_policies` has in their place is a "
          "guess");
      out_.policies = usual_policies(out_.authentication);
    }
    if (const Setting* life = take("rekey_time")) {
      if (const auto time = seconds(life->value)) {
        for (IsakmpPolicy& policy : out_.policies) policy.lifetime = *time;
      } else if (life->value != "0" && life->value != "0s") {
        note(*life, "no duration that was understood: 24 hours are taken");
      }
    }
    out_.aggressive = yes_or_no(value(take("aggressive"))).value_or(false);
    out_.fragmentation = yes_or_no(value(take("fragmentation"))).value_or(true);
    if (const Setting* send = take("send_cert")) {
      const std::string word = lower(send->value);
      out_.send_certificate = word == "always"  ? SendCertificate::always
                              : word == "never" ? SendCertificate::never
                                                : SendCertificate::on_request;
    }
    read_dpd();
  }

  void read_dpd() {
    const auto delay = seconds(value(take("dpd_delay")));
    const auto timeout = seconds(value(take("dpd_timeout")));
    DeadPeerDetection dpd;
    dpd.mode = DpdMode::off;
    if (delay) {
      dpd.mode = DpdMode::periodic;
      dpd.interval = std::min(*delay, Seconds{86400 / 2});
      dpd.timeout = std::clamp(timeout.value_or(dpd.interval * 5), dpd.interval + Seconds{1}, Seconds{86400});
    }
    out_.dpd = dpd;
  }

  // ---- Phase 2

  void read_child(const Section& section) {
    Done done;
    Child child;
    child.line = section.line;
    child.name = section.name;
    const std::string mode = lower(value(take(section, "mode", done)));
    if (mode == "pass" || mode == "drop" || mode == "beet" || mode == "transport_proxy" || mode == "iptfs") {
      model_.notes.push_back(note_at(section.line, "child " + section.name,
                                     "`mode = " + mode + "` is neither tunnel nor transport: left out"));
      return;
    }
    child.local = nets(take(section, "local_ts", done), out_.local_address);
    child.remote = nets(take(section, "remote_ts", done), out_.remote_address);
    if (child.local.empty() || child.remote.empty()) {
      model_.notes.push_back(note_at(section.line, "child " + section.name,
                                     std::string(child.local.empty() ? "this side's" : "the peer's") +
                                         " net is not in the file, or was not understood: left out"));
      return;
    }
    if (const Setting* ah = take(section, "ah_proposals", done))
      take_sets(*ah, true, out_, child, model_.notes);
    const Setting* esp = take(section, "esp_proposals", done);
    if (esp != nullptr && lower(esp->value) != "default") take_sets(*esp, false, out_, child, model_.notes);
    if (child.sets.empty()) {
      model_.notes.push_back(note_at(section.line, "child " + section.name,
                                     "its own proposals for ESP are not in the file: what `transform_sets` "
                                     "has in their place is a guess"));
      child.sets = usual_sets();
    }
    if (yes_or_no(value(take(section, "sha256_96", done))).value_or(false)) out_.sha256_96 = true;
    if (mode == "transport") {
      for (TransformSet& set : child.sets) set.mode = EncapsulationMode::transport;
    }
    read_life(section, child, done);
    const std::string start = lower(value(take(section, "start_action", done)));
    child.start = start.find("start") != std::string::npos  ? StartMode::on_start
                  : start.find("trap") != std::string::npos ? StartMode::on_traffic
                                                            : StartMode::responder;
    if (const Setting* window = take(section, "replay_window", done)) {
      const auto packets = number(window->value);
      if (packets && *packets >= 32 && *packets <= 4096) {
        child.replay_window = static_cast<std::uint32_t>(*packets);
      } else {
        note(*window, "a replay window has 32 to 4096 packets: 64 are taken");
      }
    }
    const Setting* in = take(section, "mark_in", done);
    const Setting* out = take(section, "mark_out", done);
    if (in != nullptr || out != nullptr) {
      if (value(in) == value(out)) child.mark = mark(value(in));
      if (child.mark.empty())
        note(in != nullptr ? *in : *out, "`mark` of a tunnel is one for both directions, VALUE/MASK");
    }
    note_rest(section, done, Where::child);
    out_.children.push_back(std::move(child));
  }

  // None: strongSwan's `dynamic`, the gateway itself.
  std::vector<Selector> nets(const Setting* setting, const std::string& address) {
    std::vector<std::string> words = words_in(value(setting));
    if (words.empty()) words.emplace_back("dynamic");
    std::vector<Selector> all;
    for (const std::string& word : words) {
      const bool itself = lower(word).starts_with("dynamic");
      const auto one = selector(itself ? address + word.substr(7) : word);
      if (one && std::find(all.begin(), all.end(), *one) == all.end()) all.push_back(*one);
      if (!one && setting != nullptr)
        note(*setting, "`" + word + "` is no net that was understood: left out");
    }
    return all;
  }

  void read_life(const Section& section, Child& child, Done& done) {
    const Setting* hard = take(section, "life_time", done);
    const Setting* soft = take(section, "rekey_time", done);
    if (const auto time = seconds(value(hard))) {
      child.lifetime.time = *time;
    } else if (const auto renewed = seconds(value(soft))) {
      child.lifetime.time = *renewed + *renewed / 10;  // what strongSwan makes of it
    }
    if (value(soft) == "0" || value(soft) == "0s") child.rekeys = false;
    const auto bytes = number(value(take(section, "life_bytes", done)));
    const auto renewed_bytes = number(value(take(section, "rekey_bytes", done)));
    child.lifetime.kilobytes = Kilobytes{0};
    if (const auto limit = bytes ? bytes : renewed_bytes; limit && *limit != 0)
      child.lifetime.kilobytes = Kilobytes{std::max<std::uint64_t>(*limit / 1024, 1)};
  }

  const Section& section_;
  Model& model_;
  Connection out_;
  Done done_;
};

// ---- secrets and the rest ------------------------------------------------------------------------------

void read_secrets(const Section& secrets, Model& model) {
  for (const Section& one : secrets.sections) {
    const Setting* value = one.setting("secret");
    if (!one.name.starts_with("ike")) {
      const bool file = one.name.starts_with("rsa") || one.name.starts_with("ecdsa") ||
                        one.name.starts_with("private") || one.name.starts_with("pkcs");
      model.notes.push_back(
          note_at(one.line, one.name + " { ... }",
                  file ? "a private key: `oakgate pki import` puts it where its trustpoint wants it"
                       : "no pre-shared key: nothing in oakgate's configuration corresponds to it"));
      continue;
    }
    Secret secret;
    secret.line = one.line;
    for (const Setting& setting : one.settings) {
      if (setting.key.starts_with("id")) secret.owners.push_back(setting.value);
    }
    // The parser has taken the quotes off: what is left is bare.
    if (value != nullptr) secret.key = pre_shared_key(value->value);
    if (secret.key.empty()) {
      model.notes.push_back(
          note_at(one.line, one.name + " { ... }", "there is no key in it, or not what it says it is"));
      continue;
    }
    model.secrets.push_back(std::move(secret));
  }
}

void read_authorities(const Section& authorities, Model& model) {
  for (const Section& authority : authorities.sections) {
    for (const Setting& one : authority.settings) {
      const bool lists = one.key.starts_with("crl_uris");
      const bool responders = one.key.starts_with("ocsp_uris");
      model.notes.push_back(note_of(one, lists ? "`crl: {urls: [...]}` of the trustpoint that has this CA"
                                         : responders
                                             ? "`ocsp: {urls: [...]}` of the trustpoint that has this CA"
                                             : "a trustpoint's `ca` is the file with its certificate"));
    }
  }
}

}  // namespace

Imported import_swanctl_conf(std::string_view configuration, std::chrono::sys_days weak_until) {
  SwanctlConf conf = read_swanctl_conf(configuration);
  Model model;
  model.program = "strongSwan";
  model.file = "swanctl.conf";
  model.certificate_folder = "/etc/swanctl/x509/";
  model.authority_folder = "/etc/swanctl/x509ca/";
  model.key_folder = "/etc/swanctl/private/";
  model.notes = std::move(conf.notes);
  for (const Section& section : conf.root.sections) {
    const auto& used = conf.referenced;
    if (section.name == "connections") {
      for (const Section& one : section.sections) Reader(one, model).read();
    } else if (section.name == "secrets") {
      read_secrets(section, model);
    } else if (section.name == "authorities") {
      read_authorities(section, model);
    } else if (std::find(used.begin(), used.end(), section.name) == used.end()) {
      model.notes.push_back(note_at(section.line, section.name + " { ... }",
                                    section.name == "pools"
                                        ? "Mode Config is for remote users: oakgate does not do it"
                                        : "no section that says anything about tunnels"));
    }
  }
  for (const Setting& one : conf.root.settings)
    model.notes.push_back(note_of(one, "it stands in no section that is known"));
  return write_model(std::move(model), weak_until);
}

}  // namespace oakgate::conf::swan
