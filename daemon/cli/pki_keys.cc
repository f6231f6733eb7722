#include "daemon/cli/pki_keys.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "daemon/cli/pki_import.h"
#include "daemon/text.h"
#include "ike/crypto/private_key.h"
#include "pki/files.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::cli {

namespace {

constexpr int kUsualRsaBits = 2048;
constexpr int kUsualEcBits = 256;
constexpr Milliseconds kDotEvery{100};

template <typename T>
Outcome<T> outcome(Result<T> result) {
  if (!result) return tl::unexpected(failure_of(result.error()));
  return std::move(*result);
}

std::string_view usage_word(KeyUsage usage) {
  switch (usage) {
    case KeyUsage::signature:
      return "signature";
    case KeyUsage::encryption:
      return "encryption";
    case KeyUsage::general:
      break;
  }
  return "general";
}

// ---- generate-key --------------------------------------------------------------------------------------

// The waivers that a short key needs: the configuration would be refused with the key otherwise.
std::string who_lacks_waiver(const conf::Config& config, const KeyConfig& key, Weak weak) {
  std::string places;
  const auto add = [&](const std::string& place) { places += (places.empty() ? "" : ", ") + place; };
  for (const TrustpointConfig& trustpoint : config.trustpoints) {
    const bool used = (trustpoint.own && trustpoint.own->key.name == key.name) ||
                      (trustpoint.own_encryption && trustpoint.own_encryption->key.name == key.name);
    if (used && !trustpoint.allow_weak.covers(weak)) add("trustpoints." + trustpoint.name);
  }
  for (const conf::PeerConfig& peer : config.peers) {
    if (!peer.rsa_encr || peer.rsa_encr->own_key != key.name) continue;
    if (!peer.allow_weak || !peer.allow_weak->covers(weak)) add("peers." + peer.name);
  }
  return places;
}

Outcome<void> check_rsa_bits(const PkiContext& context, const KeyConfig& key, int bits) {
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return tl::unexpected(Failure{Exit::usage, "usage", fmt::format("an RSA key has no {} bits here", bits),
                                  fmt::format("{} to {}", kMinRsaBits, kMaxRsaBits), ""});
  }
  const std::optional<Weak> weak = weak_rsa(bits);
  const std::string lacking = weak ? who_lacks_waiver(context.config, key, *weak) : "";
  if (lacking.empty()) return {};
  return tl::unexpected(
      refuse(ErrorCode::key_too_small,
             fmt::format("{} bits need the waiver `{}`, which {} lacks", bits, weak_word(*weak), lacking),
             fmt::format("at least {} bits", kUsualRsaBits),
             fmt::format("`allow_weak: {{algorithms: [{}]}}` there, or a longer key", weak_word(*weak))));
}

Outcome<crypto::PrivateKey> make_rsa(const PkiContext& context, int bits) {
  context.say(fmt::format("% Generating {} bit RSA keys ...", bits));
  auto last = std::chrono::steady_clock::now();
  auto key = crypto::PrivateKey::generate_rsa(bits, [&] {
    const auto now = std::chrono::steady_clock::now();
    if (now - last < kDotEvery) return;
    last = now;
    context.say(".");
  });
  context.say(key ? "[OK]\n" : "\n");
  return outcome(std::move(key));
}

Outcome<crypto::PrivateKey> make_ec(const PkiContext& context, int bits) {
  struct Curve {
    int bits;
    crypto::KeyKind kind;
  };
  constexpr std::array kCurves{Curve{256, crypto::KeyKind::ec_p256}, Curve{384, crypto::KeyKind::ec_p384},
                               Curve{521, crypto::KeyKind::ec_p521}};
  for (const Curve& curve : kCurves) {
    if (curve.bits != bits) continue;
    context.say(fmt::format("% Generating {} bit EC keys ...", bits));
    auto key = crypto::PrivateKey::generate_ec(curve.kind);
    context.say(key ? "[OK]\n" : "\n");
    return outcome(std::move(key));
  }
  return tl::unexpected(Failure{Exit::usage, "usage", fmt::format("there is no curve of {} bits here", bits),
                                "256, 384 or 521", ""});
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

Json key_json(const KeyConfig& config, const crypto::PrivateKey& key) {
  const bool rsa = key.info().kind == crypto::KeyKind::rsa;
  return {{"name", config.name},
          {"file", config.file},
          {"usage", usage_word(config.usage)},
          {"status", "available"},
          {"type", rsa ? "rsa" : "ec"},
          {"bits", key.info().bits},
          {"public_key", to_hex(key.public_key())}};
}

}  // namespace

