// conf/oakgate.schema.json against the code: it has exactly the keys that each section accepts, and no word
// that is not accepted. That the samples fit it is scripts/check-schema's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "support.h"

namespace oakgate::conf {
namespace {

using Json = nlohmann::json;

Json schema() {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  std::ifstream stream(std::filesystem::path(root == nullptr ? "." : root) / "conf/oakgate.schema.json");
  return Json::parse(stream);
}

std::string replaced(std::string text, const std::string& with) {
  text.replace(text.find('?'), 1, with);
  return text;
}

// The keys that the code accepts in place of the `?: 1`, asked by the error for one that it does not.
std::set<std::string> keys_of_code(const std::string& probe) {
  std::set<std::string> keys;
  for (const Issue& issue : parse_config(replaced(probe, "zzzz"), "f").issues) {
    if (!issue.message.starts_with("`zzzz`")) continue;
    std::string text = issue.expected;
    for (char& c : text) c = c == ',' ? ' ' : c;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      if (word != "or") keys.insert(word);
    }
  }
  return keys;
}

struct Section {
  const char* probe;    // a configuration with `?: 1` where the section's keys stand
  const char* pointer;  // the section in the schema
};
const Section kSections[] = {
    {"?: 1", ""},
    {"gateway: {?: 1}", "/definitions/gateway"},
    {"gateway: {half_open: {?: 1}}", "/definitions/gateway/properties/half_open"},
    {"isakmp_policies: {1: {?: 1}}", "/definitions/isakmp_policy"},
    {"transform_sets: {s: {?: 1}}", "/definitions/transform_set/anyOf/1"},
    {"keys: {k: {?: 1}}", "/definitions/key"},
    {"public_keys: {k: {?: 1}}", "/definitions/public_key"},
    {"trustpoints: {c: {?: 1}}", "/definitions/trustpoint"},
    {"trustpoints: {c: {crl: {?: 1}}}", "/definitions/trustpoint/properties/crl"},
    {"trustpoints: {c: {enrollment: {?: 1}}}", "/definitions/trustpoint/properties/enrollment"},
    {"ssh: {?: 1}", "/definitions/ssh"},
    {"ssh: {certificates: {?: 1}}", "/definitions/ssh/properties/certificates"},
    {"peers: {b: {?: 1}}", "/definitions/peer"},
    {"peers: {b: {dpd: {?: 1}}}", "/definitions/peer/properties/dpd/anyOf/1"},
    {"peers: {b: {allow_weak: {?: 1}}}", "/definitions/allow_weak"},
    {"peers: {b: {rsa_encr: {?: 1}}}", "/definitions/peer/properties/rsa_encr"},
    {"peers: {b: {tunnels: {l: {?: 1}}}}", "/definitions/tunnel"},
    {"peers: {b: {tunnels: {l: {lifetime: {?: 1}}}}}", "/definitions/tunnel/properties/lifetime"},
    {"peers: {b: {tunnels: {l: {interface: {?: 1}}}}}", "/definitions/tunnel/properties/interface/anyOf/1"},
};

TEST(Schema, HasTheKeysOfEachSection) {
  const Json json = schema();
  for (const Section& section : kSections) {
    std::set<std::string> shown;
    for (const auto& [key, value] : json.at(Json::json_pointer(section.pointer)).at("properties").items())
      shown.insert(key);
    EXPECT_EQ(shown, keys_of_code(section.probe)) << section.probe;
  }
}

// The words of `property`, however it comes by them.
std::vector<std::string> words_of(const Json& root, const Json& property) {
  std::vector<std::string> words;
  if (property.contains("$ref")) {
    return words_of(root, root.at(Json::json_pointer(property["$ref"].get<std::string>().substr(1))));
  }
  for (const Json& word : property.value("enum", Json::array())) {
    words.push_back(word.is_string() ? word.get<std::string>() : word.dump());
  }
  for (const Json& form : property.value("anyOf", Json::array())) {
    for (const std::string& word : words_of(root, form)) words.push_back(word);
  }
  return words;
}

TEST(Schema, HasNoWordThatIsNotAccepted) {
  const Json json = schema();
  std::size_t words = 0;
  for (const Section& section : kSections) {
    for (const auto& [key, property] :
         json.at(Json::json_pointer(section.pointer)).at("properties").items()) {
      for (const std::string& word : words_of(json, property)) {
        std::string text = replaced(section.probe, key);
        text.replace(text.find(": 1"), 3, ": " + word);
        for (const Issue& issue : parse_config(text, "f").issues) {
          EXPECT_EQ(issue.message.find("not known here"), std::string::npos) << text << "\n" << issue.message;
        }
        ++words;
      }
    }
  }
  EXPECT_GT(words, 30U);
}

}  // namespace
}  // namespace oakgate::conf
