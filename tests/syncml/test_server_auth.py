"""Who is let in, and to what; sessions and their addresses."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import msgspec
import pytest
from memory_store import MemoryStore
from syncml_server import BASE, Client, World, alert, change, codes, commands, sync

from twsync import limits
from twsync.syncml import auth, codec
from twsync.syncml.document import Alert, Cred, DevInf, Message, Meta, Protocol, Status
from twsync.syncml.lockout import Attempts, Challenges
from twsync.syncml.ports import Account
from twsync.syncml.server import Refusal, Server
from twsync.syncml.serversession import Reply


def world(**setup: object) -> World:
    return World([MemoryStore("contacts", {"a": "A=1"})], **setup)


def challenge(message: Message) -> Meta:
    """The Chal of the header's Status."""
    first = message.body[0]
    assert isinstance(first, Status)
    assert first.chal is not None
    return first.chal


def test_without_credentials() -> None:
    made = world()
    client = Client(made, user=None)
    reply = client.login((201, "contacts", None, "c1"))
    assert codes(reply) == [("SyncHdr", "407"), ("Alert", "407")]
    assert challenge(reply).type == auth.MD5
    assert reply.header.resp_uri is None
    assert made.stores["contacts"].log == []


@pytest.mark.parametrize("protocol", Protocol)
def test_md5(protocol: Protocol) -> None:
    made = world()
    first = Client(made, protocol=protocol, scheme=auth.MD5)
    reply = first.login((201, "contacts", None, "c1"))
    assert codes(reply) == [("SyncHdr", "401"), ("Alert", "401")]
    nonce = auth.read_challenge(challenge(reply)).nonce or b""
    assert len(nonce) == limits.NONCE_BYTES
    second = Client(made, protocol=protocol, scheme=auth.MD5, nonce=nonce, session="2")
    reply = second.login((201, "contacts", None, "c1"))
    assert codes(reply) == [("SyncHdr", "212"), ("Alert", "200")]
    after = auth.read_challenge(challenge(reply)).nonce or b""
    assert after != nonce
    made.restart()
    repeated = Client(made, protocol=protocol, scheme=auth.MD5, nonce=nonce, session="3")
    assert codes(repeated.login())[0] == ("SyncHdr", "401")
    next_session = Client(made, protocol=protocol, scheme=auth.MD5, nonce=after, session="4")
    assert codes(next_session.login())[0] == ("SyncHdr", "212")


@pytest.mark.parametrize(
    ("user", "protocol"),
    [("alice", Protocol.V1_0), ("nobody", Protocol.V1_0), ("alice@host", Protocol.V1_2), ("nobody@host", Protocol.V1_1)],
)
def test_basic_is_asked_for_where_no_digest_can_be_checked(user: str, protocol: Protocol) -> None:
    """The account keeps no clear password; one that does not exist is answered alike."""
    made = world()
    made.memory.accounts = {"alice": Account("alice", digest=auth.user_digest("alice", "secret"))}
    asked = challenge(Client(made, protocol=protocol, scheme=auth.MD5, user=user).login())
    assert (asked.type, asked.next_nonce) == (auth.BASIC, None)
    again = Client(made, protocol=protocol, user=user, session="2")
    assert codes(again.login())[0] == ("SyncHdr", "212" if user.startswith("alice") else "401")
    made.memory.accounts["alice"] = Account("alice", password="secret")
    assert challenge(Client(made, protocol=protocol, scheme=auth.MD5, user="alice", session="3").login()).type == auth.MD5


def test_basic_is_asked_for_where_md5_comes_without_a_name() -> None:
    made = world()
    client = Client(made, scheme=auth.MD5)
    cred, client.user = client.cred(), None
    assert challenge(client.send(cred=cred)).type == auth.BASIC


