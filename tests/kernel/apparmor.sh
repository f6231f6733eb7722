#!/bin/bash
# The AppArmor profile, enforced: oakgated at its installed place, with the capabilities that its unit leaves it and no new
# privileges, does what it is for, and the kernel refuses it nothing; what it is not for is refused. In a virtual machine, whose
# kernel has AppArmor; by itself it starts one around itself.
#
#   lan-a -- gw-a == outside (192.0.2.254: nginx, slapd, OCSP responder) == gw-b -- lan-b
#
# planes: kernel
# time limit: 90 s
[ "${OAKGATE_GUEST:-}" = qemu ] || exec "$(dirname "$0")/../peers/qemu-run" -t 240 env PLANE=kernel \
  "OAKGATE_BUILD=${OAKGATE_BUILD:-}" bash "$(readlink -f "$0")"
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"

# --- the profile and the programs, where the package puts them
profile=/etc/apparmor.d/usr.sbin.oakgated
site=/etc/apparmor.d/local/usr.sbin.oakgated
cp "$oakgated" "$oakgate" /usr/sbin/ && mv /usr/sbin/oakgate /usr/bin/
oakgated=/usr/sbin/oakgated oakgate=/usr/bin/oakgate
sed 's|@sbindir@|/usr/sbin|' "$top/daemon/service/apparmor.in" >"$profile"
mount -t securityfs securityfs /sys/kernel/security || { echo "not ok securityfs: cannot be mounted"; exit 1; }
echo 0 >/proc/sys/kernel/printk_ratelimit # of refusals none goes unseen
# load: the profile, once more with what the site adds
load() { exits 0 apparmor_parser --replace --skip-cache "$profile"; }

# --- the gateways' folders, where the configuration has them by default; beside each other, as there are two
topology a b
mkdir -p /run/systemd/journal /run/credentials/oakgated.service
# In memory: what oakgated writes it has put onto the disk (fsync), for which the guest would wait for this machine, and its clock
# leap to the next thing that anybody there waits for.
for folder in /etc/oakgate /var/lib/oakgate /var/lib/oakgate-ssh; do mkdir -p "$folder" && mount -t tmpfs -o mode=700 tmpfs "$folder"; done
for self in a b; do
  mkdir -p "/etc/oakgate/$self" "/run/oakgate/$self" "/var/lib/oakgate/$self"
  rmdir "$work/$self" && ln -s "/etc/oakgate/$self" "$work/$self" && ln -s "/run/oakgate/$self/control.sock" "$work/$self/control.sock"
done
# installed CONFIG...: config or by_certificate, for the folders above
installed() {
  "$@" && sed -i "s|control_socket: .*|control_socket: /run/oakgate/$2/control.sock|; s|state_dir: .*|state_dir: /var/lib/oakgate/$2|" \
    "$work/$2/oakgate.yaml"
}

# Variables change it: in_sight="" logs to the journal; notify=SOCKET
in_sight=--foreground
launch() {
  background at_exec "gw-$1" env -i CREDENTIALS_DIRECTORY=/run/credentials/oakgated.service ${notify:+"NOTIFY_SOCKET=$notify"} \
    setpriv --no-new-privs --bounding-set=-all,+net_admin,+net_raw,+net_bind_service \
    "$oakgated" --config "/etc/oakgate/$1/oakgate.yaml" ${in_sight:+"$in_sight"} >>"$work/$1/log" 2>&1
  echo $! >"$work/$1/pid"
}

# What systemd would hear of a service, until the script ends: notifications and the journal's entries.
listen_as_systemd() {
  background python3 -c '
import select, socket, sys
heard = {}
for path, file in zip(sys.argv[1::2], sys.argv[2::2]):
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.bind(path)
    heard[one] = open(file, "ab", buffering=0)
while True:
    for one in select.select(list(heard), [], [])[0]:
        heard[one].write(one.recv(65536) + b"\n")
' /run/systemd/notify "$work/notified" /run/systemd/journal/socket "$work/journal" >"$work/systemd.log" 2>&1
  eventually 10 test -S /run/systemd/journal/socket
}

