#!/bin/bash
# Tunnels tied to the kernel's network: `interface`, an xfrm device that carries what is routed to it, and `mark`. In a
# virtual machine with a kernel that has such devices; by itself it starts one around itself.
#
#   lan-a -- gw-a (ipsec7 10.99.0.1) == outside == (ipsec7 10.99.0.2) gw-b -- lan-b
#                                            ‖
#                                           gw-c -- lan-c, which for `mark` has the nets of lan-b once more
#
# planes: kernel
# time limit: 90 s
[ "${OAKGATE_GUEST:-}" = qemu ] || exec "$(dirname "$0")/../peers/qemu-run" -t 240 env PLANE=kernel \
  "OAKGATE_BUILD=${OAKGATE_BUILD:-}" bash "$(readlink -f "$0")"
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b c

# route_based GATEWAY PEER [DEVICE-KEYS]: a tunnel for IPv4 and one for IPv6, that share a device
route_based() {
  local device
  device="{name: ipsec7, address: 10.99.0.${number[$1]}/30, routes: [$(lan_net "$2"), \"$(lan=6 lan_net "$2")\"]${3:+, $3}}"
  extra_tunnels="      lan6: {local: '::/0', remote: '::/0', transform_sets: [strong], start: responder, interface: $device}" \
    local_nets=0.0.0.0/0 remote_nets=0.0.0.0/0 tunnel="start: responder, interface: $device" config "$1" "$2"
}
both_up() {
  route_based a b
  route_based b a
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  await_up b gw-a/lan6
}

link_of() { ip -n "$ns-gw-$1" -d -j link show ipsec7 2>/dev/null; }
# device GATEWAY JQ-FILTER: of its ipsec7
device() { link_of "$1" | jq -e ".[0] | $2" >/dev/null || complain "not $2: $(link_of "$1")"; }
no_device() { [ -z "$(link_of "$1")" ] || complain "ipsec7 is still there: $(link_of "$1")"; }
ifindex() { link_of "$1" | jq '.[0].ifindex'; }
# octets GATEWAY rx|tx: through its ipsec7
octets() { ip -n "$ns-gw-$1" -s -j link show ipsec7 | jq ".[0].stats64.$2.bytes"; }

carries_what_is_routed_to_it() {
  local clean
  clean=$(kernel_state a)
  both_up
  device a '.linkinfo.info_kind == "xfrm" and .linkinfo.info_data.if_id == "0x7" and (.flags | index("UP") != null)'
  ip -n "$ns-gw-a" -j addr show dev ipsec7 | jq -e '.[0].addr_info | any(.local == "10.99.0.1" and .prefixlen == 30)' >/dev/null
  [[ $(ip -n "$ns-gw-a" route get 10.2.0.10) == *"dev ipsec7"* ]]
  capture wire outside to-b
  pings_both_ways a b
  lan=6 pings_both_ways a b
  bulk a b 1
  lan=6 bulk b a 1
  at gw-a ping -nq -c 1 -W 10 10.99.0.2 >/dev/null # from device to device
  captured wire
  only_protected wire 200
  # A megabyte each way: of packets it is as many as the kernel likes, a segment of 64 KB being one.
  for way in rx tx; do [ "$(octets a "$way")" -gt 1048576 ] || complain "$way: $(octets a "$way") bytes of the device"; done
  has a '.peers[0].tunnels | length == 2 and (map(select(.name == "lan") | .sas[] | .bytes_out) | add) > 1048576 and
    (map(select(.name == "lan6") | .sas[] | .bytes_in) | add) > 1048576 and all(.sas | any(.packets_in > 6 and .packets_out > 6))'
  stop a
  no_device a
  [ "$(kernel_state a)" = "$clean" ] || complain "$(diff <(echo "$clean") <(kernel_state a) | head -5)"
}

# The selectors are 0.0.0.0/0, and still what is routed elsewhere is none of the tunnel's business.
leaves_what_is_routed_elsewhere() {
  both_up
  capture wire outside to-a
  pings a b
  target=$(second_host b) not one_ping a b
  captured wire
  [ "$(count wire "icmp and dst host $(second_host b)")" = 1 ]
  [ "$(count wire "net $(lan_net b)")" = 0 ]
}

# Stopped by a kill it lets nothing out, is taken over by the next run, and goes with that.
stands_after_a_kill() {
  local before
  both_up
  before=$(ifindex a)
  capture wire outside to-a
  exits 0 og a down gw-b
  not one_ping a b
  stop a KILL
  not one_ping a b
  device a '.ifalias == "oakgated"'
  start a
  exits 0 og a up gw-b
  eventually 15 pings a b
  [ "$(ifindex a)" = "$before" ]
  stop a KILL
  ip -n "$ns-gw-a" link del ipsec7
  not one_ping a b # the route behind it
  captured wire
  no_plaintext wire
  start a
  device a '.linkinfo.info_data.if_id == "0x7"'
  stop a
  no_device a
}

is_made_again() {
  both_up
  ip -n "$ns-gw-a" link del ipsec7
  eventually 15 device a '.linkinfo.info_data.if_id == "0x7"'
  eventually 15 pings a b
}

# What stands from before the kill is as the configuration now says.
is_changed_after_a_kill() {
  both_up
  stop a KILL
  route_based a b "mtu: 1400, link: wan"
  sed -i 's|10.99.0.1/30|10.99.0.1/29|' "$work/a/oakgate.yaml"
  start a
  device a '.mtu == 1400 and .link == "wan"'
  [ "$(ip -n "$ns-gw-a" -4 -j addr show dev ipsec7 | jq -c '[.[].addr_info[].prefixlen]')" = '[29]' ] ||
    complain "$(ip -n "$ns-gw-a" -4 addr show dev ipsec7)"
  exits 0 og a up gw-b
  eventually 15 pings a b
}

