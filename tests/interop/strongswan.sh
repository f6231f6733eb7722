#!/bin/bash
# strongSwan 5.9 as the peer, in both roles: on the software plane with its kernel-libipsec (which forces UDP
# encapsulation), in a virtual machine with its kernel's ESP.
#
#   lan-a -- gw-a (oakgate) == outside == gw-b (strongSwan) -- lan-b
#
# planes: software kernel
# time limit: 600 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/strongswan.sh
. "$(dirname "$0")/../lib/strongswan.sh"
topology a b

both_start() {
  config a b
  swan_config b a
  swan_start b
  start a
}
we_initiate() {
  exits 0 og a up gw-b
  eventually 10 swan_up b
  pings_both_ways a b
}
they_initiate() {
  swan b up lan || complain "strongSwan: $(tail -3 "$work/output" | tr '\n' ' ')"
  await_up a gw-b/lan
  pings_both_ways a b
}

as_initiator() {
  both_start
  capture wire outside to-a
  we_initiate
  bulk a b 2
  bulk b a 2
  captured wire
  only_protected wire 300
}
as_responder() {
  both_start
  capture wire outside to-a
  they_initiate
  bulk a b 2
  bulk b a 2
  captured wire
  only_protected wire 300
}
in_udp() {
  local encap=yes
  both_start
  capture wire outside to-a
  we_initiate
  captured wire
  only_protected wire 10
  [ "$(count wire 'ip proto 50')" = 0 ]
}

# FORM WHO...: strongSwan answers the RFC and drafts 02 and 03; it offers the RFC and draft 02
as_a_draft_has_it() {
  local encap=yes peer_keys="    nat_traversal: $1"
  both_start
  capture wire outside to-a
  "$2"
  captured wire
  only_protected wire 10
  [ "$(count wire 'ip proto 50')" = 0 ]
  swan_logged b "received draft-ietf-ipsec-nat-t-ike-${1#draft-}"
}

on_traffic() {
  tunnel="start: on-traffic" config a b
  swan_config b a
  swan_start b
  start a
  eventually 15 one_ping a b
  pings_both_ways a b
}

# What the peer demands is not offered: the same error as with any peer.
wrong_pre_shared_key() {
  config a b
  psk="another pre-shared key, as long" swan_config b a
  swan_start b
  start a
  exits 1 og a up gw-b
  error_is a gw-b wrong-key || error_is a gw-b no-answer
  not swan b up lan
  eventually 5 error_is a gw-b wrong-key
}
no_common_policy() {
  config a b
  swan_ike=aes128-sha1-modp3072 swan_config b a
  swan_start b
  start a
  exits 1 og a up gw-b
  error_is a gw-b no-proposal-chosen
  not swan b up lan
  swan_logged b 'NO_PROPOSAL_CHOSEN'
}
no_common_transform_set() {
  config a b
  swan_esp=aes128-sha1 swan_config b a
  swan_start b
  start a
  exits 1 og a up gw-b
  error_is a gw-b no-proposal-chosen
  not swan b up lan
  swan_logged b 'received NO_PROPOSAL_CHOSEN'
}
other_proxy_identities() {
  local_nets=10.1.1.0/24 config a b
  swan_config b a
  swan_start b
  start a
  not swan b up lan
  swan_logged b 'INVALID_ID'
  error_is a gw-b proxy-id-mismatch
}

