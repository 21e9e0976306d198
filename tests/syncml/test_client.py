"""The client session against servers whose every reply is made by the test: old ones, lenient ones, busy ones, ones that refuse."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from memory_store import MemoryDatastores, MemoryStore

from twsync import limits
from twsync.errors import ProtocolError
from twsync.reconcile.model import SyncType
from twsync.syncml import auth, codec
from twsync.syncml.anchors import own_anchor
from twsync.syncml.client import ClientSession
from twsync.syncml.clientaccess import Access, Credentials
from twsync.syncml.clientcourse import COURSES, Course, Turn, course
from twsync.syncml.clientphases import TABLE, Event, Phase, after
from twsync.syncml.clientresult import Error, Request, Result, Tally
from twsync.syncml.clientsetup import ClientSetup, Remembered, Wanted, alerted, alerts_in
from twsync.syncml.codec import decode, encode
from twsync.syncml.codes import ALERTS, AlertCode
from twsync.syncml.datastore import Action, Anchors, Peer, Record
from twsync.syncml.deviceinfo import OwnDevice, own_devinf, put_devinf
from twsync.syncml.document import (
    Alert,
    Anchor,
    Change,
    Command,
    DevInf,
    Encoding,
    Group,
    Header,
    Item,
    Location,
    Map,
    Message,
    Meta,
    Other,
    Protocol,
    Put,
    Results,
    Status,
    Sync,
)

T = SyncType
URL = "http://server/sync"
NOW = 1_800_000_000.0


@dataclass
class Bench:
    """A client, and a server that is the test."""

    stores: dict[str, MemoryStore]
    wanted: list[Wanted]
    setup: ClientSetup
    session: ClientSession = field(init=False)
    step: Request | Result = field(init=False)
    msg_id: int = 0

    def __post_init__(self) -> None:
        self.session = ClientSession(self.wanted, MemoryDatastores(self.stores, server=False), self.setup)
        self.step = self.session.start(NOW)

    @property
    def sent(self) -> Message:
        """The message that the client sends now."""
        assert isinstance(self.step, Request), self.step
        return decode(self.step.body, self.step.content_type).message

    @property
    def result(self) -> Result:
        assert isinstance(self.step, Result), self.step
        return self.step

    def reply(self, *commands: Command, final: bool = True, header: int | None = 200, chal: Meta | None = None, **more) -> Request | Result:
        """Answer; the Status of the header stands first unless `header` is None."""
        sent = self.sent.header
        self.msg_id = 1 if sent.msg_id == "1" else self.msg_id + 1
        first = [] if header is None else [Status("", sent.msg_id, "0", "SyncHdr", str(header), chal=chal)]
        made = numbered([*first, *commands])
        head = Header(sent.protocol, sent.session_id, str(self.msg_id), Location("laptop"), Location(URL), **more)
        body = encode(Message(head, made, final), self.setup.encoding)
        self.step = self.session.receive(body, self.setup.encoding.value, NOW)
        return self.step

    def ok(self, name: str = "", code: int = 200) -> list[Status]:
        """Statuses for all that the client has just sent, but for Statuses."""
        sent, answers = self.sent, []
        for command in sent.body:
            inner = command.commands if isinstance(command, Sync) else ()
            for one in (command, *inner):
                if not isinstance(one, Status):
                    cmd = one.name if isinstance(one, Change | Put) else type(one).__name__
                    answers.append(Status("", sent.header.msg_id, one.cmd_id, cmd, str(code if name in ("", cmd) else 200)))
        return answers

    def alert(self, code: int = 200, name: str = "card", last: str | None = None, next_: str = "S9") -> Alert:
        item = Item(target=Location(name), source=Location(name), meta=Meta(anchor=Anchor(next_, last)))
        return Alert("", str(code), (item,))

    def codes(self, cmd: str) -> list[str]:
        """Codes of the Statuses for a command in the message that the client sends now."""
        return [status.code for status in self.sent.body if isinstance(status, Status) and status.cmd == cmd]


def numbered(commands: Sequence[Command]) -> tuple[Command, ...]:
    ids = itertools.count(1)

    def give(command):
        own = str(next(ids))
        if isinstance(command, Sync):
            return msgspec.structs.replace(command, cmd_id=own, commands=tuple(give(child) for child in command.commands))
        return msgspec.structs.replace(command, cmd_id=own)

    return tuple(give(command) for command in commands)


def bench(
    sync_type: SyncType = T.TWO_WAY, items: dict[str, str] | None = None, *, anchors: bool = True, wanted: dict | None = None, **setup
):
    store = MemoryStore("card", items or {})
    made = ClientSetup(
        url=URL,
        own=OwnDevice("laptop", "test"),
        session_id="7",
        partner="server",
        remembered=setup.pop("remembered", Remembered(devinf=DevInf(Protocol.V1_2, "server", large_objects=True, number_of_changes=True))),
        **setup,
    )
    if anchors:
        session = MemoryDatastores({"card": store}, server=False).open("card", peer(made))
        session.state.anchors = Anchors(own="C1", remote="S1")
        session.state.seen = {key: row.seq for key, row in store.rows.items()}
    return Bench({"card": store}, [Wanted("card", "card", sync_type, **(wanted or {}))], made)


def peer(setup: ClientSetup) -> Peer:
    return Peer(setup.partner, setup.credentials.user if setup.credentials else "", None, None)


def sync(*changes: Command, **more) -> Sync:
    return Sync("", Location("card"), Location("card"), changes, **more)


def change(name: str, id_: str, data: str | None = None, **more) -> Change:
    place = {"source" if name == "Add" else "target": Location(id_)}
    meta = Meta(type="text/x-vcard") if data is not None else None
    return Change(name, "", (Item(data=data, **place),), meta, **more)


def to_package_4(bench: Bench, code: int = 200, last: str | None = "S1") -> None:
    """Up to the point where the server's changes are awaited."""
    bench.reply(*bench.ok(), bench.alert(code, last=last))


