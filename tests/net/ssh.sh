#!/bin/bash
# Operators log in by SSH with certificates: Debian's sshd asks oakgate-authorized-keys, a login lands in `oakgate shell`, and
# configurations come by scp. Accounts are this namespace's own (/etc/netns), and so is what sshd and its children log.
#
#   gw-a (sshd on 127.0.0.1:22 and, for files, :2022; oakgated) == outside (192.0.2.254: nginx, slapd)
# planes: software
# time limit: 240 s
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
keep_running=yes

# sshd wants everything that it runs, and what it confines users to, below folders that root alone may change.
safe=$(mktemp -d /run/oakgate-ssh.XXXXXX)
accounts=/etc/netns/$ns-gw-a
clean_all() {
  rm -rf "$accounts" "$safe"
  cleanup
}
trap clean_all EXIT
chmod 755 "$safe"
mkdir -p /run/sshd "$accounts" "$safe/users" "$work/ssh" "$work/syslogd"

# --- accounts: alice may change, all others may look; bob's login shell is the shell itself
id=64200
cp /etc/passwd /etc/group /etc/shadow "$accounts"
echo "oakgate-look:x:64199:" >>"$accounts/group"
account() {
  echo "$1:x:$id:64199::/nonexistent:${2:-/bin/sh}" >>"$accounts/passwd"
  echo "$1:*:19000::::::" >>"$accounts/shadow"
  id=$((id + 1))
}
ln -s oakgate "$safe/oakgate-shell"
cp "$oakgate" "$safe/oakgate"
cp "$OAKGATE_BUILD/daemon/oakgate-authorized-keys" "$safe"
for user in alice carol dave erin frank oakgate-keys; do account $user; done
account bob "$safe/oakgate-shell"

# --- the gateway
topology a
mkdir -p "$safe/files/incoming"
chgrp 64199 "$safe/files" "$safe/files/incoming"
chmod 2750 "$safe/files"
chmod 3770 "$safe/files/incoming"
ca corp
ca other
crl corp
publish corp
web outside 192.0.2.254
san=IP:127.0.0.1,DNS:gw-a.example.net certified a
by_folder="{folder: $safe/users}"
by_ldap='{ldap: "ldap://192.0.2.254/c=us?userCertificate;binary?sub?(uid=%u)"}'
by_http='crl: {urls: ["http://192.0.2.254/corp.crl"]}'
# configured: gw-a, with $certificates, $lists, $username and $idle
configured() {
  gateway_keys="  control_group: oakgate-look"
  sections="trustpoints:
  corp: {ca: ca.pem, certificate: gw-a.pem, key: {file: gw-a.key}, revocation: crl, ${lists-$by_http}}
ssh:
  trustpoint: corp
  certificates: ${certificates-$by_folder}
  username: ${username:-subject-commonname}
  change: alice
  idle_timeout: ${idle:-10m}
  folder: $safe/login
  files: $safe/files
  banner: Authorized operators only
" config a a
  sed -i 's/address: "192.0.2.1"/address: "198.51.100.2"/; s/gw-a:$/gw-b:/' "$work/a/oakgate.yaml"
}
reconfigured() {
  configured
  exits 0 og a reload
}

# operator NAME [CA]: an account's certificate, where the gateway finds it, and its key
operator() {
  issue "${2:-corp}" "$1" || return
  cp "$work/pki/${2:-corp}/$1.pem" "$safe/users/"
  cp "$work/pki/${2:-corp}/$1.key" "$work/ssh/$1"
  chmod 600 "$work/ssh/$1"
}

# --- sshd
cat >"$work/syslog.py" <<'PY'
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
while True:
    print(listener.recv(65536).decode(errors="replace").strip("\0\n"), flush=True)
