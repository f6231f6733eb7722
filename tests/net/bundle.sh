#!/bin/bash
# AH, AH and ESP in one proposal, and transport mode between the gateways themselves. On the kernel plane also against
# a gateway that does the same in its software plane: the two must agree on every byte.
#
#   lan-a 10.1.0.10 -- gw-a 192.0.2.1 == outside == 198.51.100.2 gw-b -- lan-b 10.2.0.10
#
# planes: software kernel
# time limit: 480 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# both TRANSFORMS [MODE]: the same set on both sides; there=PLANE: gw-b's plane
both() {
  local sets="one: {transforms: [$1], mode: ${2:-tunnel}}" esp='[one]'
  local peer_keys='    allow_weak: {algorithms: [3des], reason: "an old router"}'
  config a b
  PLANE=${there:-$PLANE} config b a
  start a b
}

# only_ah NAME COUNT: AH crossed, and neither bare ESP nor anything in plain
only_ah() {
  local ah other
  ah=$(count "$1" 'proto 51 or ip6 proto 51')
  other=$(count "$1" 'not arp and not icmp6 and not ip6[6] = 0 and not proto 51 and not ip6 proto 51 and not udp port 500')
  [ "$ah" -ge "$2" ] && [ "$other" = 0 ] ||
    complain "$ah packets of AH, $other others: $(tcpdump -nr "$work/$1.pcap" 'not proto 51 and not udp port 500' 2>/dev/null | head -3 | tr '\n' ';')"
}

# tunnel_of TRANSFORMS WORDS: both ways, large packets, the words of status and show
tunnel_of() {
  both "$1"
  capture wire outside to-a
  exits 0 og a up gw-b
  await_up b gw-a/lan
  has a '.peers[0].tunnels[0].sas[0].algorithms == $a' --arg a "$2"
  pings_both_ways a b
  size=1400 pings_both_ways a b
  bulk a b 2
  captured wire
  only_ah wire 100
}

as_proposed() {
  tunnel_of "ah-sha-hmac, esp-3des, esp-sha-hmac" "ah-sha-hmac esp-3des esp-sha-hmac"
  has a '.peers[0].tunnels[0].sas[0].in | map(.protocol) == ["esp", "ah"]'
  exits 0 og a show crypto ipsec sa
  says 'inbound ah sas:'
  says 'transform: ah-sha-hmac'
  [ "$(grep -c '^      spi: 0x' "$work/output")" = 4 ]
  # AH inside: next header 50, ESP's SPI right behind.
  [ "$(count wire 'ip[20] = 50')" -gt 10 ]
}
ah_alone() {
  tunnel_of "ah-sha256-hmac" "ah-sha256-hmac"
  [ "$(count wire 'ip[20] = 4')" -gt 10 ]
}
without_esp_integrity() { tunnel_of "ah-sha512-hmac, esp-aes-128" "ah-sha512-hmac esp-aes-128"; }

ipv6_outside() {
  local family=6
  both "ah-sha256-hmac, esp-aes-256, esp-sha256-hmac"
  capture wire outside to-a
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
  size=1400 eventually 10 pings_both_ways a b
  captured wire
  only_ah wire 12
}

new_spis() { [ "$(spis a)" != "$before" ] && [ "$(spis a)" != "[]" ]; }
renewal() {
  local before tunnel="start: responder, lifetime: {time: 60s}" pid
  both "ah-sha-hmac, esp-aes-128, esp-sha-hmac"
  exits 0 og a up gw-b
  await_up b gw-a/lan
  before=$(spis a)
  background at_exec lan-a ping -n -i 0.1 -W 2 10.2.0.10 >"$work/traffic" 2>&1
  pid=$!
  eventually 70 new_spis
  pings_both_ways a b
  kill -INT "$pid"
  eventually 5 grep -q 'packets transmitted' "$work/traffic"
  grep -q ' 0% packet loss' "$work/traffic" || complain "$(grep transmitted "$work/traffic")"
  [ "$(spis a)" = "$(spis b)" ]
}

deletion() {
  both "ah-sha-hmac, esp-aes-128, esp-sha-hmac"
  exits 0 og a up gw-b
  await_up b gw-a/lan
  exits 0 og a down gw-b/lan
  eventually 10 state_is b gw-a/lan down
  has b '.peers[0].tunnels[0].sas == []'
  # It comes back.
  exits 0 og a up gw-b
  pings a b
}