Outcome<Json> generate_key(const PkiContext& context) {
  const PkiArguments& pki = context.pki();
  const Outcome<KeyConfig> config = find_key(context);
  if (!config) return tl::unexpected(config.error());
  if (exists(config->file) && !pki.force) {
    return tl::unexpected(refuse(ErrorCode::in_use, fmt::format("there is a key in {} already", config->file),
                                 "no such file",
                                 "--force overwrites it: whatever proves itself by the old one, a "
                                 "certificate or a peer that has its public part, no longer does"));
  }
  const bool rsa = pki.type == "rsa";
  const int bits = pki.bits != 0 ? pki.bits : rsa ? kUsualRsaBits : kUsualEcBits;
  if (rsa) {
    if (const auto allowed = check_rsa_bits(context, *config, bits); !allowed)
      return tl::unexpected(allowed.error());
  } else if (config->usage == KeyUsage::encryption) {
    return tl::unexpected(refuse(ErrorCode::unsupported,
                                 fmt::format("{} decrypts, which EC keys cannot", config->name),
                                 "--type rsa"));
  }
  context.say(fmt::format("The name for the keys will be: {}\n", config->name));
  const Outcome<crypto::PrivateKey> key = rsa ? make_rsa(context, bits) : make_ec(context, bits);
  if (!key) return tl::unexpected(key.error());
  const Result<SecretBytes> pem = key->to_pem();
  if (!pem) return tl::unexpected(failure_of(pem.error()));
  if (const auto aside = put_certificate_aside(context, *config); !aside)
    return tl::unexpected(aside.error());
  const Result<void> written = pki::write_file(config->file, pem->view(), pki::kSecretMode);
  if (!written) return tl::unexpected(failure_of(written.error()));
  context.say(fmt::format("{}: written\n", config->file));
  Json result{{"version", kControlVersion}};
  result.update(key_json(*config, *key));
  return result;
}

// ---- show ----------------------------------------------------------------------------------------------

