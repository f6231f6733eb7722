#include "daemon/ssh/publication.h"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include "conf/published.h"
#include "daemon/loop.h"
#include "daemon/reload_guard.h"
#include "daemon/ssh/folder.h"
#include "daemon/text.h"
#include "pki/files.h"
#include "pki/objects.h"

namespace oakgate::ssh {

namespace {

constexpr const char* kRemembered = "login-folder";  // in the state folder
constexpr std::size_t kMaxPath = 4096;
constexpr mode_t kFolderMode = 0755;
constexpr const char* kRunningConfig = "running-config.yaml";  // in `files`
constexpr const char* kCertificates = "certificates";
constexpr mode_t kCertificatesUmask = 0027;  // the set-group-id bit comes from the folder above

std::string pem(const char* label, const std::vector<Bytes>& objects) {
  const pki::MemoryBio out(BIO_new(BIO_s_mem()));
  for (const Bytes& der : objects) {
    if (out != nullptr) PEM_write_bio(out.get(), label, "", der.data(), static_cast<long>(der.size()));
  }
  crypto::drop_openssl_errors();
  char* text = nullptr;
  const long length = out == nullptr ? 0 : BIO_get_mem_data(out.get(), &text);
  return std::string(text == nullptr ? "" : text, length > 0 ? static_cast<std::size_t>(length) : 0);
}

std::string path_in(const std::string& folder, const char* name) {
  return (std::filesystem::path(folder) / name).string();
}

}  // namespace

std::string Publication::remembered_folder() const {
  const auto content = pki::read_file(path_in(state_dir_, kRemembered), kMaxPath);
  return content ? std::string(content->begin(), content->end()) : conf::SshConfig{}.folder;
}

// Its settings are what a login begins with.
void Publication::withdraw(const std::string& folder) {
  const std::string file = settings_file(folder);
  if (::unlink(file.c_str()) == 0) {
    log_.notice(fmt::format("{}: nobody logs in by certificate any more", printable(folder)));
  } else if (errno != ENOENT && errno != ENOTDIR) {
    log_.error(fmt::format("{}: {}: logins by certificate go on", printable(file), std::strerror(errno)));
  }
}

void Publication::write(const std::string& path, const std::string& content, mode_t mode) {
  if (const auto written = pki::write_file(path, as_bytes(content), mode); !written)
    log_.error("logins by certificate: " + printable(error_text(written.error()), 1024));
}

void Publication::configure(const conf::Config& config, const pki::TrustStore& trust) {
  const std::string before = folder_.empty() ? remembered_folder() : folder_;
  if (!config.ssh || config.ssh->folder != before) withdraw(before);
  folder_.clear();
  lists_.clear();
  if (!config.ssh) {
    ::unlink(path_in(state_dir_, kRemembered).c_str());
    return;
  }
  folder_ = config.ssh->folder;
  trustpoint_ = config.ssh->trustpoint;
  write(path_in(state_dir_, kRemembered), folder_);
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error || ::chmod(folder_.c_str(), kFolderMode) != 0) {
    log_.error(
        fmt::format("ssh.folder {}: {}", printable(folder_), error ? error.message() : std::strerror(errno)));
  }
  lists_changed(trust);
  write(path_in(folder_, kCaFile), pem(PEM_STRING_X509, trust.ca_certificates(trustpoint_)));
  write(settings_file(folder_), conf::published_yaml(config, {kCaFile, kListsFile}));
  offer_files(config.ssh->files, trust);
}

// The folder's group may read them: the folder is the administrator's, and hands its group down (mode 2750).
void Publication::offer_files(const std::string& files, const pki::TrustStore& trust) {
  constexpr mode_t kGroupMode = 0640;
  std::error_code error;
  if (files.empty() || !std::filesystem::is_directory(files, error)) {
    if (!files.empty()) log_.warning(fmt::format("ssh.files {}: there is no such folder", printable(files)));
    return;
  }
  if (const auto text = read_running_config(state_dir_))
    write(path_in(files, kRunningConfig), *text, kGroupMode);
  const std::string certificates = path_in(files, kCertificates);
  const mode_t before = ::umask(kCertificatesUmask);
  std::filesystem::create_directory(certificates, error);
  ::umask(before);
  std::map<std::string, std::string> contents;
  for (const pki::CertificateView& view : trust.certificates(read_clocks().wall)) {
    constexpr std::array kSuffixes{"-ca.pem", ".pem", "-encryption.pem"};
    contents[view.trustpoint + kSuffixes[static_cast<std::size_t>(view.kind)]] += view.certificate.to_pem();
  }
  for (const auto& [name, content] : contents)
    write(path_in(certificates, name.c_str()), content, kGroupMode);
}

void Publication::lists_changed(const pki::TrustStore& trust) {
  if (folder_.empty()) return;
  std::string lists = pem(PEM_STRING_X509_CRL, trust.lists(trustpoint_));
  if (lists == lists_ && !lists.empty()) return;
  const std::string file = path_in(folder_, kListsFile);
  if (lists.empty()) {
    ::unlink(file.c_str());
  } else {
    write(file, lists);
  }
  lists_ = std::move(lists);
}

}  // namespace oakgate::ssh