# --- package 1 -----------------------------------------------------------------------------------------------------------------------


def test_the_first_message() -> None:
    made = bench(items={"a": "A=1"}, remembered=Remembered(), credentials=Credentials("alice", "secret"))
    sent = made.sent
    assert isinstance(made.step, Request)
    assert (made.step.url, made.step.content_type) == (URL, "application/vnd.syncml+wbxml")
    assert (sent.header.session_id, sent.header.msg_id, sent.header.target.uri) == ("7", "1", URL)
    assert sent.header.source == Location("laptop", name="alice")
    assert sent.header.cred == auth.credentials(auth.MD5, Protocol.V1_2, "alice", "secret", b"")
    assert sent.header.meta == Meta(max_msg_size=150_000, max_obj_size=4_000_000)
    assert [command.name if isinstance(command, Put) else type(command).__name__ for command in sent.body] == ["Put", "Get", "Alert"]
    assert sent.final


@pytest.mark.parametrize("sync_type", list(T))
@pytest.mark.parametrize("anchors", [True, False])
def test_what_is_alerted(sync_type: SyncType, anchors: bool) -> None:
    made = bench(sync_type, anchors=anchors)
    (alert,) = [command for command in made.sent.body if isinstance(command, Alert)]
    # Without anchors a two-way session is slow from the start, and so is a push, of which a server would make a refresh.
    slow = not anchors and sync_type in (T.TWO_WAY, T.ONE_WAY_FROM_CLIENT)
    assert alert.code == str(int(AlertCode.SLOW if slow else ALERTS[sync_type]))
    assert alert.items[0].meta is not None
    assert alert.items[0].meta.anchor == Anchor(own_anchor(NOW, None), "C1" if anchors else None)


def test_slow_at_the_first_meeting_can_be_forbidden() -> None:
    made = bench(anchors=False, wanted={"allow_slow": False})
    assert made.result.stores[0].error is not None
    assert made.result.stores[0].error.code == "slow-sync-refused"


# --- what the server names instead ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "told"), list(itertools.product(T, T)))
def test_no_course_deletes_what_was_not_asked_for(asked: SyncType, told: SyncType) -> None:
    found = course(asked, told, met=True)
    if isinstance(found, Turn):
        return
    if asked is T.REFRESH_FROM_SERVER:
        assert told in (T.REFRESH_FROM_SERVER, T.SLOW)  # the server gives everything, else nothing may go
    else:
        assert found.begin is not T.REFRESH_FROM_SERVER
    assert told is not T.REFRESH_FROM_CLIENT or asked is T.REFRESH_FROM_CLIENT
    one_way = {T.ONE_WAY_FROM_CLIENT: (True, False), T.REFRESH_FROM_CLIENT: (True, False)}
    one_way |= {T.ONE_WAY_FROM_SERVER: (False, True), T.REFRESH_FROM_SERVER: (False, True)}
    if asked in one_way:
        assert (found.sends, found.takes) == one_way[asked]


def test_every_type_is_followed_when_agreed_on() -> None:
    for sync_type in T:
        assert isinstance(COURSES[sync_type, sync_type], Course)


@pytest.mark.parametrize(
    ("asked", "told", "begun"),
    [
        (T.TWO_WAY, 201, "begin slow"),
        (T.TWO_WAY, 200, "begin two-way"),
        (T.TWO_WAY, 202, "begin one-way-from-client"),
        (T.SLOW, 200, "begin slow"),
        (T.ONE_WAY_FROM_CLIENT, 201, "begin slow"),
        (T.ONE_WAY_FROM_SERVER, 205, "begin slow"),
        (T.ONE_WAY_FROM_SERVER, 200, "begin one-way-from-server"),
        (T.REFRESH_FROM_SERVER, 201, "begin refresh-from-server"),
    ],
)
def test_the_servers_alternative_is_followed(asked: SyncType, told: int, begun: str) -> None:
    made = bench(asked, {"a": "A=1"})
    made.reply(*made.ok("Alert", 508), made.alert(told))
    assert begun in made.stores["card"].log
    assert made.codes("Alert") == ["200"]


