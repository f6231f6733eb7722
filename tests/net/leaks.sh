#!/bin/bash
# Nothing leaks: not before the tunnel is up, not while it is down, not after a kill -9, not on a start again, not on
# a reload or when a device goes; and plaintext from outside never reaches a protected LAN.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: software kernel
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# A flood from lan-a to lan-b, for as long as it lasts
flood() {
  background at_exec lan-a ping -nq -i 0.02 "$(lan_host b)" >/dev/null 2>&1
  echo $! >"$work/flood.pid"
}
flood_ends() { kill -INT "$(cat "$work/flood.pid")"; }
pings_from() { at "$1" ping -nq -c "${count:-5}" -i 0.05 -W 1 "${@:2}" >/dev/null 2>&1; }

while_down() {
  tunnel="start: on-traffic" config a b
  start a
  capture wire outside to-a
  not pings_from lan-a "$(lan_host b)"
  not pings_from gw-a -I 10.1.0.1 "$(lan_host b)"
  captured wire
  no_plaintext wire
  [ "$(count wire 'udp port 500')" -ge 1 ]
}

while_it_comes_up_and_goes_down() {
  config a b
  config b a
  start a b
  capture wire outside to-a
  flood
  exits 0 og a up gw-b
  eventually 5 has a '.peers[0].tunnels[0].sas[0].packets_in > 20'
  exits 0 og a down gw-b
  exits 0 og a up gw-b
  eventually 5 has a '.peers[0].tunnels[0].sas[0].packets_in > 20'
  stop b
  eventually 10 state_is a gw-b/lan down
  one_ping a b || true
  flood_ends
  captured wire
  no_plaintext wire
  [ "$(count wire "$esp_packets")" -gt 40 ]
}

# The kernel's SAs outlive a kill -9 and go on carrying, protected; the software plane's end with the process.
not_carried() { [ "$PLANE" = kernel ] || not pings_from "$1" "$(lan_host b)"; }
after_kill_and_start_again() {
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
  capture wire outside to-a
  flood
  eventually 5 has a '.peers[0].tunnels[0].sas[0].packets_in > 20'
  stop a KILL
  not_carried lan-a
  not_carried gw-a
  launch a
  eventually 20 answers a
  not pings_from lan-a 10.2.0.77
  exits 0 og a up gw-b
  pings a b
  stop a KILL
  not_carried lan-a
  flood_ends
  captured wire
  no_plaintext wire
}

# A reload that changes the tunnel, brings a second one, and takes that away again, while lan-a sends to both nets.
while_reloads_change_tunnels() {
  local both
  both="\"$(lan_net b)\", \"$(second_net b)\""
  config a b
  config b a
  start a b
  capture wire outside to-a
  flood
  exits 0 og a up gw-b
  eventually 5 has a '.peers[0].tunnels[0].sas[0].packets_in > 20'
  tunnel="start: responder, lifetime: {time: 30m}" config a b
  exits 0 og a reload
  exits 0 og a up gw-b
  eventually 5 has a '.peers[0].tunnels[0].sas[0].packets_in > 20'
  remote_nets="[$both]" config a b
  local_nets="[$both]" config b a
  exits 0 og b reload
  exits 0 og a reload
  # The second net is guarded before it has an SA, and still is when one is there.
  not pings_from lan-a "$(second_host b)"
  exits 0 og a up gw-b
  count=20 pings_from lan-a "$(second_host b)"
  config a b
  config b a
  exits 0 og b reload
  exits 0 og a reload
  exits 0 og a up gw-b
  pings a b
  flood_ends
  captured wire
  no_plaintext wire
}

# Somebody takes the outer interface away and brings it back: nothing leaves in plain, and the tunnel carries again.
outer_interface_goes_and_comes() {
  config a b
  config b a
  start a b
  capture wire outside to-a
  exits 0 og a up gw-b
  pings a b
  flood
  ip -n "$ns-gw-a" link set dev wan down
  not one_ping a b
  ip -n "$ns-gw-a" link set dev wan up
  ip -n "$ns-gw-a" route replace default via "${net4[a]}.254"
  # Its address had gone, and the tunnel with it; the peer is no one that starts it.
  eventually 10 og a up gw-b
  pings a b
  flood_ends
  captured wire
  no_plaintext wire
}

