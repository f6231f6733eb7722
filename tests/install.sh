#!/bin/bash
# install.sh BUILD: `meson install` into an empty folder puts everything in its place, and what it puts there works.
set -uo pipefail
build=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
failed=0
bad() { echo "$*"; failed=1; }

DESTDIR=$root meson install -C "$build" --no-rebuild >"$root/log" 2>&1 || { cat "$root/log"; exit 1; }
prefix=$root$(meson introspect "$build" --buildoptions | python3 -c '
import json, sys
print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')

for file in sbin/oakgated bin/oakgate lib/systemd/system/oakgated.service share/man/man8/oakgated.8 share/man/man8/oakgate.8 \
  share/man/man7/oakgate-cisco.7 share/man/man7/oakgate-control.7 share/man/man7/oakgate-metrics.7 share/oakgate/grafana-dashboard.json share/oakgate/prometheus-alerts.yml \
  share/man/man8/oakgate-authorized-keys.8 share/man/man7/oakgate-ssh.7 libexec/oakgate/oakgate-authorized-keys bin/oakgate-shell \
  share/doc/oakgate/samples/sshd-oakgate.conf share/man/man5/oakgate.yaml.5 share/bash-completion/completions/oakgate share/doc/oakgate/README.md \
  lib/sysusers.d/oakgate.conf lib/tmpfiles.d/oakgate.conf lib/systemd/catalog/oakgate.catalog \
  share/doc/oakgate/CHANGELOG.md share/doc/oakgate/LICENSE share/oakgate/oakgate.schema.json; do
  [ -s "$prefix/$file" ] || [ -s "$prefix/$file.gz" ] || bad "not installed: $file"
done
[ -n "$(find "$prefix/share/doc/oakgate/samples" -name '*.yaml' 2>/dev/null)" ] || bad "no example configuration"
# Nothing of the tests, nothing unforeseen.
stray=$(cd "$prefix" && find . -type f | grep -Ev '^\./(sbin/oakgated|bin/oakgate|libexec/oakgate/oakgate-authorized-keys|lib/systemd/(system/oakgated\.service|catalog/oakgate\.catalog)|lib/(sysusers|tmpfiles)\.d/oakgate\.conf|share/(man/man[578]/oakgat|bash-completion/completions/oakgate|doc/oakgate/|oakgate/))')
[ -z "$stray" ] || bad "stray files: $stray"

"$prefix/sbin/oakgated" --version >/dev/null || bad "oakgated does not run"
"$prefix/bin/oakgate" --version >/dev/null || bad "oakgate does not run"

# The catalogue: journalctl takes it, and finds every message of the table in it.
mkdir -p "$root/journal/usr/lib/systemd/catalog" "$root/journal/var/lib/systemd/catalog"
cp "$prefix/lib/systemd/catalog/oakgate.catalog" "$root/journal/usr/lib/systemd/catalog/"
journalctl --root="$root/journal" --update-catalog >"$root/catalog" 2>&1 && [ ! -s "$root/catalog" ] || bad "the catalogue: $(cat "$root/catalog")"
listed=$(journalctl --root="$root/journal" --list-catalog 2>&1 | sed 's/ .*//' | sort)
[ "$listed" = "$(sed -n 's/^-- //p' "$prefix/lib/systemd/catalog/oakgate.catalog" | sort)" ] && [ "$(wc -w <<<"$listed")" -gt 50 ] ||
  bad "journalctl has another catalogue: $listed"

# sysusers and tmpfiles: read without a word, into a system of their own.
mkdir -p "$root/system/etc" "$root/system/usr/lib"
cp -r "$prefix/lib/sysusers.d" "$prefix/lib/tmpfiles.d" "$root/system/usr/lib/"
systemd-sysusers --root="$root/system" oakgate.conf >"$root/sysusers" 2>&1 && grep -q '^oakgate:' "$root/system/etc/group" ||
  bad "sysusers: $(cat "$root/sysusers")"

# The AppArmor profile is read without a word; it names the program where it is.
profile=$(find "$root" -name usr.sbin.oakgated)
apparmor_parser --skip-kernel-load --skip-cache "$profile" >"$root/profile" 2>&1 || bad "the profile: $(cat "$root/profile")"
grep -q "^profile oakgated ${prefix#"$root"}/sbin/oakgated " "$profile" || bad "the profile is for another program"

# The unit: valid, with the programs where it says, and sandboxed.
unit=$prefix/lib/systemd/system/oakgated.service
sed "s|${prefix#"$root"}|$prefix|g" "$unit" >"$root/oakgated.service"
problems=$(systemd-analyze verify --man=no --recursive-errors=no "$root/oakgated.service" 2>&1 | grep -F oakgated.service)
[ -z "$problems" ] || bad "$problems"
systemd-analyze security --offline=true --threshold=20 "$root/oakgated.service" >"$root/security" 2>&1 ||
  bad "the unit's exposure is too high: $(tail -1 "$root/security")"
exit $failed
