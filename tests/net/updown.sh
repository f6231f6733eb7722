#!/bin/bash
# Programs that are run when a tunnel comes up and goes down, by the daemon itself.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: software
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# program BODY: what gw-a runs; it is root's, and so is its folder
program() {
  mkdir -p "$work/a/hooks"
  printf '#!/bin/sh\n%s\n' "$1" >"$work/a/hooks/updown"
  chmod 755 "$work/a/hooks/updown"
}
gateways() {
  local gateway_keys="  updown: $work/a/hooks/updown
${gateway_keys:-}"
  rm -f "$work/a/told"
  config a b
  unset gateway_keys
  config b a
  start a b
}
told() { [ "$(tr '\n' ';' <"$work/a/told" 2>/dev/null)" = "$1" ] || complain "told: $(tr '\n' ';' <"$work/a/told")"; }
renewed() { [ "$(spis a)" != "$1" ] && up a gw-b/lan; }
tell="echo \$OAKGATE_EVENT \$OAKGATE_PEER/\$OAKGATE_TUNNEL \$OAKGATE_LOCAL \$OAKGATE_REMOTE \$OAKGATE_REMOTE_ADDRESS >>$work/a/told"
up_line="up gw-b/lan 10.1.0.0/24 10.2.0.0/24 198.51.100.2;"
down_line="down gw-b/lan 10.1.0.0/24 10.2.0.0/24 198.51.100.2;"

# Once for a tunnel that comes, not for its renewal, once for its end; at the daemon's own end, too.
up_renewal_down() {
  local tunnel="lifetime: {kilobytes: 5120}" before pid
  program "$tell"
  gateways
  exits 0 og a up gw-b
  eventually 10 told "$up_line"
  before=$(spis a)
  bulk a b 3
  # on to the limit, no faster than a slow machine renews
  background at_exec lan-a ping -n -q -i 0.005 -s 1200 "$(lan_host b)" >/dev/null 2>&1
  pid=$!
  eventually 30 renewed "$before"
  kill -INT "$pid"
  pings_both_ways a b
  exits 0 og a down gw-b
  eventually 10 told "$up_line$down_line"
  eventually 10 logged a 'hook-ran: updown: down for 10\.1\.0\.0/24 === 10\.2\.0\.0/24 is done'
  exits 0 og a up gw-b
  eventually 10 told "$up_line$down_line$up_line"
  stop a
  told "$up_line$down_line$up_line$down_line"
}

# The environment is ours alone.
environment() {
  program "env >$work/a/told"
  export OAKGATE_UNRELATED=1
  gateways
  unset OAKGATE_UNRELATED
  exits 0 og a up gw-b
  eventually 10 grep -q '^OAKGATE_DATA_PLANE=software' "$work/a/told"
  grep -q '^PATH=/usr/sbin:/usr/bin:/sbin:/bin$' "$work/a/told"
  grep -q '^OAKGATE_REMOTE_IDENTITY=198\.51\.100\.2$' "$work/a/told"
  not grep -q UNRELATED "$work/a/told"
  grep -Eq '^OAKGATE_REQID=[0-9]+$' "$work/a/told"
}

# One that fails, and says so at length, does nothing to its tunnel; one that hangs holds nothing up.
bad_programs() {
  program 'printf "no such \033[2Jtable\n"; exit 3'
  gateways
  exits 0 og a up gw-b
  eventually 10 logged a 'hook-failed: updown: up for .* failed.*exit status 3'
  logged a 'updown says: no such \\x1b\[2Jtable'
  pings_both_ways a b
  program "$tell; exec sleep 1000"
  exits 0 og a down gw-b
  eventually 10 told "$down_line"
  exits 0 og a up gw-b
  pings_both_ways a b
  og a status --json >/dev/null
  # `up` waits behind the one that hangs, and is forgotten with it: the daemon does not wait for long.
  stop a
  logged a 'updown: 1 programs are not waited for'
}

# What others can change is not taken, and not run when it has become so.
not_ours() {
  local file=$work/a/hooks/updown
  program "$tell"
  gateways
  chmod 777 "$file"
  exits 4 og a check "$work/a/oakgate.yaml"
  says "updown: $file can be changed by others; expected a file that only its owner can write"
  exits 0 og a up gw-b
  eventually 10 logged a 'hook-failed: updown: up for .*can be changed by others'
  [ ! -e "$work/a/told" ]
}

run "up and down are told once, a renewal is not" up_renewal_down
run "a program has its environment from us alone" environment
run "a program that fails or hangs harms no tunnel" bad_programs
run "a program that others can change is not run" not_ours
finish
