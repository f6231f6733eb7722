// `oakgate pki enroll`: a request for each key of the trustpoint, and what the authority says to it. What is
// pending is left to oakgated, or waited for with --wait.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "conf/secrets.h"
#include "daemon/cli/pki.h"
#include "daemon/cli/scep.h"
#include "daemon/enrollment_files.h"
#include "daemon/enrollment_state.h"
#include "daemon/loop.h"
#include "daemon/system_rng.h"
#include "daemon/text.h"
#include "ike/crypto/distinguished_name.h"
#include "pki/scep/client.h"

namespace oakgate::cli {

namespace {

using pki::scep::Answer;
using pki::scep::Step;

conf::Environment environment() {
  return {"", ::geteuid()};
}

// The password as a person types it, or as it stands in the file, without a line break at its end.
Result<SecretBytes> read_challenge(const ScepArguments& arguments, AskSecret ask) {
  if (arguments.ask_password) {
    auto typed = ask("Challenge password: ");
    if (typed) return std::move(*typed);
    return fail(ErrorCode::cancelled, "nobody can be asked for the challenge password here", "a terminal",
                "Put it into a file of mode 0600: --password-file.");
  }
  const std::string& path = arguments.password_file;
  if (path.empty()) return SecretBytes();
  const auto content = conf::load_private_key(path, environment());
  if (!content) {
    Error error = content.error();
    error.text = path + ": " + error.text;
    return fail(std::move(error));
  }
  if (!*content)
    return fail(ErrorCode::not_found, "there is no file " + path, "the challenge password in it");
  std::size_t size = (*content)->size();
  const ByteView view = (*content)->view();
  if (size > 0 && view[size - 1] == '\n') --size;
  return (*content)->slice(0, size);
}

class Enroller {
 public:
  Enroller(const ScepContext& context, Rng& rng, const std::vector<pki::Certificate>& trusted)
      : context_(context),
        trustpoint_(context.trustpoint),
        client_(context.fetcher, rng, context.trustpoint, trusted) {}

  // One key; "granted" or "pending" in the JSON.
  Result<Json> run(bool encryption_key, const SecretBytes& challenge) {
    const OwnCertificateFiles& files = *own_files(trustpoint_, encryption_key);
    const auto key = read_own_key(files, environment());
    if (!key) return fail(key.error());
    std::optional<pki::Certificate> old;
    auto content = wanted(files, old);
    if (!content) return fail(content.error());
    if (!quiet()) {
      fmt::print("% Start certificate enrollment ..\n% The subject name in the certificate will be: {}\n",
                 crypto::name_text(content->subject).value_or(""));
    }
    auto answer = client_.enroll({*content, *key, encryption_key, challenge, old}, read_clocks().wall);
    if (!answer) return fail(answer.error());
    if (!quiet()) {
      fmt::print("% Certificate request sent to Certificate Authority\n       Fingerprint: {}\n",
                 grouped_fingerprint(answer->transaction.fingerprint));
    }
    if (answer->pending()) {
      const auto saved =
          save_transaction(context_.config.gateway.state_dir, trustpoint_.name, answer->transaction);
      if (!saved) return fail(saved.error());
      if (context_.arguments.scep.wait) answer = wait(*answer, *key);
      if (!answer) return fail(answer.error());
    }
    return conclude(files, *answer);
  }

 private:
  [[nodiscard]] bool quiet() const { return context_.arguments.json; }
  [[nodiscard]] const EnrollmentSettings& settings() const { return *trustpoint_.enrollment; }

  Result<pki::scep::RequestContent> wanted(const OwnCertificateFiles& files,
                                           std::optional<pki::Certificate>& old) const {
    const ScepArguments& given = context_.arguments.scep;
    if (given.renew) {
      auto there = read_own_certificate(files);
      if (!there) return fail(there.error());
      if (!*there) {
        return fail(ErrorCode::no_certificate, "there is no certificate to renew",
                    "one in " + files.certificate, "Enrol without --renew.");
      }
      old = std::move(*there);
      return pki::scep::renewal_content(*old, files.key.usage);
    }
    pki::scep::RequestedSubject subject{given.subject, given.host_name, std::nullopt, given.serial_number};
    if (!given.ip_address.empty()) {
      subject.address = IpAddress::parse(given.ip_address);
      if (!subject.address) {
        return fail(ErrorCode::malformed, "--ip-address is no address", "one like 192.0.2.1");
      }
    }
    return pki::scep::request_content(subject, files.key.usage);
  }

