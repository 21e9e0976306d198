"""Lines over a growing cost as SVG, with both scales logarithmic: a cost in proportion is a straight line of slope 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 440, 70, 190, 50, 60
#: A tool has its colour in all pictures; what it does has its kind of line.
COLOURS = {"twsync": "#0969da", "rsync": "#bf8700"}
OTHER_COLOUR = "#0969da"
DASHES = ("none", "7 4", "2 3")
STYLE = "text{font:13px sans-serif;fill:#1f2328}.head{font-size:16px;font-weight:600}.soft{fill:#59636e;font-size:12px}"

#: One line: where and how much.
Line = Sequence[tuple[float, float]]


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten from `low` to `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [tick for tick in found if low <= tick <= high]


def line_chart(title: str, across: str, up: str, lines: Mapping[str, Line]) -> str:
    """The lines by their names; all numbers are above 0."""
    points = [point for line in lines.values() for point in line]
    left, right = min(x for x, _ in points) / 1.1, max(x for x, _ in points) * 1.1
    bottom, top = min(y for _, y in points) / 1.3, max(y for _, y in points) * 1.3

    def x(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / left) / math.log(right / left), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(value / bottom) / math.log(top / bottom), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><text class="head" x="14" y="26">{escape(title)}</text>',
        f'<text class="soft" x="14" y="44">{escape(up)}</text>',
        f'<text class="soft" text-anchor="middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 16}">{escape(across)}</text>',
    ]
    for tick in sorted({point[0] for point in points}):
        parts.append(f'<path stroke="#eaeef2" d="M{x(tick)} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="soft" text-anchor="middle" x="{x(tick)}" y="{HEIGHT - BOTTOM + 18}">{tick:,g}</text>')
    for tick in ticks(bottom, top):
        parts.append(f'<path stroke="#eaeef2" d="M{LEFT} {y(tick)}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="soft" text-anchor="end" x="{LEFT - 8}" y="{y(tick) + 4}">{tick:g}</text>')
    kinds = list(dict.fromkeys(name.partition(", ")[2] for name in lines))
    for number, (name, line) in enumerate(lines.items()):
        tool, _, kind = name.partition(", ")
        colour, dash = COLOURS.get(tool, OTHER_COLOUR), DASHES[kinds.index(kind) % len(DASHES)]
        path = " ".join(f"{x(across_)},{y(up_)}" for across_, up_ in line)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" points="{path}"/>')
        parts.extend(f'<circle fill="{colour}" r="3.5" cx="{x(across_)}" cy="{y(up_)}"/>' for across_, up_ in line)
        sample = f"M{WIDTH - RIGHT + 12} {TOP + 7 + 22 * number}h26"
        parts.append(f'<path stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" d="{sample}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 46}" y="{TOP + 11 + 22 * number}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
