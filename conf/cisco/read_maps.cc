// Transform sets, crypto maps, and the interfaces that the maps are on.
#include <algorithm>

#include "conf/cisco/reading.h"
#include "conf/sections.h"

namespace oakgate::conf::cisco {

namespace {

constexpr const char* kNothingLike = "nothing in oakgate's configuration corresponds to it";

// The transforms behind a set's name; IOS has the key's length as a word of its own.
std::vector<std::string> transforms_of(const Line& line, std::size_t at) {
  std::vector<std::string> transforms;
  for (std::size_t i = at; i < line.words.size(); ++i) {
    const std::string& word = line.words[i];
    if (number(word, 1, 1024) && !transforms.empty()) {
      transforms.back() += " " + word;
    } else {
      transforms.push_back(word == "esp-none" ? "" : word);
    }
  }
  return transforms;
}

bool set_transform(TransformSet& set, std::string_view word) {
  if (const auto cipher = find_esp_cipher(word)) {
    set.cipher = cipher;
  } else if (const auto compression = find_compression(word)) {
    set.compression = compression;
    return info(*compression).kernel != nullptr;
  } else if (word.starts_with("ah-")) {
    set.ah = find_integrity(after(word, "ah-"));
    return set.ah.has_value() && info(*set.ah).ah_wire != 0;
  } else {
    set.integrity = find_integrity(after(word, "esp-"));
    return set.integrity.has_value();
  }
  return true;
}

TransformSet* find_set(Reading& in, std::string_view name) {
  for (auto& [line, set] : in.model.transform_sets) {
    if (set.name == name) return &set;
  }
  return nullptr;
}

std::optional<DhGroup> group_of(std::string_view word) {
  if (word.empty()) return DhGroup::modp768;  // `set pfs` alone
  const auto value = number(word.starts_with("group") ? word.substr(5) : word, 1, 65535);
  return value ? find_dh_group(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

// `... lifetime seconds N` or `... lifetime kilobytes N`, the words from `at` on.
bool set_lifetime(Lifetime& lifetime, const Line& line, std::size_t at) {
  const auto value = number(line.word(at + 1), 1, 2147483647);
  if (!value) return line.word(at + 1) == "unlimited" && line.word(at) == "kilobytes";
  if (line.word(at) == "seconds") lifetime.time = Seconds{std::clamp(*value, 60, 2592000)};
  if (line.word(at) == "kilobytes") lifetime.kilobytes = Kilobytes{static_cast<std::uint64_t>(*value)};
  return line.word(at) == "seconds" || line.word(at) == "kilobytes";
}

// `... replay window-size N`, the words from `at` on. IOS's windows are powers of two; 0: none was
// understood.
int window_of(Reading& in, const Line& line, std::size_t at) {
  const auto size = number(line.word(at + 1), 32, 4096);
  if (line.word(at) == "window-size" && size) return *size;
  note(in, line, "here packets are always checked for replays, in a window of 32 to 4096");
  return 0;
}

// IOS: the word alone; ASA: `clear-df INTERFACE`.
std::optional<DfBit> df_bit_of(std::string_view word) {
  if (word.ends_with("-df")) word.remove_suffix(3);
  if (word == "copy") return DfBit::copy;
  if (word == "set") return DfBit::set;
  return word == "clear" ? std::optional(DfBit::clear) : std::nullopt;
}

// A word of a map's entry, from word `at` on: "set peer 192.0.2.1". IOS has it in the submode, PIX and ASA
// in the line.
void set_word(Reading& in, MapEntry& entry, const Line& line, std::size_t at) {
  const std::string_view first = line.word(at);
  const std::string_view second = line.word(at + 1);
  const auto rest = [&](std::size_t from) {
    return std::vector<std::string>(
        line.words.begin() + static_cast<std::ptrdiff_t>(std::min(from, line.words.size())),
        line.words.end());
  };
  if (first == "match" && second == "address") {
    entry.access_list = line.words.back();
  } else if (first == "set" && second == "peer") {
    for (const std::string& peer : rest(at + 2)) {
      if (peer == "default" || peer == "dynamic") continue;
      const auto known = address(in, peer);
      entry.peers.push_back(known ? known->to_string() : peer);
    }
  } else if (first == "set" && second == "transform-set") {
    entry.transform_sets = rest(at + 2);
  } else if (first == "set" && second == "ikev1" && line.word(at + 2) == "transform-set") {
    entry.transform_sets = rest(at + 3);
  } else if (first == "set" && second == "pfs") {
    entry.pfs = group_of(line.word(at + 2));
    if (!entry.pfs) note(in, line, "the group is not known here");
  } else if (first == "set" && second == "security-association" && line.word(at + 2) == "lifetime") {
    Lifetime lifetime = entry.lifetime.value_or(in.model.lifetime);
    if (!set_lifetime(lifetime, line, at + 3)) note(in, line, "the lifetime was not understood");
    entry.lifetime = lifetime;
  } else if (first == "set" && second == "security-association" && line.word(at + 2) == "replay") {
    entry.replay_window = window_of(in, line, at + 3);
  } else if (first == "set" && second == "trustpoint") {
    entry.trustpoint = std::string(line.word(at + 2));
  } else if (first != "description" && !first.empty()) {
    note(in, line, kNothingLike);
  }
}

Interface& interface_of(Reading& in, std::string_view name) {
  auto& all = in.model.interfaces;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Interface& one) { return one.name == name; });
  if (found != all.end()) return *found;
  Interface& fresh = all.emplace_back();
  fresh.name = std::string(name);
  return fresh;
}

// The rest of `crypto map NAME NUMBER`, from word 4 on.
void read_entry(Reading& in, const Command& command, int sequence) {
  const Line& line = command.line;
  const bool dynamic = line.word(1) == "dynamic-map";
  if (line.word(4) == "ipsec-isakmp" && line.word(5) == "dynamic") return;  // the dynamic map says the rest
  if (line.word(4) == "ipsec-manual") {
    note(in, line, "keys set by hand are not done: IKE negotiates them");
    return;
  }
  MapEntry& entry = map_entry(in, line.word(2), sequence, line.number);
  entry.dynamic = dynamic;
  if (line.word(4) != "ipsec-isakmp" && line.words.size() > 4) set_word(in, entry, line, 4);
  for (const Line& one : command.body) set_word(in, entry, one, 0);
}

}  // namespace

MapEntry& map_entry(Reading& in, std::string_view name, int number, int line) {
  auto& all = in.model.maps;
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const MapEntry& one) { return one.map == name && one.number == number; });
  if (found != all.end()) return *found;
  MapEntry& fresh = all.emplace_back();
  fresh.line = line;
  fresh.map = std::string(name);
  fresh.number = number;
  return fresh;
}

