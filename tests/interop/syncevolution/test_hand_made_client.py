"""What a device of its own kind says to a running daemon, message by message: soft deletes, parts of items, filters, and a disk that is
full while its items are stored."""

from __future__ import annotations

import http.client
import itertools
import subprocess
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import msgspec
import pytest
from syncml_server import Client, change, codes, commands, sync

from twsync.syncml.deviceinfo import OwnDevice, own_devinf, put_devinf
from twsync.syncml.document import Alert, Anchor, DataStore, Encoding, Filter, Item, Location, Meta, Protocol, Sync
from twsync.syncml.serversession import Reply

PASSWORD = "interop-secret"
NUMBERS = itertools.count(1)


class Wire:
    """Stands for `syncml_server.World`: a daemon behind HTTP."""

    def __init__(self, url):
        self.url = url

    def post(self, uri, body, content_type=None, peer=None, origin=""):
        where = urlsplit(uri if "/syncml/" in uri or "?" in uri else self.url)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=120)
        try:
            path = f"{where.path}?{where.query}" if where.query else where.path
            connection.request("POST", path, body, {"Content-Type": content_type})
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 200, (answer.status, said)
            return Reply(said, answer.getheader("Content-Type"))
        finally:
            connection.close()


class Device:
    """One device that synchronises one collection; every session is closed properly, so the anchors go on."""

    def __init__(self, stage, folder, password, encoding=Encoding.XML):
        self.wire = Wire(stage.url)
        self.name = f"hand-{next(NUMBERS)}"
        self.store = folder.name
        self.password = password
        self.encoding = encoding
        self.sessions = 0

    def begin(self, code, **item):
        """Package 1 and its answer: the client, and the code with which the Alert was answered."""
        self.sessions += 1
        client = Client(
            self.wire,
            device=self.name,
            user="phone",
            password=self.password,
            session=str(self.sessions),
            uri=self.wire.url,
            encoding=self.encoding,
        )
        devinf = own_devinf(OwnDevice(self.name, "1", device_type="phone"), Protocol.V1_2, [DataStore("./card")])
        last = f"a{self.sessions - 1}" if self.sessions > 1 and code != 201 else None
        meta = Meta(anchor=Anchor(next=f"a{self.sessions}", last=last))
        place = Location(self.store, **item)
        asked = Alert("", str(code), (Item(target=place, source=Location("./card"), meta=meta),))
        reply = client.send(put_devinf(devinf, self.encoding), asked)
        return client, dict(codes(reply))["Alert"]

    def sync(self, code, *changes):
        """A whole session: the codes of the changes, and what the server sent."""
        client, answer = self.begin(code)
        assert answer == "200"
        reply = client.send(*client.statuses(), sync(self.store, *changes, source="./card"))
        answered = [pair for pair in codes(reply) if pair[0] in ("Add", "Replace", "Delete")]
        got = [child for command in commands(reply) if isinstance(command, Sync) for child in command.commands]
        assert reply.final
        ended = client.send(*client.statuses())
        assert {one for _, one in codes(ended)} == {"200"}
        return [one for _, one in answered], got


@pytest.fixture
def cards(stage):
    """A collection of contacts, and a device."""
    folder = stage.collection("contacts")
    return folder, Device(stage, folder, PASSWORD)


def card(name, *more):
    return "\r\n".join(("BEGIN:VCARD", "VERSION:3.0", f"N:{name};;;;", f"FN:{name}", *more, "END:VCARD", ""))


def texts(folder):
    """All contacts of a folder."""
    return [path.read_text() for path in sorted(folder.glob("*.vcf"))]


def names(folder):
    return sorted(line[3:] for text in texts(folder) for line in text.splitlines() if line.startswith("FN:"))


def delete(luid, **how):
    return change("Delete", luid, **how)


def test_what_a_device_drops_or_archives_stays(cards):
    """Through a slow sync, which does not bring it back either; what it deletes is gone."""
    folder, device = cards
    assert device.sync(201, *(change("Add", str(number), card(f"P{number}")) for number in range(4))) == (["201"] * 4, [])
    assert device.sync(200, delete("0", archive=True), delete("1", soft=True)) == (["200", "200"], [])
    assert names(folder) == ["P0", "P1", "P2", "P3"]
    assert device.sync(201, *(change("Replace", str(number), card(f"P{number}")) for number in (2, 3))) == (["200"] * 2, [])
    assert device.sync(200, delete("2")) == (["200"], [])
    assert names(folder) == ["P0", "P1", "P3"]
    (path,) = [path for path in folder.glob("*.vcf") if "FN:P1" in path.read_text()]
    path.write_text(path.read_text().replace("END:VCARD", "NOTE:new\nEND:VCARD"))
    _, got = device.sync(200)
    assert [(child.name, "NOTE:new" in str(child.items[0].data)) for child in got] == [("Add", True)]


