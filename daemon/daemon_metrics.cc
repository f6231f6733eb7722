// The daemon's part in metrics: what only it knows of.
#include <algorithm>
#include <map>
#include <tuple>

#include "daemon/daemon.h"

namespace oakgate {

namespace {

std::string_view word(pki::CertificateView::Kind kind) {
  switch (kind) {
    case pki::CertificateView::Kind::ca:
      return "ca";
    case pki::CertificateView::Kind::own:
      return "identity";
    case pki::CertificateView::Kind::own_encryption:
      break;
  }
  return "encryption";
}

// Of what has one name several may be there, an old certificate beside its successor, lists from different
// sources: the one that lasts longest serves.
template <typename Ends, typename Name>
void add_end(Ends& ends, Name name, WallTime end) {
  const auto [entry, fresh] = ends.try_emplace(std::move(name), end);
  if (!fresh) entry->second = std::max(entry->second, end);
}

std::vector<metrics::CertificateEnd> certificate_ends(const pki::TrustStore& trust) {
  std::map<std::tuple<std::string, std::string, std::string>, WallTime> last;
  for (const pki::CertificateView& view : trust.certificates(read_clocks().wall)) {
    add_end(last, std::tuple(view.trustpoint, std::string(word(view.kind)), view.certificate.subject_text()),
            view.certificate.not_after());
  }
  std::vector<metrics::CertificateEnd> ends;
  for (const auto& [name, end] : last)
    ends.push_back({std::get<0>(name), std::get<1>(name), std::get<2>(name), end});
  return ends;
}

std::vector<metrics::CrlEnd> crl_ends(const pki::TrustStore& trust) {
  std::map<std::string, WallTime> last;
  for (const pki::CrlView& view : trust.crls(read_clocks().wall))
    add_end(last, view.issuer, view.next_update);
  std::vector<metrics::CrlEnd> ends;
  for (const auto& [issuer, end] : last) ends.push_back({issuer, end});
  return ends;
}

}  // namespace

Result<void> Daemon::serve_metrics() {
  const WallTime now = read_clocks().wall;
  counts_.reloads.last = now;
  counts_.reloads.last_success = now;
  metrics::Service::Parts parts{
      *loop_,           log_, *driver_, *plane_, counts_, [this]() -> const conf::Config& { return config_; },
      options_.version, now};
  parts.queues = [this] {
    return std::vector<metrics::Queue>{{"computations", workers_->waiting(), workers_->queue_bound()},
                                       {"host-names", resolvers_->waiting(), resolvers_->queue_bound()},
                                       {"updown", hooks_->waiting(), hooks_->waiting_bound()}};
  };
  parts.certificates = [this] { return certificate_ends(*trust_); };
  parts.crls = [this] { return crl_ends(*trust_); };
  metrics_ = std::make_unique<metrics::Service>(std::move(parts));
  return metrics_->configure(config_.gateway.metrics);
}

void Daemon::note_configured(const ike::EngineConfig& config) {
  counts_.events.configure(metrics::tunnels_of(config));
  std::vector<std::string> peers;
  for (const ike::PeerConfig& peer : config.peers) peers.push_back(peer.name);
  failures_.configure(peers);
}

void Daemon::note_reload(bool succeeded) {
  metrics::Reloads& reloads = counts_.reloads;
  ++(succeeded ? reloads.succeeded : reloads.failed);
  reloads.last_succeeded = succeeded;
  reloads.last = read_clocks().wall;
  if (succeeded) reloads.last_success = reloads.last;
}

}  // namespace oakgate
