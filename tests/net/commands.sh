#!/bin/bash
# What oakgate shows: status as people and as programs read it, the IOS words, the events, the log.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

tunnel_up() {
  config a b
  config b a
  start a b
  exits 0 og a up gw-b
}

# The stable interface: every documented key, with its type.
status_json() {
  tunnel_up
  pings a b
  eventually 5 has a '.peers[0].tunnels[0].sas[0].packets_out == 3'
  og a status --json >"$work/output"
  jq -e '
    .version == 1 and .gateway == "gw-a" and (.data_plane | IN("software", "kernel")) and (.peers | length == 1) and
    (.peers[0] | .name == "gw-b" and .address == $b and .state == "established" and .last_error == null and
      (.isakmp_sa | type == "object") and
      (.tunnels[0] | .name == "lan" and .state == "up" and .last_error == null and (.sas | length == 1) and
        (.sas[0] | .local == "10.1.0.0/24" and .remote == "10.2.0.0/24" and .role == "current" and
          ([.in[], .out[]] | length == 2 and all(.protocol == "esp" and (.spi | tostring | length > 0))) and
          .algorithms == "esp-aes-256 esp-sha256-hmac" and .packets_in == 3 and .packets_out == 3 and
          .bytes_in == 252 and .bytes_out == 252 and .expires_in_s > 3500 and .expires_in_s <= 3600)))' \
    --arg b "$(outer b)" "$work/output" >/dev/null || complain "status --json: $(jq -c . "$work/output")"
}

status_before_and_after() {
  config a b
  config b a
  start a b
  has a '.peers[0] | .state == "down" and .isakmp_sa == null and .last_error == null and .tunnels[0].state == "down" and
    .tunnels[0].sas == []'
  exits 0 og a up gw-b
  exits 0 og a down gw-b
  has a '.peers[0].tunnels[0] | .state == "down" and .sas == []'
}

status_screen() {
  tunnel_up
  exits 0 og a status
  says 'gw-b'
  says 'lan'
  says 'esp-aes-256'
  says '10\.1\.0\.0/24.*10\.2\.0\.0/24'
  # one screen: nothing is wider than a terminal
  [ "$(wc -L <"$work/output")" -le 120 ] || complain "a line of $(wc -L <"$work/output") characters"
}

# Screen after screen: from the second on with rates, which traffic moves; Ctrl-C ends it.
screens() { [ "$(grep -c '^gw-a: 1 of 1 tunnel up' "$work/screens")" -ge "$1" ]; }
status_watch() {
  tunnel_up
  # a job of the background ignores Ctrl-C unless it is told otherwise
  background at_exec gw-a env --default-signal=INT "$oakgate" --socket "$work/a/control.sock" status --watch 1 gw-b >"$work/screens"
  local watching=$!
  eventually 5 screens 1
  count=20 interval=0.1 pings a b
  eventually 5 grep -Eq '    now in [1-9][0-9.]* k?B/s, out [1-9][0-9.]* k?B/s' "$work/screens"
  [ "$(wc -L <"$work/screens")" -le 80 ] || complain "a line of $(wc -L <"$work/screens") characters"
  grep -q '^$' "$work/screens"
  kill -INT "$watching"
  eventually 5 not running "$watching"
  exits 2 og a up gw-b --watch
}

# What bash offers at each TAB, by the script that is installed: verbs of this very program, names of the running daemon.
completion_in_bash() {
  tunnel_up
  # shellcheck disable=SC2016  # for the bash that is asked
  exits 0 env OAKGATE_SOCKET="$work/a/control.sock" PATH="$(dirname "$oakgate"):$PATH" bash -euc '
    . "$1"/scripts/completion/oakgate
    ask() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _oakgate; echo "$* -> ${COMPREPLY[*]}"; }
    complete -p oakgate
    ask oakgate sta
    ask oakgate up ""
    ask oakgate sh cr ips ""
    ask oakgate export cisco gw-b --dialect = p
    ask oakgate check "$1/READ"
    ask "$(command -v oakgate)" explain g' bash "$top"
  says '^complete -F _oakgate oakgate$'
  says '^oakgate sta -> status$'
  says '^oakgate up  -> gw-b gw-b/lan$'
  says '^oakgate sh cr ips  -> .*sa security-association session-key transform-proposal transform-set'
  says '^oakgate export cisco gw-b --dialect = p -> pix$'
  says "^oakgate check $top/READ -> $top/README.md\$"
  says 'explain g -> gw-b$'
}

