// `keys:`, `public_keys:` and `trustpoints:`, what proves us and what we trust.
#include <algorithm>
#include <array>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/values.h"

namespace oakgate::conf {

namespace {

constexpr std::size_t kMaxPublicKey = 2048;  // bytes of DER: 8192 bits take half of it

constexpr Word<KeyUsage> kUsages[] = {
    {"general", KeyUsage::general}, {"signature", KeyUsage::signature}, {"encryption", KeyUsage::encryption}};
constexpr Word<ExtendedKeyUsage> kPurposes[] = {{"ike", ExtendedKeyUsage::ike},
                                                {"any", ExtendedKeyUsage::any}};
constexpr Word<EnrollmentMode> kModes[] = {{"ca", EnrollmentMode::ca}, {"ra", EnrollmentMode::ra}};

constexpr auto kHttp = std::to_array<std::string_view>({"http", "https"});
constexpr auto kLdap = std::to_array<std::string_view>({"ldap"});
constexpr auto kHttpOrLdap = std::to_array<std::string_view>({"http", "https", "ldap"});

// Every named entry of a section by `read_one`; an entry with a name that is none is reported and left out.
template <typename T, typename ReadOne>
Declared<T> read_declared(const Field& field, std::string_view expected, ReadOne read_one) {
  Declared<T> all;
  for (const Member& member : members(field, expected)) {
    if (const auto name = parse_name(member.name); !name) {
      member.key.fail(name.error());
      continue;
    }
    all.add(member, read_one(member));
  }
  return all;
}

// ---- keys and public_keys ------------------------------------------------------------------------------

std::optional<KeyConfig> read_key(const Member& member, const std::string& folder) {
  constexpr auto kKeys = std::to_array<std::string_view>({"file", "usage"});
  if (!require_map(member.value, "a map like {file: gw-a.key, usage: encryption}")) return std::nullopt;
  const MapReader map(member.value, kKeys);
  KeyConfig key;
  key.name = member.name;
  if (const auto usage = map.optional("usage")) {
    key.usage = choice(*usage, kUsages).value_or(KeyUsage::general);
  }
  const auto field = map.required("file", "the path of the private key's file");
  const auto path = field ? read_path(*field, folder) : std::nullopt;
  if (!path) return std::nullopt;
  key.file = *path;
  return key;
}

// RFC 5280 section 4.1: a SubjectPublicKeyInfo is a SEQUENCE, and nothing follows it. Whether it is an RSA
// key is told by whoever can read one.
Parsed<Bytes> parse_key_string(std::string_view text) {
  const std::string expected = "the hexadecimal behind `Key Data:` of `show crypto key mypubkey rsa`";
  auto der = from_hex(text);
  if (!der) return fault(quote(text) + " is not hexadecimal", expected);
  if (der->size() < 2 || der->size() > kMaxPublicKey || (*der)[0] != 0x30) {
    return fault(quote(text) + " is not a public key", expected);
  }
  return std::move(*der);
}

std::optional<PublicKeyConfig> read_public_key(const Member& member, const std::string& folder) {
  constexpr auto kKeys = std::to_array<std::string_view>({"file", "key_string"});
  constexpr std::string_view kShape = "{file: PATH} or {key_string: \"305C300D ...\"}";
  if (!require_map(member.value, kShape)) return std::nullopt;
  const MapReader map(member.value, kKeys);
  const auto file = map.optional("file");
  const auto hex = map.optional("key_string");
  if (file.has_value() == hex.has_value()) {
    member.key.fail({file ? "names two keys" : "names no key", std::string(kShape)});
    return std::nullopt;
  }
  PublicKeyConfig key;
  key.name = member.name;
  if (file) {
    const auto path = read_path(*file, folder);
    if (!path) return std::nullopt;
    key.file = *path;
    return key;
  }
  auto der = read(*hex, "hexadecimal", parse_key_string);
  if (!der) return std::nullopt;
  key.key_string = std::move(*der);
  return key;
}

// ---- trustpoints ---------------------------------------------------------------------------------------

std::vector<std::string> read_paths(const Field& field, std::string_view expected,
                                    const std::string& folder) {
  std::vector<std::string> paths;
  for (const Field& item : one_or_many(field, expected)) {
    const auto path = read_path(item, folder);
    if (!path) continue;
    if (std::find(paths.begin(), paths.end(), *path) != paths.end()) {
      item.fail({quote(*path) + " is listed twice", "each file once"});
    } else if (paths.size() == kMaxSources) {
      item.fail({"the list is too long", "at most " + std::to_string(kMaxSources) + " files"});
      break;
    } else {
      paths.push_back(*path);
    }
  }
  return paths;
}

std::vector<std::string> read_urls(const Field& field, std::span<const std::string_view> schemes) {
  std::vector<std::string> urls;
  for (const Field& item : one_or_many(field, "a URL or a list of URLs")) {
    const auto url =
        read(item, "a URL", [schemes](std::string_view text) { return parse_url(text, schemes); });
    if (!url) continue;
    if (std::find(urls.begin(), urls.end(), *url) != urls.end()) {
      item.fail({quote(*url) + " is listed twice", "each URL once"});
    } else if (urls.size() == kMaxSources) {
      item.fail({"the list is too long", "at most " + std::to_string(kMaxSources) + " URLs"});
      break;
    } else {
      urls.push_back(*url);
    }
  }
  return urls;
}

CrlSettings read_crl(const Field& field, const std::string& folder) {
  constexpr auto kKeys = std::to_array<std::string_view>({"files", "urls", "ldap"});
  CrlSettings crl;
  if (!require_map(field, "a map like {files: [corp.crl], urls: [http://ca.example/corp.crl]}")) return crl;
  const MapReader map(field, kKeys);
  if (const auto files = map.optional("files")) {
    crl.files = read_paths(*files, "a CRL's file or a list of files", folder);
  }
  if (const auto urls = map.optional("urls")) crl.urls = read_urls(*urls, kHttpOrLdap);
  if (const auto server = map.optional("ldap")) {
    crl.ldap = read(*server, "ldap://HOST", [](std::string_view text) {
                 return parse_url(text, kLdap);
               }).value_or("");
  }
  return crl;
}

std::vector<std::string> read_ocsp(const Field& field) {
  constexpr auto kKeys = std::to_array<std::string_view>({"urls"});
  if (!require_map(field, "a map like {urls: [http://ocsp.example]}")) return {};
  const MapReader map(field, kKeys);
  const auto urls = map.required("urls", "a list of URLs");
  return urls ? read_urls(*urls, kHttp) : std::vector<std::string>{};
}

std::optional<EnrollmentSettings> read_enrollment(const Field& field) {
  constexpr auto kKeys = std::to_array<std::string_view>({"url", "mode", "retry_period", "retry_count"});
  if (!require_map(field, "a map like {url: http://ca.example/cgi-bin/pkiclient.exe, mode: ra}"))
    return std::nullopt;
  const MapReader map(field, kKeys);
  EnrollmentSettings enrollment;
  if (const auto mode = map.optional("mode"))
    enrollment.mode = choice(*mode, kModes).value_or(EnrollmentMode::ca);
  if (const auto period = map.optional("retry_period")) {
    enrollment.retry_period = read(*period, "a duration like 5m", [](std::string_view text) {
                                return parse_duration(text, kMinRetryPeriod, kMaxRetryPeriod);
                              }).value_or(enrollment.retry_period);
  }
  if (const auto count = map.optional("retry_count")) {
    const auto value = read(*count, "a number, 0 for ever",
                            [](std::string_view text) { return parse_integer(text, 0, kMaxRetryCount); });
    if (value) enrollment.retry_count = static_cast<int>(*value);
  }
  const auto field_url = map.required("url", "the SCEP server's URL");
  const auto url =
      field_url ? read(*field_url, "a URL", [](std::string_view text) { return parse_url(text, kHttp); })
                : std::nullopt;
  if (!url) return std::nullopt;
  enrollment.url = *url;
  return enrollment;
}

// What one of a trustpoint's keys is for: its own file is of that usage, a declared one may not be of the
// other.
struct Purpose {
  std::string_view certificate;  // "certificate"
  std::string_view key;          // "key"
  std::string_view suffix;       // of the name of a key of its own
  KeyUsage usage;
  KeyUsage refused;
  std::string_view verb;
};
constexpr Purpose kSigning{"certificate", "key", "", KeyUsage::signature, KeyUsage::encryption, "signs"};
constexpr Purpose kDecrypting{"encryption_certificate", "encryption_key",    " encryption",
                              KeyUsage::encryption,     KeyUsage::signature, "decrypts"};

std::optional<KeyConfig> read_own_key(const Field& field, const Purpose& purpose, std::string_view trustpoint,
                                      const std::string& folder, const Keys& keys) {
  constexpr auto kKeys = std::to_array<std::string_view>({"file"});
  constexpr std::string_view kShape = "{file: PATH}, or the name of one of `keys`";
  if (field.node->kind == Node::Kind::scalar) {
    const auto name = free_text(field, kShape);
    if (!name) return std::nullopt;
    const Reference<KeyConfig> key = refer(field, *name, keys, "key", "keys");
    if (key.value == nullptr) return std::nullopt;
    if (key.value->usage == purpose.refused) {
      field.fail({quote(*name) + " is of usage " +
                      (purpose.refused == KeyUsage::encryption ? "encryption" : "signature") +
                      ", and the key here " + std::string(purpose.verb),
                  "a key of another usage: one key never does both"});
      return std::nullopt;
    }
    return *key.value;
  }
  if (!require_map(field, kShape)) return std::nullopt;
  const MapReader map(field, kKeys);
  const auto file = map.required("file", "the path of the private key's file");
  const auto path = file ? read_path(*file, folder) : std::nullopt;
  if (!path) return std::nullopt;
  KeyConfig key{std::string(trustpoint) + std::string(purpose.suffix), *path, purpose.usage};
  if (keys.by_name.contains(key.name)) {
    field.fail({"the key would be called " + quote(key.name) + ", as one of `keys` is already",
                "`" + std::string(purpose.key) + ": " + key.name +
                    "`, if that one is meant, or another name there"});
    return std::nullopt;
  }
  return key;
}

std::optional<OwnCertificateFiles> read_own(const MapReader& map, const Purpose& purpose,
                                            const Member& member, const std::string& folder,
                                            const Keys& keys) {
  const auto certificate = map.optional(purpose.certificate);
  const auto key_field = map.optional(purpose.key);
  if (!certificate && !key_field) return std::nullopt;
  std::optional<std::string> path;
  std::optional<KeyConfig> key;
  if (const auto field = map.required(purpose.certificate, "the path of our certificate's file, and " +
                                                               quote(purpose.key) + " with it")) {
    path = read_path(*field, folder);
  }
  if (const auto field =
          map.required(purpose.key, "the certificate's key: {file: PATH}, or the name of one of `keys`")) {
    key = read_own_key(*field, purpose, member.name, folder, keys);
  }
  if (!path || !key) return std::nullopt;
  return OwnCertificateFiles{std::move(*path), std::move(*key)};
}

std::optional<TrustpointConfig> read_trustpoint(const Member& member, const std::string& folder,
                                                const Keys& keys) {
  constexpr auto kKeys = std::to_array<std::string_view>(
      {"ca", "certificate", "key", "encryption_certificate", "encryption_key", "extended_key_usage",
       "revocation", "crl", "ocsp", "enrollment", "allow_weak"});
  if (!require_map(member.value, kKeys)) return std::nullopt;
  const Report& report = *member.value.report;
  const std::size_t before = report.count();
  const MapReader map(member.value, kKeys);
  TrustpointConfig trustpoint;
  trustpoint.name = member.name;
  constexpr std::string_view kCa = "the CA certificate's file, or a list of files";
  if (const auto ca = map.required("ca", kCa)) trustpoint.ca = read_paths(*ca, kCa, folder);
  trustpoint.own = read_own(map, kSigning, member, folder, keys);
  trustpoint.own_encryption = read_own(map, kDecrypting, member, folder, keys);
  // A certificate alone is for whatever its usage says; beside one for encryption it is for signatures.
  if (trustpoint.own && !trustpoint.own_encryption && trustpoint.own->key.name == member.name)
    trustpoint.own->key.usage = KeyUsage::general;
  if (const auto purpose = map.optional("extended_key_usage")) {
    trustpoint.extended_key_usage = choice(*purpose, kPurposes).value_or(ExtendedKeyUsage::ike);
  }
  if (const auto revocation = map.optional("revocation")) {
    trustpoint.revocation = choice(*revocation, kRevocations).value_or(RevocationCheck::crl);
  }
  if (const auto crl = map.optional("crl")) trustpoint.crl = read_crl(*crl, folder);
  if (const auto ocsp = map.optional("ocsp")) trustpoint.ocsp_urls = read_ocsp(*ocsp);
  if (const auto enrollment = map.optional("enrollment"))
    trustpoint.enrollment = read_enrollment(*enrollment);
  if (const auto waiver = map.optional("allow_weak")) trustpoint.allow_weak = read_waiver(*waiver);
  if (report.count() != before) return std::nullopt;
  return trustpoint;
}

}  // namespace

Keys read_keys(const Field& field, const std::string& folder) {
  return read_declared<KeyConfig>(field, "a map of keys by name",
                                  [&](const Member& member) { return read_key(member, folder); });
}

PublicKeys read_public_keys(const Field& field, const std::string& folder) {
  return read_declared<PublicKeyConfig>(
      field, "a map of public keys by the peer's name or address",
      [&](const Member& member) { return read_public_key(member, folder); });
}

Trustpoints read_trustpoints(const Field& field, const std::string& folder, const Keys& keys) {
  return read_declared<TrustpointConfig>(field, "a map of trustpoints by name", [&](const Member& member) {
    return read_trustpoint(member, folder, keys);
  });
}

}  // namespace oakgate::conf
