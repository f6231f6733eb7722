#include "daemon/probe/firewall.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace oakgate::probe {

namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 16;  // of jumps: the kernel allows as many

// What is said of something that may not be known.
enum class Truth : std::uint8_t { no, unknown, yes };
Truth both(Truth a, Truth b) {
  return std::min(a, b);
}
Truth negated(Truth value) {
  return value == Truth::yes ? Truth::no : value == Truth::no ? Truth::yes : Truth::unknown;
}
Truth known(bool value) {
  return value ? Truth::yes : Truth::no;
}

// Where a packet is on its way through a chain.
enum class Fate : std::uint8_t { accepted, goes_on, blocked };
struct Walk {
  Fate fate = Fate::goes_on;
  std::string blocked_by;  // the first rule's chain that blocks, or may
  bool doubtful = false;   // a rule that may match has blocked; or accepted, in front of one that blocks
};

std::string_view protocol_word(std::uint8_t protocol) {
  return protocol == IPPROTO_UDP ? "udp" : protocol == IPPROTO_ESP ? "esp" : "ah";
}

// ---- nftables ------------------------------------------------------------------------------------------

// A value, a range, a set or a list of them.
Truth holds(const Json& right, std::uint64_t value, std::string_view word) {
  if (right.is_number_unsigned()) return known(right.get<std::uint64_t>() == value);
  if (right.is_string()) {
    const auto text = right.get<std::string>();
    if (!text.empty() && text.front() == '@') return Truth::unknown;  // a named set
    return known(text == word || text == std::to_string(value));
  }
  if (right.is_array()) {
    Truth any = Truth::no;
    for (const Json& one : right) any = std::max(any, holds(one, value, word));
    return any;
  }
  if (!right.is_object()) return Truth::unknown;
  if (const auto set = right.find("set"); set != right.end()) return holds(*set, value, word);
  const auto range = right.find("range");
  if (range == right.end() || !range->is_array() || range->size() != 2) return Truth::unknown;
  if (!(*range)[0].is_number_unsigned() || !(*range)[1].is_number_unsigned()) return Truth::unknown;
  return known((*range)[0].get<std::uint64_t>() <= value && value <= (*range)[1].get<std::uint64_t>());
}

Truth holds_word(const Json& right, std::string_view word) {
  return holds(right, UINT64_MAX, word);
}

std::string string_at(const Json& json, const char* name) {
  const auto member = json.find(name);
  return member != json.end() && member->is_string() ? member->get<std::string>() : std::string();
}

Truth payload_holds(const Json& payload, const Json& right, const Traffic& traffic) {
  const std::string protocol = string_at(payload, "protocol");
  const std::string field = string_at(payload, "field");
  const bool udp = traffic.protocol == IPPROTO_UDP;
  if (protocol == "ip" || protocol == "ip6") {
    if ((protocol == "ip") != (traffic.family == Family::ipv4)) return Truth::no;
    const bool next = field == "protocol" || field == "nexthdr";
    return next ? holds(right, traffic.protocol, protocol_word(traffic.protocol)) : Truth::unknown;
  }
  if (protocol == "udp" || protocol == "th") {
    if (protocol == "udp" && !udp) return Truth::no;
    if (!udp) return Truth::unknown;
    if (field == "dport" || field == "sport") return holds(right, traffic.port, "");
    return Truth::unknown;
  }
  if (protocol == "tcp" || protocol == "icmp" || protocol == "icmpv6" || protocol == "sctp" ||
      protocol == "dccp")
    return Truth::no;
  if (protocol == "esp" || protocol == "ah")
    return protocol == protocol_word(traffic.protocol) ? Truth::unknown : Truth::no;
  return Truth::unknown;
}

Truth meta_holds(const std::string& key, const Json& right, const Traffic& traffic) {
  if (key == "l4proto") return holds(right, traffic.protocol, protocol_word(traffic.protocol));
  if (key == "nfproto") return holds_word(right, traffic.family == Family::ipv4 ? "ipv4" : "ipv6");
  if (key == "protocol") return holds_word(right, traffic.family == Family::ipv4 ? "ip" : "ip6");
  // Peers are elsewhere.
  if ((key == "iifname" || key == "oifname" || key == "iif" || key == "oif") &&
      holds_word(right, "lo") == Truth::yes)
    return Truth::no;
  return Truth::unknown;
}

