"""A configuration of 5,000 peers: what `oakgate check` and, in a daemon that runs it, `oakgate reload` with one peer changed
take, as multiples of what yaml-cpp takes to parse the file and do nothing with it. By processor time, which other work on the
machine does not change; the notes have the time on the clock."""
import json
import pathlib
import resource
import subprocess
import tempfile
import time

from gateways import BenchError, run
from handshakes import Network, Oakgate
from measure import Contest, row

PEERS = 5_000
CHECK_SECONDS, RELOAD_SECONDS = 2.0, 0.2  # on the clock


class Gateway(Oakgate):
    """An oakgated with many peers, of which one is changed again and again."""
    change = 0

    def configuration(self):
        lines = super().configuration().splitlines()
        first = next(i for i, line in enumerate(lines) if line.startswith("  p0: "))
        lines[first] = lines[first].replace("policies: [10]", f"policies: [10], dpd: {{interval: {30 + self.change}s, timeout: 300s}}")
        return "\n".join(lines) + "\n"

    def write(self):
        self.change = (self.change + 1) % 60
        (self.folder / "oakgate.yaml").write_text(self.configuration(), encoding="ascii")

    def reload(self):
        """(seconds, processor seconds of the daemon)"""
        before, start = self.cpu(), time.monotonic()
        run("ip", "netns", "exec", self.network.responder, self.build / "daemon/oakgate", "--socket", self.folder / "control.sock",
            "reload")
        return time.monotonic() - start, self.cpu() - before


def checked(build, file):
    """(seconds, processor seconds)"""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([build / "daemon/oakgate", "check", file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        raise BenchError("oakgate check: " + done.stdout.strip()[-200:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def configuration_rows(options):
    build, rounds = pathlib.Path(options.build), max(3, options.rounds)
    peers = PEERS if options.seconds >= 1 else PEERS // 10  # a moment is enough to see that it runs
    check, reload, clock = Contest(), Contest(), {"check": [], "reload": []}
    with Network() as network, tempfile.TemporaryDirectory(prefix="oakgate-bench.") as work:
        with Gateway(network, pathlib.Path(work) / "gateway", peers, build) as gateway:
            file = gateway.folder / "oakgate.yaml"
            for _ in range(rounds):
                gateway.write()
                parsed = json.loads(run(build / "tests/bench/yaml_parse", file, "--rounds", 1).stdout)
                seconds, processor = checked(build, file)
                check.add("oakgate", processor, processor)
                clock["check"].append(seconds)
                seconds, processor = gateway.reload()
                reload.add("oakgate", processor, processor)
                clock["reload"].append(seconds)
                for contest in (check, reload):
                    contest.add("yaml-cpp", parsed["seconds"][0], parsed["seconds"][0])
    notes = {what: f"{min(times):.2f} s on the clock; wanted below {limit} s"
             for (what, times), limit in zip(clock.items(), (CHECK_SECONDS, RELOAD_SECONDS))}
    return [row(check, "configuration_check", f"{peers:,} peers checked / parsed by yaml-cpp alone", "oakgate", "yaml-cpp", 3.0, "s",
                notes["check"], higher_is_better=False),
            row(reload, "configuration_reload", f"{peers:,} peers reloaded, one changed / parsed by yaml-cpp alone", "oakgate",
                "yaml-cpp", 2.0, "s", notes["reload"], higher_is_better=False)]
