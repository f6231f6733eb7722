"""The rows that need real traffic: streams, packets a second, a flood. `Traffic` opens the pairs of gateways it needs, once,
and measures on them by turns."""
import json
import pathlib
import sys

from gateways import BenchError, OakgatePair, Pair, StrongswanPair, eventually
from measure import contest, row

UDP_WINDOW = 256     # datagrams under way: less than a TUN device's queue holds
FLOOD_RATE = 100_000  # a second: a line of 100 Mbit/s full of them
SINK_PORT = 4501     # where the same flood goes for comparison


class Traffic:
    def __init__(self, options, work):
        self.options = options
        self.tools = pathlib.Path(options.build) / "tests/bench"
        kinds = {"oakgate": lambda: OakgatePair(work, options.pins, options.build),
                 "libipsec": lambda: StrongswanPair(work, options.pins), "raw": lambda: Pair(work, options.pins)}
        self.kinds = kinds
        self.pairs = {}

    def pair(self, name):
        if name not in self.pairs:
            self.pairs[name] = self.kinds[name]()  # remembered first: what opened only half is closed, too
            self.pairs[name].open()
        return self.pairs[name]

    def close(self):
        for pair in self.pairs.values():
            try:
                pair.close()
            except (BenchError, OSError) as error:
                print(f"cleaning up: {error}", file=sys.stderr)

    # --- one measurement each: (figure, CPU seconds of the data planes)

    def stream(self, pair, transforms):
        """Bits a second of one TCP stream from gw-a to gw-b."""
        pair.check_payload(transforms, self.options.check_megabytes)
        server = pair.background("b", "iperf3", "-s", "-1", "-B", pair.inner("b", transforms), log=pair.work / "iperf3.log")
        try:
            eventually("iperf3's server", lambda: ":1451 " in pathlib.Path(f"/proc/{server.pid}/net/tcp").read_text())
            before = pair.cpu()
            client = pair.at("a", "taskset", "-c", pair.pins["a"], "iperf3", "-J", "-c", pair.inner("b", transforms), "-B",
                             pair.inner("a", transforms), "-t", str(max(1, round(self.options.seconds))), timeout=120)
            cpu = pair.cpu() - before
        finally:
            server.terminate()
            server.wait(20)
        return json.loads(client.stdout)["end"]["sum_received"]["bits_per_second"], cpu

    def packets(self, pair, transforms, size, *more):
        """UDP datagrams a second, each with `size` bytes of payload that are checked as they arrive."""
        before = pair.cpu()
        done = pair.at(
            "a", self.tools / "packet_rate", "--from", pair.namespace("a"), "--to", pair.namespace("b"), "--source",
            pair.inner("a", transforms), "--destination", pair.inner("b", transforms), "--size", str(size), "--seconds",
            str(self.options.seconds), "--window", str(UDP_WINDOW), "--pin-sender", pair.pins["a"].split(",")[0],
            "--pin-receiver", pair.pins["b"].split(",")[0], *more, check=False)
        result = json.loads(done.stdout) if done.stdout else {}
        if done.returncode != 0:
            raise BenchError(f"{pair.name}: packet_rate: {result or done.stderr.strip()}")
        return result["packets_a_second"], pair.cpu() - before

    def flooded_stream(self, pair, transforms, port):
        """The stream, while bad ESP packets go to that port of gw-b."""
        log = pair.work / "flood.log"
        log.unlink(missing_ok=True)
        flood = pair.background("a", self.tools / "esp_flood", "--namespace", "", "--device", "wan", "--rate",
                                str(FLOOD_RATE), "--seconds", str(self.options.seconds + 30), "--port", str(port), log=log)

        def begins():
            pair.at("a", "ping", "-nq", "-c", "1", "-W", "1", "-I", pair.inner("a", transforms),
                    pair.inner("b", transforms), check=False)
            return "ready" in log.read_text()
        try:
            eventually("the flood", begins)
            return self.stream(pair, transforms)
        finally:
            flood.terminate()
            flood.wait(10)

    # --- rows

    def stream_rows(self, transforms, name, what, target, raw_target=None):
        ours, theirs = self.pair("oakgate"), self.pair("libipsec")
        contestants = {"oakgate": lambda: self.stream(ours, transforms),
                       "libipsec": lambda: self.stream(theirs, transforms)}
        if raw_target:
            raw = self.pair("raw")
            contestants["raw"] = lambda: self.stream(raw, transforms)
        result = contest(contestants, self.options.rounds, name if self.options.verbose else "")
        rows = [row(result, name, f"{what} / kernel-libipsec", "oakgate", "libipsec", target, "Gbit/s", scale=1e-9)]
        if raw_target:
            rows.append(row(result, f"{name}_raw", f"{what} / raw veth", "oakgate", "raw", raw_target, "Gbit/s", scale=1e-9))
        return rows

    def packet_rows(self):
        ours, theirs = self.pair("oakgate"), self.pair("libipsec")
        rows = []
        for name, how, target, options in (("packets_64", "", 15, ()),
                                           ("packets_64_vectors", ", sent by UDP_SEGMENT", None, ("--vectors",))):
            result = contest({"oakgate": lambda o=options: self.packets(ours, "gcm", 64, *o),
                              "libipsec": lambda o=options: self.packets(theirs, "gcm", 64, *o)},
                             self.options.rounds, name if self.options.verbose else "")
            rows.append(row(result, name, f"UDP datagrams of 64 bytes, AES-GCM{how} / kernel-libipsec", "oakgate", "libipsec", target,
                            "thousand/s", scale=1e-3))
        return rows

    def flood_rows(self):
        pair = self.pair("oakgate")
        sink = pair.background("b", "python3", "-c", "import socket, signal; s = socket.socket(socket.AF_INET, "
                               f"socket.SOCK_DGRAM); s.bind(('0.0.0.0', {SINK_PORT})); signal.pause()", log=pair.work / "sink.log")
        eventually("the flood's sink", lambda: f":{SINK_PORT:04X} " in pathlib.Path(f"/proc/{sink.pid}/net/udp").read_text())
        result = contest({"flooded": lambda: self.flooded_stream(pair, "gcm", 4500),
                          "beside": lambda: self.flooded_stream(pair, "gcm", SINK_PORT)}, self.options.rounds,
                         "flood" if self.options.verbose else "")
        sink.terminate()
        sink.wait(10)
        return [row(result, "flood", "TCP stream beside 100,000 bad ESP packets a second / the same flood past us", "flooded",
                    "beside", 0.80, "Gbit/s", scale=1e-9,
                    note="a third replayed, a third for an unknown SPI, a third with a wrong tag")]
