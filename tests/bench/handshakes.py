#!/usr/bin/env python3
"""IKEv1 negotiations a second that an oakgated completes on one core, beside strongSwan and libreswan; whether that falls as
SAs accumulate; what a held tunnel costs in memory.

Each responder runs in a network namespace of its own, pinned to the first processor; oakgate-load calls it from another one,
pinned to the last, with exponents of 16 bits: so the responder is what is measured. A responder's rate is what it completed
for each second of its own CPU time: where it is saturated that is its rate on one core, and what else the machine does does
not change it. scripts/bench has these rows; alone, as root:

  tests/bench/handshakes.py [--quick] [--build DIR] [--json FILE]
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import gateways
import measure
import report
from gateways import TOP, BenchError

PSK = "a pre-shared key that is long enough"
RESPONDER, CALLER = "198.18.0.1", "198.18.0.2"
SOURCES, INNER, LAN = "10.64.0.0/10", "100.64.0.0/10", "10.0.0.0/24"
CORES = sorted(os.sched_getaffinity(0))
TICK = os.sysconf("SC_CLK_TCK")
BATCHES = " avx512ifma" in pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii")  # of Diffie-Hellman: ike/crypto/modp_batch.h


def run(*command, **more):
    return gateways.run(*command, **more).stdout


def target(openssls, batched):
    """What is wanted where OpenSSL computes each Diffie-Hellman by itself, and where they are computed in batches."""
    return batched if BATCHES else openssls


def host(network, number):
    """The `number`th address of an IPv4 network."""
    base = 0
    for part in network.split("/")[0].split("."):
        base = base << 8 | int(part)
    return ".".join(str(base + number >> shift & 255) for shift in (24, 16, 8, 0))


class Network:
    """Two namespaces and a veth pair; every address of SOURCES lives in the caller's."""

    def __init__(self):
        self.responder, self.caller = f"ogr{os.getpid()}", f"ogc{os.getpid()}"

    def __enter__(self):
        for name in (self.responder, self.caller):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", self.responder, "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", self.caller)
        for name, address in ((self.responder, RESPONDER), (self.caller, CALLER)):
            run("ip", "-n", name, "addr", "add", f"{address}/30", "dev", "wan")
            run("ip", "-n", name, "link", "set", "wan", "up")
        run("ip", "-n", self.responder, "addr", "add", host(LAN, 1) + "/24", "dev", "lo")
        run("ip", "-n", self.caller, "route", "add", "local", SOURCES, "dev", "lo")
        run("ip", "-n", self.responder, "route", "add", SOURCES, "via", CALLER)
        return self

    def __exit__(self, *_):
        for name in (self.responder, self.caller):
            subprocess.run(["ip", "netns", "del", name], check=False)


class Responder:
    """A daemon under measurement. `peers`: how many may call, for those that have to know them one by one."""
    name = ""
    quick_mode = True  # whether it can complete a Quick Mode on this machine's kernel

    def __init__(self, network, folder, peers):
        self.network, self.folder, self.peers = network, pathlib.Path(folder), peers
        self.pid = None
        self.folder.mkdir(parents=True, exist_ok=True)

    def pinned(self, *command):
        return ["taskset", "-c", str(CORES[0]), *[str(word) for word in command]]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise BenchError(f"{self.name} has ended")

    def await_end(self, patience=20):
        until = time.monotonic() + patience
        while pathlib.Path(f"/proc/{self.pid}").exists() and time.monotonic() < until:
            if subprocess.run(["ps", "-o", "stat=", "-p", str(self.pid)], capture_output=True, text=True,
                              check=False).stdout.startswith("Z"):
                return
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)


