#!/bin/bash
# Looking inside: captures with their keys, which tshark decrypts; decode, which needs no daemon and no rights; ping
# through a tunnel, which tells the direction that fails.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# tshark decrypts on the software plane only: it is left out of the virtual machine, being larger than all else there. `decode` reads
# the same keys beside the same captures on both.
# planes: software kernel
# time limit: 240 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b
captured=$work/capture.pcapng

both() {
  gateway_keys="  capture: ${1:-off}" config a b
  config b a
  start a b
}

# begin_capture ARGS...: in gw-a, until end_capture
begin_capture() {
  rm -rf "$captured" "$captured.keys" "$work/capture.log"
  background at_exec gw-a "$oakgate" --socket "$work/a/control.sock" capture gw-b -w "$captured" "$@" \
    >"$work/capture.out" 2>"$work/capture.log"
  echo $! >"$work/capture.pid"
  eventually 10 grep -q '^capturing' "$work/capture.log"
}
# end_capture [SIGNAL]: it ends well
end_capture() {
  [ -z "${1-}" ] || kill "-$1" "$(cat "$work/capture.pid")" ||
    complain "the capture has ended: $(cat "$work/capture.log" "$work/capture.out")"
  eventually 15 not running "$(cat "$work/capture.pid")" && grep -q '^  oakgate decode' "$work/capture.out" ||
    complain "the capture: $(cat "$work/capture.log" "$work/capture.out")"
}
# shark FILTER: how many packets tshark finds, with the keys that lie beside the capture
shark() {
  HOME=$work WIRESHARK_CONFIG_DIR=$captured.keys tshark -r "$captured" -Y "$1" 2>/dev/null | wc -l
}
# decoded JQ-FILTER: of what decode says of it, with the keys
decoded() {
  "$oakgate" decode "$captured" --keys "$captured.keys" --json | jq -e "$1" >/dev/null || complain "decode: not $1"
}

refused_by_default() {
  both off
  exits 1 at gw-a "$oakgate" --socket "$work/a/control.sock" capture gw-b -w "$captured"
  says 'captures are not allowed here'
  not test -e "$captured"
}

negotiation_and_traffic() {
  both keys
  begin_capture
  exits 0 og a up gw-b
  pings_both_ways a b
  end_capture INT
  eventually 5 logged a 'capture: begun by uid 0, pid [0-9]+, for at most 60 s, with keys'
  eventually 5 logged a 'capture: of uid 0, .* its client has ended it; 1 ISAKMP and 2 ESP keys were given'
  # no key is anywhere else
  grep -ho '[0-9a-f]\{32,\}' "$captured.keys/esp_sa" "$captured.keys/ikev1_decryption_table" >"$work/keys"
  [ "$(wc -l <"$work/keys")" -ge 5 ] && not grep -qFf "$work/keys" "$work/a/log" "$work/capture.log" "$work/capture.out"
}
decrypted_by_tshark() {
  [ "$(shark 'isakmp.exchangetype == 2 && isakmp.id.type')" = 2 ] || complain "messages 5 and 6 are not decrypted"
  [ "$(shark 'isakmp.exchangetype == 32 && isakmp.prop.protoid == 3')" = 2 ] || complain "Quick Mode is not decrypted"
  [ "$(shark 'esp.icv_good == 1 && icmp.type == 8')" = 6 ] || complain "$(shark 'esp.icv_good == 1 && icmp') echoes in ESP"
  [ "$(shark 'esp.icv_good == 1 && icmp.type == 0')" = 6 ] || complain "$(shark 'esp.icv_good == 1 && icmp') echoes in ESP"
  [ "$(shark 'esp.icv_bad == 1')" = 0 ]
}

# The same file, by ourselves, and by somebody without any rights; its keys are nobody else's.
decoded_by_ourselves() {
  decoded '[.packets[] | select(.kind == "ISAKMP" and .encrypted)] | length >= 5 and all(.decrypted)'
  decoded '[.packets[] | select(.kind == "ESP") | .inner] | length == 12 and all(test("ICMP echo re"))'
  decoded '.story.said | any(test("Phase 1 is complete")) and any(test("Quick Mode .*: complete, .*esp-aes-256"))'
  [ "$(stat -c %a "$captured" "$captured.keys" "$captured.keys"/* | sort -u | tr '\n' ' ')" = '600 700 ' ] ||
    complain "modes: $(stat -c '%a %n' "$captured" "$captured.keys" "$captured.keys"/*)"
  (umask 022 && cp "$captured" "$work/public.pcapng" && chmod 644 "$work/public.pcapng")
  exits 0 setpriv --reuid 65534 --regid 65534 --clear-groups "$oakgate" decode "$work/public.pcapng"
  says 'Main Mode'
  says 'encryption aes-256, hash sha256, group14, authentication pre-share, life 86400 seconds'
  says 'What happened:'
}

