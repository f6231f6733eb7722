#include "daemon/revocation.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/text.h"

namespace oakgate {

namespace {

constexpr std::size_t kMaxInquiries = 1024;   // as many as the core has half-open negotiations
constexpr std::size_t kMaxSources = 16;       // asked for one verdict
constexpr std::size_t kMaxRemembered = 4096;  // certificates of peers
// How long before its end a list is fetched again: a tenth of its life, within these.
constexpr Milliseconds kLeadMin{60000};
constexpr Milliseconds kLeadMax{3600000};

std::string_view text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

PeerVerdict refused(std::string why) {
  PeerVerdict verdict;
  verdict.peer = fail(ErrorCode::internal, std::move(why), "fewer negotiations at once",
                      "look for a flood of negotiations in `oakgate monitor`");
  return verdict;
}

}  // namespace

class Revocation::VerifyTask final : public Task {
 public:
  VerifyTask(std::weak_ptr<Revocation*> owner, std::shared_ptr<RevocationStore> store, InquiryId id,
             const Inquiry& inquiry)
      : owner_(std::move(owner)),
        store_(std::move(store)),
        id_(id),
        proof_(inquiry.proof),
        last_(inquiry.last) {}
  void work() override { verification_ = store_->verify(*proof_, read_clocks().wall, last_); }
  void done() override {
    if (const auto owner = owner_.lock()) (*owner)->looked(id_, std::move(verification_), last_);
  }

 private:
  std::weak_ptr<Revocation*> owner_;
  std::shared_ptr<RevocationStore> store_;
  InquiryId id_;
  std::shared_ptr<const PeerProof> proof_;
  bool last_;
  Verification verification_;
};

class Revocation::RecheckTask final : public Task {
 public:
  RecheckTask(std::weak_ptr<Revocation*> owner, std::shared_ptr<RevocationStore> store, bool files,
              std::vector<Remembered> peers)
      : owner_(std::move(owner)), store_(std::move(store)), files_(files), peers_(std::move(peers)) {}
  void work() override {
    if (files_) findings_.file_errors = store_->reread_crl_files(findings_.files_changed);
    const WallTime now = read_clocks().wall;
    for (Remembered& peer : peers_) {
      Result<void> good = store_->recheck(peer.chain, peer.trustpoint, now);
      if (!good) findings_.refused.emplace_back(std::move(peer), std::move(good.error()));
    }
  }
  void done() override {
    if (const auto owner = owner_.lock()) (*owner)->rechecked(findings_);
  }

