// Exchanges as data. An exchange is a table of steps; one small runner takes messages and finished jobs
// through it.
//
// A step says: in this state, on this trigger, with these payloads, run this handler, then be in that state.
// A handler returns nothing (done) or an Error (reject). The state, the IV and the duplicate memory move only
// after it returned done: a bad, replayed or undecryptable message leaves an exchange as it was, also if that
// shows only when a job is done (Checkpoint). A handler that starts a job leaves the exchange waiting for it
// in `next`; if it starts none and `next` waits for a job, that step runs at once (Quick Mode without PFS
// walks the same table).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ike/base/result.h"
#include "ike/core.h"
#include "ike/wire/message.h"

namespace oakgate::ike {

// A message on its way through the engine.
struct Received {
  Datagram datagram;
  wire::Header header;
  MessageDigest digest{};  // of the datagram: duplicates are recognised by it
  wire::Body body;         // parsed, after decryption
  Bytes plaintext;         // the body's bytes: HASH(n) covers a part of them
  Bytes next_iv;           // last ciphertext block; empty if in clear
  [[nodiscard]] ByteView behind_hash() const {
    return ByteView(plaintext).subspan(body.first_end, body.length - body.first_end);
  }
};

// wake: what a state waits for is neither a message of the exchange nor a job, but news from elsewhere, or
// that none came in time (run_wake).
enum class Trigger : std::uint8_t { message, job, wake };

struct PayloadRule {
  wire::PayloadType type{};
  std::uint8_t at_least = 0;
  std::uint8_t at_most = 1;
};

// What a handler works on.
struct Run {
  Core& core;
  IkeSa& sa;
  Exchange& exchange;
  const Received* message = nullptr;  // Trigger::message
  JobDone* job = nullptr;             // Trigger::job; null if there was none to wait for, or for SasInstalled
  // Set by a handler once the sender proved to know the keys: from then on an error ends the exchange.
  bool authenticated = false;
  // Set by a job's handler before it fails: the message that the job was for may not be the peer's. In phase
  // 1 the exchange goes back to where it was before that message.
  bool tampered = false;
  // Set by a handler that has something more to wait for than the step says: the state to be in instead.
  std::optional<State> next{};
};

// The exchange's peer; it is there as long as its SAs are.
[[nodiscard]] Peer& peer_of(Run& run);

using Handler = Result<void> (*)(Run&);
// As parse_clear or decrypt_message (transport.h), for a message that may be under one of several keys.
using Opener = Result<void> (*)(Run&, Received&);

struct Step {
  State state{};
  Trigger trigger{};
  bool encrypted = false;
  wire::PayloadType first = wire::PayloadType::none;  // has to be the first payload; none: any order
  std::span<const PayloadRule> payloads;              // what may be there, and how often
  Handler handler = nullptr;
  State next{};
  std::string_view rfc;
  Opener open = nullptr;
  bool takes_failure = false;  // the job's error is the handler's to judge
};

[[nodiscard]] std::string_view exchange_title(ExchangeKind kind);  // "Main Mode"

// The tables; each stands in the file of its exchange. What every authentication method shares of phase 1,
// the SA payloads, is `common_steps`; what follows depends on the method that they chose.
[[nodiscard]] std::span<const Step> common_steps(ExchangeKind kind, Role role);
[[nodiscard]] std::span<const Step> steps_of(ExchangeKind kind, Role role, AuthMethod method);

// Takes a message through the step that awaits it. The exchange may be gone afterwards.
void run_message(Core& core, IkeSa& sa, Exchange& exchange, Received& message);
// Takes a finished job through; null result: the data plane has installed what was asked.
void run_job(Core& core, IkeSa& sa, Exchange& exchange, JobDone* job);
// What a state with a step for Trigger::wake was waiting for is there, or is not waited for any longer.
void run_wake(Core& core, IkeSa& sa, Exchange& exchange);
// Enters an exchange at a state that waits for a job that may not be needed.
void run_from_start(Core& core, IkeSa& sa, Exchange& exchange);

// Starts slow work; its answer comes to run_job. In phase 1 a job whose error has a notify type failed by the
// fault of the message that was taken last: the exchange goes back to before it.
void start_job(Run& run, Job job);
// Asks who the peer is; the verdict comes to run_job.
void start_verification(Run& run, PeerProof proof);
void start_install(Run& run, std::vector<SaSpec> sas);

// Payloads of one type, in order. Pointers into the message.
template <typename T>
[[nodiscard]] std::vector<const T*> payloads_of(const wire::Body& body) {
  std::vector<const T*> found;
  for (const wire::Payload& payload : body.payloads) {
    if (const T* match = std::get_if<T>(&payload)) found.push_back(match);
  }
  return found;
}
// The first payload of a type; the step's rules make sure that a required one is there.
template <typename T>
[[nodiscard]] const T* payload_of(const wire::Body& body) {
  for (const wire::Payload& payload : body.payloads) {
    if (const T* match = std::get_if<T>(&payload)) return match;
  }
  return nullptr;
}

// The rules as a check of its own, for the fuzz targets and tests.
[[nodiscard]] Result<void> check_payloads(const Step& step, const wire::Body& body);

}  // namespace oakgate::ike
