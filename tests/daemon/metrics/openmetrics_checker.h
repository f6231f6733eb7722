// A strict reader of OpenMetrics 1.0.0 text, as far as counters, gauges and infos go: what it accepts, every
// reader accepts. It throws nothing; the first offence is in `problem`.
#pragma once

#include <cctype>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace oakgate::test {

struct Exposed {
  std::string problem;                           // empty: it is right
  std::map<std::string, std::string> type;       // by family
  std::map<std::string, std::uint64_t> samples;  // "name{a=\"b\"}"
  std::size_t of(const std::string& sample) const {
    const auto found = samples.find(sample);
    return found == samples.end() ? ~std::size_t{0} : found->second;
  }
};

class OpenMetricsChecker {
 public:
  static Exposed check(std::string_view text) {
    OpenMetricsChecker checker;
    checker.run(text);
    return std::move(checker.out_);
  }

 private:
  void fail(std::string_view line, const std::string& what) {
    if (out_.problem.empty()) out_.problem = what + ": " + std::string(line.substr(0, 200));
  }

  void run(std::string_view text) {
    if (text.empty() || text.back() != '\n') fail("", "the last line has no end");
    bool ended = false;
    while (!text.empty() && out_.problem.empty()) {
      const std::size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (ended) return fail(line, "something behind # EOF");
      if (line == "# EOF") {
        ended = true;
      } else if (line.starts_with("#")) {
        metadata(line);
      } else {
        sample(line);
      }
    }
    if (!ended) fail("", "no # EOF");
  }

  static bool is_name(std::string_view name, bool colon) {
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
    for (const char c : name) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && !(colon && c == ':')) return false;
    }
    return true;
  }

  void metadata(std::string_view line) {
    const std::string_view whole = line;
    for (const std::string_view word : {"# HELP ", "# TYPE ", "# UNIT "}) {
      if (!line.starts_with(word)) continue;
      line.remove_prefix(word.size());
      const std::size_t blank = line.find(' ');
      if (blank == std::string_view::npos) return fail(whole, "no value");
      const std::string name(line.substr(0, blank));
      const std::string value(line.substr(blank + 1));
      if (!is_name(name, true)) return fail(whole, "not a metric name");
      if (name != family_) {
        if (!seen_.insert(name).second) return fail(whole, "a family comes twice, or interleaved");
        family_ = name;
        told_.clear();
        has_samples_ = false;
      }
      if (has_samples_) return fail(whole, "metadata behind samples");
      if (!told_.insert(std::string(word)).second) return fail(whole, "said twice");
      if (word == "# TYPE ") {
        if (value != "counter" && value != "gauge" && value != "info") return fail(whole, "unknown type");
        out_.type[name] = value;
      }
      if (word == "# UNIT " && !name.ends_with("_" + value)) return fail(whole, "the name has not the unit");
      return;
    }
    fail(whole, "a comment that is none of HELP, TYPE, UNIT, EOF");
  }

  // The label set, behind the name; empty: there is something wrong.
  bool labels(std::string_view& rest) {
    std::set<std::string> names;
    rest.remove_prefix(1);
    while (true) {
      const std::size_t equals = rest.find("=\"");
      if (equals == std::string_view::npos || !is_name(rest.substr(0, equals), false)) return false;
      if (!names.insert(std::string(rest.substr(0, equals))).second) return false;
      rest.remove_prefix(equals + 2);
      while (!rest.empty() && rest.front() != '"') {
        const auto c = static_cast<unsigned char>(rest.front());
        if (c < 0x20 || c >= 0x7f) return false;
        if (c == '\\') {
          if (rest.size() < 2 || (rest[1] != '\\' && rest[1] != '"' && rest[1] != 'n')) return false;
          rest.remove_prefix(1);
        }
        rest.remove_prefix(1);
      }
      if (rest.size() < 2) return false;
      const char after = rest[1];
      rest.remove_prefix(2);
      if (after == '}') return true;
      if (after != ',') return false;
    }
  }

  void sample(std::string_view line) {
    std::size_t end = line.find_first_of("{ ");
    if (end == std::string_view::npos) return fail(line, "no value");
    const std::string name(line.substr(0, end));
    std::string_view rest = line.substr(end);
    if (rest.front() == '{' && !labels(rest)) return fail(line, "labels");
    const std::string key(line.substr(0, line.size() - rest.size()));
    if (rest.size() < 2 || rest.front() != ' ') return fail(line, "no value");
    rest.remove_prefix(1);
    const bool negative = rest.front() == '-';
    for (const char c : rest.substr(negative ? 1 : 0)) {
      if (std::isdigit(static_cast<unsigned char>(c)) == 0) return fail(line, "not a whole number");
    }
    const std::string& type = out_.type[family_];
    const std::string suffix = type == "counter" ? "_total" : type == "info" ? "_info" : "";
    if (name != family_ + suffix) return fail(line, "not a sample of " + family_);
    if (negative && type != "gauge") return fail(line, "a counter below zero");
    if (type == "info" && rest != "1") return fail(line, "an info that is not 1");
    if (!out_.samples.emplace(key, std::stoull(std::string(rest))).second) return fail(line, "twice");
    has_samples_ = true;
  }

  Exposed out_;
  std::string family_;
  std::set<std::string> seen_;
  std::set<std::string> told_;
  bool has_samples_ = false;
};

}  // namespace oakgate::test