  // Polls as oakgated would, until something is decided.
  Result<Answer> wait(Answer answer, const crypto::PrivateKey& key) {
    const std::string& state_dir = context_.config.gateway.state_dir;
    while (true) {
      const WallTime now = read_clocks().wall;
      switch (pki::scep::next_step(answer.transaction, settings(), now)) {
        case Step::give_up:
          return fail(ErrorCode::enrollment_pending,
                      fmt::format("the request is still pending after {} polls", answer.transaction.polls),
                      "a decision of the authority's operator",
                      fmt::format("Ask the operator; then `oakgate pki enroll {}` anew.", trustpoint_.name));
        case Step::wait:
          // Nothing here can tell when the authority has decided: it has to be asked again.
          ::poll(
              nullptr, 0,
              static_cast<int>(
                  std::min<Milliseconds>(answer.transaction.next_poll - now, std::chrono::hours(1)).count()));
          break;
        case Step::poll: {
          const auto polled = client_.poll(answer.transaction, key, now);
          if (polled && !polled->pending()) return *polled;
          pki::scep::note_poll(answer.transaction, settings(), now);
          const auto kept = update_transaction(state_dir, trustpoint_.name, answer.transaction);
          if (!kept) return fail(kept.error());
          if (!quiet()) fmt::print("{}\n", pending_line(answer.transaction));
          if (!polled && !quiet()) fmt::print(stderr, "  {}\n", error_text(polled.error()));
          break;
        }
      }
    }
  }

  [[nodiscard]] static std::string pending_line(const pki::scep::Transaction& transaction) {
    return fmt::format("CRYPTO_PKI: status = 102: certificate request pending (poll {})", transaction.polls);
  }

  Result<Json> conclude(const OwnCertificateFiles& files, const Answer& answer) const {
    const std::string& state_dir = context_.config.gateway.state_dir;
    Json json{{"state", answer.pending() ? "pending" : "granted"},
              {"key", files.key.name},
              {"transaction", answer.transaction.id},
              {"request_fingerprint", answer.transaction.fingerprint},
              {"file", files.certificate}};
    if (answer.pending()) {
      json["next_poll"] = iso_time(answer.transaction.next_poll);
      if (!quiet()) {
        fmt::print(
            "CRYPTO_PKI: status = 102: certificate request pending\n"
            "% oakgated polls the authority every {}{}\n",
            duration_text(settings().retry_period),
            settings().retry_count > 0 ? fmt::format(", {} times at most", settings().retry_count)
                                       : std::string());
      }
      return json;
    }
    if (!answer.refused) {
      const auto written = write_certificates(files.certificate, answer.granted);
      if (!written) return fail(written.error());
    }
    const auto removed = remove_transaction(state_dir, trustpoint_.name, answer.transaction.id);
    if (answer.refused) return fail(*answer.refused);
    if (!removed) return fail(removed.error());
    const pki::Certificate& own = answer.granted.front();
    json["subject"] = own.subject_text();
    json["issuer"] = own.issuer_text();
    json["serial"] = own.serial();
    json["not_after"] = iso_time(own.not_after());
    if (!quiet()) {
      fmt::print(
          "%CRYPTO-6-CERTRET: Certificate received from Certificate Authority\n"
          "  Subject: {}\n  Serial Number: {}\n  End date: {}\n{} written\n",
          own.subject_text(), own.serial(), iso_time(own.not_after()), files.certificate);
    }
    return json;
  }

  const ScepContext& context_;
  const TrustpointConfig& trustpoint_;
  pki::scep::Client client_;
};

}  // namespace

Outcome<Json> enroll(const ScepContext& context, AskSecret ask) {
  const TrustpointConfig& trustpoint = context.trustpoint;
  const auto refuse = [](const Error& error) { return tl::unexpected(failure_of(error)); };
  if (!trustpoint.own && !trustpoint.own_encryption) {
    return refuse({ErrorCode::configuration,
                   fmt::format("trustpoint {} has no certificate of ours", trustpoint.name),
                   fmt::format("`trustpoints.{}.certificate` and `key`", trustpoint.name),
                   "Name the files that take them; they need not be there yet.",
                   {}});
  }
  const auto trusted = read_authority(trustpoint);
  if (!trusted) return refuse(trusted.error());
  const auto challenge = read_challenge(context.arguments.scep, ask);
  if (!challenge) return refuse(challenge.error());
  auto rng = SystemRng::create();
  if (!rng) return refuse(rng.error());
  Enroller enroller(context, *rng, *trusted);
  Json requests = Json::array();
  for (const bool encryption_key : {false, true}) {
    if (!own_files(trustpoint, encryption_key)) continue;
    auto done = enroller.run(encryption_key, *challenge);
    if (!done) return refuse(done.error());
    requests.push_back(std::move(*done));
  }
  const auto answer = tell_daemon(context.arguments, context.config);
  const bool told = answer && *answer;
  if (!context.arguments.json && !told) fmt::print("% oakgated does not run here: start it\n");
  return Json{{"version", kControlVersion},
              {"trustpoint", trustpoint.name},
              {"daemon_told", told},
              {"requests", std::move(requests)}};
}

}  // namespace oakgate::cli
