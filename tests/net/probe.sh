#!/bin/bash
# oakgate check --probe: what it finds on a machine where all is well, and what on one where something is not.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: software kernel
# guest: uml
# time limit: 60 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# probe STATUS: its exit status; what it finds is in the output
probe() {
  exits "$1" at gw-a "$oakgate" check --probe --json "$work/a/oakgate.yaml"
}
# finds FILTER: one finding at least
finds() {
  jq -e ".findings | any($1)" "$work/output" >/dev/null || complain "no finding $1 in: $(jq -c .findings "$work/output")"
}

all_is_well() {
  config a b
  probe 0
  finds '.topic == "data-plane" and .severity == "ok"'
  finds '.topic == "ports" and .severity == "ok" and .text == "UDP port 500 is free"'
  finds '.topic == "peers" and .severity == "ok"'
  finds '.topic == "forwarding" and .severity == "ok"'
  not finds_error
  exits 0 at gw-a "$oakgate" check --probe "$work/a/oakgate.yaml"
  says '^ok +ports: UDP port 4500 is free'
  says 'oakgate.yaml: valid, 0 errors'
}
finds_error() { jq -e '.error_count > 0' "$work/output" >/dev/null; }

# Nothing that was tried is left.
nothing_stays() {
  config a b
  probe 0
  # A kernel without XFRM has nothing to list.
  [ -z "$(at gw-a ip xfrm state 2>/dev/null)" ] || complain "SAs are left: $(at gw-a ip xfrm state)"
  not grep -qi probe <(at gw-a ip -o link) || complain "a device is left: $(at gw-a ip -o link)"
}

# Of the software plane's run the kernel has no ESP; of the kernel's one no xfrm devices.
what_the_kernel_lacks() {
  if [ "$PLANE" = software ]; then
    PLANE=kernel config a b
    probe 1
    finds '.severity == "error" and (.topic == "algorithms" or .topic == "data-plane") and (.remedy | length > 0)'
    PLANE=auto config a b
    probe 0
    finds '.topic == "data-plane" and .severity == "ok" and (.text | contains("software data plane"))'
  else
    tunnel="interface: ipsec7" config a b
    probe 1
    finds '.topic == "interfaces" and .severity == "error" and (.text | contains("gw-b/lan")) and (.remedy | contains("xfrm_interface"))'
    tunnel="offload: crypto" config a b
    probe 0
    finds '.topic == "offload" and .severity == "warning"'
  fi
}

ports() {
  config a b
  start a
  probe 0
  finds '.topic == "ports" and .severity == "ok" and (.text | contains("held by oakgated"))'
}

forwarding_and_routes() {
  config a b
  at gw-a sysctl -qw net.ipv4.ip_forward=0
  sed -i "s/address: \"$(outer b)\"/address: 203.0.113.9/" "$work/a/oakgate.yaml"
  at gw-a ip route del default
  probe 1
  at gw-a ip route add default via "$(router a)"
  at gw-a sysctl -qw net.ipv4.ip_forward=1
  finds '.topic == "forwarding" and .severity == "error" and (.remedy | contains("sysctl"))'
  finds '.topic == "peers" and .severity == "error" and (.text | contains("no route to 203.0.113.9"))'
}

firewall() {
  config a b
  at gw-a nft 'table inet guard { chain in { type filter hook input priority 0; policy drop; udp dport 500 accept; }; }'
  probe 1
  at gw-a nft delete table inet guard
  finds '.topic == "firewall" and .severity == "error" and
    (.text | contains("inbound UDP port 4500 over IPv4 is blocked by table inet guard chain in"))'
  not jq -e '.findings | any(.topic == "firewall" and (.text | contains("port 500 ")))' "$work/output" >"$work/detail"
}

bad_configuration() {
  config a b
  sed -i 's/^peers:/peer:/' "$work/a/oakgate.yaml"
  probe 4
}

run "all is well" all_is_well
run "nothing stays" nothing_stays
run "what the kernel lacks" what_the_kernel_lacks
run "ports" ports
run "forwarding and routes" forwarding_and_routes
# User-mode Linux has no nftables.
[ "${OAKGATE_GUEST:-}" = uml ] || run "firewall" firewall
run "a configuration that is not valid" bad_configuration
finish