def test_many_new_devices_are_no_guesses() -> None:
    """Each begins with a digest for which no nonce was given out yet. With a nonce it is a guess."""
    made = world()
    for number in range(3 * limits.SYNCML_FAILURES):
        assert codes(Client(made, scheme=auth.MD5, device=f"new-{number}").login())[0] == ("SyncHdr", "401")
    client = Client(made, scheme=auth.MD5, device="one", session="1")
    client.nonce = auth.read_challenge(challenge(client.login())).nonce or b""
    client.msg_id, client.session = 0, "2"
    assert codes(client.login())[0] == ("SyncHdr", "212")
    for number in range(limits.SYNCML_FAILURES + 5):
        thief = Client(made, scheme=auth.MD5, device="thief", session=str(number), password="guess")
        nonce = auth.read_challenge(challenge(thief.login())).nonce or b""
    right = Client(made, scheme=auth.MD5, device="thief", session="right", nonce=nonce)
    assert codes(right.login())[0] == ("SyncHdr", "401")


def test_again_in_the_same_session() -> None:
    """SyncEvolution: MsgID 2 and 3 of one session, without Put."""
    made = world()
    client = Client(made, password="wrong")
    client.login((201, "contacts", None, "c1"))
    client.password = "secret"
    reply = client.send(alert(201, "contacts", None, "c1"), cred=client.cred())
    assert codes(reply) == [("SyncHdr", "212"), ("Alert", "200")]


def test_a_session_may_begin_above_message_one() -> None:
    client = Client(world())
    client.msg_id = 6
    assert codes(client.send(alert(201, "contacts", None, "c1"), cred=client.cred()))[0] == ("SyncHdr", "212")


def test_unknown_scheme_and_bad_data() -> None:
    for cred, code in (
        (Cred(data="x", meta=Meta(type="syncml:auth-MAC")), "406"),
        (Cred(data="?", meta=Meta(type=auth.BASIC)), "401"),
        (Cred(data="?", meta=Meta(type=auth.MD5)), "401"),
        (Cred(data="eA=="), "406"),
    ):
        assert codes(Client(world()).send(cred=cred)) == [("SyncHdr", code)]


def test_a_stored_digest_is_enough() -> None:
    made = world()
    made.memory.accounts["bob"] = Account("bob", digest=auth.user_digest("bob", "pass:word"))
    assert codes(Client(made, user="bob", password="pass:word").login())[0][1] == "212"
    made.memory.nonces["bob", "phone-1"] = b"nonce"
    md5 = Client(made, user="bob", password="pass:word", scheme=auth.MD5, nonce=b"nonce", session="2")
    assert codes(md5.login())[0][1] == "212"
    assert codes(Client(made, user="bob", password="pass", session="3").login())[0][1] == "401"


def test_names() -> None:
    made = world()
    assert codes(Client(made, user="alice@example.org").login())[0][1] == "212"
    made.devices.store("alice", "nameless", DevInf(version=Protocol.V1_2, device_id="nameless"))
    made.memory.nonces["alice", "nameless"] = b"n"
    client = Client(made, device="nameless")
    cred = auth.credentials(auth.MD5, Protocol.V1_2, "alice", "secret", b"n")
    client.user = None
    assert codes(client.send(cred=cred))[0][1] == "212"


def test_lock_out_by_given_time() -> None:
    made = world()
    for attempt in range(limits.SYNCML_FAILURES + 8):
        assert codes(Client(made, password="wrong", session=str(attempt)).login())[0][1] == "401"
    assert codes(Client(made, session="right").login())[0][1] == "401"
    assert codes(Client(made, session="from elsewhere", device="phone-2").login())[0][1] == "401"
    made.now += limits.SYNCML_LONGEST_WAIT
    assert codes(Client(made, session="later").login())[0][1] == "212"


def test_a_session_of_failures_is_over() -> None:
    made = world()
    client = Client(made, password="wrong")
    for _ in range(limits.SYNCML_SESSION_FAILURES):
        client.send(cred=client.cred())
    (entry,) = made.server._by_token.values()
    assert entry.session.over