@pytest.mark.parametrize(
    ("asked", "told"), [(T.TWO_WAY, 203), (T.TWO_WAY, 205), (T.REFRESH_FROM_CLIENT, 201), (T.REFRESH_FROM_SERVER, 200)]
)
def test_the_servers_alternative_is_refused(asked: SyncType, told: int) -> None:
    made = bench(asked, {"a": "A=1"})
    made.reply(*made.ok("Alert", 508), made.alert(told))
    assert made.codes("Alert") == ["403"]
    assert not [command for command in made.sent.body if isinstance(command, Sync)]
    made.reply()
    made.reply()
    assert made.result.stores[0].error is not None
    assert made.result.stores[0].error.code == "refused"
    assert made.stores["card"].contents == ["A=1"]


def test_a_push_of_which_the_server_makes_a_refresh_begins_again_as_slow() -> None:
    made = bench(T.ONE_WAY_FROM_CLIENT, {"a": "A=1"})
    made.reply(*made.ok("Alert", 508), made.alert(203))
    assert [alert.code for alert in made.sent.body if isinstance(alert, Alert)] == ["201"]
    assert (made.sent.header.session_id, made.sent.header.msg_id) == ("8", "1")
    made.reply(*made.ok(), made.alert(201))
    made.reply(*made.ok(), sync(change("Add", "1", "X=1")))
    assert made.codes("Add") == ["417"]
    made.reply(*made.ok())
    assert made.result.stores[0].done
    assert made.stores["card"].contents == ["A=1"]


def test_508_without_an_alert_begins_again_as_slow() -> None:
    made = bench()
    made.reply(*made.ok("Alert", 508))
    assert [alert.code for alert in made.sent.body if isinstance(alert, Alert)] == ["201"]


def test_a_server_that_does_not_look_at_anchors() -> None:
    made = bench(items={"a": "A=1"})
    to_package_4(made, last="another")
    assert made.codes("Alert") == ["508"]
    assert "begin slow" in made.stores["card"].log


@pytest.mark.parametrize(
    ("code", "name"),
    [(404, "not-found"), (403, "not-allowed"), (401, "auth-failed"), (406, "not-supported"), (417, "busy"), (500, "server-error")],
)
def test_a_refused_datastore(code: int, name: str) -> None:
    made = bench()
    made.reply(*made.ok("Alert", code))
    error = made.result.stores[0].error
    assert error is not None
    assert error.code == name
    assert "card" in error.message
    assert made.result.error is None
    assert (made.result.retry_after > 0) == (name == "busy")


def test_a_datastore_of_which_nothing_is_said() -> None:
    made = bench()
    made.reply()
    assert made.result.stores[0].error is not None


# --- letting in ----------------------------------------------------------------------------------------------------------------------


def test_challenge_and_nonce_of_the_next_session() -> None:
    made = bench(credentials=Credentials("alice", "secret"))
    made.reply(header=401, chal=auth.challenge(auth.MD5, b"one"))
    assert (made.sent.header.session_id, made.sent.header.msg_id) == ("8", "1")
    assert made.sent.header.cred == auth.credentials(auth.MD5, Protocol.V1_2, "alice", "secret", b"one")
    made.reply(*made.ok(), made.alert(last="S1"), header=212, chal=auth.challenge(auth.MD5, b"two"))
    assert made.sent.header.cred is None
    assert made.session.remembered.nonce == b"two"


def test_200_asks_for_credentials_with_every_message() -> None:
    made = bench(credentials=Credentials("alice", "secret"))
    made.reply(*made.ok(), made.alert(last="S1"), chal=auth.challenge(auth.MD5, b"n2"))
    assert made.sent.header.cred == auth.credentials(auth.MD5, Protocol.V1_2, "alice", "secret", b"n2")


@pytest.mark.parametrize("code", [401, 407])
def test_tries_are_limited(code: int) -> None:
    made = bench(credentials=Credentials("alice", "wrong"))
    for number in range(10):
        if isinstance(made.step, Result):
            break
        made.reply(header=code, chal=auth.challenge(auth.MD5, bytes([number])))
    assert made.result.error is not None
    assert made.result.error.code == "auth-failed"
    assert number == 4


def test_no_credentials_to_give() -> None:
    made = bench()
    made.reply(header=407, chal=auth.challenge(auth.MD5, b"n"))
    assert made.result.error is not None
    assert made.result.error.code == "auth-failed"