 private:
  std::weak_ptr<Revocation*> owner_;
  std::shared_ptr<RevocationStore> store_;
  bool files_;
  std::vector<Remembered> peers_;
  Findings findings_;
};

Result<std::unique_ptr<Revocation>> Revocation::create(Parts parts, const RevocationTimes& times) {
  Result<std::unique_ptr<FetchQueue>> queue = FetchQueue::create(parts.fetch, times.fetch);
  if (!queue) return fail(queue.error());
  return std::unique_ptr<Revocation>(new Revocation(std::move(parts), times, std::move(*queue)));
}

Revocation::Revocation(Parts parts, const RevocationTimes& times, std::unique_ptr<FetchQueue> queue)
    : parts_(std::move(parts)),
      times_(times),
      queue_(std::move(queue)),
      timer_(parts_.fetch.loop, [this] { look_around(); }) {}

// ---- Verdicts ------------------------------------------------------------------------------------------

void Revocation::verify(PeerProof proof, std::function<void(PeerVerdict)> answer) {
  const InquiryId id = ++last_inquiry_;
  const bool room = inquiries_.size() < kMaxInquiries;
  Inquiry& inquiry = inquiries_[id];
  inquiry.proof = std::make_shared<const PeerProof>(std::move(proof));
  inquiry.answer = std::move(answer);
  inquiry.patience = std::make_unique<Timer>(parts_.fetch.loop, [this, id] { out_of_patience(id); });
  // The answer never comes from within this call: without room, from the timer.
  inquiry.patience->arm(room ? times_.verdict : Milliseconds{0});
  if (room) look(id);
}

void Revocation::look(InquiryId id) {
  Inquiry& inquiry = inquiries_.at(id);
  inquiry.look_again = false;
  inquiry.generation = generation_;
  inquiry.verifying =
      parts_.workers.submit(std::make_unique<VerifyTask>(self_, parts_.fetch.store, id, inquiry)).has_value();
  if (inquiry.verifying) return;
  inquiry.last = true;
  inquiry.patience->arm(Milliseconds{0});
}

void Revocation::looked(InquiryId id, Verification verification, bool last) {
  const auto found = inquiries_.find(id);
  if (found == inquiries_.end()) return;
  Inquiry& inquiry = found->second;
  inquiry.verifying = false;
  if (last || verification.missing.empty()) {
    answer(id, std::move(verification.verdict));
    return;
  }
  // What was missing may have come meanwhile, asked for by another one.
  const bool outdated = inquiry.look_again || inquiry.generation != generation_;
  if (!inquiry.last && !outdated) {
    ask_for(id, verification.missing);
    inquiry.last = inquiry.waiting.empty();
  }
  if (inquiry.last || outdated) look(id);
}

void Revocation::ask_for(InquiryId id, const std::vector<RevocationSource>& missing) {
  Inquiry& inquiry = inquiries_.at(id);
  for (const RevocationSource& source : missing) {
    // Only when the others have been asked in vain: it takes our key, and a busy authority's.
    if (source.kind == RevocationSource::Kind::scep && !inquiry.waiting.empty()) continue;
    if (inquiry.asked.size() >= kMaxSources || !inquiry.asked.insert(source).second) continue;
    const bool asked = queue_->ask(
        source, FetchQueue::Again::no,
        [self = std::weak_ptr(self_), id](const RevocationSource& from, const FetchOutcome& outcome) {
          if (const auto owner = self.lock()) (*owner)->came(id, from, outcome);
        });
    if (!asked) continue;
    inquiry.waiting.insert(source);
    parts_.fetch.log.write(Facility::pki, LogLevel::info,
                           fmt::format("CRYPTO_PKI: [{}] its certificate's revocation is asked for at {}",
                                       printable(inquiry.proof->peer), printable(source.url)));
  }
}

void Revocation::came(InquiryId id, const RevocationSource& source, const FetchOutcome& outcome) {
  if (outcome.fresh) refreshed(source, outcome);
  const auto found = inquiries_.find(id);
  if (found == inquiries_.end()) return;
  Inquiry& inquiry = found->second;
  inquiry.waiting.erase(source);
  if (outcome.error && !inquiry.waiting.empty()) return;  // others may still bring what is missing
  if (inquiry.verifying) {
    inquiry.look_again = true;
  } else {
    look(id);
  }
}

void Revocation::out_of_patience(InquiryId id) {
  Inquiry& inquiry = inquiries_.at(id);
  if (inquiry.verifying) {
    inquiry.last = true;
  } else if (inquiry.last || inquiry.asked.empty()) {
    answer(id, refused("too many certificates are being verified already"));
  } else {
    inquiry.last = true;
    look(id);
  }
}

void Revocation::answer(InquiryId id, PeerVerdict verdict) {
  const auto found = inquiries_.find(id);
  Inquiry inquiry = std::move(found->second);
  inquiries_.erase(found);
  inquiry.patience->disarm();
  retired_ = std::move(inquiry.patience);  // it may be what called
  if (verdict.peer) {
    remember({inquiry.proof->peer, inquiry.proof->trustpoint, verdict.peer->chain}, inquiry.generation);
  }
  inquiry.answer(std::move(verdict));
}

void Revocation::remember(Remembered peer, std::uint64_t generation) {
  std::erase(peers_, peer);
  if (peers_.size() >= kMaxRemembered) peers_.erase(peers_.begin());
  peers_.push_back(std::move(peer));
  // A list that came while this one was being verified has not been held against it.
  if (generation != generation_) recheck(false, true);
}

// ---- Lists and answers that are fetched again
// ----------------------------------------------------------------------

void Revocation::configure(const std::vector<TrustpointConfig>& trustpoints) {
  trustpoints_.clear();
  for (const TrustpointConfig& trustpoint : trustpoints) {
    if (trustpoint.revocation != RevocationCheck::none) trustpoints_.insert(trustpoint.name);
  }
  std::erase_if(peers_, [this](const Remembered& peer) { return !trustpoints_.contains(peer.trustpoint); });
  // An operator who starts or reloads wants lists as they are now.
  learn_sources();
  for (auto& [source, refresh] : refresh_) refresh = {read_clocks().instant, Milliseconds{0}};
  refresh_due();
  recheck(false, true);
  timer_.arm(times_.look);
}

void Revocation::look_around() {
  refresh_due();
  recheck(true, false);
  timer_.arm(times_.look);
}

// New ones are due at once: what the cache kept through a restart may be older than what the servers have.
void Revocation::learn_sources() {
  std::set<RevocationSource> sources;
  for (const std::string& trustpoint : trustpoints_) {
    for (const RevocationSource& source : parts_.fetch.store->crl_sources(trustpoint)) {
      // GetCRL is asked when a verdict needs it, or an operator; then what it brought is refreshed.
      if (source.configured && source.kind == RevocationSource::Kind::crl) sources.insert(source);
    }
  }
  for (const pki::CrlToRefresh& crl : parts_.fetch.store->fetched_crls()) {
    if (trustpoints_.contains(crl.source.trustpoint)) sources.insert(crl.source);
  }
  for (const pki::OcspToRefresh& answer : answers_in_use()) {
    sources.insert(answer.source);
    // None of them is older than this run.
    refresh_.emplace(answer.source, Refresh{read_clocks().instant + until_refresh(answer), Milliseconds{0}});
  }
  std::erase_if(refresh_, [&](const auto& entry) { return !sources.contains(entry.first); });
  for (const RevocationSource& source : sources) {
    refresh_.emplace(source, Refresh{read_clocks().instant, Milliseconds{0}});
  }
}

// An answer speaks of one certificate: once its peer is gone, nobody needs another.
std::vector<pki::OcspToRefresh> Revocation::answers_in_use() const {
  std::vector<pki::OcspToRefresh> answers = parts_.fetch.store->fetched_answers();
  if (answers.empty()) return answers;
  const std::set<std::string> up = parts_.peers_up ? parts_.peers_up() : std::set<std::string>();
  std::set<std::string_view> certificates;
  for (const Remembered& peer : peers_) {
    if (parts_.peers_up && !up.contains(peer.peer)) continue;
    for (const Bytes& one : peer.chain) certificates.insert(text_of(one));
  }
  std::erase_if(answers, [&](const pki::OcspToRefresh& answer) {
    return !trustpoints_.contains(answer.source.trustpoint) ||
           !certificates.contains(text_of(answer.certificate));
  });
  return answers;
}

void Revocation::refresh_due() {
  learn_sources();
  const Instant now = read_clocks().instant;
  for (auto& [source, refresh] : refresh_) {
    if (refresh.due > now) continue;
    refresh.due = now + times_.refresh;  // until the answer says better
    if (!fetch_again(source, [](const RevocationSource&, const FetchOutcome&) {})) refresh.due = now;
  }
}

bool Revocation::fetch_again(const RevocationSource& source, FetchQueue::Done then) {
  return queue_->ask(source, FetchQueue::Again::yes,
                     [self = std::weak_ptr(self_), then = std::move(then)](const RevocationSource& from,
                                                                           const FetchOutcome& outcome) {
                       const auto owner = self.lock();
                       if (!owner) return;
                       (*owner)->refreshed(from, outcome);
                       then(from, outcome);
                     });
}

Result<void> Revocation::request_lists(const std::string& trustpoint,
                                       std::function<void(const Requested&)> done) {
  std::set<RevocationSource> sources;
  for (const RevocationSource& source : parts_.fetch.store->crl_sources(trustpoint)) sources.insert(source);
  for (const pki::CrlToRefresh& crl : parts_.fetch.store->fetched_crls()) {
    if (crl.source.trustpoint == trustpoint) sources.insert(crl.source);
  }
  struct Gathered {
    Requested outcomes;
    std::size_t open = 0;
  };
  // Shared by the fetches: the last one that ends answers.
  const auto gathered = std::make_shared<Gathered>();
  for (const RevocationSource& source : sources) {
    const bool asked =
        fetch_again(source, [gathered, done](const RevocationSource& from, const FetchOutcome& outcome) {
          gathered->outcomes.emplace_back(from, outcome);
          if (--gathered->open == 0) done(gathered->outcomes);
        });
    gathered->open += asked ? 1 : 0;
  }
  if (gathered->open > 0) return {};
  return fail(ErrorCode::not_found,
              fmt::format("nothing says where trustpoint {} has its CRLs", printable(trustpoint)),
              "`crl: {urls: [...]}`, a distribution point in the CA's or our certificate, or an enrollment",
              "name a URL under `crl:` of the trustpoint");
}

void Revocation::refreshed(const RevocationSource& source, const FetchOutcome& outcome) {
  Refresh& refresh = refresh_[source];
  if (outcome.error) {
    refresh.retry = std::clamp(refresh.retry * 2, times_.refresh_retry, times_.refresh);
    refresh.due = read_clocks().instant + jittered(refresh.retry);
  } else {
    schedule(source);
  }
  if (!outcome.fresh) return;
  lists_are_new();
  recheck(false, true);
}

void Revocation::lists_are_new() {
  ++generation_;
  if (parts_.lists_changed) parts_.lists_changed();
}

void Revocation::schedule(const RevocationSource& source) {
  Milliseconds time = times_.refresh;
  const auto look_at = [&](const pki::CrlToRefresh& one) {
    if (one.source == source) time = std::min(time, until_refresh(one));
  };
  if (source.kind == RevocationSource::Kind::ocsp) {
    for (const pki::OcspToRefresh& answer : parts_.fetch.store->fetched_answers()) look_at(answer);
  } else {
    for (const pki::CrlToRefresh& crl : parts_.fetch.store->fetched_crls()) look_at(crl);
  }
  refresh_[source] = {read_clocks().instant + jittered(time), Milliseconds{0}};
}

Milliseconds Revocation::until_refresh(const pki::CrlToRefresh& crl) const {
  const Milliseconds life = crl.next_update - crl.this_update;
  const Milliseconds lead = std::clamp(life / 10, kLeadMin, kLeadMax);
  return std::max<Milliseconds>(crl.next_update - read_clocks().wall - lead, times_.refresh_retry);
}

// Up to a tenth less, so that many gateways do not ask at once.
Milliseconds Revocation::jittered(Milliseconds time) {
  const auto tenth = static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count() / 10, 1, 1 << 30));
  return time - Milliseconds{parts_.rng.below(tenth)};
}

