"""Pairs of gateways in network namespaces, each pair by one implementation, for the benchmarks.

    10.1.N.1 gw-a 192.0.2.1 ====== 192.0.2.2 gw-b 10.2.N.1

A pair is two namespaces and a veth; the inner addresses lie on the gateways' loopback devices, so that nothing but the
path through the tunnel is measured. Tunnel N protects 10.1.N.0/24 - 10.2.N.0/24 by transform set N of SETS. Everything
is ESP in UDP, inner MTU 1400 (both data planes' TUN has that); `raw` is the veth alone, with the same inner MTU.
Nothing here outlives `close()`; only processes started here are ended.
"""
import json
import os
import pathlib
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
STRONGSWAN = TOP / "tests/peers/strongswan"
BULK = TOP / "tests/lib/bulk.py"
INNER_MTU = 1400
PATIENCE = 60  # seconds until something that must happen counts as failed

# name: (number of the tunnel, oakgate's transforms, strongSwan's proposal)
SETS = {
    "gcm": (1, "[esp-gcm-128]", "aes128gcm16"),
    "cbc": (2, "[esp-aes-128, esp-sha-hmac]", "aes128-sha1"),
    "3des": (3, "[esp-3des, esp-sha-hmac]", "3des-sha1"),
}
OUTER = {"a": "192.0.2.1", "b": "192.0.2.2"}
OTHER = {"a": "b", "b": "a"}
NUMBER = {"a": 1, "b": 2}
PSK = "a pre-shared key that is long enough"


class BenchError(Exception):
    """What could not be set up or measured, in a sentence."""


def run(*command, check=True, timeout=60, **more):
    try:
        done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, check=False, **more)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(str(c) for c in command[:6])}: not done after {timeout} s") from error
    if check and done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        raise BenchError(f"{' '.join(str(c) for c in command[:6])}: {words[-1]}")
    return done


