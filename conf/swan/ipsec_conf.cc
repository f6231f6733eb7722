#include "conf/swan/ipsec_conf.h"

#include <algorithm>
#include <set>

#include "conf/swan/values.h"

namespace oakgate::conf::swan {

namespace {

// The line without its comment: `#` at its start or behind a blank, outside quotes.
std::string_view without_comment(std::string_view line) {
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"') {
      quote = c;
    } else if (c == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) {
      return line.substr(0, i);
    }
  }
  return line;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view take_word(std::string_view& text) {
  text = trim(text);
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
  return text;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  IpsecConf read() {
    while (!text_.empty()) {
      const std::size_t end = std::min(text_.find('\n'), text_.size());
      ++line_;
      take(text_.substr(0, end));
      text_.remove_prefix(std::min(end + 1, text_.size()));
    }
    return std::move(out_);
  }

 private:
  void note(std::string_view line, std::string why) {
    out_.notes.push_back(note_at(line_, trim(line), std::move(why)));
  }

  void take(std::string_view whole) {
    const std::string_view line = without_comment(whole);
    if (trim(line).empty()) return;
    if (!is_blank(line.front()) && take_header(line)) return;
    take_setting(line);
  }

  bool take_header(std::string_view line) {
    std::string_view rest = line;
    const std::string word = lower(take_word(rest));
    const std::string_view name = trim(rest);
    if (word == "version") return true;
    if (word == "include") {
      note(line, "the file it names is not read: import it too, or put it in place of the line");
      return true;
    }
    if (word != "config" && word != "conn" && word != "ca") return false;
    open_ = false;
    if (name.empty()) {
      note(line, "the section has no name: what is in it is left out");
    } else if (out_.sections.size() >= kMaxConnections) {
      note(line, "more than 10000 sections: the rest of the file is left out");
    } else {
      out_.sections.push_back({word, std::string(unquoted(name)), line_, {}});
      open_ = true;
    }
    return true;
  }

  void take_setting(std::string_view line) {
    const std::size_t equals = line.find('=');
    const std::string_view key = trim(line.substr(0, std::min(equals, line.size())));
    const bool word = std::all_of(key.begin(), key.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
             c == '_';
    });
    if (equals == std::string_view::npos || key.empty() || !word) {
      // It may hold a key that belongs into another file.
      std::string_view rest = line;
      note(std::string(take_word(rest)) + " ...", "it is neither a section nor a setting");
    } else if (!open_) {
      note(line, "it stands in no section");
    } else if (++settings_ > kMaxSettings) {
      if (settings_ == kMaxSettings + 1) note(line, "more than 200000 settings: the rest is left out");
    } else {
      out_.sections.back().settings.push_back(
          {line_, lower(key), std::string(unquoted(trim(line.substr(equals + 1))))});
    }
  }

  std::string_view text_;
  IpsecConf out_;
  int line_ = 0;
  std::size_t settings_ = 0;
  bool open_ = false;
};

// ---- also= and %default --------------------------------------------------------------------------------

class Resolver {
 public:
  Resolver(const IpsecConf& conf, std::vector<Note>& notes) : notes_(notes) {
    for (const IpsecSection& one : conf.sections) {
      if (one.kind != "conn") continue;
      if (one.name == "%default") {
        defaults_.push_back(&one);
      } else {
        by_name_.try_emplace(one.name, &one);
      }
    }
  }

  ResolvedConn resolve(const IpsecSection& section) {
    ResolvedConn conn{section.name, section.line, {}, false};
    on_the_way_.clear();
    add(section, conn, 0);
    for (const IpsecSection* one : defaults_) add(*one, conn, 0);
    return conn;
  }

  [[nodiscard]] bool is_base(const std::string& name) const { return used_.contains(name); }

 private:
  // What stands in the section itself first, its last setting of a key; then what it names.
  void add(const IpsecSection& section, ResolvedConn& conn, int depth) {
    if (!on_the_way_.insert(&section).second) return;
    for (auto one = section.settings.rbegin(); one != section.settings.rend(); ++one) {
      if (one->key == "also") continue;
      if (++count_ <= kMaxSettings) {
        conn.settings.try_emplace(one->key, *one);
      } else if (count_ == kMaxSettings + 1) {
        notes_.push_back(note_of(*one, "more than 200000 settings, `also` resolved: the rest is left out"));
      }
    }
    for (const Setting& one : section.settings) {
      if (one.key != "also") continue;
      for (const std::string& name : words_in(one.value)) follow(one, name, conn, depth);
    }
  }