def test_access_of_one_datastore() -> None:
    made = bench(wanted={"credentials": Credentials("bob", "own")})
    (alert,) = [command for command in made.sent.body if isinstance(command, Alert)]
    refusal = Status("", "1", alert.cmd_id, "Alert", "407", chal=auth.challenge(auth.MD5, b"n"))
    made.reply(refusal)
    (alert,) = [command for command in made.sent.body if isinstance(command, Alert)]
    assert alert.cred == auth.credentials(auth.MD5, Protocol.V1_2, "bob", "own", b"n")


def test_a_datastore_without_credentials_of_its_own_gets_those_of_the_session() -> None:
    made = bench(credentials=Credentials("alice", "secret"))
    (alert,) = [command for command in made.sent.body if isinstance(command, Alert)]
    made.reply(Status("", "1", alert.cmd_id, "Alert", "407", chal=auth.challenge(auth.MD5, b"n")), header=212)
    (alert,) = [command for command in made.sent.body if isinstance(command, Alert)]
    assert alert.cred == auth.credentials(auth.MD5, Protocol.V1_2, "alice", "secret", b"n")


@pytest.mark.parametrize("level", ["Sync", "Add"])
@pytest.mark.parametrize("code", [401, 407])
def test_credentials_for_a_sync_and_for_changes(level: str, code: int) -> None:
    """The server asks behind the end of the package: another session goes with them, and what was left out goes in it."""
    made = bench(items={}, credentials=Credentials("alice", "secret"))
    made.stores["card"].put("a", "A=1")
    chal = auth.challenge(auth.MD5, b"deep")
    made.reply(*made.ok(), made.alert(last="S1"), header=212)
    refused = [msgspec.structs.replace(one, code=str(code), chal=chal) if one.cmd in (level, "Add") else one for one in made.ok()]
    made.reply(*refused, Sync("", Location("card"), Location("card")))
    made.reply(*made.ok())
    (alert,) = [command for command in made.sent.body if isinstance(command, Alert)]
    assert (made.sent.header.session_id, made.sent.header.msg_id) == ("8", "1")
    proof = auth.credentials(auth.MD5, Protocol.V1_2, "alice", "secret", b"deep")
    assert alert.cred == proof
    made.reply(*made.ok(), made.alert(last=alert.items[0].meta.anchor.last), header=212)  # type: ignore[union-attr]
    (sync,) = [command for command in made.sent.body if isinstance(command, Sync)]
    assert sync.cred == proof
    assert [change.cred for change in sync.commands] == [proof if level == "Add" else None]  # type: ignore[union-attr]
    made.reply(*made.ok("Add", 201), Sync("", Location("card"), Location("card")))
    made.reply(*made.ok())
    (store,) = made.result.stores
    assert (store.done, store.sent.added, store.error) == (True, 1, None)


def test_credentials_that_are_wrong_for_changes_are_not_tried_for_ever() -> None:
    made = bench(items={}, credentials=Credentials("alice", "secret"))
    made.stores["card"].put("a", "A=1")
    sessions = 0
    while not isinstance(made.step, Result) and sessions < 20:
        sessions += 1
        made.reply(*made.ok(), made.alert(last="S1" if sessions == 1 else "S9"), header=212)
        chal = auth.challenge(auth.MD5, bytes([sessions]))
        refused = [msgspec.structs.replace(one, code="401", chal=chal) if one.cmd == "Add" else one for one in made.ok()]
        made.reply(*refused, Sync("", Location("card"), Location("card")))
        made.reply(*made.ok())
    assert sessions == 4
    assert [skip.item for skip in made.result.stores[0].skipped] == ["a"]


def test_of_what_a_server_says_only_the_beginning_is_kept() -> None:
    made = bench(items={})
    made.stores["card"].put("a", "A=1")
    made.reply(*made.ok(), made.alert(last="S1"), Alert("", "100", tuple(Item(data="x" * 10_000) for _ in range(50))))
    long = (Item(data="y" * 100_000),)
    answers = [msgspec.structs.replace(one, code="500", items=long) if one.cmd == "Add" else one for one in made.ok()]
    made.reply(*answers, Sync("", Location("card"), Location("card")))
    made.reply(*made.ok())
    assert [len(text) for text in made.result.messages] == [limits.MAX_SHOWN_TEXT] * limits.MAX_SHOWN_MESSAGES
    assert [len(skip.text) for skip in made.result.stores[0].skipped] == [limits.MAX_STATUS_TEXT]


def test_access_without_a_challenge_tries_once() -> None:
    access = Access(Credentials("alice", "secret"), eager=False)
    assert access.cred(Protocol.V1_2) is None
    assert access.challenged(None)
    assert access.cred(Protocol.V1_2) is not None
    assert not access.challenged(None)


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Credentials("alice", "secret"))


@pytest.mark.parametrize("code", [400, 501, 505, 513])
def test_older_versions_are_tried(code: int) -> None:
    made = bench()
    for expected in (Protocol.V1_1, Protocol.V1_0):
        made.reply(header=code)
        assert made.sent.header.protocol is expected
    made.reply(header=code)
    assert made.result.error is not None


