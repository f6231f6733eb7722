// What the readers of a running configuration share. Private to conf/cisco/.
#pragma once

#include <string>
#include <string_view>

#include "conf/cisco/model.h"

namespace oakgate::conf::cisco {

struct Reading {
  Model model;
  std::map<std::string, std::string, std::less<>> names;  // PIX: `name 10.1.0.0 lan`
  std::map<std::string, std::vector<Selector>, std::less<>> objects;
  // Lines of access lists, read once it is known which matter.
  std::map<std::string, std::vector<Line>, std::less<>> access_lines;
};

// The line as it may be shown: what follows a word such as `key` is left out.
[[nodiscard]] std::string shown(const Line& line);
void note(Reading& in, const Line& line, std::string why);

// A handler of one kind of command. It notes itself what it does not understand.
using Handler = void (*)(Reading&, const Command&);

// read_phase1.cc
void read_policy(Reading& in, const Command& command);      // IOS, ASA: a submode
void read_pix_policy(Reading& in, const Command& command);  // PIX: a line for each word
void read_key(Reading& in, const Command& command);         // [crypto] isakmp key
void read_identity(Reading& in, const Command& command);    // [crypto] isakmp identity
void read_keepalive(Reading& in, const Command& command);   // [crypto] isakmp keepalive
void read_nat_traversal(Reading& in, const Command& command);
void read_keyring(Reading& in, const Command& command);
void read_tunnel_group(Reading& in, const Command& command);

// read_trust.cc
void read_trustpoint(Reading& in, const Command& command);
void read_certificate_chain(Reading& in, const Command& command);
void read_ca_identity(Reading& in, const Command& command);   // PIX: ca identity
void read_ca_configure(Reading& in, const Command& command);  // PIX: ca configure
void read_pubkey_chain(Reading& in, const Command& command);

// read_maps.cc
void read_transform_set(Reading& in, const Command& command);
void read_sa_lifetime(Reading& in, const Command& command);
void read_df_bit(Reading& in, const Command& command);         // crypto ipsec df-bit clear|set|copy
void read_replay_window(Reading& in, const Command& command);  // ... replay window-size N
void read_tcp_mss(Reading& in, const Command& command);        // sysopt connection tcpmss N
void read_map(Reading& in, const Command& command);
void read_interface(Reading& in, const Command& command);
void read_pix_address(Reading& in, const Command& command);  // ip address outside A M
MapEntry& map_entry(Reading& in, std::string_view name, int number, int line);

// read_lists.cc
void read_name(Reading& in, const Command& command);
void read_object(Reading& in, const Command& command);
void read_list_line(Reading& in, const Command& command);   // access-list NAME ...
void read_named_list(Reading& in, const Command& command);  // ip access-list extended NAME
void finish_lists(Reading& in);                             // those that maps match on

// Words to values.
[[nodiscard]] std::optional<int> number(std::string_view word, int low, int high);
[[nodiscard]] std::optional<IpAddress> address(const Reading& in, std::string_view word);
// A network by address and mask, which may be a netmask (255.255.255.0) or inverse (0.0.0.255); of the masks
// that are both, 0.0.0.0 and 255.255.255.255, `inverse` decides.
[[nodiscard]] std::optional<Subnet> network(const IpAddress& address, std::string_view mask, bool inverse);
[[nodiscard]] std::string_view after(std::string_view text, std::string_view prefix);

}  // namespace oakgate::conf::cisco
