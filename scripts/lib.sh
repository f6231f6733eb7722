# shellcheck shell=bash
# What scripts/demo and scripts/test share: plain output, installing what is missing, building.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# shellcheck disable=SC2034  # for the scripts that source this
if [ -t 1 ]; then bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'; else bold="" red="" green="" plain=""; fi

say() { printf '%s\n' "$*"; }
step() { printf '%s\n' "${bold}== $*${plain}"; }
die() { printf '%s\n' "${red}$(basename "$0"): $*${plain}" >&2; exit 1; }

# packages SECTION...: the names in those sections of packages.txt, and in those of this architecture alone (SECTION-amd64).
packages() {
  local wanted=" $* " section="" line
  wanted+="$(printf "%s-$(dpkg --print-architecture) " "$@")"
  while read -r line; do
    case $line in
      '' | '#'*) ;;
      '['*) section=${line//[\[\]]/} ;;
      *) [[ $wanted == *" $section "* ]] && say "$line" ;;
    esac
  done <"$top/scripts/packages.txt"
}

# install_packages SECTION...: installs those that are missing; says nothing when none is.
# A service a package would start (strongSwan's charon) is neither started nor enabled: the tests run their own.
install_packages() {
  local missing=() name log guard=/usr/sbin/policy-rc.d guarded="" status=0
  for name in $(packages "$@"); do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "these packages are missing, and only root can install them: ${missing[*]}"
  mkdir -p "$top/build"
  log=$top/build/packages.log
  step "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$guard" && chmod +x "$guard" && guarded=yes
  fi
  apt_install "${missing[@]}" >"$log" 2>&1 || status=$?
  if [ "$status" != 0 ]; then
    { apt-get update -q && apt_install "${missing[@]}"; } >>"$log" 2>&1 && status=0
  fi
  [ -z "$guarded" ] || rm -f "$guard"
  if [[ " ${missing[*]} " == *" charon-systemd "* ]] && [ -d /run/systemd/system ]; then
    systemctl disable --quiet --now strongswan.service 2>>"$log" || true
  fi
  [ "$status" = 0 ] && return 0
  tail -15 "$log" >&2
  die "installing packages failed (all of it: $log); needed on Debian 12: ${missing[*]}"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

# configure DIR [MESON OPTION...]: a build folder, set up once. CXX chooses the compiler.
configure() {
  local dir=$1 log=$1/configure.log
  shift
  mkdir -p "$dir"
  [ -f "$dir/build.ninja" ] || meson setup "$dir" "$top" "$@" >"$log" 2>&1 || { tail -15 "$log" >&2; return 1; }
}

# compile DIR [TARGET...]: quiet when it works, the compiler's words when it does not.
compile() {
  local dir=$1 log=$1/compile.log status=0
  shift
  if [ -t 1 ]; then
    ninja -C "$dir" "$@" 2>&1 | tee "$log" | sed -un 's/^\(\[[0-9]*\/[0-9]*\]\).*/\1/p' | while read -r line; do
      printf '\r%s ' "$line"
    done
    status=${PIPESTATUS[0]}
    printf '\r\e[K'
  else
    ninja -C "$dir" "$@" >"$log" 2>&1 || status=$?
  fi
  [ "$status" = 0 ] || { grep -v '^\[[0-9]*/[0-9]*\]' "$log" | head -60 >&2; return 1; }
}
