#!/bin/bash
# IPComp with strongSwan (`ipcomp = yes`), in both roles: it offers each suite with compression and without.
#
#   lan-a -- gw-a (oakgate) == outside == gw-b (strongSwan) -- lan-b
#
# planes: kernel
# time limit: 200 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/strongswan.sh
. "$(dirname "$0")/../lib/strongswan.sh"
topology a b

swan_child="ipcomp = yes"
swan_esp=aes128-sha256
sets="plain: [esp-aes-128, esp-sha256-hmac]
  small: [comp-deflate, esp-aes-128, esp-sha256-hmac]"
esp='[small]'

# What is on the wire is far smaller than the pings in it, both ways.
compressed() {
  capture wire outside to-a
  size=1000 pings_both_ways a b
  captured wire
  [ "$(count wire 'proto 50')" -ge 12 ]
  [ "$(count wire 'proto 50 and greater 700')" = 0 ] || complain "not compressed"
  has a '.peers[0].tunnels[0].sas[0] | .packets_compressed >= 3 and .packets_decompressed >= 3'
  bulk a b 1
}
we_initiate() {
  config a b
  swan_config b a
  swan_start b
  start a
  exits 0 og a up gw-b
  eventually 10 swan_up b
  compressed
  # SPI and CPI
  swan_sas b | grep -E 'in  *[0-9a-f]{8}\/[0-9a-f]{4},' >/dev/null || complain "strongSwan: $(swan_sas b | tr '\n' ' ')"
}
they_initiate() {
  exits 0 og a down gw-b
  eventually 10 not swan_up b
  swan b up lan || complain "strongSwan: $(tail -3 "$work/output" | tr '\n' ' ')"
  await_up a gw-b/lan
  compressed
}
# Who does not want it takes their second proposal.
without() {
  esp='[plain]' config a b
  swan_config b a
  swan_start b
  start a
  swan b up lan || complain "strongSwan: $(tail -3 "$work/output" | tr '\n' ' ')"
  await_up a gw-b/lan
  pings_both_ways a b
  has a '.peers[0].tunnels[0].sas[0].algorithms == "esp-aes-128 esp-sha256-hmac"'
}

keep_running=yes run "we initiate, pre-share, aes-256 sha256 group 14; esp-aes-128 esp-sha256-hmac comp-deflate" we_initiate
run "they initiate, pre-share, aes-256 sha256 group 14; esp-aes-128 esp-sha256-hmac comp-deflate" they_initiate
run "offered with and without IPComp, taken without" without
finish
