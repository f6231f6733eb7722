#!/bin/bash
# Every phase 1 cipher, hash and group; several policies; identities.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# one CIPHER HASH GROUP
one() {
  local ike="10: {encryption: $1, hash: $2, group: $3, authentication: pre-share, lifetime: 24h}"
  local peer_keys='    allow_weak: {algorithms: [des, 3des, md5, group1, group2, group5, group22, group23, group24],
      reason: "every algorithm is tried"}'
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
  pings a b
}

# The responder takes the first of its own order that the initiator offers, whatever number it has there.
several_policies() {
  ike="10: {encryption: aes-128, hash: sha, group: 15, authentication: pre-share}
  20: {encryption: aes-192, hash: sha384, group: 20, authentication: pre-share}
  30: {encryption: aes-256, hash: sha512, group: 14, authentication: pre-share}" config a b
  ike="5: {encryption: aes-256, hash: sha512, group: 14, authentication: pre-share}" config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
}

# Phase 2 agrees on the transform set both have.
several_transform_sets() {
  local sets="one: [esp-aes-128, esp-sha-hmac]
  two: [esp-gcm-256]
  three: [esp-aes-256, esp-sha512-hmac]"
  esp='[one, two]' config a b
  esp='[three, two]' config b a
  start a b
  exits 0 og a up gw-b
  has a '.peers[0].tunnels[0].sas[0].algorithms == "esp-gcm-256"'
  pings_both_ways a b
}

host_name_identities() {
  gateway_keys="  identity: hostname:gw-a.example.net" peer_keys="    identity: user-fqdn:b@example.net" config a b
  gateway_keys="  identity: user-fqdn:b@example.net" peer_keys="    identity: hostname:gw-a.example.net" config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
}

# A gateway that knows its peer only as a range of addresses answers it.
responder_for_a_range() {
  config a b
  peer_address=192.0.2.0-192.0.2.127 config b a
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
}

run "des md5 group 1" one des md5 1
run "3des sha group 2" one 3des sha 2
run "aes-128 sha group 5" one aes-128 sha 5
run "aes-128 sha256 group 14" one aes-128 sha256 14
run "aes-192 sha384 group 15" one aes-192 sha384 15
run "aes-256 sha512 group 16" one aes-256 sha512 16
run "aes-128 sha256 group 19" one aes-128 sha256 19
run "aes-192 sha384 group 20" one aes-192 sha384 20
run "aes-256 sha512 group 21" one aes-256 sha512 21
run "camellia-128 sha256 group 17" one camellia-128 sha256 17
run "camellia-192 sha384 group 18" one camellia-192 sha384 18
run "camellia-256 sha512 group 31" one camellia-256 sha512 31
run "des sha group 22" one des sha 22
run "3des md5 group 23" one 3des md5 23
run "aes-128 md5 group 24" one aes-128 md5 24
run "several policies" several_policies
run "several transform sets" several_transform_sets
run "host name and user identities" host_name_identities
run "a responder for a range of addresses" responder_for_a_range
finish