def test_cred_in_commands() -> None:
    made = world()
    client = Client(made)
    good = auth.credentials(auth.BASIC, Protocol.V1_2, "alice", "secret", b"")
    bad = auth.credentials(auth.BASIC, Protocol.V1_2, "alice", "wrong", b"")
    wanted = alert(201, "contacts", None, "c1")
    reply = client.send(msgspec.structs.replace(wanted, cred=bad), msgspec.structs.replace(wanted, cred=good))
    assert [code for _, code in codes(reply)] == ["212", "401", "200"]
    adds = change("Add", "1", "B=1", cred=bad), change("Add", "2", "C=1", cred=good)
    reply = client.send(*client.statuses(), sync("contacts", *adds, cred=good))
    assert [code for _, code in codes(reply)] == ["200", "200", "401", "201"]
    reply = client.send(*client.statuses(), sync("contacts", cred=bad))
    assert [code for _, code in codes(reply)] == ["200", "401"]


@pytest.mark.parametrize("level", ["Alert", "Sync", "Add"])
def test_a_wrong_cred_in_a_command_is_challenged(level: str) -> None:
    client = Client(world(), scheme=auth.BASIC)
    client.login(*([] if level == "Alert" else [(201, "contacts", None, "c1")]))

    def attempt(cred: Cred) -> Status:
        added = change("Add", "1", "B=1", cred=cred if level == "Add" else None)
        alerted = alert(201, "contacts", None, "c1")
        wanted = msgspec.structs.replace(alerted, cred=cred) if level == "Alert" else sync("contacts", added)
        if level == "Sync":
            wanted = msgspec.structs.replace(wanted, cred=cred)
        reply = client.send(*client.statuses(), wanted, final=False)
        return next(command for command in reply.body if isinstance(command, Status) and command.cmd == level)

    refused = attempt(auth.credentials(auth.MD5, Protocol.V1_2, "alice", "secret", b"old"))
    assert refused.code == "401"
    assert refused.chal is not None
    nonce = auth.read_challenge(refused.chal).nonce or b""
    assert attempt(auth.credentials(auth.MD5, Protocol.V1_2, "alice", "secret", nonce)).code in ("200", "201")


def challenged(client: Client, chal: Meta, code: str = "407") -> Cred | None:
    """What the server proves itself with."""
    assert client.last is not None
    wants = msgspec.structs.replace(client.statuses()[0], code=code, chal=chal)
    return client.send(wants, alert(201, "contacts", None, "c1"), final=False).header.cred


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("code", ["401", "407"])
def test_a_client_that_was_let_in_can_ask_the_server_to_prove_itself(protocol: Protocol, code: str) -> None:
    client = Client(world(), protocol=protocol)
    assert client.login().header.cred is None
    assert challenged(client, auth.challenge(auth.MD5, b"mine"), code) == auth.credentials(auth.MD5, protocol, "alice", "secret", b"mine")
    assert client.send(final=False).header.cred is None


def test_the_server_proves_itself_by_no_nonce_of_its_own_and_not_by_the_password() -> None:
    """Whoever is amid a session could sign in with the answer to the challenge that he got."""
    made = world()
    other = Client(made, device="other", scheme=auth.MD5)
    other.login()
    assert other.last is not None
    client = Client(made)
    client.login()
    assert challenged(client, challenge(other.last)) is None
    assert challenged(client, auth.challenge(auth.BASIC, b"")) is None
    assert challenged(client, Meta(type=auth.MD5)) is None


def test_a_stranger_is_proved_nothing() -> None:
    client = Client(world(), password="wrong")
    client.login()
    assert challenged(client, auth.challenge(auth.MD5, b"mine")) is None


def test_another_account_cannot_enter_a_session() -> None:
    made = world()
    made.memory.accounts["eve"] = Account("eve", password="eve")
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    client.send(*client.statuses(), sync("contacts"), final=False)
    # Device and SessionID are known, the token is not.
    thief = Client(made, user="eve", password="eve", msg_id=2)
    answer = made.post(BASE, _message(thief, 3))
    assert isinstance(answer, Refusal)
    assert answer.status == 404
    # The token is known, but not the device.
    other = Client(made, device="phone-2", uri=client.uri, msg_id=2)
    answer = made.post(client.uri, _message(other, 3))
    assert isinstance(answer, Refusal)


def _message(client: Client, msg_id: int) -> bytes:
    client.msg_id = msg_id
    return codec.encode(Message(client.header(), (sync("contacts", change("Add", "9", "X=1")),), True), client.encoding)


