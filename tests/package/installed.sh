#!/bin/bash
# The Debian package as an operator has it: built, looked at by lintian, installed in a machine of its own with systemd, used
# there from the installed files, and removed. The service runs with all that the unit takes from it.
#
#   10.1.0.1 oakgated.service 192.0.2.1 wan ====== wan 192.0.2.2 gw-b 10.2.0.1        (gw-b: a network namespace in there)
# planes: software
# time limit: 480 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/machine.sh
. "$(dirname "$0")/../lib/machine.sh"
[ "$(id -u)" = 0 ] || { echo "not ok topology: needs root"; exit 1; }
machine_up || { echo "not ok machine: $(cat "$work/detail")"; exit 1; }
keep_running=yes # each case goes on where the one before it ended

built() {
  exits 0 env DEB_BUILD_OPTIONS=noautodbgsym "$top/scripts/package" --from "$OAKGATE_BUILD" --output "$work/package"
  package=$(echo "$work"/package/oakgate_*.deb)
  exits 0 dpkg-deb --contents "$package"
  local file
  for file in usr/sbin/oakgated usr/bin/oakgate lib/systemd/system/oakgated.service usr/lib/sysusers.d/oakgate.conf \
    usr/lib/tmpfiles.d/oakgate.conf usr/lib/systemd/catalog/oakgate.catalog etc/apparmor.d/usr.sbin.oakgated \
    usr/share/man/man8/oakgated.8.gz usr/share/man/man5/oakgate.yaml.5.gz usr/share/man/man7/oakgate-control.7.gz \
    usr/share/bash-completion/completions/oakgate usr/share/doc/oakgate/copyright usr/share/doc/oakgate/changelog.gz; do
    says " \./$file\$"
  done
}

