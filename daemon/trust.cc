#include "daemon/trust.h"

#include "daemon/loop.h"

namespace oakgate {

namespace {

class VerifyTask final : public Task {
 public:
  VerifyTask(const pki::TrustStore& store, PeerProof proof, std::function<void(PeerVerdict)> answer)
      : store_(store), proof_(std::move(proof)), answer_(std::move(answer)) {}
  void work() override { verdict_ = store_.verify(proof_, read_clocks().wall, true).verdict; }
  void done() override { answer_(std::move(verdict_)); }

 private:
  const pki::TrustStore& store_;
  PeerProof proof_;
  std::function<void(PeerVerdict)> answer_;
  PeerVerdict verdict_;
};

}  // namespace

ike::TrustpointState trustpoint_state(pki::TrustpointFacts facts) {
  ike::TrustpointState state;
  state.name = std::move(facts.name);
  state.ca_names = std::move(facts.ca_names);
  state.why_none = std::move(facts.why_none);
  if (!facts.own) return state;
  pki::TrustpointFacts::Own& own = *facts.own;
  state.own = ike::OwnCertificate{std::move(own.certificate),
                                  std::move(own.chain),
                                  std::move(own.key),
                                  own.algorithm,
                                  std::move(own.subject),
                                  std::move(own.names.addresses),
                                  std::move(own.names.host_names),
                                  std::move(own.names.user_names)};
  return state;
}

Result<void> verify_in_pool(WorkerPool& workers, const pki::TrustStore& store, PeerProof proof,
                            std::function<void(PeerVerdict)> answer) {
  return workers.submit(std::make_unique<VerifyTask>(store, std::move(proof), std::move(answer)));
}

}  // namespace oakgate
