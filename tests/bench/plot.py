"""A plot as SVG: panels side by side, in each some curves over a logarithmic axis. Curves are
{"panel", "x", "name", "unit", "points": [(x, y)]}."""
import html
import math

WIDTH, HEIGHT = 420, 260  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 34, 44
LABEL = 32  # what one under the axis takes
COLOURS = ["#1f6f8b", "#c4572b", "#5b8c3a", "#7a4f9a", "#8a6d1f"]


def nice_top(value):
    """The smallest 1, 2 or 5 times a power of ten that is not below."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def text(x, y, words, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{html.escape(words)}</text>'


def panel(name, curves, offset):
    xs = sorted({x for curve in curves for x, _ in curve["points"]})
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    top = nice_top(max(y for curve in curves for _, y in curve["points"]))
    right, bottom = offset + WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x, y):
        along = (math.log10(x) - low) / (high - low) if high > low else 0.5
        return offset + LEFT + along * (WIDTH - LEFT - RIGHT), bottom - y / top * (bottom - TOP)

    parts = [text(offset + WIDTH / 2, 16, name, more='font-weight="bold"')]
    for step in range(5):
        _, y = place(xs[0], top * step / 4)
        parts.append(f'<line x1="{offset + LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(offset + LEFT - 6, y + 4, f"{top * step / 4:g}", "end"))
    written = right + 2 * LABEL  # from the right, where a label would run into the next there is none
    for x in reversed(xs):
        along, _ = place(x, 0)
        if written - along >= LABEL:
            parts.append(text(min(along, right - 8), bottom + 15, f"{x // 1000}k" if x >= 1000 and x % 1000 == 0 else f"{x}"))
            written = along
    parts.append(text(offset + (LEFT + WIDTH) / 2, HEIGHT - 10, f"{curves[0]['x']}; {curves[0]['unit']}"))
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(x, y) for x, y in sorted(curve["points"])]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(text(offset + LEFT + 8, TOP + 12 + 14 * number, curve["name"], "start", f'fill="{colour}"'))
    return parts


def write_plot(path, curves):
    names = list(dict.fromkeys(curve["panel"] for curve in curves))
    parts = []
    for number, name in enumerate(names):
        parts += panel(name, [c for c in curves if c["panel"] == name], number * WIDTH)
    width = WIDTH * len(names)
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" '
                    'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n'
                    + "\n".join(parts) + "\n</svg>\n", encoding="utf-8")
