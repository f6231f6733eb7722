#!/bin/bash
# libreswan 4.10 as the peer, in both roles, in a virtual machine: the kernel's ESP.
#
#   lan-a -- gw-a (oakgate) == outside == gw-b (libreswan) -- lan-b
#
# planes: kernel
# time limit: 600 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/libreswan.sh
. "$(dirname "$0")/../lib/libreswan.sh"
topology a b

both_start() {
  config a b
  libre_config b a
  libre_start b
  start a
}
we_initiate() {
  exits 0 og a up gw-b
  eventually 10 libre_up b
  pings_both_ways a b
}
they_initiate() {
  libre b up lan || complain "libreswan: $(tail -3 "$work/output" | tr '\n' ' ')"
  await_up a gw-b/lan
  pings_both_ways a b
}

as_initiator() {
  both_start
  capture wire outside to-a
  we_initiate
  bulk a b 2
  captured wire
  only_protected wire 100
}
as_responder() {
  both_start
  capture wire outside to-a
  they_initiate
  bulk b a 2
  captured wire
  only_protected wire 100
}
in_udp() {
  local libre_keys="encapsulation=yes"
  both_start
  capture wire outside to-a
  "$1"
  captured wire
  only_protected wire 10
  [ "$(count wire 'ip proto 50')" = 0 ]
}

# They renew phase 2 by themselves, 30 s before its end.
they_rekey() {
  local before libre_keys="salifetime=60s
	rekeymargin=30s
	rekeyfuzz=0%"
  both_start
  they_initiate
  before=$(spis a)
  without_loss eventually 60 new_spis
  pings_both_ways a b
}
we_rekey() {
  local before pfs=yes
  tunnel="start: responder, pfs: group14, lifetime: {time: 60s}" config a b
  libre_config b a
  libre_start b
  start a
  we_initiate
  before=$(spis a)
  without_loss eventually 70 new_spis
  pings_both_ways a b
}

# Each is hidden from the other in turn, who sees the router and other ports: only the hidden one can call.
we_are_hidden() {
  local gateway_keys="  identity: hostname:gw-a.example.net" libre_peer_id=@gw-a.example.net libre_peer_address=198.51.100.254
  masquerade b
  both_start
  capture wire outside to-b
  we_initiate
  hidden_traffic
}
they_are_hidden() {
  local peer_keys="    identity: hostname:gw-b.example.net" peer_address=192.0.2.254 libre_id=@gw-b.example.net
  masquerade a
  both_start
  capture wire outside to-a
  they_initiate
  hidden_traffic
}
hidden_traffic() {
  bulk a b 2
  no_masquerade
  captured wire
  only_protected wire 60
  [ "$(count wire 'ip proto 50')" = 0 ]
  [ "$(count wire 'udp dst port 4500 and udp src portrange 20000-30000')" -gt 20 ]
}

we_delete() {
  both_start
  we_initiate
  exits 0 og a down gw-b
  eventually 10 not libre_up b
  we_initiate
}
they_delete() {
  both_start
  we_initiate
  libre b down lan
  eventually 10 state_is a gw-b/lan down
  they_initiate
}
new_spis() { [ "$(spis a)" != "$before" ] && [ "$(spis a)" != "[]" ]; }
they_start_again() {
  both_start
  we_initiate
  libre_stop b KILL
  ip -n "$ns-gw-b" xfrm state flush
  ip -n "$ns-gw-b" xfrm policy flush
  libre_start b
  they_initiate
}
we_start_again() {
  both_start
  we_initiate
  stop a KILL
  start a
  we_initiate
}

# Dead peer detection: who is killed is missed.
they_are_killed() {
  tunnel="start: on-start" peer_keys="    dpd: {interval: 1s, timeout: 6s, mode: periodic}" both_start
  await_up a gw-b/lan
  pings_both_ways a b
  not logged a peer-dead
  libre_stop b KILL
  eventually 60 logged a 'peer-dead: .*is not responding'
  ip -n "$ns-gw-b" xfrm state flush
  ip -n "$ns-gw-b" xfrm policy flush
  libre_start b
  eventually 120 libre_up b
  await_up a gw-b/lan
  pings_both_ways a b
}
we_are_killed() {
  local libre_keys="dpddelay=1s
	dpdtimeout=6s
	dpdaction=clear"
  both_start
  we_initiate
  stop a KILL
  eventually 60 not libre_up b
  start a
  we_initiate
}
wrong_pre_shared_key() {
  config a b
  psk="another pre-shared key, as long" libre_config b a
  libre_start b
  start a
  exits 1 og a up gw-b
  error_is a gw-b wrong-key || error_is a gw-b no-answer
}

run "we initiate" as_initiator
run "they initiate" as_responder
run "we initiate, in UDP" in_udp we_initiate
run "they initiate, in UDP" in_udp they_initiate
run "wrong pre-shared key" wrong_pre_shared_key
run "we delete" we_delete
run "they delete" they_delete
run "they rekey phase 2 under traffic" they_rekey
run "we rekey phase 2 under traffic, with PFS" we_rekey
run "we are behind address translation" we_are_hidden
run "they are behind address translation" they_are_hidden
run "they die and start again" they_start_again
run "we die and start again" we_start_again
run "they are killed, and missed" they_are_killed
run "we are killed, and missed" we_are_killed
finish
