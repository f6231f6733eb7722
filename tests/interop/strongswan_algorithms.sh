#!/bin/bash
# Every algorithm that strongSwan 5.9 and oakgate have in common, each in both roles, on both planes. A case's name is a row
# of the table that scripts/suites.py makes (build/interop.md).
#
#   lan-a -- gw-a (oakgate) == outside == gw-b (strongSwan) -- lan-b
#
# planes: software kernel
# time limit: 400 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/strongswan.sh
. "$(dirname "$0")/../lib/strongswan.sh"
topology a b

# OUR-POLICY SWAN-IKE OUR-TRANSFORMS SWAN-ESP [PFS-GROUP]
we_initiate() {
  local swan_ike=$2 swan_esp=$4 ike="10: {$1, authentication: pre-share}" sets="strong: [$3]"
  local tunnel="start: responder${5:+, pfs: $5}" peer_keys="    allow_weak: {algorithms: [$weak], reason: \"it is tried\"}"
  config a b
  swan_config b a
  swan_start b
  start a
  exits 0 og a up gw-b
  eventually 10 swan_up b
  pings_both_ways a b
}
# the same gateways, from the other side
they_initiate() {
  exits 0 og a down gw-b
  eventually 10 not swan_up b
  swan b up lan || complain "strongSwan: $(tail -3 "$work/output" | tr '\n' ' ')"
  await_up a gw-b/lan
  pings_both_ways a b
}

# algorithm ENCRYPTION HASH GROUP SWAN-IKE TRANSFORMS SWAN-ESP [PFS-GROUP]
algorithm() {
  local name="pre-share, $1 $2 group $3; ${5//,/}${7:+, pfs $7}"
  keep_running=yes run "we initiate, $name" we_initiate "encryption: $1, hash: $2, group: $3" "${@:4}"
  run "they initiate, $name" they_initiate
}

weak="des, 3des, md5, group1, group2, group5, group22, group23, group24"
algorithm des md5 1 des-md5-modp768 "esp-des, esp-md5-hmac" des-md5-modp768 group1
algorithm 3des sha 2 3des-sha1-modp1024 "esp-3des, esp-sha-hmac" 3des-sha1
algorithm aes-128 sha 5 aes128-sha1-modp1536 "esp-aes-128, esp-sha-hmac" aes128-sha1-modp1536 group5
algorithm aes-256 sha256 14 aes256-sha256-modp2048 "esp-aes-256, esp-sha256-hmac" aes256-sha256-modp2048 group14
algorithm aes-192 sha384 15 aes192-sha384-modp3072 "esp-aes-192, esp-sha384-hmac" aes192-sha384-modp3072 group15
algorithm aes-256 sha512 16 aes256-sha512-modp4096 "esp-aes-256, esp-sha512-hmac" aes256-sha512-modp4096 group16
algorithm aes-256 sha384 17 aes256-sha384-modp6144 "esp-gcm12-256" aes256gcm12-modp6144 group17
algorithm aes-256 sha512 18 aes256-sha512-modp8192 "esp-gcm8-256" aes256gcm8-modp8192 group18
algorithm aes-128 sha256 19 aes128-sha256-ecp256 "esp-gcm-128" aes128gcm16-ecp256 group19
algorithm aes-192 sha384 20 aes192-sha384-ecp384 "esp-gcm-192" aes192gcm16-ecp384 group20
algorithm aes-256 sha512 21 aes256-sha512-ecp521 "esp-gcm-256" aes256gcm16-ecp521 group21
algorithm 3des md5 22 3des-md5-modp1024s160 "esp-3des, esp-md5-hmac" 3des-md5-modp1024s160 group22
algorithm aes-128 sha256 23 aes128-sha256-modp2048s224 "esp-ctr-128, esp-sha256-hmac" aes128ctr-sha256-modp2048s224 group23
algorithm aes-256 sha256 24 aes256-sha256-modp2048s256 "esp-ctr-256, esp-aes-xcbc" aes256ctr-aesxcbc-modp2048s256 group24
algorithm aes-256 sha256 31 aes256-sha256-curve25519 "esp-gcm-256" aes256gcm16-curve25519 group31
algorithm camellia-128 sha256 14 camellia128-sha256-modp2048 "esp-camellia-128, esp-sha256-hmac" camellia128-sha256
algorithm camellia-256 sha256 14 camellia256-sha256-modp2048 "esp-camellia-256, esp-aes-xcbc" camellia256-aesxcbc
algorithm aes-256 sha256 14 aes256-sha256-modp2048 "esp-null, esp-sha256-hmac" null-sha256
# their software plane does not know it
if [ "$PLANE" = kernel ]; then
  algorithm aes-256 sha256 14 aes256-sha256-modp2048 "esp-gmac-256" aes256gmac
fi
finish
