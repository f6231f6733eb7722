// The trust store and the servers are this test's own: what certificates need, what servers answer and when
// is what it says. The loop runs until what is expected has happened.
#include "daemon/revocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>

namespace oakgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Constant: not random, and no jitter.
class NoJitter final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), std::uint8_t{0}); }
};

class Lines final : public LogSink {
 public:
  explicit Lines(std::vector<std::string>& lines) : lines_(lines) {}
  void write(LogLevel /*level*/, std::string_view text, std::span<const LogField> /*fields*/) override {
    lines_.emplace_back(text);
  }

 private:
  std::vector<std::string>& lines_;
};

RevocationSource source(const std::string& url, bool configured = true) {
  return {RevocationSource::Kind::crl, url, configured, {}, "corp"};
}

// A peer is good once any of the sources it needs has been answered, unless it is revoked. An answer "revoke
// X" revokes the peer X; "same" is known already; "bad" is no list.
class FakeStore final : public RevocationStore {
 public:
  Verification verify(const PeerProof& proof, WallTime /*now*/, bool last) const override {
    std::unique_lock lock(mutex);
    ++verifications;
    Verification out;
    out.verdict.signature_good = true;
    if (revoked.contains(proof.peer)) {
      out.verdict.peer = fail(ErrorCode::certificate_revoked, "revoked");
      return out;
    }
    const auto needed = needs.find(proof.peer);
    const bool good =
        needed == needs.end() || std::any_of(needed->second.begin(), needed->second.end(),
                                             [&](const auto& one) { return answered.contains(one); });
    if (good) {
      VerifiedPeer peer;
      peer.chain = {to_bytes(as_bytes(proof.peer))};
      out.verdict.peer = peer;
    } else {
      out.verdict.peer = fail(ErrorCode::crl_unavailable, "no CRL");
      if (!last) out.missing = needed->second;
    }
    held.wait(lock, [&] { return !hold_verdicts; });
    return out;
  }
  Result<void> recheck(const std::vector<Bytes>& chain, const std::string& /*trustpoint*/,
                       WallTime /*now*/) const override {
    const std::lock_guard lock(mutex);
    ++rechecks;
    if (!revoked.contains(std::string(chain[0].begin(), chain[0].end()))) return {};
    return fail(ErrorCode::certificate_revoked, "revoked by the new list");
  }
  Result<bool> add_answer(const RevocationSource& from, ByteView body, WallTime now) override {
    const std::lock_guard lock(mutex);
    const std::string text(body.begin(), body.end());
    if (text == "bad") return fail(ErrorCode::crl_invalid, "not a list");
    if (text == "same") return false;
    if (text.starts_with("revoke ")) revoked.insert(text.substr(7));
    answered.insert(from);
    if (from.kind == RevocationSource::Kind::ocsp) {
      answers = {{{from, now - std::chrono::hours(1), now + life}, to_bytes(as_bytes("a"))}};
      return true;
    }
    crls.push_back({from, now - std::chrono::hours(1), now + life});
    return true;
  }
  void add_failure(const RevocationSource& from, const Error& /*error*/) override {
    const std::lock_guard lock(mutex);
    failed.push_back(from.url);
  }
  std::vector<Error> reread_crl_files(bool& changed) override {
    const std::lock_guard lock(mutex);
    ++rereads;
    changed = std::exchange(files_changed, false);
    return file_errors;
  }
  std::vector<pki::CrlToRefresh> fetched_crls() const override {
    const std::lock_guard lock(mutex);
    return crls;
  }
  std::vector<pki::OcspToRefresh> fetched_answers() const override {
    const std::lock_guard lock(mutex);
    return answers;
  }
  std::vector<RevocationSource> crl_sources(const std::string& trustpoint) const override {
    const std::lock_guard lock(mutex);
    return trustpoint == "corp" ? configured : std::vector<RevocationSource>();
  }

  mutable std::mutex mutex;
  mutable std::condition_variable held;
  bool hold_verdicts = false;
  std::map<std::string, std::vector<RevocationSource>> needs;
  std::set<RevocationSource> answered;
  std::set<std::string> revoked;
  std::vector<pki::CrlToRefresh> crls;
  std::vector<pki::OcspToRefresh> answers;  // about the certificate of the peer a
  std::vector<RevocationSource> configured;
  std::vector<std::string> failed;
  std::vector<Error> file_errors;
  std::chrono::seconds life = std::chrono::hours(24);
  bool files_changed = false;
  mutable int verifications = 0;
  mutable int rechecks = 0;
  int rereads = 0;
};

