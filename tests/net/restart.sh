#!/bin/bash
# With `on_exit: keep` tunnels carry on in the kernel while oakgated is stopped, killed and started again: not a packet is
# lost, the next run renews what it carries on with, and nothing of other programs' is touched.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: kernel
# time limit: 200 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# both_up: gw-a keeps, gw-b does not
both_up() {
  gateway_keys="  on_exit: keep" config a b
  config b a
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
}

# stream_begins; stream_ends: pings from lan-a, of which none may be lost
stream_begins() {
  background at_exec lan-a ping -n -q -i 0.05 -W 2 "$(lan_host b)" >"$work/stream"
  echo $! >"$work/stream.pid"
  eventually 5 has_packets a 1
}
has_packets() { og "$1" status --json | jq -e --argjson n "$2" '[.peers[0].tunnels[0].sas[].packets_out] | add > $n' >/dev/null; }
stream_ends() {
  kill -INT "$(cat "$work/stream.pid")"
  eventually 5 not running "$(cat "$work/stream.pid")"
  local sent received
  read -r sent received < <(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$work/stream")
  [ "$sent" -gt 20 ] && [ "$((sent - received))" -le 1 ] || complain "of $sent pings $received came back"
}

# Not those that only stand for an acquire
spis() { ip -n "$ns-gw-$1" xfrm state | sed -n 's/.*proto esp spi \(0x[0-9a-f]*\).*/\1/p' | grep -v 0x00000000 | sort; }
adopted() { logged "$1" 'phase2-adopted: .*10\.1\.0\.0/24'; }
renewed() { has "$1" '.peers[0].tunnels[0].state == "up" and (.peers[0].tunnels[0].sas | length == 1 and (.[0].adopted | not))'; }

# carries_on SIGNAL
carries_on() {
  both_up
  stream_begins
  before=$(spis a)
  stop a "$1"
  [ "$(spis a)" = "$before" ] || complain "the SAs went with the daemon"
  : >"$work/b/log"
  start a
  eventually 20 adopted a
  [ -z "$(comm -23 <(echo "$before") <(spis a))" ] || complain "SAs of before are not there: $before, now $(spis a)"
  state_is a gw-b/lan up
  eventually 60 renewed a
  stream_ends
  not logged b 'initial-contact'
  [ "$(spis a | grep -cFf <(echo "$before"))" = 0 ] || complain "old SAs are still there"
}

again_and_again() {
  both_up
  stream_begins
  for signal in TERM KILL TERM; do
    stop a "$signal"
    start a
  done
  eventually 60 renewed a
  stream_ends
}

others_are_left_alone() {
  local foreign policy
  ip -n "$ns-gw-a" xfrm state add src 192.0.2.1 dst 203.0.113.9 proto esp spi 0x4711 reqid 7 mode tunnel enc 'cbc(aes)' \
    0x00112233445566778899aabbccddeeff auth 'hmac(sha1)' 0x00112233445566778899aabbccddeeff00112233
  ip -n "$ns-gw-a" xfrm policy add src 10.77.0.0/24 dst 10.78.0.0/24 dir out tmpl src 192.0.2.1 dst 203.0.113.9 proto esp \
    reqid 7 mode tunnel
  both_up
  stop a
  # What nobody remembers but bears our reqid goes; 0x6f610005 is of our range.
  ip -n "$ns-gw-a" xfrm state add src 192.0.2.1 dst 203.0.113.9 proto esp spi 0x4712 reqid 1868627973 mode tunnel enc 'cbc(aes)' \
    0x00112233445566778899aabbccddeeff auth 'hmac(sha1)' 0x00112233445566778899aabbccddeeff00112233
  start a
  eventually 20 adopted a
  foreign=$(ip -n "$ns-gw-a" xfrm state | grep -c 'spi 0x00004711')
  [ "$foreign" = 1 ] || complain "another program's SA is gone"
  ! ip -n "$ns-gw-a" xfrm state | grep 'spi 0x00004712' >/dev/null || complain "a leftover of ours is still there"
  policy=$(ip -n "$ns-gw-a" xfrm policy | grep -c 'src 10.77.0.0/24')
  [ "$policy" = 1 ] || complain "another program's policy is gone"
  ip -n "$ns-gw-a" xfrm state delete src 192.0.2.1 dst 203.0.113.9 proto esp spi 0x4711
  ip -n "$ns-gw-a" xfrm policy delete src 10.77.0.0/24 dst 10.78.0.0/24 dir out
}

no_keys_are_remembered() {
  both_up
  [ "$(stat -c %a "$work/a/state/kept-sas")" = 600 ]
  ip -n "$ns-gw-a" xfrm state | sed -n 's/.*\(enc\|auth-trunc\) [^ ]* 0x\([0-9a-f]*\).*/\2/p' >"$work/keys"
  [ "$(wc -l <"$work/keys")" = 4 ]
  ! grep -qiFf "$work/keys" "$work/a/state/kept-sas" || complain "a key is in the file"
}

another_configuration() {
  both_up
  before=$(spis a)
  stop a
  sed -i 's/esp-aes-256/esp-aes-128/' "$work/a/oakgate.yaml"
  start a
  eventually 20 answers a
  [ -z "$(spis a)" ] || complain "SAs of algorithms that are not configured any more: $(spis a)"
}

# The last end is `delete`: nothing stays.
delete_in_the_end() {
  local clean
  # what the cases before have left, and acquires nobody has answered
  sed -i 's/on_exit: keep/on_exit: delete/' "$work/a/oakgate.yaml"
  start a
  stop a
  ip -n "$ns-gw-a" xfrm state flush
  clean=$(kernel_state a)
  both_up
  stop a
  start a
  eventually 60 renewed a # there is an IKE SA again to tell the peer by
  sed -i 's/on_exit: keep/on_exit: delete/' "$work/a/oakgate.yaml"
  exits 0 og a reload
  [ ! -e "$work/a/state/kept-sas" ]
  stop a
  [ "$(kernel_state a)" = "$clean" ] || complain "$(diff <(echo "$clean") <(kernel_state a) | head -5)"
  eventually 10 state_is b gw-a/lan down
}

# After the cases whose daemon keeps: what it left goes.
after_case() {
  ip -n "$ns-gw-a" xfrm state flush
  rm -rf "$work/a/state"
  return 0
}

run stopped_and_started carries_on TERM
run killed_and_started carries_on KILL
run again_and_again again_and_again
run others_are_left_alone others_are_left_alone
run no_keys_are_remembered no_keys_are_remembered
run another_configuration another_configuration
run delete_in_the_end delete_in_the_end
finish
