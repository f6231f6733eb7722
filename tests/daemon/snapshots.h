// One gateway's state for the tests of status and the show commands: one peer up with a current and an old
// SA, one that is down with an error.
#pragma once

#include "daemon/status_json.h"

namespace oakgate::test {

inline IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
inline SelectorPair selectors(const char* local, const char* remote) {
  return {{*Subnet::parse(local), 0, 0}, {*Subnet::parse(remote), 0, 0}};
}

inline const Now kNow{Instant(Milliseconds(100000500)), WallTime(Seconds(1795205464))};
inline Instant in_seconds(int seconds) {
  return kNow.instant + Seconds(seconds);
}

inline ike::SaPairSnapshot sa_pair(std::uint32_t number, ike::SaRole role) {
  ike::SaPairSnapshot sa;
  sa.selectors = selectors("10.1.0.0/24", "10.2.0.0/24");
  sa.reqid = {kReqidBase};
  sa.role = role;
  sa.in = {ip("192.0.2.1"), IpsecProtocol::esp, {0x1925112f + number}};
  sa.out = {ip("192.0.2.2"), IpsecProtocol::esp, {0x00662500 + number}};
  sa.set = {"strong", EspCipher::aes_256, Integrity::sha256};
  sa.algorithms = to_string(sa.set);
  sa.pfs = DhGroup::modp2048;
  sa.local_gateway = ip("192.0.2.1");
  sa.remote_gateway = ip("192.0.2.2");
  sa.replay_window = 64;
  sa.established_at = in_seconds(-600);
  if (role == ike::SaRole::current) sa.rekey_at = in_seconds(2970);
  sa.expires_at = in_seconds(role == ike::SaRole::current ? 3000 : 8);
  sa.kilobytes = {4608000};
  return sa;
}

inline ike::PeerSnapshot peer_up() {
  ike::PeerSnapshot peer;
  peer.name = "branch-7";
  peer.local = ip("192.0.2.1");
  peer.remote = ip("192.0.2.2");
  peer.state = ike::PeerState::established;
  ike::IkeSaSnapshot sa;
  sa.cookies = {{1, 2, 3, 4, 5, 6, 7, 8}, {0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8}};
  sa.role = Role::initiator;
  sa.local = {ip("192.0.2.1"), 500};
  sa.remote = {ip("192.0.2.2"), 500};
  sa.state = "QM_IDLE";
  sa.established = true;
  sa.current = true;
  sa.policy = IsakmpPolicy{
      10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp2048, AuthMethod::pre_share, Seconds(86400)};
  sa.nat = "none";
  sa.remote_identity = "192.0.2.2";
  sa.established_at = in_seconds(-7380);
  sa.rekey_at = in_seconds(78000);
  sa.expires_at = in_seconds(79020);
  peer.isakmp_sas = {sa};
  ike::TunnelSnapshot tunnel;
  tunnel.name = "lan";
  tunnel.state = ike::TunnelState::up;
  tunnel.start = StartMode::on_traffic;
  tunnel.pairs = {{{kReqidBase}, selectors("10.1.0.0/24", "10.2.0.0/24")}};
  tunnel.up_since = in_seconds(-7379);
  tunnel.sas = {sa_pair(0, ike::SaRole::current), sa_pair(1, ike::SaRole::old)};
  peer.tunnels = {tunnel};
  return peer;
}

inline ike::PeerSnapshot peer_down() {
  ike::PeerSnapshot peer;
  peer.name = "branch-8";
  peer.state = ike::PeerState::down;
  peer.last_error = ike::LastError{
      {ErrorCode::no_answer, "branch-8 does not answer", "an answer on UDP 500", "check the path", {}},
      kNow.wall - Seconds(5)};
  ike::TunnelSnapshot tunnel;
  tunnel.name = "voice";
  tunnel.state = ike::TunnelState::down;
  tunnel.start = StartMode::on_start;
  tunnel.pairs = {{{kReqidBase + 1}, selectors("10.1.0.0/24", "2001:db8:3::/64")}};
  tunnel.last_error = peer.last_error;
  tunnel.retry_at = in_seconds(20);
  peer.tunnels = {tunnel};
  return peer;
}

inline StatusInput status_input() {
  StatusInput input;
  input.gateway = "gw-a";
  input.data_plane = "software";
  input.peers = {peer_up(), peer_down()};
  input.addresses = {{"branch-7", "192.0.2.2"}, {"branch-8", "gw-8.example.net"}};
  const std::vector<SaId> ids = sa_ids(input.peers);
  std::uint64_t n = 1;
  for (const SaId& id : ids) {
    input.counters[id] = {id, 1024 * n, 10 * n, n, 0, n, 11 * n};
    ++n;
  }
  input.now = kNow;
  return input;
}

}  // namespace oakgate::test
