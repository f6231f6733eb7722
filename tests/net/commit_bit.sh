#!/bin/bash
# A peer that sets the commit bit in Quick Mode and never says CONNECTED: the router sets it, where nothing protects it
# (RFC 2408 section 3.1). The tunnel comes up after a bounded wait, whichever side waits, and a renewal under traffic
# loses no packet meanwhile.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: software
# planes when long: kernel
# time limit: 300 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# commits GATEWAY: its Quick Mode (exchange type 32) goes on with the encryption and commit bits; over IPv4 a UDP
# checksum of 0 is none.
commits() {
  at outside nft "add table ip commits; add chain ip commits forward { type filter hook forward priority 0; };
    add rule ip commits forward ip saddr $(outer "$1") udp dport 500 @th,208,8 32 @th,216,8 set 3 udp checksum set 0"
}
after_case() {
  at outside nft delete table ip commits 2>/dev/null || true
}

both() {
  tunnel="start: responder, $1" config a b
  tunnel="start: responder, $1" config b a
  start a b
}
gave_up_waiting() { logged "$1" 'commit-unanswered: ISAKMP: no CONNECTED'; }

# waits GATEWAY OTHER: the other one sets the bit
waits() {
  commits "$2"
  both "lifetime: {time: 1h}"
  exits 0 og a up gw-b
  logged "$1" 'commit-awaited: .*await\(\)'
  eventually 10 gave_up_waiting "$1"
  not logged "$2" commit-
  eventually 10 up "$1" "gw-$2/lan"
  pings_both_ways a b
}

renewed() { [ "$(spis a)" != "$before" ] && [ "$(spis a)" != "[]" ] && [ "$(spis a)" = "$(spis b)" ]; }
renewal() {
  local before
  commits "$2"
  both "lifetime: {time: 60s}"
  exits 0 og a up gw-b
  eventually 10 gave_up_waiting "$1"
  before=$(spis a)
  without_loss eventually 70 renewed
  pings_both_ways a b
}

run "the initiator waits, and goes on" waits a b
run "the responder waits, and goes on" waits b a
run "a renewal loses nothing while the initiator waits" renewal a b
run "a renewal loses nothing while the responder waits" renewal b a
finish
