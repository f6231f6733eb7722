#!/bin/bash
# Aggressive Mode: pre-shared keys by host name and by ranges of addresses, both roles, refusals, lost datagrams.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b      gw-a knows its peers by host name, wherever they call from
#                       ‖
#                      gw-c -- lan-c
# planes: software
# planes when long: kernel
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b c

# by_name SELF PEER...: both sides are known by their host names
by_name() {
  local self=$1 peer name
  shift
  for peer; do
    name=peer_keys_$peer
    local "$name=    aggressive: true
    identity: hostname:gw-$peer.example.net"
  done
  gateway_keys="  identity: hostname:gw-$self.example.net" config "$self" "$@"
}

# Both call from addresses that gw-a does not know, each with a key of its own.
two_without_an_address() {
  local psk_b="the pre-shared key of gateway b" psk_c="the pre-shared key of gateway c"
  peer_address=any by_name a b c
  psk=$psk_b by_name b a
  psk=$psk_c by_name c a
  start a b c
  exits 0 og b up gw-a
  exits 0 og c up gw-a
  await_up a gw-b/lan
  await_up a gw-c/lan
  pings_both_ways a b
  pings_both_ways a c
  has a '[.peers[].isakmp_sa.remote_identity] | any(contains("gw-b.example.net")) and any(contains("gw-c.example.net"))'
  logged a 'Aggressive Mode'
  logged b 'guess the pre-shared key offline'
}

# gw-b has one key for everybody in a range; identities are addresses.
range() {
  local peer_keys="    aggressive: true"
  peer_address=198.51.100.0-198.51.100.9 config a b
  config b a
  start a b
  exits 0 og b up gw-a
  pings_both_ways a b
}

as_initiator() {
  by_name a b
  by_name b a
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  exits 0 og a down gw-b
  eventually 5 state_is b gw-a/lan down
  exits 0 og b up gw-a
  pings_both_ways a b
}

behind_nat() {
  peer_address=any by_name a b
  by_name b a
  masquerade a
  start a b
  exits 0 og b up gw-a
  pings_both_ways a b
}

# Each of these is over at the first message: gw-a says no.
unknown_host_name() {
  peer_address=any by_name a c
  by_name b a
  by_name c a
  start a b c
  background og b up gw-a >"$work/b.up" 2>&1
  eventually 5 logged a 'gw-b.example.net'
  exits 0 og c up gw-a
  pings_both_ways a c
  not up b gw-a/lan
}
wrong_pre_shared_key() {
  peer_address=any by_name a b
  psk="another pre-shared key, as long" by_name b a
  start a b
  exits 1 og b up gw-a
  error_is b gw-a wrong-key
}
not_allowed() {
  config a b
  peer_keys="    aggressive: true" config b a
  start a b
  background og b up gw-a >"$work/b.up" 2>&1
  eventually 5 logged a 'gw-b.*[Aa]ggressive'
  not up b gw-a/lan
  exits 0 og a explain gw-b
  says '^    peers: gw-b: aggressive: true  '
}
# What explain says to write lets the caller in.
mended_as_explained() {
  local keys
  config a b
  gateway_keys="  identity: hostname:gw-b.example.net" peer_keys="    aggressive: true" config b a
  start a b
  background og b up gw-a >"$work/b.up" 2>&1
  eventually 5 logged a 'gw-b.*[Aa]ggressive'
  exits 0 og a explain gw-b
  keys=$(sed -nE 's/^    peers: gw-b: \{(aggressive: true), (identity: .*)\} .*/    \1\n    \2/p' "$work/output")
  sed -i "/^  gw-b:/r /dev/stdin" "$work/a/oakgate.yaml" <<<"$keys"
  grep -q '^    identity: hostname:gw-b.example.net$' "$work/a/oakgate.yaml" || complain "explained: $keys"
  exits 0 og a reload
  exits 0 og b up gw-a
  pings_both_ways a b
}

lossy() {
  peer_address=any by_name a b
  tunnel="start: on-start" by_name b a
  drop_datagrams 20
  start a b
  await_up b gw-a/lan 110
  await_up a gw-b/lan 10
  eventually 20 one_ping a b
}

after_case() {
  at outside nft delete table ip lossy 2>/dev/null
  at outside nft list table ip hide >/dev/null 2>&1 && no_masquerade
  return 0
}

run "two host names from anywhere, each with its key" two_without_an_address
run "a range of addresses" range
run "both roles" as_initiator
run "an unknown host name" unknown_host_name
run "a wrong pre-shared key" wrong_pre_shared_key
run "Aggressive Mode is not allowed" not_allowed
run "it is once the line that explain prints is there" mended_as_explained
if [ "$PLANE" = software ]; then for try in 1 2; do run "20 % loss, try $try" lossy; done; fi
# The last: the router goes on translating the flow, whatever its rules say by then.
run "from behind address translation" behind_nat
finish
