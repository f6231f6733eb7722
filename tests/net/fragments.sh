#!/bin/bash
# Large certificates over a path that drops every fragment of IP: IKE messages go in fragments of their own, which no packet
# of more than 1280 bytes needs.
#
#   lan-a -- gw-a == outside (drops fragments of IP) == gw-b -- lan-b
#
# Software plane alone: IKE is the same on both.
#
# planes: software
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
topology a b
ca corp
ca east corp
# The peers trust the root alone; the intermediate comes with the certificate.
large_certificates() {
  local self
  by=east key=rsa:3072 certified a b
  for self in a b; do
    cat "$work/pki/east/ca.pem" >>"$work/$self/gw-$self.pem"
    cp "$work/pki/corp/ca.pem" "$work/$self/ca.pem"
  done
}
large_certificates
at outside nft 'add table inet whole; add chain inet whole forward { type filter hook forward priority 0; };
  add rule inet whole forward ip frag-off & 0x3fff != 0 drop; add rule inet whole forward exthdr frag exists drop'

configs() {
  by_certificate a b
  by_certificate b a
}
# The IKE packets that were captured: with the FRAG payload (132) first, and of more than 1280 bytes in all.
ike='udp port 500'
cut="$ike and udp[24] = 132"
too_large="$ike and greater 1295"

comes_up() {
  start a b
  capture wire outside to-b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  exits 0 og b down gw-a
  exits 0 og b up gw-a
  pings_both_ways a b
  captured wire
}
in_fragments() {
  configs
  comes_up
  [ "$(count wire "src host $(outer a) and $cut")" -ge 4 ]
  [ "$(count wire "src host $(outer b) and $cut")" -ge 4 ]
  [ "$(count wire "$too_large")" = 0 ]
  [ "$(count wire 'ip[6:2] & 0x3fff != 0')" = 0 ]
  only_protected wire 10
}
over_ipv6() {
  local family=6 lan=6
  large_certificates
  configs
  comes_up
  [ "$(count wire 'ip6 and ip6[6] = 17 and ip6[40:2] = 500 and ip6[64] = 132')" -ge 8 ]
  [ "$(count wire 'ip6[6] = 44')" = 0 ]
}

# One side does not want it: the message goes whole, in fragments of IP, and does not arrive.
dropped_whole() { [ "$(count wire 'ip[6:2] & 0x3fff != 0')" -ge 2 ]; }
unless_told_not_to() {
  peer_keys="    fragmentation: false" by_certificate b a
  tunnel="start: on-start" by_certificate a b
  capture wire outside to-a
  start b a
  eventually 20 dropped_whole
  captured wire
  [ "$(count wire "$cut")" = 0 ]
  not up a gw-b/lan
}

# Fragments get lost like anything else: their repetition completes the message.
with_loss() {
  large_certificates
  drop_datagrams 15
  tunnel="start: on-start" by_certificate a b
  by_certificate b a
  start b a
  await_up a gw-b/lan 110
  eventually 20 one_ping a b
}

run "certificates over a path that drops fragments of IP" in_fragments
run "not if a side does not want it" unless_told_not_to
run "the same over IPv6" over_ipv6
run "fragments get lost" with_loss
finish