Truth matches(const Json& match, const Traffic& traffic) {
  const auto left = match.find("left");
  const auto right = match.find("right");
  if (left == match.end() || right == match.end() || !left->is_object()) return Truth::unknown;
  Truth truth = Truth::unknown;
  if (const auto payload = left->find("payload"); payload != left->end()) {
    truth = payload_holds(*payload, *right, traffic);
  } else if (const auto meta = left->find("meta"); meta != left->end()) {
    truth = meta_holds(string_at(*meta, "key"), *right, traffic);
  } else if (const auto ct = left->find("ct"); ct != left->end() && string_at(*ct, "key") == "state") {
    truth = holds_word(*right, "new");
  }
  const std::string op = string_at(match, "op");
  if (op == "!=") return negated(truth);
  return op == "==" || op == "in" || op.empty() ? truth : Truth::unknown;
}

struct NftChain {
  std::string name;
  std::string where;
  bool base = false;
  bool drops = false;  // by its policy
  std::vector<const Json*> rules;
};
using NftChains = std::map<std::string, NftChain>;  // by family, table and name

struct NftWalker {
  const NftChains& chains;
  const Traffic& traffic;

  void block(Walk& walk, const NftChain& chain, Truth certain) const {
    if (walk.blocked_by.empty()) walk.blocked_by = chain.where;
    if (certain == Truth::yes) {
      walk.fate = Fate::blocked;
    } else {
      walk.doubtful = true;
    }
  }

  // True: the packet does not come to the rule behind.
  bool judge(const Json& verdict, const NftChain& chain, const std::string& table, Truth truth, Walk& walk,
             int depth) const {
    if (verdict.contains("drop") || verdict.contains("reject")) {
      block(walk, chain, truth);
      return truth == Truth::yes;
    }
    if (verdict.contains("accept")) {
      if (truth == Truth::yes) walk.fate = Fate::accepted;
      walk.doubtful = walk.doubtful || truth == Truth::unknown;
      return truth == Truth::yes;
    }
    if (verdict.contains("return")) return truth == Truth::yes;
    for (const char* word : {"jump", "goto"}) {
      const auto to = verdict.find(word);
      if (to == verdict.end() || !to->is_object() || depth >= kMaxDepth) continue;
      const auto target = chains.find(table + " " + string_at(*to, "target"));
      if (target == chains.end()) continue;
      Walk inner = follow(target->second, table, depth + 1);
      if (walk.blocked_by.empty()) walk.blocked_by = inner.blocked_by;
      walk.doubtful =
          walk.doubtful || inner.doubtful || (truth == Truth::unknown && inner.fate != Fate::goes_on);
      if (truth == Truth::yes) walk.fate = inner.fate;
      if (truth == Truth::yes && (inner.fate != Fate::goes_on || std::string_view(word) == "goto"))
        return true;
    }
    return false;
  }

  Walk follow(const NftChain& chain, const std::string& table, int depth) const {
    Walk walk;
    for (const Json* rule : chain.rules) {
      Truth truth = Truth::yes;
      for (const Json& statement : *rule) {
        if (!statement.is_object()) continue;
        if (const auto match = statement.find("match"); match != statement.end()) {
          truth = both(truth, matches(*match, traffic));
        } else if (statement.contains("limit") || statement.contains("xt") || statement.contains("vmap")) {
          truth = both(truth, Truth::unknown);
        }
        if (truth == Truth::no) break;
        if (judge(statement, chain, table, truth, walk, depth)) return walk;
      }
    }
    return walk;
  }
};

bool of_family(const std::string& family, const Traffic& traffic) {
  return family == "inet" || family == (traffic.family == Family::ipv4 ? "ip" : "ip6");
}

