#!/bin/bash
# RSA-encrypted nonces, in the first mode and the revised one: keys made by `oakgate pki`, public keys handed over as the
# hexadecimal that IOS prints and as PEM files; both forms of SKEYID; several keys; wrong keys.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b
#
# planes: software
# planes when long: kernel
# shellcheck disable=SC2034  # much is for config
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

# encrypted SELF PEER: config with rsa_encr. Variables change it: method, policy, own_key (name), peer_key (name or list),
# public (the section's lines), skeyid, waiver.
encrypted() {
  local rsa_encr="10: {encryption: aes-256, hash: sha256, group: 14, authentication: ${method:-rsa-encr}}"
  local ike=${policy:-$rsa_encr} key=${own_key:-mine} sections
  local proof="rsa_encr: {peer_key: ${peer_key:-gw-$2.example.net}, own_key: $key, skeyid: ${skeyid:-auto}}"
  local peer_keys="${waiver:+    allow_weak: {algorithms: [$waiver], reason: \"it is tried\"\}}"
  sections="keys:
  $key: {file: $key.key, usage: encryption}
public_keys:
${public:-  gw-$2.example.net: {file: gw-$2.pub\}}"
  config "$@"
}

# make_key GATEWAY NAME [BITS]: as an operator does; its public half into $work/public/GATEWAY-NAME.{hex,pem}
make_key() {
  local self=$1 name=$2 peer=b
  [ "$self" = a ] || peer=a
  waiver=rsa-512,rsa-1024 own_key=$name encrypted "$self" "$peer"
  pki "$self" generate-key "$name" --force ${3:+--bits "$3"} &&
    pki "$self" show key "$name" && hex_in_output >"$work/public/$self-$name.hex" &&
    openssl rsa -in "$work/$self/$name.key" -pubout -out "$work/public/$self-$name.pem" 2>/dev/null
}
pki() {
  local self=$1
  shift
  "$oakgate" pki "$@" --config "$work/$self/oakgate.yaml" >"$work/output" 2>&1 || complain "oakgate pki $*: $(tail -2 "$work/output")"
}
# what stands behind `Key Data:`
hex_in_output() { sed -n '/Key Data:/,$p' "$work/output" | grep -E '^ *[0-9A-F ]+$' | tr -s ' \n' ' '; }
mkdir "$work/public"

# exchanged: each has the other's public key in a PEM file
exchanged() {
  cp "$work/public/b-mine.pem" "$work/a/gw-b.pub"
  cp "$work/public/a-mine.pem" "$work/b/gw-a.pub"
}
comes_up() {
  start a b
  exits 0 og a up gw-b
  await_up b gw-a/lan
  pings_both_ways a b
}

keys_are_made() {
  make_key a mine
  make_key b mine
  [ "$(stat -c %a "$work/a/mine.key")" = 600 ]
  openssl rsa -in "$work/a/mine.key" -noout -check >/dev/null
  [ "$(xxd -r -p <"$work/public/a-mine.hex" | openssl rsa -pubin -inform DER -noout -modulus)" = \
    "$(openssl rsa -in "$work/a/mine.key" -noout -modulus)" ]
}
by_key_string() {
  public="  gw-b.example.net: {key_string: \"$(cat "$work/public/b-mine.hex")\"}" encrypted a b
  public="  gw-a.example.net: {key_string: \"$(cat "$work/public/a-mine.hex")\"}" encrypted b a
  capture wire outside to-a
  comes_up
  captured wire
  only_protected wire 10
  has a '.peers[0].isakmp_sa.policy | contains("rsa-encr")'
  exits 0 og b down gw-a
  exits 0 og b up gw-a
  pings_both_ways a b
}
# METHOD: with PEM files; the identities are host names, which nobody can read on the way
by_files() {
  local method=$1
  exchanged
  gateway_keys="  identity: hostname:gw-a.example.net" encrypted a b
  encrypted b a
  sed -i 's/^  gw-a:$/&\n    identity: hostname:gw-a.example.net/' "$work/b/oakgate.yaml"
  capture wire outside to-a
  comes_up
  captured wire
  not grep -qa gw-a.example.net "$work/wire.pcap"
  exits 0 og b down gw-a
  exits 0 og b up gw-a
  pings_both_ways a b
}
# METHOD CIPHER-AND-HASH: where the revised mode has to stretch its keys
other_policy() {
  local policy="10: {$2, authentication: $1}"
  exchanged
  encrypted a b
  encrypted b a
  comes_up
}

