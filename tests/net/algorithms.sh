#!/bin/bash
# Every ESP algorithm carries traffic: a tunnel for each transform set, to an address of its own in lan-b. (Each cipher
# with each authenticator: the planes' own tests.) In the kernel run gw-a has the kernel plane and gw-b the software one:
# each opens what the other sealed.
#
#   lan-a 10.1.0.0/24 -- gw-a == outside == gw-b -- lan-b 10.2.0.101, .102, ...
#
# planes: software kernel
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

transforms=("esp-null esp-md5-hmac" "esp-des esp-sha-hmac" "esp-3des esp-sha256-hmac" "esp-null esp-aes-xcbc")
authenticators=(esp-sha-hmac esp-sha256-hmac esp-sha384-hmac esp-sha512-hmac esp-aes-xcbc esp-md5-hmac)
for cipher in aes camellia ctr; do
  for bits in 128 192 256; do
    transforms+=("esp-$cipher-$bits ${authenticators[${#transforms[@]} % ${#authenticators[@]}]}")
  done
done
for cipher in gcm gcm12 gcm8 gmac; do
  for bits in 128 192 256; do transforms+=("esp-$cipher-$bits"); done
done

# both_configs: the transform sets t0, t1, ... and a tunnel of the same name for each
both_configs() {
  local n here there sets="" mine="" theirs="" peer_keys
  for n in "${!transforms[@]}"; do
    sets+="t$n: [${transforms[n]// /, }]"$'\n  '
    here=10.1.0.0/24 there=10.2.0.$((101 + n))/32
    mine+="      t$n: {local: $here, remote: $there, transform_sets: [t$n], start: responder}"$'\n'
    theirs+="      t$n: {local: $there, remote: $here, transform_sets: [t$n], start: responder}"$'\n'
  done
  peer_keys='    allow_weak: {algorithms: [des, 3des, md5], reason: "every algorithm is tried"}'
  remote_nets=10.2.0.100/32 esp='[t0]' extra_tunnels=$mine config a b
  local_nets=10.2.0.100/32 esp='[t0]' extra_tunnels=$theirs PLANE=software config b a
}

all_start() {
  local n
  for n in "${!transforms[@]}"; do address lan-b eth "10.2.0.$((101 + n))/24"; done
  both_configs
  start a b
  capture wire outside to-a
}

# one NUMBER
one() {
  exits 0 og a up "gw-b/t$1"
  has a '.peers[0].tunnels[] | select(.name == $t) | .sas[0].algorithms == $a' --arg t "t$1" --arg a "${transforms[$1]}"
  target=10.2.0.$((101 + $1)) pings a b
  target=10.2.0.$((101 + $1)) size=1200 pings a b
}

all_end() {
  captured wire
  only_protected wire $((12 * ${#transforms[@]}))
}

# sha256_cut OURS THEIRS: the tunnel comes up whatever the two say, for IKE has one number for both
sha256_cut() {
  local sets="strong: [esp-aes-128, esp-sha256-hmac]"
  peer_keys="    sha256_truncation: $1" config a b
  peer_keys="    sha256_truncation: $2" PLANE=software config b a
  start a b
  exits 0 og a up gw-b
}
sha256_cut_by_both() {
  sha256_cut 96 96
  has a '.peers[0].tunnels[0].sas[0].algorithms == "esp-aes-128 esp-sha256-hmac-96"'
  pings_both_ways a b
}
sha256_cut_by_one() {
  sha256_cut 96 128
  not pings a b
}

keep_running=yes
run "a tunnel for each algorithm is configured" all_start
for number in "${!transforms[@]}"; do run "${transforms[number]}" one "$number"; done
keep_running=""
run "only ESP crossed the outside" all_end
stop_all
run "SHA2-256 cut at 96 bits by both" sha256_cut_by_both
run "SHA2-256 cut at 96 bits by one side only" sha256_cut_by_one
finish
