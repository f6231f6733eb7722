# shellcheck shell=bash disable=SC2154
# For tests/net/refused.sh and vanishes.sh: gw-a has two peers, gw-b that fails and gw-c that must not notice.

# Both tunnels are configured, by config or $configure; the good one is up.
good_tunnel_up() {
  "${configure:-config}" a b c
  "${configure:-config}" c a
  start a c
  exits 0 og a up gw-c
  good=$(og a status gw-c --json | jq -c '[.peers[] | select(.name == "gw-c") | .tunnels[].sas[].in[].spi]')
}
# good_tunnel_untouched: the same SAs, and traffic
good_tunnel_untouched() {
  pings_both_ways a c
  [ "$good" = "$(og a status gw-c --json | jq -c '[.peers[] | select(.name == "gw-c") | .tunnels[].sas[].in[].spi]')" ]
}
# explained GATEWAY PEER REASONS [PATTERN]: what `oakgate explain` says: one of REASONS (by |), and on its screen PATTERN
explained() {
  og "$1" explain "$2" --json >"$work/explained"
  jq -e --arg r "$3" '.last_failure | .reason as $is | ($r | split("|") | index($is)) and (.sentence | length > 0)' \
    "$work/explained" >/dev/null || complain "gw-$1 explain: $(cat "$work/explained")"
  [ $# -lt 4 ] || {
    exits 0 og "$1" explain "$2"
    jq -r '.last_failure.sentence' "$work/explained" >>"$work/output" # which the screen has wrapped
    says "$4"
  }
}
# What explain makes of a code that has one reason only.
declare -A reason_of=([certificate-expired]=certificate-expired [certificate-not-yet-valid]=certificate-not-yet-valid
  [certificate-revoked]=certificate-revoked [certificate-invalid]=certificate-untrusted [crl-invalid]=crl-invalid
  [crl-unavailable]=crl-unavailable [no-certificate]=no-certificate [key-too-small]=key-too-small
  [identity-mismatch]=identity-differs)
# refused CODE [LOG-PATTERN]: at gw-a, whose `up` fails
refused() {
  exits 1 og a --json up gw-b
  jq -se --arg c "$1" '.[-1].error | .code == $c and (.text | contains("gw-b"))' "$work/output" >/dev/null ||
    complain "up --json: $(cat "$work/output")"
  error_is a gw-b "$1"
  logged a "gw-b.*${2:-$1}"
  [ -z "${reason_of[$1]:-}" ] || explained a gw-b "${reason_of[$1]}"
  not up a gw-b/lan
  good_tunnel_untouched
}
