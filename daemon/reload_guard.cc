#include "daemon/reload_guard.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "pki/files.h"

namespace oakgate {

namespace {

constexpr const char* kRunningConfig = "running-config.yaml";
constexpr std::size_t kMaxRunningConfig = std::size_t{256} << 20;

}  // namespace

ReloadGuard::ReloadGuard(Loop& loop, std::function<void(LoadedConfiguration)> undo)
    : undo_(std::move(undo)), timer_(loop, [this] { expire(); }) {}

void ReloadGuard::begin(LoadedConfiguration before, Seconds patience, Instant now) {
  before_ = std::move(before);
  until_ = now + patience;
  timer_.arm(patience);
}

std::optional<Seconds> ReloadGuard::left(Instant now) const {
  if (!before_) return std::nullopt;
  return std::max(Seconds{0}, std::chrono::ceil<Seconds>(until_ - now));
}

Result<void> ReloadGuard::confirm() {
  if (!before_) {
    return fail(ErrorCode::not_found, "no reload waits to be confirmed",
                "`oakgate reload --confirm SECONDS` before, and its time not yet over",
                "`oakgate diff` shows how the file differs from what runs");
  }
  timer_.disarm();
  before_.reset();
  return {};
}

void ReloadGuard::expire() {
  if (!before_) return;
  LoadedConfiguration before = std::move(*before_);
  before_.reset();
  undo_(std::move(before));
}

Result<void> write_running_config(const std::string& state_dir, const std::string& composed) {
  return pki::write_file(std::filesystem::path(state_dir) / kRunningConfig, as_bytes(composed),
                         pki::kSecretMode);
}

Result<std::string> read_running_config(const std::string& state_dir) {
  const Result<Bytes> content =
      pki::read_file(std::filesystem::path(state_dir) / kRunningConfig, kMaxRunningConfig);
  if (!content) return fail(content.error());
  return std::string(content->begin(), content->end());
}

}  // namespace oakgate
