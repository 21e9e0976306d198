"""What a daemon answers to recorded messages of strangers and to what is no message: a SyncML status or an HTTP error, and nothing is
left behind."""

from __future__ import annotations

import contextlib
import http.client
import random
import re
import socket
from pathlib import Path

import pytest

from twsync import limits
from twsync.demo.commands import LOOPBACK
from twsync.syncml import codec
from twsync.syncml.document import Header, Location, Message, Protocol, Status

VECTORS = Path(__file__).parents[2] / "vectors" / "syncml"
REQUESTS = [path.read_bytes() for path in sorted(VECTORS.rglob("*-req.[wx]*ml"))]
#: Bad requests of which the memory is measured, and bytes that it may grow by: a tenth of what keeping each message would cost.
MANY, GROWTH = 2000, 4 * 1024 * 1024

XML_HEADER = (
    "<SyncHdr><VerDTD>1.2</VerDTD><VerProto>SyncML/1.2</VerProto><SessionID>1</SessionID><MsgID>1</MsgID>"
    "<Target><LocURI>http://h/s</LocURI></Target><Source><LocURI>dev</LocURI></Source></SyncHdr>"
)


@pytest.fixture
def post(stage):
    """``post(body, path=…, **headers)``: the status and the body of the answer."""
    connection = http.client.HTTPConnection(LOOPBACK, stage.port, timeout=30)

    def send(body, method="POST", path="/syncml", **headers):
        connection.request(method, path, body, {"Content-Type": "application/vnd.syncml+wbxml", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()

    yield send
    connection.close()


def codes(body):
    """The codes of all Statuses of a reply."""
    return {command.code for command in codec.decode(body).message.body if isinstance(command, Status)}


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_recorded_requests_of_strangers(post, number):
    """Nobody here knows them: every command is answered so, in the version and the encoding of the request."""
    request = codec.decode(REQUESTS[number])
    status, body = post(REQUESTS[number])
    assert status == 200
    reply = codec.decode(body)
    assert reply.encoding is request.encoding
    assert reply.message.header.protocol is request.message.header.protocol
    assert codes(body) == ({"401"} if request.message.header.cred is not None else {"407"})
    assert reply.message.header.resp_uri is None


BOMB = (
    "<!DOCTYPE SyncML [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>"
    f"<SyncML>{XML_HEADER}<SyncBody><Alert><CmdID>&c;</CmdID></Alert></SyncBody></SyncML>"
)
FILE = f"<!DOCTYPE SyncML [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><SyncML>{XML_HEADER}<SyncBody><Final/></SyncBody></SyncML>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 400),
        (b"hello", 400),
        (b"{}", 400),
        (REQUESTS[0][:-1], 400),
        (REQUESTS[0] + b"x", 400),
        (REQUESTS[0][:40], 400),
        (b"<SyncML>" * 1000, 400),
        (b"\x02\xa4\x01\x6a\x00" + b"\x6d" * 1000, 400),
        (b"\x02\xa4\x01\x6a\xff\xff\xff\x7f", 400),
        (b"\x02\xa4\x01\x6a\x00\x6d\xc3\xff\xff\xff\x7f", 400),
        (BOMB.encode(), 400),
        (BOMB.encode("utf-16"), 400),
        (FILE.encode(), 400),
        (b"<SyncML>" + b"<a/>" * (limits.MAX_SYNCML_ELEMENTS + 1) + b"</SyncML>", 400),
    ],
    ids=range(14),
)
def test_what_is_no_message(post, body, expected):
    """An error of HTTP that shows nothing of the inside."""
    status, said = post(body)
    assert status == expected
    assert b"Traceback" not in said
    assert b"root:" not in said


def test_other_types_methods_and_paths(post):
    """The content says what it is, whatever its type; nothing but POST is SyncML; other addresses do not exist."""
    good = codec.encode(Message(Header(Protocol.V1_2, "9", "1", Location("http://h/s"), Location("dev"))), codec.Encoding.XML)
    for kind in ("text/html", "application/vnd.syncml+wbxml; charset=UTF-8", "application/x-www-form-urlencoded", ""):
        status, body = post(good, **{"Content-Type": kind})
        assert (status, codes(body)) == (200, {"407"})
    assert post(good, method="PUT")[0] == post(good, method="DELETE")[0] == 405
    assert post(good, path="/")[0] == post(good, path="/other")[0] == post(good, path="/syncml/" + "0" * 32)[0] == 404
    assert post(good, path="/syncml/../syncml/a/b")[0] == 404
    assert post(None, method="GET")[0] == 200
    strange = good.replace(b"SyncML/1.2", b"DM/1.2")
    assert codes(post(strange)[1]) == {"513"}


@pytest.mark.parametrize(
    "request_text",
    [
        "POST /syncml HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n<SyncML>",
        "POST /syncml HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST /syncml HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        f"POST /syncml HTTP/1.1\r\nHost: h\r\nContent-Length: {limits.MAX_SYNCML_DOCUMENT + 1}\r\n\r\n",
        "POST /syncml HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /syncml HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
        "POST /syncml HTTP/1.1\r\nHost: " + "h" * 100_000,
        "\x16\x03\x01\x02\x00",
    ],
    ids=range(8),
)
def test_lying_lengths_and_broken_http(stage, post, request_text):
    """The connection ends, and others go on."""
    with socket.create_connection((LOOPBACK, stage.port), timeout=10) as raw:
        said = b""
        # The host may close first.
        with contextlib.suppress(OSError):
            raw.sendall(request_text.encode("latin-1"))
            raw.shutdown(socket.SHUT_WR)
            while piece := raw.recv(65536):
                said += piece
    assert not said or re.match(rb"HTTP/1\.[01] 4\d\d ", said), said
    assert post(None, method="GET")[0] == 200


def test_many_bad_requests_cost_no_memory(stage, post):
    """Cut and damaged messages: each gets an answer of SyncML or HTTP, no session begins, and the daemon stays as large as it was."""
    chance = random.Random(1)

    def damaged():
        body = bytearray(chance.choice(REQUESTS))
        for _ in range(chance.randrange(1, 5)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        return bytes(body[: chance.randrange(len(body))] if chance.random() < 0.3 else body)

    def memory():
        return int(re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{stage.host.pid}/status").read_text())[1]) * 1024

    answers = set()

    def send(number):
        for _ in range(number):
            status, body = post(damaged())
            answers.add(status)
            if status == 200:
                assert codes(body) and not codes(body) & {"200", "201", "212"}

    send(MANY // 4)
    before = memory()
    send(MANY)
    assert answers == {200, 400}
    assert memory() - before < GROWTH
    assert stage.host.twsync("status", "--json").expect(0).document["sessions"] == []