NftChains read_chains(const Json& all, const Traffic& traffic) {
  NftChains chains;
  const std::string hook = traffic.inbound ? "input" : "output";
  for (const Json& object : all) {
    const auto found = object.find("chain");
    if (found == object.end() || !of_family(string_at(*found, "family"), traffic)) continue;
    const std::string table = string_at(*found, "family") + " " + string_at(*found, "table");
    NftChain& chain = chains[table + " " + string_at(*found, "name")];
    chain.name = string_at(*found, "name");
    chain.where = fmt::format("table {} chain {}", table, chain.name);
    const std::string at = string_at(*found, "hook");
    chain.base =
        at == hook || (traffic.inbound && at == "prerouting") || (!traffic.inbound && at == "postrouting");
    chain.drops = chain.base && string_at(*found, "policy") == "drop";
  }
  for (const Json& object : all) {
    const auto rule = object.find("rule");
    if (rule == object.end()) continue;
    const auto chain = chains.find(string_at(*rule, "family") + " " + string_at(*rule, "table") + " " +
                                   string_at(*rule, "chain"));
    const auto statements = rule->find("expr");
    if (chain != chains.end() && statements != rule->end() && statements->is_array())
      chain->second.rules.push_back(&*statements);
  }
  return chains;
}

FilterVerdict verdict_of(const Walk& walk, bool drops, const std::string& where) {
  if (walk.fate == Fate::blocked) {
    // Something in front of it may have let it pass.
    return {walk.doubtful ? Verdict::may_be_blocked : Verdict::blocked, walk.blocked_by};
  }
  const bool to_policy = walk.fate == Fate::goes_on;
  if (to_policy && drops) return {walk.doubtful ? Verdict::may_be_blocked : Verdict::blocked, where};
  if (walk.doubtful && !walk.blocked_by.empty()) return {Verdict::may_be_blocked, walk.blocked_by};
  return {};
}

// ---- iptables ------------------------------------------------------------------------------------------

using Words = std::vector<std::string>;
Words words_of(const std::string& line) {
  std::istringstream stream(line);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

bool lists(const std::string& ports, std::uint16_t port) {
  std::istringstream stream(ports);
  for (std::string part; std::getline(stream, part, ',');) {
    const std::size_t colon = part.find(':');
    try {
      const int first = std::stoi(part.substr(0, colon));
      const int last = colon == std::string::npos ? first : std::stoi(part.substr(colon + 1));
      if (first <= port && port <= last) return true;
    } catch (const std::exception&) {
      continue;  // a service's name: -save writes none
    }
  }
  return false;
}

Truth asks(const std::string& option, const std::string& value, const Traffic& traffic) {
  const bool udp = traffic.protocol == IPPROTO_UDP;
  if (option == "-p" || option == "--protocol") {
    return known(value == "all" || value == protocol_word(traffic.protocol) ||
                 value == std::to_string(traffic.protocol));
  }
  if (option == "--dport" || option == "--sport" || option == "--dports" || option == "--sports" ||
      option == "--ports" || option == "--destination-port")
    return known(udp && lists(value, traffic.port));
  if (option == "-i" || option == "-o") return value == "lo" ? Truth::no : Truth::unknown;
  if (option == "--ctstate" || option == "--state") return known(value.find("NEW") != std::string::npos);
  if (option == "-m" || option == "--comment") return Truth::yes;
  return Truth::unknown;
}

struct IptablesRule {
  Truth truth = Truth::yes;
  std::string target;
  bool is_goto = false;
};
IptablesRule read_rule(const Words& words, const Traffic& traffic) {
  IptablesRule rule;
  bool negate = false;
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i] == "!") {
      negate = true;
      continue;
    }
    if (words[i].empty() || words[i].front() != '-') continue;
    const std::string value = i + 1 < words.size() ? words[i + 1] : "";
    if (words[i] == "-j" || words[i] == "-g") {
      rule.target = value;
      rule.is_goto = words[i] == "-g";
      break;  // what follows is the target's
    }
    const Truth truth = asks(words[i], value, traffic);
    rule.truth = both(rule.truth, negate ? negated(truth) : truth);
    negate = false;
  }
  return rule;
}