def eventually(what, condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def cpu_seconds(pid):
    """User and system time of a process with all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
        fields = stream.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Pair:
    """Two namespaces and what runs in them."""
    name = "raw"

    def __init__(self, work, pins):
        self.work = pathlib.Path(work) / self.name
        self.pins = pins  # {"a": processors of gw-a, "b": of gw-b}, as taskset has it
        self.processes = []
        self.namespaces = {}

    def namespace(self, side):
        return self.namespaces[side]

    def at(self, side, *command, **more):
        return run("ip", "netns", "exec", self.namespace(side), *command, **more)

    def background(self, side, *command, log):
        """Starts a command in a namespace, on that side's processors."""
        with open(log, "ab") as stream:
            process = subprocess.Popen(
                ["taskset", "-c", self.pins[side], "ip", "netns", "exec", self.namespace(side), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        self.processes.append(process)
        return process

    def open(self):
        self.work.mkdir(parents=True)
        self.work.chmod(0o711)
        for side in "ab":
            name = f"ogb{os.getpid()}-{self.name}-{side}"
            run("ip", "netns", "add", name)
            self.namespaces[side] = name
            run("ip", "-n", name, "link", "set", "lo", "up")
            self.at(side, "sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done; "
                    "echo 1 >/proc/sys/net/ipv4/ip_forward")
            for number, _, _ in SETS.values():
                run("ip", "-n", name, "addr", "add", f"10.{NUMBER[side]}.{number}.1/24", "dev", "lo")
        a, b = self.namespaces["a"], self.namespaces["b"]
        run("ip", "-n", a, "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", b)
        for side in "ab":
            run("ip", "-n", self.namespaces[side], "addr", "add", f"{OUTER[side]}/24", "dev", "wan")
            run("ip", "-n", self.namespaces[side], "link", "set", "wan", "up")
        self.connect()

    def connect(self):
        for side in "ab":
            run("ip", "-n", self.namespace(side), "route", "add", f"10.{NUMBER[OTHER[side]]}.0.0/16", "via",
                OUTER[OTHER[side]], "src", self.inner(side, "gcm"), "mtu", str(INNER_MTU))

    def inner(self, side, transforms):
        return f"10.{NUMBER[side]}.{SETS[transforms][0]}.1"

    def daemons(self):
        """Process ids of the data planes."""
        return []

    def cpu(self):
        return sum(cpu_seconds(pid) for pid in self.daemons())

    def check_payload(self, transforms, megabytes=4):
        """One TCP stream each way arrives as it was sent, or BenchError."""
        for source, sink in (("a", "b"), ("b", "a")):
            port_file = self.work / "bulk.port"
            port_file.unlink(missing_ok=True)
            address = self.inner(sink, transforms)
            serve = subprocess.Popen(["ip", "netns", "exec", self.namespace(sink), "python3", BULK, "serve", address,
                                      port_file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            self.processes.append(serve)
            eventually("the receiver of the payload check", lambda: port_file.exists() and port_file.read_text())
            sent = self.at(source, "python3", BULK, "send", address, port_file.read_text(), megabytes).stdout.strip()
            received = serve.communicate(timeout=PATIENCE)[0].strip()
            if sent != received or not sent:
                raise BenchError(f"{self.name}, {transforms}: {megabytes} MB arrived otherwise than they were sent")

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in self.namespaces.values():
            run("ip", "netns", "del", name, check=False)


class OakgatePair(Pair):
    """Ours. That there is translation of addresses, so that ESP goes in UDP, the negotiation learns from one source port
    that is changed while it lasts; the rule is gone again, and connection tracking with it, before anything is measured."""
    name = "oakgate"

    def __init__(self, work, pins, build):
        super().__init__(work, pins)
        self.build = pathlib.Path(build)
        self.pids = {}

    def configuration(self, side):
        other = OTHER[side]
        sets = "\n".join(f"  {name}: {transforms}" for name, (_, transforms, _) in SETS.items())
        tunnels = "\n".join(
            f"      {name}: {{local: 10.{NUMBER[side]}.{number}.0/24, remote: 10.{NUMBER[other]}.{number}.0/24, "
            f"transform_sets: [{name}], start: responder, lifetime: {{time: 8h, kilobytes: 4294967295}}}}"
            for name, (number, _, _) in SETS.items())
        return f"""gateway:
  name: gw-{side}
  data_plane: software
  control_socket: {self.work}/{side}/control.sock
  state_dir: {self.work}/{side}/state
isakmp_policies:
  10: {{encryption: aes-256, hash: sha256, group: 14, authentication: pre-share, lifetime: 24h}}
transform_sets:
{sets}
peers:
  gw-{other}:
    address: {OUTER[other]}
    pre_shared_key: {{file: psk}}
    allow_weak: {{algorithms: [3des], until: 2099-12-31, reason: "measured"}}
    tunnels:
{tunnels}
"""

    def oakgate(self, side, *words, check=True):
        return run(self.build / "daemon/oakgate", "--socket", self.work / side / "control.sock", *words, check=check)

    def connect(self):
        for side in "ab":
            folder = self.work / side
            folder.mkdir()
            folder.chmod(0o711)
            (folder / "oakgate.yaml").write_text(self.configuration(side), encoding="utf-8")
            (folder / "psk").write_text(PSK, encoding="ascii")
            (folder / "psk").chmod(0o600)
            run("ip", "-n", self.namespace(side), "route", "add", "default", "via", OUTER[OTHER[side]])
            process = self.background(side, self.build / "daemon/oakgated", "--config", folder / "oakgate.yaml",
                                      "--foreground", log=folder / "log")
            self.pids[side] = process.pid  # taskset and ip become what they start
        for side in "ab":
            eventually(f"oakgated of gw-{side} answers (its log: {self.work}/{side}/log)",
                       lambda s=side: self.oakgate(s, "status", "--json", check=False).returncode == 0)
        nft = ("table ip bench { chain post { type nat hook postrouting priority 100; "
               "oifname wan udp sport 500 masquerade to :20000-20100; }; }")
        self.at("a", "nft", nft)
        try:
            for name in SETS:
                self.oakgate("a", "up", f"gw-b/{name}")
        finally:
            self.at("a", "nft", "delete table ip bench")
        status = json.loads(self.oakgate("a", "status", "--json").stdout)
        if not all(tunnel["state"] == "up" for tunnel in status["peers"][0]["tunnels"]):
            raise BenchError("oakgate: not every tunnel came up")

    def daemons(self):
        return list(self.pids.values())


class StrongswanPair(Pair):
    """strongSwan with kernel-libipsec: its ESP in user space; always in UDP."""
    name = "libipsec"

    def configuration(self, side):
        other = OTHER[side]
        children = "\n".join(f"""      {name} {{
        local_ts = 10.{NUMBER[side]}.{number}.0/24
        remote_ts = 10.{NUMBER[other]}.{number}.0/24
        esp_proposals = {proposal}
        rekey_time = 0
      }}""" for name, (number, _, proposal) in SETS.items())
        return f"""connections {{
  gw-{other} {{
    version = 1
    local_addrs = {OUTER[side]}
    remote_addrs = {OUTER[other]}
    encap = yes
    proposals = aes256-sha256-modp2048
    local {{
      auth = psk
      id = {OUTER[side]}
    }}
    remote {{
      auth = psk
      id = {OUTER[other]}
    }}
    children {{
{children}
    }}
  }}
}}
secrets {{
  ike-{other} {{
    secret = {PSK}
  }}
}}
"""

    def swan(self, side, verb, *words, check=True):
        return run("taskset", "-c", self.pins[side], STRONGSWAN, verb, *words, check=check)

    def connect(self):
        for side in "ab":
            folder = self.work / side
            folder.mkdir()
            (folder / "swanctl.conf").write_text(self.configuration(side), encoding="utf-8")
            with open(folder / "start.log", "wb") as log:  # charon keeps it: no pipe, whose end would never come
                started = subprocess.run(["taskset", "-c", self.pins[side], STRONGSWAN, "start", self.namespace(side),
                                          folder, "libipsec"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         timeout=PATIENCE, check=False)
            if started.returncode != 0:
                raise BenchError(f"strongSwan did not start: {(folder / 'start.log').read_text()[-300:]}")
        for name in SETS:
            self.swan("a", "up", self.work / "a", name)
        for side in "ab":
            if f"mtu {INNER_MTU}" not in run("ip", "-n", self.namespace(side), "link", "show", "ipsec0").stdout:
                run("ip", "-n", self.namespace(side), "link", "set", "ipsec0", "mtu", str(INNER_MTU))

    def daemons(self):
        return [int((self.work / side / "charon.pid").read_text()) for side in "ab"]

    def close(self):
        for side in "ab":
            if (self.work / side / "charon.pid").exists():
                pid = int((self.work / side / "charon.pid").read_text())
                self.swan(side, "stop", self.work / side, check=False)
                eventually("charon ends", lambda p=pid: not pathlib.Path(f"/proc/{p}").exists(), 20)
        super().close()
