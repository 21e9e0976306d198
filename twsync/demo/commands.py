"""The public commands as a program runs them: ``twsync …`` in a process of its own, with its outcome as a value.

Ctrl-C and SIGTERM may come at any time; :func:`undivided` sees to it that no process is left behind then.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import twsync
from twsync.errors import TwsyncError

LOOPBACK = "127.0.0.1"
#: What ends a program from outside.
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")


class StageError(TwsyncError):
    """A command or a daemon did not do what the story needs; the message says which, and what it wrote."""

    code = "demo-failed"


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    arguments: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:  # noqa: ANN401 (what JSON holds is the reader's to know)
        """The JSON document that a command with ``--json`` wrote."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise StageError(f"`{self.command}` wrote no JSON document but {self.stdout!r}; {self.stderr.strip()}") from None

    @property
    def command(self) -> str:
        """The command as a person would type it."""
        return " ".join(["twsync", *self.arguments])

    def expect(self, *codes: int) -> Outcome:
        """This outcome, if its exit code is one of `codes`.

        :raises StageError: it is another.
        """
        if self.code not in codes:
            said = self.stderr.strip() or self.stdout.strip() or "nothing"
            raise StageError(f"`{self.command}` ended with code {self.code} and said: {said}")
        return self


class Run(Protocol):
    """What runs a ``twsync`` command; :func:`run` does it in a process of its own."""

    def __call__(self, *arguments: str | os.PathLike[str], password: str | None = None, timeout: float = 60.0) -> Outcome:
        """Run ``twsync ARGUMENTS`` to its end."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of all processes: this one's, less the user's own settings, with this copy of twsync in front."""
    own = {name: value for name, value in os.environ.items() if name not in {"TWSYNC_CONFIG", "TWSYNC_PASSWORD"}}
    here = str(Path(twsync.__file__).parent.parent)
    own["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [own.get("PYTHONPATH")])])
    own["PYTHONUNBUFFERED"] = "1"
    return {**own, **(extra or {})}


def run(*arguments: str | os.PathLike[str], password: str | None = None, timeout: float = 60.0) -> Outcome:
    """Run ``twsync ARGUMENTS`` to its end.

    :param password: given by ``TWSYNC_PASSWORD``, never on the command line.
    :param timeout: seconds; then the command is killed.
    :raises StageError: it did not end in time.
    """
    words = tuple(os.fspath(word) for word in arguments)
    process = None
    try:
        with undivided():
            process = subprocess.Popen(
                [sys.executable, "-m", "twsync", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment({"TWSYNC_PASSWORD": password} if password is not None else None),
            )
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise StageError(f"`twsync {' '.join(words)}` did not end within {timeout:.0f} s") from None
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.communicate()
    return Outcome(words, process.returncode, out.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))


@contextlib.contextmanager
def undivided() -> Iterator[None]:
    """Let Ctrl-C and the like wait until the end of this block.

    Otherwise one that comes while a process is being started would leave a process that nobody knows of.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    waiting: list[tuple[int, FrameType | None]] = []
    before = {number: signal.signal(number, lambda *arguments: waiting.append(arguments)) for number in INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came, frame in waiting[:1]:
            handler = before[signal.Signals(came)]
            if callable(handler):
                handler(came, frame)
            elif handler is not signal.SIG_IGN:
                os.kill(os.getpid(), came)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def fingerprint_in(text: str) -> str:
    """The first certificate fingerprint in what a command printed.

    :raises StageError: there is none.
    """
    found = _FINGERPRINT.search(text)
    if found is None:
        raise StageError(f"no certificate fingerprint in {text!r}")
    return found[0]
