#include "daemon/cli/pki_import.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "daemon/text.h"
#include "ike/crypto/private_key.h"
#include "pki/certificate.h"
#include "pki/files.h"
#include "pki/pkcs12.h"

namespace oakgate::cli {

namespace {

constexpr std::size_t kMaxImport = 4U << 20;

struct Contents {
  std::optional<crypto::PrivateKey> key;
  std::vector<pki::Certificate> certificates;
};

bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

Failure named(const PkiContext& context, const Error& error) {
  Failure failure = failure_of(error);
  failure.text = fmt::format("{}: {}", printable(context.pki().file), failure.text);
  return failure;
}

// ---- reading -------------------------------------------------------------------------------------------

Outcome<Contents> read_pem(const PkiContext& context, const SecretBytes& file, std::string_view text) {
  Contents contents;
  if (text.find("PRIVATE KEY-----") != std::string_view::npos) {
    Result<crypto::PrivateKey> key = crypto::PrivateKey::parse(file);
    if (!key) return tl::unexpected(named(context, key.error()));
    contents.key = std::move(*key);
  }
  // A file with a key may hold nothing else.
  Result<pki::Bundle> bundle = pki::parse_bundle(file.view());
  if (bundle) {
    contents.certificates = std::move(bundle->certificates);
  } else if (!contents.key) {
    return tl::unexpected(named(context, bundle.error()));
  }
  return contents;
}

Outcome<Contents> read_der(const PkiContext& context, const SecretBytes& file) {
  Contents contents;
  if (Result<pki::Bundle> bundle = pki::parse_bundle(file.view())) {
    contents.certificates = std::move(bundle->certificates);
    return contents;
  }
  if (Result<crypto::PrivateKey> key = crypto::PrivateKey::parse(file)) {
    contents.key = std::move(*key);
    return contents;
  }
  const Outcome<SecretBytes> password = passphrase(context, "Passphrase: ");
  if (!password) return tl::unexpected(password.error());
  Result<pki::Pkcs12> sealed = pki::read_pkcs12(file.view(), *password);
  if (!sealed) return tl::unexpected(named(context, sealed.error()));
  contents.key = std::move(sealed->key);
  contents.certificates.push_back(std::move(sealed->certificate));
  for (pki::Certificate& certificate : sealed->chain) contents.certificates.push_back(std::move(certificate));
  return contents;
}

Outcome<Contents> read_contents(const PkiContext& context) {
  const Result<SecretBytes> file = pki::read_secret_file(context.pki().file, kMaxImport);
  if (!file) return tl::unexpected(failure_of(file.error()));
  const std::string_view text(reinterpret_cast<const char*>(file->view().data()), file->size());
  return text.find("-----BEGIN ") != std::string_view::npos ? read_pem(context, *file, text)
                                                            : read_der(context, *file);
}

// ---- writing -------------------------------------------------------------------------------------------

class Writer {
 public:
  Writer(const PkiContext& context, const TrustpointConfig& trustpoint)
      : context_(context), trustpoint_(trustpoint) {}
  [[nodiscard]] Outcome<void> run(const Contents& contents);
  [[nodiscard]] Json take() && { return std::move(written_); }

 private:
  // The pair of files that the key in hand, or one that is there already, belongs to.
  struct Slot {
    const OwnCertificateFiles* files = nullptr;
    Bytes public_key;
  };
  [[nodiscard]] Outcome<Slot> slot_of_new_key(const crypto::PrivateKey& key) const;
  [[nodiscard]] Slot slot_of_old_key(const std::vector<pki::Certificate>& certificates) const;
  [[nodiscard]] Outcome<void> write(const char* what, const std::string& path, ByteView content, mode_t mode);
  [[nodiscard]] Outcome<void> write_own(const Slot& slot, const std::vector<pki::Certificate>& certificates);
  [[nodiscard]] Outcome<void> write_key(const Slot& slot, const crypto::PrivateKey& key);
  [[nodiscard]] Outcome<void> write_authorities(const std::vector<pki::Certificate>& certificates,
                                                bool asked);

