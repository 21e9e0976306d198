"""Records by SyncML beside SyncEvolution: twsync to twsync, SyncEvolution to SyncEvolution, alternating, over loopback.

``python benchmarks/syncml.py [--contacts 2000] [--many 100000] [--changes 10] [--rounds 3] [--out FOLDER]``

The times are those of the commands as a user types them, from start to end, start of the interpreter included; beside twsync's stands
what the session itself took, from the INVITE to the commit on both sides. SyncEvolution (Debian's packages syncevolution,
syncevolution-http, dbus, python3-twisted, python3-dbus, python3-gi) is needed for the ratios; without it twsync is measured alone, and
the table says so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "contracts"))

from syncevolution import SERVER_PROGRAMS, Client, StockServer, build_shim
from wholesystem.ending import end_in_order
from wholesystem.machine import facts, load
from wholesystem.place import place

from twsync.demo.commands import free_ports
from twsync.demo.stage import Host, Server, start_all

RESULTS = Path(__file__).parent / "results"
PASSWORD = "benchmark-secret"
#: Bytes of a contact on one side: the page that its file takes, and as much for what is known of it.
CONTACT = 8192
#: What is to be reached: at most this share of SyncEvolution's time.
WANTED = {"first": 1 / 3, "nothing": 1 / 10}
#: And for many contacts with few changes, seconds of the session.
WANTED_MANY = 1.0


def card(number: int, note: str = "") -> str:
    """A contact of ordinary size."""
    return (
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:contact-{number}\r\nFN:Person Number {number}\r\nN:Number {number};Person;;;\r\n"
        f"TEL;TYPE=CELL:+49170{number:07d}\r\nTEL;TYPE=WORK,VOICE:+4930{number:07d}\r\nEMAIL;TYPE=INTERNET:person{number}@example.org\r\n"
        f"ADR;TYPE=HOME:;;Street {number};Town;;{number % 100000:05d};Country\r\nORG:Company {number % 50}\r\n"
        f"NOTE:{note or f'note {number}'}\r\nEND:VCARD\r\n"
    )


def fill(folder: Path, count: int, suffix: str) -> None:
    """So many contacts as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"contact-{number}{suffix}").write_text(card(number), newline="")


class Hosts:
    """Two twsync hosts with a collection of contacts, introduced by a server."""

    def __init__(self, at: Path, contacts: int) -> None:
        server = Server.create(at / "server")
        server.add_user("alice", PASSWORD)
        self.hosts = [Host.create(at / name, server, "alice", PASSWORD, name) for name in ("laptop", "desktop")]
        self.folders = [at / f"{name}-contacts" for name in ("laptop", "desktop")]
        for host, folder in zip(self.hosts, self.folders, strict=True):
            folder.mkdir()
            host.add_collection("contacts", folder, "contacts")
        fill(self.folders[0], contacts, ".vcf")
        self.daemons = [server, *self.hosts]

    def sync(self, *options: str) -> dict[str, float]:
        """A session; seconds of the command and of the session."""
        began = time.perf_counter()
        done = self.hosts[0].sync("contacts", "desktop", *options, timeout=900.0).expect(0)
        return {"command": time.perf_counter() - began, "session": done.document["seconds"]}


@contextmanager
def two_hosts(at: Path, contacts: int) -> Iterator[Hosts]:
    """The same, running; all are ended when the block is left, whatever comes while they start or end."""
    hosts = Hosts(at, contacts)
    with ExitStack() as stack:
        for daemon in hosts.daemons:
            stack.enter_context(daemon)
        start_all(hosts.daemons)
        yield hosts


def measure_twsync(at: Path, contacts: int) -> dict[str, dict[str, float]]:
    """The first session, and one with nothing to do."""
    with two_hosts(at, contacts) as hosts:
        first = hosts.sync("--type", "slow")
        assert sum(1 for path in hosts.folders[1].iterdir() if path.suffix == ".vcf") == contacts
        return {"first": first, "nothing": hosts.sync()}


def measure_many(at: Path, contacts: int, changes: int, rounds: int) -> list[dict[str, float]]:
    """Sessions with a few changes on each side among many contacts."""
    found = []
    with two_hosts(at, contacts) as hosts:
        hosts.sync("--type", "slow")
        hosts.sync()
        for round_ in range(rounds):
            for side, folder in enumerate(hosts.folders):
                for number in range(changes):
                    name = f"contact-{side * changes + number}.vcf"
                    (folder / name).write_text(card(side * changes + number, f"edited {round_} {side}"), newline="")
            found.append(hosts.sync())
            for folder in hosts.folders:
                assert f"edited {round_} 0" in (folder / "contact-0.vcf").read_text()
                assert f"edited {round_} 1" in (folder / f"contact-{changes}.vcf").read_text()
    return found


