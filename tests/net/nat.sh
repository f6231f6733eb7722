#!/bin/bash
# Network address translation between the gateways: ESP goes in UDP, keep-alives hold the translation, and when that
# changes all the same the other side follows.
#
#   lan-a -- gw-a 192.0.2.1 == outside (hides gw-a behind 198.51.100.254, other ports) == 198.51.100.2 gw-b -- lan-b
#
# planes: software kernel
# time limit: 420 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b
masquerade b

# configs [TUNNEL-KEYS]: nat_form, a form of NAT traversal, of both
configs() {
  local form="    nat_traversal: ${nat_form:-rfc}"
  gateway_keys="  identity: hostname:gw-a.example.net" tunnel=${1:-start: responder} peer_keys=$form config a b
  peer_address=198.51.100.254 peer_keys="    identity: hostname:gw-a.example.net
$form" config b a
}

behind_nat() {
  configs
  start a b
  capture wire outside to-b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  bulk a b 2
  bulk b a 2
  captured wire
  only_protected wire 60 # a vector is one in a capture
  [ "$(count wire 'ip proto 50')" = 0 ]
  [ "$(count wire 'src host 198.51.100.254 and udp dst port 4500 and udp src portrange 20000-30000')" -gt 30 ]
}

# FORM: as peers from before RFC 3947 have it; whoever calls, and after both have forgotten everything
in_the_form() {
  local nat_form=$1
  behind_nat
  logged b "NAT found with .*: remote, $1"
  stop b KILL
  stop a KILL
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
}

# FORM: drafts 00 and 01 stay on port 500, where ESP stands behind 8 zero bytes and IKE does not
on_ikes_port() {
  local nat_form=$1 marked='udp port 500 and udp[8:4] = 0 and udp[12:4] = 0'
  configs
  start a b
  capture wire outside to-b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  bulk a b 2
  bulk b a 2
  captured wire
  logged b "NAT found with .*: remote, $1"
  no_plaintext wire
  [ "$(count wire 'udp port 4500')" = 0 ]
  [ "$(count wire 'ip proto 50')" = 0 ]
  [ "$(count wire "$marked and src host 198.51.100.254 and udp dst port 500")" -gt 30 ]
  [ "$(count wire "$marked and src host 198.51.100.2")" -gt 30 ]
}

# A reload brings draft 00, and takes it away: IKE on port 500 goes on for the others.
on_ikes_port_from_now_on() {
  local nat_form=rfc
  configs
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
  nat_form=draft-00 configs
  exits 0 og b reload
  exits 0 og a reload
  capture wire outside to-b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  captured wire
  [ "$(count wire 'udp port 4500')" = 0 ]
  [ "$(count wire 'udp port 500 and udp[8:4] = 0 and udp[12:4] = 0')" -ge 12 ]
  nat_form=rfc configs
  exits 0 og b reload
  exits 0 og a reload
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
}

keepalive_seen() { [ "$(count wire 'udp dst port 4500 and udp[4:2] = 9 and udp[8] = 0xff')" -ge 1 ]; }
keepalives() {
  configs
  start a b
  exits 0 og a up gw-b
  capture wire outside to-b udp
  eventually 30 keepalive_seen
  [ "$(count wire 'src host 198.51.100.2 and udp[4:2] = 9')" = 0 ]
  captured wire
}

on_traffic() {
  configs "start: on-traffic"
  start a b
  eventually 15 one_ping a b
  pings_both_ways a b
}

several() {
  local extra_tunnels
  gateway_keys="  identity: hostname:gw-a.example.net"
  extra_tunnels="      second: {local: 10.1.1.0/24, remote: 10.2.1.0/24, transform_sets: [strong]}" config a b
  extra_tunnels="      second: {local: 10.2.1.0/24, remote: 10.1.1.0/24, transform_sets: [strong], start: responder}"
  gateway_keys="" peer_address=198.51.100.254 peer_keys="    identity: hostname:gw-a.example.net" config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
  at lan-a ping -nq -c 2 -i 0.2 -W 3 -I "$(second_host a)" "$(second_host b)" >/dev/null
}

# The translation is another one from some moment on: gw-b follows an authentic packet, and only that. Its SAs go on.
rebound() {
  local before
  configs
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  before=$(spis b)
  masquerade_anew b 31000-32000
  not one_ping b a
  eventually 30 one_ping a b
  eventually 30 logged b 'endpoint-changed: .*from 198.51.100.254:2[0-9]+ to 198.51.100.254:31[0-9]+'
  eventually 30 one_ping b a
  pings_both_ways a b
  bulk b a 2
  [ "$(spis b)" = "$before" ]
  no_masquerade
  masquerade b
}

# Another address: the policy and the SAs go there, without a negotiation and without plaintext meanwhile.
elsewhere() {
  local before
  gateway_keys="  identity: hostname:gw-a.example.net" tunnel="start: responder" config a b
  peer_address=198.51.100.0/24 peer_keys="    identity: hostname:gw-a.example.net" config b a
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  before=$(spis b)
  capture wire outside to-b
  hide_behind b 198.51.100.253 31000-32000
  not one_ping b a
  eventually 30 one_ping a b
  eventually 30 logged b 'phase2-moved: .*go on at 198.51.100.253:31[0-9]+ instead of 198.51.100.254:[0-9]+'
  pings_both_ways a b
  bulk a b 2
  bulk b a 2
  [ "$(spis b)" = "$before" ]
  captured wire
  no_plaintext wire
  [ "$(count wire 'src host 198.51.100.2 and dst host 198.51.100.253 and udp dst portrange 31000-32000')" -gt 30 ]
  exits 0 og a down gw-b/lan
  exits 0 og a up gw-b/lan
  pings_both_ways a b
  not [ "$(spis b)" = "$before" ]
}

# The port again while gw-a's daemon is halted, so that no negotiation can help.
rebound_without_ike() {
  local before
  configs
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  before=$(spis b)
  kill -STOP "$(cat "$work/a/pid")"
  masquerade_anew b 31000-32000
  not one_ping b a
  eventually 30 one_ping a b
  pings_both_ways a b
  [ "$(spis b)" = "$before" ]
  masquerade_anew b 20000-30000
  eventually 30 one_ping a b
  pings_both_ways a b
  [ "$(spis b)" = "$before" ]
  kill -CONT "$(cat "$work/a/pid")"
  no_masquerade
  masquerade b
}

run "behind address and port translation" behind_nat
run "keep-alives from behind the translation only" keepalives
run "on-traffic through the translation" on_traffic
run "two tunnels through the translation" several
run "as draft 03 has it" in_the_form draft-03
run "as draft 02 has it" in_the_form draft-02
run "as draft 01 has it" on_ikes_port draft-01
run "as draft 00 has it" on_ikes_port draft-00
if [ "$PLANE" = software ]; then run "draft 00 comes and goes with a reload" on_ikes_port_from_now_on; fi
run "the translation changes" rebound
if [ "$PLANE" = kernel ]; then run "the translation changes, and IKE is silent" rebound_without_ike; fi
run "the translation is to another address" elsewhere # the last: the router does not forget it
finish
