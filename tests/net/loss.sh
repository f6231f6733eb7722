#!/bin/bash
# One datagram in five is lost, each way: negotiations come up all the same.
#
#   lan-a -- gw-a == outside (drops 20 %) == gw-b -- lan-b
# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/../lib/net.sh"
topology a b
drop_datagrams 20

comes_up() {
  tunnel="start: on-start, pfs: group14" config a b
  config b a
  start b a
  await_up a gw-b/lan 110
  await_up b gw-a/lan 10
  eventually 20 one_ping a b
  eventually 20 one_ping b a
}

# Traffic starts it from both sides, and restarts it after a sudden end.
again() {
  tunnel="start: on-traffic" config a b
  tunnel="start: on-traffic" config b a
  start b a
  eventually 60 one_ping a b
  stop a KILL
  start a
  eventually 110 one_ping a b
}

for try in 1 2 3; do run "20 % loss, on-start, try $try" comes_up; done
run "20 % loss, on-traffic, and again after kill -9" again
finish
