#include "conf/emit.h"

#include <string_view>

namespace oakgate::conf {

namespace {

// A value that was plain stays so: as such it has been read, and no reader of blocks refuses what a reader of
// `[]` took.
std::string scalar_text(const Node& node) {
  if (node.plain) return node.text;
  std::string text = "\"";
  for (const char c : node.text) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

void write(const Node& node, std::size_t indent, std::string& out);

// What stands behind `key:` or `-`.
void write_value(const Node& node, std::size_t indent, std::string& out) {
  switch (node.kind) {
    case Node::Kind::null:
      out += "\n";
      return;
    case Node::Kind::scalar:
      out += " " + scalar_text(node) + "\n";
      return;
    case Node::Kind::sequence:
    case Node::Kind::map:
      if (node.items.empty()) {
        out += node.kind == Node::Kind::map ? " {}\n" : " []\n";
        return;
      }
      out += "\n";
      write(node, indent, out);
      return;
  }
}

void write(const Node& node, std::size_t indent, std::string& out) {
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    out.append(indent, ' ');
    out += node.kind == Node::Kind::map ? scalar_text(node.keys[i]) + ":" : "-";
    write_value(node.items[i], indent + 2, out);
  }
}

}  // namespace

std::string to_yaml(const Node& root) {
  if (root.items.empty()) return "{}\n";  // nothing at all is no configuration
  std::string out;
  write(root, 0, out);
  return out;
}

}  // namespace oakgate::conf
