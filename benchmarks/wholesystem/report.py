"""The result for people: Markdown tables of times, ratios, bytes and memory."""

from __future__ import annotations

from typing import Any

from wholesystem.bare import DUTIES
from wholesystem.cases import CASES, FULL_FILES, FULL_MIB, PEAK_WANTED, SERIES, Sizes
from wholesystem.summary import spread

TOOLS = ("twsync", "rsync", "rsync-ssl", "rdiff")
#: What a cell says where a tool takes one file and the case is a tree.
NOT_FOR_TREES = "one file only"


def seconds(result: dict[str, Any], case: str, tool: str) -> list[float]:
    """The measured seconds of a tool in a case; empty if there are none."""
    return [run["seconds"] for run in result["cases"].get(case, {}).get(tool, [])]


def ratio(result: dict[str, Any], case: str, over: str = "rsync") -> float | None:
    """How many times as fast twsync was, by medians."""
    theirs, ours = seconds(result, case, over), seconds(result, case, "twsync")
    return spread(theirs).median / spread(ours).median if theirs and ours else None


def time_cell(result: dict[str, Any], case: str, tool: str) -> str:
    """Seconds of a tool, or why there are none."""
    found = seconds(result, case, tool)
    if found:
        return spread(found).text()
    if tool in result["missing"]:
        return f"no {tool} here"
    return NOT_FOR_TREES if tool == "rdiff" and CASES[case] in SERIES["small"] else "not run"


def ratio_cell(result: dict[str, Any], case: str, over: str) -> str:
    """The ratio to another tool, with the least and greatest of the rounds."""
    found = ratio(result, case, over)
    if found is None:
        return "–"
    pairs = zip(seconds(result, case, over), seconds(result, case, "twsync"), strict=True)
    ends = spread([theirs / ours for theirs, ours in pairs])
    return f"{found:.2f} × ({ends.low:.2f}–{ends.high:.2f})"


def wire_cell(result: dict[str, Any], case: str, tool: str) -> str:
    """KB on the wire, the median."""
    found = [run["wire_bytes"] for run in result["cases"].get(case, {}).get(tool, [])]
    return f"{spread(found).median / 1000:,.0f}" if found else "–"


def cpu_cell(result: dict[str, Any], case: str, tool: str) -> str:
    """Processor seconds, the median."""
    found = [run["cpu"] for run in result["cases"].get(case, {}).get(tool, [])]
    return f"{spread(found).median:.2f}" if found else "–"


def verdict(result: dict[str, Any], case: str, full: bool) -> str:
    """Whether the target was reached; it holds for the full sizes only."""
    found = ratio(result, case)
    if found is None:
        return "not measured"
    if not full:
        return "other size"
    return "reached" if found >= CASES[case].wanted else "missed"


def ratios(result: dict[str, Any]) -> list[str]:
    """The main table."""
    sizes = Sizes(result["mib"], result["files"])
    lines = [
        "| work | twsync s | rsync s | rsync-ssl s | rdiff s | twsync's speed in rsync-ssl's | in rsync's | target | "
        "| processor s: twsync | rsync | rsync-ssl | KB on the wire: twsync | rsync |",
        "|---" * 14 + "|",
    ]
    for name in [name for name in CASES if name in result["cases"]]:
        case = CASES[name]
        times = [time_cell(result, name, tool) for tool in TOOLS]
        full = sizes.mib == FULL_MIB if case in SERIES["large"] else sizes.files == FULL_FILES
        speeds = [ratio_cell(result, name, over) for over in ("rsync-ssl", "rsync")]
        cells = [case.heading(sizes), *times, *speeds, f"{case.wanted:g} ×", verdict(result, name, full)]
        cells += [cpu_cell(result, name, tool) for tool in ("twsync", "rsync", "rsync-ssl")]
        cells += [wire_cell(result, name, tool) for tool in ("twsync", "rsync")]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def duties(result: dict[str, Any]) -> list[str]:
    """The table of what the large file costs whatever program is around it."""
    sizes = Sizes(result["mib"], result["files"])
    found = {case: tools["bare"] for case, tools in result["cases"].items() if "bare" in tools}
    if not found:
        return []
    heads = ["work", "twsync s", "bare s", "rsync s", "processor s: twsync", "bare", "of that: " + DUTIES[0], *DUTIES[1:]]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for case, runs in found.items():
        cells = [time_cell(result, case, tool) for tool in ("twsync", "bare", "rsync")]
        cells += [cpu_cell(result, case, tool) for tool in ("twsync", "bare")]
        cells += [f"{spread([run['details'][duty] for run in runs]).median:.2f}" for duty in DUTIES]
        lines.append("| " + " | ".join([CASES[case].heading(sizes), *cells]) + " |")
    said = [
        "bare: a process that sends the file and one that receives it, with TLS 1.3, both hashes and fsync, and nothing else, one thread",
        "each (`benchmarks/wholesystem/bare.py`).",
    ]
    return [*lines, "", *said, ""]


def peaks(result: dict[str, Any]) -> list[str]:
    """The table of memory: the highest of all rounds."""
    sizes = Sizes(result["mib"], result["files"])
    runs = {case: tools["twsync"] for case, tools in result["cases"].items() if "twsync" in tools}
    if not runs:
        return []
    daemons = list(dict.fromkeys(daemon for each in runs.values() for run in each for daemon in run["peaks"]))
    lines = [f"| peak memory, MiB (at most {PEAK_WANTED} wanted) | " + " | ".join(daemons) + " |", "|---" * (len(daemons) + 1) + "|"]
    for case, each in runs.items():
        cells = []
        for daemon in daemons:
            known = [run["peaks"][daemon] for run in each if run["peaks"].get(daemon) is not None]
            cells.append(f"{max(known):.0f}{' (too much)' if max(known) > PEAK_WANTED else ''}" if known else "not told by the kernel")
        lines.append("| " + " | ".join([CASES[case].heading(sizes), *cells]) + " |")
    return lines


def markdown(result: dict[str, Any]) -> str:
    """The whole report."""
    machine, load, place = result["machine"], result["load"], result["place"]
    where = f"Files on {place['filesystem']}{': ' + place['note'] if place['note'] else ''}."
    said = [
        f"{result['rounds']} alternating rounds. Seconds are medians, with the least and the greatest in brackets: for twsync `seconds` of",
        "`twsync sync --json` (TLS 1.3, verified), for rsync the wall time of `rsync -a --no-whole-file` to its daemon (no TLS), for",
        "rsync-ssl the same with TLS, by rsync's own wrapper and stunnel; for rdiff the wall time of signature, delta and patch, with no",
        "wire between them. Processor time is that of both ends together.",
        where,
        *(f"**{advice}.**" for advice in result["missing"].values()),
    ]
    facts = [
        f"Machine: {machine['cpu']}, {machine['cpus']} CPUs, {machine['memory']}; {machine['system']}; {machine['python']};",
        f"twsync {machine['twsync']}; {machine['rsync']}; {machine['rdiff']}.",
        f"Load averages before {load['before']}, after {load['after']}: above the number of CPUs, other work took part of them.",
        f"`{result['command']}`, {machine['time']}",
    ]
    return "\n".join(
        ["# twsync beside rsync and rdiff", "", *said, "", *ratios(result), "", *duties(result), *peaks(result), "", *facts, ""]
    )
