#include "daemon/fetch_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "daemon/text.h"
#include "pki/crl.h"
#include "pki/ocsp.h"

namespace oakgate {

namespace {

constexpr std::size_t kMaxInVain = 1024;  // remembered at once

// Servers call a CRL many things; a page of HTML or an image is none. "": no type at all, and LDAP.
const std::vector<std::string>& crl_types() {
  static const std::vector<std::string> types{"",
                                              "application/pkix-crl",
                                              "application/crl",
                                              "application/x-crl",
                                              "application/x-pkcs7-crl",
                                              "application/x-x509-crl",
                                              "application/pkcs7-mime",
                                              "application/x-pem-file",
                                              "application/octet-stream",
                                              "binary/octet-stream",
                                              "text/plain"};
  return types;
}

FetchRequest request_for(const RevocationSource& source, Milliseconds timeout) {
  FetchRequest request;
  request.url = source.url;
  request.timeout = timeout;
  request.configured = source.configured;
  if (source.kind == RevocationSource::Kind::ocsp) {
    // RFC 6960 appendix A.1.
    request.body = source.request;
    request.body_type = "application/ocsp-request";
    request.accepted_types = {"application/ocsp-response"};
    request.max_bytes = pki::kMaxOcspBytes;
  } else {
    request.accepted_types = crl_types();
    request.max_bytes = pki::kMaxCrlBytes;
  }
  return request;
}

}  // namespace

std::string server_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  std::string server = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  for (char& c : server) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return server;
}

// Holds what it needs by value or shared: it may outlive everything else (WorkerPool::AtEnd::leave). A list
// of a million entries takes a while to read, so the store takes it here and not on the loop's thread.
class FetchQueue::FetchTask final : public Task {
 public:
  FetchTask(std::weak_ptr<FetchQueue*> owner, const Parts& parts, RevocationSource source,
            Milliseconds timeout)
      : owner_(std::move(owner)),
        store_(parts.store),
        fetcher_(parts.fetcher),
        scep_(parts.scep),
        source_(std::move(source)),
        timeout_(timeout) {}

  void work() override {
    const Result<Bytes> body = fetch();
    if (!body) {
      store_->add_failure(source_, body.error());
      outcome_.error = body.error();
      return;
    }
    const Result<bool> added = store_->add_answer(source_, *body, read_clocks().wall);
    outcome_.fresh = added.value_or(false);
    if (!added) outcome_.error = added.error();
  }
  void done() override {
    if (const auto owner = owner_.lock()) (*owner)->finished(source_, outcome_);
  }

 private:
  [[nodiscard]] Result<Bytes> fetch() const {
    if (source_.kind == RevocationSource::Kind::scep) return scep_(source_, timeout_);
    Result<Fetched> fetched = fetcher_->fetch(request_for(source_, timeout_));
    if (!fetched) return fail(std::move(fetched.error()));
    return std::move(fetched->body);
  }

  std::weak_ptr<FetchQueue*> owner_;
  std::shared_ptr<RevocationStore> store_;
  std::shared_ptr<const Fetcher> fetcher_;
  std::function<Result<Bytes>(const RevocationSource&, Milliseconds)> scep_;
  RevocationSource source_;
  Milliseconds timeout_;
  FetchOutcome outcome_;
};

Result<std::unique_ptr<FetchQueue>> FetchQueue::create(Parts parts, const FetchBounds& bounds) {
  Result<std::unique_ptr<WorkerPool>> pool =
      WorkerPool::create(bounds.threads, bounds.threads, WorkerPool::AtEnd::leave);
  if (!pool) return fail(pool.error());
  return std::unique_ptr<FetchQueue>(new FetchQueue(std::move(parts), bounds, std::move(*pool)));
}

FetchQueue::FetchQueue(Parts parts, const FetchBounds& bounds, std::unique_ptr<WorkerPool> pool)
    : parts_(std::move(parts)), bounds_(bounds), pool_(std::move(pool)) {
  watch_ = Watch::readable(parts_.loop, pool_->fd(), [this] { pool_->dispatch(); });
}