// Answers what a URL was given; a URL that was given nothing is a server that never answers.
class FakeFetcher final : public Fetcher {
 public:
  Result<Fetched> fetch(const FetchRequest& request) const override {
    std::unique_lock lock(mutex);
    requests.push_back(request);
    begun.push_back(read_clocks().instant);
    changed.wait(lock, [&] { return over || answers.contains(request.url); });
    if (over) return fail(ErrorCode::fetch_failed, "the test is over");
    const std::string answer = answers.at(request.url);
    if (answer == "down") return fail(ErrorCode::fetch_failed, request.url + ": no connection");
    return Fetched{to_bytes(as_bytes(answer)), {}};
  }
  void give(const std::string& url, const std::string& answer) {
    const std::lock_guard lock(mutex);
    answers[url] = answer;
    changed.notify_all();
  }
  void end() {
    const std::lock_guard lock(mutex);
    over = true;
    changed.notify_all();
  }
  [[nodiscard]] std::vector<std::string> urls() const {
    const std::lock_guard lock(mutex);
    std::vector<std::string> out;
    for (const FetchRequest& request : requests) out.push_back(request.url);
    return out;
  }

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  mutable std::vector<FetchRequest> requests;
  mutable std::vector<Instant> begun;  // each of them
  std::map<std::string, std::string> answers;
  bool over = false;
};

class RevocationTest : public testing::Test {
 protected:
  RevocationTest() {
    loop = std::move(*Loop::create());
    workers = std::move(*WorkerPool::create(2, 16, WorkerPool::AtEnd::join));
    log = std::make_unique<Log>(std::make_unique<Lines>(lines), LogLevel::debug);
    watch = Watch::readable(*loop, workers->fd(), [this] { workers->dispatch(); });
  }
  ~RevocationTest() override {
    fetcher->end();
    revocation.reset();
  }
  void begin(const RevocationTimes& times = {}) {
    revocation = std::move(*Revocation::create(
        {.fetch = {*loop, *log, store, fetcher,
                   [this](const RevocationSource& from, Milliseconds) { return get_crl(from.url); }},
         .workers = *workers,
         .rng = rng,
         .revoked = [this](ike::PeerRevoked one) { revoked.push_back(one.peer); },
         .lists_changed = [this] { ++list_changes; },
         .peers_up = [this] { return up; }},
        times));
  }
  void configure() {
    TrustpointConfig corp;
    corp.name = "corp";
    revocation->configure({corp});
  }
  void verify(const std::string& peer) {
    PeerProof proof;
    proof.peer = peer;
    proof.trustpoint = "corp";
    revocation->verify(std::move(proof), [this, peer](const PeerVerdict& verdict) {
      verdicts[peer] = verdict.peer ? "good" : std::string(to_string(verdict.peer.error().code));
    });
  }
  // By SCEP: the same servers, another way to ask.
  [[nodiscard]] Result<Bytes> get_crl(const std::string& url) const {
    FetchRequest request;
    request.url = "GetCRL of " + url;
    Result<Fetched> fetched = fetcher->fetch(request);
    if (!fetched) return fail(fetched.error());
    return std::move(fetched->body);
  }
  // Fails after ten seconds.
  void run_until(const std::function<bool()>& reached) {
    bool late = false;
    Timer limit(*loop, [&] { late = true; });
    limit.arm(Milliseconds(10000));
    // What threads do reaches the loop as no event of its own.
    Timer beat(*loop, [] {});
    while (!late && !reached()) {
      beat.arm(Milliseconds(2));
      event_base_loop(loop->base(), EVLOOP_ONCE);
    }
    ASSERT_FALSE(late) << "not reached in time";
  }
  void await_verdict(const std::string& peer, const std::string& wanted) {
    run_until([&] { return verdicts.contains(peer); });
    EXPECT_EQ(verdicts[peer], wanted) << peer;
  }
  [[nodiscard]] bool logged(const std::string& text) const {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const auto& line) { return line.find(text) != std::string::npos; });
  }

  std::vector<std::string> lines;
  std::map<std::string, std::string> verdicts;
  std::vector<std::string> revoked;
  std::set<std::string> up;
  int list_changes = 0;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<Log> log;
  std::unique_ptr<Watch> watch;
  NoJitter rng;
  std::shared_ptr<FakeStore> store = std::make_shared<FakeStore>();
  std::shared_ptr<FakeFetcher> fetcher = std::make_shared<FakeFetcher>();
  std::unique_ptr<Revocation> revocation;
};

