#!/bin/bash
# The configurations of Cisco's documents as gateways (tests/conf/cisco), and each mistake that those documents and Cisco's list
# of common causes name, made at the peer: `oakgate explain` names it, with the line that mends it here and the device's.
#
#   gw-a (the document's device) ====== gw-b (its peer: the mirror that `oakgate export cisco` prints, imported; its other
#                                             document where that has one)
# planes: software
# time limit: 240 s
# shellcheck disable=SC2034  # much is for pki.sh
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/pki.sh
. "$(dirname "$0")/../lib/pki.sh"
# shellcheck source=tests/lib/refused.sh
. "$(dirname "$0")/../lib/refused.sh"

[ "$(id -u)" = 0 ] || { echo "not ok topology: needs root"; exit 1; }
namespace gw-a && namespace gw-b && link gw-a wan gw-b wan || { echo "not ok topology: cannot make it"; exit 1; }
address gw-a wan 20.20.20.21/24 12.12.12.13/24 172.16.172.34/28
address gw-b wan 20.20.20.20/24 12.12.12.12/24 172.16.172.39/28
mkdir -p "$work/a" "$work/b"
chmod 711 "$work/a" "$work/b"
cisco=$top/tests/conf/cisco
keep_running=yes # the mistakes of one document are made one after the other

# settle GATEWAY: what two daemons on one machine need; what is as it should be is kept as good.yaml
settle() {
  sed -i "/^  listen:/d; s|^gateway:|&\n  data_plane: $PLANE\n  control_socket: $work/$1/control.sock\n  state_dir: $work/$1/state|" \
    "$work/$1/oakgate.yaml"
  cp "$work/$1/oakgate.yaml" "$work/$1/good.yaml"
}
peer_of() { og "$1" status --json | jq -r '.peers[0].name'; }

