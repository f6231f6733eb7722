#!/bin/bash
# TCP streams of both families, both ways, in vectors of many segments: what arrives is what was sent, and no checksum is
# wrong at either host. In the last cases the gateways' devices towards the hosts offload nothing: the kernel takes vectors
# apart and computes checksums before the wire, and the hosts verify each packet.
#
#   lan-a -- gw-a 192.0.2.1 == outside == 198.51.100.2 gw-b -- lan-b
#
# planes: software
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b
sets="strong: [esp-gcm]"

# From where counters of wrong checksums are read; absent ones are 0.
wrong_checksums() { at "$1" nstat -asz TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors | awk '/Csum/ { n += $2 } END { print n + 0 }'; }

# The gateways' LAN lines do nothing for the kernel.
offload_nothing() {
  at gw-a python3 "$top/tests/lib/offload.py" off lan && at gw-b python3 "$top/tests/lib/offload.py" off lan
}

# bytes_a_call GATEWAY r|w: of all its reads or writes, sockets' recvmmsg and sendmmsg not among them
bytes_a_call() {
  awk -v kind="$2" '$1 == kind "char:" { bytes = $2 } $1 == "sysc" kind ":" { calls = $2 } END { print int(bytes / calls) }' \
    "/proc/$(cat "$work/$1/pid")/io"
}

streams() {
  local g
  bulk a b 24
  bulk b a 24
  for g in gw-a gw-b lan-a lan-b outside; do
    [ "$(wrong_checksums "$g")" = 0 ] || complain "$g saw $(wrong_checksums "$g") wrong checksums" || return
  done
}
carried_in_vectors() {
  local g calls
  for g in a b; do
    for calls in r w; do
      [ "$(bytes_a_call "$g" "$calls")" -gt 3000 ] ||
        complain "gw-$g carried $(bytes_a_call "$g" "$calls") bytes in a call of kind $calls" || return
    done
  done
}

over_esp() {
  config a b
  config b a
  start a b
  capture wire outside to-b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  streams
  captured wire
  only_protected wire 3000
  [ "$(count wire 'ip proto 50 or ip6 proto 50')" -gt 3000 ]
}

over_udp() {
  local address=198.51.100.254
  gateway_keys="  identity: hostname:gw-a.example.net" config a b
  peer_address=$address peer_keys="    identity: hostname:gw-a.example.net" config b a
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  streams
  carried_in_vectors
  # Datagrams that are no vectors' and acknowledgements pass beside them.
  pings_both_ways a b
}

run "IPv4 over ESP" over_esp
lan=6 run "IPv6 over ESP" over_esp
family=6 run "IPv4 over ESP over IPv6" over_esp
masquerade b
run "IPv4 over UDP" over_udp
lan=6 run "IPv6 over UDP" over_udp
offload_nothing || exit 1
run "IPv4 over UDP, every checksum verified at the host" over_udp
lan=6 run "IPv6 over UDP, every checksum verified at the host" over_udp
finish
