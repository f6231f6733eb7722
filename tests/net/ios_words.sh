#!/bin/bash
# The IOS words that change something or stream: `clear crypto` in each form, with a look at what stayed; `debug crypto` while
# a tunnel comes up and while one fails, to several readers, to a slow one, in the shell; and the `show` commands beside them.
# What is printed is read by regular expressions (tests/lib/ios_words.py).
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#                       ‖
#                      gw-c -- lan-c
#
# planes: software
# planes when long: kernel
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b c
secret="a pre-shared key that is long enough"

# gw-b has two tunnels with gw-a, lan and dmz; gw-c takes no policy that gw-a offers.
gateways() {
  openssl genrsa -traditional 2048 2>/dev/null | openssl rsa -pubout -out "$work/a/wan2516.pem" 2>/dev/null
  sections="public_keys: {wan2516.cisco.com: {file: wan2516.pem}}" tunnel="start: on-traffic" config a b c
  config b a
  ike="10: {encryption: aes-128, hash: sha256, group: 14, authentication: pre-share}" config c a
  sed -i "0,/^      lan:/s|^      lan:|      dmz: {local: $(second_net a), remote: $(second_net b), transform_sets: [strong]}\n&|" "$work/a/oakgate.yaml"
  sed -i "s|^      lan:|      dmz: {local: $(second_net b), remote: $(second_net a), transform_sets: [strong]}\n&|" "$work/b/oakgate.yaml"
  start a b c
}
# read_as KIND: what the last command printed; its fields in $work/fields
read_as() { "$top/tests/lib/ios_words.py" "$1" <"$work/output" >"$work/fields" 2>"$work/detail" || return; rm -f "$work/detail"; }
# field JQ-FILTER: holds for the fields together
field() { jq -es "$1" "$work/fields" >/dev/null || complain "not $1: $(tr '\n' ' ' <"$work/fields")"; }

# debug NAME GATEWAY WORD...: a reader in the background; its lines in $work/NAME, its pid in $debug
debug() {
  local name=$1 self=$2
  shift 2
  background at_exec "gw-$self" env --default-signal=INT "$oakgate" --socket "$work/$self/control.sock" debug crypto "$@" >"$work/$name" 2>&1
  debug=$!
  eventually 10 grep -q 'debugging is on' "$work/$name"
}
# ends PID: Ctrl-C ends it, which is no failure
ends() {
  local status=0
  kill -INT "$1"
  wait "$1" || status=$?
  [ "$status" = 0 ] || complain "debug ended with $status"
}
# debugged NAME JQ-FILTER: its lines are as IOS prints them, and the filter holds for them together
debugged() { cp "$work/$1" "$work/output" && read_as debug && field "$2"; }
sas_of() { og "$1" status --json | jq -c "[.peers[].tunnels[] | select(.name == \"$2\") | .sas[] | .in[].spi, .out[].spi] | sort"; }
none_of() { [ "$(sas_of "$1" "$2")" = "[]" ]; }
isakmp_sas() { og "$1" show crypto isakmp sa --json | jq '.isakmp_sas | length'; }
all_up() {
  exits 0 og a up gw-b
  eventually 10 up b gw-a/lan
  eventually 10 up b gw-a/dmz
}

# Several callers, each with what it asked for; nothing of it in the log, no secret anywhere.
debug_of_success() {
  gateways
  debug isakmp a isakmp
  local isakmp=$debug
  debug ipsec a ipsec peer gw-b
  local ipsec=$debug
  debug other a isakmp peer "$(outer c)"
  local other=$debug
  debug engine a engine
  local engine=$debug
  exits 0 og a sh deb
  read_as debugging
  field 'length == 4 and ([.[] | select(.FACILITY == "ISAKMP")] | length == 2) and any(.PEER == "gw-b")'
  all_up
  eventually 10 debugged isakmp 'any(.ISAKMP // "" | contains("SA is up (QM_IDLE)")) and all(.IPSEC == null)'
  debugged isakmp 'all(.PEER // "gw-b" == "gw-b") and any(.CONN_ID // "0" | tonumber > 1000)'
  eventually 10 debugged ipsec '[.[] | select(.IPSEC // "" | contains("SAs are up"))] | length == 2 and all(.PEER == "gw-b")'
  debugged engine 'any(.IPSEC // "" | contains("SAs are up"))'
  debugged other 'length == 1'
  ends "$isakmp"
  ends "$ipsec"
  ends "$other"
  ends "$engine"
  eventually 5 says_nothing a show debugging
  not grep -q "$secret" "$work/isakmp" "$work/ipsec" "$work/engine"
  not logged a 'debugging is on'
  exits 5 og a debug crypto isakmp peer nobody
  exits 2 og a debug crypto everything
}
says_nothing() {
  local self=$1
  shift
  [ -z "$(og "$self" "$@")" ]
}

