#!/bin/bash
# A tunnel comes up in each of the ways it can, carries traffic both ways, and nothing but ESP crosses the outside.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: software kernel
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

on_start() {
  tunnel="start: on-start" config a b
  config b a
  capture wire outside to-a
  start b a
  await_up a gw-b/lan
  await_up b gw-a/lan
  pings_both_ways a b
  bulk a b 4
  bulk b a 4
  captured wire
  only_protected wire 300
}

both_start_at_once() {
  tunnel="start: on-start" config a b
  tunnel="start: on-start" config b a
  start a b
  await_up a gw-b/lan 30
  await_up b gw-a/lan 30
  pings_both_ways a b
}

on_traffic() {
  tunnel="start: on-traffic" config a b
  config b a
  start a b
  state_is a gw-b/lan down
  capture wire outside to-a
  eventually 15 one_ping a b
  await_up a gw-b/lan
  pings_both_ways a b
  captured wire
  only_protected wire 5
}

by_command() {
  config a b
  config b a
  start a b
  state_is a gw-b/lan down
  exits 0 og a up gw-b/lan
  up a gw-b/lan
  await_up b gw-a/lan
  pings_both_ways a b
  exits 0 og a down gw-b/lan
  state_is a gw-b/lan down
  eventually 5 state_is b gw-a/lan down
  not one_ping a b
  exits 0 og a up gw-b
  pings_both_ways a b
}

by_the_responder() {
  config a b
  config b a
  start a b
  exits 0 og b up gw-a
  await_up a gw-b/lan
  pings_both_ways a b
}

# GROUP: perfect forward secrecy
pfs() {
  tunnel="pfs: $1" config a b
  tunnel="pfs: $1" config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
}

several_tunnels() {
  extra_tunnels="      second: {local: 10.1.1.0/24, remote: 10.2.1.0/24, transform_sets: [strong], pfs: group19}" config a b
  extra_tunnels="      second: {local: 10.2.1.0/24, remote: 10.1.1.0/24, transform_sets: [strong], pfs: group19}" config b a
  start a b
  exits 0 og a up gw-b/second
  up a gw-b/second
  state_is a gw-b/lan down
  at lan-a ping -nq -c 2 -i 0.2 -W 3 -I "$(second_host a)" "$(second_host b)" >/dev/null
  exits 0 og a up gw-b/lan
  pings_both_ways a b
  exits 0 og a down gw-b/lan
  at lan-a ping -nq -c 2 -i 0.2 -W 3 -I "$(second_host a)" "$(second_host b)" >/dev/null
}

# Two local nets and two remote ones: four SA pairs, each with exact selectors.
lists() {
  local from to
  local_nets="[10.1.0.0/24, 10.1.1.0/24]" remote_nets="[10.2.0.0/24, 10.2.1.0/24]" config a b
  local_nets="[10.2.0.0/24, 10.2.1.0/24]" remote_nets="[10.1.0.0/24, 10.1.1.0/24]" config b a
  start a b
  exits 0 og a up gw-b
  has a '[.peers[0].tunnels[0].sas[] | select(.role == "current")] | length == 4 and (map([.local, .remote]) | unique | length == 4)'
  for from in 10.1.0.10 10.1.1.10; do
    for to in 10.2.0.10 10.2.1.10; do
      at lan-a ping -nq -c 2 -i 0.2 -W 3 -I "$from" "$to" >/dev/null
    done
  done
  has a '[.peers[0].tunnels[0].sas[] | select(.role == "current")] | all(.packets_out >= 2 and .packets_in >= 2)'
}

counters() {
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
  count=10 pings a b
  eventually 5 has a '.peers[0].tunnels[0].sas[0] | .packets_out == 10 and .packets_in == 10 and .bytes_out == 840 and .bytes_in == 840'
  eventually 5 has b '.peers[0].tunnels[0].sas[0] | .packets_out == 10 and .packets_in == 10'
}

# Packets that fit the LAN but not the tunnel: fragments pass whole, what may not be fragmented is told the size.
sizes() {
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
  size=1400 pings_both_ways a b
  size=1472 pings_both_ways a b
  size=8000 pings_both_ways a b
  exits 1 at lan-a ping -n -M "do" -c 1 -W 2 -s 1472 "$(lan_host b)"
  says 'Frag needed|[Mm]essage too long'
}

run "on-start" on_start
run "both sides on-start at once" both_start_at_once
run "on-traffic" on_traffic
run "oakgate up and down" by_command
run "a configured responder starts by command" by_the_responder
run "perfect forward secrecy, group14" pfs group14
run "perfect forward secrecy, group20" pfs group20
run "several tunnels of a peer" several_tunnels
run "lists of nets: an SA pair for each pair" lists
run "counters" counters
run "packet sizes" sizes
finish
