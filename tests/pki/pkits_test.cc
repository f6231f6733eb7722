// NIST's PKITS: every test gives its verdict, but for those that tests/vectors/pkits/left_out.tsv names.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "pki/revocation.h"
#include "tests/pki/support/ca.h"
#include "tests/support/files.h"

namespace oakgate::pki {
namespace {

constexpr const char* kFolder = "tests/vectors/pkits/";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) out.push_back(part);
  return out;
}

std::vector<std::vector<std::string>> table(const std::string& name) {
  std::vector<std::vector<std::string>> out;
  for (const std::string& line : split(test::read_text(kFolder + name), '\n'))
    out.push_back(split(line, '\t'));
  out.erase(out.begin());  // headings
  return out;
}

Certificate certificate(const std::string& name) {
  return Certificate::parse(test::read_file(kFolder + ("certs/" + name + ".crt"))).value();
}

std::string policy_oid(const std::string& name) {
  return name == "anyPolicy" ? "2.5.29.32.0" : "2.16.840.1.101.3.2.1.48." + name.substr(name.rfind('-') + 1);
}

void set_policies(PathSettings& settings, const std::string& text) {
  settings.check_policies = true;
  for (std::string setting : split(text, ';')) {
    setting.erase(0, setting.find_first_not_of(' '));
    const std::string name = setting.substr(0, setting.find('='));
    const std::string value = setting.substr(setting.find('=') + 1);
    if (name == "SetInitialExplicitPolicy") settings.explicit_policy = value == "true";
    if (name == "SetInitialInhibitAnyPolicy") settings.inhibit_any_policy = value == "true";
    if (name == "SetInitialPolicyMappingInhibit") settings.inhibit_mapping = value == "true";
    if (name != "SetInitialPolicySet") continue;
    for (const std::string& policy : split(value.substr(1, value.size() - 2), ',')) {
      settings.policies.push_back(policy_oid(policy));
    }
  }
}

// Empty: valid. Else why not.
std::string verdict(const std::vector<std::string>& row) {
  RevocationInput input;
  const auto names = split(row[3], ',');
  input.settings.anchors = {certificate(names.front())};
  for (std::size_t index = 1; index + 1 < names.size(); ++index) {
    input.settings.intermediates.push_back(certificate(names[index]));
  }
  input.settings.allow_weak.algorithms = {Weak::sha, Weak::rsa_1024};  // its DSA keys
  set_policies(input.settings, row.size() > 5 ? row[5] : "");
  const auto path = build_path(certificate(names.back()), input.settings, test::kTestNow);
  if (!path) return path.error().text;
  if (auto strong = check_strength(*path, input.settings.allow_weak, test::kTestNow); !strong) {
    return strong.error().text;
  }
  input.path = *path;
  for (const std::string& name : split(row[4], ',')) {
    if (auto crl = Crl::parse(test::read_file(kFolder + ("crls/" + name + ".crl"))))
      input.crls.push_back(*crl);
  }
  const RevocationFinding finding = check_revocation(input, test::kTestNow);
  if (finding.revoked) return finding.revoked->text;
  return finding.unknown ? finding.unknown->text : std::string();
}

TEST(Pkits, EveryApplicableTestGivesItsVerdict) {
  std::map<std::string, std::string> left_out;
  for (const auto& row : table("left_out.tsv")) left_out[row.at(1)] = row.at(2);
  std::size_t run = 0;
  for (const auto& row : table("pkits_tests.tsv")) {
    const std::string why = verdict(row);
    const bool agrees = why.empty() == (row[2] == "VALID");
    if (left_out.contains(row[1])) {
      // What is left out would fail: nothing is on the list that need not be.
      EXPECT_FALSE(agrees) << row[0] << ' ' << row[1] << " is left out, and agrees";
      continue;
    }
    EXPECT_TRUE(agrees) << row[0] << ' ' << row[1] << " should be " << row[2] << ": " << why;
    ++run;
  }
  EXPECT_EQ(run + left_out.size(), 249U);
}

}  // namespace
}  // namespace oakgate::pki
