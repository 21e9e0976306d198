"""The process that receives a file for `bare_tool`: ``bare_receiver.py SOCKET KEYS MADE SIZE SIGNATURE [OLD]``.

It writes the file's signature, and says what its duties took.
"""

from __future__ import annotations

import json
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

from twsync.transport.keys import load_device, same_fingerprint
from twsync.transport.openssl import openssl
from twsync.transport.tls import data_server
from wholesystem.bare import Line, Stopwatch, take


def main() -> None:
    """Receive one file."""
    descriptor, keys, made, size, signature, *old = sys.argv[1:]
    assert openssl is not None
    watch = Stopwatch()
    device = load_device(Path(keys))  # both ends have the same
    nobody = cast(Any, None)  # no protocol is told of a failure: the handshake raises it
    connection = data_server(device, partial(same_fingerprint, device.fingerprint)).serverConnectionForTLS(nobody)
    line = Line(openssl, connection, socket.socket(fileno=int(descriptor)), watch)
    Path(signature).write_bytes(take(line, Path(made), int(size), Path(old[0]) if old else None, watch))
    print(json.dumps(watch.seconds))


if __name__ == "__main__":
    main()