constexpr const char* kUrl = "http://ca.example/corp.crl";
const RevocationSource kScep{RevocationSource::Kind::scep, "http://ca.example/scep", true, {}, "corp"};
constexpr const char* kGetCrl = "GetCRL of http://ca.example/scep";

TEST_F(RevocationTest, AnswersLaterAndWithoutAskingIfNothingIsMissing) {
  begin();
  verify("a");
  EXPECT_THAT(verdicts, IsEmpty()) << "never from within the call";
  await_verdict("a", "good");
  EXPECT_THAT(fetcher->urls(), IsEmpty());
}

TEST_F(RevocationTest, FetchesWhatIsMissing) {
  begin();
  store->needs["a"] = {source(kUrl)};
  fetcher->give(kUrl, "list");
  verify("a");
  await_verdict("a", "good");
  EXPECT_THAT(fetcher->urls(), ElementsAre(kUrl));
  EXPECT_TRUE(logged("CRYPTO_PKI: trustpoint corp: new CRL received from http://ca.example/corp.crl"));
}

TEST_F(RevocationTest, AsksAsTheProtocolsHaveIt) {
  begin();
  RevocationSource ocsp = source("http://ocsp.example/", false);
  ocsp.kind = RevocationSource::Kind::ocsp;
  ocsp.request = {1, 2, 3};
  store->needs["a"] = {ocsp};
  store->needs["b"] = {source(kUrl)};
  fetcher->give(ocsp.url, "answer");
  fetcher->give(kUrl, "list");
  verify("a");
  await_verdict("a", "good");
  verify("b");
  await_verdict("b", "good");
  ASSERT_EQ(fetcher->requests.size(), 2U);
  const FetchRequest& post = fetcher->requests[0];
  EXPECT_EQ(post.body, (Bytes{1, 2, 3}));
  EXPECT_EQ(post.body_type, "application/ocsp-request");
  EXPECT_THAT(post.accepted_types, ElementsAre("application/ocsp-response"));
  EXPECT_FALSE(post.configured);
  const FetchRequest& get = fetcher->requests[1];
  EXPECT_THAT(get.body, IsEmpty());
  EXPECT_TRUE(get.configured);
  EXPECT_EQ(get.max_bytes, 10'000'000U);
}

TEST_F(RevocationTest, ServersThatAreDownGiveNoVerdictOfGood) {
  begin();
  store->needs["a"] = {source(kUrl), source("ldap://ca.example/c=us")};
  fetcher->give(kUrl, "down");
  fetcher->give("ldap://ca.example/c=us", "bad");
  verify("a");
  await_verdict("a", "crl-unavailable");
  EXPECT_THAT(store->failed, ElementsAre(kUrl)) << "the store can say why";
  EXPECT_TRUE(logged("no usable CRL from http://ca.example/corp.crl"));
}

TEST_F(RevocationTest, TheFirstUsableAnswerIsEnough) {
  begin();
  store->needs["a"] = {source("http://tarpit.example/a"), source(kUrl)};
  fetcher->give(kUrl, "list");
  verify("a");
  await_verdict("a", "good");
}

TEST_F(RevocationTest, ATarpitSlowsNobodyElseDown) {
  begin();
  // More URLs than there are threads, all at one server that never ends its answers.
  for (int i = 0; i < 10; ++i) {
    store->needs["slow"].push_back(source("http://tarpit.example/" + std::to_string(i), i % 2 == 0));
  }
  store->needs["a"] = {source(kUrl, false)};
  verify("slow");
  run_until([&] { return !fetcher->urls().empty(); });
  fetcher->give(kUrl, "list");
  verify("a");
  verify("b");
  await_verdict("a", "good");
  await_verdict("b", "good");
  EXPECT_FALSE(verdicts.contains("slow"));
  EXPECT_EQ(fetcher->urls().size(), 2U) << "one fetch at a time from one server";
}