# Errors and warnings, overridden by nobody.
lintian_is_content() {
  exits 0 lintian --allow-root --fail-on error,warning --show-overrides "$work"/package/*.changes
}

profile_is_valid() {
  dpkg-deb --fsys-tarfile "$work"/package/oakgate_*.deb | tar -xOf - ./etc/apparmor.d/usr.sbin.oakgated >"$work/profile"
  exits 0 apparmor_parser --skip-kernel-load --skip-cache "$work/profile"
  grep -q '^profile oakgated /usr/sbin/oakgated ' "$work/profile"
}

installed() {
  exits 0 machine dpkg --install "$work"/package/oakgate_*.deb
  exits 0 machine getent group oakgate
  exits 0 machine stat -c '%n %a %U:%G' /etc/oakgate /var/lib/oakgate /run/oakgate
  says '^/etc/oakgate 750 root:root$'
  says '^/var/lib/oakgate 700 root:oakgate$'
  says '^/run/oakgate 755 root:oakgate$'
  exits 1 machine systemctl is-enabled oakgated
  says '^disabled$'
  exits 3 machine systemctl is-active oakgated
  exits 0 machine systemd-analyze verify /lib/systemd/system/oakgated.service
  not grep -i 'oakgate' "$work/output"
  exits 0 machine systemd-analyze security --threshold=20 --no-pager oakgated.service
}

tunnel_from_the_installed_files() {
  exits 0 machine "$top/debian/tests/tunnel"
  says '^ok$'
}

first_hour_from_the_installed_files() {
  mkdir -p "$work/build/daemon"
  ln -s /usr/sbin/oakgated /usr/bin/oakgate "$work/build/daemon"
  exits 0 machine env OAKGATE_BUILD="$work/build" bash "$top/tests/net/first_hour.sh"
  not grep '^not ok' "$work/output"
  says '^ok mended, the tunnel is up'
}

# yaml SELF PEER PEER-ADDRESS KEY GATEWAY-KEYS LAN PEER-LAN
yaml() {
  cat <<YAML
gateway: {name: $1, data_plane: software${5:+, $5}}
isakmp_policies:
  10: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share, lifetime: 24h}
transform_sets:
  strong: [esp-aes-256, esp-sha256-hmac]
peers:
  $2:
    address: $3
    pre_shared_key: $4
    tunnels:
      lan: {local: $6, remote: $7, transform_sets: [strong], start: responder}
YAML
}
in_b() { machine ip netns exec b "$@"; }

# The key comes as a credential; the watchdog and restarts are quicker than an operator's.
service_starts() {
  machine sh -eu <<'SH'
ip netns add b
ip link add wan type veth peer name wan netns b
ip addr add 192.0.2.1/24 dev wan && ip addr add 10.1.0.1/24 dev lo && ip link set wan up
ip -n b addr add 192.0.2.2/24 dev wan && ip -n b addr add 10.2.0.1/24 dev lo && ip -n b link set lo up && ip -n b link set wan up
mkdir -p /etc/systemd/system/oakgated.service.d /root/b
cat >/etc/systemd/system/oakgated.service.d/test.conf <<'UNIT'
[Service]
LoadCredential=gw-b:/root/gw-b.psk
WatchdogSec=2
RestartSec=100ms
UNIT
umask 077
echo "a pre-shared key that is long enough" | tee /root/gw-b.psk >/root/b/gw-a.psk
systemctl daemon-reload
SH
  yaml gw-a gw-b 192.0.2.2 '{credential: gw-b}' '' 10.1.0.0/24 10.2.0.0/24 | machine tee /etc/oakgate/oakgate.yaml >/dev/null
  yaml gw-b gw-a 192.0.2.1 '{file: gw-a.psk}' 'control_socket: control.sock, state_dir: state' 10.2.0.0/24 10.1.0.0/24 |
    machine tee /root/b/oakgate.yaml >/dev/null
  exits 0 machine systemctl start oakgated
  exits 0 machine systemctl show -p Type,ActiveState,StatusText,WatchdogUSec,NotifyAccess oakgated
  says '^ActiveState=active$'
  says '^StatusText=[01] (peers|of 1 tunnels)'
  exits 0 machine oakgate status
  says '^gw-a: 0 of 1 tunnel up'
  background in_b oakgated --config /root/b/oakgate.yaml --foreground >"$work/b.log" 2>&1
  eventually 20 in_b oakgate --socket /root/b/control.sock status >/dev/null 2>&1
}

# With no more than the unit leaves: TUN, raw sockets, routes, the peer's packets.
service_has_its_tunnel() {
  exits 0 machine oakgate up gw-b/lan
  exits 0 machine ping -c 3 -i 0.2 -W 5 -I 10.1.0.1 10.2.0.1
  exits 0 in_b ping -c 3 -i 0.2 -W 5 -I 10.2.0.1 10.1.0.1
  exits 0 machine grep -E '^(NoNewPrivs|Seccomp|CapBnd|CapEff):' "/proc/$(main_pid)/status"
  says '^NoNewPrivs:.1$'
  says '^Seccomp:.2$'
  says '^CapBnd:.0000000000003400$'
  says '^CapEff:.0000000000003400$'
  # nothing that it was refused
  exits 0 machine journalctl --quiet -u oakgated -p warning -o cat
  [ ! -s "$work/output" ] || complain "in the journal: $(cat "$work/output")"
}
main_pid() { machine systemctl show -p MainPID --value oakgated; }

# Synchronous, and an error where it fails; what runs goes on.
service_reloads() {
  local before
  before=$(main_pid)
  machine sed -i 's/lifetime: 24h/lifetime: 23h/' /etc/oakgate/oakgate.yaml
  exits 0 machine systemctl reload oakgated
  exits 0 machine oakgate show running-config
  says 'lifetime: 23h'
  machine sed -i 's/lifetime: 23h/lifetime: for ever/' /etc/oakgate/oakgate.yaml
  exits 1 machine systemctl reload oakgated
  says 'Job for oakgated.service failed'
  exits 0 machine journalctl --quiet -u oakgated -o cat
  says 'oakgate.yaml:3:.*lifetime'
  exits 0 machine systemctl is-active oakgated
  [ "$(main_pid)" = "$before" ] || complain "another process runs"
  exits 0 machine oakgate show running-config
  says 'lifetime: 23h'
  machine sed -i 's/lifetime: for ever/lifetime: 23h/' /etc/oakgate/oakgate.yaml
  exits 0 machine systemctl reload oakgated
}

# A stopped loop does not say that it turns.
watchdog_bites() {
  local before
  before=$(main_pid)
  machine kill -STOP "$before"
  eventually 15 another_runs "$before"
  exits 0 machine systemctl show -p NRestarts oakgated
  says '^NRestarts=1$'
}
another_runs() {
  local now
  now=$(main_pid)
  [ "$now" != 0 ] && [ "$now" != "$1" ] && machine oakgate status >/dev/null 2>&1
}

# Fields that programs ask for, and what the catalogue says beside.
journal_has_fields() {
  exits 0 machine oakgate up gw-b/lan
  exits 0 machine journalctl --quiet -o json OAKGATE_EVENT=phase2-established
  tail -1 "$work/output" | jq -e '.OAKGATE_PEER == "gw-b" and .OAKGATE_TUNNEL == "lan" and .OAKGATE_SUBJECT == "gw-b/lan" and
    (.OAKGATE_SPI_IN | test("^0x[0-9a-f]{8}$")) and (.MESSAGE_ID | test("^[0-9a-f]{32}$")) and
    ._SYSTEMD_UNIT == "oakgated.service" and (.MESSAGE | contains("SAs are up"))' >/dev/null || complain "$(tail -1 "$work/output")"
  exits 0 machine journalctl --quiet -x -n 1 --no-pager OAKGATE_EVENT=phase2-established
  says 'Subject: Tunnel is up: gw-b/lan$'
  exits 0 machine journalctl --quiet -x --no-pager OAKGATE_EVENT=reload-refused
  says 'What ran before still runs'
}

# Who is in the group looks; who is not does not get that far.
members_look() {
  looker() { machine setpriv --reuid 65534 --regid 65534 --groups "${group:-oakgate}" oakgate "$@"; }
  exits 0 looker status
  says 'gw-a: 1 of 1 tunnel up'
  exits 1 looker down gw-b
  says 'is not for you: you may look, and change nothing'
  group=nogroup exits 3 looker status
}

completion_is_the_programs() {
  exits 0 machine bash -c '
    . /usr/share/bash-completion/completions/oakgate
    ask() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _oakgate; echo "${COMPREPLY[*]}"; }
    ask oakgate up gw
    ask oakgate export cisco gw-b --dialect ""
    ask oakgate sh cr isa ""'
  says '^gw-b gw-b/lan$'
  says '^asa ios pix$'
  says '^policy sa$'
}

removed() {
  exits 0 machine dpkg --remove oakgate
  exits 3 machine systemctl is-active oakgated
  exits 0 machine dpkg --purge oakgate
  exits 2 machine ls -d /var/lib/oakgate /run/oakgate /etc/apparmor.d/usr.sbin.oakgated
  exits 0 machine ls /etc/oakgate/oakgate.yaml # the operator's
}

run "the package is built" built
run "lintian has nothing to say" lintian_is_content
run "the AppArmor profile is valid" profile_is_valid
run "it installs, group and folders with it" installed
run "a tunnel comes up from the installed files" tunnel_from_the_installed_files
run "so does the first hour of a new user" first_hour_from_the_installed_files
run "the service starts, with a key from a credential" service_starts
run "its tunnel works under the unit's restrictions" service_has_its_tunnel
run "a reload waits, and fails on a bad configuration" service_reloads
run "the watchdog restarts what hangs" watchdog_bites
run "the journal has fields, and a catalogue" journal_has_fields
run "members of the group look" members_look
run "completion knows verbs and peers" completion_is_the_programs
run "it leaves nothing but the configuration" removed
finish