  const PkiContext& context_;
  const TrustpointConfig& trustpoint_;
  Json written_ = Json::array();
};

const pki::Certificate* certificate_of(const Bytes& public_key,
                                       const std::vector<pki::Certificate>& certificates) {
  const auto found = std::find_if(
      certificates.begin(), certificates.end(),
      [&](const pki::Certificate& certificate) { return certificate.public_key() == public_key; });
  return found == certificates.end() ? nullptr : &*found;
}

Outcome<Writer::Slot> Writer::slot_of_new_key(const crypto::PrivateKey& key) const {
  const bool encryption = context_.pki().usage == "encryption";
  const auto& own = encryption ? trustpoint_.own_encryption : trustpoint_.own;
  if (own) return Slot{&*own, key.public_key()};
  return tl::unexpected(
      refuse(ErrorCode::not_found, fmt::format("trustpoint {} names no file for a key", trustpoint_.name),
             encryption ? "`encryption_key` and `encryption_certificate`" : "`key` and `certificate`",
             fmt::format("add them to trustpoints.{}", trustpoint_.name)));
}

Writer::Slot Writer::slot_of_old_key(const std::vector<pki::Certificate>& certificates) const {
  for (const auto* own : {&trustpoint_.own, &trustpoint_.own_encryption}) {
    if (!*own) continue;
    const Result<SecretBytes> file = pki::read_secret_file((*own)->key.file);
    const Result<crypto::PrivateKey> key = file ? crypto::PrivateKey::parse(*file) : fail(file.error());
    if (key && certificate_of(key->public_key(), certificates) != nullptr) {
      return {&**own, key->public_key()};
    }
  }
  return {};
}

Outcome<void> Writer::write(const char* what, const std::string& path, ByteView content, mode_t mode) {
  const Result<void> done = pki::write_file(path, content, mode);
  if (!done) return tl::unexpected(failure_of(done.error()));
  written_.push_back({{"what", what}, {"file", path}});
  context_.say(fmt::format("{}: {} written\n", path, what));
  return {};
}

Outcome<void> Writer::write_key(const Slot& slot, const crypto::PrivateKey& key) {
  const KeyConfig& config = slot.files->key;
  if (config.usage == KeyUsage::encryption && key.info().kind != crypto::KeyKind::rsa) {
    return tl::unexpected(refuse(ErrorCode::unsupported, "an EC key cannot decrypt", "an RSA key"));
  }
  const Result<SecretBytes> pem = key.to_pem();
  if (!pem) return tl::unexpected(failure_of(pem.error()));
  if (exists(config.file)) {
    const Result<SecretBytes> file = pki::read_secret_file(config.file);
    const Result<crypto::PrivateKey> old = file ? crypto::PrivateKey::parse(*file) : fail(file.error());
    if (old && old->public_key() == key.public_key()) return {};
    if (!context_.pki().force) {
      return tl::unexpected(refuse(ErrorCode::in_use, fmt::format("there is another key in {}", config.file),
                                   "no such file", "--force overwrites it"));
    }
  }
  if (const auto aside = put_certificate_aside(context_, config); !aside) return aside;
  return write("key", config.file, pem->view(), pki::kSecretMode);
}

Outcome<void> Writer::write_own(const Slot& slot, const std::vector<pki::Certificate>& certificates) {
  const pki::Certificate* leaf = certificate_of(slot.public_key, certificates);
  if (leaf == nullptr) return {};
  std::string pem;
  for (const pki::Certificate& certificate : pki::order_chain(*leaf, certificates))
    pem += certificate.to_pem();
  // A self-signed certificate has no chain, and is one all the same.
  if (pem.empty()) pem = leaf->to_pem();
  return write("certificate", slot.files->certificate, as_bytes(pem), pki::kPublicMode);
}

// `asked`: the file is about nothing else.
Outcome<void> Writer::write_authorities(const std::vector<pki::Certificate>& certificates, bool asked) {
  std::string pem;
  for (const pki::Certificate& certificate : certificates) {
    if (certificate.is_ca()) pem += certificate.to_pem();
  }
  const std::string& file = trustpoint_.ca.front();
  if (pem.empty() && asked) {
    return tl::unexpected(
        refuse(ErrorCode::no_certificate,
               fmt::format("{} holds no certificate of a key of trustpoint {}, and none of a CA",
                           context_.pki().file, trustpoint_.name),
               "a certificate for the key in its `key` file, or CA certificates",
               "import the key with it, or the PKCS#12 file that holds both"));
  }
  if (pem.empty() || (exists(file) && !asked)) return {};
  if (exists(file) && !context_.pki().force) {
    return tl::unexpected(refuse(ErrorCode::in_use,
                                 fmt::format("there are CA certificates in {} already", file), "no such file",
                                 "--force overwrites it"));
  }
  return write("CA certificates", file, as_bytes(pem), pki::kPublicMode);
}

Outcome<void> Writer::run(const Contents& contents) {
  Slot slot;
  if (contents.key) {
    Outcome<Slot> found = slot_of_new_key(*contents.key);
    if (!found) return tl::unexpected(found.error());
    slot = std::move(*found);
    if (const auto done = write_key(slot, *contents.key); !done) return done;
  } else {
    slot = slot_of_old_key(contents.certificates);
  }
  if (slot.files != nullptr) {
    if (const auto done = write_own(slot, contents.certificates); !done) return done;
  }
  return write_authorities(contents.certificates, slot.files == nullptr);
}

}  // namespace

Outcome<void> put_certificate_aside(const PkiContext& context, const KeyConfig& key) {
  for (const TrustpointConfig& trustpoint : context.config.trustpoints) {
    for (const auto* own : {&trustpoint.own, &trustpoint.own_encryption}) {
      if (!*own || (*own)->key.file != key.file || !exists((*own)->certificate)) continue;
      const std::string& from = (*own)->certificate;
      const std::string to = from + ".old";
      if (std::rename(from.c_str(), to.c_str()) != 0) {
        return tl::unexpected(refuse(ErrorCode::not_permitted,
                                     fmt::format("cannot rename {}: {}", from, std::strerror(errno))));
      }
      context.say(fmt::format("{}: was for the key that was there, now {}\n", from, to));
    }
  }
  return {};
}

Outcome<Json> import_file(const PkiContext& context) {
  const Outcome<TrustpointConfig> trustpoint = find_trustpoint(context);
  if (!trustpoint) return tl::unexpected(trustpoint.error());
  const Outcome<Contents> contents = read_contents(context);
  if (!contents) return tl::unexpected(contents.error());
  Writer writer(context, *trustpoint);
  if (const auto done = writer.run(*contents); !done) return tl::unexpected(done.error());
  return Json{
      {"version", kControlVersion}, {"trustpoint", trustpoint->name}, {"written", std::move(writer).take()}};
}

}  // namespace oakgate::cli
