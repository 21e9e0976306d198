"""The local interface: lines in, lines out, its limits, and its socket."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from twsync.errors import StoreError, UserError
from twsync.peer.localapi import MAX_CLIENTS, MAX_REQUEST, LocalFactory, LocalInterface
from twsync.peer.localsocket import reachable


class Calls:
    """Answers as it is told; notes what came."""

    def __init__(self):
        self.came = []
        self.answers = {}

    async def __call__(self, name, arguments, report):
        self.came.append((name, arguments))
        answer = self.answers.get(name, {"ok": True})
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Deferred):
            report({"phase": "waiting"})
            return await answer
        return answer


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def client(calls):
    protocol = LocalFactory(calls).buildProtocol(None)
    protocol.makeConnection(StringTransport())
    return protocol


def lines(client):
    found = [json.loads(line) for line in client.transport.value().splitlines()]
    client.transport.clear()
    return found


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_call_in_pieces(client, calls, size):
    data = b'{"call": "status"}\n{"call": "sync", "arguments": {"collection": "photos"}}\n'
    for start in range(0, len(data), size):
        client.dataReceived(data[start : start + size])
    assert calls.came == [("status", {}), ("sync", {"collection": "photos"})]
    assert lines(client) == [{"result": {"ok": True}}] * 2


def test_events_come_before_the_result_and_calls_one_after_the_other(client, calls):
    calls.answers["sync"] = Deferred()
    client.dataReceived(b'{"call": "sync"}\n{"call": "status"}\n')
    assert lines(client) == [{"event": {"phase": "waiting"}}]
    assert len(calls.came) == 1
    calls.answers["sync"].callback("done")
    assert lines(client) == [{"result": "done"}, {"result": {"ok": True}}]


def test_errors(client, calls):
    calls.answers["sync"] = UserError("No.", "refused-so")
    client.dataReceived(b'{"call": "sync"}\n')
    assert lines(client) == [{"error": {"code": "refused-so", "message": "No."}}]
    calls.answers["sync"] = RuntimeError("secret")
    client.dataReceived(b'{"call": "sync"}\n')
    (answer,) = lines(client)
    assert answer["error"]["code"] == "defect"
    assert "secret" not in answer["error"]["message"]


@pytest.mark.parametrize("data", [b"hello\n", b'{"cal": 1}\n', b'{"call": "x", "more": 1}\n', b"\xff\n", b"[]\n"])
def test_garbage_ends_the_connection(client, data):
    client.dataReceived(data)
    assert lines(client)[0]["error"]["code"] == "bad-request"
    assert client.transport.disconnecting


def test_endless_line_ends_the_connection(client):
    client.dataReceived(b"x" * (MAX_REQUEST + 1))
    assert lines(client)[0]["error"]["code"] == "too-long"
    assert client.transport.disconnecting


def test_client_that_goes_away_stops_nothing(client, calls):
    calls.answers["sync"] = Deferred()
    client.dataReceived(b'{"call": "sync"}\n')
    client.connectionLost()
    calls.answers["sync"].callback("done")
    assert len(calls.came) == 1


def test_not_too_many_clients(calls):
    factory = LocalFactory(calls)
    clients = [factory.buildProtocol(None) for _ in range(MAX_CLIENTS)]
    assert factory.buildProtocol(None) is None
    clients[0].makeConnection(StringTransport())
    clients[0].connectionLost()
    assert factory.buildProtocol(None) is not None


class Port:
    """A listening port as Twisted's: removes its socket when it stops."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()

    def stopListening(self):
        Path(self.path).unlink()
        self.socket.close()


class Reactor:
    def listenUNIX(self, address, factory, *, mode):
        self.mode = mode
        return Port(address)


def test_socket_in_a_deep_folder_is_private_and_removed(tmp_path, calls):
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    path = deep / "api.sock"
    interface = LocalInterface(Reactor(), path, calls)
    interface.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with reachable(path) as short, socket.socket(socket.AF_UNIX) as there:
        assert len(short) < 108
        there.connect(short)
    # Killed: the socket stays, the next one takes its place.
    again = LocalInterface(Reactor(), path, calls)
    again.start()
    Deferred.fromCoroutine(again.stop())
    assert not path.exists()


def test_a_socket_with_too_long_a_name_is_named_as_the_user_knows_it(tmp_path, calls):
    path = tmp_path / ("x" * 120)
    with pytest.raises(StoreError) as refused:
        LocalInterface(reactor, path, calls).start()
    assert str(path) in refused.value.message and "[api] socket" in refused.value.message
    assert "/proc" not in refused.value.message


def test_what_is_no_socket_is_left_alone(tmp_path, calls):
    (tmp_path / "api.sock").write_text("mine")
    with pytest.raises(UserError, match="not a socket"):
        LocalInterface(Reactor(), tmp_path / "api.sock", calls).start()
    assert (tmp_path / "api.sock").read_text() == "mine"


def test_missing_folder(tmp_path, calls):
    with pytest.raises(StoreError):
        LocalInterface(Reactor(), tmp_path / "no" / "api.sock", calls).start()
