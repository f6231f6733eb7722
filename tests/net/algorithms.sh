#!/bin/bash
# Every ESP algorithm carries traffic: a tunnel for each transform set, to an address of its own in lan-b.
#
#   lan-a 10.1.0.0/24 -- gw-a == outside == gw-b -- lan-b 10.2.0.101, .102, ...
#
# planes: software kernel
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b

ciphers="esp-3des esp-aes-128 esp-aes-192 esp-aes-256"
integrities="esp-sha-hmac esp-sha256-hmac esp-sha384-hmac esp-sha512-hmac"
transforms=(esp-gcm-128 esp-gcm-192 esp-gcm-256)
for cipher in $ciphers; do
  for integrity in $integrities; do transforms+=("$cipher $integrity"); done
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
  peer_keys='    allow_weak: {algorithms: [3des], reason: "every algorithm is tried"}'
  remote_nets=10.2.0.100/32 esp='[t0]' extra_tunnels=$mine config a b
  local_nets=10.2.0.100/32 esp='[t0]' extra_tunnels=$theirs config b a
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

keep_running=yes
run "a tunnel for each algorithm is configured" all_start
for number in "${!transforms[@]}"; do run "${transforms[number]}" one "$number"; done
keep_running=""
run "only ESP crossed the outside" all_end
finish