TEST_F(RevocationTest, ATarpitDoesNotHoldAVerdictUp) {
  RevocationTimes times;
  times.verdict = Milliseconds(20);
  begin(times);
  store->needs["slow"] = {source("http://tarpit.example/a"), source("http://tarpit.example/b")};
  verify("slow");
  await_verdict("slow", "crl-unavailable");
}

TEST_F(RevocationTest, TheSameListIsFetchedOnce) {
  begin();
  for (const char* peer : {"a", "b", "c"}) {
    store->needs[peer] = {source(kUrl)};
    verify(peer);
  }
  run_until([&] {
    const std::lock_guard lock(store->mutex);
    return store->verifications >= 3;
  });
  fetcher->give(kUrl, "list");
  for (const char* peer : {"a", "b", "c"}) await_verdict(peer, "good");
  EXPECT_EQ(fetcher->urls().size(), 1U);
}

TEST_F(RevocationTest, ADeadServerIsNotAskedEachTime) {
  begin();
  store->needs["a"] = {source(kUrl)};
  fetcher->give(kUrl, "down");
  for (int i = 0; i < 3; ++i) {
    verdicts.clear();
    verify("a");
    await_verdict("a", "crl-unavailable");
  }
  EXPECT_EQ(fetcher->urls().size(), 1U);
}

TEST_F(RevocationTest, ADeadServerIsAskedAgainAfterAWhile) {
  RevocationTimes times;
  times.fetch.in_vain = Milliseconds(0);
  begin(times);
  store->needs["a"] = {source(kUrl)};
  fetcher->give(kUrl, "down");
  verify("a");
  await_verdict("a", "crl-unavailable");
  fetcher->give(kUrl, "list");
  verdicts.clear();
  verify("a");
  await_verdict("a", "good");
}

TEST_F(RevocationTest, AFullPoolAnswersToo) {
  const auto small = std::move(*WorkerPool::create(0, 1, WorkerPool::AtEnd::join));
  revocation =
      std::move(*Revocation::create({{*loop, *log, store, fetcher}, *small, rng, [](const auto&) {}}));
  verify("waits");
  verify("refused");
  await_verdict("refused", "internal");
  EXPECT_FALSE(verdicts.contains("waits"));
  revocation.reset();
}

TEST_F(RevocationTest, TheAuthorityIsAskedWhenTheOthersFailed) {
  begin();
  store->needs["a"] = {source(kUrl), source("ldap://ca.example/c=us"), kScep};
  fetcher->give(kUrl, "down");
  fetcher->give("ldap://ca.example/c=us", "bad");
  fetcher->give(kGetCrl, "list");
  verify("a");
  await_verdict("a", "good");
  EXPECT_EQ(fetcher->urls().size(), 3U);
  EXPECT_EQ(fetcher->urls().back(), kGetCrl);
  EXPECT_TRUE(logged("new CRL received from http://ca.example/scep"));
  // The others have just been asked in vain, and its list is known.
  store->answered.clear();
  fetcher->give(kGetCrl, "same");
  verdicts.clear();
  verify("a");
  await_verdict("a", "crl-unavailable");
  EXPECT_EQ(fetcher->urls().size(), 4U);
}

TEST_F(RevocationTest, TheAuthorityIsNotAskedWhenAnotherAnswers) {
  begin();
  store->needs["a"] = {source(kUrl), kScep};
  fetcher->give(kUrl, "list");
  verify("a");
  await_verdict("a", "good");
  EXPECT_THAT(fetcher->urls(), ElementsAre(kUrl));
}

TEST_F(RevocationTest, TheAuthorityIsAskedOnRequestAndThenRefreshed) {
  RevocationTimes times;
  times.refresh = Milliseconds(20);
  times.look = Milliseconds(5);
  begin(times);
  store->configured = {kScep};
  fetcher->give(kGetCrl, "list");
  configure();
  verify("a");
  await_verdict("a", "good");
  EXPECT_THAT(fetcher->urls(), IsEmpty()) << "not by itself";
  std::optional<FetchOutcome> outcome;
  ASSERT_TRUE(revocation->request_lists(
      "corp", [&](const Revocation::Requested& all) { outcome = all.at(0).second; }));
  run_until([&] { return outcome.has_value(); });
  EXPECT_TRUE(outcome->fresh);
  fetcher->give(kGetCrl, "revoke a");
  run_until([&] { return !revoked.empty(); });
}