# part LOCAL REMOTE (its own address on the LAN within LOCAL, or it cannot route): what strongSwan asks for, which is a part of our pair
part() {
  tunnel="start: responder, accept: subset" config a b
  swan_local_ts=$1 swan_remote_ts=$2 swan_config b a
  swan_start b
  start a
  swan b up lan || complain "strongSwan: $(tail -3 "$work/output" | tr '\n' ' ')"
  await_up a gw-b/lan
  has a '.peers[0].tunnels[0].sas | length == 1 and .[0].narrowed'
}
a_net() {
  part 10.2.0.0/28 10.1.0.0/24
  has a '.peers[0].tunnels[0].sas[0].remote == "10.2.0.0/28"'
  pings_both_ways a b
  swan b ctl --rekey --child lan
  pings_both_ways a b
  swan b ctl --terminate --child lan
  eventually 10 has a '.peers[0].tunnels[0].sas == []'
}
connects() { at "$1" timeout 10 bash -c 'exec 3<>/dev/tcp/10.2.0.10/8080' 2>/dev/null; }
a_port() {
  part '10.2.0.0/24[tcp/8080]' '10.1.0.0/24[tcp]'
  has a '.peers[0].tunnels[0].sas[0] | .local == "10.1.0.0/24 tcp" and .remote == "10.2.0.0/24 tcp 8080"'
  background at_exec lan-b python3 -m http.server 8080 --bind 10.2.0.10 --directory "$work/b/swan" >/dev/null 2>&1
  eventually 20 connects lan-b
  capture wire outside to-a
  connects lan-a
  captured wire
  only_protected wire 4
}
a_range() {
  part 10.2.0.1-10.2.0.12 10.1.0.0/24
  has a '.peers[0].tunnels[0].sas[0].remote == "10.2.0.1-10.2.0.12"'
  pings_both_ways a b
}
our_range() {
  remote_nets=10.2.0.1-10.2.0.12 config a b
  swan_local_ts=10.2.0.1-10.2.0.12 swan_config b a
  swan_start b
  start a
  we_initiate
}

we_delete() {
  both_start
  we_initiate
  exits 0 og a down gw-b
  eventually 5 not swan_up b
  we_initiate
}
they_delete() {
  both_start
  we_initiate
  swan b down gw-a
  eventually 5 state_is a gw-b/lan down
  they_initiate
}
they_delete_the_child_only() {
  both_start
  we_initiate
  swan b ctl --terminate --child lan
  eventually 5 state_is a gw-b/lan down
  has a '.peers[0].state == "established"'
  they_initiate
}

new_spis() { [ "$(spis a)" != "$before" ] && [ "$(spis a)" != "[]" ]; }
one_pair() { has a '.peers[0].tunnels[0].sas | length == 1'; }
# What they negotiated: ours, as young as here, they could be taken to negotiate at the same time (ike/tunnels.h,
# "Collisions").
they_rekey() {
  local before
  both_start
  they_initiate
  before=$(spis a)
  without_loss they_renew_the_child
  pings_both_ways a b
}
# until the old SAs are gone, too
they_renew_the_child() { swan b ctl --rekey --child lan && eventually 20 new_spis && eventually 30 one_pair; }
they_reauthenticate() {
  local before
  both_start
  they_initiate
  before=$(og a status --json | jq -c '.peers[0].isakmp_sa.initiator_cookie')
  swan b ctl --rekey --ike gw-a
  eventually 10 has a '.peers[0].isakmp_sa.initiator_cookie != $b and .peers[0].tunnels[0].state == "up"' --argjson b "$before"
  pings_both_ways a b
}
we_rekey() {
  local before
  tunnel="start: responder, pfs: group14, lifetime: {time: 60s}" config a b
  swan_esp=aes256-sha256-modp2048 swan_config b a
  swan_start b
  start a
  we_initiate
  before=$(spis a)
  without_loss eventually 70 new_spis
  pings_both_ways a b
}

# Each is hidden from the other in turn, who sees the router and other ports: only the hidden one can call.
we_are_hidden() {
  local gateway_keys="  identity: hostname:gw-a.example.net" swan_peer_id=gw-a.example.net swan_peer_address=198.51.100.254
  masquerade b
  both_start
  capture wire outside to-b
  we_initiate
  hidden_traffic
}
they_are_hidden() {
  local peer_keys="    identity: hostname:gw-b.example.net" peer_address=192.0.2.254 swan_id=gw-b.example.net
  masquerade a
  both_start
  capture wire outside to-a
  they_initiate
  hidden_traffic
}
hidden_traffic() {
  bulk a b 2
  bulk b a 2
  no_masquerade
  captured wire
  only_protected wire 60
  [ "$(count wire 'ip proto 50')" = 0 ]
  [ "$(count wire 'udp dst port 4500 and udp src portrange 20000-30000')" -gt 30 ]
}