// ---- Peers that proved themselves earlier ----------------------------------------------------------------

void Revocation::recheck(bool files, bool peers) {
  again_files_ = again_files_ || files;
  again_peers_ = again_peers_ || peers;
  if (rechecking_) return;  // afterwards
  auto task = std::make_unique<RecheckTask>(self_, parts_.fetch.store, again_files_,
                                            again_peers_ ? peers_ : std::vector<Remembered>());
  // With a full pool: at the next look around.
  if (!parts_.workers.submit(std::move(task))) return;
  rechecking_ = true;
  again_files_ = false;
  again_peers_ = false;
}

void Revocation::rechecked(const Findings& findings) {
  rechecking_ = false;
  log_file_errors(findings.file_errors);
  if (findings.files_changed) {
    lists_are_new();
    again_peers_ = true;
  }
  for (const auto& [peer, error] : findings.refused) {
    // What else may be wrong by now (an expired certificate, say) the next negotiation finds.
    if (error.code != ErrorCode::certificate_revoked || std::erase(peers_, peer) == 0) continue;
    parts_.fetch.log.write(
        Facility::pki, LogLevel::warning,
        fmt::format("CRYPTO_PKI: [{}] {}", printable(peer.peer), printable(error_text(error), 1024)));
    parts_.revoked({peer.peer, error});
  }
  if (again_files_ || again_peers_) recheck(again_files_, again_peers_);
}

void Revocation::log_file_errors(const std::vector<Error>& errors) {
  std::set<std::string> now;
  for (const Error& error : errors) {
    std::string text = printable(error_text(error), 1024);
    if (!file_errors_.contains(text))
      parts_.fetch.log.write(Facility::pki, LogLevel::warning, "CRYPTO_PKI: " + text);
    now.insert(std::move(text));
  }
  file_errors_ = std::move(now);
}

}  // namespace oakgate
