#!/bin/bash
# Moving over: gw-a ran strongSwan or libreswan, and oakgate takes its place with what it imports of its configuration; the peer,
# a strongSwan that has its own, notices nothing.
#
#   lan-a -- gw-a (oakgate, with an imported configuration) == outside == gw-b (strongSwan) -- lan-b
#
# planes: software
# time limit: 240 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/strongswan.sh
. "$(dirname "$0")/../lib/strongswan.sh"
# shellcheck source=tests/lib/libreswan.sh
. "$(dirname "$0")/../lib/libreswan.sh"
topology a b

# import_for_a WORDS...: into gw-a's folder; beside that only what two daemons on one machine need
import_for_a() {
  local name
  rm -f "$work"/a/oakgate.yaml "$work"/a/*.psk
  exits 0 "$oakgate" import "$@" --output "$work/a"
  says 'next: oakgate check'
  cp "$work/output" "$work/listed"
  not grep -q 'long enough' "$work/output" # the key
  for name in "$work"/a/*.psk; do [ "$(stat -c %a "$name")" = 600 ]; done
  sed -i "s|^gateway:|&\n  data_plane: $PLANE\n  control_socket: $work/a/control.sock\n  state_dir: $work/a/state|" "$work/a/oakgate.yaml"
  exits 0 "$oakgate" check "$work/a/oakgate.yaml"
}
peer_of_a() { og a status --json | jq -r '.peers[0].name'; }
carries() {
  exits 0 og a up "$(peer_of_a)"
  eventually 10 swan_up b
  pings_both_ways a b
  # and the other way round
  exits 0 og a down "$(peer_of_a)"
  eventually 10 swan b up lan
  pings_both_ways a b
}

swanctl_conf() {
  swan_config a b
  swan_config b a
  import_for_a swanctl.conf "$work/a/swan/swanctl.conf"
  grep -q 'policies: \[10\]' "$work/a/oakgate.yaml"
  swan_start b
  start a
  carries
}
# The same with what is old: 3DES, MD5, group 2, PFS, a name as identity.
old_algorithms() {
  local swan_ike=3des-md5-modp1024 swan_esp=3des-md5-modp1024
  swan_id=gw-a.example.net swan_peer_id=gw-b.example.net swan_config a b
  swan_id=gw-b.example.net swan_peer_id=gw-a.example.net swan_config b a
  import_for_a swanctl.conf "$work/a/swan/swanctl.conf"
  grep -q 'allow_weak: {algorithms: \[3des, md5, group2\]' "$work/a/oakgate.yaml"
  swan_start b
  start a
  carries
}
ipsec_conf() {
  libre_config a b
  swan_config b a
  import_for_a ipsec.conf "$work/a/libre/ipsec.conf" --secrets "$work/a/libre/ipsec.secrets"
  grep -q 'ipsec.conf:.*leftupdown = /bin/true: ' "$work/listed"
  swan_start b
  start a
  carries
}

run "a swanctl.conf that is imported makes the tunnel" swanctl_conf
run "one with what is old, too" old_algorithms
run "an ipsec.conf that is imported makes the tunnel" ipsec_conf
finish
