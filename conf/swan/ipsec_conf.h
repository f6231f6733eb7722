// The text of an ipsec.conf(5), strongSwan's or libreswan's, as sections with their settings; `also=` and
// `%default` resolved. It may come with DOS line ends, without its indentation, cut anywhere. Nothing here
// fails; what is no setting is noted. Private to conf/swan/.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "conf/swan/model.h"

namespace oakgate::conf::swan {

inline constexpr std::size_t kMaxConnections = 10'000;
inline constexpr std::size_t kMaxSettings = 200'000;  // of a file, and of all connections resolved
inline constexpr int kMaxAlso = 16;                   // deep

struct IpsecSection {
  std::string kind;  // "config", "conn", "ca"
  std::string name;
  int line = 0;
  std::vector<Setting> settings;
};

struct IpsecConf {
  std::vector<IpsecSection> sections;
  std::vector<Note> notes;  // of lines that are in none
};
[[nodiscard]] IpsecConf read_ipsec_conf(std::string_view text);

// A connection with all that holds for it, by key in lower case.
struct ResolvedConn {
  std::string name;
  int line = 0;
  std::map<std::string, Setting, std::less<>> settings;
  bool base = false;  // another one's `also`, and not loaded by itself
};
[[nodiscard]] std::vector<ResolvedConn> resolve(const IpsecConf& conf, std::vector<Note>& notes);

// Pre-shared keys out of an ipsec.secrets(5).
[[nodiscard]] std::vector<Secret> read_ipsec_secrets(std::string_view text, std::vector<Note>& notes);

}  // namespace oakgate::conf::swan