def test_a_fixed_version_and_encoding() -> None:
    made = bench(fixed_protocol=True, fixed_encoding=True)
    made.reply(header=505)
    assert made.result.error is not None
    assert made.result.error.code == "not-supported"
    made = bench(fixed_protocol=True, fixed_encoding=True)
    made.step = made.session.refused(415, NOW)
    assert made.result.error is not None


def test_the_other_encoding_is_tried_once() -> None:
    made = bench()
    made.step = made.session.refused(415, NOW)
    assert isinstance(made.step, Request)
    assert made.step.content_type == Encoding.XML.value
    made.step = made.session.refused(415, NOW)
    assert made.result.error is not None


def test_a_server_that_cannot_read_the_encoding_and_does_not_say_so() -> None:
    """HTTP 400 and 500: XML first, then older versions."""
    made = bench()
    tried = []
    for status in (400, 400, 400, 400):
        made.step = made.session.refused(status, NOW)
        if isinstance(made.step, Request):
            found = codec.decode(made.step.body)
            tried.append((found.encoding, found.message.header.protocol))
    assert tried == [(Encoding.XML, version) for version in (Protocol.V1_2, Protocol.V1_1, Protocol.V1_0)]
    assert made.result.error is not None
    made = bench()
    made.step = made.session.refused(500, NOW)
    made.step = made.session.refused(302, NOW)
    assert made.result.error is not None
    assert made.result.error.code == "moved"


@pytest.mark.parametrize("code", [417, 503])
def test_a_busy_server(code: int) -> None:
    made = bench()
    made.reply(header=code)
    assert made.result.error is not None
    assert made.result.error.code == "busy"
    assert made.result.retry_after > 0


def test_a_server_that_needs_time() -> None:
    made = bench()
    to_package_4(made)
    for _ in range(5):
        step = made.reply(header=101, final=False)
        assert isinstance(step, Request)
        assert step.delay > 0
        assert [alert.code for alert in made.sent.body if isinstance(alert, Alert)] == ["222"]
    made.reply(sync(), header=200)
    made.reply()
    assert made.result.stores[0].done


def test_a_server_that_never_goes_on() -> None:
    made = bench()
    to_package_4(made)
    for _ in range(100):
        if isinstance(made.step, Request):
            made.reply(final=False)
    assert made.result.error is not None
    assert made.result.error.code == "busy"


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"\x02\xa4\x01", b"<SyncML/>"])
def test_a_reply_that_is_none(body: bytes) -> None:
    made = bench()
    made.step = made.session.receive(body, "text/html", NOW)
    assert made.result.error is not None
    assert made.result.error.code == "bad-reply"


# --- the road ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "url"),
    [(f"{URL}?s=1&t=2", f"{URL}?s=1&t=2"), ("/sync;jsessionid=X", "http://server/sync;jsessionid=X")],
)
def test_resp_uri(said: str, url: str) -> None:
    made = bench()
    made.reply(*made.ok(), made.alert(last="S1"), resp_uri=said)
    assert isinstance(made.step, Request)
    assert made.step.url == url
    assert made.sent.header.target.uri == said


def test_resp_uri_must_not_drop_encryption() -> None:
    made = bench()
    made.session._setup = msgspec.structs.replace(made.setup, url="https://server/sync")
    made.reply(*made.ok(), made.alert(last="S1"), resp_uri="http://server/sync?s=1")
    assert made.result.error is not None
    assert made.result.error.code == "insecure"


def test_resend() -> None:
    made = bench()
    assert made.session.resend() == made.step
    result = made.session.abort(Error("unreachable", "The server is gone."))
    assert result.error == Error("unreachable", "The server is gone.")
    with pytest.raises(ProtocolError):
        made.session.resend()


# --- packages 3 to 6 -----------------------------------------------------------------------------------------------------------------


def test_statuses_may_be_late_missing_or_without_references() -> None:
    made = bench(items={})
    store = made.stores["card"]
    for key in ("a", "b", "c"):
        store.put(key, f"{key}=1")
    to_package_4(made)
    changes = next(command for command in made.sent.body if isinstance(command, Sync)).commands
    statuses = [
        Status("", "2", changes[0].cmd_id, "Add", "201", source_refs=(changes[0].items[0].source.uri,)),
        Status("", "1", "77", "", "201", source_refs=(changes[1].items[0].source.uri,)),
    ]
    made.reply(statuses[0], sync())
    made.reply(statuses[1])
    result = made.result.stores[0]
    assert result.done
    assert result.sent.added == 2
    assert [(skipped.item, skipped.reason) for skipped in result.skipped] == [("c", "no-answer")]


@pytest.mark.parametrize("code", [418, 419])
def test_what_the_server_has_already_is_settled(code: int) -> None:
    made = bench()
    made.stores["card"].put("a", "A=1")
    to_package_4(made)
    made.reply(*made.ok("Add", code), sync())
    made.reply()
    assert made.result.stores[0].skipped == ()
    assert f"sent Add a {code}" in made.stores["card"].log


