#!/bin/bash
# strongSwan 5.9 as the peer, in both roles: on the software plane with its kernel-libipsec (which forces UDP
# encapsulation), in user-mode Linux with both kernels' ESP.
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

on_traffic() {
  tunnel="start: on-traffic" config a b
  swan_config b a
  swan_start b
  start a
  eventually 15 one_ping a b
  pings_both_ways a b
}

# ROLE OUR-POLICY SWAN-IKE OUR-TRANSFORMS SWAN-ESP [MORE-OF-THE-TUNNEL]
algorithms() {
  local role=$1
  local swan_ike=$3 swan_esp=$5 ike="10: {$2, authentication: pre-share}" sets="strong: [$4]"
  local tunnel="start: responder${6:+, $6}" peer_keys='    allow_weak: {algorithms: [3des, group2, group5], reason: "it is tried"}'
  both_start
  "$role"
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
they_rekey() {
  local before
  both_start
  we_initiate
  before=$(spis a)
  swan b ctl --rekey --child lan
  eventually 10 new_spis
  pings_both_ways a b
  eventually 30 has a '.peers[0].tunnels[0].sas | length == 1'
  pings_both_ways a b
}
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
  local before status=0
  tunnel="start: responder, pfs: group14, lifetime: {time: 60s}" config a b
  swan_esp=aes256-sha256-modp2048 swan_config b a
  swan_start b
  start a
  we_initiate
  before=$(spis a)
  background at_exec lan-a ping -n -i 0.2 -W 2 "$(lan_host b)" >"$work/traffic" 2>&1
  echo $! >"$work/ping.pid"
  eventually 60 new_spis || status=$?
  kill -INT "$(cat "$work/ping.pid")"
  eventually 5 grep -q 'packets transmitted' "$work/traffic"
  [ "$status" = 0 ]
  grep -q ' 0% packet loss' "$work/traffic" || complain "$(grep transmitted "$work/traffic")"
  pings_both_ways a b
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

run "we initiate" as_initiator
run "they initiate" as_responder
[ "$PLANE" = kernel ] && run "in UDP" in_udp
run "on-traffic" on_traffic
# algorithm ROLE NAME: what is tried, our way to say it, theirs
algorithm() {
  local role=$1
  case $2 in
    3des) set -- "encryption: 3des, hash: sha, group: 2" 3des-sha1-modp1024 "esp-3des, esp-sha-hmac" 3des-sha1 ;;
    aes-128) set -- "encryption: aes-128, hash: sha, group: 5" aes128-sha1-modp1536 "esp-aes-128, esp-sha-hmac" \
      aes128-sha1-modp1536 "pfs: group5" ;;
    aes-192) set -- "encryption: aes-192, hash: sha384, group: 15" aes192-sha384-modp3072 "esp-aes-192, esp-sha384-hmac" \
      aes192-sha384 ;;
    aes-256) set -- "encryption: aes-256, hash: sha512, group: 16" aes256-sha512-modp4096 "esp-aes-256, esp-sha512-hmac" \
      aes256-sha512-modp2048 "pfs: group14" ;;
    gcm-128) set -- "encryption: aes-128, hash: sha256, group: 19" aes128-sha256-ecp256 "esp-gcm-128" aes128gcm16-ecp256 \
      "pfs: group19" ;;
    gcm-192) set -- "encryption: aes-256, hash: sha384, group: 20" aes256-sha384-ecp384 "esp-gcm-192" aes192gcm16-ecp384 \
      "pfs: group20" ;;
    gcm-256) set -- "encryption: aes-256, hash: sha512, group: 21" aes256-sha512-ecp521 "esp-gcm-256" aes256gcm16-ecp521 \
      "pfs: group21" ;;
  esac
  run "$role, $1; $3${5:+; $5}" algorithms "$role" "$@"
}
if [ "$PLANE" = kernel ]; then
  algorithm we_initiate 3des
  algorithm they_initiate aes-192
  algorithm we_initiate aes-256
  algorithm they_initiate gcm-256
else
  for role in we_initiate they_initiate; do
    for name in 3des aes-128 aes-192 aes-256 gcm-128 gcm-192 gcm-256; do algorithm $role $name; done
  done
  # what is refused is refused before any data plane knows
  run "wrong pre-shared key" wrong_pre_shared_key
  run "no common policy" no_common_policy
  run "no common transform set" no_common_transform_set
  run "other proxy identities" other_proxy_identities
fi
run "we delete" we_delete
run "they delete" they_delete
run "they delete the child only" they_delete_the_child_only
run "they rekey phase 2" they_rekey
run "they renew phase 1" they_reauthenticate
run "we rekey phase 2 under traffic, with PFS" we_rekey
run "they die and start again" they_start_again
run "we die and start again" we_start_again
run "our end is their end" we_end
finish