def test_a_part_of_an_item(cards):
    """What it does not name stays as it is."""
    folder, device = cards
    assert device.sync(201, change("Add", "1", card("Ann", "TEL;TYPE=CELL:+1", "NOTE:kept"))) == (["201"], [])
    part = change("Replace", "1", "BEGIN:VCARD\r\nVERSION:3.0\r\nTEL;TYPE=CELL:+2\r\nEND:VCARD\r\n")
    part = msgspec.structs.replace(part, meta=Meta(type="text/vcard", field_level=True))
    assert device.sync(200, part) == (["200"], [])
    (text,) = texts(folder)
    assert ("FN:Ann" in text, "NOTE:kept" in text, "+2" in text, "+1" in text) == (True, True, True, False)


@pytest.mark.parametrize(
    ("grammar", "query", "expected"),
    [("syncml:filtertype-cgi", "modified&GE;20200101T000000Z", "406"), ("x-own", "a", "421"), ("syncml:filtertype-cgi", "a", "422")],
)
def test_a_filter_is_refused(cards, grammar, query, expected):
    """No session begins with it, and one without it does."""
    _, device = cards
    record = Item(meta=Meta(type=grammar), data=query)
    assert device.begin(201, filter=Filter(meta=Meta(type="text/vcard"), record=record))[1] == expected
    assert device.sync(201) == ([], [])


def test_a_collection_that_another_device_has(stage, cards):
    """It is waited for, and had when the other one is done; nothing of either is lost."""
    folder, device = cards
    other = Device(stage, folder, PASSWORD)
    client, answer = device.begin(201)
    assert answer == "200"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.sync, 201, change("Add", "1", card("Bob")))
        assert codes(client.send(*client.statuses(), sync(device.store, change("Add", "1", card("Ann")), source="./card")))[-1] == (
            "Add",
            "201",
        )
        client.send(*client.statuses())
        answered, got = waiting.result(timeout=60)
    assert (answered, [child.name for child in got]) == (["201"], ["Add"])
    assert names(folder) == ["Ann", "Bob"]


@pytest.fixture
def small_disk(stage, missing):
    """A collection of contacts whose folder is a file system of 2 MiB, and a way to make it larger."""
    folder = stage.place / f"small-{next(NUMBERS)}"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "twsync-test", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        stage.host.add_collection(folder.name, folder, "contacts")
        yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
    finally:
        stage.host.twsync("collection", "remove", folder.name)
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk(stage, small_disk):
    """Items that do not fit are answered 420, the others are stored, the session ends well, deletes go on; then the rest comes, once."""
    folder, larger = small_disk
    device = Device(stage, folder, PASSWORD)
    adds = [change("Add", str(number), card(f"P{number}", "NOTE:" + "x" * 90_000)) for number in range(40)]
    first: list[str] = []
    client, answer = device.begin(201)
    assert answer == "200"
    for number, add in enumerate(adds):
        reply = client.send(*client.statuses(), sync(device.store, add, source="./card"), final=number == len(adds) - 1)
        first += [one for name, one in codes(reply) if name == "Add"]
    assert set(first) == {"201", "420"}
    assert {one for _, one in codes(client.send(*client.statuses()))} == {"200"}
    stored = [f"P{number}" for number, one in enumerate(first) if one == "201"]
    assert names(folder) == sorted(stored)

    assert device.sync(200, delete("0"))[0] == ["200"]
    assert names(folder) == sorted(stored[1:])
    larger()
    rest = [add for add, one in zip(adds, first, strict=True) if one == "420"]
    client, answer = device.begin(200)
    assert answer == "200"
    for number, add in enumerate(rest):
        reply = client.send(*client.statuses(), sync(device.store, add, source="./card"), final=number == len(rest) - 1)
        assert ("Add", "201") in codes(reply)
    assert {one for _, one in codes(client.send(*client.statuses()))} == {"200"}
    assert names(folder) == sorted(f"P{number}" for number in range(1, 40))
    assert device.sync(200) == ([], [])
    stage.host.require_alive()