tun_of() { ip -n "$ns-gw-$1" -o link show type tun | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' | head -1; }
# The software plane's device is deleted under it: reported, made anew, and nothing leaves in plain meanwhile; after a
# start again it is as before.
device_is_deleted() {
  config a b
  config b a
  start a b
  capture wire outside to-a
  exits 0 og a up gw-b
  pings a b
  flood
  ip -n "$ns-gw-a" link del "$(tun_of a)"
  eventually 5 logged a 'TUN device .* was deleted, and has been made anew'
  alive a
  eventually 10 one_ping a b
  # Between a clean end and the next start this gateway guards nothing: the flood ends before.
  flood_ends
  captured wire
  no_plaintext wire
  stop a
  start a
  exits 0 og a up gw-b
  pings a b
}

# A tunnel that nothing starts answers the sender (RFC 1812 section 5.2.7.1: code 13), not the outside.
prohibited_while_down() {
  config a b
  start a
  capture told lan-a eth 'icmp[0] == 3 and icmp[1] == 13'
  capture wire outside to-a
  not one_ping a b
  captured told
  captured wire
  no_plaintext wire
  [ "$(count told icmp)" -ge 1 ] || complain "lan-a was not told that its traffic is prohibited"
}

# What comes from outside in plaintext with an address of the remote LAN; nothing of it may reach lan-a.
inject() {
  ip -n "$ns-outside" addr add 10.2.0.77/32 dev lo
  ip -n "$ns-outside" route add 10.1.0.0/24 via "$(outer a)" src 10.2.0.77
  pings_from outside -I 10.2.0.77 "$(lan_host a)" || true
  at outside python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.2.0.77", 0))
for _ in range(10): s.sendto(b"plaintext", ("10.1.0.10", 7777))'
  ip -n "$ns-outside" route del 10.1.0.0/24
  ip -n "$ns-outside" addr del 10.2.0.77/32 dev lo
}
# injected plaintext is dropped: with the tunnel down, up, and the daemon killed
plaintext_from_outside() {
  config a b
  config b a
  start a b
  capture arrived lan-a eth host 10.2.0.77
  inject
  exits 0 og a up gw-b
  inject
  pings_both_ways a b
  stop a KILL
  inject
  pings_from outside "$(outer a)"
  captured arrived
  [ "$(count arrived ip)" = 0 ] || complain "$(count arrived ip) packets of plaintext reached lan-a"
}
# the injection does arrive where nothing guards: otherwise the case above would prove nothing
injection_works() {
  capture arrived lan-a eth host 10.2.0.77
  inject
  captured arrived
  [ "$(count arrived ip)" -ge 10 ]
}

# An inner packet from outside the remote selector is not let in, though it comes by ESP of the authenticated peer.
foreign_inner_source() {
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
  capture arrived lan-a eth icmp
  address lan-b eth 10.9.9.9/32
  not pings_from lan-b -I 10.9.9.9 "$(lan_host a)"
  pings b a
  captured arrived
  [ "$(count arrived 'src host 10.9.9.9')" = 0 ]
  ip -n "$ns-lan-b" addr del 10.9.9.9/32 dev eth
}

# Selectors that cover the gateways themselves do not swallow IKE.
everything_selected() {
  local_nets=10.1.0.0/24 remote_nets=0.0.0.0/0 config a b
  local_nets=0.0.0.0/0 remote_nets=10.1.0.0/24 config b a
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
  exits 0 og a down gw-b
  exits 0 og a up gw-b
  pings_both_ways a b
}

run "injected plaintext would arrive" injection_works
run "nothing leaves while the tunnel is down" while_down
run "nothing leaves while it comes up and goes down" while_it_comes_up_and_goes_down
run "nothing leaves after kill -9 and on starting again" after_kill_and_start_again
run "nothing leaves while reloads change tunnels" while_reloads_change_tunnels
run "nothing leaves while the outer interface goes and comes" outer_interface_goes_and_comes
if [ "$PLANE" = software ]; then
  run "nothing leaves when the device is deleted" device_is_deleted
  run "a sender hears that a tunnel is down" prohibited_while_down
fi
run "plaintext from outside is dropped" plaintext_from_outside
run "a foreign inner source is dropped" foreign_inner_source
run "a selector of everything leaves IKE alone" everything_selected
finish
