#!/bin/bash
# Reload, end, sudden death, a peer that starts again, addresses and names that come and go.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#                       ‖
#                      gw-c -- lan-c
#
# planes: software kernel
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b c

spi_of() { og a status --json | jq -c --arg p "$1" '[.peers[] | select(.name == $p) | .tunnels[0].sas[].in[].spi]'; }
peers_are() { has "$1" '([.peers[].name] | join(" ")) == $p' --arg p "${*:2}"; }

# A tunnel is added, another taken away by SIGHUP; the one that stayed the same keeps its SAs.
reload() {
  local before
  config a b
  config b a
  config c a
  start a b c
  exits 0 og a up gw-b
  before=$(spi_of gw-b)
  config a b c
  kill -HUP "$(cat "$work/a/pid")"
  eventually 10 peers_are a gw-b gw-c
  exits 0 og a up gw-c
  pings_both_ways a c
  pings_both_ways a b
  [ "$before" = "$(spi_of gw-b)" ]
  config a b
  kill -HUP "$(cat "$work/a/pid")"
  eventually 10 peers_are a gw-b
  eventually 10 state_is c gw-a/lan down
  not one_ping a c
  pings_both_ways a b
  [ "$before" = "$(spi_of gw-b)" ]
}

# A configuration with an error changes nothing.
bad_reload() {
  local before
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
  before=$(spi_of gw-b)
  sed -i 's/strong/stronk/2; s/group: 14/group: 3/' "$work/a/oakgate.yaml"
  kill -HUP "$(cat "$work/a/pid")"
  eventually 10 logged a 'oakgate\.yaml:[0-9]+:[0-9]+'
  alive a
  [ "$before" = "$(spi_of gw-b)" ]
  pings_both_ways a b
}

