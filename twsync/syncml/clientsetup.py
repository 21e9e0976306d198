"""What a client session is given: the server, the account, the datastores, the limits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from twsync import limits
from twsync.reconcile.model import SyncType
from twsync.syncml.clientaccess import Credentials
from twsync.syncml.codes import BY_SERVER, number
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.document import Alert, DevInf, Encoding, Message, Protocol


class Wanted(msgspec.Struct, frozen=True):
    """One datastore that is to be synchronised."""

    name: str
    "The own one, as `Datastores.names` has it; its address in messages too."
    uri: str
    "The server's, as the server names it."
    sync_type: SyncType = SyncType.TWO_WAY
    resume: bool = False
    "The last session with it was suspended or cut: ask to go on (1.2, one of the three incremental types)."
    allow_slow: bool = True
    "Whether everything may be compared without having been asked for: at the first meeting, and when the anchors do not match."
    credentials: Credentials | None = None
    "For a datastore that wants its own."


class Remembered(msgspec.Struct, frozen=True):
    """What a client keeps of a server between sessions. It has changed when a session gives another one; then keep that, ended or not."""

    nonce: bytes = b""
    "For the next md5 digest."
    devinf: DevInf | None = None
    "The server's."
    told: str = ""
    "Fingerprint of the own device information that the server has taken."
    unfinished: tuple[str, ...] = ()
    "Own datastores with a slow or refresh session that was cut: the next one compares everything again."


class ClientSetup(msgspec.Struct, frozen=True, kw_only=True):
    """The server, and how this device shows itself to it."""

    url: str
    "Where the first message goes; the server's address (Target) in it, if `target` is not given."
    own: OwnDevice
    "How this device shows itself; its id is the Source LocURI, the same in all sessions."
    session_id: str
    "Decimal, another one than that of the last session; that of the notification for a session which the server asked for."
    partner: str
    "The name under which the stores keep anchors for this server."
    target: str | None = None
    "Target LocURI of the first message, where it is another than `url`."
    protocol: Protocol = Protocol.V1_2
    encoding: Encoding = Encoding.WBXML
    fixed_protocol: bool = False
    "No older version is tried."
    fixed_encoding: bool = False
    "The other encoding is not tried."
    credentials: Credentials | None = None
    remembered: Remembered = Remembered()
    "What the last session with this server left."
    max_message: int = limits.SYNCML_MESSAGE
    "Bytes of the largest message that is taken (MaxMsgSize), or sent behind the first."
    max_object: int = limits.MAX_OBJECT
    "Bytes of the largest object that is taken (MaxObjSize)."
    twsync: bool = False
    "The server is a twsync host and takes this one for one: the session was agreed on by INVITE. Versions of items travel then."

    @property
    def device_id(self) -> str:
        """The own address."""
        return self.own.device_id


def told(devinf: DevInf) -> str:
    """The fingerprint of device information: another one is Put."""
    return hashlib.sha256(msgspec.msgpack.encode(devinf)).hexdigest()


def alerted(asked: Iterable[tuple[str, int]], offered: Sequence[Wanted]) -> list[Wanted]:
    """What to synchronise because the server asked for it (fact sheet section 3.7).

    :param asked: the server's datastores with alert codes 206 to 210, from a notification or `alerts_in`; nothing: all that are set up.
    :param offered: what the user has set up with this server.
    :returns: of `offered` those that were asked for, with the type that was asked for. What the user did not set up is left out; a refresh,
        which deletes, is done only where the user has set it up as such.
    """
    types = {_plain(uri): BY_SERVER.get(code) for uri, code in asked}
    chosen = [wanted for wanted in offered if not types or _plain(wanted.uri) in types]
    return [msgspec.structs.replace(wanted, sync_type=_type(types.get(_plain(wanted.uri)), wanted)) for wanted in chosen]


def alerts_in(message: Message) -> list[tuple[str, int]]:
    """The datastores and alert codes of a 1.1 style server alert, for `alerted`: an ordinary message, pushed to the device."""
    return [
        (item.source.uri, number(alert.code))
        for alert in message.body
        if isinstance(alert, Alert) and number(alert.code) in BY_SERVER
        for item in alert.items
        if item.source is not None
    ]


def _type(asked: SyncType | None, wanted: Wanted) -> SyncType:
    if asked is None or asked in (SyncType.REFRESH_FROM_CLIENT, SyncType.REFRESH_FROM_SERVER):
        return wanted.sync_type
    return asked


def _plain(uri: str) -> str:
    """A datastore's address for comparing.

    >>> _plain("./Contacts")
    'contacts'
    """
    return uri.removeprefix("./").casefold()
