#!/bin/bash
# Life times with real traffic: kilobytes and packets renew a pair of SAs, kilobytes end one that is not renewed, idle ones
# lapse, and the smaller life of the two sides holds at both ends, in both phases.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: software kernel
# time limit: 420 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# both A'S B'S more keys of the tunnel
both() {
  tunnel=$1 config a b
  tunnel=$2 config b a
  start a b
  exits 0 og a up gw-b
}
pairs_are() { has "$1" '.peers[0].tunnels[0].sas | length == $n' --argjson n "$2"; }
lapsed() { pairs_are a 0 && pairs_are b 0; }
renewed() { [ "$(spis a)" != "$before" ] && [ "$(spis a)" != "[]" ]; }

# flood COMMAND...: about 120 KB/s each way from lan-a to lan-b while COMMAND happens; answers in $work/flood
flood() {
  local status=0 pid out=$work/flood
  background at_exec lan-a ping -n -i 0.01 -s 1200 -W 2 "$(lan_host b)" >"$out" 2>&1
  pid=$!
  "$@" || status=$?
  kill -INT "$pid" && eventually 5 not running "$pid"
  return "$status"
}
answered_beyond() { [ "$(grep -c 'bytes from' "$work/flood")" -gt "$1" ]; }
renewed_and_on() {
  eventually 90 renewed && eventually 30 answered_beyond "$(($(grep -c 'bytes from' "$work/flood") + 50))"
}

# The limit is far enough away for a machine that is slow to renew.
kilobytes_renew() {
  local before lost limit="start: responder, lifetime: {time: 1h, kilobytes: 5120}"
  both "$limit" "$limit"
  pings a b
  before=$(spis a)
  flood renewed_and_on
  lost=$(sed -n 's/.*bytes from.*icmp_seq=\([0-9]*\) .*/\1/p' "$work/flood" | sort -nu | awk '{ while (++n < $1) print n }')
  [ -z "$lost" ] || complain "not answered: $(tr '\n' ' ' <<<"$lost")"
  eventually 30 pairs_are a 1
  eventually 30 pairs_are b 1
  [ "$(spis a)" = "$(spis b)" ]
}

# Only a's own, b is not told: 970 lie behind any soft limit of 1000 and before the hard one, so that no machine is too
# slow to renew.
packets_renew() {
  local before
  both "start: responder, lifetime: {packets: 1000}" "start: responder"
  before=$(spis a)
  count=970 interval=0.002 pings a b
  eventually 30 renewed
  logged a 'rekey'
  eventually 30 pairs_are a 1
  eventually 30 pairs_are b 1
  [ "$(spis a)" = "$(spis b)" ]
  pings_both_ways a b
}

# The smaller limit, b's, holds for a, too: neither renews.
kilobytes_end() {
  both "start: responder, rekey: never" "start: responder, rekey: never, lifetime: {kilobytes: 2560}"
  capture wire outside to-a
  flood eventually 120 lapsed
  captured wire
  only_protected wire 1000
  not logged a 'rekey'
  exits 0 og a up gw-b
  pings_both_ways a b
}

# Not a packet: nobody renews; the first one brings the tunnel back.
idle_lapses() {
  local short="start: on-traffic, lifetime: {time: 60s}"
  both "$short" "$short"
  eventually 90 lapsed
  state_is a gw-b/lan down
  one_ping a b || true
  await_up a gw-b/lan
  pings_both_ways a b
}

# within GATEWAY FILTER SECONDS: what FILTER finds of `status --json` lies above 0 and not above SECONDS
within() { has "$1" "($2) as \$left | \$left > 0 and \$left <= $3" || complain "gw-$1: $2 is $(og "$1" status --json | jq -c "$2")"; }
smaller_life() {
  local policy="10: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share"
  tunnel="start: responder, lifetime: {time: $1, kilobytes: 4608000}" ike="$policy, lifetime: $2}" config a b
  tunnel="start: responder, lifetime: {time: $3, kilobytes: 100000}" ike="$policy, lifetime: $4}" config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
  for gateway in a b; do
    within "$gateway" '.peers[0].tunnels[0].sas[0].expires_in_s' 600
    eventually 10 within "$gateway" '.peers[0].isakmp_sa.expires_in_s' 1200
    exits 0 og "$gateway" show crypto ipsec sa
    says 'remaining key lifetime \(k/sec\): \((100000|99[0-9]{3})/'
  done
}

run "kilobytes: a pair of SAs is renewed under traffic, nothing is lost" kilobytes_renew
run "packets: a pair of SAs is renewed under traffic, nothing is lost" packets_renew
run "kilobytes: one that is never renewed ends, and nothing leaks" kilobytes_end
run "an idle pair of SAs lapses, and traffic brings it back" idle_lapses
run "the responder's smaller life holds at both ends" smaller_life 1h 24h 600s 1200s
run "the initiator's smaller life holds at both ends" smaller_life 600s 1200s 1h 24h
finish
