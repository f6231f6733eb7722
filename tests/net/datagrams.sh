#!/bin/bash
# Malformed, truncated, altered and replayed datagrams, from the peer's address and from others, in each state: the
# daemon stays, the tunnels stay, and the log does not overflow.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#                       ‖
#                    storms (tests/lib/datagrams.py)
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

storm() { at outside python3 "$top/tests/lib/datagrams.py" "$@" >"$work/output" 2>&1 || complain "$(tail -1 "$work/output")"; }
tunnel_up() {
  config a b
  config b a
  start a b
  capture negotiation outside to-a udp
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  captured negotiation
}
# unharmed: the same SAs, traffic, a quiet log
unharmed() {
  alive a
  alive b
  pings_both_ways a b
  [ "$before" = "$(spis a)" ] || complain "other SAs: $before, now $(spis a)"
  [ "$(wc -l <"$work/a/log")" -le 300 ] || complain "$(wc -l <"$work/a/log") lines of log"
}

replayed() {
  local before
  tunnel_up
  before=$(spis a)
  storm replay "$work/negotiation.pcap"
  unharmed
  [ "$before" = "$(spis b | jq -c sort)" ]
}

truncated() {
  local before
  tunnel_up
  before=$(spis a)
  storm truncate "$work/negotiation.pcap"
  logged a 'message-rejected'
  unharmed
}

altered() {
  local before
  tunnel_up
  before=$(spis a)
  storm alter "$work/negotiation.pcap"
  logged a 'message-rejected'
  unharmed
}

# random bytes to ports 500 and 4500, with and without the non-ESP marker, and as protocol 50
garbage() {
  local before
  tunnel_up
  before=$(spis a)
  storm garbage "$(outer b)" "$(outer a)"
  storm garbage "203.0.113.66" "$(outer a)"
  logged a 'message-rejected'
  unharmed
}

# unprotected notifications and deletes for the SAs that are up
forged_informational() {
  local before
  tunnel_up
  before=$(spis a)
  storm forge "$work/negotiation.pcap"
  unharmed
}

# first messages of many sources and cookies: half-open negotiations are bounded, the peer still gets through
flood() {
  tunnel_up
  stop a
  stop b
  start a b
  # as if gw-b had sent them: gw-a has seen none of these cookies
  storm flood "$work/negotiation.pcap" "$(outer a)"
  exits 0 og a up gw-b
  pings_both_ways a b
  [ "$(wc -l <"$work/a/log")" -le 300 ] || complain "$(wc -l <"$work/a/log") lines of log"
  exits 0 og a status
}

# while the negotiation runs: what was captured before, altered, again and again
during_the_negotiation() {
  tunnel_up
  exits 0 og a down gw-b
  background at_exec outside python3 "$top/tests/lib/datagrams.py" alter "$work/negotiation.pcap" >"$work/storm" 2>&1
  exits 0 og a up gw-b
  exits 0 og a down gw-b
  exits 0 og a up gw-b
  pings_both_ways a b
}

# ESP: replayed packets are counted and dropped, altered ones do not verify
esp() {
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
  capture esp outside to-a ip proto 50
  pings_both_ways a b
  captured esp
  eventually 5 has a '.peers[0].tunnels[0].sas[0].packets_in == 6'
  capture arrived lan-a eth icmp
  storm replay "$work/esp.pcap"
  storm alter "$work/esp.pcap"
  pings a b
  captured arrived
  [ "$(count arrived 'src host 10.2.0.10')" = 3 ]
  has a '.peers[0].tunnels[0].sas[0].packets_in == 9'
}

run "replayed" replayed
run "truncated at each length" truncated
run "altered at each byte" altered
run "garbage" garbage
run "forged notifications and deletes" forged_informational
run "a flood of first messages" flood
run "while a negotiation runs" during_the_negotiation
run "replayed and altered ESP" esp
finish