void read_transform_set(Reading& in, const Command& command) {
  const Line& line = command.line;
  const std::size_t name = line.word(2) == "ikev1" ? 4 : 3;
  TransformSet* known = find_set(in, line.word(name));
  if (line.word(name + 1) == "mode") {  // PIX and ASA: a line of its own
    if (known != nullptr && line.word(name + 2) == "transport") known->mode = EncapsulationMode::transport;
    return;
  }
  TransformSet set;
  set.name = std::string(line.word(name));
  for (const std::string& word : transforms_of(line, name + 1)) {
    if (!word.empty() && !set_transform(set, word)) {
      note(in, line, "the transform " + word.substr(0, 40) + " is not spoken here: the set is left out");
      return;
    }
  }
  for (const Line& one : command.body) {
    if (one.begins({"mode", "transport"})) set.mode = EncapsulationMode::transport;
  }
  const bool bare = set.cipher && !info(*set.cipher).aead() && !set.integrity && !set.ah;
  if (bare) {
    note(in, line, "the set encrypts without authenticating; add an authenticator at both ends");
  } else if (known != nullptr) {
    *known = set;
  } else if (set.cipher || set.ah) {
    in.model.transform_sets.emplace_back(line.number, set);
  }
}

void read_sa_lifetime(Reading& in, const Command& command) {
  if (!set_lifetime(in.model.lifetime, command.line, 4)) {
    note(in, command.line, "the lifetime was not understood");
  }
}

void read_map(Reading& in, const Command& command) {
  const Line& line = command.line;
  if (const auto sequence = number(line.word(3), 0, 65535)) {
    read_entry(in, command, *sequence);
  } else if (line.word(3) == "interface") {  // PIX, ASA
    interface_of(in, line.word(4)).crypto_map = std::string(line.word(2));
  } else if (line.word(3) != "local-address" && line.words.size() != 3) {
    note(in, line, kNothingLike);
  }
}

void read_interface(Reading& in, const Command& command) {
  std::string name(command.line.word(1));
  for (const Line& line : command.body) {
    if (line.word(0) == "nameif") name = std::string(line.word(1));  // ASA
  }
  Interface& interface = interface_of(in, name);
  for (const Line& line : command.body) {
    if (line.begins({"ip", "address"}) && line.words.size() <= 5) {
      if (const auto known = address(in, line.word(2))) interface.address = known;
    } else if (line.begins({"crypto", "map"})) {
      interface.crypto_map = std::string(line.word(2));
    } else if (line.begins({"crypto", "ipsec", "df-bit"})) {
      interface.df_bit = df_bit_of(line.word(3));
    } else if (line.begins({"ip", "tcp", "adjust-mss"})) {
      interface.tcp_mss = number(line.word(3), kMinMss, kMaxMss).value_or(0);
    }
  }
}

void read_df_bit(Reading& in, const Command& command) {
  const Line& line = command.line;
  const auto df_bit = df_bit_of(line.word(3));
  if (!df_bit) {
    note(in, line, "copy, set or clear was expected");
  } else if (line.words.size() > 4) {
    interface_of(in, line.word(4)).df_bit = df_bit;
  } else {
    in.model.df_bit = df_bit;
  }
}

void read_replay_window(Reading& in, const Command& command) {
  in.model.replay_window = window_of(in, command.line, 4);
}

void read_tcp_mss(Reading& in, const Command& command) {
  in.model.tcp_mss = number(command.line.word(3), kMinMss, kMaxMss).value_or(0);
}

void read_pix_address(Reading& in, const Command& command) {
  if (const auto known = address(in, command.line.word(3))) {
    interface_of(in, command.line.word(2)).address = known;
  }
}

}  // namespace oakgate::conf::cisco
