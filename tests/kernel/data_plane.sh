#!/bin/bash
# The data planes' contract on the kernel plane: each case of tests/xfrm/contract_*_test.cc, with real packets between
# two gateways and the kernel's own ESP. By itself it starts a virtual machine around itself.
#
#   host a 10.1.0.10 ---- 10.1.0.1 gateway a 192.0.2.1 ====== 192.0.2.2 gateway b 10.2.0.1 ---- 10.2.0.10 host b
#     2001:db8:1::10   2001:db8:1::1        2001:db8::1        2001:db8::2        2001:db8:2::1  2001:db8:2::10
#
# planes: kernel
# time limit: 300 s
# usage: data_plane.sh [BUILD_DIR [--gtest_filter=...]]
set -uo pipefail
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(readlink -f "${1:-${OAKGATE_BUILD:-$top/build}}")
[ -n "${OAKGATE_GUEST:-}" ] || OAKGATE_BUILD=$build exec "$top/tests/peers/qemu-run" -t 540 bash "$(readlink -f "$0")" "$build" "${@:2}"
# shellcheck source=tests/lib/gtest.sh
. "$top/tests/lib/gtest.sh"
run_gtest "$build/tests/xfrm/kernel/kernel_plane_contract" "${@:2}"
