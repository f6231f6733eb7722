#!/bin/bash
# The data planes' contract on the software plane (tests/xfrm/contract_*_test.cc), and what is this plane's own
# (tests/xfrm/soft/soft_plane_test.cc): real packets between two gateways of three workers each, fixed keys, no IKE.
# The namespaces have no names and end with the program.
#
#   host a 10.1.0.10 ---- 10.1.0.1 gateway a 192.0.2.1 ====== 192.0.2.2 gateway b 10.2.0.1 ---- 10.2.0.10 host b
#     2001:db8:1::10   2001:db8:1::1        2001:db8::1        2001:db8::2        2001:db8:2::1  2001:db8:2::10
#
# planes: software
# time limit: 180 s
# usage: soft_plane.sh [BUILD_DIR [--gtest_filter=...]]
set -uo pipefail
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin OAKGATE_TEST_WORKERS=3
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/lib/gtest.sh
. "$top/tests/lib/gtest.sh"
build=$(readlink -f "${1:-${OAKGATE_BUILD:-$top/build}}")
run_gtest "$build/tests/xfrm/soft/soft_plane_contract" "${@:2}"
