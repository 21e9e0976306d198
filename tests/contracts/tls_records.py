"""One end of a TLS 1.3 connection that says what no library would.

Its handshake is OpenSSL's, its records are made here (RFC 8446, section 5).
"""

from __future__ import annotations

import socket
from contextlib import suppress

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL

ALERT, HANDSHAKE, DATA = 21, 22, 23
CLOSE_NOTIFY = b"\x01\x00"
#: KeyUpdate, with or without the wish that the other side does so, too (section 4.6.3).
KEY_UPDATE, KEY_UPDATE_ASKED = b"\x18\x00\x00\x01\x00", b"\x18\x00\x00\x01\x01"


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\x00"
    return HKDFExpand(SHA256(), length, info).derive(secret)


class Direction:
    """The records of one direction, TLS_AES_128_GCM_SHA256."""

    def __init__(self, secret: bytes) -> None:
        self._begin(secret)

    def _begin(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(_expand(secret, b"key", 16))
        self._iv = int.from_bytes(_expand(secret, b"iv", 12), "big")
        self._number = 0

    def update(self) -> None:
        """New keys, as after a KeyUpdate."""
        self._begin(_expand(self._secret, b"traffic upd", 32))

    def _nonce(self) -> bytes:
        self._number += 1
        return (self._iv ^ (self._number - 1)).to_bytes(12, "big")

    def seal(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        inner = content + bytes([kind]) + bytes(padding)
        head = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        return head + self._cipher.encrypt(self._nonce(), inner, head)

    def key_update(self, message: bytes = KEY_UPDATE) -> bytes:
        sealed = self.seal(HANDSHAKE, message)
        self.update()
        return sealed

    def open(self, record: bytes) -> tuple[int, bytes]:
        inner = self._cipher.decrypt(self._nonce(), record[5:], record[:5]).rstrip(b"\x00")
        return inner[-1], inner[:-1]


class RecordPeer:
    """A client whose handshake is done.

    :param context: of a data connection's client.
    :param turn: lets the server work, once.
    """

    def __init__(self, context: SSL.Context, port: int, turn) -> None:
        secrets = {}
        context.set_keylog_callback(lambda _connection, line: secrets.update([line.split()[::2]]))
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self._turn = turn
        connection = SSL.Connection(context, None)
        connection.set_connect_state()
        done = False
        while not done:
            with suppress(SSL.WantReadError):
                connection.do_handshake()
                done = True
            with suppress(SSL.WantReadError):
                self.send(connection.bio_read(100_000))
            if not done and (data := self.receive()):
                connection.bio_write(data)
        self.out = Direction(bytes.fromhex(secrets[b"CLIENT_TRAFFIC_SECRET_0"].decode()))
        self.into = Direction(bytes.fromhex(secrets[b"SERVER_TRAFFIC_SECRET_0"].decode()))
        self._buffer = b""
        #: Whether the other side has closed.
        self.ended = False

    def send(self, data: bytes) -> None:
        """Send bytes as they are, while the server works."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                self._turn()

    def receive(self) -> bytes:
        """What is there after a turn of the server."""
        self._turn()
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            data = b""
        self.ended = not data
        return data

    def hear(self) -> list[tuple[int, bytes]]:
        """Records that came: what each is, and its content. A KeyUpdate is followed."""
        self._buffer += self.receive()
        found = []
        while len(self._buffer) >= 5 and len(self._buffer) >= (size := 5 + int.from_bytes(self._buffer[3:5], "big")):
            record, self._buffer = self._buffer[:size], self._buffer[size:]
            found.append(self.into.open(record))
            if found[-1][0] == HANDSHAKE and found[-1][1][0] == KEY_UPDATE[0]:
                self.into.update()
        return found
