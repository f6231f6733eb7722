#include "conf/yaml_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conf/load.h"
#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// What build_tree alone has to say.
std::vector<std::string> tree_errors(std::string_view text) {
  Report report("f.yaml");
  (void)build_tree(text, report);
  LoadOutcome outcome;
  outcome.issues = std::move(report).take();
  return lines(outcome);
}

TEST(YamlTree, KeepsTextAndPositions) {
  Report report("f.yaml");
  const auto root = build_tree("a: 0123\nb:\n  - 'yes'\n  - ~\nc:\n  d: {e: f}\n", report);
  ASSERT_TRUE(root);
  EXPECT_EQ(report.count(), 0U);
  ASSERT_EQ(root->keys.size(), 3U);
  EXPECT_EQ(root->items[0].text, "0123");
  EXPECT_TRUE(root->items[0].plain);
  EXPECT_EQ(root->items[1].items[0].text, "yes");
  EXPECT_FALSE(root->items[1].items[0].plain);
  EXPECT_EQ(root->items[1].items[0].position.line, 3);
  EXPECT_EQ(root->items[1].items[0].position.column, 5);
  EXPECT_EQ(root->items[1].items[1].kind, Node::Kind::null);
  EXPECT_EQ(root->items[2].position.line, 5);  // a map stands where its key does
  EXPECT_EQ(root->items[2].items[0].items[0].text, "f");
}

TEST(YamlTree, RefusesDuplicateKeysAtEveryLevel) {
  EXPECT_THAT(tree_errors("a: 1\nb: {c: 1, c: 2}\n\"a\": 3\nd:\n  - e: 1\n    e: 2\n"),
              ElementsAre("f.yaml:2:11: b.c: `c` is given twice, first in line 2; expected each key once",
                          "f.yaml:3:1: a: `a` is given twice, first in line 1; expected each key once",
                          "f.yaml:6:5: d.e: `e` is given twice, first in line 5; expected each key once"));
}

TEST(YamlTree, RefusesDuplicateKeysOfLargeMaps) {
  std::string text;
  for (int i = 1; i <= 100; ++i) text += "k" + std::to_string(i) + ": 1\n";
  EXPECT_THAT(tree_errors(text), SizeIs(0));
  EXPECT_THAT(
      tree_errors(text + "k1: 2\nk16: 2\nk17: 2\nk100: 2\nk101: 2\nk101: 3\n"),
      ElementsAre("f.yaml:101:1: k1: `k1` is given twice, first in line 1; expected each key once",
                  "f.yaml:102:1: k16: `k16` is given twice, first in line 16; expected each key once",
                  "f.yaml:103:1: k17: `k17` is given twice, first in line 17; expected each key once",
                  "f.yaml:104:1: k100: `k100` is given twice, first in line 100; expected each key once",
                  "f.yaml:106:1: k101: `k101` is given twice, first in line 105; expected each key once"));
}

TEST(YamlTree, RefusesAnchorsAliasesAndTags) {
  EXPECT_THAT(
      tree_errors("a: &x b\nc: *x\n"),
      ElementsAre("f.yaml:1:4: a: anchors (`&name`) are not supported; expected the value alone",
                  "f.yaml:2:4: c: aliases (`*name`) are not supported; expected the value written out"));
  EXPECT_THAT(
      tree_errors("c: *x\n"),
      ElementsAre("f.yaml:1:4: c: aliases (`*name`) are not supported; expected the value written out"));
  EXPECT_THAT(tree_errors("a: !!str b\nc: !d {}\n"),
              ElementsAre("f.yaml:1:4: a: tags (`!name`) are not supported; expected the value alone",
                          "f.yaml:2:4: c: tags (`!name`) are not supported; expected the value alone"));
}

// Nine lines that would expand to 10^9 scalars.
TEST(YamlTree, BillionLaughsStopsAtTheFirstAlias) {
  std::string text = "a0: &a0 lol\n";
  for (int i = 1; i < 10; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) text += last + ", ";
    text += last + "]\n";
  }
  EXPECT_THAT(tree_errors(text), SizeIs(3));  // two anchors and the alias that ends it
}

TEST(YamlTree, RefusesKeysThatAreNoNames) {
  const std::string why = "the key of a map entry is not a name; expected `name: value`";
  EXPECT_THAT(tree_errors("? [a, b]\n: c\n"), ElementsAre("f.yaml:1:3: " + why));
  EXPECT_THAT(tree_errors("? {a: b}\n: c\n"), ElementsAre("f.yaml:1:3: " + why));
  EXPECT_THAT(tree_errors(": c\n"), ElementsAre("f.yaml:1:1: " + why));
  EXPECT_THAT(tree_errors("a: {\"\": c}\n"), ElementsAre("f.yaml:1:5: a: " + why));
}

TEST(YamlTree, RefusesASecondDocument) {
  const std::string why =
      "a second document starts here; expected one document: no second `---`, and every top-level key in the "
      "same "
      "column";
  EXPECT_THAT(tree_errors("---\na: b\n---\nc: d\n"), ElementsAre("f.yaml:3:1: " + why));
  EXPECT_THAT(tree_errors("  a: b\n c: d\n"), ElementsAre("f.yaml:2:2: " + why));
}

