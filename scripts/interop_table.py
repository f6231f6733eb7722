"""The table of who talked to whom: peer, authentication, algorithms, by role and data plane; for scripts/suites.py.

A case of tests/interop whose name is `we initiate, AUTHENTICATION, ALGORITHMS` or `they initiate, ...` is a cell of it: the
script's name begins with the peer's, the plane is that of the run. An empty cell was not tried; what cannot be is `n/a`.
"""
import re

NAME = re.compile(r"^(we|they) initiate, ([^,]+(?:, aggressive)?), (.+)$")
COLUMNS = [("we", "software"), ("they", "software"), ("we", "kernel"), ("they", "kernel")]
# (peer, plane, part of the algorithms): libreswan has no data plane but the kernel's, strongSwan's own has no GMAC, and
# neither it nor ours compresses
IMPOSSIBLE = [("libreswan", "software", ""), ("strongswan", "software", "gmac"), ("strongswan", "software", "comp-deflate")]
HEAD = """| peer | authentication | phase 1; phase 2 | we initiate, software | they initiate, software | we initiate, kernel | they \
initiate, kernel |
| --- | --- | --- | --- | --- | --- | --- |
"""


def results(script, plane, cases):
    """[(peer, authentication, algorithms, role, plane, verdict)] of one script's cases."""
    found = []
    for name, why in cases:
        match = NAME.match(name)
        if match:
            role, authentication, algorithms = match.groups()
            found.append((script.split("_")[0], authentication, algorithms, role, plane, "pass" if why is None else "fail"))
    return found


def cell(cells, peer, algorithms, column):
    if any((peer, column[1]) == (who, plane) and part in algorithms for who, plane, part in IMPOSSIBLE):
        return "n/a"
    return cells.get(column, "")


def table(found):
    rows = {}
    for peer, authentication, algorithms, role, plane, verdict in found:
        rows.setdefault((peer, authentication, algorithms), {})[(role, plane)] = verdict
    lines = []
    for (peer, *rest), cells in sorted(rows.items(), key=lambda row: (row[0][0] != "strongswan", row[0])):
        told = [cell(cells, peer, rest[-1], column) for column in COLUMNS]
        lines.append("| " + " | ".join([peer, *rest, *told]) + " |\n")
    return HEAD + "".join(lines)


def write(found, path, shown):
    """Writes the table; what is wrong with the copy that is shown, or None."""
    text = table(found)
    path.write_text(text, encoding="utf-8")
    if text in shown.read_text(encoding="utf-8"):
        return None
    return f"{shown.name} beside the scripts does not show this run's table, which is in {path}"