@pytest.mark.parametrize(("code", "reason"), [(404, "not-found"), (500, "failed"), (415, "type-not-supported"), (420, "device-full")])
def test_what_the_server_does_not_take_is_told(code: int, reason: str) -> None:
    made = bench()
    made.stores["card"].put("a", "A=1")
    to_package_4(made)
    made.reply(*made.ok("Add", code), sync())
    made.reply()
    assert [(skipped.item, skipped.reason) for skipped in made.result.stores[0].skipped] == [("a", reason)]
    assert made.result.stores[0].done


def test_the_servers_changes_are_carried_out_and_mapped() -> None:
    made = bench(items={"a": "A=1", "b": "B=1"})
    to_package_4(made)
    made.reply(*made.ok(), sync(change("Add", "91", "X=1"), change("Replace", "a", "A=2"), change("Delete", "b"), number_of_changes=3))
    assert (made.codes("Add"), made.codes("Replace"), made.codes("Delete")) == (["201"], ["200"], ["200"])
    (command,) = [command for command in made.sent.body if isinstance(command, Map)]
    assert [pair.target for pair in command.items] == ["91"]
    assert made.sent.final
    made.reply(*made.ok())
    assert made.result.stores[0].done
    assert made.stores["card"].contents == ["A=2", "X=1"]
    assert (made.result.stores[0].received.added, made.result.stores[0].received.deleted) == (1, 1)


def test_a_map_without_a_status_is_sent_again_the_next_time() -> None:
    made = bench()
    to_package_4(made)
    made.reply(sync(change("Add", "91", "X=1")))
    made.reply()
    assert made.result.stores[0].done
    again = Bench(made.stores, made.wanted, made.setup)
    again.reply(*again.ok(), again.alert())
    (command,) = [command for command in again.sent.body if isinstance(command, Map)]
    assert [pair.target for pair in command.items] == ["91"]


def test_final_with_every_message() -> None:
    """As Funambol does: Final while the client still sends, and before the server's changes are all told."""
    made = bench(max_message=2_500)
    for number in range(12):
        made.stores["card"].put(f"k{number}", f"K{number}=1" + "x" * 500)
    to_package_4(made)
    while not made.sent.final:
        made.reply(*made.ok())
    made.reply(*made.ok(), sync(change("Add", "1", "X=1")))
    made.reply(*made.ok(), sync(change("Add", "2", "Y=1")))
    assert [pair.target for command in made.sent.body if isinstance(command, Map) for pair in command.items] == ["2"]
    made.reply(*made.ok())
    assert made.result.stores[0].done
    assert {"X=1", "Y=1"} <= set(made.stores["card"].contents)


@pytest.mark.parametrize(
    "replies",
    [
        [],
        [sync(change("Add", "1", "X=1"), number_of_changes=2)],
        [sync(change("Add", "1", "X=1"), change("Add", "2"), number_of_changes=2)],
        [sync(Change("Add", "", (Item(source=Location("1"), data="X=", more_data=True),), Meta(size=9)))],
    ],
)
def test_a_refresh_that_is_not_complete_deletes_nothing(replies: list[Command]) -> None:
    made = bench(T.REFRESH_FROM_SERVER, {"a": "A=1"})
    to_package_4(made, 205)
    made.reply(*made.ok(), *replies)
    while isinstance(made.step, Request):
        made.reply(*made.ok())
    assert made.result.stores[0].error is not None
    assert made.result.stores[0].error.code == "incomplete"
    assert "A=1" in made.stores["card"].contents
    assert "commit" not in made.stores["card"].log


def test_a_refresh_that_is_complete() -> None:
    made = bench(T.REFRESH_FROM_SERVER, {"a": "A=1"})
    to_package_4(made, 205)
    made.reply(*made.ok(), sync(change("Add", "1", "X=1"), number_of_changes=2))
    assert "received_all" not in made.stores["card"].log
    made.reply(*made.ok(), sync(change("Add", "2", "Y=1")))
    made.reply(*made.ok())
    assert made.result.stores[0].done
    assert made.stores["card"].contents == ["X=1", "Y=1"]


def test_a_large_object_of_the_server() -> None:
    made = bench()
    to_package_4(made)
    place = Location("1")
    made.reply(*made.ok(), sync(Change("Add", "", (Item(source=place, data="X=1a", meta=Meta(size=8), more_data=True),))), final=False)
    assert made.codes("Add") == ["213"]
    assert not made.sent.final
    made.reply(*made.ok(), sync(Change("Add", "", (Item(source=place, data="bbbb"),))))
    assert made.codes("Add") == ["201"]
    assert made.stores["card"].contents == ["X=1abbbb"]


