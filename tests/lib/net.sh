# shellcheck shell=bash
# What the net, kernel and interop scripts share: network namespaces, oakgated in them, waiting, asserting.
#
#   lan-a 10.1.0.10 -- 10.1.0.1 gw-a 192.0.2.1 ====== .254 outside .254 ====== 198.51.100.2 gw-b 10.2.0.1 -- 10.2.0.10 lan-b
#                                                       .254 ‖
#                                              203.0.113.3 gw-c 10.3.0.1 -- 10.3.0.10 lan-c
#
# IPv6 likewise: gw-a 2001:db8:a::1, LAN 2001:db8:a1::/64 with ::1 and ::10. `outside` is a router that knows no LAN.
# Each LAN host also has an address in a second net: 10.1.1.10 of 10.1.1.0/24, and so on.
#
# A script calls `topology a b [c]`, then `run NAME FUNCTION` for each case. A case is a function that runs under
# `set -e`: the first command that fails ends it, and `not ok NAME: line: command` says which. Nothing sleeps: what must
# happen is awaited by `eventually SECONDS COMMAND...`.
#
# PLANE: software (default) or kernel. OAKGATE_BUILD: the build whose programs are tested.

set -uo pipefail
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C.UTF-8
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PLANE=${PLANE:-software}
OAKGATE_BUILD=${OAKGATE_BUILD:-$top/build}
oakgated=$OAKGATE_BUILD/daemon/oakgated
oakgate=$OAKGATE_BUILD/daemon/oakgate
ns=og$$
if [ -n "${OAKGATE_GUEST:-}" ]; then work=$(mktemp -d /run/oakgate-test.XXXXXX); else work=$(mktemp -d /tmp/oakgate-test.XXXXXX); fi
chmod 711 "$work"
: >"$work/pids"
: >"$work/namespaces"
failures=0
patience=2 pause=0.1
# A guest is slow, and one with a clock of its own waits for nothing: there, each try costs more than the wait.
[ -z "${OAKGATE_GUEST:-}" ] || patience=4 pause=0.5

# --- clean-up

cleanup() {
  local pid begun name
  trap - EXIT
  while read -r pid begun; do
    [ -n "$begun" ] && [ "$(began "$pid")" = "$begun" ] && kill -KILL "$pid" 2>/dev/null
  done <"$work/pids"
  while read -r name; do ip netns del "$name" 2>/dev/null; done <"$work/namespaces"
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 143' INT TERM

# began PID: when, in the kernel's ticks. A pid alone names nobody: it is given again, soon on a busy machine, and then
# the clean-up would kill what is another's.
began() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  read -ra stat <<<"${stat##*) }"
  echo "${stat[19]}"
}
# remember PID: for the clean-up
remember() { echo "$1 $(began "$1")" >>"$work/pids"; }

# background COMMAND...: runs it, remembers it; its pid in $!.
background() {
  "$@" &
  remember $!
}

