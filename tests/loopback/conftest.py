"""Real daemons on loopback. One server with its hosts serves all tests; each test has collections of its own."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from twsync.cli.funnel import run as run_command_line
from twsync.cli.main import twsync
from twsync.demo import trees
from twsync.demo.commands import Outcome
from twsync.demo.stage import Daemon, Host, Server, start_all

PASSWORD = "correct horse battery staple"
HERE = Path(__file__).parent


def run_here(*arguments: str | os.PathLike[str], password: str | None = None, timeout: float = 60.0) -> Outcome:
    """Run ``twsync ARGUMENTS`` in this process: the daemons are real, and starting Python hundreds of times would tell nothing more.

    The demonstration's own tests and those that kill run it as a process.
    """
    words = tuple(os.fspath(word) for word in arguments)
    out, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        patch.delenv("TWSYNC_CONFIG", raising=False)
        patch.setenv("TWSYNC_PASSWORD", password or "")
        code = run_command_line(twsync, words, "twsync")
    out.seek(0)
    errors.seek(0)
    return Outcome(words, code, out.read(), errors.read())


class World:
    """A server and its hosts, and folders for them to share.

    :ivar server: the running control server.
    """

    def __init__(self, place: Path, stack: ExitStack) -> None:
        self.place = place
        self._stack = stack
        self._numbers = itertools.count(1)
        self.hosts: dict[str, Host] = {}
        self.server = stack.enter_context(Server.create(place / "server", run=run_here))
        self.server.add_user("alice", PASSWORD)
        self.server.start()
        self.server.wait_ready()

    @property
    def daemons(self) -> list[Daemon]:
        """Every daemon that was ever made here."""
        return [self.server, *self.hosts.values()]

    def make(self, device: str, *, user: str = "alice", password: str = PASSWORD, folder: str | None = None, syncml_port: int = 0) -> Host:
        """A host that is not started yet."""
        place = self.place / (folder or f"{user}-{device}")
        host = self._stack.enter_context(Host.create(place, self.server, user, password, device, run_here, syncml_port=syncml_port))
        self.hosts[place.name] = host
        return host

    def start(self, *devices: str) -> list[Host]:
        """Running hosts of alice, made if they are not there yet."""
        hosts = [self.hosts.get(f"alice-{device}") or self.make(device) for device in devices]
        start_all(hosts)
        return hosts

    def share(self, *hosts: Host, kind: str = "files", options: tuple[str, ...] = ()) -> tuple[str, list[Path]]:
        """A new collection on these hosts: its name, and its folder on each."""
        name = f"c{next(self._numbers)}"
        roots = [self.place / f"{name}-{host.folder.name}" for host in hosts]
        for host, root in zip(hosts, roots, strict=True):
            root.mkdir()
            host.add_collection(name, root, kind, *options)
        return name, roots


WORLDS: list[World] = []


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running server; hosts are started by ``world.start``."""
    with ExitStack() as stack:
        made = World(tmp_path_factory.mktemp("loopback"), stack)
        WORLDS.append(made)
        yield made
    WORLDS.remove(made)


@pytest.fixture(scope="session")
def laptop(world: World) -> Host:
    """Alice's laptop: the caller in most tests."""
    return world.start("laptop", "desktop")[0]


@pytest.fixture(scope="session")
def desktop(world: World, laptop: Host) -> Host:
    """Alice's desktop: the callee in most tests."""
    return world.start("desktop")[0]


@pytest.fixture(autouse=True)
def everyone_is_up(request: pytest.FixtureRequest) -> None:
    """Before each test server and hosts run and are registered, whatever the test before did to them."""
    for made in WORLDS:
        made.server.start()
        made.server.wait_ready()
        for name in ("laptop", "desktop"):
            host = made.hosts.get(f"alice-{name}")
            if host is not None and not host.alive:
                host.start()
                host.wait_ready()


@pytest.fixture(scope="session")
def write() -> Callable[..., None]:
    """``write(root, {"a/b.txt": "text", "gone.txt": None})``: make, change and delete files."""

    def change(root: Path, files: dict[str, str | bytes | None]) -> None:
        for name, content in files.items():
            path = root / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return change


@pytest.fixture(scope="session")
def texts() -> Callable[[Path], dict[str, str]]:
    """``texts(root)``: the files below a root and what they hold."""

    def read(root: Path) -> dict[str, str]:
        found = (path for path in root.rglob("*") if path.is_file() and ".twsync" not in path.relative_to(root).parts)
        return {str(path.relative_to(root)): path.read_text() for path in found}

    return read


@pytest.fixture(scope="session")
def same() -> Callable[..., None]:
    """``same(one, other)``: assert that trees hold the same names, kinds, bytes, modes, times and links; special files are left out."""

    def compare(one: Path, *others: Path) -> None:
        first = {name: entry for name, entry in trees.snapshot(one).items() if entry.kind != "special"}
        for other in others:
            assert not trees.differences(first, {name: entry for name, entry in trees.snapshot(other).items() if entry.kind != "special"})

    return compare


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """``eventually(check)``: call `check` until it returns something true; the test fails after 20 seconds."""

    def wait(check: Callable[[], object], seconds: float = 20.0) -> None:
        until = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < until, f"not within {seconds:.0f} s: {check}"
            time.sleep(0.1)

    return wait


@pytest.fixture(scope="session")
def refused() -> Callable[[Outcome], str]:
    """``refused(outcome)``: assert that a command failed as it should, by one sentence and no traceback; gives the sentence."""

    def check(outcome: Outcome) -> str:
        assert outcome.code == 1, outcome
        assert "Traceback" not in outcome.stderr, outcome.stderr
        lines = outcome.stderr.strip().splitlines()
        assert len(lines) == 1, outcome.stderr
        return lines[0]

    return check


@pytest.fixture(scope="session")
def root_user(missing: Callable[[str], None]) -> None:
    """Skips where mounting small file systems is not allowed."""
    if os.geteuid() != 0:
        missing("only root may mount the small file system that this test fills")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder starts real daemons."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.loopback)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """A failed test shows the end of every daemon's log."""
    report = yield
    if report.failed:
        for made in WORLDS:
            for daemon in made.daemons:
                report.sections.append((f"end of {daemon.log}", daemon.tail()))
    return report
