#!/bin/bash
# Aggressive Mode, and every algorithm that libreswan 4.10 and oakgate have in common, each in both roles. A case's name is a
# row of the table that scripts/suites.py makes (build/interop.md).
#
#   lan-a -- gw-a (oakgate) == outside == gw-b (libreswan) -- lan-b
#
# planes: kernel
# time limit: 400 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/libreswan.sh
. "$(dirname "$0")/../lib/libreswan.sh"
topology a b

# OUR-POLICY LIBRESWAN-IKE OUR-TRANSFORMS LIBRESWAN-ESP [PFS-GROUP]
we_initiate() {
  local libre_ike=$2 libre_esp=$4 ike="10: {$1, authentication: pre-share}" sets="strong: [$3]"
  local tunnel="start: responder${5:+, pfs: $5}" peer_keys="    allow_weak: {algorithms: [$weak], reason: \"it is tried\"}"
  local pfs=${5:+yes}
  config a b
  libre_config b a
  libre_start b
  start a
  exits 0 og a up gw-b
  eventually 20 libre_up b
  pings_both_ways a b
}
# the same gateways, from the other side
they_initiate() {
  exits 0 og a down gw-b
  eventually 20 not libre_up b
  libre b up lan || complain "libreswan: $(tail -3 "$work/output" | tr '\n' ' ')"
  await_up a gw-b/lan
  pings_both_ways a b
}

# algorithm ENCRYPTION HASH GROUP LIBRESWAN-IKE TRANSFORMS LIBRESWAN-ESP [PFS-GROUP]
algorithm() {
  local name="pre-share, $1 $2 group $3; ${5//,/}${7:+, pfs $7}"
  keep_running=yes run "we initiate, $name" we_initiate "encryption: $1, hash: $2, group: $3" "${@:4}"
  run "they initiate, $name" they_initiate
}

aggressive() {
  local gateway_keys="  identity: hostname:gw-a.example.net" libre_id=@gw-b.example.net libre_peer_id=@gw-a.example.net
  local libre_keys="aggressive=yes" peer_keys="    aggressive: true
    identity: hostname:gw-b.example.net"
  config a b
  libre_config b a
  libre_start b
  start a
  exits 0 og a up gw-b
  eventually 20 libre_up b
  pings_both_ways a b
}
name="pre-share, aggressive, aes-256 sha256 group 14; esp-aes-256 esp-sha256-hmac"
keep_running=yes run "we initiate, $name" aggressive
run "they initiate, $name" they_initiate

weak="3des, md5, group5"
algorithm 3des sha 5 3des-sha1-modp1536 "esp-3des, esp-sha-hmac" 3des-sha1 group5
algorithm 3des md5 5 3des-md5-modp1536 "esp-3des, esp-md5-hmac" 3des-md5
algorithm aes-128 sha 14 aes128-sha1-modp2048 "esp-aes-128, esp-sha-hmac" aes128-sha1
algorithm aes-256 sha512 15 aes256-sha2_512-modp3072 "esp-aes-256, esp-sha512-hmac" aes256-sha2_512 group15
algorithm aes-192 sha384 16 aes192-sha2_384-modp4096 "esp-aes-192, esp-sha384-hmac" aes192-sha2_384
algorithm aes-256 sha256 17 aes256-sha2_256-modp6144 "esp-ctr-256, esp-sha256-hmac" aes_ctr256-sha2_256 group17
algorithm aes-256 sha512 18 aes256-sha2_512-modp8192 "esp-gcm8-256" aes_gcm_a256
algorithm aes-256 sha256 19 aes256-sha2_256-dh19 "esp-gcm-128" aes_gcm128 group19
algorithm aes-256 sha384 20 aes256-sha2_384-dh20 "esp-gcm-192" aes_gcm192 group20
algorithm aes-256 sha512 21 aes256-sha2_512-dh21 "esp-gcm-256" aes_gcm256 group21
algorithm aes-256 sha256 31 aes256-sha2_256-dh31 "esp-gcm12-256" aes_gcm_b256 group31
algorithm camellia-256 sha256 14 camellia256-sha2_256-modp2048 "esp-camellia-256, esp-aes-xcbc" camellia256-aes_xcbc
algorithm aes-256 sha256 14 aes256-sha2_256-modp2048 "esp-null, esp-sha256-hmac" null-sha2_256
finish
