#include "daemon/enrollment_round.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/enrollment_files.h"
#include "daemon/enrollment_state.h"
#include "daemon/text.h"
#include "pki/scep/client.h"

namespace oakgate {

namespace {

using pki::scep::Answer;
using pki::scep::Step;
using pki::scep::Transaction;

class Round {
 public:
  Round(const EnrollmentPlace& place, const Fetcher& fetcher, Rng& rng, RenewalAttempts attempts,
        WallTime now)
      : place_(place), fetcher_(fetcher), rng_(rng), now_(now) {
    out_.attempts = std::move(attempts);
  }

  EnrollmentRound run() {
    const auto transactions = read_transactions(place_.state_dir, name());
    if (!transactions) {
      say(LogLevel::error, error_text(transactions.error()));
      return std::move(out_);
    }
    for (const bool encryption_key : {false, true}) {
      const auto& files = own_files(place_.trustpoint, encryption_key);
      if (!files) continue;
      const auto pending =
          std::find_if(transactions->begin(), transactions->end(),
                       [&](const Transaction& t) { return t.encryption_key == encryption_key; });
      if (pending != transactions->end()) {
        pursue(*files, *pending);
      } else {
        look_at_certificate(*files, encryption_key);
      }
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] const std::string& name() const { return place_.trustpoint.name; }
  [[nodiscard]] const EnrollmentSettings& settings() const { return *place_.trustpoint.enrollment; }

  void say(LogLevel level, std::string text) { out_.lines.push_back({level, std::move(text)}); }
  void again_at(WallTime when) { out_.next = out_.next ? std::min(*out_.next, when) : when; }

  void report(const Result<void>& done) {
    if (!done) say(LogLevel::error, error_text(done.error()));
  }

  // ---- A request that waits -----------------------------------------------------------------------------

  void pursue(const OwnCertificateFiles& files, Transaction transaction) {
    switch (pki::scep::next_step(transaction, settings(), now_)) {
      case Step::wait:
        again_at(transaction.next_poll);
        return;
      case Step::give_up:
        say(LogLevel::error,
            fmt::format("%CRYPTO-6-CERTFAIL: Certificate enrollment failed. Trustpoint {}: still pending "
                        "after {} polls; `oakgate pki enroll {}` asks anew",
                        name(), transaction.polls, name()));
        report(remove_transaction(place_.state_dir, name(), transaction.id));
        return;
      case Step::poll:
        poll(files, std::move(transaction));
        return;
    }
  }

  void poll(const OwnCertificateFiles& files, Transaction transaction) {
    const auto answer =
        ask([&](pki::scep::Client& client,
                const crypto::PrivateKey& key) { return client.poll(transaction, key, now_); },
            files);
    if (answer && !answer->pending()) {
      decided(files, *answer);
      return;
    }
    pki::scep::note_poll(transaction, settings(), now_);
    report(update_transaction(place_.state_dir, name(), transaction));
    again_at(transaction.next_poll);
    const std::string count =
        settings().retry_count > 0 ? fmt::format(" of {}", settings().retry_count) : std::string();
    say(LogLevel::info, fmt::format("CRYPTO_PKI: status = 102: certificate request pending. Trustpoint {}, "
                                    "poll {}{}",
                                    name(), transaction.polls, count));
    if (!answer) say(LogLevel::warning, fmt::format("trustpoint {}: {}", name(), error_text(answer.error())));
  }

  void decided(const OwnCertificateFiles& files, const Answer& answer) {
    if (answer.refused) {
      say(LogLevel::error, fmt::format("%CRYPTO-6-CERTREJ: Certificate enrollment request was rejected by "
                                       "Certificate Authority. Trustpoint {}: {}",
                                       name(), error_text(*answer.refused)));
    } else if (const auto written = write_certificates(files.certificate, answer.granted); !written) {
      // Not lost: the authority answers the next poll alike.
      report(written);
      again_at(now_ + settings().retry_period);
      return;
    } else {
      say(LogLevel::notice, fmt::format("%CRYPTO-6-CERTRET: Certificate received from Certificate Authority. "
                                        "Trustpoint {}: {}",
                                        name(), answer.granted.front().subject_text()));
      out_.certificates_changed = true;
      out_.attempts.erase(answer.transaction.encryption_key);
      again_at(pki::scep::renewal_time(answer.granted.front()));
    }
    report(remove_transaction(place_.state_dir, name(), answer.transaction.id));
  }

  // ---- A certificate that ends --------------------------------------------------------------------------

  void look_at_certificate(const OwnCertificateFiles& files, bool encryption_key) {
    const auto certificate = read_own_certificate(files);
    if (!certificate) say(LogLevel::error, error_text(certificate.error()));
    if (!certificate || !*certificate) return;  // not enrolled: an operator's business
    if (now_ > (*certificate)->not_after()) {
      say(LogLevel::error,
          fmt::format("the certificate of trustpoint {} has expired: `oakgate pki enroll {}`", name(),
                      name()));
      return;
    }
    WallTime due = pki::scep::renewal_time(**certificate);
    if (const auto attempt = out_.attempts.find(encryption_key); attempt != out_.attempts.end()) {
      due = std::max(due, attempt->second);
    }
    if (now_ < due) {
      again_at(due);
      return;
    }
    renew(files, **certificate, encryption_key);
  }

  void renew(const OwnCertificateFiles& files, const pki::Certificate& old, bool encryption_key) {
    say(LogLevel::notice,
        fmt::format("%PKI-6-CERTRENEWAUTO: Renewing the router certificate for trustpoint {}", name()));
    const SecretBytes no_challenge;
    const auto answer = ask(
        [&](pki::scep::Client& client, const crypto::PrivateKey& key) {
          return client.enroll(
              {pki::scep::renewal_content(old, files.key.usage), key, encryption_key, no_challenge, old},
              now_);
        },
        files);
    if (answer && answer->pending()) {
      report(save_transaction(place_.state_dir, name(), answer->transaction));
      again_at(answer->transaction.next_poll);
      say(LogLevel::info,
          fmt::format("CRYPTO_PKI: status = 102: certificate request pending. Trustpoint {}", name()));
      return;
    }
    if (answer && !answer->refused) {
      decided(files, *answer);
      if (out_.certificates_changed) return;
    } else {
      say(LogLevel::warning, fmt::format("trustpoint {}: not renewed: {}", name(),
                                         error_text(answer ? *answer->refused : answer.error())));
    }
    const WallTime next = pki::scep::next_renewal_attempt(old, settings(), now_);
    out_.attempts[encryption_key] = next;
    again_at(next);
  }

  // ---- Both ---------------------------------------------------------------------------------------------

  template <typename Question>
  Result<Answer> ask(Question question, const OwnCertificateFiles& files) {
    const auto trusted = read_authority(place_.trustpoint);
    if (!trusted) return fail(trusted.error());
    const auto key = read_own_key(files, place_.environment);
    if (!key) return fail(key.error());
    pki::scep::Client client(fetcher_, rng_, place_.trustpoint, *trusted);
    return question(client, *key);
  }

  const EnrollmentPlace& place_;
  const Fetcher& fetcher_;
  Rng& rng_;
  WallTime now_;
  EnrollmentRound out_;
};

}  // namespace

EnrollmentRound enrollment_round(const EnrollmentPlace& place, const Fetcher& fetcher, Rng& rng,
                                 RenewalAttempts attempts, WallTime now) {
  return Round(place, fetcher, rng, std::move(attempts), now).run();
}

}  // namespace oakgate
