#!/bin/bash
# Two gateways that prove themselves by signatures and certificates: RSA and ECDSA, each kind of identity, chains, CRLs in
# files, when certificates are sent, address translation.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#                       ‖
#                      gw-c -- lan-c           two peers behind one address
# planes: software
# planes when long: kernel
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
topology a b c
ca corp
certified a b c
crl corp
cp "$work/pki/corp/crl.pem" "$work/a/corp.crl"
cp "$work/pki/corp/crl.der" "$work/b/corp.crl"

# comes_up: gw-a calls gw-b, both configured
comes_up() {
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
}

with_a_crl_file() {
  local revocation=crl trust_keys="    crl: {files: [corp.crl]}"
  by_certificate a b
  by_certificate b a
  capture wire outside to-a
  comes_up
  captured wire
  only_protected wire 10
  logged a "certificate of $(outer b) verified: CN=gw-b,O=example, issued by CN=corp,O=example"
  logged b "certificate of $(outer a) verified: CN=gw-a"
  has a '.peers[0].isakmp_sa.policy | contains("rsa-sig")'
  exits 0 og a show crypto isakmp sa
  says 'QM_IDLE'
  exits 0 og b down gw-a
  exits 0 og b up gw-a
  pings_both_ways a b
}

# The peers trust the root alone; the intermediate comes with the certificate.
chain() {
  local self by=east
  ca east corp
  certified a b
  for self in a b; do
    cat "$work/pki/east/ca.pem" >>"$work/$self/gw-$self.pem"
    cp "$work/pki/corp/ca.pem" "$work/$self/ca.pem"
  done
  by_certificate a b
  by_certificate b a
  comes_up
  logged a 'verified: CN=gw-b,O=example, issued by CN=east,O=example'
}

# identified IDENTITY-OF-A [WHAT-B-DEMANDS]; gw-b is known by its address
identified() {
  certified a b
  gateway_keys="  identity: \"$1\"" by_certificate a b
  peer_keys="    identity: \"${2:-$1}\"" by_certificate b a
  comes_up
}
user_name() {
  local san=email:gw-a@example.net,IP:198.51.100.2
  identified user-fqdn:gw-a@example.net
}
whole_subject() {
  local subject=/C=us/O=cisco/OU=sjvpn/CN=gw-a
  identified "dn:CN=gw-a,OU=sjvpn,O=cisco,C=us"
  has b '.peers[0].isakmp_sa.remote_identity | contains("gw-a")'
}
any_subject() { identified dn; }
# IOS certificates of old: the name in the subject, none in subjectAltName
unstructured_name() {
  san='' subject=/unstructuredName=gw-a.example.net issue corp gw-a
  give corp gw-a a
  gateway_keys="  identity: hostname:gw-a.example.net" by_certificate a b
  peer_keys="    identity: hostname:gw-a.example.net" by_certificate b a
  comes_up
}

# As IOS does: an address that the certificate does not hold becomes its host name.
address_not_in_certificate() {
  san=DNS:gw-a.example.net issue corp gw-a
  give corp gw-a a
  by_certificate a b
  peer_keys="    identity: hostname:gw-a.example.net" by_certificate b a
  comes_up
  logged a "My ID configured as .*$(outer a).* not in Cert! Using .*gw-a.example.net as My ID"
}

always() {
  local peer_keys="    send_certificate: always"
  by_certificate a b
  by_certificate b a
  comes_up
}
never() {
  by_certificate a b
  peer_keys="    send_certificate: never" by_certificate b a
  start a b
  exits 1 og a up gw-b
  error_is a gw-b no-certificate
}

# CURVE HASH GROUP
ecdsa() {
  local key=ec:$1 policy="10: {encryption: aes-256, hash: $2, group: $3, authentication: ecdsa-sig}"
  certified a b
  by_certificate a b
  by_certificate b a
  comes_up
  has a '.peers[0].isakmp_sa.policy | contains("ecdsa-sig")'
}

# gw-b and gw-c both come from the router's address: who they prove to be tells them apart.
behind_one_address() {
  local peer_address_b=192.0.2.254 peer_address_c=192.0.2.254
  local peer_keys_b="    identity: hostname:gw-b.example.net" peer_keys_c="    identity: hostname:gw-c.example.net"
  by_certificate a b c
  gateway_keys="  identity: hostname:gw-b.example.net" by_certificate b a
  gateway_keys="  identity: hostname:gw-c.example.net" by_certificate c a
  start a b c
  masquerade a
  exits 0 og c up gw-a
  exits 0 og b up gw-a
  await_up a gw-c/lan
  await_up a gw-b/lan
  pings_both_ways a b
  pings_both_ways a c
  pings b a
}

# What a case changed is as it was.
after_case() {
  at outside nft list table ip hide >/dev/null 2>&1 && no_masquerade
  restore
}
restore() {
  local self
  for self in a b; do cp "$work/kept/$self/"* "$work/$self/"; done
}
for self in a b; do
  mkdir -p "$work/kept/$self"
  cp -p "$work/$self/"*.pem "$work/$self/"*.key "$work/kept/$self/"
done

run "RSA signatures, a CRL in a file" with_a_crl_file
run "a chain with an intermediate" chain
run "identity: host name" identified hostname:gw-a.example.net
run "identity: user name" user_name
run "identity: distinguished name" whole_subject
run "identity: the subject, whatever it is" any_subject
run "identity: host name in unstructuredName" unstructured_name
run "the address is not in the certificate" address_not_in_certificate
run "send_certificate: always" always
run "send_certificate: never" never
run "ECDSA with P-256" ecdsa P-256 sha256 19
run "ECDSA with P-384" ecdsa P-384 sha384 20
run "two peers behind one address, told apart by identity" behind_one_address
finish
