"""Columns of text for people; what another host sent cannot move the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def printable(text: str) -> str:
    """`text` with every control character shown as ``?``: names come from other hosts, and terminals obey escape sequences."""
    return "".join(c if c.isprintable() else "?" for c in text)


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under their head, each column as wide as its longest cell."""
    table = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)


def amount(count: int) -> str:
    """Bytes as people read them: ``1.5 MiB``."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