struct IptablesChain {
  std::string policy;  // "-" of one that is no base chain
  std::vector<IptablesRule> rules;
};

struct IptablesWalker {
  const std::map<std::string, IptablesChain>& chains;

  Walk follow(const std::string& name, int depth) const {
    Walk walk;
    const auto found = chains.find(name);
    if (found == chains.end() || depth > kMaxDepth) return walk;
    for (const IptablesRule& rule : found->second.rules) {
      if (rule.truth == Truth::no) continue;
      const bool sure = rule.truth == Truth::yes;
      if (rule.target == "RETURN") {
        if (sure) return walk;
        continue;
      }
      if (rule.target == "ACCEPT") {
        if (sure) {
          walk.fate = Fate::accepted;
          return walk;
        }
        walk.doubtful = true;
      } else if (rule.target == "DROP" || rule.target == "REJECT") {
        if (walk.blocked_by.empty()) walk.blocked_by = name;
        if (sure) {
          walk.fate = Fate::blocked;
          return walk;
        }
        walk.doubtful = true;
      } else if (chains.contains(rule.target)) {
        const Walk inner = follow(rule.target, depth + 1);
        if (walk.blocked_by.empty()) walk.blocked_by = inner.blocked_by;
        walk.doubtful = walk.doubtful || inner.doubtful || (!sure && inner.fate != Fate::goes_on);
        if (sure) walk.fate = inner.fate;
        if (sure && (inner.fate != Fate::goes_on || rule.is_goto)) return walk;
      }
    }
    return walk;
  }
};

}  // namespace

std::string Traffic::to_string() const {
  const std::string what = protocol == IPPROTO_UDP   ? fmt::format("UDP port {}", port)
                           : protocol == IPPROTO_ESP ? "ESP (protocol 50)"
                                                     : "AH (protocol 51)";
  return fmt::format("{} {} over {}", inbound ? "inbound" : "outbound", what,
                     family == Family::ipv4 ? "IPv4" : "IPv6");
}

std::optional<FilterVerdict> judge_nftables(std::string_view ruleset, const Traffic& traffic) {
  const Json json = Json::parse(ruleset, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto all = json.find("nftables");
  if (all == json.end() || !all->is_array()) return std::nullopt;
  const NftChains chains = read_chains(*all, traffic);
  FilterVerdict worst;
  for (const auto& [key, chain] : chains) {
    if (!chain.base) continue;
    const std::string table = key.substr(0, key.size() - chain.name.size() - 1);
    const Walk walk = NftWalker{chains, traffic}.follow(chain, table, 0);
    FilterVerdict verdict = verdict_of(walk, chain.drops, chain.where);
    if (verdict.verdict > worst.verdict) worst = std::move(verdict);
  }
  return worst;
}

FilterVerdict judge_iptables(std::string_view ruleset, const Traffic& traffic) {
  std::istringstream stream{std::string(ruleset)};
  std::map<std::string, IptablesChain> chains;
  std::string table;
  for (std::string line; std::getline(stream, line);) {
    const Words words = words_of(line);
    if (words.empty()) continue;
    if (words[0].front() == '*') table = words[0].substr(1);
    if (table != "filter") continue;
    if (words[0].front() == ':' && words.size() > 1) chains[words[0].substr(1)].policy = words[1];
    if (words[0] == "-A" && words.size() > 2) chains[words[1]].rules.push_back(read_rule(words, traffic));
  }
  const std::string base = traffic.inbound ? "INPUT" : "OUTPUT";
  const auto found = chains.find(base);
  if (found == chains.end()) return {};
  Walk walk = IptablesWalker{chains}.follow(base, 0);
  const std::string tool = traffic.family == Family::ipv4 ? "iptables" : "ip6tables";
  const auto where = [&](const std::string& chain) {
    return fmt::format("table filter chain {} of {}", chain, tool);
  };
  if (!walk.blocked_by.empty()) walk.blocked_by = where(walk.blocked_by);
  return verdict_of(walk, found->second.policy == "DROP", where(base));
}

}  // namespace oakgate::probe
