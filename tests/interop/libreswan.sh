#!/bin/bash
# libreswan 4.10 as the peer, in both roles, in user-mode Linux: both kernels' ESP.
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
  eventually 50 new_spis
  eventually 10 pings_both_ways a b
}

# ROLE OUR-POLICY LIBRESWAN-IKE OUR-TRANSFORMS LIBRESWAN-ESP [PFS-GROUP]
algorithms() {
  local role=$1
  local libre_ike=$3 libre_esp=$5 ike="10: {$2, authentication: pre-share}" sets="strong: [$4]" pfs=${6:+yes}
  local tunnel="start: responder${6:+, pfs: $6}" peer_keys='    allow_weak: {algorithms: [3des, group5], reason: "it is tried"}'
  pfs=${pfs:-no}
  both_start
  "$role"
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
run "we initiate, 3des sha group 5, 3des sha, PFS" algorithms we_initiate "encryption: 3des, hash: sha, group: 5" \
  3des-sha1-modp1536 "esp-3des, esp-sha-hmac" 3des-sha1 group5
run "they initiate, 3des sha group 5, 3des sha, PFS" algorithms they_initiate "encryption: 3des, hash: sha, group: 5" \
  3des-sha1-modp1536 "esp-3des, esp-sha-hmac" 3des-sha1 group5
run "we initiate, aes-128 sha group 14, aes-128 sha" algorithms we_initiate "encryption: aes-128, hash: sha, group: 14" \
  aes128-sha1-modp2048 "esp-aes-128, esp-sha-hmac" aes128-sha1
run "they initiate, aes-256 sha512 group 15, aes-256 sha512, PFS" algorithms they_initiate \
  "encryption: aes-256, hash: sha512, group: 15" aes256-sha2_512-modp3072 "esp-aes-256, esp-sha512-hmac" aes256-sha2_512 group15
run "we initiate, aes-256 sha256 group 19, gcm-256" algorithms we_initiate "encryption: aes-256, hash: sha256, group: 19" \
  aes256-sha2_256-dh19 "esp-gcm-256" aes_gcm256
run "wrong pre-shared key" wrong_pre_shared_key
run "we delete" we_delete
run "they delete" they_delete
run "they rekey phase 2" they_rekey
run "they die and start again" they_start_again
finish
