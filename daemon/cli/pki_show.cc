#include "daemon/cli/pki_show.h"

#include <fmt/format.h>
#include <openssl/x509v3.h>

#include "daemon/loop.h"
#include "daemon/text.h"
#include "ike/crypto/distinguished_name.h"
#include "ike/crypto/private_key.h"
#include "pki/files.h"
#include "pki/trust_store.h"

namespace oakgate::cli {

namespace {

Result<Bytes> public_key_in(const KeyConfig& config) {
  const Result<SecretBytes> file = pki::read_secret_file(config.file);
  if (!file)
    return fail(ErrorCode::no_public_key, file.error().text, file.error().expected, file.error().remedy);
  const Result<crypto::PrivateKey> key = crypto::PrivateKey::parse(*file);
  if (!key) return fail(key.error());
  return key->public_key();
}

}  // namespace

Outcome<std::unique_ptr<pki::TrustStore>> open_store(const PkiContext& context) {
  auto store = std::make_unique<pki::TrustStore>(context.config.gateway.state_dir);
  const std::vector<Error> errors = store->replace(context.config.trustpoints, public_key_in);
  if (errors.empty()) return store;
  Failure failure = failure_of(errors.front());
  failure.more["errors"] = Json::array();
  for (const Error& error : errors) failure.more["errors"].push_back(error_json(error));
  return tl::unexpected(std::move(failure));
}

namespace {

std::string_view word(pki::CertificateView::Kind kind) {
  switch (kind) {
    case pki::CertificateView::Kind::ca:
      return "ca";
    case pki::CertificateView::Kind::own:
      return "own";
    case pki::CertificateView::Kind::own_encryption:
      break;
  }
  return "own-encryption";
}

std::string_view word(RevocationCheck check) {
  switch (check) {
    case RevocationCheck::crl:
      return "crl";
    case RevocationCheck::crl_optional:
      return "crl-optional";
    case RevocationCheck::none:
      break;
  }
  return "none";
}

// As IOS sorts them: a certificate without the extension is for both.
std::string_view usage_of(const pki::Certificate& certificate) {
  const auto bits = certificate.key_usage();
  if (!bits) return "general";
  const bool signs = (*bits & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0;
  const bool encrypts = (*bits & (KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT)) != 0;
  if (signs && !encrypts) return "signature";
  return encrypts && !signs ? "encryption" : "general";
}

Json times(const char* name, WallTime time) {
  return {{name, iso_time(time)}, {std::string(name) + "_ios", ios_time(time)}};
}

Json points_of(const pki::Certificate& certificate) {
  Json points = Json::array();
  const pki::DistributionPoints all = certificate.crl_distribution_points();
  for (const std::string& url : all.urls) points.push_back(printable(url, 1024));
  for (const Bytes& name : all.directory_names) {
    const Result<std::string> text = crypto::name_text(name);
    if (text) points.push_back(*text);
  }
  return points;
}

Json certificate_json(const pki::CertificateView& view) {
  const pki::Certificate& certificate = view.certificate;
  Json json{{"trustpoint", view.trustpoint},
            {"kind", word(view.kind)},
            {"status", view.status},
            {"serial", certificate.serial()},
            {"usage", usage_of(certificate)},
            {"subject", certificate.subject_text()},
            {"issuer", certificate.issuer_text()},
            {"signature", certificate.signature_digest()},
            {"fingerprint_md5", certificate.fingerprint("md5")},
            {"fingerprint_sha256", certificate.fingerprint("sha256")},
            {"names", Json::array()},
            {"distribution_points", points_of(certificate)}};
  const pki::AlternativeNames names = certificate.names();
  for (const std::string& name : names.host_names) json["names"].push_back(name);
  for (const std::string& name : names.user_names) json["names"].push_back(name);
  for (const IpAddress& address : names.addresses) json["names"].push_back(address.to_string());
  json.update(times("not_before", certificate.not_before()));
  json.update(times("not_after", certificate.not_after()));
  return json;
}

std::string text(const Json& json, const char* member) {
  return json.value(member, "");
}

// "CN=gw-a,O=corp" a line each, as IOS: "    CN = gw-a". An escaped comma separates nothing.
std::string name_lines(const std::string& name) {
  std::string out;
  std::string part;
  const auto add = [&] {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) {
      if (!part.empty()) out += fmt::format("    {}\n", part);
    } else {
      out += fmt::format("    {} = {}\n", part.substr(0, equals), part.substr(equals + 1));
    }
    part.clear();
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == ',') {
      add();
    } else {
      part += name[i];
      if (name[i] == '\\' && i + 1 < name.size()) part += name[++i];
    }
  }
  add();
  return out;
}

std::string ios_usage(const std::string& usage) {
  if (usage == "signature") return "Signature";
  return usage == "encryption" ? "Encryption" : "General Purpose";
}

std::string ios_certificate(const Json& json) {
  std::string out = json["kind"] == "ca" ? "CA Certificate\n" : "Certificate\n";
  out += fmt::format("  Status: {}\n", text(json, "status"));
  out += fmt::format("  Certificate Serial Number: {}\n", text(json, "serial"));
  out += fmt::format("  Key Usage: {}\n", ios_usage(text(json, "usage")));
  out += "  Issuer:\n" + name_lines(text(json, "issuer"));
  out += "  Subject:\n";
  for (const Json& name : json["names"]) out += fmt::format("    Name: {}\n", name.get<std::string>());
  out += name_lines(text(json, "subject"));
  if (!json["distribution_points"].empty()) out += "  CRL Distribution Point:\n";
  for (const Json& point : json["distribution_points"])
    out += fmt::format("    {}\n", point.get<std::string>());
  out += fmt::format("  Validity Date:\n    start date: {}\n    end   date: {}\n",
                     text(json, "not_before_ios"), text(json, "not_after_ios"));
  out += fmt::format("  Fingerprint MD5: {}\n  Fingerprint SHA256: {}\n", text(json, "fingerprint_md5"),
                     text(json, "fingerprint_sha256"));
  return out + fmt::format("  Associated Identity: {}\n\n", text(json, "trustpoint"));
}

}  // namespace

