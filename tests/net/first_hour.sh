#!/bin/bash
# The first hour of a new user: a PIX's running configuration becomes ours, what the import lists is mended, the tunnel to the
# router that has always been its peer comes up, is lost by a change there, is explained, and comes up again. Both devices'
# configurations are those of Cisco's document (tests/conf/cisco). The README tells the same in "The first hour":
# FIRST_HOUR=FILE writes down every command of the user with its output.
#
#   lan-a 192.168.4.10 -- gw-a 172.16.172.34 (the PIX) == 172.16.172.39 gw-b (the 1720 router) -- lan-b 1.1.1.10
# planes: software
# time limit: 90 s
# shellcheck disable=SC2034  # much is for pki.sh
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"

[ "$(id -u)" = 0 ] || { echo "not ok topology: needs root"; exit 1; }
namespace gw-a && namespace gw-b && namespace lan-a && namespace lan-b && link gw-a wan gw-b wan &&
  link gw-a lan lan-a eth && link gw-b lan lan-b eth || { echo "not ok topology: cannot make it"; exit 1; }
address gw-a wan 172.16.172.34/28
address gw-b wan 172.16.172.39/28
address gw-a lan 192.168.4.50/24
address gw-b lan 1.1.1.1/24
address lan-a eth 192.168.4.10/24
address lan-b eth 1.1.1.10/24
ip -n "$ns-lan-a" route add default via 192.168.4.50
ip -n "$ns-lan-b" route add default via 1.1.1.1
mkdir -p "$work/a" "$work/b"
chmod 711 "$work/a" "$work/b"
ca corp
crl corp
cisco=$top/tests/conf/cisco
keep_running=yes # each case goes on where the one before it ended
: >"${FIRST_HOUR:=$work/transcript}"

# user STATUS WORDS...: `oakgate WORDS` as the user types it, on gw-a, beside the configuration
user() {
  local expected=$1 status=0
  shift
  echo "\$ oakgate $*" >>"$FIRST_HOUR"
  (cd "$work/a" && OAKGATE_SOCKET=$work/a/control.sock at gw-a timeout 60 "$oakgate" "$@") >"$work/output" 2>&1 || status=$?
  sed "s|$work/a/||g" "$work/output" >>"$FIRST_HOUR"
  echo >>"$FIRST_HOUR"
  [ "$status" = "$expected" ] || complain "exit status $status, not $expected: oakgate $* ($(tail -2 "$work/output" | tr '\n' ' '))"
}

# settle GATEWAY: what two daemons on one machine need, and one of a device does not say
settle() {
  sed -i "s|^gateway:|&\n  data_plane: $PLANE\n  control_socket: $work/$1/control.sock\n  state_dir: $work/$1/state|" "$work/$1/oakgate.yaml"
}

# certificate NAME TRUSTPOINT GATEWAY: what the CA gives out: a PKCS#12 file with key, certificate and CA, and the newest CRL
certificate() {
  issue corp "$1"
  (umask 077 && echo "from the CA" >"$work/$3/password")
  quietly openssl pkcs12 -export -inkey "$work/pki/corp/$1.key" -in "$work/pki/corp/$1.pem" -certfile "$work/pki/corp/ca.pem" \
    -passout "file:$work/$3/password" -out "$work/$3/$1.p12"
  cp "$work/pki/corp/crl.pem" "$work/$3/$2.crl"
}

imported() {
  cp "$cisco/pix520-1.txt" "$work/a/"
  user 0 import cisco pix520-1.txt --output .
  says 'trustpoint cisco: its private key stays in the device'
  says 'peer mymap-5: what name its certificate has is not in the file: set `identity`'
  says '1 peer, 1 tunnel, 2 lines not carried over or to be looked at'
  grep -q 'local: 192.168.4.0/24' "$work/a/oakgate.yaml"
}

