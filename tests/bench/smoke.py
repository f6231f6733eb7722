#!/usr/bin/env python3
"""smoke.py BUILD_DIR: every row of scripts/bench is measured once, for a moment, and what comes out is well formed. Of speed it
says nothing. As root."""
import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROW = {"name": str, "what": str, "ours": float, "theirs": float, "ratio": float, "worst": float, "unit": str, "rounds": int,
       "cpu_seconds": float}


def check_rows(rows, printed):
    problems = []
    for row in rows:
        for key, kind in ROW.items():
            value = row.get(key)
            if not isinstance(value, (int, float) if kind is float else kind):
                problems.append(f"{row.get('name')}: {key} is {value!r}")
        if not all(isinstance(row.get(k), (int, float)) and row[k] > 0 for k in ("ours", "theirs", "ratio", "worst")):
            problems.append(f"{row.get('name')}: not positive: {row}")
        if "target" not in row:
            problems.append(f"{row.get('name')}: no target")
        if not any(line.startswith(row["name"] + " ") for line in printed):
            problems.append(f"{row['name']}: not in the table that is printed")
    if len({row["name"] for row in rows}) != len(rows) or not rows:
        problems.append(f"rows: {[row['name'] for row in rows]}")
    return problems


def check_curves(curves, report, picture):
    problems = [f"curve {c.get('name')}: {c}" for c in curves
                if len(c.get("points", [])) < 2 or not all(y > 0 for _, y in c["points"])]
    if curves:
        if picture.name not in report:
            problems.append("the report does not show its plot")
        drawn = xml.etree.ElementTree.parse(picture).getroot().iter("{http://www.w3.org/2000/svg}polyline")
        if len(list(drawn)) != len(curves):
            problems.append("not every curve is drawn")
    return problems


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        out, report = pathlib.Path(folder) / "bench.json", pathlib.Path(folder) / "report.md"
        done = subprocess.run(
            ["python3", HERE / "run.py", "--build", build, "--quick", "--rounds", "1", "--seconds", "0.2", "--sas", "500",
             "--json", out, "--report", report], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(done.stdout, end="")
        if done.returncode != 0:
            return 1
        measured = json.loads(out.read_text(encoding="utf-8"))
        text = report.read_text(encoding="utf-8")
        problems = check_rows(measured["rows"], done.stdout.splitlines())
        problems += check_curves(measured["curves"], text, report.with_suffix(".svg"))
        problems += [f"{row['name']}: not in the report" for row in measured["rows"] if f"| {row['what']} |" not in text]
        problems += [f"machine: no {key}" for key in ("processor", "processors", "kernel", "versions") if not measured["machine"].get(key)]
    print("\n".join(f"not well formed: {problem}" for problem in problems) or "well formed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
