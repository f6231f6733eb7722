#include "conf/cisco/model.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "conf/cisco/reading.h"
#include "conf/text.h"

namespace oakgate::conf::cisco {

namespace {

void read_host_name(Reading& in, const Command& command) {
  in.model.host_name = std::string(command.line.word(1));
}
void read_domain(Reading& in, const Command& command) {
  if (!command.line.words.empty()) in.model.domain = command.line.words.back();
}
// Said by our defaults already.
void pass_over(Reading&, const Command&) {}

struct Row {
  std::array<std::string_view, 4> head;
  Handler handler;
};
// The first row that fits: longer heads before shorter ones.
constexpr std::array kRows{
    Row{{"hostname"}, read_host_name},
    Row{{"domain-name"}, read_domain},
    Row{{"ip", "domain-name"}, read_domain},
    Row{{"ip", "domain", "name"}, read_domain},
    Row{{"name"}, read_name},
    Row{{"crypto", "isakmp", "policy"}, read_policy},
    Row{{"crypto", "ikev1", "policy"}, read_policy},
    Row{{"isakmp", "policy"}, read_pix_policy},
    Row{{"crypto", "isakmp", "key"}, read_key},
    Row{{"isakmp", "key"}, read_key},
    Row{{"crypto", "isakmp", "identity"}, read_identity},
    Row{{"isakmp", "identity"}, read_identity},
    Row{{"crypto", "isakmp", "keepalive"}, read_keepalive},
    Row{{"isakmp", "keepalive"}, read_keepalive},
    Row{{"crypto", "isakmp", "nat-traversal"}, read_nat_traversal},
    Row{{"isakmp", "nat-traversal"}, read_nat_traversal},
    Row{{"crypto", "isakmp", "enable"}, pass_over},
    Row{{"crypto", "ikev1", "enable"}, pass_over},
    Row{{"isakmp", "enable"}, pass_over},
    Row{{"sysopt", "connection", "permit-ipsec"}, pass_over},
    Row{{"crypto", "keyring"}, read_keyring},
    Row{{"tunnel-group"}, read_tunnel_group},
    Row{{"crypto", "ca", "identity"}, read_trustpoint},
    Row{{"crypto", "ca", "trustpoint"}, read_trustpoint},
    Row{{"crypto", "pki", "trustpoint"}, read_trustpoint},
    Row{{"crypto", "ca", "certificate", "chain"}, read_certificate_chain},
    Row{{"crypto", "pki", "certificate", "chain"}, read_certificate_chain},
    Row{{"ca", "identity"}, read_ca_identity},
    Row{{"ca", "configure"}, read_ca_configure},
    Row{{"crypto", "key", "pubkey-chain"}, read_pubkey_chain},
    Row{{"crypto", "ipsec", "transform-set"}, read_transform_set},
    Row{{"crypto", "ipsec", "ikev1", "transform-set"}, read_transform_set},
    Row{{"crypto", "ipsec", "security-association", "lifetime"}, read_sa_lifetime},
    Row{{"crypto", "ipsec", "df-bit"}, read_df_bit},
    Row{{"crypto", "ipsec", "security-association", "replay"}, read_replay_window},
    Row{{"sysopt", "connection", "tcpmss"}, read_tcp_mss},
    Row{{"crypto", "map"}, read_map},
    Row{{"crypto", "dynamic-map"}, read_map},
    Row{{"interface"}, read_interface},
    Row{{"ip", "address"}, read_pix_address},
    Row{{"object", "network"}, read_object},
    Row{{"object-group", "network"}, read_object},
    Row{{"access-list"}, read_list_line},
    Row{{"ip", "access-list", "extended"}, read_named_list},
};

const Row* row_of(const Line& line) {
  const auto fits = [&](const Row& row) {
    for (std::size_t i = 0; i < row.head.size() && !row.head[i].empty(); ++i) {
      if (line.word(i) != row.head[i]) return false;
    }
    return true;
  };
  const auto found = std::find_if(kRows.begin(), kRows.end(), fits);
  return found == kRows.end() ? nullptr : &*found;
}

bool about_ipsec(const Line& line) {
  constexpr std::array<std::string_view, 4> kHeads{"crypto", "isakmp", "ca", "vpdn"};
  return std::find(kHeads.begin(), kHeads.end(), line.word(0)) != kHeads.end();
}

}  // namespace

std::string shown(const Line& line) {
  // What comes behind these may be a secret; the command is known by what stands before.
  constexpr std::array<std::string_view, 6> kBefore{"key",    "pre-shared-key", "password",
                                                    "secret", "session-key",    "challenge"};
  std::string text;
  for (std::size_t i = 0; i < line.words.size(); ++i) {
    text += (i == 0 ? "" : " ") + printable(line.words[i]);
    const bool pubkey = line.begins({"crypto", "key"});
    if (!pubkey && std::find(kBefore.begin(), kBefore.end(), line.words[i]) != kBefore.end() &&
        i + 1 < line.words.size()) {
      return text + " ...";
    }
    if (text.size() > 160) return text.substr(0, 160) + " ...";
  }
  return text;
}

void note(Reading& in, const Line& line, std::string why) {
  in.model.notes.push_back({line.number, shown(line), std::move(why)});
}

std::optional<int> number(std::string_view word, int low, int high) {
  int value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || value < low || value > high) {
    return std::nullopt;
  }
  return value;
}

std::optional<IpAddress> address(const Reading& in, std::string_view word) {
  const auto named = in.names.find(word);
  return IpAddress::parse(named == in.names.end() ? word : std::string_view(named->second));
}

std::optional<Subnet> network(const IpAddress& address, std::string_view mask, bool inverse) {
  const auto parsed = IpAddress::parse(mask);
  if (!parsed || !parsed->is_v4() || !address.is_v4()) return std::nullopt;
  std::uint32_t bits = 0;
  for (const std::uint8_t byte : parsed->bytes()) bits = bits << 8 | byte;
  const bool either = bits == 0 || bits == UINT32_MAX;
  const auto contiguous = [](std::uint32_t value) { return (~value & (~value + 1)) == 0; };
  if ((either && inverse) || (!either && !contiguous(bits) && contiguous(~bits))) bits = ~bits;
  if (!contiguous(bits)) return std::nullopt;
  int prefix = 0;
  for (; prefix < 32 && (bits & (std::uint32_t{1} << (31 - prefix))) != 0;) ++prefix;
  return Subnet(address, prefix);
}

std::string_view after(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : std::string_view{};
}

Model read_model(const RunningConfig& config) {
  Reading in;
  in.model.dialect = config.dialect;
  if (config.dialect != Dialect::ios) in.model.lifetime.time = Seconds{28800};
  for (const Command& command : config.commands) {
    if (const Row* row = row_of(command.line)) {
      row->handler(in, command);
    } else if (about_ipsec(command.line)) {
      note(in, command.line, "nothing in oakgate's configuration corresponds to it");
    }
  }
  finish_lists(in);
  if (in.model.policies.empty()) {
    // What IOS and PIX have at priority 65535, and do not show.
    in.model.policies.push_back({65000, IkeCipher::des, IkeHash::sha, DhGroup::modp768, AuthMethod::rsa_sig});
  }
  return std::move(in.model);
}

}  // namespace oakgate::conf::cisco
