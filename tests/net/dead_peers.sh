#!/bin/bash
# Peers that die: kill -9 of either gateway, a line that is cut. Dead peer detection (RFC 3706) notices, and the tunnel
# comes back by itself, or by traffic.
#
#   lan-a -- gw-a (calls) == outside == gw-b (answers) -- lan-b
#
# planes: software kernel
# time limit: 300 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# configs TUNNEL-OF-A [DPD]
configs() {
  local peer_keys="    dpd: ${2:-{interval: 1s, timeout: 6s\}}"
  tunnel=$1 config a b
  config b a
}
# A gateway dies, SAs and all. (kill -9 of the daemon alone leaves the kernel's SAs, which go on carrying: nobody is dead.)
gateway_dies() {
  stop "$1" KILL
  [ "$PLANE" = software ] || ip -n "$ns-gw-$1" xfrm state flush
}
agree() { [ "$(spis a)" = "$(spis b)" ]; }
# It carries again, and both ends have the same SAs.
back() {
  eventually "${1:-60}" one_ping a b
  await_up a gw-b/lan && await_up b gw-a/lan
  pings_both_ways a b
  eventually 30 agree
}
dead() { eventually 60 logged "$1" 'peer-dead: .*is not responding'; }
# Traffic for gw-b, until what is awaited comes
traffic_until() { eventually 60 eval "one_ping a b; $*"; }

answerer_killed() {
  configs "start: on-start"
  start a b
  await_up a gw-b/lan
  pings_both_ways a b
  stop b KILL
  start b
  back
  logged a 'peer-dead'
}
answerer_stays_away() {
  configs "start: on-start"
  start a b
  await_up a gw-b/lan
  gateway_dies b
  traffic_until logged a peer-dead
  state_is a gw-b/lan up && return 1
  error_is a gw-b no-answer
  eventually 60 logged a 'retransmitting.*try 2'
  start b
  back 120
}
caller_killed() {
  configs "start: on-start"
  start a b
  await_up a gw-b/lan
  stop a KILL
  start a
  back
  logged b 'INITIAL-CONTACT'
}
on_traffic() {
  configs "start: on-traffic"
  start a b
  eventually 15 one_ping a b
  gateway_dies b
  traffic_until logged a peer-dead
  start b
  back
}
line_cut() {
  configs "start: on-start" "{interval: 1s, timeout: 6s, mode: periodic}"
  start a b
  await_up a gw-b/lan
  unplug b
  dead a
  dead b
  plug b
  back 120
}
idle() {
  configs "start: on-start" "{interval: 1s, timeout: 4s, mode: periodic}"
  start a b
  await_up a gw-b/lan
  await_up b gw-a/lan
  eventually 30 logged a 'peer-silent: .*sending R-U-THERE'
  eventually 30 logged b 'peer-silent: .*sending R-U-THERE'
  capture wire outside to-b udp port 500
  eventually 30 eval '[ "$(count wire "udp port 500")" -ge 20 ]'
  captured wire
  not logged a peer-dead
  not logged b peer-dead
  pings_both_ways a b
}
off() {
  configs "start: on-start" off
  start a b
  await_up a gw-b/lan
  stop b KILL
  capture wire outside to-a udp port 500
  for _ in 1 2 3 4 5 6 7 8; do one_ping a b || true; done
  captured wire
  [ "$(count wire 'udp port 500')" = 0 ]
  up a gw-b/lan
}

run "kill -9 of the gateway that answers" answerer_killed
run "the gateway that answers dies, and stays away for a while" answerer_stays_away
run "kill -9 of the gateway that calls" caller_killed
run "on-traffic: the traffic brings it back" on_traffic
run "a cut line: both sides notice" line_cut
run "periodic: an idle tunnel is asked, and stays" idle
run "off: nobody is asked" off
finish
