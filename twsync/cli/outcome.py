"""What a session came to, in words. (Apart from `twsync.cli.status`, which takes the journal along: commands start faster without.)"""

from __future__ import annotations

from typing import Any

from twsync.cli.table import amount, printable


def counts(of: dict[str, Any]) -> str:
    """One direction's counters in words."""
    return (
        f"{of['added']} added, {of['changed']} changed, {of['deleted']} deleted; {amount(of['wire_bytes'])} on the wire, "
        f"{amount(of['literal_bytes'])} new, {amount(of['matched_bytes'])} found here"
    )


def details(result: dict[str, Any]) -> list[str]:
    """Conflicts, skipped items and the error of a result, a line each."""
    lines = []
    for conflict in result.get("conflicts", ()):
        kept = f", the other kept as {conflict['copy']}" if conflict.get("copy") else ""
        lines.append(f"conflict: {conflict['item']} ({conflict['resolution']}{kept})")
    lines += [f"skipped: {skipped['item']} ({skipped['reason']})" for skipped in result.get("skipped", ())]
    if result.get("error"):
        lines.append(f"error: {result['error']['message']}")
    return [printable(line) for line in lines]
