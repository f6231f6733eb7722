// Access lists and the objects they name.
#include <algorithm>
#include <array>

#include "conf/cisco/reading.h"

namespace oakgate::conf::cisco {

namespace {

constexpr std::size_t kMaxListed = 4096;  // selectors of one object or one side

struct Named {
  std::string_view name;
  int number;
};
constexpr std::array kProtocols{Named{"ip", 0},    Named{"icmp", 1},  Named{"tcp", 6}, Named{"udp", 17},
                                Named{"gre", 47},  Named{"esp", 50},  Named{"ah", 51}, Named{"ahp", 51},
                                Named{"ospf", 89}, Named{"sctp", 132}};
constexpr std::array kPorts{
    Named{"ftp", 21},  Named{"ssh", 22},    Named{"telnet", 23},  Named{"smtp", 25}, Named{"domain", 53},
    Named{"tftp", 69}, Named{"www", 80},    Named{"http", 80},    Named{"ntp", 123}, Named{"snmp", 161},
    Named{"bgp", 179}, Named{"https", 443}, Named{"syslog", 514}, Named{"lpd", 515}};

template <typename Table>
std::optional<int> by_name(const Table& table, std::string_view word, int high) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Named& one) { return one.name == word; });
  return found != table.end() ? std::optional(found->number) : number(word, 0, high);
}

std::vector<Selector> just(const Subnet& subnet) {
  return {Selector{subnet}};
}

// One side of an entry: `any`, `host A`, `A MASK`, `object O`, `object-group G`, and behind it a port.
struct Side {
  std::vector<Selector> selectors;
  std::string fault;
};

class Words {
 public:
  Words(const Reading& in, const Line& line, std::size_t at) : in_(in), line_(line), at_(at) {}

  [[nodiscard]] std::string_view next() { return line_.word(at_++); }
  [[nodiscard]] std::string_view peek() const { return line_.word(at_); }

  Side side(std::uint8_t protocol) {
    Side side = addresses();
    if (!side.fault.empty()) return side;
    const auto port = read_port(side);
    for (Selector& selector : side.selectors) {
      selector.protocol = protocol;
      selector.port = port;
    }
    return side;
  }

 private:
  Side addresses() {
    const std::string_view word = next();
    if (word == "any" || word == "any4") return {just(Subnet::any(Family::ipv4)), {}};
    if (word == "host") {
      const auto host = address(in_, next());
      return host ? Side{just(Subnet::host(*host)), {}} : Side{{}, "the host was not understood"};
    }
    if (word == "object" || word == "object-group") {
      const auto found = in_.objects.find(next());
      return found != in_.objects.end() ? Side{found->second, {}} : Side{{}, "the object is not known"};
    }
    const auto base = address(in_, word);
    const auto subnet =
        base ? network(*base, next(), in_.model.dialect == Dialect::ios) : std::optional<Subnet>{};
    return subnet ? Side{just(*subnet), {}} : Side{{}, "the address and its mask were not understood"};
  }

  std::uint16_t read_port(Side& side) {
    const std::string_view word = peek();
    if (word == "eq") {
      static_cast<void>(next());
      const auto port = by_name(kPorts, next(), 65535);
      if (!port) side.fault = "the port was not understood";
      return static_cast<std::uint16_t>(port.value_or(0));
    }
    if (word == "range" || word == "gt" || word == "lt" || word == "neq") {
      side.fault = "a proxy identity has one port or all";
    }
    return 0;
  }

  const Reading& in_;
  const Line& line_;
  std::size_t at_;
};

// `permit PROTOCOL SOURCE DESTINATION`, from word `at` on.
void read_entry(Reading& in, const Line& line, std::size_t at, std::vector<AccessEntry>& out) {
  Words words(in, line, at);
  const std::string_view action = words.next();
  if (action == "remark") return;
  if (action != "permit") {
    note(in, line, "what it denies is not left out of the tunnel: write the `permit` lines so that they do");
    return;
  }
  const auto protocol = by_name(kProtocols, words.next(), 255);
  if (!protocol) {
    note(in, line, "the protocol was not understood");
    return;
  }
  const auto value = static_cast<std::uint8_t>(*protocol);
  Side local = words.side(value);
  Side remote = words.side(value);
  const std::string fault = !local.fault.empty() ? local.fault : remote.fault;
  if (!fault.empty()) {
    note(in, line, fault);
    return;
  }
  out.push_back({line.number, std::move(local.selectors), std::move(remote.selectors)});
}

std::vector<Selector> network_object(Reading& in, const Line& line) {
  const std::string_view kind = line.word(0);
  const std::size_t at = kind == "network-object" ? 1 : 0;
  if (line.word(at) == "host") {
    if (const auto host = address(in, line.word(at + 1))) return just(Subnet::host(*host));
  } else if (kind == "subnet" || kind == "network-object") {
    if (line.word(1) == "object") {
      const auto found = in.objects.find(line.word(2));
      if (found != in.objects.end()) return found->second;
    } else if (const auto base = address(in, line.word(1))) {
      if (const auto subnet = network(*base, line.word(2), false)) return just(*subnet);
    }
  } else if (kind == "range") {
    const auto first = address(in, line.word(1));
    const auto last = address(in, line.word(2));
    if (first && last && first->family() == last->family() && *first <= *last) {
      return {Selector::of_range({*first, *last})};
    }
  } else if (kind == "group-object") {
    const auto found = in.objects.find(line.word(1));
    if (found != in.objects.end()) return found->second;
  }
  return {};
}

}  // namespace

void read_name(Reading& in, const Command& command) {
  if (command.line.words.size() >= 3) in.names[command.line.words[2]] = command.line.words[1];
}

void read_object(Reading& in, const Command& command) {
  auto& members = in.objects[std::string(command.line.word(2))];
  for (const Line& line : command.body) {
    for (const Selector& one : network_object(in, line)) {
      if (members.size() < kMaxListed) members.push_back(one);
    }
  }
}

void read_list_line(Reading& in, const Command& command) {
  in.access_lines[std::string(command.line.word(1))].push_back(command.line);
}

void read_named_list(Reading& in, const Command& command) {
  auto& lines = in.access_lines[std::string(command.line.word(3))];
  lines.insert(lines.end(), command.body.begin(), command.body.end());
}

void finish_lists(Reading& in) {
  for (const MapEntry& entry : in.model.maps) {
    const auto found = in.access_lines.find(entry.access_list);
    if (found == in.access_lines.end() || in.model.access_lists.contains(entry.access_list)) continue;
    auto& entries = in.model.access_lists[entry.access_list];
    for (const Line& line : found->second) {
      // access-list NAME [extended] permit ..., or a numbered line of a named list.
      std::size_t at = line.word(0) == "access-list" ? 2 : 0;
      if (line.word(at) == "extended" || line.word(at) == "line") ++at;
      if (number(line.word(at), 1, 2147483647)) ++at;
      if (line.word(at) == "extended") ++at;
      read_entry(in, line, at, entries);
    }
  }
}

}  // namespace oakgate::conf::cisco
