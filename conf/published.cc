#include "conf/published.h"

#include <algorithm>

#include "conf/sections.h"
#include "conf/text.h"
#include "ike/base/algorithms.h"

namespace oakgate::conf {

namespace {

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + double_quoted(text);
  return out + "]";
}

std::string date_text(std::chrono::sys_days date) {
  const std::chrono::year_month_day day(date);
  const auto two = [](unsigned number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return std::to_string(static_cast<int>(day.year())) + "-" + two(static_cast<unsigned>(day.month())) + "-" +
         two(static_cast<unsigned>(day.day()));
}

std::string waiver_text(const WeakWaiver& waiver) {
  std::vector<std::string> words;
  for (const Weak weak : waiver.algorithms) words.emplace_back(weak_word(weak));
  std::string out = "{algorithms: " + quoted_list(words);
  if (waiver.until) out += ", until: " + date_text(*waiver.until);
  if (!waiver.reason.empty()) out += ", reason: " + double_quoted(waiver.reason);
  return out + "}";
}

std::string trustpoint_text(const TrustpointConfig& trustpoint, RevocationCheck revocation,
                            const PublishedFiles& files) {
  std::string out = "    ca: " + double_quoted(files.ca) + "\n";
  out += "    revocation: " + std::string(word_of(revocation, kRevocations)) + "\n";
  out += "    crl:\n      files: " + double_quoted(files.crls) + "\n";
  if (!trustpoint.crl.urls.empty()) out += "      urls: " + quoted_list(trustpoint.crl.urls) + "\n";
  if (!trustpoint.crl.ldap.empty()) out += "      ldap: " + double_quoted(trustpoint.crl.ldap) + "\n";
  if (!trustpoint.ocsp_urls.empty()) out += "    ocsp: {urls: " + quoted_list(trustpoint.ocsp_urls) + "}\n";
  if (!trustpoint.allow_weak.algorithms.empty())
    out += "    allow_weak: " + waiver_text(trustpoint.allow_weak) + "\n";
  return out;
}

std::string ssh_text(const SshConfig& ssh) {
  std::string out = "  trustpoint: " + double_quoted(ssh.trustpoint) + "\n";
  out += ssh.certificates.ldap.empty()
             ? "  certificates: {folder: " + double_quoted(ssh.certificates.folder) + "}\n"
             : "  certificates: {ldap: " + double_quoted(ssh.certificates.ldap) + "}\n";
  out += "  username: " + std::string(word_of(ssh.username, kLoginNames)) + "\n";
  if (!ssh.domain.empty()) out += "  domain: " + double_quoted(ssh.domain) + "\n";
  out += "  extended_key_usage: " + std::string(word_of(ssh.extended_key_usage, kLoginUsages)) + "\n";
  out += "  min_rsa_bits: " + std::to_string(ssh.min_rsa_bits) + "\n";
  if (!ssh.change.empty()) out += "  change: " + quoted_list(ssh.change) + "\n";
  const auto idle = ssh.idle_timeout.count();
  out += "  idle_timeout: " + (idle == 0 ? "none" : std::to_string(idle)) + "\n";
  if (!ssh.banner.empty()) out += "  banner: " + double_quoted(ssh.banner) + "\n";
  out += "  folder: " + double_quoted(ssh.folder) + "\n";
  if (!ssh.files.empty()) out += "  files: " + double_quoted(ssh.files) + "\n";
  return out;
}

}  // namespace

std::string published_yaml(const Config& config, const PublishedFiles& files) {
  const SshConfig& ssh = *config.ssh;
  std::string out =
      "# Written by oakgated, for logins by SSH: oakgate-ssh(7). Change oakgate.yaml instead.\n";
  out += "gateway:\n  control_socket: " + double_quoted(config.gateway.control_socket) + "\n";
  if (!config.gateway.name.empty()) out += "  name: " + double_quoted(config.gateway.name) + "\n";
  if (const TrustpointConfig* trustpoint = find_trustpoint(config, ssh.trustpoint)) {
    out += "trustpoints:\n  " + double_quoted(trustpoint->name) + ":\n" +
           trustpoint_text(*trustpoint, ssh.revocation.value_or(trustpoint->revocation), files);
  }
  return out + "ssh:\n" + ssh_text(ssh);
}

}  // namespace oakgate::conf