# ROLE-OF-AUTO FORM: the other side knows this form only. As initiator the second try comes up.
skeyid_forms() {
  exchanged
  skeyid=$1 encrypted a b
  skeyid=$2 encrypted b a
  start a b
  og a up gw-b >"$work/output" 2>&1 || exits 0 og a up gw-b
  pings_both_ways a b
  # it is remembered
  exits 0 og a down gw-b
  exits 0 og a up gw-b
}
# called_in_vain: gw-a calls and cannot succeed; it is not waited for longer than it takes gw-b to say why
called_in_vain() {
  start a b
  background og a up gw-b >"$work/a.up" 2>&1
  eventually 10 error_is b gw-a wrong-key
  not up a gw-b/lan
  exits 0 og a down gw-b
  eventually 5 grep -q . "$work/a.up"
}
skeyid_differs() {
  exchanged
  skeyid=rfc encrypted a b
  skeyid=ios encrypted b a
  called_in_vain
  logged b "HASH does not verify.*skeyid"
}

# gw-b has two keys of gw-a's: HASH(1) says which of gw-b's keys gw-a means, if it has several.
several_keys() {
  make_key b other
  exchanged
  cp "$work/public/b-other.pem" "$work/a/other.pub"
  peer_key="[new, gw-b.example.net]" public="  gw-b.example.net: {file: gw-b.pub}
  new: {file: other.pub}" encrypted a b
  own_key=other encrypted b a
  comes_up
}

# Ours is not there yet: said at once, before anything is sent; the peer finds none of ours and says so when it is called.
no_keys() {
  exchanged
  own_key=absent encrypted a b
  encrypted b a
  start a b
  exits 1 og a up gw-b
  error_is a gw-b no-public-key
  says 'no RSA key of ours with gw-b: absent is not there yet'
  exits 1 og b up gw-a
  logged a 'no RSA key of ours with gw-b'
}

# A key that is not the peer's: it goes on to the end, where the hash is wrong, and nowhere else.
wrong_key() {
  local method=$1
  exchanged
  [ -e "$work/public/b-other.pem" ] || make_key b other
  cp "$work/public/b-other.pem" "$work/a/gw-b.pub"
  encrypted a b
  encrypted b a
  called_in_vain
  # nothing is left over: with the right key it comes up
  exchanged
  kill -HUP "$(cat "$work/a/pid")"
  eventually 10 og a up gw-b
  pings_both_ways a b
}

# BITS WAIVER METHOD
small_keys() {
  local own_key=small waiver=$2 method=$3
  make_key a small "$1"
  make_key b small "$1"
  cp "$work/public/b-small.pem" "$work/a/gw-b.pub"
  cp "$work/public/a-small.pem" "$work/b/gw-a.pub"
  encrypted a b
  encrypted b a
  comes_up
  waiver='' encrypted a b
  exits 4 "$oakgate" check "$work/a/oakgate.yaml"
  says "$2"
}

run "keys are made and shown" keys_are_made
run "rsa-encr, the peer's key as IOS prints it" by_key_string
run "rsa-encr, the peer's key in a file" by_files rsa-encr
run "rsa-encr-rev" by_files rsa-encr-rev
run "rsa-encr-rev, aes-128 and sha" other_policy rsa-encr-rev "encryption: aes-128, hash: sha, group: 14"
run "rsa-encr-rev, aes-256 and sha" other_policy rsa-encr-rev "encryption: aes-256, hash: sha, group: 14"
run "rsa-encr, sha512" other_policy rsa-encr "encryption: aes-192, hash: sha512, group: 19"
run "skeyid: auto calls ios" skeyid_forms auto ios
run "skeyid: ios calls auto" skeyid_forms ios auto
run "several keys of the peer" several_keys
run "no keys with this peer" no_keys
run "keys of 1024 bits" small_keys 1024 rsa-1024 rsa-encr-rev
if [ "$PLANE" = software ]; then
  run "keys of 512 bits" small_keys 512 rsa-512 rsa-encr
  run "skeyid: rfc calls ios" skeyid_differs
  run "rsa-encr with a wrong key" wrong_key rsa-encr
  run "rsa-encr-rev with a wrong key" wrong_key rsa-encr-rev
fi
finish
