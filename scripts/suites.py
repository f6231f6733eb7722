#!/usr/bin/env python3
"""Builds oakgate and runs its test suites; scripts/test calls it once everything it needs is installed.

Counts every case: each gtest case, each `ok NAME` / `not ok NAME: why` line of a script, each check. A program that dies,
prints no case, or runs past its limit counts as a failure; nothing is skipped. The last line is `N passed, N failed`.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree

import interop_table

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build"            # g++, optimized: what `scripts/demo` and an installation use
BUILD_ASAN = TOP / "build-asan"  # clang, AddressSanitizer and UndefinedBehaviorSanitizer
BUILD_FUZZ = TOP / "build-fuzz"  # clang, libFuzzer; --long only
LOGS = BUILD / "test-logs"
INTEROP = BUILD / "interop.md"                   # who talked to whom, and how, in this run
INTEROP_SHOWN = TOP / "tests/interop/README.md"  # the same of a run that passed, to be read
QEMU_RUN = TOP / "tests/peers/qemu-run"
GUESTS = {                       # whose kernel a script of the kernel plane has (`# guest:`), and what starts it
    "qemu": (QEMU_RUN, "virtual machine"),
    "uml": (TOP / "tests/peers/uml-run", "user-mode Linux"),
}
GUEST_LIMIT = 1800               # s: of our clock; a guest has one of its own, and takes what others leave
TAIL = 40                        # lines of a failed program's log that are shown
SOURCE_FOLDERS = ["daemon", "ike", "xfrm", "pki", "conf", "tests"]
JOBS = max(2, os.cpu_count() or 1)
SCRIPT_JOBS = 3 * JOBS           # scripts mostly wait: for retransmissions, life times, pings
GUEST_JOBS = JOBS                # guests never do: what they wait for comes at once
# Compilers and guests take what the scripts, which watch the time, leave of the processors. Where the kernel schedules by
# session (autogroup), nice alone does nothing between the sessions that `run` makes.
YIELD = ["sh", "-c", 'echo 15 2>/dev/null >/proc/self/autogroup; exec nice -n 15 "$@"', "yield"]
COLOUR = sys.stdout.isatty()


class Runner:
    """Keeps the score and shows progress."""

    def __init__(self, options):
        self.options = options
        self.passed = 0
        self.failed = []
        self.lock = threading.Lock()
        self.built = {}
        self.interop = []  # of interop_table

    def heading(self, text):
        print(f"\x1b[1m== {text}\x1b[0m" if COLOUR else f"== {text}", flush=True)

    def result(self, name, cases, seconds, log=""):
        """One program's outcome. cases: [(case, why it failed or None)]."""
        bad = [(case, why) for case, why in cases if why is not None]
        with self.lock:
            self.passed += len(cases) - len(bad)
            self.failed += [f"{name}: {case}: {why}" if case else f"{name}: {why}" for case, why in bad]
            counted = f"{len(cases)} case{'s' if len(cases) != 1 else ''}"
            print(f"{'FAILED' if bad else 'passed'}  {name:<44} {counted:>10} {seconds:7.1f} s", flush=True)
            for case, why in bad[:20]:
                print(f"        not ok {case}: {why}")
            if bad and log:
                print("".join(f"      | {line}\n" for line in log.splitlines()[-TAIL:]), end="", flush=True)

    def finish(self):
        if self.failed:
            self.heading("What failed")
            for line in self.failed:
                print(f"not ok {line}")
        print(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed else 0


def run(command, limit, env=None, log=None):
    """(exit status or None past the limit, output). The command's whole process group ends with it."""
    with subprocess.Popen([str(c) for c in command], cwd=TOP, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            output = process.communicate(timeout=limit)[0]
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)  # a script's trap cleans up behind it
            try:
                output = process.communicate(timeout=20)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output = process.communicate()[0]
            status = None
    text = output.decode(errors="replace")
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"$ {shlex.join(str(c) for c in command)}\n{text}", encoding="utf-8")
    return status, text


def check(runner, name, command, limit=300, env=None):
    """A program whose exit status is its verdict."""
    start = time.monotonic()
    status, output = run(command, limit, env, LOGS / (name.replace("/", "-") + ".log"))
    why = None if status == 0 else f"not done after {limit} s" if status is None else f"exit status {status}"
    runner.result(name, [("", why)], time.monotonic() - start, output)
    return why is None


