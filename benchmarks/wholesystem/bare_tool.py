"""The duties of a large file as a tool: two processes and a TLS connection, see `bare`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

from twsync.demo.commands import LOOPBACK
from twsync.transport.keys import create_device
from twsync.transport.openssl import OpenSSL, openssl
from twsync.transport.tls import data_client
from wholesystem.bare import Line, Stopwatch, give
from wholesystem.tool import IntoFolders, Missing, Run

MISSING = Missing("bare", "a large file's duties alone are not measured, since twsync's C core is not in use")
_HERE = Path(__file__).parent


class BareTool(IntoFolders):
    """The one file of the source, sent by this process and received by another."""

    name = "bare"
    one_file = True

    def __init__(self, folder: Path, functions: OpenSSL) -> None:
        super().__init__(folder)
        self._functions = functions
        self._device = create_device(folder / "keys")

    def sync(self) -> Run:
        """Send the file, as a delta if there is an old one; what each duty took at both ends is in the details."""
        (new,) = (path for path in self._source.iterdir() if path.is_file())
        old, made, signature = self._destination / new.name, self._folder / "made", self._folder / "signature"
        watch = Stopwatch()
        with socket.create_server((LOOPBACK, 0)) as listening:
            near = socket.create_connection(listening.getsockname())
            far = listening.accept()[0]
        words = [far.fileno(), self._folder / "keys", made, new.stat().st_size, signature, *([old] if old.exists() else [])]
        command = [sys.executable, str(_HERE / "bare_receiver.py"), *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_HERE.parent), *filter(None, sys.path)])}
        nobody = cast(Any, None)  # no protocol is told of a failure: the handshake raises it
        connection = data_client(self._device, self._device.fingerprint).clientConnectionForTLS(nobody)
        # Whatever happens, the connection ends before the receiver is waited for, which ends by that.
        with far, subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, pass_fds=[far.fileno()]) as receiver, near:
            far.close()
            with closing(Line(self._functions, connection, near, watch)) as line:
                began = time.perf_counter()
                give(line, new, signature.read_bytes() if old.exists() else None, watch)
                wall = time.perf_counter() - began
            said = receiver.communicate()[0]
        if receiver.returncode:
            raise RuntimeError(f"the receiver ended with code {receiver.returncode}")
        there = json.loads(said)
        made.replace(old)
        duties = {duty: round(seconds + there[duty], 4) for duty, seconds in watch.seconds.items()}
        return Run(round(wall, 4), cpu=round(sum(duties.values()), 4), details=duties)


@contextmanager
def bare_tool(folder: Path) -> Iterator[BareTool | Missing]:
    """The tool, if the C core is in use."""
    if openssl is None:
        yield MISSING
        return
    folder.mkdir()
    yield BareTool(folder, openssl)