# What was there before the capture, its keys too: even Quick Mode under an ISAKMP SA whose phase 1 is not in it.
keys_of_what_is_there() {
  begin_capture
  pings a b
  exits 0 og b down gw-a
  exits 0 og a up gw-b
  end_capture INT
  decoded '[.packets[] | select(.kind == "ESP" and (.inner // "" | test("ICMP echo request")))] | length == 3'
  decoded '[.packets[] | select(.exchange == "Informational" and .decrypted) | .payloads[] | select(.payload == "D")] | length > 0'
}

before_by_tshark() {
  [ "$(shark 'esp.icv_good == 1 && icmp.type == 8')" = 3 ] || complain "the SAs from before are not decrypted"
}

ends_by_itself() {
  begin_capture --seconds 1
  end_capture
  grep -q 'its time is over' "$work/capture.out"
  begin_capture --packets 2 --no-keys
  pings a b
  eventually 10 not running "$(cat "$work/capture.pid")"
  grep -q ': 2 packets' "$work/capture.out"
  not test -e "$captured.keys"
  exits 1 at gw-a "$oakgate" --socket "$work/a/control.sock" capture gw-b -w "$captured"
  says 'File exists'
  exits 5 at gw-a "$oakgate" --socket "$work/a/control.sock" capture nobody -w "$captured.2"
  exits 2 og a capture gw-b -w "$captured.2" --seconds 3601
}

# What a reload allows no more ends.
reload_ends_it() {
  begin_capture
  sed -i 's/capture: keys/capture: packets/' "$work/a/oakgate.yaml"
  exits 0 og a reload
  eventually 15 not running "$(cat "$work/capture.pid")"
  grep -q 'does not allow it any more' "$work/capture.out"
}

# A tunnel that is down is brought up; the largest packet passes, and no larger one.
ping_finds_the_largest_packet() {
  local mtu
  both
  exits 0 at gw-a "$oakgate" --socket "$work/a/control.sock" ping gw-b/lan --count 3 --json --address "$(lan_host b)"
  jq -e '.brought_up and .source == "10.1.0.1" and .sent == 3 and .received == 3 and .packets_out == 3 and .packets_in == 3 and
    .rtt_ms.min > 0 and .path_mtu > 1280 and .path_mtu < 1500' "$work/output" >/dev/null || complain "$(cat "$work/output")"
  mtu=$(jq .path_mtu "$work/output")
  size=$((mtu - 28)) count=1 target=$(lan_host b) pings a b
  not at lan-a ping -nq -M "do" -c 1 -W 1 -s "$((mtu - 27))" "$(lan_host b)"
  exits 0 at gw-a "$oakgate" --socket "$work/a/control.sock" ping gw-b
  says '10\.1\.0\.1 -> 10\.2\.0\.1: 5 of 5 came back'
  says "largest packet that passes unfragmented: $mtu bytes"
  says 'carries both ways'
  exits 1 at gw-a "$oakgate" --socket "$work/a/control.sock" ping gw-b --address 10.9.0.1
  says "10\.9\.0\.1 is not on the peer's side"
  exits 5 at gw-a "$oakgate" --socket "$work/a/control.sock" ping gw-b/wan
}

ping_tells_the_direction() {
  exits 0 og a up gw-b
  drop_from b ip protocol esp
  exits 1 at gw-a "$oakgate" --socket "$work/a/control.sock" ping gw-b/lan --count 2
  drop_nothing
  says '0 of 2 came back'
  says 'we sent 2 in SPI 0x[0-9a-f]{8}, nothing came back'
  # a host that does not answer, nor anybody for it
  exits 1 at gw-a "$oakgate" --socket "$work/a/control.sock" ping gw-b/lan --count 1 --address 10.2.0.77
  says '0 of 1 came back'
}

ping_of_what_does_not_come_up() {
  config a b
  sets="other: [esp-aes-128, esp-sha-hmac]" esp='[other]' config b a
  start a b
  exits 1 at gw-a "$oakgate" --socket "$work/a/control.sock" ping gw-b
  says 'bringing it up'
  says 'NO-PROPOSAL-CHOSEN|no transform set'
}

ping_ipv6() {
  lan=6 config a b
  lan=6 config b a
  start a b
  exits 0 at gw-a "$oakgate" --socket "$work/a/control.sock" ping gw-b/lan --count 2
  says '2001:db8:a1::1 -> 2001:db8:b1::1: 2 of 2 came back'
}

run "no capture unless it is allowed" refused_by_default
keep_running=1
run "a capture of a negotiation and traffic, with keys" negotiation_and_traffic
[ "$PLANE" = kernel ] || run "tshark decrypts ISAKMP and ESP of a capture" decrypted_by_tshark
run "decode tells the same, without rights" decoded_by_ourselves
run "keys of SAs that were there before" keys_of_what_is_there
[ "$PLANE" = kernel ] || run "tshark decrypts with the keys of SAs that were there before" before_by_tshark
run "a capture ends by itself" ends_by_itself
run "a reload that allows it no more ends a capture" reload_ends_it
stop_all
run "ping finds the largest packet" ping_finds_the_largest_packet
unset keep_running
run "ping tells the direction that fails" ping_tells_the_direction
run "ping of a tunnel that does not come up" ping_of_what_does_not_come_up
run "ping over IPv6" ping_ipv6
finish
