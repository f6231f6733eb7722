#!/bin/bash
# Fifty tunnels between two gateways for an hour: short lives, so that all are renewed again and again, one IKE datagram in
# twenty lost each way, and traffic on each tunnel all the time. No packet may be lost to a renewal, and memory stays flat.
#
#   lan-a (50 hosts) -- gw-a == outside (drops 5 % of IKE) == gw-b -- lan-b (50 hosts)
#
# Run by hand, as root: tests/soak/fifty_tunnels.sh [MINUTES]. PLANE=kernel where the kernel has ESP.
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
minutes=${1:-60}
tunnels=50
topology a b

# ESP keeps its way: what is lost is lost to a renewal.
drop_ike() {
  at outside nft "add table ip lossy; add chain ip lossy forward { type filter hook forward priority 0; };
    add rule ip lossy forward udp dport { 500, 4500 } numgen random mod 100 < 5 drop"
}
host() { echo "10.${number[$1]}.0.$((100 + $2))"; }
# tunnels_of SELF PEER: all but the first, which the configuration has anyway
tunnels_of() {
  local i
  for ((i = 2; i <= tunnels; ++i)); do
    echo "      t$i: {local: $(host "$1" "$i")/32, remote: $(host "$2" "$i")/32, transform_sets: [strong], ${tunnel}}"
  done
}
all_up() { has "$1" "[.peers[0].tunnels[] | select(.state == \"up\")] | length == $tunnels"; }
memory() { awk '/^VmRSS/ { print $2 }' "/proc/$(cat "$work/$1/pid")/status"; }
lost_of() { sed -n 's/.*bytes from.*icmp_seq=\([0-9]*\) .*/\1/p' "$1" | sort -nu | awk '{ while (++n < $1) print n }' | wc -l; }
times_up() { [ "$(date +%s)" -ge "$until" ]; }

soak() {
  local i until lost=0 sent=0 before_a before_b after_a after_b
  tunnel="start: on-start, lifetime: {time: 120s}"
  for ((i = 1; i <= tunnels; ++i)); do
    address lan-a eth "$(host a "$i")/32"
    address lan-b eth "$(host b "$i")/32"
  done
  local_nets=$(host a 1)/32 remote_nets=$(host b 1)/32 extra_tunnels=$(tunnels_of a b) config a b
  local_nets=$(host b 1)/32 remote_nets=$(host a 1)/32 extra_tunnels=$(tunnels_of b a) config b a
  start a b
  eventually 120 all_up a
  eventually 120 all_up b
  drop_ike
  for ((i = 1; i <= tunnels; ++i)); do
    background at_exec lan-a ping -n -i 0.5 -W 2 -I "$(host a "$i")" "$(host b "$i")" >"$work/ping.$i" 2>&1
    echo $! >>"$work/pings"
  done
  # A tenth of the time, at most five minutes, for the memory to settle.
  until=$(($(date +%s) + (minutes < 50 ? minutes * 6 : 300)))
  eventually $((minutes * 60)) times_up
  before_a=$(memory a) before_b=$(memory b)
  until=$(($(date +%s) + minutes * 54))
  eventually $((minutes * 60)) times_up
  after_a=$(memory a) after_b=$(memory b)
  xargs kill -INT <"$work/pings"
  for ((i = 1; i <= tunnels; ++i)); do
    eventually 10 grep -q 'packets transmitted' "$work/ping.$i"
    sent=$((sent + $(sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p' "$work/ping.$i")))
    lost=$((lost + $(lost_of "$work/ping.$i")))
  done
  echo "# $tunnels tunnels, $minutes minutes, life 120 s, 5 % of IKE lost: $sent packets sent, $lost lost;" \
    "memory gw-a $before_a -> $after_a kB, gw-b $before_b -> $after_b kB"
  [ "$sent" -gt $((minutes * 60 * tunnels)) ] || complain "only $sent packets were sent"
  [ "$lost" = 0 ] || complain "$lost packets of $sent were lost"
  [ "$after_a" -le $((before_a * 11 / 10)) ] || complain "gw-a grew from $before_a to $after_a kB"
  [ "$after_b" -le $((before_b * 11 / 10)) ] || complain "gw-b grew from $before_b to $after_b kB"
  all_up a
  all_up b
}

run "$minutes minutes" soak
finish