namespace {

Outcome<Json> one_key(const KeyConfig& config) {
  Json json{{"name", config.name}, {"file", config.file}, {"usage", usage_word(config.usage)}};
  const Result<SecretBytes> file = pki::read_secret_file(config.file);
  if (!file && file.error().code == ErrorCode::not_found) {
    json["status"] = "not generated";
    return json;
  }
  if (!file) return tl::unexpected(failure_of(file.error()));
  const Result<crypto::PrivateKey> key = crypto::PrivateKey::parse(*file);
  if (!key) {
    Failure failure = failure_of(key.error());
    failure.text = fmt::format("{}: {}", printable(config.file), failure.text);
    return tl::unexpected(std::move(failure));
  }
  json = key_json(config, *key);
  struct stat status {};
  json["generated_at"] = nullptr;
  if (::stat(config.file.c_str(), &status) == 0) {
    json["generated_at"] = iso_time(WallTime(Seconds(status.st_mtim.tv_sec)));
    json["generated_ios"] = ios_time(WallTime(Seconds(status.st_mtim.tv_sec)));
  }
  return json;
}

std::string ios_key(const Json& key) {
  if (key["status"] != "available") {
    return fmt::format("% Key pair {} is not there yet: `oakgate pki generate-key` makes it\n",
                       key.value("name", ""));
  }
  const std::string usage = key.value("usage", "");
  const char* words = usage == "signature"    ? "Signature Key"
                      : usage == "encryption" ? "Encryption Key"
                                              : "General Purpose Key";
  std::string out = fmt::format("% Key pair was generated at: {}\n", key.value("generated_ios", "(unknown)"));
  out += fmt::format("Key name: {}\n Usage: {}\n Key Data:\n", key.value("name", ""), words);
  const std::optional<Bytes> der = from_hex(key.value("public_key", ""));
  std::string hex = crypto::ios_hex(der.value_or(Bytes{}));
  std::size_t begin = 0;
  while (begin < hex.size()) {
    const std::size_t end = std::min(hex.find('\n', begin), hex.size());
    out += fmt::format("  {}\n", hex.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

Outcome<Json> show_key(const PkiContext& context) {
  const Outcome<KeyConfig> config = find_key(context);
  if (!config) return tl::unexpected(config.error());
  Outcome<Json> key = one_key(*config);
  if (!key) return key;
  if ((*key)["status"] != "available") {
    return tl::unexpected(refuse(ErrorCode::no_public_key,
                                 fmt::format("there is no key in {} yet", config->file), "a private key",
                                 fmt::format("`oakgate pki generate-key {}`", context.pki().name)));
  }
  return Json{{"version", kControlVersion}, {"keys", Json::array({std::move(*key)})}};
}

Outcome<Json> show_keys(const PkiContext& context) {
  Json keys = Json::array();
  for (const KeyConfig& config : conf::all_keys(context.config)) {
    Outcome<Json> key = one_key(config);
    if (!key) return key;
    keys.push_back(std::move(*key));
  }
  return Json{{"version", kControlVersion}, {"keys", std::move(keys)}};
}

std::string ios_keys(const Json& result) {
  std::string out;
  for (const Json& key : result["keys"]) out += ios_key(key);
  return out;
}

// ---- zeroize -------------------------------------------------------------------------------------------

namespace {

// Random bytes over the file's own blocks, as far as the file system lets them be found, before its name
// goes.
Result<void> overwrite(const std::string& path) {
  const auto failed = [&](const char* what) {
    return fail(ErrorCode::not_permitted, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
  };
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return failed("open");
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::configuration, path + " is not a regular file");
  std::array<std::uint8_t, 256> noise{};
  for (off_t left = status.st_size; left > 0;) {
    if (::getrandom(noise.data(), noise.size(), 0) != static_cast<ssize_t>(noise.size()))
      return failed("overwrite");
    const auto size = std::min<std::size_t>(noise.size(), static_cast<std::size_t>(left));
    const ssize_t written = ::write(file.get(), noise.data(), size);
    if (written <= 0) return failed("overwrite");
    left -= written;
  }
  if (::fsync(file.get()) != 0) return failed("overwrite");
  if (::unlink(path.c_str()) != 0) return failed("remove");
  return {};
}

}  // namespace

Outcome<Json> zeroize(const PkiContext& context) {
  const Outcome<KeyConfig> config = find_key(context);
  if (!config) return tl::unexpected(config.error());
  if (!exists(config->file)) {
    return tl::unexpected(
        refuse(ErrorCode::not_found, fmt::format("there is no key in {}", config->file), "a key to destroy"));
  }
  const auto agreed = ask_consent(
      context,
      fmt::format("% The key {} in {} will be destroyed. Certificates issued for it become useless.\n"
                  "% Do you really want to remove these keys? [yes/no]: ",
                  config->name, config->file));
  if (!agreed) return tl::unexpected(agreed.error());
  const Result<void> gone = overwrite(config->file);
  if (!gone) return tl::unexpected(failure_of(gone.error()));
  context.say(fmt::format("{}: overwritten and removed\n", config->file));
  return Json{
      {"version", kControlVersion}, {"name", config->name}, {"file", config->file}, {"zeroized", true}};
}

}  // namespace oakgate::cli
