"""Diffie-Hellman of MODP groups, several at once (dh_rate): beside OpenSSL, one by one."""
import json

from gateways import run
from measure import Contest, row

SECONDS = 0.2  # of processor time, each
TARGET = 4     # below it a batch of our own would not be worth its code


def dh_rows(options):
    """No row on a processor that has nothing for batches."""
    seconds = min(SECONDS, options.seconds)
    done = run("taskset", "-c", options.pins["a"], options.build / "tests/bench/dh_rate", "--rounds", max(3, options.rounds),
               "--seconds", seconds, timeout=300)
    rows = []
    for case in json.loads(done.stdout)["cases"]:
        contest = Contest()
        for together, single in zip(case["together"], case["single"]):
            contest.add("ours", together, seconds)
            contest.add("theirs", single, seconds)
        rows.append(row(contest, f"dh_{case['bits']}", f"g^xy of modp{case['bits']}, eight at once / one by one by OpenSSL", "ours",
                        "theirs", TARGET, "a core-second"))
    return rows
