"""What scripts/bench prints and writes: the table of ratios, the JSON, the report in Markdown with its plot."""
import json
import os
import platform
import re
import subprocess

from plot import write_plot

REPORT = """# What was measured

By `scripts/bench{arguments}`, which anybody can run: ratios against peers on the same machine in the same run, never absolute
speeds (the method: [README](../../README.md#measuring)). `ratio` is the median of the rounds' ratios, `worst` the worst of
them. CPU seconds are those of our two gateways and of theirs, in the median round; `by CPU` is the ratio of what a second of
those carries. Where the rest goes of what does not reach its target: [PROFILE.md](PROFILE.md).

{machine}

{table}
{notes}{plot}"""


def versions():
    """Of what is compared, by Debian's package or as it is built."""
    found = []
    for package in ("strongswan-libcharon", "libreswan", "libssl3", "libipsec-mb1", "iperf3", "g++"):
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
        if done.returncode == 0 and done.stdout:
            found.append(f"{package} {done.stdout}")
    return found


def machine():
    """The machine, without its name."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:
        text = stream.read()
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    family = re.search(r"^cpu family\s*: (.*)$", text, re.MULTILINE)
    number = re.search(r"^model\s*: (.*)$", text, re.MULTILINE)
    flags = [f for f in ("aes", "vaes", "vpclmulqdq", "avx512f", "avx512ifma") if re.search(rf"\b{f}\b", text)]
    with open("/proc/meminfo", encoding="ascii") as stream:
        memory = int(re.search(r"MemTotal:\s*(\d+)", stream.read()).group(1)) >> 20
    return {
        "processor": f"{model.group(1) if model else platform.machine()}"
                     + (f" (family {family.group(1)}, model {number.group(1)})" if family and number else ""),
        "processors": os.cpu_count(),
        "extensions": flags,
        "virtual": " hypervisor" in text,
        "memory_gib": memory + 1,
        "kernel": re.match(r"[\d.]*\d", platform.release()).group(0),
        "versions": versions(),
    }


def number(value):
    return "-" if value is None else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def met(row):
    if row["target"] is None:
        return True
    return row["ratio"] >= row["target"] if row["better"] == "higher" else row["ratio"] <= row["target"]


HEAD = ("name", "ours", "theirs", "unit", "ratio", "worst", "target", "CPU s", "theirs", "by CPU")


def cells(row):
    return (row["name"], number(row["ours"]), number(row["theirs"]), row["unit"], number(row["ratio"]), number(row["worst"]),
            number(row["target"]), number(row["cpu_seconds"]), number(row.get("their_cpu_seconds")),
            number(row.get("ratio_by_cpu")))


def print_head():
    print("{:<24} {:>10} {:>10} {:<12} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}".format(*HEAD), flush=True)


def print_row(row):
    print("{:<24} {:>10} {:>10} {:<12} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}".format(*cells(row)) + ("" if met(row) else "  below"
          if row["better"] == "higher" else "  above"), flush=True)


def write_json(path, rows, curves, settings):
    with open(path, "w", encoding="utf-8") as stream:
        json.dump({"machine": machine(), "settings": settings, "rows": rows, "curves": curves}, stream, indent=2)
        stream.write("\n")


def markdown_table(rows):
    lines = ["| what | ours | theirs | unit | ratio | worst | target | CPU s | their CPU s | by CPU |",
             "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        _, *rest = cells(row)
        rest[3] = f"**{rest[3]}**" if met(row) else rest[3]
        lines.append(f"| {row['what']} | " + " | ".join(rest) + " |")
    return "\n".join(lines) + "\n"


def write_report(path, rows, curves, settings):
    about = machine()
    text = (f"Machine: {about['processors']} processors, {about['processor']}, {', '.join(about['extensions'])}"
            f"{', a virtual machine' if about['virtual'] else ''}; {about['memory_gib']} GiB; Linux {about['kernel']}; "
            f"{', '.join(about['versions'])}. {settings['rounds']} rounds of {settings['seconds']:g} s; gw-a on processor "
            f"{settings['pins']['a']}, gw-b on {settings['pins']['b']}, each with the host behind it. Load average "
            f"before it began: {settings['load_before']:.1f}.")
    notes = "".join(f"\n{row['name']}: {row['note']}.\n" for row in rows if row["note"])
    plot = ""
    if curves:
        picture = path.with_suffix(".svg")
        write_plot(picture, curves)
        plot = f"\n![Throughput against packet size and number of SAs]({picture.name})\n"
        for curve in curves:
            points = ", ".join(f"{x:,}: {y:.3g}" for x, y in sorted(curve["points"]))
            plot += f"\n{curve['panel']}, {curve['name']}, {curve['unit']}: {points}.\n"
    path.write_text(REPORT.format(arguments=settings["arguments"], machine=text, table=markdown_table(rows), notes=notes,
                                  plot=plot), encoding="utf-8")
