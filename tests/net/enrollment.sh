#!/bin/bash
# SCEP against Debian's scepserver: the authority's certificate, requests granted at once, refused, pending over restarts of
# oakgated, given up, renewed; the server gone.
#
#   lan-a -- gw-a == outside (192.0.2.254: a front that decides late, scepserver behind it) == gw-b -- lan-b
# planes: software
# shellcheck disable=SC2034  # much is for config and scep.sh
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
# shellcheck source=tests/lib/scep.sh
. "$(dirname "$0")/../lib/scep.sh"
topology a b
ca corp
challenge=swordfish scep_options="-allowrenew 0" scep corp
(umask 077 && echo swordfish >"$work/a/password" && echo perch >"$work/a/wrong")
new_key "$work/a/gw-a.key"

authenticated() {
  enrolled a b
  exits 0 pki a authenticate --fingerprint "$(fingerprint corp)"
}

authenticates() {
  enrolled a b
  exits 2 pki a authenticate
  says 'Fingerprint MD5: [0-9A-F]{8} '
  says 'fingerprint HEX, or a terminal'
  exits 1 pki a authenticate --fingerprint 00112233445566778899AABBCCDDEEFF
  says 'another fingerprint'
  not test -e "$work/a/ca.pem"
  exits 0 pki a authenticate --fingerprint "$(fingerprint corp md5)" --json
  jq -e '.certificates[0].subject == "CN=corp,O=example"' "$work/output" >/dev/null
  cmp <(openssl x509 -in "$work/a/ca.pem") <(openssl x509 -in "$work/pki/corp/ca.pem")
}
# On a terminal a person is asked.
asks_a_person() {
  enrolled a b
  exits 1 script -qec "ip netns exec $ns-gw-a '$oakgate' pki authenticate corp --config '$work/a/oakgate.yaml'" \
    /dev/null <<<"no"
  says 'Do you accept this certificate\? \[yes/no\]'
  not test -e "$work/a/ca.pem"
  exits 0 script -qec "ip netns exec $ns-gw-a '$oakgate' pki authenticate corp --config '$work/a/oakgate.yaml'" \
    /dev/null <<<"yes"
  says 'Trustpoint CA certificate accepted'
}

granted_at_once() {
  approve
  authenticated
  exits 0 pki a enroll --fqdn gw-a.example.net --ip-address "$(outer a)" --password-file "$work/a/password"
  says '%CRYPTO-6-CERTRET: Certificate received from Certificate Authority'
  chains a
  openssl x509 -in "$work/a/gw-a.pem" -noout -text | grep 'DNS:gw-a.example.net, IP Address:192.0.2.1' >/dev/null
}
# Typed on a terminal, and not seen on it; never one of the command's words.
typed_password() {
  local pid shown=$work/typed typed=$work/typed.fifo
  approve
  authenticated
  mkfifo "$typed"
  script -qec "ip netns exec $ns-gw-a '$oakgate' pki enroll corp --fqdn typed.example.net --ask-password \
    --config '$work/a/oakgate.yaml'" /dev/null <"$typed" >"$shown" 2>&1 &
  pid=$!
  remember "$pid"
  exec 9>"$typed"
  eventually 15 grep -q 'Challenge password: ' "$shown"
  echo swordfish >&9
  wait "$pid"
  exec 9>&-
  rm "$typed"
  chains a
  not grep -q swordfish "$shown"
  exits 2 pki a enroll --ask-password --password-file "$work/a/password"
  exits 1 pki a enroll --fqdn typed.example.net --ask-password </dev/null
  says 'nobody can be asked'
}
refused() {
  approve
  authenticated
  exits 1 pki a enroll --fqdn other.example.net --password-file "$work/a/wrong"
  says 'refused the request: badRequest'
  not has_certificate a
  mv "$work/a/gw-a.key" "$work/a/away.key"
  exits 1 pki a enroll --fqdn other.example.net --password-file "$work/a/password"
  says 'oakgate pki generate-key'
  mv "$work/a/away.key" "$work/a/gw-a.key"
}
# The answers' DES needs its word.
weak() {
  approve
  authenticated
  sed -i 's/\[des\]/[md5]/' "$work/a/oakgate.yaml"
  exits 4 pki a enroll --fqdn weak.example.net --password-file "$work/a/password"
  says 'DES-CBC, which is weak and not allowed'
  not has_certificate a
}