# between TRANSFORMS: the gateways' own traffic in transport mode
between() {
  local local_nets remote_nets here there_address
  here=$(outer a) there_address=$(outer b)
  local sets="one: {transforms: [$1], mode: transport}" esp='[one]'
  local_nets="\"$here\"" remote_nets="\"$there_address\"" config a b
  local_nets="\"$there_address\"" remote_nets="\"$here\"" PLANE=${there:-$PLANE} config b a
  start a b
  capture wire outside to-a
  exits 0 og a up gw-b
  await_up b gw-a/lan
  has a '.peers[0].tunnels[0].sas[0].algorithms | endswith(" transport")'
  exits 0 og a show crypto ipsec sa
  says 'in use settings =\{Transport, \}'
  at gw-a ping -nq -c 3 -i 0.2 -W 3 "$there_address" >"$work/output" 2>&1
  at gw-b ping -nq -c 3 -i 0.2 -W 3 "$here" >"$work/output" 2>&1
  captured wire
}
transport_esp() {
  between "esp-aes-128, esp-sha-hmac"
  [ "$(count wire 'proto 50')" -ge 12 ]
  [ "$(count wire icmp)" = 0 ]
}
transport_bundle() {
  between "ah-sha-hmac, esp-aes-128, esp-sha-hmac"
  only_ah wire 12
}
transport_ipv6() {
  local family=6
  between "esp-aes-256, esp-sha256-hmac"
  [ "$(count wire 'ip6 proto 50')" -ge 12 ]
}

# GRE as IOS peers like it: protocol 47 between the gateways, in transport mode; it starts with the first packet, and
# other protocols are left alone. (A raw socket speaks it: not every kernel has the module.)
gre() {
  local sets="one: {transforms: [esp-aes-128, esp-sha-hmac], mode: transport}" esp='[one]'
  local tunnel="start: on-traffic" here there_address
  here=$(outer a) there_address=$(outer b)
  local_nets="\"$here gre\"" remote_nets="\"$there_address gre\"" config a b
  local_nets="\"$there_address gre\"" remote_nets="\"$here gre\"" PLANE=${there:-$PLANE} config b a
  start a b
  rm -f "$work/ready"
  background at_exec gw-b python3 "$top/tests/lib/raw_protocol.py" serve "$there_address" 47 "$work/ready"
  eventually 10 test -s "$work/ready"
  capture wire outside to-a
  exits 0 at gw-a python3 "$top/tests/lib/raw_protocol.py" ask "$here" "$there_address" 47 10
  exits 0 at gw-a ping -nq -c 1 -W 3 "$there_address"
  captured wire
  [ "$(count wire 'proto 47')" = 0 ]
  [ "$(count wire 'proto 50')" -ge 20 ]
  [ "$(count wire icmp)" -ge 2 ]
}

# What the two want differs: the refusal says in which attribute.
refusal() {
  local esp='[one]'
  sets="one: [ah-sha-hmac, esp-aes-128, esp-sha-hmac]" config a b
  sets="one: [esp-aes-128, esp-sha-hmac]" config b a
  start a b
  exits 1 og a up gw-b
  eventually 5 logged b 'ah-sha-hmac and esp-aes-128 esp-sha-hmac'
  error_is b gw-a no-proposal-chosen
}

run "AH and ESP in one proposal" as_proposed
run "AH alone" ah_alone
run "ESP without integrity under AH" without_esp_integrity
run "AH and ESP, IPv6 outside" ipv6_outside
run "a renewal of a bundle loses nothing" renewal
run "a bundle goes whole, and comes back" deletion
run "transport mode" transport_esp
run "AH and ESP in transport mode" transport_bundle
run "transport mode, IPv6" transport_ipv6
run "GRE in transport mode" gre
run "no common set: told in its words" refusal
if [ "$PLANE" = kernel ]; then
  there=software
  run "AH and ESP, kernel and software" as_proposed
  run "AH alone, kernel and software" ah_alone
  run "ESP without integrity, kernel and software" without_esp_integrity
  run "AH and ESP over IPv6, kernel and software" ipv6_outside
  run "transport mode, kernel and software" transport_esp
  run "AH and ESP in transport mode, kernel and software" transport_bundle
fi
finish
