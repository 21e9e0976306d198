"""SyncEvolution's client and server, and a twsync host to run them against."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from http_between import Between
from syncevolution import SERVER_PROGRAMS, Client, StockServer, build_shim

from twsync.demo.commands import LOOPBACK, free_ports
from twsync.demo.stage import Host, Server, start_all

PASSWORD = "interop-secret"
#: Seconds that a session gets to end when its client has.
SETTLE_TIMEOUT = 30.0


class Stage:
    """A control server and a host with record collections that serves SyncML clients. Its collections are new for each test."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.server = Server.create(place / "server")
        self.server.add_user("alice", PASSWORD)
        (self.port,) = free_ports(1)
        self.host = Host.create(place / "host", self.server, "alice", PASSWORD, "home", syncml_port=self.port)
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """Where SyncML clients go."""
        return self.address(self.port)

    def address(self, port: int) -> str:
        """The same behind a proxy on `port`."""
        return f"http://{LOOPBACK}:{port}/syncml"

    def collection(self, kind: str, *options: str) -> Path:
        """Add a record collection; its folder, which is called as the collection is."""
        folder = self.place / f"{kind}-{next(self._numbers)}"
        folder.mkdir()
        self.host.add_collection(folder.name, folder, kind, *options)
        return folder

    def account(self, name: str, password: str = PASSWORD, *options: str) -> None:
        """Add an account for SyncML clients."""
        self.host.twsync("syncml", "account", "add", name, *options, password=password).expect(0)

    def settled(self) -> None:
        """Wait until no session is under way: the last words of a client's session come after it has ended."""
        until = time.monotonic() + SETTLE_TIMEOUT
        while self.host.twsync("status", "--json").expect(0).document["sessions"]:
            assert time.monotonic() < until, "a session does not end"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def shim(program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that mends Debian's client, built."""
    return build_shim(program("cc", "gcc"), tmp_path_factory.mktemp("shim"))


@pytest.fixture
def stock(program: Callable[[str, str], str], shim: Path, tmp_path: Path) -> Callable[..., Client]:
    """``stock(name, url, user, password)``: a new SyncEvolution client."""
    syncevolution = program("syncevolution", "syncevolution")

    def make(name: str, url: str, user: str = "phone", password: str = PASSWORD) -> Client:
        return Client(syncevolution, shim, tmp_path / f"client-{name}", url, user, password, f"{tmp_path.name}-{name}")

    return make


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A running host that serves SyncML clients; one of its accounts, phone, reaches everything."""
    made = Stage(tmp_path_factory.mktemp("stage"))
    with made.server, made.host:
        start_all([made.server, made.host])
        made.account("phone")
        yield made


@pytest.fixture
def between(stage: Stage) -> Iterator[Between]:
    """A proxy in front of the host's SyncML port."""
    with Between(stage.port) as made:
        yield made


@dataclass
class Phone:
    """A client with one datastore and its counterpart."""

    client: Client
    "Its datastore is an address book."
    there: Path
    "Folder of the client."
    here: Path
    "Folder of the host."


@pytest.fixture
def phone(stage: Stage, stock: Callable[..., Client], tmp_path: Path) -> Phone:
    """A client with an empty address book, and a collection for it."""
    here = stage.collection("contacts")
    made = Phone(stock("phone", stage.url), tmp_path / "cards", here)
    made.client.add("addressbook", made.there, "text/vcard", here.name)
    return made


@pytest.fixture(scope="session")
def stock_server(program: Callable[[str, str], str], stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockServer]:
    """A running server of SyncEvolution, which knows the host and its account phone."""
    programs = {name: program(name, package) for name, package in SERVER_PROGRAMS.items()}
    (port,) = free_ports(1)
    place = tmp_path_factory.mktemp("stock-server")
    made = StockServer(programs, place / "home", port, "phone", PASSWORD)
    made.add(stage.host.name, "first", place / "first", "text/vcard", "first")
    try:
        made.start()
        yield made
    finally:
        made.stop()
