#include "daemon/metrics/exposition.h"

#include <chrono>
#include <variant>

#include "ike/ports/drop_reasons.h"

namespace oakgate::metrics {

namespace {

using ike::EventId;
using OfGateway = void (*)(std::string&, const Family&, const GatewayFacts&);
using OfPeer = void (*)(std::string&, const Family&, const PeerRow&);
using OfTunnel = void (*)(std::string&, const Family&, const TunnelRow&);

struct Entry {
  Family family;
  std::variant<OfGateway, OfPeer, OfTunnel> write;
};

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<Seconds>(time.time_since_epoch()).count();
}

// ---- this gateway

void build(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {{"version", facts.version}, {"data_plane", facts.data_plane}}, 1);
}
void started(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {}, unix_seconds(facts.started));
}
void reload_success(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {}, facts.reloads.last_succeeded ? 1 : 0);
}
void reload_last(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {}, unix_seconds(facts.reloads.last));
}
void reload_last_success(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {}, unix_seconds(facts.reloads.last_success));
}
void reloads(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_count(text, family, {{"outcome", "succeeded"}}, facts.reloads.succeeded);
  append_count(text, family, {{"outcome", "failed"}}, facts.reloads.failed);
}
void isakmp_sas(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {}, static_cast<std::int64_t>(facts.load.isakmp_sas));
}
void half_open(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {}, static_cast<std::int64_t>(facts.load.half_open));
}
void half_open_limit(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {}, static_cast<std::int64_t>(facts.load.half_open_limit));
}
void half_open_source_limit(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_sample(text, family, {}, static_cast<std::int64_t>(facts.load.half_open_limit_of_a_source));
}
void queue_waiting(std::string& text, const Family& family, const GatewayFacts& facts) {
  for (const Queue& queue : facts.queues)
    append_sample(text, family, {{"queue", queue.name}}, static_cast<std::int64_t>(queue.waiting));
}
void queue_limit(std::string& text, const Family& family, const GatewayFacts& facts) {
  for (const Queue& queue : facts.queues)
    append_sample(text, family, {{"queue", queue.name}}, static_cast<std::int64_t>(queue.bound));
}
void dropped(std::string& text, const Family& family, const GatewayFacts& facts) {
  if (!facts.drops) return;  // the plane cannot tell
  for (const DropReasonRow& row : kDropReasons)
    append_count(text, family, {{"reason", row.key}}, facts.drops->of(row.reason));
}
void failures(std::string& text, const Family& family, const GatewayFacts& facts) {
  for (std::size_t stage = 0; stage < kStageWords.size(); ++stage) {
    for (int code = 0; code <= static_cast<int>(kLastErrorCode); ++code) {
      const auto reason = static_cast<ErrorCode>(code);
      append_count(text, family, {{"stage", kStageWords[stage]}, {"reason", to_string(reason)}},
                   facts.events.failures(static_cast<Stage>(stage), reason));
    }
  }
}
template <EventId Id>
void event(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_count(text, family, {}, facts.events.of(Id));
}
template <EventId Phase1, EventId Phase2>
void phases(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_count(text, family, {{"phase", "1"}}, facts.events.of(Phase1));
  append_count(text, family, {{"phase", "2"}}, facts.events.of(Phase2));
}
void updown_runs(std::string& text, const Family& family, const GatewayFacts& facts) {
  append_count(text, family, {{"outcome", "done"}}, facts.events.of(EventId::hook_ran));
  append_count(text, family, {{"outcome", "failed"}}, facts.events.of(EventId::hook_failed));
}
void certificate_end(std::string& text, const Family& family, const GatewayFacts& facts) {
  for (const CertificateEnd& one : facts.certificates) {
    append_sample(text, family,
                  {{"trustpoint", one.trustpoint}, {"kind", one.kind}, {"subject", one.subject}},
                  unix_seconds(one.not_after));
  }
}
void crl_end(std::string& text, const Family& family, const GatewayFacts& facts) {
  for (const CrlEnd& one : facts.crls)
    append_sample(text, family, {{"issuer", one.issuer}}, unix_seconds(one.next_update));
}
void trustpoint_waiver_end(std::string& text, const Family& family, const GatewayFacts& facts) {
  for (const TrustpointWaiverEnd& one : facts.trustpoint_waivers)
    append_sample(text, family, {{"trustpoint", one.trustpoint}}, unix_seconds(one.end));
}

// ---- peers

