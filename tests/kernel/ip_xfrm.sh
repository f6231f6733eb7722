#!/bin/bash
# AH, and AH over ESP, against states and policies made by hand with ip-xfrm(8) and known keys: each case of
# tests/xfrm/ip_xfrm_test.cc with the kernel plane, and once more with the software plane, as gateway a. By itself it
# starts a virtual machine around itself.
#
#   host a 10.1.0.10 ---- 10.1.0.1 gateway a 192.0.2.1 ====== 192.0.2.2 gateway b 10.2.0.1 ---- 10.2.0.10 host b
#     2001:db8:1::10   2001:db8:1::1  (a plane)  2001:db8::1   2001:db8::2  (ip xfrm)  2001:db8:2::1  2001:db8:2::10
#
# planes: kernel
# time limit: 400 s
# usage: ip_xfrm.sh [BUILD_DIR [--gtest_filter=...]]
set -uo pipefail
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(readlink -f "${1:-${OAKGATE_BUILD:-$top/build}}")
[ -n "${OAKGATE_GUEST:-}" ] || OAKGATE_BUILD=$build exec "$top/tests/peers/qemu-run" -t 540 bash "$(readlink -f "$0")" "$build" "${@:2}"
# shellcheck source=tests/lib/gtest.sh
. "$top/tests/lib/gtest.sh"
status=0
for plane in kernel soft; do
  run_gtest "$build/tests/xfrm/$plane/${plane}_plane_ip_xfrm" "${@:2}" | sed "s/^\(not ok\|ok\) /&$plane./" || status=1
done
exit $status