# refused: every refusal so far, one a line. They come in order, but late: one that is provoked here comes behind all the others,
# and shows that they would be seen.
refused() {
  local mark=$work/mark-$((++marks))
  : >"$mark"
  not aa-exec -p oakgated cat "$mark" 2>/dev/null
  eventually 10 marked "$mark"
  dmesg | grep 'apparmor="DENIED"' | grep -v mark- || true
}
marks=0
marked() { dmesg | grep 'apparmor="DENIED"' | grep "$1" >/dev/null; }

# confined CASE...: the kernel refuses it nothing, and it had nothing to complain of
confined() {
  local self
  dmesg --clear
  "$@"
  for self in a b; do [ ! -e "$work/$self/pid" ] || enforced "$self"; done
  stop_all
  refused >"$work/refused"
  [ ! -s "$work/refused" ] || complain "refused: $(sed 's/.*apparmor=//' "$work/refused" | tr '\n' ';')"
  not grep -E 'Permission denied|Operation not permitted' "$work/a/log" "$work/b/log"
}
enforced() {
  local pid
  pid=$(cat "$work/$1/pid")
  [ "$(cat "/proc/$pid/attr/current")" = 'oakgated (enforce)' ] || complain "gw-$1 is $(cat "/proc/$pid/attr/current")"
}

# --- what it is for

come_up() {
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
}

as_the_unit_runs_it() {
  proof='pre_shared_key: {credential: gw-b}' installed config a b
  (umask 077 && mv "$work/a/gw-b.psk" /run/credentials/oakgated.service/gw-b)
  installed config b a
  in_sight='' notify=/run/systemd/notify launch a
  start b
  eventually 20 answers a
  grep -q '^READY=1$' "$work/notified"
  exits 0 og a up gw-b
  pings_both_ways a b
  enforced a
  stop a
  grep -q '^STOPPING=1$' "$work/notified"
  grep -q '^MESSAGE=.*IPSEC: SAs are up for' "$work/journal"
}

ipv6() {
  family=6 lan=6 installed config a b
  family=6 lan=6 installed config b a
  start a b
  exits 0 og a up gw-b
  lan=6 pings_both_ways a b
}

# Its own ESP and TUN device, and the larger buffers that it asks for.
software_plane() {
  PLANE=software installed config a b
  PLANE=software installed config b a
  come_up
  bulk a b 1
}

# Lists by HTTP and LDAP, answers by OCSP; what logins by certificate need.
certificates() {
  more_sections=$(logins a) revocation=crl trust_keys="    crl: {urls: [http://192.0.2.254/corp.crl]}" installed by_certificate a b
  more_sections=$(logins b) revocation=crl trust_keys="    crl: {urls: [\"ldap://192.0.2.254/$crl_dn?certificateRevocationList;binary\"]}" \
    installed by_certificate b a
  come_up
  fetched outside corp.crl
  eventually 10 test -s /var/lib/oakgate-ssh/a/crls.pem
  stop a
  start a # its lists are in the state folder
  exits 0 og a up gw-b
  pings a b
  exits 0 og a pki crl request corp
  stop a
  sed -i 's|crl: {urls: .*|ocsp: {urls: ["http://192.0.2.254:2560"]}|' "$work/a/oakgate.yaml"
  start a
  exits 0 og a up gw-b
  pings a b
}
# logins GATEWAY: by certificate; each with a folder of its own in what is one gateway's
logins() {
  echo "ssh: {trustpoint: corp, certificates: {folder: /etc/oakgate/users}, username: subject-commonname, folder: /var/lib/oakgate-ssh/$1}"
}