Outcome<Json> show_certificates(const PkiContext& context) {
  const auto store = open_store(context);
  if (!store) return tl::unexpected(store.error());
  const WallTime now = read_clocks().wall;
  Json certificates = Json::array();
  for (const pki::CertificateView& view : (*store)->certificates(now)) {
    certificates.push_back(certificate_json(view));
  }
  // What has no certificate yet would be missing from the list without a word.
  Json absent = Json::array();
  for (const pki::TrustpointView& view : (*store)->trustpoints(now)) {
    if (view.ca_status != "Available")
      absent.push_back({{"trustpoint", view.name}, {"status", view.ca_status}});
    for (const std::string& status : {view.own_status, view.own_encryption_status}) {
      if (!status.empty() && status != "Available") {
        absent.push_back({{"trustpoint", view.name}, {"status", status}});
      }
    }
  }
  return Json{{"version", kControlVersion},
              {"certificates", std::move(certificates)},
              {"problems", std::move(absent)}};
}

Outcome<Json> show_crls(const PkiContext& context) {
  const auto store = open_store(context);
  if (!store) return tl::unexpected(store.error());
  Json crls = Json::array();
  for (const pki::CrlView& view : (*store)->crls(read_clocks().wall)) {
    Json json{{"issuer", view.issuer},
              {"status", view.status},
              {"entries", view.entries},
              {"number", view.number},
              {"source", printable(view.source, 1024)}};
    json.update(times("last_update", view.this_update));
    json.update(times("next_update", view.next_update));
    crls.push_back(std::move(json));
  }
  return Json{{"version", kControlVersion}, {"crls", std::move(crls)}};
}

Outcome<Json> show_trustpoints(const PkiContext& context) {
  const auto store = open_store(context);
  if (!store) return tl::unexpected(store.error());
  Json trustpoints = Json::array();
  for (const pki::TrustpointView& view : (*store)->trustpoints(read_clocks().wall)) {
    const TrustpointConfig& config = *conf::find_trustpoint(context.config, view.name);
    trustpoints.push_back(
        {{"name", view.name},
         {"revocation", word(view.revocation)},
         {"ca_subjects", view.ca_subjects},
         {"ca_status", view.ca_status},
         {"own_status", view.own_status},
         {"own_encryption_status", view.own_encryption_status},
         {"enrollment_url", config.enrollment ? Json(config.enrollment->url) : Json(nullptr)}});
  }
  return Json{{"version", kControlVersion}, {"trustpoints", std::move(trustpoints)}};
}

std::string ios_certificates(const Json& result) {
  std::string out;
  for (const Json& json : result["certificates"]) out += ios_certificate(json);
  for (const Json& json : result["problems"]) {
    out += fmt::format("% Trustpoint {}: {}\n", text(json, "trustpoint"), text(json, "status"));
  }
  return out;
}

std::string ios_crls(const Json& result) {
  std::string out;
  for (const Json& json : result["crls"]) {
    out += fmt::format("CRL Issuer Name:\n{}", name_lines(text(json, "issuer")));
    out += fmt::format("    LastUpdate: {}\n    NextUpdate: {}\n", text(json, "last_update_ios"),
                       text(json, "next_update_ios"));
    out += fmt::format("    Retrieved from CRL Distribution Point:\n      {}\n", text(json, "source"));
    out += fmt::format("    Revoked certificates: {}, status: {}\n\n", json.value("entries", 0),
                       text(json, "status"));
  }
  return out;
}

std::string ios_trustpoints(const Json& result) {
  std::string out;
  for (const Json& json : result["trustpoints"]) {
    out += fmt::format("Trustpoint {}:\n", text(json, "name"));
    for (const Json& subject : json["ca_subjects"]) {
      out += fmt::format("    Subject Name:\n{}", name_lines(subject.get<std::string>()));
    }
    out += fmt::format("    CA certificate: {}\n", text(json, "ca_status"));
    if (const std::string own = text(json, "own_status"); !own.empty()) {
      out += fmt::format("    Certificate: {}\n", own);
    }
    if (const std::string own = text(json, "own_encryption_status"); !own.empty()) {
      out += fmt::format("    Encryption certificate: {}\n", own);
    }
    out += fmt::format("    Revocation check: {}\n", text(json, "revocation"));
    if (json["enrollment_url"].is_string()) {
      out += fmt::format("    Enrollment URL: {}\n", text(json, "enrollment_url"));
    }
    out += "\n";
  }
  return out;
}

}  // namespace oakgate::cli