# The kernel has one device for an if_id: the old one gives way. Both tunnels get the new one.
is_renamed() {
  both_up
  sed -i 's/name: ipsec7/name: ipsec9, if_id: 7/' "$work/a/oakgate.yaml"
  sed -i 's/name: ipsec7/name: ipsec7, mtu: 1400/' "$work/b/oakgate.yaml"
  exits 0 og a reload
  exits 0 og b reload
  no_device a
  device b '.mtu == 1400'
  exits 0 og a up gw-b
  eventually 15 pings a b
  lan=6 eventually 15 pings a b
  [[ $(ip -n "$ns-gw-a" -d link show ipsec9) == *"xfrm if_id 0x7"* ]]
  stop a KILL
  route_based a b
  start a
  device a '.linkinfo.info_data.if_id == "0x7"'
  not ip -n "$ns-gw-a" link show ipsec9 2>/dev/null
}

# One of the same if_id is used and left.
anothers_is_used() {
  ip -n "$ns-gw-a" link add ipsec7 type xfrm if_id 7
  ip -n "$ns-gw-a" link set ipsec7 up alias mine
  both_up
  pings_both_ways a b
  stop a
  device a '.ifalias == "mine" and (.flags | index("UP") != null)'
  ip -n "$ns-gw-a" link del ipsec7
}

# Anything else is not, and the traffic does not travel in plain either.
anothers_is_not_touched() {
  local before kind
  for kind in "xfrm if_id 8" bridge; do
    # shellcheck disable=SC2086
    ip -n "$ns-gw-a" link add ipsec7 type $kind
    before=$(link_of a)
    route_based a b
    : >"$work/a/log"
    start a
    logged a 'another device ipsec7'
    [ "$(link_of a)" = "$before" ]
    capture wire outside to-a
    not one_ping a b
    captured wire
    no_plaintext wire
    stop_all
    [ "$(link_of a)" = "$before" ]
    ip -n "$ns-gw-a" link del ipsec7
  done
}

probe_knows_them() {
  route_based a b
  exits 0 at gw-a "$oakgate" check --probe --json "$work/a/oakgate.yaml"
  jq -e '.findings | any(.topic == "interfaces" and .severity == "ok")' "$work/output" >/dev/null ||
    complain "$(jq -c .findings "$work/output")"
  no_device a
}

# lan-a's .10 is marked for b, .11 for c, .12 not at all. Both peers have the same nets.
marks_choose_the_peer() {
  local gateway
  ip -n "$ns-lan-a" addr add 10.1.0.11/24 dev eth
  ip -n "$ns-lan-a" addr add 10.1.0.12/24 dev eth
  ip -n "$ns-gw-c" addr add 10.2.0.1/24 dev lan
  ip -n "$ns-lan-c" addr add 10.2.0.10/24 dev eth
  at gw-a nft 'add table ip choose; add chain ip choose pre { type filter hook prerouting priority mangle; };
    add rule ip choose pre iifname lan ip saddr 10.1.0.10 meta mark set 0x107;
    add rule ip choose pre iifname lan ip saddr 10.1.0.11 meta mark set 8;
    add table ip seen; add chain ip seen forwarded { type filter hook forward priority 0; };
    add rule ip seen forwarded oifname lan meta mark & 0xff == 7 counter; add rule ip seen forwarded oifname lan meta mark 8 counter'
  tunnel="start: responder, mark: 0x7/0xff" config a b c
  # the second peer's tunnel has the first's nets, and its own mark
  sed -i "s|$(lan_net c)|$(lan_net b)|; 0,/mark: 0x7.0xff/! s|mark: 0x7/0xff|mark: 8|" "$work/a/oakgate.yaml"
  config b a
  local_nets=$(lan_net b) config c a
  start a b c
  exits 0 og a up gw-b
  exits 0 og a up gw-c
  await_up b gw-a/lan
  await_up c gw-a/lan
  for gateway in b c; do capture "to-$gateway" outside "to-$gateway"; done
  at lan-a ping -nq -c 3 -i 0.2 -W 10 -I 10.1.0.10 10.2.0.10 >/dev/null
  at lan-a ping -nq -c 5 -i 0.2 -W 10 -I 10.1.0.11 10.2.0.10 >/dev/null
  not at lan-a ping -nq -c 1 -W 1 -I 10.1.0.12 10.2.0.10 >/dev/null
  for gateway in b c; do captured "to-$gateway"; done
  only_protected to-b 6
  only_protected to-c 10
  has b '[.peers[0].tunnels[0].sas[].packets_in] == [3]'
  has c '[.peers[0].tunnels[0].sas[].packets_in] == [5]'
  # what has come back has the tunnel's mark
  at gw-a nft -j list chain ip seen forwarded >"$work/seen"
  [ "$(jq -c '[.nftables[].rule.expr[]?.counter.packets | numbers]' "$work/seen")" = '[3,5]' ] || complain "$(cat "$work/seen")"
}

run carries_what_is_routed_to_it carries_what_is_routed_to_it
run leaves_what_is_routed_elsewhere leaves_what_is_routed_elsewhere
run stands_after_a_kill stands_after_a_kill
run is_made_again is_made_again
run is_changed_after_a_kill is_changed_after_a_kill
run is_renamed is_renamed
run anothers_is_used anothers_is_used
run anothers_is_not_touched anothers_is_not_touched
run probe_knows_them probe_knows_them
run marks_choose_the_peer marks_choose_the_peer
finish