void peer_up(std::string& text, const Family& family, const PeerRow& row) {
  append_sample(text, family, {{"peer", row.peer}}, row.up ? 1 : 0);
}
void peer_negotiations(std::string& text, const Family& family, const PeerRow& row) {
  append_count(text, family, {{"peer", row.peer}, {"outcome", "established"}}, row.negotiations.established);
  append_count(text, family, {{"peer", row.peer}, {"outcome", "failed"}}, row.negotiations.failed);
}
void peer_waiver_end(std::string& text, const Family& family, const PeerRow& row) {
  if (row.waiver_end) append_sample(text, family, {{"peer", row.peer}}, unix_seconds(*row.waiver_end));
}

// ---- tunnels

void tunnel_up(std::string& text, const Family& family, const TunnelRow& row) {
  append_sample(text, family, {{"peer", row.name.peer}, {"tunnel", row.name.tunnel}}, row.up ? 1 : 0);
}
void tunnel_since(std::string& text, const Family& family, const TunnelRow& row) {
  if (!row.since) return;
  append_sample(text, family, {{"peer", row.name.peer}, {"tunnel", row.name.tunnel}},
                unix_seconds(*row.since));
}
template <std::uint64_t TunnelTotals::*Count>
void tunnel_count(std::string& text, const Family& family, const TunnelRow& row) {
  append_count(text, family, {{"peer", row.name.peer}, {"tunnel", row.name.tunnel}}, row.totals.*Count);
}
void tunnel_negotiations(std::string& text, const Family& family, const TunnelRow& row) {
  const auto with = [&](std::string_view outcome, std::uint64_t count) {
    append_count(text, family, {{"peer", row.name.peer}, {"tunnel", row.name.tunnel}, {"outcome", outcome}},
                 count);
  };
  with("established", row.negotiations.established);
  with("failed", row.negotiations.failed);
}

