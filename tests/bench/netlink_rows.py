"""Setting up SAs by real netlink, 50,000 held: batched NEWSA with SPIs chosen in user space against ALLOCSPI."""
import json
import statistics

from gateways import TOP, BenchError, run
from measure import Contest, row

HELD, TARGET = 50_000, 50
UML_RUN = TOP / "tests/peers/uml-run"


def figures(*command, timeout):
    done = run(*command, timeout=timeout)
    return json.loads(done.stdout.strip().splitlines()[-1])


def sa_setup_rows(options):
    """A kernel without ESP takes no SA, only ALLOCSPI's larval ones. There our side is inferred: user-mode Linux tells what a
    NEWSA with as many held costs as a multiple of an ALLOCSPI with none held (a ratio within one kernel), and that multiple
    of this kernel's ALLOCSPI with none held is our cost. The row says so."""
    program = options.build / "tests/bench/sa_setup"
    rounds = max(3, options.rounds)
    here = figures(program, "--sas", options.sas, "--count", 200, "--rounds", rounds, timeout=600)
    theirs, note = here["allocspi_and_updsa"], ""
    ours = here["newsa"]
    if not here["kernel_esp"]:
        there = figures(UML_RUN, "-t", "400", program, "--sas", options.sas, "--count", 2_000, "--rounds", rounds, timeout=430)
        if not there["kernel_esp"]:
            raise BenchError("sa_setup: user-mode Linux took no SA")
        multiple = statistics.median(there["newsa"]) / statistics.median(there["allocspi_empty"])
        ours = [rate * multiple for rate in here["allocspi_empty"]]
        theirs = here["allocspi"]
        note = (f"inferred, this kernel has no ESP: its rate of ALLOCSPI with none held times {multiple:.2f}, what NEWSA reaches "
                "of that in user-mode Linux; ALLOCSPI measured here, without the UPDSA that has to follow it")
    target = TARGET if here["sas"] >= HELD else None  # the walk is the longer, the more there are
    if target is None:
        note += f"{'; ' if note else ''}the target, {TARGET}, is for {HELD:,} held"
    result = Contest()
    for our_rate, their_rate in zip(ours, theirs):
        result.add("oakgate", our_rate, 0)
        result.add("allocspi", their_rate, 0)
    return [row(result, "sa_setup", f"SAs set up with {here['sas']:,} held / by ALLOCSPI", "oakgate", "allocspi", target, "thousand/s",
                note, scale=1e-3)]
