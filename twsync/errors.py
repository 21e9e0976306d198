"""Every error that crosses a module border.

Two families: :class:`UserError` and its kin say what the person at the keyboard can do; :class:`ProtocolError` says that the other
side of a wire broke the rules. Only the edge of a wire turns one into the other. Messages never hold secrets.
"""

from __future__ import annotations


class TwsyncError(Exception):
    """Base of all errors that twsync raises on purpose.

    :param message: one sentence for a person, saying what is wrong and what to do next.
    :param code: a stable name for programs, such as ``device-offline``.
    """

    code = "failed"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.message


class FormatError(TwsyncError, ValueError):
    """Bytes that do not have the format they claim: truncated, altered or lying."""

    code = "bad-format"


class ProtocolError(TwsyncError):
    """A peer, client or server broke the rules of a protocol; the connection cannot go on."""

    code = "protocol-error"


class UserError(TwsyncError):
    """Something that the user asked for cannot be done; the message says what to do next."""

    code = "refused"


class ConfigError(UserError):
    """A setting is missing or wrong."""

    code = "bad-config"


class SessionError(TwsyncError):
    """A synchronisation session ended without success; `code` is what the other side and the user see."""

    code = "session-failed"


class PathError(TwsyncError):
    """A name from outside that must not be used as a path."""

    code = "bad-path"


class StoreError(TwsyncError):
    """The local disk or database refused: full, read-only, missing or damaged."""

    code = "store-failed"
