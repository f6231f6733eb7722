#include "conf/emit.h"

#include <string_view>

#include "conf/text.h"

namespace oakgate::conf {

namespace {

// A value that was plain stays so: as such it has been read, and no reader of blocks refuses what a reader of
// `[]` took.
void write_scalar(const Node& node, std::string& out) {
  if (node.plain) {
    out += node.text;
  } else {
    out += double_quoted(node.text);
  }
}

void write(const Node& node, std::size_t indent, std::string& out);

// What stands behind `key:` or `-`.
void write_value(const Node& node, std::size_t indent, std::string& out) {
  switch (node.kind) {
    case Node::Kind::null:
      out += "\n";
      return;
    case Node::Kind::scalar:
      out += ' ';
      write_scalar(node, out);
      out += '\n';
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
    if (node.kind == Node::Kind::map) {
      write_scalar(node.keys[i], out);
      out += ':';
    } else {
      out += '-';
    }
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