PY
# A /dev of its own: what is logged goes to our listener.
cat >"$work/own_dev" <<SH
set -e
mkdir -p $work/dev
mount -t tmpfs none $work/dev
cd $work/dev
for node in null zero full random urandom tty; do : >\$node; mount --bind /dev/\$node \$node; done
mkdir pts
mount --bind /dev/pts pts
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
ln -s $work/syslog log
mount --move $work/dev /dev
cd /
exec "\$@"
SH
start_sshd() {
  background python3 "$work/syslog.py" "$work/syslog" >>"$work/syslogd/log" 2>&1
  eventually 10 test -S "$work/syslog"
  exits 0 og a pki export-ssh-host-key corp "$work/ssh/host_key" --config "$work/a/oakgate.yaml"
  [ "$(stat -c %a "$work/ssh/host_key")" = 600 ]
  sed -e "s|AuthorizedKeysCommand /.*|AuthorizedKeysCommand $safe/oakgate-authorized-keys --folder $safe/login --shell $safe/oakgate %u %t %k|" \
    -e "s|/var/lib/oakgate-files|$safe/files|" "$top/daemon/ssh/sshd-oakgate.conf" >"$work/ssh/oakgate.conf"
  cat >"$work/ssh/sshd_config" <<CONF
ListenAddress 127.0.0.1:22
HostKey $work/ssh/host_key
PidFile $work/sshd.pid
UsePAM no
StrictModes yes
PrintMotd no
Subsystem sftp internal-sftp
Include $work/ssh/oakgate.conf
CONF
  sed -i "/^Port 22$/d; s|^Port 2022|ListenAddress 127.0.0.1:2022|" "$work/ssh/oakgate.conf"
  background at_exec gw-a bash "$work/own_dev" /usr/sbin/sshd -D -E "$work/ssh/log" -f "$work/ssh/sshd_config"
  eventually 10 listens gw-a 22 && eventually 10 listens gw-a 2022
  # strict host key checking starts from the same authority
  exits 0 og a pki known-hosts corp "$work/a/gw-a.pem" --config "$work/a/oakgate.yaml"
  cp "$work/output" "$work/ssh/known_hosts"
  says '^gw-a.example.net,127.0.0.1 ssh-rsa AAAA'
}
client=(-F none -o "UserKnownHostsFile=$work/ssh/known_hosts" -o StrictHostKeyChecking=yes -o HostKeyAlias=gw-a.example.net
  -o BatchMode=yes -o IdentitiesOnly=yes -o LogLevel=ERROR)
# login USER [LINE...]; on_terminal USER: what is typed comes from standard input
on_terminal() { login -tt "$1"; }
login() {
  local user options=()
  [ "$1" != -tt ] || { options=(-tt); shift; }
  user=$1
  shift
  at gw-a timeout 30 ssh "${client[@]}" "${options[@]}" -i "$work/ssh/${key:-$user}" "$user@127.0.0.1" "$@" 2>&1
}
# logged_line REGEX: of oakgate-authorized-keys or the shell
logged_line() { eventually 5 grep -Eq -- "$1" "$work/syslogd/log"; }
refused_login() {
  : >"$work/syslogd/log"
  exits 255 login "$1" show crypto isakmp sa
  says 'Permission denied \(publickey\)'
  logged_line "Certificate authentication failed for user '$1': .*$2"
}

# --- cases
prepared() {
  operator alice
  operator bob
  configured
  start a
  eventually 20 test -s "$safe/login/crls.pem"
  start_sshd
}

good_certificate() {
  exits 0 login alice show crypto isakmp sa
  says '^dst +src +state'
  logged_line "oakgate-authorized-keys.*Certificate is verified for user 'alice': \"CN=alice,O=example\".*may change"
  logged_line '%PARSER-5-CFGLOG_LOGGEDCMD: User:alice certificate:"CN=alice,O=example" from 127.0.0.1 logged command:show crypto isakmp sa'
}

