"""How it is measured: contestants in one run, in turn and back (A B, B A, ...), so that what the machine does besides
meets all alike; of every round one ratio, ours to theirs; the median and the worst of those."""
import statistics
import sys


class Contest:
    """The figures of some contestants, a list each, by rounds."""

    def __init__(self):
        self.figures = {}
        self.cpu = {}

    def add(self, name, figure, cpu):
        self.figures.setdefault(name, []).append(figure)
        self.cpu.setdefault(name, []).append(cpu)


def contest(contestants, rounds, progress=""):
    """contestants: {name: function that measures once and gives (figure, CPU seconds)}."""
    result = Contest()
    names = list(contestants)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            figure, cpu = contestants[name]()
            result.add(name, figure, cpu)
            if progress:
                print(f"  {progress}, round {number + 1}: {name} {figure:.4g}", file=sys.stderr, flush=True)
    return result


def row(result, name, what, ours, theirs, target, unit, note="", scale=1.0, higher_is_better=True):
    """One line of the table: `ours` and `theirs` name contestants of `result`."""
    pairs = list(zip(result.figures[ours], result.figures[theirs]))
    ratios = [a / b if b else float("inf") for a, b in pairs]
    cpu = list(zip(result.cpu[ours], result.cpu[theirs]))
    by_cpu = [ratio * b / a for ratio, (a, b) in zip(ratios, cpu) if a > 0 and b > 0]
    return {
        "name": name,
        "what": what,
        "ours": statistics.median(result.figures[ours]) * scale,
        "theirs": statistics.median(result.figures[theirs]) * scale,
        "ratio": statistics.median(ratios),
        "worst": min(ratios) if higher_is_better else max(ratios),
        "target": target,
        "better": "higher" if higher_is_better else "lower",
        "unit": unit,
        "rounds": len(ratios),
        "cpu_seconds": statistics.median(result.cpu[ours]),
        "their_cpu_seconds": statistics.median(result.cpu[theirs]),
        # what a second of the gateways' processor time carries, to theirs: on a machine that others use, too, it says more
        "ratio_by_cpu": statistics.median(by_cpu) if by_cpu else None,
        "note": note,
    }
