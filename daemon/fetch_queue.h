// Fetches CRLs and OCSP answers (HTTP, LDAP, SCEP) in threads of their own and brings them to the trust
// store. One fetch at a time from each server, so that one that never ends its answer holds one thread; those
// who want the same share one fetch; what failed is not asked for again for a while. Lives on the loop's
// thread.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/revocation_store.h"
#include "daemon/workers.h"
#include "ike/ports/fetcher.h"

namespace oakgate {

struct FetchBounds {
  Milliseconds fetch{10000};    // the whole of one fetch
  Milliseconds in_vain{60000};  // so long it is not asked for again after it brought nothing new
  std::size_t threads = 4;
  std::size_t waiting = 256;  // fetches, beside those under way
};

struct FetchOutcome {
  bool fresh = false;          // the trust store has something new
  std::optional<Error> error;  // nothing usable came; without it and not fresh: what came was known already
};

class FetchQueue {
 public:
  // Shared with the threads: one that a server holds up is left behind at the end, and may use them still.
  struct Parts {
    Loop& loop;
    const Log& log;
    std::shared_ptr<RevocationStore> store;
    std::shared_ptr<const Fetcher> fetcher;
    // For sources that answer GetCRL (daemon/scep_lists.h); blocks so long at most, safe from any thread.
    std::function<Result<Bytes>(const RevocationSource&, Milliseconds timeout)> scep{};
  };
  using Done = std::function<void(const RevocationSource&, const FetchOutcome&)>;
  [[nodiscard]] static Result<std::unique_ptr<FetchQueue>> create(Parts parts, const FetchBounds& bounds);
  FetchQueue(const FetchQueue&) = delete;
  FetchQueue& operator=(const FetchQueue&) = delete;

  enum class Again : bool { no, yes };  // yes: even if it was in vain a moment ago
  // `done` is called once, later, unless this answers false: it was in vain a moment ago, or too much waits.
  [[nodiscard]] bool ask(const RevocationSource& source, Again again, Done done);

 private:
  class FetchTask;
  struct Wanted {
    bool under_way = false;
    bool for_verdict = false;  // somebody asks without Again::yes
    std::vector<Done> askers;
  };
  FetchQueue(Parts parts, const FetchBounds& bounds, std::unique_ptr<WorkerPool> pool);
  void begin_what_can();
  [[nodiscard]] bool begin(const RevocationSource& source);
  void finished(const RevocationSource& source, const FetchOutcome& outcome);
  void remember(const RevocationSource& source, const FetchOutcome& outcome, bool for_verdict);
  [[nodiscard]] bool was_in_vain(const RevocationSource& source);
  void log_outcome(const RevocationSource& source, const FetchOutcome& outcome) const;

  Parts parts_;
  FetchBounds bounds_;
  std::map<RevocationSource, Wanted> wanted_;
  std::list<RevocationSource> order_;  // of those that wait; an operator's sources first
  std::set<std::string> busy_;         // servers
  std::map<RevocationSource, Instant> in_vain_until_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<Watch> watch_;
  // Tells tasks that come back whether their asker is still there.
  std::shared_ptr<FetchQueue*> self_ = std::make_shared<FetchQueue*>(this);
};

// "ca.example:8080", lower case: what a fetch from `url` keeps busy.
[[nodiscard]] std::string server_of(const std::string& url);

}  // namespace oakgate
