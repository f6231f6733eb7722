// What the revocation service needs of the trust store, so that tests can play it. Safe from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pki/trust_store.h"

namespace oakgate {

class RevocationStore {
 public:
  virtual ~RevocationStore() = default;
  // As pki::TrustStore's.
  [[nodiscard]] virtual Verification verify(const PeerProof& proof, WallTime now, bool last) const = 0;
  [[nodiscard]] virtual Result<void> recheck(const std::vector<Bytes>& chain, const std::string& trustpoint,
                                             WallTime now) const = 0;
  [[nodiscard]] virtual Result<bool> add_answer(const RevocationSource& source, ByteView body,
                                                WallTime now) = 0;
  virtual void add_failure(const RevocationSource& source, const Error& error) = 0;
  [[nodiscard]] virtual std::vector<Error> reread_crl_files(bool& changed) = 0;
  [[nodiscard]] virtual std::vector<pki::CrlToRefresh> fetched_crls() const = 0;
  [[nodiscard]] virtual std::vector<pki::OcspToRefresh> fetched_answers() const = 0;
  [[nodiscard]] virtual std::vector<RevocationSource> crl_sources(const std::string& trustpoint) const = 0;
};

class TrustRevocationStore final : public RevocationStore {
 public:
  explicit TrustRevocationStore(std::shared_ptr<pki::TrustStore> trust) : trust_(std::move(trust)) {}
  [[nodiscard]] Verification verify(const PeerProof& proof, WallTime now, bool last) const override {
    return trust_->verify(proof, now, last);
  }
  [[nodiscard]] Result<void> recheck(const std::vector<Bytes>& chain, const std::string& trustpoint,
                                     WallTime now) const override {
    return trust_->recheck(chain, trustpoint, now);
  }
  [[nodiscard]] Result<bool> add_answer(const RevocationSource& source, ByteView body,
                                        WallTime now) override {
    return trust_->add_answer(source, body, now);
  }
  void add_failure(const RevocationSource& source, const Error& error) override {
    trust_->add_failure(source, error);
  }
  [[nodiscard]] std::vector<Error> reread_crl_files(bool& changed) override {
    return trust_->reread_crl_files(changed);
  }
  [[nodiscard]] std::vector<pki::CrlToRefresh> fetched_crls() const override {
    return trust_->fetched_crls();
  }
  [[nodiscard]] std::vector<pki::OcspToRefresh> fetched_answers() const override {
    return trust_->fetched_answers();
  }
  [[nodiscard]] std::vector<RevocationSource> crl_sources(const std::string& trustpoint) const override {
    return trust_->crl_sources(trustpoint);
  }

 private:
  std::shared_ptr<pki::TrustStore> trust_;
};

}  // namespace oakgate
