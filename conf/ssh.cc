// `ssh:`, logins by certificate.
#include "conf/ssh.h"

#include <algorithm>
#include <array>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"
#include "ike/base/algorithms.h"

namespace oakgate::conf {

namespace {

constexpr std::size_t kMaxBanner = 1024;
constexpr std::size_t kMaxOperators = 1000;
constexpr Seconds kMinIdle{10};
constexpr Seconds kMaxIdle{86400};

constexpr auto kLdap = std::to_array<std::string_view>({"ldap"});

LoginCertificates read_certificates(const Field& field, const std::string& folder) {
  constexpr auto kKeys = std::to_array<std::string_view>({"folder", "ldap"});
  constexpr std::string_view kShape = "{folder: PATH} or {ldap: \"ldap://HOST/...?(uid=%u)\"}";
  LoginCertificates certificates;
  if (!require_map(field, kShape)) return certificates;
  const MapReader map(field, kKeys);
  const auto path = map.optional("folder");
  const auto url = map.optional("ldap");
  if (path.has_value() == url.has_value()) {
    field.fail({path ? "names two places" : "names no place", std::string(kShape)});
    return certificates;
  }
  if (path) certificates.folder = read_path(*path, folder).value_or("");
  if (!url) return certificates;
  const auto text =
      read(*url, "an ldap: URL", [](std::string_view given) { return parse_url(given, kLdap); });
  if (!text) return certificates;
  if (text->find("%u") == std::string::npos) {
    url->fail({"the URL leads to the same certificates for every user",
               "%u in it where the user's name belongs: "
               "\"ldap://HOST/ou=people,o=corp?userCertificate;binary?sub?(uid=%u)\""});
    return certificates;
  }
  certificates.ldap = *text;
  return certificates;
}

Parsed<std::string> parse_login_name(std::string_view text) {
  if (is_login_name(text)) return std::string(text);
  return fault(quote(text) + " is not a user's name",
               "letters, digits, `_`, `.`, `-` and `@`, at most " + std::to_string(kMaxLoginName));
}

std::vector<std::string> read_users(const Field& field) {
  std::vector<std::string> users;
  for (const Field& item : one_or_many(field, "a user's name or a list of them")) {
    auto user = read(item, "a user's name", parse_login_name);
    if (!user) continue;
    if (std::find(users.begin(), users.end(), *user) != users.end()) {
      item.fail({quote(*user) + " is listed twice", "each user once"});
    } else if (users.size() == kMaxOperators) {
      item.fail({"the list is too long", "at most " + std::to_string(kMaxOperators) + " users"});
      break;
    } else {
      users.push_back(std::move(*user));
    }
  }
  return users;
}

Parsed<std::string> parse_banner(std::string_view text) {
  const bool shown = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (shown && text.size() <= kMaxBanner) return std::string(text);
  return fault(shown ? "the banner is too long" : "the banner has characters that a terminal may not show",
               "printable ASCII, at most " + std::to_string(kMaxBanner) + " of it");
}

Parsed<Seconds> parse_idle(std::string_view text) {
  if (text == "none") return Seconds{0};
  return parse_duration(text, kMinIdle, kMaxIdle);
}

void read_login_rules(const MapReader& map, SshConfig& ssh) {
  if (const auto name = map.required("username",
                                     "the certificate's field that is the user's name, as "
                                     "`authorization username` says on IOS")) {
    ssh.username = choice(*name, kLoginNames).value_or(LoginName::subject_common_name);
  }
  if (const auto domain = map.optional("domain")) {
    ssh.domain = read(*domain, "a domain's name", parse_host_name).value_or("");
    if (ssh.username != LoginName::san_email && ssh.username != LoginName::san_upn)
      domain->fail({"no domain stands behind a subject's name", "`username: san-email` or `san-upn`"});
  }
  if (const auto usage = map.optional("extended_key_usage"))
    ssh.extended_key_usage = choice(*usage, kLoginUsages).value_or(LoginUsage::ssh);
  if (const auto revocation = map.optional("revocation")) ssh.revocation = choice(*revocation, kRevocations);
  if (const auto bits = map.optional("min_rsa_bits")) {
    const auto number = read(*bits, "a number of bits",
                             [](std::string_view text) { return parse_integer(text, 1024, kMaxRsaBits); });
    if (number) ssh.min_rsa_bits = static_cast<int>(*number);
  }
}

}  // namespace

std::optional<SshConfig> read_ssh(const Field& field, const std::string& folder,
                                  const Trustpoints& trustpoints) {
  constexpr auto kKeys = std::to_array<std::string_view>(
      {"trustpoint", "certificates", "username", "domain", "extended_key_usage", "revocation", "min_rsa_bits",
       "change", "idle_timeout", "banner", "folder", "files"});
  if (!require_map(field, kKeys)) return std::nullopt;
  const std::size_t before = field.report->count();
  const MapReader map(field, kKeys);
  SshConfig ssh;
  if (const auto trustpoint = map.required("trustpoint", "the name of one of `trustpoints`")) {
    if (const auto name = free_text(*trustpoint, "the name of one of `trustpoints`")) {
      ssh.trustpoint = *name;
      [[maybe_unused]] const auto found = refer(*trustpoint, *name, trustpoints, "trustpoint", "trustpoints");
    }
  }
  if (const auto certificates = map.required("certificates", "{folder: PATH} or {ldap: URL}"))
    ssh.certificates = read_certificates(*certificates, folder);
  read_login_rules(map, ssh);
  if (const auto users = map.optional("change")) ssh.change = read_users(*users);
  if (const auto idle = map.optional("idle_timeout"))
    ssh.idle_timeout = read(*idle, "a duration like 10m, or none", parse_idle).value_or(ssh.idle_timeout);
  if (const auto banner = map.optional("banner"))
    ssh.banner = read(*banner, "a text", parse_banner).value_or("");
  if (const auto path = map.optional("folder")) ssh.folder = read_path(*path, folder).value_or("");
  if (const auto path = map.optional("files")) ssh.files = read_path(*path, folder).value_or("");
  if (field.report->count() != before) return std::nullopt;
  return ssh;
}

bool may_change(const SshConfig& ssh, const std::string& user) {
  return std::find(ssh.change.begin(), ssh.change.end(), user) != ssh.change.end();
}

}  // namespace oakgate::conf