TEST_F(RevocationTest, ConfiguredListsAreFetchedAtTheStart) {
  begin();
  store->configured = {source(kUrl), source("http://by-certificate.example/", false)};
  fetcher->give(kUrl, "list");
  configure();
  run_until([&] { return store->answered.contains(source(kUrl)); });
  EXPECT_THAT(fetcher->urls(), ElementsAre(kUrl));
}

// The intermediate whose list it is comes with the first peer: then it is asked for again, at once.
TEST_F(RevocationTest, AListOfNoKnownAuthorityAtTheStartIsAskedForWhenAPeerNeedsIt) {
  begin();
  store->configured = {source(kUrl)};
  store->needs["a"] = {source(kUrl)};
  fetcher->give(kUrl, "bad");
  configure();
  run_until([&] { return logged("not a list"); });
  fetcher->give(kUrl, "list");
  verify("a");
  await_verdict("a", "good");
  EXPECT_THAT(fetcher->urls(), ElementsAre(kUrl, kUrl));
}

TEST_F(RevocationTest, ANewListTakesThePeerDownThatItRevokes) {
  begin();
  verify("a");
  verify("b");
  await_verdict("a", "good");
  await_verdict("b", "good");
  store->configured = {source(kUrl)};
  fetcher->give(kUrl, "revoke a");
  configure();
  run_until([&] { return !revoked.empty(); });
  EXPECT_THAT(revoked, ElementsAre("a"));
  // Told once; the other one stays.
  const int before = store->rechecks;
  configure();
  run_until([&] { return store->rechecks > before; });
  EXPECT_THAT(revoked, ElementsAre("a"));
  verify("a");
  verdicts.clear();
  await_verdict("a", "certificate-revoked");
}