# with a terminal: banner, prompt, verbs cut short, and no way out
lands_in_the_shell() {
  # libedit's own commands (Esc x) lead to its vi mode, and that to an editor
  printf '\033xbind -v\n\033xbind\nsh cr isa sa\n!id\nshow running-config | id\ncheck /etc/passwd\nimport cisco /etc/passwd\npki show keys\nexit\n' |
    on_terminal alice >"$work/output"
  says 'Authorized operators only'
  says 'gw-a# '
  says '^dst +src +state'
  says 'passwd is no file that has come in'
  says 'that is not for this shell'
  not grep -Eq 'uid=|root:|ed-insert|vi-histedit' "$work/output"
  exits 2 login alice '/bin/sh -c id'
  exits 2 login alice 'import cisco /etc/passwd'
  not grep -q 'root:' "$work/output"
  logged_line 'User:alice .*refused command:import cisco /etc/passwd'
  # no files, no forwarding, by this door
  exits 255 at gw-a sftp "${client[@]}" -i "$work/ssh/alice" alice@127.0.0.1 </dev/null
}

# the shell, and behind it the daemon
look_only() {
  exits 0 login bob show crypto ipsec sa
  exits 2 login bob down gw-b
  says 'that is not for this shell'
  logged_line 'User:bob .*refused command:down gw-b'
  exits 2 login bob clear crypto sa
  says 'that is not for this shell'
  exits 0 login alice clear crypto sa counters
  printf 'reload\nexit\n' | on_terminal bob >"$work/output"
  says 'gw-a> '
  says 'that is not for this shell'
  exits 1 at gw-a setpriv --reuid bob --regid oakgate-look --clear-groups "$safe/oakgate" --socket "$work/a/control.sock" clear crypto sa
  says 'not for you'
  exits 0 at gw-a setpriv --reuid alice --regid oakgate-look --clear-groups "$safe/oakgate" --socket "$work/a/control.sock" down gw-b
}

wrong_user() {
  operator carol
  cp "$safe/users/carol.pem" "$safe/users/dave.pem"
  key=carol refused_login dave 'the certificate is of another user: its subject-commonname is carol'
}
no_certificate() { key=alice refused_login frank 'there is no certificate of frank'; }
expired() {
  from='3 days ago' until='1 day ago' operator erin
  refused_login erin 'expired'
}
wrong_ca() {
  operator erin other
  refused_login erin 'issuer'
}
another_key() { key=bob refused_login alice 'none of the 1 certificates of the user has the key that is offered'; }

short_key() {
  key=rsa:1024 operator erin
  refused_login erin "the certificate's key has 1024 bits"
}
no_username_field() {
  username=san-email reconfigured
  refused_login alice 'Could not find username field configured for certificate in trustpoint corp \(san-email\)'
  reconfigured
}

by_directory() {
  directory outside 192.0.2.254
  operator frank
  rm "$safe/users/frank.pem"
  directory_user outside frank "$work/pki/corp/frank.pem"
  certificates=$by_ldap reconfigured
  exits 0 login frank status
  key=carol refused_login carol 'no such entry'
  reconfigured
}

daemon_down() {
  stop a
  exits 3 login alice show crypto isakmp sa
  says 'not reachable|no daemon|control.sock'
  logged_line "Certificate is verified for user 'alice'"
  start a
}

no_list() {
  unserve web outside
  lists='' reconfigured
  stop a
  rm -r "$work/a/state/crls"
  start a
  refused_login alice 'CRL'
  web outside 192.0.2.254
  reconfigured
  eventually 20 test -s "$safe/login/crls.pem"
  exits 0 login alice status
}

# nextUpdate has gone by: while oakgated was down, so that it has no better one
stale_list() {
  crl_from='2 days ago' crl_until='1 day ago' crl corp
  publish corp
  stop a
  rm -r "$work/a/state/crls" "$safe/login/crls.pem"
  start a
  refused_login alice 'stale'
  crl corp
  publish corp
  exits 0 og a pki crl request corp
  exits 0 login alice status
}

revoked() {
  exits 0 login bob status
  revoke corp bob
  crl_from='1 minute ago' crl corp
  publish corp
  exits 0 og a pki crl request corp
  refused_login bob 'revoked'
}

