#include "daemon/cli/pki_ssh.h"

#include <fmt/format.h>

#include <filesystem>

#include "daemon/cli/pki_show.h"
#include "daemon/loop.h"
#include "daemon/ssh/public_key.h"
#include "daemon/text.h"
#include "ike/crypto/private_key.h"
#include "pki/files.h"
#include "pki/trust_store.h"

namespace oakgate::cli {

namespace {

constexpr std::size_t kMaxCertificates = 1000;  // of one call

std::optional<Outcome<Json>> refuse_to_overwrite(const PkiContext& context, const std::string& file) {
  std::error_code error;
  if (context.pki().force || !std::filesystem::exists(file, error)) return std::nullopt;
  return tl::unexpected(refuse(ErrorCode::in_use, fmt::format("{} is there already", printable(file)),
                               "a new file", "--force"));
}

// The names that somebody may call the host by; none that known_hosts gives a meaning of its own.
std::string host_names(const pki::Certificate& certificate) {
  const pki::AlternativeNames names = certificate.names();
  std::string out;
  const auto add = [&out](const std::string& name) {
    if (name.find_first_of(",*?!|#\"[] ") != std::string::npos || name.front() == '@') return;
    out += (out.empty() ? "" : ",") + name;
  };
  for (const std::string& name : names.host_names) add(name);
  for (const IpAddress& address : names.addresses) add(address.to_string());
  return out;
}

Result<Json> host_line(const PkiContext& context, const pki::TrustStore& store, const std::string& file) {
  const auto content = pki::read_file(file, pki::kMaxBundleBytes);
  if (!content) return fail(content.error());
  const auto bundle = pki::parse_bundle(*content);
  if (!bundle) return fail(bundle.error());
  const pki::Certificate* leaf = nullptr;
  pki::LoginProof proof{context.pki().name, {}, LoginUsage::any};
  for (const pki::Certificate& one : bundle->certificates) {
    if (leaf == nullptr && !one.is_ca()) leaf = &one;
  }
  if (leaf == nullptr) return fail(ErrorCode::no_certificate, "no host's certificate is in it");
  proof.certificates.push_back(leaf->der());
  for (const pki::Certificate& one : bundle->certificates) {
    if (one.is_ca()) proof.certificates.push_back(one.der());
  }
  // Nothing is fetched: the lists are those that oakgated keeps, and the configured files.
  const auto verified = store.verify_login(proof, read_clocks().wall, true).certificate;
  if (!verified) return fail(verified.error());
  const std::string hosts = host_names(*leaf);
  if (hosts.empty()) {
    return fail(ErrorCode::identity_mismatch,
                fmt::format("the certificate of \"{}\" names no host", leaf->subject_text()),
                "a host name or an address in subjectAltName");
  }
  const auto key = ssh::public_key(leaf->public_key());
  if (!key) return fail(key.error());
  return Json{{"file", file}, {"subject", leaf->subject_text()}, {"line", hosts + " " + key->line()}};
}

}  // namespace

Outcome<Json> export_ssh_host_key(const PkiContext& context) {
  const Outcome<TrustpointConfig> trustpoint = find_trustpoint(context);
  if (!trustpoint) return tl::unexpected(trustpoint.error());
  if (!trustpoint->own) {
    return tl::unexpected(refuse(ErrorCode::not_found,
                                 fmt::format("trustpoint {} has no key of ours", trustpoint->name),
                                 "`key` and `certificate`"));
  }
  const std::string& file = context.pki().file;
  if (auto refused = refuse_to_overwrite(context, file)) return *refused;
  const Result<SecretBytes> content = pki::read_secret_file(trustpoint->own->key.file);
  if (!content) return tl::unexpected(failure_of(content.error()));
  const Result<crypto::PrivateKey> key = crypto::PrivateKey::parse(*content);
  if (!key) return tl::unexpected(failure_of(key.error()));
  const Result<SecretBytes> pem = key->to_pem();
  if (!pem) return tl::unexpected(failure_of(pem.error()));
  const Result<ssh::PublicKey> half = ssh::public_key(key->public_key());
  if (!half) return tl::unexpected(failure_of(half.error()));
  const std::string line = half->line() + " " + trustpoint->name + "\n";
  for (const auto& written : {pki::write_file(file, pem->view(), pki::kSecretMode),
                              pki::write_file(file + ".pub", as_bytes(line), pki::kPublicMode)}) {
    if (!written) return tl::unexpected(failure_of(written.error()));
  }
  context.say(fmt::format("{}: the key of trustpoint {}, for sshd's HostKey; {}.pub: its public half\n", file,
                          trustpoint->name, file));
  return Json{{"version", kControlVersion},
              {"trustpoint", trustpoint->name},
              {"file", file},
              {"public_key", half->line()}};
}

Outcome<Json> known_hosts(const PkiContext& context) {
  const Outcome<TrustpointConfig> trustpoint = find_trustpoint(context);
  if (!trustpoint) return tl::unexpected(trustpoint.error());
  const auto store = open_store(context);
  if (!store) return tl::unexpected(store.error());
  Json result{{"version", kControlVersion}, {"hosts", Json::array()}, {"refused", Json::array()}};
  for (const std::string& file : context.pki().files) {
    if (result["hosts"].size() + result["refused"].size() >= kMaxCertificates) break;
    Result<Json> line = host_line(context, **store, file);
    if (line) {
      result["hosts"].push_back(std::move(*line));
      continue;
    }
    if (!context.arguments.json)
      fmt::print(stderr, "oakgate: {}: {}\n", printable(file), printable(error_text(line.error()), 1024));
    Json refused = error_json(line.error());
    refused["file"] = file;
    result["refused"].push_back(std::move(refused));
  }
  if (!result["hosts"].empty()) return result;
  return tl::unexpected(
      refuse(ErrorCode::certificate_invalid, "none of the files holds a host's certificate that is good",
             fmt::format("certificates that chain to trustpoint {} and are not revoked", trustpoint->name)));
}

std::string known_hosts_text(const Json& result) {
  std::string out;
  for (const Json& host : result["hosts"]) out += host.value("line", "") + "\n";
  return out;
}

}  // namespace oakgate::cli