def measure_stock(at: Path, contacts: int, programs: dict[str, str], shim: Path) -> dict[str, dict[str, float]]:
    """The same with SyncEvolution on both sides."""
    fill(at / "client-contacts", contacts, "")
    (port,) = free_ports(1)
    server = StockServer(programs, at / "stock-server", port, "phone", PASSWORD)
    server.add("sc-benchmark", "addressbook", at / "server-contacts", "text/vcard", "card")
    client = Client(programs["syncevolution"], shim, at / "stock-client", server.url, "phone", PASSWORD, "sc-benchmark")
    client.add("addressbook", at / "client-contacts", "text/vcard", "card")
    found = {}
    try:
        server.start()
        for case, mode in (("first", "slow"), ("nothing", None)):
            began = time.perf_counter()
            report = client.sync(mode=mode)
            found[case] = {"command": time.perf_counter() - began}
            assert report.code == 0, report.text
    finally:
        server.stop()
    assert sum(1 for _ in (at / "server-contacts").iterdir()) == contacts
    return found


def markdown(result: dict[str, Any]) -> str:
    """The table."""
    lines = [
        "| work | twsync, command | of that the session | SyncEvolution, command | share | wanted |",
        "|---|---|---|---|---|---|",
    ]
    names = {"first": f"{result['contacts']:,} contacts, first session", "nothing": "the same, nothing changed"}
    for case, name in names.items():
        own = [run[case] for run in result["twsync"]]
        command, session = (statistics.median(one[key] for one in own) for key in ("command", "session"))
        other = statistics.median(run[case]["command"] for run in result["syncevolution"]) if result["syncevolution"] else None
        share = f"{other:.2f} s | {command / other:.2f}" if other else "not here | -"
        lines.append(f"| {name} | {command:.2f} s | {session:.2f} s | {share} | {WANTED[case]:.2f} |")
    if result["many_runs"]:
        command, session = (statistics.median(one[key] for one in result["many_runs"]) for key in ("command", "session"))
        name = f"{result['many']:,} contacts, {result['changes']} changes on each side"
        lines.append(f"| {name} | {command:.2f} s | {session:.2f} s | - | session < {WANTED_MANY:.0f} s | |")
    if result["missing"]:
        lines += ["", f"SyncEvolution was not measured: {result['missing']}."]
    before, after = result["load"]
    filesystem, note = result["place"]["filesystem"], result["place"]["note"]
    lines += [
        "",
        f"Medians of {result['rounds']} alternating rounds; {result['machine']['cpu']}, {result['machine']['cpus']} CPUs;",
        f"files on {filesystem}{': ' + note if note else ''}; load averages before {before}, after {after}.",
        f"`{result['command']}`, {result['machine']['time']}",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, write the results and print the table."""
    parser = argparse.ArgumentParser(description="records by SyncML beside SyncEvolution, on loopback")
    parser.add_argument("--contacts", type=int, default=2000, help="default: %(default)s")
    parser.add_argument(
        "--many", type=int, default=100_000, help="contacts of the case with few changes; 0 leaves it out (default: %(default)s)"
    )
    parser.add_argument("--changes", type=int, default=10, help="changes on each side of that case (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the results (default: benchmarks/results)")
    options = parser.parse_args()
    if min(options.contacts, options.changes, options.rounds) < 1:
        parser.error("--contacts, --changes and --rounds are at least 1")
    if options.many and options.many < 2 * options.changes:
        parser.error("--many is 0, or at least twice --changes")
    end_in_order()
    found = {name: shutil.which(name) for name in (*SERVER_PROGRAMS, "cc")}
    missing = ", ".join(f"there is no {name}" for name, path in found.items() if path is None)
    programs = {name: path for name, path in found.items() if path is not None}
    before = load()
    result: dict[str, Any] = {
        "contacts": options.contacts, "many": options.many, "changes": options.changes, "rounds": options.rounds, "machine": facts(),
        "command": " ".join(["python", *sys.argv]), "missing": missing, "twsync": [], "syncevolution": [], "many_runs": [],
    }  # fmt: skip
    with place(CONTACT * (4 * options.contacts * options.rounds + 2 * options.many)) as at:
        result["place"] = {"filesystem": at.filesystem, "note": at.note}
        shim = build_shim(programs["cc"], at.path) if not missing else at.path
        for number in range(options.rounds):
            result["twsync"].append(measure_twsync(at.path / f"twsync-{number}", options.contacts))
            if not missing:
                result["syncevolution"].append(measure_stock(at.path / f"stock-{number}", options.contacts, programs, shim))
        if options.many:
            result["many_runs"] = measure_many(at.path / "many", options.many, options.changes, options.rounds)
    result["load"] = [before, load()]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "syncml.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.out / "syncml.md").write_text(markdown(result))
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