# What differs is shown value by value; a change that nobody confirms is undone, one that is confirmed stays. The file is
# one that includes others, with a template.
change_and_undo() {
  local before
  config a b
  config b a
  config c a
  start a b c
  exits 0 og a up gw-b
  before=$(spi_of gw-b)
  exits 0 og a diff "$work/a/oakgate.yaml"
  says 'is what runs'
  (umask 077 && echo "a pre-shared key that is long enough" >"$work/a/gw-c.psk")
  mkdir "$work/a/peers.d"
  cat >>"$work/a/oakgate.yaml" <<YAML
include: peers.d/*.yaml
templates:
  site: {policies: [10], tunnels: {lan: {local: "$(lan_net a)", transform_sets: [strong]}}}
YAML
  cat >"$work/a/peers.d/c.yaml" <<YAML
peers:
  gw-c: {extends: site, address: "$(outer c)", pre_shared_key: {file: gw-c.psk}, tunnels: {lan: {remote: "$(lan_net c)"}}}
YAML
  exits 0 og a diff "$work/a/oakgate.yaml"
  says '^\+ peers.gw-c.tunnels.lan.remote: 10.3.0.0/24$'
  not grep -q '^-' "$work/output"
  exits 0 og a reload --confirm 5
  says 'undone in 5 s'
  peers_are a gw-b gw-c
  exits 1 og a reload
  says 'oakgate confirm'
  exits 0 og a up gw-c
  pings_both_ways a c
  eventually 10 peers_are a gw-b
  exits 5 og a confirm
  eventually 10 state_is c gw-a/lan down
  not one_ping a c
  exits 0 og a reload --confirm 60
  exits 0 og a confirm
  peers_are a gw-b gw-c
  exits 0 og a up gw-c
  pings_both_ways a c
  pings_both_ways a b
  [ "$before" = "$(spi_of gw-b)" ]
  exits 0 og a show running-config
  says '^  gw-c:$'
  not grep -Eq 'templates|include|long enough' "$work/output"
  echo '  gw-d: {}' >>"$work/a/peers.d/c.yaml"
  exits 4 og a diff "$work/a/oakgate.yaml"
  says 'peers.d/c.yaml:3:'
  exits 4 og a reload --confirm 5
  peers_are a gw-b gw-c
  exits 5 og a confirm
}

# On SIGTERM the peer is told, and the kernel is as it was.
clean_end() {
  kernel_state a >"$work/before"
  tunnel="start: on-traffic" config a b
  config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
  stop a
  kernel_state a >"$work/after"
  diff "$work/before" "$work/after" >"$work/output" || complain "left behind: $(tr '\n' ' ' <"$work/output")"
  eventually 5 state_is b gw-a/lan down
  [ ! -e "$work/a/control.sock" ]
}

# After kill -9 the next daemon takes over what is left, and its end leaves nothing.
death_and_start_again() {
  kernel_state a >"$work/before"
  tunnel="start: on-start" config a b
  config b a
  start b a
  await_up a gw-b/lan
  stop a KILL
  start a
  await_up a gw-b/lan 30
  pings_both_ways a b
  eventually 20 has b '.peers[0].tunnels[0].sas | length == 1'
  stop a
  kernel_state a >"$work/after"
  diff "$work/before" "$work/after" >"$work/output" || complain "left behind: $(tr '\n' ' ' <"$work/output")"
}

# The peer dies and starts again by itself: INITIAL-CONTACT replaces the old SAs here.
peer_starts_again() {
  config a b
  tunnel="start: on-start" config b a
  start a b
  await_up a gw-b/lan
  stop b KILL
  start b
  await_up b gw-a/lan 30
  eventually 15 pings_both_ways a b
  eventually 20 has a '.peers[0].tunnels[0].sas | length == 1'
}

# No address yet: the tunnel waits, and comes up as soon as there is one.
address_comes_later() {
  ip -n "$ns-gw-a" addr del "$(outer a)/24" dev wan
  gateway_keys="  listen: [$(outer a)]" tunnel="start: on-start" config a b
  config b a
  start a b
  eventually 10 error_is a gw-b address-unknown
  address gw-a wan "$(outer a)/24"
  ip -n "$ns-gw-a" route replace default via "$(router a)"
  await_up a gw-b/lan 40
  pings_both_ways a b
  # it goes and comes again while the tunnel is up
  ip -n "$ns-gw-a" addr del "$(outer a)/24" dev wan
  eventually 5 not one_ping a b
  address gw-a wan "$(outer a)/24"
  ip -n "$ns-gw-a" route replace default via "$(router a)"
  eventually 60 pings_both_ways a b
}

# The peer's host name first leads nowhere, then to it.
host_name() {
  config b a
  peer_address=gw-b.example.net tunnel="start: on-start" config a b
  echo "203.0.113.99 gw-b.example.net" >"$work/hosts"
  # shellcheck disable=SC2016
  background at_exec gw-a unshare -m --propagation private sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$work/hosts" \
    "$oakgated" --config "$work/a/oakgate.yaml" --foreground >>"$work/a/log" 2>&1
  echo $! >"$work/a/pid"
  start b
  eventually 10 answers a
  eventually 10 has a '.peers[0].address | contains("203.0.113.99") or contains("gw-b.example.net")'
  echo "$(outer b) gw-b.example.net" >"$work/hosts"
  kill -HUP "$(cat "$work/a/pid")"
  await_up a gw-b/lan 90
  pings_both_ways a b
}

after_case() {
  ip -n "$ns-gw-a" addr replace "$(outer a)/24" dev wan
  ip -n "$ns-gw-a" route replace default via "$(router a)"
}

run "SIGHUP touches only what changed" reload
run "SIGHUP with an error changes nothing" bad_reload
run "a change is shown, undone, confirmed" change_and_undo
run "SIGTERM leaves nothing behind" clean_end
run "kill -9, start again, end: nothing is left behind" death_and_start_again
run "the peer starts again" peer_starts_again
run "a local address that comes, goes and comes" address_comes_later
run "a peer's host name that changes" host_name
finish
