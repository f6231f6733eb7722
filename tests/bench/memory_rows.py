"""Encapsulation in memory (engine_rate): against ipsec-mb alone, with many SAs against one, and the curves of the plot; and
what an SA pair costs the engine beside few and beside very many (engine_scale)."""
import json
import statistics

from gateways import BenchError, run
from measure import Contest, row

FULL_SIZE = 1408
SIZES = (64, 128, 256, 512, 1024, FULL_SIZE, 9000)
COUNTS = (1, 10, 100, 1_000, 10_000, 50_000, 100_000)
MANY = (50_000, 100_000)  # of which there are rows: against one

SECONDS = 0.2        # of processor time, each
QUICK_SECONDS = 0.1
SCALE_ROUNDS = 15    # of some milliseconds each: what else the machine does weighs much in one
SCALE_WORK = {"setup": "SA pairs set up in the engine", "renewal": "renewed", "expiry": "expired"}


def pairs(ours, theirs, seconds):
    result = Contest()
    for our_rate, their_rate in zip(ours, theirs):
        result.add("ours", our_rate, seconds)
        result.add("theirs", their_rate, seconds)
    return result


def curve(cases, panel, along, key):
    """Gbit/s of inner packets over `key` of the cases: ours, and the cipher's alone."""
    return [{"panel": panel, "x": along, "name": name, "unit": "Gbit/s", "points":
             [(case[key], statistics.median(case[field]) * case["size"] * 8e-9) for case in cases]}
            for name, field in (("oakgate", "oakgate"), ("ipsec-mb alone", "ipsec_mb"),
                                ("ipsec-mb, keys prefetched", "ipsec_mb_prefetched"))]


def scale_rows(options):
    """SA pairs a second, with many held against few: what comes to 1 does not depend on their number."""
    rounds = max(SCALE_ROUNDS, options.rounds)
    done = run("taskset", "-c", options.pins["a"], options.build / "tests/bench/engine_scale", "--rounds", rounds, timeout=300)
    few, *more = json.loads(done.stdout)["cases"]

    def rates(case, work):
        return [1e9 / cost for cost in case[work]]

    return [row(pairs(rates(many, work), rates(few, work), QUICK_SECONDS), f"scale_{work}_{many['pairs'] // 1000}k",
                f"{text}, {many['pairs']:,} SA pairs held / {few['pairs']:,}", "ours", "theirs", 0.70, "thousand/s",
                f"{many['bytes_a_pair'] / 1024:.1f} KB a pair", scale=1e-3)
            for many in more for work, text in SCALE_WORK.items()]


def memory_rows(options):
    program = options.build / "tests/bench/engine_rate"
    if not program.exists():
        raise BenchError("needs ipsec-mb, which this build has not found")
    cases = [(FULL_SIZE, count) for count in COUNTS] + [(size, 1) for size in SIZES if size != FULL_SIZE]
    command = [word for size, count in cases for word in ("--case", f"{size}:{count}")]
    seconds = min(QUICK_SECONDS if options.quick else SECONDS, options.seconds)
    done = run("taskset", "-c", options.pins["a"], program, *command, "--rounds", max(3, options.rounds), "--seconds", seconds,
               timeout=600)
    measured = json.loads(done.stdout)["cases"]
    one = next(case for case in measured if (case["size"], case["sas"]) == (FULL_SIZE, 1))
    many = [case for case in measured if case["sas"] in MANY]
    return [
        row(pairs(one["oakgate"], one["ipsec_mb"], seconds), "memory_gcm",
            f"encapsulation in memory, {FULL_SIZE} bytes, AES-GCM / ipsec-mb alone", "ours", "theirs", 0.85, "million/s", scale=1e-6),
        *(row(pairs(case["oakgate"], one["oakgate"], seconds), f"memory_{case['sas'] // 1000}k",
              f"the same with {case['sas']:,} SAs in random order / with one", "ours", "theirs", 0.70, "million/s", scale=1e-6)
          for case in many),
        *scale_rows(options),
        *curve([case for case in measured if case["sas"] == 1], "In memory, one SA", "bytes of the inner packet", "size"),
        *curve([case for case in measured if case["size"] == FULL_SIZE], f"In memory, packets of {FULL_SIZE} bytes",
               "SAs, in random order", "sas"),
    ]
