#!/bin/bash
# oakgate-load: a fleet of initiators, each from an address of its own, against one oakgated that knows them all.
#
#   gw-a == outside == gw-b with 10.64.0.0/24, the fleet
#
# planes: software kernel
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b
load=$OAKGATE_BUILD/tests/load/oakgate-load
fleet=${OAKGATE_GUEST:+12}
fleet=${fleet:-150}

ip -n "$ns-gw-b" route add local 10.64.0.0/24 dev lo
ip -n "$ns-outside" route add 10.64.0.0/24 via "$(outer b)"

# responder [PSK]: gw-a with as many peers as the fleet has
responder() {
  local i
  echo "${1:-a pre-shared key that is long enough}" >"$work/a/fleet.psk"
  chmod 600 "$work/a/fleet.psk"
  {
    printf 'gateway: {name: gw-a, listen: [%s], data_plane: %s, control_socket: %s, state_dir: %s}\n' "$(outer a)" "$PLANE" \
      "$work/a/control.sock" "$work/a/state"
    echo 'isakmp_policies: {10: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share}}'
    echo 'transform_sets: {strong: [esp-aes-256, esp-sha256-hmac]}'
    echo 'peers:'
    for ((i = 0; i < fleet; i++)); do
      echo "  p$i: {address: 10.64.0.$i, pre_shared_key: {file: fleet.psk}, tunnels: {lan: {local: 10.1.0.0/24," \
        "remote: 100.64.0.$i/32, transform_sets: [strong], start: responder}}}"
    done
  } >"$work/a/oakgate.yaml"
  start a
}

# called ARGUMENT...: the fleet calls; its report in $work/report
called() {
  at gw-b timeout 60 "$load" "$(outer a)" --sources 10.64.0.0/24 --inner 100.64.0.0/24 --remote 10.1.0.0/24 --peers "$fleet" \
    --short-exponent --json "$@" >"$work/report" 2>"$work/output"
}
reported() { jq -e "$1" "$work/report" >/dev/null || complain "$1: $(cat "$work/report" "$work/output")"; }
up_at_a() { [ "$(og a status --json | jq '[.peers[] | select(.tunnels[0].state == "up")] | length')" = "$1" ]; }
established_at_a() { [ "$(og a status --json | jq '[.peers[] | select(.state == "established")] | length')" = "$1" ]; }

main_mode() {
  responder
  called
  reported ".established == $fleet and .failed == 0 and .unanswered == 0 and .mode == \"main-mode\""
  reported '.setup_us.p50 > 0 and .setup_us.p100 >= .setup_us.p99 and .rate > 0 and (.parts | length) > 1'
  eventually 5 established_at_a "$fleet"
  up_at_a 0
}

main_and_quick_mode() {
  responder
  called --quick-mode --outstanding 8
  reported ".established == $fleet and .failed == 0 and .mode == \"main-and-quick-mode\""
  eventually 5 up_at_a "$fleet"
}

# Without batches of Diffie-Hellman, from a reload on.
one_by_one() {
  responder
  exits 0 og a show crypto engine configuration
  says 'batches of up to 8|one by one: the processor'
  sed -i 's/^gateway: {/&diffie_hellman: single, /' "$work/a/oakgate.yaml"
  exits 0 og a reload
  exits 0 og a show crypto engine configuration
  says 'one by one: .diffie_hellman: single'
  called
  reported ".established == $fleet and .failed == 0"
}

fixed_rate() {
  responder
  fleet=10 called --rate 20
  reported '.established == 10 and .seconds >= 0.4'
}

held_tunnels_stay() {
  responder
  called --quick-mode --hold 1 --ready "$work/ready"
  reported '.failed == 0'
  cmp "$work/report" "$work/ready"
  up_at_a "$fleet"
}

another_key() {
  responder "another key that is long enough"
  fleet=3 not called
  reported '.established == 0 and .failed == 3 and (.failures | to_entries | map(.value) | add) == 3'
  grep -q '3 of 3 negotiations failed' "$work/output"
}

mistakes() {
  not called --group 99
  grep -q -- '--group 99 is nothing that oakgate knows' "$work/output"
  not called --group 19
  grep -q 'no short exponents in group19' "$work/output"
  not at gw-b "$load" "$(outer a)" --sources 10.64.0.0/30 >"$work/output" 2>&1
  grep -q '10.64.0.0/30 has fewer than' "$work/output"
}

run main-mode main_mode
run main-and-quick-mode main_and_quick_mode
run one-by-one one_by_one
run fixed-rate fixed_rate
run held-tunnels-stay held_tunnels_stay
run another-key another_key
run mistakes mistakes
finish
