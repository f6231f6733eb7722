#!/bin/bash
# A certificate that must not be believed is refused with one clear message, in the exit status of `oakgate up`, in
# last_error, in the log, and the tunnel to another gateway, by certificates too, goes on.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b      gw-b's certificate, or gw-a's list, is what is wrong
#                       ‖
#                      gw-c -- lan-c               all is well here
# time limit: 300 s
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
# shellcheck source=tests/lib/refused.sh
. "$(dirname "$0")/../lib/refused.sh"
topology a b c
ca corp
certified a c
# shellcheck disable=SC2034  # for good_tunnel_up
configure=by_certificate

# gw_b_refused CODE PATTERN: gw-b is configured, and has what it shows
gw_b_refused() {
  by_certificate b a
  good_tunnel_up
  start b
  refused "$1" "$2"
}
bad_certificate() {
  certified b
  cp "$work/pki/corp/ca.pem" "$work/b/ca.pem"
  gw_b_refused "$@"
}

wrong_issuer() {
  local by=others
  [ -d "$work/pki/others" ] || ca others
  bad_certificate certificate-invalid 'issue[dr]'
}
# The same name, another key.
forged_issuer() {
  local by=forged
  subject=/O=example/CN=corp ca forged
  bad_certificate certificate-invalid 'signature|issue[dr]'
}
# ours_is PATTERN: gw-b knows it of its own certificate, and does not even try
ours_is() {
  certified b
  by_certificate b a
  good_tunnel_up
  start b
  exits 1 og b up gw-a
  error_is b gw-a no-certificate
  logged b "gw-a.*$1"
  good_tunnel_untouched
}
expired() { from="30 days ago" until="2 days ago" ours_is 'expired'; }
not_yet_valid() { from="2 days" until="30 days" ours_is 'not yet valid|valid from'; }
# intermediate CODE PATTERN: of the CA between, as $from and $until say; its holder does not look at that
intermediate() {
  rm -rf "$work/pki/between"
  ca between corp
  from='' until='' by=between certified b
  cat "$work/pki/between/ca.pem" >>"$work/b/gw-b.pem"
  cp "$work/pki/corp/ca.pem" "$work/b/ca.pem"
  from='' until='' gw_b_refused "$1" "$2"
}
authority_expired() { from="30 days ago" until="2 days ago" intermediate certificate-expired 'expired'; }
authority_not_yet_valid() { from="2 days" until="30 days" intermediate certificate-not-yet-valid 'not yet valid|clock'; }
identity_not_in_it() {
  san=IP:192.0.2.77,DNS:someone.example.net bad_certificate identity-mismatch 'IKMP_NO_ID_CERT_ADDR_MATCH|identity'
}
# No prefix, no suffix, no part of a name is the name.
similar_host_name() {
  san=DNS:gw-b.example.net.evil.example.net,IP:192.0.2.77 certified b
  gateway_keys="  identity: hostname:gw-b.example.net" by_certificate b a
  peer_keys_b="    identity: hostname:gw-b.example.net" good_tunnel_up
  start b
  refused identity-mismatch gw-b.example.net
}
for_servers_only() { eku=serverAuth bad_certificate certificate-invalid 'purposes'; }
for_encryption_only() { usage=keyEncipherment bad_certificate certificate-invalid 'signatures'; }
small_key() {
  local key=rsa:1024
  certified b
  trust_keys="    allow_weak: {algorithms: [rsa-1024], reason: \"it is tried\"}" by_certificate b a
  good_tunnel_up
  start b
  refused key-too-small '1024 bits'
}
# DIGEST WORD
old_digest() {
  local digest=$1
  certified b
  trust_keys="    allow_weak: {algorithms: [$2], reason: \"it is tried\"}" by_certificate b a
  good_tunnel_up
  start b
  refused certificate-invalid "signed with $1"
}
# What an old CA makes comes up where its trustpoint has a waiver.
with_a_waiver() {
  local trust_keys='    allow_weak: {algorithms: [md5, rsa-1024], reason: "it is tried"}'
  key=rsa:1024 digest=md5 certified b
  by_certificate b a
  by_certificate a b
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
}
waiver_expired() {
  digest=sha1 certified b
  trust_keys='    allow_weak: {algorithms: [sha], reason: "it is tried"}' by_certificate b a
  trust_keys='    allow_weak: {algorithms: [sha], until: 2020-01-01, reason: "it was tried"}' good_tunnel_up
  start b
  refused weak-waiver-expired 'expired'
}

# Said at once, and nothing is sent.
none_of_ours() {
  certified b
  by_certificate b a
  good_tunnel_up
  stop a
  mv "$work/a/gw-a.pem" "$work/a/away.pem"
  start a b
  exits 1 og a up gw-b
  error_is a gw-b no-certificate
  logged a "gw-b.*no.certificate"
  # it is there: a reload finds it
  mv "$work/a/away.pem" "$work/a/gw-a.pem"
  kill -HUP "$(cat "$work/a/pid")"
  eventually 10 og a up gw-b
  pings_both_ways a b
}
none_of_theirs() {
  certified b
  peer_keys="    send_certificate: never" by_certificate b a
  good_tunnel_up
  start b
  refused no-certificate 'certificate'
}
certificate_of_another_key() {
  certified b
  cp "$work/pki/corp/gw-c.key" "$work/b/gw-b.key"
  by_certificate b a
  launch b
  eventually 20 answers_or_gone b
  logged b 'gw-b.pem.*key'
}