def test_a_stranger_does_not_end_a_session() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    Client(made, password="wrong").login()
    reply = client.send(*client.statuses(), sync("contacts", change("Add", "1", "B=1")))
    assert codes(reply)[-1] == ("Add", "201")


def test_a_new_session_ends_the_old_one_of_the_device() -> None:
    made = world()
    old, other = Client(made), Client(made, device="phone-2")
    old.login((201, "contacts", None, "c1"))
    other.login((201, "contacts", None, "c1"))
    new = Client(made, session="2")
    new.login((201, "contacts", None, "c1"))
    assert made.memory.opened[0].opened[0].store.log.count("close") == 1
    answer = made.post(old.uri, old.sent_body)
    assert isinstance(answer, Refusal)
    assert codes(other.send(*other.statuses(), sync("contacts")))[1] == ("Sync", "200")


def test_the_same_session_id_again() -> None:
    """Some clients call every session 1."""
    made = world()
    for number in range(3):
        client = Client(made)
        reply = client.login((200, "contacts", f"c{number}" if number else None, f"c{number + 1}"))
        assert [command.code for command in commands(reply) if isinstance(command, Alert)] == ["200" if number else "201"]
        client.send(*client.statuses(), sync("contacts"))
        assert client.send(*client.statuses()).final


def test_too_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SYNCML_SESSIONS", 3)
    made = world()
    for number in range(3):
        Client(made, device=f"d{number}").login((201, "contacts", None, "c1"))
    answer = made.post(BASE, _message(Client(made, device="d9"), 1))
    assert isinstance(answer, Refusal)
    assert answer.status == 503
    made.now += limits.SYNCML_SESSION_TIMEOUT
    assert codes(Client(made, device="d9").login())[0][1] == "212"
    assert len(made.server) == 1


def test_strangers_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SYNCML_SESSIONS", 3)
    made = world()
    for number in range(10):
        Client(made, device=f"d{number}", password="wrong").login()
    assert len(made.server) == 3
    assert codes(Client(made, device="d10").login())[0][1] == "212"


def test_sessions_of_one_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SYNCML_ACCOUNT_SESSIONS", 2)
    made = world()
    clients = [Client(made, device=f"d{number}") for number in range(4)]
    for client in clients:
        client.login((201, "contacts", None, "c1"))
    assert len(made.server) == 2
    assert isinstance(made.post(clients[0].uri, clients[0].sent_body), Refusal)


def test_what_is_remembered_of_strangers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SYNCML_FAILURE_PLACES", 5)
    attempts, challenges = Attempts(nullcontext()), Challenges(nullcontext())
    for number in range(20):
        attempts.failed((("device", str(number)),), "here", 1.0)
        challenges.give("alice", f"d{number}", b"n")
    assert len(attempts._places) == len(challenges._nonces) == 5
    assert challenges.get("alice", "d19") == b"n"


