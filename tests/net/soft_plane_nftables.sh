#!/bin/bash
# The data planes' contract on the software plane once more, as on a kernel without XFRM: nftables rules drop inbound
# plaintext instead of policies (xfrm/netlink/nft_guard.h); and with one worker. The topology is in soft_plane.sh.
#
# planes: software
# time limit: 180 s
# usage: soft_plane_nftables.sh [BUILD_DIR [--gtest_filter=...]]
set -uo pipefail
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin OAKGATE_TEST_INBOUND_DROP=nftables OAKGATE_TEST_WORKERS=1
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/lib/gtest.sh
. "$top/tests/lib/gtest.sh"
build=$(readlink -f "${1:-${OAKGATE_BUILD:-$top/build}}")
run_gtest "$build/tests/xfrm/soft/soft_plane_contract" "${@:2}"
