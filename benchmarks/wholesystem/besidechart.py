"""Bars of seconds, tool beside tool, in panels: the picture for those who want to see at a glance how twsync does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABELS, RIGHT, BAR, GAP, TOP = 920, 330, 150, 15, 13, 60
#: The colour of each tool, in the order of the legend.
COLOURS = {"twsync": "#0969da", "rsync": "#bf8700", "rsync-ssl": "#9a6700", "rdiff": "#8c959f"}
STYLE = (
    "text{font:13px sans-serif;fill:#1f2328}.head{font-size:17px;font-weight:600}.panel{font-size:14px;font-weight:600}"
    ".soft{fill:#59636e;font-size:12px}.best{font-weight:600}"
)


@dataclass(frozen=True)
class Row:
    """One piece of work.

    :ivar label: what it is.
    :ivar seconds: by tool; a tool that is not there has no bar.
    :ivar other: the tool whose speed twsync's is given in multiples of.
    """

    label: str
    seconds: dict[str, float]
    other: str

    @property
    def speed(self) -> str:
        """How many times as fast as the other tool twsync was; empty if that is unknown."""
        if not {"twsync", self.other} <= self.seconds.keys():
            return ""
        return f"{self.seconds[self.other] / self.seconds['twsync']:.2g} × {self.other}'s speed"


@dataclass(frozen=True)
class Panel:
    """Rows under one heading."""

    heading: str
    rows: Sequence[Row]


def beside_chart(title: str, notes: Sequence[str], panels: Sequence[Panel]) -> str:
    """The panels, one under the other; in each row the longest bar has the whole width, so that small times are seen too."""
    tools = [tool for tool in COLOURS if any(tool in row.seconds for panel in panels for row in panel.rows)]
    parts, y = [], TOP
    for number, tool in enumerate(tools):
        x = WIDTH - 90 * (len(tools) - number)
        parts.append(f'<rect fill="{COLOURS[tool]}" x="{x}" y="15" width="12" height="12"/><text x="{x + 18}" y="26">{tool}</text>')
    for panel in panels:
        parts.append(f'<text class="panel" x="14" y="{y + 6}">{escape(panel.heading)}</text>')
        parts.append(f'<path stroke="#d1d9e0" d="M14 {y + 13}H{WIDTH - 14}"/>')
        y += 24
        for row in panel.rows:
            longest = max(row.seconds.values())
            height = BAR * len(row.seconds)
            middle = y + height / 2 + 4
            parts.append(f'<text text-anchor="end" x="{LABELS - 12}" y="{middle}">{escape(row.label)}</text>')
            for place, tool in enumerate(tool for tool in tools if tool in row.seconds):
                seconds = row.seconds[tool]
                length = max(1.5, round((WIDTH - LABELS - RIGHT - 60) * seconds / longest, 1))
                at = y + BAR * place
                parts.append(f'<rect fill="{COLOURS[tool]}" x="{LABELS}" y="{at}" width="{length}" height="{BAR - 2}"/>')
                kind = "best" if tool == "twsync" else "soft"
                parts.append(f'<text class="{kind}" x="{LABELS + length + 6}" y="{at + BAR - 4}">{shown(seconds)}</text>')
            parts.append(f'<text class="soft" text-anchor="end" x="{WIDTH - 14}" y="{middle}">{escape(row.speed)}</text>')
            y += height + GAP
        y += 14
    parts += [f'<text class="soft" x="14" y="{y + 6 + 16 * number}">{escape(line)}</text>' for number, line in enumerate(notes)]
    end = y + 16 * len(notes) + 6
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {end}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style><rect width='{WIDTH}' height='{end}' fill='#fff'/>",
        f'<text class="head" x="14" y="28">{escape(title)}</text>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def shown(seconds: float) -> str:
    """Seconds with as many digits as tell something."""
    return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds:.2f} s"
