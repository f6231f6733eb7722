// ISAKMP policies, pre-shared keys and what else is about phase 1.
#include <algorithm>

#include "conf/cisco/reading.h"

namespace oakgate::conf::cisco {

namespace {

// What a policy is that says nothing. IOS and PIX: RFC 2409's minimum; ASA shows every word.
IsakmpPolicy default_policy(Dialect dialect, int number) {
  IsakmpPolicy policy;
  policy.number = static_cast<std::uint16_t>(number);
  const bool asa = dialect == Dialect::asa;
  policy.encryption = asa ? IkeCipher::des3 : IkeCipher::des;
  policy.hash = IkeHash::sha;
  policy.group = asa ? DhGroup::modp1024 : DhGroup::modp768;
  policy.authentication = asa ? AuthMethod::pre_share : AuthMethod::rsa_sig;
  return policy;
}

IsakmpPolicy& policy_of(Reading& in, int number) {
  auto& all = in.model.policies;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const IsakmpPolicy& one) { return one.number == number; });
  if (found != all.end()) return *found;
  return all.emplace_back(default_policy(in.model.dialect, number));
}

// One word of a policy, beginning at `at`: "encr aes 256". False: not understood.
bool set_word(IsakmpPolicy& policy, const Line& line, std::size_t at) {
  const std::string_view word = line.word(at);
  std::string value(line.word(at + 1));
  if (word == "encryption" || word == "encr") {
    if (!line.word(at + 2).empty()) value += " " + std::string(line.word(at + 2));
    const auto known = find_ike_cipher(value);
    if (known) policy.encryption = *known;
    return known.has_value();
  }
  if (word == "hash") {
    const auto known = find_ike_hash(value);
    if (known) policy.hash = *known;
    return known.has_value();
  }
  if (word == "authentication") {
    const auto known = find_auth_method(value);
    if (known) policy.authentication = *known;
    return known.has_value();
  }
  if (word == "group") {
    const auto group = number(value, 1, 65535);
    const auto known = group ? find_dh_group(static_cast<std::uint32_t>(*group)) : std::nullopt;
    if (known) policy.group = *known;
    return known.has_value();
  }
  // From 60 s to a day there; ours may live 30.
  const auto seconds = word == "lifetime" ? number(value, 60, 2592000) : std::nullopt;
  if (seconds) policy.lifetime = Seconds{*seconds};
  return seconds.has_value();
}

constexpr const char* kNotUnderstood = "not understood: the policy has the default there";

void add_key(Reading& in, const Line& line, std::string_view word, std::optional<Subnet> peer,
             std::string host_name) {
  PreSharedKey key{line.number, peer, std::move(host_name), {}};
  const bool starred = word.find_first_not_of('*') == std::string_view::npos;
  if (!starred) {
    key.key = SecretBytes(ByteView(reinterpret_cast<const std::uint8_t*>(word.data()), word.size()));
  }
  in.model.keys.push_back(std::move(key));
}

// `[0|6] KEY address A [[netmask] M]` or `[0|6] KEY hostname H`, from word `at` on.
void read_key_words(Reading& in, const Line& line, std::size_t at, std::string_view key,
                    std::string_view kind) {
  const auto peer = address(in, line.word(at));
  if (kind == "hostname" && !line.word(at).empty()) {
    add_key(in, line, key, std::nullopt, std::string(line.word(at)));
    return;
  }
  if (kind != "address" || !peer) {
    note(in, line, "the key's peer was not understood");
    return;
  }
  std::string_view mask = line.word(at + 1);
  if (mask == "netmask") mask = line.word(at + 2);
  const auto masked = IpAddress::parse(mask) ? network(*peer, mask, false) : std::nullopt;
  // 0.0.0.0 without a mask is everybody.
  add_key(in, line, key, masked ? *masked : peer->is_any() ? Subnet(*peer, 0) : Subnet::host(*peer), {});
}

}  // namespace

void read_policy(Reading& in, const Command& command) {
  const auto priority = number(command.line.word(3), 1, 65534);
  if (!priority) {
    note(in, command.line, "a policy's number is within 1 to 65534");
    return;
  }
  IsakmpPolicy& policy = policy_of(in, *priority);
  // ASA before 8.4 and PIX 7 can write it in one line.
  if (!command.line.word(4).empty() && !set_word(policy, command.line, 4)) {
    note(in, command.line, kNotUnderstood);
  }
  for (const Line& line : command.body) {
    if (!set_word(policy, line, 0)) note(in, line, kNotUnderstood);
  }
}

