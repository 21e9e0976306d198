"""``twsync doctor``: look at everything, and say of each thing whether it is well and what to do if not."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from twsync.cli.daemon import running
from twsync.cli.funnel import Exit
from twsync.cli.journal import reading
from twsync.cli.options import config_option, config_path, json_option, load_settings, print_json
from twsync.cli.reach import reach_server
from twsync.cli.table import amount, printable
from twsync.errors import StoreError, TwsyncError, UserError
from twsync.peer import mending
from twsync.peer.settings import CollectionSettings, Settings
from twsync.store.diskerrors import unusable
from twsync.store.lock import holder
from twsync.store.owner import check_owner
from twsync.store.paths import Gate
from twsync.store.root import OWN, open_root
from twsync.transport import keys

OK, WARN, FAIL = "ok", "warn", "fail"
#: Less than this many free bytes, or this share of the disk, is worth a warning.
LITTLE_SPACE, LITTLE_SHARE = 1 << 30, 0.02
#: Seconds that the clock may differ from the server's: session descriptions are refused when they are much too old or new.
SKEW_WARN, SKEW_FAIL = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    check: str
    state: str
    "ok, warn or fail."
    message: str


@click.command()
@config_option
@json_option
def doctor(as_json: bool) -> int:
    """Check the settings, the key, the folders, the disk, the server, the data port and the clock; say what to do.

    Ends with code 1 if something fails; a warning is not a failure.

    \b
    Example:
      twsync doctor
    """
    findings = list(examine())
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            click.echo(f"{finding.state:>4}  {finding.check.ljust(width)}  {printable(finding.message)}")
    return Exit.FAILED if any(finding.state == FAIL for finding in findings) else Exit.DONE


def examine() -> Iterator[Finding]:
    """All checks, in an order in which the first failure explains the later ones."""
    try:
        settings = load_settings()
        settings.password()
    except TwsyncError as error:
        yield Finding("settings", FAIL, error.message)
        return
    yield Finding("settings", OK, f"{config_path()}: {settings.full_name}, collections: {len(settings.collections)}")
    for check in (_private_files, _key, _collections, _journal, _backend, _daemon):
        yield from _guarded(check, settings)


def _guarded(check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except TwsyncError as error:
        yield Finding(check.__name__.strip("_").replace("_", " "), FAIL, error.message)
    except OSError as error:
        yield Finding(check.__name__.strip("_").replace("_", " "), FAIL, f"{os.fsdecode(error.filename or '')}: {error.strerror}")


def _private_files(settings: Settings) -> Iterator[Finding]:
    wrong = []
    for path in (settings.password_file, settings.device_folder / "key.pem", settings.state):
        if path.exists():
            found = path.stat()
            if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
                wrong.append(str(path))
    if wrong:
        yield Finding("permissions", WARN, f"others can read, or own, {', '.join(wrong)}; run: chmod go= {' '.join(wrong)}")
    else:
        yield Finding("permissions", OK, "password, key and state are this user's alone")


def _key(settings: Settings) -> Iterator[Finding]:
    yield Finding("device key", OK, keys.load_device(settings.device_folder).fingerprint)


def _collections(settings: Settings) -> Iterator[Finding]:
    if not settings.collections:
        yield Finding("collections", WARN, "there are none; add one with: twsync collection add NAME PATH --type files")
    for collection in settings.collections:
        yield _collection(collection, settings)
        yield from _space(f"disk of {collection.name}", collection.path)
    yield from _space("disk of the state", settings.state)


def _collection(collection: CollectionSettings, settings: Settings) -> Finding:
    name = f"collection {collection.name}"
    known, synchronised = _synchronised(collection, settings)
    try:
        # The doctor makes no marker: the first session does.
        os.close(open_root(os.fsencode(collection.path)))
        if known or (collection.path / OWN.decode()).exists():
            with closing(Gate.open(collection.path, known=True)) as gate, reading(settings) as journal:
                if known and journal is not None:
                    check_owner(gate, journal.collection(collection.name, create=False))
        if os.statvfs(collection.path).f_flag & os.ST_RDONLY:
            return Finding(name, FAIL, f"{collection.path} is on a read-only file system: mount it writable")
    except TwsyncError as error:
        return Finding(name, FAIL, error.message)
    except OSError as error:
        return Finding(name, FAIL, unusable(error, os.fsencode(collection.path)).message)
    if not os.access(collection.path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(name, FAIL, f"{collection.path} cannot be written by this user; change its owner or permissions")
    return Finding(name, OK, f"{collection.path}{'' if synchronised else ', not synchronised yet'}")


def _synchronised(collection: CollectionSettings, settings: Settings) -> tuple[bool, bool]:
    """Whether the journal holds items of it, and whether there was any session; nothing is said against it where that cannot be asked."""
    try:
        with reading(settings) as journal:
            if journal is None:
                return False, False
            known = collection.name in journal.collections() and journal.collection(collection.name, create=False).known
            return known, known or bool(journal.sessions.list(1, collection.name))
    except StoreError:  # the check of the journal says why
        return False, True


def _space(name: str, path: Path) -> Iterator[Finding]:
    try:
        usage = shutil.disk_usage(path)
    except OSError:  # it is missing, or another check says what is wrong with it
        return
    if usage.free < LITTLE_SPACE or usage.free < usage.total * LITTLE_SHARE:
        yield Finding(name, WARN, f"only {amount(usage.free)} are free; make room, a session needs it for new content and the trash")
    else:
        yield Finding(name, OK, f"{amount(usage.free)} free")


def _journal(settings: Settings) -> Iterator[Finding]:
    with reading(settings) as journal:
        if journal is None:
            yield Finding("journal", OK, "none yet; the first start makes it")
            return
        yield Finding("journal", OK, str(settings.state / "journal.db"))
        open_conflicts = len(mending.open_conflicts(journal))
        if open_conflicts:
            yield Finding("conflicts", WARN, f"{open_conflicts} were kept; `twsync conflicts` lists them")
        for known in journal.trust.list():
            if known.offered:
                what = f"{known.device} showed another key ({known.offered}); if it is right: twsync trust {known.device}"
                yield Finding("trust", WARN, what)


def _backend(_settings: Settings) -> Iterator[Finding]:
    from twsync import delta

    if delta.BACKEND == "native":
        yield Finding("delta core", OK, "native")
    else:
        yield Finding("delta core", WARN, f"{delta.BACKEND}: changed large files are slow; install a C compiler, then install twsync again")


def _daemon(settings: Settings) -> Iterator[Finding]:
    try:
        daemon = running(settings)
    except UserError as error:
        yield Finding("daemon", FAIL, error.message)
        yield _server(settings)
        return
    if daemon is None:
        other = holder(settings.state / "lock")
        if other is not None:
            yield Finding("daemon", FAIL, f"{other} holds the state but does not answer; look into its log, then stop and start it")
        else:
            yield Finding("daemon", WARN, f"not running; start it with: twistd -n syncpeer --config {settings.file}")
        yield _server(settings)
        return
    with daemon:
        status: dict[str, Any] = daemon.call("status")
    yield Finding("daemon", OK, "running")
    yield _server(settings)
    server = status["server"]
    if server["connected"] and server.get("message"):
        yield Finding("registration", FAIL, server["message"])
    elif server["connected"]:
        yield Finding("registration", OK, f"registered from {server['local']}, seen as {server['observed']}")
    else:
        what = server.get("message") or f"not registered ({server.get('state')}); wait, or look into the daemon's log"
        yield Finding("registration", FAIL, what)
    yield from _clock(server.get("clock_skew"))
    yield from _data_port(status.get("data") or {})


def _server(settings: Settings) -> Finding:
    reached = reach_server(settings)
    return Finding("server", OK if reached.connected and reached.trusted else FAIL, reached.message)


def _clock(skew: float | None) -> Iterator[Finding]:
    if skew is None:
        return
    text = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the server's"
    if abs(skew) < SKEW_WARN:
        yield Finding("clock", OK, "agrees with the server's")
    else:
        yield Finding("clock", FAIL if abs(skew) > SKEW_FAIL else WARN, f"{text}; set it, for example with NTP")


def _data_port(data: dict[str, Any]) -> Iterator[Finding]:
    addresses = [tuple(address) for address in data.get("addresses", ())]
    if not addresses:
        yield Finding("data port", FAIL, "no address to name to other devices; set [data] advertise")
        return
    shown = ", ".join(f"{host} port {port}" for host, port in addresses)
    local = [address for address in addresses if address[1] == data.get("port")]
    for host, port in local:
        try:
            socket.create_connection((host, port), 2.0).close()
        except OSError:
            continue
        yield Finding("data port", OK, f"listens; others are told {shown}")
        return
    yield Finding("data port", WARN, f"did not answer from here on any of {shown}; check [data] listen and advertise, and the firewall")
