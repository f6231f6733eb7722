#!/bin/bash
# A peer that vanishes in the middle of a negotiation is given up with one clear message, the tunnel to another gateway
# goes on, and the next negotiation succeeds.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b      gw-b falls silent
#                       ‖
#                      gw-c -- lan-c               all is well here
# time limit: 300 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/refused.sh
. "$(dirname "$0")/../lib/refused.sh"
topology a b c

# CODE MATCH...: what gw-b sends no more, from some message on
vanishes() {
  good_tunnel_up
  config b a
  start b
  drop_from b "${@:2}"
  refused "$1"
  drop_nothing
  exits 0 og a up gw-b
  pings_both_ways a b
  good_tunnel_untouched
}

# gw-b is killed between two messages: its own half is gone for good, its successor knows nothing.
killed_in_mid_exchange() {
  good_tunnel_up
  config b a
  start b
  drop_from b udp sport 500 @th,208,8 32
  background og a up gw-b >"$work/up" 2>&1
  eventually 10 logged b "authenticated"
  stop b KILL
  drop_nothing
  start b
  eventually 90 og a up gw-b >/dev/null
  pings_both_ways a b
  good_tunnel_untouched
}

after_case() { drop_nothing; }

run "the peer vanishes before message 2" vanishes no-answer udp sport 500
run "the peer vanishes before message 4" vanishes no-answer udp sport 500 meta length '>' 250
run "the peer vanishes before message 6, as with another key" vanishes wrong-key udp sport 500 @th,216,8 1
run "the peer vanishes in quick mode" vanishes no-answer udp sport 500 @th,208,8 32
run "the peer is killed in mid-exchange" killed_in_mid_exchange
finish
