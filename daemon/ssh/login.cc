#include "daemon/ssh/login.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "daemon/text.h"
#include "pki/crl.h"
#include "pki/login.h"
#include "pki/ocsp.h"

namespace oakgate::ssh {

namespace {

constexpr std::size_t kMaxSources = 8;  // asked for one certificate
constexpr Milliseconds kFetchTime{5000};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// `value` is what the certificate says.
bool is_user(const conf::SshConfig& config, const std::string& user, const std::string& value) {
  if (config.domain.empty()) return value == user;
  const std::size_t at = value.rfind('@');
  return at != std::string::npos && value.substr(0, at) == user &&
         lower(value.substr(at + 1)) == config.domain;
}

Result<void> check_user(const conf::SshConfig& config, const std::string& user,
                        const pki::Certificate& leaf) {
  const auto names = pki::login_names(leaf, config.username, config.trustpoint);
  if (!names) return fail(names.error());
  const bool found = std::any_of(names->begin(), names->end(),
                                 [&](const std::string& name) { return is_user(config, user, name); });
  if (found) return {};
  const std::string wanted = config.domain.empty() ? user : user + "@" + config.domain;
  return fail(ErrorCode::identity_mismatch,
              fmt::format("the certificate is of another user: its {} is {}", pki::to_string(config.username),
                          printable(names->front())),
              wanted);
}

Result<void> check_size(const conf::SshConfig& config, const pki::Certificate& leaf) {
  const auto info = leaf.key_info();
  if (!info) return fail(info.error());
  if (info->kind != crypto::KeyKind::rsa || info->bits >= config.min_rsa_bits) return {};
  return fail(ErrorCode::key_too_small, fmt::format("the certificate's key has {} bits", info->bits),
              fmt::format("at least {}", config.min_rsa_bits), "`min_rsa_bits` under `ssh`, or a longer key");
}

FetchRequest request_for(const RevocationSource& source, Milliseconds timeout) {
  FetchRequest request;
  request.url = source.url;
  request.timeout = timeout;
  request.configured = source.configured;
  request.max_bytes = pki::kMaxCrlBytes;
  if (source.kind == RevocationSource::Kind::ocsp) {
    request.body = source.request;
    request.body_type = "application/ocsp-request";
    request.accepted_types = {"application/ocsp-response"};
    request.max_bytes = pki::kMaxOcspBytes;
  }
  return request;
}

// Whether something new came of it.
bool fetch(const Means& means, const RevocationSource& source) {
  const Milliseconds left = std::min(kFetchTime, pki::time_left(means.deadline));
  if (left.count() == 0) return false;
  const auto fetched = means.fetcher.fetch(request_for(source, left));
  if (!fetched) {
    means.trust.add_failure(source, fetched.error());
    return false;
  }
  const auto added = means.trust.add_answer(source, fetched->body, means.now);
  return added && *added;
}

// What oakgated keeps for us is enough as a rule; what is missing, or stale while it is down, is fetched.
Result<VerifiedPeer> verify(const Means& means, const UserCertificate& certificate) {
  pki::LoginProof proof{means.config.trustpoint, {certificate.leaf.der()}, means.config.extended_key_usage};
  proof.certificates.insert(proof.certificates.end(), certificate.others.begin(), certificate.others.end());
  std::set<RevocationSource> asked;
  while (true) {
    pki::LoginVerification verification = means.trust.verify_login(proof, means.now, false);
    if (verification.missing.empty()) return std::move(verification.certificate);
    bool came = false;
    for (const RevocationSource& source : verification.missing) {
      // GetCRL is asked with the gateway's key, which is not ours to use.
      if (source.kind == RevocationSource::Kind::scep || asked.size() >= kMaxSources) continue;
      if (asked.insert(source).second) came = fetch(means, source) || came;
    }
    if (!came) return std::move(means.trust.verify_login(proof, means.now, true).certificate);
  }
}

Result<AuthorizedKey> authorize(const Means& means, const std::string& user,
                                const UserCertificate& certificate, PublicKey key) {
  if (auto right = check_user(means.config, user, certificate.leaf); !right) return fail(right.error());
  if (auto large = check_size(means.config, certificate.leaf); !large) return fail(large.error());
  const auto verified = verify(means, certificate);
  if (!verified) return fail(verified.error());
  WallTime expiry = verified->not_after;
  for (const Bytes& der : verified->chain) {
    if (const auto one = pki::Certificate::parse(der)) expiry = std::min(expiry, one->not_after());
  }
  return AuthorizedKey{std::move(key), expiry, verified->subject, conf::may_change(means.config, user)};
}

std::string refusal(const std::string& user, const Error& error, const UserCertificate* certificate) {
  std::string of;
  if (certificate != nullptr) {
    of = fmt::format(" (certificate \"{}\", serial number {}, {})",
                     printable(certificate->leaf.subject_text()), certificate->leaf.serial(),
                     printable(certificate->source));
  }
  return fmt::format("SSH2: Certificate authentication failed for user '{}': {}{}", printable(user),
                     printable(error_text(error), 1024), of);
}

}  // namespace

Answer answer(const Question& question, const Means& means) {
  Answer out;
  const std::string& user = question.user;
  if (!is_login_name(user)) {
    out.log.push_back(refusal(user,
                              {ErrorCode::malformed,
                               "that is no user's name here",
                               "letters, digits, `_`, `.`, `-` and `@`",
                               {},
                               {}},
                              nullptr));
    return out;
  }
  const auto found = find_certificates(means, user);
  if (!found) {
    out.log.push_back(refusal(user, found.error(), nullptr));
    return out;
  }
  bool offered = false;
  for (const UserCertificate& certificate : *found) {
    auto key = public_key(certificate.leaf.public_key());
    if (!key) {
      out.log.push_back(refusal(user, key.error(), &certificate));
      offered = true;
      continue;
    }
    if (!question.key_type.empty() && (key->type != question.key_type || key->blob != question.key)) continue;
    offered = true;
    auto authorized = authorize(means, user, certificate, std::move(*key));
    if (!authorized) {
      out.log.push_back(refusal(user, authorized.error(), &certificate));
      continue;
    }
    out.log.push_back(fmt::format(
        "SSH2: Certificate is verified for user '{}': \"{}\", serial number {}, of trustpoint {}, until {}, "
        "{}",
        user, printable(authorized->subject), certificate.leaf.serial(), printable(means.config.trustpoint),
        iso_time(authorized->expiry), authorized->change ? "may change" : "may look"));
    out.keys.push_back(std::move(*authorized));
  }
  if (!offered) {
    out.log.push_back(refusal(
        user,
        {ErrorCode::no_certificate,
         fmt::format("none of the {} certificates of the user has the key that is offered", found->size()),
         {},
         {},
         {}},
        nullptr));
  }
  return out;
}

}  // namespace oakgate::ssh