# The two things that are listed: the key with its certificate, and the name of the peer. The CA of 2001 is gone, and its
# directory with it: the new one's list comes as a file.
mended() {
  subject=/O=example/CN=pix520-1 san=IP:172.16.172.34 certificate pix520-1 cisco a
  subject=/O=example/CN=1720-1 san=DNS:1720-1.cisco.com certificate 1720-1 vpn b
  user 0 pki import cisco pix520-1.p12 --password-file password --config oakgate.yaml
  sed -i 's|^    address: 172.16.172.39|&\n    identity: "hostname:1720-1.cisco.com"|
    s|crl: {ldap: .*|crl: {files: [cisco.crl]}|' "$work/a/oakgate.yaml"
  settle a
  user 0 check oakgate.yaml
  says 'oakgate.yaml: valid, 1 peer'
  user 0 pki show certificates --config oakgate.yaml
  says 'Status: Available'
}

# Its configuration is imported likewise; the certificates in it ended in 2003, those of the CA that is gone give way.
peer_ready() {
  exits 0 "$oakgate" import cisco "$cisco/1720-1.txt" --output "$work/b"
  settle b
  sed -i 's|crl: {ldap: .*|crl: {files: [vpn.crl]}|' "$work/b/oakgate.yaml"
  exits 0 "$oakgate" pki import vpn "$work/pki/corp/ca.pem" --config "$work/b/oakgate.yaml" --force
  exits 0 "$oakgate" pki import vpn "$work/b/1720-1.p12" --password-file "$work/b/password" --config "$work/b/oakgate.yaml"
  exits 0 "$oakgate" check "$work/b/oakgate.yaml"
  start b
}

tunnel_comes_up() {
  start a
  user 0 status
  says 'pix520-1: 0 of 1 tunnel up'
  target=1.1.1.10 pings a b
  eventually 5 has a '.peers[0].tunnels[0].sas | (map(.bytes_in) | add) > 0 and (map(.bytes_out) | add) > 0'
  user 0 status
  says 'pix520-1: 1 of 1 tunnel up'
  says 'des md5 group1 rsa-sig, initiator, we rekey in'
  says '192\.168\.4\.0/24 === 1\.1\.1\.0/24'
}

# Somebody at the router thinks better of MD5, and tells nobody.
peer_breaks() {
  sed -i 's/hash: md5/hash: sha/' "$work/b/oakgate.yaml"
  exits 0 og b reload
  exits 0 og b down vpn-10
  background og b up vpn-10 >/dev/null 2>&1
  eventually 10 has a '.peers[0].last_error.code == "no-proposal-chosen"'
  user 0 status
  says 'pix520-1: 0 of 1 tunnel up'
  says 'last error: no-proposal-chosen: .* the peer offers des sha group1 rsa-sig'
  user 0 explain mymap-5
  says 'hash is sha there and md5 here'
  says 'hash +sha +md5 +differs'
  says 'To mend it here:'
  grep -A 2 'at the device, IOS' "$work/output" | grep -qx '     hash md5' || complain "not the line that mends it at the router"
}

mended_again() {
  sed -i 's/hash: sha/hash: md5/' "$work/b/oakgate.yaml"
  exits 0 og b reload
  user 0 up mymap-5/acl-130
  says 'mymap-5/acl-130: up'
  target=1.1.1.10 pings a b
  target=192.168.4.10 pings b a
  eventually 5 reads_as_ios a
  eventually 5 reads_as_ios b
  user 0 status
}

# Line by line what the README says was typed and printed; times and numbers apart.
without_numbers() { sed -E 's/last failure at .*/last failure/; s/we rekey in .*/we rekey/; s/[0-9]+/N/g'; }
readme_tells_the_same() {
  sed -n '/^## The first hour/,/^## The code/s/^    //p' "$top/README.md" | grep -v '^\.\.\.$' | without_numbers >"$work/told"
  [ "$(grep -c '^\$ oakgate' "$work/told")" -ge 5 ] || complain "the README does not tell of the first hour"
  without_numbers <"$FIRST_HOUR" >"$work/seen"
  ! grep -vxFf "$work/seen" "$work/told" >"$work/output" || complain "in the README, not seen here: $(head -1 "$work/output")"
}

run "the PIX's running configuration is imported" imported
run "what is listed is mended, the check is content" mended
run "the router, imported likewise, runs" peer_ready
run "the tunnel comes up with the first packet" tunnel_comes_up
run "the router changes its policy: explain names it" peer_breaks
run "mended, the tunnel is up" mended_again
run "the README tells the same" readme_tells_the_same
keep_running=''
stop_all
finish
