#include "ike/exchange.h"

#include <algorithm>
#include <utility>

#include "ike/aggressive_mode.h"
#include "ike/crypto/cipher.h"
#include "ike/informational.h"
#include "ike/main_mode.h"
#include "ike/phase1.h"
#include "ike/quick_mode.h"
#include "ike/rsa_encryption.h"
#include "ike/sa_book.h"
#include "ike/signatures.h"
#include "ike/transactions.h"
#include "ike/transport.h"

namespace oakgate::ike {

namespace {

constexpr std::size_t kAnsweredMessages = 4;

// Where a message may come both ways, encrypted and in clear, there is a step for each.
const Step* find_in(std::span<const Step> steps, State state, Trigger trigger, bool encrypted) {
  const Step* found = nullptr;
  for (const Step& step : steps) {
    if (step.state != state || step.trigger != trigger) continue;
    if (step.encrypted == encrypted) return &step;
    found = &step;
  }
  return found;
}

const Step* find_step(const Run& run, Trigger trigger, bool encrypted = false) {
  const auto& [kind, role, state] = std::tie(run.exchange.kind, run.exchange.role, run.exchange.state);
  if (const Step* step = find_in(common_steps(kind, role), state, trigger, encrypted)) return step;
  if (!run.sa.policy) return nullptr;
  return find_in(steps_of(kind, role, run.sa.policy->authentication), state, trigger, encrypted);
}

void ended(Run& run, Error error) {
  if (is_phase1(run.exchange.kind)) {
    // The peer has the keys: it is told under them, with the IV that its own last message left.
    if (run.authenticated && !run.sa.keys.cipher_key.empty()) run.sa.last_phase1_block = run.exchange.iv;
    phase1_failed(run.core, run.sa, std::move(error));
  } else if (run.exchange.kind == ExchangeKind::quick_mode) {
    quick_mode_failed(run.core, run.sa, static_cast<QuickMode&>(run.exchange), std::move(error));
  }
}

void enter(Run& run, State state) {
  run.exchange.state = state;
  if (is_phase1(run.exchange.kind)) run.sa.state = state;
}

Checkpoint checkpoint_of(const IkeSa& sa, const Exchange& exchange) {
  return {exchange.state,       exchange.iv,    exchange.answered,
          exchange.last_sent,   exchange.tries, exchange.retransmit_timer != TimerId{},
          sa.cookies.responder, sa.peer,        sa.policy,
          sa.capabilities,      sa.nat};
}

// Everything is as it was before the message that was taken last.
void fall_back(Run& run) {
  Exchange& exchange = run.exchange;
  IkeSa& sa = run.sa;
  Checkpoint before = std::move(*exchange.checkpoint);
  exchange.checkpoint.reset();
  exchange.iv = std::move(before.iv);
  exchange.answered = std::move(before.answered);
  exchange.last_sent = std::move(before.last_sent);
  exchange.tries = before.tries;
  if (before.repeating && exchange.retransmit_timer == TimerId{}) {
    exchange.retransmit_timer = run.core.arm(run.core.limits().retransmit_first,
                                             {TimerKind::retransmit, sa.id.value, exchange.id.value});
  } else if (!before.repeating) {
    run.core.cancel(exchange.retransmit_timer);
  }
  if (!is_phase1(exchange.kind)) {
    exchange.state = before.state;
    return;
  }
  enter(run, before.state);
  if (sa.cookies.responder != before.responder_cookie)
    set_responder_cookie(run.core, sa, before.responder_cookie);
  if (sa.peer != before.peer) move_to_peer(run.core, sa, before.peer);
  sa.policy = before.policy;
  sa.capabilities = before.capabilities;
  sa.nat = before.nat;
}

// A message that the step did not take. Nothing has moved; whether the exchange goes on depends on who sent
// it.
void rejected(Run& run, Error error) {
  if (run.authenticated) {
    ended(run, std::move(error));
    return;
  }
  Event event = run.core.event(EventId::message_rejected, run.sa);
  event.authenticated = false;
  event.error = error;
  run.core.raise(std::move(event));
  // A notification is never answered with one.
  if (error.notify && run.exchange.kind != ExchangeKind::informational)
    notify_in_clear(run.core, run.sa, *error.notify);
  if (is_phase1(run.exchange.kind)) phase1_hint(run.core, run.sa, error);
  run.exchange.hint = std::make_unique<Error>(std::move(error));
}

Result<void> open_message(Run& run, const Step& step, Received& message) {
  if (message.header.encrypted() != step.encrypted) {
    return reject(NotifyType::invalid_flags, ErrorCode::malformed,
                  step.encrypted ? "a message that has to be encrypted came in clear"
                                 : "a message that has to be in clear came encrypted");
  }
  const auto open = [&] {
    if (step.open != nullptr) return step.open(run, message);
    return step.encrypted ? decrypt_message(run.sa, run.exchange.iv, message) : parse_clear(message);
  };
  if (auto opened = open(); !opened) return opened;
  return check_payloads(step, message.body);
}

// A job, or its handler, failed.
void job_failed(Run& run, Error error) {
  if (!run.tampered || !is_phase1(run.exchange.kind) || !run.exchange.checkpoint) {
    ended(run, std::move(error));
    return;
  }
  fall_back(run);
  rejected(run, std::move(error));
}

// Handlers of a chain of states that wait for jobs nobody had to start run one after the other.
void run_through(Run& run) {
  run.message = nullptr;
  run.job = nullptr;
  while (!run.exchange.job) {
    const Step* step = find_step(run, Trigger::job);
    if (step == nullptr) return;
    if (auto outcome = step->handler(run); !outcome) {
      job_failed(run, std::move(outcome.error()));
      return;
    }
    enter(run, std::exchange(run.next, std::nullopt).value_or(step->next));
  }
}

void moved_on(Run& run, const Step& step) {
  enter(run, std::exchange(run.next, std::nullopt).value_or(step.next));
  run.exchange.hint.reset();
  run_through(run);
  // Nothing can take it back any more.
  if (run.exchange.state == State::established || run.exchange.state == State::done) run.exchange.retire();
}

JobId new_job(Run& run) {
  const JobId id{run.core.next_id()};
  run.exchange.job = id;
  run.core.state().jobs.emplace(id, JobOwner{run.sa.id, run.exchange.id});
  return id;
}

void take_held(Core& core, IkeSaId sa_id, MessageId id) {
  IkeSa* sa = core.find_sa(sa_id);
  Exchange* exchange = sa == nullptr ? nullptr : core.find_exchange(*sa, id);
  if (exchange == nullptr || exchange->job || !exchange->held) return;
  const HeldMessage held = std::move(*exchange->held);
  exchange->held.reset();
  on_message(core, Datagram{held.local, held.remote, held.data});
}

}  // namespace

Peer& peer_of(Run& run) {
  return *run.core.find_peer(run.sa.peer);
}

std::string_view exchange_title(ExchangeKind kind) {
  switch (kind) {
    case ExchangeKind::main_mode:
      return "Main Mode";
    case ExchangeKind::aggressive_mode:
      return "Aggressive Mode";
    case ExchangeKind::quick_mode:
      return "Quick Mode";
    case ExchangeKind::informational:
      return "Informational";
    case ExchangeKind::transaction:
      return "Transaction";
    case ExchangeKind::new_group:
      return "New Group Mode";
  }
  return "";
}

std::span<const Step> common_steps(ExchangeKind kind, Role role) {
  switch (kind) {
    case ExchangeKind::main_mode:
      return main_mode_first_steps(role);
    case ExchangeKind::aggressive_mode:
      return aggressive_first_steps(role);
    case ExchangeKind::quick_mode:
      return quick_mode_steps(role);
    case ExchangeKind::informational:
      return informational_steps();
    case ExchangeKind::transaction:
    case ExchangeKind::new_group:
      return transaction_steps(kind);
  }
  return {};
}

std::span<const Step> steps_of(ExchangeKind kind, Role role, AuthMethod method) {
  if (kind == ExchangeKind::aggressive_mode) return aggressive_steps(role, method);
  if (kind != ExchangeKind::main_mode) return {};
  switch (method) {
    case AuthMethod::pre_share:
      return pre_shared_key_steps(role);
    case AuthMethod::rsa_sig:
    case AuthMethod::ecdsa_sig:
      return signature_steps(role);
    case AuthMethod::rsa_encr:
    case AuthMethod::rsa_encr_rev:
      return rsa_encryption_steps(role);
  }
  return {};
}

Result<void> check_payloads(const Step& step, const wire::Body& body) {
  const auto malformed = [&](std::string text) {
    return reject(NotifyType::payload_malformed, ErrorCode::malformed, std::move(text),
                  "the payloads of " + std::string(step.rfc));
  };
  if (body.payloads.empty()) return malformed("a message without payloads");
  if (step.first != wire::PayloadType::none && wire::type_of(body.payloads.front()) != step.first) {
    return malformed("the first payload is not " + std::string(wire::payload_name(step.first)));
  }
  for (const PayloadRule& rule : step.payloads) {
    const auto count =
        std::count_if(body.payloads.begin(), body.payloads.end(),
                      [&](const wire::Payload& payload) { return wire::type_of(payload) == rule.type; });
    if (count < rule.at_least || count > rule.at_most) {
      return malformed(std::to_string(count) + " payloads of type " +
                       std::string(wire::payload_name(rule.type)));
    }
  }
  for (const wire::Payload& payload : body.payloads) {
    // RFC 2408 section 5.3 would refuse unknown types; peers put private ones in, which mean nothing to us.
    if (std::holds_alternative<wire::UnknownPayload>(payload)) continue;
    const wire::PayloadType type = wire::type_of(payload);
    const bool known = std::any_of(step.payloads.begin(), step.payloads.end(),
                                   [&](const PayloadRule& rule) { return rule.type == type; });
    if (!known)
      return malformed("a payload of type " + std::string(wire::payload_name(type)) + " has no place here");
  }
  return {};
}

void run_message(Core& core, IkeSa& sa, Exchange& exchange, Received& message) {
  Run run{core, sa, exchange};
  const Step* step = find_step(run, Trigger::message, message.header.encrypted());
  if (step == nullptr) {
    rejected(run, Error{ErrorCode::malformed,
                        "a message that nothing waits for in state " + std::string(ios_state(exchange.state)),
                        {},
                        {},
                        {}});
    return;
  }
  if (auto opened = open_message(run, *step, message); !opened) {
    rejected(run, std::move(opened.error()));
    return;
  }
  run.message = &message;
  exchange.checkpoint = std::make_unique<Checkpoint>(checkpoint_of(sa, exchange));
  const TimerId old_timer = exchange.retransmit_timer;
  if (step->encrypted) exchange.iv = message.next_iv;
  if (exchange.answered.size() == kAnsweredMessages) exchange.answered.erase(exchange.answered.begin());
  exchange.answered.push_back({message.digest});
  if (auto outcome = step->handler(run); !outcome) {
    if (!run.authenticated) fall_back(run);
    rejected(run, std::move(outcome.error()));
    return;
  }
  if (exchange.retransmit_timer == old_timer) core.cancel(exchange.retransmit_timer);
  moved_on(run, *step);
}

void run_job(Core& core, IkeSa& sa, Exchange& exchange, JobDone* job) {
  exchange.job.reset();
  Run run{core, sa, exchange};
  const MessageId id = exchange.id;
  const IkeSaId sa_id = sa.id;
  const Step* step = find_step(run, Trigger::job);
  if (job != nullptr && !job->result && (step == nullptr || !step->takes_failure)) {
    Error error = std::move(job->result.error());
    run.tampered = error.notify.has_value();
    job_failed(run, std::move(error));
  } else if (step != nullptr) {
    run.job = job;
    if (auto outcome = step->handler(run); !outcome) {
      job_failed(run, std::move(outcome.error()));
    } else {
      moved_on(run, *step);
    }
  }
  take_held(core, sa_id, id);
}

void run_wake(Core& core, IkeSa& sa, Exchange& exchange) {
  Run run{core, sa, exchange};
  const Step* step = find_step(run, Trigger::wake);
  if (step == nullptr) return;
  core.cancel(exchange.retransmit_timer);
  if (auto outcome = step->handler(run); !outcome) {
    job_failed(run, std::move(outcome.error()));
  } else {
    moved_on(run, *step);
  }
}

void run_from_start(Core& core, IkeSa& sa, Exchange& exchange) {
  Run run{core, sa, exchange};
  run_through(run);
}

void start_job(Run& run, Job job) {
  run.core.effect(StartJob{new_job(run), std::move(job)});
}

void start_verification(Run& run, PeerProof proof) {
  run.core.effect(VerifyPeer{new_job(run), std::move(proof)});
}

void start_install(Run& run, std::vector<SaSpec> sas) {
  run.core.effect(InstallSas{new_job(run), std::move(sas)});
}

}  // namespace oakgate::ike