# A peer whose certificate is good and whose signature is another key's. oakgated loads no such pair (above), so a bare
# end of Main Mode stands in for gw-b. bare_end ROLE KEY...: what it says in the end is in $work/bare
bare_end() {
  local role=$1
  shift
  openssl x509 -in "$work/pki/corp/gw-b.pem" -outform DER -out "$work/b/gw-b.der"
  background at_exec gw-b python3 "$top/tests/lib/main_mode.py" "$role" "$(outer b)" "$(outer a)" "$work/b/gw-b.der" "$@" \
    >"$work/bare" 2>"$work/b/log"
  eventually 10 grep -q ready "$work/bare"
}
wrong_signature_from_initiator() {
  certified b
  good_tunnel_up
  bare_end initiate "$work/pki/corp/gw-c.key"
  eventually 30 grep -q refused "$work/bare"
  error_is a gw-b signature-invalid
  logged a 'gw-b.*signature-invalid'
  not up a gw-b/lan
  good_tunnel_untouched
}
# Anybody may have sent the first: the one that follows in the same negotiation is still looked at.
good_signature_from_initiator() {
  certified b
  good_tunnel_up
  bare_end initiate "$work/pki/corp/gw-c.key" "$work/pki/corp/gw-b.key"
  eventually 30 grep -q established "$work/bare"
  logged a 'gw-b.*signature-invalid'
  logged a 'gw-b.*SA has been authenticated'
  good_tunnel_untouched
}
# The initiator goes on waiting for the genuine message, and says why meanwhile. KEY...
as_responder() {
  certified b
  good_tunnel_up
  bare_end respond "$@"
  background og a up gw-b >/dev/null 2>&1
  eventually 30 logged a 'gw-b.*signature-invalid'
}
wrong_signature_from_responder() {
  as_responder "$work/pki/corp/gw-c.key"
  error_is a gw-b signature-invalid
  eventually 30 grep -q refused "$work/bare"
  not up a gw-b/lan
  good_tunnel_untouched
}
good_signature_from_responder() {
  as_responder "$work/pki/corp/gw-c.key" "$work/pki/corp/gw-b.key"
  eventually 30 grep -q established "$work/bare"
  logged a 'gw-b.*SA has been authenticated'
  good_tunnel_untouched
}

# CRLs in files
revoked() {
  certified b
  revoke corp gw-b
  crl corp
  cp "$work/pki/corp/crl.pem" "$work/a/corp.crl"
  cp "$work/pki/corp/crl.pem" "$work/c/corp.crl"
  by_certificate b a
  revocation=crl trust_keys="    crl: {files: [corp.crl]}" good_tunnel_up
  start b
  refused certificate-revoked 'revoked'
}
# A list of the past: what it knows is not enough, and gw-c is refused too, later; its tunnel is up under another list.
list() {
  local code=$1 pattern=$2
  certified b
  [ ! -e "$work/pki/corp/crl.pem" ] || cp "$work/pki/corp/crl.pem" "$work/a/corp.crl"
  by_certificate b a
  revocation=crl trust_keys="    crl: {files: [corp.crl]}" by_certificate a b
  start a b
  exits 1 og a up gw-b
  error_is a gw-b "$code"
  logged a "gw-b.*$pattern"
}
stale_list() { crl_from="9 days ago" crl_until="2 days ago" crl corp; list crl-invalid 'CRL of "CN=corp,O=example" is stale'; }
list_of_the_future() { crl_from="2 days" crl_until="9 days" crl corp; list crl-invalid 'New CRL Not Yet Valid'; }
no_list() { rm -f "$work/pki/corp/crl.pem" "$work/a/corp.crl"; list crl-unavailable 'there is no CRL of "CN=corp,O=example"'; }
list_of_another() {
  [ -d "$work/pki/others" ] || ca others
  crl others
  cp "$work/pki/others/crl.pem" "$work/pki/corp/crl.pem"
  list crl-unavailable 'there is no CRL of "CN=corp,O=example"'
}
no_list_but_optional() {
  certified b
  rm -f "$work/a/corp.crl"
  by_certificate b a
  revocation=crl-optional by_certificate a b
  start a b
  exits 0 og a up gw-b
  pings_both_ways a b
}

run "another issuer" wrong_issuer
run "an issuer of the same name" forged_issuer
run "ours has expired" expired
run "ours is not yet valid" not_yet_valid
run "their authority's has expired" authority_expired
run "their authority's is not yet valid" authority_not_yet_valid
run "the identity is not in it" identity_not_in_it
run "a host name that is similar" similar_host_name
run "for TLS servers only" for_servers_only
run "for encryption only" for_encryption_only
run "a key of 1024 bits without a waiver" small_key
run "signed with SHA-1 without a waiver" old_digest sha1 sha
run "signed with MD5 without a waiver" old_digest md5 md5
run "MD5 and 1024 bits with a waiver" with_a_waiver
run "SHA-1 with a waiver that has ended" waiver_expired
run "no certificate of ours, until there is one" none_of_ours
run "no certificate of theirs" none_of_theirs
run "a certificate of ours that is not its key's" certificate_of_another_key
run "a signature that another key made, from an initiator" wrong_signature_from_initiator
run "a signature that another key made, then the right one, from an initiator" good_signature_from_initiator
run "a signature that another key made, from a responder" wrong_signature_from_responder
run "a signature that another key made, then the right one, from a responder" good_signature_from_responder
run "revoked" revoked
run "a list that is too old" stale_list
run "a list of the future" list_of_the_future
run "no list" no_list
run "another issuer's list" list_of_another
run "no list, and none is needed" no_list_but_optional
finish