pending() {
  hold
  : >"$work/scep.requests"
  authenticated
  start a
  exits 0 pki a enroll --fqdn pending.example.net --password-file "$work/a/password" --json
  jq -e '.requests[0].state == "pending" and .daemon_told' "$work/output" >/dev/null
  not grep -q swordfish "$work/a/state/scep/corp.json"
  eventually 15 requested 20 2
  stop a
  : >"$work/scep.requests"
  start a
  eventually 15 requested 20 2
  [ "$(scep_requests 19)" = 0 ]
  logged a 'status = 102: certificate request pending'
  not has_certificate a
  approve
  eventually 15 logged a 'CRYPTO-6-CERTRET.*pending.example.net'
  chains a
  not test -e "$work/a/state/scep/corp.json"
}
waits() {
  local pid
  hold
  : >"$work/scep.requests"
  authenticated
  pki a enroll --fqdn waits.example.net --password-file "$work/a/password" --wait >"$work/waits" 2>&1 &
  pid=$!
  eventually 15 requested 20 2
  approve
  wait "$pid"
  grep -q 'CRYPTO-6-CERTRET' "$work/waits"
  chains a
}
gives_up() {
  local retry_count=2
  hold
  authenticated
  start a
  exits 0 pki a enroll --fqdn gives-up.example.net --password-file "$work/a/password"
  eventually 20 logged a 'CRYPTO-6-CERTFAIL'
  not test -e "$work/a/state/scep/corp.json"
}
server_gone() {
  hold
  authenticated
  start a
  exits 0 pki a enroll --fqdn gone.example.net --password-file "$work/a/password"
  no_scep
  exits 1 pki a authenticate --fingerprint "$(fingerprint corp)" --json
  jq -e '.error.code == "fetch-failed"' "$work/output" >/dev/null
  eventually 15 logged a 'trustpoint corp: .*192.0.2.254'
  scep_options="-allowrenew 0" scep corp
  approve
  eventually 15 logged a 'CRYPTO-6-CERTRET.*gone.example.net'
}
renewed() {
  local before
  hold
  : >"$work/scep.requests"
  enrolled a b
  approve
  exits 0 pki a authenticate --fingerprint "$(fingerprint corp)"
  exits 0 pki a enroll --fqdn renewed.example.net
  before=$(serial_of a)
  exits 0 pki a enroll --renew
  [ "$(scep_requests 17)" = 1 ]
  [ "$before" != "$(serial_of a)" ]
  chains a
}

# The certificate that was pending proves gw-a to gw-b, whose own is the CA's too; scepserver writes TLS into all it issues.
tunnel() {
  local trust_keys="    extended_key_usage: any"
  hold
  : >"$work/scep.requests"
  certified b
  by_certificate b a
  authenticated
  start a b
  exits 1 og a up gw-b
  says 'certificate'
  exits 0 pki a enroll --fqdn gw-a.example.net --ip-address "$(outer a)"
  eventually 15 requested 20 1
  approve
  eventually 15 logged a 'CRYPTO-6-CERTRET'
  exits 0 og a up gw-b
  pings_both_ways a b
  logged b "certificate of $(outer a) verified: CN=gw-a.example.net, issued by CN=corp,O=example"
}

# Nothing says where CRLs are but the authority, by GetCRL: asked for a verdict, and when an operator wants it.
without_other_sources() {
  approve
  certified b
  trust_keys="    extended_key_usage: any" by_certificate b a
  revocation=crl more_trust="    extended_key_usage: any" enrolled a b
  exits 0 pki a authenticate --fingerprint "$(fingerprint corp)"
  exits 0 pki a enroll --fqdn gw-a.example.net --ip-address "$(outer a)" --password-file "$work/a/password"
  : >"$work/scep.requests"
  start a b
}
get_crl() {
  rm -f "$work/scep.crl"
  without_other_sources
  # as scepserver answers it
  exits 1 og a up gw-b
  error_is a gw-b crl-unavailable
  exits 1 og a pki crl request corp
  says "$scep_url"
  crl corp
  get_crl_gives corp
  exits 0 og a pki crl request corp
  exits 0 og a up gw-b
  pings_both_ways a b
  exits 0 og a pki show crls --config "$work/a/oakgate.yaml"
  says "$scep_url"
  revoke corp gw-b
  crl corp
  get_crl_gives corp
  exits 0 og a pki crl request corp
  eventually 10 logged a 'certificate of gw-b has been revoked'
  exits 1 og a up gw-b
  error_is a gw-b certificate-revoked
}
get_crl_for_a_verdict() {
  rm -rf "$work/a/state/crls"
  crl corp
  get_crl_gives corp
  without_other_sources
  exits 0 og a up gw-b
  [ "$(scep_requests 22)" = 1 ]
  # kept through a restart: nobody has to be asked
  stop a
  no_scep
  start a
  exits 0 og a up gw-b
  pings_both_ways a b
  scep_options="-allowrenew 0" scep corp
}

run authenticate_compares_fingerprints authenticates
run authenticate_asks_a_person asks_a_person
run granted_at_once granted_at_once
run the_password_is_typed typed_password
run refused_in_the_authoritys_words refused
run weak_answers_need_their_word weak
run pending_over_a_restart pending
run waits_for_what_is_pending waits
run gives_up_after_the_count gives_up
run server_gone_and_back server_gone
run tunnel_with_what_was_granted tunnel
run get_crl_on_demand get_crl
run get_crl_for_a_verdict get_crl_for_a_verdict
run renewed_with_the_old_certificate renewed
finish
