// From nodes to values: each function reports what is wrong with a field and then returns nothing, so that
// its caller simply goes on to the next. Private to conf/.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/report.h"
#include "conf/yaml_tree.h"

namespace oakgate::conf {

// A node with the path of keys that leads to it, and where to complain about it. The node outlives it.
struct Field {
  const Node* node;
  std::string path;
  Report* report;
  void fail(Fault fault) const { report->add(node->position, path, std::move(fault)); }
};

// An entry of a map whose keys are names, or numbers, that the operator chose.
struct Member {
  std::string_view name;
  Field key;  // the name as a field: for complaints about the entry as a whole
  Field value;
};

// A map whose keys we know.
class MapReader {
 public:
  // Reports a field that is no map, and keys that are not in `known`, which outlives the reader.
  MapReader(const Field& field, std::span<const std::string_view> known);
  // Nothing if the key is absent.
  [[nodiscard]] std::optional<Field> optional(std::string_view key) const;
  // Reports an absent key. `expected` says what its value would be: "a map of tunnels".
  [[nodiscard]] std::optional<Field> required(std::string_view key, std::string_view expected) const;

 private:
  Field field_;
};

// Whether the field is a map; reports it otherwise, `expected` in the message.
[[nodiscard]] bool require_map(const Field& field, std::string_view expected);
// The same: "a map with the keys ...".
[[nodiscard]] bool require_map(const Field& field, std::span<const std::string_view> keys);
// The entries of a map of named things. `expected` says what they are: "a map of peers by name".
[[nodiscard]] std::vector<Member> members(const Field& field, std::string_view expected);
// The entries of a list, or the one value that stands in its place. Reports an empty list.
[[nodiscard]] std::vector<Field> one_or_many(const Field& field, std::string_view expected);
// The entries of a list.
[[nodiscard]] std::vector<Field> list(const Field& field, std::string_view expected);

// The text of a scalar, never empty.
[[nodiscard]] std::optional<std::string_view> scalar(const Field& field, std::string_view expected);
// The same for text of the operator's choice: `no`, which other YAML readers take for a boolean, needs
// quotes.
[[nodiscard]] std::optional<std::string_view> free_text(const Field& field, std::string_view expected);

// "there is no key `gw-b`": reports a reference to none of `names`.
void report_dangling(const Field& field, std::string_view name, std::span<const std::string_view> names,
                     std::string_view thing, std::string_view section);

// What `parse` makes of the scalar. It gets the text and must mention it in its own faults.
template <typename Parser>
auto read(const Field& field, std::string_view expected, Parser parse)
    -> std::optional<typename decltype(parse(std::string_view{}))::value_type> {
  const auto text = free_text(field, expected);
  if (!text) return std::nullopt;
  auto parsed = parse(*text);
  if (!parsed) {
    field.fail(std::move(parsed.error()));
    return std::nullopt;
  }
  return std::move(*parsed);
}

// One of a few words.
template <typename T>
struct Word {
  std::string_view word;
  T value;
};
[[nodiscard]] std::optional<std::size_t> choose(const Field& field, std::span<const std::string_view> words);
template <typename T, std::size_t size>
std::optional<T> choice(const Field& field, const Word<T> (&table)[size]) {
  std::string_view words[size];
  for (std::size_t i = 0; i < size; ++i) words[i] = table[i].word;
  const auto index = choose(field, words);
  if (!index) return std::nullopt;
  return table[*index].value;
}

}  // namespace oakgate::conf