class Oakgate(Responder):
    name = "oakgate"

    def __init__(self, network, folder, peers, build, ike_group=14, plane="software"):
        super().__init__(network, folder, peers)
        self.build, self.group, self.plane = pathlib.Path(build), ike_group, plane
        self.process = None

    def configuration(self):
        lines = ["gateway:", "  name: bench", f"  listen: [{RESPONDER}]", f"  data_plane: {self.plane}",
                 f"  control_socket: {self.folder}/control.sock", f"  state_dir: {self.folder}/state",
                 "isakmp_policies:",
                 f"  10: {{encryption: aes-256, hash: sha256, group: {self.group}, authentication: pre-share}}",
                 "transform_sets:", "  strong: [esp-aes-256, esp-sha256-hmac]", "peers:"]
        for i in range(self.peers):
            lines.append(f"  p{i}: {{address: {host(SOURCES, i)}, policies: [10], pre_shared_key: {{file: psk}}, tunnels: "
                         f"{{lan: {{local: {LAN}, remote: {host(INNER, i)}/32, transform_sets: [strong], start: responder}}}}}}")
        return "\n".join(lines) + "\n"

    def start(self):
        (self.folder / "psk").write_text(PSK + "\n", encoding="ascii")
        (self.folder / "psk").chmod(0o600)
        (self.folder / "oakgate.yaml").write_text(self.configuration(), encoding="ascii")
        with open(self.folder / "log", "w", encoding="ascii") as log:
            self.process = subprocess.Popen(
                self.pinned("ip", "netns", "exec", self.network.responder, self.build / "daemon/oakgated", "--foreground",
                            "--config", self.folder / "oakgate.yaml"), stdout=log, stderr=log)
        self.pid = self.process.pid
        self.await_line("oakgated is ready", 60 + self.peers / 20)

    def await_line(self, text, patience):
        until = time.monotonic() + patience
        while text not in (self.folder / "log").read_text(encoding="utf-8", errors="replace"):
            if self.process.poll() is not None or time.monotonic() > until:
                raise BenchError("oakgated did not start: " + run("tail", "-3", self.folder / "log"))
            time.sleep(0.05)

    def stop(self):
        # What it would tell each peer is no part of the measurement.
        self.process.kill()
        self.process.wait()
        subprocess.run(["ip", "-n", self.network.responder, "xfrm", "policy", "flush"], check=False)
        for family in ("-4", "-6"):
            subprocess.run(["ip", family, "-n", self.network.responder, "route", "flush", "root", INNER], check=False,
                           stderr=subprocess.DEVNULL)