# Completion of words and names, help, a line given up, the level that only looks.
shell_on_a_terminal() {
  tunnel_up
  printf '%s\n' 'sho\tcr\tisa\tsa' 'sh cr isa ?\x03' 'sta\tgw\t' 'no such verb' 'exit' |
    "$top/tests/lib/typed.py" 'gw-a# ' "$oakgate" --socket "$work/a/control.sock" shell >"$work/output"
  says 'QM_IDLE'
  says 'the ISAKMP policies that are configured'
  says '\^C'
  says 'esp-aes-256'
  says 'no such verb|not expected'
  printf '%s\n' 'down gw-b' 'exit' |
    "$top/tests/lib/typed.py" 'gw-a> ' "$oakgate" --socket "$work/a/control.sock" shell --look >"$work/output"
  says 'not for this shell'
  state_is a gw-b/lan up
}

show_crypto() {
  tunnel_up
  pings a b
  exits 0 og a show crypto isakmp sa
  says 'dst +src +state'
  says 'QM_IDLE'
  says "$(outer b)"
  eventually 5 has a '.peers[0].tunnels[0].sas[0].packets_out == 3'
  exits 0 og a show crypto ipsec sa
  says 'local +ident .*10\.1\.0\.0/255\.255\.255\.0'
  says 'remote ident .*10\.2\.0\.0/255\.255\.255\.0'
  says '#pkts encaps: 3'
  says '#pkts decaps: 3'
  says 'inbound esp sas'
  says 'outbound esp sas'
  eventually 5 reads_as_ios a
  says '^1 blocks, 2 SAs, 1 ISAKMP SAs, [0-9]+ values equal'
  eventually 5 reads_as_ios b
  exits 0 og a sh cr isa pol
  says 'AES - Advanced Encryption Standard \(256 bit keys\)'
  says 'Diffie-Hellman group: +#14'
  exits 0 og a sh cr ips tr
  says 'Transform set strong: \{ esp-256-aes esp-sha256-hmac \}'
  exits 0 og a sh cr map gw-b
  says 'access-list gw-b/lan permit ip 10.1.0.0 0.0.0.255 10.2.0.0 0.0.0.255'
  exits 5 og a sh cr map nobody
  exits 0 og a show crypto engine configuration
  says 'crypto engine state:  installed'
  exits 0 og a --json show crypto engine configuration
  jq -e '.engines | length > 0 and all(.name != "" and .why != "")' "$work/output" >/dev/null
  jq -e '.engines[-1] | .algorithms == "Diffie-Hellman of MODP groups" and .type == "IKE"' "$work/output" >/dev/null
  exits 0 og a show crypto engine connections dropped-packet
  says 'Interface +IP-Address +Drop Count'
  exits 0 og a --json show crypto engine connections dropped-packet
  jq -e '.reasons | length > 0 and all(.packets >= 0 and .text != "")' "$work/output" >/dev/null
  exits 0 og a --json show crypto isakmp sa
  jq -e . "$work/output" >/dev/null
}

# What happened before monitor listened it did not see: once more then.
up_and_seen() {
  og a up gw-b >/dev/null && grep -q phase1-established "$work/events" && return
  og a down gw-b >/dev/null
  return 1
}

# Each line of monitor is one event, and the establishment of both phases is among them.
monitor() {
  config a b
  config b a
  start a b
  background og a monitor --json >"$work/events"
  eventually 10 up_and_seen
  eventually 5 grep -q phase2-established "$work/events"
  jq -e '.peer == "gw-b"' <(grep phase2-established "$work/events") >/dev/null
  exits 0 og a down gw-b
  eventually 5 grep -q phase2-deleted "$work/events"
  jq -es 'length >= 3' "$work/events" >/dev/null
}

# The log names the peer and keeps the words operators search for; no secret is in it.
log_lines() {
  tunnel_up
  logged a 'gw-b.*SA has been authenticated'
  logged b 'gw-a.*atts are acceptable'
  logged b 'gw-a.*SA has been authenticated'
  not logged a 'a pre-shared key that is long enough'
  not logged b 'a pre-shared key that is long enough'
  [ "$(wc -l <"$work/a/log")" -le 40 ] || complain "$(wc -l <"$work/a/log") lines for one tunnel"
}

socket_is_private() {
  tunnel_up
  [ "$(stat -c %a "$work/a/control.sock")" = 600 ] || [ "$(stat -c %a "$work/a/control.sock")" = 660 ]
  exits 3 setpriv --reuid=nobody --regid=nogroup --clear-groups "$oakgate" --socket "$work/a/control.sock" status
}

