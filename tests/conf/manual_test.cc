// man/oakgate.yaml.5 against the code: what it shows is accepted, and what is accepted it shows.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "conf/cisco/import.h"
#include "ike/base/algorithms.h"
#include "ike/base/types.h"
#include "support.h"

namespace oakgate::conf {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

fs::path source_root() {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  return root == nullptr ? "." : root;
}

std::string page(const std::string& name = "oakgate.yaml.5") {
  std::ifstream stream(source_root() / "man" / name);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void drop_escapes(std::string& text) {
  for (auto at = text.find("\\-"); at != std::string::npos; at = text.find("\\-", at)) text.erase(at, 1);
}

// What a page shows between `.\" begin NAME...` and `.\" end`, as a reader sees it.
struct Shown {
  std::string page;
  std::string kind;  // what follows NAME
  std::string text;
};
std::vector<Shown> shown_in(const std::string& name, const std::string& what) {
  std::vector<Shown> out;
  const std::string begin = ".\\\" begin " + what;
  bool inside = false;
  std::istringstream text(page(name));
  for (std::string line; std::getline(text, line);) {
    if (line == begin || line.starts_with(begin + " ")) {
      out.push_back({name, line.size() > begin.size() ? line.substr(begin.size() + 1) : "", {}});
      inside = true;
    }
    if (line.starts_with(".\\\" end")) inside = false;
    if (!inside || line.starts_with(".")) continue;
    drop_escapes(line);
    out.back().text += line + "\n";
  }
  return out;
}

// The example of oakgate.yaml(5).
std::string example_text() {
  const std::string text = page();
  const std::string begin = ".\\\" begin example\n.Bd -literal -offset indent\n";
  const std::size_t start = text.find(begin);
  EXPECT_NE(start, std::string::npos);
  if (start == std::string::npos) return {};
  std::string shown = text.substr(start + begin.size());
  shown.resize(shown.find(".Ed"));
  drop_escapes(shown);
  return shown;
}
LoadOutcome example() {
  return parse_config(example_text(), "oakgate.yaml.5");
}

TEST(Manual, ExampleIsValid) {
  const auto outcome = example();
  EXPECT_THAT(lines(outcome), IsEmpty());
  ASSERT_TRUE(outcome.config);
  EXPECT_EQ(outcome.config->peers.size(), 2U);
}

// A folder with the example and those of the sections: what is `first` in the example's own file, each of the
// others in one that it includes.
class Examples {
 public:
  Examples() {
    std::string name = (fs::temp_directory_path() / "oakgate-manual-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directory(folder_ / "peers.d");
    std::string own;
    int number = 10;
    for (const Shown& one : shown_in("oakgate.yaml.5", "yaml")) {
      EXPECT_THAT(one.kind, testing::AnyOf("", "first"));
      if (one.kind == "first") own += one.text;
      if (one.kind == "first") continue;
      std::ofstream(folder_ / "peers.d" / fmt::format("example-{}.yaml", ++number)) << one.text;
      included.push_back(one.text);
    }
    std::ofstream(folder_ / "oakgate.yaml") << own << example_text();
  }
  ~Examples() { fs::remove_all(folder_); }
  Examples(const Examples&) = delete;
  Examples& operator=(const Examples&) = delete;

  [[nodiscard]] LoadOutcome load() const { return load_without_keys(folder_ / "oakgate.yaml"); }
  std::vector<std::string> included;

 private:
  fs::path folder_;
};

TEST(Manual, ExamplesOfTheSectionsAreValidTogether) {
  const Examples examples;
  const auto outcome = examples.load();
  EXPECT_THAT(lines(outcome), IsEmpty());
  ASSERT_TRUE(outcome.config);
  EXPECT_EQ(outcome.config->peers.size(), 9U);
  // Each section has one.
  std::string all = example_text();
  for (const std::string& one : examples.included) all += one;
  for (const char* section : {"gateway:", "isakmp_policies:", "transform_sets:", "trustpoints:", "keys:",
                              "public_keys:", "ssh:", "templates:", "peers:", "    allow_weak:"})
    EXPECT_THAT("\n" + all, HasSubstr("\n" + std::string(section))) << section;
}

std::vector<Shown> shown_in_all_pages(const std::string& what) {
  std::vector<Shown> out;
  for (const auto& entry : fs::directory_iterator(source_root() / "man")) {
    for (Shown& one : shown_in(entry.path().filename(), what)) out.push_back(std::move(one));
  }
  return out;
}

// Between "```yaml" and "```".
std::vector<Shown> shown_in_readme() {
  std::vector<Shown> out;
  std::ifstream readme(source_root() / "README.md");
  bool inside = false;
  for (std::string line; std::getline(readme, line);) {
    if (line == "```yaml") out.push_back({"README.md", "alone", {}});
    if (inside && line != "```") out.back().text += line + "\n";
    inside = line == "```yaml" || (inside && line != "```");
  }
  return out;
}

TEST(Manual, ExamplesElsewhereAreValidByThemselves) {
  std::multiset<std::string> shown;
  std::vector<Shown> all = shown_in_all_pages("yaml");
  for (Shown& one : shown_in_readme()) all.push_back(std::move(one));
  for (const Shown& one : all) {
    if (one.page == "oakgate.yaml.5") continue;
    EXPECT_EQ(one.kind, "alone");
    EXPECT_THAT(lines(parse_config(one.text, one.page)), IsEmpty()) << one.text;
    shown.insert(one.page);
  }
  EXPECT_THAT(shown, testing::ElementsAre("README.md", "README.md", "oakgate-metrics.7", "oakgate-ssh.7"));
}

// What the pages show of devices; the kind is the dialect.
std::vector<Shown> devices() {
  return shown_in_all_pages("running-config");
}

// One that oakgated takes, with every line carried over.
Config imported(const Shown& device) {
  const auto imported = cisco::import_cisco(device.text, std::chrono::year{2027} / 6 / 30);
  for (const auto& note : imported.notes) ADD_FAILURE() << note.text << ": " << note.why;
  EXPECT_EQ(imported.peers, 1U);
  EXPECT_EQ(imported.files.size(), 1U);
  const auto outcome = parse_config(imported.yaml, "oakgate.yaml");
  EXPECT_THAT(lines(outcome), IsEmpty()) << imported.yaml;
  return outcome.config.value_or(Config{});
}

TEST(Manual, RunningConfigurationsAreImported) {
  std::multiset<std::string> shown;
  for (const Shown& device : devices()) {
    SCOPED_TRACE(device.page + ": " + device.kind);
    shown.insert(device.page + " " + device.kind);
    const Config config = imported(device);
    ASSERT_EQ(config.peers.size(), 1U);
    EXPECT_EQ(config.peers[0].address.to_string(), "192.0.2.1");
    EXPECT_EQ(config.peers[0].allow_weak.has_value(), device.kind == "pix");
  }
  EXPECT_THAT(shown, testing::ElementsAre("oakgate-cisco.7 ios", "oakgate-cisco.7 pix", "oakgate.yaml.5 ios",
                                          "oakgate.yaml.5 pix", "oakgated.8 ios", "oakgated.8 pix"));
}

std::set<std::string> pairs_of(const PeerConfig& peer, bool mirrored) {
  std::set<std::string> out;
  for (const TunnelConfig& tunnel : peer.tunnels) {
    for (const SelectorPair& pair : tunnel.pairs) {
      const std::string text = pair.to_string();
      const std::size_t middle = text.find(" === ");
      out.insert(mirrored ? text.substr(middle + 5) + " === " + text.substr(0, middle) : text);
    }
  }
  return out;
}

// What oakgate.yaml(5) shows of the devices is the other side of its example.
TEST(Manual, TheDevicesMirrorTheExample) {
  const auto outcome = example();
  ASSERT_TRUE(outcome.config);
  std::size_t next = 0;
  for (const Shown& device : devices()) {
    if (device.page != "oakgate.yaml.5") continue;
    SCOPED_TRACE(device.kind);
    ASSERT_LT(next, outcome.config->peers.size());
    const PeerConfig& ours = outcome.config->peers[next++];
    const Config config = imported(device);
    ASSERT_EQ(config.peers.size(), 1U);
    const PeerConfig& theirs = config.peers[0];
    EXPECT_EQ(config.gateway.listen.at(0).to_string(), ours.address.to_string());
    EXPECT_EQ(to_string(theirs.policies.at(0)), to_string(ours.policies.at(0)));
    EXPECT_EQ(theirs.policies.at(0).lifetime, ours.policies.at(0).lifetime);
    EXPECT_EQ(to_string(theirs.tunnels.at(0).transform_sets.at(0)),
              to_string(ours.tunnels.at(0).transform_sets.at(0)));
    EXPECT_EQ(theirs.tunnels.at(0).pfs, ours.tunnels.at(0).pfs);
    EXPECT_EQ(pairs_of(theirs, true), pairs_of(ours, false));
  }
  EXPECT_EQ(next, 2U);
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
