// Trustpoints, their certificates, and peers' RSA keys.
#include <algorithm>

#include "conf/cisco/reading.h"

namespace oakgate::conf::cisco {

namespace {

constexpr std::size_t kMaxCertificate = 65536;

Trustpoint& trustpoint_of(Reading& in, std::string_view name, int line) {
  auto& all = in.model.trustpoints;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Trustpoint& one) { return one.name == name; });
  if (found != all.end()) return *found;
  Trustpoint& fresh = all.emplace_back();
  fresh.line = line;
  fresh.name = std::string(name);
  return fresh;
}

// IOS adds the program's path itself if the URL has none.
std::string scep_url(std::string_view url) {
  std::string out(url);
  const std::size_t host = out.find("://");
  const std::size_t path = host == std::string::npos ? out.find('/') : out.find('/', host + 3);
  if (host == std::string::npos) out.insert(0, "http://");
  if (path == std::string::npos) out += "/cgi-bin/pkiclient.exe";
  return out;
}

void set_word(Reading& in, Trustpoint& trustpoint, const Line& line) {
  const auto is = [&](std::initializer_list<std::string_view> words) { return line.begins(words); };
  if (is({"enrollment", "url"})) {
    trustpoint.url = scep_url(line.word(2));
  } else if (is({"enrollment", "mode", "ra"})) {
    trustpoint.ra = true;
  } else if (is({"enrollment", "retry", "count"})) {
    trustpoint.retry_count = number(line.word(3), 1, 100).value_or(0);
  } else if (is({"enrollment", "retry", "period"})) {
    trustpoint.retry_minutes = number(line.word(3), 1, 60).value_or(0);
  } else if (is({"query", "url"})) {
    trustpoint.ldap = std::string(line.word(2));
  } else if (is({"crl", "optional"}) || is({"crl", "nocheck"})) {
    trustpoint.revocation = "crl-optional";
  } else if (is({"revocation-check", "none"})) {
    trustpoint.revocation = "none";
  } else if (line.word(0) == "revocation-check") {
    trustpoint.revocation = line.words.back() == "none" ? "crl-optional" : "crl";
  } else if (is({"crl", "configure"}) || is({"enrollment", "self"}) || line.word(0) == "usage") {
    note(in, line, "nothing in oakgate's configuration corresponds to it");
  } else {
    note(in, line, "`oakgate pki enroll` takes what a request says; see oakgate(8)");
  }
}

bool is_hex(std::string_view word) {
  return word.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

void append_hex(std::string& out, const Line& line) {
  for (const std::string& word : line.words) {
    if (is_hex(word) && out.size() < 2 * kMaxCertificate) out += word;
  }
}

Bytes decode(std::string_view digits) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

// Whether it is one DER sequence, as long as it says.
bool whole_certificate(const Bytes& der) {
  if (der.size() < 4 || der[0] != 0x30) return false;
  if (der[1] < 0x80) return der.size() == std::size_t{der[1]} + 2;
  const std::size_t count = der[1] & 0x7fU;
  if (count == 0 || count > 3 || der.size() < 2 + count) return false;
  std::size_t length = 0;
  for (std::size_t i = 0; i < count; ++i) length = length << 8 | der[2 + i];
  return der.size() == length + 2 + count;
}

void keep_certificate(Reading& in, Trustpoint& trustpoint, const Line& head, Bytes der) {
  if (!whole_certificate(der)) {
    note(in, head, "the certificate's bytes are not all there");
  } else if (head.word(1) == "ca") {
    trustpoint.ca_certificate = std::move(der);
  } else if (head.word(1).starts_with("ra-")) {
    note(in, head, "certificates of a registration authority are fetched by `oakgate pki authenticate`");
  } else if (!trustpoint.certificate.empty()) {
    note(in, head, "a second certificate of ours, of usage keys as a rule: see `encryption_certificate`");
  } else {
    trustpoint.certificate = std::move(der);
  }
}

}  // namespace

void read_trustpoint(Reading& in, const Command& command) {
  Trustpoint& trustpoint = trustpoint_of(in, command.line.word(3), command.line.number);
  for (const Line& line : command.body) set_word(in, trustpoint, line);
}

void read_certificate_chain(Reading& in, const Command& command) {
  Trustpoint& trustpoint = trustpoint_of(in, command.line.word(4), command.line.number);
  const Line* head = nullptr;
  std::string digits;
  for (const Line& line : command.body) {
    if (line.word(0) != "certificate") {
      append_hex(digits, line);
      continue;
    }
    if (head != nullptr) keep_certificate(in, trustpoint, *head, decode(digits));
    head = &line;
    digits.clear();
  }
  if (head != nullptr) keep_certificate(in, trustpoint, *head, decode(digits));
}

// ca identity NAME SERVER[:PATH] [LDAP-SERVER]
void read_ca_identity(Reading& in, const Command& command) {
  const Line& line = command.line;
  Trustpoint& trustpoint = trustpoint_of(in, line.word(2), line.number);
  const std::string_view server = line.word(3);
  const std::size_t colon = server.find(':');
  std::string url = "http://" + std::string(server.substr(0, colon));
  const std::string_view path =
      colon == std::string_view::npos ? std::string_view("/cgi-bin") : server.substr(colon + 1);
  if (!path.starts_with("/")) url += "/";
  url += path;
  if (!url.ends_with(".exe") && !url.ends_with(".dll")) url += "/pkiclient.exe";
  trustpoint.url = url;
  if (!line.word(4).empty()) trustpoint.ldap = "ldap://" + std::string(line.word(4));
}

// ca configure NAME ca|ra RETRY-PERIOD RETRY-COUNT [crloptional]
void read_ca_configure(Reading& in, const Command& command) {
  const Line& line = command.line;
  Trustpoint& trustpoint = trustpoint_of(in, line.word(2), line.number);
  trustpoint.ra = line.word(3) == "ra";
  trustpoint.retry_minutes = number(line.word(4), 0, 60).value_or(0);
  trustpoint.retry_count = number(line.word(5), 0, 100).value_or(0);
  if (line.words.back() == "crloptional") trustpoint.revocation = "crl-optional";
}

void read_pubkey_chain(Reading& in, const Command& command) {
  PublicKey* key = nullptr;
  for (const Line& line : command.body) {
    if (line.word(0) == "named-key" || line.word(0) == "addressed-key") {
      key = &in.model.public_keys.emplace_back();
      key->line = line.number;
      key->name = std::string(line.word(1));
      if (line.word(2) == "signature") note(in, line, "the key is taken for encrypted nonces");
    } else if (key == nullptr || line.word(0) == "address") {
      continue;
    } else {
      // The word `key-string` and its digits, in one line or in many.
      append_hex(key->hexadecimal, line);
    }
  }
}

}  // namespace oakgate::conf::cisco
