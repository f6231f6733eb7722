#!/bin/bash
# strongSwan 5.9 as the peer, in both roles: RSA and ECDSA signatures with certificates, CRLs over HTTP, a revoked peer; and
# Aggressive Mode, with a pre-shared key and with certificates.
#
#   lan-a -- gw-a (oakgate) == outside (192.0.2.254: nginx) == gw-b (strongSwan) -- lan-b
#
# planes: software kernel
# time limit: 400 s
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
# shellcheck source=tests/lib/strongswan.sh
. "$(dirname "$0")/../lib/strongswan.sh"
topology a b
ca corp
crl corp
publish corp
web outside 192.0.2.254
cdp=URI:http://192.0.2.254/corp.crl

# both_start: certificates as $key, $san ... say
both_start() {
  local swan_auth=pubkey swan_remote="revocation = strict" swan_local="certs = gw-b0.pem"
  certified a b
  start_with_them
}
start_with_them() {
  swan_certificate b
  revocation=crl by_certificate a b
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
# one_way, then other_way, with the same gateways: what crosses meanwhile is captured
one_way() {
  capture wire outside to-a
  we_initiate
}
other_way() {
  exits 0 og a down gw-b
  eventually 10 not swan_up b
  they_initiate
  captured wire
  # lists are fetched, and certificates come in fragments: other things cross too, but nothing of the LANs
  no_plaintext wire
  [ "$(count wire "$esp_packets")" -ge 20 ]
}
both_ways() { one_way && other_way; }

# in_the_table AUTHENTICATION ALGORITHMS STRONGSWAN'S-WORD FUNCTION [ARG...]: as two cases, rows of build/interop.md
in_the_table() {
  keep_running=yes run "we initiate, $1, $2" "${@:4}"
  run "they initiate, $1, $2" their_turn "$3"
}
their_turn() {
  other_way
  swan_logged b "$1"
}
rsa() {
  : >"$work/web-outside.requests"
  both_start
  one_way
  fetched outside corp.crl 2
  logged a 'certificate of .* verified: CN=gw-b'
  swan_logged b 'certificate status is good'
}
# CURVE HASH
ecdsa() {
  local key=ec:$1 policy="10: {encryption: aes-256, hash: $2, group: 14, authentication: ecdsa-sig}" swan_ike=aes256-$2-modp2048
  both_start
  one_way
}
# Each trusts the root alone and gets the intermediate in a CERT payload.
intermediate() {
  local self by=east swan_auth=pubkey swan_remote="revocation = strict" swan_local="certs = gw-b0.pem"
  ca east corp
  crl east
  publish east
  cdp=URI:http://192.0.2.254/east.crl certified a b
  for self in a b; do
    cat "$work/pki/east/ca.pem" >>"$work/$self/gw-$self.pem"
    cp "$work/pki/corp/ca.pem" "$work/$self/ca.pem"
  done
  start_with_them
  both_ways
}
# The router drops every fragment of IP: messages 5 and 6 come in IKE's own (payload type 132), both ways.
in_fragments() {
  local cut="(udp port 500 and udp[24] = 132) or (udp port 4500 and udp[8:4] = 0 and udp[28] = 132)" swan_keys="fragmentation = yes"
  at outside nft 'add table inet whole; add chain inet whole forward { type filter hook forward priority 0; };
    add rule inet whole forward ip frag-off & 0x3fff != 0 drop'
  intermediate
  [ "$(count wire "src host $(outer a) and ($cut)")" -ge 4 ]
  [ "$(count wire "src host $(outer b) and ($cut)")" -ge 4 ]
}
host_names() {
  local gateway_keys="  identity: hostname:gw-a.example.net" peer_keys="    identity: hostname:gw-b.example.net"
  local swan_id=gw-b.example.net swan_peer_id=gw-a.example.net
  both_start
  both_ways
}
subjects() {
  local gateway_keys="  identity: dn" peer_keys='    identity: "dn:CN=gw-b,O=example"'
  local swan_id='"O=example, CN=gw-b"' swan_peer_id='"O=example, CN=gw-a"'
  both_start
  both_ways
}

# REVOKED-GATEWAY: the other one refuses it, whoever calls
revoked() {
  certified a b
  revoke corp "gw-$1"
  crl corp
  publish corp
  rm -rf "$work/a/state"
  local swan_auth=pubkey swan_remote="revocation = strict" swan_local="certs = gw-b0.pem"
  start_with_them
  exits 1 og a up gw-b
  [ "$1" = a ] || error_is a gw-b certificate-revoked
  not swan b up lan
  [ "$1" = b ] || swan_logged b 'certificate was revoked'
  not up a gw-b/lan
  not swan_up b
}

aggressive() {
  local gateway_keys="  identity: hostname:gw-a.example.net" swan_keys="aggressive = yes"
  local peer_keys="    aggressive: true
    identity: hostname:gw-b.example.net" swan_id=gw-b.example.net swan_peer_id=gw-a.example.net
  config a b
  swan_config b a
  swan_start b
  start a
  one_way
}
aggressive_rsa() {
  local gateway_keys="  identity: hostname:gw-a.example.net" swan_keys="aggressive = yes"
  local peer_keys="    aggressive: true
    identity: hostname:gw-b.example.net" swan_id=gw-b.example.net swan_peer_id=gw-a.example.net
  both_start
  one_way
}

transforms="esp-aes-256 esp-sha256-hmac"
in_the_table rsa-sig "aes-256 sha256 group 14; $transforms" 'authentication of .192.0.2.1. with RSA.* successful' rsa
run "RSA signatures, an intermediate" intermediate
run "RSA signatures, an intermediate, in fragments" in_fragments
at outside nft delete table inet whole
run "RSA signatures, host names" host_names
if [ "$PLANE" = software ]; then run "RSA signatures, distinguished names" subjects; fi
in_the_table ecdsa-sig "P-256, aes-256 sha256 group 14; $transforms" 'with ECDSA.* successful' ecdsa P-256 sha256
in_the_table ecdsa-sig "P-384, aes-256 sha384 group 14; $transforms" 'with ECDSA.* successful' ecdsa P-384 sha384
in_the_table "rsa-sig, aggressive" "aes-256 sha256 group 14; $transforms" 'with RSA.* successful' aggressive_rsa
in_the_table "pre-share, aggressive" "aes-256 sha256 group 14; $transforms" 'CHILD_SA .* established' aggressive
run "they are revoked" revoked b
run "we are revoked" revoked a
finish
