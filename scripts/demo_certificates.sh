# shellcheck shell=bash disable=SC2154  # read by scripts/demo
# `scripts/demo --certificates`: a router and a PIX with a certification authority between them: keys, SCEP, a CRL in an LDAP
# directory, host names as identities, a tunnel by RSA signatures, and the PIX's certificate revoked.
#
#   lan-a 10.1.0.10 -- gw-a 192.0.2.1 == outside 192.0.2.254 == 198.51.100.2 gw-b -- 10.2.0.10 lan-b
#                      1720-1.cisco.com   CA, directory          pix520-1.vpn.com
# shellcheck source=tests/lib/pki.sh
. "$top/tests/lib/pki.sh"
# shellcheck source=tests/lib/scep.sh
. "$top/tests/lib/scep.sh"
router=1720-1.cisco.com pix=pix520-1.vpn.com
server=$scep_address

# gateway SELF NAME PEER PEER-NAME
gateway() {
  cat >"$work/$1/oakgate.yaml" <<YAML
gateway:
  name: ${2%%.*}
  identity: hostname:$2
  control_socket: $work/$1/control.sock
  state_dir: $work/$1/state

isakmp_policies:
  10: {encryption: 3des, hash: sha, group: 2, authentication: rsa-sig, lifetime: 24h}

transform_sets:
  myset: [esp-3des, esp-sha-hmac]

trustpoints:
  vpn:
    ca: ca.pem                      # written by \`pki authenticate\`
    certificate: own.pem            # written by \`pki enroll\`
    key: {file: own.key}            # written by \`pki generate-key\`
    extended_key_usage: any         # this CA writes TLS into all it issues
    revocation: crl
    crl: {urls: ["ldap://$server/$crl_dn?certificateRevocationList;binary"]}
    enrollment: {url: "$scep_url", retry_period: 2s, retry_count: 20}
    allow_weak: {algorithms: [des], until: 2099-12-31, reason: "this SCEP server answers in DES"}

peers:
  ${4%%.*}:
    address: $(outer "$3")
    identity: hostname:$4
    trustpoint: vpn
    allow_weak: {algorithms: [3des, group2], until: 2099-12-31, reason: "what a PIX 520 can do"}
    tunnels:
      lan: {local: $(lan_net "$1"), remote: $(lan_net "$3"), transform_sets: [myset], start: on-traffic}
YAML
}
# typed SELF VERB...: oakgate pki, as typed on that gateway
typed() {
  OAKGATE_SOCKET=$work/$1/control.sock show "gw-$1" oakgate pki "${@:2}" --config "$work/$1/oakgate.yaml" | sed 's/^/   /'
  [ "${PIPESTATUS[0]}" = 0 ] || trouble "oakgate pki ${*:2} failed:"
}
oak() { OAKGATE_SOCKET=$work/$1/control.sock show "gw-$1" oakgate "${@:2}"; }

step "A router, a PIX, and between them a certification authority (SCEP) and its directory (LDAP)"
sed -n '5,6s/^# *//p' "$top/scripts/demo_certificates.sh" | sed 's/^/   /'
topology a b
subject=/C=us/O=cisco/OU=sjvpn ca vpn && scep vpn && crl vpn && directory outside $server && directory_crl outside vpn || trouble "no authority:"
gateway a $router b $pix
gateway b $pix a $router
say
say "The configuration of the router; the PIX's is its mirror:"
sed 's/^/   /' "$work/a/oakgate.yaml"

step "oakgated starts on both, without a key or certificate yet"
start a b || trouble "oakgated did not start:"
oak a

step "Keys, the authority's certificate and our own: the router"
fingerprint=$(fingerprint vpn)
typed a generate-key vpn
oak a show crypto key mypubkey rsa --config "$work/a/oakgate.yaml" | sed 's/^/   /'
say "The authority's administrator reads its fingerprint out: $fingerprint"
typed a authenticate vpn --fingerprint "$fingerprint"
hold
typed a enroll vpn --fqdn $router
eventually 10 requested 20 1 || trouble "oakgated does not ask again:"
say "The authority's administrator grants it, and oakgated fetches it:"
approve
eventually 15 logged a CRYPTO-6-CERTRET || trouble "no certificate came:"
grep -E 'CRYPTO' "$work/a/log" | sed 's/^[^ ]* [^ ]* */   /'

step "The same on the PIX"
typed b generate-key vpn
typed b authenticate vpn --fingerprint "$fingerprint"
typed b enroll vpn --fqdn $pix
oak b show crypto ca certificates --config "$work/b/oakgate.yaml" | sed 's/^/   /'

step "Traffic brings the tunnel up: host names as identities, RSA signatures, the CRL out of the directory"
capture wire outside to-a
at lan-b ping -nq -c 1 -W 1 "$(lan_host a)" >/dev/null 2>&1
await_up b ${router%%.*}/lan 20 || trouble "the tunnel did not come up:"
grep -E 'verified:|authenticated:|established:' "$work/a/log" | sed 's/^[^ ]* [^ ]* */   /'
oak a show crypto ca crls --config "$work/a/oakgate.yaml" | sed 's/^/   /'

step "Pings through the tunnel, both ways"
show lan-b ping -n -c 3 -i 0.3 "$(lan_host a)" || trouble "lan-b does not reach lan-a:"
show lan-a ping -n -c 3 -i 0.3 "$(lan_host b)" || trouble "lan-a does not reach lan-b:"

step "What the router knows of it"
oak a || trouble "no status:"
oak a show crypto isakmp sa
captured wire
only_protected wire 12 || trouble "plaintext crossed the outside:"
say
say "What crossed the outside:"
tcpdump -nr "$work/wire.pcap" "$esp_packets" 2>/dev/null | head -4 | sed 's/^/   /'
say "   $(count wire "$esp_packets") packets of ESP, $(count wire 'udp port 500 or udp port 4500') of IKE, none in plaintext"

step "The authority revokes the PIX's certificate, and its directory gets the new list"
serial=$(openssl x509 -in "$work/b/own.pem" -noout -serial | sed 's/.*=//')
cp "$work/b/own.pem" "$work/pki/vpn/pix.pem"
revoke vpn pix && crl vpn && directory_crl outside vpn || trouble "the authority did not:"
say "   serial number $serial: $(openssl crl -in "$work/pki/vpn/crl.pem" -noout -text | grep -A1 "Serial Number: $serial" | tail -1)"
say "A reload has oakgated fetch it now:"
oak a reload
eventually 10 state_is a ${pix%%.*}/lan down || trouble "the tunnel is still up:"
at lan-b ping -nq -c 2 -W 1 "$(lan_host a)" >/dev/null 2>&1 && trouble "traffic still passes:"
eventually 10 has a '.peers[0].last_error.code == "certificate-revoked"' || trouble "nothing is said of it:"
oak a

step "Cleaning up"
stop_all
cleanup 2>/dev/null
say "${green}The demo worked: keys, certificates, a tunnel by RSA signatures, and its end when one was revoked.${plain}"
