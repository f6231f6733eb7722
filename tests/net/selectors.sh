#!/bin/bash
# Selectors that are no subnets: ranges, protocols and ports, and parts of a tunnel that the peer asks for
# (`accept: subset`). On the kernel plane also against a gateway with the software plane.
#
#   lan-a 10.1.0.10 -- gw-a 192.0.2.1 == outside == 198.51.100.2 gw-b -- lan-b 10.2.0.10
#         .8 .12 .13                                                           .20 .21
#
# planes: software kernel
# time limit: 300 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b
address lan-a eth 10.1.0.{8,12,13}/24 2001:db8:a1::{8,12,13}/64
address lan-b eth 10.2.0.{20,21}/24 2001:db8:b1::{20,21}/64

# both HERE THERE: the same pair on both sides
both() {
  local_nets=$1 remote_nets=$2 config a b
  local_nets=$2 remote_nets=$1 PLANE=${there:-$PLANE} config b a
  start a b
}
# part HERE THERE: what gw-a asks of gw-b, which has both LANs as one pair and takes parts of it; also: gw-a's other tunnels
part() {
  extra_tunnels=${also:-} local_nets=$1 remote_nets=$2 config a b
  tunnel="start: ${starts:-responder}, accept: ${accept:-subset}" PLANE=${there:-$PLANE} config b a
  start a b
}

# carried FROM SOURCE TO: a ping with that source is answered; silent: it is not
carried() { at "lan-$1" ping -nq -c 3 -i 0.2 -W 10 -I "$2" "$3" >"$work/output" 2>&1; }
silent() { not at "lan-$1" ping -nq -c 2 -i 0.2 -W 1 -I "$2" "$3" >"$work/output" 2>&1; }
# serve PORT: lan-b listens there; reaches ADDRESS PORT: from lan-a
serve() {
  background at_exec lan-b python3 -m http.server "$1" --bind "$(lan_host b)" --directory "$work/b" >/dev/null 2>&1
  eventually 20 connects lan-b "$(lan_host b)" "$1"
}
connects() { at "$1" timeout "${limit:-10}" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>/dev/null; }
reaches() { connects lan-a "$1" "$2"; }
# narrowed COUNT: so many pairs of gw-b are the peer's
narrowed() { has b '[.peers[0].tunnels[0].sas[] | select(.narrowed)] | length == $n' --argjson n "$1"; }
# packets_of NARROWED: gw-b's SAs, those of narrowed pairs or the others, have carried some
packets_of() { has b "[.peers[0].tunnels[0].sas[] | select(.narrowed == $1) | .packets_in] | add > 0"; }

sent_by_whole() { og b status --json | jq '[.peers[0].tunnels[0].sas[] | select(.narrowed | not) | .packets_out] | add'; }

# NET-A NET-B: what the addresses begin with
ranges() {
  local a=$1 b=$2
  both "\"${a}8-${a}12\"" "\"${b}10-${b}20\""
  exits 0 og a up gw-b
  await_up b gw-a/lan
  has a '.peers[0].tunnels[0].sas[0].local == $r' --arg r "${a}8-${a}12"
  exits 0 og a show crypto ipsec sa
  says "local  ident \(addr/mask/prot/port\): \(${a}8-${a}12/0/0\)"
  capture wire outside to-a
  capture tunnel gw-b lan
  for source in 8 10 12; do carried a "$a$source" "${b}10"; done
  carried a "${a}12" "${b}20"
  carried b "${b}20" "${a}8"
  captured wire
  only_protected wire 24
  # Outside the ranges, by one address: not the tunnel's, neither here nor there.
  silent a "${a}13" "${b}10"
  silent a "${a}12" "${b}21"
  silent b "${b}21" "${a}12"
  captured tunnel
  [ "$(count tunnel "src host ${a}13")" = 0 ]
  exits 0 og a down gw-b
  capture wire outside to-a
  silent a "${a}12" "${b}20"
  captured wire
  no_plaintext wire
}

range_with_port() {
  both "10.1.0.8-10.1.0.12 tcp" "10.2.0.10-10.2.0.20 tcp 8080"
  serve 8080
  serve 8081
  exits 0 og a up gw-b
  await_up b gw-a/lan
  capture wire outside to-a
  reaches 10.2.0.10 8080
  captured wire
  only_protected wire 4
  limit=2 not reaches 10.2.0.10 8081
  silent a 10.1.0.10 10.2.0.10
}

# A range that is just a subnet is that subnet's traffic to a peer that says it so.
range_meets_subnet() {
  local_nets=10.1.0.0-10.1.0.255 remote_nets=10.2.0.0-10.2.0.255 config a b
  PLANE=${there:-$PLANE} config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
}