# What was typed by then is not taken for a line.
idle_session_ends() {
  idle=10s reconfigured
  : >"$work/syslogd/log"
  mkfifo "$work/typed"
  exec 8<>"$work/typed"
  printf 'status\ndown gw-b' >&8
  on_terminal alice <"$work/typed" >"$work/output"
  exec 8>&-
  rm "$work/typed"
  says '% Nothing was typed for 10 s: the session ends'
  logged_line 'User:alice .*logged command:\(idle time-out\)'
  logged_line 'User:alice .*logged command:\(session ends\)'
  not grep -q 'command:down' "$work/syslogd/log"
  reconfigured
}

copy() { at gw-a timeout 30 "$1" "${client[@]}" -P 2022 -i "$work/ssh/alice" "${@:2}" 2>&1; }
running_says() { og a show running-config | grep "$1" >/dev/null; }
copied_checked_applied_undone() {
  sed 's/198.51.100.2/198.51.100.77/' "$work/a/oakgate.yaml" >"$work/new.yaml"
  exits 0 copy scp "$work/new.yaml" alice@127.0.0.1:incoming/new.yaml
  exits 0 login alice check new.yaml
  says 'new.yaml: valid, 1 peer'
  exits 0 login alice diff new.yaml
  says '\+ peers.gw-b.address: 198.51.100.77'
  exits 0 login alice reload new.yaml --confirm 5
  running_says 198.51.100.77
  not grep -q 198.51.100.77 "$work/a/oakgate.yaml"
  eventually 15 not running_says 198.51.100.77
  logged a 'nobody has confirmed the reload'
  exits 0 login alice reload new.yaml --confirm 60
  exits 0 login alice confirm
  running_says 198.51.100.77
  cmp "$work/new.yaml" "$work/a/oakgate.yaml"
}
broken_and_hostile_files() {
  echo 'peers: {b: {address: nonsense}}' >"$work/bad.yaml"
  exits 0 copy scp "$work/bad.yaml" alice@127.0.0.1:incoming/
  exits 4 login alice check bad.yaml
  says 'bad.yaml:1'
  exits 4 login alice reload bad.yaml
  running_says 198.51.100.77
  ln -s /etc/shadow "$safe/files/incoming/link"
  exits 4 login alice check link
  mkfifo "$safe/files/incoming/fifo"
  exits 4 login alice check fifo
  exits 5 login alice check missing.yaml
  exits 2 login alice check ../running-config.yaml
}
fetched_and_never_secrets() {
  exits 0 copy scp alice@127.0.0.1:running-config.yaml "$work/fetched.yaml"
  grep -q 198.51.100.77 "$work/fetched.yaml"
  printf 'ls -la\nls -l certificates\nget certificates/corp.pem %s\n' "$work/corp.pem" >"$work/batch"
  exits 0 copy sftp -b "$work/batch" alice@127.0.0.1
  says 'corp-ca.pem'
  cmp <(openssl x509 -in "$work/corp.pem" -outform DER) <(openssl x509 -in "$work/a/gw-a.pem" -outform DER)
  not grep -rlE 'PRIVATE KEY|pre-shared key that is long' "$safe/files" "$safe/login"
  # what is not there cannot be asked for, nor written over
  exits 255 copy scp alice@127.0.0.1:/etc/passwd "$work/passwd" || exits 1 copy scp alice@127.0.0.1:/etc/passwd "$work/passwd"
  exits 255 copy scp "$work/new.yaml" alice@127.0.0.1:running-config.yaml ||
    exits 1 copy scp "$work/new.yaml" alice@127.0.0.1:running-config.yaml
}

run prepared prepared
run good_certificate good_certificate
run lands_in_the_shell lands_in_the_shell
run look_only look_only
run wrong_user wrong_user
run no_certificate no_certificate
run expired expired
run wrong_ca wrong_ca
run another_key another_key
run short_key short_key
run no_username_field no_username_field
run by_directory by_directory
run daemon_down daemon_down
run no_list no_list
run stale_list stale_list
run revoked revoked
run idle_session_ends idle_session_ends
run copied_checked_applied_undone copied_checked_applied_undone
run broken_and_hostile_files broken_and_hostile_files
run fetched_and_never_secrets fetched_and_never_secrets
stop_all
finish
