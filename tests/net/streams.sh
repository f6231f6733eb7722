#!/bin/bash
# TCP streams and UDP datagrams of both families, both ways, in vectors of many segments: what arrives is what was sent,
# and no checksum is wrong at either host. In the last cases the gateways' devices towards the hosts offload nothing: the
# kernel takes vectors apart and computes checksums before the wire, and the hosts verify each packet.
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

# More segments in a vector than a batch has room for.
small_segments() {
  ip -n "$ns-lan-b" route change default via 10.2.0.1 advmss 200
  over_udp
  ip -n "$ns-lan-b" route change default via 10.2.0.1
}

# Datagrams that a host hands over as vectors (UDP_SEGMENT), and that arrive as they were.
datagram_vectors() {
  over_udp
  local sum port_file=$work/vectors.port sum_file=$work/vectors.sum
  rm -f "$port_file" "$sum_file"
  background at_exec lan-b python3 "$top/tests/lib/datagram_vectors.py" serve "$(lan_host b)" "$port_file" >"$sum_file"
  eventually 10 test -s "$port_file"
  sum=$(at lan-a timeout 60 python3 "$top/tests/lib/datagram_vectors.py" send "$(lan_host b)" "$(cat "$port_file")")
  eventually 10 test -s "$sum_file"
  [ "$sum" = "$(cat "$sum_file")" ] || complain "sent $sum, received $(cat "$sum_file")"
  [ "$(wrong_checksums lan-b)" = 0 ]
}

# Each of the two tunnels belongs to another worker; one of the gateways' sockets, and half of the TUN's queues, are read by
# a worker that does not own what it reads.
several_workers() {
  gateway_keys="  workers: 2
  identity: hostname:gw-a.example.net" extra_tunnels="      second: {local: 10.1.0.0/24, remote: 10.2.1.0/24, transform_sets: [strong]}" config a b
  gateway_keys="  workers: 2" peer_address=198.51.100.254 peer_keys="    identity: hostname:gw-a.example.net" \
    extra_tunnels="      second: {local: 10.2.1.0/24, remote: 10.1.0.0/24, transform_sets: [strong]}" config b a
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  await_up b gw-a/second
  og a show crypto engine configuration | grep 'worker threads:  2$' >/dev/null || complain "gw-a tells of no two workers" || return
  streams
  # The same to the other tunnel's host.
  local lan_host
  lan_host=$(declare -f lan_host)
  lan_host() { second_host "$1"; }
  bulk a b 24
  eval "$lan_host"
  pings_both_ways a b
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
run "two workers" several_workers
run "segments of 200 bytes" small_segments
run "vectors of datagrams over IPv4" datagram_vectors
lan=6 run "vectors of datagrams over IPv6" datagram_vectors
offload_nothing || exit 1
run "IPv4 over UDP, every checksum verified at the host" over_udp
lan=6 run "IPv6 over UDP, every checksum verified at the host" over_udp
run "vectors of datagrams, every checksum verified at the host" datagram_vectors
finish