def test_a_large_object_without_end() -> None:
    made = bench()
    to_package_4(made)
    made.reply(*made.ok(), sync(Change("Add", "", (Item(source=Location("1"), data="X", meta=Meta(size=8), more_data=True),))))
    alerts = [command for command in made.sent.body if isinstance(command, Alert)]
    assert [(alert.code, alert.items[0].source) for alert in alerts] == [("223", Location("1"))]
    made.reply(*made.ok())
    assert made.stores["card"].contents == []


def test_soft_delete_and_archive_reach_the_store() -> None:
    made = bench(items={"a": "A=1"})
    taken = []
    session = made.session._stores[0]._datastore
    assert session is not None
    to_package_4(made)
    original = session.take
    session.take = lambda changes: (taken.extend(changes), original(changes))[1]  # type: ignore[method-assign]
    made.reply(*made.ok(), sync(change("Delete", "a", archive=True), change("Delete", "b", soft=True)))
    assert [(incoming.action, incoming.archive, incoming.soft) for incoming in taken] == [
        (Action.DELETE, True, False),
        (Action.DELETE, False, True),
    ]


def test_no_resp() -> None:
    made = bench()
    to_package_4(made)
    made.reply(*made.ok(), sync(change("Add", "1", "X=1", no_resp=True), change("Add", "2", "Y=1")))
    assert made.codes("Add") == ["201"]
    made = bench()
    to_package_4(made)
    made.reply(*made.ok(), sync(change("Add", "1", "X=1")), no_resp=True)
    assert not [command for command in made.sent.body if isinstance(command, Status)]
    assert made.stores["card"].contents == ["X=1"]


def test_commands_that_are_not_carried_out() -> None:
    made = bench()
    to_package_4(made)
    made.reply(
        *made.ok(),
        Other("Exec", ""),
        change("Add", "1", "X=1"),
        Alert("", "666"),
        Alert("", "100", (Item(data="Hello"),)),
        Put("Get", "", (Item(target=Location("./else")),)),
        Group("Atomic", "", (Other("Exec", "9"),)),
    )
    assert (made.codes("Exec"), made.codes("Add"), made.codes("Alert"), made.codes("Get")) == (["406"], ["405"], ["406", "200"], ["404"])
    made.reply(*made.ok())
    assert made.result.messages == ("Hello",)


def test_a_server_that_shows_something_with_every_message_comes_to_an_end() -> None:
    made = bench()
    shown = Alert("", "100", (Item(data="Hello"),))
    made.reply(*made.ok(), made.alert(last="S1"), shown)
    made.reply(*made.ok(), sync(change("Add", "1", "X=1")), shown)
    assert made.codes("Alert") == ["200"]
    made.reply(*made.ok(), shown)
    made.reply(*made.ok(), shown)
    assert made.result.error is None
    assert made.result.messages == ("Hello",) * 4
    assert "commit" in made.stores["card"].log


def test_a_sync_for_an_unknown_datastore() -> None:
    made = bench()
    to_package_4(made)
    made.reply(*made.ok(), Sync("", Location("other"), Location("strange")))
    assert made.codes("Sync") == ["404"]


def test_the_server_asks_for_and_puts_device_information() -> None:
    made = bench()
    theirs = own_devinf(OwnDevice("server", "1"), Protocol.V1_2, [])
    get = Put("Get", "", (Item(target=Location("./devinf12")),))
    made.reply(*made.ok(), made.alert(last="S1"), get, put_devinf(theirs, Encoding.WBXML))
    (results,) = [command for command in made.sent.body if isinstance(command, Results)]
    assert isinstance(results.items[0].data, DevInf)
    assert results.items[0].data.device_id == "laptop"
    assert made.session.remembered.devinf is not None
    assert made.session.remembered.devinf.device_id == "server"


def test_a_sync_that_the_server_refuses_ends_that_datastore_only() -> None:
    made = bench(items={"a": "A=1"})
    to_package_4(made)
    made.reply(*made.ok("Sync", 510))
    made.reply(*made.ok())
    assert made.result.error is None
    assert made.result.stores[0].error is not None
    assert "commit" not in made.stores["card"].log


def test_the_server_suspends() -> None:
    made = bench()
    to_package_4(made)
    made.reply(*made.ok(), Alert("", "224", (Item(target=Location("laptop"), source=Location(URL)),)))
    assert made.sent.final
    assert not [command for command in made.sent.body if isinstance(command, Alert)]
    made.reply()
    assert made.result.suspended
    assert "commit" not in made.stores["card"].log


@pytest.mark.parametrize(("code", "reply", "begun"), [(200, 225, "two-way resumed"), (509, 200, "two-way resumed"), (508, 201, "slow")])
def test_resume(code: int, reply: int, begun: str) -> None:
    made = bench(items={"a": "A=1"}, wanted={"resume": True})
    assert [alert.code for alert in made.sent.body if isinstance(alert, Alert)] == ["225"]
    made.reply(*made.ok("Alert", code), made.alert(reply, last="S1"))
    assert f"begin {begun}" in made.stores["card"].log


