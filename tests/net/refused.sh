#!/bin/bash
# What cannot work is refused with one clear message, in the exit status of `oakgate up`, in last_error, in the log, and
# the tunnel to another gateway goes on.
#
#   lan-a -- gw-a == outside == gw-b -- lan-b      gw-b is, or has, what is wrong
#                       ‖
#                      gw-c -- lan-c               all is well here
# time limit: 300 s
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
# shellcheck source=tests/lib/refused.sh
. "$(dirname "$0")/../lib/refused.sh"
topology a b c

wrong_pre_shared_key() {
  good_tunnel_up
  psk="another pre-shared key, as long" config b a
  start b
  refused wrong-key
  eventually 5 error_is b gw-a wrong-key
  explained a gw-b 'wrong-key|silent-after-proof' 'crypto isakmp key \*+ address 192\.0\.2\.1'
  explained b gw-a wrong-key 'The pre-shared keys differ'
}

no_common_policy() {
  good_tunnel_up
  ike="10: {encryption: aes-256, hash: sha256, group: 15, authentication: pre-share, lifetime: 24h}" config b a
  start b
  refused no-proposal-chosen
  error_is b gw-a no-proposal-chosen
  logged b "gw-a.*(no offers accepted|atts are not acceptable)"
  explained a gw-b policy-refused 'gw-b takes none of our ISAKMP policies'
  explained b gw-a policy-differs 'group is group14 there and group15 here'
  says '^ +group +group14 +group15 +differs$'
  says '^ +encryption +aes-256 +aes-256 +equal$'
  says 'isakmp_policies: 20: \{encryption: aes-256, hash: sha256, group: 14, authentication: pre-share\}'
  says '^ +crypto isakmp policy 10$'
  # As it says: and the tunnel comes up, and the failure is still there to read.
  sed -i '/^isakmp_policies:/a\  20: {encryption: aes-256, hash: sha256, group: 14, authentication: pre-share}' \
    "$work/b/oakgate.yaml"
  exits 0 og b reload
  exits 0 og a up gw-b
  pings_both_ways a b
  explained b gw-a policy-differs 'Since then it is up'
  explained a gw-b policy-refused 'up since'
}

no_common_transform_set() {
  good_tunnel_up
  sets="strong: [esp-aes-128, esp-sha-hmac]" config b a
  start b
  refused no-proposal-chosen
  error_is b gw-a no-proposal-chosen
  explained a gw-b transforms-refused 'crypto ipsec transform-set strong esp-aes 256 esp-sha256-hmac'
  explained b gw-a transforms-differ 'cipher is esp-aes-256 there and esp-aes-128 here'
}

other_proxy_identities() {
  good_tunnel_up
  local_nets=10.2.1.0/24 config b a
  start b
  refused 'proxy-id-mismatch' 'proxy'
  error_is b gw-a proxy-id-mismatch
  logged b "proxy identities not supported"
  explained a gw-b selectors-refused 'permit ip 10\.2\.0\.0 0\.0\.0\.255 10\.1\.0\.0 0\.0\.0\.255'
  explained b gw-a selectors-differ 'local: 10\.2\.0\.0/24, remote: 10\.1\.0\.0/24'
}

# gw-b does not run: its kernel answers port unreachable, or nothing does.
unreachable() {
  good_tunnel_up
  refused no-answer
  explained a gw-b silent 'UDP 500 is'
  says 'message 2 of Main Mode'
}

no_line() {
  good_tunnel_up
  unplug b
  refused no-answer
}

# gw-b calls, but gw-a knows nobody at its address.
unknown_peer() {
  config a c
  config c a
  config b a
  start a b c
  exits 0 og a up gw-c
  exits 1 og b up gw-a
  logged a "$(outer b)"
  exits 0 og a explain
  says "$(outer b) calls"
  explained b gw-a silent
  pings_both_ways a c
}

# The peer proves to be somebody else than configured.
other_identity() {
  good_tunnel_up
  gateway_keys="  identity: hostname:someone.example.net" config b a
  start b
  refused identity-mismatch 'identity'
  explained a gw-b identity-differs 'identity: hostname:someone\.example\.net'
}

after_case() {
  drop_nothing
  plug b
  ip -n "$ns-gw-b" route replace default via "$(router b)"
  ip -n "$ns-outside" addr replace 2001:db8:b::fe/64 dev to-b nodad
}

run "wrong pre-shared key" wrong_pre_shared_key
run "no common policy" no_common_policy
run "no common transform set" no_common_transform_set
run "other proxy identities" other_proxy_identities
run "nobody answers at the peer's address" unreachable
run "no way to the peer" no_line
run "an unknown peer calls" unknown_peer
run "the peer proves to be somebody else" other_identity
finish