# --- builds

CLANG = {"CXX": "clang++-14", "CC": "clang-14", "CXX_LD": "lld"}  # links in a quarter of the time
BUILDS = {
    # For the prefix of the Debian package, which is packed from it.
    # The suites unit and fuzz run in the build with sanitizers, which sees more; with --long in both.
    BUILD: ("g++, optimized", {"CXX": "g++", "CC": "gcc"}, ["--prefix=/usr", "-Dunit_tests=false"]),
    # Not optimized: it compiles in half the time, and its suites are short.
    BUILD_ASAN: ("clang, address and undefined-behaviour sanitizers", CLANG,
                 ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=0"]),
    BUILD_FUZZ: ("clang, libFuzzer", CLANG,
                 ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1", "-Dfuzz=true"]),
}


def set_up(runner, folder):
    """Sets a build folder up, unless it is; whether it worked."""
    _, env, options = BUILDS[folder]
    if folder == BUILD and runner.options.long:
        options = [*options, "-Dunit_tests=true"]
    if (folder / "build.ninja").exists():
        wanted = [option for option in options if option.startswith("-Dunit_tests")]
        return not wanted or check(runner, f"build/{folder.name} (options)", ["meson", "configure", folder, wanted[-1]])
    if shutil.which("ccache"):
        env = {name: value if name == "CXX_LD" else f"ccache {value}" for name, value in env.items()}
    return check(runner, f"build/{folder.name} (set-up)", ["meson", "setup", folder, TOP, *options], 300, env)


def build(runner, folder):
    """Sets a build folder up and builds it, once a run; whether it worked."""
    if folder not in runner.built:
        name = f"build/{folder.name} ({BUILDS[folder][0]})"
        runner.built[folder] = set_up(runner, folder) and check(runner, name, [*YIELD, "ninja", "-C", folder], 3600)
    return runner.built[folder]


# --- test programs (meson)

def meson_suite(runner, folder, suite, env=None, slower=1):
    label = suite if folder == BUILD else f"{suite} (sanitizers)"
    if not build(runner, folder):
        runner.result(label, [("", f"{folder.name} does not build")], 0)
        return
    start = time.monotonic()
    base = f"suite-{suite}"
    sanitizers = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
                  "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
    command = [*YIELD, "meson", "test", "-C", folder, "--no-rebuild", "--suite", suite, "--logbase", base, "-t", slower,
               "--num-processes", JOBS, "--print-errorlogs"]
    junit = folder / "meson-logs" / f"{base}.junit.xml"
    junit.unlink(missing_ok=True)
    status, output = run(command, 3600, {**sanitizers, **(env or {})}, LOGS / f"{folder.name}-{suite}.log")
    cases = junit_cases(junit)
    if not cases:
        cases = [("", "no test ran")]
    elif status != 0 and all(why is None for _, why in cases):
        cases.append(("", f"meson test: exit status {status}"))
    runner.result(label, cases, time.monotonic() - start, output)


def junit_cases(junit):
    """Every case of a meson JUnit report; one that was skipped counts as failed: nothing here may be skipped."""
    if not junit.exists():
        return []
    cases = []
    for suite in xml.etree.ElementTree.parse(junit).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            bad = [c for c in case if c.tag in ("failure", "error", "skipped")]
            name = f"{suite.get('name', '').split('.')[-1]}.{case.get('name')}"
            cases.append((name, (bad[0].get("message") or bad[0].tag) if bad else None))
    return cases


# --- test scripts

def header_value(script, key, default):
    """`# KEY: VALUE` among the first lines of a script."""
    head = "".join(script.open(encoding="utf-8").readlines()[:40])
    found = re.search(rf"^# {key}: *(.*)$", head, re.MULTILINE)
    return found.group(1).strip() if found else default


def time_limit(script):
    return int(header_value(script, "time limit", "180 s").split()[0])


def run_script(runner, suite, script, plane):
    guest = header_value(script, "guest", "qemu") if plane == "kernel" else None
    limit = GUEST_LIMIT if guest else int(header_value(script, "time limit", "300 s").split()[0])
    settings = [f"PLANE={plane}", f"OAKGATE_BUILD={runner.options.build}"]
    command = ["env", *settings, "bash", script]
    name = f"{suite}/{script.stem}"
    if guest:
        starter, machine = GUESTS[guest]
        command = [*YIELD, "env", *settings, starter, "-t", limit, *command]  # it, too, has to know which build
        name += f" ({machine})"
    start = time.monotonic()
    status, output = run(command, limit + 30, log=LOGS / f"{suite}-{script.stem}-{plane}.log")
    cases = [(m.group(2), None) if m.group(1) is None else tuple((m.group(2) + ": ").split(": ", 1))
             for m in re.finditer(r"^(not )?ok (.*)$", output, re.MULTILINE)]
    cases = [(case, why if why is None else why.rstrip(": ") or "failed") for case, why in cases]
    if status is None or status == 124:
        cases.append(("", f"not done after {limit} s"))
    elif not cases:
        cases.append(("", f"no case ran, exit status {status}"))
    elif status != 0 and all(why is None for _, why in cases):
        cases.append(("", f"exit status {status}"))
    if suite == "interop":
        runner.interop += interop_table.results(script.stem, plane, cases)
    runner.result(name, cases, time.monotonic() - start, output)


class Scripts:
    """Scripts that run while the rest goes on. Several at a time: each has namespaces or a kernel of its own."""

    def __init__(self, runner, jobs):
        """jobs: [(suite, script, plane)]"""
        self.pools = []
        self.running = []
        if not jobs:
            return
        if os.geteuid() != 0:
            runner.result("net, package, kernel, interop", [("", "need root: network namespaces")], 0)
        elif not build(runner, BUILD):
            runner.result("net, package, kernel, interop", [("", "the build failed")], 0)
        else:
            for count, in_guests in ((SCRIPT_JOBS, False), (GUEST_JOBS, True)):
                pool = concurrent.futures.ThreadPoolExecutor(count)
                self.pools.append(pool)
                for job in sorted(jobs, key=lambda job: -time_limit(job[1])):  # the longest first
                    if (job[2] == "kernel") == in_guests:
                        self.running.append(pool.submit(run_script, runner, *job))

    def wait(self):
        for script in self.running:
            script.result()
        for pool in self.pools:
            pool.shutdown()


def planes(runner, script):
    """`# planes: software kernel`; those of `# planes when long:` only with --long, where one plane says what the other says."""
    when_long = header_value(script, "planes when long", "").split()
    if when_long and not runner.options.long:
        print(f"        with --long {script.stem} also runs on the plane: {' '.join(when_long)}", flush=True)
        when_long = []
    return header_value(script, "planes", "software").split() + when_long


def scripts_in(folder):
    return sorted((TOP / "tests" / folder).glob("*.sh"))


# --- suites

def tracked(*patterns):
    command = ["git", "-c", f"safe.directory={TOP}", "-C", TOP, "ls-files", "-z", "--", *patterns]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    return [TOP / n for n in names if n and (TOP / n).is_file()]


def suite_style(runner):
    check(runner, "style/include rules", [TOP / "scripts/check-layers"])
    check(runner, "style/include rules can fail", [TOP / "scripts/check-layers", "--self-test"])
    check(runner, "style/house style", [TOP / "scripts/check-style"])
    check(runner, "style/house style can fail", [TOP / "scripts/check-style", "--self-test"])
    check(runner, "style/format", ["clang-format-14", "--dry-run", "--Werror", *tracked("*.cc", "*.h")])
    shell = [p for p in tracked("scripts", "tests", "debian", ".ci") if p.suffix == ".sh" or is_shell(p)]
    shell.append(TOP / "scripts/completion/oakgate")
    some = ["xargs", "-0", "-P", JOBS, "-n", 8, "shellcheck", "-x", "-P", TOP]
    check(runner, "style/shellcheck", ["sh", "-c", f'printf "%s\\0" "$@" | {shlex.join(map(str, some))}', "shellcheck", *shell])
    check(runner, "style/schema", [TOP / "scripts/check-schema"])
    pages = tracked("man/*.[0-9]")
    check(runner, "style/man pages", [TOP / "scripts/check-man", *pages])


def is_shell(path):
    with path.open("rb") as stream:
        return re.match(rb"#!/bin/(ba)?sh\b", stream.readline()) is not None


# Of .clang-tidy's checks those that take longest and find least that the compilers' warnings do not.
SLOW_CHECKS = ["clang-analyzer-*", "bugprone-assert-side-effect", "bugprone-multiple-statement-macro",
               "bugprone-reserved-identifier", "bugprone-stringview-nullptr", "bugprone-suspicious-semicolon",
               "bugprone-suspicious-string-compare", "bugprone-undelegated-constructor", "bugprone-unused-raii",
               "readability-container-size-empty"]


def suite_tidy(runner):
    if not set_up(runner, BUILD_ASAN):
        runner.result("tidy", [("", "the clang build's set-up failed")], 0)
        return
    start = time.monotonic()
    command = [*YIELD, "clang-tidy-14", "--quiet", "-p", BUILD_ASAN]
    if not runner.options.long:
        command.append("--checks=" + ",".join("-" + name for name in SLOW_CHECKS))

    def tidy(source):
        status, output = run([*command, source], 600)
        return source.relative_to(TOP).as_posix(), None if status == 0 else f"exit status {status}", output

    # The largest first: the last one does not keep the others waiting.
    sources = [p for p in tracked("*.cc") if not p.relative_to(TOP).as_posix().startswith("tests/")]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(tidy, sorted(sources, key=lambda p: -p.stat().st_size)))
    log = "".join(output for _, why, output in results if why)
    (LOGS / "tidy.log").write_text(log, encoding="utf-8")
    runner.result("tidy", [(name, why) for name, why, _ in results], time.monotonic() - start, log)


def suite_sim(runner):
    # The fleets: 10,000, and as many more as fit into a minute.
    seeds = {"OAKGATE_SIM_RUNS": "100000"} if runner.options.long else {"OAKGATE_SIM_SECONDS": "60"}
    meson_suite(runner, BUILD, "sim", seeds, 10)
    log = BUILD / "meson-logs" / "suite-sim.txt"
    if log.exists():
        for figures in re.findall(r"^fleets: .*$", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
            print(f"        {figures}", flush=True)
    # The sanitizers see every path in far fewer runs.
    meson_suite(runner, BUILD_ASAN, "sim", {"OAKGATE_SIM_RUNS": "1000" if runner.options.long else "100"}, 10)


def suite_vectors(runner):
    meson_suite(runner, BUILD, "vectors")
    meson_suite(runner, BUILD_ASAN, "vectors", slower=10)


def suite_unit(runner):
    if runner.options.long:
        meson_suite(runner, BUILD, "unit")
    meson_suite(runner, BUILD_ASAN, "unit", slower=10)


def suite_fuzz(runner):
    if runner.options.long:
        meson_suite(runner, BUILD, "fuzz", slower=4)
    meson_suite(runner, BUILD_ASAN, "fuzz", {"OAKGATE_FUZZ_STRIDE": "1" if runner.options.long else "5"}, 20)
    if not runner.options.long:
        return
    if not build(runner, BUILD_FUZZ):
        runner.result("fuzz (libFuzzer)", [("", "the libFuzzer build failed")], 0)
        return
    for target in sorted(p for p in (BUILD_FUZZ / "tests/fuzz").glob("fuzz_*") if os.access(p, os.X_OK) and p.is_file()):
        found = BUILD_FUZZ / "found" / target.name
        found.mkdir(parents=True, exist_ok=True)
        corpus = TOP / "tests/fuzz/corpus" / target.name.removeprefix("fuzz_")
        check(runner, f"fuzz/{target.name} (libFuzzer)",
              [target, "-max_total_time=300", "-timeout=10", f"-artifact_prefix={found}/", found, corpus], 400)


def suite_bench(runner):
    meson_suite(runner, BUILD, "bench")
    if build(runner, BUILD):
        check(runner, "bench/scripts/bench (every row, for a moment)", ["python3", TOP / "tests/bench/smoke.py", BUILD], 600)
    if runner.options.long and build(runner, BUILD):
        check(runner, "bench/rsa_timing (a million timings)", [BUILD / "tests/bench/rsa_timing"], 3600)


def suite_install(runner):
    if build(runner, BUILD):
        check(runner, "install", [TOP / "tests/install.sh", BUILD])


def net_scripts(_):
    return [("net", s, "software") for s in scripts_in("net") if "software" in header_value(s, "planes", "software").split()]


def kernel_scripts(runner):
    check(runner, "kernel/Debian's kernel is unpacked", [QEMU_RUN, "unpack"])
    own = [("kernel", s, "kernel") for s in scripts_in("kernel")]
    return own + [("kernel", s, "kernel") for s in scripts_in("net") if "kernel" in planes(runner, s)]


def package_scripts(_):
    return [("package", s, "software") for s in scripts_in("package")]


def interop_scripts(runner):
    unpack = [TOP / "tests/peers/libreswan", "unpack", BUILD / "peers/libreswan"]
    check(runner, "interop/libreswan is unpacked", unpack)
    return [("interop", s, plane) for s in scripts_in("interop") for plane in planes(runner, s)]


ALONE = {
    "style": ("include rules, house style, formatting, shell scripts, man pages", suite_style),
    "bench": ("the benchmarks run, while nothing else does; --long: and their verdicts hold", suite_bench),
}
SCRIPTED = {
    "net": ("gateways in network namespaces, software data plane", net_scripts),
    "package": ("the Debian package: built, installed, used and removed in a machine with systemd", package_scripts),
    "kernel": ("the same inside a virtual machine or user-mode Linux, the kernel's ESP", kernel_scripts),
    "interop": ("against strongSwan and libreswan, on both data planes", interop_scripts),
}
BESIDE_SCRIPTS = {
    "install": ("what `meson install` puts where", suite_install),
    "vectors": ("published test vectors and recorded exchanges; also under the sanitizers", suite_vectors),
    "sim": ("networks of gateways under a virtual clock; --long: ten times the seeds", suite_sim),
    "unit": ("test programs that mirror the source tree, under the sanitizers; --long: also without", suite_unit),
    "fuzz": ("fuzz targets over their corpora, cut and flipped; --long: libFuzzer, 5 minutes each", suite_fuzz),
    "tidy": ("clang-tidy, when named or with --long; --long: its slow checks, too", suite_tidy),
}
SUITES = {**ALONE, **SCRIPTED, **BESIDE_SCRIPTS}


def run_suites(runner, names):
    """In the order of SUITES. Scripts mostly wait: meanwhile the rest is built, and its suites run."""

    def chosen(suites):
        for name in [n for n in suites if n in names]:
            text, function = suites[name]
            runner.heading(f"{name}: {text}")
            yield function(runner)

    for _ in chosen(ALONE):
        pass
    jobs = [job for named in chosen(SCRIPTED) for job in named]
    scripts = Scripts(runner, jobs)
    for _ in chosen(BESIDE_SCRIPTS):
        pass
    scripts.wait()
    if runner.interop:
        problem = interop_table.write(runner.interop, INTEROP, INTEROP_SHOWN)
        runner.result("interop/table (build/interop.md)", [("", problem)], 0)


def main():
    parser = argparse.ArgumentParser(prog="scripts/test", description="Builds oakgate and runs its test suites.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="default: all but tidy; with --long all")
    parser.add_argument("--long", action="store_true", help="more simulated runs, libFuzzer, slow checks of clang-tidy")
    parser.add_argument("--list", action="store_true", help="name the suites")
    parser.add_argument("--build", default=str(BUILD), metavar="DIR",
                        help="the build whose programs the net, kernel and interop scripts run (build-asan, say)")
    options = parser.parse_args()
    if options.list:
        for name, (text, _) in SUITES.items():
            print(f"{name:<9} {text}")
        return 0
    unknown = [s for s in options.suites if s not in SUITES]
    if unknown:
        parser.error(f"no such suite: {', '.join(unknown)}; there are: {', '.join(SUITES)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    runner = Runner(options)
    start = time.monotonic()
    # Not every file holds against clang-tidy yet.
    ordinary = [name for name in SUITES if options.long or name != "tidy"]
    run_suites(runner, options.suites or ordinary)
    runner.heading(f"{int(time.monotonic() - start)} s; logs: {LOGS.relative_to(TOP)}/")
    return runner.finish()


if __name__ == "__main__":
    sys.exit(main())
