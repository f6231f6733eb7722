#!/bin/bash
# IPv6 outside, inside, and both.
#
#   lan-a 2001:db8:a1::10 -- gw-a 2001:db8:a::1 == outside == 2001:db8:b::2 gw-b -- lan-b 2001:db8:b1::10
#
# planes: software kernel
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# OUTER INNER: 4 or 6
tunnel() {
  local family=$1 lan=$2
  config a b
  config b a
  start a b
  capture wire outside to-a
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  bulk a b 2
  # A large packet may first teach its sender the path's MTU.
  size=1400 eventually 10 pings_both_ways a b
  captured wire
  only_protected wire 100
}

on_traffic() {
  local family=6 lan=6
  tunnel="start: on-traffic" config a b
  config b a
  start a b
  eventually 15 one_ping a b
  pings_both_ways a b
}

# IPv4 and IPv6 nets of one peer, side by side
both_families() {
  extra_tunnels='      six: {local: "2001:db8:a1::/64", remote: "2001:db8:b1::/64", transform_sets: [strong]}' config a b
  extra_tunnels='      six: {local: "2001:db8:b1::/64", remote: "2001:db8:a1::/64", transform_sets: [strong]}' config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
  lan=6 pings_both_ways a b
}

run "IPv6 outside, IPv6 inside" tunnel 6 6
run "IPv6 outside, IPv4 inside" tunnel 6 4
run "IPv4 outside, IPv6 inside" tunnel 4 6
run "on-traffic, IPv6" on_traffic
run "IPv4 and IPv6 nets of one peer" both_families
finish
