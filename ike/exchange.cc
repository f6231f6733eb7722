#include "ike/exchange.h"

#include <algorithm>

#include "ike/crypto/cipher.h"
#include "ike/informational.h"
#include "ike/main_mode.h"
#include "ike/phase1.h"
#include "ike/quick_mode.h"
#include "ike/transport.h"

namespace oakgate::ike {

namespace {

constexpr std::size_t kAnsweredMessages = 4;

const Step* find_step(const Exchange& exchange, Trigger trigger) {
  for (const Step& step : steps_of(exchange.kind, exchange.role)) {
    if (step.state == exchange.state && step.trigger == trigger) return &step;
  }
  return nullptr;
}

void ended(Run& run, Error error) {
  if (run.exchange.kind == ExchangeKind::main_mode) {
    phase1_failed(run.core, run.sa, std::move(error));
  } else if (run.exchange.kind == ExchangeKind::quick_mode) {
    quick_mode_failed(run.core, run.sa, static_cast<QuickMode&>(run.exchange), std::move(error));
  }
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
  if (error.notify) notify_in_clear(run.core, run.sa, *error.notify);
  if (run.exchange.kind == ExchangeKind::main_mode) phase1_hint(run.core, run.sa, error);
  run.exchange.hint = std::move(error);
}

Result<void> open_message(Run& run, const Step& step, Received& message) {
  if (message.header.encrypted() != step.encrypted) {
    return reject(NotifyType::invalid_flags, ErrorCode::malformed,
                  step.encrypted ? "a message that has to be encrypted came in clear"
                                 : "a message that has to be in clear came encrypted");
  }
  if (auto opened = step.encrypted ? decrypt_message(run.sa, run.exchange.iv, message) : parse_clear(message);
      !opened) {
    return opened;
  }
  return check_payloads(step, message.body);
}

// Handlers of a chain of states that wait for jobs nobody had to start run one after the other.
void run_through(Run& run) {
  run.message = nullptr;
  run.job = nullptr;
  while (!run.exchange.job) {
    const Step* step = find_step(run.exchange, Trigger::job);
    if (step == nullptr) return;
    if (auto outcome = step->handler(run); !outcome) {
      ended(run, std::move(outcome.error()));
      return;
    }
    run.exchange.state = step->next;
    if (run.exchange.kind == ExchangeKind::main_mode) run.sa.state = step->next;
  }
}

void moved_on(Run& run, const Step& step) {
  run.exchange.state = step.next;
  run.exchange.hint.reset();
  if (run.exchange.kind == ExchangeKind::main_mode) run.sa.state = step.next;
  run_through(run);
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

std::span<const Step> steps_of(ExchangeKind kind, Role role) {
  switch (kind) {
    case ExchangeKind::main_mode:
      return main_mode_steps(role);
    case ExchangeKind::quick_mode:
      return quick_mode_steps(role);
    case ExchangeKind::informational:
      return informational_steps();
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
  const Step* step = find_step(exchange, Trigger::message);
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
  const Bytes old_iv = exchange.iv;
  const TimerId old_timer = exchange.retransmit_timer;
  if (step->encrypted) exchange.iv = message.next_iv;
  if (exchange.answered.size() == kAnsweredMessages) exchange.answered.erase(exchange.answered.begin());
  exchange.answered.push_back({message.digest, {}});
  if (auto outcome = step->handler(run); !outcome) {
    exchange.answered.pop_back();
    exchange.iv = old_iv;
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
  if (job != nullptr && !job->result) {
    Error error = std::move(job->result.error());
    // The peer's public value was bad, and anybody could have sent it: wait for the right one (phase 1).
    const bool by_peer = error.notify.has_value() && exchange.kind == ExchangeKind::main_mode;
    if (by_peer) {
      exchange.state = exchange.resume_state;
      sa.state = exchange.resume_state;
      rejected(run, std::move(error));
    } else {
      ended(run, std::move(error));
    }
  } else if (const Step* step = find_step(exchange, Trigger::job)) {
    run.job = job;
    if (auto outcome = step->handler(run); !outcome) {
      ended(run, std::move(outcome.error()));
    } else {
      moved_on(run, *step);
    }
  }
  take_held(core, sa_id, id);
}

void run_from_start(Core& core, IkeSa& sa, Exchange& exchange) {
  Run run{core, sa, exchange};
  run_through(run);
}

void start_job(Run& run, Job job, State fall_back) {
  const JobId id{run.core.next_id()};
  run.exchange.job = id;
  run.exchange.resume_state = fall_back;
  run.core.state().jobs.emplace(id, JobOwner{run.sa.id, run.exchange.id});
  run.core.effect(StartJob{id, std::move(job)});
}

void start_install(Run& run, std::vector<SaSpec> sas) {
  const JobId id{run.core.next_id()};
  run.exchange.job = id;
  run.core.state().jobs.emplace(id, JobOwner{run.sa.id, run.exchange.id});
  run.core.effect(InstallSas{id, std::move(sas)});
}

}  // namespace oakgate::ike
