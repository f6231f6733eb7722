#include "daemon/hooks/hooks.h"

#include <fmt/format.h>

#include <charconv>

#include "conf/hooks.h"
#include "daemon/text.h"

namespace oakgate::hooks {

namespace {

std::optional<Spi> inbound_spi(const ike::Event& event) {
  for (const auto& [name, value] : event.fields) {
    std::uint32_t spi = 0;
    if (name != "spi_in") continue;
    if (std::from_chars(value.data(), value.data() + value.size(), spi).ec == std::errc{}) return Spi{spi};
  }
  return std::nullopt;
}

std::string_view field(const ike::Event& event, std::string_view name) {
  for (const auto& [known, value] : event.fields) {
    if (known == name) return value;
  }
  return {};
}

}  // namespace

Hooks::Hooks(Parts parts)
    : parts_(std::move(parts)),
      queue_(parts_.bounds, [this](std::uint64_t id, HookRun run) { start(id, std::move(run)); }),
      turn_(parts_.loop, [this] { on_turn(); }) {}

void Hooks::configure(const conf::Config& config, std::string gateway) {
  gateway_ = std::move(gateway);
  tunnels_.clear();
  for (const conf::PeerConfig& peer : config.peers) {
    for (const conf::TunnelConfig& tunnel : peer.tunnels) {
      if (tunnel.updown) tunnels_[{peer.name, tunnel.name}] = {tunnel.updown->file, tunnel.ties};
    }
  }
}

void Hooks::on_event(const ike::Event& event) {
  using ike::EventId;
  const bool up = event.id == EventId::phase2_established || event.id == EventId::phase2_adopted;
  if (!up && event.id != EventId::phase2_deleted) return;
  if (up ? tunnels_.empty() : up_.empty()) return;
  const auto in = inbound_spi(event);
  if (!in) return;
  if (up) {
    on_up(event, *in);
  } else {
    on_down(event, *in);
  }
}

void Hooks::on_up(const ike::Event& event, Spi in) {
  const auto tunnel = tunnels_.find({event.peer, event.tunnel});
  // Gone again already: its end was told before this.
  const auto sas = parts_.sa_pair(event.peer, in);
  if (!sas) return;
  const auto known = up_.find(sas->reqid);
  if (known != up_.end()) {
    known->second.inbound.insert(in);
    inbound_[{event.peer, in}] = sas->reqid;
    return;
  }
  if (tunnel == tunnels_.end()) return;
  HookFacts facts;
  facts.gateway = gateway_;
  facts.peer = event.peer;
  facts.tunnel = event.tunnel;
  facts.data_plane = parts_.data_plane;
  facts.selectors = sas->selectors;
  facts.reqid = sas->reqid;
  facts.local_gateway = sas->local_gateway;
  facts.remote_gateway = sas->remote_gateway;
  facts.encapsulated = sas->encapsulation.has_value();
  facts.mode = sas->set.mode;
  facts.algorithms = sas->algorithms;
  facts.ties = tunnel->second.ties;
  facts.identity = parts_.identity(event.peer);
  up_[sas->reqid] = {tunnel->second.file, facts, {in}};
  inbound_[{event.peer, in}] = sas->reqid;
  const HookEvent what = event.id == ike::EventId::phase2_adopted ? HookEvent::adopted : HookEvent::up;
  add({tunnel->second.file, what, std::move(facts), {}});
}

void Hooks::on_down(const ike::Event& event, Spi in) {
  const auto found = inbound_.find({event.peer, in});
  if (found == inbound_.end()) return;
  const auto up = up_.find(found->second);
  inbound_.erase(found);
  if (up == up_.end()) return;
  up->second.inbound.erase(in);
  if (!up->second.inbound.empty()) return;
  HookRun run{std::move(up->second.file), HookEvent::down, std::move(up->second.facts),
              std::string(field(event, "reason"))};
  up_.erase(up);
  add(std::move(run));
}

void Hooks::add(HookRun run) {
  HookRun copy = run;
  if (!queue_.add(std::move(run))) {
    ++lost_;
    raise(copy,
          fail(ErrorCode::internal,
               fmt::format("{} programs wait already: this one is not run", queue_.waiting()),
               "programs that are done sooner"),
          std::nullopt);
  }
  // Not now: the core's effects come first.
  turn_.arm(Milliseconds(0));
}

void Hooks::on_turn() {
  ended_.clear();
  queue_.start_ready();
  if (queue_.idle()) parts_.idle();
}

void Hooks::start(std::uint64_t id, HookRun run) {
  Running& running = running_[id];
  running.run = std::move(run);
  running.since = read_clocks().instant;
  const HookRun& what = running.run;
  const std::string subject = what.facts.peer + "/" + what.facts.tunnel;
  Result<std::string> file = conf::check_hook_file(what.file, parts_.effective_uid);
  if (!file) return ended(id, fail(file.error()));
  Result<std::unique_ptr<Child>> child = Child::start(
      parts_.loop, *file, hook_environment(what.event, what.facts, what.reason), parts_.patience,
      {[this, subject](std::string_view line) {
         parts_.log.write(LogLevel::info,
                          fmt::format("[{}] updown says: {}", subject, printable(line, kMaxOutputLine + 16)));
       },
       [this, id](const Result<void>& result) { ended(id, result); }});
  if (!child) {
    Error error = std::move(child.error());
    error.text = printable(what.file) + ": " + error.text;
    return ended(id, fail(std::move(error)));
  }
  running.child = std::move(*child);
}

void Hooks::ended(std::uint64_t id, const Result<void>& result) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Running running = std::move(found->second);
  running_.erase(found);
  raise(running.run, result, read_clocks().instant - running.since);
  if (running.child) ended_.push_back(std::move(running.child));
  queue_.done(id);
  turn_.arm(Milliseconds(0));
}

void Hooks::raise(const HookRun& run, const Result<void>& result, std::optional<Milliseconds> took) {
  ike::Event event;
  event.id = result ? ike::EventId::hook_ran : ike::EventId::hook_failed;
  event.peer = run.facts.peer;
  event.tunnel = run.facts.tunnel;
  event.fields = {{"event", std::string(to_string(run.event))},
                  {"selectors", run.facts.selectors.to_string()}};
  if (took) event.fields.emplace_back("milliseconds", std::to_string(took->count()));
  if (!result) event.error = result.error();
  parts_.raise(event);
}

}  // namespace oakgate::hooks
