#include "pki/revocation_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "ike/crypto/distinguished_name.h"
#include "pki/ocsp.h"

namespace oakgate::pki {
namespace {

bool is_fetchable(std::string_view url) {
  constexpr std::array<std::string_view, 3> kSchemes = {"http://", "https://", "ldap://"};
  return std::any_of(kSchemes.begin(), kSchemes.end(), [url](std::string_view scheme) {
    return url.size() > scheme.size() &&
           std::equal(scheme.begin(), scheme.end(), url.begin(), [](char expected, char c) {
             return expected == (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
           });
  });
}

void add(std::vector<RevocationSource>& out, RevocationSource source) {
  const bool known = std::any_of(out.begin(), out.end(), [&source](const RevocationSource& other) {
    return other.kind == source.kind && other.url == source.url && other.request == source.request;
  });
  if (is_fetchable(source.url) && !known) out.push_back(std::move(source));
}

}  // namespace

std::string directory_url(const std::string& server, ByteView name) {
  std::string_view base = server;
  while (base.ends_with('/')) base.remove_suffix(1);
  const auto text = crypto::name_text(name);
  if (!text) return {};
  std::string out = std::string(base) + '/';
  for (const char c : *text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       std::string_view("-._~=,").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out + "?certificateRevocationList;binary?base";
}

std::vector<RevocationSource> crl_sources(const TrustpointConfig& trustpoint,
                                          const std::vector<Certificate>& certificates) {
  using Kind = RevocationSource::Kind;
  std::vector<RevocationSource> out;
  for (const std::string& url : trustpoint.crl.urls) add(out, {Kind::crl, url, true, {}, trustpoint.name});
  for (const Certificate& certificate : certificates) {
    const DistributionPoints points = certificate.crl_distribution_points();
    for (const std::string& url : points.urls) add(out, {Kind::crl, url, false, {}, trustpoint.name});
    if (trustpoint.crl.ldap.empty()) continue;
    for (const Bytes& name : points.directory_names) {
      add(out, {Kind::crl, directory_url(trustpoint.crl.ldap, name), true, {}, trustpoint.name});
    }
  }
  return out;
}

std::vector<RevocationSource> ocsp_sources(const TrustpointConfig& trustpoint,
                                           const std::vector<Certificate>& path) {
  using Kind = RevocationSource::Kind;
  std::vector<RevocationSource> out;
  for (std::size_t index = 0; index + 1 < path.size(); ++index) {
    const auto named = path[index].ocsp_urls();
    if (trustpoint.ocsp_urls.empty() && named.empty()) continue;
    const auto request = ocsp_request(path[index], path[index + 1]);
    if (!request) continue;
    for (const std::string& url : trustpoint.ocsp_urls)
      add(out, {Kind::ocsp, url, true, *request, trustpoint.name});
    for (const std::string& url : named) add(out, {Kind::ocsp, url, false, *request, trustpoint.name});
  }
  return out;
}

}  // namespace oakgate::pki
