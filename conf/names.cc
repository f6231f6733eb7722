// The part of values.h that is about names of the X.500 and the URL kind: their form, as far as a slip of the
// fingers shows in it. RFC 4514 section 3, RFC 3986 section 3.
#include <algorithm>
#include <array>
#include <cctype>

#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr std::size_t kMaxDistinguishedName = 1024;
constexpr std::size_t kMaxUrl = 1024;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// "CN" or "2.5.4.3".
bool is_attribute_type(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '.');
  });
}

// The parts between commas and plus signs that are not escaped or in quotes (RFC 4514 section 2.4; quotes are
// RFC 2253's).
std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && (text[i] == ',' || text[i] == '+')) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool is_port(std::string_view text) {
  const auto port = parse_integer(text, 1, 65535);
  return port.has_value();
}

// HOST, HOST:PORT, [IPV6] or [IPV6]:PORT.
bool is_authority(std::string_view text) {
  if (text.starts_with("[")) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    const auto address = IpAddress::parse(text.substr(1, end - 1));
    const std::string_view rest = text.substr(end + 1);
    return address && !address->is_v4() && (rest.empty() || (rest[0] == ':' && is_port(rest.substr(1))));
  }
  const std::size_t colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  if (colon != std::string_view::npos && !is_port(text.substr(colon + 1))) return false;
  return IpAddress::parse(host).has_value() || parse_host_name(host).has_value();
}

}  // namespace

Parsed<std::string> parse_distinguished_name(std::string_view text) {
  const std::string expected = "attributes with commas between, most specific first: dn:CN=gw-a,O=corp";
  if (text.size() > kMaxDistinguishedName) {
    return fault("the distinguished name is too long",
                 "at most " + std::to_string(kMaxDistinguishedName) + " bytes");
  }
  for (const std::string_view part : parts_of(text)) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos || !is_attribute_type(trimmed(part.substr(0, equals))) ||
        trimmed(part.substr(equals + 1)).empty()) {
      return fault(quote(trimmed(part)) + " is no part of a distinguished name", expected);
    }
  }
  return std::string(text);
}

Parsed<std::string> parse_url(std::string_view text, std::span<const std::string_view> schemes) {
  std::string expected;
  for (const std::string_view scheme : schemes) {
    expected += (expected.empty() ? "" : " or ") + std::string(scheme) + "://HOST/...";
  }
  const auto bad = fault(quote(text) + " is not a URL we can fetch from", expected);
  const bool visible = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  const std::size_t colon = text.find("://");
  if (!visible || text.size() > kMaxUrl || colon == std::string_view::npos) return bad;
  if (std::find(schemes.begin(), schemes.end(), text.substr(0, colon)) == schemes.end()) return bad;
  const std::string_view rest = text.substr(colon + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.find('@') != std::string_view::npos) {
    // Not quoted: what stands before the sign may be a password.
    return fault("the URL holds a user's name", expected + ", without a user: URLs are logged");
  }
  if (!is_authority(authority)) return bad;
  return std::string(text);
}

}  // namespace oakgate::conf
