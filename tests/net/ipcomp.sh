#!/bin/bash
# IPComp (RFC 3173) inside ESP and AH, which the kernel's data plane alone does: what can be compressed becomes smaller on
# the wire, what cannot travels as it is, and the commands tell of it.
#
#   lan-a 10.1.0.10 -- gw-a 192.0.2.1 == outside == 198.51.100.2 gw-b -- lan-b 10.2.0.10
#
# planes: kernel
# time limit: 300 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# both TRANSFORMS [MODE]: the same set on both sides
both() {
  local sets="one: {transforms: [$1], mode: ${2:-tunnel}}" esp='[one]'
  config a b
  config b a
  start a b
}

# small NAME FILTER: all frames of the capture that match are far smaller than the pings in them
small() {
  local matching="($2)" large
  large=$(count "$1" "$matching and greater 700")
  [ "$(count "$1" "$matching")" -ge 12 ] && [ "$large" = 0 ] ||
    complain "$large of $(count "$1" "$matching") packets are large"
}

# tunnel_of TRANSFORMS WORDS FILTER: pings of 1000 bytes, whose pattern repeats, both ways; then what is random
tunnel_of() {
  both "$1"
  exits 0 og a up gw-b
  await_up b gw-a/lan
  has a '.peers[0].tunnels[0].sas[0].algorithms == $a' --arg a "$2"
  capture wire outside to-a
  size=1000 pings_both_ways a b
  captured wire
  small wire "$3"
  [ "$(count wire 'proto 108 or ip6 proto 108')" = 0 ]
  bulk a b 2
  pings_both_ways a b
  size=1400 pings_both_ways a b
}

words() {
  tunnel_of "comp-deflate, esp-aes-128, esp-sha-hmac" "esp-aes-128 esp-sha-hmac comp-deflate" "proto 50"
  has a '.peers[0].tunnels[0].sas[0].in | map(.protocol) == ["esp", "pcp"]'
  has a '.peers[0].tunnels[0].sas[0] | .packets_compressed >= 3 and .packets_decompressed >= 3'
  # The CPIs are those that each has chosen for itself.
  [ "$(og a status --json | jq -c '.peers[0].tunnels[0].sas[0].in')" = \
    "$(og b status --json | jq -c '.peers[0].tunnels[0].sas[0].out')" ]
  exits 0 og a show crypto ipsec sa
  says 'inbound pcp sas:'
  says 'transform: comp-deflate'
  says '#pkts compressed: [1-9]'
  [ "$(grep -c '^      spi: 0x' "$work/output")" = 4 ]
}
with_ah() { tunnel_of "ah-sha256-hmac, comp-deflate, esp-aes-256" "ah-sha256-hmac esp-aes-256 comp-deflate" "proto 51"; }

ipv6_outside() {
  local family=6
  tunnel_of "comp-deflate, esp-gcm-128" "esp-gcm-128 comp-deflate" "ip6 proto 50"
}

new_spis() { [ "$(spis a)" != "$before" ] && [ "$(spis a)" != "[]" ]; }
renewal() {
  local before tunnel="start: responder, lifetime: {time: 60s}" pid
  both "comp-deflate, esp-aes-128, esp-sha-hmac"
  exits 0 og a up gw-b
  await_up b gw-a/lan
  before=$(spis a)
  background at_exec lan-a ping -n -i 0.1 -W 2 -s 1000 10.2.0.10 >"$work/traffic" 2>&1
  pid=$!
  eventually 70 new_spis
  size=1000 pings_both_ways a b
  kill -INT "$pid"
  eventually 5 grep -q 'packets transmitted' "$work/traffic"
  grep -q ' 0% packet loss' "$work/traffic" || complain "$(grep transmitted "$work/traffic")"
  exits 0 og a down gw-b/lan
  eventually 10 state_is b gw-a/lan down
  [ "$(at gw-a ip xfrm state | grep -c 'proto comp')" = 0 ] && [ "$(at gw-b ip xfrm state | grep -c 'proto comp')" = 0 ]
}

# The initiator offers a set with it and one without, the responder has the second alone.
not_wanted() {
  local sets="small: [comp-deflate, esp-aes-128, esp-sha-hmac], plain: [esp-aes-128, esp-sha-hmac]"
  sets="${sets/, plain/$'\n'  plain}"
  esp='[small, plain]' config a b
  esp='[plain]' config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
  has a '.peers[0].tunnels[0].sas[0].algorithms == "esp-aes-128 esp-sha-hmac"'
}

# Where nothing but it is offered, the refusal names it.
refused() {
  local esp='[one]'
  sets="one: [comp-deflate, esp-aes-128, esp-sha-hmac]" config a b
  sets="one: [esp-aes-128, esp-sha-hmac]" config b a
  start a b
  exits 1 og a up gw-b
  eventually 5 logged b 'esp-aes-128 esp-sha-hmac and comp-deflate'
  error_is b gw-a no-proposal-chosen
}

software_says_no() {
  PLANE=software both_configured
  exits 4 "$oakgate" check "$work/a/oakgate.yaml"
  says 'comp-deflate'
  says 'cannot compress'
}
both_configured() { sets="one: [comp-deflate, esp-aes-128, esp-sha-hmac]" esp='[one]' config a b; }

run "ESP with IPComp, its words and counters" words
run "AH and ESP with IPComp" with_ah
run "IPv6 outside" ipv6_outside
run "a renewal loses nothing, and all of it goes" renewal
run "offered with and without it" not_wanted
run "a refusal names it" refused
run "the software plane says no" software_says_no
finish
