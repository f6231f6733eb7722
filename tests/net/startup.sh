#!/bin/bash
# oakgated refuses to start where it cannot work, and says why, what was expected and how to mend it; so does oakgate.
#
#   lan-a -- gw-a == outside
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a

# refuses PATTERN COMMAND...: it ends by itself, not with 0, and one line of its log matches
refuses() {
  local pattern=$1 status=0
  shift
  "$@" >"$work/output" 2>&1 || status=$?
  [ "$status" != 0 ] && [ "$status" != 124 ] || complain "exit status $status: $(tail -2 "$work/output")" || return
  says "$pattern"
}
daemon() { at gw-a timeout 20 "$@" "$oakgated" --config "$work/a/oakgate.yaml" --foreground; }

port_taken() {
  config a b
  background at_exec gw-a python3 -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 500)); print("bound", flush=True); s.recv(1)' >"$work/holder"
  echo $! >"$work/holder.pid"
  eventually 5 grep -q bound "$work/holder"
  refuses '500.*(in use|another)|(in use|another).*500' daemon
  kill "$(cat "$work/holder.pid")"
  start a
}

missing_privileges() {
  config a b
  chown -R nobody "$work/a"
  refuses '(privilege|permi|CAP_NET)' daemon setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --bounding-set=-all
  chown -R root "$work/a"
}

no_tun_device() {
  config a b
  sed -i 's/data_plane: .*/data_plane: software/' "$work/a/oakgate.yaml"
  # shellcheck disable=SC2016
  refuses '/dev/net/tun' daemon unshare -m --propagation private sh -c 'mount -t tmpfs none /dev/net && exec "$@"' -
}

second_daemon() {
  config a b
  start a
  refuses 'already|another|in use' daemon
  answers a
  # the same state directory under another socket is a second daemon too
  sed "s|control_socket: .*|control_socket: $work/a/other.sock|" "$work/a/oakgate.yaml" >"$work/a/second.yaml"
  refuses 'already|another|in use' at gw-a timeout 20 "$oakgated" --config "$work/a/second.yaml" --foreground
  answers a
}

open_secret() {
  config a b
  chmod 644 "$work/a/gw-b.psk"
  refuses 'gw-b\.psk.*0?600|0?600.*gw-b\.psk' daemon
  exits 4 "$oakgate" check "$work/a/oakgate.yaml"
  says 'oakgate\.yaml:[0-9]+:[0-9]+: '
  says 'gw-b\.psk'
  chmod 600 "$work/a/gw-b.psk"
  exits 0 "$oakgate" check "$work/a/oakgate.yaml"
}

bad_configuration() {
  config a b
  sed -i 's/name: gw-a/nane: gw-a/; s/start: responder/start: sometimes/; s/\[strong\]/[stronk]/; s/hash: sha256/hash: sha257/' "$work/a/oakgate.yaml"
  refuses 'oakgate\.yaml:[0-9]+:[0-9]+: ' daemon
  exits 4 "$oakgate" check "$work/a/oakgate.yaml"
  says 'nane.*name'
  says 'sometimes'
  says 'stronk.*strong'
  says 'sha257.*sha256'
  exits 4 "$oakgate" --json check "$work/a/oakgate.yaml"
  jq -e . "$work/output" >/dev/null
  exits 4 "$oakgate" check "$work/a/absent.yaml"
}

weak_without_waiver() {
  ike="10: {encryption: 3des, hash: sha, group: 2, authentication: pre-share}" config a b
  exits 4 "$oakgate" check "$work/a/oakgate.yaml"
  says 'allow_weak'
  says '3des'
  says 'group2'
}

expired_waiver() {
  ike="10: {encryption: 3des, hash: sha, group: 2, authentication: pre-share}" \
    peer_keys='    allow_weak: {algorithms: [3des, group2], until: 2020-01-31, reason: "an old waiver"}' config a b
  exits 0 "$oakgate" check "$work/a/oakgate.yaml"
  start a
  exits 1 og a up gw-b
  error_is a gw-b weak-waiver-expired
}

plane_is_named() {
  config a b
  sed -i 's/data_plane: .*/data_plane: auto/' "$work/a/oakgate.yaml"
  start a
  has a '.data_plane == "software" or .data_plane == "kernel"'
  logged a "$(og a status --json | jq -r .data_plane).*data plane|data plane.*$(og a status --json | jq -r .data_plane)"
}

exit_statuses() {
  config a b
  exits 3 og a status
  says 'oakgated|socket'
  exits 3 og a --json status
  jq -e '.error' "$work/output" >/dev/null
  start a
  exits 0 og a status
  exits 0 og a
  exits 5 og a up nobody
  exits 5 og a up gw-b/nothing
  exits 5 og a status nobody
  exits 2 og a frobnicate
  exits 2 og a up
  exits 0 "$oakgate" --help
  exits 0 "$oakgated" --help
  exits 0 "$oakgate" --version
  OAKGATE_SOCKET=$work/a/control.sock exits 0 "$oakgate" status --json
  jq -e '.version == 1 and .gateway == "gw-a"' "$work/output" >/dev/null
}

# What the installed unit leaves it: three capabilities, and a service manager that hears when it is ready.
as_a_service() {
  config a b
  cat >"$work/manager.py" <<'PY'
import os, socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
print("listening", flush=True)
while True:
    message = manager.recv(4096).decode()
    print(message, flush=True)
    if "STOPPING=1" in message:
        break
PY
  rm -f "$work/notify"
  background python3 "$work/manager.py" "$work/notify" >"$work/notified"
  eventually 5 grep -q listening "$work/notified"
  caps=+net_admin,+net_raw,+net_bind_service
  background at_exec gw-a env NOTIFY_SOCKET="$work/notify" setpriv --bounding-set="-all,$caps" --inh-caps="-all,$caps" \
    --no-new-privs "$oakgated" --config "$work/a/oakgate.yaml" --foreground >>"$work/a/log" 2>&1
  echo $! >"$work/a/pid"
  eventually 10 grep -q READY=1 "$work/notified"
  answers a
  kill -HUP "$(cat "$work/a/pid")"
  eventually 5 grep -q RELOADING=1 "$work/notified"
  eventually 5 answers a
  stop a
  eventually 5 grep -q STOPPING=1 "$work/notified"
}

run "port 500 is taken" port_taken
run "missing privileges" missing_privileges
run "no TUN device" no_tun_device
run "a second daemon" second_daemon
run "a secret file that others can read" open_secret
run "a configuration with four errors" bad_configuration
run "weak algorithms without a waiver" weak_without_waiver
run "weak algorithms with an expired waiver" expired_waiver
run "with the capabilities of the unit, notifying" as_a_service
run "the data plane is chosen and named" plane_is_named
run "exit statuses of oakgate" exit_statuses
finish
