#!/bin/bash
# SAs are renewed before they end, under traffic, without losing a packet; the old ones are deleted on both sides.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: software kernel
# time limit: 240 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

new_spis() { [ "$(spis a)" != "$before" ] && [ "$(spis a)" != "[]" ]; }
one_pair() { has "$1" '.peers[0].tunnels[0].sas | length == 1'; }

# Pings run from lan-a to lan-b while COMMAND happens (at most 70 s); none may be lost.
under_traffic() {
  local status=0 out=$work/traffic
  background at_exec lan-a ping -n -i 0.1 -W 2 "$(lan_host b)" >"$out" 2>&1
  echo $! >"$work/ping.pid"
  eventually 5 grep -q 'bytes from' "$out"
  eventually 70 "$@" || status=$?
  kill -INT "$(cat "$work/ping.pid")"
  eventually 5 grep -q 'packets transmitted' "$out"
  [ "$status" = 0 ] || return
  grep -q ' 0% packet loss' "$out" || complain "$(grep transmitted "$out")"
}

# INITIATOR'S RESPONDER'S more keys of the tunnel
phase2() {
  local before
  tunnel="start: responder, $1" config a b
  tunnel="start: responder, $2" config b a
  start a b
  exits 0 og a up gw-b
  before=$(spis a)
  under_traffic new_spis
  [ "$(spis a)" = "$(spis b)" ]
  eventually 20 one_pair a
  eventually 20 one_pair b
  pings_both_ways a b
}

renewed() { [ "$(cookie a)" != "$before" ] && [ "$(cookie a)" != null ] && [ "$(cookie a)" = "$(cookie b)" ]; }
cookie() { og "$1" status --json | jq -r '.peers[0].isakmp_sa.initiator_cookie'; }
phase1() {
  local before ike="10: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share, lifetime: 60s}"
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
  before=$(cookie a)
  [ "$before" != null ]
  under_traffic renewed
  up a gw-b/lan
  pings_both_ways a b
}

short="lifetime: {time: 60s}"
run "phase 2" phase2 "$short" "$short"
run "phase 2 with PFS: the shorter life, the responder's, applies" phase2 "pfs: group14, lifetime: {time: 1h}" "pfs: group14, $short"
run "phase 1" phase1
finish