# running PID: a zombie nobody has fetched yet does not, once its last thread is gone
running() {
  local stat threads
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
  threads=("/proc/$1/task/"*)
  stat=${stat##*) }
  [ "${stat:0:1}" != Z ] || [ ${#threads[@]} -gt 1 ]
}

# --- namespaces

declare -A number=([a]=1 [b]=2 [c]=3) net4=([a]=192.0.2 [b]=198.51.100 [c]=203.0.113)
outer() { if [ "${family:-4}" = 6 ]; then echo "2001:db8:$1::${number[$1]}"; else echo "${net4[$1]}.${number[$1]}"; fi; }
router() { if [ "${family:-4}" = 6 ]; then echo "2001:db8:$1::fe"; else echo "${net4[$1]}.254"; fi; }
lan_net() { if [ "${lan:-4}" = 6 ]; then echo "2001:db8:${1}1::/64"; else echo "10.${number[$1]}.0.0/24"; fi; }
lan_host() { if [ "${lan:-4}" = 6 ]; then echo "2001:db8:${1}1::10"; else echo "10.${number[$1]}.0.10"; fi; }
second_net() { echo "10.${number[$1]}.1.0/24"; }
second_host() { echo "10.${number[$1]}.1.10"; }

# at NAMESPACE COMMAND...: lan-a, gw-a, outside, ...
at() {
  local name=$1
  shift
  ip netns exec "$ns-$name" "$@"
}
# `at` for the background: exec keeps the pid that of the command.
at_exec() {
  local name=$1
  shift
  exec ip netns exec "$ns-$name" "$@"
}

namespace() {
  echo "$ns-$1" >>"$work/namespaces"
  ip netns add "$ns-$1" || return
  ip -n "$ns-$1" link set lo up
  at "$1" sh -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done
    echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv4/icmp_ratelimit'
}

# link NS1 DEV1 NS2 DEV2
link() {
  ip -n "$ns-$1" link add "$2" type veth peer name "$4" netns "$ns-$3" &&
    ip -n "$ns-$1" link set dev "$2" up && ip -n "$ns-$3" link set dev "$4" up
}

# address NS DEV ADDRESS...
address() {
  local name=$1 device=$2 one
  shift 2
  for one; do
    case $one in
      *:*) ip -n "$ns-$name" addr add "$one" dev "$device" nodad ;;
      *) ip -n "$ns-$name" addr add "$one" dev "$device" ;;
    esac
  done
}

# topology a b [c]: the namespaces of the picture.
topology() {
  local g n
  [ "$(id -u)" = 0 ] || { echo "not ok topology: needs root"; exit 1; }
  namespace outside || { echo "not ok topology: cannot make network namespaces"; exit 1; }
  for g; do
    n=${number[$g]}
    namespace "gw-$g" && namespace "lan-$g" && link "gw-$g" wan outside "to-$g" && link "gw-$g" lan "lan-$g" eth ||
      { echo "not ok topology: cannot make veth pairs"; exit 1; }
    address outside "to-$g" "${net4[$g]}.254/24" "2001:db8:$g::fe/64"
    address "gw-$g" wan "${net4[$g]}.$n/24" "2001:db8:$g::$n/64"
    address "gw-$g" lan "10.$n.0.1/24" "10.$n.1.1/24" "2001:db8:${g}1::1/64"
    address "lan-$g" eth "10.$n.0.10/24" "10.$n.1.10/24" "2001:db8:${g}1::10/64"
    ip -n "$ns-gw-$g" route add default via "${net4[$g]}.254"
    ip -n "$ns-gw-$g" route add default via "2001:db8:$g::fe"
    ip -n "$ns-lan-$g" route add default via "10.$n.0.1"
    ip -n "$ns-lan-$g" route add default via "2001:db8:${g}1::1"
    mkdir -p "$work/$g" && chmod 711 "$work/$g"
  done
}

# drop_datagrams PERCENT: in the router, both ways, at random
drop_datagrams() {
  at outside nft "add table ip lossy; add chain ip lossy forward { type filter hook forward priority 0; };
    add rule ip lossy forward numgen random mod 100 < $1 drop"
}

# unplug GATEWAY, plug GATEWAY: its line to the outside
unplug() { ip -n "$ns-outside" link set dev "to-$1" down; }
plug() { ip -n "$ns-outside" link set dev "to-$1" up; }

# masquerade GATEWAY [PORTS]: the router hides what goes to it behind its own address there, and other ports
masquerade() {
  at outside nft "add table ip hide; add chain ip hide post { type nat hook postrouting priority 100; };
    add rule ip hide post oifname to-$1 meta l4proto udp masquerade to :${2:-20000-30000}"
}
# masquerade_anew GATEWAY PORTS: what was translated so far is forgotten, as its line goes down and up again
masquerade_anew() {
  no_masquerade
  masquerade "$1" "$2"
  unplug "$1"
  plug "$1"
}
# hide_behind GATEWAY ADDRESS PORTS: masquerade_anew, behind another address of the router
hide_behind() {
  no_masquerade
  ip -n "$ns-outside" addr add "$2/24" dev "to-$1"
  at outside nft "add table ip hide; add chain ip hide post { type nat hook postrouting priority 100; };
    add rule ip hide post oifname to-$1 meta l4proto udp snat to $2:$3"
  unplug "$1"
  plug "$1"
}
no_masquerade() { at outside nft delete table ip hide 2>/dev/null || true; }

# drop_from GATEWAY NFT-MATCH...: the router drops what it sends and matches (@th,208,8: the exchange type of a message on
# port 500, @th,216,8: its flags); drop_nothing ends it
drop_from() {
  local source
  source=$(outer "$1")
  shift
  at outside nft "add table ip drops; add chain ip drops forward { type filter hook forward priority 0; };
    add rule ip drops forward ip saddr $source $* drop"
}
drop_nothing() { at outside nft delete table ip drops 2>/dev/null || true; }

# --- configuration

# own VARIABLE PEER [DEFAULT]: VARIABLE_PEER, or else VARIABLE, or else DEFAULT
own() {
  : "${peer_keys-}" "${proof-}" "${peer_address-}" "${psk-}" # read by name
  local -n of_peer=$1_$2 of_all=$1
  echo "${of_peer-${of_all-${3-}}}"
}

# config SELF PEER...: writes SELF's configuration with one peer and tunnel (`lan`) for each PEER, and the key files.
# Variables change it: ike, sets, esp (bodies of the YAML), tunnel (its other keys), extra_tunnels, peer_keys, gateway_keys,
# sections (whole lines), proof (the line in place of pre_shared_key), psk, family and lan (4 or 6), local_nets,
# remote_nets, peer_address. peer_keys_b and so on: of the peer gw-b only (peer_keys, peer_address, proof, psk).
config() {
  local self=$1 peer here there file=$work/$1/oakgate.yaml
  local policy="10: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share, lifetime: 24h}"
  shift
  {
    cat <<YAML
gateway:
  name: gw-$self
  data_plane: $PLANE
  control_socket: $work/$self/control.sock
  state_dir: $work/$self/state
${gateway_keys:-}
isakmp_policies:
  ${ike:-$policy}
transform_sets:
  ${sets:-strong: [esp-aes-256, esp-sha256-hmac]}
${sections:-}
peers:
YAML
    for peer; do
      here=${local_nets:-\"$(lan_net "$self")\"} there=${remote_nets:-\"$(lan_net "$peer")\"}
      cat <<YAML
  gw-$peer:
    address: "$(own peer_address "$peer" "$(outer "$peer")")"
    $(own proof "$peer" "pre_shared_key: {file: gw-$peer.psk}")
$(own peer_keys "$peer")
    tunnels:
      lan: {local: $here, remote: $there, transform_sets: ${esp:-[strong]}, ${tunnel:-start: responder}}
${extra_tunnels:-}
YAML
      (umask 077 && own psk "$peer" "a pre-shared key that is long enough" >"$work/$self/gw-$peer.psk")
    done
  } | sed '/^ *$/d' >"$file"
}

# --- oakgated and oakgate

og() {
  local self=$1
  shift
  timeout 150 "$oakgate" --socket "$work/$self/control.sock" "$@"
}
answers() { og "$1" status --json >/dev/null 2>&1; }
alive() { running "$(cat "$work/$1/pid")"; }
gone() { ! alive "$1"; }
answers_or_gone() { answers "$1" || gone "$1"; }

launch() {
  background at_exec "gw-$1" "$oakgated" --config "$work/$1/oakgate.yaml" --foreground >>"$work/$1/log" 2>&1
  echo $! >"$work/$1/pid"
}

# start GATEWAY...: oakgated in each, ready to answer
start() {
  local self
  for self; do launch "$self"; done
  for self; do
    eventually 20 answers_or_gone "$self" && alive "$self" || complain "oakgated of gw-$self did not start" || return
  done
}

# stop GATEWAY [SIGNAL]: waits for its end
stop() {
  kill "-${2:-TERM}" "$(cat "$work/$1/pid")" && eventually 15 gone "$1" && rm "$work/$1/pid"
}
stop_all() {
  local file
  for file in "$work"/*/pid; do
    [ -e "$file" ] || continue
    file=${file%/pid}
    alive "${file##*/}" && { stop "${file##*/}" || stop "${file##*/}" KILL; }
    rm -f "$file/pid"
  done
  return 0
}

# --- asserting

# run NAME FUNCTION [ARG...]: one case; oakgated, and what functions named after_case* end (a script has one, and each
# library one of its own), end with it unless keep_running is set
run() {
  local name=$1 status file after
  shift
  rm -f "$work/why" "$work/detail"
  for file in "$work"/*/log; do [ -e "$file" ] && : >"$file"; done
  (
    set -eE
    trap note_failure ERR
    "$@"
  )
  status=$?
  if [ $status = 0 ]; then
    echo "ok $name"
  else
    echo "not ok $name: $(cat "$work/why" 2>/dev/null || echo "exit status $status")$(sed 's/^/; /' "$work/detail" 2>/dev/null)"
    failures=$((failures + 1))
    show_logs
  fi
  if [ -z "${keep_running:-}" ]; then
    stop_all
    for after in $(compgen -A function after_case); do "$after"; done
  fi
  return 0
}

# The line of the case that failed, whatever helper it happened in.
note_failure() {
  local command=$BASH_COMMAND level
  for ((level = 1; level < ${#BASH_SOURCE[@]}; level++)); do
    [ "${BASH_SOURCE[level]}" = "$0" ] || continue
    echo "${0##*/}:${BASH_LINENO[level - 1]}: $(sed -n "${BASH_LINENO[level - 1]}s/^ *//p" "$0")" >"$work/why"
    return
  done
  echo "$command" >"$work/why"
}

complain() {
  echo "$*" >"$work/detail"
  return 1
}

show_logs() {
  local file
  for file in "$work"/*/log "$work"/*/charon.log "$work"/*/pluto.log; do
    [ -s "$file" ] && { echo "--- ${file#"$work/"}"; tail -25 "$file"; }
  done
  for file in "$work"/*/control.sock; do
    [ -S "$file" ] && { echo "--- status of ${file#"$work/"}"; timeout 5 "$oakgate" --socket "$file" status 2>&1; }
  done
}

finish() { exit $((failures > 0)); }

# eventually SECONDS COMMAND...: until it succeeds; a short wait between tries. Seconds of a machine with nothing else to do:
# a busy one, and a guest on it, get several times as many, which only what fails takes.
eventually() {
  local deadline=$((SECONDS + $1 * patience))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || { complain "not within the time: $*"; return 1; }
    read -rt $pause <> <(:) || true
  done
  rm -f "$work/detail"
}
not() { ! "$@"; }

# has GATEWAY JQ-FILTER [jq options]: of `status --json`
has() {
  local self=$1 filter=$2
  shift 2
  og "$self" status --json 2>/dev/null | jq -e "$@" "$filter" >/dev/null
}
# state GATEWAY PEER/TUNNEL STATE
state_is() {
  has "$1" '.peers[] | select(.name == $p) | .tunnels[] | select(.name == $t) | .state == $s' \
    --arg p "${2%/*}" --arg t "${2#*/}" --arg s "$3"
}
up() { state_is "$1" "$2" up; }
await_up() { eventually "${3:-15}" up "$1" "$2"; }
# error_of GATEWAY PEER: the code of its last error, the tunnels' included
error_of() {
  og "$1" status --json | jq -r --arg p "$2" '[.peers[] | select(.name == $p) | .last_error, .tunnels[].last_error | .code?
    // empty] | first // "none"'
}
# error_is GATEWAY PEER CODE: it is complete: a text, what was expected, how to mend it, a time
error_is() {
  has "$1" '[.peers[] | select(.name == $p) | .last_error, .tunnels[].last_error | select(. != null)]
    | any(.code == $c and (.text | contains($p)) and (.expected | length > 0) and (.remedy | length > 0) and (.at | tostring | length > 0))' \
    --arg p "$2" --arg c "$3" || complain "last error of $2 at gw-$1 is $(error_of "$1" "$2"), not $3, or it is incomplete"
}
spis() { og "$1" status --json | jq -c '[.peers[].tunnels[].sas[] | select(.role == "current") | .in[].spi, .out[].spi] | sort'; }
logged() { grep -Eq -- "$2" "$work/$1/log"; }

# exits STATUS COMMAND...: with exactly that status; its output in $work/output
exits() {
  local expected=$1 status=0
  shift
  "$@" >"$work/output" 2>&1 || status=$?
  [ $status = "$expected" ] || complain "exit status $status, not $expected: $* ($(tail -2 "$work/output" | tr '\n' ' '))"
}
says() { grep -Eq -- "$1" "$work/output" || complain "no «$1» in: $(tr '\n' ' ' <"$work/output")"; }

# reads_as_ios GATEWAY: what `show crypto` prints is read whole by regular expressions, and says what status does
reads_as_ios() {
  og "$1" status --json >"$work/$1/status.json" && og "$1" show crypto ipsec sa >"$work/$1/ipsec.txt" &&
    og "$1" show crypto isakmp sa >"$work/$1/isakmp.txt" || return
  "$top/tests/lib/ios_parse.py" "$work/$1/status.json" "$work/$1/ipsec.txt" "$work/$1/isakmp.txt" >"$work/output" 2>&1 ||
    complain "$(tail -1 "$work/output")"
}

# --- traffic

# pings FROM TO: between LAN hosts (a b), every one answered
pings() {
  local out
  out=$(at "lan-$1" ping -nq -M dont -c "${count:-3}" -i "${interval:-0.2}" -W 10 -s "${size:-56}" "${target:-$(lan_host "$2")}" 2>&1) &&
    [[ $out == *" 0% packet loss"* ]] || complain "ping lan-$1 to lan-$2: $(tr '\n' ' ' <<<"$out")"
}
pings_both_ways() { pings "$1" "$2" && pings "$2" "$1"; }
# one_ping FROM TO: a single echo request, whatever becomes of it
one_ping() { at "lan-$1" ping -nq -c 1 -W 1 "${target:-$(lan_host "$2")}" >/dev/null 2>&1; }

# without_loss COMMAND...: lan-a goes on pinging lan-b while COMMAND happens and a moment longer; none may be lost. What is
# under way when the pings end is not.
without_loss() {
  local status=0 out=$work/traffic pid lost
  background at_exec lan-a ping -n -i "${interval:-0.1}" -W 2 "$(lan_host b)" >"$out" 2>&1
  pid=$!
  eventually 10 answers_beyond 0 || return
  "$@" || status=$?
  eventually 10 answers_beyond "$(($(grep -c 'bytes from' "$out") + 5))" || status=1
  kill -INT "$pid" && eventually 5 not running "$pid" || return
  [ "$status" = 0 ] || return
  lost=$(sed -n 's/.*bytes from.*icmp_seq=\([0-9]*\) .*/\1/p' "$out" | sort -nu | awk '{ while (++n < $1) print n }')
  [ -z "$lost" ] || complain "not answered: pings $(tr '\n' ' ' <<<"$lost")of $(wc -l <"$out")"
}
answers_beyond() { [ "$(grep -c 'bytes from' "$out")" -gt "$1" ]; }

# bulk FROM TO MEGABYTES: one TCP stream; what arrives is what was sent
bulk() {
  local sum port_file=$work/bulk.port sum_file=$work/bulk.sum
  rm -f "$port_file" "$sum_file"
  background at_exec "lan-$2" python3 "$top/tests/lib/bulk.py" serve "$(lan_host "$2")" "$port_file" >"$sum_file" 2>&1
  eventually 10 test -s "$port_file" || return
  sum=$(at "lan-$1" timeout "${limit:-60}" python3 "$top/tests/lib/bulk.py" send "$(lan_host "$2")" "$(cat "$port_file")" "$3" 2>&1) ||
    complain "sending failed: $sum" || return
  eventually 10 test -s "$sum_file" && [ "$sum" = "$(cat "$sum_file")" ] || complain "sent $sum, received $(cat "$sum_file")"
}

# capture NAME NAMESPACE DEV [FILTER]: until captured NAME; count NAME FILTER: how many packets match
capture() {
  local name=$1 where=$2 device=$3
  shift 3
  rm -f "$work/$name.pcap" "$work/$name.tcpdump"
  background at_exec "$where" tcpdump -Z root -n -U --immediate-mode -i "$device" -w "$work/$name.pcap" "$@" 2>"$work/$name.tcpdump" >/dev/null
  echo $! >"$work/$name.capture"
  eventually 10 grep -q 'listening on' "$work/$name.tcpdump"
}
captured() {
  local pid
  pid=$(cat "$work/$1.capture")
  kill -INT "$pid"
  eventually 10 not running "$pid"
}
count() { tcpdump -nr "$work/$1.pcap" "$2" 2>/dev/null | wc -l; }
inner_nets='(net 10.0.0.0/8 or net 2001:db8:a1::/64 or net 2001:db8:b1::/64 or net 2001:db8:c1::/64)'
esp_packets='(ip proto 50 or ip6 proto 50 or (udp port 4500 and not udp[8:4] = 0) or (ip6 proto 17 and ip6[40:2] = 4500))'
# only_protected NAME [packets]: ESP crossed, and no inner address and nothing but ESP, IKE, ARP, ND and ICMP errors
only_protected() {
  local inner other protected
  local strange="not arp and not icmp6 and not ip6[6] = 0 and not (icmp[0] = 3) and not proto 50 and not udp port 500 and not udp port 4500"
  inner=$(count "$1" "$inner_nets and not arp")
  other=$(count "$1" "$strange")
  protected=$(count "$1" "$esp_packets")
  [ "$inner" = 0 ] && [ "$other" = 0 ] && [ "$protected" -ge "${2:-1}" ] ||
    complain "capture $1: $inner packets with inner addresses, $other unexpected, $protected of ESP; $(tcpdump -nr "$work/$1.pcap" \
      "($strange) or ($inner_nets and not arp)" 2>/dev/null | head -3 | tr '\n' ';')"
}
no_plaintext() {
  local inner
  inner=$(count "$1" "$inner_nets and not arp")
  [ "$inner" = 0 ] || complain "capture $1: $inner packets with inner addresses: $(tcpdump -nr "$work/$1.pcap" "$inner_nets" 2>/dev/null | head -2)"
}

# kernel_state GATEWAY: what a daemon may put into its kernel, for comparing before and after
kernel_state() {
  local name=$ns-gw-$1
  ip -n "$name" -o link show | sed 's/@.*//; s/^[0-9]*: //; s/:.*//' | sort
  ip -n "$name" -4 route show table all | sort
  ip -n "$name" -6 route show table all | sed 's/ expires [0-9a-z]*//; /^multicast/d; /^ff00/d' | sort
  ip -n "$name" -4 rule show
  ip -n "$name" -6 rule show
  ip -n "$name" xfrm state list 2>/dev/null || true
  ip -n "$name" xfrm policy list 2>/dev/null || true
  at "gw-$1" nft list ruleset 2>/dev/null || true
}