# Whatever comes in on the control socket, the daemon goes on.
control_garbage() {
  tunnel_up
  python3 - "$work/a/control.sock" <<'PY'
import os, socket, sys
inputs = [b"\n", b"{", b"{}\n", b"[]\n", b"null\n", b'{"id":1,"verb":[]}\n', b'{"version":99,"id":1,"verb":"status"}\n',
          b'{"id":1,"verb":"up","peer":' + b"[" * 5000 + b"\n", b"\xff" * 1000 + b"\n", b"x" * (8 << 20), os.urandom(4096)]
for data in inputs:
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(sys.argv[1])
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096): pass
        except (BrokenPipeError, ConnectionResetError):
            pass
PY
  alive a
  up a gw-b/lan
  pings_both_ways a b
}

# scrape GATEWAY: gw-a's metrics by its Unix socket, gw-b's by a loopback port
scrape() {
  if [ "$1" = a ]; then curl -sS --fail --max-time 10 --unix-socket "$work/a/metrics.sock" http://localhost/metrics
  else at "gw-$1" curl -sS --fail --max-time 10 http://127.0.0.1:9814/metrics; fi
}
# metric GATEWAY SERIES VALUE
metric() {
  scrape "$1" >"$work/metrics" || return
  grep -qxF -- "$2 $3" "$work/metrics" || complain "gw-$1: not $3: $(grep -F -- "$2" "$work/metrics" | tail -n 1)"
}
metrics() {
  local a='{peer="gw-b",tunnel="lan"}' b='{peer="gw-a",tunnel="lan"}'
  gateway_keys="  metrics: unix:$work/a/metrics.sock" config a b
  gateway_keys="  metrics: 127.0.0.1:9814" config b a
  start a b
  metric a "oakgate_tunnel_up$a" 0
  metric a "oakgate_tunnel_sent_packets_total$a" 0
  exits 0 og a up gw-b
  metric a "oakgate_tunnel_up$a" 1
  metric b "oakgate_peer_up{peer=\"gw-a\"}" 1
  count=10 pings a b
  eventually 5 metric a "oakgate_tunnel_sent_packets_total$a" 10
  metric a "oakgate_tunnel_sent_bytes_total$a" 840
  eventually 5 metric b "oakgate_tunnel_received_bytes_total$b" 840
  # New SAs: the counters go on.
  exits 0 og a down gw-b
  metric a "oakgate_tunnel_up$a" 0
  metric a "oakgate_tunnel_sent_packets_total$a" 10
  exits 0 og a up gw-b
  count=5 pings a b
  eventually 5 metric a "oakgate_tunnel_sent_packets_total$a" 15
  eventually 5 metric b "oakgate_tunnel_received_packets_total$b" 15
  metric a 'oakgate_tunnel_negotiations_total{peer="gw-b",tunnel="lan",outcome="established"}' 2
  # A reload that fails says so, and so does the next one.
  sed -i 's/^peers:/pears:/' "$work/a/oakgate.yaml"
  exits 4 og a reload
  metric a oakgate_reload_success 0
  sed -i 's/^pears:/peers:/' "$work/a/oakgate.yaml"
  exits 0 og a reload
  metric a oakgate_reload_success 1
  metric a "oakgate_tunnel_sent_packets_total$a" 15
  scrape a | tail -n 1 | grep -qx '# EOF'
  [ "$(stat -c %a "$work/a/metrics.sock")" = 660 ]
  exits 22 curl -sS --fail --max-time 10 --unix-socket "$work/a/metrics.sock" http://localhost/
  exits 22 curl -sS --fail --max-time 10 --unix-socket "$work/a/metrics.sock" -X DELETE http://localhost/metrics
  # Off again by a reload.
  sed -i '/metrics:/d' "$work/a/oakgate.yaml"
  exits 0 og a reload
  [ ! -e "$work/a/metrics.sock" ]
  pings_both_ways a b
}

run "status --json" status_json
run "metrics" metrics
run "status --json, down before and after" status_before_and_after
run "the status screen" status_screen
run "the status screen, watched" status_watch
run "show crypto" show_crypto
run "bash completes verbs and names" completion_in_bash
run "the shell on a terminal" shell_on_a_terminal
run "monitor" monitor
run "the log" log_lines
run "the control socket is private" socket_is_private
run "garbage on the control socket" control_garbage
finish