  void follow(const Setting& also, const std::string& name, ResolvedConn& conn, int depth) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
      notes_.push_back(note_of(also, "there is no connection of that name in the file"));
    } else if (depth >= kMaxAlso) {
      notes_.push_back(note_of(also, "more than 16 deep: not followed"));
    } else {
      used_.insert(name);
      add(*found->second, conn, depth + 1);
    }
  }

  std::vector<Note>& notes_;
  std::map<std::string, const IpsecSection*, std::less<>> by_name_;
  std::vector<const IpsecSection*> defaults_;
  std::set<const IpsecSection*> on_the_way_;
  std::set<std::string, std::less<>> used_;
  std::size_t count_ = 0;
};

// ---- ipsec.secrets -------------------------------------------------------------------------------------

std::string_view until_colon(std::string_view line, std::string_view& rest) {
  // The one with blanks around it, or at the start: addresses have colons too.
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool before = i == 0 || is_blank(line[i - 1]);
    const bool after = i + 1 == line.size() || is_blank(line[i + 1]);
    if (line[i] != ':' || !(before && (after || i == 0 || line[i + 1] == '\t'))) continue;
    rest = trim(line.substr(i + 1));
    return trim(line.substr(0, i));
  }
  rest = {};
  return {};
}

class SecretsReader {
 public:
  SecretsReader(std::string_view text, std::vector<Note>& notes) : text_(text), notes_(notes) {}

  std::vector<Secret> read() {
    while (!text_.empty()) {
      const std::size_t end = std::min(text_.find('\n'), text_.size());
      ++line_;
      take(text_.substr(0, end));
      text_.remove_prefix(std::min(end + 1, text_.size()));
    }
    return std::move(out_);
  }

 private:
  // Of such a line nothing but what stands before the key is ever shown.
  void note(std::string_view shown, std::string why) {
    // The numbers of the other file's lines are not this one's.
    notes_.push_back(
        note_at(0, "ipsec.secrets:" + std::to_string(line_) + ": " + std::string(shown), std::move(why)));
  }

  void take(std::string_view whole) {
    const std::string_view line = trim(without_comment(whole));
    if (line.empty()) return;
    if (in_block_) {  // an RSA key in braces, of many lines
      in_block_ = line.find('}') == std::string_view::npos;
      return;
    }
    if (line.starts_with("include")) return note("include ...", "the file it names is not read");
    std::string_view rest;
    const std::string_view owners = until_colon(line, rest);
    if (rest.empty()) return note("...", "it is no secret as ipsec.secrets(5) has them");
    std::string_view value = rest;
    const std::string type = lower(take_word(value));
    value = trim(value);
    const std::string who = std::string(owners) + (owners.empty() ? ": " : " : ");
    const std::string shown = who + type + " ...";
    if (type == "psk") {
      take_key(owners, value, shown);
    } else if (type.starts_with('"') || type.starts_with('\'') || type.starts_with("0x") ||
               type.starts_with("0s")) {
      take_key(owners, rest, who + "...");
    } else {
      in_block_ = value.find('{') != std::string_view::npos && value.find('}') == std::string_view::npos;
      note(shown, type == "rsa" || type == "ecdsa" || type == "pkcs8" || type == "p12"
                      ? "a private key: `oakgate pki import` puts it where its trustpoint wants it"
                      : "no pre-shared key: nothing in oakgate's configuration corresponds to it");
    }
  }

  void take_key(std::string_view owners, std::string_view value, const std::string& shown) {
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'')) {
      const std::size_t end = value.find(value.front(), 1);
      if (end == std::string_view::npos) return note(shown, "the key has no end: left out");
      value = value.substr(0, end + 1);
    }
    Secret secret{line_, words_in(owners), pre_shared_key(value)};
    if (secret.key.empty()) return note(shown, "the key is empty, or not what it says it is: left out");
    if (out_.size() >= kMaxConnections) return note(shown, "more than 10000 keys: left out");
    out_.push_back(std::move(secret));
  }

  std::string_view text_;
  std::vector<Note>& notes_;
  std::vector<Secret> out_;
  int line_ = 0;
  bool in_block_ = false;
};

}  // namespace

IpsecConf read_ipsec_conf(std::string_view text) {
  return Reader(text).read();
}

std::vector<ResolvedConn> resolve(const IpsecConf& conf, std::vector<Note>& notes) {
  Resolver resolver(conf, notes);
  std::vector<ResolvedConn> all;
  for (const IpsecSection& one : conf.sections) {
    if (one.kind == "conn" && one.name != "%default") all.push_back(resolver.resolve(one));
  }
  for (ResolvedConn& one : all) {
    const auto automatic = one.settings.find("auto");
    const bool loaded = automatic != one.settings.end() && lower(automatic->second.value) != "ignore";
    one.base = !loaded && resolver.is_base(one.name);
  }
  return all;
}

std::vector<Secret> read_ipsec_secrets(std::string_view text, std::vector<Note>& notes) {
  return SecretsReader(text, notes).read();
}

}  // namespace oakgate::conf::swan