class StrongSwan(Responder):
    """Tuned: hash tables for many SAs, no limit of half-open ones, OpenSSL's Diffie-Hellman, log as by default."""
    name = "strongSwan"

    def __init__(self, network, folder, peers, dh="modp2048"):
        super().__init__(network, folder, peers)
        self.dh, self.process = dh, None

    def start(self):
        (self.folder / "strongswan.conf").write_text(f"""
charon-systemd {{
  load = random nonce openssl aes sha1 sha2 hmac kdf pem pkcs1 pubkey kernel-libipsec kernel-netlink socket-default vici updown
  plugins {{
    vici {{ socket = unix://{self.folder}/vici }}
    kernel-libipsec {{ allow_peer_ts = yes }}
  }}
  ikesa_table_size = 32768
  ikesa_table_segments = 16
  dos_protection = no
  block_threshold = 0
  cookie_threshold = 0
  init_limit_half_open = 0
  init_limit_job_load = 0
  install_routes = no
  journal {{ default = -1 }}
  filelog {{ log {{
    path = {self.folder}/charon.log
    default = 1
  }} }}
}}
swanctl {{ }}
""", encoding="ascii")
        (self.folder / "swanctl.conf").write_text(f"""
connections {{
  bench {{
    version = 1
    local_addrs = {RESPONDER}
    remote_addrs = %any
    encap = yes
    dpd_delay = 0
    proposals = aes256-sha256-{self.dh}
    local {{ auth = psk }}
    remote {{ auth = psk }}
    children {{ lan {{
      local_ts = {LAN}
      remote_ts = {INNER}
      esp_proposals = aes256-sha256
      updown = /bin/true
    }} }}
  }}
}}
secrets {{ ike-1 {{ secret = {PSK} }} }}
""", encoding="ascii")
        environment = dict(os.environ, STRONGSWAN_CONF=str(self.folder / "strongswan.conf"), SWANCTL_DIR=str(self.folder))
        with open(self.folder / "charon.out", "w", encoding="ascii") as log:
            self.process = subprocess.Popen(
                self.pinned("ip", "netns", "exec", self.network.responder, "/usr/sbin/charon-systemd"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self.pid = self.process.pid
        until = time.monotonic() + 30
        while not (self.folder / "vici").exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise BenchError("charon did not start: " + run("tail", "-3", self.folder / "charon.out"))
            time.sleep(0.05)
        run("swanctl", "--load-all", "--noprompt", "--file", self.folder / "swanctl.conf", "--uri",
            f"unix://{self.folder}/vici", env=environment)

    def stop(self):
        self.process.kill()
        self.process.wait()
        (self.folder / "vici").unlink(missing_ok=True)


class Libreswan(Responder):
    """Main Mode alone: its Quick Mode needs ESP in the kernel."""
    name = "libreswan"
    quick_mode = False

    def __init__(self, network, folder, peers, dh="modp2048"):
        super().__init__(network, folder, peers)
        self.dh = dh
        self.top = TOP / "build/peers/libreswan"
        self.tool = TOP / "tests/peers/libreswan"

    def start(self):
        run(self.tool, "unpack", self.top)
        (self.folder / "ipsec.conf").write_text(f"""version 2.0
config setup
	protostack=xfrm
	ikev1-policy=accept
	ddos-mode=unlimited

conn lan
	ikev2=no
	authby=secret
	left={RESPONDER}
	leftsubnet={LAN}
	right=%any
	rightsubnet={INNER}
	ike=aes256-sha2_256-{self.dh}
	esp=aes256-sha2_256
	pfs=no
	leftupdown=/bin/true
	dpddelay=0
	auto=add
""", encoding="ascii")
        (self.folder / "ipsec.secrets").write_text(f': PSK "{PSK}"\n', encoding="ascii")
        run(*self.pinned(self.tool, "start", self.top, self.network.responder, self.folder))
        self.pid = int((self.folder / "pluto.pid").read_text(encoding="ascii"))

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)
        self.await_end()


class Handshakes:
    """The measurements; `options` are those of run.py: build, rounds, seconds, sas, quick, verbose."""
    OUTSTANDING = 64  # negotiations at once: the default limit of half-open ones of one source is no matter, each has its own

    def __init__(self, options):
        self.options = options
        self.build = pathlib.Path(options.build)
        self.ours = max(200, int(1000 * options.seconds))  # negotiations a round
        self.held = max(500, options.sas // 4 if options.quick else options.sas)
        self.network = None
        self.work = None
        self.number = 0

    @contextlib.contextmanager
    def place(self):
        with Network() as self.network, tempfile.TemporaryDirectory(prefix="oakgate-bench.") as work:
            self.work = pathlib.Path(work)
            yield

    def folder(self):
        self.number += 1
        return self.work / str(self.number)

    def oakgate(self, peers, group=14):
        return Oakgate(self.network, self.folder(), peers, self.build, group)

    def call(self, responder, peers, first=0, quick_mode=False, group=14, limit=120):
        """One run of oakgate-load; its report, with what the responder's process took."""
        before = responder.cpu()
        command = ["taskset", "-c", str(CORES[-1]), "ip", "netns", "exec", self.network.caller,
                   str(self.build / "tests/load/oakgate-load"), RESPONDER, "--sources", SOURCES, "--inner", INNER, "--remote", LAN,
                   "--psk", PSK, "--short-exponent", "--group", str(group), "--first", str(first), "--peers", str(peers),
                   "--outstanding", str(self.OUTSTANDING), "--time", str(limit), "--json"]
        out = subprocess.run(command + (["--quick-mode"] if quick_mode else []), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, check=False)
        if not out.stdout.strip():
            raise BenchError("oakgate-load: " + out.stderr.strip())
        found = json.loads(out.stdout)
        if found["established"] < peers * 0.9:
            raise BenchError(f"{responder.name} completed {found['established']} of {peers} negotiations: {found}")
        found["cpu"] = responder.cpu() - before
        found["cpu_rate"] = found["established"] / max(found["cpu"], 1 / TICK)
        return found

    def fresh(self, responder, peers, quick_mode, group):
        """(rate, 0) of one that has just been started and has served a few: by CPU time already, so none is told besides."""
        few = max(20, peers // 20)
        with responder:
            self.call(responder, few, 0, quick_mode, group)
            found = self.call(responder, peers - few, few, quick_mode, group)
        return found["cpu_rate"], 0.0

    def against(self, name, what, theirs, target, their_peers, quick_mode=False, group=14):
        their_peers = max(100, their_peers)
        contest = measure.contest({
            "oakgate": lambda: self.fresh(self.oakgate(self.ours, group), self.ours, quick_mode, group),
            "theirs": lambda: self.fresh(theirs(self.network, self.folder(), their_peers), their_peers, quick_mode, group),
        }, self.options.rounds, name if self.options.verbose else "")
        return measure.row(contest, name, what, "oakgate", "theirs", target, "a core-second")

    def rate_rows(self):
        rows = [
            self.against("main_mode_libreswan", "Main Mode, PSK, modp2048 / libreswan", Libreswan, target(3, 5), self.ours // 2),
            self.against("main_mode_strongswan", "Main Mode, PSK, modp2048 / strongSwan tuned", StrongSwan, target(8, 12),
                         self.ours // 4),
            self.against("quick_mode_strongswan", "Main and Quick Mode, modp2048 / strongSwan tuned", StrongSwan, target(7, 10),
                         self.ours // 4, quick_mode=True),
        ]
        if not self.options.quick:
            rows.append(self.against("quick_mode_3072", "Main and Quick Mode, modp3072 / strongSwan tuned",
                                     lambda *one: StrongSwan(*one, dh="modp3072"), target(8, 15), self.ours // 8, quick_mode=True, group=15))
        return rows

    def held_rows(self):
        """Of one oakgated: how the rate stands when many tunnels are held, and what each costs."""
        step = max(100, self.held // 10)
        with self.oakgate(self.held) as responder:
            self.call(responder, step // 2, 0, True)
            begin = self.call(responder, step, step // 2, True)
            low, done = responder.resident(), step // 2 + step
            self.call(responder, self.held - step - done, done, True, limit=900)
            high = responder.resident()
            end = self.call(responder, step, self.held - step, True)
        slope = (high - low) / (self.held - step - done)
        flat, memory = measure.Contest(), measure.Contest()
        flat.add("end", end["cpu_rate"], 0.0)
        flat.add("begin", begin["cpu_rate"], 0.0)
        memory.add("oakgate", slope, 0.0)
        memory.add("limit", 8192, 0.0)
        memory.add("libreswan", self.libreswan_slope(), 0.0)
        return [measure.row(flat, "held_flat", f"Main and Quick Mode with {self.held:,} tunnels held / with {done:,}", "end", "begin",
                            0.9, "a core-second"),
                measure.row(memory, "memory_tunnel", f"memory a tunnel, from {done:,} to {self.held:,} / 8 KiB", "oakgate", "limit", 1,
                            "bytes", higher_is_better=False),
                measure.row(memory, "memory_libreswan", "memory a tunnel / a libreswan IKE SA", "oakgate", "libreswan", 0.125,
                            "bytes", note="libreswan's without an SA pair: this kernel has no ESP", higher_is_better=False)]

    def libreswan_slope(self):
        few, many = max(50, self.ours // 20), max(250, min(self.ours, 5000))
        with Libreswan(self.network, self.folder(), many) as responder:
            self.call(responder, few)
            low = responder.resident()
            self.call(responder, many - few, few)
            return (responder.resident() - low) / (many - few)


def rate_rows(options):
    bench = Handshakes(options)
    with bench.place():
        return bench.rate_rows()


def held_rows(options):
    bench = Handshakes(options)
    with bench.place():
        return bench.held_rows()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="about a minute, with fewer negotiations and rounds")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build-bench", help="whose programs are measured")
    parser.add_argument("--json", type=pathlib.Path, help="write the rows to this file")
    parser.add_argument("--rounds", type=int, help="how often each side is measured")
    parser.add_argument("--seconds", type=float, help="a thousand negotiations of ours for each, a round")
    parser.add_argument("--sas", type=int, help="tunnels held; --quick: four times as many")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("handshakes.py: needs root, for network namespaces")
    for key, quick, full in (("rounds", 2, 5), ("seconds", 1.5, 8.0), ("sas", 12_000, 50_000)):
        if getattr(options, key) is None:
            setattr(options, key, quick if options.quick else full)
    options.verbose = True
    rows = []
    report.print_head()
    for group in (rate_rows, held_rows):
        for row in group(options):
            report.print_row(row)
            rows.append(row)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