# document NAME PEER ADDRESS: gw-a takes the device's place, gw-b becomes the peer
document() {
  stop_all
  rm -rf "$work"/[ab]/*
  exits 0 "$oakgate" import cisco "$cisco/$1.txt" --output "$work/a"
  settle a
  exits 0 "$oakgate" export cisco "$2" --dialect ios --address "$3" --config "$work/a/oakgate.yaml"
  { echo "hostname peer"; cat "$work/output"; } >"$work/b/device.txt"
  exits 0 "$oakgate" import cisco "$work/b/device.txt" --output "$work/b"
  # its key, which the export does not show, is short
  sed -i 's/algorithms: \[des, group2\]/algorithms: [des, group2, short-psk]/' "$work/b/oakgate.yaml"
  grep -q '^gateway:' "$work/b/oakgate.yaml" || sed -i '1a gateway:' "$work/b/oakgate.yaml"
  settle b
}

# mistake REASON HERE DEVICE: gw-b, changed, calls; gw-a says why it refuses, the line that mends it here, the device's
mistake() {
  local name
  exits 0 og b reload
  name=$(peer_of b)
  exits 0 og b down "$name"
  og b up "$name" >/dev/null 2>&1 &
  remember $!
  eventually 10 reason_is a "$1"
  exits 0 og a explain "$(peer_of a)"
  says "$2"
  says "$3"
}
reason_is() {
  [ "$(og "$1" explain "$(peer_of "$1")" --json | jq -r '.last_failure.reason // "none"')" = "$2" ] ||
    complain "explain: $(og "$1" explain "$(peer_of "$1")" --json | jq -c '.last_failure | {reason, sentence}')"
}
# in_b SED-SCRIPT: gw-b's good configuration, changed; in_a likewise, and reloaded
in_b() {
  sed "$1" "$work/b/good.yaml" >"$work/b/oakgate.yaml"
  not cmp -s "$work/b/good.yaml" "$work/b/oakgate.yaml"
}
in_a() {
  sed "$1" "$work/a/good.yaml" >"$work/a/oakgate.yaml"
  exits 0 og a reload
}
mended() {
  cp "$work/a/good.yaml" "$work/a/oakgate.yaml"
  cp "$work/b/good.yaml" "$work/b/oakgate.yaml"
  exits 0 og a reload
  exits 0 og b reload
  exits 0 og b down "$(peer_of b)" # what it has begun with the mistake
  exits 0 og b up "$(peer_of b)"
}
weak='s/allow_weak: {algorithms: \[/&3des, md5, group1, group5, /'

# --- cl-2513-2A: a pre-shared key, DES and SHA (cisco-ipsec-isakmp-ios)

pre_shared() {
  document cl-2513-2a test-10 20.20.20.21
  (umask 077 && echo sharedkey >"$work/b/$(basename "$(ls "$work/b"/*.psk 2>/dev/null || sed -n 's/.*file: \(.*\.psk\)}.*/\1/p' "$work/b/oakgate.yaml")")")
  start a b
  exits 0 og a up test-10
}
policy_encryption() { in_b "$weak; /^isakmp_policies:/,/^transform_sets:/s/encryption: des/encryption: 3des/" && mistake policy-differs 'isakmp_policies: .*encryption: 3des' '^ +encr des'; }
policy_hash() { in_b "$weak; s/hash: sha/hash: md5/" && mistake policy-differs 'isakmp_policies: .*hash: md5' '^ +hash sha'; }
policy_group() { in_b "$weak; /^isakmp_policies:/,/^transform_sets:/s/group: 2/group: 1/" && mistake policy-differs 'isakmp_policies: .*group: 1' '^ +group 2'; }
transform_set() { in_b "$weak; /^transform_sets:/,/^peers:/s/esp-des/esp-3des/" && mistake transforms-differ 'cipher +esp-3des +esp-des +differs' 'crypto ipsec transform-set auth2 esp-des esp-sha-hmac'; }
mirror() { in_b 's|local: 60.60.60.0/24|local: 60.60.61.0/24|' && mistake selectors-differ 'remote: 60\.60\.61\.0/24' 'permit ip 60\.60\.60\.0 0\.0\.0\.255 50\.50\.50\.0 0\.0\.0\.255'; }
perfect_secrecy() {
  in_a 's/^        transform_sets: .*/&\n        pfs: group2/'
  in_b 's/^        remote: .*/&\n        # no PFS/'
  mistake pfs-differs 'pfs' 'set pfs group2'
}
wrong_key() {
  local file
  file=$(ls "$work"/b/*.psk)
  (umask 077 && echo sharedkey-not >"$file")
  cp "$work/b/good.yaml" "$work/b/oakgate.yaml"
  exits 0 og b reload
  mistake wrong-key 'pre-shared keys differ' 'crypto isakmp key \*+ address 20\.20\.20\.21'
  (umask 077 && echo sharedkey >"$file")
  mended
}
# Another life is no mistake: the smaller one applies.
lifetimes() {
  in_b 's/lifetime: 86400s/lifetime: 3600s/'
  exits 0 og b reload
  exits 0 og b up "$(peer_of b)"
  exits 0 og a show crypto isakmp sa
  says 'QM_IDLE'
}

# --- 1720-1 and pix520-1: certificates (cisco-ios-pix-lan-to-lan-certificates)

# certificate NAME TRUSTPOINT GATEWAY
certificate() {
  issue corp "$1"
  exits 0 "$oakgate" pki import "$2" "$work/pki/corp/ca.pem" --config "$work/$3/oakgate.yaml" --force
  cat "$work/pki/corp/$1.key" "$work/pki/corp/$1.pem" >"$work/$3/$1.both.pem"
  exits 0 "$oakgate" pki import "$2" "$work/$3/$1.both.pem" --config "$work/$3/oakgate.yaml" --force
  cp "$work/pki/corp/crl.pem" "$work/$3/$2.crl"
}
certificates() {
  local identity='s|^    address: 172.16.172.39|&\n    identity: "hostname:1720-1.cisco.com"|'
  stop_all
  rm -rf "$work"/[ab]/*
  exits 0 "$oakgate" import cisco "$cisco/pix520-1.txt" --output "$work/a"
  exits 0 "$oakgate" import cisco "$cisco/1720-1.txt" --output "$work/b"
  sed -i "$identity; s|crl: {ldap: .*|crl: {files: [cisco.crl]}|" "$work/a/oakgate.yaml"
  sed -i 's|crl: {ldap: .*|crl: {files: [vpn.crl]}|' "$work/b/oakgate.yaml"
  ca corp
  crl corp
  subject=/O=example/CN=pix520-1 san=IP:172.16.172.34 certificate pix520-1 cisco a
  subject=/O=example/CN=1720-1 san=DNS:1720-1.cisco.com certificate 1720-1 vpn b
  settle a
  settle b
  start a b
  exits 0 og a up "$(peer_of a)"
}
identity() {
  in_a '/identity: "hostname:1720-1/s/1720-1/1720-9/'
  mistake identity-differs 'proved to be somebody else' 'crypto isakmp identity hostname'
  says 'peers: mymap-5: identity: hostname:1720-1\.cisco\.com$'
}
# gw-b does not offer what has ended: it is its explain that tells.
ended() {
  subject=/O=example/CN=1720-1 san=DNS:1720-1.cisco.com from="20 days ago" until="2 days ago" certificate 1720-1 vpn b
  cp "$work/a/good.yaml" "$work/a/oakgate.yaml"
  exits 0 og a reload
  exits 0 og b reload
  exits 0 og b down "$(peer_of b)"
  exits 1 og b up "$(peer_of b)"
  exits 0 og b explain "$(peer_of b)"
  says 'has expired: end date'
  says 'crypto (ca|pki)'
}
revoked() {
  subject=/O=example/CN=1720-1 san=DNS:1720-1.cisco.com certificate 1720-1 vpn b
  revoke corp 1720-1
  crl corp
  cp "$work/pki/corp/crl.pem" "$work/a/cisco.crl"
  exits 0 og a reload
  mistake certificate-revoked 'revoked' 'crypto (ca|pki)'
}
no_list() {
  rm "$work/a/cisco.crl"
  stop a
  rm -rf "$work/a/state"
  start a
  subject=/O=example/CN=1720-1 san=DNS:1720-1.cisco.com certificate 1720-1 vpn b
  mistake crl-unavailable 'crl' 'crl|revocation'
}

# --- lab-isdn1 and wan2511: their devices' keys stay in them; what the import has is valid, and says what is to be done

# lab-isdn1's CA of 1999 has no basicConstraints: it is listed as what it is, and not trusted.
keys_of_the_device() {
  local document
  stop_all
  for document in lab-isdn1 wan2511; do
    rm -rf "$work"/a/*
    exits 0 "$oakgate" import cisco "$cisco/$document.txt" --output "$work/a"
    says 'its private key stays in the device|RSA key stays in it'
    if [ "$document" = lab-isdn1 ]; then
      exits 4 "$oakgate" check "$work/a/oakgate.yaml"
      says "is not a CA's; expected basicConstraints"
      not grep -v -e 'basicConstraints' -e ': 1 error$' "$work/output"
    else
      exits 0 "$oakgate" check "$work/a/oakgate.yaml"
    fi
  done
}

run "cl-2513-2A and its mirror make a tunnel" pre_shared
run "another cipher in the policy" policy_encryption
run "another hash in the policy" policy_hash
run "another group in the policy" policy_group
run "mended, the tunnel is up" mended
run "another transform set" transform_set
run "an access list that is no mirror" mirror
run "no PFS where the other wants it" perfect_secrecy
run "mended again, the tunnel is up" mended
run "another pre-shared key" wrong_key
run "another life time is no mistake" lifetimes
run "pix520-1 and 1720-1 make a tunnel by certificates" certificates
run "another identity than configured" identity
run "a certificate that has ended" ended
run "a certificate that is revoked" revoked
run "no CRL" no_list
run "of lab-isdn1 and wan2511 all is valid but keys, and a CA that is none" keys_of_the_device
stop_all
finish
