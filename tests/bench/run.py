#!/usr/bin/env python3
"""Measures oakgate against its peers and against its limits, in one run; scripts/bench calls it when everything is built."""
import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
# pylint: disable=wrong-import-position
import handshakes  # noqa: E402
import netlink_rows  # noqa: E402
import report  # noqa: E402
from configuration_rows import configuration_rows  # noqa: E402
from dh_rows import dh_rows  # noqa: E402
from gateways import TOP, BenchError  # noqa: E402
from memory_rows import memory_rows  # noqa: E402
from traffic import Traffic  # noqa: E402

QUICK = {"rounds": 3, "seconds": 2.0, "sas": 20_000, "check_megabytes": 1}
FULL = {"rounds": 5, "seconds": 10.0, "sas": 50_000, "check_megabytes": 16}

# What can be measured: (name for --only, rows it gives, function of (options, traffic) that gives the rows).
GROUPS = [
    ("stream_gcm", "one TCP stream, AES-128-GCM in UDP: kernel-libipsec; raw veth",
     lambda o, t: t.stream_rows("gcm", "stream_gcm", "one TCP stream, AES-GCM in UDP", 17, 0.52)),
    ("stream_cbc", "one TCP stream, AES-128-CBC and HMAC-SHA-1: kernel-libipsec",
     lambda o, t: t.stream_rows("cbc", "stream_cbc", "one TCP stream, AES-CBC and HMAC-SHA-1", 14)),
    ("stream_3des", "one TCP stream, 3DES and HMAC-SHA-1: kernel-libipsec",
     lambda o, t: t.stream_rows("3des", "stream_3des", "one TCP stream, 3DES and HMAC-SHA-1", 3.5)),
    ("packets_64", "UDP datagrams of 64 bytes a second: kernel-libipsec", lambda o, t: t.packet_rows()),
    ("flood", "the stream beside a flood of bad packets", lambda o, t: t.flood_rows()),
    ("memory", "encapsulation in memory: ipsec-mb alone; 100,000 SAs against one; by packet size and number of SAs; SA pairs beside 100,000",
     lambda o, t: memory_rows(o)),
    ("dh", "Diffie-Hellman of MODP groups, eight at once: OpenSSL, one by one", lambda o, t: dh_rows(o)),
    ("handshakes", "IKE negotiations a second of one core: libreswan, strongSwan tuned", lambda o, t: handshakes.rate_rows(o)),
    ("held", "the same with many tunnels held, and their memory: itself, libreswan", lambda o, t: handshakes.held_rows(o)),
    ("sa_setup", "SAs set up a second: ALLOCSPI", lambda o, t: netlink_rows.sa_setup_rows(o)),
    ("configuration", "5,000 peers checked, and reloaded with one changed: yaml-cpp parsing alone", lambda o, t: configuration_rows(o)),
]


def processors():
    """Those of gw-a and of gw-b: half of the machine's each."""
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) < 2:
        return {"a": str(ours[0]), "b": str(ours[0])}
    half = len(ours) // 2
    return {side: ",".join(map(str, part)) for side, part in (("a", ours[:half]), ("b", ours[half:]))}


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Builds oakgate optimized (build-bench/), measures it against peers and limits in one run, prints a table\n"
                    "of ratios. As root, in network namespaces of its own; nothing of the machine's is changed. A target\n"
                    "that is not reached is shown, and is no failure: the exit status tells whether all was measured.",
        epilog="rows:\n" + "\n".join(f"  {name:<12} {text}" for name, text, _ in GROUPS))
    parser.add_argument("--quick", action="store_true", help="under five minutes: fewer and shorter rounds, fewer SAs")
    parser.add_argument("--only", action="append", metavar="ROW", help="measure that one; several times for several")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE.md", help="write a report, and its plot beside it")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each side is measured (5; --quick: 3)")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long each time (10; --quick: 2)")
    parser.add_argument("--sas", type=int, metavar="N", help="SAs held in sa_setup (50000; --quick: 20000)")
    parser.add_argument("--verbose", action="store_true", help="every round")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build-bench", metavar="DIR",
                        help="measure the programs of that build (default: build-bench, built first)")
    options = parser.parse_args()
    for key, value in (QUICK if options.quick else FULL).items():
        if getattr(options, key, None) is None:
            setattr(options, key, value)
    names = [name for name, _, _ in GROUPS]
    unknown = [name for name in options.only or [] if name not in names]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are: {', '.join(names)}")
    if options.rounds < 1 or options.seconds <= 0 or options.sas < 1:
        parser.error("--rounds, --seconds and --sas must be positive")
    options.pins = processors()
    options.build = options.build.resolve()
    return options


def measure(options, work):
    """(rows, curves, what could not be measured)."""
    rows, curves, failures = [], [], []
    traffic = Traffic(options, work)
    try:
        report.print_head()
        for name, _, function in GROUPS:
            if options.only and name not in options.only:
                continue
            try:
                found = function(options, traffic)
            except (BenchError, OSError, ValueError, KeyError) as error:
                failures.append(f"{name}: {error}")
                print(f"{name:<24} not measured: {error}", flush=True)
                continue
            for row in found:
                if "points" in row:
                    curves.append(row)
                else:
                    rows.append(row)
                    report.print_row(row)
    finally:
        traffic.close()
    return rows, curves, failures


def main():
    options = arguments()
    if os.geteuid() != 0:
        print("scripts/bench: needs root, for network namespaces", file=sys.stderr)
        return 2
    start = time.monotonic()
    load_before = os.getloadavg()[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # cleans up on its way
    work = pathlib.Path(tempfile.mkdtemp(prefix="oakgate-bench."))
    work.chmod(0o711)
    try:
        rows, curves, failures = measure(options, work)
        settings = {"rounds": options.rounds, "seconds": options.seconds, "sas": options.sas, "pins": options.pins,
                    "load_before": load_before,
                    "quick": options.quick, "arguments": " --quick" if options.quick else ""}
        if options.json:
            report.write_json(options.json, rows, curves, settings)
        if options.report:
            report.write_report(options.report, rows, curves, settings)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    reached = sum(row["target"] is not None and report.met(row) for row in rows)
    print(f"{len(rows)} measured, {reached} reach their target, {len(failures)} not measured; "
          f"{int(time.monotonic() - start)} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
