#!/bin/bash
# Certificate revocation lists over HTTP and LDAP, OCSP: fetched, kept through a restart, missed; and a peer that is revoked
# while its tunnel is up.
#
#   lan-a -- gw-a == outside (192.0.2.254: nginx, slapd, OCSP responder, tarpit) == gw-b -- lan-b
#                       ‖
#                      gw-c -- lan-c
# planes: software
# planes when long: kernel
# time limit: 300 s
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
topology a b c
ca corp
crl corp
publish corp
web outside 192.0.2.254
certified a b c
server=http://192.0.2.254

# gw-a checks gw-b: by the lines given; gw-b checks nothing
both() {
  revocation=${check:-crl} trust_keys=$1 by_certificate a b
  by_certificate b a
  start a b
}
come_up() {
  exits 0 og a up gw-b
  pings_both_ways a b
}

# Nobody configured where lists are: the certificate says it.
distribution_point() {
  cdp=URI:$server/corp.crl certified b
  : >"$work/web-outside.requests"
  both ""
  come_up
  fetched outside corp.crl
  has_list "$server/corp.crl"
  # the list is there: nothing is fetched for the next exchange
  exits 0 og a down gw-b
  come_up
  not fetched outside corp.crl 2
}
has_list() {
  exits 0 og a pki show crls --config "$work/a/oakgate.yaml"
  says "$1"
}

# The state folder holds it: the server may be away when the daemon starts again.
kept_through_a_restart() {
  both "    crl: {urls: [$server/corp.crl]}"
  come_up
  stop a
  unserve web outside
  start a
  exits 0 og a up gw-b
  pings_both_ways a b
  web outside 192.0.2.254
}

by_ldap_name() {
  cdp=dn certified b
  directory outside 192.0.2.254
  directory_crl outside corp
  both "    crl: {ldap: \"ldap://192.0.2.254\"}"
  come_up
  has_list 'ldap://192.0.2.254'
  unserve directory outside
}
by_ldap_url() {
  certified b
  directory outside 192.0.2.254
  directory_crl outside corp
  both "    crl: {urls: [\"ldap://192.0.2.254/cn=CRL1,ou=sjvpn,o=cisco,c=us?certificateRevocationList;binary\"]}"
  come_up
  unserve directory outside
}

by_ocsp() {
  certified b
  responder outside corp
  both "    ocsp: {urls: [\"$server:2560\"]}"
  come_up
  unserve responder outside
  stop_all
  revoke corp gw-b
  responder outside corp
  both "    ocsp: {urls: [\"$server:2560\"]}"
  exits 1 og a up gw-b
  error_is a gw-b certificate-revoked
  unserve responder outside
}

# Nothing but OCSP, asked again by a reload as it is before an answer ends: the tunnel that is up goes down.
revoked_by_ocsp_while_up() {
  certified b
  responder outside corp
  both "    ocsp: {urls: [\"$server:2560\"]}"
  come_up
  unserve responder outside
  revoke corp gw-b
  responder outside corp
  exits 0 og a reload
  eventually 10 state_is a gw-b/lan down
  logged a 'certificate of gw-b has been revoked'
  unserve responder outside
}

# A responder of its own may have been revoked: its CA says not to ask, or a list is there that says it was not.
appointed_responder() {
  certified b
  nocheck=yes eku=OCSPSigning issue corp for-life
  responder outside corp for-life
  both "    ocsp: {urls: [\"$server:2560\"]}"
  come_up
  unserve responder outside
  stop_all
  eku=OCSPSigning issue corp unchecked
  responder outside corp unchecked
  both "    ocsp: {urls: [\"$server:2560\"]}"
  exits 1 og a up gw-b
  error_is a gw-b crl-unavailable
  logged a 'nothing says whether the certificate of the OCSP responder "CN=unchecked,O=example" has been revoked'
  stop_all
  check=crl-optional both "    ocsp: {urls: [\"$server:2560\"]}"
  come_up
  unserve responder outside
}

# A server that answers with something else, or with nothing: not "good", unless that is enough.
no_such_file() {
  certified b
  both "    crl: {urls: [$server/none.crl]}"
  exits 1 og a up gw-b
  error_is a gw-b crl-unavailable
  logged a "gw-b.*none.crl"
}
server_down() {
  certified b
  both "    crl: {urls: [\"$server:8099/corp.crl\"]}"
  exits 1 og a up gw-b
  error_is a gw-b crl-unavailable
  logged a "gw-b.*8099/corp.crl: no connection"
}
no_such_file_but_optional() {
  certified b
  check=crl-optional both "    crl: {urls: [$server/none.crl]}"
  come_up
}
# gw-c is called while the look-up for gw-b hangs.
slow_server() {
  certified b
  tarpit outside 192.0.2.254 8080
  revocation=crl trust_keys="    crl: {urls: [$server:8080/corp.crl]}" peer_keys_c="" proof_c="trustpoint: calm" \
    more_sections="  calm: {ca: ca.pem, certificate: gw-a.pem, key: {file: gw-a.key}, revocation: none}" by_certificate a b c
  by_certificate b a
  by_certificate c a
  start a b c
  background og a up gw-b >"$work/a.up" 2>&1
  eventually 5 connected
  limit=10 exits 0 og a up gw-c
  pings_both_ways a c
  not up a gw-b/lan
  unserve tarpit outside
}
connected() { [ -n "$(at outside ss -Htn state established "sport = :8080")" ]; }

# The tunnel is up; the CA revokes; the list that says so takes it down, and it stays down.
revoked_while_up() {
  certified b
  tunnel="start: on-traffic" both "    crl: {urls: [$server/corp.crl]}"
  come_up
  revoke corp gw-b
  crl corp
  publish corp
  exits 0 og a reload
  eventually 10 state_is a gw-b/lan down
  logged a 'certificate of gw-b has been revoked'
  eventually 5 not up b gw-a/lan
  not one_ping a b
  exits 1 og a up gw-b
  error_is a gw-b certificate-revoked
  exits 1 og b up gw-a
  not up a gw-b/lan
}

after_case() { issue_again; }
# other cases begin with a certificate that is good
issue_again() { rm -rf "$work/a/state" "$work/b/state"; }

run "a list by the certificate's distribution point" distribution_point
run "a list outlives a restart and its server" kept_through_a_restart
run "a list by LDAP and a directory name" by_ldap_name
run "a list by an LDAP URL" by_ldap_url
run "OCSP, good and revoked" by_ocsp
run "OCSP: revoked while the tunnel is up" revoked_by_ocsp_while_up
run "OCSP: a responder that the CA appointed" appointed_responder
run "the list is not there" no_such_file
run "the server of the list is down" server_down
run "the list is not there, and need not be" no_such_file_but_optional
run "a server that never ends its answer" slow_server
run "revoked while the tunnel is up" revoked_while_up
finish
