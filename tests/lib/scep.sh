# shellcheck shell=bash disable=SC2154,SC2034
# A SCEP server for scripts of tests/lib/net.sh and tests/lib/pki.sh: Debian's `scepserver` with the CA's own key, and
# before it a front that decides late.
#
#   ca corp; scep corp                 both in `outside`: $scep_url decides when $work/approved exists
#   approve, hold                      makes and removes that file
#   get_crl_gives corp                 GetCRL is answered with its CRL; before, as scepserver does: it knows no GetCRL
#   scep_requests TYPE                 how many messages have come (19 PKCSReq, 20 CertPoll, 17 RenewalReq, 22 GetCRL)
#   enrolled a b                       gw-a's configuration, its trustpoint with an `enrollment`; $more_trust: more of it
#   authenticate a, enroll a ...       the verbs in gw-a's namespace
#
# scepserver answers in DES-CBC whatever it is asked with, and issues certificates for TLS clients: `allow_weak` has the
# word `des`, and peers accept the certificates where a trustpoint says `extended_key_usage: any`.

scep_address=192.0.2.254
scep_url=http://$scep_address/scep

# scep CA: challenge=PASSWORD is demanded; scep_options: more of scepserver's
scep() {
  local folder=$work/pki/$1 depot=$work/depot
  if [ ! -d "$depot" ]; then
    mkdir -p "$depot"
    cp "$folder/ca.pem" "$depot/ca.pem"
    # it reads nothing but this old form, and asks for a passphrase
    quietly openssl rsa -in "$folder/ca.key" -traditional -des3 -passout pass:depot -out "$depot/ca.key" || return
  fi
  # shellcheck disable=SC2086
  serve scepserver outside 8080 scepserver -depot "$depot" -capass depot -port 8080 ${challenge:+-challenge "$challenge"} \
    ${scep_options:-} || return
  : >>"$work/scep.requests"
  serve front outside 80 python3 "$top/tests/lib/scep_front.py" "$scep_address" 80 http://127.0.0.1:8080/scep \
    "$folder/ca.pem" "$folder/ca.key" "$work/approved" "$work/scep.requests" "$work/scep.crl"
}
no_scep() { unserve front outside && unserve scepserver outside; }
approve() { : >"$work/approved"; }
hold() { rm -f "$work/approved"; }
get_crl_gives() { cp "$work/pki/$1/crl.pem" "$work/scep.crl.new" && mv "$work/scep.crl.new" "$work/scep.crl"; }
scep_requests() { grep -c "^$1 " "$work/scep.requests"; }
requested() { [ "$(scep_requests "$1")" -ge "$2" ]; }

# enrolled SELF PEER: a trustpoint whose certificates come from the server; no file of it is there yet
enrolled() {
  local trust_keys="    enrollment: {url: \"$scep_url\", retry_period: ${retry_period:-1s}, retry_count: ${retry_count:-0}}
    allow_weak: {algorithms: [des], until: 2099-12-31, reason: \"scepserver answers in DES\"}
${more_trust:-}"
  rm -rf "${work:?}/$1"/{ca.pem,gw-"$1".pem,state/scep}
  by_certificate "$@"
}
# pki SELF VERB ...: the verbs need the network of the gateway
pki() {
  local self=$1 verb=$2
  shift 2
  at "gw-$self" timeout 60 "$oakgate" --socket "$work/$self/control.sock" pki "$verb" corp \
    --config "$work/$self/oakgate.yaml" "$@"
}
fingerprint() { openssl x509 -in "$work/pki/$1/ca.pem" -noout -fingerprint "-${2:-sha256}" | cut -d= -f2; }
has_certificate() { [ -s "$work/$1/gw-$1.pem" ]; }
# chains SELF: openssl agrees, and it is our key
chains() {
  quietly openssl verify -CAfile "$work/$1/ca.pem" "$work/$1/gw-$1.pem" &&
    [ "$(openssl x509 -in "$work/$1/gw-$1.pem" -noout -pubkey)" = "$(openssl pkey -in "$work/$1/gw-$1.key" -pubout)" ]
}
serial_of() { openssl x509 -in "$work/$1/gw-$1.pem" -noout -serial; }
