// Verdicts on peers' certificates, with revocation lists as fresh as servers give them, and without the loop
// ever waiting for one: verifying runs in the worker pool, fetching in threads of its own (FetchQueue), and
// an answer comes within a bound whatever servers do.
//
// Lists in use, and OCSP answers about peers that are up, are fetched again before they end, and at least
// every hour; what cannot be fetched anew is kept. When one is new, the peers that proved themselves by
// certificates are looked at again, and those whose certificate it revokes are told to the core.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/fetch_queue.h"
#include "ike/base/rng.h"
#include "ike/base/trust.h"
#include "ike/effects.h"

namespace oakgate {

struct RevocationTimes {
  FetchBounds fetch;
  Milliseconds verdict{20000};        // from the question to the answer: a negotiation waits for 30 s
  Milliseconds look{30000};           // between two looks at what has to be fetched again, and at files
  Milliseconds refresh{3600000};      // a list is fetched again at least so often
  Milliseconds refresh_retry{60000};  // after a failure; doubled each time, up to `refresh`
};

class Revocation {
 public:
  struct Parts {
    FetchQueue::Parts fetch;
    WorkerPool& workers;
    Rng& rng;
    std::function<void(ike::PeerRevoked)> revoked;
    std::function<void()> lists_changed{};              // a list is new
    std::function<std::set<std::string>()> peers_up{};  // by configured name; empty: all that are remembered
  };
  [[nodiscard]] static Result<std::unique_ptr<Revocation>> create(Parts parts,
                                                                  const RevocationTimes& times = {});
  Revocation(const Revocation&) = delete;
  Revocation& operator=(const Revocation&) = delete;

  // At start and after each reload, when the trust store has its trustpoints: those that peers use. Their
  // configured lists are fetched, and what is remembered of peers is looked at again.
  void configure(const std::vector<TrustpointConfig>& trustpoints);
  // `pki crl request`: a trustpoint's lists fetched now, wherever they may be. `done` comes once, later, with
  // what became of each. ErrorCode::not_found if nothing says where there are any.
  using Requested = std::vector<std::pair<RevocationSource, FetchOutcome>>;
  [[nodiscard]] Result<void> request_lists(const std::string& trustpoint,
                                           std::function<void(const Requested&)> done);
  // CoreDriver::Verify.
  void verify(PeerProof proof, std::function<void(PeerVerdict)> answer);

 private:
  class VerifyTask;
  class RecheckTask;
  using InquiryId = std::uint64_t;
  // A verdict under way.
  struct Inquiry {
    std::shared_ptr<const PeerProof> proof;  // shared with the worker that looks at it
    std::function<void(PeerVerdict)> answer;
    std::set<RevocationSource> asked;    // each once
    std::set<RevocationSource> waiting;  // and not answered yet
    bool verifying = false;
    bool look_again = false;       // something came while it was being verified
    bool last = false;             // the time is over, or nothing more can be asked
    std::uint64_t generation = 0;  // of the lists it was verified with
    std::unique_ptr<Timer> patience;
  };
  struct Remembered {
    std::string peer;
    std::string trustpoint;
    std::vector<Bytes> chain;
    friend auto operator<=>(const Remembered&, const Remembered&) = default;
  };
  struct Refresh {
    Instant due{};
    Milliseconds retry{0};
  };
  // What a recheck found.
  struct Findings {
    std::vector<std::pair<Remembered, Error>> refused;
    std::vector<Error> file_errors;
    bool files_changed = false;
  };

  Revocation(Parts parts, const RevocationTimes& times, std::unique_ptr<FetchQueue> queue);
  void look(InquiryId id);
  void looked(InquiryId id, Verification verification, bool last);
  void ask_for(InquiryId id, const std::vector<RevocationSource>& missing);
  void came(InquiryId id, const RevocationSource& source, const FetchOutcome& outcome);
  void out_of_patience(InquiryId id);
  void answer(InquiryId id, PeerVerdict verdict);
  void remember(Remembered peer, std::uint64_t generation);

  void look_around();
  void learn_sources();
  [[nodiscard]] std::vector<pki::OcspToRefresh> answers_in_use() const;
  void refresh_due();
  void refreshed(const RevocationSource& source, const FetchOutcome& outcome);
  // A fetch whose outcome goes to refreshed() first, then to `then`.
  [[nodiscard]] bool fetch_again(const RevocationSource& source, FetchQueue::Done then);
  void lists_are_new();
  void schedule(const RevocationSource& source);
  [[nodiscard]] Milliseconds until_refresh(const pki::CrlToRefresh& crl) const;
  [[nodiscard]] Milliseconds jittered(Milliseconds time);

  // `files`: read again those that changed. `peers`: look at them even if no file did.
  void recheck(bool files, bool peers);
  void rechecked(const Findings& findings);
  void log_file_errors(const std::vector<Error>& errors);

  Parts parts_;
  RevocationTimes times_;
  std::unique_ptr<FetchQueue> queue_;
  std::map<InquiryId, Inquiry> inquiries_;
  InquiryId last_inquiry_ = 0;
  std::unique_ptr<Timer> retired_;
  std::vector<Remembered> peers_;      // by their good verdicts, the oldest first
  std::set<std::string> trustpoints_;  // in use, and checked for revocation
  std::map<RevocationSource, Refresh> refresh_;
  std::uint64_t generation_ = 0;  // counts new lists
  std::set<std::string> file_errors_;
  bool rechecking_ = false;
  bool again_files_ = false;
  bool again_peers_ = false;
  Timer timer_;
  std::shared_ptr<Revocation*> self_ = std::make_shared<Revocation*>(this);
};

}  // namespace oakgate