const Entry kEntries[] = {
    {{"oakgate_build", Type::info, "", "Version of oakgated, and the data plane in use."}, build},
    {{"oakgate_process_start_time_seconds", Type::gauge, "seconds", "When oakgated started, Unix time."},
     started},
    {{"oakgate_reload_success", Type::gauge, "",
      "Whether the configuration in use is that of the last (re)load: 0 when that had errors."},
     reload_success},
    {{"oakgate_reload_timestamp_seconds", Type::gauge, "seconds", "The last (re)load, Unix time."},
     reload_last},
    {{"oakgate_reload_success_timestamp_seconds", Type::gauge, "seconds",
      "The last (re)load without errors, Unix time."},
     reload_last_success},
    {{"oakgate_reloads", Type::counter, "", "Reloads since the start, by outcome."}, reloads},
    {{"oakgate_isakmp_sas", Type::gauge, "", "ISAKMP SAs, negotiations under way included."}, isakmp_sas},
    {{"oakgate_half_open_sas", Type::gauge, "", "ISAKMP SAs as responder that are not authenticated yet."},
     half_open},
    {{"oakgate_half_open_sas_limit", Type::gauge, "", "half_open.total: how many there may be."},
     half_open_limit},
    {{"oakgate_half_open_sas_source_limit", Type::gauge, "",
      "half_open.per_source: how many of one source there may be."},
     half_open_source_limit},
    {{"oakgate_queue_waiting", Type::gauge, "",
      "Tasks that wait: computations, host names, updown programs."},
     queue_waiting},
    {{"oakgate_queue_limit", Type::gauge, "", "How many tasks may wait."}, queue_limit},
    {{"oakgate_dropped_packets", Type::counter, "packets",
      "Packets the data plane dropped, by reason; with the kernel's: of the whole network namespace."},
     dropped},
    {{"oakgate_failures", Type::counter, "",
      "Failed negotiations and refused messages, by stage and by error code (oakgate(8))."},
     failures},
    {{"oakgate_retransmissions", Type::counter, "", "ISAKMP messages that were sent again."},
     event<EventId::retransmitting>},
    {{"oakgate_dpd_probes", Type::counter, "", "R-U-THERE messages that were sent."},
     event<EventId::peer_silent>},
    {{"oakgate_dpd_dead_peers", Type::counter, "", "Peers that dead peer detection gave up."},
     event<EventId::peer_dead>},
    {{"oakgate_rekeys", Type::counter, "", "Renewals of SAs that were begun, by phase."},
     phases<EventId::phase1_rekeying, EventId::phase2_rekeying>},
    {{"oakgate_expired_sas", Type::counter, "", "SAs that reached the end of their life, by phase."},
     phases<EventId::phase1_expired, EventId::phase2_expired>},
    {{"oakgate_endpoint_changes", Type::counter, "", "Peers that moved to another address or port."},
     event<EventId::endpoint_changed>},
    {{"oakgate_unknown_callers", Type::counter, "", "Calls of nobody who is configured."},
     event<EventId::unknown_peer>},
    {{"oakgate_limits_reached", Type::counter, "", "Messages refused because a limit was reached."},
     event<EventId::limit_reached>},
    {{"oakgate_data_plane_failures", Type::counter, "", "SAs that the data plane refused."},
     event<EventId::data_plane_failed>},
    {{"oakgate_updown_runs", Type::counter, "", "Programs run for tunnels (`updown`), by outcome."},
     updown_runs},
    {{"oakgate_certificate_not_after_timestamp_seconds", Type::gauge, "seconds",
      "When a certificate of a trustpoint ends, Unix time."},
     certificate_end},
    {{"oakgate_crl_next_update_timestamp_seconds", Type::gauge, "seconds",
      "When a certificate revocation list in use ends, Unix time."},
     crl_end},
    {{"oakgate_trustpoint_waiver_end_timestamp_seconds", Type::gauge, "seconds",
      "When a trustpoint's allow_weak ends, Unix time."},
     trustpoint_waiver_end},
    {{"oakgate_peer_up", Type::gauge, "", "Whether an ISAKMP SA with the peer is established."}, peer_up},
    {{"oakgate_peer_negotiations", Type::counter, "", "Phase 1 negotiations with the peer, by outcome."},
     peer_negotiations},
    {{"oakgate_peer_waiver_end_timestamp_seconds", Type::gauge, "seconds",
      "When the peer's allow_weak ends, Unix time."},
     peer_waiver_end},
    {{"oakgate_tunnel_up", Type::gauge, "", "Whether every selector pair of the tunnel has SAs."}, tunnel_up},
    {{"oakgate_tunnel_up_since_timestamp_seconds", Type::gauge, "seconds",
      "Since when the tunnel is up, Unix time."},
     tunnel_since},
    {{"oakgate_tunnel_received_bytes", Type::counter, "bytes", "Bytes of inner packets received."},
     tunnel_count<&TunnelTotals::bytes_in>},
    {{"oakgate_tunnel_sent_bytes", Type::counter, "bytes", "Bytes of inner packets sent."},
     tunnel_count<&TunnelTotals::bytes_out>},
    {{"oakgate_tunnel_received_packets", Type::counter, "packets", "Inner packets received."},
     tunnel_count<&TunnelTotals::packets_in>},
    {{"oakgate_tunnel_sent_packets", Type::counter, "packets", "Inner packets sent."},
     tunnel_count<&TunnelTotals::packets_out>},
    {{"oakgate_tunnel_replayed_packets", Type::counter, "packets",
      "Packets dropped because their sequence number had been seen or was too old."},
     tunnel_count<&TunnelTotals::replayed>},
    {{"oakgate_tunnel_not_authentic_packets", Type::counter, "packets",
      "Packets dropped because their integrity check failed."},
     tunnel_count<&TunnelTotals::not_authentic>},
    {{"oakgate_tunnel_selector_mismatch_packets", Type::counter, "packets",
      "Packets dropped because what they held is not the tunnel's traffic."},
     tunnel_count<&TunnelTotals::selector_mismatch>},
    {{"oakgate_tunnel_negotiations", Type::counter, "",
      "Phase 2 negotiations of the tunnel, renewals included, by outcome."},
     tunnel_negotiations},
};

}  // namespace

std::vector<Family> all_families() {
  std::vector<Family> families;
  for (const Entry& entry : kEntries) families.push_back(entry.family);
  return families;
}

bool Exposition::step(std::string& text) {
  const auto& [family, write] = kEntries[family_];
  if (row_ == 0) append_family(text, family);
  std::size_t rows = 1;
  if (const auto* of_gateway = std::get_if<OfGateway>(&write)) {
    (*of_gateway)(text, family, facts_);
  } else if (const auto* of_peer = std::get_if<OfPeer>(&write)) {
    rows = peers_.size();
    if (row_ < rows) (*of_peer)(text, family, peers_[row_]);
  } else if (const auto* of_tunnel = std::get_if<OfTunnel>(&write)) {
    rows = tunnels_.size();
    if (row_ < rows) (*of_tunnel)(text, family, tunnels_[row_]);
  }
  return ++row_ >= rows;
}

bool Exposition::write(std::string& text, std::size_t about) {
  const std::size_t enough = text.size() + about;
  while (family_ < std::size(kEntries)) {
    if (text.size() >= enough) return true;
    if (!step(text)) continue;
    ++family_;
    row_ = 0;
  }
  text += kEnd;
  return false;
}

}  // namespace oakgate::metrics
