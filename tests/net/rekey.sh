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

# INITIATOR'S RESPONDER'S more keys of the tunnel
phase2() {
  local before
  tunnel="start: responder, $1" config a b
  tunnel="start: responder, $2" config b a
  start a b
  exits 0 og a up gw-b
  before=$(spis a)
  without_loss eventually 70 new_spis
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
  without_loss eventually 70 renewed
  up a gw-b/lan
  pings_both_ways a b
}

short="lifetime: {time: 60s}"
run "phase 2" phase2 "$short" "$short"
run "phase 2 with PFS: the shorter life, the responder's, applies" phase2 "pfs: group14, lifetime: {time: 1h}" "pfs: group14, $short"
run "phase 1" phase1
finish