TEST(YamlTree, EmptyFile) {
  const std::string why =
      "f.yaml: the file is empty; expected a map with peers and what they use: see oakgate.yaml(5)";
  for (const char* text : {"", "\n\n", "# a comment\n", "---\n", "~\n"}) {
    EXPECT_THAT(tree_errors(text), ElementsAre(why));
  }
}

TEST(YamlTree, Bounds) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_THAT(tree_errors(nested(32)), SizeIs(0));
  EXPECT_THAT(tree_errors(nested(33)),
              ElementsAre("f.yaml:1:33: lists and maps are nested too deep; expected at most 32 levels"));
  EXPECT_THAT(tree_errors(std::string(1'000'000, '[')), SizeIs(1));
  EXPECT_THAT(tree_errors("a: " + std::string(4097, 'x')),
              ElementsAre("f.yaml:1:4: a: the text is too long; expected at most 4096 bytes"));
  EXPECT_THAT(tree_errors("a: " + std::string(4096, 'x')), SizeIs(0));
  EXPECT_THAT(tree_errors(std::string(kMaxFileBytes + 1, '#')),
              ElementsAre("f.yaml: the file is too long; expected at most 4194304 bytes"));
  std::string wide = "a: [";
  for (std::size_t i = 0; i < kMaxNodes; ++i) wide += "1,";
  EXPECT_THAT(tree_errors(wide + "1]"),
              ElementsAre("f.yaml:1:" + std::to_string(3 + 2 * (kMaxNodes - 2)) +
                          ": a: the file holds too many values; expected at most 500000"));
}

TEST(YamlTree, ControlCharactersByEscape) {
  EXPECT_THAT(
      tree_errors("a: \"b\\u0000c\"\nd: \"\\x1b\"\ne: |\n  f\n"),
      ElementsAre(
          "f.yaml:1:4: a: the text holds a line break or a control character; expected one line of text",
          "f.yaml:2:4: d: the text holds a line break or a control character; expected one line of text",
          "f.yaml:3:4: e: the text holds a line break or a control character; expected one line of text"));
}

struct Syntax {
  const char* text;
  const char* line;
};
class YamlSyntax : public testing::TestWithParam<Syntax> {};
TEST_P(YamlSyntax, IsExplained) {
  EXPECT_THAT(tree_errors(GetParam().text), ElementsAre(GetParam().line));
}
INSTANTIATE_TEST_SUITE_P(
    All, YamlSyntax,
    testing::Values(
        Syntax{"a: b: c\n",
               "f.yaml:1:5: a `:` ends a key where none can stand; expected `key: value`, all keys of a "
               "map in the "
               "same column, and quotes around text that holds `: ` or ends in `:`"},
        Syntax{"a:\n  b: 2001:db8::\n",
               "f.yaml:2:15: a: a `:` ends a key where none can stand (an IPv6 address that ends in `::` "
               "needs quotes, "
               "and so do all in `[]` and `{}`); expected `key: value`, all keys of a map in the same "
               "column, and "
               "quotes around text that holds `: ` or ends in `:`"},
        Syntax{"a: {b: 2001:db8::, c: d}\n",
               "f.yaml:1:17: a: a `{` is not closed here (an IPv6 address that ends in `::` needs quotes, "
               "and so do "
               "all in `[]` and `{}`); expected `}` or `,`"},
        Syntax{"a:\n\tb: c\n", "f.yaml:2:3: a tab in the indentation; expected spaces"},
        Syntax{"a: b\n\tc: d\n", "f.yaml:2:1: a: a tab in the indentation; expected spaces"},
        Syntax{
            "a: [b, c}\n",
            "f.yaml:1:9: a: a closing bracket that fits no open one; expected `]` for `[` and `}` for `{`"},
        Syntax{"a: [b, c\nd: e\n", "f.yaml:2:2: a: a `[` is not closed here; expected `]` or `,`"},
        Syntax{"a: \"b\n",
               "f.yaml:2:2: a: the text has an opening quote and no closing one; expected the closing quote"},
        Syntax{"a: @b\n",
               "f.yaml:1:4: a: a character that no value can begin with; expected quotes around the value"},
        Syntax{"a: - b\n",
               "f.yaml:1:4: a: a list entry (`- `) cannot stand here; expected it in a line of its own, or "
               "`[a, b]`"},
        Syntax{"a:\n  - b\n  c: d\n",
               "f.yaml:3:3: the indentation fits no key above; expected all keys of a map in the same "
               "column"},
        Syntax{"a: \"\\q\"\n", "f.yaml:1:7: a: not valid YAML: unknown escape character: q"}));

// The report keeps what was found before the text became unreadable.
TEST(YamlTree, SyntaxErrorComesWithWhatWasBeforeIt) {
  EXPECT_THAT(tree_errors("a: 1\na: 2\nb: [\n"), SizeIs(2));
}

TEST(YamlTree, TooManyIssuesEndInALineThatSaysSo) {
  std::string text;
  for (std::size_t i = 0; i < Report::kMaxIssues + 10; ++i) text += "a: 1\n";
  const auto all = tree_errors(text);
  ASSERT_EQ(all.size(), Report::kMaxIssues + 1);
  EXPECT_EQ(all.back(), "f.yaml: there are more errors; these are the first that were found");
}

}  // namespace
}  // namespace oakgate::conf