class Guarded(dict[Any, Any]):
    """A table that nobody may touch without its lock."""

    def __init__(self, lock: threading.Lock) -> None:
        super().__init__()
        self.lock = lock

    def __iter__(self) -> Iterator[Any]:
        assert self.lock.locked()
        return super().__iter__()

    def __setitem__(self, key: Any, value: Any) -> None:
        assert self.lock.locked()
        super().__setitem__(key, value)

    def get(self, key: Any, default: Any = None) -> Any:
        assert self.lock.locked()
        return super().get(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        assert self.lock.locked()
        return super().pop(key, *default)


def test_what_threads_share_of_sign_ins_is_touched_under_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unguarded, a full table changed while another thread looked for what is oldest in it, and a client got 500."""
    monkeypatch.setattr(limits, "MAX_SYNCML_FAILURE_PLACES", 3)
    one, other = threading.Lock(), threading.Lock()
    attempts, challenges = Attempts(one), Challenges(other)
    attempts._places, challenges._nonces = Guarded(one), Guarded(other)
    for number in range(5):
        attempts.failed((("device", str(number)),), "here", 1.0)
        challenges.give("alice", f"d{number}", b"n")
    assert not attempts.locked((("device", "4"),), "here", 1.0)
    attempts.succeeded((("device", "4"),), "here")
    assert challenges.get("alice", "d4") == b"n"
    challenges.used("alice", "d4")
    assert not one.locked() and not other.locked()


def test_guesses_at_once_are_tried_and_counted_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world()
    made.server = Server(made.setup, made.memory, made.memory, made.devices, threading.Lock)
    gate = made.server._gate
    seen: list[tuple[str, bool]] = []

    def under_the_lock(name: str, called: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            assert isinstance(gate._one_at_a_time, type(threading.Lock()))
            seen.append((name, gate._one_at_a_time.locked()))
            return called(*arguments)

        return call

    for owner, name in ((gate, "_prove"), (gate._attempts, "locked"), (gate._attempts, "failed")):
        monkeypatch.setattr(owner, name, under_the_lock(name, getattr(owner, name)))
    assert codes(Client(made, password="wrong").login())[0][1] == "401"
    client = Client(made, session="right")
    client.login((201, "contacts", None, "c1"))
    assert {name for name, _ in seen} == {"_prove", "locked", "failed"}
    assert all(held for _, held in seen)


def test_secrets_do_not_show() -> None:
    presented = auth.read_credentials(auth.credentials(auth.BASIC, Protocol.V1_2, "alice", "secret", b""))
    assert "secret" not in f"{presented!r}{Account('alice', password='secret')!r}"
    assert base64.b64encode(b"alice:secret").decode() not in repr(auth.credentials(auth.BASIC, Protocol.V1_2, "alice", "secret", b""))


def test_fact_sheet_digests() -> None:
    assert auth.md5_for(Protocol.V1_2, "Bruce2", "OhBehave", b"Nonce") == "Zz6EivR3yeaaENcRN6lpAQ=="
    assert auth.md5_for(Protocol.V1_1, "alice", "secret", b"") == "lOnT4YjHnGPOubN9TXInoQ=="
    assert auth.basic("Bruce2", "OhBehave") == "QnJ1Y2UyOk9oQmVoYXZl"
    raw = auth.read_credentials(Cred(data=base64.b64decode("Zz6EivR3yeaaENcRN6lpAQ=="), meta=Meta(type=auth.MD5, format="bin")))
    assert raw is not None
    assert raw.digest is not None
    assert auth.same("Zz6EivR3yeaaENcRN6lpAQ==", raw.digest)


def test_one_message_sent_by_several_threads_at_once() -> None:
    made = world()
    made.server = Server(made.setup, made.memory, made.memory, made.devices, threading.Lock)
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    body = _message(client, 2)
    begin = threading.Barrier(6)
    answers: list[object] = []

    def post() -> None:
        begin.wait(10)
        answers.append(made.post(client.uri, body))

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(answers) == 6
    assert all(isinstance(answer, Reply) and answer == answers[0] for answer in answers)
    assert made.stores["contacts"].log.count("take 1") == 1


def test_who_knows_the_ids_only_cannot_enter_a_session_that_is_at_work() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    client.send(*client.statuses(), sync("contacts"), final=False)
    store, stolen = made.stores["contacts"], []
    called = store.called

    def slow(method: str, what: str = "") -> None:
        called(method, what)
        if method == "take":
            stolen.append(made.post(BASE, _message(Client(made, msg_id=2), 9)))

    store.called = slow  # type: ignore[method-assign]
    client.send(*client.statuses(), sync("contacts", change("Add", "1", "B=1")))
    assert [isinstance(answer, Refusal) and answer.status for answer in stolen] == [404]


def test_without_a_token_a_session_goes_on_where_it_began_only() -> None:
    made = world()
    client = Client(made)
    client.login((201, "contacts", None, "c1"))
    message = _message(client, 2)
    # As after a first reply whose address nobody has used yet.
    there = made.server.receive(None, message, client.encoding.value, made.now, made.random, None, origin="192.0.2.9")
    assert isinstance(there, Reply)
    assert codes(codec.decode(there.body, there.content_type).message)[0] == ("SyncHdr", "407")
    here = made.server.receive(None, message, client.encoding.value, made.now, made.random, None)
    assert isinstance(here, Reply)
    assert codes(codec.decode(here.body, here.content_type).message)[-1] == ("Add", "201")


def test_strangers_do_not_lock_out_a_device_that_was_let_in() -> None:
    made = world()
    made.devices.known["alice", "phone-1"] = DevInf(Protocol.V1_2, "phone-1")
    for attempt in range(3 * limits.SYNCML_FAILURES):
        Client(made, password="wrong", session=str(attempt), device=f"stranger {attempt}").login()
    assert codes(Client(made, device="phone-2").login())[0][1] == "401"
    assert codes(Client(made).login())[0][1] == "212"
    for attempt in range(limits.SYNCML_FAILURES + 1):
        Client(made, password="wrong", session=str(attempt)).login()
    assert codes(Client(made, session="right").login())[0][1] == "401"


def guess(made: World, count: int, device: str = "", origin: str = "") -> None:
    """Wrong passwords for alice: of a device each, from an address each, if none is given."""
    for attempt in range(count):
        by = {"device": device or f"stranger {attempt}", "origin": origin or f"192.0.2.{attempt}"}
        assert codes(Client(made, password="wrong", session=str(made.now), **by).login())[0][1] == "401"  # type: ignore[arg-type]


def test_a_device_that_says_nothing_of_itself_is_known_once_it_was_let_in() -> None:
    """A basic client that sends no device information."""
    made = world()
    assert codes(Client(made).login())[0][1] == "212"
    guess(made, 3 * limits.SYNCML_FAILURES, origin="192.0.2.1")
    assert codes(Client(made, session="2", origin="192.0.2.1").login())[0][1] == "212"


def test_guesses_from_elsewhere_keep_no_new_device_out() -> None:
    made = world()
    guess(made, 3 * limits.SYNCML_FAILURES, origin="192.0.2.1")
    assert codes(Client(made, origin="192.0.2.1").login())[0][1] == "401"
    assert codes(Client(made, origin="198.51.100.7").login())[0][1] == "212"


def test_who_knows_a_device_keeps_it_out_at_his_own_address_only() -> None:
    made = world()
    assert codes(Client(made, origin="198.51.100.7").login())[0][1] == "212"
    guess(made, 3 * limits.SYNCML_FAILURES, device="phone-1", origin="192.0.2.1")
    assert codes(Client(made, session="2", origin="192.0.2.1").login())[0][1] == "401"
    assert codes(Client(made, session="2", origin="198.51.100.7").login())[0][1] == "212"


def test_guesses_from_many_addresses_are_bounded_too() -> None:
    made = world()
    assert codes(Client(made, origin="198.51.100.7").login())[0][1] == "212"
    guess(made, limits.SYNCML_FAILURES_ANYWHERE + 5)
    assert codes(Client(made, device="phone-2", origin="198.51.100.8").login())[0][1] == "401"
    assert codes(Client(made, session="2", origin="198.51.100.7").login())[0][1] == "212"
    made.now += limits.SYNCML_LONGEST_WAIT
    assert codes(Client(made, device="phone-2", session="2", origin="198.51.100.8").login())[0][1] == "212"
    guess(made, 1)
    # The owner's success elsewhere gives strangers no new guesses.
    assert codes(Client(made, device="phone-3", origin="198.51.100.9").login())[0][1] == "401"


def test_an_account_has_one_count_whatever_it_is_called() -> None:
    made = world()
    for attempt in range(limits.SYNCML_FAILURES + 1):
        Client(made, user=f"alice@{attempt}", password="wrong", session=str(attempt), device=f"stranger {attempt}").login()
    assert codes(Client(made, device="phone-2").login())[0][1] == "401"


def test_made_up_names_do_not_push_out_who_has_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SYNCML_FAILURE_PLACES", 5)
    attempts, alice = Attempts(nullcontext()), ("account", "alice")
    for _ in range(limits.SYNCML_FAILURES + 1):
        attempts.failed((alice,), "here", 1.0)
    for number in range(20):
        attempts.failed((("device", str(number)),), "here", 1.0)
    assert attempts.locked((alice,), "here", 2.0)
    assert len(attempts._places) == 5