# Whose policies differ: attribute by attribute, as it happens.
debug_of_failure() {
  debug failing c isakmp
  local failing=$debug
  og a up gw-c >/dev/null 2>&1 &
  eventually 10 debugged failing 'any(.ATTRIBUTE == "encryption" and (.THEIRS | startswith("aes-256")) and (.OURS | startswith("aes-128")))'
  debugged failing 'any(.ISAKMP // "" | contains("atts are not acceptable"))'
  not grep -q "$secret" "$work/failing"
  exits 0 og a down gw-c
  # Its end is the daemon's.
  stop c
  eventually 5 not running "$failing"
  grep -q 'has closed the connection' "$work/failing"
}

# A reader that does not read holds up nobody, and gets the rest when it reads again.
slow_reader() {
  debug slow a ipsec
  local slow=$debug
  kill -STOP "$slow"
  for _ in 1 2 3; do
    exits 0 og a clear crypto sa
    all_up
  done
  [ "$(grep -c 'SAs are up' "$work/slow")" = 0 ]
  kill -CONT "$slow"
  eventually 10 debugged slow '[.[] | select(.IPSEC // "" | contains("SAs are up"))] | length == 6'
  ends "$slow"
}

clears() {
  local lan_sas dmz_sas spi conn
  lan_sas=$(sas_of a lan) dmz_sas=$(sas_of a dmz)
  exits 0 og a clear crypto sa map gw-b/dmz
  none_of a dmz
  eventually 5 none_of b dmz
  [ "$(sas_of a lan)" = "$lan_sas" ]
  all_up
  [ "$(sas_of a dmz)" != "$dmz_sas" ]
  # One SA and its counterpart, by what `show crypto ipsec sa` says of it.
  dmz_sas=$(sas_of a dmz)
  spi=$(og a status --json | jq -r '.peers[0].tunnels[] | select(.name == "lan") | .sas[0].in[0].spi')
  exits 0 og a --json clear crypto sa entry "$(outer a)" esp "$spi"
  jq -e --arg s "$spi" '.cleared | length == 1 and .[0].tunnel == "lan" and .[0].in[0].spi == $s' "$work/output" >/dev/null
  none_of a lan
  eventually 5 none_of b lan
  [ "$(sas_of a dmz)" = "$dmz_sas" ]
  exits 5 og a clear crypto sa entry "$(outer a)" esp "$spi"
  # By the number that the `show` commands give it.
  conn=$(og a show crypto ipsec sa | grep -A 4 'spi:' | sed -n 's/.*conn id: \([0-9]*\),.*gw-b\/dmz/\1/p' | head -n 1)
  exits 0 og a clear crypto connection "$conn"
  none_of a dmz
  exits 5 og a clear crypto connection "$conn"
  [ "$(isakmp_sas a)" = 1 ]
  # By peer, by its name and its address; of another peer nothing goes.
  all_up
  exits 5 og a clear crypto sa peer 192.0.2.77
  exits 0 og a clear crypto sa peer "$(outer c)"
  up a gw-b/lan
  exits 0 og a clear crypto sa peer "$(outer b)"
  none_of a lan
  none_of a dmz
  # Traffic brings it up again.
  eventually 10 one_ping a b
  eventually 5 up a gw-b/lan
  none_of a dmz
  exits 0 og a cl cr ips sa
  none_of a lan
  eventually 5 none_of b lan
}

# The tunnels carry on without phase 1, at both ends.
clears_isakmp() {
  all_up
  local lan_sas conn
  lan_sas=$(sas_of a lan)
  conn=$(og a show crypto isakmp sa --json | jq '.isakmp_sas[0].conn_id')
  exits 5 og a clear crypto isakmp $((conn + 5000))
  [ "$(isakmp_sas a)" = 1 ]
  exits 0 og a clear crypto isakmp "$conn"
  [ "$(isakmp_sas a)" = 0 ]
  eventually 5 no_isakmp b
  [ "$(sas_of a lan)" = "$lan_sas" ]
  pings_both_ways a b
  exits 0 og a clear crypto sa
  all_up
  [ "$(isakmp_sas a)" = 1 ]
  exits 0 og a clear crypto isakmp sa
  [ "$(isakmp_sas a)" = 0 ]
}
no_isakmp() { [ "$(isakmp_sas "$1")" = 0 ]; }

