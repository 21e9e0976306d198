"""A bar chart of ratios as SVG, written by hand: no library is worth six bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABELS, ROW, TOP, BOTTOM = 900, 330, 34, 56, 46
MARKS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32)
STYLE = (
    "text{font:13px sans-serif;fill:#1f2328}.head{font-size:16px;font-weight:600}.soft{fill:#59636e;font-size:12px}"
    ".good{fill:#2da44e}.bad{fill:#bf8700}.grid{stroke:#d1d9e0}.one{stroke:#59636e}.wanted{stroke:#cf222e;stroke-width:3}"
)


@dataclass(frozen=True)
class Bar:
    """One ratio and its target."""

    label: str
    value: float
    wanted: float


def bar_chart(title: str, note: str, bars: Sequence[Bar]) -> str:
    """Bars on a logarithmic scale, from 1 to the left or to the right, each with a mark where its target is."""
    values = [number for bar in bars for number in (bar.value, bar.wanted)] + [0.5, 2]
    low, high = math.log(min(values) / 1.3), math.log(max(values) * 1.5)

    def x(value: float) -> float:
        return round(LABELS + (WIDTH - LABELS - 20) * (math.log(value) - low) / (high - low), 1)

    end = TOP + ROW * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {end + BOTTOM}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{end + BOTTOM}" fill="#fff"/><text class="head" x="14" y="26">{escape(title)}</text>',
    ]
    for mark in (mark for mark in MARKS if low < math.log(mark) < high):
        kind = "one" if mark == 1 else "grid"
        parts.append(f'<path class="{kind}" d="M{x(mark)} {TOP - 10}V{end}"/>')
        parts.append(f'<text class="soft" text-anchor="middle" x="{x(mark)}" y="{TOP - 14}">{mark:g} ×</text>')
    for row, bar in enumerate(bars):
        y = TOP + ROW * row
        left, right = sorted((x(1), x(bar.value)))
        kind = "good" if bar.value >= bar.wanted else "bad"
        parts.append(f'<text text-anchor="end" x="{LABELS - 12}" y="{y + 20}">{escape(bar.label)}</text>')
        parts.append(f'<rect class="{kind}" x="{left}" y="{y + 5}" width="{max(1.0, round(right - left, 1))}" height="{ROW - 12}"/>')
        parts.append(f'<path class="wanted" d="M{x(bar.wanted)} {y + 2}v{ROW - 6}"/>')
        parts.append(f'<text x="{max(right, x(bar.wanted)) + 6}" y="{y + 20}">{bar.value:.2f} ×</text>')
    parts.append(f'<text class="soft" x="14" y="{end + 22}">{escape(note)}</text>')
    parts.append(f'<text class="soft" x="14" y="{end + 38}">Logarithmic; red: the target; green: reached.</text></svg>')
    return "\n".join(parts) + "\n"
