// What yaml-cpp alone takes to parse a file, with a handler that does nothing: what checking and reloading a
// configuration are measured against (configuration_rows.py). Prints the processor time of each round.
#include <time.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/parser.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace {

class Nothing final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override { ++nodes; }
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { ++nodes; }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {
    ++nodes;
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    ++nodes;
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    ++nodes;
  }
  void OnMapEnd() override {}
  std::size_t nodes = 0;
};

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  std::string file;
  int rounds = 5;
  CLI::App app("parses a YAML file and forgets it", "yaml_parse");
  app.add_option("FILE", file)->required();
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  nlohmann::json seconds = nlohmann::json::array();
  Nothing handler;
  for (int i = 0; i < rounds; ++i) {
    std::istringstream stream(text.str());
    const double start = processor_seconds();
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(handler)) continue;
    seconds.push_back(processor_seconds() - start);
  }
  std::cout << nlohmann::json{{"bytes", text.str().size()},
                              {"nodes", handler.nodes / static_cast<std::size_t>(rounds)},
                              {"seconds", seconds}}
            << "\n";
  return handler.nodes == 0 ? 1 : 0;
}
