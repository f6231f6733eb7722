// What bash is told at each TAB; scripts/completion/oakgate is tried in tests/net/commands.sh.
#include "daemon/cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/cli/arguments.h"

namespace oakgate::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

using Words = std::vector<std::string>;

class Completion : public testing::Test {
 protected:
  [[nodiscard]] Words of(const Words& words) {
    return completions(words,
                       {[this] {
                          return asked_for("peers", {"branch-7", "pix-520"});
                        },
                        [this] {
                          return asked_for("targets", {"branch-7", "branch-7/lan", "pix-520", "pix-520/dmz"});
                        },
                        [this] { return asked_for("trustpoints", {"corp"}); },
                        [this] { return asked_for("keys", {"main"}); }});
  }
  Words asked_for(const std::string& what, Words names) {
    asked.push_back(what);
    return names;
  }
  Words asked;
};

TEST_F(Completion, Verbs) {
  EXPECT_THAT(of({""}), IsSupersetOf({"status", "up", "show", "pki", "import", "shell"}));
  EXPECT_THAT(of({"st"}), ElementsAre("status"));
  EXPECT_THAT(of({"show", "crypto", "isakmp", ""}), ElementsAre("policy", "sa"));
  EXPECT_THAT(of({"sh", "cr", "isa", ""}), ElementsAre("policy", "sa")) << "cut as IOS takes them";
  EXPECT_THAT(of({"he"}), ElementsAre("help"));
  EXPECT_THAT(of({"help", "st"}), ElementsAre("status"));
  EXPECT_THAT(of({"no-such-verb", ""}), IsEmpty());
  EXPECT_THAT(of({}), Contains("status"));
  EXPECT_THAT(asked, IsEmpty()) << "no daemon is bothered for verbs";
}

// Every verb of the table is reached: at each place the words that follow are offered.
TEST_F(Completion, HasTheTablesEveryVerb) {
  std::vector<Words> paths{{}};
  std::size_t reached = 0;
  while (!paths.empty()) {
    const Words path = paths.back();
    paths.pop_back();
    Words typed = path;
    typed.emplace_back();
    const Words offered = of(typed);
    for (const NextWord& next : next_words(path)) {
      if (next.word[0] >= 'A' && next.word[0] <= 'Z') continue;
      EXPECT_THAT(offered, Contains(next.word));
      paths.push_back(path);
      paths.back().push_back(next.word);
      ++reached;
    }
  }
  EXPECT_GT(reached, 40U);
}

TEST_F(Completion, NamesOfPeersAndTunnels) {
  EXPECT_THAT(of({"up", ""}), ElementsAre("branch-7", "branch-7/lan", "pix-520", "pix-520/dmz"));
  EXPECT_THAT(of({"down", "pix-520/"}), ElementsAre("pix-520/dmz"));
  EXPECT_THAT(of({"explain", "b"}), ElementsAre("branch-7"));
  EXPECT_THAT(of({"up", "branch-7", ""}), IsEmpty()) << "it takes one";
  EXPECT_THAT(of({"--socket", "/run/x.sock", "up", "p"}), ElementsAre("pix-520", "pix-520/dmz"));
}

TEST_F(Completion, NamesOfTheConfiguration) {
  EXPECT_THAT(of({"pki", "enroll", ""}), ElementsAre("corp"));
  EXPECT_THAT(of({"pki", "show", "key", ""}), ElementsAre("corp", "main"));
  EXPECT_THAT(of({"pki", "import", "corp", ""}), ElementsAre(kFileNames));
  EXPECT_THAT(of({"check", ""}), ElementsAre(kFileNames));
}

TEST_F(Completion, Options) {
  EXPECT_THAT(
      of({"export", "cisco", "pix-520", "--"}),
      IsSupersetOf({"--address", "--config", "--dialect", "--help", "--interface", "--json", "--socket"}));
  EXPECT_THAT(of({"export", "cisco", "pix-520", "--di"}), ElementsAre("--dialect"));
  EXPECT_THAT(of({"up", "--"}), Not(Contains("--dialect")));
}

TEST_F(Completion, ValuesOfOptions) {
  EXPECT_THAT(of({"export", "cisco", "pix-520", "--dialect", ""}), UnorderedElementsAre("ios", "pix", "asa"));
  EXPECT_THAT(of({"export", "cisco", "--dialect", "=", "p"}), ElementsAre("pix"))
      << "as bash cuts --dialect=p";
  EXPECT_THAT(of({"export", "cisco", "--dialect", "="}), UnorderedElementsAre("ios", "pix", "asa"));
  EXPECT_THAT(of({"export", "cisco", "--dialect", "pix", ""}), ElementsAre("branch-7", "pix-520"));
  EXPECT_THAT(of({"pki", "generate-key", "main", "--type", ""}), UnorderedElementsAre("rsa", "ec"));
  EXPECT_THAT(of({"--socket", ""}), ElementsAre(kFileNames));
  EXPECT_THAT(of({"reload", "--confirm", ""}), IsEmpty()) << "a number";
}

}  // namespace
}  // namespace oakgate::cli
