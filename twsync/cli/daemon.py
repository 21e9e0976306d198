"""The blocking client of the daemon's local interface (:mod:`twsync.peer.localapi`)."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

from twsync.errors import TwsyncError, UserError
from twsync.peer.localsocket import MAX_ANSWER, reachable
from twsync.peer.settings import Settings

#: Seconds until a daemon that takes the connection but never answers is given up; a call that waits for a session sends events meanwhile.
PATIENCE = 90.0
#: Seconds until one that does not answer at all is given up: it is asked for a sign of life first, which it gives at once if it runs, and
#: within `limits.JOURNAL_BUSY` if another process writes to its journal.
SOON = 12.0


class DaemonStoppedError(UserError):
    """No daemon listens on this host's local interface."""

    code = "daemon-stopped"

    def __init__(self, settings: Settings) -> None:
        super().__init__(f"The daemon of {settings.full_name} is not running; start it with: twistd -n syncpeer --config {settings.file}")


class Daemon:
    """One connection to the running daemon, which has shown that it answers.

    :raises DaemonStoppedError: there is none.
    :raises UserError: it cannot be reached, or gives no sign of life (`daemon-silent`).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(SOON)
        self._buffer = b""
        try:
            with reachable(settings.socket) as path:
                self._socket.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            self._socket.close()
            raise DaemonStoppedError(settings) from None
        except TimeoutError:
            self._socket.close()
            raise _silent() from None
        except OSError as error:
            self._socket.close()
            if error.errno is None:
                raise UserError(f"{settings.socket} is too long a name for a socket; give a shorter one under [api] socket.") from None
            what = f"The daemon's interface {settings.socket} cannot be reached ({error.strerror}); run as the daemon's user."
            raise UserError(what) from None
        try:
            self.call("ping")
        except BaseException:
            self._socket.close()
            raise
        self._socket.settimeout(PATIENCE)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, name: str, arguments: dict[str, Any] | None = None, on_event: Callable[[dict[str, Any]], None] | None = None) -> Any:  # noqa: ANN401
        """Call `name` and return its result; events on the way go to `on_event`.

        :raises TwsyncError: what the daemon answered.
        :raises UserError: the daemon stopped meanwhile.
        """
        try:
            self._socket.sendall(json.dumps({"call": name, "arguments": arguments or {}}).encode() + b"\n")
            while True:
                answer = json.loads(self._line())
                if "event" in answer:
                    if on_event is not None:
                        on_event(answer["event"])
                elif "error" in answer:
                    raise TwsyncError(str(answer["error"]["message"]), code=str(answer["error"]["code"]))
                else:
                    return answer.get("result")
        except TimeoutError:
            raise _silent() from None
        except OSError:
            raise self._stopped() from None

    def _line(self) -> bytes:
        pieces = [self._buffer]
        size = len(self._buffer)
        while b"\n" not in pieces[-1]:
            data = self._socket.recv(65536)
            if not data:
                raise self._stopped()
            pieces.append(data)
            size += len(data)
            if size > MAX_ANSWER:
                raise UserError("The daemon's answer is too long; ask for less.")
        line, _, self._buffer = b"".join(pieces).partition(b"\n")
        return line

    def _stopped(self) -> UserError:
        return UserError("The daemon stopped before it answered; look into its log, then start it again.", code="daemon-stopped")


def _silent() -> UserError:
    return UserError("The daemon does not answer; look into its log, then stop and start it.", code="daemon-silent")


def running(settings: Settings) -> Daemon | None:
    """A connection to the daemon, or None if it is not running.

    :raises UserError: it runs, but cannot be reached or gives no sign of life.
    """
    try:
        return Daemon(settings)
    except DaemonStoppedError:
        return None
