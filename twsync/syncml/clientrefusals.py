"""What a server's refusals mean: for a datastore, for the session, for the HTTP request; and which of them another try can help."""

from __future__ import annotations

import enum

from twsync.syncml.clientresult import Error
from twsync.syncml.codes import StatusCode
from twsync.syncml.document import Status

#: Status of an Alert or a Sync -> code and sentence; `{uri}` is the server's datastore.
_STORE: dict[int, tuple[str, str]] = {
    StatusCode.WRONG_CREDENTIALS: ("auth-failed", "The server wants other credentials for {uri}; check user name and password."),
    StatusCode.MISSING_CREDENTIALS: ("auth-failed", "The server wants credentials for {uri}; set a user name and a password."),
    StatusCode.FORBIDDEN: ("not-allowed", "The server does not let this account use {uri}; ask its administrator."),
    StatusCode.NOT_FOUND: ("not-found", "The server has no datastore {uri}; check the name."),
    StatusCode.NOT_ALLOWED: ("not-allowed", "The server does not allow this sync type for {uri}; choose another one."),
    StatusCode.NOT_SUPPORTED: ("not-supported", "The server does not do this sync type for {uri}; choose another one."),
    StatusCode.UNSUPPORTED_TYPE: ("type-not-supported", "The server does not take the content type of {uri}; choose another datastore."),
    StatusCode.IN_PROGRESS: ("busy", "The server is busy with {uri}; try again later."),
    StatusCode.RETRY_LATER: ("busy", "The server is busy with {uri}; try again later."),
    StatusCode.UNAVAILABLE: ("busy", "The server is busy with {uri}; try again later."),
    StatusCode.DEVICE_FULL: ("device-full", "The server has no room left for {uri}; make room there."),
    StatusCode.PERMISSION_DENIED: ("not-allowed", "The server does not let this account use {uri}; ask its administrator."),
}
_STORE_ELSE = ("server-error", "The server failed with {uri} (status {code}); try again, or look into its log.")

#: Status of the header -> code and sentence; `{url}` is the server.
_SESSION: dict[int, tuple[str, str]] = {
    StatusCode.WRONG_CREDENTIALS: ("auth-failed", "{url} does not accept the user name and password; check both."),
    StatusCode.MISSING_CREDENTIALS: ("auth-failed", "{url} wants a user name and a password; set them."),
    402: ("not-allowed", "{url} wants to be paid first; ask its administrator."),
    StatusCode.FORBIDDEN: ("not-allowed", "{url} does not let this account in; ask its administrator."),
    StatusCode.NOT_FOUND: ("not-found", "There is no SyncML server at {url}; check the address."),
    StatusCode.NOT_SUPPORTED: ("auth-failed", "{url} does not know this kind of login; choose another one."),
    StatusCode.UNSUPPORTED_TYPE: ("not-supported", "{url} reads neither XML nor WBXML of this kind; check the address."),
    StatusCode.IN_PROGRESS: ("busy", "{url} is busy; try again later."),
    StatusCode.RETRY_LATER: ("busy", "{url} is busy; try again later."),
    StatusCode.UNAVAILABLE: ("busy", "{url} is busy; try again later."),
    StatusCode.VERSION_NOT_SUPPORTED: ("not-supported", "{url} knows none of the SyncML versions 1.0 to 1.2 that were tried."),
    StatusCode.PROTOCOL_NOT_SUPPORTED: ("not-supported", "{url} knows none of the SyncML versions 1.0 to 1.2 that were tried."),
}
_MOVED = ("moved", "{url} sends to another address (status {code}); find out which, and give that one.")
_SESSION_ELSE = ("server-error", "{url} ended the session (status {code}); try again, or look into its log.")

#: Characters of what a server says that are passed on.
MAX_SAID = 500
#: Statuses after which the server is only busy.
BUSY = frozenset({StatusCode.RETRY_LATER, StatusCode.UNAVAILABLE})


class Retry(enum.Enum):
    """What can be changed for another try."""

    CREDENTIALS = "credentials"
    VERSION = "version"
    ENCODING = "encoding"


#: Statuses of the header of package 1 that another try can help.
RETRIES: dict[int, Retry] = {
    StatusCode.WRONG_CREDENTIALS: Retry.CREDENTIALS,
    StatusCode.MISSING_CREDENTIALS: Retry.CREDENTIALS,
    StatusCode.NOT_SUPPORTED: Retry.CREDENTIALS,
    StatusCode.BAD_REQUEST: Retry.VERSION,
    StatusCode.NOT_IMPLEMENTED: Retry.VERSION,
    StatusCode.VERSION_NOT_SUPPORTED: Retry.VERSION,
    StatusCode.PROTOCOL_NOT_SUPPORTED: Retry.VERSION,
    StatusCode.UNSUPPORTED_TYPE: Retry.ENCODING,
}


#: HTTP statuses in answer to package 1 that another try can help. A server that cannot read the encoding may not know that it is one.
HTTP_RETRIES: dict[int, tuple[Retry, ...]] = {
    400: (Retry.ENCODING, Retry.VERSION),
    406: (Retry.ENCODING,),
    415: (Retry.ENCODING,),
    500: (Retry.ENCODING,),
    501: (Retry.VERSION,),
    505: (Retry.VERSION,),
    513: (Retry.VERSION,),
}


def store_error(answer: Status, code: int, uri: str) -> Error:
    """A Status that is no success, of a datastore's Alert or Sync; what it says to people is passed on."""
    name, text = _STORE.get(code, _STORE_ELSE)
    said = next((item.data for item in answer.items if isinstance(item.data, str) and item.data.strip()), "")
    words = " ".join("".join(character if character.isprintable() else " " for character in said[:MAX_SAID]).split())
    return Error(name, text.format(uri=uri, code=code) + (f" It says: {words}" if words else ""))


def session_error(code: int, url: str) -> Error:
    """A Status of the header that is no success, or an HTTP status."""
    name, text = _SESSION.get(code, _MOVED if 300 <= code < 400 else _SESSION_ELSE)
    return Error(name, text.format(url=url, code=code))