exact() {
  accept=exact part 10.1.0.10 10.2.0.10
  exits 1 og a up gw-b
  eventually 5 logged b 'proxy identities not supported'
  error_is b gw-a proxy-id-mismatch
  narrowed 0
}

# NET-A NET-B: one host of each side
subset() {
  local a=$1 b=$2
  part "\"${a}10\"" "\"${b}10\""
  exits 0 og a up gw-b
  await_up b gw-a/lan
  narrowed 1
  capture wire outside to-a
  capture far outside to-b
  carried a "${a}10" "${b}10"
  carried b "${b}10" "${a}10"
  # The rest of the pair is guarded: nothing of it leaves gw-b, which has no SA for it.
  silent b "${b}20" "${a}10"
  captured wire
  captured far
  only_protected wire 12
  no_plaintext far
  exits 0 og b status
  says 'narrowed by the peer'
  exits 0 og b show crypto ipsec sa
  says "remote ident .*${a}10/"
  # It goes with the peer's DELETE, and its traffic is guarded as before.
  exits 0 og a down gw-b
  eventually 10 narrowed 0
  state_is b gw-a/lan down
  capture far outside to-b
  silent b "${b}10" "${a}10"
  captured far
  no_plaintext far
  exits 0 og a up gw-b
  narrowed 1
  carried b "${b}10" "${a}10"
}

# By protocol and port, and by a range; the whole beside them.
parts_and_the_whole() {
  local out
  also='      web: {local: 10.1.0.0/24 tcp, remote: 10.2.0.10 tcp 8080, transform_sets: [strong]}
      some: {local: 10.1.0.8-10.1.0.12, remote: 10.2.0.16-10.2.0.20, transform_sets: [strong]}' \
    part 10.1.0.0/24 10.2.0.0/24
  serve 8080
  exits 0 og a up gw-b/web
  exits 0 og a up gw-b/some
  eventually 5 narrowed 2
  capture wire outside to-a
  reaches 10.2.0.10 8080
  carried a 10.1.0.12 10.2.0.20
  carried b 10.2.0.20 10.1.0.8
  silent b 10.2.0.10 10.1.0.10
  exits 0 og a up gw-b/lan
  pings_both_ways a b
  carried a 10.1.0.13 10.2.0.20
  carried b 10.2.0.21 10.1.0.12
  reaches 10.2.0.10 8080
  captured wire
  only_protected wire 30
  packets_of true
  packets_of false
  # The parts go, and gw-b sends their traffic by the whole; gw-a, whose tunnel that was, has none for the answers.
  exits 0 og a down gw-b/web
  exits 0 og a down gw-b/some
  eventually 10 narrowed 0
  up b gw-a/lan
  out=$(sent_by_whole)
  silent b 10.2.0.20 10.1.0.8
  [ "$(sent_by_whole)" -gt "$out" ]
}

new_spis() { [ "$(spis b)" != "$before" ] && [ "$(spis b)" != "[]" ]; }
renewal() {
  local before tunnel="start: responder, lifetime: {time: 60s}"
  part 10.1.0.10 10.2.0.10
  exits 0 og a up gw-b
  await_up b gw-a/lan
  before=$(spis b)
  without_loss eventually 70 new_spis
  narrowed 1 || eventually 30 narrowed 1
}

# Both begin by traffic: what gw-b begins is the whole, which gw-a does not have.
killed_and_back() {
  starts=on-traffic part 10.1.0.10 10.2.0.10
  exits 0 og a up gw-b
  narrowed 1
  stop b KILL
  launch b
  eventually 20 answers b
  narrowed 0
  exits 0 og a down gw-b
  exits 0 og a up gw-b
  pings_both_ways a b
  narrowed 1
}

run "a range of addresses" ranges 10.1.0. 10.2.0.
lan=6 run "a range of IPv6 addresses" ranges 2001:db8:a1:: 2001:db8:b1::
run "a range with a port" range_with_port
run "a range that is a subnet" range_meets_subnet
run "accept: exact refuses a part" exact
run "accept: subset" subset 10.1.0. 10.2.0.
lan=6 run "accept: subset, IPv6" subset 2001:db8:a1:: 2001:db8:b1::
run "parts and the whole, side by side" parts_and_the_whole
run "a renewal of a part loses nothing" renewal
run "a kill -9 of the responder" killed_and_back
if [ "$PLANE" = kernel ]; then
  there=software
  run "a range of addresses, kernel and software" ranges 10.1.0. 10.2.0.
  run "accept: subset, kernel and software" subset 10.1.0. 10.2.0.
fi
finish
