#include "conf/simple_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conf/trees.h"

namespace oakgate::conf {
namespace {

class Simple : public testing::TestWithParam<const char*> {};

TEST_P(Simple, IsWhatYamlCppMakesOfIt) {
  const std::string text = GetParam();
  ASSERT_TRUE(is_simple_yaml(text));
  ASSERT_FALSE(is_simple_yaml(text + "\n...\n")) << "yaml-cpp is not asked";
  Report report("f.yaml");
  Report other("f.yaml");
  const auto tree = build_tree(text, report);
  const auto expected = tree_by_yaml_cpp(text, other);
  ASSERT_TRUE(tree);
  ASSERT_TRUE(expected);
  EXPECT_TRUE(same_tree(*tree, *expected));
  EXPECT_EQ(std::move(report).take().size(), std::move(other).take().size());
}

INSTANTIATE_TEST_SUITE_P(All, Simple,
                         testing::Values("a: b", "# c\n\na: b  # c\n  # c\nb: c#d\n", "a:\nb:  # c\n",
                                         "a:\n  b:\n      c: d\n  e: f\ng:\n",                  // maps
                                         "a:\n- b\n- c\nd:\n  -   e\n  # c\n  - {f: g}\nh: i",  // lists
                                         "- a\n- [b, 'c']\n",
                                         "a: {b: c, \"d\": [e , 'f' ] , g: {}, h: []} # c\n",  // flow style
                                         "'a': \"b: c # d\"\n\"e f\": 'g\"h'\ni: \"\"\n",      // quotes
                                         "a: 2001:db8::1\nb: [2001:db8::1/64, 10.0.0.0/8 tcp 179]\n",
                                         "a: it's (b), [c] {d} e?\n", "a: b\r\nc:\r\n  d: e\r\n",
                                         "a: b\xc3\xa9 \"b\"\nc: {d: \"\xc3\xa9\", e: f}\n",
                                         "a: b\na: c\n",       // twice
                                         "a: 0123\nb: yes\n",  // text is text
                                         "a-b.c_1: /d/e.f\n"));

class NotSimple : public testing::TestWithParam<const char*> {};

TEST_P(NotSimple, IsLeftToYamlCpp) {
  EXPECT_FALSE(is_simple_yaml(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(All, NotSimple,
                         testing::Values("", "# c\n", "a", " a: b\n", "a: b\n c: d\n", "a:\n  b: c\n d: e\n",
                                         "- a\nb: c\n", "a: b\n- c\n", "a: b\n  c\n", "a: 'b\n  c'\n",
                                         "a: [b,\n  c]\n", "a: |\n  b\n",  // lines
                                         "a: &b c\n", "a: *b\n", "a: !b c\n", "<<: {a: b}\n", "? a\n",
                                         "a: null\n", "a: ~\n", "a: [b: c]\n", "a: {b}\n", "a: {b: }\n",
                                         "a: [b, ]\n", "a: [b]]\n", "a: [b\n", "a: b: c\n", "a: b:\n",
                                         "a: [2001:db8::]\n", "a: [b?c]\n", "a: {\"b\":c}\n", "a:b\n",
                                         "a: b\t\n", "a:\t b\n", "a: \"b\\n\"\n", "a: 'b''c'\n",
                                         "a: \"b\"c\n", "a: {b: c}#d\n", "a: - b\n", "- - a\n", "- a: b\n",
                                         "-\n", "---\na: b\n", "a: b\n...\n", "%YAML 1.2\n", "@: a\n",
                                         "\xef\xbb\xbf"
                                         "a: b\n"));

TEST(SimpleYaml, KeepsItsBounds) {
  const auto nested = [](std::size_t depth) {
    return "a: " + std::string(depth, '[') + std::string(depth, ']') + "\n";
  };
  EXPECT_TRUE(is_simple_yaml(nested(kMaxDepth - 1)));
  EXPECT_FALSE(is_simple_yaml(nested(kMaxDepth)));
  std::string blocks;
  for (std::size_t i = 0; i < kMaxDepth; ++i) blocks += std::string(i, ' ') + "a:\n";
  EXPECT_TRUE(is_simple_yaml(blocks));
  EXPECT_FALSE(is_simple_yaml(blocks + std::string(kMaxDepth, ' ') + "a:\n"));
  EXPECT_TRUE(is_simple_yaml(std::string(512, 'k') + ": a\n"));
  EXPECT_FALSE(is_simple_yaml(std::string(513, 'k') + ": a\n"));
  std::string many = "a: [";
  for (std::size_t i = 0; i <= 2 * kMaxNodes; ++i) many += "b,";
  EXPECT_FALSE(is_simple_yaml(many + "b]\n"));
}

}  // namespace
}  // namespace oakgate::conf
