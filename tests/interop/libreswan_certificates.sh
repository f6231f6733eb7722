#!/bin/bash
# libreswan 4.10 as the peer, in both roles, by RSA signatures: certificates out of an NSS database, CRLs, a
# revoked peer, the kernel's ESP in a virtual machine.
#
#   lan-a -- gw-a (oakgate) == outside (192.0.2.254: nginx) == gw-b (libreswan) -- lan-b
#
# planes: kernel
# time limit: 400 s
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
# shellcheck source=tests/lib/libreswan.sh
. "$(dirname "$0")/../lib/libreswan.sh"
topology a b
ca corp
crl corp
publish corp
web outside 192.0.2.254
cdp=URI:http://192.0.2.254/corp.crl
certified a b

# $libre_ke..., by_certificate's variables change what is configured
both_start() {
  libre_by_certificate b a
  revocation=crl by_certificate a b
  libre_start b
  start a
}
we_initiate() {
  exits 0 og a up gw-b
  eventually 20 libre_up b
  pings_both_ways a b
}
they_initiate() {
  libre b up lan || complain "libreswan: $(tail -3 "$work/output" | tr '\n' ' ')"
  await_up a gw-b/lan
  pings_both_ways a b
}
# one_way, then other_way, with the same gateways: what crosses meanwhile is captured
one_way() {
  capture wire outside to-a
  we_initiate
}
other_way() {
  exits 0 og a down gw-b
  eventually 20 not libre_up b
  they_initiate
  captured wire
  # lists are fetched, and certificates come in fragments: other things cross too, but nothing of the LANs
  no_plaintext wire
  [ "$(count wire "$esp_packets")" -ge 20 ]
}
both_ways() { one_way && other_way; }

addresses() {
  both_start
  one_way
  fetched outside corp.crl
  logged a 'certificate of .* verified: CN=gw-b'
  libre_logged b 'authenticated peer .*RSA with SHA1.* signature'
}
host_names() {
  local gateway_keys="  identity: hostname:gw-a.example.net" peer_keys="    identity: hostname:gw-b.example.net"
  local libre_id=@gw-b.example.net libre_peer_id=@gw-a.example.net
  both_start
  both_ways
}
subjects() {
  local gateway_keys="  identity: dn" peer_keys='    identity: "dn:CN=gw-b,O=example"'
  local libre_id=%fromcert libre_peer_id='"O=example, CN=gw-a"'
  both_start
  both_ways
}
# We get the authority between in a CERT payload; they have it in their database.
intermediate() {
  local by=east
  ca east corp
  crl east
  publish east
  cdp=URI:http://192.0.2.254/east.crl certified a b
  cat "$work/pki/east/ca.pem" >>"$work/a/gw-a.pem"
  cat "$work/pki/east/ca.pem" >>"$work/b/gw-b.pem"
  cp "$work/pki/corp/ca.pem" "$work/a/ca.pem"
  local libre_keys="rightca=%same
	sendca=issuer"
  both_start
  both_ways
}

# revoke_one GATEWAY: both ends know
revoke_one() {
  certified a b
  revoke corp "gw-$1"
  crl corp
  publish corp
  rm -rf "$work/a/state"
  local libre_setup="crl-strict=yes" libre_crls=corp libre_keys="rightca=%same
	retransmit-timeout=6s"
  both_start
}
they_are_revoked() {
  revoke_one b
  exits 1 og a up gw-b
  error_is a gw-b certificate-revoked
  not libre b up lan
  not up a gw-b/lan
  not libre_up b
}
we_are_revoked() {
  revoke_one a
  background og a up gw-b >/dev/null 2>&1
  eventually 30 libre_logged b 'revoked'
  not libre b up lan
  not up a gw-b/lan
  not libre_up b
}

# rows of build/interop.md
algorithms="aes-256 sha256 group 14; esp-aes-256 esp-sha256-hmac"
keep_running=yes run "we initiate, rsa-sig, $algorithms" addresses
# here they ask for our certificate in message 5 only, which comes with theirs
run "they initiate, rsa-sig, $algorithms" other_way
run "RSA signatures, host names" host_names
run "RSA signatures, distinguished names" subjects
run "RSA signatures, an intermediate" intermediate
run "they are revoked" they_are_revoked
run "we are revoked" we_are_revoked
finish
