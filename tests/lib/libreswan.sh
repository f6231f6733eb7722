# shellcheck shell=bash disable=SC2154
# libreswan as a gateway of tests/lib/net.sh, kernel plane only: libre_config GATEWAY PEER, libre_start GATEWAY,
# libre GATEWAY up|down|whack ... The connection is called lan. scripts/test has unpacked it.

libreswan=$top/tests/peers/libreswan
libreswan_top=$top/build/peers/libreswan

# Variables change it: libre_ike and libre_esp (proposals), pfs (yes|no), libre_keys (more lines), psk, libre_auth (secret),
# libre_id, libre_peer_id and libre_peer_address, libre_setup (more lines of `config setup`).
libre_config() {
  local self=$1 peer=$2
  mkdir -p "$work/$self/libre"
  cat >"$work/$self/libre/ipsec.conf" <<CONF
version 2.0
config setup
	protostack=xfrm
	ikev1-policy=accept
	uniqueids=yes
	${libre_setup:-}

conn lan
	ikev2=no
	authby=${libre_auth:-secret}
	left=$(outer "$self")
	leftid=${libre_id:-$(outer "$self")}
	leftsubnet=$(lan_net "$self")
	right=${libre_peer_address:-$(outer "$peer")}
	rightid=${libre_peer_id:-$(outer "$peer")}
	rightsubnet=$(lan_net "$peer")
	ike=${libre_ike:-aes256-sha2_256-modp2048}
	esp=${libre_esp:-aes256-sha2_256}
	pfs=${pfs:-no}
	leftupdown=/bin/true
	${libre_keys:-encapsulation=auto}
	auto=add
CONF
  echo ": PSK \"${psk:-a pre-shared key that is long enough}\"" >"$work/$self/libre/ipsec.secrets"
}

# libre_by_certificate GATEWAY PEER: libre_config by RSA signatures. Pluto has certificates, keys and CRLs in an NSS database,
# which gets what tests/lib/pki.sh's `give` put into the gateway's folder, and the lists of the CAs named by libre_crls
libre_by_certificate() {
  local libre_auth=rsasig libre_keys="leftcert=gw-$1
	leftsendcert=always
	${libre_keys:-rightca=%same}"
  libre_config "$1" "$2" && libre_database "$1"
}
libre_database() {
  local from=$work/$1 to=$work/$1/libre/nss parts=$work/$1/libre/parts name
  rm -rf "$to" "$parts"
  mkdir -p "$to" "$parts"
  quietly certutil -N -d "sql:$to" --empty-password || return
  csplit -sz -f "$parts/ca" "$from/ca.pem" '/BEGIN CERTIFICATE/' '{*}'
  for name in "$parts"/ca*; do
    quietly certutil -A -d "sql:$to" -n "${name##*/}" -t CT,, -a -i "$name" || return
  done
  for name in ${libre_crls:-}; do quietly crlutil -I -t 1 -d "sql:$to" -i "$work/pki/$name/crl.der" || return; done
  # what follows its own certificate in the file (that of an authority between) goes with it
  quietly openssl pkcs12 -export -in "$from/gw-$1.pem" -inkey "$from/gw-$1.key" -name "gw-$1" -passout pass: -out "$parts/own" &&
    quietly pk12util -i "$parts/own" -d "sql:$to" -W ""
}

libre_start() {
  local out
  out=$("$libreswan" start "$libreswan_top" "$ns-gw-$1" "$work/$1/libre" 2>&1) || complain "libreswan: $out" || return
  remember "$(cat "$work/$1/libre/pluto.pid")"
  ln -sf libre/pluto.log "$work/$1/pluto.log"
}
libre() {
  local self=$1 verb=$2
  shift 2
  "$libreswan" "$verb" "$libreswan_top" "$work/$self/libre" "$@" >"$work/output" 2>&1
}
libre_up() { "$libreswan" whack "$libreswan_top" "$work/$1/libre" --trafficstatus 2>/dev/null | grep 'type=ESP' >/dev/null; }
libre_logged() { grep -Eq -- "$2" "$work/$1/libre/pluto.log"; }
libre_stop() {
  local pid
  pid=$(cat "$work/$1/libre/pluto.pid" 2>/dev/null) || return 0
  [ "${2:-}" = KILL ] || libre "$1" stop || true
  [ "${2:-}" = KILL ] && kill -KILL "$pid" 2>/dev/null
  eventually 15 not running "$pid" || kill -KILL "$pid"
  rm -f "$work/$1/libre/pluto.pid"
}
# net.sh calls it after each case; what a killed pluto left in the kernel goes too
after_case_of_libreswan() {
  local file
  for file in "$work"/*/libre/pluto.pid; do
    [ -e "$file" ] || continue
    file=${file#"$work"/}
    libre_stop "${file%%/*}"
    ip -n "$ns-gw-${file%%/*}" xfrm state flush
    ip -n "$ns-gw-${file%%/*}" xfrm policy flush
  done
  no_masquerade >/dev/null 2>&1
  return 0
}