TEST_F(RevocationTest, ListsAreFetchedOnRequest) {
  begin();
  configure();
  verify("a");
  await_verdict("a", "good");
  const RevocationSource other = source("http://by-certificate.example/", false);
  store->configured = {source(kUrl), other};
  fetcher->give(kUrl, "revoke a");
  fetcher->give(other.url, "down");
  std::map<std::string, std::string> outcomes;
  ASSERT_TRUE(revocation->request_lists("corp", [&](const Revocation::Requested& all) {
    for (const auto& [from, outcome] : all) outcomes[from.url] = outcome.error ? outcome.error->text : "fine";
  }));
  run_until([&] { return outcomes.size() == 2; });
  EXPECT_EQ(outcomes[kUrl], "fine");
  EXPECT_THAT(outcomes[other.url], HasSubstr("no connection"));
  run_until([&] { return !revoked.empty(); });
  const Result<void> unknown = revocation->request_lists("nowhere", [](const auto&) {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
}

TEST_F(RevocationTest, AListThatComesWithANegotiationIsHeldAgainstOthers) {
  begin();
  configure();
  verify("a");
  await_verdict("a", "good");
  store->needs["b"] = {source(kUrl)};
  fetcher->give(kUrl, "revoke a");
  verify("b");
  await_verdict("b", "good");
  run_until([&] { return !revoked.empty(); });
  EXPECT_THAT(revoked, ElementsAre("a"));
}

TEST_F(RevocationTest, AListThatComesDuringAVerificationIsHeldAgainstIt) {
  begin();
  store->hold_verdicts = true;
  verify("a");
  run_until([&] {
    const std::lock_guard lock(store->mutex);
    return store->verifications == 1;
  });
  store->configured = {source(kUrl)};
  fetcher->give(kUrl, "revoke a");
  configure();
  run_until([&] { return logged("new CRL received"); });
  {
    const std::lock_guard lock(store->mutex);
    store->hold_verdicts = false;
    store->held.notify_all();
  }
  await_verdict("a", "good");
  run_until([&] { return !revoked.empty(); });
}

TEST_F(RevocationTest, ListsAreFetchedAgainBeforeTheyEnd) {
  RevocationTimes times;
  times.look = times.refresh_retry = Milliseconds(1);
  begin(times);
  store->life = std::chrono::seconds(30);  // less than the lead
  store->configured = {source(kUrl)};
  fetcher->give(kUrl, "list");
  configure();
  run_until([&] { return fetcher->urls().size() >= 3; });
}

TEST_F(RevocationTest, AnswersAboutPeersThatAreUpAreFetchedAgain) {
  RevocationTimes times;
  times.look = times.refresh_retry = Milliseconds(5);
  begin(times);
  store->life = std::chrono::seconds(0);
  RevocationSource ocsp = source("http://ocsp.example/", false);
  ocsp.kind = RevocationSource::Kind::ocsp;
  store->needs["a"] = {ocsp};
  fetcher->give(ocsp.url, "answer");
  configure();
  verify("a");
  await_verdict("a", "good");
  // As long as it is down nobody asks.
  const int before = store->rereads;
  run_until([&] { return store->rereads > before + 3; });
  EXPECT_EQ(fetcher->urls().size(), 1U);
  up = {"a"};
  run_until([&] { return fetcher->urls().size() >= 3; });
  fetcher->give(ocsp.url, "revoke a");
  run_until([&] { return !revoked.empty(); });
  EXPECT_THAT(revoked, ElementsAre("a"));
}

TEST_F(RevocationTest, ALongListIsLeftAlone) {
  RevocationTimes times;
  times.look = times.refresh_retry = Milliseconds(1);
  begin(times);
  store->configured = {source(kUrl)};
  fetcher->give(kUrl, "list");
  configure();
  run_until([&] { return store->rereads >= 20; });
  EXPECT_EQ(fetcher->urls().size(), 1U);
}

TEST_F(RevocationTest, AFailedRefreshIsTriedAgainLessAndLessOften) {
  RevocationTimes times;
  times.look = times.refresh_retry = Milliseconds(1);
  times.refresh = Milliseconds(64);
  begin(times);
  store->configured = {source(kUrl)};
  fetcher->give(kUrl, "down");
  configure();
  run_until([&] { return fetcher->urls().size() >= 7; });
  {
    const std::lock_guard lock(fetcher->mutex);
    for (std::size_t i = 1; i < 7; ++i) {
      EXPECT_GE(fetcher->begun[i] - fetcher->begun[i - 1], Milliseconds(1 << (i - 1))) << i;
    }
  }
  fetcher->give(kUrl, "list");
  run_until([&] { return store->answered.contains(source(kUrl)); });
}

TEST_F(RevocationTest, FilesThatChangedAreReadAgain) {
  RevocationTimes times;
  times.look = Milliseconds(1);
  begin(times);
  configure();
  verify("a");
  await_verdict("a", "good");
  store->file_errors = {Error{ErrorCode::crl_invalid, "corp.crl: not a CRL\n", {}, {}, {}}};
  run_until([&] { return logged("corp.crl: not a CRL\\x0a"); });
  {
    const std::lock_guard lock(store->mutex);
    store->file_errors.clear();
    store->revoked.insert("a");
    store->files_changed = true;
  }
  EXPECT_EQ(list_changes, 0) << "a file that cannot be read is no new list";
  run_until([&] { return !revoked.empty(); });
  EXPECT_EQ(list_changes, 1);
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                          [](const auto& line) { return line.find("corp.crl") != std::string::npos; }),
            1);
}

TEST_F(RevocationTest, EndsWhileAServerHoldsItUp) {
  begin();
  store->needs["a"] = {source("http://tarpit.example/a")};
  verify("a");
  run_until([&] { return !fetcher->urls().empty(); });
  revocation.reset();
  EXPECT_FALSE(verdicts.contains("a"));
}

TEST(ServerOf, IsHostAndPort) {
  EXPECT_EQ(server_of("http://CA.example:8080/corp.crl"), "ca.example:8080");
  EXPECT_EQ(server_of("ldap://[2001:db8::1]?x"), "[2001:db8::1]");
  EXPECT_EQ(server_of("nonsense"), "nonsense");
}

}  // namespace
}  // namespace oakgate