# connections PACKETS: so many each way, those of the tunnel that is quiet apart
connections() {
  exits 0 og a sh cr en conn ac && read_as connections &&
    field "length == 4 and (map(.ENCRYPT | tonumber) | add) == $1 and (map(.DECRYPT | tonumber) | add) == $1"
}
# The counters of the `show` commands begin anew, those of status and of the SA's life do not.
counters() {
  exits 0 og a clear crypto sa
  all_up
  count=4 pings a b
  eventually 5 connections 4
  exits 0 og a clear crypto sa counters
  connections 0
  exits 0 og a show crypto ipsec sa
  says '#pkts encaps: 0'
  has a '[.peers[].tunnels[].sas[].packets_out] | add == 4'
  count=2 pings a b
  eventually 5 connections 2
}

# beside the daemon, where its network devices are
on_gw_a() { at gw-a "$oakgate" --socket "$work/a/control.sock" "$@"; }
shows() {
  exits 0 og a show crypto ipsec session-key
  says '^Session key lifetime: 4608000 kilobytes/3600 seconds$'
  exits 0 og a show crypto ipsec transform-proposal
  read_as proposals
  field 'any(.NAME == "strong" and (.TRANSFORMS | contains("esp-256-aes esp-sha256-hmac")))'
  exits 0 on_gw_a show crypto map interface wan
  read_as maps
  field '[.[] | .TAG // empty] == ["gw-b/dmz", "gw-b/lan", "gw-c/lan"]'
  exits 0 og a show crypto map tag gw-b/dmz
  read_as maps
  field '[.[] | .TAG // empty] == ["gw-b/dmz"] and any(.PERMIT == "ip 10.1.1.0 0.0.0.255 10.2.1.0 0.0.0.255")'
  exits 0 on_gw_a show crypto map interface lo
  [ ! -s "$work/output" ]
  exits 5 on_gw_a show crypto map interface nowhere
  exits 0 og a show crypto dynamic-map
  [ ! -s "$work/output" ]
  exits 0 og a show clock
  says '^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} UTC [A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{1,2} [0-9]{4}$'
  exits 0 og a show crypto key pubkey-chain rsa --config "$work/a/oakgate.yaml"
  read_as keys
  field 'any(.NAME == "wan2516.cisco.com") and any(.SOURCE == "manually entered")'
  [ "$(jq -rs '[.[].DATA // empty] | join("") | gsub(" "; "")' "$work/fields")" = \
    "$(openssl rsa -pubin -in "$work/a/wan2516.pem" -outform DER 2>/dev/null | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F)" ]
  exits 0 og a show crypto key pubkey-chain rsa name wan2516.cisco.com --config "$work/a/oakgate.yaml"
  exits 5 og a show crypto key pubkey-chain rsa name wan --config "$work/a/oakgate.yaml"
  exits 5 og a show crypto key pubkey-chain rsa address "$(outer b)" --config "$work/a/oakgate.yaml"
}

# As on a router's console: the prompt comes back, and the lines between what is typed.
in_the_shell() {
  printf '%s\n' 'deb cr ips' 'deb cr isa peer gw-b' 'show debugging' 'clear crypto sa' 'up gw-b' 'no deb cr ips' 'show debugging' \
    'undebug all' 'show debugging' 'undebug nothing' 'exit' |
    "$top/tests/lib/typed.py" 'gw-a# ' "$oakgate" --socket "$work/a/control.sock" shell | tr -d '\r' >"$work/output"
  says '^Cryptographic Subsystem:'
  says 'Crypto IPSEC debugging is on'
  says 'Crypto ISAKMP debugging is on, peer gw-b'
  says '^.*IPSEC\(delete_sa\): deleting SA'
  says 'Crypto IPSEC debugging is off'
  says 'All possible debugging has been turned off'
  says 'that is nothing to turn off'
  eventually 5 says_nothing a show debugging
  # Who only looks may debug, and may not clear.
  printf '%s\n' 'deb cr eng' '\x03' 'clear crypto sa' 'exit' |
    "$top/tests/lib/typed.py" 'gw-a> ' "$oakgate" --socket "$work/a/control.sock" shell --look | tr -d '\r' >"$work/output"
  says 'Crypto Engine debugging is on'
  says 'All possible debugging has been turned off'
  says 'not for this shell'
  up a gw-b/lan
  eventually 5 says_nothing a show debugging
}

keep_running=1
run "debug while tunnels come up" debug_of_success
run "debug while one fails" debug_of_failure
run "a slow reader" slow_reader
run "clear crypto sa" clears
run "clear crypto isakmp" clears_isakmp
run "clear crypto sa counters" counters
run "the show commands" shows
run "debug in the shell" in_the_shell
stop_all
finish
