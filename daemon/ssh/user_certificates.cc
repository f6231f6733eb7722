// Where a user's certificates are: files, or an entry of a directory.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "daemon/ssh/login.h"
#include "daemon/text.h"
#include "pki/files.h"

namespace oakgate::ssh {

namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxEntryBytes = kMaxUserCertificates * pki::kMaxCertificateBytes;
constexpr Milliseconds kDirectoryTime{5000};

tl::unexpected<Error> none(const std::string& user, const std::string& where) {
  return fail(ErrorCode::no_certificate, fmt::format("there is no certificate of {} in {}", user, where),
              "the user's certificate there", "put it there: PEM, with its intermediates behind it");
}

void add(std::vector<UserCertificate>& out, const std::string& source,
         const std::vector<pki::Certificate>& certificates) {
  std::vector<Bytes> others;
  for (const pki::Certificate& one : certificates) {
    if (one.is_ca()) others.push_back(one.der());
  }
  for (const pki::Certificate& one : certificates) {
    if (!one.is_ca() && out.size() < kMaxUserCertificates) out.push_back({source, one, others});
  }
}

Result<std::vector<UserCertificate>> in_folder(const std::string& folder, const std::string& user) {
  const std::filesystem::path own = std::filesystem::path(folder) / user;
  std::vector<std::filesystem::path> files{own.string() + ".pem"};
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(own, error)) {
    if (files.size() <= kMaxUserCertificates) files.push_back(entry.path());
  }
  std::sort(files.begin() + 1, files.end());
  std::vector<UserCertificate> out;
  std::optional<Error> trouble;
  for (const std::filesystem::path& file : files) {
    const auto content = pki::read_file(file, kMaxFileBytes);
    if (!content) {
      if (content.error().code != ErrorCode::not_found) trouble = content.error();
      continue;
    }
    const auto bundle = pki::parse_bundle(*content);
    if (bundle) {
      add(out, file.string(), bundle->certificates);
    } else {
      trouble = bundle.error();
      trouble->text = fmt::format("{}: {}", printable(file.string()), trouble->text);
    }
  }
  if (!out.empty()) return out;
  if (trouble) return fail(std::move(*trouble));
  return none(user, own.string() + ".pem or " + own.string() + "/");
}

// The name is letters, digits, `.`, `_`, `-` and `@`: nothing that RFC 4514, 4515 or 4516 gives a meaning.
std::string with_user(std::string url, const std::string& user) {
  constexpr std::string_view kUser = "%u";
  for (std::size_t at = url.find(kUser); at != std::string::npos; at = url.find(kUser, at + user.size()))
    url.replace(at, kUser.size(), user);
  return url;
}

Result<std::vector<UserCertificate>> in_directory(const Means& means, const std::string& user) {
  FetchRequest request;
  request.url = with_user(means.config.certificates.ldap, user);
  request.all_values = true;
  request.max_bytes = kMaxEntryBytes;
  request.timeout = std::min(kDirectoryTime, pki::time_left(means.deadline));
  request.configured = true;
  const auto fetched = means.fetcher.fetch(request);
  if (!fetched) return fail(fetched.error());
  std::vector<pki::Certificate> certificates;
  std::optional<Error> trouble;
  const auto take = [&](const Bytes& der) {
    auto certificate = pki::Certificate::parse(der);
    if (certificate) {
      certificates.push_back(std::move(*certificate));
    } else {
      trouble = certificate.error();
    }
  };
  take(fetched->body);
  for (const Bytes& der : fetched->more) take(der);
  std::vector<UserCertificate> out;
  add(out, request.url, certificates);
  if (!out.empty()) return out;
  if (trouble) return fail(std::move(*trouble));
  return none(user, printable(request.url));
}

}  // namespace

Result<std::vector<UserCertificate>> find_certificates(const Means& means, const std::string& user) {
  return means.config.certificates.ldap.empty() ? in_folder(means.config.certificates.folder, user)
                                                : in_directory(means, user);
}

}  // namespace oakgate::ssh