def test_a_server_that_cannot_resume() -> None:
    made = bench(wanted={"resume": True})
    made.reply(*made.ok("Alert", 406))
    assert [alert.code for alert in made.sent.body if isinstance(alert, Alert)] == ["200"]


def test_resume_is_not_asked_for_below_1_2() -> None:
    made = bench(wanted={"resume": True}, protocol=Protocol.V1_1)
    assert [alert.code for alert in made.sent.body if isinstance(alert, Alert)] == ["200"]


def test_a_broken_full_session_is_followed_by_another() -> None:
    made = bench(T.SLOW, {"a": "A=1"})
    made.reply(*made.ok(), made.alert(201))
    assert made.session.remembered.unfinished == ("card",)
    again = Bench(made.stores, [Wanted("card", "card")], msgspec.structs.replace(made.setup, remembered=made.session.remembered))
    assert [alert.code for alert in again.sent.body if isinstance(alert, Alert)] == ["201"]
    again.reply(*again.ok(), again.alert(201))
    again.reply(*again.ok(), sync())
    again.reply(*again.ok())
    assert again.session.remembered.unfinished == ()


def test_maps_of_an_earlier_session_are_void_after_a_full_one() -> None:
    made = bench()
    to_package_4(made)
    made.reply(sync(change("Add", "91", "X=1")))
    again = Bench(made.stores, [Wanted("card", "card", T.SLOW)], made.setup)
    again.reply(*again.ok(), again.alert(201))
    assert not [command for command in again.sent.body if isinstance(command, Map)]
    again.reply(*again.ok(), sync(change("Add", "92", "Y=1")))
    assert [pair.target for command in again.sent.body if isinstance(command, Map) for pair in command.items] == ["92"]
    again.reply(*again.ok())
    assert again.result.stores[0].done
    last = Bench(made.stores, made.wanted, made.setup)
    last.reply(*last.ok(), last.alert(last=None))
    assert not [command for command in last.sent.body if isinstance(command, Map)]


# --- the server begins ---------------------------------------------------------------------------------------------------------------


def test_what_a_server_may_ask_for() -> None:
    offered = [Wanted("cards", "./Contacts"), Wanted("cal", "calendar", T.REFRESH_FROM_SERVER), Wanted("note", "notes", T.SLOW)]
    assert alerted([], offered) == offered
    chosen = alerted([("contacts", 209), ("calendar", 210), ("elsewhere", 206)], offered)
    assert [(wanted.name, wanted.sync_type) for wanted in chosen] == [("cards", T.ONE_WAY_FROM_SERVER), ("cal", T.REFRESH_FROM_SERVER)]
    # A refresh deletes: not because a server says so.
    assert alerted([("notes", 210)], offered) == [offered[2]]


def test_a_server_alert_of_1_1() -> None:
    header = Header(Protocol.V1_1, "1", "1", Location("/"), Location("server"))
    item = Item(source=Location("contacts"), meta=Meta(type="text/x-vcard"))
    message = Message(header, (Alert("1", "206", (item,)), Alert("2", "100", (item,))), True)
    assert alerts_in(message) == [("contacts", 206)]


# --- tables and values ---------------------------------------------------------------------------------------------------------------


def test_the_table_of_phases_leads_everywhere() -> None:
    reached, frontier = {Phase.NEW}, [Phase.NEW]
    while frontier:
        here = frontier.pop()
        for (phase, _), there in TABLE.items():
            if phase is here and there not in reached:
                reached.add(there)
                frontier.append(there)
    assert reached == set(Phase)


def test_what_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        after(Phase.NEW, Event.FINAL)


@pytest.mark.parametrize(
    ("action", "status", "slow", "counts"),
    [
        (Action.ADD, 201, False, (1, 0, 0)),
        (Action.ADD, 200, False, (1, 0, 0)),
        (Action.ADD, 200, True, (0, 0, 0)),
        (Action.ADD, 201, True, (1, 0, 0)),
        (Action.ADD, 418, False, (0, 0, 0)),
        (Action.REPLACE, 200, False, (0, 1, 0)),
        (Action.REPLACE, 201, False, (1, 0, 0)),
        (Action.REPLACE, 207, False, (0, 1, 0)),
        (Action.REPLACE, 419, False, (0, 0, 0)),
        (Action.DELETE, 200, False, (0, 0, 1)),
        (Action.DELETE, 211, False, (0, 0, 0)),
        (Action.DELETE, 500, False, (0, 0, 0)),
    ],
)
def test_counts(action: Action, status: int, slow: bool, counts: tuple[int, int, int]) -> None:
    tally = Tally()
    tally.sent("k", action, Record("", "x"), status, slow=slow)
    sent, received, _, _ = tally.counts()
    assert (sent.added, sent.changed, sent.deleted) == counts
    assert (received.added, received.changed, received.deleted) == (0, 0, 0)
