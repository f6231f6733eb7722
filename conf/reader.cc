#include "conf/reader.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "conf/text.h"
#include "ike/base/net.h"

namespace oakgate::conf {

namespace {

std::string child_path(const std::string& path, std::string_view key) {
  return path.empty() ? printable(key) : path + "." + printable(key);
}

// `[2001:db8::]` reaches us as `[{"2001:db8:": null}]`: YAML takes the last colon for a key's end.
std::optional<std::string> swallowed_ipv6(const Node& node) {
  if (node.kind != Node::Kind::map || node.keys.size() != 1) return std::nullopt;
  if (node.items[0].kind != Node::Kind::null) return std::nullopt;
  const std::string text = node.keys[0].text + ":";
  if (!IpAddress::parse(text)) return std::nullopt;
  return text;
}

Fault wrong_kind(const Node& node, std::string_view expected) {
  const std::string wanted(expected);
  if (const auto address = swallowed_ipv6(node)) {
    return {"YAML reads the IPv6 address " + quote(*address) + " as a map",
            "quotes around it: \"" + *address + "\""};
  }
  switch (node.kind) {
    case Node::Kind::null:
      return {"has no value", wanted};
    case Node::Kind::scalar:
      return {"is a single value", wanted};
    case Node::Kind::sequence:
      return {"is a list", wanted};
    case Node::Kind::map:
      return {"is a map", wanted};
  }
  return {};
}

// What some YAML reader or other does not take for text.
bool is_boolean_word(std::string_view text) {
  constexpr auto kWords =
      std::to_array<std::string_view>({"yes", "no", "true", "false", "on", "off", "y", "n", "null"});
  constexpr std::size_t kLongest = 5;
  if (text.size() > kLongest) return false;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

bool refuse_boolean_word(const Field& field, std::string_view expected) {
  if (!field.node->plain || !is_boolean_word(field.node->text)) return false;
  field.fail({quote(field.node->text) + " is a boolean to other readers of YAML",
              std::string(expected) + ", in quotes if the very word is meant"});
  return true;
}

}  // namespace

bool require_map(const Field& field, std::string_view expected) {
  if (field.node->kind == Node::Kind::map) return true;
  field.fail(wrong_kind(*field.node, expected));
  return false;
}

bool require_map(const Field& field, std::span<const std::string_view> keys) {
  return field.node->kind == Node::Kind::map || require_map(field, "a map with the keys " + any_of(keys));
}

MapReader::MapReader(const Field& field, std::span<const std::string_view> known) : field_(field) {
  if (!require_map(field, known)) return;
  for (const Node& key : field.node->keys) {
    if (field.report->full()) return;
    if (std::find(known.begin(), known.end(), key.text) != known.end()) continue;
    const Field unknown{&key, child_path(field.path, key.text), field.report};
    if (key.text == "<<") {
      unknown.fail({"merge keys (`<<`) are not supported", "the values written out"});
    } else {
      unknown.fail({quote(key.text) + " is not a known key", any_of(known), nearest(key.text, known)});
    }
  }
}

std::optional<Field> MapReader::optional(std::string_view key) const {
  const Node& map = *field_.node;
  for (std::size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].text == key) return Field{&map.items[i], child_path(field_.path, key), field_.report};
  }
  return std::nullopt;
}

std::optional<Field> MapReader::required(std::string_view key, std::string_view expected) const {
  auto found = optional(key);
  if (!found && field_.node->kind == Node::Kind::map) {
    field_.fail({quote(key) + " is missing", std::string(expected)});
  }
  return found;
}

std::vector<Member> members(const Field& field, std::string_view expected) {
  std::vector<Member> out;
  if (!require_map(field, expected)) return out;
  out.reserve(field.node->keys.size());
  for (std::size_t i = 0; i < field.node->keys.size(); ++i) {
    const Node& key = field.node->keys[i];
    const std::string path = child_path(field.path, key.text);
    const Field key_field{&key, path, field.report};
    if (refuse_boolean_word(key_field, "a name")) continue;
    out.push_back({key.text, key_field, Field{&field.node->items[i], path, field.report}});
  }
  return out;
}

std::vector<Field> list(const Field& field, std::string_view expected) {
  std::vector<Field> out;
  if (field.node->kind != Node::Kind::sequence) {
    field.fail(wrong_kind(*field.node, expected));
    return out;
  }
  if (field.node->items.empty()) field.fail({"the list is empty", std::string(expected)});
  out.reserve(field.node->items.size());
  for (const Node& item : field.node->items) out.push_back({&item, field.path, field.report});
  return out;
}

std::vector<Field> one_or_many(const Field& field, std::string_view expected) {
  if (field.node->kind == Node::Kind::scalar) return {field};
  return list(field, expected);
}

std::optional<std::string_view> scalar(const Field& field, std::string_view expected) {
  if (field.node->kind != Node::Kind::scalar) {
    field.fail(wrong_kind(*field.node, expected));
    return std::nullopt;
  }
  if (field.node->reported) return std::nullopt;
  if (field.node->text.empty()) {
    field.fail({"the text is empty", std::string(expected)});
    return std::nullopt;
  }
  return field.node->text;
}

std::optional<std::string_view> free_text(const Field& field, std::string_view expected) {
  const auto text = scalar(field, expected);
  if (!text || refuse_boolean_word(field, expected)) return std::nullopt;
  return text;
}

void report_dangling(const Field& field, std::string_view name, std::span<const std::string_view> names,
                     std::string_view thing, std::string_view section) {
  field.fail({"there is no " + std::string(thing) + " " + quote(name),
              names.empty() ? "it under " + std::string(section) : any_of(names), nearest(name, names)});
}

std::optional<std::size_t> choose(const Field& field, std::span<const std::string_view> words) {
  if (field.node->kind == Node::Kind::scalar) {
    const auto found = std::find(words.begin(), words.end(), field.node->text);
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  }
  if (const auto text = scalar(field, any_of(words)))
    field.fail({quote(*text) + " is not known here", any_of(words), nearest(*text, words)});
  return std::nullopt;
}

}  // namespace oakgate::conf