they_start_again() {
  both_start
  we_initiate
  swan_stop b KILL
  ip -n "$ns-gw-b" xfrm state flush 2>/dev/null || true
  swan_start b
  they_initiate
  eventually 20 has a '.peers[0].tunnels[0].sas | length == 1'
}
we_start_again() {
  both_start
  we_initiate
  stop a KILL
  start a
  we_initiate
}
we_end() {
  both_start
  we_initiate
  stop a
  eventually 5 not swan_up b
}

# Dead peer detection: who is killed is missed, and who is alive answers.
they_are_asked() {
  peer_keys="    dpd: {interval: 1s, timeout: 6s, mode: periodic}" both_start
  we_initiate
  eventually 30 swan_logged b 'N\(DPD_ACK\)'
  eventually 30 eval '[ "$(grep -c "N(DPD_ACK)" "$work/b/swan/charon.log")" -ge 5 ]'
  not logged a peer-dead
  pings_both_ways a b
}
we_are_asked() {
  swan_keys="dpd_delay = 1s
    dpd_timeout = 6s" both_start
  we_initiate
  eventually 30 eval '[ "$(grep -c "parsed INFORMATIONAL_V1 request.*N(DPD_ACK)" "$work/b/swan/charon.log")" -ge 3 ]'
  swan_up b
  pings_both_ways a b
}
they_are_killed() {
  tunnel="start: on-start" peer_keys="    dpd: {interval: 1s, timeout: 6s, mode: periodic}" both_start
  await_up a gw-b/lan
  swan_stop b KILL
  eventually 60 logged a 'peer-dead: .*is not responding'
  swan_start b
  eventually 120 swan_up b
  await_up a gw-b/lan
  pings_both_ways a b
}
we_are_killed() {
  swan_keys="dpd_delay = 1s
    dpd_timeout = 6s" swan_child="dpd_action = clear" both_start
  we_initiate
  stop a KILL
  eventually 60 not swan_up b
  start a
  we_initiate
}

run "we initiate" as_initiator
run "they initiate" as_responder
[ "$PLANE" = kernel ] && run "in UDP" in_udp
run "we initiate, as draft 03 of NAT traversal has it" as_a_draft_has_it draft-03 we_initiate
run "we initiate, as draft 02 of NAT traversal has it" as_a_draft_has_it draft-02 we_initiate
run "they initiate, as draft 02 of NAT traversal has it" as_a_draft_has_it draft-02 they_initiate
run "on-traffic" on_traffic
if [ "$PLANE" = software ]; then
  # what is refused is refused before any data plane knows
  run "wrong pre-shared key" wrong_pre_shared_key
  run "no common policy" no_common_policy
  run "no common transform set" no_common_transform_set
  run "other proxy identities" other_proxy_identities
fi
run "they ask for a net within our pair" a_net
run "they ask for a port within our pair" a_port
run "they ask for a range within our pair" a_range
run "a range, we initiate" our_range
run "we delete" we_delete
run "they delete" they_delete
run "they delete the child only" they_delete_the_child_only
run "they rekey phase 2 under traffic" they_rekey
run "they renew phase 1" they_reauthenticate
run "we rekey phase 2 under traffic, with PFS" we_rekey
run "we are behind address translation" we_are_hidden
run "they are behind address translation" they_are_hidden
run "they die and start again" they_start_again
run "we die and start again" we_start_again
run "they answer R-U-THERE" they_are_asked
run "we answer R-U-THERE" we_are_asked
run "they are killed, and missed" they_are_killed
run "we are killed, and missed" we_are_killed
run "our end is their end" we_end
finish