bool FetchQueue::ask(const RevocationSource& source, Again again, Done done) {
  const auto known = wanted_.find(source);
  if (known != wanted_.end()) {
    known->second.askers.push_back(std::move(done));
    known->second.for_verdict = known->second.for_verdict || again == Again::no;
    return true;
  }
  if (again == Again::no && was_in_vain(source)) return false;
  if (order_.size() >= bounds_.waiting) {
    parts_.log.write(Facility::pki, LogLevel::warning,
                     fmt::format("CRYPTO_PKI: {} is not asked: {} fetches are waiting already",
                                 printable(source.url), order_.size()));
    return false;
  }
  wanted_[source].askers.push_back(std::move(done));
  wanted_[source].for_verdict = again == Again::no;
  // What an operator wrote goes before what certificates name.
  auto place = order_.end();
  if (source.configured) {
    place = std::find_if(order_.begin(), order_.end(),
                         [](const RevocationSource& one) { return !one.configured; });
  }
  order_.insert(place, source);
  begin_what_can();
  return true;
}

void FetchQueue::begin_what_can() {
  for (auto one = order_.begin(); one != order_.end() && busy_.size() < bounds_.threads;) {
    one = begin(*one) ? order_.erase(one) : std::next(one);
  }
}

bool FetchQueue::begin(const RevocationSource& source) {
  const std::string server = server_of(source.url);
  if (busy_.contains(server)) return false;
  // The pool has room for as many as there are threads, and no more are begun.
  if (!pool_->submit(std::make_unique<FetchTask>(self_, parts_, source, bounds_.fetch))) return false;
  busy_.insert(server);
  wanted_.at(source).under_way = true;
  return true;
}

void FetchQueue::finished(const RevocationSource& source, const FetchOutcome& outcome) {
  busy_.erase(server_of(source.url));
  log_outcome(source, outcome);
  const auto found = wanted_.find(source);
  remember(source, outcome, found->second.for_verdict);
  std::vector<Done> askers = std::move(found->second.askers);
  wanted_.erase(found);
  begin_what_can();
  for (const Done& done : askers) done(source, outcome);
}

// A list that was refreshed and is of no CA that is known may be of one that the next peer sends.
void FetchQueue::remember(const RevocationSource& source, const FetchOutcome& outcome, bool for_verdict) {
  const bool of_nobody = !for_verdict && outcome.error && outcome.error->code == ErrorCode::crl_invalid;
  if (outcome.fresh || of_nobody) {
    in_vain_until_.erase(source);
    return;
  }
  if (in_vain_until_.size() >= kMaxInVain) in_vain_until_.clear();
  in_vain_until_[source] = read_clocks().instant + bounds_.in_vain;
}

bool FetchQueue::was_in_vain(const RevocationSource& source) {
  const auto found = in_vain_until_.find(source);
  if (found == in_vain_until_.end()) return false;
  if (read_clocks().instant < found->second) return true;
  in_vain_until_.erase(found);
  return false;
}

void FetchQueue::log_outcome(const RevocationSource& source, const FetchOutcome& outcome) const {
  const char* what = source.kind == RevocationSource::Kind::ocsp ? "OCSP answer" : "CRL";
  const std::string head = fmt::format("CRYPTO_PKI: trustpoint {}: ", printable(source.trustpoint));
  if (outcome.error) {
    parts_.log.write(Facility::pki, LogLevel::warning,
                     fmt::format("{}no usable {} from {}: {}", head, what, printable(source.url),
                                 printable(error_text(*outcome.error), 1024)));
  } else if (outcome.fresh) {
    parts_.log.write(Facility::pki, LogLevel::notice,
                     fmt::format("{}new {} received from {}", head, what, printable(source.url)));
  } else {
    parts_.log.write(Facility::pki, LogLevel::info,
                     fmt::format("{}the {} from {} says nothing new", head, what, printable(source.url)));
  }
}

}  // namespace oakgate
