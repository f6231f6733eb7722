# shellcheck shell=bash disable=SC2154
# strongSwan as a gateway of tests/lib/net.sh: swan_config GATEWAY PEER, swan_start GATEWAY, swan GATEWAY up|down|ctl ...

strongswan=$top/tests/peers/strongswan
if [ "$PLANE" = kernel ]; then swan_plane=kernel; else swan_plane=libipsec; fi

# swan_config SELF PEER: one connection, gw-PEER, with one child, lan. Variables change it: swan_ike and swan_esp
# (proposals), encap (yes: the plane of user space knows nothing else), swan_keys and swan_child (more keys), psk, family,
# lan, swan_local_ts and swan_remote_ts (traffic selectors), swan_auth (psk), swan_id, swan_peer_id and swan_peer_address, swan_local and swan_remote (more keys of each side).
swan_config() {
  local self=$1 peer=$2
  mkdir -p "$work/$self/swan"
  cat >"$work/$self/swan/swanctl.conf" <<CONF
connections {
  gw-$peer {
    version = 1
    local_addrs = $(outer "$self")
    remote_addrs = ${swan_peer_address:-$(outer "$peer")}
    encap = ${encap:-$([ "$swan_plane" = kernel ] && echo no || echo yes)}
    proposals = ${swan_ike:-aes256-sha256-modp2048}
    ${swan_keys:-}
    local {
      auth = ${swan_auth:-psk}
      id = ${swan_id:-$(outer "$self")}
      ${swan_local:-}
    }
    remote {
      auth = ${swan_auth:-psk}
      id = ${swan_peer_id:-$(outer "$peer")}
      ${swan_remote:-}
    }
    children {
      lan {
        local_ts = ${swan_local_ts:-$(lan_net "$self")}
        remote_ts = ${swan_remote_ts:-$(lan_net "$peer")}
        esp_proposals = ${swan_esp:-aes256-sha256}
        ${swan_child:-}
      }
    }
  }
}
secrets {
  ike-$peer {
    secret = ${psk:-a pre-shared key that is long enough}
  }
}
CONF
}

# swan_certificate GATEWAY [CERTIFICATE-NAME]: what tests/lib/pki.sh's `give` put there; charon looks for it in these folders
swan_certificate() {
  local from=$work/$1 to=$work/$1/swan name=${2:-gw-$1}
  mkdir -p "$to/x509" "$to/x509ca" "$to/private"
  rm -f "$to"/x509/* "$to"/x509ca/* "$to"/private/*
  # one certificate a file
  csplit -sz -f "$to/x509ca/ca" -b '%d.pem' "$from/ca.pem" '/BEGIN CERTIFICATE/' '{*}'
  csplit -sz -f "$to/x509/$name" -b '%d.pem' "$from/$name.pem" '/BEGIN CERTIFICATE/' '{*}'
  cp "$from/$name.key" "$to/private/$name.pem"
}

swan_start() {
  local out
  out=$(DEBUG_LEVEL=${DEBUG_LEVEL:-1} "$strongswan" start "$ns-gw-$1" "$work/$1/swan" "$swan_plane" 2>&1) || complain "strongSwan: $out" || return
  remember "$(cat "$work/$1/swan/charon.pid")"
  ln -sf swan/charon.log "$work/$1/charon.log"
}
swan() {
  local self=$1 verb=$2
  shift 2
  "$strongswan" "$verb" "$work/$self/swan" "$@" >"$work/output" 2>&1
}
swan_sas() { "$strongswan" ctl "$work/$1/swan" --list-sas 2>/dev/null; }
swan_up() { swan_sas "$1" | grep 'INSTALLED' >/dev/null; }
swan_logged() { grep -Eq -- "$2" "$work/$1/swan/charon.log"; }
swan_stop() {
  local pid
  pid=$(cat "$work/$1/swan/charon.pid" 2>/dev/null) || return 0
  kill "-${2:-TERM}" "$pid" 2>/dev/null || true
  eventually 10 not running "$pid" || kill -KILL "$pid"
  rm -f "$work/$1/swan/charon.pid"
}
# net.sh calls it after each case
after_case_of_strongswan() {
  local file
  for file in "$work"/*/swan/charon.pid; do
    [ -e "$file" ] && file=${file#"$work"/} && swan_stop "${file%%/*}"
  done
  no_masquerade >/dev/null 2>&1
  return 0
}
