#include "daemon/scep_lists.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/enrollment_files.h"
#include "daemon/loop.h"
#include "daemon/system_rng.h"
#include "pki/scep/client.h"

namespace oakgate {

namespace {

// One deadline for all requests of an operation.
class Until final : public Fetcher {
 public:
  Until(const Fetcher& fetcher, Milliseconds timeout)
      : fetcher_(fetcher), end_(read_clocks().instant + timeout) {}

  [[nodiscard]] Result<Fetched> fetch(const FetchRequest& request) const override {
    const auto left = std::chrono::duration_cast<Milliseconds>(end_ - read_clocks().instant);
    if (left <= Milliseconds::zero()) {
      return fail(ErrorCode::fetch_failed, "the time for GetCRL is over", "an authority that answers sooner",
                  "See whether the authority's server is slow.");
    }
    FetchRequest bounded = request;
    bounded.timeout = std::min(request.timeout, left);
    return fetcher_.fetch(bounded);
  }

 private:
  const Fetcher& fetcher_;
  Instant end_;
};

}  // namespace

void ScepLists::configure(const std::vector<TrustpointConfig>& trustpoints,
                          const conf::Environment& environment) {
  const std::lock_guard lock(mutex_);
  trustpoints_.clear();
  for (const TrustpointConfig& trustpoint : trustpoints) {
    if (trustpoint.enrollment) trustpoints_.emplace(trustpoint.name, trustpoint);
  }
  environment_ = environment;
}

Result<Bytes> ScepLists::get(const RevocationSource& source, Milliseconds timeout, WallTime now) const {
  TrustpointConfig trustpoint;
  conf::Environment environment;
  {
    const std::lock_guard lock(mutex_);
    const auto found = trustpoints_.find(source.trustpoint);
    if (found == trustpoints_.end()) {
      return fail(ErrorCode::not_found, fmt::format("trustpoint {} has no enrollment", source.trustpoint));
    }
    trustpoint = found->second;
    environment = environment_;
  }
  const auto& files = own_files(trustpoint, !trustpoint.own);
  if (!files) {
    return fail(ErrorCode::no_certificate,
                fmt::format("trustpoint {} has no certificate of ours", trustpoint.name));
  }
  const auto trusted = read_authority(trustpoint);
  if (!trusted) return fail(trusted.error());
  const auto certificate = read_own_certificate(*files);
  if (!certificate) return fail(certificate.error());
  if (!*certificate) {
    return fail(ErrorCode::no_certificate,
                fmt::format("GetCRL needs our certificate, and trustpoint {} has none yet", trustpoint.name),
                "a certificate in " + files->certificate,
                fmt::format("Request one: `oakgate pki enroll {}`.", trustpoint.name));
  }
  const auto key = read_own_key(*files, environment);
  if (!key) return fail(key.error());
  auto rng = SystemRng::create();
  if (!rng) return fail(rng.error());
  const Until fetcher(*fetcher_, timeout);
  pki::scep::Client client(fetcher, *rng, trustpoint, *trusted);
  return client.get_crl(**certificate, *key, now);
}

}  // namespace oakgate