void read_pix_policy(Reading& in, const Command& command) {
  const auto priority = number(command.line.word(2), 1, 65534);
  if (!priority || !set_word(policy_of(in, *priority), command.line, 3)) {
    note(in, command.line, kNotUnderstood);
  }
}

void read_key(Reading& in, const Command& command) {
  const Line& line = command.line;
  std::size_t at = line.word(0) == "crypto" ? 3 : 2;
  const bool typed = (line.word(at) == "0" || line.word(at) == "6") && line.word(at + 1) != "address" &&
                     line.word(at + 1) != "hostname";
  const bool encrypted = typed && line.word(at) == "6";
  if (typed) ++at;
  read_key_words(in, line, at + 2, encrypted ? std::string_view{} : line.word(at), line.word(at + 1));
}

void read_keyring(Reading& in, const Command& command) {
  for (const Line& line : command.body) {
    // pre-shared-key address A [M] key [0|6] KEY
    const auto at = std::find(line.words.begin(), line.words.end(), "key") - line.words.begin();
    auto key = static_cast<std::size_t>(at) + 1;
    const bool encrypted = line.word(key) == "6" && !line.word(key + 1).empty();
    if ((encrypted || line.word(key) == "0") && !line.word(key + 1).empty()) ++key;
    if (line.word(0) == "pre-shared-key" && !line.word(key).empty()) {
      read_key_words(in, line, 2, encrypted ? std::string_view{} : line.word(key), line.word(1));
    } else {
      note(in, line, "nothing in oakgate's configuration corresponds to it");
    }
  }
}

void read_tunnel_group(Reading& in, const Command& command) {
  const Line& head = command.line;
  if (head.word(2) == "type") {
    if (head.word(3) != "ipsec-l2l") note(in, head, "only LAN-to-LAN tunnels are carried over");
    return;
  }
  const auto peer = address(in, head.word(1));
  for (const Line& line : command.body) {
    const bool versioned = line.word(0) == "ikev1";
    const std::size_t at = versioned ? 1 : 0;
    if (line.word(at) == "pre-shared-key" && !line.word(at + 1).empty()) {
      const auto whom = peer                                ? std::optional(Subnet::host(*peer))
                        : head.word(1) == "DefaultL2LGroup" ? std::optional(Subnet::any(Family::ipv4))
                                                            : std::nullopt;
      add_key(in, line, line.word(at + 1), whom, whom ? std::string{} : std::string(head.word(1)));
    } else if (line.word(at) == "trust-point") {
      note(in, line,
           "the first trustpoint is used; name another one in the peer's `trustpoint` if it is not that");
    } else {
      note(in, line, "nothing in oakgate's configuration corresponds to it");
    }
  }
}

void read_identity(Reading& in, const Command& command) {
  const std::string kind(command.line.words.back());
  if (kind == "address" || kind == "hostname" || kind == "dn") {
    in.model.identity = kind;
  } else if (kind != "auto") {
    note(in, command.line, "`gateway: {identity: ...}` says who this gateway is");
  }
}

// [crypto] isakmp keepalive SECONDS [RETRIES] [periodic | on-demand]
void read_keepalive(Reading& in, const Command& command) {
  const Line& line = command.line;
  const std::size_t at = line.word(0) == "crypto" ? 3 : 2;
  const auto interval = number(line.word(at), 1, 3600);
  if (!interval) {
    note(in, line, "see `dpd` of a peer");
    return;
  }
  const auto retry = number(line.word(at + 1), 1, 3600).value_or(2);
  // IOS gives up after five more tries.
  constexpr int kTries = 5;
  in.model.dpd = DeadPeerDetection{line.words.back() == "periodic" ? DpdMode::periodic : DpdMode::on_demand,
                                   Seconds{*interval}, Seconds{*interval + kTries * retry}};
}

void read_nat_traversal(Reading& in, const Command&) {
  in.model.nat_traversal = true;
}

}  // namespace oakgate::conf::cisco
