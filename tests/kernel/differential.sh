#!/bin/bash
# The software data plane's ESP against the kernel's: 10,000 random packets of every algorithm that both have, sealed by
# one and opened by the other, byte for byte. By itself it starts user-mode Linux around itself.
#
# planes: kernel
# guest: uml
# time limit: 60 s
# usage: differential.sh [BUILD_DIR [--gtest_filter=...]]
set -uo pipefail
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(readlink -f "${1:-${OAKGATE_BUILD:-$top/build}}")
[ -n "${OAKGATE_GUEST:-}" ] || exec "$top/tests/peers/uml-run" -t 240 bash "${BASH_SOURCE[0]}" "$build" "${@:2}"
# shellcheck source=tests/lib/gtest.sh
. "$top/tests/lib/gtest.sh"
run_gtest "$build/tests/xfrm/kernel/kernel_plane_differential" "${@:2}"
