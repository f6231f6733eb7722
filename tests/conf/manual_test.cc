// man/oakgate.yaml.5 against the code: what it shows is accepted, and what is accepted it shows.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "conf/cisco/import.h"
#include "ike/base/algorithms.h"
#include "ike/base/types.h"
#include "support.h"

namespace oakgate::conf {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string page(const std::string& name = "oakgate.yaml.5") {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  std::ifstream stream(std::filesystem::path(root == nullptr ? "." : root) / "man" / name);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(Manual, ExampleIsValid) {
  const std::string text = page();
  const std::string begin = ".\\\" begin example\n.Bd -literal -offset indent\n";
  const std::size_t start = text.find(begin);
  ASSERT_NE(start, std::string::npos);
  std::string example = text.substr(start + begin.size());
  example.resize(example.find(".Ed"));
  for (auto at = example.find("\\-"); at != std::string::npos; at = example.find("\\-", at))
    example.erase(at, 1);
  const auto outcome = parse_config(example, "oakgate.yaml.5");
  EXPECT_THAT(lines(outcome), IsEmpty());
  ASSERT_TRUE(outcome.config);
  EXPECT_EQ(outcome.config->peers.size(), 2U);
}

// What a page shows between `.\" begin WHAT` and `.\" end`, as a reader sees it.
std::string shown(const std::string& text, const std::string& what) {
  const std::string begin = ".\\\" begin " + what + "\n";
  const std::size_t start = text.find(begin);
  EXPECT_NE(start, std::string::npos) << what;
  if (start == std::string::npos) return {};
  std::istringstream lines(text.substr(start, text.find(".\\\" end", start + 1) - start));
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(".")) continue;
    for (auto at = line.find("\\-"); at != std::string::npos; at = line.find("\\-", at)) line.erase(at, 1);
    out += line + "\n";
  }
  return out;
}

// The devices' configurations of oakgate-cisco(7) become ones that oakgated takes, with every line carried
// over.
TEST(Manual, RunningConfigurationsAreImported) {
  for (const char* dialect : {"ios", "pix"}) {
    SCOPED_TRACE(dialect);
    const std::string text = shown(page("oakgate-cisco.7"), std::string("running-config ") + dialect);
    const auto imported = cisco::import_cisco(text, std::chrono::year{2027} / 6 / 30);
    for (const auto& note : imported.notes) ADD_FAILURE() << note.text << ": " << note.why;
    EXPECT_EQ(imported.peers, 1U);
    EXPECT_EQ(imported.tunnels, 1U);
    EXPECT_EQ(imported.files.size(), 1U);
    const auto outcome = parse_config(imported.yaml, "oakgate.yaml");
    EXPECT_THAT(lines(outcome), IsEmpty()) << imported.yaml;
    ASSERT_TRUE(outcome.config);
    EXPECT_EQ(outcome.config->peers[0].address.to_string(), "192.0.2.1");
    EXPECT_EQ(imported.yaml.find("allow_weak") != std::string::npos, std::string_view(dialect) == "pix");
  }
}

// The keys that each section accepts, asked by the error for one that it does not.
TEST(Manual, HasEveryKey) {
  const std::string text = page();
  for (const std::string& probe :
       {std::string("gateway: {?: 1}"), std::string("gateway: {half_open: {?: 1}}"),
        std::string("peers: {b: {dpd: {?: 1}}}"), std::string("isakmp_policies: {1: {?: 1}}"),
        std::string("transform_sets: {s: {?: 1}}"), std::string("peers: {b: {?: 1}}"),
        std::string("peers: {b: {allow_weak: {?: 1}}}"), std::string("peers: {b: {tunnels: {l: {?: 1}}}}"),
        std::string("peers: {b: {tunnels: {l: {lifetime: {?: 1}}}}}"),
        std::string("trustpoints: {c: {?: 1}}"), std::string("trustpoints: {c: {crl: {?: 1}}}"),
        std::string("trustpoints: {c: {enrollment: {?: 1}}}"), std::string("keys: {k: {?: 1}}"),
        std::string("public_keys: {k: {?: 1}}"), std::string("ssh: {?: 1}"),
        std::string("ssh: {certificates: {?: 1}}"), std::string("peers: {b: {rsa_encr: {?: 1}}}")}) {
    std::string asked = probe;
    asked.replace(asked.find('?'), 1, "zzzz");
    int keys = 0;
    for (const Issue& issue : parse_config(asked, "f").issues) {
      if (!issue.message.starts_with("`zzzz`")) continue;
      std::string word;
      for (const char c : issue.expected + ",") {
        if (c != ',' && c != ' ') {
          word += c;
          continue;
        }
        const bool shown = text.find(".It Ic " + word + "\n") != std::string::npos ||
                           text.find(".It Ic " + word + " , ") != std::string::npos ||
                           text.find(" , Ic " + word + "\n") != std::string::npos;
        EXPECT_TRUE(word.empty() || word == "or" || shown) << word;
        word.clear();
        ++keys;
      }
    }
    EXPECT_GT(keys, 1) << asked;
  }
}

TEST(Manual, HasEveryAlgorithmAndWeakWord) {
  const std::string text = page();
  const auto expect = [&text](const std::string& word) { EXPECT_THAT(text, HasSubstr(".Ql " + word)); };
  for (const auto& row : ike_ciphers()) expect(std::string(row.name));
  for (const auto& row : ike_hashes()) expect(std::string(row.name));
  for (const auto& row : dh_groups()) expect(std::string(row.name.substr(5)));
  for (const auto& row : auth_methods()) expect(std::string(row.name));
  for (const auto& row : esp_ciphers()) expect(std::string(row.name));
  for (const auto& row : integrities()) {
    if (row.configurable) expect("esp-" + std::string(row.name));
  }
  for (const auto& word : weak_words()) expect(std::string(word));
}

TEST(Manual, HasTheReqids) {
  EXPECT_THAT(page(),
              HasSubstr(fmt::format("from {:#x} to {:#x}", kReqidBase, kReqidBase + kReqidCount - 1)));
  EXPECT_THAT(page(), HasSubstr(fmt::format("{} to {}", kReqidBase, kReqidBase + kReqidCount - 1)));
}

}  // namespace
}  // namespace oakgate::conf