looks_inside() {
  gateway_keys="  capture: keys
  metrics: unix:/run/oakgate/a/metrics.sock" installed config a b
  gateway_keys="  metrics: 127.0.0.1:9814" installed config b a
  come_up
  curl -sS --fail --max-time 10 --unix-socket /run/oakgate/a/metrics.sock http://localhost/metrics | grep '^oakgate_tunnel_up{.*} 1$' >/dev/null
  at gw-b curl -sS --fail --max-time 10 http://127.0.0.1:9814/metrics | grep '^oakgate_tunnel_up{.*} 1$' >/dev/null
  exits 0 at gw-a timeout 60 "$oakgate" --socket "$work/a/control.sock" capture gw-b -w "$work/capture.pcapng" --seconds 1
  test -s "$work/capture.pcapng.keys/esp_sa"
  exits 0 at gw-a timeout 60 "$oakgate" --socket "$work/a/control.sock" ping gw-b/lan --count 1
  exits 0 og a show crypto isakmp sa
  sed -i 's/lifetime: 24h/lifetime: 23h/' "$work/a/oakgate.yaml"
  exits 0 og a reload --confirm 60
  exits 0 og a confirm
  sed -i '/metrics:/d' "$work/a/oakgate.yaml"
  exits 0 og a reload
  not test -e /run/oakgate/a/metrics.sock
  exits 0 og a down gw-b
}

# A program of `updown`, by the lines of the profile's head: it stays confined.
runs_programs() {
  site_allows '/etc/oakgate/a/updown ix,' '/{,usr/}bin/{dash,cat} ix,' '@{PROC}/@{pid}/attr/current r,'
  printf '#!/bin/sh\ncat /proc/self/attr/current >/run/oakgate/a/of-$OAKGATE_EVENT\n' >"$work/a/updown"
  chmod 755 "$work/a/updown"
  gateway_keys="  updown: /etc/oakgate/a/updown" installed config a b
  installed config b a
  come_up
  eventually 10 logged a 'hook-ran: updown: up '
  grep -q '^oakgated (enforce)$' /run/oakgate/a/of-up
}
site_allows() {
  printf '%s\n' "$@" >"$site"
  load
}

# --- what it is not for

# A key where the profile allows none; readable to this user, by its mode.
other_files() {
  site_allows
  (umask 077 && echo "a pre-shared key that is long enough" >/root/gw-b.psk)
  proof='pre_shared_key: {file: /root/gw-b.psk}' installed config a b
  exits 0 "$oakgate" check "$work/a/oakgate.yaml"
  dmesg --clear
  exits 4 launch_and_wait a
  logged a 'oakgate.yaml:[0-9]+:[0-9]+: .*cannot read /root/gw-b.psk: Permission denied'
  refused | grep 'profile="oakgated" name="/root/gw-b.psk" .*requested_mask="r"' >/dev/null
  site_allows '/root/gw-b.psk r,'
  installed config b a
  start a b
  exits 0 og a up gw-b
}
launch_and_wait() {
  launch "$1"
  wait $!
}
shadow() {
  proof='pre_shared_key: {file: /etc/shadow}' installed config a b
  chmod 600 /etc/shadow
  exits 4 launch_and_wait a
  logged a 'cannot read /etc/shadow: Permission denied'
}
other_programs() {
  site_allows
  gateway_keys="  updown: /usr/bin/true" installed config a b
  installed config b a
  start a b
  exits 0 og a up gw-b
  eventually 10 logged a 'hook-failed: updown: up .*Permission denied'
  pings_both_ways a b
}

# What the package's own test does, with the profile in force as an installation has it.
packages_test() {
  exits 0 "$top/debian/tests/tunnel"
  says '^ok$'
}

load_once() {
  load
  grep -q '^oakgated (enforce)$' /sys/kernel/security/apparmor/profiles
  listen_as_systemd
}
ca corp
crl corp
publish corp
certified a b
web outside 192.0.2.254
directory outside 192.0.2.254
directory_crl outside corp
responder outside corp
mkdir -p /etc/oakgate/users
run "the profile is loaded" load_once
run "as the unit runs it: a tunnel, a key from a credential" confined as_the_unit_runs_it
run "IPv6" confined ipv6
run "the software plane" confined software_plane
run "certificates, their lists by HTTP and LDAP, OCSP" confined certificates
run "capture, metrics, ping, reload" confined looks_inside
run "programs that the site allows" confined runs_programs
run "a key elsewhere is refused, until the site allows it" other_files
run "/etc/shadow is refused" shadow
run "programs that the site does not allow" other_programs
run "the package's own test" confined packages_test
finish
